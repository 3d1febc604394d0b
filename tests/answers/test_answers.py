"""The knowledge base: saved in versions, searched, imported with reasons, and on the call that asked."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from callcenter.core.errors import CallcenterError
from callcenter.core.models import AuditEvent
from callcenter.insights.answers import selectors, services
from callcenter.insights.answers.importing import import_folder
from callcenter.insights.answers.models import Article, NextAction, Suggestion
from callcenter.insights.models import Alert
from tests.factories import AlertFactory, IntentFactory, understood_call
from tests.nlu.calls import GREETING, HashingEmbedder
from tests.nlu.calls import call as spoken

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_house(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from callcenter.celery import app

    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.WHITENOISE_AUTOREFRESH = True
    settings.VAR_DIR = tmp_path
    sent: list[str] = []
    monkeypatch.setattr(app, "send_task", lambda name, **_: sent.append(name))
    monkeypatch.setattr("analytics.nlu.answers.load", lambda models_dir: HashingEmbedder())
    return sent


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def an_article(title: str = "How long does a refund take", **values: Any) -> Article:
    return services.save_article(by=None, **{"title": title, "body": "Ten working days.", **values})[0]


def test_a_new_content_is_a_version_and_the_same_again_is_none(cast: Any, own_house: list[str]) -> None:
    article = an_article()
    services.save_article(by=cast.supervisor, article=article, body="Twelve days.", reply="Please wait twelve days.")
    _, changed = services.save_article(by=cast.supervisor, article=article, body="Twelve days.")
    article.refresh_from_db()
    assert (article.version, changed, article.versions.count()) == (2, False, 2)
    services.restore_version(article=article, number=1, by=cast.supervisor)
    article.refresh_from_db()
    assert (article.version, article.body, article.reply) == (3, "Ten working days.", "")
    assert AuditEvent.objects.filter(action="article.save").count() == 3


@pytest.mark.parametrize("values", [{"title": " "}, {"body": "\x00"}, {"title": "x" * 201}, {"body": "x" * 40_001}])
def test_an_article_without_title_or_text_or_too_long_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(CallcenterError):
        an_article(**values)
    assert not Article.objects.exists()


def test_the_search_finds_by_meaning_of_words_and_shows_switched_off_articles_to_supervisors_only(cast: Any) -> None:
    an_article()
    an_article("Opening hours", body="We refund nothing after eight.", tags=["shop"])
    an_article("Old refunds", enabled=False)
    page = signed_in(cast.supervisor).get("/alerts/answers/?q=refunding").content.decode()
    assert page.index("How long does a refund take") < page.index("Opening hours") and "Old refunds" in page
    page = signed_in(cast.agent).get("/alerts/answers/?q=refund").content.decode()
    assert "Opening hours" in page and "Old refunds" not in page and "New article" not in page
    assert "No article matches" in signed_in(cast.agent).get("/alerts/answers/?q=%22parrot").content.decode()
    assert [a.title for a in selectors.articles(cast.agent, tag="shop")] == ["Opening hours"]
    off = Article.objects.get(title="Old refunds")
    assert signed_in(cast.agent).get(off.get_absolute_url()).status_code == 404


def test_a_supervisor_writes_and_changes_an_article_on_its_page(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    assert "No articles yet" in client.get("/alerts/answers/").content.decode()
    wrong = client.post("/alerts/answers/new", {"title": "", "body": "Text that must not be lost"})
    assert wrong.status_code == 400 and "Text that must not be lost" in wrong.content.decode()
    form = {
        "title": "Refunds",
        "body": "Ten days.",
        "reply": "Dear …",
        "questions": "When?\n\nHow long?",
        "enabled": "on",
    }
    client.post("/alerts/answers/new", {**form, "tags": "money, money , shop"})
    article = Article.objects.get()
    assert (article.questions, article.tags, article.key) == (["When?", "How long?"], ["money", "shop"], "refunds")
    client.post(f"{article.get_absolute_url()}edit", {**form, "body": "Nine days."})
    page = client.get(article.get_absolute_url()).content.decode()
    assert "Nine days." in page and "Version 2 (present)" in page and "Dear …" in page
    client.post(f"{article.get_absolute_url()}versions/1/restore")
    article.refresh_from_db()
    assert article.body == "Ten days." and article.version == 3


MARKDOWN = """# Delivery times
Tags: parcel, shop
Question: When will my parcel arrive?

Parcels arrive within three days.

## Reply
Your parcel arrives within three days.
"""


def test_a_folder_is_imported_with_a_reason_for_everything_that_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "kb"
    (folder / "more").mkdir(parents=True)
    (folder / "delivery.md").write_text(MARKDOWN)
    (folder / "plain.txt").write_text("Opening hours\n\nWe open at eight.")
    (folder / "list.json").write_text(
        json.dumps([{"title": "Fees", "body": "None.", "reply": "Free."}, {"title": "x"}])
    )
    tree = {"Refunds": {"subflows": {"Start a refund": {"instructions": ["Be kind."], "actions": [
        {"text": "Ask for the order.", "subtext": ["Order id", "Name"]}, {"text": ""}, "nonsense"]}}}}  # fmt: skip
    (folder / "more" / "tree.json").write_text(json.dumps(tree))
    (folder / "twice.txt").write_text("Opening hours\n\nAgain.")
    (folder / "only-title.txt").write_text("Nothing below")
    (folder / "empty.md").write_text(" \n")
    (folder / "broken.json").write_text('[{"title": ')
    (folder / "steps.json").write_text('{"a": ["b", "c"]}')
    (folder / "latin.txt").write_bytes("Grüße\n\nText".encode("latin-1"))
    (folder / "picture.png").write_bytes(b"")
    report = import_folder(folder)
    assert report.added == 4
    assert [line.split(":")[0] for line in report.refused] == [
        "broken.json", "empty.md", "latin.txt", "only-title.txt", "steps.json", "twice.txt",
    ]  # fmt: skip
    delivery = Article.objects.get(key="delivery-times")
    assert delivery.reply == "Your parcel arrives within three days." and delivery.tags == ["parcel", "shop"]
    assert (
        delivery.questions == ["When will my parcel arrive?"] and delivery.body == "Parcels arrive within three days."
    )
    assert (
        Article.objects.get(key="start-a-refund").body == "Be kind.\n\n1. Ask for the order.\n   - Order id\n   - Name"
    )
    assert import_folder(folder).same == 4


def test_an_import_takes_what_changed_and_leaves_what_a_person_has_changed_here(cast: Any, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Hours\n\nEight to six.")
    (tmp_path / "b.md").write_text("# Fees\n\nNone.")
    import_folder(tmp_path)
    services.save_article(by=cast.supervisor, article=Article.objects.get(key="hours"), body="Nine to five.")
    (tmp_path / "a.md").write_text("# Hours\n\nAlways.")
    (tmp_path / "b.md").write_text("# Fees\n\nA few.")
    report = import_folder(tmp_path)
    assert (report.changed, len(report.kept)) == (1, 1) and Article.objects.get(key="hours").body == "Nine to five."
    out = io.StringIO()
    call_command("import_articles", str(tmp_path), "--overwrite", stdout=out)
    assert "1 changed, 1 unchanged" in out.getvalue() and Article.objects.get(key="hours").body == "Always."
    with pytest.raises(CommandError, match="no folder"):
        call_command("import_articles", str(tmp_path / "nowhere"))


Asking = Callable[..., Any]


def asked(cast: Any, question: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    call = understood_call(team=cast.team_a, agent=cast.agent)
    document = {"intents": [{"name": "refund", "turns": [1], "probability": 0.9, "primary": True}]}
    return call, spoken(GREETING, ("customer", question)), document


def test_a_call_shows_the_article_that_answers_its_question_with_reply_score_and_turn(cast: Any) -> None:
    article = an_article(reply="It takes ten working days.")
    an_article("Opening hours", body="We open at eight.")
    call, transcript, document = asked(cast, "How long does a refund take?")
    assert services.suggest(call=call, transcript=transcript, document=document) == 1
    suggestion = Suggestion.objects.get()
    assert (suggestion.article, suggestion.turns) == (article, [1]) and suggestion.score > 0.5
    page = signed_in(cast.agent).get(call.get_absolute_url()).content.decode()
    assert "It takes ten working days." in page and "turn 2" in page
    Article.objects.update(enabled=False)
    assert "It takes ten working days." not in signed_in(cast.agent).get(call.get_absolute_url()).content.decode()
    services.suggest(call=call, transcript=transcript, document=document)
    assert not Suggestion.objects.exists()


def test_understanding_a_call_finds_its_articles(
    cast: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from callcenter.insights import services as insights

    article = an_article()
    call, transcript, _ = asked(cast, "How long does a refund take?")
    settings.MODELS_DIR = tmp_path
    monkeypatch.setattr(insights, "current_document", lambda call: transcript)
    monkeypatch.setattr(insights, "load_into_warehouse", lambda call: None)
    insights.understand_call(call=call)
    assert [s.article for s in Suggestion.objects.filter(call=call)] == [article]


def test_what_goes_wrong_with_articles_never_stops_understanding(
    cast: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    an_article()
    call, transcript, document = asked(cast, "How long does a refund take, my name is Secretperson?")

    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError(transcript["turns"][1]["text"])

    monkeypatch.setattr("analytics.nlu.answers.find_answers", broken)
    assert services.suggest(call=call, transcript=transcript, document=document) == 0


def test_the_next_action_of_a_risk_and_an_intent_stands_on_the_call_with_its_turns(cast: Any) -> None:
    IntentFactory(name="refund", label="Refund")
    assert services.seed_actions() > 5 and services.seed_actions() == 0
    call, _, document = asked(cast, "How long?")
    Alert.objects.filter(call=call).delete()
    alert = AlertFactory(call=call, category="legal", turn_index=4)
    client = signed_in(cast.supervisor)
    assert (
        client.post(
            "/alerts/answers/actions", {"kind": "intent", "key": "refund", "text": "Open a ticket."}
        ).status_code
        == 302
    )
    found = selectors.for_call(call, document, [alert])["next_actions"]
    assert [(a["why"], a["turns"]) for a in found] == [("Legal or regulator", [4]), ("Refund", [1])]
    assert found[1]["text"] == "Open a ticket."
    alert.status = "dismissed"
    assert [a["why"] for a in selectors.for_call(call, document, [alert])["next_actions"]] == ["Refund"]
    wrong = client.post("/alerts/answers/actions", {"kind": "risk", "key": "nonsense", "text": "x"})
    assert wrong.status_code == 400
    too_long = client.post("/alerts/answers/actions", {"kind": "risk", "key": "legal", "text": "x" * 401})
    assert too_long.status_code == 400 and "400 letters" in too_long.content.decode()
    client.post("/alerts/answers/actions", {"kind": "intent", "key": "refund", "text": " "})
    assert not NextAction.objects.filter(kind="intent").exists()


def test_stored_calls_are_matched_again_by_a_command(cast: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    call, transcript, _ = asked(cast, "How long does a refund take?")
    an_article()
    monkeypatch.setattr("callcenter.calls.services.transcripts.current_document", lambda call: transcript)
    out = io.StringIO()
    call_command("match_articles", "--days", "3650", stdout=out)
    assert "1 calls looked at." in out.getvalue() and Suggestion.objects.get().call == call
