"""The training loop: AdamW, warm-up and decay, accumulation, clipping, validation, early stopping, resumable state."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asr_worker.training import checkpoint, methods, validation
from asr_worker.training.clips import Clips
from asr_worker.training.config import FitConfig
from asr_worker.training.data import batches, of_epoch
from asr_worker.training.validation import Score

#: State is written at every validation and, in between, after so many steps, at most for a twentieth of the time.
SAVE_EVERY = 20
_SAVE_SHARE = 20
Tell = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class Outcome:
    """Where a loop ended. `weights` are the best ones; `start` and `best` their figures."""

    step: int = 0
    epoch: float = 0.0
    best_step: int = 0
    train_loss: float = 0.0
    start: Score | None = None
    best: Score | None = None
    weights: dict[str, torch.Tensor] | None = None
    resumed_from: int = 0
    train_seconds: float = 0.0
    epochs_timed: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)


class Trainee(nn.Module):
    """The model behind one forward that returns a loss, which is what data-parallel wrappers synchronise on."""

    def __init__(self, family: Any, config: FitConfig, applied: methods.Applied) -> None:
        super().__init__()
        self.model = family.model
        self._family, self._config, self._applied = [family], config, applied

    def forward(self, batch: dict[str, Any]) -> torch.Tensor:
        config = self._config
        loss = self._family[0].loss(batch, smoothing=config.label_smoothing, distillation=config.distillation)
        extra = self._applied.extra_loss()
        return loss if extra is None else loss + extra


def steps_of(config: FitConfig, clips: int, processes: int = 1) -> tuple[int, int]:
    """Return (optimiser steps per epoch, steps in all)."""
    per_epoch = max(1, math.ceil(math.ceil(clips / config.batch_size) / processes / config.gradient_accumulation))
    steps = config.max_steps or per_epoch * config.epochs
    return per_epoch, max(1, steps)


def rows_of(train: Clips, config: FitConfig, epoch: int) -> list[int]:
    """Return the positions of the clips that are learnt from in this epoch; their number never changes."""
    old = [e.old for e in train.examples]
    return of_epoch(old, epochs=config.epochs, visits=config.replay_visits, seed=config.seed, epoch=epoch)


def factor(config: FitConfig, step: int, total: int) -> float:
    """Return the share of the learning rate at a step (0-based): linear warm-up, then the schedule down to zero."""
    warm = max(1, round(config.warmup_ratio * total)) if config.warmup_ratio else 0
    if step < warm:
        return (step + 1) / (warm + 1)
    if config.schedule == "constant":
        return 1.0
    gone = (step - warm) / max(1, total - warm)
    return max(0.0, 1 - gone) if config.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * min(1.0, gone)))


class Loop:
    """One fine-tuning of a prepared family. `run` may be called again after a kill with the same arguments."""

    def __init__(
        self, family: Any, applied: methods.Applied, config: FitConfig, train: Clips, held: Clips, old: Clips | None,
        *, accelerator: Any, resume: checkpoint.Resume, boards: Path, tell: Tell, judged: bool = True,
    ) -> None:  # fmt: skip
        self.family, self.applied, self.config = family, applied, config
        self.train, self.held, self.old = train, held, old
        self.accelerator, self.resume, self.tell = accelerator, resume, tell
        self.boards, self.judged = boards, judged
        self.device = accelerator.device
        self.per_epoch, self.total = steps_of(config, len(rows_of(train, config, 0)), accelerator.num_processes)
        self.outcome = Outcome()
        self.bad = 0
        self._saved_at, self._save_cost = time.monotonic(), 0.0
        self._losses: list[float] = []

    def run(self) -> Outcome:
        config, out = self.config, self.outcome
        trainee = Trainee(self.family, config, self.applied).to(self.device)
        rate = methods.learning_rate(config)
        optimiser = torch.optim.AdamW(methods.groups(trainee, config.weight_decay), lr=rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: factor(config, step, self.total))
        torch.manual_seed(config.seed)
        began = time.monotonic()
        found = self.resume.load()
        if found is not None:
            self._take_up(found, optimiser, schedule)
        if out.start is None:
            out.start = validation.score(self.family, self.held, self.old, self.device)
            out.curve.append(self._point(0, out.start, None))
        trainee, optimiser = self.accelerator.prepare(trainee, optimiser)
        writer = self._writer()
        self._say("train", out.start.wer)
        try:
            while out.step < self.total and not self._stopped() and not self._out_of_time(began):
                self._epoch(trainee, optimiser, schedule, writer, began)
        finally:
            writer.close()
        if out.weights is None:  # no epoch was whole before the time was up
            self._validate(writer=None)
        return out

    # --- one epoch ---------------------------------------------------------------------------------

    def _epoch(self, trainee: Any, optimiser: Any, schedule: Any, writer: Any, began: float) -> None:
        config, out, accelerator = self.config, self.outcome, self.accelerator
        number = out.step // self.per_epoch
        rows = rows_of(self.train, config, number)
        lengths = [self.train.lengths[i] for i in rows]
        mine = [[rows[i] for i in part] for part in batches(lengths, config.batch_size, seed=config.seed, epoch=number)]
        mine = mine[accelerator.process_index :: accelerator.num_processes] or mine[:1]
        accumulate = config.gradient_accumulation
        done = (out.step % self.per_epoch) * accumulate
        trainee.train()
        while done < len(mine) and out.step < self.total:
            clock = time.monotonic()
            group = mine[done : done + accumulate]
            lost = 0.0
            for k, positions in enumerate(group):
                batch = validation.to_device(self.train.batch(positions, self._change(number)), self.device)
                last = k == len(group) - 1
                waiting = contextlib.nullcontext() if last else accelerator.no_sync(trainee)
                with waiting:
                    lost += self._learn(trainee, batch, len(group))
            if config.max_gradient_norm:
                accelerator.clip_grad_norm_(trainee.parameters(), config.max_gradient_norm)
            optimiser.step()
            schedule.step()
            self.applied.after_step(out.step)
            optimiser.zero_grad(set_to_none=True)
            if not math.isfinite(lost):
                from asr_worker.training.files import TrainingError

                raise TrainingError(
                    "The training loss is no longer a number: lower the learning rate.", code="diverged"
                )
            out.step += 1
            done += accumulate
            out.epoch = round(out.step / self.per_epoch, 3)
            out.train_seconds += time.monotonic() - clock
            self._losses.append(lost)
            writer.add_scalar("train/loss", lost, out.step)
            writer.add_scalar("train/learning_rate", schedule.get_last_lr()[0], out.step)
            self._say("train", None)
            at_end = done >= len(mine) or out.step >= self.total
            if not at_end:
                self._maybe_save(optimiser, schedule)
                if self._out_of_time(began):
                    return
        if self.judged or out.step >= self.total:  # rows that are learnt cannot choose between checkpoints
            self._validate(writer)
        self._save(optimiser, schedule)

    def _learn(self, trainee: Any, batch: dict[str, Any], parts: int) -> float:
        config = self.config
        with self.accelerator.autocast():
            loss = trainee(batch)
        if config.adversary == "none":
            self.accelerator.backward(loss / parts)
            return float(loss.detach()) / parts
        clean = float(loss.detach())
        self.accelerator.backward(loss / (2 * parts))
        changed = {**batch, "inputs": self._attack(trainee, batch)}
        with self.accelerator.autocast():
            attacked = trainee(changed)
        self.accelerator.backward(attacked / (2 * parts))
        return clean / parts

    def _attack(self, trainee: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Return the inputs moved, within a relative distance, to where the model errs most (Miyato et al. 2017)."""
        from asr_worker.training import adversarial

        def loss_of(inputs: torch.Tensor) -> torch.Tensor:
            with self.accelerator.autocast():
                return trainee({**batch, "inputs": inputs})

        config = self.config
        # Gradients of the weights are not wanted here and must not be added to those of the clean pass.
        learning = [p for p in trainee.parameters() if p.requires_grad]
        for parameter in learning:
            parameter.requires_grad_(False)
        try:
            if config.adversary == "fgm":
                return adversarial.fgm(loss_of, batch["inputs"], config.adversary_epsilon).detach()
            size = 2 * config.adversary_epsilon / max(1, config.adversary_steps)
            moved = adversarial.pgd(loss_of, batch["inputs"], config.adversary_epsilon, config.adversary_steps, size)
            return moved.detach()
        finally:
            for parameter in learning:
                parameter.requires_grad_(True)

    def _change(self, epoch: int) -> Any:
        """Return SpecAugment for this epoch where features are the inputs; cached outputs got theirs when made."""
        chance = self.config.augment.spec_augment
        if not chance or self.train.level != "features":
            return None
        from asr_worker.training.clips import mask_features

        seed = self.config.seed

        def change(features: Any, position: int) -> Any:
            return mask_features(features, chance, seed, f"{epoch}/{self.train.examples[position].id}")

        return change

    # --- judging and keeping -----------------------------------------------------------------------

    def _validate(self, writer: Any) -> None:
        out = self.outcome
        self._say("validate", None)
        found = validation.score(self.family, self.held, self.old, self.device)
        out.train_loss = round(sum(self._losses) / max(1, len(self._losses)), 5)
        self._losses = []
        out.curve.append(self._point(out.step, found, out.train_loss))
        if writer is not None:
            writer.add_scalar("validation/wer", found.wer, out.step)
            writer.add_scalar("validation/loss", found.loss, out.step)
            if found.old_wer is not None:
                writer.add_scalar("validation/old_wer", found.old_wer, out.step)
            writer.flush()
        if out.best is None or found.rank(out.start) < out.best.rank(out.start):
            out.best, out.best_step, self.bad = found, out.step, 0
            out.weights = checkpoint.learned(self.family.model)
            if self.accelerator.is_main_process:
                self.resume.save_best(out.weights, out.step)
        else:
            self.bad += 1
        self._say("train", found.wer)

    def _stopped(self) -> bool:
        return bool(self.config.patience) and self.bad >= self.config.patience

    def _out_of_time(self, began: float) -> bool:
        return bool(self.config.max_minutes) and time.monotonic() - began > 60 * self.config.max_minutes

    def _maybe_save(self, optimiser: Any, schedule: Any) -> None:
        now = time.monotonic()
        if self.outcome.step % SAVE_EVERY == 0 and now - self._saved_at >= _SAVE_SHARE * self._save_cost:
            self._save(optimiser, schedule)

    def _save(self, optimiser: Any, schedule: Any) -> None:
        if not self.accelerator.is_main_process:
            return
        began, out = time.monotonic(), self.outcome
        self.resume.save(
            {
                "weights": checkpoint.learned(self.family.model),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.last_epoch,
                "random": checkpoint.random_state(),
                "step": out.step,
                "best_step": out.best_step,
                "bad": self.bad,
                "start": _plain(out.start),
                "best": _plain(out.best),
                "curve": out.curve,
                "losses": self._losses,
                "train_loss": out.train_loss,
                "train_seconds": out.train_seconds,
            }
        )
        self._saved_at, self._save_cost = time.monotonic(), time.monotonic() - began

    def _take_up(self, found: dict[str, Any], optimiser: Any, schedule: Any) -> None:
        out = self.outcome
        checkpoint.restore(self.family.model, found["weights"])
        optimiser.load_state_dict(found["optimiser"])
        schedule.last_epoch = found["schedule"]
        for group, base in zip(optimiser.param_groups, schedule.base_lrs, strict=True):
            group["lr"] = base * factor(self.config, schedule.last_epoch, self.total)
        checkpoint.set_random_state(found["random"])
        out.step = out.resumed_from = found["step"]
        out.epoch = round(out.step / self.per_epoch, 3)
        out.best_step, self.bad = found["best_step"], found["bad"]
        out.start = Score(**found["start"])
        out.best = Score(**found["best"]) if found["best"] else None
        out.weights = found["best_weights"]
        out.curve, self._losses = found["curve"], found["losses"]
        out.train_loss, out.train_seconds = found["train_loss"], found["train_seconds"]

    # --- telling -----------------------------------------------------------------------------------

    def _writer(self) -> Any:
        if not self.accelerator.is_main_process:
            return _Nobody()
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return _Nobody()
        return SummaryWriter(log_dir=str(self.boards), purge_step=self.outcome.step or None)

    def _point(self, step: int, found: Score, loss: float | None) -> dict[str, Any]:
        point = {"step": step, "epoch": round(step / self.per_epoch, 3), "loss": loss, "wer": found.wer}
        return {**point, "validation_loss": found.loss, "old_wer": found.old_wer}

    def _say(self, stage: str, wer: float | None) -> None:
        out = self.outcome
        new = out.step - out.resumed_from
        each = out.train_seconds / max(1, out.step)
        self.tell(
            {
                "stage": stage,
                "fraction": round(out.step / self.total, 4),
                "step": out.step,
                "steps": self.total,
                "epoch": out.epoch,
                "loss": round(self._losses[-1], 5) if self._losses else None,
                "wer": wer,
                "seconds_left": round(each * (self.total - out.step), 1) if new else None,
            }
        )


class _Nobody:
    """Takes the place of the TensorBoard writer in the other processes of a multi-GPU run."""

    def add_scalar(self, *args: Any) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


def _plain(found: Score | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)
