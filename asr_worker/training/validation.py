"""How good a model in training is: greedy words against the reference, new and old domain apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from asr_worker.normalise import normalise
from asr_worker.training.clips import Clips

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Score:
    """Word error rates (fractions) of the new and, where there are rows, the old domain; loss of the new one.

    `capped` is the new domain's rate with at most as many errors per row as it has words: a validation set is small,
    and one clip that is written out letter by letter would else outvote all the others.
    """

    wer: float
    loss: float
    old_wer: float | None = None
    capped: float | None = None

    def rank(self, start: Score | None = None) -> tuple[float, float]:
        """Return what to minimise: errors of the new domain, and every error that the old one has gained on top."""
        lost = 0.0
        if self.old_wer is not None and start is not None and start.old_wer is not None:
            lost = max(0.0, self.old_wer - start.old_wer)
        return (round((self.wer if self.capped is None else self.capped) + lost, 5), self.loss)


def word_errors(references: Sequence[str], heard: Sequence[str]) -> tuple[int, int]:
    """Return (wrong words, words of the references) after the versioned normaliser."""
    import jiwer

    pairs = [(normalise(r), normalise(h)) for r, h in zip(references, heard, strict=True)]
    pairs = [(r, h) for r, h in pairs if r]
    if not pairs:
        return 0, 0
    found = jiwer.process_words([r for r, _ in pairs], [h for _, h in pairs])
    return found.substitutions + found.deletions + found.insertions, found.hits + found.substitutions + found.deletions


def transcribe(family: Any, clips: Clips, device: Any = "cpu") -> tuple[list[str], float]:
    """Return (text per clip in the clips' order, mean loss), greedily decoded."""
    texts = [""] * len(clips)
    lost, weight = 0.0, 0
    order = sorted(range(len(clips)), key=lambda i: len(clips.labels[i]))  # decoding takes as long as its longest row
    was_training = family.model.training
    family.model.eval()
    try:
        for at in range(0, len(order), _BATCH):
            positions = order[at : at + _BATCH]
            batch = to_device(clips.batch(positions), device)
            with torch.inference_mode():
                lost += float(family.loss(batch)) * len(positions)
            weight += len(positions)
            prompts = [family.prompt(clips.examples[i].language) for i in positions]
            # Prompts of one batch have one length: a language is one token whichever it is.
            for i, text in zip(positions, family.transcribe(batch, prompts), strict=True):
                texts[i] = text
    finally:
        family.model.train(was_training)
    return texts, lost / max(1, weight)


def score(family: Any, clips: Clips, old: Clips | None, device: Any = "cpu") -> Score:
    """Return the figures of the model as it is now."""
    heard, loss = transcribe(family, clips, device)
    wrong, words = word_errors([e.text for e in clips.examples], heard)
    old_wer = None
    if old is not None and len(old):
        heard_old, _ = transcribe(family, old, device)
        wrong_old, words_old = word_errors([e.text for e in old.examples], heard_old)
        old_wer = round(wrong_old / max(1, words_old), 5)
    capped = 0
    for example, text in zip(clips.examples, heard, strict=True):
        errors, length = word_errors([example.text], [text])
        capped += min(errors, length)
    return Score(round(wrong / max(1, words), 5), round(loss, 5), old_wer, round(capped / max(1, words), 5))


def to_device(batch: dict[str, Any], device: Any) -> dict[str, Any]:
    """Return the batch with its tensors on the device."""
    return {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
