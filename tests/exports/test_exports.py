"""Exports: made behind the page from what the person may see, in three formats that say the same."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from callcenter.calls.exports import services
from callcenter.calls.exports.models import Export
from callcenter.calls.filters import CallQuery
from callcenter.core.errors import CallcenterError
from callcenter.core.models import AuditEvent
from callcenter.core.storage import store
from tests.factories import QUIET, understood_call


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    from callcenter.celery import app

    kept: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(app, "send_task", lambda name, kwargs=None, **_: kept.append((name, kwargs or {})))
    monkeypatch.setattr("django.db.transaction.on_commit", lambda func, using=None, robust=False: func())
    return kept


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def made(user: Any, *, format: str = "jsonl", scope: str = "calls", address: str = "") -> Export:
    export = services.ask(by=user, query=CallQuery.parse(QueryDict(address)), format=format, scope=scope)
    assert services.work(str(export.pk))
    export.refresh_from_db()
    return export


def lines(export: Export) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store().get_bytes(export.storage_key).decode().splitlines()]


def test_a_row_a_call_says_what_the_pages_say(cast: Any) -> None:
    call = understood_call(team=cast.team_a, agent=cast.agent)
    (row,) = lines(made(cast.supervisor))
    assert (row["call_id"], row["agent"], row["intent"]) == (str(call.pk), cast.agent.username, call.insight.intent)
    assert (row["alerts"], row["alert_categories"]) == (1, "churn")
    assert row["sentiment"] == pytest.approx(call.insight.sentiment)


def test_the_three_formats_say_the_same(cast: Any) -> None:
    import pyarrow.parquet

    understood_call(team=cast.team_a, agent=cast.agent)
    understood_call(QUIET, team=cast.team_a, agent=cast.other_agent)
    as_json = lines(made(cast.supervisor))
    as_csv = made(cast.supervisor, format="csv")
    text = store().get_bytes(as_csv.storage_key).decode("utf-8-sig")
    table = list(csv.DictReader(io.StringIO(text)))
    as_parquet = made(cast.supervisor, format="parquet")
    parquet = pyarrow.parquet.read_table(io.BytesIO(store().get_bytes(as_parquet.storage_key))).to_pylist()
    for column in ("call_id", "team", "intent", "alert_categories"):
        assert [r[column] for r in as_json] == [r[column] for r in table] == [r[column] for r in parquet]
    assert [r["duration_ms"] for r in as_json] == [int(r["duration_ms"]) for r in table]
    assert [r["sentiment"] for r in as_json] == [r["sentiment"] for r in parquet]


def test_a_row_a_turn_carries_what_was_said_without_what_the_reader_may_not_see(cast: Any) -> None:
    call = understood_call(team=cast.team_a, agent=cast.agent)
    turn = call.turns.get(index=2)
    turn.words = [[w, 100 * n, 100 * n + 90, 0.9] for n, w in enumerate("my card is 4242 4242 4242 4242".split())]
    turn.text = "my card is 4242 4242 4242 4242"
    turn.save()
    rows = lines(made(cast.supervisor, scope="turns"))
    assert [row["turn"] for row in rows] == list(call.turns.values_list("index", flat=True))
    assert "4242" not in json.dumps(rows)
    assert rows[2]["text"].startswith("my card is")


@pytest.mark.parametrize(("role", "calls"), [("agent", 1), ("other_agent", 1), ("supervisor", 2), ("supervisor_b", 0)])
def test_nobody_exports_what_they_may_not_see(cast: Any, role: str, calls: int) -> None:
    understood_call(team=cast.team_a, agent=cast.agent)
    understood_call(team=cast.team_a, agent=cast.other_agent)
    export = made(cast[role])
    assert (export.calls, export.rows) == (calls, calls)


def test_the_filter_of_the_list_holds_for_the_export(cast: Any) -> None:
    understood_call(team=cast.team_a, agent=cast.agent)
    quiet = understood_call(QUIET, team=cast.team_a, agent=cast.agent)
    assert [row["call_id"] for row in lines(made(cast.supervisor, address="intent=praise"))] == [str(quiet.pk)]


def test_text_that_a_spreadsheet_would_run_is_made_harmless(cast: Any) -> None:
    understood_call(team=cast.team_a, agent=cast.agent, customer_ref='=HYPERLINK("x")')
    export = made(cast.supervisor, format="csv")
    assert "'=HYPERLINK" in store().get_bytes(export.storage_key).decode("utf-8-sig")


def test_what_goes_wrong_is_said_on_the_row(cast: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    understood_call(team=cast.team_a, agent=cast.agent)

    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(type(store()), "put_file", full)
    export = made(cast.supervisor)
    assert export.state == "failed" and "OSError" in export.error_message


def test_an_export_whose_worker_died_is_made_again_and_given_up_after_three(cast: Any, sent: Any) -> None:
    export = services.ask(by=cast.agent, query=CallQuery(), format="csv", scope="calls")
    for failures in (1, 2):
        Export.objects.update(state="working", heard_at=timezone.now() - timedelta(hours=1))
        services.sweep()
        export.refresh_from_db()
        assert (export.state, export.failures) == ("queued", failures)
    Export.objects.update(state="working", heard_at=timezone.now() - timedelta(hours=1))
    services.sweep()
    export.refresh_from_db()
    assert export.state == "failed" and "silent" in export.error_message


def test_files_go_after_a_week(cast: Any) -> None:
    export = made(cast.agent)
    Export.objects.update(created_at=timezone.now() - timedelta(days=8))
    services.sweep()
    assert not Export.objects.exists() and not store().exists(export.storage_key)


def test_three_at_a_time_are_enough(cast: Any) -> None:
    for _ in range(3):
        services.ask(by=cast.agent, query=CallQuery(), format="csv", scope="calls")
    with pytest.raises(CallcenterError, match="already"):
        services.ask(by=cast.agent, query=CallQuery(), format="csv", scope="calls")


def test_the_pages_lead_from_the_list_to_the_file(cast: Any, sent: Any) -> None:
    understood_call(team=cast.team_a, agent=cast.agent)
    client = signed_in(cast.supervisor)
    listed = client.get("/calls/?intent=cancellation").content.decode()
    assert "/exports/?intent=cancellation&amp;new=1" in listed
    assert client.post("/exports/?direction=inbound", {"format": "csv", "scope": "calls"}).status_code == 302
    export = Export.objects.get()
    assert export.query == "direction=inbound"
    assert services.work(str(export.pk))
    page = client.get("/exports/").content.decode()
    assert f"/exports/{export.pk}/file" in page
    answer = client.get(f"/exports/{export.pk}/file")
    assert answer["Content-Disposition"].endswith('.csv"')
    assert b"".join(answer.streaming_content).startswith(b"\xef\xbb\xbfcall_id")  # type: ignore[attr-defined]
    assert AuditEvent.objects.filter(action="calls.export_download").exists()
    assert client.post("/exports/", {"format": "xls", "scope": "calls"}).status_code == 302
    assert Export.objects.count() == 1
