"""The document that `understand` returns: its shape as TypedDicts, its version, and a check of it.

All times are integer milliseconds from the start of the recording; scores of sentiment are in [-1, 1], everything
called probability, confidence, share or score of an alert is in [0, 1]. None means that the figure cannot exist
(nobody of that party spoke), never zero.
"""

from __future__ import annotations

from typing import Any, TypedDict

from analytics.nlu.rules import CATEGORIES, SEVERITIES

SCHEMA_VERSION = 1
NLU_VERSION = "1.1.0"
PARTIES = ("agent", "customer", "unknown")
LABELS = ("negative", "neutral", "positive")
COMPONENT_KINDS = ("phrase", "near_phrase", "semantic", "metric", "absence")


class Hold(TypedDict):
    start_ms: int
    end_ms: int


class Metrics(TypedDict):
    """Talk metrics; `talk_ratio_agent` is the agent's share of all talk, rates are words per minute of own talk."""

    duration_ms: int
    talk_ratio_agent: float | None
    agent_talk_ms: int
    customer_talk_ms: int
    silence_ms: int
    silence_ratio: float | None
    longest_silence_ms: int
    longest_silence_start_ms: int | None
    overtalk_ms: int
    interruptions_agent: int
    interruptions_customer: int
    wpm_agent: float | None
    wpm_customer: float | None
    longest_monologue_agent_ms: int
    longest_monologue_customer_ms: int
    response_latency_agent_ms: int | None
    response_latency_customer_ms: int | None
    hold_ms: int
    holds: list[Hold]
    turns: int
    words: int
    mean_word_probability: float | None


class Intent(TypedDict):
    """One reason for the call. `turns` are the indexes of the turns that decided, the strongest first."""

    name: str
    probability: float
    turns: list[int]
    primary: bool


class IntentHead(TypedDict):
    """What read the intents: `kind` is plain, tuned, checkpoint or none; `key` changes with what it learned from."""

    kind: str
    key: str


class TurnSentiment(TypedDict):
    turn: int
    party: str
    start_ms: int
    end_ms: int
    score: float
    label: str


class Quarters(TypedDict):
    agent: list[float | None]
    customer: list[float | None]


class Sentiment(TypedDict):
    """`score` is the call's (its last third counts double); `customer_change` is last third minus first third."""

    score: float
    agent: float | None
    customer: float | None
    customer_change: float | None
    quarters: Quarters
    turns: list[TurnSentiment]


class Component(TypedDict):
    kind: str
    detail: str
    share: float


class Alert(TypedDict):
    """One risk with its evidence. `word_ids` are "{turn}:{word}"; `quote` has long numbers masked."""

    category: str
    severity: str
    rule_key: str
    rule_version: int
    party: str
    start_ms: int
    end_ms: int
    quote: str
    turn: int | None
    word_ids: list[str]
    transcription_confidence: float
    components: list[Component]
    score: float
    listen_first: bool


class Understanding(TypedDict):
    """Everything understanding says of one call. `warnings` name what was not possible and the cure."""

    schema_version: int
    nlu_version: str
    intents: list[Intent]
    intent: str
    intent_probability: float
    intent_head: IntentHead
    sentiment: Sentiment
    metrics: Metrics
    alerts: list[Alert]
    warnings: list[str]


_SHAPES: dict[str, type] = {"metrics": Metrics, "sentiment": Sentiment}


def validate(doc: Any) -> list[str]:
    """Return what is wrong with an understanding document, each with its path; an empty list means it is right."""
    if not isinstance(doc, dict):
        return ["document: must be a mapping"]
    wrong: list[str] = [f"{name}: is missing" for name in Understanding.__annotations__ if name not in doc]
    if wrong:
        return wrong
    if doc["schema_version"] != SCHEMA_VERSION:
        wrong.append(f"schema_version: {doc['schema_version']!r} is not {SCHEMA_VERSION}")
    for name, shape in _SHAPES.items():
        wrong += [f"{name}.{key}: is missing" for key in shape.__annotations__ if key not in doc[name]]
    if not 0 <= doc["intent_probability"] <= 1:
        wrong.append("intent_probability: must be from 0 to 1")
    primary = [i["name"] for i in doc["intents"] if i["primary"]]
    if primary != ([doc["intent"]] if doc["intent"] != "unknown" else []):
        wrong.append("intents: exactly the intent of the call must be primary")
    wrong += _check_sentiment(doc["sentiment"]) if not wrong else []
    for at, alert in enumerate(doc["alerts"]):
        wrong += [f"alerts[{at}].{problem}" for problem in _check_alert(alert)]
    return wrong


def _check_sentiment(doc: dict[str, Any]) -> list[str]:
    wrong = []
    for name in ("score", "agent", "customer"):
        if doc[name] is not None and not -1 <= doc[name] <= 1:
            wrong.append(f"sentiment.{name}: must be from -1 to 1")
    for party in ("agent", "customer"):
        if len(doc["quarters"].get(party, ())) != 4:
            wrong.append(f"sentiment.quarters.{party}: must have four entries")
    for at, turn in enumerate(doc["turns"]):
        if turn["label"] not in LABELS or not -1 <= turn["score"] <= 1:
            wrong.append(f"sentiment.turns[{at}]: label or score out of range")
    return wrong


def _check_alert(alert: dict[str, Any]) -> list[str]:
    wrong = [f"{key}: is missing" for key in Alert.__annotations__ if key not in alert]
    if wrong:
        return wrong
    if alert["category"] not in CATEGORIES:
        wrong.append(f"category: {alert['category']!r} is unknown")
    if alert["severity"] not in SEVERITIES:
        wrong.append(f"severity: {alert['severity']!r} is unknown")
    if alert["party"] not in PARTIES:
        wrong.append(f"party: {alert['party']!r} is unknown")
    if not 0 <= alert["start_ms"] <= alert["end_ms"]:
        wrong.append("start_ms: must not be after end_ms")
    if any(c["kind"] not in COMPONENT_KINDS for c in alert["components"]):
        wrong.append("components: unknown kind")
    if abs(sum(c["share"] for c in alert["components"]) - 1) > 1e-3:
        wrong.append("components: shares must sum to 1")
    for name in ("score", "transcription_confidence"):
        if not 0 <= alert[name] <= 1:
            wrong.append(f"{name}: must be from 0 to 1")
    return wrong
