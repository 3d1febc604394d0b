"""What one model makes of a set of clips, row by row: the document that the gate compares and a page can show.

The audio goes the served way (voice activity, packed clips, the engine, the guard), so the figures are those of what
callers would get. Words are compared after the versioned normaliser, aligned by least edits.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from asr_worker import audio, vad
from asr_worker.engines import guard, registry
from asr_worker.engines.base import Channel, Heard
from asr_worker.normalise import NORMALISER_VERSION, normalise
from asr_worker.types import PipelineSpec

SCHEMA = 1
LONG_DELETION = 4
_ROWS_AT_ONCE = 32


@dataclass(slots=True)
class Hearing:
    """What an engine heard of each row, and what that took. `processor_seconds` counts every thread of this process."""

    heard: list[Heard] = field(default_factory=list)
    audio_seconds: float = 0.0
    wall_seconds: float = 0.0
    processor_seconds: float = 0.0

    @property
    def texts(self) -> list[str]:
        return [" ".join(word.text for word in one.words) for one in self.heard]


def hear_rows(
    rows: Sequence[dict[str, Any]], spec: PipelineSpec, *, progress: Callable[[float], None] | None = None
) -> Hearing:
    """Return what the spec's engine hears of each row's `path`; loading the model is not in the seconds.

    Channels are mixed to one. Raises SpeechError for audio or a model that cannot be used.
    """
    engine = registry.transcriber(spec)
    out = Hearing()
    for at in range(0, len(rows), _ROWS_AT_ONCE):
        began, used = time.perf_counter(), time.process_time()
        channels = []
        for row in rows[at : at + _ROWS_AT_ONCE]:
            samples = audio.decode(row["path"]).mean(axis=0)
            out.audio_seconds += len(samples) / audio.RATE
            channels.append(Channel(samples, vad.speech_regions(samples)))
        out.heard += engine.transcribe_channels(channels, spec)
        out.wall_seconds += time.perf_counter() - began
        out.processor_seconds += time.process_time() - used
        if progress:
            progress(min(1.0, (at + len(channels)) / len(rows)))
    return out


def evaluate_rows(
    rows: Sequence[dict[str, Any]],
    spec: PipelineSpec,
    *,
    name: str,
    vocabulary: Sequence[str] = (),
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Return the evaluation of a spec on rows of `datasets.read`: pooled figures and one entry per row, all JSON.

    `name` says which set this is. Rates are fractions. A number (a run of digits as the normaliser writes it) or a
    vocabulary term counts as heard where it was said and word for word, with no digit more. What is heard in a row
    where nothing was said counts as insertions. Raises ValueError where no row at all has words.
    """
    if not any(normalise(str(row.get("text") or "")) for row in rows):
        raise ValueError(f"{name} holds no row with words to compare")
    hearing = hear_rows(rows, spec, progress=progress)
    terms = _terms(vocabulary)
    entries = [_entry(row, one, text, terms) for row, one, text in zip(rows, hearing.heard, hearing.texts, strict=True)]
    seconds = max(hearing.audio_seconds, 1e-9)
    return {
        "schema": SCHEMA,
        "name": name,
        "model": spec.model,
        "spec": {**spec.to_json(), "hot_words": list(spec.hot_words)},
        "normaliser": NORMALISER_VERSION,
        "data": fingerprint(rows, terms),
        "audio_seconds": round(hearing.audio_seconds, 2),
        "wall_seconds": round(hearing.wall_seconds, 3),
        "processor_seconds": round(hearing.processor_seconds, 3),
        "real_time_factor": round(hearing.wall_seconds / seconds, 4),
        "processor_factor": round(hearing.processor_seconds / seconds, 4),
        "pooled": pool(entries, [str(row.get("text") or "") for row in rows]),
        "rows": entries,
    }


def fingerprint(rows: Sequence[dict[str, Any]], terms: Sequence[tuple[str, ...]] = ()) -> str:
    """Return 16 hex digits over what was to be heard: ids, clips, normalised texts and terms, in any order of rows."""
    said = sorted([str(row["id"]), str(row.get("sha256") or ""), normalise(str(row.get("text") or ""))] for row in rows)
    doc = json.dumps([said, sorted(terms)], ensure_ascii=False)
    return hashlib.sha256(doc.encode()).hexdigest()[:16]


def pool(entries: Sequence[dict[str, Any]], references: Sequence[str]) -> dict[str, Any]:
    """Return the figures of all rows together; `references` are the texts in the rows' order, for the letters."""
    import jiwer

    def total(key: str) -> int:
        return sum(int(entry[key]) for entry in entries)

    pairs = [(normalise(text), normalise(e["hypothesis"])) for text, e in zip(references, entries, strict=True)]
    pairs = [pair for pair in pairs if pair[0]]
    letters = jiwer.cer([said for said, _ in pairs], [heard for _, heard in pairs])
    return {
        "wer": round(total("errors") / total("words"), 5),
        "cer": round(float(letters), 5),
        **{key: total(key) for key in ("substitutions", "deletions", "insertions", "words", "errors")},
        "empty": total("empty"),
        "repetitions": total("repetition"),
        "long_deletions": sum(entry["longest_deletion"] >= LONG_DELETION for entry in entries),
        "numbers": {"said": total("numbers_said"), "heard": total("numbers_heard")},
        "vocabulary": {"said": total("vocabulary_said"), "heard": total("vocabulary_heard")},
    }


def compare(said: Sequence[str], heard: Sequence[str], terms: Sequence[tuple[str, ...]] = ()) -> dict[str, int]:
    """Return the errors of one row of normalised words: counts, the longest deletion, numbers and terms recalled."""
    import jiwer

    if not said:
        pieces, insertions = [], len(heard)
    else:
        done = jiwer.process_words(" ".join(said), " ".join(heard))
        pieces, insertions = done.alignments[0], done.insertions
    at = [-1] * len(said)
    substitutions = longest = 0
    for piece in pieces:
        length = piece.ref_end_idx - piece.ref_start_idx
        if piece.type == "equal":
            for offset in range(length):
                at[piece.ref_start_idx + offset] = piece.hyp_start_idx + offset
        elif piece.type == "delete":
            longest = max(longest, length)
        elif piece.type == "substitute":
            substitutions += length
    deletions = at.count(-1) - substitutions
    numbers = _numbers(said)
    spoken = _occurrences(said, terms)
    return {
        "words": len(said),
        "errors": substitutions + deletions + insertions,
        "substitutions": substitutions,
        "deletions": deletions,
        "insertions": insertions,
        "longest_deletion": longest,
        "numbers_said": len(numbers),
        "numbers_heard": sum(_number_heard(heard, at[a:b]) for a, b in numbers),
        "vocabulary_said": len(spoken),
        "vocabulary_heard": sum(_in_one_piece(at[a:b]) for a, b in spoken),
    }


def _entry(row: dict[str, Any], one: Heard, text: str, terms: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    reference = str(row.get("text") or "")
    said, heard = normalise(reference).split(), normalise(text).split()
    looped = guard.LOOPED in one.warnings or (guard.is_loop(text) and not guard.is_loop(reference))
    return {
        "id": str(row["id"]),
        **{key: str(row.get(key) or "") for key in ("call", "speaker", "team", "queue", "party")},
        **compare(said, heard, terms),
        "empty": bool(said) and not heard,
        "repetition": looped,
        "hypothesis": text,
    }


def _terms(vocabulary: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the terms as normalised words, longest first, so that a term inside a longer one is not counted twice."""
    made = {tuple(normalise(term).split()) for term in vocabulary}
    return sorted((term for term in made if term), key=lambda term: (-len(term), term))


def _occurrences(said: Sequence[str], terms: Sequence[tuple[str, ...]]) -> list[tuple[int, int]]:
    found, i = [], 0
    while i < len(said):
        length = next((len(t) for t in terms if tuple(said[i : i + len(t)]) == t), 0)
        if length:
            found.append((i, i + length))
        i += length or 1
    return found


def _numbers(words: Sequence[str]) -> list[tuple[int, int]]:
    """Return where the runs of digits are."""
    found, i = [], 0
    while i < len(words):
        j = i
        while j < len(words) and words[j].isdigit():
            j += 1
        if j > i:
            found.append((i, j))
        i = max(j, i + 1)
    return found


def _in_one_piece(positions: Sequence[int]) -> bool:
    return positions[0] >= 0 and all(b == a + 1 for a, b in zip(positions, positions[1:], strict=False))


def _number_heard(heard: Sequence[str], positions: Sequence[int]) -> bool:
    """Say whether the digits were heard together and with no digit before or after them: 42 is not heard in 420."""
    if not _in_one_piece(positions):
        return False
    before, after = positions[0] - 1, positions[-1] + 1
    return not (before >= 0 and heard[before].isdigit()) and not (after < len(heard) and heard[after].isdigit())
