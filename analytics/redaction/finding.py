"""From a transcript, or one plain text, to the spans that must be hidden."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from analytics.redaction.cards import CHECKED, Claim
from analytics.redaction.cues import Cues
from analytics.redaction.dates import dates
from analytics.redaction.digits import numbers
from analytics.redaction.kinds import ALWAYS_HIDDEN, CARD_NUMBER, KINDS, STRICT, Level, Span, level_of
from analytics.redaction.numbers import REPEATS, SOUNDALIKES, is_number
from analytics.redaction.people import names
from analytics.redaction.places import addresses, postcodes
from analytics.redaction.reading import Piece, Reading, read
from analytics.redaction.runs import SOFT
from analytics.redaction.text import plain_text, redact_text
from analytics.redaction.words import Stretch, emails, ibans

_RANK = {kind: rank for rank, kind in enumerate(KINDS)}
USUAL_CARD = 16
_MAY_BE_DIGITS = frozenset({"oh", "o", *REPEATS, *SOUNDALIKES})


def find(document: Any) -> list[Span]:
    """Return what must be hidden in a transcript document, ordered by turn and place; an empty call gives none.

    Words may lack times, turns may lack words (then their text is read): such spans have no times and no audio can be
    muted for them. Linear in the length of the call. Raises ValueError where the document has no list of turns.
    """
    reading = read(document)
    return _spans(reading, list(_found(reading)))


def scrub(text: Any, level: Level | str | Iterable[str] = STRICT) -> str:
    """Return one text (a log line, a webhook's value, a search text) with what `level` hides replaced.

    None gives an empty text. Raises RedactionError for an unknown level.
    """
    chosen = level_of(level)
    if text is None:
        return ""
    whole = str(text)
    return plain_text(redact_text(whole, find({"turns": [{"index": 0, "text": whole}]}), chosen))


def _found(reading: Reading) -> Iterator[tuple[int, Stretch]]:
    """Yield (group, stretch) of everything that was found."""
    cues = Cues(reading.pieces)
    streams = list(reading.streams.values())
    group = 0
    claims = numbers(streams, reading.pieces, cues)
    sizes = _sizes(claims)
    last: tuple[int, Stretch] | None = None
    for claim in claims:
        group = max(group, claim.group)
        stretch = _widened(claim, sizes[claim.group])
        yield claim.group, stretch
        if (
            last is not None
            and last[0] == claim.group
            and claim.certainty < CHECKED
            and sizes[claim.group] <= USUAL_CARD
        ):
            yield from _between(claim.group, last[1], stretch)
        last = (claim.group, stretch)
    stretches = dates(reading, cues) + postcodes(reading, cues) + addresses(reading, cues) + names(reading, cues)
    for stream in streams:
        stretches += emails(stream, cues) + ibans(stream)
    for stretch in stretches:
        group += 1
        yield group, stretch


def _between(group: int, left: Stretch, right: Stretch) -> Iterator[tuple[int, Stretch]]:
    """Yield what was said between two parts of a card number that lacks digits: they are probably misheard there."""
    if left.stream is right.stream and left.kind == right.kind == CARD_NUMBER and left.last + 1 < right.first:
        why = "between the parts of a card number that lacks digits"
        yield group, Stretch(CARD_NUMBER, left.stream, left.last + 1, right.first - 1, why, 0.5)


def _sizes(claims: Sequence[Claim]) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for claim in claims:
        said = sum(len(atom.digits) for atom in claim.segment.atoms[claim.first : claim.end])
        sizes[claim.group] = sizes.get(claim.group, 0) + said
    return sizes


def _widened(claim: Claim, size: int) -> Stretch:
    """Return the claim's pieces; a card number's reach over words beside it that are misheard digits.

    What sounds like a digit or doubles one is taken at either end. Where digits are missing for a whole number, one
    unknown word at either end is taken too: on the recording it is probably the missing digit.
    """
    stream = claim.segment.stream
    first, last = claim.segment.atoms[claim.first].first, claim.segment.atoms[claim.end - 1].last
    if claim.kind in ALWAYS_HIDDEN:
        missing = claim.certainty < CHECKED if claim.kind == CARD_NUMBER else size < 3
        for step in (-1, 1):
            edge = first if step < 0 else last
            for _ in range(2):
                near = edge + step
                if not 0 <= near < len(stream) or stream[near].turn != stream[edge].turn:
                    break
                if any(mark in stream[max(near, edge)].before for mark in ".?!"):
                    break
                norm = stream[near].norm
                misheard = missing and norm not in SOFT and len(norm) > 1 and "'" not in norm
                if not (norm in SOUNDALIKES or norm in REPEATS or norm in ("o", "oh") or misheard):
                    break
                missing = missing and not misheard
                edge = near
            first, last = (edge, last) if step < 0 else (first, edge)
    atoms = claim.segment.atoms[claim.first : claim.end]
    said = frozenset(k for atom in atoms for k in range(atom.first, atom.last + 1))
    return Stretch(claim.kind, stream, first, last, claim.why, claim.certainty, said)


def _spans(reading: Reading, found: list[tuple[int, Stretch]]) -> list[Span]:
    """Return the spans of all stretches, a stretch over several turns cut up, without what others cover already."""
    spans = [span for group, stretch in found for span in _cut(reading, group, stretch)]
    spans.sort(key=lambda s: (_RANK[s.kind], s.turn, s.start, -s.end))
    hidden: set[tuple[str, int, int]] = set()
    kept: list[Span] = []
    for span in spans:
        places = range(span.first_word, span.end_word)
        if all(any((kind, span.turn, k) in hidden for kind in (span.kind, *ALWAYS_HIDDEN)) for k in places):
            continue
        hidden.update((span.kind, span.turn, k) for k in places)
        kept.append(span)
    return sorted(kept, key=lambda s: (s.turn, s.start, s.end, _RANK[s.kind]))


def _cut(reading: Reading, group: int, stretch: Stretch) -> Iterator[Span]:
    """Yield a span per turn, without the "okay" of a turn in the midst of a stretch that says none of its digits."""
    rows: list[list[Piece]] = []
    for at in range(stretch.first, stretch.last + 1):
        piece = stretch.stream[at]
        if not rows or piece.turn != rows[-1][0].turn:
            rows.append([])
        rows[-1].append(piece)
    if stretch.digits is not None and len(rows) > 1:
        said = {stretch.stream[k].at for k in stretch.digits}
        rows = [_trimmed(row, said) for row in rows]
    for row in rows:
        if row:
            yield _span(reading, group, stretch, row)


def _trimmed(row: list[Piece], said: set[int]) -> list[Piece]:
    """Return a turn's pieces from the first to the last that says a digit, or may be one misheard."""

    def counts(piece: Piece) -> bool:
        if piece.at in said or piece.norm in _MAY_BE_DIGITS:
            return True
        return piece.norm not in SOFT and not is_number(piece.norm)

    places = [k for k, piece in enumerate(row) if counts(piece)]
    return row[places[0] : places[-1] + 1] if places else []


def _span(reading: Reading, group: int, stretch: Stretch, row: Sequence[Piece]) -> Span:
    turn = reading.turns[row[0].turn]
    first, end = row[0].word, row[-1].word + 1
    times = turn.times[first:end]
    known = [time for time in times if time is not None]
    timed = bool(times) and times[0] is not None and times[-1] is not None
    return Span(
        kind=stretch.kind, turn=turn.index, first_word=first, end_word=end, start=row[0].start, end=row[-1].end,
        start_ms=min(t[0] for t in known) if timed else None, end_ms=max(t[1] for t in known) if timed else None,
        channel=turn.channel, why=stretch.why, certainty=stretch.certainty, group=group,
    )  # fmt: skip
