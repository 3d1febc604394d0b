"""The notification pages: what supervisors may set up, what is refused at its field, secrets that do not come back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callcenter.core.models import AuditEvent
from callcenter.insights.notifications import outbox, sealing
from callcenter.insights.notifications.models import Delivery, Route
from tests.notifications.receiver import Receiver
from tests.notifications.test_outbox import Make, Sent, an_alert, work

NEW = "/alerts/notifications/new"
TOKEN = "T0KEN-that-nobody-sees"


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def filled(cast: Any, **values: Any) -> dict[str, Any]:
    return {
        "name": "Desk", "channel": "webhook", "address": f"https://hooks.example.org/{TOKEN}", "team": cast.team_a.pk,
        "minimum_severity": "high", "digest": "immediately", "daily_hour": "8", "time_zone": "Europe/Berlin",
        "categories": ["churn", "legal"], "enabled": "on", **values,
    }  # fmt: skip


def test_a_supervisor_makes_a_webhook_and_sees_its_secret_once(cast: Any, sent: Sent) -> None:
    client = signed_in(cast.supervisor)
    response = client.post(NEW, filled(cast))
    route = Route.objects.get()
    secret = sealing.unseal(route.secret_sealed)
    assert response.status_code == 200 and secret in response.content.decode()
    for path in (route.get_absolute_url(), "/alerts/notifications/", f"{route.get_absolute_url()}log"):
        page = client.get(path).content.decode()
        assert secret not in page and TOKEN not in page and "https://hooks.example.org/…" in page, path
    stored = str(Route.objects.filter(pk=route.pk).values().get()) + str(list(AuditEvent.objects.values()))
    assert TOKEN not in stored and secret not in stored
    assert sealing.unseal(route.address_sealed).endswith(TOKEN)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": ""}, "This field is required"),
        ({"address": "http://hooks.example.org/x"}, "Only https:// is allowed"),
        ({"address": "hooks"}, "begins with https://"),
        ({"channel": "apprise", "address": "nosuch://x"}, "No service is known"),
        ({"channel": "apprise", "address": "syslog://"}, "is not allowed here"),
        ({"team": ""}, "This field is required"),
        ({"quiet_from": "22:00"}, "Give both times"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "would never end"),
        ({"quiet_from": "25:00", "quiet_until": "07:00"}, "Enter a valid time"),
        ({"time_zone": "Mars/Olympus"}, "Select a valid choice"),
        ({"categories": ["self_harm"]}, "Select a valid choice"),
        ({"daily_hour": "99"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_stored(cast: Any, values: dict[str, Any], said: str) -> None:
    response = signed_in(cast.supervisor).post(NEW, filled(cast, **values))
    assert response.status_code == 400 and said in response.content.decode()
    assert not Route.objects.exists()


def test_a_supervisor_sets_up_neither_another_team_nor_all_teams_and_an_administrator_does(cast: Any) -> None:
    for team in (cast.team_b.pk, ""):
        assert signed_in(cast.supervisor).post(NEW, filled(cast, team=team)).status_code == 400
    assert signed_in(cast.admin).post(NEW, filled(cast, team="")).status_code == 200
    assert Route.objects.get().team is None
    assert b"Desk" not in signed_in(cast.supervisor).get("/alerts/notifications/").content


def test_self_harm_is_told_only_where_somebody_with_that_right_says_so(cast: Any) -> None:
    plain = signed_in(cast.supervisor)
    assert b"tells_restricted" not in plain.get(NEW).content
    assert plain.post(NEW, filled(cast, tells_restricted="on")).status_code == 200
    assert not Route.objects.get().tells_restricted
    Route.objects.all().delete()
    assert signed_in(cast.admin).post(NEW, filled(cast, tells_restricted="on")).status_code == 200
    route = Route.objects.get()
    assert route.tells_restricted
    # Somebody without the right changes something else and takes nothing away.
    plain.post(route.get_absolute_url(), filled(cast, name="Renamed", address=""))
    route.refresh_from_db()
    assert route.tells_restricted and route.name == "Renamed"


def test_a_change_without_an_address_keeps_the_old_one_and_is_in_the_audit_log(
    cast: Any, route: Make, receiver: Receiver
) -> None:
    made, _ = route()
    before = made.address_sealed
    response = signed_in(cast.supervisor).post(made.get_absolute_url(), filled(cast, address="", digest="daily"))
    made.refresh_from_db()
    assert response.status_code == 302 and made.address_sealed == before and made.digest == "daily"
    assert "digest" in AuditEvent.objects.get(action="route.change").detail["fields"]
    wrong = signed_in(cast.supervisor).post(made.get_absolute_url(), filled(cast, address="ftp://x"))
    made.refresh_from_db()
    assert wrong.status_code == 400 and made.address_sealed == before


def test_the_test_button_shows_what_came_back(cast: Any, route: Make, receiver: Receiver, sent: Sent) -> None:
    made, _ = route()
    client = signed_in(cast.supervisor)
    page = client.post(f"{made.get_absolute_url()}test", headers={"HX-Request": "true"}).content.decode()
    assert "on its way" in page and "hx-trigger" in page
    receiver.answers.append((404, "no such hook", {}))
    work(sent)
    page = client.get(f"{made.get_absolute_url()}log").content.decode()
    assert "it did not arrive." in page and "Answered 404: no such hook" in page and "hx-trigger" not in page


def test_a_failed_delivery_is_retried_by_hand_and_a_sent_one_is_not(
    cast: Any, route: Make, receiver: Receiver, sent: Sent
) -> None:
    made, _ = route()
    client = signed_in(cast.supervisor)
    outbox.announce([an_alert(cast).pk])
    Delivery.objects.update(state="failed", reason="Answered 500.", attempts=6)
    sent.clear()
    page = client.get(made.get_absolute_url()).content.decode()
    assert "Answered 500." in page and "Try now" in page
    again = f"/alerts/notifications/deliveries/{Delivery.objects.get().pk}/retry"
    client.post(again)
    work(sent)
    assert Delivery.objects.get().state == "sent" and len(receiver.got) == 1
    response = client.post(again, follow=True)
    assert "Only what has not been delivered" in response.content.decode()
    assert work(sent) == 0


def test_the_list_says_how_each_route_is_doing_and_an_empty_one_what_to_do(cast: Any, route: Make) -> None:
    client = signed_in(cast.supervisor)
    assert "Nobody is told yet" in client.get("/alerts/notifications/").content.decode()
    made, _ = route()
    Delivery.objects.create(route=made, state="failed", next_at=timezone.now())
    Route.objects.update(failures=3, paused_until=timezone.now() + timedelta(hours=1))
    page = client.get("/alerts/notifications/").content.decode()
    assert "Failing" in page and "1 failed" in page and "not reached 3 times in a row" in page


def test_a_deleted_route_takes_its_log_along_and_leaves_a_trace_in_the_audit_log(cast: Any, route: Make) -> None:
    made, _ = route()
    Delivery.objects.create(route=made, next_at=timezone.now())
    signed_in(cast.supervisor).post(f"{made.get_absolute_url()}delete")
    assert not Route.objects.exists() and not Delivery.objects.exists()
    assert AuditEvent.objects.get(action="route.delete").detail["name"] == "Desk"
