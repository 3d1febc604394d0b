"""Examples made ready for a model: decoded, augmented, turned into features or encoder outputs, and kept on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from asr_worker.training.cache import ClipCache
from asr_worker.training.config import AugmentConfig
from asr_worker.training.data import Example, served_audio

_AT_ONCE = 8


class Clips:
    """Examples with their inputs on disk; those that do not fit into a model's window are counted and left out."""

    def __init__(self, family: Any, cache: ClipCache, level: str) -> None:
        self.family, self.cache, self.level = family, cache, level
        self.examples: list[Example] = []
        self.labels: list[list[int]] = []
        self.prompts: list[int] = []
        self.lengths: list[int] = []
        self.left_out = 0
        self._changes = ""

    def __len__(self) -> int:
        return len(self.examples)

    def key(self, example: Example) -> str:
        # Only changed variants depend on how they are changed: all runs on the same base share the clips as they are.
        changes = f"{example.variant}|{self._changes}" if example.variant else "0"
        return f"{self.level}{self.family.learning_layers}|{example.id}|{example.path.name}|{changes}"

    def add(
        self,
        examples: Sequence[Example],
        *,
        device: Any = "cpu",
        augment: AugmentConfig | None = None,
        seed: int = 0,
        tell: Callable[[int], None] = lambda done: None,
    ) -> Clips:
        """Compute what is not in the cache yet and take the examples in. Raises BadAudio for a broken clip."""
        change = _augmenter(augment, seed)
        if augment is not None and change is not None:
            self._changes = f"{seed}|{json.dumps(asdict(augment), sort_keys=True)}"
        done = 0
        for at in range(0, len(examples), _AT_ONCE):
            part = examples[at : at + _AT_ONCE]
            missing = [e for e in part if not self.cache.has(self.key(e))]
            heard = [self._features(e, change, augment, seed) for e in missing]
            usable = [(e, h) for e, h in zip(missing, heard, strict=True) if len(h)]
            if usable:
                made = self._inputs([h for _, h in usable], device)
                for (example, _), array in zip(usable, made, strict=True):
                    self.cache.put(self.key(example), array)
            for example in part:
                self._take(example)
            done += len(part)
            tell(done)
        return self

    def _features(self, example: Example, change: Any, augment: AugmentConfig | None, seed: int) -> np.ndarray:
        varied = change is not None and example.variant > 0
        key = f"{example.id}/{example.variant}"
        audio = served_audio(example.path, (lambda samples: change(samples, key)) if varied else None)
        if not len(audio):
            return audio
        made = self.family.features(audio)
        if varied and augment is not None and self.level == "encoder" and augment.spec_augment:
            made = mask_features(made, augment.spec_augment, seed, key)
        return made

    def _inputs(self, features: list[np.ndarray], device: Any) -> list[np.ndarray]:
        return self.family.encode(features, device) if self.level == "encoder" else features

    def _take(self, example: Example) -> None:
        labels = self.family.labels(example.text, example.language) if self.cache.has(self.key(example)) else []
        if not labels:
            self.left_out += 1
            return
        self.examples.append(example)
        self.labels.append(labels)
        self.prompts.append(len(self.family.prompt(example.language)))
        self.lengths.append(self.cache.length(self.key(example)))

    def batch(self, positions: Sequence[int], change: Callable[[np.ndarray, int], np.ndarray] | None = None) -> Any:
        """Return one batch's tensors; `change` may alter an input [frames, width] given its position."""
        inputs = [self.cache.get(self.key(self.examples[i])) for i in positions]
        if change is not None:
            inputs = [change(one, i) for one, i in zip(inputs, positions, strict=True)]
        batch = self.family.collate(
            inputs, [self.labels[i] for i in positions], [self.prompts[i] for i in positions], self.level
        )
        return {**batch, "old": torch.tensor([self.examples[i].old for i in positions])}


def variants(examples: Sequence[Example], augment: AugmentConfig) -> list[Example]:
    """Return every example as it is, and, where augmentation is on, `copies` changed variants of each beside it."""
    if not (augment.changes_audio or augment.spec_augment):
        return list(examples)
    return [
        e if v == 0 else replace(e, variant=v)
        for e in examples
        for v in range(1 + (augment.copies if augment.old_domain or not e.old else 0))
    ]


def _augmenter(augment: AugmentConfig | None, seed: int) -> Any:
    if augment is None or not (augment.changes_audio or augment.spec_augment):
        return None
    from asr_worker.training.augment import Augmenter

    return Augmenter(augment, seed)


def mask_features(features: np.ndarray, chance: float, seed: int, key: str) -> np.ndarray:
    """Return features [frames, mels] with SpecAugment's masks, drawn from seed and key; unchanged at other times."""
    import hashlib

    from asr_worker.training.augment import spec_augment

    digest = hashlib.sha256(f"{seed}|spec|{key}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    return spec_augment(features, rng) if rng.random() < chance else features
