"""Several nights on a real small model: each learns from new corrections, none forgets, what is live gets better."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from asr_worker import learn
from asr_worker.storage import FileStore
from asr_worker.types import PipelineSpec
from tests.learn import scripted

ROOT = Path(__file__).resolve().parents[2]
MODELS = Path(os.environ.get("MODELS_DIR", ROOT / "var" / "models")).resolve()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (MODELS / "whisper-tiny.en").is_dir(),
        reason="whisper-tiny.en is not installed: python -m asr_worker.models pull test",
    ),
]

#: Disjoint corrections: other calls by other agents every night. Nobody of the golden set is ever learned from.
NIGHTS = (
    ("billing_dispute", "payment_arrangement"),
    ("account_takeover", "data_leak"),
    ("abusive_customer", "vulnerable_customer", "cancellation_threat"),
)
GOLDEN = ("card_payment", "complaint_ombudsman", "missing_disclosure", "technical_fault_hold")
REPLAYED, HELD = ("billing_dispute", "card_payment"), ("complaint_ombudsman", "technical_fault_hold")
MOST_FORGOTTEN = 0.01


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Run three nights, each on top of what the last one promoted, and return their results."""
    tmp = tmp_path_factory.mktemp("nights")
    store = FileStore(tmp / "store")
    golden = scripted.file_rows(store, lambda c, t: scripted.named(c, t, "test"), calls=GOLDEN)
    old = scripted.file_rows(store, lambda c, t: scripted.general(c, t, "test", "import"), calls=HELD)
    replay = scripted.file_rows(store, lambda c, t: scripted.general(c, t, "train", "replay"), calls=REPLAYED)
    served = PipelineSpec(model="whisper-tiny.en", device="cpu")
    results = []
    with pytest.MonkeyPatch.context() as patched:
        (tmp / "models").mkdir()
        for installed in ("whisper-tiny.en", "silero-vad"):
            (tmp / "models" / installed).symlink_to(MODELS / installed)
        patched.setenv("MODELS_DIR", str(tmp / "models"))
        patched.setenv("STORAGE_URL", store.url)
        for number, calls in enumerate(NIGHTS, 1):
            new = scripted.file_rows(store, lambda c, t: scripted.named(c, t, "train"), calls=calls)
            new[-1]["split"] = "validation"
            job = {
                "kind": "fit",
                "dataset": scripted.file_dataset(store, new + replay),
                "base": served.model,
                "config": {
                    "method": "frozen_encoder",
                    "epochs": 5,
                    "batch_size": 4,
                    "learning_rate": 1e-4,
                    "patience": 0,
                },
                "served": served.to_json(),
                "compute_type": "int8",
                "golden": {"name": "golden", "manifest_key": scripted.file_dataset(store, golden)},
                "old": {"name": "general", "manifest_key": scripted.file_dataset(store, old)},
                # The company's name is one word in twenty: four greetings hold few words.
                "bounds": {"min_words": 50, "max_real_time_ratio": 5.0},
                "exports": ["int8"],
            }
            key = learn.run(store, f"night-{number}", job, lambda *_: None, root=tmp / "work")
            result = json.loads(store.get_bytes(key))
            results.append(result)
            if result["verdict"]["passed"]:
                served = PipelineSpec(model=result["candidate"]["reference"], device="cpu")
    return results


def wer(result: dict[str, Any], who: str, which: str) -> float:
    return float(result["evaluations"][who][which]["pooled"]["wer"])


def live(result: dict[str, Any]) -> str:
    """Which of the two is live after the night."""
    return "candidate" if result["verdict"]["passed"] else "served"


def test_after_three_nights_what_is_live_makes_fewer_errors_in_the_domain(nights: list[dict[str, Any]]) -> None:
    rates = [wer(nights[0], "served", "golden")] + [wer(night, live(night), "golden") for night in nights]
    assert all(later <= earlier for earlier, later in zip(rates, rates[1:], strict=False)), rates
    assert rates[-1] <= 0.6 * rates[0], rates


def test_no_night_forgets_the_old_domain(nights: list[dict[str, Any]]) -> None:
    before = wer(nights[0], "served", "old")
    after = [wer(night, live(night), "old") for night in nights]
    assert max(after) <= before + MOST_FORGOTTEN, (before, after)


def test_each_night_starts_from_what_the_last_one_made_live(nights: list[dict[str, Any]]) -> None:
    for earlier, later in zip(nights, nights[1:], strict=False):
        if earlier["verdict"]["passed"]:
            assert wer(later, "served", "golden") == wer(earlier, "candidate", "golden")


def test_a_night_that_brings_nothing_measurable_changes_nothing(nights: list[dict[str, Any]]) -> None:
    for night in nights:
        gained = wer(night, "served", "golden") - wer(night, "candidate", "golden")
        assert gained > 0 or not night["verdict"]["passed"]
