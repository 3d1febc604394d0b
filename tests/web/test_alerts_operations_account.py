"""Triage, operations, API tokens, and the addresses for machines."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from callcenter.accounts.models import ApiToken
from callcenter.core.models import AuditEvent
from callcenter.insights.models import Alert
from callcenter.pipeline.models import Run
from tests.factories import AlertFactory, CallFactory, RunFactory, understood_call


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_alerts_are_listed_gravest_first_and_open_ones_only(cast: Any) -> None:
    call = CallFactory(team=cast.team_a, agent=cast.agent)
    for severity in ("low", "critical", "medium", "high"):
        AlertFactory(call=call, severity=severity)
    AlertFactory(call=call, status="dismissed", severity="critical")
    AlertFactory(call=CallFactory(team=cast.team_b))
    html = signed_in(cast.supervisor).get("/alerts/").content.decode()
    assert re.findall(r'alert-card (\w+)"', html) == ["critical", "high", "medium", "low"]


def test_alert_filters_narrow_by_category_severity_agent_and_status(cast: Any) -> None:
    call = CallFactory(team=cast.team_a, agent=cast.agent)
    other = CallFactory(team=cast.team_a, agent=cast.other_agent)
    AlertFactory(call=call, category="fraud", severity="low")
    AlertFactory(call=other, category="churn", severity="high")
    AlertFactory(call=other, category="legal", severity="high", status="acknowledged")
    client = signed_in(cast.supervisor)
    for query, expected in {
        "category=fraud": 1, "severity=high": 1, f"agent={cast.agent.pk}": 1, "status=acknowledged": 1,
        "status=all": 3, "category=nonsense": 2, "status=nonsense": 2,
    }.items():  # fmt: skip
        assert len(re.findall("alert-card ", client.get(f"/alerts/?{query}").content.decode())) == expected, query


def test_an_alert_is_acknowledged_and_says_by_whom(cast: Any) -> None:
    alert = AlertFactory(call=CallFactory(team=cast.team_a))
    html = signed_in(cast.supervisor).post(f"/alerts/{alert.pk}/acknowledge", headers={"HX-Request": "true"})
    assert "Acknowledged by Supervisor" in html.content.decode()
    alert.refresh_from_db()
    assert alert.status == Alert.Status.ACKNOWLEDGED
    assert AuditEvent.objects.filter(action="alert.acknowledged").exists()


def test_an_alert_is_dismissed_only_with_a_reason(cast: Any) -> None:
    alert = AlertFactory(call=CallFactory(team=cast.team_a))
    client = signed_in(cast.supervisor)
    empty = client.post(f"/alerts/{alert.pk}/dismiss", {"reason": " "}, headers={"HX-Request": "true"})
    assert "Say why" in empty.content.decode()
    alert.refresh_from_db()
    assert alert.status == Alert.Status.OPEN
    client.post(f"/alerts/{alert.pk}/dismiss", {"reason": "A joke"})
    alert.refresh_from_db()
    assert (alert.status, alert.dismiss_reason) == (Alert.Status.DISMISSED, "A joke")


def test_triage_never_leads_to_another_site(cast: Any) -> None:
    alert = AlertFactory(call=CallFactory(team=cast.team_a))
    response = signed_in(cast.supervisor).post(f"/alerts/{alert.pk}/acknowledge", {"next": "https://evil.example/"})
    assert response["Location"] == f"/calls/{alert.call_id}/"


def test_an_agent_sees_own_alerts_but_cannot_decide_them(cast: Any) -> None:
    AlertFactory(call=CallFactory(team=cast.team_a, agent=cast.agent))
    AlertFactory(call=CallFactory(team=cast.team_a, agent=cast.other_agent))
    html = signed_in(cast.agent).get("/alerts/").content.decode()
    assert html.count("alert-card ") == 1
    assert "Acknowledge</button>" not in html


def test_failures_are_grouped_by_cause_and_a_cause_is_retried_at_once(
    cast: Any, sent: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    for number in range(3):
        RunFactory(
            call=CallFactory(team=cast.team_a), state=Run.State.FAILED,
            error_code="oom" if number < 2 else "bad_audio", error_message="Out of memory." if number < 2 else "Empty.",
        )  # fmt: skip
    foreign = RunFactory(call=CallFactory(team=cast.team_b), state=Run.State.FAILED, error_code="oom")
    client = signed_in(cast.supervisor)
    html = client.get("/operations/").content.decode()
    assert "Out of memory." in html
    assert "Retry all 2" in html
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/operations/retry", {"error_code": "oom"})
    assert Run.objects.filter(state=Run.State.QUEUED).count() == 2
    foreign.refresh_from_db()
    assert foreign.state == Run.State.FAILED
    assert [name for name, _ in sent] == ["pipeline.advance"] * 2


def test_a_failure_that_a_newer_run_made_good_is_not_shown(cast: Any) -> None:
    call = CallFactory(team=cast.team_a)
    RunFactory(call=call, state=Run.State.FAILED, error_message="Long ago.")
    RunFactory(call=call)
    assert "Long ago." not in signed_in(cast.supervisor).get("/operations/").content.decode()


def test_an_operator_sees_every_failure_and_not_a_word_of_any_call(cast: Any) -> None:
    call = understood_call(team=cast.team_b, run=False)
    RunFactory(call=call, state=Run.State.FAILED, error_message="Out of memory.")
    client = signed_in(cast.operator)
    html = client.get("/operations/").content.decode()
    assert "Out of memory." in html
    assert "Models on this machine" in html
    assert call.filename not in html
    assert "invoice" not in html


def test_without_workers_and_without_a_broker_the_page_still_answers(
    cast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from callcenter.pipeline import broker

    client = signed_in(cast.operator)
    assert "No worker answered" in client.get("/operations/").content.decode()
    monkeypatch.setattr(broker, "queue_length", lambda name: None)
    assert "broker does not answer" in client.get("/operations/panel").content.decode()


def test_workers_are_shown_with_their_queues_and_a_queue_that_nobody_serves_is_named(
    cast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from callcenter.celery import app
    from callcenter.pipeline import broker

    answers = {"active_queues": [{"cpu@host": [{"name": "default"}]}], "active": [{"cpu@host": [{}, {}]}]}
    monkeypatch.setattr(app.control, "broadcast", lambda command, **_: answers[command])
    monkeypatch.setattr(broker, "queue_length", lambda name: 4 if name == "speech" else 0)
    html = signed_in(cast.operator).get("/operations/").content.decode()
    assert "cpu@host" in html
    assert "4 messages wait in “Transcribing”" in html


def test_a_token_is_shown_once_works_and_stops_working_when_revoked(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    html = client.post("/account/tokens", {"name": "Telephone system", "days": "30"}).content.decode()
    found = re.search(r'id="token-secret" value="(cc_[\w-]+)"', html)
    assert found
    assert found[1] not in client.get("/account/").content.decode()
    assert ApiToken.authenticate(found[1]) == cast.supervisor
    client.post(f"/account/tokens/{ApiToken.objects.get().pk}/revoke")
    assert ApiToken.authenticate(found[1]) is None


def test_health_tells_which_part_is_down_and_needs_no_sign_in(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from callcenter.pipeline import broker

    monkeypatch.setattr(broker, "ping", lambda: True)
    assert Client().get("/healthz").json() == {"status": "ok", "database": True, "broker": True}
    monkeypatch.setattr(broker, "ping", lambda: False)
    response = Client().get("/healthz")
    assert (response.status_code, response.json()["broker"]) == (503, False)


def test_metrics_need_their_token(db: None, settings: Any) -> None:
    settings.ENV = SimpleNamespace(**{**vars(settings.ENV), "METRICS_TOKEN": "secret"})
    RunFactory()
    assert Client().get("/metrics").status_code == 401
    assert Client().get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    text = Client().get("/metrics", headers={"Authorization": "Bearer secret"}).content.decode()
    assert 'callcenter_runs{state="done"} 1.0' in text


def test_what_is_not_there_and_what_is_not_visible_look_alike(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    hidden = client.get(f"/calls/{CallFactory(team=cast.team_b).pk}/")
    absent = client.get("/calls/00000000-0000-4000-8000-000000000000/")
    strip = lambda response: re.sub(r"\s+", " ", response.content.decode().split("<main")[1])  # noqa: E731
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert strip(hidden) == strip(absent)


def test_a_wrong_password_is_said_without_saying_which_part(cast: Any) -> None:
    response = Client().post("/accounts/login/", {"login": "supervisor", "password": "wrong"})
    unknown = Client().post("/accounts/login/", {"login": "whoever", "password": "wrong"})
    alert = lambda r: re.search(r'class="alert alert-danger"[^>]*>([^<]+)<', r.content.decode())  # noqa: E731
    first, second = alert(response), alert(unknown)
    assert first and second and first[1] == second[1]
