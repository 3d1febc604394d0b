"""Fine-tune a base checkpoint on a dataset: `fit` is the whole of it, resumable at any moment."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from asr_worker.training.config import FitConfig
from asr_worker.training.data import Split, read_split, sha256_of_rows
from asr_worker.training.files import TrainingError, folder_whole, full_disk_said, write_whole
from asr_worker.training.result import FitResult, card, fingerprint
from asr_worker.types import ModelMissing

__all__ = ["FitResult", "fit"]

Progress = Callable[[dict[str, Any]], None]
#: Which part of a fit's time each stage usually takes; only progress bars depend on it.
_BEGINS = {"encode": 0.0, "train": 0.25, "validate": 0.25, "average": 0.92, "save": 0.97}
_SHARES = {"encode": 0.25, "train": 0.67, "validate": 0.67, "average": 0.05, "save": 0.03}
_MIXED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


def ignore(document: dict[str, Any]) -> None:
    """Take a progress document and do nothing."""


def fit(
    base: Path,
    dataset: Path,
    out: Path,
    config: FitConfig,
    *,
    progress: Progress = ignore,
    validate_old: Path | None = None,
    cache: Path | None = None,
) -> FitResult:
    """Leave a fine-tuned checkpoint in `out` and return its figures; call it again after a kill and it goes on.

    `out` then holds `checkpoint/` (an ordinary transformers directory), `adapter/` where the method has one,
    `tensorboard/`, `MODEL_CARD.md` and `fit.json`, which is written last. `validate_old` is a dataset folder of the old
    domain; a checkpoint's gain is then weighed against what it forgets. `cache` is a folder that keeps what the frozen
    part made of each clip for other fits of the same rows; without one it is gone at the end. Rows of one name must
    be the same clips there. A finished fit with the same arguments is returned at once.

    Raises DatasetError (empty, one speaker, clip gone), ModelMissing, TrainingError (`disk_full`, `diverged`,
    `unsupported_method`, ...) and BadAudio for a clip that cannot be decoded.
    """
    return Fit(base, dataset, out, config, progress, validate_old, cache).run()


class Fit:
    """One call of `fit`, step by step."""

    def __init__(
        self, base: Path, dataset: Path, out: Path, config: FitConfig, progress: Progress, validate_old: Path | None,
        cache: Path | None = None,
    ) -> None:  # fmt: skip
        if not (base / "config.json").is_file():
            raise ModelMissing(f"{base.name} holds no transformers checkpoint to start from.")
        self.base, self.dataset, self.out, self.config = base, dataset, out, config
        self.progress, self.validate_old, self.cache = progress, validate_old, cache
        self.began = time.monotonic()

    def run(self) -> FitResult:
        self.split = read_split(
            self.dataset, seed=self.config.seed, validate_old=self.validate_old, hold_out=self.config.hold_out
        )
        with full_disk_said(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
        self.base_fingerprint = fingerprint(self.base)
        self.run_fingerprint = self._fingerprint()
        done = self._finished()
        if done is not None:
            return done
        if self.config.search_trials:
            from asr_worker.training.search import search

            self.config = replace(search(self), search_trials=0)
        with full_disk_said(self.out):
            return self._train()

    def _fingerprint(self) -> str:
        told = {
            "config": self.config.to_json(),
            "dataset": sha256_of_rows(self.dataset),
            "base": self.base_fingerprint,
            "old": sha256_of_rows(self.validate_old) if self.validate_old else "",
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def _finished(self) -> FitResult | None:
        path = self.out / "fit.json"
        if not path.is_file() or not (self.out / "checkpoint" / "config.json").is_file():
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        return FitResult.from_json(document["result"]) if document.get("run") == self.run_fingerprint else None

    # --- preparing ---------------------------------------------------------------------------------

    def prepare(self, config: FitConfig) -> Prepared:
        """Return the model made ready and all clips computed; what is in the cache already is not computed again."""
        return Prepared(self, config)

    def tell(self, document: dict[str, Any]) -> None:
        stage = document["stage"]
        overall = _BEGINS[stage] + _SHARES[stage] * min(1.0, document.get("fraction", 0.0))
        blank = {"step": 0, "steps": 0, "epoch": 0.0, "loss": None, "wer": None, "seconds_left": None}
        self.progress({**blank, **document, "fraction": round(overall, 4)})

    # --- the run -----------------------------------------------------------------------------------

    def _train(self) -> FitResult:
        from asr_worker.training import checkpoint

        prepared = self.prepare(self.config)
        resume = checkpoint.Resume(self.out / "resume", self.run_fingerprint)
        loop = prepared.loop(resume, self.out / "tensorboard", self.tell)
        learns, total = prepared.counts()
        outcome = loop.run()
        if outcome.weights is not None:
            checkpoint.restore(prepared.family.model, outcome.weights)
        if not prepared.accelerator.is_main_process:
            prepared.accelerator.wait_for_everyone()
            return self._result(prepared, outcome, learns, total, 0.0, outcome.best)
        self._keep_adapter(prepared)
        mergeable = prepared.merge()
        share, final = self._average(prepared, outcome) if mergeable else (0.0, outcome.best)
        self.tell({"stage": "save", "fraction": 0.0, "step": outcome.step, "steps": loop.total})
        self._save_checkpoint(prepared, mergeable)
        result = self._result(prepared, outcome, learns, total, share, final)
        text = card(self.base, result)
        write_whole(self.out / "MODEL_CARD.md", lambda part: part.write_text(text, encoding="utf-8"))
        document = json.dumps({"run": self.run_fingerprint, "result": result.to_json()}, indent=1)
        write_whole(self.out / "fit.json", lambda part: part.write_text(document, encoding="utf-8"))
        resume.clear()
        shutil.rmtree(self.out / "cache", ignore_errors=True)
        self.tell({"stage": "save", "fraction": 1.0, "step": outcome.step, "steps": loop.total, "seconds_left": 0.0})
        prepared.accelerator.wait_for_everyone()
        return result

    def _average(self, prepared: Prepared, outcome: Any) -> tuple[float, Any]:
        """Mix base weights in (Wortsman et al. 2022) and return (share, figures of the mixture)."""
        asked = self.config.average_with_base
        if not asked:
            return 0.0, outcome.best
        from asr_worker.training import averaging, validation

        shares = _MIXED if asked < 0 else (min(1.0, asked),)
        mixer = averaging.Mixer(prepared.family.model, prepared.base_state())
        scores = {}
        for number, share in enumerate(shares):
            self.tell({"stage": "average", "fraction": number / len(shares), "step": outcome.step})
            mixer.apply(share)
            scores[share] = validation.score(prepared.family, prepared.held, prepared.old, prepared.device)
        chosen = min(shares, key=lambda s: (*scores[s].rank(outcome.start), s))
        mixer.apply(chosen)
        return chosen, scores[chosen]

    def _keep_adapter(self, prepared: Prepared) -> None:
        if prepared.applied.adapted is None:
            return
        from asr_worker.training import adapters

        folder_whole(self.out / "adapter", lambda part: adapters.save(prepared, part, self.base_fingerprint))

    def _save_checkpoint(self, prepared: Prepared, mergeable: bool) -> None:
        def fill(part: Path) -> None:
            if mergeable:
                prepared.family.model.save_pretrained(part)
            for path in sorted(self.base.iterdir()):
                weights = path.suffix in (".safetensors", ".bin") or path.name.endswith(".index.json")
                if not path.is_file() or path.name == "model.json" or path.name.startswith("."):
                    continue
                if not mergeable or not (weights or (part / path.name).exists()):
                    shutil.copyfile(path, part / path.name)

        folder_whole(self.out / "checkpoint", fill)

    def _result(self, prepared: Prepared, outcome: Any, learns: int, total: int, share: float, final: Any) -> FitResult:
        from asr_worker.training import methods

        epochs = max(outcome.epoch, 1e-9)
        return FitResult(
            method=self.config.method,
            steps=outcome.step,
            epochs=outcome.epoch,
            best_step=outcome.best_step,
            train_loss=outcome.train_loss,
            validation_wer_before=outcome.start.wer,
            validation_wer_after=final.wer,
            seconds=round(time.monotonic() - self.began, 2),
            seconds_per_epoch=round(outcome.train_seconds / epochs, 3),
            trainable_parameters=learns,
            parameters=total,
            averaged_with_base=share,
            resumed_from_step=outcome.resumed_from,
            curve=outcome.curve,
            checkpoint=str(self.out / "checkpoint"),
            mergeable=self.config.method in methods.MERGEABLE,
            base_fingerprint=self.base_fingerprint,
            old_wer_before=outcome.start.old_wer,
            old_wer_after=final.old_wer,
            rows=self.split.by_source(),
            rows_left_out=self.split.left_out + prepared.left_out,
            validation_rows=len(prepared.held),
            dataset_sha256=sha256_of_rows(self.dataset),
            config=json.loads(json.dumps(self.config.to_json())),
        )


class Prepared:
    """A base model with its method applied, on its device, and every clip computed."""

    def __init__(self, run: Fit, config: FitConfig) -> None:
        import torch

        from asr_worker.training import methods
        from asr_worker.training.accelerating import accelerator_for
        from asr_worker.training.cache import ClipCache
        from asr_worker.training.clips import Clips, variants
        from asr_worker.training.families import load

        if os.environ.get("OMP_NUM_THREADS") is None and os.environ.get("SPEECH_THREADS"):
            torch.set_num_threads(int(os.environ["SPEECH_THREADS"]))
        self.run, self.config = run, config
        self.accelerator = accelerator_for(config)
        self.device = self.accelerator.device
        self.family = load(run.base)
        torch.manual_seed(config.seed)
        split: Split = run.split
        train = variants(split.train, config.augment)
        level = self.family.level(config)
        self.family.model.to(self.device)
        if config.distillation:
            self.family.remember()
        cache = ClipCache.of_base(run.cache or run.out / "cache", run.base)
        every = len(train) + len(split.validation) + len(split.old)
        began = [0, time.monotonic()]

        def add(clips: Clips, examples: Any, augment: Any = None) -> Clips:
            def tell(done: int) -> None:
                gone = began[0] + done
                left = (time.monotonic() - began[1]) * (every - gone) / gone
                run.tell({"stage": "encode", "fraction": gone / every, "seconds_left": round(left, 1)})

            clips.add(examples, device=self.device, augment=augment, seed=config.seed, tell=tell)
            began[0] += len(examples)
            return clips

        with self.accelerator.main_process_first():
            self.train = add(Clips(self.family, cache, level), train, config.augment)
            self.held = add(Clips(self.family, cache, level), split.validation)
            self.old = add(Clips(self.family, cache, level), split.old) if split.old else None
        self.left_out = self.train.left_out + self.held.left_out
        if not len(self.train) or not len(self.held):
            raise TrainingError(
                "No clip is left to learn from: all are longer than the model's window or hold no words.",
                code="dataset_empty",
            )
        from asr_worker.training.loop import rows_of, steps_of

        self.total_steps = steps_of(config, len(rows_of(self.train, config, 0)), self.accelerator.num_processes)[1]
        self.applied = methods.apply(self.family, config, total_steps=self.total_steps)

    def counts(self) -> tuple[int, int]:
        """Return (weights that learn, all weights)."""
        from asr_worker.training import methods

        return methods.parameters(self.family.model)

    def loop(self, resume: Any, boards: Path, tell: Progress) -> Any:
        """Return the training loop over these clips."""
        from asr_worker.training.loop import Loop

        return Loop(
            self.family, self.applied, self.config, self.train, self.held, self.old,
            accelerator=self.accelerator, resume=resume, boards=boards, tell=tell, judged=self.run.split.judged,
        )  # fmt: skip

    def merge(self) -> bool:
        """Fold what was learnt into the model's own weights and return whether that is possible."""
        from asr_worker.training import methods

        if self.config.method not in methods.MERGEABLE:
            return False
        if self.applied.adapted is not None:
            from asr_worker.training import adapters

            adapters.merge(self)
        return True

    def base_state(self) -> dict[str, Any]:
        """Return the base's weights by name."""
        from asr_worker.training.families import load

        return dict(load(self.run.base).model.named_parameters())
