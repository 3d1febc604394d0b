"""Uploading through the page: with scripts file by file, without them in one request; every row says how it ended."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from callcenter.calls.models import Batch, BatchRow
from callcenter.calls.services.batches import process_row
from callcenter.pipeline.models import Run
from tests.factories import BatchFactory, BatchRowFactory, CallFactory, RunFactory, tone_wav

JSON = {"Accept": "application/json"}


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def wav(name: str, pitch: int = 220) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, tone_wav(seconds=1, pitch=pitch), content_type="audio/wav")


def test_a_plain_form_takes_many_files_and_a_manifest(cast: Any) -> None:
    manifest = SimpleUploadedFile("calls.csv", b"filename,customer_ref\na.wav,C-1\nb.wav,C-2\n")
    files = [wav("a.wav"), wav("b.wav", 330)]
    data = {"team": cast.team_a.pk, "name": "By hand", "files": files, "manifest": manifest}
    response = signed_in(cast.supervisor).post("/batches/new", data)
    batch = Batch.objects.get(name="By hand")
    assert (response.status_code, response["Location"]) == (302, f"/batches/{batch.pk}/")
    assert batch.closed_at is not None
    assert [(row.filename, row.kind) for row in batch.rows.all()] == [
        ("calls.csv", "manifest"), ("a.wav", "audio"), ("b.wav", "audio"),
    ]  # fmt: skip


def test_scripts_open_a_batch_send_files_one_by_one_and_close_it(cast: Any, sent: list[Any]) -> None:
    client = signed_in(cast.supervisor)
    opened = client.post("/batches/new", {"team": cast.team_a.pk, "direction": "inbound"}, headers=JSON)
    assert opened.status_code == 201
    addresses = opened.json()
    answer = client.post(addresses["file"], {"file": wav("a.wav"), "path": "Monday/a.wav"}, headers=JSON)
    assert (answer.status_code, answer.json()["filename"]) == (201, "Monday/a.wav")
    bad = client.post(addresses["file"], {"file": SimpleUploadedFile("list.csv", b"colour\nred\n")}, headers=JSON)
    assert bad.json()["state"] == "refused"
    assert "colour" in bad.json()["reason"]
    assert client.post(addresses["close"], headers=JSON).json()["page"] == addresses["page"]
    batch = Batch.objects.get(pk=addresses["id"])
    assert batch.defaults == {"direction": "inbound"}
    assert batch.closed_at is not None


def test_the_page_says_what_is_missing_and_keeps_what_was_chosen(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    response = client.post("/batches/new", {"team": cast.team_a.pk, "name": "Kept"})
    assert response.status_code == 400
    html = response.content.decode()
    assert "Choose at least one recording" in html
    assert 'value="Kept"' in html
    assert client.post("/batches/new", {"name": "x"}, headers=JSON).json()["message"].startswith("Team:")


def test_nobody_uploads_to_a_team_of_others(cast: Any) -> None:
    response = signed_in(cast.supervisor).post("/batches/new", {"team": cast.team_b.pk}, headers=JSON)
    assert response.status_code == 400
    assert not Batch.objects.exists()


@pytest.mark.parametrize("path", ["../../etc/passwd.wav", "/etc/x.wav", "a\\b\\c.wav", "\x00.wav", "é" * 300 + ".wav"])
def test_no_file_name_leaves_its_row(path: str, cast: Any, tmp_path: Any) -> None:
    batch = BatchFactory(team=cast.team_a, created_by=cast.supervisor, closed_at=None)
    client = signed_in(cast.supervisor)
    response = client.post(f"/batches/{batch.pk}/file", {"file": wav("a.wav"), "path": path}, headers=JSON)
    assert response.status_code == 201
    assert batch.rows.count() == 1
    assert len(batch.rows.get().filename) <= 255
    assert not [p for p in tmp_path.rglob("*") if "passwd" in p.name]


def test_each_row_shows_how_it_ended_and_why(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    files = [wav("good.wav"), SimpleUploadedFile("text.wav", b"hello " * 99), SimpleUploadedFile("empty.wav", b"")]
    client.post("/batches/new", {"team": cast.team_a.pk, "files": files})
    batch = Batch.objects.get()
    addresses = f"/batches/{batch.pk}/"
    client.post(f"{addresses}file", {"file": wav("again.wav")}, headers=JSON)
    for row in batch.rows.all():
        process_row(row.pk)
    html = client.get(addresses).content.decode()
    states = dict(batch.rows.values_list("filename", "state"))
    assert states == {"good.wav": "done", "text.wav": "refused", "empty.wav": "refused", "again.wav": "duplicate"}
    for row in batch.rows.exclude(reason=""):
        assert row.reason in html
    call = batch.rows.get(filename="good.wav").call
    assert html.count(f'href="/calls/{call.pk}/"') == 2
    refused = client.get(f"{addresses}?show=refused").content.decode()
    assert "text.wav" in refused
    assert "good.wav" not in refused


def test_the_batch_page_renews_itself_until_every_run_has_ended(cast: Any) -> None:
    batch = BatchFactory(team=cast.team_a)
    call = CallFactory(team=cast.team_a)
    BatchRowFactory(batch=batch, call=call)
    run = RunFactory(call=call, state=Run.State.SPEECH)
    client = signed_in(cast.supervisor)
    assert "every 2s" in client.get(f"/batches/{batch.pk}/rows").content.decode()
    Run.objects.filter(pk=run.pk).update(state=Run.State.DONE)
    html = client.get(f"/batches/{batch.pk}/rows").content.decode()
    assert "every 2s" not in html
    assert "1 done" in html


def test_an_unfinished_upload_can_be_continued(cast: Any) -> None:
    batch = BatchFactory(team=cast.team_a, created_by=cast.supervisor, closed_at=None)
    BatchRowFactory(batch=batch, filename="here.wav", state=BatchRow.State.RECEIVED, size=7)
    html = signed_in(cast.supervisor).get(f"/batches/{batch.pk}/").content.decode()
    assert "This upload is not finished" in html
    assert '{"name": "here.wav", "size": 7}' in html


def test_a_batch_of_thousands_is_shown_in_pieces(cast: Any) -> None:
    batch = BatchFactory(team=cast.team_a)
    BatchRow.objects.bulk_create(
        BatchRow(batch=batch, position=n, filename=f"f{n:04}.wav", state="refused", reason="No.") for n in range(450)
    )
    client = signed_in(cast.supervisor)
    seen, address = [], f"/batches/{batch.pk}/"
    while address:
        html = client.get(address).content.decode()
        seen += re.findall(r"f\d{4}\.wav", html)
        found = re.search(r'href="([^"]+)">More files', html)
        address = found[1].replace("&amp;", "&") if found else ""
    assert seen == [f"f{n:04}.wav" for n in range(450)]


def test_a_request_without_a_file_is_refused_in_words(cast: Any) -> None:
    batch = BatchFactory(team=cast.team_a, created_by=cast.supervisor)
    response = signed_in(cast.supervisor).post(f"/batches/{batch.pk}/file", {"path": "x"}, headers=JSON)
    assert (response.status_code, response.json()) == (400, {"message": "No file was received."})
