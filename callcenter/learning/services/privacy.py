"""What may be learned from: consent of team and call, and the stretches in which something private was spoken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q

from analytics.redaction import placeholder_kind
from callcenter.calls.models import Call, Turn
from callcenter.insights.models import Alert, Category
from callcenter.privacy.services.keeping import known_places
from callcenter.privacy.services.levels import level_for
from callcenter.privacy.services.seeing import document_of, spans_of

Span = tuple[int, int]


def allowed(calls: Any) -> Any:
    """Return those calls (a queryset) that may be learned from: the call's own word counts, else its team's."""
    return calls.filter(Q(training_consent=True) | Q(training_consent=None, team__training_consent=True))


def has_consent(call: Call) -> bool:
    """Return whether the call may be learned from. Its team must have been loaded or is read now."""
    return call.team.training_consent if call.training_consent is None else call.training_consent


class Hidden:
    """What of one call is private: spans of time, turns and, where neither is known, all of it."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.turns: set[int] = set()
        self.everything = False

    def covers(self, *, turn_index: int) -> bool:
        """Return whether the whole segment must go because nobody knows where in it the data stands."""
        return self.everything or turn_index in self.turns


def hidden_in(call: Call, turns: Sequence[Turn]) -> Hidden:
    """Return what of a call must not be learned: what the privacy layer hides from training, and payment alerts.

    The layer looks at the text as it reads now: a person may have corrected a misheard digit. Of the alerts, those that
    nobody dismissed count. A card's place without times closes the whole call.
    """
    found = Hidden()
    alerts = Alert.objects.filter(call=call, category=Category.PAYMENT_DATA).exclude(status=Alert.Status.DISMISSED)
    for alert in alerts:
        if alert.end_ms > alert.start_ms:
            found.spans.append((alert.start_ms, alert.end_ms))
        elif alert.turn_index is not None:
            found.turns.add(alert.turn_index)
        else:
            found.everything = True
    for place in known_places(call.recording):
        if place["start_ms"] is None:
            found.everything = True
        else:
            found.spans.append((place["start_ms"], place["end_ms"]))
    found.spans += private_spans(document_of(turns)["turns"])
    return found


def private_spans(turns: Iterable[dict[str, Any]]) -> list[Span]:
    """Return where something is said that is not learned from, in milliseconds: hidden already, or to be hidden.

    Where the words have no times, that is all of the turn.
    """
    document = {"turns": list(turns)}
    hides = level_for("training").hides
    times = {turn["index"]: (int(turn["start_ms"]), int(turn["end_ms"])) for turn in document["turns"]}
    spans = {
        times[span.turn] if span.start_ms is None or span.end_ms is None else (int(span.start_ms), int(span.end_ms))
        for span in spans_of(document)
        if span.kind in hides
    }
    for turn in document["turns"]:
        for word in turn["words"]:
            if placeholder_kind(str(word["text"])):
                spans.add((int(word["start_ms"]), int(word["end_ms"])))
    return sorted(spans)
