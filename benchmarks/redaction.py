"""What redaction finds and what it hides for nothing: made-up calls in every form, the demo's scripts, real questions.

`python -m benchmarks.redaction [--seed N] [--part P]` prints per kind recall and precision, the false alarms on calls
without a card and the throughput. A case counts as found only where every one of its words is hidden. `--part 3` says
what development never looked at, 1 and 2 what it looked at after measuring it once. Real questions (banking77,
clinc150) are read where the data is.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from analytics.redaction import ALWAYS_HIDDEN, KINDS, Span, find
from benchmarks.common import ROOT, data_dir, finish, runs
from benchmarks.redaction_cases import Case, card_cases
from benchmarks.redaction_others import negative_cases, other_cases

SEED = 20_260_101
HELD_OUT_SEEDS = {1: 77_310_929, 2: 515_202_663, 3: 640_118_227}
GOALS = {"card_recall_at_least": 0.99, "cards": 500, "demo_card_calls_found": 1, "words_per_second_at_least": 10_000}


def places(spans: Iterable[Span], kinds: Iterable[str]) -> set[tuple[int, int]]:
    """Return the (turn, word) places that spans of these kinds hide."""
    wanted = set(kinds)
    return {(s.turn, k) for s in spans if s.kind in wanted for k in range(s.first_word, s.end_word)}


def by_kind(cases: list[Case]) -> list[dict[str, Any]]:
    """Return per kind: cases, share wholly hidden under any kind, share under their own, precision of its spans."""
    total, hidden, right = Counter[str](), Counter[str](), Counter[str]()
    spans_of, spans_right = Counter[str](), Counter[str]()
    for case in cases:
        spans = find(case.document)
        for kind, truth in case.truth.items():
            total[kind] += 1
            hidden[kind] += truth <= places(spans, ALWAYS_HIDDEN if kind in ALWAYS_HIDDEN else KINDS)
            right[kind] += truth <= places(spans, (kind,))
        secret = set().union(*case.truth.values())
        for span in spans:
            # Hiding a neighbour's kind is no false alarm; hiding what is no secret is one.
            spans_of[span.kind] += 1
            spans_right[span.kind] += any((span.turn, k) in secret for k in range(span.first_word, span.end_word))
    return [
        {
            "kind": kind,
            "cases": total[kind],
            "recall": round(hidden[kind] / total[kind], 4),
            "own_kind": round(right[kind] / total[kind], 4),
            "precision": round(spans_right[kind] / spans_of[kind], 4) if spans_of[kind] else None,
        }
        for kind in KINDS
        if total[kind]
    ]


def false_alarms(documents: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """Return how many documents there are and in how many something is hidden as a card's."""
    flagged = [any(span.kind in ALWAYS_HIDDEN for span in find(document)) for document in documents]
    return len(flagged), sum(flagged)


def demo_calls() -> dict[str, Any]:
    """Return how many demo calls there are, and in which something of a card is hidden."""
    manifest = ROOT / "callcenter" / "demo" / "manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    flagged = [row["name"] for row in rows if false_alarms([{"turns": row["reference"]}])[1]]
    return {"calls": len(rows), "flagged": flagged}


def questions(data: Path) -> dict[str, list[str]]:
    """Return real customers' questions by source; none of them holds a card number."""
    out: dict[str, list[str]] = {}
    banking, clinc = data / "text" / "banking77" / "train.csv", data / "text" / "clinc150" / "data_full.json"
    if banking.exists():
        with banking.open(encoding="utf-8", newline="") as file:
            out["banking77"] = [row["text"] for row in csv.DictReader(file)]
    if clinc.exists():
        splits = json.loads(clinc.read_text(encoding="utf-8")).values()
        out["clinc150"] = [row[0] for split in splits for row in split]
    return out


def throughput(cases: list[Case]) -> float:
    """Return the words per second over these calls: the median of several runs."""
    words = sum(len(turn["words"]) for case in cases for turn in case.document["turns"])
    rates = []
    for _ in range(runs(5)):
        began = time.perf_counter()
        for case in cases:
            find(case.document)
        rates.append(words / (time.perf_counter() - began))
    return statistics.median(rates)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redaction", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--cards", type=int, default=900)
    parser.add_argument("--part", type=int, choices=(0, 1, 2, 3), default=0, help="part of the phrases; 3 is held out")
    parser.add_argument("--data", default="")
    args = parser.parse_args(argv)
    seed = args.seed if args.seed is not None else HELD_OUT_SEEDS.get(args.part, SEED)
    cards = card_cases(seed, args.cards, part=args.part)
    others = other_cases(seed, part=args.part)
    without = negative_cases(seed, part=args.part)
    rows = by_kind(cards + others)
    print(f"seed {seed}, part {args.part} of the phrases: {len(cards)} calls with a card, {len(others)} others")
    print(f"{'kind':<16}{'cases':>7}{'recall':>9}{'own kind':>10}{'precision':>11}")
    for row in rows:
        precision = "-" if row["precision"] is None else f"{row['precision']:.4f}"
        print(f"{row['kind']:<16}{row['cases']:>7}{row['recall']:>9.4f}{row['own_kind']:>10.4f}{precision:>11}")

    card = next(row for row in rows if row["kind"] == "card_number")
    print(f"\n{'calls without a card':<24}{'calls':>7}{'flagged':>9}")
    flagged: dict[str, int] = {}
    for form in dict.fromkeys(case.form for case in without):
        count, flagged[form] = false_alarms(case.document for case in without if case.form == form)
        print(f"{form:<24}{count:>7}{flagged[form]:>9}")
    demo = demo_calls()
    print(f"{'demo scripts':<24}{demo['calls']:>7}{len(demo['flagged']):>9}  ({', '.join(demo['flagged'])})")
    real: dict[str, dict[str, int]] = {}
    for name, texts in questions(data_dir(args.data)).items():
        count, bad = false_alarms({"turns": [{"text": text}]} for text in texts)
        real[name] = {"texts": count, "flagged": bad}
        print(f"{name:<24}{count:>7}{bad:>9}")
    if not real:
        print("banking77 and clinc150 not run: no such data (give --data or DATA)")
    found = round(card["recall"] * card["cases"])
    precision = found / (found + sum(flagged.values()))
    rate = throughput(cards)
    print(f"\ncard precision over calls with and without one: {precision:.4f}")
    print(f"throughput: {rate:,.0f} words/s")
    figures = {
        "seed": seed, "part": args.part, "kinds": {row["kind"]: row for row in rows},
        "calls_without_card": len(without), "flagged_without_card": flagged, "card_precision": round(precision, 4),
        "demo": demo, "questions": real, "words_per_second": round(rate),
    }  # fmt: skip
    met = (
        card["recall"] >= GOALS["card_recall_at_least"]
        and card["cases"] >= GOALS["cards"]
        and demo["flagged"] == ["card_payment"]
        and rate >= GOALS["words_per_second_at_least"]
    )
    return finish(figures, GOALS, met)


if __name__ == "__main__":
    sys.exit(main())
