"""The order of a learning job, what a second attempt repeats, what a failure says. Training itself is stood in for."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asr_worker import datasets, evaluation, export, gate, learn
from asr_worker.storage import FileStore
from asr_worker.types import PipelineSpec, SpeechError

RUN = "0b9d"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "whisper"}')
    return folder


def dataset(store: FileStore, split: str, content: bytes) -> str:
    sha256 = datasets.put_clip(store, content)
    row = {"id": split, "audio": datasets.clip_name(sha256), "sha256": sha256, "text": "hello", "split": split}
    return datasets.manifest_key(datasets.put_manifest(store, [row]))


@pytest.fixture
def job(store: FileStore, base: Path) -> dict[str, Any]:
    golden = dataset(store, "test", b"golden")
    return {
        "kind": "fit",
        "dataset": dataset(store, "train", b"train"),
        "base": str(base),
        "config": {"method": "frozen_encoder", "epochs": 1},
        "served": PipelineSpec(model=str(base)).to_json(),
        "compute_type": "int8",
        "golden": {"name": "golden 1", "manifest_key": golden},
        "old": {"name": "general", "manifest_key": dataset(store, "test", b"old")},
        "vocabulary": [],
        "bounds": {},
        "exports": ["int8"],
    }


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for training, conversion and listening; return the list in which they note that they were called."""
    seen: list[str] = []

    def fit(base: Path, dataset: Path, out: Path, config: Any, *, progress: Callable[[dict[str, Any]], None]) -> Any:
        seen.append("fit")
        assert len(datasets.read(dataset)) == 1
        (out / "checkpoint").mkdir(parents=True, exist_ok=True)
        (out / "checkpoint" / "config.json").write_text('{"model_type": "whisper"}')
        progress({"stage": "train", "fraction": 0.5, "step": 1, "loss": 2.0, "wer": None})
        return SimpleNamespace(to_json=lambda: {"steps": 2, "mergeable": True})

    def convert(checkpoint: Path, out: Path, *, kinds: tuple[str, ...]) -> Path:
        seen.append("export")
        (out / f"ct2-{kinds[0]}").mkdir(parents=True)
        (out / f"ct2-{kinds[0]}" / "model.bin").write_bytes(b"weights")
        return out

    def listen(
        rows: list[dict[str, Any]],
        spec: PipelineSpec,
        *,
        name: str,
        vocabulary: Any = (),
        progress: Callable[[float], None],
    ) -> dict[str, Any]:
        progress(0.5)
        seen.append(f"evaluate {name} {'candidate' if spec.model.startswith('store:') else 'served'}")
        return {"schema": 1, "name": name, "pooled": {"wer": 0.1}, "real_time_factor": 0.1, "rows": []}

    verdict = SimpleNamespace(to_json=lambda: {"passed": True, "checks": [], "summary": "better"})
    monkeypatch.setitem(sys.modules, "asr_worker.training.fit", SimpleNamespace(fit=fit))
    monkeypatch.setattr(export, "export", convert)
    monkeypatch.setattr(evaluation, "evaluate_rows", listen)
    monkeypatch.setattr(gate, "judge", lambda *_, **__: verdict)
    return seen


ALL = [
    "fit",
    "export",
    "evaluate golden 1 served",
    "evaluate general served",
    "evaluate golden 1 candidate",
    "evaluate general candidate",
]


def quiet(stage: str, fraction: float, doc: dict[str, Any]) -> None:
    """Hear nothing."""


def test_a_job_leaves_a_stored_model_its_evaluations_and_a_verdict(
    store: FileStore, job: dict[str, Any], steps: list[str], tmp_path: Path
) -> None:
    told: list[tuple[str, float]] = []
    key = learn.run(
        store, RUN, job, lambda stage, fraction, doc: told.append((stage, fraction)), root=tmp_path / "work"
    )
    result = json.loads(store.get_bytes(key))
    assert steps == ALL
    assert result["verdict"]["passed"] and result["fit"]["steps"] == 2
    reference = result["candidate"]["reference"]
    assert store.exists(f"{reference.removeprefix('store:')}/ct2-int8/model.bin")
    for found in result["evaluations"].values():
        for one in found.values():
            assert json.loads(store.get_bytes(one["key"]))["pooled"] == one["pooled"]
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1.0)
    # Four sets are heard, and each gives a sign of life on the way: silence would be taken for a dead worker.
    assert len({fraction for stage, fraction in told if stage == "evaluate"}) == 9


def test_a_second_attempt_does_only_what_the_first_left_undone(
    store: FileStore, job: dict[str, Any], steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "evaluate_rows", killed)
        with pytest.raises(KeyboardInterrupt):
            learn.run(store, RUN, job, quiet, root=tmp_path / "work")
    assert steps == ["fit", "export"]
    first = json.loads((tmp_path / "work" / RUN / "candidate.json").read_text())["reference"]
    key = learn.run(store, RUN, job, quiet, root=tmp_path / "work")
    assert steps == ALL
    assert json.loads(store.get_bytes(key))["candidate"]["reference"] == first


def test_two_attempts_at_once_are_one(store: FileStore, job: dict[str, Any], steps: list[str], tmp_path: Path) -> None:
    def again(stage: str, fraction: float, doc: dict[str, Any]) -> None:
        if stage == "fit":
            with pytest.raises(learn.Busy):
                learn.run(store, RUN, job, quiet, root=tmp_path / "work")

    learn.run(store, RUN, job, again, root=tmp_path / "work")
    assert steps == ALL


def test_an_uploaded_model_goes_through_the_same_gate_without_training(
    store: FileStore, job: dict[str, Any], steps: list[str], base: Path, tmp_path: Path
) -> None:
    from asr_worker.models import artefacts

    reference, _ = artefacts.put(store, base)
    job |= {"kind": "evaluate", "dataset": "", "candidate": reference}
    job["served"]["model"] = "whisper-tiny.en"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MODELS_DIR", str(tmp_path / "models"))
        key = learn.run(store, RUN, job, quiet, root=tmp_path / "work")
    result = json.loads(store.get_bytes(key))
    assert steps == ALL[1:]
    assert result["fit"] is None
    assert result["candidate"]["reference"] != reference  # converted: what is served is not what was uploaded


def test_a_full_disk_is_said_in_words_and_nothing_is_stored(
    store: FileStore, job: dict[str, Any], steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export, "export", full)
    with pytest.raises(SpeechError, match="disk is full") as caught:
        learn.run(store, RUN, job, quiet, root=tmp_path / "work")
    assert caught.value.code == "disk_full"
    assert not store.exists(learn.result_key(RUN)) and not list(store.iter_keys("models"))


def test_a_method_that_cannot_be_folded_in_is_not_served(
    store: FileStore, job: dict[str, Any], steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(to_json=lambda: {"mergeable": False})

    monkeypatch.setitem(sys.modules, "asr_worker.training.fit", SimpleNamespace(fit=fit))
    job["config"]["method"] = "prefix"
    with pytest.raises(SpeechError, match="prefix") as caught:
        learn.run(store, RUN, job, quiet, root=tmp_path / "work")
    assert caught.value.code == "not_servable"


def test_a_job_that_was_called_off_stops(
    store: FileStore, job: dict[str, Any], steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_bytes(learn.cancel_key(RUN), b"x")
    moments = iter(range(0, 10_000, 10))
    monkeypatch.setattr(learn.time, "monotonic", lambda: float(next(moments)))
    with pytest.raises(learn.Cancelled):
        learn.run(store, RUN, job, quiet, root=tmp_path / "work")
    assert "export" not in steps


def test_a_job_that_is_called_off_while_its_smaller_forms_are_measured_leaves_no_result(
    store: FileStore, job: dict[str, Any], steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(served: Path, rows: list[dict[str, Any]], *, begun: Callable[[str], None]) -> list[dict[str, Any]]:
        store.put_bytes(learn.cancel_key(RUN), b"x")
        begun("int8")
        return []

    moments = iter(range(0, 10_000, 10))
    monkeypatch.setattr(learn.time, "monotonic", lambda: float(next(moments)))
    monkeypatch.setattr(export, "variants", measure)
    with pytest.raises(learn.Cancelled):
        learn.run(store, RUN, {**job, "variants": True}, quiet, root=tmp_path / "work")
    assert steps == ALL and not store.exists(learn.result_key(RUN))


def test_a_wrong_training_setting_is_named(store: FileStore, job: dict[str, Any], tmp_path: Path) -> None:
    job["config"]["metod"] = "lora"
    with pytest.raises(SpeechError, match="metod") as caught:
        learn.run(store, RUN, job, quiet, root=tmp_path / "work")
    assert caught.value.code == "bad_job" and caught.value.permanent
