"""The calls list and the call page."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callcenter.calls.models import Call
from callcenter.core.models import AuditEvent
from callcenter.pipeline.models import Run
from callcenter.privacy.models import RoleLevel
from tests.factories import QUIET, AlertFactory, CallFactory, RunFactory, Story, understood_call


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def shown(client: Client, address: str = "/calls/") -> list[str]:
    """Return the ids of the calls that a page lists, in its order."""
    html = client.get(address).content.decode()
    return re.findall(r'class="main-link[^"]*" href="/calls/([0-9a-f-]{36})/"', html)


def test_a_search_finds_a_word_in_any_form_and_links_to_its_moment(cast: Any) -> None:
    call = understood_call(team=cast.team_a, agent=cast.agent)
    understood_call(QUIET, team=cast.team_a, agent=cast.agent)
    client = signed_in(cast.supervisor)
    assert shown(client, "/calls/?q=cancelling") == [str(call.pk)]
    html = client.get("/calls/?q=cancelling").content.decode()
    turn = call.turns.get(index=3)
    assert f"/calls/{call.pk}/?t={turn.start_ms}#turn-3" in html
    assert "<mark>cancel</mark>" in html


def test_what_was_said_is_escaped_in_a_snippet(cast: Any) -> None:
    story = Story(turns=(("customer", "refund <script>alert(1)</script> please", 0.0),), alerts=(), unsure={})
    understood_call(story, team=cast.team_a)
    html = signed_in(cast.supervisor).get("/calls/?q=refund").content.decode()
    assert "<script>alert" not in html
    assert "<mark>refund</mark>" in html


def test_a_search_does_not_find_words_of_an_older_transcript(cast: Any) -> None:
    from tests.factories import TranscriptFactory

    call = understood_call(team=cast.team_a)
    call.transcript = TranscriptFactory(call=call)
    call.save()
    assert shown(signed_in(cast.supervisor), "/calls/?q=cancel") == []


@pytest.mark.parametrize("text", ['"', "a & b | !", "-", "((((", "%00", "\N{PILE OF POO}", "x" * 5000])
def test_no_search_text_breaks_the_page(text: str, cast: Any) -> None:
    assert signed_in(cast.supervisor).get("/calls/", {"q": text}).status_code == 200


def test_each_filter_narrows_the_list_and_stands_in_the_address(cast: Any) -> None:
    now = timezone.now()
    bad = understood_call(
        Story(intent="cancellation", turns=(("customer", "This is awful.", -0.9),), alerts=(), unsure={}),
        team=cast.team_a, agent=cast.agent, direction="outbound", started_at=now - timedelta(days=10),
    )  # fmt: skip
    good = understood_call(QUIET, team=cast.team_a, agent=cast.other_agent, started_at=now)
    AlertFactory(call=bad, category="fraud")
    waiting = CallFactory(team=cast.team_a, agent=None, queue=None, started_at=now - timedelta(days=1))
    RunFactory(call=waiting, state=Run.State.SPEECH)
    broken = CallFactory(team=cast.team_a, started_at=now - timedelta(days=2))
    RunFactory(call=broken, state=Run.State.FAILED)
    client = signed_in(cast.supervisor)
    day = (now - timedelta(days=10)).date().isoformat()
    expected = {
        f"start={day}&end={day}": [bad],
        f"agent={cast.other_agent.pk}": [good],
        "agent=0": [waiting],
        "queue=0": [waiting],
        f"queue={good.queue_id}": [good],
        "intent=cancellation": [bad],
        "category=fraud&alerts=open": [bad],
        "mood=negative": [bad],
        "mood=positive": [good],
        "state=ready": [good, bad],
        "state=processing": [waiting],
        "state=failed": [broken],
        "direction=outbound": [bad],
    }
    for address, calls in expected.items():
        assert shown(client, f"/calls/?{address}") == [str(call.pk) for call in calls], address


def test_a_filter_that_makes_no_sense_is_named_and_left_out(cast: Any) -> None:
    call = understood_call(team=cast.team_a)
    client = signed_in(cast.supervisor)
    address = "/calls/?start=yesterday&team=abc&mood=furious&batch=1&hour=77&end=0000-99-99"
    assert shown(client, address) == [str(call.pk)]
    html = client.get(address).content.decode()
    assert "“yesterday” is not a date." in html
    assert "mood “furious” is not known." in html


@pytest.mark.parametrize("sort", ["newest", "oldest", "longest", "negative", "unsure"])
def test_paging_shows_every_call_once_in_order_and_leads_back(sort: str, cast: Any) -> None:
    for number in range(60):
        started_at = timezone.now() - timedelta(hours=number // 3)
        call = CallFactory(team=cast.team_a, agent=cast.agent, started_at=started_at)
        if number % 4 == 0:
            from tests.factories import InsightFactory

            InsightFactory(call=call, sentiment=(number % 8) / 10)
    client = signed_in(cast.supervisor)
    pages, address = [], f"/calls/?sort={sort}"
    while address:
        html = client.get(address).content.decode()
        pages.append(shown(client, address))
        found = re.search(r'rel="next" href="([^"]+)"', html)
        address = f"/calls/{found[1].replace('&amp;', '&')}" if found else ""
    seen = [call for page in pages for call in page]
    assert len(seen) == len(set(seen)) == 60
    assert [len(page) for page in pages] == [25, 25, 10]
    back = re.search(r'rel="prev" href="([^"]+)"', html)
    assert back and shown(client, f"/calls/{back[1].replace('&amp;', '&')}") == pages[1]


def test_a_damaged_page_address_means_the_first_page(cast: Any) -> None:
    call = understood_call(team=cast.team_a)
    client = signed_in(cast.supervisor)
    for cursor in ("zzz", "W10", "WzEsMl0", "é"):
        assert shown(client, f"/calls/?after={cursor}") == [str(call.pk)]


def test_an_agent_sees_only_own_calls_and_no_filter_opens_more(cast: Any) -> None:
    own = understood_call(team=cast.team_a, agent=cast.agent)
    understood_call(team=cast.team_a, agent=cast.other_agent)
    understood_call(team=cast.team_b, agent=cast.agent_b)
    client = signed_in(cast.agent)
    assert shown(client) == [str(own.pk)]
    assert shown(client, f"/calls/?agent={cast.other_agent.pk}") == []
    assert shown(client, f"/calls/?team={cast.team_b.pk}") == []
    assert shown(client, "/calls/?q=cancel") == [str(own.pk)]


def test_the_call_page_shows_every_word_with_its_time_and_marks_the_doubtful(cast: Any) -> None:
    call = understood_call(team=cast.team_a, agent=cast.agent)
    # With nothing hidden: where an account number is said, agents read a placeholder (see tests/privacy).
    RoleLevel.objects.create(role=cast.agent.role, hides=[])
    html = signed_in(cast.agent).get(f"/calls/{call.pk}/").content.decode()
    words = [word for turn in call.turns.all() for word in turn.words]
    assert len(re.findall(r'<span class="w[^"]*" data-s="\d+" data-e="\d+"', html)) == len(words)
    assert len(re.findall(r'class="w unsure" data-s', html)) == 2
    assert len(re.findall(r'class="w[^"]* evidence"', html)) == 8
    sure = "97\N{NARROW NO-BREAK SPACE}% sure"
    for said in ("whisper-base.en", "faster-whisper", "nlu 1, test", sure, "their channels"):
        assert said in html


def test_every_view_of_a_call_is_in_the_audit_log(cast: Any) -> None:
    call = understood_call(team=cast.team_a, agent=cast.agent)
    signed_in(cast.compliance).get(f"/calls/{call.pk}/")
    event = AuditEvent.objects.get(action="call.view")
    assert (event.user, event.object_id) == (cast.compliance, str(call.pk))


def test_an_alert_shows_its_evidence_and_its_moment(cast: Any) -> None:
    story = Story(alerts=({**Story().alerts[0], "listen_first": True},))
    call = understood_call(story, team=cast.team_a, agent=cast.agent)
    alert = call.alerts.get()
    html = signed_in(cast.supervisor).get(f"/calls/{call.pk}/").content.decode()
    for said in (alert.quote, "Listen first", "close to", f'data-jump="{alert.start_ms}"', "churn-cancel"):
        assert said in html


def test_swapping_the_parties_turns_them_round_and_asks_for_understanding(
    cast: Any, sent: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    call = understood_call(team=cast.team_a, agent=cast.agent)
    client = signed_in(cast.supervisor)
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(f"/calls/{call.pk}/swap", follow=True)
    assert "are swapped" in response.content.decode()
    assert list(call.turns.values_list("party", flat=True)[:2]) == ["customer", "agent"]
    assert ("pipeline.understand") in [name for name, _ in sent]
    again = client.post(f"/calls/{call.pk}/swap", follow=True).content.decode()
    assert "being processed" in again


def test_a_call_in_progress_shows_how_far_it_is_and_loads_itself_anew_when_done(cast: Any) -> None:
    call = CallFactory(team=cast.team_a, agent=cast.agent)
    run = RunFactory(call=call, state=Run.State.SPEECH, stage="transcribe", progress=0.4)
    client = signed_in(cast.agent)
    html = client.get(f"/calls/{call.pk}/").content.decode()
    assert f'hx-get="/calls/{call.pk}/progress"' in html
    assert 'aria-valuenow="40"' in html
    assert "HX-Refresh" not in client.get(f"/calls/{call.pk}/progress")
    Run.objects.filter(pk=run.pk).update(state=Run.State.DONE)
    assert client.get(f"/calls/{call.pk}/progress")["HX-Refresh"] == "true"


def test_a_failed_call_says_why_and_offers_another_try_to_those_who_may(cast: Any) -> None:
    call = CallFactory(team=cast.team_a, agent=cast.agent)
    run = RunFactory(call=call, state=Run.State.FAILED, error_message="The worker ran out of memory.")
    for user, offered in ((cast.agent, False), (cast.supervisor, True)):
        html = signed_in(user).get(f"/calls/{call.pk}/").content.decode()
        assert "The worker ran out of memory." in html
        assert (f"/operations/runs/{run.pk}/retry" in html) is offered


def test_a_call_without_speech_and_one_without_anything_have_their_own_words(cast: Any) -> None:
    from tests.factories import TranscriptFactory

    silent = CallFactory(team=cast.team_a)
    silent.transcript = TranscriptFactory(call=silent, mapping={}, mean_probability=None)
    silent.save()
    bare = CallFactory(team=cast.team_a)
    client = signed_in(cast.supervisor)
    assert "Nobody speaks in this recording" in client.get(f"/calls/{silent.pk}/").content.decode()
    assert "No transcript" in client.get(f"/calls/{bare.pk}/").content.decode()


def test_a_degraded_transcript_and_an_unsure_mapping_are_said_on_the_page(cast: Any) -> None:
    call = understood_call(team=cast.team_a)
    call.transcript.degraded = "The speakers could not be told apart."
    call.transcript.mapping = {"parties": {}, "confidence": 0.55, "reason": "Few words."}
    call.transcript.save()
    html = signed_in(cast.supervisor).get(f"/calls/{call.pk}/").content.decode()
    assert "The speakers could not be told apart." in html
    assert "55\N{NARROW NO-BREAK SPACE}% confidence" in html


def test_a_call_that_is_not_understood_yet_shows_no_figures_of_understanding(cast: Any) -> None:
    RunFactory(call=CallFactory(team=cast.team_a), state=Run.State.SPEECH, progress=0.4)
    html = signed_in(cast.supervisor).get("/calls/").content.decode()
    assert "Transcribing 40" in html
    assert "Sentiment: " not in html


def test_no_page_carries_a_script_of_its_own(cast: Any) -> None:
    call = understood_call(team=cast.team_a)
    response = signed_in(cast.supervisor).get(f"/calls/{call.pk}/")
    inline = re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", response.content.decode())
    assert inline == []
    assert "script-src 'self'" in response["Content-Security-Policy"]
    assert Call.objects.count() == 1
