"""Call documents for tests: a readable one, and random ones that are always valid."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from hypothesis import strategies as st

MONDAY = dt.datetime(2026, 3, 2, 9, 30, tzinfo=dt.UTC)
CATEGORIES = ("churn", "complaint", "fraud", "legal")
STATUSES = ("open", "acknowledged", "dismissed")
SEVERITIES = ("low", "medium", "high", "critical")
METRICS: dict[str, Any] = {
    "talk_ratio_agent": 0.6,
    "agent_talk_ms": 60_000,
    "customer_talk_ms": 40_000,
    "silence_ms": 20_000,
    "silence_ratio": 0.1667,
    "longest_silence_ms": 4_000,
    "overtalk_ms": 1_500,
    "interruptions_agent": 1,
    "interruptions_customer": 2,
    "wpm_agent": 151.25,
    "wpm_customer": 140.5,
    "longest_monologue_agent_ms": 20_000,
    "longest_monologue_customer_ms": 15_000,
    "response_latency_agent_ms": 610.5,
    "response_latency_customer_ms": None,
    "hold_ms": 5_000,
    "holds": [{"start_ms": 10_000, "end_ms": 15_000}],
}


def alert(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return one alert of a document; its quote must never reach the warehouse."""
    return {
        "id": str(uuid.UUID(int=9000 + number)),
        "category": "churn",
        "severity": "high",
        "status": "open",
        "party": "customer",
        "start_ms": 1_000,
        "end_ms": 3_000,
        "score": 0.8,
        "rule_key": "churn-threat",
        "rule_version": 3,
        "created_at": "2026-03-02T09:40:00Z",
        "quote": "I will cancel my contract",
        **changes,
    }


def turn(index: int, **changes: Any) -> dict[str, Any]:
    return {
        "index": index,
        "party": "agent" if index % 2 == 0 else "customer",
        "start_ms": index * 5_000,
        "end_ms": index * 5_000 + 4_000,
        "words": 12,
        "sentiment": 0.1,
        "mean_probability": 0.9 if index % 2 == 0 else 0.8,
        **changes,
    }


def insight(intent: str = "billing", score: float | None = 0.2, **changes: Any) -> dict[str, Any]:
    return {
        "nlu_version": "1",
        "intent": intent,
        "intent_probability": 0.75,
        "intents": [{"name": intent, "probability": 0.75, "turns": [1], "primary": True}],
        "sentiment": {"score": score, "agent": 0.3, "customer": 0.1, "customer_change": 0.4},
        "metrics": METRICS,
        **changes,
    }


def document(number: int = 1, *, team: int = 1, queue: int | None = 1, agent: int | None = 1, **changes: Any) -> Any:
    """Return the document of call `number`; without changes every call starts on a Monday at 09:30 UTC."""
    return {
        "schema_version": 1,
        "call_id": str(uuid.UUID(int=number)),
        "external_id": f"ext-{number}",
        "recording_sha256": f"{number:064x}",
        "started_at": MONDAY.isoformat(),
        "duration_ms": 120_000,
        "direction": "inbound",
        "language": "en",
        "customer_ref": f"customer-{number}",
        "team": {"id": team, "name": f"Team {team}"},
        "queue": {"id": queue, "name": f"Queue {queue}"},
        "agent": {"id": agent, "username": f"agent{agent}", "name": f"Agent {agent}"},
        "layout": "two_party",
        "model": "whisper-base.en",
        "transcribed_at": "2026-03-02T10:00:00+00:00",
        "mean_word_probability": 0.85,
        "words": 48,
        "insight": insight(),
        "turns": [turn(index) for index in range(4)],
        "alerts": [alert(number)],
        **changes,
    }


_score = st.none() | st.floats(-1, 1)
_ms = st.integers(0, 600_000)
_alert = st.builds(
    lambda category, severity, status: {"category": category, "severity": severity, "status": status},
    st.sampled_from(CATEGORIES),
    st.sampled_from(SEVERITIES),
    st.sampled_from(STATUSES),
)


@st.composite
def random_documents(draw: st.DrawFn, *, calls: int = 6) -> list[Any]:
    """Draw documents of at most `calls` different calls within three days; one call may come more than
    once.
    """
    made = []
    for _ in range(draw(st.integers(1, 2 * calls))):
        number = draw(st.integers(1, calls))
        measured = draw(st.booleans())
        names = draw(st.lists(st.sampled_from(["billing", "cancel", "address", "praise"]), max_size=3))
        made.append(
            document(
                number,
                team=draw(st.integers(1, 3)),
                queue=draw(st.none() | st.integers(1, 2)),
                agent=draw(st.none() | st.integers(1, 3)),
                started_at=(MONDAY + dt.timedelta(minutes=draw(st.integers(0, 72 * 60)))).isoformat(),
                duration_ms=draw(_ms),
                direction=draw(st.sampled_from(["inbound", "outbound", "unknown"])),
                words=draw(st.integers(0, 500)),
                mean_word_probability=draw(st.none() | st.floats(0, 1)),
                insight=draw(st.just(None))
                if not measured
                else insight(
                    draw(st.sampled_from(["billing", "cancel", "unknown"])),
                    draw(_score),
                    intents=[{"name": name, "probability": draw(st.floats(0, 1))} for name in names],
                    metrics={"silence_ms": draw(st.none() | _ms), "hold_ms": draw(st.none() | _ms)},
                ),
                turns=[turn(index) for index in range(draw(st.integers(0, 4)))],
                alerts=[
                    alert(100 * number + position, **found)
                    for position, found in enumerate(draw(st.lists(_alert, max_size=3)))
                ],
            )
        )
    return made
