"""Intents on real questions: banking77 and clinc150, whole and from few examples, three methods in the same run.

    python -m benchmarks.nlu_intent [--part banking|few|clinc] [--draws 5] [--models-dir var/models]

Methods: a logistic regression on TF-IDF (words and pairs of words), the same on the plain sentence vectors, and vectors
fitted by contrast (analytics/nlu/contrastive.py) under the recipe that `train_tuned` uses, with the name of each intent
as one more example. Few-shot draws are balanced and the same for every method; a figure is the mean over draws on the
whole test file, with the standard deviation. Calibration is the expected calibration error over 15 bins.

clinc150, out of scope: `oos_train` (100 sentences) is a class of its own in training, as small talk is in the product;
the limit of `unknown` is set on `val` and `oos_val`: the highest that costs at most 1.5 points of accuracy on `val`.
Then `test` and `oos_test` are scored once. The recall is the share of `oos_test` below the limit; the loss is in-scope
accuracy without and with the limit.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analytics.nlu import heads
from analytics.nlu.contrastive import tune
from analytics.nlu.embedding import EmbedderMissing, MiniLM, load
from analytics.nlu.tuned import STRENGTH, features, recipe_for
from benchmarks.common import data_dir, finish

PLAIN_STRENGTH = 5.0
SHOTS = (10, 5)
SEED = 7
VALIDATION_LOSS = 0.015
BINS = 15
GOALS = {
    "banking77_full": 0.945, "banking77_10_shot": 0.885, "banking77_5_shot": 0.84, "clinc150_in_scope": 0.95,
    "clinc150_oos_recall": 0.70, "clinc150_in_scope_loss_at_most": 0.02,
}  # fmt: skip
METHODS = ("tf-idf", "vectors", "fitted")


def quick() -> bool:
    return os.environ.get("BENCH_QUICK", "0") not in {"", "0"}


@dataclass(slots=True)
class Task:
    """Texts to learn from and to score, labels as numbers; the last `others` classes are no intent."""

    names: list[str]
    train: list[str]
    train_labels: np.ndarray
    test: list[str]
    test_labels: np.ndarray
    others: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


def banking(data: Path) -> Task | None:
    folder = data / "text" / "banking77"
    if not (folder / "train.csv").is_file():
        return None
    parts = []
    for name in ("train", "test"):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            parts.append([(row["text"].strip(), row["category"]) for row in csv.DictReader(file)])
    return _task(*parts)


def _task(train: list[tuple[str, str]], test: list[tuple[str, str]], other: str = "") -> Task:
    names = sorted({label for _, label in train} - {other}) + ([other] if other else [])
    place = {name: k for k, name in enumerate(names)}
    return Task(
        names, [t for t, _ in train], np.array([place[y] for _, y in train]),
        [t for t, _ in test], np.array([place[y] for _, y in test]), int(bool(other)),
    )  # fmt: skip


def smaller(task: Task, classes: int, per_class: int) -> Task:
    """Return the first classes of a task with some rows each, for a quick look; the classes that are no intent stay."""
    last = len(task.names) - task.others
    kept = [*range(min(classes, last)), *range(last, len(task.names))]
    new = {k: i for i, k in enumerate(kept)}

    def some(texts: list[str], labels: np.ndarray) -> tuple[list[str], np.ndarray]:
        rows = [r for k in kept for r in np.flatnonzero(labels == k)[:per_class]]
        return [texts[r] for r in rows], np.array([new[int(labels[r])] for r in rows], int)

    train, train_labels = some(task.train, task.train_labels)
    test, test_labels = some(task.test, task.test_labels)
    return Task([task.names[k] for k in kept], train, train_labels, test, test_labels, task.others)


def with_names(task: Task, texts: list[str], labels: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the rows with every intent's name as one more example of it."""
    named = task.names[: len(task.names) - task.others]
    words = [" ".join(name.replace("_", " ").replace("?", "").lower().split()) for name in named]
    return [*texts, *words], np.concatenate([labels, np.arange(len(named))])


Scores = Callable[[list[str]], np.ndarray]


def tf_idf(texts: list[str], labels: np.ndarray, classes: int) -> Scores:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    reader = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=20.0, max_iter=200).fit(reader.fit_transform(texts), labels)

    def scores(asked: list[str]) -> np.ndarray:
        out = np.full((len(asked), classes), -1e3)
        out[:, model.classes_] = model.decision_function(reader.transform(asked))
        return out

    return scores


def vectors(model: MiniLM, texts: list[str], labels: np.ndarray, classes: int) -> Scores:
    weights, bias = heads.fit(model.encode(texts), labels, classes, strength=PLAIN_STRENGTH)
    return lambda asked: model.encode(asked) @ weights.T + bias


def fitted(model: MiniLM, texts: list[str], labels: np.ndarray, classes: int) -> Scores:
    recipe = recipe_for(len(texts))
    states = model.states(texts, recipe.depth)
    encoder, _ = tune(model, states, labels, classes, recipe)
    data = features(encoder.encode_states(states), model.encode(texts))
    weights, bias = heads.fit(data, labels, classes, strength=STRENGTH)
    return lambda asked: features(encoder.encode(asked), model.encode(asked)) @ weights.T + bias


def learned(method: str, model: MiniLM, task: Task, texts: list[str], labels: np.ndarray) -> Scores:
    """Return the scorer of a method, and note how long learning took."""
    began = time.perf_counter()
    classes = len(task.names)
    if method == "tf-idf":
        scores = tf_idf(texts, labels, classes)
    elif method == "vectors":
        scores = vectors(model, texts, labels, classes)
    else:
        scores = fitted(model, *with_names(task, texts, labels), classes)
    task.seconds[method] = round(time.perf_counter() - began, 1)
    return scores


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    return float((scores.argmax(1) == labels).mean())


def calibration_error(p: np.ndarray, labels: np.ndarray) -> float:
    """Return the expected calibration error: how far confidence is from accuracy, over 15 bins of confidence."""
    sure, right = p.max(1), p.argmax(1) == labels
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [abs(sure[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(sum(gaps))


def draw(task: Task, shots: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = [rng.choice(np.flatnonzero(task.train_labels == k), shots, replace=False) for k in range(len(task.names))]
    return np.concatenate(rows)


def few_shot(model: MiniLM, task: Task, shots: int, draws: int) -> dict[str, dict[str, float]]:
    """Return per method the mean and the spread of the test accuracy over draws."""
    got: dict[str, list[float]] = {m: [] for m in METHODS}
    for seed in range(draws):
        rows = draw(task, shots, SEED + seed)
        texts, labels = [task.train[r] for r in rows], task.train_labels[rows]
        for method in METHODS:
            got[method].append(accuracy(learned(method, model, task, texts, labels)(task.test), task.test_labels))
        print(f"  {shots}-shot draw {seed + 1}: " + ", ".join(f"{m} {v[-1]:.4f}" for m, v in got.items()), flush=True)
    return {
        m: {
            "mean": round(statistics.mean(v), 4),
            "spread": round(statistics.stdev(v), 4) if len(v) > 1 else 0.0,
            "seconds": task.seconds[m],
        }
        for m, v in got.items()
    }


def whole(model: MiniLM, task: Task, *, calibrated: bool) -> dict[str, dict[str, float]]:
    """Return per method the test accuracy after all of the training text.

    With `calibrated`, each method also learns from nine tenths; the rest gives the temperature, and the calibration
    error is that of this model on the test text.
    """
    out: dict[str, dict[str, float]] = {}
    for method in METHODS:
        scores = learned(method, model, task, task.train, task.train_labels)
        out[method] = {"accuracy": round(accuracy(scores(task.test), task.test_labels), 4)}
        out[method]["seconds"] = task.seconds[method]
        if calibrated:
            held = heads.folds(task.train_labels, 10) == 0
            part = learned(
                method, model, task, [t for t, h in zip(task.train, held, strict=True) if not h],
                task.train_labels[~held],
            )  # fmt: skip
            t = heads.temperature(
                part([t for t, h in zip(task.train, held, strict=True) if h]), task.train_labels[held]
            )
            p = heads.softmax(part(task.test) / t)
            out[method]["calibration_error"] = round(calibration_error(p, task.test_labels), 4)
        print(f"  {method}: {out[method]}", flush=True)
    return out


def clinc(data: Path) -> tuple[Task, dict[str, list[str]], np.ndarray] | None:
    """Return the task with `_other` as last class, the texts that set and test the limit, and the labels of `val`."""
    path = data / "text" / "clinc150" / "data_full.json"
    if not path.is_file():
        return None
    parts = json.loads(path.read_text(encoding="utf-8"))
    train = [(t, y) for t, y in parts["train"]] + [(t, "_other") for t, _ in parts["oos_train"]]
    task = _task(train, [(t, y) for t, y in parts["test"]], "_other")
    if quick():
        task = smaller(task, 10, 20)
    place = {name: k for k, name in enumerate(task.names)}
    val = [(t, y) for t, y in parts["val"] if y in place]
    limits = {"val": [t for t, _ in val]} | {n: [t for t, _ in parts[n]] for n in ("oos_val", "oos_test")}
    return task, limits, np.array([place[y] for _, y in val])


def scope(scores: Scores, task: Task, limits: dict[str, list[str]], val_labels: np.ndarray) -> dict[str, float]:
    """Return the figures in and out of scope of one method; see the module's page for the protocol."""

    def inside(texts: list[str]) -> np.ndarray:
        return heads.softmax(scores(texts))[:, : len(task.names) - task.others]

    val, oos_val = inside(limits["val"]), inside(limits["oos_val"])
    test, oos_test = inside(task.test), inside(limits["oos_test"])
    right = val.argmax(1) == val_labels
    limit = limit_for(val.max(1), right)
    kept = test.max(1) >= limit
    correct = test.argmax(1) == task.test_labels
    return {
        "in_scope": round(float(correct.mean()), 4),
        "in_scope_with_limit": round(float((correct & kept).mean()), 4),
        "in_scope_loss": round(float(correct.mean() - (correct & kept).mean()), 4),
        "oos_recall": round(float((oos_test.max(1) < limit).mean()), 4),
        "oos_recall_val": round(float((oos_val.max(1) < limit).mean()), 4),
        "limit": round(limit, 4),
    }


def limit_for(sure: np.ndarray, right: np.ndarray, loss: float = VALIDATION_LOSS) -> float:
    """Return the highest limit below which no more than `loss` of all sentences are right answers."""
    confidences = np.sort(sure[right])
    spare = int(loss * len(sure))
    return float(confidences[min(spare, len(confidences) - 1)]) if len(confidences) else 0.5


def measure(models_dir: Path, data: Path, parts: Sequence[str], draws: int) -> tuple[dict[str, Any], list[str]]:
    """Return the figures and what could not be measured, and why."""
    figures: dict[str, Any] = {}
    missing: list[str] = []
    try:
        model = load(models_dir)
    except EmbedderMissing as error:
        return figures, [f"intent: {error}"]
    task = banking(data) if {"banking", "few"} & set(parts) else None
    if task is None and {"banking", "few"} & set(parts):
        missing.append("intent on banking77: no such data (DATA)")
    if task is not None:
        small = smaller(task, 10, 40) if quick() else task
        if "few" in parts:
            for shots in SHOTS:
                print(f"\nbanking77, {shots} examples for each of {len(small.names)} intents", flush=True)
                figures[f"banking77_{shots}_shot"] = few_shot(model, small, shots, 1 if quick() else draws)
        if "banking" in parts:
            print(f"\nbanking77, all {len(small.train):,} examples", flush=True)
            figures["banking77_full"] = whole(model, small, calibrated=True)
    if "clinc" in parts:
        loaded = clinc(data)
        if loaded is None:
            missing.append("intent on clinc150: no such data (DATA)")
        else:
            task, limits, val_labels = loaded
            print(f"\nclinc150, {len(task.names) - 1} intents and out of scope", flush=True)
            rows = {}
            for method in METHODS:
                scores = learned(method, model, task, task.train, task.train_labels)
                rows[method] = scope(scores, task, limits, val_labels) | {"seconds": task.seconds[method]}
                print(f"  {method}: {rows[method]}", flush=True)
            figures["clinc150"] = rows
    return figures, missing


def print_tables(figures: dict[str, Any]) -> None:
    for name in ("banking77_full", "banking77_10_shot", "banking77_5_shot"):
        if name in figures:
            print(f"\n{name}")
            for method, row in figures[name].items():
                print(f"  {method:<10}" + "".join(f"{k} {v:<12}" for k, v in row.items()))
    if "clinc150" in figures:
        print("\nclinc150")
        for method, row in figures["clinc150"].items():
            print(f"  {method:<10}" + "".join(f"{k} {v:<10}" for k, v in row.items()))


def below(figures: dict[str, Any]) -> list[str]:
    """Return the goals that these figures miss; a figure that was not measured misses its goal."""
    out = []
    reached = {
        "banking77_full": figures.get("banking77_full", {}).get("fitted", {}).get("accuracy"),
        "banking77_10_shot": figures.get("banking77_10_shot", {}).get("fitted", {}).get("mean"),
        "banking77_5_shot": figures.get("banking77_5_shot", {}).get("fitted", {}).get("mean"),
        "clinc150_in_scope": figures.get("clinc150", {}).get("fitted", {}).get("in_scope"),
        "clinc150_oos_recall": figures.get("clinc150", {}).get("fitted", {}).get("oos_recall"),
    }
    for name, value in reached.items():
        if value is None:
            out.append(f"{name} not measured")
        elif value < GOALS[name]:
            out.append(f"{name} {value:.4f}")
    loss = figures.get("clinc150", {}).get("fitted", {}).get("in_scope_loss")
    if loss is not None and loss > GOALS["clinc150_in_scope_loss_at_most"]:
        out.append(f"clinc150_in_scope_loss {loss:.4f}")
    return out


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nlu_intent", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models-dir", type=Path, default=Path("var/models"))
    parser.add_argument("--part", choices=("banking", "few", "clinc"), action="append")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--data", default="")
    args = parser.parse_args(argv)
    figures, missing = measure(
        args.models_dir, data_dir(args.data), args.part or ("few", "banking", "clinc"), args.draws
    )
    print_tables(figures)
    for line in missing:
        print(f"not measured: {line}")
    missed = below(figures)
    return finish({"quick": quick(), **figures, "below": missed}, GOALS, met=not missed and not quick())


if __name__ == "__main__":
    sys.exit(main())
