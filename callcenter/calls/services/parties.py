"""Swapping the parties of a call, and recomputing all that depends on it."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Case, F, Value, When
from django.utils.translation import gettext_noop as N_

from callcenter.accounts.models import User
from callcenter.calls.models import Call, Turn
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue
from callcenter.pipeline.models import Run


def swap_parties(*, call: Call, by: User | None) -> Run:
    """Exchange agent and customer and understand the call again; twice is as it was.

    The stored transcript is not touched. Raises CallcenterError when there is no transcript or a run is under way.
    """
    if call.transcript_id is None:
        raise CallcenterError(N_("This call has no transcript yet."), code="no_transcript")
    try:
        with transaction.atomic():
            run = Run.objects.create(
                call=call,
                state=Run.State.NLU_QUEUED,
                stage="understand",
                progress=0.9,
                transcript=call.transcript,
            )
            Call.objects.filter(pk=call.pk).update(
                parties_swapped=Case(When(parties_swapped=True, then=Value(False)), default=Value(True))
            )
            Turn.objects.filter(call=call).update(
                party=Case(
                    When(party="agent", then=Value("customer")),
                    When(party="customer", then=Value("agent")),
                    default=F("party"),
                )
            )
            call.refresh_from_db(fields=["parties_swapped"])
            audit.record("call.swap_parties", call, user=by, swapped=call.parties_swapped)
            enqueue("pipeline.understand", queue="nlu", run_id=str(run.pk))
    except IntegrityError as error:
        raise CallcenterError(N_("This call is being processed; try again when it is done."), code="busy") from error
    return run
