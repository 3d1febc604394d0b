"""Talk metrics of one call: pure arithmetic on word times, the same figures for the same transcript.

Definitions (all times in milliseconds)

- A *spurt* is one party's speech with no pause longer than 500 ms: words are joined across turn borders. Words that
  nobody said ("[Music]") do not count. Talk time is the length of a party's spurts.
- *Silence* is every moment in which nobody speaks, the lead-in and the tail of the recording included.
- *Overtalk* is the time in which agent and customer speak at once.
- An *interruption* is counted for the party who starts to speak (1) while the other has been speaking for at least
  500 ms and goes on for at least 400 ms more, (2) with more than a back-channel ("mhm", "okay, right"), and (3) keeps
  the floor, that is, is still speaking when the other stops. (3) is the "between-speaker overlap" of Heldner and
  Edlund, "Pauses, gaps and overlaps in conversations", Journal of Phonetics 38 (2010); the 400 ms leave out the
  overlap at turn ends by which a listener only shows that the end was foreseen (Sacks, Schegloff and Jefferson,
  "A simplest systematics for the organization of turn-taking for conversation", Language 50 (1974)).
- *Response latency* of a party is the median pause between the end of the other's spurt and the party's own answer;
  an answer that overlaps counts as 0, and holds are left out.
- A *monologue* is a stretch of one party's spurts that only back-channels of the other, and no pause of 5 s or more,
  lie within.
- A *hold* is a silence between speech of at least 15 s, or of at least 5 s within 10 s after the agent asked the caller
  to wait ("bear with me"); after such a phrase a silence of 15 s or more up to the end of the recording counts too.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from analytics.nlu.phrases import compile_phrases, find_any
from analytics.nlu.text import BACKCHANNELS, CallText, normalise

SPURT_GAP_MS = 500
HOLD_SILENCE_MS = 15_000
HOLD_AFTER_PHRASE_MS = 5_000
HOLD_PHRASE_REACH_MS = 10_000
INTERRUPT_AFTER_MS = 500
INTERRUPT_OVERLAP_MS = 400
MONOLOGUE_PAUSE_MS = 5_000

HOLD_PHRASES = compile_phrases(
    [
        "put|place|pop you on hold", "putting|placing you on hold", "on a brief|short|quick hold", "bear with me",
        "hold the line", "hold on", "hold please", "just|one|a a? moment", "give me a|one moment|second|minute|sec",
        "let me check", "let me look|pull|see|find|get", "let me just", "while i check|look|get|find|pull",
        "can|could you hold", "do you mind holding", "would you mind holding", "wait a moment|second|minute",
        "one second", "i will be right back", "i will be back", "stay on the line",
    ]
)  # fmt: skip

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Spurt:
    """One party's speech without a pause above 500 ms; `solid` is false when it is only a back-channel."""

    party: str
    start_ms: int
    end_ms: int
    words: int
    solid: bool


def spurts(call: CallText) -> list[Spurt]:
    """Return all spurts in order of their start."""
    out: list[Spurt] = []
    for party in ("agent", "customer", "unknown"):
        said = sorted(
            ((w.start_ms, w.end_ms, normalise(w.text)) for t in call.turns if t.party == party for w in t.words),
            key=lambda w: (w[0], w[1]),
        )
        said = [w for w in said if w[2]]
        group: list[tuple[int, int, tuple[str, ...]]] = []
        end = 0
        for item in said:
            if group and item[0] - end > SPURT_GAP_MS:
                out.append(_spurt(party, group, end))
                group = []
            end = max(end, item[1]) if group else item[1]
            group.append(item)
        if group:
            out.append(_spurt(party, group, end))
    return sorted(out, key=lambda s: (s.start_ms, s.end_ms))


def _spurt(party: str, group: list[tuple[int, int, tuple[str, ...]]], end: int) -> Spurt:
    solid = len(group) > 4 or any(token not in BACKCHANNELS for _, _, tokens in group for token in tokens)
    return Spurt(party, group[0][0], end, len(group), solid)


def union(intervals: list[Interval]) -> list[Interval]:
    """Return the same time covered by disjoint intervals in order."""
    out: list[Interval] = []
    for start, end in sorted(i for i in intervals if i[1] > i[0]):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def length(intervals: list[Interval]) -> int:
    return sum(end - start for start, end in intervals)


def overlap(a: list[Interval], b: list[Interval]) -> int:
    """Return the time that lies in both of two lists of disjoint ordered intervals."""
    total = i = j = 0
    while i < len(a) and j < len(b):
        total += max(0, min(a[i][1], b[j][1]) - max(a[i][0], b[j][0]))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return total


def talk_metrics(call: CallText) -> dict[str, Any]:
    """Return the metrics of one call; a figure that cannot exist (nobody spoke) is None, never a made-up zero.

    Counts and total times are 0 for an empty call; ratios, rates and medians are None.
    """
    every = spurts(call)
    talk = {p: union([(s.start_ms, s.end_ms) for s in every if s.party == p]) for p in ("agent", "customer", "unknown")}
    anyone = union([i for intervals in talk.values() for i in intervals])
    duration = call.duration_ms
    silences = _silences(anyone, duration)
    holds = _holds(call, silences, anyone)
    longest = max(silences, key=lambda s: s[1] - s[0], default=None)
    agent, customer = length(talk["agent"]), length(talk["customer"])
    words = {p: sum(s.words for s in every if s.party == p) for p in talk}
    probabilities = [w.probability for w in call.words() if normalise(w.text)]
    latencies = _latencies(every, holds)
    interruptions = _interruptions(every)
    return {
        "duration_ms": duration,
        "talk_ratio_agent": round(agent / (agent + customer), 4) if agent + customer else None,
        "agent_talk_ms": agent,
        "customer_talk_ms": customer,
        "silence_ms": length(silences),
        "silence_ratio": round(length(silences) / duration, 4) if duration else None,
        "longest_silence_ms": longest[1] - longest[0] if longest else 0,
        "longest_silence_start_ms": longest[0] if longest else None,
        "overtalk_ms": overlap(talk["agent"], talk["customer"]),
        "interruptions_agent": interruptions["agent"],
        "interruptions_customer": interruptions["customer"],
        "wpm_agent": _wpm(words["agent"], agent),
        "wpm_customer": _wpm(words["customer"], customer),
        "longest_monologue_agent_ms": _longest_monologue(every, "agent"),
        "longest_monologue_customer_ms": _longest_monologue(every, "customer"),
        "response_latency_agent_ms": int(median(latencies["agent"])) if latencies["agent"] else None,
        "response_latency_customer_ms": int(median(latencies["customer"])) if latencies["customer"] else None,
        "hold_ms": sum(h["end_ms"] - h["start_ms"] for h in holds),
        "holds": holds,
        "turns": len(call.turns),
        "words": sum(words.values()),
        "mean_word_probability": round(sum(probabilities) / len(probabilities), 4) if probabilities else None,
    }


def _wpm(words: int, talk_ms: int) -> float | None:
    return round(words * 60_000 / talk_ms, 1) if words and talk_ms else None


def _silences(anyone: list[Interval], duration: int) -> list[Interval]:
    edges = [0, *(edge for interval in anyone for edge in interval), duration]
    return [(edges[i], edges[i + 1]) for i in range(0, len(edges) - 1, 2) if edges[i + 1] > edges[i]]


def _holds(call: CallText, silences: list[Interval], anyone: list[Interval]) -> list[dict[str, int]]:
    if not anyone:
        return []
    first, last = anyone[0][0], anyone[-1][1]
    asked = [
        stream.tokens[hit.end - 1].end_ms
        for party, stream in call.streams.items()
        if party != "customer"
        for hit in find_any(HOLD_PHRASES, stream)
    ]
    holds = []
    for start, end in silences:
        if start < first:
            continue
        after_phrase = any(-1000 <= start - at <= HOLD_PHRASE_REACH_MS for at in asked)
        inside = end <= last
        needed = HOLD_AFTER_PHRASE_MS if after_phrase and inside else HOLD_SILENCE_MS
        if end - start >= needed and (inside or after_phrase):
            holds.append({"start_ms": start, "end_ms": end})
    return holds


def _interruptions(every: list[Spurt]) -> dict[str, int]:
    counts = {"agent": 0, "customer": 0, "unknown": 0}
    for spurt in every:
        if not spurt.solid:
            continue
        for other in every:
            if other.start_ms > spurt.start_ms:
                break
            if (
                other.party != spurt.party
                and "unknown" not in (other.party, spurt.party)
                and other.solid
                and other.start_ms + INTERRUPT_AFTER_MS <= spurt.start_ms
                and spurt.start_ms + INTERRUPT_OVERLAP_MS <= other.end_ms < spurt.end_ms
            ):
                counts[spurt.party] += 1
                break
    return counts


def _latencies(every: list[Spurt], holds: list[dict[str, int]]) -> dict[str, list[int]]:
    out: dict[str, list[int]] = {"agent": [], "customer": [], "unknown": []}
    floor: Spurt | None = None
    for spurt in every:
        if floor is not None and spurt.party != floor.party and spurt.end_ms > floor.end_ms:
            held = any(h["start_ms"] < spurt.start_ms and h["end_ms"] > floor.end_ms for h in holds)
            if not held and "unknown" not in (spurt.party, floor.party):
                out[spurt.party].append(max(0, spurt.start_ms - floor.end_ms))
        if floor is None or spurt.end_ms > floor.end_ms:
            floor = spurt
    return out


def _longest_monologue(every: list[Spurt], party: str) -> int:
    best = 0
    start = end = None
    for spurt in every:
        if spurt.party != party:
            if spurt.solid:
                start = None
            continue
        if start is None or end is None or spurt.start_ms - end >= MONOLOGUE_PAUSE_MS:
            start, end = spurt.start_ms, spurt.end_ms
        end = max(end, spurt.end_ms)
        best = max(best, end - start)
    return best
