"""Exports: asked for on a page, made by a worker, downloaded by whoever asked, gone after a week."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Prefetch, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from callcenter.accounts.models import User
from callcenter.calls import selectors
from callcenter.calls.exports.columns import columns, rows_of
from callcenter.calls.exports.models import Export
from callcenter.calls.exports.writers import WRITERS
from callcenter.calls.filters import CallQuery
from callcenter.calls.models import Call
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue
from callcenter.core.storage import store
from callcenter.insights.models import Alert

log = structlog.get_logger("callcenter.exports")
State = Export.State
AT_ONCE = 3
CHUNK = 200
SILENCE = timedelta(minutes=5)
KEPT_FOR = timedelta(days=7)
MAX_FAILURES = 3


class Cancelled(Exception):
    """The row is no longer this worker's."""


def ask(*, by: User, query: CallQuery, format: str, scope: str) -> Export:
    """File an export of the calls that meet the filter. Raises CallcenterError for what is not known or too many."""
    if format not in Export.Format.values or scope not in Export.Scope.values:
        raise CallcenterError(N_("Choose a format and what each row is."), code="unknown_format")
    with transaction.atomic():
        User.objects.select_for_update().get(pk=by.pk)
        if by.exports.filter(state__in=Export.OPEN).count() >= AT_ONCE:
            raise CallcenterError(
                N_("%(at_once)s exports of yours are being made already; wait for one of them.") % {"at_once": AT_ONCE},
                code="too_many",
            )
        export = Export.objects.create(by=by, format=format, scope=scope, query=urlencode(query.params()))
        audit.record("calls.export", export, user=by, format=format, scope=scope)
    enqueue("exports.make", queue="ingest", export_id=str(export.pk))
    return export


def work(export_id: str) -> bool:
    """Make one export, if it waits; return whether this caller did. Whatever goes wrong is said on the row."""
    claimed = Export.objects.filter(pk=export_id, state=State.QUEUED).update(
        state=State.WORKING, heard_at=timezone.now(), progress=0.0
    )
    if claimed != 1:
        return False
    export = Export.objects.select_related("by").get(pk=export_id)
    try:
        _make(export)
    except Cancelled:
        log.info("export_taken_away", export=str(export.pk))
    except Exception as error:  # a full disk, a database that restarts: the person who waits is told
        log.exception("export_failed", export=str(export.pk), error=type(error).__name__)
        message = N_("It failed (%(error)s); ask again, and tell the operator if it fails twice.") % {
            "error": type(error).__name__
        }
        _mine(export).update(state=State.FAILED, error_message=message, finished_at=timezone.now())
    return True


def _make(export: Export) -> None:
    user = export.by
    if not user.is_active:
        _mine(export).update(
            state=State.FAILED, error_message=N_("This account is closed."), finished_at=timezone.now()
        )
        return
    query = CallQuery.parse(QueryDict(export.query))
    found = selectors.matching(Call.objects.visible_to(user), query, user=user)
    ids = list(found.order_by("started_at", "id").values_list("pk", flat=True))
    _say(export, 0.0, calls=len(ids))
    rows = 0
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        path = Path(folder) / "export"
        with WRITERS[export.format](path, columns(export.scope)) as writer:
            for start in range(0, len(ids), CHUNK):
                for call in _calls(ids[start : start + CHUNK], user, export.scope):
                    for row in rows_of(call, user, export.scope):
                        writer.write(row)
                        rows += 1
                _say(export, min(1.0, (start + CHUNK) / len(ids)))
        key = f"exports/{export.pk}.{export.format}"
        store().put_file(key, path)
        done = {"rows": rows, "size": path.stat().st_size, "storage_key": key, "finished_at": timezone.now()}
    if not _mine(export).update(state=State.DONE, progress=1.0, **done):
        store().delete(key)


def _calls(ids: list[UUID], user: User, scope: str) -> list[Call]:
    calls = Call.objects.visible_to(user).filter(pk__in=ids)
    calls = calls.select_related("recording", "team", "queue", "agent", "insight", "transcript")
    if scope == "turns":
        calls = calls.prefetch_related("transcript__turns")
    else:
        seen = Alert.objects.visible_to(user)
        calls = calls.prefetch_related(Prefetch("alerts", queryset=seen, to_attr="seen_alerts"))
    place = {pk: number for number, pk in enumerate(ids)}
    return sorted(calls, key=lambda call: place[call.pk])


def _mine(export: Export) -> QuerySet[Export]:
    return Export.objects.filter(pk=export.pk, state=State.WORKING, failures=export.failures)


def _say(export: Export, fraction: float, **values: object) -> None:
    if not _mine(export).update(progress=fraction, heard_at=timezone.now(), **values):
        raise Cancelled


def remove(*, export: Export, by: User) -> None:
    """Remove an export and its file, or give up one that is being made."""
    if export.storage_key:
        store().delete(export.storage_key)
    audit.record("calls.export_removed", export, user=by)
    export.delete()


def sweep() -> int:
    """Send again what nobody works on although somebody should, and remove what is a week old; return how many."""
    now = timezone.now()
    swept = 0
    for export in Export.objects.filter(state__in=Export.OPEN, heard_at__lt=now - SILENCE):
        lost = export.state == State.WORKING
        give_up = lost and export.failures + 1 >= MAX_FAILURES
        changed = Export.objects.filter(pk=export.pk, state=export.state, heard_at=export.heard_at).update(
            state=State.FAILED if give_up else State.QUEUED,
            failures=F("failures") + int(lost),
            heard_at=now,
            error_message=N_("The worker went silent %(max_failures)s times.") % {"max_failures": MAX_FAILURES}
            if give_up
            else "",
            finished_at=now if give_up else None,
        )
        if changed and not give_up:
            enqueue("exports.make", queue="ingest", export_id=str(export.pk))
        swept += changed
    for export in Export.objects.filter(created_at__lt=now - KEPT_FOR).exclude(state__in=Export.OPEN):
        if export.storage_key:
            store().delete(export.storage_key)
        export.delete()
        swept += 1
    return swept
