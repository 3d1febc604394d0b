"""One reading of a transcript for every detector: words to normalised tokens, each remembering where it was said.

Phrases of rules go through the same normaliser, so "I'm gonna cancel." and "i am going to cancel" are the same
tokens. Nothing here loads a model.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from analytics.redaction import PLACEHOLDERS, placeholder_kind

FILLERS = frozenset({"uh", "um", "uhm", "er", "erm", "ah", "hmm", "hm", "mm", "mhm", "uhhuh", "eh"})
BACKCHANNELS = FILLERS | {
    "yeah", "yes", "yep", "yup", "ok", "okay", "right", "sure", "oh", "no", "great", "perfect", "alright", "huh",
    "all", "cool", "fine", "good", "exactly", "absolutely", "true", "thanks", "wow", "really", "i", "see", "got", "it",
}  # fmt: skip
NEGATIONS = frozenset({"not", "never", "no", "nobody", "none", "without", "neither", "nor", "hardly"})
FUNCTION_WORDS = frozenset(
    "a an the to of in on at for with and or but so is are am was were be been being do does did have has had will "
    "would can could should shall may might i you he she it we they me him her us them my your his its our their this "
    "that these those there here just really very please about from by as if then than up out".split()
)

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'"})
_SPLIT = re.compile(r"[^\w']+", re.UNICODE)
_NON_SPEECH = re.compile(r"^[\[(*♪].*[\])*♪]$|^♪+$", re.UNICODE)
_WHOLE = {
    "cannot": ("can", "not"), "can't": ("can", "not"), "won't": ("will", "not"), "shan't": ("shall", "not"),
    "ain't": ("is", "not"), "gonna": ("going", "to"), "wanna": ("want", "to"), "gotta": ("got", "to"),
    "gimme": ("give", "me"), "lemme": ("let", "me"), "dunno": ("do", "not", "know"), "let's": ("let", "us"),
    "cause": ("because",), "'cause": ("because",), "alright": ("all", "right"), "okay": ("ok",),
    "y'all": ("you", "all"),
    "dont": ("do", "not"), "cant": ("can", "not"), "wont": ("will", "not"), "didnt": ("did", "not"),
    "im": ("i", "am"), "ive": ("i", "have"), "cancelled": ("cancelled",), "canceled": ("cancelled",),
    "canceling": ("cancelling",), "email": ("email",), "e-mail": ("email",),
}  # fmt: skip
_SUFFIX = {
    "'m": "am", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would",
}  # fmt: skip
_IS = frozenset("it he she that there what who where how here everything something nothing this when".split())


@lru_cache(maxsize=65536)
def normalise(word: str) -> tuple[str, ...]:
    """Return the tokens of one written word: lower case, no punctuation, contractions spelled out.

    A noise mark such as "[Music]" gives no token, because nobody said it. What was hidden (see analytics.redaction) was
    said: its placeholder is one token, which no phrase can match.
    """
    text = word.translate(_APOSTROPHES).strip().lower()
    kind = placeholder_kind(text)
    if kind is not None:
        return (PLACEHOLDERS[kind],)
    if _NON_SPEECH.match(text):
        return ()
    out: list[str] = []
    for part in _SPLIT.split(text):
        part = part.strip("'_")
        if part:
            out.extend(_expand(part))
    return tuple(out)


def _expand(part: str) -> tuple[str, ...]:
    if part in _WHOLE:
        return _WHOLE[part]
    if part.endswith("n't") and len(part) > 3:
        return part[:-3], "not"
    if part.endswith("'s"):
        stem = part[:-2]
        return (stem, "is") if stem in _IS else (stem + "s",)
    for suffix, full in _SUFFIX.items():
        if part.endswith(suffix) and len(part) > len(suffix):
            return part[: -len(suffix)], full
    return (part.replace("'", ""),)


def tokens_of(text: str) -> tuple[str, ...]:
    """Return the normalised tokens of a whole text."""
    return tuple(t for w in text.split() for t in normalise(w))


class Token(NamedTuple):
    """One normalised token; `word` is the index of its word in turn `turn` (as the transcript numbers turns)."""

    norm: str
    turn: int
    word: int
    start_ms: int
    end_ms: int
    probability: float


@dataclass(frozen=True, slots=True)
class Stream:
    """All tokens of one party in time order, without fillers, so that a phrase survives an "uh" or a "mhm" between."""

    party: str
    tokens: tuple[Token, ...]
    positions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    starts: tuple[int, ...] = ()

    @classmethod
    def build(cls, party: str, tokens: list[Token]) -> Stream:
        ordered = tuple(sorted(tokens, key=_IN_TIME))
        positions: dict[str, list[int]] = {}
        for at, token in enumerate(ordered):
            positions.setdefault(token.norm, []).append(at)
        return cls(party, ordered, {k: tuple(v) for k, v in positions.items()}, tuple(t.start_ms for t in ordered))

    def span(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """Return the half-open token range that starts within [start_ms, end_ms]."""
        return bisect_left(self.starts, start_ms), bisect_right(self.starts, end_ms)


_IN_TIME = itemgetter(Token._fields.index("start_ms"), Token._fields.index("turn"), Token._fields.index("word"))


class Said(NamedTuple):
    """One spoken word with its place. Times are milliseconds."""

    text: str
    turn: int
    word: int
    start_ms: int
    end_ms: int
    probability: float


@dataclass(frozen=True, slots=True)
class CallTurn:
    """One turn as understanding reads it; `words` may be empty when the transcript carries text alone."""

    index: int
    party: str
    start_ms: int
    end_ms: int
    words: tuple[Said, ...]
    text: str


@dataclass(frozen=True, slots=True)
class CallText:
    """A transcript read once: turns in time order and one token stream per party."""

    turns: tuple[CallTurn, ...]
    streams: dict[str, Stream]
    duration_ms: int
    language: str
    mapping_confidence: float
    degraded: str

    @property
    def first_ms(self) -> int:
        return min((t.start_ms for t in self.turns), default=0)

    @property
    def last_ms(self) -> int:
        return max((t.end_ms for t in self.turns), default=0)

    def turn(self, index: int) -> CallTurn:
        return next(t for t in self.turns if t.index == index)

    def words(self) -> Iterator[Said]:
        for turn in self.turns:
            yield from turn.words


def read(transcript: dict[str, Any]) -> CallText:
    """Return the call as text. Raises ValueError when the document has no list of turns.

    A turn without words gets evenly spaced ones from its text, so that a transcript from elsewhere is understood too.
    """
    raw_turns = transcript.get("turns")
    if not isinstance(raw_turns, list):
        raise ValueError("transcript has no list 'turns'")
    turns: list[CallTurn] = []
    tokens: dict[str, list[Token]] = {}
    for at, raw in enumerate(raw_turns):
        index = int(raw.get("index", at))
        party = raw.get("party") if raw.get("party") in ("agent", "customer") else "unknown"
        start, end = int(raw.get("start_ms", 0)), int(raw.get("end_ms", 0))
        words = tuple(_words(raw, index, start, end))
        text = raw.get("text") or " ".join(w.text for w in words)
        turns.append(CallTurn(index, str(party), start, end, words, str(text).strip()))
        bucket = tokens.setdefault(str(party), [])
        for w in words:
            for norm in normalise(w.text):
                if norm not in FILLERS:
                    # As Token(...) does, without its layer: most of the time of reading a stored call is spent here.
                    bucket.append(tuple.__new__(Token, (norm, index, w.word, w.start_ms, w.end_ms, w.probability)))
    turns.sort(key=lambda t: (t.start_ms, t.index))
    last = max((t.end_ms for t in turns), default=0)
    mapping = transcript.get("mapping") or {}
    return CallText(
        turns=tuple(turns),
        streams={party: Stream.build(party, bucket) for party, bucket in tokens.items()},
        duration_ms=max(int(transcript.get("duration_ms") or 0), last),
        language=str(transcript.get("language") or "en"),
        mapping_confidence=float(mapping.get("confidence", 1.0)),
        degraded=str(transcript.get("degraded") or ""),
    )


def _words(raw: dict[str, Any], index: int, start: int, end: int) -> Iterator[Said]:
    given = raw.get("words") or []
    if given:
        for at, w in enumerate(given):
            w_start, w_end = int(w.get("start_ms", start)), int(w.get("end_ms", end))
            ends = w_end if w_end > w_start else w_start
            sure = float(w.get("probability", 1.0))
            yield tuple.__new__(Said, (str(w["text"]), index, at, w_start, ends, sure))
        return
    parts = str(raw.get("text") or "").split()
    step = (end - start) / len(parts) if parts else 0
    for at, part in enumerate(parts):
        yield Said(part, index, at, int(start + at * step), int(start + (at + 1) * step), 1.0)


def is_speech(word: str) -> bool:
    """Return whether a written word is something a person said (not "[Music]" or bare punctuation)."""
    return bool(normalise(word))
