"""Stored English in the language of whoever reads."""

from __future__ import annotations

import pytest
from django.utils import translation

from callcenter.insights import stored

HERE = {
    "Enough calls to tell": "GENUG",
    "calls": "ANRUFE",
    'Refused at the check "{title}": {detail}.': "NEIN {title} – {detail}。",
    "Too little to tell: {count} {what}, {bound} needed.": "{what}: {count} VON {bound}。",
}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "gettext", lambda text: HERE.get(text, text))


@pytest.mark.usefixtures("elsewhere")
def test_a_stored_text_is_found_by_its_pattern_and_what_stands_in_it_is_worded_too() -> None:
    text = 'Refused at the check "Enough calls to tell": Too little to tell: 3 calls, 10 needed.'

    with translation.override("zh-hans"):
        assert stored.worded(text) == "NEIN GENUG – ANRUFE: 3 VON 10。"


@pytest.mark.usefixtures("elsewhere")
def test_english_readers_see_what_is_stored() -> None:
    with translation.override("en-gb"):
        assert stored.worded("Enough calls to tell") == "Enough calls to tell"


@pytest.mark.usefixtures("elsewhere")
def test_what_no_pattern_knows_stays_as_it_is() -> None:
    with translation.override("zh-hans"):
        assert stored.worded("Ann wrote {this}, and 50 % of that") == "Ann wrote {this}, and 50 % of that"
        assert stored.worded("") == ""


def test_every_pattern_finds_the_texts_that_are_made_of_it() -> None:
    for pattern, form in stored._forms():
        made = form.format(**{name: f"x{n}" for n, name in enumerate(pattern.groupindex)})
        assert pattern.fullmatch(made), form
