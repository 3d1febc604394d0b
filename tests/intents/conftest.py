"""A small taxonomy, an embedder without weights and calls whose words decide, for tests of the taxonomy."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from callcenter.calls.models import Call, Turn
from callcenter.insights.models import Intent
from tests.factories import RuleFactory, Story, understood_call
from tests.nlu.calls import HashingEmbedder

#: The module; its name in the package is the function.
UNDERSTAND = importlib.import_module("analytics.nlu.understand")
REFUND = (
    "please refund the money to my card", "refund my money please", "i want a refund of the money",
    "send the refund money back", "where does my refund money stay",
)  # fmt: skip
ADDRESS = (
    "we moved to another street address", "change my street address", "my new address is another street",
    "the street address is old", "please note another address and street",
)  # fmt: skip
LINE = (
    "the broadband line is broken", "internet line keeps dropping", "my broadband is slow and dropping",
    "the internet is broken again", "no internet on my broadband line",
)  # fmt: skip


def says(text: str, *, intent: str = "refund") -> Story:
    """A short call whose customer says one thing."""
    greeting = "Good morning, Northwind support, how may I help?"
    return Story(intent=intent, turns=(("agent", greeting, 0.1), ("customer", text, 0.0)), alerts=(), unsure={})


def heard(text: str, *, intent: str = "refund", **values: Any) -> Call:
    """Store such a call as understood with the given intent."""
    return understood_call(says(text, intent=intent), run=False, **values)


@pytest.fixture(scope="session")
def heads_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of trained heads for all tests: they are named by what they learned from."""
    return tmp_path_factory.mktemp("var")


@pytest.fixture
def small(db: None, settings: Any, heads_dir: Path, monkeypatch: pytest.MonkeyPatch) -> HashingEmbedder:
    """Two intents, no rules, and an embedder that needs no weights."""
    settings.VAR_DIR = heads_dir
    RuleFactory(enabled=False)
    embedder = HashingEmbedder()
    monkeypatch.setattr(UNDERSTAND, "load", lambda *_: embedder)
    Intent.objects.create(name="refund", label="Refund", examples=list(REFUND), description="Money back")
    Intent.objects.create(name="address", label="Address", examples=list(ADDRESS))
    return embedder


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Messages instead of a broker."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr("callcenter.core.queue.send", lambda task, **kwargs: found.append({"task": task, **kwargs}))
    return found


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Any) -> None:
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.WHITENOISE_AUTOREFRESH = True


def spoken(call: Call) -> tuple[int, int]:
    """Return where the customer speaks."""
    turn = Turn.objects.get(call=call, party="customer")
    return turn.start_ms, turn.end_ms
