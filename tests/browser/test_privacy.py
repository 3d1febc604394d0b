"""Privacy in a real browser: the look behind a placeholder, muted sound that plays, the list of failed masks."""

from __future__ import annotations

from typing import Any

import pytest

from callcenter.core.models import AuditEvent
from callcenter.privacy.models import Mask
from callcenter.privacy.services import masking
from tests.factories import Story, understood_call

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TALK = Story(
    turns=(
        ("agent", "Thank you for calling, can I take the card number please?", 0.0),
        ("customer", "It is 4242 4242 4242 4242 and my name is Martin Doyle thank you", 0.0),
        ("agent", "Thank you, that is paid and all done now. Have a nice day.", 0.2),
    ),
    alerts=(),
    unsure={},
)


@pytest.fixture
def talk(cast: Any) -> Any:
    from callcenter.privacy.services.backfill import redact_call

    call = understood_call(TALK, audio=True, team=cast.team_a, agent=cast.agent)
    redact_call(call)
    return call


def test_compliance_looks_behind_a_name_with_a_reason_and_an_agent_cannot(sign_in: Any, talk: Any, cast: Any) -> None:
    page = sign_in(cast.compliance)
    page.goto(talk.get_absolute_url())
    assert "Doyle" not in page.locator("#transcript").inner_text()
    assert "[card-number]" in page.locator("#transcript").inner_text()
    page.locator("#reveal summary").click()
    page.get_by_label("Names").check()
    page.get_by_label("Why?").fill("The caller asked what we hold about him")
    page.get_by_role("button", name="Show").click()
    page.locator("#transcript", has_text="Doyle").wait_for()
    assert "4242" not in page.content()
    event = AuditEvent.objects.get(action="privacy.reveal")
    assert (event.user, event.detail["kinds"]) == (cast.compliance, ["name"])
    page.context.clear_cookies()
    sign_in(cast.agent)
    page.goto(talk.get_absolute_url())
    assert "Doyle" in page.locator("#transcript").inner_text()
    assert page.locator("#reveal").count() == 0


def test_the_muted_recording_plays_once_it_was_checked(sign_in: Any, talk: Any, cast: Any) -> None:
    page = sign_in(cast.agent)
    page.goto(talk.get_absolute_url())
    assert "being muted" in page.locator("#withheld").inner_text()
    mask = Mask.objects.get()
    assert masking.work(mask.pk)
    Mask.objects.update(state=Mask.State.DONE)
    page.goto(talk.get_absolute_url())
    assert page.locator("#withheld").count() == 0
    page.get_by_role("button", name="Play", exact=True).click()
    page.locator("#now", has_text="0:01").wait_for()


@pytest.mark.parametrize("width", [1440, 390])
def test_a_failed_mask_is_given_to_somebody_and_decided_on(width: int, sign_in: Any, talk: Any, cast: Any) -> None:
    Mask.objects.update(state=Mask.State.FAILED, problem="A stretch of card data has no usable times.")
    page = sign_in(cast.compliance)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/privacy/")
    assert page.locator("body").evaluate("body => body.parentNode.scrollWidth <= body.parentNode.clientWidth")
    page.get_by_label("Owner").select_option(label="Compliance")
    page.get_by_role("button", name="Assign").click()
    page.get_by_text("Given to Compliance.").wait_for()
    page.locator("summary", has_text="Decide").click()
    page.get_by_label("Why?").fill("It was a reference number")
    page.get_by_role("button", name="Let it be heard").click()
    page.get_by_text("The recording can be heard now.").wait_for()
    page.goto("/privacy/?show=all")
    assert "It was a reference number" in page.content()
    page.goto("/privacy/levels")
    assert page.locator("body").evaluate("body => body.parentNode.scrollWidth <= body.parentNode.clientWidth")
