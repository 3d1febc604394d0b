"""Reads of the knowledge base and of what the call page shows from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db.models import Count, F, Q, QuerySet

from callcenter.accounts.models import Role, User
from callcenter.calls.models import Call
from callcenter.insights.answers.models import Article, NextAction, Suggestion
from callcenter.insights.models import Alert, Category, Intent

SHOWN = 200


def articles(user: User, *, q: str = "", tag: str = "") -> list[Article]:
    """Return the articles that match, best first, else by title; those switched off only for who may change them."""
    rows: QuerySet[Article] = Article.objects.defer("search").annotate(
        used=Count("suggestions", filter=Q(suggestions__transcript=F("suggestions__call__transcript")))
    )
    if not user.has_role(Role.SUPERVISOR):
        rows = rows.filter(enabled=True)
    if tag:
        rows = rows.filter(tags__contains=[tag])
    if q:
        query = SearchQuery(q, search_type="websearch", config="english")
        rows = rows.filter(Q(search=query) | Q(title__icontains=q)).order_by(
            SearchRank(F("search"), query).desc(), "title"
        )
    return list(rows[:SHOWN])


def tags() -> list[str]:
    """Return every tag in use."""
    return sorted({str(tag) for some in Article.objects.values_list("tags", flat=True) for tag in some or []})


def for_call(call: Call, document: dict[str, Any], alerts: Iterable[Alert]) -> dict[str, Any]:
    """Return the articles and the next actions of a call, each with the turns behind it."""
    found = Suggestion.objects.filter(call=call, transcript=call.transcript_id, article__enabled=True)
    return {
        "answers": list(found.select_related("article").defer("article__search")[:3]) if call.transcript_id else [],
        "next_actions": _actions(document, alerts),
    }


def _actions(document: dict[str, Any], alerts: Iterable[Alert]) -> list[dict[str, Any]]:
    texts = {(a.kind, a.key): a.text for a in NextAction.objects.filter(enabled=True)}
    if not texts:
        return []
    categories, labels = dict(Category.choices), dict(Intent.objects.values_list("name", "label"))
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for alert in alerts:
        if alert.status != Alert.Status.DISMISSED:
            _add(found, texts, ("risk", alert.category), str(categories.get(alert.category, "")), [alert.turn_index])
    for intent in document.get("intents", []):
        name = intent["name"]
        _add(found, texts, ("intent", name), labels.get(name) or name.replace("_", " "), intent.get("turns", []))
    return list(found.values())


def _add(
    found: dict[tuple[str, str], dict[str, Any]],
    texts: dict[tuple[str, str], str],
    key: tuple[str, str],
    why: str,
    turns: list[int | None],
) -> None:
    if key in texts:
        row = found.setdefault(key, {"text": texts[key], "why": why, "turns": []})
        row["turns"] += [turn for turn in turns if turn is not None and turn not in row["turns"]]
