"""Says which speaker of a mono call is the agent and which the customer, with a confidence and a reason in words.

Pure functions over what was said and when. Agents work from a script and customers do not, so most of the evidence is
in set phrases: the greeting that names a company, the offer of help, the verification questions, the apology on the
company's behalf against "I bought", "my bill", "can you". Phrases early in the call weigh more. Who speaks first and
who holds the longer part of the call break ties and never outweigh words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from asr_worker.diarization.clues import CLUES
from asr_worker.types import Party, PartyMapping, Word

SpokenTurn = tuple[str, str, int, int]  # speaker, text, start_ms, end_ms

_EARLY_TURNS = 12  # the part of the call in which people say who they are
_LATE_WEIGHT = 0.5
_MOST_REPEATS = 3  # of one phrase; a habit of speech is counted as one, not as proof
_SAME_VOICE_WORDS = 4


@dataclass(slots=True)
class _Evidence:
    score: float = 0.0
    words: int = 0
    first_ms: int | None = None
    clues: dict[str, float] = field(default_factory=dict)


def map_parties(turns: Sequence[SpokenTurn], *, direction: str = "inbound") -> PartyMapping:
    """Return the party of every speaker, a confidence in 0..1 and one sentence that says why.

    `turns` are (speaker, text, start_ms, end_ms) in time order. With two or more speakers exactly one is the agent,
    unless nothing at all was said; of more than two, whoever said little or talks like neither stays unknown. One
    speaker alone is decided by words or stays unknown. `direction` is "inbound", "outbound" or "unknown".
    """
    found = gather(turns)
    spoken = {speaker: e for speaker, e in found.items() if e.words > 0}
    parties: dict[str, Party] = {speaker: "unknown" for speaker in found}
    if not spoken:
        return PartyMapping(parties, 0.0, "Nothing was said, so nobody could be told apart.")
    if len(spoken) == 1:
        return _alone(parties, *next(iter(spoken.items())))
    total = sum(e.words for e in spoken.values())
    scores = {speaker: e.score + _tie_breaks(e, spoken, total, direction) for speaker, e in spoken.items()}
    ranked = sorted(scores, key=lambda s: (-scores[s], spoken[s].first_ms or 0, s))
    agent = ranked[0]
    others = sorted((s for s in ranked if s != agent), key=lambda s: (scores[s] - 0.02 * spoken[s].words, s))
    customer = others[0]
    parties[agent], parties[customer] = "agent", "customer"
    for speaker in others[1:]:
        parties[speaker] = _further(spoken[speaker])
    gap = scores[agent] - scores[customer]
    confidence = round(min(0.99, max(0.5, 1.0 / (1.0 + math.exp(-0.55 * gap)))), 3)
    return PartyMapping(parties, confidence, _reason(agent, customer, spoken, confidence))


def map_speakers(said: Sequence[tuple[str, Word]], *, direction: str = "inbound") -> PartyMapping:
    """Return `map_parties` of words in time order, each with its speaker; a run of one speaker is a turn."""
    turns: list[SpokenTurn] = []
    words: list[Word] = []
    for index, (speaker, word) in enumerate(said):
        words.append(word)
        following = said[index + 1][0] if index + 1 < len(said) else None
        if following != speaker:
            turns.append((speaker, " ".join(w.text for w in words), words[0].start_ms, words[-1].end_ms))
            words = []
    return map_parties(turns, direction=direction)


def gather(turns: Iterable[SpokenTurn]) -> dict[str, _Evidence]:
    """Return the evidence per speaker in order of first appearance; clues in the first turns count in full."""
    found: dict[str, _Evidence] = {}
    seen: dict[tuple[str, str], int] = {}
    for index, (speaker, text, start_ms, _) in enumerate(turns):
        evidence = found.setdefault(speaker, _Evidence())
        plain = simplify(text)
        evidence.words += len(plain.split())
        if evidence.first_ms is None and plain:
            evidence.first_ms = start_ms
        weight = 1.0 if index < _EARLY_TURNS else _LATE_WEIGHT
        for clue in CLUES:
            times = len(clue.pattern.findall(plain))
            if not times:
                continue
            before = seen.get((speaker, clue.name), 0)
            counted = min(times, max(0, _MOST_REPEATS - before))
            seen[speaker, clue.name] = before + times
            gain = clue.weight * weight * counted
            evidence.score += gain
            if counted:
                evidence.clues[clue.name] = evidence.clues.get(clue.name, 0.0) + gain
    return found


def simplify(text: str) -> str:
    """Return the text in lower case with plain apostrophes and no other punctuation, as the clues expect it."""
    lowered = text.lower().replace("\u2019", "'").replace("e-mail", "email")
    return " ".join(re.sub(r"[^\w' ]+", " ", lowered).split())


def _tie_breaks(evidence: _Evidence, spoken: dict[str, _Evidence], total: int, direction: str) -> float:
    """Return a small push: the called party says hello first, and the agent usually has the larger share."""
    push = 0.0
    first = min(spoken.values(), key=lambda e: e.first_ms if e.first_ms is not None else 0)
    if direction in ("inbound", "outbound"):
        answered_by_agent = direction == "inbound"
        push += 0.8 if (evidence is first) == answered_by_agent else 0.0
    return push + 0.6 * evidence.words / max(total, 1)


def _alone(parties: dict[str, Party], speaker: str, evidence: _Evidence) -> PartyMapping:
    confidence = round(min(0.95, 1.0 / (1.0 + math.exp(-0.55 * abs(evidence.score)))), 3)
    if evidence.words < _SAME_VOICE_WORDS or confidence < 0.7:
        return PartyMapping(parties, 0.0, "Only one speaker was heard, and the words do not say which party it is.")
    agent = evidence.score > 0
    parties[speaker] = "agent" if agent else "customer"
    said = _strongest(evidence, agent)
    return PartyMapping(parties, confidence, f"Only one speaker was heard: the {parties[speaker]}, who {said}.")


def _further(evidence: _Evidence) -> Party:
    """Return the party of a third or later voice: nearest by words where there are enough of them."""
    if evidence.words < 2 * _SAME_VOICE_WORDS or abs(evidence.score) < 1.0:
        return "unknown"
    return "agent" if evidence.score > 0 else "customer"


def _strongest(evidence: _Evidence, agent: bool) -> str:
    mine = [(gain, name) for name, gain in evidence.clues.items() if (gain > 0) == agent]
    mine.sort(key=lambda pair: (-abs(pair[0]), pair[1]))
    return " and ".join(name for _, name in mine[:2]) if mine else ""


def _reason(agent: str, customer: str, spoken: dict[str, _Evidence], confidence: float) -> str:
    why_agent, why_customer = _strongest(spoken[agent], True), _strongest(spoken[customer], False)
    parts = []
    if why_agent:
        parts.append(f"{agent} {why_agent}")
    if why_customer:
        parts.append(f"{customer} {why_customer}")
    if not parts:
        return "The words say little; the order of speaking and the share of talk decided."
    doubt = "" if confidence >= 0.8 else " The evidence is thin: please check."
    return "; ".join(parts) + "." + doubt
