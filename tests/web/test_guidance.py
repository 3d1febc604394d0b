"""Help that fits every page, the keyboard map, and the first steps of a new house."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from callcenter.calls.models import Batch
from callcenter.core import help, keys
from callcenter.dashboards import first_steps as guide
from callcenter.review.models import Review
from tests.factories import BatchFactory, BatchRowFactory, understood_call
from tests.web.test_access import TABLE
from tests.web.test_dashboard import signed_in

#: Pages whose help is the list of areas: help itself.
OWN = {"help", "help_page", "health", "metrics", "words"}


def test_every_page_has_a_section_of_help_that_exists(cast: Any) -> None:
    client = signed_in(cast.agent)
    sections = {help.section_for(name) for name, (method, _) in TABLE.items() if method == "GET" and name not in OWN}
    assert reverse("help") not in sections
    sections |= {help.section_for(name) for name in help.SECTIONS}
    for address in sections:
        path, _, anchor = address.partition("#")
        response = client.get(path)
        assert response.status_code == 200, address
        assert not anchor or f'id="{anchor}"' in response.content.decode(), address


@pytest.mark.parametrize("area", help.AREAS, ids=lambda area: area.slug)
def test_every_area_has_a_page_and_names_the_others(area: help.Area, cast: Any) -> None:
    html = signed_in(cast.operator).get(area.url).content.decode()
    assert f'<h1 class="page-title">{area.title}</h1>' in html
    assert all(other.url in html for other in help.AREAS)


def test_there_is_no_help_of_what_does_not_exist(cast: Any) -> None:
    assert signed_in(cast.agent).get("/help/nothing/").status_code == 404


def test_a_page_links_to_its_help_and_lists_its_keys(cast: Any) -> None:
    call = understood_call(team=cast.team_a, agent=cast.agent)
    html = signed_in(cast.agent).get(f"/calls/{call.pk}/").content.decode()
    assert 'href="/help/call/"' in html
    assert "next, previous doubtful turn" in html and 'data-go="c"' in html
    assert 'data-go="o"' not in html, "an agent has no operations page to go to"
    read_only = signed_in(cast.compliance).get(f"/calls/{call.pk}/").content.decode()
    assert "play, pause" in read_only and "next, previous doubtful turn" not in read_only


def test_every_letter_that_a_script_answers_stands_in_the_map() -> None:
    """The scripts of the call page keep their keys in tables; whoever adds one there adds it to the map."""
    scripts = Path(settings.BASE_DIR) / "templates" / "static" / "js"
    known = {key.lower() for group in keys.ON_PAGE["calls:detail"] for line in group.shortcuts for key in line.keys}
    correct = (scripts / "correct.js").read_text(encoding="utf-8")
    reading = correct[correct.index("const reading = {") :]
    answered = set(re.findall(r"^    \"?(\S)\"?:", reading[: reading.index("};")], re.MULTILINE))
    listen = (scripts / "listen.js").read_text(encoding="utf-8")
    table = listen[listen.index("const keys = {") :]
    answered |= set(re.findall(r'"(\S)":', table[: table.index("};")]))
    assert {"n", "e", "/", "["} <= answered
    assert answered <= known


def test_the_letters_of_the_jumps_are_all_different() -> None:
    assert len(set(keys.JUMPS.values())) == len(keys.JUMPS)


def steps(client: Client) -> list[bool] | None:
    html = client.get("/").content.decode()
    if 'id="guide"' not in html:
        return None
    return [bool(done) for done in re.findall(r'data-step="\d"( data-done)?', html)]


def test_a_new_house_ticks_off_its_first_steps_one_by_one(cast: Any, warehouse: Any, monkeypatch: Any) -> None:
    client = signed_in(cast.supervisor)
    assert steps(client) == [True, False, False, False, False]
    BatchRowFactory(batch=BatchFactory(team=cast.team_a))
    assert steps(client) == [True, True, False, False, False]
    call = understood_call(team=cast.team_a, agent=cast.agent)
    assert steps(client) == [True, True, True, False, False]
    call.alerts.update(status="dismissed")
    assert steps(client) == [True, True, True, True, False]
    assert steps(signed_in(cast.supervisor_b)) == [True, False, False, False, False], "what others did is not told"
    place = {"turn_index": 0, "first_word": 0, "start_ms": 0, "end_ms": 9}
    at = timezone.now()
    Review.objects.create(call=call, transcript=call.transcript, outcome="confirmed", reviewed_at=at, **place)
    assert steps(client) is None


def test_an_empty_batch_is_no_upload_and_a_settled_house_needs_no_guide(
    cast: Any, warehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    BatchFactory(team=cast.team_a)
    assert Batch.objects.exists()
    client = signed_in(cast.supervisor)
    assert steps(client) == [True, False, False, False, False]
    understood_call(team=cast.team_a, agent=cast.agent)
    monkeypatch.setattr(guide, "SETTLED", 1)
    assert steps(client) is None


def test_only_who_leads_a_house_is_shown_the_first_steps(cast: Any, warehouse: Any) -> None:
    assert steps(signed_in(cast.agent)) is None
    assert steps(signed_in(cast.compliance)) is None
    html = signed_in(cast.admin).get("/").content.decode()
    assert reverse("admin:accounts_user_changelist") in html
    assert reverse("admin:accounts_user_changelist") not in signed_in(cast.supervisor).get("/").content.decode()
