"""After corrections a call is understood again: at once when the person says so, else when it has been quiet."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from callcenter.accounts.models import User
from callcenter.calls.models import Call
from callcenter.core import audit
from callcenter.core.queue import enqueue
from callcenter.pipeline.models import Run
from callcenter.review.projection import fill_in

log = structlog.get_logger("callcenter.review")
#: How long nobody may have corrected a call before it is understood again by itself.
QUIET = timedelta(seconds=60)


def understand_again(*, call: Call, by: User | None = None) -> bool:
    """Start the understanding of a corrected call; return whether it was started.

    Not started: nothing was corrected since the last time, or the call is being worked on (the sweep comes back).
    """
    try:
        with transaction.atomic():
            changed = Call.objects.filter(pk=call.pk, corrected_at__isnull=False, transcript__isnull=False)
            if not changed.update(corrected_at=None):
                return False
            run = Run.objects.create(
                call=call,
                state=Run.State.NLU_QUEUED,
                stage="understand",
                progress=0.9,
                transcript_id=Call.objects.values_list("transcript", flat=True).get(pk=call.pk),
            )
            if by is not None:
                audit.record("call.corrected", call, user=by)
            enqueue("pipeline.understand", queue="nlu", run_id=str(run.pk))
    except IntegrityError:
        # An open run: it may have read the text before the correction, so the call stays marked.
        return False
    return True


def sweep() -> dict[str, int]:
    """Understand again what has been quiet for a minute, and project what never was; return how many of each."""
    quiet = Call.objects.filter(corrected_at__lte=timezone.now() - QUIET).filter(_idle())
    started = sum(understand_again(call=call) for call in quiet.order_by("corrected_at")[:200])
    filled = fill_in()
    if started or filled:
        log.info("review_sweep", understood=started, projected=filled)
    return {"understood": started, "projected": filled}


def _idle() -> Q:
    busy = Run.objects.filter(state__in=[*Run.WAITING, *Run.WORKING]).values("call")
    return ~Q(pk__in=busy)
