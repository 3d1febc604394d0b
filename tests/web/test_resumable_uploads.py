"""Files that arrive in pieces: the tus protocol as its clients speak it, and what becomes of files that never end."""

from __future__ import annotations

import base64
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcenter.calls.models import Batch, Upload
from callcenter.calls.services import resumable
from callcenter.calls.services.batches import process_row
from callcenter.core.storage import store
from tests.factories import BatchFactory, tone_wav

TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def batch(cast: Any) -> Batch:
    return BatchFactory(team=cast.team_a, created_by=cast.supervisor, closed_at=None)


@pytest.fixture
def client(cast: Any) -> Client:
    return signed_in(cast.supervisor)


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def begin(client: Client, batch: Batch, *, length: int, name: str = "Monday/a.wav") -> Any:
    named = base64.b64encode(name.encode()).decode()
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": f"filename {named}, kind d2F2"}
    return client.post(f"/batches/{batch.pk}/uploads", headers=headers)


def send(client: Client, place: str, data: bytes, *, offset: int, **headers: str) -> Any:
    told = {**TUS, "Upload-Offset": str(offset), **headers}
    return client.patch(place, data, content_type="application/offset+octet-stream", headers=told)


def test_a_file_in_three_pieces_becomes_one_row_whose_call_is_made(client: Client, batch: Batch) -> None:
    sound = tone_wav(seconds=1)
    place = begin(client, batch, length=len(sound))["Location"]
    cuts = (0, 1000, 9000, len(sound))
    for start, end in zip(cuts, cuts[1:], strict=False):
        answer = send(client, place, sound[start:end], offset=start)
        assert (answer.status_code, answer["Upload-Offset"]) == (204, str(end))
    row = batch.rows.get()
    assert (row.filename, row.size, answer["Callcenter-Row-State"]) == ("Monday/a.wav", len(sound), "received")
    assert process_row(row.pk).state == "done"  # type: ignore[union-attr]
    assert list(store().iter_keys("staging")) == []


def test_after_a_break_the_server_says_where_to_go_on(client: Client, batch: Batch) -> None:
    place = begin(client, batch, length=1000)["Location"]
    send(client, place, b"x" * 400, offset=0)
    asked = client.head(place, headers=TUS)
    assert (asked.status_code, asked["Upload-Offset"], asked["Upload-Length"]) == (200, "400", "1000")
    assert "no-store" in asked["Cache-Control"]
    assert send(client, place, b"x" * 100, offset=0).status_code == 409
    assert send(client, place, b"x" * 600, offset=400).status_code == 204
    assert batch.rows.get().size == 1000


def test_what_came_before_a_connection_broke_is_kept(batch: Batch) -> None:
    class Broken:
        sent = False

        def read(self, size: int) -> bytes:
            if self.sent:
                raise OSError("connection reset")
            self.sent = True
            return b"x" * 300

    upload = resumable.begin(batch=batch, filename="a.wav", length=1000)
    with pytest.raises(OSError, match="reset"):
        resumable.append(upload=upload, offset=0, stream=Broken())  # type: ignore[arg-type]
    assert Upload.objects.get().offset == 300


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Upload-Length": "many"}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Metadata": "filename"}, 400),
        ({"Upload-Metadata": "filename !!"}, 400),
        ({"Upload-Length": str(3000 * 2**20)}, 413),
    ],
)
def test_a_wrong_beginning_is_refused(client: Client, batch: Batch, headers: dict[str, str], status: int) -> None:
    told = {**TUS, "Upload-Length": "10", "Upload-Metadata": "filename YS53YXY=", **headers}
    assert client.post(f"/batches/{batch.pk}/uploads", headers=told).status_code == status
    assert not Upload.objects.exists()


def test_a_file_above_the_limit_has_a_row_that_says_so(client: Client, batch: Batch) -> None:
    begin(client, batch, length=3000 * 2**20)
    row = batch.rows.get()
    assert (row.state, row.code) == ("refused", "too_large")


def test_a_piece_of_another_kind_or_beyond_the_end_is_refused(client: Client, batch: Batch) -> None:
    place = begin(client, batch, length=10)["Location"]
    wrong = client.patch(place, b"x", content_type="text/plain", headers={**TUS, "Upload-Offset": "0"})
    assert wrong.status_code == 415
    assert send(client, place, b"x" * 11, offset=0).status_code == 413
    assert (Upload.objects.get().offset, batch.rows.count()) == (0, 0)


def test_an_empty_file_has_its_row_at_once(client: Client, batch: Batch) -> None:
    begin(client, batch, length=0)
    outcome = process_row(batch.rows.get().pk)
    assert outcome is not None and outcome.state == "refused"


def test_files_of_another_teams_batch_are_not_there(cast: Any, client: Client, batch: Batch) -> None:
    place = begin(client, batch, length=10)["Location"]
    other = signed_in(cast.supervisor_b)
    assert begin(other, batch, length=10).status_code == 404
    assert other.head(place, headers=TUS).status_code == 404
    assert send(other, place, b"x", offset=0).status_code == 404
    assert other.delete(place, headers=TUS).status_code == 404


def test_a_file_can_be_given_up(client: Client, batch: Batch) -> None:
    place = begin(client, batch, length=10)["Location"]
    send(client, place, b"x" * 4, offset=0)
    assert client.delete(place, headers=TUS).status_code == 204
    assert client.head(place, headers=TUS).status_code == 404
    assert list(store().iter_keys("staging")) == []


def test_a_closed_batch_takes_no_more_and_says_what_was_not_whole(client: Client, batch: Batch) -> None:
    place = begin(client, batch, length=10, name="half.wav")["Location"]
    send(client, place, b"x" * 5, offset=0)
    assert "half.wav" in client.get(f"/batches/{batch.pk}/").content.decode()
    client.post(f"/batches/{batch.pk}/close")
    row = batch.rows.get()
    assert (row.filename, row.state, row.code) == ("half.wav", "refused", "not_whole")
    assert "50 %" in row.reason
    assert begin(client, batch, length=10).status_code == 409
    assert list(store().iter_keys("staging")) == []


def test_what_nobody_goes_on_with_for_a_week_is_dropped_and_said(client: Client, batch: Batch) -> None:
    begin(client, batch, length=10)
    begin(client, batch, length=10, name="b.wav")
    Upload.objects.filter(filename="b.wav").update(updated_at=timezone.now() - timedelta(days=8))
    assert resumable.sweep() == 1
    assert list(Upload.objects.values_list("filename", flat=True)) == ["Monday/a.wav"]
    assert batch.rows.get().code == "not_whole"


def test_a_whole_file_whose_process_died_is_finished_by_the_sweeper(batch: Batch, tmp_path: Path) -> None:
    upload = resumable.begin(batch=batch, filename="a.wav", length=4)
    (tmp_path / "piece").write_bytes(b"RIFF")
    resumable._keep(upload, str(tmp_path / "piece"), 4)
    Upload.objects.update(updated_at=timezone.now() - timedelta(hours=1))
    assert resumable.sweep() == 1
    assert batch.rows.get().size == 4
    assert resumable.finish(Upload.objects.get()) == batch.rows.get()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 500), min_size=1, max_size=8), limit=st.integers(1, 300))
def test_whatever_the_pieces_the_bytes_are_the_same(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, sizes: list[int], limit: int
) -> None:
    monkeypatch.setattr(resumable, "PIECE_BYTES", limit)
    data = bytes(n % 251 for n in range(sum(sizes)))
    upload = resumable.begin(batch=batch, filename="a.bin", length=len(data))
    at = 0
    for size in sizes:
        resumable.append(upload=upload, offset=at, stream=io.BytesIO(data[at : at + size]))
        at += size
    row = Upload.objects.get(pk=upload.pk).row
    assert row is not None and store().get_bytes(row.staged_key) == data
