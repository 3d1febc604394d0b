"""How well understanding reads feelings and risks in labelled call-centre speech of our own writing.

    python -m benchmarks.nlu_quality [--models-dir var/models] [--part test] [--show]

Sentiment: the lexicon alone, the sentence head alone and both together, on tests/nlu/sentiment_turns.yaml. Risk: the
default rule pack on tests/nlu/risk_excerpts.yaml, clean and with one word in ten misheard; intervals are Wilson's at
95 %. `--show` lists what went wrong, and only for `--part dev`: the test part is scored, never read.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analytics.nlu import CATEGORIES, NLU_VERSION, default_rules, heads, sentiment
from analytics.nlu.chunks import EmbeddedChunks, cut
from analytics.nlu.embedding import Embedder, EmbedderMissing, load
from analytics.nlu.engine import run_rules
from analytics.nlu.metrics import talk_metrics
from analytics.nlu.rules import compile_rules
from analytics.nlu.text import read
from benchmarks import nlu_labelled
from benchmarks.common import finish
from benchmarks.nlu_labelled import Excerpt, Mishearing, Turn

GOALS = {"sentiment_macro_f1": 0.80, "risk_precision": 0.90, "risk_recall": 0.85}
ERROR_RATE = 0.1
ERROR_SEED = 1


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a share; (0, 1) where nothing was counted."""
    if not of:
        return 0.0, 1.0
    share, square = hits / of, z * z
    middle = (share + square / (2 * of)) / (1 + square / of)
    reach = z * math.sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def sentiment_answers(turns: Sequence[Turn], embedder: Embedder, cache: Path) -> dict[str, np.ndarray]:
    """Return per method the label numbers (see sentiment.LABELS) it gives to the turns."""
    texts = [t.text for t in turns]
    lexicon = sentiment.chunk_probabilities(texts, None, cache_dir=cache, warnings=[])
    alone = sentiment.sentence_head(embedder, cache, blends=(0.0,)).probabilities(embedder.tones(texts))
    both = sentiment.chunk_probabilities(texts, embedder, cache_dir=cache, warnings=[])
    return {"lexicon alone": lexicon.argmax(1), "head alone": alone.argmax(1), "combined": both.argmax(1)}


def f1_scores(truth: np.ndarray, said: np.ndarray) -> dict[str, float]:
    """Return the F1 of each class and their unweighted mean as `macro`."""
    scores = {}
    for k, name in enumerate(sentiment.LABELS):
        hit, total = int(((truth == k) & (said == k)).sum()), int((truth == k).sum() + (said == k).sum())
        scores[name] = 2 * hit / total if total else 0.0
    return {"macro": heads.macro_f1(truth, said, len(sentiment.LABELS))} | scores


def measure_sentiment(part: str, embedder: Embedder, cache: Path, *, show: bool = False) -> dict[str, dict[str, float]]:
    """Return the F1 figures of every method on one part of the labelled turns."""
    turns = nlu_labelled.sentiment_turns(part)
    truth = np.array([sentiment.LABELS.index(t.label) for t in turns])
    answers = sentiment_answers(turns, embedder, cache)
    if show:
        for turn, k in zip(turns, answers["combined"], strict=True):
            if sentiment.LABELS[k] != turn.label:
                print(f"  {turn.label} [{turn.tag}] read as {sentiment.LABELS[k]}: {turn.text}")
    return {method: f1_scores(truth, said) for method, said in answers.items()}


def categories_raised(excerpt: Excerpt, embedder: Embedder, misheard: Mishearing | None) -> dict[str, str]:
    """Return the categories that the default pack raises on an excerpt, each with the rule that did."""
    call = read(nlu_labelled.transcript(excerpt, misheard))
    alerts = run_rules(
        compile_rules(default_rules()), call, talk_metrics(call), EmbeddedChunks(cut(call), embedder)
    )  # fmt: skip
    return {a["category"]: f"{a['rule_key']}: {a['components'][0]['detail']}" for a in alerts}


def measure_risk(part: str, embedder: Embedder, *, errors: bool, show: bool = False) -> dict[str, dict[str, int]]:
    """Return per category the counts `hit`, `missed` and `false`; an excerpt counts once for a category."""
    misheard = Mishearing(nlu_labelled.vocabulary(), rate=ERROR_RATE, seed=ERROR_SEED) if errors else None
    counts = {c: {"hit": 0, "missed": 0, "false": 0} for c in CATEGORIES}
    for excerpt in nlu_labelled.risk_excerpts(part):
        raised = categories_raised(excerpt, embedder, misheard)
        for category in CATEGORIES:
            wanted = category in excerpt.expect
            if wanted:
                counts[category]["hit" if category in raised else "missed"] += 1
            elif category in raised and category not in excerpt.may:
                counts[category]["false"] += 1
            else:
                continue
            if show and wanted != (category in raised):
                print(f"  {'missed' if wanted else 'false'} {category}: {excerpt.text} {raised.get(category, '')}")
    return counts


def risk_figures(counts: dict[str, dict[str, int]]) -> dict[str, dict[str, Any]]:
    """Return per category precision and recall with their intervals and the number of cases that count for each."""
    out = {}
    for category, n in counts.items():
        raised, wanted = n["hit"] + n["false"], n["hit"] + n["missed"]
        out[category] = {
            "precision": round(n["hit"] / raised, 3) if raised else 0.0,
            "precision_interval": [round(v, 2) for v in wilson(n["hit"], raised)],
            "recall": round(n["hit"] / wanted, 3) if wanted else 0.0,
            "recall_interval": [round(v, 2) for v in wilson(n["hit"], wanted)],
            "raised": raised,
            "wanted": wanted,
        }
    return out


def print_sentiment(figures: dict[str, dict[str, float]], count: int) -> None:
    names = ("macro", *sentiment.LABELS)
    print(f"\nSentiment, F1 on {count} turns\n{'':<16}" + "".join(f"{n:>10}" for n in names))
    for method, scores in figures.items():
        print(f"{method:<16}" + "".join(f"{scores[n]:>10.3f}" for n in names))


def print_risk(clean: dict[str, dict[str, Any]], misheard: dict[str, dict[str, Any]], count: int) -> None:
    def cell(row: dict[str, Any], name: str) -> str:
        low, high = row[f"{name}_interval"]
        return f"{row[name]:.2f} [{low:.2f}-{high:.2f}]"

    head = f"{'':<20}{'n':>4}" + "".join(f"{h:>19}" for h in ("precision", "recall", "misheard prec.", "misheard rec."))
    print(f"\nRisk on {count} excerpts, clean and with {ERROR_RATE:.0%} of the words misheard\n{head}")
    for category in CATEGORIES:
        cells = [cell(rows[category], name) for rows in (clean, misheard) for name in ("precision", "recall")]
        print(f"{category:<20}{clean[category]['wanted']:>4}" + "".join(f"{c:>19}" for c in cells))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nlu_quality", description=__doc__.splitlines()[0])
    parser.add_argument("--models-dir", type=Path, default=Path("var/models"))
    parser.add_argument("--part", choices=nlu_labelled.PARTS, default="test")
    parser.add_argument("--show", action="store_true", help="list what went wrong; for the part dev only")
    args = parser.parse_args(argv)
    if args.show and args.part != "dev":
        parser.error("--show is for --part dev: the test part is never read while improving")
    try:
        embedder = load(args.models_dir)
    except EmbedderMissing as error:
        print(f"not run: {error}")
        finish({}, GOALS, met=False)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        feelings = measure_sentiment(args.part, embedder, Path(folder), show=args.show)
    counts = {e: measure_risk(args.part, embedder, errors=e, show=args.show and not e) for e in (False, True)}
    clean, misheard = risk_figures(counts[False]), risk_figures(counts[True])
    print_sentiment(feelings, len(nlu_labelled.sentiment_turns(args.part)))
    print_risk(clean, misheard, len(nlu_labelled.risk_excerpts(args.part)))
    below = [
        f"{category} {name} {row[name]:.2f}"
        for category, row in clean.items()
        for name in ("precision", "recall")
        if row[name] < GOALS[f"risk_{name}"]
    ]
    macro = feelings["combined"]["macro"]
    if macro < GOALS["sentiment_macro_f1"]:
        below.insert(0, f"sentiment macro-F1 {macro:.3f}")
    print("\n" + ("every goal is met" if not below else "below the goal: " + ", ".join(below)))
    rounded = {m: {k: round(v, 3) for k, v in s.items()} for m, s in feelings.items()}
    figures = {"nlu_version": NLU_VERSION, "part": args.part, "sentiment": rounded}
    return finish(figures | {"risk": clean, "risk_misheard": misheard, "below": below}, GOALS, met=not below)


if __name__ == "__main__":
    sys.exit(main())
