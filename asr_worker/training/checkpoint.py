"""What a killed fine-tuning needs to go on: weights that learn, optimiser, schedule, random state, place and curve."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asr_worker.training.files import write_whole

STATE, BEST = "state.pt", "best.pt"


def learned(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return copies, on the CPU, of the weights that learn."""
    return {n: p.detach().to("cpu", copy=True) for n, p in model.named_parameters() if p.requires_grad}


def restore(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Put weights back by name. Raises KeyError where the model has not got one."""
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in weights.items():
            own[name].copy_(value.to(own[name]))


def random_state() -> dict[str, Any]:
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


class Resume:
    """The folder `resume`: `state.pt` and `best.pt`, each replaced by one rename, both bound to one fingerprint."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder, self.fingerprint = folder, fingerprint

    def load(self) -> dict[str, Any] | None:
        """Return the state of the same fine-tuning that was interrupted, or None; what belongs to another one goes."""
        state = self._read(STATE)
        if state is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            return None
        best = self._read(BEST) if state["best_step"] else {"weights": None}
        if best is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            return None
        return {**state, "best_weights": best["weights"]}

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        if not path.is_file():
            return None
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # whatever cannot be read is no state to go on from
            return None
        return found if found.get("fingerprint") == self.fingerprint else None

    def save(self, state: dict[str, Any]) -> None:
        """Write the state. Raises TrainingError `disk_full` where the disk is full."""
        write_whole(self.folder / STATE, lambda part: torch.save({**state, "fingerprint": self.fingerprint}, part))

    def save_best(self, weights: dict[str, torch.Tensor], step: int) -> None:
        """Write the best weights so far; always before the state that names their step."""
        document = {"weights": weights, "step": step, "fingerprint": self.fingerprint}
        write_whole(self.folder / BEST, lambda part: torch.save(document, part))

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
