"""Which article of a knowledge base answers what the customer asked: by meaning, with the turns behind it, or none.

What the customer asks for (questions, requests, and the pieces that decided an intent) is compared with the passages of
every article: its title, its sample questions, and its text in pieces. A question speaks for the nearest article, and
below a threshold for none. Knows no Django; loads a model only when called.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analytics.nlu.chunks import Chunk, cut
from analytics.nlu.embedding import Embedder, EmbedderMissing, load
from analytics.nlu.heads import content_key
from analytics.nlu.text import read

#: Cosine from which on a question and a passage are taken to be about the same (docs/answers.md says how chosen).
THRESHOLD = 0.50
AT_MOST = 3
MAX_PASSAGES = 40
_PASSAGE_WORDS = 45
_SAME = 0.08
_QUESTION = re.compile(
    r"^(?:(?:and|so|but|well|okay|ok|um|uh|hi|hello|yes|no|sorry|please)[,.]?\s+)*"
    r"(?:what|when|where|which|who|whom|whose|why|how|can|could|do|does|did|is|are|am|was|were|will|would|should|may|"
    r"have|has)\b",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"\b(?:i(?:'d| would)? (?:want|need|like)|i(?:'m| am) (?:calling|trying|looking|ringing|phoning)|i (?:can't|cannot|"
    r"could not|couldn't|forgot|lost|still (?:have not|haven't))|help me|tell me|"
    r"my (?:\w+ ){1,3}(?:is|has|does|did|was)(?: not|n't))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Article:
    """One article as matching sees it. `id` is the caller's name for it."""

    id: str
    title: str
    body: str
    questions: tuple[str, ...] = ()

    def passages(self) -> tuple[str, ...]:
        """Return the pieces that a question is compared with."""
        pieces = [self.title, *self.questions, *(f"{self.title}. {piece}" for piece in _pieces(self.body))]
        return tuple(dict.fromkeys(p.strip() for p in pieces if p.strip()))[:MAX_PASSAGES]


@dataclass(frozen=True, slots=True)
class Found:
    """An article for this call: how near, and the turns of the questions that it answers, gravest first."""

    article: str
    score: float
    turns: tuple[int, ...]
    start_ms: int


def asks(chunk: Chunk) -> bool:
    """Return whether a piece reads like a question or a request."""
    return chunk.words >= 3 and bool(
        chunk.text.rstrip().endswith("?") or _QUESTION.match(chunk.text) or _REQUEST.search(chunk.text)
    )


def find_answers(
    transcript: dict[str, Any],
    articles: Sequence[Article],
    *,
    decided: Iterable[int] = (),
    embedder: Embedder | None = None,
    models_dir: str | Path = "var/models",
    cache_dir: str | Path | None = None,
    threshold: float = THRESHOLD,
) -> list[Found]:
    """Return at most three articles for what the customer asked, nearest first.

    `decided` are turns that decided an intent; they count as asked, questions or not. Without articles, questions or
    an embedding model the answer is empty: nothing depends on it.
    """
    intent_turns = set(decided)
    pieces = [
        chunk for chunk in cut(read(transcript))
        if chunk.party != "agent" and (asks(chunk) or (chunk.turn in intent_turns and chunk.words >= 3))
    ]  # fmt: skip
    if not pieces or not articles:
        return []
    if embedder is None:
        try:
            embedder = load(models_dir)
        except EmbedderMissing:
            return []
    scores = nearness([piece.text for piece in pieces], articles, embedder, cache_dir)
    best = scores.argmax(axis=1)
    found = []
    for column in sorted(set(best)):
        rows = [row for row in np.flatnonzero(best == column) if scores[row, column] >= threshold]
        if not rows:
            continue
        rows.sort(key=lambda row: -scores[row, column])
        top = float(scores[rows[0], column])
        turns = dict.fromkeys(pieces[row].turn for row in rows if scores[row, column] >= top - _SAME)
        found.append(Found(articles[column].id, round(min(1.0, top), 4), tuple(turns), pieces[rows[0]].start_ms))
    return sorted(found, key=lambda one: (-one.score, one.article))[:AT_MOST]


def nearness(
    questions: Sequence[str], articles: Sequence[Article], embedder: Embedder, cache_dir: str | Path | None = None
) -> np.ndarray:
    """Return the cosine of every question with the nearest passage of every article, shape (questions, articles)."""
    tables = vectors(articles, embedder, cache_dir)
    asked = embedder.encode(list(questions))
    return np.stack([(asked @ table.T).max(axis=1) for table in tables], axis=1)


_kept: dict[str, np.ndarray] = {}


def vectors(articles: Sequence[Article], embedder: Embedder, cache_dir: str | Path | None = None) -> list[np.ndarray]:
    """Return the vectors of each article's passages: kept by content in memory and on disk, so a change costs its own.

    A folder that cannot be written costs some seconds per process and nothing else; a damaged file is made anew.
    """
    folder = Path(cache_dir) / "answers" if cache_dir else None
    passages = [article.passages() or (article.id,) for article in articles]
    keys = [content_key("answers", embedder.fingerprint, some) for some in passages]
    if len(_kept) > 2 * len(articles) + 1000:
        _kept.clear()
    for key, some in zip(keys, passages, strict=True):
        if key not in _kept and folder is not None and (table := _read(folder / f"{key}.npy", len(some))) is not None:
            _kept[key] = table
    fresh = {key: some for key, some in zip(keys, passages, strict=True) if key not in _kept}
    made = np.asarray(embedder.encode([p for some in fresh.values() for p in some]), np.float32) if fresh else None
    at = 0
    for key, some in fresh.items():
        assert made is not None
        _kept[key] = made[at : at + len(some)]
        at += len(some)
        if folder is not None:
            _write(folder / f"{key}.npy", _kept[key])
    return [_kept[key] for key in keys]


def _read(path: Path, rows: int) -> np.ndarray | None:
    try:
        table: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return table if table.ndim == 2 and table.shape[0] == rows else None


def _write(path: Path, table: np.ndarray) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(f".{os.getpid()}.npy")
        np.save(half, table, allow_pickle=False)
        half.replace(path)
    except OSError:
        return


def _pieces(body: str) -> list[str]:
    """Return the text in pieces of whole sentences, at most 45 words where sentences allow."""
    out: list[str] = []
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)])\s)", body):
        said: list[str] = []
        for sentence in re.split(r"(?<=[.!?])\s+", re.sub(r"^\s*(?:[-*•#]+|\d+[.)])\s*", "", block).strip()):
            words = sentence.split()
            if said and len(said) + len(words) > _PASSAGE_WORDS:
                out.append(" ".join(said))
                said = []
            said += words
        if said:
            out.append(" ".join(said))
    return out
