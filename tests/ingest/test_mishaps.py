"""What goes wrong around a file, rather than in it: nothing stays claimed, nothing is lost, nothing is told wrongly."""

from __future__ import annotations

import io
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from callcenter.accounts.models import Role, Team, User
from callcenter.calls.models import Batch, BatchRow, Call
from callcenter.calls.services import batches, folder
from callcenter.core.errors import Refused
from callcenter.core.storage import store
from tests.audio_files import call_wav, write


def add(batch: Batch, name: str, data: bytes, **kwargs: Any) -> BatchRow:
    return batches.add_file(batch=batch, filename=name, stream=io.BytesIO(data), **kwargs)


def states(batch: Batch) -> dict[str, tuple[str, str]]:
    return {row.filename: (row.state, row.code) for row in batch.rows.all()}


def test_a_row_whose_check_meets_a_full_disk_goes_back_in_line_and_ends_after_three_tries(
    batch: Batch, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = add(batch, "a.wav", call_wav())
    batches.close_batch(batch=batch)

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(batches, "ingest_path", full)
    for expected in ("received", "received", "refused"):
        sent.clear()
        batches.process_row(row.pk)
        row.refresh_from_db()
        assert row.state == expected
        assert bool(sent) == (expected == "received")
    assert row.code == "check_failed" and "OSError" in row.reason
    assert not list(store().iter_keys("staging/"))


def test_a_row_that_died_after_filing_its_call_ends_as_done_and_not_as_its_own_duplicate(
    batch: Batch, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = add(batch, "a.wav", call_wav())
    monkeypatch.setattr(batches, "_end", lambda row, outcome: row)  # killed before it could say so
    batches.process_row(row.pk)
    monkeypatch.undo()
    BatchRow.objects.filter(pk=row.pk).update(state="received")
    batches.process_row(row.pk)
    row.refresh_from_db()
    assert (row.state, row.call) == ("done", Call.objects.get())


def test_an_upload_left_by_a_worker_that_died_after_the_end_is_removed_when_the_message_comes_again(
    batch: Batch,
) -> None:
    row = add(batch, "a.wav", call_wav())
    BatchRow.objects.filter(pk=row.pk).update(state="done", ended_at=timezone.now())
    assert batches.process_row(row.pk) is None
    assert not store().exists(row.staged_key)


def test_whoever_lost_the_claim_no_longer_decides_how_a_row_ends(batch: Batch) -> None:
    row = add(batch, "a.wav", call_wav())
    BatchRow.objects.filter(pk=row.pk).update(state="checking", claimed_at=timezone.now())
    stale = BatchRow.objects.get(pk=row.pk)
    BatchRow.objects.filter(pk=row.pk).update(claimed_at=timezone.now())
    batches._end(stale, batches.Outcome("refused", None, "too late", "late"))
    row.refresh_from_db()
    assert row.state == "checking" and store().exists(row.staged_key)


def test_a_damaged_file_in_an_archive_is_refused_alone(batch: Batch, work: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bad.wav", call_wav(seed=1))
        archive.writestr("good.wav", call_wav(seed=2))
        start = archive.getinfo("bad.wav").header_offset + 30 + len("bad.wav")
    data = bytearray(buffer.getvalue())
    data[start : start + 40] = bytes(range(200, 240))
    add(batch, "calls.zip", bytes(data))
    batches.close_batch(batch=batch)
    work()
    found = states(batch)
    assert found["calls.zip/bad.wav"] == ("refused", "zip_damaged")
    assert found["calls.zip/good.wav"][0] == "done" and found["calls.zip"][0] == "done"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.jsonl", b'{"filename": "a.wav", "queue": NaN}'),
        ("m.jsonl", b'{"filename": "a.wav", "queue": "a\\u0000b"}'),
        ("m.jsonl", b'{"filename": "a\\ud800.wav"}'),
        ("m.jsonl", b'{"filename": ' + b"[" * 100_000),
        ("m.csv", b'filename,queue\n"a.wav","' + b"x" * 200_000 + b'"\n'),
        ("m.csv", b"filename,queue\na.wav,b\x00c\n"),
    ],
)
def test_a_manifest_that_no_table_could_hold_is_refused_in_words(batch: Batch, name: str, data: bytes) -> None:
    row = batches.add_manifest(batch=batch, filename=name, data=data)
    assert (row.state, row.code) == ("refused", "bad_manifest") and row.reason


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("started_at", "0001-01-01T00:00:00+14:00"),
        ("started_at", "9999-12-31T23:59:59-12:00"),
        ("num_speakers", "²"),
        ("language", "klingon!"),
    ],
)
def test_a_value_at_the_end_of_the_world_is_refused_and_breaks_nothing(
    team: Team, supervisor: User, column: str, value: str
) -> None:
    from callcenter.calls.services.metadata import resolve

    with pytest.raises(Refused, match=column):
        resolve({column: value}, team=team, by=supervisor)


def test_a_file_that_arrives_while_the_batch_is_being_closed_is_worked_on(batch: Batch, work: Any) -> None:
    stale = Batch.objects.get(pk=batch.pk)
    batches.close_batch(batch=batch)
    add(stale, "late.wav", call_wav())
    work()
    assert states(batch)["late.wav"][0] == "done"


def settled(path: Path, data: bytes) -> Path:
    write(path, data)
    os.utime(path, (time.time() - 60, time.time() - 60))
    return path


def test_a_file_that_cannot_be_read_does_not_hold_up_the_watched_folder(
    team: Team, tmp_path: Path, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "in"
    settled(root / "a.wav", call_wav(seed=1))
    settled(root / "b.wav", call_wav(seed=2))
    taken = folder._take

    def take(path: Path, *args: Any) -> None:
        if path.name == "a.wav":
            raise PermissionError(13, "Permission denied")
        taken(path, *args)

    monkeypatch.setattr(folder, "_take", take)
    found = folder.poll(root=root)
    assert found is not None and found.closed_at is not None
    work()
    assert states(found) == {"b.wav": ("done", "")}
    assert (root / "a.wav").exists()


def test_a_misspelt_team_of_the_watched_folder_files_nothing_anywhere(
    team: Team, tmp_path: Path, settings: Any
) -> None:
    root = tmp_path / "in"
    path = settled(root / "a.wav", call_wav())
    settings.ENV = settings.ENV.model_copy(update={"INGEST_TEAM": "biling"})
    assert folder.poll(root=root) is None
    assert path.exists() and not Batch.objects.exists()


def test_a_model_operator_in_a_team_reads_none_of_its_calls(batch: Batch, work: Any, team: Team) -> None:
    add(batch, "a.wav", call_wav())
    batches.close_batch(batch=batch)
    work()
    operator = User.objects.create_user("oli", role=Role.OPERATOR)
    operator.teams.add(team)
    assert Call.objects.count() == 1
    assert not Call.objects.visible_to(operator).exists()
