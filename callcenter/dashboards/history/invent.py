"""One generated call, complete: what was said and when, how it went, what was risky. The same seed, the same call."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from callcenter.dashboards.history import words
from callcenter.dashboards.history.cast import Member

#: How often each reason is the one, in each queue (in the order of cast.QUEUES), and how the customer feels about it.
INTENTS: dict[str, tuple[tuple[float, float, float, float], float]] = {
    "billing_question": ((9, 1, 0, 1), -0.15),
    "make_payment": ((5, 1, 0, 0), 0.1),
    "payment_difficulty": ((3, 0, 0, 1), -0.3),
    "refund_request": ((4, 1, 1, 1), -0.35),
    "account_information": ((3, 2, 1, 0), 0.1),
    "transfer_money": ((1, 0, 0, 0), 0.05),
    "update_details": ((3, 1, 1, 0), 0.15),
    "report_fraud": ((1.2, 0, 0.3, 0), -0.4),
    "lost_or_stolen": ((0.8, 0, 0.3, 0), -0.25),
    "place_order": ((0, 6, 0, 1), 0.3),
    "product_question": ((1, 6, 1, 1), 0.2),
    "order_status": ((1, 3, 1, 0), -0.1),
    "return_exchange": ((1, 2, 1, 0), -0.15),
    "change_plan": ((1, 3, 0, 4), 0.05),
    "technical_problem": ((0, 1, 9, 1), -0.3),
    "account_access": ((1, 1, 3, 0), -0.15),
    "appointment": ((0, 1, 3, 0), 0.05),
    "outage_report": ((0, 0, 1.5, 0), -0.4),
    "cancel_service": ((1, 0, 0.5, 8), -0.35),
    "complaint": ((1.5, 0.5, 1, 1.5), -0.6),
    "insurance_claim": ((0.6, 0, 0, 0), -0.15),
    "praise": ((0.4, 0.4, 0.4, 0.3), 0.7),
    "unknown": ((1, 0.8, 0.8, 0.5), 0.0),
}
#: Rules that fire: category, rule, severity, how likely at a quite unhappy call, intents that make it likelier.
RULES: tuple[tuple[str, str, str, float, tuple[str, ...]], ...] = (
    ("churn", "churn.cancel", "high", 0.10, ("cancel_service",)),
    ("churn", "churn.competitor", "high", 0.03, ("cancel_service", "change_plan")),
    ("complaint", "complaint.formal", "high", 0.05, ("complaint",)),
    ("complaint", "complaint.escalation", "medium", 0.05, ("complaint", "refund_request")),
    ("legal", "legal.regulator", "high", 0.015, ("complaint",)),
    ("fraud", "fraud.reported", "high", 0.004, ("report_fraud", "lost_or_stolen")),
    ("abuse", "abuse.customer_insult", "medium", 0.012, ("complaint",)),
    ("vulnerable", "vulnerable.hardship", "high", 0.006, ("payment_difficulty",)),
    ("self_harm", "self_harm.statement", "critical", 0.0006, ("payment_difficulty",)),
    ("payment_data", "payment_data.card_number", "high", 0.006, ("make_payment",)),
)
#: Rules on the agent's side and on the recording: category, rule, severity, likelihood.
HOUSE_RULES = (
    ("script_miss", "script.verification", "high", 0.02),
    ("script_miss", "script.recording_notice", "medium", 0.03),
    ("data_leak", "data_leak.unverified", "medium", 0.004),
    ("process", "process.long_hold", "low", 0.015),
    ("suspect_transcript", "suspect.low_confidence", "low", 0.012),
)
MODELS = ("whisper-base.en", "house-2026-a", "house-2026-b")
CURVE = ((0.0, 0.8), (0.45, 0.84), (0.8, 0.875))
"""From which place in the period each model serves, and how sure it is on average."""
_SPACE = uuid.UUID("6f1b0b0e-3f0a-4d53-9d0e-0d9f6c1d7a10")


@dataclass(slots=True)
class Said:
    """One turn: words as stored, their JSON, and what follows of them."""

    party: str
    start_ms: int
    end_ms: int
    text: str
    words_json: str
    count: int
    probability: float
    mood: float
    review: str = ""
    expected_errors: float = 0.0


@dataclass(slots=True)
class Invented:
    """One call with everything that the tables and the warehouse hold of it."""

    call_id: uuid.UUID
    number: int
    started_at: datetime
    queue: int
    agent: Member
    direction: str
    customer_ref: str
    sha256: str
    layout: str
    model: str
    duration_ms: int = 0
    turns: list[Said] = field(default_factory=list)
    insight: dict[str, Any] = field(default_factory=dict)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    failed: bool = False

    @property
    def word_count(self) -> int:
        return sum(turn.count for turn in self.turns)

    @property
    def mean_probability(self) -> float:
        total = self.word_count
        return round(sum(t.probability * t.count for t in self.turns) / total, 6) if total else 0.0


def call(
    number: int, *, seed: int, started_at: datetime, place: float, surge: bool, agent: Member, queue: int, now: datetime
) -> Invented:
    """Return call `number` of the history."""
    rng = Random(f"{seed}-{number}")  # noqa: S311 - figures for looking at, not secrets
    names = list(INTENTS)
    weights = [INTENTS[name][0][queue] * (6 if surge and name == "outage_report" else 1) for name in names]
    intent = rng.choices(names, weights)[0]
    model, sure = next((m, s) for m, (begin, s) in reversed(list(zip(MODELS, CURVE, strict=True))) if place >= begin)
    manner = agent.manner
    mood = 1.5 * INTENTS[intent][1] + manner.mood + rng.gauss(0, 0.42) - (0.12 if surge else 0.0) + 0.08 * place
    made = Invented(
        call_id=uuid.uuid5(_SPACE, f"{seed}-{number}"),
        number=number,
        started_at=started_at,
        queue=queue,
        agent=agent,
        direction="outbound" if rng.random() < (0.3 if queue in (1, 3) else 0.06) else "inbound",
        customer_ref=f"G-{rng.randrange(1, 30_000):05}",
        sha256=hashlib.sha256(f"generated {seed} {number}".encode()).hexdigest(),
        layout="two_party" if rng.random() < 0.9 else "mono",
        model=model,
    )
    if rng.random() < 0.008:
        made.failed = True
        made.duration_ms = rng.randrange(2_000, 400_000)
        return made
    sure = min(0.97, max(0.45, rng.gauss(sure, 0.05) - (0.09 if made.layout == "mono" else 0.0)))
    hold = _talk(made, rng, intent=intent, mood=max(-0.95, min(0.95, mood)), sure=sure)
    _review(made, rng, place)
    _understand(made, rng, intent=intent, hold=hold)
    _alert(made, rng, intent=intent, now=now)
    return made


def _lines(rng: Random, *, intent: str, mood: float, agent: Member) -> list[tuple[str, str, float]]:
    """Return (party, words, mood) in order: greeting, reason, check, some work, an end in the mood of the call."""
    name = agent.name.split()[0]
    lines = [("agent", rng.choice(words.GREETINGS).replace("{agent}", name), 0.15)]
    first = mood - 0.15 if mood < 0.4 else mood
    lines.append(("customer", rng.choice(words.REASONS[intent]), first))
    if rng.random() < 0.93:
        lines += [("agent", rng.choice(words.CHECKS), 0.0), ("customer", rng.choice(words.ANSWERS), 0.3 * mood)]
    rounds = max(1, round(rng.lognormvariate(1.05, 0.45) * agent.manner.length))
    for number in range(rounds):
        shift = mood + (0.2 + agent.manner.mood) * (number / rounds) + rng.gauss(0, 0.2)
        pool: tuple[str, ...] = words.AGENT_WORK
        if mood < -0.2 and rng.random() < 0.55:
            pool = words.AGENT_COOL if rng.random() < 0.3 - agent.manner.mood else words.AGENT_WARM
        lines.append(("agent", rng.choice(pool), -0.3 if pool is words.AGENT_COOL else 0.25 * mood + 0.05))
        said = words.CUSTOMER_BAD if shift < -0.35 else words.CUSTOMER_GOOD if shift > 0.4 else words.CUSTOMER_FLAT
        lines.append(("customer", rng.choice(said), shift))
    end = mood + 0.2 + agent.manner.mood
    kind = "bad" if end < -0.3 else "good" if end > 0.2 else "flat"
    lines.append(("agent", rng.choice(words.CLOSINGS), 0.15))
    lines.append(("customer", rng.choice(words.LAST_WORDS[kind]), end))
    return lines


def _talk(made: Invented, rng: Random, *, intent: str, mood: float, sure: float) -> int:
    """Lay the lines out in time and return how long the customer was on hold."""
    manner = made.agent.manner
    position, hold = rng.randrange(300, 2500), 0
    for party, line, feeling in _lines(rng, intent=intent, mood=mood, agent=made.agent):
        if "{" in line:
            line = line.replace("{month}", rng.choice(words.MONTHS)).replace("{amount}", rng.choice(words.AMOUNTS))
        if party == "agent" and "hold" in line:
            hold += rng.randrange(20_000, 150_000)
        overlap = party == "agent" and rng.random() < 0.05 * manner.interrupting
        gap = -rng.randrange(200, 900) if overlap else round(rng.expovariate(1 / 900) * manner.silence)
        turn = _turn(rng, party, line, max(0, position + gap), manner, sure, feeling)
        made.turns.append(turn)
        position = turn.end_ms + (hold if "hold" in line else 0)
    # Work goes on between the lines: callers wait for systems, and people repeat themselves.
    made.duration_ms = max(turn.end_ms for turn in made.turns) + rng.randrange(400, 2500)
    return hold


def _turn(rng: Random, party: str, line: str, start: int, manner: Any, sure: float, feeling: float) -> Said:
    pace = 330 / manner.pace if party == "agent" else 345
    pace *= 1 + (0.5 * manner.talk if party == "agent" else 0.0)
    # People hesitate and repeat themselves: a line stands for a longer stretch than its words alone would take.
    pace *= rng.uniform(0.85, 1.25)
    parts = line.split()
    spread = 0.12
    cells, total, errors = [], 0.0, 0.0
    for number, word in enumerate(parts):
        probability = min(0.995, max(0.08, round(rng.gauss(sure, spread), 3)))
        total += probability
        errors += 1 - probability if probability < 0.5 else 0.0
        at = start + int(number * pace)
        cells.append(f'["{word}", {at}, {at + int(pace * 0.86)}, {probability}]')
    return Said(
        party=party,
        start_ms=start,
        end_ms=start + int(len(parts) * pace),
        text=line,
        words_json=f"[{', '.join(cells)}]",
        count=len(parts),
        probability=round(total / len(parts), 6),
        mood=round(max(-1.0, min(1.0, feeling)), 3),
        expected_errors=round(errors, 3),
    )


def _review(made: Invented, rng: Random, place: float) -> None:
    if rng.random() < 0.02 + 0.08 * place:
        for turn in rng.sample(made.turns, k=min(len(made.turns), rng.randrange(1, 4))):
            turn.review = "corrected" if rng.random() < 0.6 else "confirmed"


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def _understand(made: Invented, rng: Random, *, intent: str, hold: int) -> None:
    turns = made.turns
    customer = [t.mood for t in turns if t.party == "customer"]
    agent = [t.mood for t in turns if t.party == "agent"]
    third = max(1, len(customer) // 3)
    change = sum(customer[-third:]) / third - sum(customer[:third]) / third
    probability = round(min(0.98, max(0.3, rng.gauss(0.74, 0.12))), 3)
    found = [{"name": intent, "probability": probability, "turns": [1], "primary": True}]
    if rng.random() < 0.25:
        other = rng.choice([name for name in INTENTS if name not in (intent, "unknown")])
        found.append({"name": other, "probability": 0.35, "turns": [len(turns) // 2], "primary": False})
    last = sum(t.mood for t in turns[-len(turns) // 3 :])
    score = (sum(t.mood for t in turns) + last) / (len(turns) + len(turns[-len(turns) // 3 :]))
    made.insight = {
        "schema_version": 1,
        "nlu_version": "generated",
        "intent": intent,
        "intent_probability": probability,
        "intents": found,
        "sentiment": {
            "score": round(score, 4),
            "agent": _mean(agent),
            "customer": _mean(customer),
            "customer_change": round(change, 4),
            "quarters": {"agent": _quarters(turns, "agent"), "customer": _quarters(turns, "customer")},
            "turns": [
                {"turn": n, "party": t.party, "start_ms": t.start_ms, "end_ms": t.end_ms, "score": t.mood,
                 "label": "negative" if t.mood <= -0.25 else "positive" if t.mood >= 0.25 else "neutral"}
                for n, t in enumerate(turns)
            ],
        },
        "metrics": _metrics(made, hold),
        "alerts": [],
    }  # fmt: skip


def _quarters(turns: list[Said], party: str) -> list[float | None]:
    size = max(1, len(turns) // 4)
    parts = [turns[n * size : (n + 1) * size] for n in range(4)]
    return [_mean([t.mood for t in part if t.party == party]) for part in parts]


def _metrics(made: Invented, hold: int) -> dict[str, Any]:
    talk = {p: sum(t.end_ms - t.start_ms for t in made.turns if t.party == p) for p in ("agent", "customer")}
    said = {p: sum(t.count for t in made.turns if t.party == p) for p in ("agent", "customer")}
    gaps, over, late = [0], 0, {"agent": 0, "customer": 0}
    answers: dict[str, list[int]] = {"agent": [], "customer": []}
    for before, turn in zip(made.turns, made.turns[1:], strict=False):
        gap = turn.start_ms - before.end_ms
        if gap < 0:
            over += -gap
            late[turn.party] += 1
        else:
            gaps.append(gap)
            answers[turn.party].append(gap)
    silence = min(made.duration_ms, sum(gaps) + made.duration_ms - made.turns[-1].end_ms)
    longest = {p: max((t.end_ms - t.start_ms for t in made.turns if t.party == p), default=0) for p in talk}
    total = talk["agent"] + talk["customer"]
    wpm = {p: round(said[p] / (talk[p] / 60_000), 2) if talk[p] else None for p in talk}
    usual = {p: sorted(answers[p])[len(answers[p]) // 2] if answers[p] else None for p in talk}
    return {
        "duration_ms": made.duration_ms,
        "talk_ratio_agent": round(talk["agent"] / total, 4) if total else None,
        "agent_talk_ms": talk["agent"],
        "customer_talk_ms": talk["customer"],
        "silence_ms": silence,
        "silence_ratio": round(silence / made.duration_ms, 4),
        "longest_silence_ms": max(gaps),
        "longest_silence_start_ms": None,
        "overtalk_ms": over,
        "interruptions_agent": late["agent"],
        "interruptions_customer": late["customer"],
        "wpm_agent": wpm["agent"],
        "wpm_customer": wpm["customer"],
        "longest_monologue_agent_ms": longest["agent"],
        "longest_monologue_customer_ms": longest["customer"],
        "response_latency_agent_ms": usual["agent"],
        "response_latency_customer_ms": usual["customer"],
        "hold_ms": hold,
        "holds": [{"start_ms": 20_000, "end_ms": 20_000 + hold}] if hold else [],
        "turns": len(made.turns),
        "words": made.word_count,
        "mean_word_probability": made.mean_probability,
    }


def _alert(made: Invented, rng: Random, *, intent: str, now: datetime) -> None:
    unhappy = max(0.0, 0.3 - float(made.insight["sentiment"]["score"]))
    agent_factor = made.agent.manner.alerts
    for category, rule, severity, chance, intents in RULES:
        likely = chance * unhappy * 2.2 + (0.22 * unhappy if intent in intents else 0.0) * min(1, chance * 25)
        if rng.random() < likely * min(2.0, agent_factor):
            made.alerts.append(_one_alert(made, rng, category, rule, severity, "customer", now))
    for category, rule, severity, chance in HOUSE_RULES:
        if rng.random() < chance * agent_factor:
            made.alerts.append(_one_alert(made, rng, category, rule, severity, "agent", now))


def _one_alert(
    made: Invented, rng: Random, category: str, rule: str, severity: str, party: str, now: datetime
) -> dict[str, Any]:
    places = [n for n, turn in enumerate(made.turns) if turn.party == party]
    place = rng.choice(places)
    turn = made.turns[place]
    at = made.started_at + timedelta(milliseconds=made.duration_ms, seconds=rng.randrange(20, 900))
    age = (now - made.started_at).days
    roll = rng.random()
    old = 0.93 if age > 21 else 0.55 if age > 3 else 0.2
    status = "open" if roll > old else "dismissed" if roll < 0.2 * old else "acknowledged"
    handled = at + timedelta(minutes=rng.randrange(5, 60 * 30)) if status != "open" else None
    first = rng.randrange(0, max(1, turn.count - 3))
    cells = json.loads(turn.words_json)[first : first + 6]
    return {
        "id": uuid.uuid5(made.call_id, f"{rule}-{place}"),
        "identity": hashlib.sha256(f"{category}|{rule}|{party}|{turn.start_ms // 10_000}".encode()).hexdigest()[:32],
        "category": category,
        "severity": severity,
        "status": status,
        "party": party,
        "start_ms": cells[0][1],
        "end_ms": cells[-1][2],
        "turn": place,
        "quote": " ".join(cell[0] for cell in cells),
        "word_ids": [f"{place}:{first + n}" for n in range(len(cells))],
        "confidence": turn.probability,
        "score": round(min(0.99, max(0.4, rng.gauss(0.78, 0.1))), 3),
        "rule_key": rule,
        "created_at": at,
        "handled_at": handled,
    }
