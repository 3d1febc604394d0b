"""The house's own words: they raise what may be misheard in the review queue and go to the decoder as hot words."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from callcenter.accounts.models import Team, User
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue
from callcenter.review.models import HeardWord, Term
from callcenter.review.scoring import Vocabulary, plain, word_hash

#: More would not fit into what a decoder is told, and each one it is told makes it a little more likely to hear it.
HOT_WORDS = 40
MAX_IMPORT = 2000
#: Before this many transcripts nothing can be called rare.
RARE_AFTER = 30


def terms_for(team: Team | int | None, *, limit: int = HOT_WORDS) -> list[str]:
    """Return the terms of a team and of all teams, the most recently used or added first, each once."""
    pk = team.pk if isinstance(team, Team) else team
    mine = Q(team=None) if pk is None else Q(team=None) | Q(team=pk)
    found: dict[str, str] = {}
    for text in Term.objects.filter(mine).order_by("-used_at", "-pk").values_list("text", flat=True)[: 2 * limit]:
        found.setdefault(text.casefold(), text)
    return list(found.values())[:limit]


def vocabulary_of(team_id: int | None) -> Vocabulary:
    """Return all terms of a team, ready for ranking."""
    return Vocabulary(terms_for(team_id, limit=MAX_IMPORT))


def add_terms(*, texts: Iterable[str], team: Team | None, by: User, note: str = "") -> tuple[list[Term], list[str]]:
    """Add terms and return (added, why each other one was not). Raises CallcenterError for too long a list."""
    wanted = list(dict.fromkeys(" ".join(text.replace("\x00", " ").split()) for text in texts if text.strip()))
    if len(wanted) > MAX_IMPORT:
        raise CallcenterError(
            gettext("At most {max_import} terms at once.").format(max_import=MAX_IMPORT), code="too_many"
        )
    added: list[Term] = []
    refused: list[str] = []
    for text in wanted:
        if problem := _problem(text):
            refused.append(gettext("“{text}”: {problem}").format(text=text[:40], problem=problem))
            continue
        try:
            with transaction.atomic():
                term = Term.objects.create(text=text, team=team, note=note[:200], created_by=by, used_at=timezone.now())
                audit.record("term.add", term, user=by, team=team.pk if team else None)
        except IntegrityError:
            refused.append(gettext("“{text}” is in the list already.").format(text=text[:40]))
            continue
        added.append(term)
    if added:
        enqueue("review.rescore", queue="default", team_id=team.pk if team else None)
    return added, refused


def remove_term(*, term: Term, by: User) -> None:
    """Take a term out of the vocabulary."""
    with transaction.atomic():
        audit.record("term.remove", term, user=by, team=term.team_id)
        team_id = term.team_id
        term.delete()
        enqueue("review.rescore", queue="default", team_id=team_id)


def read_list(data: bytes, name: str = "") -> list[str]:
    """Return the terms of an uploaded list: one on a line, or the first column of a CSV file.

    Raises CallcenterError for what is not text.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CallcenterError(
            gettext("This is not a text file (UTF-8), one term on a line."), code="not_text"
        ) from error
    rows = [row[0].strip() for row in csv.reader(io.StringIO(text)) if row and row[0].strip()]
    return rows[1:] if rows and rows[0].casefold() in {"term", "text", "word", "name"} else rows


def note_use(words: Iterable[str], team_id: int) -> None:
    """Move terms that a correction has just put into a text to the front of the list."""
    said = f" {' '.join(plain(word) for word in words)} "
    ids = [
        pk
        for pk, text in Term.objects.filter(Q(team=None) | Q(team=team_id)).values_list("pk", "text")
        if f" {' '.join(plain(part) for part in text.split())} " in said
    ]
    if ids:
        Term.objects.filter(pk__in=ids).update(used_at=timezone.now())


def count_words(words: Iterable[str]) -> None:
    """Note that one more transcript holds these words."""
    hashes = sorted({word_hash(word) for word in words if plain(word)})
    if not hashes:
        return
    with connection.cursor() as cursor:
        # In order, so that two transcripts at once wait for each other instead of blocking each other.
        cursor.execute(
            "INSERT INTO review_heardword (word, transcripts) SELECT unnest(%s::bigint[]), 1 ORDER BY 1 "
            "ON CONFLICT (word) DO UPDATE SET transcripts = review_heardword.transcripts + 1",
            [hashes],
        )


def rare_words(words: Iterable[str], transcripts: int) -> set[str]:
    """Return those of the words (letters only) that at most one transcript holds; none in a house with few."""
    if transcripts < RARE_AFTER:
        return set()
    by_hash = {word_hash(word): plain(word) for word in words if plain(word)}
    known = HeardWord.objects.filter(word__in=list(by_hash), transcripts__gt=1).values_list("word", flat=True)
    common = set(known)
    return {word for number, word in by_hash.items() if number not in common and not word.isdigit()}


def _problem(text: str) -> str:
    if len(text) > 80:
        return gettext("longer than 80 letters.")
    if len(plain(text)) < 2:
        return gettext("has no letters that could be heard.")
    if len(text.split()) > 4:
        return gettext("has more than four words.")
    return ""
