"""A manifest with somebody else's column names: looked at, said what it means, remembered for the team."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from callcenter.calls.models import Batch, ManifestMapping, Queue
from callcenter.calls.services import batches, columns
from callcenter.core.errors import Refused
from tests.factories import BatchFactory

CSV = "Audio file;Advisor;When;Colour\na.wav;agent;2026-03-31T10:00;red\nb.wav;nobody;yesterday;blue\n;agent;;\n"
MEANING = {"audio file": "filename", "advisor": "agent", "when": "started_at", "colour": ""}


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def look(client: Client, team: Any, text: str = CSV, **values: Any) -> str:
    data = {"file": SimpleUploadedFile("calls.csv", text.encode()), "team": team.pk, **values}
    answer = client.post("/batches/manifest", data)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_columns_are_shown_and_what_is_missing_is_asked_for(cast: Any) -> None:
    html = look(signed_in(cast.supervisor), cast.team_a)
    for name in ("Audio file", "Advisor", "When", "Colour"):
        assert name in html
    assert "Say which column holds the name of the file." in html
    assert 'data-ready="no"' in html


def test_each_row_says_what_is_wrong_with_it_and_nothing_is_written(cast: Any) -> None:
    html = look(signed_in(cast.supervisor), cast.team_a, mapping=json.dumps(MEANING), names='["a.wav", "c.wav"]')
    rows = html.split("<tr>")[2:]
    assert "Nothing" in rows[0]
    assert "agent “nobody” is not a known user name." in rows[1]
    assert "started_at “yesterday” is not a date" in rows[1]
    assert "No chosen file has this name." in rows[1]
    assert "There is no file name." in rows[2]
    assert "1 of 2 chosen files are named" in html
    assert not ManifestMapping.objects.exists()
    look(signed_in(cast.supervisor), cast.team_a, "filename,queue\na.wav,Made up\n")
    assert not Queue.objects.filter(name="Made up").exists()


def test_all_of_thousands_of_files_are_counted(cast: Any) -> None:
    files = [f"monday/{number}.wav" for number in range(1500)]
    text = "filename\n" + "".join(f"{number}.wav\n" for number in range(1500))
    html = look(signed_in(cast.supervisor), cast.team_a, text, names=json.dumps([*files, "monday/late.wav"]))
    assert "1,500 of 1,501 chosen files are named" in html


def test_two_columns_cannot_mean_the_same(cast: Any) -> None:
    meaning = {**MEANING, "colour": "agent"}
    html = look(signed_in(cast.supervisor), cast.team_a, mapping=json.dumps(meaning))
    assert "“Advisor” and “Colour” are both taken for agent" in html
    assert 'data-ready="no"' in html


def test_what_was_said_once_is_remembered_for_the_team_alone(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    batch = BatchFactory(team=cast.team_a, created_by=cast.supervisor, closed_at=None)
    good = CSV.rsplit("\n", 2)[0] + "\n"
    sent = {"file": SimpleUploadedFile("calls.csv", good.encode()), "mapping": json.dumps(MEANING)}
    row = client.post(f"/batches/{batch.pk}/file", sent, headers={"Accept": "application/json"}).json()
    assert row["state"] == "done"
    batch.refresh_from_db()
    assert batch.manifest == {
        "a.wav": {"agent": "agent", "started_at": "2026-03-31T10:00"},
        "b.wav": {"agent": "nobody", "started_at": "yesterday"},
    }
    assert 'data-ready="yes"' in look(client, cast.team_a, good)
    assert 'data-ready="no"' in look(signed_in(cast.supervisor_b), cast.team_b, good)
    # Without scripts the page sends no mapping: what is remembered holds.
    plain = BatchFactory(team=cast.team_a, created_by=cast.supervisor)
    assert batches.add_manifest(batch=plain, filename="calls.csv", data=good.encode()).state == "done"


def test_machines_have_to_use_our_names_whatever_people_have_said(cast: Any) -> None:
    columns.remember(cast.team_a, MEANING)
    batch = BatchFactory(team=cast.team_a, source=Batch.Source.API)
    row = batches.add_manifest(batch=batch, filename="calls.csv", data=CSV.encode())
    assert row.state == "refused"
    assert "“Audio file”" in row.reason


def test_json_lines_have_columns_too(cast: Any) -> None:
    text = '{"clip": "a.wav", "advisor": "agent"}\n{"clip": "b.wav", "queue": "Sales"}\n'
    found = columns.preview(
        filename="calls.jsonl", data=text.encode(), team=cast.team_a, by=cast.supervisor,
        mapping={"clip": "filename", "advisor": "agent"}, files=["a.wav", "b.wav"],
    )  # fmt: skip
    assert (found.ready, found.named, found.without_file) == (True, 2, 0)
    assert [row.problems for row in found.rows] == [[], []]


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 1}', '{"a": "colour"}', '"x"'])
def test_a_mapping_that_is_none_is_refused(cast: Any, text: str) -> None:
    with pytest.raises(Refused):
        columns.read_mapping(text)
    batch = BatchFactory(team=cast.team_a, created_by=cast.supervisor)
    sent = {"file": SimpleUploadedFile("calls.csv", b"filename\na.wav\n"), "mapping": text}
    answer = signed_in(cast.supervisor).post(f"/batches/{batch.pk}/file", sent)
    assert (answer.status_code, batch.rows.count()) == (400, 0)


def test_what_is_no_table_no_team_or_no_file_is_said(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    assert "not UTF-8" in client.post(
        "/batches/manifest", {"file": SimpleUploadedFile("m.csv", b"a\xff\xfe"), "team": cast.team_a.pk}
    ).content.decode()  # fmt: skip
    assert "Choose the team first" in look(client, cast.team_b)
    assert "No file was received" in client.post("/batches/manifest", {"team": cast.team_a.pk}).content.decode()
    assert "no rows" in look(client, cast.team_a, "filename\n")
    assert signed_in(cast.agent).post("/batches/manifest").status_code == 403


def test_whatever_stands_in_a_manifest_is_text_on_the_page(cast: Any) -> None:
    html = look(signed_in(cast.supervisor), cast.team_a, "filename,<b>x</b>\n<script>1</script>.wav,<i>\n")
    assert "<script>1" not in html
    assert "<b>x" not in html
