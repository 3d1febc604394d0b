"""One learning job from end to end: fetch the data, fine-tune, export, evaluate what would be served, judge.

Knows no database: it gets keys and a job document, writes `learning/{run_id}/result.json` into the store and says how
far it is. Every finished step leaves its result in the work folder, so a job that was killed goes on where it was;
running it twice gives the same answer. A candidate that the gate refuses is stored all the same, with the reasons.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from asr_worker import datasets
from asr_worker.models import artefacts
from asr_worker.storage import Store
from asr_worker.training.config import FitConfig
from asr_worker.types import PipelineSpec, SpeechError

log = logging.getLogger(__name__)

#: Told the stage, how far the whole job is (0..1), and what the stage itself has to say.
Tell = Callable[[str, float, dict[str, Any]], None]
#: Which part of the whole each stage usually takes; only progress bars depend on it.
_SHARES = {"materialise": 0.03, "fit": 0.67, "export": 0.05, "evaluate": 0.24, "gate": 0.01}
_VARIANT_ROWS = 12


class Busy(SpeechError):
    """Another process on this machine works on the same job already."""

    code = "busy"


class Cancelled(SpeechError):
    """Somebody has called the job off."""

    permanent = True
    code = "cancelled"


def result_key(run_id: str) -> str:
    """Return the store key of a job's result."""
    return f"learning/{run_id}/result.json"


def cancel_key(run_id: str) -> str:
    """Return the store key whose existence calls the job off."""
    return f"learning/{run_id}/cancelled"


def work_root() -> Path:
    """Return the folder of half-done jobs: LEARNING_DIR, else one in the system's temporary folder."""
    return Path(os.environ.get("LEARNING_DIR") or Path(tempfile.gettempdir()) / "callcenter-learning")


def run(store: Store, run_id: str, job: dict[str, Any], tell: Tell, *, root: Path | None = None) -> str:
    """Return the key of the job's result, doing only what is not done yet.

    Raises SpeechError (or one of its kinds) saying what is wrong in words for the operator; Busy when another process
    here has the job.
    """
    work = (root or work_root()) / run_id
    work.mkdir(parents=True, exist_ok=True)
    with _alone(work), _full_disk_said(work):
        result = _Job(store, run_id, job, tell, work).result()
        store.put_bytes(result_key(run_id), json.dumps(result, ensure_ascii=False).encode())
    _tidy(work)
    return result_key(run_id)


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    import fcntl

    with (work / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy("This learning job is being worked on already.") from error
        yield


@contextmanager
def _full_disk_said(work: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        message = "The disk is full: free some space where the learning worker works, then retry this run."
        raise SpeechError(message, code="disk_full", permanent=True) from error


def _tidy(work: Path) -> None:
    """Remove what was only needed on the way; curves and the card stay for whoever looks."""
    for name in ("dataset", "golden", "old", "served", "fit/checkpoint", "fit/adapter", "fit/resume", "fit/cache"):
        shutil.rmtree(work / name, ignore_errors=True)


class _Job:
    def __init__(self, store: Store, run_id: str, job: dict[str, Any], tell: Tell, work: Path) -> None:
        self.store, self.run_id, self.job, self.work = store, run_id, job, work
        self._tell = tell
        self._looked = time.monotonic()
        self.seconds: dict[str, float] = {}
        try:
            self.config = FitConfig.from_json(job.get("config") or {})
            self.served = PipelineSpec.from_json(job["served"])
        except (ValueError, TypeError, KeyError) as error:
            raise SpeechError(f"The job cannot be read: {error}", code="bad_job", permanent=True) from error
        self.served = replace(self.served, device=os.environ.get("SPEECH_DEVICE") or self.served.device)

    # --- how far -----------------------------------------------------------------------------------

    def tell(self, stage: str, fraction: float, doc: dict[str, Any] | None = None) -> None:
        before = 0.0
        for name, share in _SHARES.items():
            if name == stage:
                self._tell(stage, round(before + share * min(1.0, max(0.0, fraction)), 4), doc or {})
                break
            before += share
        now = time.monotonic()
        if now - self._looked > 3:
            self._looked = now
            if self.store.exists(cancel_key(self.run_id)):
                raise Cancelled("The run was cancelled.")

    def _kept(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the step's result from the work folder, or make it and keep it."""
        path = self.work / f"{name}.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
        began = time.monotonic()
        made = make()
        self.seconds[name] = round(time.monotonic() - began, 2)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")
        os.replace(part, path)
        return made

    # --- the steps ---------------------------------------------------------------------------------

    def result(self) -> dict[str, Any]:
        from asr_worker import gate

        fitted = self._fit() if self.job["kind"] == "fit" else None
        candidate = self._kept("candidate", self._export if fitted else self._uploaded)
        spec = replace(
            self.served,
            model=candidate["reference"],
            transcriber=candidate["engine"],
            compute_type=candidate["compute_type"],
        )
        documents = self._evaluate(spec)
        self.tell("gate", 0.0)
        heard, present = documents["candidate"]["golden"], documents["served"]["golden"]
        assert heard is not None and present is not None
        verdict = gate.judge(
            heard,
            present,
            old_candidate=documents["candidate"]["old"],
            old_served=documents["served"]["old"],
            bounds=gate.GateBounds.from_json(self.job.get("bounds") or {}),
        )
        self.tell("gate", 1.0)
        candidate["variants"] = self._variants() if self.job.get("variants") else []
        return {
            "schema": 1,
            "run_id": self.run_id,
            "candidate": candidate,
            "fit": fitted,
            "evaluations": {
                who: {which: self._filed(document) for which, document in found.items()}
                for who, found in documents.items()
            },
            "verdict": verdict.to_json(),
            "seconds": self.seconds,
        }

    def _data(self, name: str, key: str) -> Path:
        return datasets.materialise(self.store, key, self.work / name)

    def _fit(self) -> dict[str, Any]:
        from asr_worker.engines.registry import find_model
        from asr_worker.training.fit import fit

        def make() -> dict[str, Any]:
            self.tell("materialise", 0.0)
            folder = self._data("dataset", self.job["dataset"])
            base = find_model(self.job["base"])
            self.tell("materialise", 1.0)
            done = fit(
                base,
                folder,
                self.work / "fit",
                self.config,
                progress=lambda doc: self.tell("fit", float(doc.get("fraction") or 0.0), doc),
            )
            return done.to_json()

        return self._kept("fit-result", make)

    def _export(self) -> dict[str, Any]:
        """Convert what was trained into what is served, and store it under the name of its content."""
        from asr_worker import export

        self.tell("export", 0.0)
        trained = self.work / "fit" / "checkpoint"
        served = self.work / "served"
        shutil.rmtree(served, ignore_errors=True)
        fitted = json.loads((self.work / "fit-result.json").read_text(encoding="utf-8"))
        if not fitted.get("mergeable", True):
            raise SpeechError(
                f"The method {self.config.method} gives an adapter that cannot be folded into the model, so it can be "
                "measured but not served. Choose another method.",
                code="not_servable",
                permanent=True,
            )
        engine = "faster-whisper"
        if _model_type(trained) == "whisper":
            export.export(trained, served, kinds=tuple(self.job.get("exports") or ("int8", "float16")))
        else:
            shutil.copytree(trained, served)
            engine = "transformers"
        for name in ("MODEL_CARD.md", "fit.json"):
            if (self.work / "fit" / name).is_file():
                shutil.copyfile(self.work / "fit" / name, served / name)
        made = self._put(served, engine)
        self.tell("export", 1.0)
        return made

    def _uploaded(self) -> dict[str, Any]:
        """Bring a model trained elsewhere into the form that is served."""
        from asr_worker import export

        self.tell("export", 0.0)
        folder = artefacts.fetch(self.job["candidate"], store=self.store)
        engine = "faster-whisper"
        ready = any((folder / name / "model.bin").is_file() for name in ("ct2-int8", "ct2-float16", "ct2-float32", "."))
        if not ready and _model_type(folder) != "whisper":
            engine = "transformers"
        elif not ready:
            served = self.work / "served"
            shutil.rmtree(served, ignore_errors=True)
            export.export(folder, served, kinds=tuple(self.job.get("exports") or ("int8", "float16")))
            return self._put(served, engine)
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        return self._described(self.job["candidate"], size, engine, folder)

    def _put(self, folder: Path, engine: str) -> dict[str, Any]:
        reference, size = artefacts.put(self.store, folder)
        return self._described(reference, size, engine, folder)

    def _described(self, reference: str, size: int, engine: str, folder: Path) -> dict[str, Any]:
        card = folder / "MODEL_CARD.md"
        return {
            "reference": reference,
            "sha256": reference.rsplit("/", 1)[-1],
            "bytes": size,
            "engine": engine,
            "compute_type": self.job.get("compute_type") or self.served.compute_type,
            "card": {"text": card.read_text(encoding="utf-8")} if card.is_file() else {},
        }

    def _evaluate(self, candidate: PipelineSpec) -> dict[str, dict[str, dict[str, Any] | None]]:
        """Return the evaluation documents of both models on both sets, made one after the other on this machine."""
        sets = {"golden": self.job["golden"], "old": self.job.get("old")}
        total = 2 * sum(one is not None for one in sets.values())
        out: dict[str, dict[str, dict[str, Any] | None]] = {}
        done = 0
        for who, spec in (("served", self.served), ("candidate", candidate)):
            found: dict[str, dict[str, Any] | None] = dict.fromkeys(sets)
            for which, which_set in sets.items():
                if which_set is None:
                    continue
                tell = partial(self._heard, done, total, {"model": who, "set": which})
                tell(0.0)
                make = partial(self._listen, spec, which, which_set, tell)
                found[which] = self._kept(f"evaluation-{who}-{which}", make)
                done += 1
            out[who] = found
        self.tell("evaluate", 1.0)
        return out

    def _heard(self, done: int, total: int, doc: dict[str, Any], share: float) -> None:
        """Tell that of `total` evaluations `done` are over, and the share of the next one."""
        self.tell("evaluate", (done + share) / total, doc)

    def _listen(
        self, spec: PipelineSpec, which: str, which_set: dict[str, Any], progress: Callable[[float], None]
    ) -> dict[str, Any]:
        from asr_worker.evaluation import evaluate_rows

        rows = datasets.read(self._data(which, which_set["manifest_key"]))
        terms = self.job.get("vocabulary") or ()
        return evaluate_rows(rows, spec, name=which_set["name"], vocabulary=terms, progress=progress)

    def _filed(self, document: dict[str, Any] | None) -> dict[str, Any] | None:
        """Put an evaluation with all its rows into the store; return where, and its figures."""
        if document is None:
            return None
        data = json.dumps(document, ensure_ascii=False, sort_keys=True).encode()
        key = f"learning/{self.run_id}/evaluation-{hashlib.sha256(data).hexdigest()[:16]}.json"
        self.store.put_bytes(key, data)
        return {"key": key, "pooled": document["pooled"], "real_time_factor": document["real_time_factor"]}

    def _variants(self) -> list[dict[str, Any]]:
        """Return size, speed and WER of other forms of the same checkpoint; a courtesy that never fails the job."""
        from asr_worker import export

        try:
            rows = datasets.read(self._data("golden", self.job["golden"]["manifest_key"]))[:_VARIANT_ROWS]
            return export.variants(self.work / "served", rows, begun=lambda kind: self.tell("gate", 1.0))
        except Cancelled:
            raise
        except SpeechError as error:
            log.warning("variants of run %s were not measured: %s", self.run_id, error.code)
            return []


def _model_type(folder: Path) -> str:
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", ""))
    except (OSError, ValueError):
        return ""
