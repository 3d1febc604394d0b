"""Which digits are a card's: the check digit, the issuers' prefixes, and what was asked for before they were said."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from analytics.redaction.cues import CARD_WEAK, DATE, OTHER, Cue, Cues
from analytics.redaction.kinds import CARD_CODE, CARD_EXPIRY, CARD_NUMBER, PHONE
from analytics.redaction.runs import Segment

SHORTEST, LONGEST = 13, 19
CHECKED = 0.95  # the certainty from which on the check digit was right
# How many pieces a cue reaches forward. Looking for one's purse takes many words; a passing "my card" means little.
REACH = {CARD_NUMBER: 140, CARD_WEAK: 30, OTHER: 30, CARD_CODE: 40, CARD_EXPIRY: 40}
USUAL_REACH = 50
CLUSTER = 14
WHOLE_SEGMENT = 40
_MAESTRO = ("5018", "5020", "5038", "5893", "6304", "6759", "6761", "6762", "6763")


def lengths_of(prefix: str) -> tuple[int, ...]:
    """Return how many digits a card number with these first four digits may have; none where no issuer uses them."""
    two, four = int(prefix[:2]), int(prefix)
    if prefix[0] == "4":
        return 16, 19
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return (16,)
    if two in (34, 37):
        return (15,)
    if two in (36, 38, 39) or 3000 <= four <= 3059:
        return 14, 16
    if prefix in _MAESTRO:
        return 16, 17, 18, 19
    if prefix == "6011" or two in (35, 64, 65):
        return (16, 19) if two == 65 else (16,)
    return (16, 17, 18, 19) if two == 62 else ()


def luhn_windows(digits: str, starts: Sequence[int], ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield every [start, end) of `digits` that an issuer could have given and whose check digit is right.

    Starts and ends (both ascending) are the places where a number may begin and end. Linear in the digits.
    """
    values = [int(d) for d in digits]
    doubled = [v * 2 - 9 if v > 4 else v * 2 for v in values]
    plain_at = [
        [0, *accumulate(v if k % 2 == parity else w for k, (v, w) in enumerate(zip(values, doubled, strict=True)))]
        for parity in (0, 1)
    ]
    for start in starts:
        if start + SHORTEST > len(digits):
            break
        for length in lengths_of(digits[start : start + 4]):
            end = start + length
            at = bisect_left(ends, end)
            if at == len(ends) or ends[at] != end:
                continue
            sums = plain_at[(end - 1) % 2]
            if (sums[end] - sums[start]) % 10 == 0:
                yield start, end


def context(cues: Cues, first_at: int, last_at: int) -> list[Cue]:
    """Return the cues that may name what was said over these pieces, the likeliest first.

    A cue right after ("... is the security code") comes before the nearest one ahead; with that one come the cues
    asked for in the same breath ("the card number and the expiry date").
    """
    out = [cue for cue in cues.after(last_at, 5, same_turn=True) if cue.kind not in (OTHER, DATE)][:1]
    ahead = [
        cue
        for cue in cues.before(first_at, REACH[CARD_NUMBER])
        if cue.kind != DATE and first_at - cue.last <= REACH.get(cue.kind, USUAL_REACH)
    ]
    for cue in ahead:
        if ahead[0].first - cue.last > CLUSTER or cue.turn != ahead[0].turn:
            break
        out.append(cue)
    return out


@dataclass(frozen=True, slots=True)
class Claim:
    """Atoms [first, end) of a segment are of this kind."""

    kind: str
    segment: Segment
    first: int
    end: int
    why: str
    certainty: float
    group: int = 0


class _Digits:
    """The digits of a chain in one text, with the way back to segments and atoms."""

    def __init__(self, chain: Sequence[Segment]) -> None:
        self.chain = chain
        self.owners = [(s, a) for s, segment in enumerate(chain) for a in range(len(segment.atoms))]
        self.edges = [0, *accumulate(len(atom.digits) for segment in chain for atom in segment.atoms)]
        self.text = "".join(segment.digits for segment in chain)

    def window(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """Return (segment, first atom, end atom) of the digits [start, end)."""
        out: list[tuple[int, int, int]] = []
        first, last = bisect_right(self.edges, start) - 1, bisect_left(self.edges, end)
        for segment, atom in self.owners[first:last]:
            if out and out[-1][0] == segment:
                out[-1] = (segment, out[-1][1], atom + 1)
            else:
                out.append((segment, atom, atom + 1))
        return out


def cards(chain: Sequence[Segment], cues: Cues, *, only_checked: bool = False) -> list[Claim]:
    """Return what in a chain is of a card. `only_checked` accepts nothing without a right check digit."""
    first_at, last_at = chain[0].first_at, chain[-1].last_at
    digits = _Digits(chain)
    size = len(digits.text)
    if size < 4:
        return []
    near = context(cues, first_at, last_at)
    named = size >= 8 and any(cue.kind == CARD_NUMBER for cue in cues.between(first_at, last_at))
    asked = named or _asked(near, cues, first_at, size, digits.text)
    if asked and near and near[0].kind == CARD_WEAK and all(segment.stray for segment in chain):
        asked = False
    claims = _checked(digits, asked, near)
    if claims or only_checked:
        return claims
    if asked:
        why = "digits where a card number was asked for or named"
        return [Claim(CARD_NUMBER, s, 0, len(s.atoms), why, 0.9 if size >= 12 else 0.7) for s in chain]
    if _looks_like_one(chain, near):
        why = "as long as a card number and begins like one; its check digit is not right"
        return [Claim(CARD_NUMBER, s, 0, len(s.atoms), why, 0.6) for s in chain]
    return []


def _asked(near: list[Cue], cues: Cues, first_at: int, size: int, digits: str) -> bool:
    kinds = [cue.kind for cue in near]
    if CARD_NUMBER in kinds:
        # "the card number and the expiry date", then four digits: only what is long enough is the number for sure.
        return size >= 12 or kinds[0] == CARD_NUMBER or (size >= 5 and CARD_EXPIRY not in kinds[:1])
    if kinds[:1] == [CARD_WEAK]:
        if size < 8 and (CARD_EXPIRY in kinds or CARD_CODE in kinds):
            return False  # "the expiry date on the card"
        return size >= 8 or (size >= 4 and first_at - near[0].last <= 8)
    if kinds[:1] in ([OTHER], [PHONE]) and first_at - near[0].last <= 12:
        return False
    spoken_of = any(cue.kind == CARD_NUMBER for cue in cues.before(first_at, REACH[CARD_NUMBER]))
    return spoken_of and SHORTEST <= size <= LONGEST and bool(lengths_of(digits[:4]))


def _checked(digits: _Digits, asked: bool, near: list[Cue]) -> list[Claim]:
    """Return the claims of windows with a right check digit; where nothing asks for a card they must fit the words."""
    text = digits.text
    if len(text) < SHORTEST:
        return []
    edges = range(len(text) + 1) if asked and len(text) <= 4 * LONGEST else digits.edges
    windows = list(luhn_windows(text, edges, edges))
    foreign = bool(near) and near[0].kind not in (CARD_NUMBER, CARD_WEAK, CARD_CODE, CARD_EXPIRY)
    if foreign and not asked:
        # A long number of something else holds a right check digit by chance; only a whole one is believed.
        starts = set(accumulate((len(s.digits) for s in digits.chain), initial=0))
        windows = [w for w in windows if w[0] in starts and w[1] in starts]
    if not windows and len(text) <= 4 * LONGEST:
        windows = _read_otherwise(digits)
    why = "a number with a card's prefix, length and check digit"
    claimed: dict[int, tuple[int, int]] = {}
    for start, end in windows:
        for segment, first, stop in digits.window(start, end):
            if len(digits.chain[segment].digits) <= WHOLE_SEGMENT and not foreign:
                first, stop = 0, len(digits.chain[segment].atoms)
            old = claimed.get(segment, (first, stop))
            claimed[segment] = min(first, old[0]), max(stop, old[1])
    if asked and claimed:
        for at, part in enumerate(digits.chain):
            claimed.setdefault(at, (0, len(part.atoms)))
    certainty = 0.99 if asked else CHECKED
    return [Claim(CARD_NUMBER, digits.chain[s], a, b, why, certainty) for s, (a, b) in sorted(claimed.items())]


def _read_otherwise(digits: _Digits) -> list[tuple[int, int]]:
    """Return the whole chain where another reading of it is a right number.

    Another reading is: without what the other party only repeated, with "eighty, four" as 84, or without the digits
    before a correction.
    """
    whole = [(0, len(digits.text))]
    for text in _readings(digits.chain):
        if any(True for _ in luhn_windows(text, (0,), (len(text),))):
            return whole
    size = 0
    for segment in digits.chain:
        for left, right in zip(segment.atoms, segment.atoms[1:], strict=False):
            size += len(left.digits)
            if right.first - left.last < 2 or not segment.regrets:
                continue
            for wrong in range(1, 9):
                text = digits.text[: max(0, size - wrong)] + digits.text[size:]
                if any(True for _ in luhn_windows(text, (0,), (len(text),))):
                    return whole
        size += len(segment.atoms[-1].digits)
    return []


def _readings(chain: Sequence[Segment]) -> list[str]:
    """Return the digits of a chain read in other ways: tens and units joined, repeated turns left out, or both."""
    out = [""] * 3
    for segment in chain:
        turns: list[list[str]] = []
        last_turn, tens = -1, -2
        for atom in segment.atoms:
            turn = segment.stream[atom.first].turn
            if turn != last_turn:
                turns.append(["", ""])
                last_turn = turn
            for way in (0, 1):
                joins = way and tens == atom.first - 1 and len(atom.digits) == 1 and atom.digits != "0" and atom.spoken
                turns[-1][way] = turns[-1][way][:-1] + atom.digits if joins else turns[-1][way] + atom.digits
            round_ten = atom.spoken and len(atom.digits) == 2 and atom.digits[0] > "1" and atom.digits[1] == "0"
            tens = atom.last if round_ten else -2
        for way in (0, 1):
            said = [turn[way] for turn in turns]
            for text in said:
                if len(text) < 2 or not out[1 + way].endswith(text):
                    out[1 + way] += text
            if way:
                out[0] += "".join(said)
    return out


def _looks_like_one(chain: Sequence[Segment], near: list[Cue]) -> bool:
    if near and near[0].kind not in (CARD_WEAK, CARD_CODE, CARD_EXPIRY, CARD_NUMBER):
        return False
    left = sum(len(segment.digits) for segment in chain)
    if any(SHORTEST <= len(text) <= LONGEST and lengths_of(text[:4]) for text in _readings(chain)):
        return True
    for at, segment in enumerate(chain):
        text = "".join(s.digits for s in chain[at : at + 4])[:4]
        allowed = LONGEST + 8 * sum(s.regrets for s in chain[at:])
        if SHORTEST <= left <= allowed and lengths_of(text):
            return True
        left -= len(segment.digits)
    return False
