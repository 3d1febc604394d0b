"""Sending recordings in, and asking how they ended."""

from __future__ import annotations

import hashlib

from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import File, Form, Router, Schema, Status
from ninja.files import UploadedFile

from callcenter.accounts.models import Role, Team, User
from callcenter.api.schemas import Problem, RecordingRow, Text
from callcenter.calls.models import Batch, BatchRow, IdempotencyKey
from callcenter.calls.services import batches
from callcenter.core.errors import CallcenterError

router = Router(tags=["recordings"])


class RecordingForm(Schema):
    """What may be said of a recording; all of it optional but the team where the user has several."""

    team: Text = ""
    agent: Text = ""
    queue: Text = ""
    direction: Text = ""
    started_at: Text = ""
    customer_ref: Text = ""
    external_id: Text = ""
    language: Text = ""
    num_speakers: Text = ""
    agent_channel: Text = ""


@router.post("", response={202: RecordingRow, 200: RecordingRow, 403: Problem, 409: Problem, 422: Problem})
def send_recording(
    request: HttpRequest, details: Form[RecordingForm], file: File[UploadedFile]
) -> Status[RecordingRow]:
    """Take one recording. Ask again with the row's id how it ended.

    With an `Idempotency-Key` header a repeated request gives the first answer (200) and changes nothing; the same
    key with other content is refused (409).
    """
    user: User = request.user  # type: ignore[assignment]
    if not user.has_role(Role.SUPERVISOR):
        raise CallcenterError("Your role may not send recordings.", code="forbidden")
    meta = {key: value for key, value in details.dict().items() if value}
    team = _team(user, meta.get("team", ""))
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        return Status(202, _row(_file(user, team, file, meta)))
    if len(key) > 200:
        raise CallcenterError("The Idempotency-Key is longer than 200 characters.", code="invalid")
    digest = _request_hash(file, meta)
    try:
        with transaction.atomic():
            kept = IdempotencyKey.objects.create(user=user, key=key, request_hash=digest)
            row = _file(user, team, file, meta)
            kept.row = row
            kept.save(update_fields=["row"])
    except IntegrityError:
        kept = IdempotencyKey.objects.select_related("row").get(user=user, key=key)
        if kept.request_hash != digest:
            raise CallcenterError(
                "This Idempotency-Key was used with other content.", code="idempotency_mismatch"
            ) from None
        if kept.row is None:
            raise CallcenterError("The first request with this key is still being taken.", code="busy") from None
        return Status(200, _row(kept.row))
    return Status(202, _row(row))


@router.get("/{row_id}", response={200: RecordingRow, 404: Problem, 422: Problem})
def recording_row(request: HttpRequest, row_id: int) -> RecordingRow:
    """Return how one sent recording stands."""
    visible = Batch.objects.visible_to(request.user)  # type: ignore[arg-type]
    return _row(get_object_or_404(BatchRow, pk=row_id, batch__in=visible))


def _file(user: User, team: Team, file: UploadedFile, meta: dict[str, str]) -> BatchRow:
    batch = batches.open_batch(by=user, team=team, name=f"API: {(file.name or 'recording')[-150:]}", source="api")
    row = batches.add_file(batch=batch, filename=file.name or "recording", stream=file, metadata=meta)  # type: ignore[arg-type]
    batches.close_batch(batch=batch)
    row.refresh_from_db()
    return row


def _team(user: User, text: str) -> Team:
    allowed = Team.objects.all() if user.sees_all_teams else user.teams.all()
    found = [t for t in allowed if text.lower() in (t.slug.lower(), t.name.lower())] if text else list(allowed)
    if not text and len(found) != 1:
        raise CallcenterError("Say which team the recording belongs to.", code="team_missing")
    if not found:
        raise CallcenterError(f"You may not file calls under the team “{text}”.", code="team_not_allowed")
    return found[0]


def _request_hash(file: UploadedFile, meta: dict[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(meta.items())).encode())
    digest.update((file.name or "").encode())
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def _row(row: BatchRow) -> RecordingRow:
    return RecordingRow(
        id=row.pk,
        filename=row.filename,
        state=row.state,
        reason=row.reason,
        code=row.code,
        batch_id=row.batch_id,
        call_id=row.call_id,
    )
