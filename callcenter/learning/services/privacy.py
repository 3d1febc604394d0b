"""What may be learned from: consent of team and call, and the stretches in which payment data was spoken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q

from callcenter.calls.models import Call, Turn
from callcenter.insights.models import Alert, Category

_DETECTORS = ("card_number", "card_code", "account_number")

Span = tuple[int, int]


def allowed(calls: Any) -> Any:
    """Return those calls (a queryset) that may be learned from: the call's own word counts, else its team's."""
    return calls.filter(Q(training_consent=True) | Q(training_consent=None, team__training_consent=True))


def has_consent(call: Call) -> bool:
    """Return whether the call may be learned from. Its team must have been loaded or is read now."""
    return call.team.training_consent if call.training_consent is None else call.training_consent


class Hidden:
    """The payment data of one call: spans of time, turns and, where neither is known, all of it."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.turns: set[int] = set()
        self.everything = False

    def covers(self, *, turn_index: int) -> bool:
        """Return whether the whole segment must go because nobody knows where in it the data stands."""
        return self.everything or turn_index in self.turns


def hidden_in(call: Call, turns: Sequence[Turn]) -> Hidden:
    """Return what of a call must not be learned: alerts that nobody dismissed, and what the detectors find now.

    The detectors look at the text as it reads now: a person may have corrected a misheard digit after the alert.
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
    document = [
        {
            "index": turn.index,
            "party": turn.party,
            "start_ms": turn.start_ms,
            "end_ms": turn.end_ms,
            "text": turn.text,
            "words": [{"text": w[0], "start_ms": w[1], "end_ms": w[2]} for w in turn.words],
        }
        for turn in turns
    ]
    found.spans += payment_spans(document)
    return found


def payment_spans(turns: Iterable[dict[str, Any]]) -> list[Span]:
    """Return where card numbers, card codes and account numbers are spoken, in milliseconds."""
    from analytics.nlu.detectors import DETECTORS
    from analytics.nlu.text import read

    call = read({"turns": list(turns)})
    spans = []
    for name in _DETECTORS:
        for finding in DETECTORS[name](call, {}):
            tokens = finding.stream.tokens[finding.start : finding.end]
            spans.append((min(t.start_ms for t in tokens), max(t.end_ms for t in tokens)))
    return sorted(set(spans))
