"""Words and speakers in, turns out: pure functions without a model, a file or a clock.

Every word is kept exactly once. Each word chooses its speaker by itself, by overlap in time: a segment that was
given to one speaker by majority would put the other one's answer into the wrong mouth. A turn holds words of one
speaker only, in time order; turns are sorted by their start and may overlap, since people do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from asr_worker.types import Party, SpeakerSegment, Turn, Word

UTTERANCE_GAP_MS = 1000  # a pause this long lets the other party's words in between
TURN_GAP_MS = 2500  # a pause this long ends a turn even where nobody else speaks
_NEAR_MS = 700
_ISLAND_MS = 350
_ISLAND_GAP_MS = 250

Spoken = tuple[str, Word]  # speaker, word


def assign(words: Iterable[Word], segments: Sequence[SpeakerSegment]) -> list[Spoken]:
    """Return each word, in time order, with the speaker whose segments overlap it most.

    A word between segments takes the nearest one within 0.7 s, else the speaker of the word before it, else the
    first speaker; where there are no segments at all the speaker is the empty string. Ties stay with the speaker
    of the word before, so that an overlap does not make words flicker.
    """
    ordered = sorted(words, key=_when)
    if not segments:
        return [("", word) for word in ordered]
    by_start = sorted(segments, key=lambda s: (s.start_ms, s.end_ms, s.speaker))
    longest = max(s.end_ms - s.start_ms for s in by_start)
    out: list[Spoken] = []
    first = 0
    current = by_start[0].speaker
    for word in ordered:
        reach = _NEAR_MS + longest
        while first < len(by_start) and by_start[first].start_ms + reach < word.start_ms:
            first += 1
        overlap: dict[str, int] = {}
        nearest, distance = "", _NEAR_MS + 1
        for segment in by_start[first:]:
            if segment.start_ms > word.end_ms + _NEAR_MS:
                break
            shared = min(segment.end_ms, word.end_ms) - max(segment.start_ms, word.start_ms)
            if shared > 0:
                overlap[segment.speaker] = overlap.get(segment.speaker, 0) + shared
            elif -shared < distance:
                nearest, distance = segment.speaker, -shared
        if overlap:
            most = max(overlap.values())
            best = sorted(name for name, ms in overlap.items() if ms == most)
            current = current if current in best else best[0]
        elif nearest:
            current = nearest
        out.append((current, word))
    return smooth(out)


def smooth(spoken: Sequence[Spoken]) -> list[Spoken]:
    """Return the words with one-word islands given back to the speaker around them.

    An island is a single short word with the same other speaker right before and right after it, without a pause on
    either side: a slip of the diarizer by a few hundred ms. A real interjection has a pause, or lasts longer.
    """
    out = list(spoken)
    for i in range(1, len(out) - 1):
        (before, left), (me, word), (after, right) = out[i - 1], out[i], out[i + 1]
        if before == after != me and word.end_ms - word.start_ms <= _ISLAND_MS:
            if word.start_ms - left.end_ms <= _ISLAND_GAP_MS and right.start_ms - word.end_ms <= _ISLAND_GAP_MS:
                out[i] = (before, word)
    return out


def turns(
    spoken: Iterable[Spoken],
    *,
    parties: Mapping[str, Party],
    channels: Mapping[str, int] | None = None,
) -> tuple[Turn, ...]:
    """Return the turns of a conversation, numbered from 0 and sorted by start.

    Each speaker's words become utterances (cut at pauses of 1 s), utterances of all are put in order of time, and
    neighbours of one speaker are joined where less than 2.5 s lies between them. So an interjection is a turn of
    its own and does not cut the turn that it falls into. A speaker without a party is `unknown`.
    """
    tracks: dict[str, list[Word]] = {}
    for speaker, word in spoken:
        tracks.setdefault(speaker, []).append(word)
    utterances: list[tuple[str, list[Word]]] = []
    for speaker, words in tracks.items():
        for word in sorted(words, key=_when):
            last = utterances[-1] if utterances else None
            if last and last[0] == speaker and word.start_ms - _end(last[1]) < UTTERANCE_GAP_MS:
                last[1].append(word)
            else:
                utterances.append((speaker, [word]))
    utterances.sort(key=lambda u: (u[1][0].start_ms, _end(u[1]), u[0]))
    joined: list[tuple[str, list[Word]]] = []
    for speaker, words in utterances:
        if joined and joined[-1][0] == speaker and words[0].start_ms - _end(joined[-1][1]) < TURN_GAP_MS:
            joined[-1][1].extend(words)
        else:
            joined.append((speaker, list(words)))
    return tuple(
        Turn(
            index=i,
            party=parties.get(speaker, "unknown"),
            speaker=speaker,
            channel=(channels or {}).get(speaker, 0),
            start_ms=words[0].start_ms,
            end_ms=_end(words),
            words=tuple(words),
        )
        for i, (speaker, words) in enumerate(joined)
    )


def _when(word: Word) -> tuple[int, int]:
    return word.start_ms, word.end_ms


def _end(words: Sequence[Word]) -> int:
    return max(word.end_ms for word in words)
