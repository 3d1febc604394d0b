"""`python -m asr_worker.gate CANDIDATE.json SERVED.json`: whether a candidate model may take the served one's place.

Two evaluations of the same rows are compared, row by row; the gain in word error rate has an interval from a
bootstrap over calls. Everything here is a pure function of its arguments, needs numpy alone, and every check carries
its figure and its bound.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from asr_worker.gain import Gain, absolute, block_of, paired_gain

LONG_DELETION = 4
SLICES = ("team", "queue", "speaker")
_SAID = ("words", "numbers_said", "vocabulary_said")
_COUNTS = (*_SAID, "errors", "numbers_heard", "vocabulary_heard")

Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class GateBounds:
    """What a candidate must keep to. Losses are absolute (0.01 is one point); `max_more_*` count rows.

    `max_real_time_factor` is seconds of work per second of audio; the ratio compares candidate with served.
    """

    confidence: float = 0.95
    samples: int = 2000
    seed: int = 7
    min_calls: int = 3
    min_words: int = 100
    max_old_loss: float = 0.01
    require_old: bool = True
    max_slice_loss: float = 0.03
    min_slice_words: int = 100
    max_number_loss: float = 0.01
    max_vocabulary_loss: float = 0.01
    max_more_long_deletions: int = 0
    max_more_empty: int = 0
    max_more_repetitions: int = 0
    max_real_time_factor: float = 1.0
    max_real_time_ratio: float = 1.25

    @property
    def bootstrap(self) -> dict[str, Any]:
        """How intervals are drawn."""
        return {"confidence": self.confidence, "samples": self.samples, "seed": self.seed}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, doc: dict[str, Any]) -> GateBounds:
        """Return the bounds of a document. Raises ValueError naming a bound that does not exist or is no number."""
        known = {f.name for f in fields(cls)}
        for key, value in doc.items():
            if key not in known:
                raise ValueError(f"unknown bound of the gate: {key}")
            if not isinstance(value, int | float):
                raise ValueError(f"the gate's bound {key} must be a number")
        made = cls(**doc)
        if not 0.5 <= made.confidence < 1 or made.samples < 100:
            raise ValueError("the gate needs a confidence of at least 0.5 and at least 100 samples")
        return made


@dataclass(frozen=True, slots=True)
class Check:
    """One thing the gate looked at. `figure` and `bound` are in `unit`; None where there was nothing to count."""

    name: str
    title: str
    figure: float | None
    bound: float | None
    unit: str
    passed: bool
    detail: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer. It passed exactly when every check did.

    `gain` holds `wer_before`, `wer_after`, `relative` (share of the word errors that went) with its interval `low`
    to `high`, the same in points of word error rate (`absolute`, `absolute_low`, `absolute_high`), `calls`, `words`.
    """

    passed: bool
    checks: tuple[Check, ...]
    summary: str
    gain: Gain

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "checks": [check.to_json() for check in self.checks],
            "summary": self.summary,
            "gain": self.gain,
        }

    @classmethod
    def from_json(cls, doc: dict[str, Any]) -> Verdict:
        checks = tuple(Check(**check) for check in doc["checks"])
        return cls(passed=doc["passed"], checks=checks, summary=doc["summary"], gain=dict(doc["gain"]))


def judge(
    candidate: dict[str, Any],
    served: dict[str, Any],
    *,
    old_candidate: dict[str, Any] | None,
    old_served: dict[str, Any] | None,
    bounds: GateBounds,
) -> Verdict:
    """Return whether the candidate may be served, from evaluations of both on the golden and the old-domain set.

    The same documents and bounds give the same verdict, whatever order their rows are in. Raises ValueError for a
    document that is no evaluation.
    """
    same, ours, theirs = _paired(candidate, served, "golden", "Both heard the same recordings")
    checks = [same]
    gain = paired_gain(ours, theirs, **bounds.bootstrap)
    if ours:
        checks += [*_enough(ours, bounds), _gain_check(gain, bounds)]
    checks += _old_checks(old_candidate, old_served, bounds)
    if ours:
        checks += [_slice(dimension, ours, theirs, bounds) for dimension in SLICES]
        checks += [
            _recall("numbers", "Numbers are heard as well as before", ours, theirs, bounds.max_number_loss),
            _recall("vocabulary", "Vocabulary is heard as well as before", ours, theirs, bounds.max_vocabulary_loss),
            *_mishaps(ours, theirs, bounds),
        ]
    checks += _speed(candidate, served, bounds)
    passed = all(check.passed for check in checks)
    return Verdict(passed=passed, checks=tuple(checks), summary=_summary(checks, gain, bounds), gain=gain)


# --- pairing -------------------------------------------------------------------------------------------


def _rows(document: dict[str, Any]) -> Rows:
    """Return the rows by id, in the order of their ids. Raises ValueError for what is no evaluation."""
    if not isinstance(document, dict) or not isinstance(document.get("rows"), list):
        raise ValueError("not an evaluation: it has no `rows`")
    if document.get("schema") != 1:
        raise ValueError(f"evaluation schema {document.get('schema')!r} is not 1")
    try:
        found = {str(row["id"]): row for row in document["rows"]}
        for row in document["rows"]:
            for key in _COUNTS:
                if int(row[key]) < 0:
                    raise ValueError(f"row {row['id']} has a negative count of {key}")
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an evaluation: a row lacks {error}") from error
    if len(found) != len(document["rows"]):
        raise ValueError("not an evaluation: two rows have the same id")
    return {key: found[key] for key in sorted(found)}


def _paired(
    candidate: dict[str, Any], served: dict[str, Any], name: str, title: str
) -> tuple[Check, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the check that both measured the same thing, and the rows that both have, in the same order."""
    ours, theirs = _rows(candidate), _rows(served)
    shared = [key for key in ours if key in theirs]
    single = len(ours) + len(theirs) - 2 * len(shared)
    same = [key for key in shared if all(ours[key][k] == theirs[key][k] for k in _SAID)]
    wrong = []
    if candidate.get("normaliser") != served.get("normaliser"):
        wrong.append(f"normaliser {candidate.get('normaliser')} beside {served.get('normaliser')}")
    if single:
        wrong.append(f"{single} rows stand on one side only")
    if len(same) < len(shared):
        wrong.append(f"{len(shared) - len(same)} rows have other reference words, numbers or terms")
    if not wrong and candidate.get("data") != served.get("data"):
        wrong.append("the recordings or their references differ")
    if not shared:
        wrong.append("there is no row to compare")
    detail = f"Not comparable: {'; '.join(wrong)}." if wrong else f"{len(shared)} rows, the same on both sides."
    check = Check(f"same_{name}", title, float(single + len(shared) - len(same)), 0.0, "rows", not wrong, detail)
    return check, [ours[key] for key in same], [theirs[key] for key in same]


def _total(rows: Sequence[dict[str, Any]], key: str) -> int:
    return sum(int(row[key]) for row in rows)


def _enough(ours: Sequence[dict[str, Any]], bounds: GateBounds) -> list[Check]:
    calls, words = len({block_of(row) for row in ours}), _total(ours, "words")
    by_call = all(row.get("call") for row in ours)
    what = "calls" if by_call else "calls or speakers"
    return [
        _at_least("enough_calls", "Enough calls to tell", calls, bounds.min_calls, what),
        _at_least("enough_words", "Enough words to tell", words, bounds.min_words, "words"),
    ]


def _at_least(name: str, title: str, figure: int, bound: int, what: str) -> Check:
    passed = figure >= bound
    detail = (
        f"{figure} {what} in the golden set." if passed else f"Too little to tell: {figure} {what}, {bound} needed."
    )
    return Check(name, title, float(figure), float(bound), what, passed, detail)


def _gain_check(gain: Gain, bounds: GateBounds) -> Check:
    title = "Fewer words are wrong, beyond chance"
    low, high = gain["absolute_low"], gain["absolute_high"]
    if low is None or high is None:
        return Check("gain", title, None, 0.0, "WER points", False, "Too little to tell: no words were said.")
    passed = low > 0
    detail = (
        f"Word error rate {_rate(gain['wer_before'])} before, {_rate(gain['wer_after'])} after: "
        f"{_points(gain['absolute'])} points, {_interval(bounds)} {_points(low)} to {_points(high)}"
    )
    why = "." if passed else ", which does not lie wholly above zero."
    return Check("gain", title, round(100 * low, 4), 0.0, "WER points, lower end", passed, detail + why)


# --- the old domain ------------------------------------------------------------------------------------


def _old_checks(candidate: dict[str, Any] | None, served: dict[str, Any] | None, bounds: GateBounds) -> list[Check]:
    title = "Ordinary speech is heard as well as before"
    limit = round(100 * bounds.max_old_loss, 4)
    if candidate is None or served is None:
        if not bounds.require_old and candidate is served:
            return []
        detail = "Too little to tell: there is no old-domain set, so forgetting cannot be seen."
        return [Check("old_domain", title, None, limit, "WER points", False, detail)]
    same, ours, theirs = _paired(candidate, served, "old", "Both heard the same ordinary speech")
    gain = paired_gain(ours, theirs, **bounds.bootstrap)
    if gain["absolute"] is None or gain["absolute_low"] is None or gain["absolute_high"] is None:
        return [same, Check("old_domain", title, None, limit, "WER points", False, "No words were said there.")]
    loss = -gain["absolute"]
    passed = loss <= bounds.max_old_loss + 1e-9
    detail = (
        f"Word error rate {_rate(gain['wer_before'])} before, {_rate(gain['wer_after'])} after: "
        f"{_points(loss)} points worse, {_interval(bounds)} {_points(-gain['absolute_high'])} to "
        f"{_points(-gain['absolute_low'])}; at most {_points(bounds.max_old_loss)} allowed."
    )
    return [same, Check("old_domain", title, round(100 * loss, 4), limit, "WER points", passed, detail)]


# --- slices, recall, mishaps, speed --------------------------------------------------------------------


def _slice(
    dimension: str, ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], bounds: GateBounds
) -> Check:
    """Return the check of the slice of a dimension that lost most, among those with enough words."""
    title, unit, limit = f"No {dimension} is heard worse", "WER points", round(100 * bounds.max_slice_loss, 4)
    sums: dict[str, np.ndarray] = {}
    for mine, other in zip(ours, theirs, strict=True):
        key = str(other.get(dimension) or "")
        if key:
            sums[key] = sums.get(key, 0) + np.array([mine["words"], other["errors"], mine["errors"]], np.float64)
    judged = {key: value for key, value in sums.items() if value[0] >= bounds.min_slice_words}
    if not judged:
        why = f"none has {bounds.min_slice_words} words" if sums else "the rows do not say"
        return Check(f"slice_{dimension}", title, None, limit, unit, True, f"No {dimension} to judge: {why}.")
    losses = {key: float(-absolute(value[None])[0]) for key, value in judged.items()}
    worst = max(sorted(losses), key=lambda key: losses[key])
    loss, (words, before, after) = losses[worst], judged[worst]
    over = sorted(key for key, value in losses.items() if value > bounds.max_slice_loss + 1e-9)
    detail = (
        f"Of {len(judged)} judged, {worst} did worst: {_rate(before / words)} before, {_rate(after / words)} after "
        f"({int(words)} words)"
    )
    if len(sums) > len(judged):
        detail += f"; {len(sums) - len(judged)} with too few words to judge"
    if len(over) > 1:
        detail += f"; over the bound: {', '.join(over[:8])}"
    return Check(f"slice_{dimension}", title, round(100 * loss, 4), limit, unit, not over, detail + ".")


def _recall(
    name: str, title: str, ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], bound: float
) -> Check:
    said, limit = _total(theirs, f"{name}_said"), round(100 * bound, 4)
    if not said:
        return Check(name, title, None, limit, "points of recall", True, "None was said in the golden set.")
    before, after = _total(theirs, f"{name}_heard"), _total(ours, f"{name}_heard")
    loss = (before - after) / said
    detail = f"{before} of {said} heard before, {after} after."
    return Check(name, title, round(100 * loss, 4), limit, "points of recall", loss <= bound + 1e-9, detail)


def _mishaps(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], bounds: GateBounds) -> list[Check]:
    def count(rows: Sequence[dict[str, Any]], key: str) -> int:
        if key == "longest_deletion":
            return sum(int(row.get(key, 0)) >= LONG_DELETION for row in rows)
        return sum(bool(row.get(key)) for row in rows)

    made = []
    for name, key, title, allowed in (
        (
            "long_deletions",
            "longest_deletion",
            f"No more gaps of {LONG_DELETION} words",
            bounds.max_more_long_deletions,
        ),
        ("empty", "empty", "No more silence where somebody spoke", bounds.max_more_empty),
        ("repetitions", "repetition", "No more repetition loops", bounds.max_more_repetitions),
    ):
        before, after = count(theirs, key), count(ours, key)
        detail = f"{before} of {len(theirs)} rows before, {after} after."
        made.append(
            Check(name, title, float(after), float(before + allowed), "rows", after <= before + allowed, detail)
        )
    return made


def _speed(candidate: dict[str, Any], served: dict[str, Any], bounds: GateBounds) -> list[Check]:
    """Return the checks of the time budget.

    The ratio is that of processor seconds where both were measured on a CPU: what else the machine did in between
    is then not held against the candidate.
    """
    factor, before = candidate.get("real_time_factor"), served.get("real_time_factor")
    title, ratio_title = "Fast enough", "Not slower than what is served"
    if not isinstance(factor, int | float) or not isinstance(before, int | float) or before <= 0:
        detail = "The evaluation does not say how long it took."
        return [Check("real_time", title, None, bounds.max_real_time_factor, "x real time", False, detail)]
    made = [
        Check(
            "real_time", title, float(factor), bounds.max_real_time_factor, "x real time",
            factor <= bounds.max_real_time_factor,
            f"{factor:.3f} s of work per second of audio, at most {bounds.max_real_time_factor:g}.",
        )
    ]  # fmt: skip
    on_cpu = all((doc.get("spec") or {}).get("device", "cpu") == "cpu" for doc in (candidate, served))
    kind = (
        "processor_factor"
        if on_cpu and candidate.get("processor_factor") and served.get("processor_factor")
        else "real_time_factor"
    )
    ratio = candidate[kind] / served[kind]
    what = "Processor seconds" if kind == "processor_factor" else "Seconds"
    detail = f"{what} per second of audio: {served[kind]:.3f} before, {candidate[kind]:.3f} after."
    passed = ratio <= bounds.max_real_time_ratio + 1e-9
    made.append(Check("real_time_ratio", ratio_title, round(ratio, 4), bounds.max_real_time_ratio, "x", passed, detail))
    return made


# --- words ---------------------------------------------------------------------------------------------


def _rate(value: float | None) -> str:
    return f"{100 * (value or 0.0):.1f} %"


def _points(value: float | None) -> str:
    return f"{100 * (value or 0.0):+.2f}"


def _interval(bounds: GateBounds) -> str:
    return f"{100 * bounds.confidence:.0f} % interval"


def _summary(checks: Sequence[Check], gain: Gain, bounds: GateBounds) -> str:
    failed = [check for check in checks if not check.passed]
    if failed:
        others = len(failed) - 1
        more = f" ({others} more {'check' if others == 1 else 'checks'} failed)" if others else ""
        return f'Refused at the check "{failed[0].title}": {failed[0].detail.rstrip(".")}{more}.'
    share = 100 * (gain["relative"] or 0.0)
    return (
        f"Passed: {share:.0f} % fewer words are wrong ({_rate(gain['wer_before'])} before, {_rate(gain['wer_after'])} "
        f"after; {_interval(bounds)} {100 * (gain['low'] or 0.0):.0f} to "
        f"{100 * (gain['high'] or 0.0):.0f} % fewer) and all {len(checks)} checks hold."
    )


def _print(verdict: Verdict) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "check", "figure", "bound", "unit", "detail", title=verdict.summary)
    for check in verdict.checks:
        shown = ["-" if value is None else f"{value:g}" for value in (check.figure, check.bound)]
        table.add_row("passed" if check.passed else "FAILED", check.title, *shown, check.unit, check.detail)
    Console().print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0 for passed, 1 for refused, 2 after saying what is wrong with the input."""
    parser = argparse.ArgumentParser(prog="python -m asr_worker.gate", description=__doc__)
    parser.add_argument("candidate", type=Path, help="evaluation document of the candidate on the golden set")
    parser.add_argument("served", type=Path, help="the same of what is served")
    parser.add_argument("--old-candidate", type=Path, help="evaluation of the candidate on the old domain")
    parser.add_argument("--old-served", type=Path, help="the same of what is served")
    parser.add_argument("--bounds", type=Path, help="JSON file with bounds; others keep their defaults")
    parser.add_argument("--json", action="store_true", help="print the verdict as one JSON object")
    args = parser.parse_args(argv)

    def read(path: Path | None) -> Any:
        return None if path is None else json.loads(path.read_text(encoding="utf-8"))

    try:
        bounds = GateBounds.from_json(read(args.bounds) or {})
        verdict = judge(
            read(args.candidate), read(args.served),
            old_candidate=read(args.old_candidate), old_served=read(args.old_served), bounds=bounds,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(verdict.to_json()))
    else:
        _print(verdict)
    return 0 if verdict.passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
