"""Every word that a reader sees can be read in every language of the site; what is left is named here, by folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from callcenter.core import catalogues, messages
from callcenter.core.languages import language_of, speaking_to
from callcenter.core.retold import retold
from callcenter.core.templatetags import cc

#: Folders of catalogues whose words are all translated. A folder is added when its last word is.
DONE = ("site", "work")


@pytest.mark.parametrize("folder", DONE)
def test_every_word_in_templates_stands_where_it_can_be_translated(folder: str) -> None:
    left = [
        f"{t.path}: {text}" for t in messages.templates() if messages.folder_of(t.path) == folder for text in t.unmarked
    ]
    assert left == [], "see docs/translations.md"


@pytest.mark.parametrize("folder", DONE)
def test_every_message_in_code_stands_where_it_can_be_translated(folder: str) -> None:
    assert [found for found in messages.unmarked_in_code() if messages.folder_of(found[0]) == folder] == []


@pytest.mark.parametrize(("folder", "domain"), [(f, d) for f in DONE for d in messages.domains(f)])
@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_every_marked_word_has_a_translation_with_the_same_places_in_it(
    folder: str, domain: str, language: str
) -> None:
    assert messages.untranslated(folder, domain, language) == [], "run manage.py messages and fill in what is empty"


@pytest.mark.parametrize(
    "text", ["Calls {{ x }}", "{{ x|default:'Nobody' }}", "<a title='Go there'></a>", "{{ d|date:'j M' }}"]
)
def test_a_word_that_nobody_marked_is_found(text: str) -> None:
    assert _read(text).unmarked


def test_marked_words_names_and_what_is_for_machines_are_not_taken_for_forgotten_ones() -> None:
    text = "{% translate 'Calls' %} CSV <code>make demo</code> {{ d|date:_('j M') }} {{ d|date:'c' }}"
    found = _read(text)
    assert found.unmarked == []
    assert {one for _, one, _ in found.messages} == {"Calls", "j M"}


def _read(text: str) -> messages.Template:
    from django.template import engines

    found = messages.Template("templates/x.html")
    reader = messages._Reader()
    reader.feed("".join(messages._pieces(engines["django"].engine.from_string(text).nodelist, found)))  # type: ignore[attr-defined]
    reader.close()
    found.unmarked += reader.unmarked
    return found


def test_a_catalogue_is_compiled_when_it_is_newer_than_what_was_compiled(tmp_path: Path) -> None:
    source = tmp_path / "zh_Hans" / "LC_MESSAGES" / "django.po"
    source.parent.mkdir(parents=True)
    source.write_text('msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "Calls"\nmsgstr "通话"\n')
    target = source.with_suffix(".mo")
    assert catalogues.compile_stale([tmp_path]) == [target]
    assert catalogues.compile_stale([tmp_path]) == []
    later = target.stat().st_mtime + 5
    os.utime(source, (later, later))
    assert catalogues.compile_stale([tmp_path]) == [target]


def test_a_stored_sentence_is_told_again_in_the_readers_language_with_its_figures() -> None:
    stored = "The file is larger than the limit of 2048 MiB."
    assert retold(stored) == stored
    with translation.override("zh-hans"):
        assert retold(stored) == "文件超过 2048 MiB 的上限。"
        assert retold("Said by nobody we know") == "Said by nobody we know"


def test_lengths_follow_the_language() -> None:
    assert cc.duration(185_000) == "3 min 5 s"
    with translation.override("zh-hans"):
        assert cc.duration(185_000) == "3 分 5 秒"


def test_the_browsers_language_is_used_before_anybody_signs_in(db: None, client: Client) -> None:
    page = client.get("/accounts/login/", headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"})
    assert '<html lang="zh-hans">' in page.content.decode()
    assert "登录您的账户" in page.content.decode()
    assert page.headers["Content-Language"] == "zh-hans"
    assert "Accept-Language" in page.headers["Vary"]


def test_a_cookie_comes_before_the_browser_and_an_account_before_the_cookie(client: Client, cast: Any) -> None:
    client.post("/language", {"language": "zh-hans", "next": "/accounts/login/"})
    assert "登录您的账户" in client.get("/accounts/login/", headers={"Accept-Language": "en"}).content.decode()
    cast.supervisor.language = "en-gb"
    cast.supervisor.save()
    client.force_login(cast.supervisor)
    assert '<html lang="en-gb">' in client.get("/account/").content.decode()


def test_a_choice_is_kept_with_the_account_and_can_be_taken_back(client: Client, cast: Any) -> None:
    client.force_login(cast.agent)
    answer = client.post("/language", {"language": "zh-hans", "next": "/account/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/")
    cast.agent.refresh_from_db()
    assert cast.agent.language == language_of(cast.agent) == "zh-hans"
    assert "账户" in client.get("/account/").content.decode()
    client.post("/language", {"language": "", "next": "/account/"})
    cast.agent.refresh_from_db()
    assert (cast.agent.language, language_of(cast.agent)) == ("", "en-gb")


def test_a_language_that_is_not_offered_and_a_way_back_to_elsewhere_are_refused(client: Client, db: None) -> None:
    assert client.post("/language", {"language": "xx"}).status_code == 400
    assert client.post("/language", {"language": "zh-hans", "next": "https://evil.example/"}).headers["Location"] == "/"
    assert client.get("/language").status_code == 405


def test_a_page_in_chinese_leaves_no_trace_in_the_next_one(client: Client, db: None) -> None:
    client.get("/accounts/login/", headers={"Accept-Language": "zh"})
    assert translation.get_language() == "en-gb"
    assert "Sign in to your account" in client.get("/accounts/login/").content.decode()


def test_what_is_written_to_a_person_is_in_that_persons_language(cast: Any) -> None:
    cast.agent.language = "zh-hans"
    with speaking_to(cast.agent):
        assert translation.gettext("Calls") == "通话"
    with speaking_to(cast.supervisor):
        assert translation.gettext("Calls") == "Calls"


def test_scripts_get_the_words_of_the_page_from_an_address_that_may_be_kept_for_good(client: Client, db: None) -> None:
    page = client.get("/accounts/login/", headers={"Accept-Language": "zh"}).content.decode()
    address = page.split('<script src="/words/')[1].split('"')[0]
    answer = client.get(f"/words/{address}", headers={"Accept-Language": "en"})
    assert "text/javascript" in answer.headers["Content-Type"]
    assert "\\u5df2\\u590d\\u5236" in answer.content.decode() or "已复制" in answer.content.decode()
    assert "immutable" in answer.headers["Cache-Control"]
    assert "no-store" in client.get("/words/zh-hans/older.js").headers["Cache-Control"]
