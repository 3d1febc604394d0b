"""Who reads what on pages and in the API, the audited look behind it, and the page of failed masks."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from callcenter.accounts.models import ApiToken
from callcenter.core.models import AuditEvent
from callcenter.privacy.models import Mask, Reveal
from callcenter.privacy.services import level_for, text_for
from callcenter.privacy.services.levels import search_level, set_level
from tests.factories import AlertFactory, RecordingFactory, Story, understood_call

pytestmark = pytest.mark.django_db

ACCOUNT = "83749201"
TALK = Story(
    turns=(
        ("agent", "What is your account number please?", 0.0),
        ("customer", f"My account number is {ACCOUNT} and my name is Martin Doyle thank you", 0.0),
        ("agent", "Thank you Martin that is all done.", 0.2),
    ),
    alerts=(),
    unsure={},
)


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def talk(cast: Any) -> Any:
    call = understood_call(TALK, audio=True, team=cast.team_a, agent=cast.agent)
    quote = f"My account number is {ACCOUNT} and my name is Martin Doyle"
    AlertFactory(call=call, category="data_leak", quote=quote, turn_index=1)
    return call


@pytest.mark.parametrize("who", ["agent", "supervisor"])
def test_agents_and_supervisors_see_names_and_no_account_numbers(who: str, talk: Any, cast: Any) -> None:
    page = client_of(cast[who]).get(talk.get_absolute_url()).content.decode()
    assert "Doyle" in page and ACCOUNT not in page and "[account-number]" in page


def test_a_compliance_officer_sees_placeholders_until_a_reason_is_given(talk: Any, cast: Any) -> None:
    client = client_of(cast.compliance)
    page = client.get(talk.get_absolute_url()).content.decode()
    assert "Doyle" not in page and "[name]" in page
    refused = client.post(f"/calls/{talk.pk}/reveal", {"kinds": "name", "reason": " "}, follow=True)
    assert "Say why" in refused.content.decode() and not Reveal.objects.exists()
    shown = client.post(
        f"/calls/{talk.pk}/reveal", {"kinds": "name", "reason": "The caller asked what we hold"}, follow=True
    ).content.decode()
    assert "Doyle" in shown and ACCOUNT not in shown
    event = AuditEvent.objects.get(action="privacy.reveal")
    assert event.user == cast.compliance and event.detail["kinds"] == ["name"]
    assert event.detail["reason"] == "The caller asked what we hold"
    Reveal.objects.update(expires_at=event.at)
    assert "Doyle" not in client.get(talk.get_absolute_url()).content.decode()


@pytest.mark.parametrize("kinds", ["card_number", "card_code", "card_expiry", "shoe_size"])
def test_card_data_is_revealed_to_nobody(kinds: str, talk: Any, cast: Any) -> None:
    client_of(cast.compliance).post(f"/calls/{talk.pk}/reveal", {"kinds": kinds, "reason": "I would like to see"})
    assert not Reveal.objects.exists()


def test_an_agent_may_not_look_behind_it(talk: Any, cast: Any) -> None:
    answer = client_of(cast.agent).post(f"/calls/{talk.pk}/reveal", {"kinds": "account_number", "reason": "curious"})
    assert answer.status_code == 403 and not Reveal.objects.exists()


@pytest.mark.parametrize("suffix", ["", ".txt", ".srt", ".vtt", ".json"])
def test_every_form_of_a_transcript_is_redacted_for_its_reader(suffix: str, talk: Any, cast: Any) -> None:
    _, secret = ApiToken.issue(user=cast.supervisor, name="t")
    text = Client().get(f"/api/v1/calls/{talk.pk}/transcript{suffix}", headers={"authorization": f"Bearer {secret}"})
    assert text.status_code == 200
    assert ACCOUNT not in text.content.decode() and "[account-number]" in text.content.decode()
    assert "Doyle" in text.content.decode()


@pytest.mark.parametrize("path", ["/api/v1/alerts", "/api/v1/calls/{}/insight"])
def test_quotes_are_redacted_in_the_api(path: str, talk: Any, cast: Any) -> None:
    _, secret = ApiToken.issue(user=cast.supervisor, name="t")
    text = Client().get(path.format(talk.pk), headers={"authorization": f"Bearer {secret}"}).content.decode()
    assert ACCOUNT not in text and "[account-number]" in text


@pytest.mark.parametrize("path", ["/alerts/", "/calls/?q=account", "/review/"])
def test_lists_are_redacted(path: str, talk: Any, cast: Any) -> None:
    page = client_of(cast.supervisor).get(path).content.decode()
    assert ACCOUNT not in page


def test_the_editor_shows_placeholders_and_keeps_what_is_behind_them(talk: Any, cast: Any) -> None:
    client = client_of(cast.supervisor)
    turn = talk.turns.get(index=1)
    address = f"/calls/{talk.pk}/turns/{turn.source_turn}/{turn.source_word}"
    from django.urls import reverse

    address = reverse("review:turn", args=[talk.pk, turn.source_turn, turn.source_word])
    form = client.get(address)
    assert ACCOUNT not in form.content.decode() and "[account-number]" in form.content.decode()
    text = form.context["text"].replace("thank you", "many thanks")
    client.post(address, {"action": "text", "text": text, "digest": form.context["digest"]})
    turn = talk.turns.get(index=1)
    assert turn.text == f"My account number is {ACCOUNT} and my name is Martin Doyle many thanks"


def test_sinks_get_the_strict_reading_and_an_unknown_one_none(talk: Any) -> None:
    assert text_for("webhook", talk, f"He said {ACCOUNT} is mine, Martin Doyle") == (
        "He said [account-number] is mine, [name]"
    )
    with pytest.raises(KeyError):
        text_for("somewhere", talk, "hello")


def test_a_level_is_changed_by_compliance_only_and_the_index_follows(talk: Any, cast: Any) -> None:
    from callcenter.privacy.services.backfill import reindex

    assert client_of(cast.supervisor).post("/privacy/levels/set", {"role": "agent"}).status_code == 403
    client_of(cast.compliance).post("/privacy/levels/set", {"role": "agent", "hides": ["name", "phone_number"]})
    assert level_for(cast.agent).hides == {"card_number", "card_code", "name", "phone_number"}
    assert "name" in search_level().hides
    reindex()
    assert "Doyle" not in " ".join(talk.turns.values_list("searchable", flat=True))
    page = client_of(cast.agent).get(talk.get_absolute_url()).content.decode()
    assert ACCOUNT in page and "Doyle" not in page
    with pytest.raises(Exception, match="not known"):
        set_level(role="agent", hides=["everything"], by=cast.compliance)


def test_the_page_of_masks_in_all_its_states(cast: Any) -> None:
    client = client_of(cast.compliance)
    assert "Nothing to decide" in client.get("/privacy/").content.decode()
    mask = Mask.objects.create(
        recording=RecordingFactory(), state="failed", problem="No usable times.",
        spans=[{"kind": "card_code", "start_ms": None, "end_ms": None, "near_ms": 61_000}],
    )  # fmt: skip
    page = client.get("/privacy/").content.decode()
    assert "No usable times." in page and "near 1:01, no times" in page
    client.post(f"/privacy/masks/{mask.pk}/assign", {"owner": cast.compliance.pk})
    assert "security code" in client.get("/privacy/?show=mine").content.decode()
    bad = client.post(f"/privacy/masks/{mask.pk}/stretch", {"start": "9", "end": "3"}, follow=True)
    assert "start before an end" in bad.content.decode()
    client.post(f"/privacy/masks/{mask.pk}/resolve", {"verdict": "close", "reason": "Nobody can tell where it is"})
    page = client.get("/privacy/?show=all").content.decode()
    assert "Closed by" in page and "Nobody can tell where it is" in page


def test_a_withheld_recording_is_told_on_the_page(talk: Any, cast: Any) -> None:
    Mask.objects.create(recording=talk.recording, state="checking")
    page = client_of(cast.agent).get(talk.get_absolute_url()).content.decode()
    assert 'id="withheld"' in page and "being muted" in page and "src=" not in page.split("<audio")[1][:60]
