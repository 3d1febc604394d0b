"""Rules tried on, or applied to, all stored calls behind the page: a row says how far the work is and what came of it.

A worker claims the row by a conditional UPDATE with a token of its own and moves the cursor with every chunk, so a
worker that dies costs one chunk, and one that comes back from the dead changes nothing any more.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from analytics.nlu.embedding import EmbedderMissing
from analytics.nlu.rules import Rule as Compiled
from analytics.nlu.rules import RuleError, compile_rules
from callcenter.accounts.models import User
from callcenter.calls.models import Call
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue
from callcenter.insights import rerule
from callcenter.insights.models import RESTRICTED, Rule, RuleJob

log = structlog.get_logger("callcenter.insights")
State = RuleJob.State
TASK, QUEUE = "insights.rule_job", "nlu"
MAX_FAILURES = 3
EXAMPLES = 20
_SILENCE = timedelta(minutes=5)
#: One message does this much and sends the next, so that a long job never holds a worker back from new calls.
SLICE_SECONDS = 20.0


def start(
    *, kind: str, rule: Rule | None, by: User, definition: dict[str, Any] | None = None, since: datetime | None = None
) -> RuleJob:
    """Create a job and send it on its way after the commit. A rule is applied once at a time: the open job counts."""
    with transaction.atomic():
        if rule is not None:
            Rule.objects.select_for_update().get(pk=rule.pk)
            if kind == RuleJob.Kind.APPLY:
                standing = RuleJob.objects.filter(rule=rule, kind=kind, state__in=RuleJob.OPEN).first()
                if standing is not None:
                    return standing
        job = RuleJob.objects.create(kind=kind, rule=rule, definition=definition or {}, since=since, created_by=by)
        job.total = calls_of(job).count()
        job.save(update_fields=["total"])
        audit.record(f"rule.{kind}", rule or job, user=by, calls=job.total)
    enqueue(TASK, queue=QUEUE, job_id=str(job.pk))
    return job


def cancel(*, job: RuleJob, by: User) -> RuleJob:
    """Stop a job after the chunk that is at work; what it has changed stays."""
    changed = RuleJob.objects.filter(pk=job.pk, state__in=RuleJob.OPEN).update(
        state=State.CANCELLED, finished_at=timezone.now()
    )
    if changed:
        audit.record("rule.job_cancel", job, user=by)
    job.refresh_from_db()
    return job


def calls_of(job: RuleJob) -> QuerySet[Call]:
    """Return the calls that a job goes through: for a try those of its author, for an application all."""
    calls = Call.objects.filter(transcript__isnull=False)
    if job.kind == RuleJob.Kind.TRY:
        calls = Call.objects.visible_to(job.created_by) if job.created_by else Call.objects.none()
        calls = calls.filter(transcript__isnull=False)
    if job.since is not None:
        calls = calls.filter(started_at__gte=job.since)
    return calls.order_by("pk")


def work(job_id: str, *, seconds: float = SLICE_SECONDS) -> bool:
    """Do one slice of a job, if it waits; return whether this caller did. Whatever goes wrong is said on the row."""
    token = uuid.uuid4()
    claimed = RuleJob.objects.filter(pk=job_id, state=State.QUEUED).update(
        state=State.WORKING, token=token, heard_at=timezone.now()
    )
    if claimed != 1:
        return False
    job = RuleJob.objects.select_related("rule", "created_by").get(pk=job_id)
    try:
        _slice(job, token, seconds)
    except CallcenterError as error:
        _fail(job, token, error.message)
    except Exception as error:
        log.exception("rule_job_failed", job=str(job_id), error=type(error).__name__)
        _fail(job, token, f"It failed ({type(error).__name__}); see the logs, then start it again.")
    return True


def sweep() -> int:
    """Send again the jobs that nobody works on although somebody should; return how many."""
    sent = 0
    for job in RuleJob.objects.filter(state__in=RuleJob.OPEN, heard_at__lt=timezone.now() - _SILENCE):
        lost = job.state == State.WORKING  # one that still waits has lost nothing but its message
        given_up = lost and job.failures + 1 >= MAX_FAILURES
        changed = RuleJob.objects.filter(pk=job.pk, state=job.state, heard_at=job.heard_at).update(
            state=State.FAILED if given_up else State.QUEUED,
            failures=F("failures") + int(lost),
            heard_at=timezone.now(),
            error_message="The worker went silent three times; see the logs." if given_up else "",
            finished_at=timezone.now() if given_up else None,
        )
        if changed and not given_up:
            enqueue(TASK, queue=QUEUE, job_id=str(job.pk))
            sent += 1
    return sent


def _slice(job: RuleJob, token: uuid.UUID, seconds: float) -> None:
    runner = _Apply(job) if job.kind == RuleJob.Kind.APPLY else _Try(job)
    began = time.perf_counter()
    while True:
        calls = calls_of(job)
        if job.cursor is not None:
            calls = calls.filter(pk__gt=job.cursor)
        ids = list(calls.values_list("pk", flat=True)[: runner.chunk])
        if not ids:
            _mine(job, token).update(state=State.DONE, finished_at=timezone.now(), heard_at=timezone.now())
            return
        started = time.perf_counter()
        outcome = runner.run(ids)
        job.cursor = ids[-1]
        moved = _mine(job, token).update(
            cursor=job.cursor,
            done=F("done") + len(ids),
            seconds=F("seconds") + (time.perf_counter() - started),
            heard_at=timezone.now(),
            examples=job.examples,
            notes=list(dict.fromkeys([*job.notes, *outcome.notes]))[:10],
            **{
                name: F(name) + getattr(outcome, name)
                for name in ("skipped", "hit_calls", "hits", "added", "removed", "changed", "kept")
            },
        )
        if not moved:  # stopped, or given to somebody else
            return
        if time.perf_counter() - began > seconds:
            if _mine(job, token).update(state=State.QUEUED, heard_at=timezone.now()):
                enqueue(TASK, queue=QUEUE, job_id=str(job.pk))
            return


def _mine(job: RuleJob, token: uuid.UUID) -> QuerySet[RuleJob]:
    return RuleJob.objects.filter(pk=job.pk, state=State.WORKING, token=token)


def _fail(job: RuleJob, token: uuid.UUID, message: str) -> None:
    _mine(job, token).update(state=State.FAILED, error_message=message[:1000], finished_at=timezone.now())


class _Apply:
    """Writes alerts anew, by the rule as it stands now."""

    def __init__(self, job: RuleJob) -> None:
        self.plan = rerule.plan(None if job.rule is None else [job.rule.key])
        self.chunk = self.plan.chunk

    def run(self, ids: Sequence[Any]) -> rerule.Outcome:
        return rerule.apply(self.plan, ids)


class _Try:
    """Only counts, and remembers where the first hits stand."""

    def __init__(self, job: RuleJob) -> None:
        self.job = job
        try:
            self.rules: tuple[Compiled, ...] = compile_rules([job.definition])
        except RuleError as error:
            raise CallcenterError(
                gettext("The rule has mistakes: {error}").format(error=error), code="invalid_rule"
            ) from None
        by = job.created_by
        if self.rules[0].category in RESTRICTED and not (by is not None and by.sees_restricted_alerts):
            raise CallcenterError(gettext("What this rule finds is shown only to people who may see self-harm alerts."))
        try:
            slow = rerule.embedder_for(self.rules) is not None
        except EmbedderMissing as error:
            raise CallcenterError(
                gettext("The semantic part cannot be tried: {error}").format(error=error), code="no_embedder"
            ) from None
        self.chunk = rerule.SEMANTIC_CHUNK if slow else rerule.CHUNK

    def run(self, ids: Sequence[Any]) -> rerule.Outcome:
        known, found = rerule.survey(self.rules, ids)
        outcome = rerule.Outcome(calls=len(ids), skipped=len(ids) - known, hit_calls=len(found))
        for pk, raws in found:
            outcome.hits += len(raws)
            for raw in raws[: max(0, EXAMPLES - len(self.job.examples))]:
                place = {n: raw[n] for n in ("start_ms", "end_ms", "party", "turn", "score", "listen_first")}
                self.job.examples.append({"call": str(pk), **place})
        return outcome
