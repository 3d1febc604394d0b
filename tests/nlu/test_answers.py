"""Articles for what customers ask: the turn that asked, the nearest article, none below the threshold; measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analytics.nlu import answers
from analytics.nlu.answers import Article, find_answers
from analytics.nlu.chunks import cut
from analytics.nlu.text import read
from tests.nlu.calls import GOODBYE, GREETING, HashingEmbedder, call

REFUND = Article("refund", "How long does a refund take", "A refund is on the account within ten working days.")
ROUTER = Article("router", "The router blinks red", "Pull the plug, wait thirty seconds, and plug it in again.")


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    answers._kept.clear()


def found(*turns: tuple[str, str], articles: Any = (REFUND, ROUTER), **more: Any) -> list[answers.Found]:
    return find_answers(call(*turns), list(articles), embedder=HashingEmbedder(), threshold=0.5, **more)


def test_the_turn_that_asked_and_the_article_that_answers_it_are_found() -> None:
    one = found(GREETING, ("customer", "Hello. How long does a refund take please?"), ("agent", "Ten days."), GOODBYE)
    assert [(f.article, f.turns) for f in one] == [("refund", (1,))]
    assert 0.5 <= one[0].score <= 1


def test_what_the_agent_asks_and_what_the_customer_merely_says_is_no_question() -> None:
    assert (
        found(("agent", "How long does a refund take?"), ("customer", "A refund take long, the router blinks.")) == []
    )


def test_a_turn_that_decided_the_intent_counts_though_it_is_no_question() -> None:
    said = ("customer", "The router blinks red again.")
    assert found(GREETING, said) == []
    assert [f.article for f in found(GREETING, said, decided=[1])] == ["router"]


def test_below_the_threshold_there_is_none_and_without_articles_or_words_neither() -> None:
    assert found(GREETING, ("customer", "Where can I buy a lovely green parrot?")) == []
    assert found(GREETING, ("customer", "How long does a refund take?"), articles=()) == []
    assert find_answers(call(), [REFUND], embedder=HashingEmbedder()) == []


def test_two_questions_find_two_articles_and_one_question_asked_twice_finds_one_with_both_turns() -> None:
    two = found(
        ("customer", "How long does a refund take?"), ("agent", "Ten days."), ("customer", "Why the router blinks?"),
        ("customer", "So how long does a refund take?"),
    )  # fmt: skip
    assert {f.article: set(f.turns) for f in two} == {"refund": {0, 3}, "router": {2}}


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Can you tell me the price", True), ("I would like to cancel my order", True), ("I lost my card today", True),
        ("And when will it arrive", True), ("my parcel has not come", True), ("Thank you very much indeed", False),
        ("It was blue and rather big", False), ("What", False),
    ],
)  # fmt: skip
def test_questions_and_requests_are_told_from_talk_without_marks(text: str, asked: bool) -> None:
    (chunk,) = cut(read(call(("customer", text))))
    assert answers.asks(chunk) is asked


def test_long_texts_are_cut_into_whole_sentences_and_the_number_of_pieces_is_bounded() -> None:
    body = "\n\n".join(f"Sentence number {n} says something. And then some more of it follows." for n in range(200))
    passages = Article("a", "Title", body).passages()
    assert len(passages) == answers.MAX_PASSAGES and passages[0] == "Title"
    assert all(p.endswith(".") for p in passages[1:])


def test_a_changed_article_costs_its_own_vectors_and_damage_on_disk_is_repaired(tmp_path: Path) -> None:
    embedder = HashingEmbedder()
    first = answers.vectors([REFUND, ROUTER], embedder, tmp_path)
    assert sum(embedder.passes) == sum(len(a.passages()) for a in (REFUND, ROUTER))
    answers._kept.clear()
    embedder.passes.clear()
    again = answers.vectors([REFUND, ROUTER], embedder, tmp_path)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert embedder.passes == []
    changed = Article("router", "The router blinks red", "Call the hotline.")
    answers.vectors([REFUND, changed], embedder, tmp_path)
    assert embedder.passes == [len(changed.passages())]
    answers._kept.clear()
    for path in (tmp_path / "answers").iterdir():
        path.write_bytes(b"damaged")
    assert np.array_equal(answers.vectors([REFUND], embedder, tmp_path)[0], first[0])


ARTICLES = (
    Article("refund", "Refund times", "A refund reaches the account ten working days after we received the parcel."),
    Article("password", "Reset a password", "Choose “Forgotten password” on the sign-in page and follow the e-mail."),
    Article(
        "address", "Change of address", "A new address is changed in the customer record after the identity check."
    ),
    Article("router", "Router shows a red light", "Unplug the router, wait thirty seconds and start it again."),
    Article("invoice", "Understanding the bill", "Fees and extra charges stand on the second page of the invoice."),
    Article("cancel", "Cancelling a contract", "A contract ends with a notice of one month in writing."),
    Article("delivery", "Delivery times", "Parcels arrive within three days; the tracking number is in the e-mail."),
    Article("roaming", "Using the phone abroad", "Inside the roaming zone calls and data cost the same as at home."),
)
ASKED = {
    "When do I get my money back for what I returned?": "refund",
    "I can't sign in any more, I forgot my password.": "password",
    "I moved house last week, can you change where you send my letters?": "address",
    "There is a red light on my router, what should I do?": "router",
    "Why is my bill so much higher this month?": "invoice",
    "How can I get out of my contract?": "cancel",
    "Where is my parcel, it should have been here on Monday?": "delivery",
    "Can I use my phone abroad without paying extra?": "roaming",
}
UNRELATED = (
    "How are you today?", "Can you hear me now?", "Could you speak a little louder?", "Do you have the time?",
    "I need a new windscreen for my car.", "Is it raining where you are?", "Could I speak to your manager?",
    "Would you hold on for a second?", "My son is ill, can he see the doctor today?", "Who won the match last night?",
)  # fmt: skip


@pytest.mark.slow
def test_with_the_real_model_customers_words_find_the_article_and_small_talk_finds_none() -> None:
    from callcenter.settings.env import ROOT

    folder = ROOT / "var" / "models"
    if not (folder / "minilm" / "config.json").is_file():
        pytest.skip("no MiniLM: run `python -m asr_worker.models pull minilm`")
    right = wrong = 0
    for question, wanted in ASKED.items():
        got = find_answers(call(GREETING, ("customer", question)), ARTICLES, models_dir=folder)
        right += bool(got) and got[0].article == wanted
        wrong += bool(got) and got[0].article != wanted
    false = [q for q in UNRELATED if find_answers(call(GREETING, ("customer", q)), ARTICLES, models_dir=folder)]
    assert (right, wrong, false) == (right, 0, []) and right >= 5, (right, wrong, false)
