"""The machine's door: who gets in, what it shows, what it takes."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from callcenter.accounts.models import ApiToken, Team
from callcenter.calls.models import BatchRow, Call
from callcenter.calls.services import batches
from callcenter.core.models import AuditEvent
from callcenter.pipeline.models import Run
from tests.api.conftest import make_call
from tests.audio_files import call_wav

pytestmark = pytest.mark.django_db
V1 = "/api/v1"


def paths_of(call: Call) -> list[tuple[str, str]]:
    alert, run = call.alerts.get(), call.runs.get()
    return [
        ("get", f"{V1}/calls/{call.pk}"),
        ("get", f"{V1}/calls/{call.pk}/transcript"),
        ("get", f"{V1}/calls/{call.pk}/transcript.srt"),
        ("get", f"{V1}/calls/{call.pk}/insight"),
        ("post", f"{V1}/calls/{call.pk}/swap-parties"),
        ("post", f"{V1}/calls/{call.pk}/reprocess"),
        ("post", f"{V1}/alerts/{alert.pk}/acknowledge"),
        ("post", f"{V1}/alerts/{alert.pk}/dismiss"),
        ("get", f"{V1}/runs/{run.pk}"),
        ("post", f"{V1}/runs/{run.pk}/retry"),
    ]


def test_everything_but_health_needs_a_token(machines: Any, red_call: Call) -> None:
    for method, path in [*paths_of(red_call), ("get", f"{V1}/calls"), ("get", f"{V1}/alerts"), ("get", f"{V1}/runs")]:
        assert getattr(machines["nobody"], method)(path).status_code == 401, path
    assert machines["nobody"].post(f"{V1}/recordings").status_code == 401


@pytest.mark.parametrize("role", ["other_supervisor", "other_agent"])
def test_a_call_of_others_looks_as_if_it_were_not_there(machines: Any, red_call: Call, role: str) -> None:
    for method, path in paths_of(red_call):
        kwargs = {"data": {"reason": "x"}, "content_type": "application/json"} if method == "post" else {}
        assert getattr(machines[role], method)(path, **kwargs).status_code == 404, path
    for listing in ("calls", "alerts", "runs"):
        assert machines[role].get(f"{V1}/{listing}").json()["items"] == []


def test_an_operator_sees_runs_but_no_conversation(machines: Any, red_call: Call) -> None:
    assert len(machines["operator"].get(f"{V1}/runs").json()["items"]) == 1
    assert machines["operator"].get(f"{V1}/calls/{red_call.pk}/transcript").status_code == 404


def test_an_agent_reads_own_calls_and_changes_nothing(machines: Any, red_call: Call) -> None:
    agent = machines["agent"]
    assert agent.get(f"{V1}/calls/{red_call.pk}/transcript").json()["turns"][0]["text"].startswith("I want")
    assert agent.post(f"{V1}/calls/{red_call.pk}/swap-parties").status_code == 403
    assert agent.post(f"{V1}/alerts/{red_call.alerts.get().pk}/acknowledge").status_code == 403
    file = SimpleUploadedFile("a.wav", call_wav())
    assert agent.post(f"{V1}/recordings", {"file": file}).status_code == 403


def test_a_revoked_expired_or_inactive_token_opens_nothing(machines: Any, people: Any) -> None:
    supervisor = machines["supervisor"]
    assert supervisor.get(f"{V1}/calls").status_code == 200
    tokens = ApiToken.objects.filter(user=people["supervisor"])
    tokens.update(expires_at=timezone.now())
    assert supervisor.get(f"{V1}/calls").status_code == 401
    tokens.update(expires_at=None, revoked_at=timezone.now())
    assert supervisor.get(f"{V1}/calls").status_code == 401
    tokens.update(revoked_at=None)
    people["supervisor"].is_active = False
    people["supervisor"].save()
    assert supervisor.get(f"{V1}/calls").status_code == 401


def test_a_token_is_stored_as_its_hash_only(people: Any) -> None:
    token, secret = ApiToken.issue(user=people["agent"], name="t")
    assert secret not in str(ApiToken.objects.values().get(pk=token.pk))


def test_a_sent_recording_becomes_a_call_that_its_row_leads_to(machines: Any, people: Any) -> None:
    answer = machines["supervisor"].post(
        f"{V1}/recordings",
        {"file": SimpleUploadedFile("a.wav", call_wav()), "agent": "amy", "external_id": "A-1", "direction": "inbound"},
    )
    assert answer.status_code == 202 and answer.json()["state"] == "received"
    batches.process_row(answer.json()["id"])
    row = machines["supervisor"].get(f"{V1}/recordings/{answer.json()['id']}").json()
    assert row["state"] == "done"
    call = Call.objects.get(pk=row["call_id"])
    assert call.agent == people["agent"] and call.external_id == "A-1" and call.source == "api"
    assert machines["other_supervisor"].get(f"{V1}/recordings/{row['id']}").status_code == 404


def test_a_repeated_request_with_its_key_gives_the_first_answer_and_files_nothing_twice(machines: Any) -> None:
    def send(data: bytes) -> Any:
        file = SimpleUploadedFile("a.wav", data)
        return machines["supervisor"].post(f"{V1}/recordings", {"file": file}, HTTP_IDEMPOTENCY_KEY="k-1")

    first, second, other = send(call_wav()), send(call_wav()), send(call_wav(seed=9))
    assert (first.status_code, second.status_code, other.status_code) == (202, 200, 409)
    assert first.json()["id"] == second.json()["id"] and other.json()["code"] == "idempotency_mismatch"
    assert BatchRow.objects.count() == 1


def test_a_recording_for_a_team_of_others_is_refused(machines: Any) -> None:
    file = SimpleUploadedFile("a.wav", call_wav())
    answer = machines["supervisor"].post(f"{V1}/recordings", {"file": file, "team": "blue"})
    assert answer.status_code == 403 and answer.json()["code"] == "team_not_allowed"


def test_calls_are_paged_by_key_without_gap_or_repeat(machines: Any, people: Any) -> None:
    for number in range(1, 8):
        make_call(Team.objects.get(slug="red"), people["agent"], "hello", number)
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = machines["supervisor"].get(f"{V1}/calls?limit=3" + (f"&cursor={cursor}" if cursor else "")).json()
        seen += [item["external_id"] for item in page["items"]]
        cursor, pages = page["next"], pages + 1
    assert seen == [f"X{n}" for n in range(1, 8)] and pages == 3


def test_a_broken_cursor_is_told_and_not_a_crash(machines: Any) -> None:
    for cursor in ("x", "bm90IGpzb24", "WyJhIiwgImIiXQ"):
        answer = machines["supervisor"].get(f"{V1}/calls?cursor={cursor}")
        assert answer.status_code == 422 and answer.json()["code"] == "bad_cursor"


def test_calls_are_found_by_what_was_said(machines: Any, red_call: Call, blue_call: Call) -> None:
    compliance = machines["compliance"]
    assert [c["external_id"] for c in compliance.get(f"{V1}/calls?q=cancelling contract").json()["items"]] == ["X1"]
    assert [c["external_id"] for c in compliance.get(f"{V1}/calls?q=parcels").json()["items"]] == ["X2"]
    assert compliance.get(f'{V1}/calls?q="contract cancel"').json()["items"] == []


def test_a_transcript_comes_as_srt_vtt_text_and_json(machines: Any, red_call: Call) -> None:
    def get(kind: str) -> str:
        answer = machines["supervisor"].get(f"{V1}/calls/{red_call.pk}/transcript.{kind}")
        assert answer.status_code == 200
        return answer.content.decode()

    assert get("srt").startswith("1\n00:00:01,000 --> 00:00:03,300\nCustomer: I want to cancel my contract\n")
    assert "00:00:01.000 --> 00:00:03.300\n<v Customer>I want" in get("vtt") and get("vtt").startswith("WEBVTT\n\n")
    assert get("txt") == "[00:00:01] Customer: I want to cancel my contract\n"
    assert '"party": "customer"' in get("json")
    assert machines["supervisor"].get(f"{V1}/calls/{red_call.pk}/transcript.exe").status_code == 422


def test_reading_a_transcript_is_in_the_audit_log(machines: Any, red_call: Call, people: Any) -> None:
    machines["supervisor"].get(f"{V1}/calls/{red_call.pk}/transcript")
    event = AuditEvent.objects.get(action="call.view_transcript")
    assert event.user == people["supervisor"] and event.object_id == str(red_call.pk)


def test_a_call_without_transcript_says_so(machines: Any, red_call: Call) -> None:
    Call.objects.filter(pk=red_call.pk).update(transcript=None)
    answer = machines["supervisor"].get(f"{V1}/calls/{red_call.pk}/transcript")
    assert answer.status_code == 409 and answer.json()["code"] == "no_transcript"


def test_an_alert_is_acknowledged_and_dismissed_only_with_a_reason(machines: Any, red_call: Call) -> None:
    supervisor, alert = machines["supervisor"], red_call.alerts.get()
    path = f"{V1}/alerts/{alert.pk}"
    assert supervisor.post(f"{path}/acknowledge").json()["status"] == "acknowledged"
    empty = supervisor.post(f"{path}/dismiss", {"reason": " "}, content_type="application/json")
    assert empty.status_code == 422 and empty.json()["code"] == "reason_missing"
    done = supervisor.post(f"{path}/dismiss", {"reason": "quoting a film"}, content_type="application/json")
    assert done.json()["status"] == "dismissed"


def test_a_failed_run_is_retried_by_an_operator_and_a_running_one_is_a_conflict(machines: Any, red_call: Call) -> None:
    run = red_call.runs.get()
    assert machines["operator"].post(f"{V1}/runs/{run.pk}/retry").status_code == 409
    Run.objects.filter(pk=run.pk).update(state="failed")
    answer = machines["operator"].post(f"{V1}/runs/{run.pk}/retry")
    assert answer.status_code == 202 and answer.json()["state"] == "queued"


def test_a_session_may_read_but_needs_the_csrf_token_to_write(people: Any, red_call: Call) -> None:
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(people["supervisor"])
    assert client.get(f"{V1}/calls/{red_call.pk}").status_code == 200
    assert client.post(f"{V1}/calls/{red_call.pk}/swap-parties").status_code == 403


def test_health_needs_no_token_and_tells_when_the_broker_is_gone(machines: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("callcenter.pipeline.broker.ping", lambda: True)
    assert machines["nobody"].get(f"{V1}/health").json() == {"status": "ok", "database": True, "broker": True}
    monkeypatch.setattr("callcenter.pipeline.broker.ping", lambda: False)
    assert machines["nobody"].get(f"{V1}/health").status_code == 503


def test_the_openapi_document_names_every_resource(client: Any) -> None:
    paths = client.get(f"{V1}/openapi.json").json()["paths"]
    for resource in ("recordings", "calls", "alerts", "runs", "health"):
        assert any(path.startswith(f"{V1}/{resource}") for path in paths)
