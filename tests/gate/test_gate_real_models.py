"""The gate on real, small models: what it must refuse it refuses, by what was heard, and an honest gain it lets pass.

Whisper tiny.en learns a house style from demo calls; candidates are scored as they would be served, exported to int8.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asr_worker import datasets, export
from asr_worker.engines import registry
from asr_worker.evaluate import evaluate_rows
from asr_worker.gate import GateBounds, Verdict, judge
from asr_worker.training.config import FitConfig
from asr_worker.types import PipelineSpec
from tests.gate import house_style
from tests.speech.conftest import model_dir

pytestmark = pytest.mark.slow

# How fast a test machine is says nothing here; a slice of a few dozen words says little.
BOUNDS = GateBounds(max_real_time_factor=100.0, max_real_time_ratio=3.0, max_slice_loss=0.05, max_number_loss=0.05)
VOCABULARY = ["Silverbrook", "direct debit", "postcode"]


@dataclass
class Place:
    """Where everything is, and evaluations that were made already."""

    root: Path
    base: Path
    sets: dict[str, Path]
    known: dict[tuple[str, str], dict[str, Any]]

    def fit(self, name: str, dataset: str, **config: Any) -> Path:
        """Return the trained checkpoint."""
        from asr_worker.training.fit import fit

        # Of a known length: nobody is held out, and nothing but the gate looks at what comes of it.
        options = {"method": "frozen_encoder", "patience": 0, "batch_size": 8, "hold_out": 0.0} | config
        cache = self.root / "cache"  # the same clips under other words: the frozen encoder hears each of them once
        fit(self.base, self.sets[dataset], self.root / name, FitConfig.from_json(options), cache=cache)
        return self.root / name / "checkpoint"

    def served(self, name: str, checkpoint: Path) -> Path:
        """Return the exported directory."""
        return export.export(checkpoint, self.root / f"served-{name}", kinds=("int8",))

    def heard(self, model: Path, which: str) -> dict[str, Any]:
        key = (str(model), which)
        if key not in self.known:
            spec = PipelineSpec(model=str(model), compute_type="int8", beam_size=1)
            rows = datasets.read(self.sets[which])
            self.known[key] = evaluate_rows(rows, spec, name=which, vocabulary=VOCABULARY)
        return self.known[key]

    def verdict(self, candidate: Path) -> Verdict:
        return judge(
            self.heard(candidate, "golden"), self.heard(self.base, "golden"),
            old_candidate=self.heard(candidate, "old"), old_served=self.heard(self.base, "old"), bounds=BOUNDS,
        )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("gate")
    sets = house_style.build(root / "data")
    sets["shuffled"] = house_style.shuffled(sets["replayed"], root / "data" / "shuffled")
    yield Place(root, model_dir("whisper-tiny.en"), sets, {})
    registry.forget()
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def honest(place: Place) -> Path:
    """The checkpoint of a candidate that was trained as it should be."""
    return place.fit("honest", "replayed", epochs=3, learning_rate=1e-4)


@pytest.fixture(scope="module")
def honest_served(place: Place, honest: Path) -> Path:
    return place.served("honest", honest)


def _failed(verdict: Verdict) -> set[str]:
    return {check.name for check in verdict.checks if not check.passed}


def test_an_honest_candidate_is_accepted(place: Place, honest_served: Path) -> None:
    verdict = place.verdict(honest_served)
    assert verdict.passed, verdict.summary
    assert (verdict.gain["low"] or 0.0) > 0 and (verdict.gain["relative"] or 0.0) > 0.2


def test_a_candidate_trained_on_shuffled_labels_is_refused(place: Place) -> None:
    trained = place.fit("shuffled", "shuffled", epochs=1, learning_rate=1e-4)
    verdict = place.verdict(place.served("shuffled", trained))
    assert not verdict.passed and "gain" in _failed(verdict)


def test_a_candidate_that_forgets_ordinary_speech_is_refused(place: Place) -> None:
    trained = place.fit("forgets", "bare", epochs=1, learning_rate=1e-3)
    verdict = place.verdict(place.served("forgets", trained))
    assert not verdict.passed and "old_domain" in _failed(verdict)


def test_an_honest_candidate_whose_export_broke_is_refused(place: Place, honest_served: Path) -> None:
    """The checkpoint inside is still the honest one: only scoring what would be served shows it."""
    broken = place.root / "served-broken"
    shutil.copytree(honest_served, broken)
    _scale_weights(broken / "ct2-int8" / "model.bin", "decoder/layer_0/ffn/linear_1/weight_scale", 0.05)
    verdict = place.verdict(broken)
    assert not verdict.passed and _failed(verdict) & {"gain", "old_domain"}


def test_a_candidate_that_differs_only_within_noise_is_refused(place: Place, honest: Path) -> None:
    """Nearly all of it is the base again: what is left of the honest gain cannot be told from none."""
    mixed = export.average_with_base(honest, place.base, 0.98, place.root / "mixed")
    verdict = place.verdict(place.served("mixed", mixed))
    assert not verdict.passed and "gain" in _failed(verdict), verdict.summary
    assert (verdict.gain["absolute_low"] or 0.0) <= 0


def test_a_candidate_that_is_better_in_one_call_alone_is_refused(place: Place, honest_served: Path) -> None:
    """What it hears better there is real, and far from enough: the interval is drawn over calls."""
    ours, theirs = place.heard(honest_served, "golden"), place.heard(place.base, "golden")
    better = house_style.GOLDEN_CALLS[0]
    rows = [mine if mine["call"] == better else base for mine, base in zip(ours["rows"], theirs["rows"], strict=True)]
    old = place.heard(place.base, "old")
    verdict = judge({**ours, "rows": rows}, theirs, old_candidate=old, old_served=old, bounds=BOUNDS)
    assert (verdict.gain["absolute"] or 0.0) > 0
    assert not verdict.passed and _failed(verdict) == {"gain"}, verdict.summary


def _scale_weights(path: Path, name: str, factor: float) -> None:
    """Multiply one float32 tensor of a CTranslate2 file, where it stands.

    After its name and a zero byte come the rank, the sizes, the type and the number of bytes.
    """
    import numpy as np

    data = bytearray(path.read_bytes())
    at = data.index(name.encode() + b"\0") + len(name) + 1
    rank = data[at]
    begin = at + 1 + 4 * rank + 1 + 4
    (size,) = struct.unpack_from("<I", data, begin - 4)
    numbers = np.frombuffer(bytes(data[begin : begin + size]), np.float32) * np.float32(factor)
    data[begin : begin + size] = numbers.tobytes()
    path.write_bytes(data)
