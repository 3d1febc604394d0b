"""Everything that the call page shows, put together once and in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from analytics.redaction import KINDS
from callcenter.accounts.decorators import OPERATORS, SUPERVISORS
from callcenter.accounts.models import User
from callcenter.calls.models import Call, Comment, Transcript
from callcenter.calls.mood import feelings, voice_points
from callcenter.calls.selectors import intent_labels
from callcenter.insights.answers.selectors import for_call
from callcenter.insights.intents.panel import labelling
from callcenter.insights.models import Alert
from callcenter.learning.selectors import model_of
from callcenter.pipeline.models import Run
from callcenter.privacy.models import Reveal
from callcenter.privacy.services import show_alerts, text_for, withheld
from callcenter.privacy.services.levels import LABELS, REVEAL_MINUTES, REVEALABLE, level_for, may_reveal
from callcenter.privacy.services.seeing import show
from callcenter.review.access import has_pending
from callcenter.review.page import panel, shown_turns

#: A word below this probability is underlined. Low on purpose: marking every doubt makes all marks noise.
UNSURE_BELOW = 0.5
SURE_MAPPING = 0.8
PARTY_NAMES = {"agent": _("Agent"), "customer": _("Customer"), "unknown": _("Speaker")}

METRICS: tuple[tuple[Any, str, str], ...] = (
    (_("Silence"), "silence_ms", "duration"),
    (_("Longest silence"), "longest_silence_ms", "duration"),
    (_("Talked at once"), "overtalk_ms", "duration"),
    (_("On hold"), "hold_ms", "duration"),
    (_("Turns"), "turns", "number"),
    (_("Words"), "words", "number"),
)
PAIRS: tuple[tuple[Any, str, str], ...] = (
    (_("Talk time"), "{party}_talk_ms", "duration"),
    (_("Words a minute"), "wpm_{party}", "number"),
    (_("Interruptions"), "interruptions_{party}", "number"),
    (_("Longest monologue"), "longest_monologue_{party}_ms", "duration"),
    (_("Usual time to answer"), "response_latency_{party}_ms", "duration"),
)


@dataclass(frozen=True, slots=True)
class WordView:
    """One word as the page shows it; `evidence` where an alert rests on it."""

    text: str
    start_ms: int
    end_ms: int
    probability: float | None
    unsure: bool
    evidence: bool
    waiting: bool


@dataclass(frozen=True, slots=True)
class TurnView:
    """One turn with its place on the timeline in per cent."""

    index: int
    party: str
    name: str
    speaker: str
    start_ms: int
    end_ms: int
    left: float
    width: float
    sentiment: dict[str, Any] | None
    decided: list[str]
    words: list[WordView]
    source_turn: int
    source_word: int
    key: str
    digest: str
    review: str
    doubtful: bool
    pending: bool


def build(call: Call, user: User) -> dict[str, Any]:
    """Return the context of the call page. The caller has checked that the user may see the call."""
    run = call.runs.order_by("-created_at").first()
    insight = getattr(call, "insight", None)
    document: dict[str, Any] = (insight.document if insight else {}) or {}
    alerts = list(Alert.objects.filter(call=call).permitted_to(user).order_by("start_ms", "category"))
    show_alerts(user, alerts)
    transcript = call.transcript
    total = max(call.recording.duration_ms, 1)
    # Until it is understood again, a corrected text is told by its times: turns and words may count differently.
    stale = call.corrected_at is not None or has_pending(call, user)
    turns = _turns(call, user, document, alerts, total, stale=stale)
    metrics = document.get("metrics", {})
    may_change = user.has_role(*SUPERVISORS)
    return {
        "call": call,
        "run": run,
        "insight": insight,
        "transcript": transcript,
        "learned_model": model_of(transcript),
        "may_see_models": user.has_role(*OPERATORS),
        "turns": turns,
        "alerts": [_alert(alert, total) for alert in alerts],
        **for_call(call, document, alerts),
        "open_alerts": sum(alert.status == Alert.Status.OPEN for alert in alerts),
        "metrics": metrics,
        "single_metrics": [(label, metrics.get(key), kind) for label, key, kind in METRICS if key in metrics],
        "pair_metrics": _pairs(metrics),
        "holds": [_place(h["start_ms"], h["end_ms"], total) for h in metrics.get("holds", []) or []],
        "intents": _intents(document),
        "labelling": labelling(call, user, turns, document),
        "sentiment": document.get("sentiment", {}),
        "mapping": _mapping(transcript),
        "notes": _notes(call, transcript),
        "parties_present": _parties(turns),
        "progress": run is not None and not run.ended,
        "failed": run is not None and run.state == Run.State.FAILED,
        "may_change": may_change,
        "may_swap": may_change and transcript is not None and (run is None or run.ended),
        "stale": stale,
        "review": panel(call, user),
        **feelings(document),
        "player": {**_player_data(call, document, alerts, transcript), **voice_points(document)},
        "comments": comments_for(user, call),
        "withheld": withheld(call.recording),
        "privacy": _privacy(call, user),
        "downloads": [(label, f"/api/v1/calls/{call.pk}/transcript{suffix}") for label, suffix in DOWNLOADS],
    }


def comments_for(user: User, call: Call) -> list[Comment]:
    """Return the comments of a call as this user may read them."""
    comments = list(call.comments.select_related("author"))
    for comment in comments:
        comment.text = text_for(user, call, comment.text)
    return comments


def _privacy(call: Call, user: User) -> dict[str, Any]:
    """Return what this reader does not see, and for who may look behind it, what is shown now and until when."""
    level = level_for(user, call)
    live = Reveal.objects.live().filter(user=user, call=call).first() if may_reveal(user) else None
    return {
        "hides": [LABELS[kind].lower() for kind in KINDS if kind in level.hides],
        "may_reveal": may_reveal(user),
        "kinds": [(kind, LABELS[kind]) for kind in REVEALABLE],
        "minutes": REVEAL_MINUTES,
        "revealed": [LABELS[kind].lower() for kind in REVEALABLE if live and kind in live.kinds],
        "until": live.expires_at if live else None,
    }


DOWNLOADS = (
    (pgettext_lazy("file", "Text"), ".txt"),
    (_("Subtitles (SRT)"), ".srt"),
    (_("Subtitles (WebVTT)"), ".vtt"),
    ("JSON", ""),
)


def _turns(
    call: Call, user: User, document: dict[str, Any], alerts: list[Alert], total: int, *, stale: bool
) -> list[TurnView]:
    live = [alert for alert in alerts if alert.status != Alert.Status.DISMISSED]
    evidence = {word_id for alert in live for word_id in alert.word_ids}
    feelings = document.get("sentiment", {}).get("turns", [])
    moods = {item["start_ms"] if stale else item["turn"]: item for item in feelings}
    labels = intent_labels()
    decided: dict[int, list[str]] = {}
    for intent in [] if stale else document.get("intents", []):
        for index in intent.get("turns", []):
            decided.setdefault(index, []).append(labels.get(intent["name"]) or intent["name"].replace("_", " "))
    found = []
    rows = shown_turns(call, user)
    show([shown.turn for shown in rows], level_for(user, call))
    for shown in rows:
        turn = shown.turn
        words = [
            WordView(
                text=word[0],
                start_ms=word[1],
                end_ms=word[2],
                probability=word[3],
                unsure=word[3] is not None and word[3] < UNSURE_BELOW,
                evidence=_told(live, turn.party, word) if stale else f"{turn.index}:{number}" in evidence,
                waiting=number in shown.waiting,
            )
            for number, word in enumerate(turn.words)
            if word[0]
        ]
        place = _place(turn.start_ms, turn.end_ms, total)
        found.append(
            TurnView(
                index=turn.index,
                party=turn.party,
                name=_name(turn.party, turn.speaker),
                speaker=turn.speaker,
                start_ms=turn.start_ms,
                end_ms=turn.end_ms,
                left=place["left"],
                width=place["width"],
                sentiment=moods.get(turn.start_ms if stale else turn.index),
                decided=decided.get(turn.index, []),
                words=words,
                source_turn=turn.source_turn,
                source_word=turn.source_word,
                key=shown.key,
                digest=shown.digest,
                review=turn.review,
                doubtful=shown.doubtful,
                pending=shown.pending,
            )
        )
    return found


def _told(alerts: list[Alert], party: str, word: list[Any]) -> bool:
    """Return whether an alert rests on the time of a word."""
    return any(a.party in (party, "unknown", "") and a.start_ms <= (word[1] + word[2]) // 2 <= a.end_ms for a in alerts)


def _name(party: str, speaker: str) -> str:
    return str(PARTY_NAMES[party]) if party in ("agent", "customer") else f"{PARTY_NAMES['unknown']} {speaker}".strip()


def _parties(turns: list[TurnView]) -> list[tuple[str, str]]:
    present = {turn.party for turn in turns}
    return [(party, str(name)) for party, name in PARTY_NAMES.items() if party in present]


def _place(start_ms: int, end_ms: int, total: int) -> dict[str, float]:
    left = min(100.0, 100 * start_ms / total)
    return {
        "left": round(left, 3),
        "width": round(max(0.05, min(100 - left, 100 * (end_ms - start_ms) / total)), 3),
    }


def _alert(alert: Alert, total: int) -> dict[str, Any]:
    return {
        "row": alert,
        "left": _place(alert.start_ms, alert.end_ms, total)["left"],
        "reasons": [
            {
                "kind": str(part.get("kind", "")).replace("_", " "),
                "detail": part.get("detail", ""),
                "share": part.get("share"),
            }
            for part in alert.components
            if isinstance(part, dict)
        ],
    }


def _pairs(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for label, key, kind in PAIRS:
        agent, customer = metrics.get(key.format(party="agent")), metrics.get(key.format(party="customer"))
        if agent is not None or customer is not None:
            rows.append({"label": label, "agent": agent, "customer": customer, "kind": kind})
    return rows


def _intents(document: dict[str, Any]) -> list[dict[str, Any]]:
    labels = intent_labels()
    return [
        {
            "label": labels.get(item["name"]) or item["name"].replace("_", " ").capitalize(),
            "probability": item.get("probability"),
            "primary": item.get("primary", False),
            "by_person": item.get("by") == "person",
            "turns": item.get("turns", [])[:5],
        }
        for item in document.get("intents", [])[:4]
    ]


def _mapping(transcript: Transcript | None) -> dict[str, Any] | None:
    if transcript is None or not transcript.mapping:
        return None
    mapping = transcript.mapping
    confidence = mapping.get("confidence")
    return {
        "confidence": confidence,
        "reason": mapping.get("reason", ""),
        "unsure": confidence is not None and confidence < SURE_MAPPING,
    }


def _notes(call: Call, transcript: Transcript | None) -> list[str]:
    """Return what a reader must know before trusting this page; without repeats, the gravest first."""
    info = call.recording.info or {}
    said = [transcript.degraded] if transcript and transcript.degraded else []
    said += list(transcript.warnings) if transcript else []
    said += list(info.get("warnings", []))
    return list(dict.fromkeys(text for text in said if text))


def _player_data(
    call: Call, document: dict[str, Any], alerts: list[Alert], transcript: Transcript | None
) -> dict[str, Any]:
    """Return what the scripts of the page need; it holds times and scores, no words."""
    layout = transcript.layout if transcript else call.recording.layout
    channels = ["unknown"] * call.recording.channels
    if layout == "two_party" and call.recording.channels == 2:
        agent = call.agent_channel ^ int(call.parties_swapped)
        channels = ["agent" if index == agent else "customer" for index in range(2)]
    return {
        "audio": reverse("calls:audio", args=[call.pk]),
        "peaks": reverse("calls:peaks", args=[call.pk]),
        "duration_ms": call.recording.duration_ms,
        "layout": layout,
        "channels": channels,
        "sentiment": [
            {"party": item["party"], "at": (item["start_ms"] + item["end_ms"]) // 2, "score": item["score"]}
            for item in document.get("sentiment", {}).get("turns", [])
        ],
        "alerts": [{"start": a.start_ms, "end": a.end_ms, "category": a.get_category_display()} for a in alerts],
    }
