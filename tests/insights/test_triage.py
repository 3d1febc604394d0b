"""Alerts are assigned, discussed, decided and opened again; those on self-harm only by people with the right."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callcenter.core.errors import CallcenterError
from callcenter.insights import audits, events, figures, services, surges, triage
from callcenter.insights.models import Alert, AlertEvent, AuditItem, Surge
from tests.factories import QUIET, AlertFactory, CallFactory, InsightFactory, understood_call


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def alert(cast: Any) -> Alert:
    return AlertFactory(call=CallFactory(team=cast.team_a, agent=cast.agent))


def grave(cast: Any) -> Alert:
    return AlertFactory(
        call=CallFactory(team=cast.team_a, agent=cast.agent), category="self_harm", quote="secret words"
    )


def allow(user: Any) -> Any:
    user.restricted_alerts = True
    user.save()
    return user


def test_an_alert_has_a_life_and_its_page_tells_it(cast: Any, alert: Alert) -> None:
    client = signed_in(cast.supervisor)
    base = f"/alerts/{alert.pk}"
    client.post(f"{base}/assign", {"to": str(cast.agent.pk)})
    client.post(f"{base}/comment", {"text": "I shall <b>listen</b>."})
    client.post(f"{base}/dismiss", {"reason": "It was a film.", "kind": "wrong"})
    client.post(f"{base}/reopen")
    client.post(f"{base}/acknowledge")
    kinds = list(alert.events.values_list("kind", flat=True))
    assert kinds == ["assigned", "comment", "dismissed", "reopened", "acknowledged"]
    html = client.get(f"{base}/").content.decode()
    for words in ("assigned it to Agent", "I shall &lt;b&gt;listen", "It was a film.", "88", "Phrase", "1:3, 1:4, 1:5"):
        assert words in html, words
    assert f"#t={alert.start_ms / 1000:.2f},{alert.end_ms / 1000:.2f}" in html
    alert.refresh_from_db()
    assert alert.status == "acknowledged" and alert.touched and alert.dismiss_kind == ""
    assert client.get("/alerts/?status=all&assigned=nobody").content.decode().count("alert-card ") == 0
    assert signed_in(cast.agent).get("/alerts/?status=all&assigned=me").content.decode().count("alert-card ") == 1


def test_only_people_who_may_see_the_call_are_assigned(cast: Any, alert: Alert) -> None:
    for person in (cast.agent_b, cast.other_agent, cast.supervisor_b, cast.operator):
        with pytest.raises(CallcenterError, match="may not see"):
            triage.assign(alert=alert, by=cast.supervisor, to=person)
    for person in (cast.agent, cast.supervisor, cast.compliance, cast.admin):
        assert triage.assign(alert=alert, by=cast.supervisor, to=person).assigned_to == person
    assert triage.assign(alert=alert, by=cast.supervisor, to=None).assigned_to is None


def test_a_comment_says_something(cast: Any, alert: Alert) -> None:
    for text in ("  ", "x" * 2001):
        with pytest.raises(CallcenterError):
            triage.comment(alert=alert, by=cast.supervisor, text=text)
    html = signed_in(cast.supervisor).post(
        f"/alerts/{alert.pk}/comment", {"text": " ", "part": "desk"}, headers={"HX-Request": "true"}
    )
    assert "Write something first." in html.content.decode()


def test_what_a_person_touched_survives_understanding_again(cast: Any) -> None:
    call = understood_call(team=cast.team_a)
    alert = call.alerts.get()
    triage.comment(alert=alert, by=cast.supervisor, text="Mine.")
    AlertFactory(call=call, rule_key="nobody-cared")
    document = {**call.insight.document, "nlu_version": "2", "alerts": []}
    services.store_insight(call=call, document=document)
    assert list(call.alerts.all()) == [alert]


def test_new_alerts_are_told_once_and_the_grave_ones_at_once(
    cast: Any, sent: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(events, "_installed", lambda task: True)
    call = understood_call(team=cast.team_a)
    raw = {
        "category": "self_harm", "severity": "critical", "rule_key": "x", "rule_version": 1, "party": "customer",
        "start_ms": 50_000, "end_ms": 51_000, "score": 0.9,
    }  # fmt: skip
    other = {**raw, "category": "legal", "severity": "low"}
    document = {**call.insight.document, "nlu_version": "2", "alerts": [raw, other]}
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            services.store_insight(call=call, document=document)
    told = [(name, kwargs["immediate"], len(kwargs["alert_ids"])) for name, kwargs in sent]
    assert told == [("notifications.alerts_raised", True, 1), ("notifications.alerts_raised", False, 1)]
    call.insight.refresh_from_db()
    assert "alerts" not in call.insight.document


def test_self_harm_is_seen_by_a_role_with_the_right_and_by_nobody_else(cast: Any) -> None:
    alert = grave(cast)
    for name in ("agent", "other_agent", "supervisor", "supervisor_b", "operator", "compliance"):
        assert not Alert.objects.visible_to(cast[name]).exists(), name
    allow(cast.agent)
    allow(cast.supervisor_b)
    allow(cast.operator)
    for name in ("agent", "supervisor_b", "operator"):
        assert not Alert.objects.visible_to(cast[name]).exists(), name
    for person in (cast.admin, allow(cast.supervisor), allow(cast.compliance)):
        assert Alert.objects.visible_to(person).get() == alert


def test_without_the_right_no_page_and_no_answer_knows_of_it(cast: Any) -> None:
    from callcenter.accounts.models import ApiToken
    from callcenter.insights.selectors import open_alert_count

    call = understood_call(QUIET, team=cast.team_a, agent=cast.agent)
    alert = AlertFactory(call=call, category="self_harm", quote="secret words", start_ms=1_000, end_ms=2_000)
    client = signed_in(cast.supervisor)
    token = {"Authorization": f"Bearer {ApiToken.issue(user=cast.supervisor, name='x')[1]}"}
    pages = ("/alerts/?status=all", f"/calls/{call.pk}/", "/calls/", "/", "/rules/", "/alerts/quality/")
    answers = (f"/api/v1/calls/{call.pk}/insight", "/api/v1/alerts", f"/api/v1/calls/{call.pk}", "/api/v1/calls")
    for url in pages:
        html = client.get(url).content.decode()
        assert "secret words" not in html and "1 open" not in html and str(alert.pk) not in html, url
    for url in answers:
        text = Client().get(url, headers=token).content.decode()
        assert "secret words" not in text and "self_harm" not in text and '"open_alerts": 1' not in text, url
    assert (
        "No calls" in client.get("/calls/?category=self_harm").content.decode()
        or str(call.pk) not in client.get("/calls/?category=self_harm").content.decode()
    )
    for url in (f"/alerts/{alert.pk}/", f"/api/v1/alerts/{alert.pk}"):
        assert (client.get(url) if url.startswith("/alerts") else Client().get(url, headers=token)).status_code == 404
    assert client.post(f"/alerts/{alert.pk}/acknowledge").status_code == 404
    assert open_alert_count(cast.supervisor) == 0

    allow(cast.supervisor)
    assert open_alert_count(cast.supervisor) == 1
    html = client.get("/alerts/").content.decode()
    assert "secret words" in html and "on self-harm or threats" in html
    assert "secret words" in Client().get(answers[0], headers=token).content.decode()
    assert str(call.pk) in client.get("/calls/?category=self_harm").content.decode()


def test_self_harm_stands_above_everything_and_is_never_dismissed_in_a_heap(cast: Any) -> None:
    allow(cast.supervisor)
    call = CallFactory(team=cast.team_a)
    plain = [AlertFactory(call=call, severity="critical") for _ in range(2)]
    urgent = AlertFactory(call=call, category="self_harm", severity="low")
    client = signed_in(cast.supervisor)
    html = client.get("/alerts/").content.decode()
    assert html.index(str(urgent.pk)) < min(html.index(str(a.pk)) for a in plain)
    ids = [str(a.pk) for a in [*plain, urgent]]
    answer = client.post(
        "/alerts/bulk", {"alert": ids, "action": "dismiss", "kind": "wrong", "reason": " "}, follow=True
    )
    assert "Say why these alerts are dismissed." in answer.content.decode()
    answer = client.post(
        "/alerts/bulk", {"alert": ids, "action": "dismiss", "kind": "test", "reason": "A test."}, follow=True
    )
    assert "2 alerts dismissed." in answer.content.decode() and "1 alert on self-harm" in answer.content.decode()
    urgent.refresh_from_db()
    assert urgent.status == "open"
    client.post("/alerts/bulk", {"alert": ids, "action": "acknowledge"})
    urgent.refresh_from_db()
    assert urgent.status == "acknowledged"


def test_a_heap_holds_nothing_that_is_not_visible(cast: Any) -> None:
    foreign = AlertFactory(call=CallFactory(team=cast.team_b))
    client = signed_in(cast.supervisor)
    client.post("/alerts/bulk", {"alert": [str(foreign.pk), "nonsense"], "action": "acknowledge"})
    foreign.refresh_from_db()
    assert foreign.status == "open"
    assert "No alert was selected" in client.post("/alerts/bulk", {}, follow=True).content.decode()


def test_the_api_triages_like_the_page(cast: Any, alert: Alert) -> None:
    from callcenter.accounts.models import ApiToken

    client = Client(headers={"Authorization": f"Bearer {ApiToken.issue(user=cast.supervisor, name='x')[1]}"})
    base = f"/api/v1/alerts/{alert.pk}"

    def post(path: str, body: Any = None) -> Any:
        return client.post(base + path, body or {}, content_type="application/json")

    assert post("/assign", {"username": "agent"}).json()["assigned_to"] == "agent"
    assert post("/assign", {"username": "agent_b"}).status_code == 422
    assert post("/assign", {"username": "whoever"}).status_code == 422
    assert post("/comments", {"text": "From outside."}).status_code == 201
    assert post("/comments", {"text": " "}).status_code == 422
    assert post("/dismiss", {"reason": "No.", "kind": "nonsense"}).status_code == 422
    assert post("/dismiss", {"reason": "No.", "kind": "duplicate"}).json()["dismiss_kind"] == "duplicate"
    assert post("/reopen").json()["status"] == "open"
    found = client.get(base).json()
    assert [event["kind"] for event in found["events"]] == ["assigned", "comment", "dismissed", "reopened"]
    assert len(client.get("/api/v1/alerts?assigned_to=agent").json()["items"]) == 1
    agent = Client(headers={"Authorization": f"Bearer {ApiToken.issue(user=cast.agent, name='x')[1]}"})
    assert agent.post(f"{base}/reopen").status_code == 403
    assert agent.post(f"{base}/comments", {"text": "Me too."}, content_type="application/json").status_code == 403


def test_the_time_to_acknowledge_counts_the_first_answer(cast: Any) -> None:
    now = timezone.now()
    for minutes in (10, 20, 30, 40, 100):
        made = AlertFactory(call=CallFactory(team=cast.team_a))
        Alert.objects.filter(pk=made.pk).update(
            created_at=now - timedelta(hours=5), first_handled_at=now - timedelta(hours=5) + timedelta(minutes=minutes),
            status="acknowledged",
        )  # fmt: skip
    AlertFactory(call=CallFactory(team=cast.team_a))
    AlertFactory(call=CallFactory(team=cast.team_b))
    (row,) = figures.time_to_acknowledge(cast.supervisor)
    assert (row.team, row.handled, row.waiting) == ("Team A", 5, 1)
    assert row.median == timedelta(minutes=30) and row.p90 == timedelta(minutes=76)
    assert len(figures.time_to_acknowledge(cast.compliance)) == 2
    html = signed_in(cast.supervisor).get("/alerts/quality/").content.decode()
    assert "30 min" in html and "1 h 16 min" in html


def test_a_random_sample_of_quiet_calls_gives_the_recall(cast: Any) -> None:
    quiet = [understood_call(QUIET, team=cast.team_a, agent=cast.agent) for _ in range(6)]
    loud = understood_call(team=cast.team_a)
    understood_call(QUIET, team=cast.team_b)
    client = signed_in(cast.supervisor)
    assert client.post("/alerts/audits", {"size": "4", "days": "3650"}).status_code == 302
    items = list(AuditItem.objects.select_related("call"))
    assert len(items) == 4 and {item.call for item in items} <= set(quiet) and loud not in {i.call for i in items}
    sample = items[0].sample
    assert (sample.population, sample.alerted) == (6, 1)
    url = sample.get_absolute_url()
    assert "shows here after the first call" in client.get(url).content.decode()
    for item in items[:3]:
        client.post(f"{url}{item.pk}", {"verdict": "nothing"})
    refused = client.post(f"{url}{items[3].pk}", {"verdict": "missed"}, follow=True)
    assert "Say which category" in refused.content.decode()
    client.post(f"{url}{items[3].pk}", {"verdict": "missed", "category": "complaint", "note": "At the end."})
    found = audits.recall(sample, cast.supervisor)
    assert found is not None
    # One found; a quarter of six quiet calls missed, with Wilson's interval of 1 in 4 carried through.
    assert found.recall == pytest.approx(1 / 2.5)
    assert found.low == pytest.approx(1 / (1 + 6 * 0.6994), abs=0.001)
    assert found.high == pytest.approx(1 / (1 + 6 * 0.0456), abs=0.001)
    html = client.get(url).content.decode()
    assert "Complaint" in html and "All were heard" in html
    assert signed_in(cast.supervisor_b).get(url).status_code == 404
    for body, said in (({"size": "0", "days": "30"}, "1 to 200"), ({"size": "4", "days": "0"}, "ends before")):
        assert said in client.post("/alerts/audits", body, follow=True).content.decode()


def week_of(cast: Any, hours_back: int, calls: int, negative: int) -> None:
    at = timezone.now().replace(minute=30, second=0, microsecond=0) - timedelta(hours=hours_back)
    for number in range(calls):
        call = CallFactory(team=cast.team_a, started_at=at)
        InsightFactory(call=call, sentiment=-0.8 if number < negative else 0.4, intent="billing_question")


def test_a_rate_beyond_its_usual_band_raises_one_surge_and_tells_of_it(
    cast: Any, sent: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(events, "_installed", lambda task: True)
    for week in range(1, 6):
        week_of(cast, 1 + week * 168, 12, 1)
    week_of(cast, 1, 12, 9)
    with django_capture_on_commit_callbacks(execute=True):
        (surge,) = surges.find()
    assert (surge.kind, surge.count, surge.calls, surge.weeks, surge.team) == ("negative", 9, 12, 5, cast.team_a)
    assert surge.expected == pytest.approx(1.0) and 1 < surge.upper < 9
    assert sent == [("notifications.surges_raised", {"surge_ids": [surge.pk]})]
    assert surges.find() == [], "looking again finds nothing new"
    client = signed_in(cast.supervisor)
    assert "9 of 12 calls" in client.get("/alerts/").content.decode()
    assert "9 of 12 calls" not in signed_in(cast.agent).get("/alerts/").content.decode()
    assert "9 of 12 calls" not in signed_in(cast.supervisor_b).get("/alerts/").content.decode()
    client.post(f"/alerts/surges/{surge.pk}/acknowledge")
    assert "9 of 12 calls" not in client.get("/alerts/").content.decode()
    assert Surge.objects.get().acknowledged_by == cast.supervisor


@pytest.mark.parametrize(("weeks", "calls", "negative"), [(3, 12, 9), (5, 12, 3), (5, 4, 4)])
def test_little_history_few_calls_or_an_ordinary_hour_is_no_surge(
    cast: Any, weeks: int, calls: int, negative: int
) -> None:
    for week in range(1, weeks + 1):
        week_of(cast, 1 + week * 168, 12, 1)
    week_of(cast, 1, calls, negative)
    assert surges.find() == []


def test_the_band_is_a_probability_distribution() -> None:
    assert surges.tail(0, 12, 5, 60) == pytest.approx(1.0)
    assert surges.tail(13, 12, 5, 60) == 0.0
    top = surges.upper(12, 5, 60)
    assert surges.tail(top + 1, 12, 5, 60) < surges.CHANCE <= surges.tail(top, 12, 5, 60)
    # With endless history it is the binomial: 12 calls at 50 %.
    assert surges.tail(12, 12, 500_000, 1_000_000) == pytest.approx(0.5**12, rel=0.01)
    # The less is known of the rate, the wider the band.
    assert surges.upper(12, 1, 12) > surges.upper(12, 100, 1200)


def test_events_stay_when_their_author_goes(cast: Any, alert: Alert) -> None:
    triage.comment(alert=alert, by=cast.supervisor, text="Kept.")
    AlertEvent.objects.update(created_by=None)
    assert "Somebody" in signed_in(cast.compliance).get(f"/alerts/{alert.pk}/").content.decode()
