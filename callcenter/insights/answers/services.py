"""Articles are saved in versions; a call gets the articles that answer it; an action belongs to an intent or a risk."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.text import slugify
from django.utils.translation import gettext

from callcenter.accounts.models import User
from callcenter.calls.models import Call
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue
from callcenter.insights.answers.models import Article, ArticleVersion, NextAction, Suggestion
from callcenter.insights.models import Category
from callcenter.privacy.services import typed

log = structlog.get_logger("callcenter.answers")
CONTENT = ("title", "body", "reply", "questions", "tags")
MAX_BODY = 40_000


def save_article(
    *,
    by: User | None,
    article: Article | None = None,
    key: str = "",
    enabled: bool = True,
    source: str = "",
    **content: Any,
) -> tuple[Article, bool]:
    """Make or change an article; return it and whether its content is new. Each new content is a version.

    Raises CallcenterError for an article without a title or a text, or that is too long.
    """
    values = {name: content[name] for name in CONTENT if name in content}
    for name in ("title", "body", "reply"):
        if name in values:
            values[name] = typed(str(values[name]).replace("\x00", "").strip())
    if not values.get("title", article.title if article else "") or not values.get(
        "body", article.body if article else ""
    ):
        raise CallcenterError(gettext("An article needs a title and a text."), code="empty")
    if len(values.get("body", "")) > MAX_BODY or len(values.get("reply", "")) > MAX_BODY:
        raise CallcenterError(
            gettext("An article may have {max_body:,} letters.").format(max_body=MAX_BODY), code="too_long"
        )
    if len(values.get("title", "")) > 200:
        raise CallcenterError(gettext("A title may have 200 letters."), code="too_long")
    with transaction.atomic():
        if article is None:
            row = Article(key=key or _free_key(values["title"]))
            changed = True
        else:
            row = Article.objects.select_for_update().get(pk=article.pk)
            changed = any(getattr(row, name) != value for name, value in values.items())
            row.version += changed
        touched = changed or row.enabled != enabled
        for name, value in values.items():
            setattr(row, name, value)
        row.enabled = enabled
        if touched:
            row.source, row.updated_by = source, by
            try:
                with transaction.atomic():
                    row.save()
            except IntegrityError as error:
                raise CallcenterError(gettext("There is an article of this key already."), code="key_taken") from error
        if changed:
            ArticleVersion.objects.create(
                article=row, number=row.version, content={name: getattr(row, name) for name in CONTENT}, author=by
            )
        if touched:
            audit.record("article.save", row, user=by, version=row.version, enabled=enabled)
            enqueue("answers.embed", queue="nlu")
    return row, changed


def restore_version(*, article: Article, number: int, by: User) -> Article:
    """Make an earlier version the present one, as a new version."""
    old = article.versions.filter(number=number).first()
    if old is None:
        raise CallcenterError(gettext("There is no such version."), code="no_version")
    return save_article(by=by, article=article, enabled=article.enabled, **old.content)[0]


def delete_article(*, article: Article, by: User) -> None:
    """Remove an article with its versions; calls no longer show it."""
    with transaction.atomic():
        audit.record("article.delete", article, user=by, key=article.key)
        article.delete()


def _free_key(title: str) -> str:
    base = slugify(title)[:100] or "article"
    key, n = base, 1
    while Article.objects.filter(key=key).exists():
        n += 1
        key = f"{base}-{n}"
    return key


# --- matching: only where understanding runs ----------------------------------------------------------------------


def suggest(*, call: Call, transcript: dict[str, Any], document: dict[str, Any]) -> int:
    """Find and store the articles for what the customer of a call asked; return how many.

    Never stops understanding: what goes wrong here is logged, and the call has no suggestions.
    """
    try:
        found = _match(transcript, document)
        with transaction.atomic():
            Call.objects.select_for_update().get(pk=call.pk)
            Suggestion.objects.filter(call=call).delete()
            if call.transcript_id is None:
                return 0
            Suggestion.objects.bulk_create(
                Suggestion(call=call, transcript_id=call.transcript_id, **values) for values in found
            )
    except Exception as error:
        log.exception("answers_failed", call=str(call.pk), error=type(error).__name__)
        return 0
    return len(found)


def _match(transcript: dict[str, Any], document: dict[str, Any]) -> list[dict[str, Any]]:
    from analytics.nlu.answers import find_answers

    rows = {str(row.pk): row for row in Article.objects.filter(enabled=True)}
    if not rows:
        return []
    decided = {turn for intent in document.get("intents", []) for turn in intent.get("turns", [])}
    found = find_answers(transcript, [_plain(row) for row in rows.values()], decided=decided, **_places())
    return [
        {
            "article": rows[one.article],
            "version": rows[one.article].version,
            "score": one.score,
            "turns": list(one.turns),
            "start_ms": one.start_ms,
        }
        for one in found
    ]


def embed_articles() -> int:
    """Compute the vectors of new and changed articles, so that no call waits for them; return how many there are."""
    from analytics.nlu.answers import vectors
    from analytics.nlu.embedding import EmbedderMissing, load

    articles = [_plain(row) for row in Article.objects.filter(enabled=True)]
    places = _places()
    try:
        embedder = load(places["models_dir"])
    except EmbedderMissing:
        return 0
    return len(vectors(articles, embedder, places["cache_dir"]))


def rematch(*, since: datetime) -> int:
    """Find the articles of stored calls again that began since then; return how many calls were looked at."""
    from callcenter.calls.services.transcripts import current_document

    done = 0
    calls = Call.objects.filter(started_at__gte=since, transcript__isnull=False, insight__isnull=False)
    for call in calls.select_related("insight", "transcript").iterator(chunk_size=50):
        suggest(call=call, transcript=current_document(call), document=call.insight.document or {})
        done += 1
    return done


def _plain(row: Article) -> Any:
    from analytics.nlu.answers import Article as Plain

    return Plain(str(row.pk), row.title, row.body, tuple(str(q) for q in row.questions or []))


def _places() -> dict[str, Any]:
    return {"models_dir": str(settings.MODELS_DIR), "cache_dir": str(settings.VAR_DIR / "nlu")}


# --- what to do next ----------------------------------------------------------------------------------------------

#: Put into an empty table at the first start; what is there is never touched.
DEFAULT_ACTIONS = (
    ("risk", "churn", "Ask what would make the customer stay, and offer a call back by the retention team."),
    ("risk", "complaint", "Write it down in the customer's words; name its reference and the day of the answer."),
    ("risk", "legal", "Promise nothing. Pass the call on to the legal desk today."),
    ("risk", "fraud", "Freeze changes to the account and start the identity check."),
    ("risk", "data_leak", "Report it to the data protection officer before the end of the day."),
    ("risk", "payment_data", "Check that the card data is masked, and remind the agent of the payment line."),
    ("risk", "vulnerable", "Use the care procedure: slow down, offer help in writing, note the need with consent."),
    ("risk", "self_harm", "Follow the emergency procedure now, and stay with the customer until it has taken over."),
)  # fmt: skip


def seed_actions() -> int:
    """Put the default actions into an empty table; return how many."""
    if NextAction.objects.exists():
        return 0
    return len(
        NextAction.objects.bulk_create(NextAction(kind=k, key=key, text=text) for k, key, text in DEFAULT_ACTIONS)
    )


def save_action(*, by: User, kind: str, key: str, text: str, enabled: bool = True) -> NextAction | None:
    """Say what to do for an intent or a risk; an empty text takes it away. Raises CallcenterError."""
    from callcenter.insights.models import Intent

    known = set(Category.values) if kind == "risk" else set(Intent.objects.values_list("name", flat=True))
    if kind not in NextAction.Kind.values or key not in known:
        raise CallcenterError(gettext("Choose an intent or a risk that exists."), code="unknown_key")
    said = typed(text.replace("\x00", "").strip())
    if len(said) > 400:
        raise CallcenterError(gettext("An action may have 400 letters."), code="too_long")
    with transaction.atomic():
        if not said:
            for row in NextAction.objects.filter(kind=kind, key=key):
                audit.record("action.delete", row, user=by, kind=kind, key=key)
                row.delete()
            return None
        row, _ = NextAction.objects.update_or_create(
            kind=kind, key=key, defaults={"text": said, "enabled": enabled, "updated_by": by}
        )
        audit.record("action.save", row, user=by, kind=kind, key=key)
    return row
