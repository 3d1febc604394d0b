"""Looking at many calls behind the page: what a change would move, and reading stored calls again.

Every move of a job is a conditional UPDATE with the token of the worker that holds it. Work is done in pieces of some
seconds, and between them the job goes back in line, so that new calls are understood meanwhile; a worker that is killed
loses one call's work. Messages may be lost or doubled; the rows decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext

from callcenter.accounts.models import User
from callcenter.calls.models import Call
from callcenter.calls.services.transcripts import current_document
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue
from callcenter.insights.intents import diff, taxonomy
from callcenter.insights.intents.labels import respect
from callcenter.insights.intents.models import CallLabel, IntentJob, Move, Reading, TaxonomyVersion
from callcenter.insights.models import Insight
from callcenter.insights.warehouse_doc import load_into_warehouse

log = structlog.get_logger("callcenter.intents")
State, Task = IntentJob.State, IntentJob.Task
#: A preview looks at no more calls and works no longer than this; then it is a sample, and the page says so.
PREVIEW_CALLS, PREVIEW_SECONDS = 2000, 120.0
#: How long a worker goes on before the job stands in line again.
PIECE_SECONDS = 15.0
SILENCE = timedelta(minutes=2)
MAX_FAILURES = 3
KEEP_PREVIEWS = timedelta(days=7)


def preview(*, edit: dict[str, Any], by: User) -> IntentJob:
    """Have counted what one edit of the taxonomy would move among the calls that this person may see.

    Raises CallcenterError when the edit changes nothing.
    """
    version = taxonomy.current()
    proposed = taxonomy.proposal(edit, version.content)
    found = diff.changes(version.content, proposed)
    if not found:
        raise CallcenterError(gettext("Nothing is changed."), code="nothing_changed")
    job = IntentJob.objects.create(
        task=Task.PREVIEW,
        version=version.number,
        parameters={"edit": edit, "proposed": proposed, "changes": found},
        created_by=by,
    )
    send(job)
    return job


def relabel(*, by: User | None) -> IntentJob:
    """Have every stored call read again with the taxonomy as it is; a re-labelling that is under way gives way.

    Raises CallcenterError when somebody else starts one at the same moment.
    """
    version = taxonomy.current()
    try:
        with transaction.atomic():
            IntentJob.objects.filter(task=Task.RELABEL, state__in=IntentJob.OPEN).update(
                state=State.CANCELLED,
                finished_at=timezone.now(),
                error_message="A newer re-labelling took its place.",
            )
            job = IntentJob.objects.create(task=Task.RELABEL, version=version.number, created_by=by)
            audit.record("taxonomy.relabel", job, user=by, version=version.number)
    except IntegrityError as error:
        raise CallcenterError(gettext("Stored calls are being re-labelled already."), code="busy") from error
    send(job)
    return job


def cancel(*, job: IntentJob, by: User) -> None:
    """Stop a job; what it has done stays. Raises CallcenterError when it has ended."""
    if not IntentJob.objects.filter(pk=job.pk, state__in=IntentJob.OPEN).update(
        state=State.CANCELLED, finished_at=timezone.now()
    ):
        raise CallcenterError(gettext("This has ended already."), code="ended")
    audit.record("taxonomy.cancel", job, user=by, task=job.task)


def settle(*, job: IntentJob, number: int) -> None:
    """Note that a preview's proposal was saved, and end its counting if it is still going on."""
    IntentJob.objects.filter(pk=job.pk, state__in=IntentJob.OPEN).update(
        state=State.CANCELLED, finished_at=timezone.now()
    )
    with transaction.atomic():
        row = IntentJob.objects.select_for_update().get(pk=job.pk)
        row.result = {**row.result, "saved_as": number}
        row.save(update_fields=["result"])


def work(job_id: str) -> bool:
    """Do one piece of a job that waits; return whether this caller did. Whatever goes wrong is said on the row."""
    claimed = IntentJob.objects.filter(pk=job_id, state=State.QUEUED).update(
        state=State.WORKING, attempt=F("attempt") + 1, heard_at=timezone.now()
    )
    if claimed != 1:
        return False
    job = IntentJob.objects.select_related("created_by").get(pk=job_id)
    try:
        _piece(job.task)(job)
    except CallcenterError as error:
        end(job, State.FAILED, error_message=error.message[:500])
    except Exception as error:
        log.exception("intent_job_failed", job=str(job_id), error=type(error).__name__)
        end(job, State.FAILED, error_message=f"It failed ({type(error).__name__}); see the logs, then try again.")
    return True


def _preview(job: IntentJob) -> None:
    calls = _visible(job)
    if job.cursor is None:
        IntentJob.objects.filter(pk=job.pk).update(total=min(PREVIEW_CALLS, calls.count()))
        job.refresh_from_db()
    # The call's id is random, so calls in order of id are a fair sample wherever one has to stop.
    rest = calls.order_by("pk")
    if job.cursor is not None:
        rest = rest.filter(pk__gt=job.cursor)
    now = _readers(taxonomy.current().content)
    then = _readers(job.parameters["proposed"])
    spent = float(job.result.get("spent", 0.0))
    began = time.monotonic()
    by_people = set(CallLabel.objects.filter(withdrawn_at=None, call__in=rest).values_list("call_id", flat=True))
    ended = True
    for call in rest.select_related("transcript", "insight", "recording")[: PREVIEW_CALLS - job.done - job.skipped]:
        skipped, move = False, None
        if call.pk not in by_people:
            try:
                move = _move(job, call, now, then)
            except (CallcenterError, ValueError):
                skipped = True
        if not _advance(job, call, skipped=skipped, move=move):
            return
        worked = time.monotonic() - began
        if spent + worked >= PREVIEW_SECONDS:
            break
        if worked >= PIECE_SECONDS:
            ended = False
            break
    job.refresh_from_db()
    result = {**job.result, "spent": round(spent + time.monotonic() - began, 1), "by_people": len(by_people)}
    if not ended:
        _back_in_line(job, result)
        return
    visible = calls.count()
    result |= {"visible": visible, "sampled": job.done + job.skipped < visible, "figures": then.figures}
    result["figures_before"] = now.figures
    # Vectors fitted to the old taxonomy know nothing of the new one: until they are fitted again, the plain head reads.
    result["fitted_lost"] = now.kind == "tuned" and then.kind != "tuned"
    end(job, State.DONE, result=result)


def _visible(job: IntentJob) -> Any:
    if job.created_by is None:
        raise CallcenterError(gettext("Whoever asked for this is gone."), code="no_user")
    return Call.objects.visible_to(job.created_by).filter(transcript__isnull=False, insight__isnull=False)


def _move(job: IntentJob, call: Call, now: Any, then: Any) -> Move | None:
    document = current_document(call)
    after = then.read(document)
    before: str = call.insight.intent
    if after["intent"] == before:
        return None
    return Move(
        job=job,
        call=call,
        before=before,
        after=after["intent"],
        probability=after["intent_probability"],
        anyway=now.read(document)["intent"] == after["intent"],
    )


def _readers(items: list[dict[str, Any]]) -> Any:
    """Return the reader of a taxonomy. Raises CallcenterError where nothing can be read, with the cure."""
    from analytics.nlu.reread import IntentReader
    from callcenter.insights.services import config

    reader = IntentReader({**config(), "intents": taxonomy.for_engine(items)})
    if reader.problem:
        raise CallcenterError(
            gettext("Calls cannot be read: {problem}.").format(problem=reader.problem), code="no_reader"
        )
    return reader


def _relabel(job: IntentJob) -> None:
    version = TaxonomyVersion.objects.get(number=job.version)
    waiting = _unread(job)
    if not job.total:
        IntentJob.objects.filter(pk=job.pk).update(total=waiting.count())
    reader = _readers(version.content)
    began = time.monotonic()
    while True:
        # A few at a time: calls that come in meanwhile are read with the new taxonomy anyway.
        calls = list(waiting.select_related("transcript", "recording").order_by("pk")[:20])
        for call in calls:
            if not _read_again(job, call, reader):
                return
            if time.monotonic() - began >= PIECE_SECONDS:
                job.refresh_from_db()
                _back_in_line(job, {**job.result, "figures": reader.figures})
                return
        if not calls:
            break
    job.refresh_from_db()
    end(job, State.DONE, result={**job.result, "figures": reader.figures})


def _unread(job: IntentJob) -> Any:
    """Return the calls that this job has still to read: not since it was asked for, or with an older taxonomy."""
    old = Q(intent_reading=None) | Q(intent_reading__read_at__lt=job.created_at)
    return Call.objects.filter(transcript__isnull=False, insight__isnull=False).filter(
        old | Q(intent_reading__version__lt=job.version)
    )


def _read_again(job: IntentJob, call: Call, reader: Any) -> bool:
    """Store what the reader says of one call; return whether the job is still this worker's."""
    read: dict[str, Any] | None
    try:
        read = reader.read(current_document(call))
    except (CallcenterError, ValueError):
        read = None
    move = None
    with transaction.atomic():
        locked = Call.objects.select_for_update(of=("self",)).get(pk=call.pk)
        insight = Insight.objects.filter(call=locked).first()
        # A call with a new transcript is about to be understood as a whole; its old reading is of no use.
        if read is not None and insight is not None and insight.transcript_id == locked.transcript_id:
            plain = {k: v for k, v in insight.document.items() if k != "model_reading"}
            document = respect(locked, {**plain, **read})
            if insight.intent != document["intent"]:
                move = Move(
                    job=job,
                    call=call,
                    before=insight.intent,
                    after=document["intent"],
                    probability=document["intent_probability"],
                )
            if insight.document != document:
                insight.document = document
                insight.intent = document["intent"]
                insight.intent_probability = document["intent_probability"]
                insight.save(update_fields=["document", "intent", "intent_probability"])
        note(locked, job.version)
        if not _advance(job, call, skipped=read is None, move=move):
            transaction.set_rollback(True)
            return False
    if move is not None:
        _load(job, call)
    return True


def _load(job: IntentJob, call: Call) -> None:
    """Bring the warehouse up to date; one that cannot be reached is told on the row, and a rebuild cures it."""
    try:
        load_into_warehouse(call)
    except Exception as error:  # the warehouse may be any server anywhere
        log.warning("relabelled_call_not_loaded", call=str(call.pk), error=type(error).__name__)
        with transaction.atomic():
            row = IntentJob.objects.select_for_update().get(pk=job.pk)
            row.result = {**row.result, "not_loaded": row.result.get("not_loaded", 0) + 1}
            row.save(update_fields=["result"])


def note(call: Call, version: int) -> None:
    """Remember with which version of the taxonomy a call was read, now."""
    Reading.objects.update_or_create(call=call, defaults={"version": version, "read_at": timezone.now()})


def stored(call: Call, document: dict[str, Any]) -> dict[str, Any]:
    """Return a fresh document as it counts, and remember its taxonomy. The caller holds the call's row lock."""
    version = document.pop("taxonomy_version", None)
    if version is not None:
        note(call, version)
    return respect(call, document)


def _advance(job: IntentJob, call: Call, *, skipped: bool, move: Move | None) -> bool:
    """Count one call; return False where the job is no longer this worker's (cancelled, or given to another)."""
    with transaction.atomic():
        changed = IntentJob.objects.filter(pk=job.pk, state=State.WORKING, attempt=job.attempt).update(
            done=F("done") + int(not skipped),
            skipped=F("skipped") + int(skipped),
            changed=F("changed") + int(move is not None),
            cursor=call.pk,
            heard_at=timezone.now(),
        )
        if changed and move is not None:
            Move.objects.update_or_create(
                job=job,
                call=call,
                defaults={k: getattr(move, k) for k in ("before", "after", "probability", "anyway")},
            )
    return bool(changed)


def _back_in_line(job: IntentJob, result: dict[str, Any]) -> None:
    changed = IntentJob.objects.filter(pk=job.pk, state=State.WORKING, attempt=job.attempt).update(
        state=State.QUEUED, heard_at=timezone.now(), result=result
    )
    if changed:
        send(job)


def end(job: IntentJob, state: str, **values: Any) -> None:
    IntentJob.objects.filter(pk=job.pk, state=State.WORKING, attempt=job.attempt).update(
        state=state, finished_at=timezone.now(), **values
    )


def send(job: IntentJob) -> None:
    enqueue("intents.work", queue="nlu", job_id=str(job.pk))


PIECES: dict[str, Callable[[IntentJob], None]] = {Task.PREVIEW: _preview, Task.RELABEL: _relabel}


def _piece(task: str) -> Callable[[IntentJob], None]:
    if task == Task.TUNE:
        from callcenter.insights.intents.tuning import fit

        return fit
    return PIECES[task]


def sweep() -> int:
    """Send again the jobs that nobody works on although somebody should, forget old previews; return how many sent."""
    from callcenter.pipeline import broker

    sent = 0
    now = timezone.now()
    for job in IntentJob.objects.filter(state__in=IntentJob.OPEN, heard_at__lt=now - SILENCE):
        lost = job.state == State.WORKING
        if not lost and broker.queue_length("nlu"):
            continue  # it stands in a long line, which is no loss
        given_up = lost and job.failures + 1 >= MAX_FAILURES
        changed = IntentJob.objects.filter(pk=job.pk, state=job.state, heard_at=job.heard_at).update(
            state=State.FAILED if given_up else State.QUEUED,
            failures=F("failures") + int(lost),
            heard_at=now,
            error_message="The worker went silent three times; see the logs." if given_up else "",
            finished_at=now if given_up else None,
        )
        if changed and not given_up:
            send(job)
            sent += 1
    old = IntentJob.objects.filter(task=Task.PREVIEW, created_at__lt=now - KEEP_PREVIEWS)
    old.exclude(state__in=IntentJob.OPEN).delete()
    return sent
