"""The outbox: told once, tried again with growing pauses, given up and shown; a dead receiver blocks nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

import pytest
from django.utils import timezone

from callcenter.core.models import AuditEvent
from callcenter.insights.models import Alert, Surge
from callcenter.insights.notifications import outbox, services, tasks
from callcenter.insights.notifications.models import Delivery, Mark, Route
from tests.factories import AlertFactory, CallFactory
from tests.notifications.receiver import Receiver

Make = Callable[..., tuple[Route, str]]
Sent = list[tuple[str, dict[str, Any]]]
State = Delivery.State


def an_alert(cast: Any, **values: Any) -> Alert:
    call = values.pop("call", None) or CallFactory(team=values.pop("team", cast.team_a), agent=cast.agent)
    return AlertFactory(call=call, **values)


def work(sent: Sent) -> int:
    """Do what was asked of the queue until nothing is left; return how many deliveries were tried."""
    tried = 0
    while sent:
        name, values = sent.pop(0)
        tried += name == "notifications.deliver" and outbox.deliver(values["delivery_id"])
    return tried


def later(delivery: Delivery) -> None:
    """Let the pauses of a delivery and its route be over."""
    past = timezone.now() - timedelta(seconds=1)
    Delivery.objects.filter(pk=delivery.pk).update(next_at=past)
    Route.objects.filter(pk=delivery.route_id).update(paused_until=past)


def only() -> Delivery:
    return Delivery.objects.select_related("route").get()


def test_an_alert_arrives_signed_with_ids_and_a_link_and_without_a_word_of_the_call(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    made, _ = route()
    alert = an_alert(cast)
    tasks.alerts_raised([str(alert.pk)])
    assert work(sent) == 1
    body = json.loads(receiver.got[0][2])
    assert body["version"] == 1 and body["id"] == str(only().pk) and body["event"] == "alerts" and body["count"] == 1
    said = body["alerts"][0]
    assert said["id"] == str(alert.pk) and said["category"] == "churn" and said["severity"] == "high"
    assert said["link"] == f"https://calls.example.org/calls/{alert.call_id}/?t=4000#turn-1"
    text = receiver.got[0][2].decode()
    assert alert.quote not in text and "cancel" not in text.replace(alert.rule_key, "")
    assert cast.agent.name not in text and alert.call.customer_ref not in text
    assert (only().state, only().attempts, only().reason) == (State.SENT, 1, "Answered 200.")


def test_an_alert_is_told_once_however_often_it_is_announced(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    route()
    alert = an_alert(cast)
    for _ in range(3):
        tasks.alerts_raised([str(alert.pk)])
        work(sent)
    outbox.deliver(only().pk)
    assert len(receiver.got) == 1


def test_the_alerts_of_a_call_go_together_and_an_urgent_one_goes_alone(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    route()
    call = CallFactory(team=cast.team_a, agent=cast.agent)
    alerts = [an_alert(cast, call=call, category=c) for c in ("churn", "complaint")]
    alerts.append(an_alert(cast, call=call, category="fraud", severity="critical"))
    tasks.alerts_raised([str(a.pk) for a in alerts])
    work(sent)
    assert sorted(json.loads(body)["count"] for _, _, body in receiver.got) == [1, 2]


def test_self_harm_goes_only_to_routes_marked_for_it_and_at_once_whatever_they_say(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    route(name="unmarked", by=cast.admin)
    quiet = {"quiet_from": time(0, 0), "quiet_until": time(23, 59, 59), "digest": "daily"}
    marked, _ = route(name="marked", by=cast.admin, tells_restricted=True, minimum_severity="critical", **quiet)
    tasks.alerts_raised([str(an_alert(cast, category="self_harm", severity="high").pk)], immediate=True)
    work(sent)
    assert only().route == marked and only().state == State.SENT


def test_other_teams_and_lower_severities_are_not_told(cast: Any, route: Make, receiver: Receiver, sent: Sent) -> None:
    route(minimum_severity="high")
    others = [an_alert(cast, team=cast.team_b), an_alert(cast, severity="low"), an_alert(cast, status="dismissed")]
    tasks.alerts_raised([str(a.pk) for a in others])
    assert not Delivery.objects.exists() and work(sent) == 0


def test_a_digest_gathers_and_leaves_out_what_was_dismissed_meanwhile(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    route(digest="hourly")
    alerts = [an_alert(cast) for _ in range(3)]
    for alert in alerts:
        tasks.alerts_raised([str(alert.pk)])
    assert work(sent) == 0 and only().items.count() == 3 and only().next_at > timezone.now()
    Alert.objects.filter(pk=alerts[0].pk).update(status="dismissed")
    later(only())
    tasks.sweep()
    work(sent)
    assert json.loads(receiver.got[0][2])["count"] == 2 and only().state == State.SENT


def test_a_digest_of_nothing_but_dismissed_alerts_is_withdrawn(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    route(digest="hourly")
    alert = an_alert(cast)
    tasks.alerts_raised([str(alert.pk)])
    alert.delete()
    later(only())
    tasks.sweep()
    work(sent)
    assert receiver.got == [] and only().state == State.WITHDRAWN


def test_an_unreachable_webhook_is_tried_again_with_growing_pauses_then_shown_as_failed_and_can_be_retried(
    cast: Any, route: Make, receiver: Receiver, sent: Sent, settings: Any
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"NOTIFY_MAX_ATTEMPTS": 3})
    route()
    receiver.answers += [(503, "busy", {})] * 3
    tasks.alerts_raised([str(an_alert(cast).pk)])
    pauses = []
    for attempt in range(1, 4):
        work(sent)
        row = only()
        assert row.attempts == attempt and row.reason == "Answered 503: busy"
        if attempt < 3:
            assert row.state == State.PENDING
            pauses.append((row.next_at - timezone.now()).total_seconds())
            tasks.sweep()
            assert work(sent) == 0  # not before its time
            later(row)
            tasks.sweep()
    assert pauses[1] > pauses[0] > 20
    assert only().state == State.FAILED and only().route.failures == 3
    services.retry(delivery=only(), by=cast.supervisor)
    work(sent)
    assert only().state == State.SENT and only().route.failures == 0
    assert {json.loads(body)["id"] for _, _, body in receiver.got} == {str(only().pk)}
    assert AuditEvent.objects.filter(action="route.retry").count() == 1


def test_a_dead_receiver_is_asked_once_a_pause_and_the_other_routes_go_on(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    dead, _ = route(name="dead", address="http://127.0.0.1:1/")
    route(name="well")
    alerts = [an_alert(cast) for _ in range(6)]
    tasks.alerts_raised([str(a.pk) for a in alerts])
    work(sent)
    assert len(receiver.got) == 6
    waiting = Delivery.objects.filter(route=dead)
    assert waiting.filter(state=State.PENDING).count() == 6 and sum(d.attempts for d in waiting) == 1
    tasks.sweep()
    assert work(sent) == 0
    urgent = an_alert(cast, severity="critical")
    tasks.alerts_raised([str(urgent.pk)])
    work(sent)  # what is urgent is tried all the same
    assert sum(d.attempts for d in waiting.all()) == 2


def test_when_it_is_back_everything_that_waited_goes_out(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    made, _ = route()
    receiver.answers.append((500, "", {}))
    tasks.alerts_raised([str(an_alert(cast).pk) for _ in range(5)])
    work(sent)
    assert Delivery.objects.filter(state=State.PENDING).count() == 5
    Delivery.objects.update(next_at=timezone.now())
    Route.objects.update(paused_until=None)
    tasks.sweep()
    assert len(sent) == 1  # one wakes the next
    work(sent)
    assert Delivery.objects.filter(state=State.SENT).count() == 5


def test_a_flood_becomes_one_message(cast: Any, route: Make, receiver: Receiver, sent: Sent) -> None:
    route()
    call = CallFactory(team=cast.team_a, agent=cast.agent)
    many = [an_alert(cast, call=CallFactory(team=cast.team_a, agent=cast.agent)) for _ in range(outbox.BURST)]
    tasks.alerts_raised([str(a.pk) for a in many])
    more = [an_alert(cast, call=call) for _ in range(60)]
    tasks.alerts_raised([str(a.pk) for a in more])
    assert Delivery.objects.count() == outbox.BURST + 1
    work(sent)
    biggest = max((json.loads(body) for _, _, body in receiver.got), key=lambda b: b["count"])
    assert biggest["count"] == 60 and len(biggest["alerts"]) == 50


def test_a_refused_address_fails_at_once_with_the_reason(
    cast: Any, route: Make, receiver: Receiver, sent: Sent, settings: Any
) -> None:
    route()
    settings.ENV = settings.ENV.model_copy(update={"NOTIFY_ALLOW_PRIVATE": False})
    tasks.alerts_raised([str(an_alert(cast).pk)])
    work(sent)
    assert receiver.got == [] and only().state == State.FAILED and "https" in only().reason


def test_a_worker_that_dies_while_sending_loses_nothing(cast: Any, route: Make, receiver: Receiver, sent: Sent) -> None:
    made, _ = route()
    tasks.alerts_raised([str(an_alert(cast).pk)])
    long_ago = timezone.now() - timedelta(minutes=10)
    Delivery.objects.update(state=State.SENDING, claimed_at=long_ago, attempts=1)
    Route.objects.update(busy_until=long_ago)
    sent.clear()
    tasks.sweep()
    work(sent)
    assert only().state == State.SENT and only().attempts == 2


def test_two_workers_send_one_message_once(
    cast: Any, route: Make, receiver: Receiver, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    route()
    tasks.alerts_raised([str(an_alert(cast).pk)])
    real = outbox.channels.send_webhook
    inner: list[bool] = []

    def meanwhile(*args: Any, **kwargs: Any) -> str:
        inner.append(outbox.deliver(only().pk))
        return real(*args, **kwargs)

    monkeypatch.setattr(outbox.channels, "send_webhook", meanwhile)
    assert outbox.deliver(only().pk) and inner == [False] and len(receiver.got) == 1


def test_an_alert_whose_message_was_lost_is_found_by_the_sweeper(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    route()
    tasks.sweep()
    now = timezone.now()
    Mark.objects.update(until=now - timedelta(minutes=30))
    lost, fresh = an_alert(cast), an_alert(cast)
    Alert.objects.filter(pk=lost.pk).update(created_at=now - timedelta(minutes=20))
    tasks.sweep()
    work(sent)
    assert [json.loads(body)["alerts"][0]["id"] for _, _, body in receiver.got] == [str(lost.pk)]
    assert not Delivery.objects.filter(items__alert=fresh).exists()


def test_a_test_is_tried_once_also_on_a_route_that_is_off_and_says_what_came_back(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    made, _ = route(enabled=False)
    receiver.answers.append((401, "who are you", {}))
    services.test(route=made, by=cast.supervisor)
    work(sent)
    assert only().state == State.FAILED and only().reason == "Answered 401: who are you"
    made.refresh_from_db()
    assert made.failures == 0 and made.paused_until is None
    Delivery.objects.all().delete()
    services.test(route=made, by=cast.supervisor)
    work(sent)
    assert only().state == State.SENT and json.loads(receiver.got[-1][2])["event"] == "test"


def test_a_message_for_people_names_what_and_where_and_no_word_of_the_call(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    route(channel="apprise", address=f"json://127.0.0.1:{receiver.port}/")
    call = CallFactory(team=cast.team_a, agent=cast.agent)
    alerts = [an_alert(cast, call=call, category=c) for c in ("churn", "legal")]
    tasks.alerts_raised([str(a.pk) for a in alerts])
    work(sent)
    said = json.loads(receiver.got[0][2])
    assert said["title"] == "Callcenter: 2 alerts, gravest high · Team A"
    assert "High: Churn · Team A" in said["message"] and "High: Legal or regulator" in said["message"]
    assert f"https://calls.example.org/calls/{call.pk}/?t=4000#turn-1" in said["message"]
    assert alerts[0].quote not in said["message"] and cast.agent.name not in said["message"]


def test_a_quote_goes_along_only_where_the_route_asks_for_it_and_without_what_must_be_hidden(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    route(with_quotes=True, by=cast.admin, tells_restricted=True)
    said = "my card is 4111 1111 1111 1111 and my mail is jane.doe@example.org so cancel it"
    call = CallFactory(team=cast.team_a, agent=cast.agent)
    an_alert(cast, call=call, quote=said)
    an_alert(cast, call=call, quote=said, category="self_harm", severity="critical")
    tasks.alerts_raised([str(alert.pk) for alert in call.alerts.all()])
    work(sent)
    quotes = {one["category"]: one["quote"] for _, _, body in receiver.got for one in json.loads(body)["alerts"]}
    assert quotes["self_harm"] == "" and quotes["churn"].endswith("so cancel it")
    text = " ".join(body.decode() for _, _, body in receiver.got)
    assert "4111" not in text and "1111" not in text and "jane.doe" not in text


def test_what_understanding_raises_comes_into_the_outbox_by_the_name_of_the_task(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    from callcenter.insights import events

    route(tells_restricted=True, by=cast.admin)
    alerts = [an_alert(cast), an_alert(cast, category="self_harm", severity="critical")]
    events.on_alerts_raised([alert.pk for alert in alerts])
    asked = [sent.pop(0) for _ in range(2)]
    assert [(name, values["immediate"]) for name, values in asked] == [
        (tasks.alerts_raised.name, True), (tasks.alerts_raised.name, False),
    ]  # fmt: skip
    for _, values in asked:
        tasks.alerts_raised(**values)
    assert work(sent) == 2 and len(receiver.got) == 2


def test_a_surge_is_told_on_routes_that_want_surges(cast: Any, route: Make, receiver: Receiver, sent: Sent) -> None:
    route(name="without")
    wanting, _ = route(name="with", tells_surges=True)
    surge = Surge.objects.create(
        team=cast.team_a, kind="negative", hour_at=timezone.now(), count=9, calls=10, expected=1.5, upper=4,
        probability=0.0001, weeks=4,
    )  # fmt: skip
    for _ in range(2):
        tasks.surges_raised([surge.pk])
    work(sent)
    assert only().route == wanting and only().state == State.SENT
    assert json.loads(receiver.got[0][2])["surge"]["count"] == 9 and len(receiver.got) == 1


def test_a_new_secret_signs_beside_the_old_one_for_a_day(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    made, old = route()
    new = services.rotate_secret(route=made, by=cast.supervisor)
    made.refresh_from_db()
    assert outbox.secrets_of(made) == [new, old]
    Route.objects.update(previous_secret_until=timezone.now() - timedelta(seconds=1))
    made.refresh_from_db()
    assert outbox.secrets_of(made) == [new]


def test_old_deliveries_are_forgotten_and_waiting_ones_never(cast: Any, route: Make, sent: Sent) -> None:
    made, _ = route()
    long_ago = timezone.now() - timedelta(days=100)
    for state in (State.SENT, State.FAILED, State.PENDING):
        Delivery.objects.create(route=made, state=state, next_at=timezone.now() + timedelta(days=1))
    Delivery.objects.update(created_at=long_ago)
    tasks.sweep()
    assert only().state == State.PENDING
