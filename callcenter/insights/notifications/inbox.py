"""The inbox: what concerns a person is found in the rows that say it, once, and within a sweep.

Nobody who changes something has to think of it: every source is asked for what happened since the last sweep, with an
overlap, and a notice that is there already is not made again. `tell` is for those who want to say something at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import Count, Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from callcenter.accounts.models import Role, User
from callcenter.calls.models import Batch, BatchRow, Call, Comment
from callcenter.insights.intents.models import IntentJob
from callcenter.insights.models import RESTRICTED, Alert, AlertEvent, RuleJob
from callcenter.insights.notifications.models import Mark, Notice
from callcenter.learning.models import DatasetJob, NightlyRun, TrainingRun

log = structlog.get_logger("callcenter.notifications")
Kind = Notice.Kind
KEPT = timedelta(days=90)
#: A transaction may commit so much later than the time in its rows.
_OVERLAP = timedelta(minutes=5)
_FIRST = timedelta(days=1)
_MARK = 2


def tell(
    *, user: User, kind: str, key: str, title: str, url: str, text: str = "", grave: bool = False,
    at: datetime | None = None,
) -> None:  # fmt: skip
    """Put a line into a person's inbox, once for each key."""
    _store([_notice(user, kind, key, title, url, at or timezone.now(), text=text, grave=grave)])


def unread_count(user: User) -> int:
    """Return how many notices wait for this user; 100 means a hundred or more."""
    return Notice.objects.visible_to(user).unread()[:100].count()


def mark_read(*, user: User, notice_id: int | None = None) -> int:
    """Mark one notice of this user as read, or all; return how many were unread."""
    notices = Notice.objects.visible_to(user).unread()
    if notice_id is not None:
        notices = notices.filter(pk=notice_id)
    return notices.update(read_at=timezone.now())


def collect() -> int:
    """Ask every source what happened since the last time; return how many notices are new."""
    now = timezone.now()
    mark, _ = Mark.objects.get_or_create(pk=_MARK, defaults={"until": now - _FIRST})
    since = mark.until - _OVERLAP
    made = 0
    for source in SOURCES:
        try:
            made += _store(list(source(since)))
        except Exception as error:  # one source that breaks must not silence the others
            log.exception("inbox_source_failed", source=source.__name__, error=type(error).__name__)
    Mark.objects.filter(pk=_MARK).update(until=now)
    Notice.objects.filter(created_at__lt=now - KEPT).delete()
    return made


def _store(notices: list[Notice]) -> int:
    if not notices:
        return 0
    known = set(Notice.objects.filter(key__in={n.key for n in notices}).values_list("user_id", "key"))
    fresh = [notice for notice in notices if (notice.user_id, notice.key) not in known]
    Notice.objects.bulk_create(fresh, ignore_conflicts=True)  # another sweep may be doing the same
    return len(fresh)


def _notice(
    user: User, kind: str, key: str, title: str, url: str, at: datetime, *, text: str = "", grave: bool = False
) -> Notice:
    return Notice(
        user=user, kind=kind, key=key[:120], title=title[:200], text=text[:300], url=url, grave=grave, created_at=at
    )


# --- sources ------------------------------------------------------------------------------------------------------


def _assigned(since: datetime) -> Iterator[Notice]:
    """Alerts that somebody else gave to a person."""
    events = AlertEvent.objects.filter(kind=AlertEvent.Kind.ASSIGNED, created_at__gte=since, person__isnull=False)
    for event in events.select_related("alert__call__team", "person", "created_by"):
        person = event.person
        if person is None or person.pk == event.created_by_id or not _may_see(person, event.alert):
            continue
        by = f" by {event.created_by.name}" if event.created_by else ""
        title = f"An alert was assigned to you{by}"
        yield _notice(
            person, Kind.ASSIGNED, f"assigned:{event.pk}", title, _alert_url(event.alert), event.created_at,
            text=_about(event.alert), grave=event.alert.category in RESTRICTED,
        )  # fmt: skip


def _alert_comments(since: datetime) -> Iterator[Notice]:
    """Comments on alerts: for whoever has the alert, or has spoken on it before."""
    events = AlertEvent.objects.filter(kind=AlertEvent.Kind.COMMENT, created_at__gte=since)
    for event in events.select_related("alert__call__team", "alert__assigned_to", "created_by"):
        spoke = User.objects.filter(
            pk__in=event.alert.events.filter(kind=AlertEvent.Kind.COMMENT, pk__lt=event.pk).values("created_by")
        )
        people = {person.pk: person for person in spoke}
        if event.alert.assigned_to is not None:
            people[event.alert.assigned_to.pk] = event.alert.assigned_to
        people.pop(event.created_by_id or 0, None)
        for person in people.values():
            if _may_see(person, event.alert):
                who = event.created_by.name if event.created_by else "Somebody"
                yield _notice(
                    person, Kind.COMMENT, f"alert_comment:{event.pk}", f"{who} commented on an alert",
                    _alert_url(event.alert), event.created_at, text=_about(event.alert),
                )  # fmt: skip


def _call_comments(since: datetime) -> Iterator[Notice]:
    """Comments on calls: for the call's agent, and whoever has commented on it before."""
    comments = Comment.objects.filter(created_at__gte=since).select_related("call__agent", "call__team", "author")
    for comment in comments:
        call = comment.call
        spoke = User.objects.filter(pk__in=call.comments.filter(pk__lt=comment.pk).values("author"))
        people = {person.pk: person for person in spoke}
        if call.agent is not None:
            people[call.agent.pk] = call.agent
        people.pop(comment.author_id or 0, None)
        for person in people.values():
            if Call.objects.visible_to(person).filter(pk=call.pk).exists():
                who = comment.author.name if comment.author else "Somebody"
                yield _notice(
                    person, Kind.COMMENT, f"call_comment:{comment.pk}", f"{who} commented on a call",
                    f"{call.get_absolute_url()}?t={comment.at_ms}", comment.created_at, text=_call(call),
                )  # fmt: skip


def _jobs(since: datetime) -> Iterator[Notice]:
    """Work behind the pages that a person started and that has ended."""
    ended: list[tuple[str, Any, str, str, bool, str]] = []
    for job in DatasetJob.objects.filter(finished_at__gte=since, created_by__isnull=False):
        word = {"build": "Dataset", "import": "Import", "upload": "Model upload"}.get(job.task, "Job")
        url = reverse("learning:job", args=[job.pk])
        name = f"{word} “{job.name}”" if job.name else word
        ended.append(("dataset_job", job, name, url, job.state == job.State.FAILED, job.error_message))
    runs = TrainingRun.objects.filter(finished_at__gte=since, created_by__isnull=False, state__in=TrainingRun.ENDED)
    for run in runs.select_related("dataset", "candidate"):
        failed = run.state == run.State.FAILED
        said = run.error_message if failed else run.outcome
        ended.append(("training", run, str(run), run.get_absolute_url(), failed, said))
    rules = RuleJob.objects.filter(finished_at__gte=since, created_by__isnull=False).exclude(state="cancelled")
    for rule_job in rules.select_related("rule"):
        what = "Trying" if rule_job.kind == RuleJob.Kind.TRY else "Re-applying"
        name = f"{what} {rule_job.rule.title if rule_job.rule else 'a rule'}"
        said = rule_job.error_message or f"{rule_job.hits:,} hits in {rule_job.done:,} calls."
        ended.append(("rule_job", rule_job, name, rule_job.get_absolute_url(), rule_job.state == "failed", said))
    intents = IntentJob.objects.filter(finished_at__gte=since, created_by__isnull=False).exclude(state="cancelled")
    for intent_job in intents.exclude(task=IntentJob.Task.PREVIEW):
        url = reverse("intents:job", args=[intent_job.pk])
        said = intent_job.error_message or f"{intent_job.changed:,} of {intent_job.done:,} calls changed."
        ended.append(("intent_job", intent_job, f"{intent_job.get_task_display()} of intents", url,
                      intent_job.state == "failed", said))  # fmt: skip
    for source, row, name, url, failed, said in ended:
        stamp = int(row.finished_at.timestamp())
        title = f"{name[:1].upper()}{name[1:]} {'failed' if failed else 'is done'}"
        yield _notice(
            row.created_by, Kind.JOB, f"{source}:{row.pk}:{stamp}", title, url, row.finished_at, text=said, grave=failed
        )


def _batches(since: datetime) -> Iterator[Notice]:
    """Uploads whose every file has ended."""
    open_rows = BatchRow.objects.filter(batch=OuterRef("pk")).exclude(state__in=BatchRow.ENDED)
    just = BatchRow.objects.filter(batch=OuterRef("pk"), ended_at__gte=since)
    batches = Batch.objects.filter(Exists(just), ~Exists(open_rows), closed_at__isnull=False, created_by__isnull=False)
    State = BatchRow.State
    counted = batches.annotate(
        taken=Count("rows", filter=Q(rows__state=State.DONE)),
        double=Count("rows", filter=Q(rows__state=State.DUPLICATE)),
        refused=Count("rows", filter=Q(rows__state=State.REFUSED)),
    )
    for batch in counted.select_related("created_by"):
        if batch.created_by is not None:
            parts = [f"{batch.taken} taken", f"{batch.double} there already", f"{batch.refused} refused"]
            said = ", ".join(part for part in parts if not part.startswith("0 ")) + "."
            yield _notice(
                batch.created_by, Kind.JOB, f"batch:{batch.pk}", f"Every file of “{batch.name}” is checked",
                batch.get_absolute_url(), timezone.now(), text=said, grave=batch.refused > 0,
            )  # fmt: skip


def _nights(since: datetime) -> Iterator[Notice]:
    """What the learning nights have brought, for model operators."""
    nights = NightlyRun.objects.filter(finished_at__gte=since).exclude(
        state__in=[NightlyRun.State.SKIPPED, NightlyRun.State.WORKING]
    )
    people: list[User] = []
    for night in nights.select_related("run"):
        people = people or list(User.objects.filter(role=Role.OPERATOR, is_active=True))
        url = night.run.get_absolute_url() if night.run else reverse("learning:overview")
        title = f"Learning night of {night.night:%d %b}: {night.get_state_display().lower()}"
        for person in people:
            yield _notice(
                person, Kind.NIGHT, f"night:{night.pk}", title, url, night.finished_at or timezone.now(),
                text=night.reason, grave=night.state == NightlyRun.State.FAILED,
            )  # fmt: skip


SOURCES: Iterable[Callable[[datetime], Iterator[Notice]]] = (
    _assigned, _alert_comments, _call_comments, _jobs, _batches, _nights,
)  # fmt: skip


def _may_see(person: User, alert: Alert) -> bool:
    return Alert.objects.visible_to(person).filter(pk=alert.pk).exists()


def _alert_url(alert: Alert) -> str:
    return reverse("insights:alert", args=[alert.pk])


def _about(alert: Alert) -> str:
    # The right to see such alerts can be taken away again; what stands in the inbox then must not tell.
    what = "Restricted" if alert.category in RESTRICTED else alert.get_category_display()
    return f"{what} · {_call(alert.call)}"


def _call(call: Call) -> str:
    return f"{call.team.name}, call of {timezone.localtime(call.started_at):%d %b, %H:%M}"
