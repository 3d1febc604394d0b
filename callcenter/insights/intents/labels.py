"""What a person says a call was about: it wins over the model, is shown as such, and is learned from."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Max, OuterRef, Subquery
from django.db.models.functions import Greatest, Least
from django.utils import timezone
from django.utils.translation import gettext

from callcenter.accounts.models import User
from callcenter.calls.models import Call, Turn
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.insights.intents.models import UNKNOWN, CallLabel
from callcenter.insights.models import Insight, Intent
from callcenter.insights.warehouse_doc import load_into_warehouse

#: How many of the newest stretches are learned from for each intent.
EXAMPLES_PER_INTENT = 100
MIN_WORDS, MAX_WORDS = 3, 40
#: How long found examples are kept in a process while nobody labels anything: a correction of a word may wait for it.
_KEEP_SECONDS = 60.0
_kept: tuple[Any, float, list[tuple[str, str]]] | None = None


def standing(call: Call) -> CallLabel | None:
    """Return what a person said of this call, if anybody did and it was not taken back."""
    return CallLabel.objects.filter(call=call, withdrawn_at=None).select_related("author").first()


def label(*, call: Call, name: str, by: User, span: tuple[int, int] | None = None) -> CallLabel:
    """Say what a call was about, in place of what was said before; `span` (ms) is the stretch that decided.

    Raises CallcenterError for an intent that does not exist or a stretch in which nobody speaks.
    """
    if name != UNKNOWN and not Intent.objects.filter(name=name, enabled=True).exists():
        raise CallcenterError(gettext("Choose one of the intents that are in use."), code="no_intent")
    if span is not None and not _overlapping(call, *span).exists():
        raise CallcenterError(gettext("Nobody speaks at the chosen place any more; choose another."), code="no_turn")
    with transaction.atomic():
        call = Call.objects.select_for_update(of=("self",)).get(pk=call.pk)
        insight = Insight.objects.filter(call=call).first()
        if insight is None:
            raise CallcenterError(
                gettext("This call has not been understood yet; try again when it is."), code="no_insight"
            )
        before = insight.intent
        CallLabel.objects.filter(call=call, withdrawn_at=None).update(withdrawn_at=timezone.now(), withdrawn_by=by)
        made = CallLabel.objects.create(
            call=call,
            name=name,
            before=before,
            start_ms=span[0] if span else None,
            end_ms=span[1] if span else None,
            author=by,
        )
        _store(insight, respect(call, insight.document))
        audit.record("call.intent_label", call, user=by, before=before, after=name, with_place=span is not None)
        transaction.on_commit(lambda: load_into_warehouse(call), robust=True)
    return made


def withdraw(*, call: Call, by: User) -> None:
    """Take back what a person said, so that the model's reading counts. Raises CallcenterError if nobody said any."""
    with transaction.atomic():
        call = Call.objects.select_for_update(of=("self",)).get(pk=call.pk)
        changed = CallLabel.objects.filter(call=call, withdrawn_at=None)
        if not changed.update(withdrawn_at=timezone.now(), withdrawn_by=by):
            raise CallcenterError(gettext("Nobody has said what this call was about."), code="no_label")
        insight = Insight.objects.filter(call=call).first()
        if insight is not None:
            before = insight.intent
            _store(insight, respect(call, insight.document))
            audit.record("call.intent_unlabel", call, user=by, before=before, after=insight.intent)
        transaction.on_commit(lambda: load_into_warehouse(call), robust=True)


def _store(insight: Insight, document: dict[str, Any]) -> None:
    insight.document = document
    insight.intent = document["intent"]
    insight.intent_probability = document["intent_probability"]
    insight.save(update_fields=["document", "intent", "intent_probability"])


def respect(call: Call, document: dict[str, Any]) -> dict[str, Any]:
    """Return the document as it counts: a person's label first, the model's reading kept beside it.

    Doing it twice changes nothing. The model's own reading is what `model_reading` says, where there is one.
    """
    read = document.get("model_reading") or {
        key: document[key] for key in ("intents", "intent", "intent_probability") if key in document
    }
    plain = {key: value for key, value in document.items() if key != "model_reading"} | read
    said = standing(call)
    if said is None:
        return plain
    theirs: list[dict[str, Any]] = []
    if said.name != UNKNOWN:
        turn = _turn(call, said)
        first = {"name": said.name, "probability": 1.0, "turns": [turn] if turn is not None else [], "primary": True}
        others = [{**item, "primary": False} for item in read.get("intents", []) if item["name"] != said.name]
        theirs = [{**first, "by": "person"}, *others]
    own = {"intents": theirs, "intent": said.name, "intent_probability": 1.0}
    return {**plain, **own, "model_reading": read}


def _overlapping(call: Call, start_ms: int, end_ms: int) -> Any:
    return Turn.objects.filter(transcript=call.transcript_id, start_ms__lt=end_ms, end_ms__gt=start_ms)


def _turn(call: Call, said: CallLabel) -> int | None:
    """Return the number of the turn that lies most within the stretch a person pointed at."""
    if said.start_ms is None or said.end_ms is None:
        return None
    shared = Least(F("end_ms"), said.end_ms) - Greatest(F("start_ms"), said.start_ms)
    turns = _overlapping(call, said.start_ms, said.end_ms).order_by(shared.desc(), "index")
    return turns.values_list("index", flat=True).first()


def spoken_examples() -> list[tuple[str, str]]:
    """Return (what a caller said where a person pointed at, intent), newest first, as the calls read now.

    Only calls that may be learned from, and nothing of payment data, names or numbers in them. `unknown` teaches what
    is none of the intents.
    """
    global _kept
    rows = CallLabel.objects.filter(start_ms__isnull=False)
    state = rows.aggregate(Count("pk"), Max("pk"), Max("withdrawn_at"))
    if _kept is None or _kept[0] != state or time.monotonic() - _kept[1] > _KEEP_SECONDS:
        _kept = (state, time.monotonic(), _find_examples())
    return _kept[2]


def _find_examples() -> list[tuple[str, str]]:
    from analytics.redaction import scrub
    from callcenter.learning.services.privacy import allowed

    turns = Turn.objects.filter(
        transcript=OuterRef("call__transcript"), start_ms__lt=OuterRef("end_ms"), end_ms__gt=OuterRef("start_ms")
    )
    shared = Least(F("end_ms"), OuterRef("end_ms")) - Greatest(F("start_ms"), OuterRef("start_ms"))
    best = turns.annotate(shared=shared).order_by("-shared")
    labels = (
        CallLabel.objects.filter(withdrawn_at=None, start_ms__isnull=False, call__in=allowed(Call.objects.all()))
        .annotate(words=Subquery(best.values("words")[:1]))
        .order_by("-created_at")
    )
    found: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    for said in labels.iterator():
        if counts[said.name] >= EXAMPLES_PER_INTENT or not said.words:
            continue
        words = [w[0] for w in said.words if said.start_ms <= (w[1] + w[2]) // 2 <= said.end_ms]
        if len(words) >= MIN_WORDS:
            counts[said.name] += 1
            found.append((scrub(" ".join(words[:MAX_WORDS])), said.name))
    return found
