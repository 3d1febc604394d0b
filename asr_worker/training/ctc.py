"""CTC models of the wav2vec2 kind while they learn: audio or hidden states in, letters out.

Here the "frozen encoder" is everything below the output layer; its outputs are computed once per clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from asr_worker.training.config import FitConfig
from asr_worker.training.files import TrainingError

RATE = 16_000
Batch = dict[str, Any]


class CtcFamily:
    """A CTC checkpoint with its tokenizer and its features."""

    kind = "ctc"
    learning_layers = 0

    def __init__(self, base: Path) -> None:
        import transformers

        self.model = transformers.AutoModelForCTC.from_pretrained(base, local_files_only=True, dtype=torch.float32)
        if hasattr(self.model.config, "apply_spec_augment"):
            self.model.config.apply_spec_augment = False  # ours is set in the configuration of the fine-tuning
        processor = transformers.AutoProcessor.from_pretrained(base, local_files_only=True)
        self.tokenizer, self.extractor = processor.tokenizer, processor.feature_extractor
        self.blank = self.tokenizer.pad_token_id
        letters = set(self.tokenizer.get_vocab())
        self.upper = "E" in letters and "e" not in letters
        self.known = {c for c in letters if len(c) == 1} | {" "}

    def level(self, config: FitConfig) -> str:
        """Return what is computed once per clip: hidden states where only the output layer learns, else the input."""
        return "encoder" if config.method == "frozen_encoder" and config.cache_encoder else "features"

    def freeze_all_but_head(self) -> None:
        """Let only the output layer learn."""
        self.model.lm_head.requires_grad_(True)

    def remember(self) -> None:
        """Raise TrainingError: the peaks of two CTC models stand at different frames, so theirs are not compared."""
        raise TrainingError("Distillation is for Whisper models.", code="unsupported_setting")

    def prompt(self, language: str) -> list[int]:
        return []

    def labels(self, text: str, language: str) -> list[int]:
        """Return the letters' ids; what the vocabulary has not got is left out."""
        text = text.upper() if self.upper else text.lower()
        text = "".join(c if c in self.known else " " for c in text)
        return self.tokenizer(" ".join(text.split())).input_ids

    def features(self, audio: np.ndarray) -> np.ndarray:
        """Return the model's input of one clip, float32 [samples, 1]."""
        made = self.extractor(audio, sampling_rate=RATE, return_tensors="np")
        return np.asarray(made["input_values"], np.float32).reshape(-1, 1)

    @torch.inference_mode()
    def encode(self, features: Sequence[np.ndarray], device: Any = "cpu") -> list[np.ndarray]:
        """Return per clip the hidden states float32 [frames, width] below the output layer, clip by clip."""
        self.model.eval()
        return [
            self.model.base_model(torch.from_numpy(one.T).to(device)).last_hidden_state[0].float().cpu().numpy()
            for one in features
        ]

    def collate(
        self, inputs: Sequence[np.ndarray], labels: Sequence[list[int]], prompts: Sequence[int], level: str
    ) -> Batch:
        """Return tensors of one batch: inputs [batch, frames, width], lengths [batch], targets and their lengths."""
        longest = max(len(x) for x in inputs)
        stacked = np.zeros((len(inputs), longest, inputs[0].shape[1]), np.float32)
        for i, one in enumerate(inputs):
            stacked[i, : len(one)] = one
        return {
            "inputs": torch.from_numpy(stacked),
            "lengths": torch.tensor([len(x) for x in inputs]),
            "targets": torch.tensor([t for row in labels for t in row], dtype=torch.long),
            "target_lengths": torch.tensor([len(x) for x in labels]),
            "level": level,
        }

    def logits(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (logits [batch, frames, vocabulary], frames per clip)."""
        if batch["level"] == "encoder":
            return self.model.lm_head(batch["inputs"]), batch["lengths"]
        audio, lengths = batch["inputs"][..., 0], batch["lengths"]
        mask = None
        if getattr(self.extractor, "return_attention_mask", False):
            mask = (torch.arange(audio.shape[1], device=audio.device) < lengths[:, None]).long()
        logits = self.model(audio, attention_mask=mask).logits
        frames = self.model._get_feat_extract_output_lengths(lengths)
        return logits, frames.clamp(max=logits.shape[1])

    def loss(self, batch: Batch, *, smoothing: float = 0.0, distillation: float = 0.0) -> torch.Tensor:
        """Return the mean CTC loss per letter (Graves et al. 2006); `smoothing` mixes in the mean over all letters."""
        logits, frames = self.logits(batch)
        scores = logits.float().log_softmax(-1)
        lost = functional.ctc_loss(
            scores.transpose(0, 1), batch["targets"], frames, batch["target_lengths"], blank=self.blank,
            zero_infinity=True,
        )  # fmt: skip
        return lost if not smoothing else (1 - smoothing) * lost - smoothing * scores.mean()

    @torch.inference_mode()
    def transcribe(self, batch: Batch, prompts: Sequence[list[int]]) -> list[str]:
        """Return the best path's text per clip."""
        self.model.eval()
        logits, frames = self.logits(batch)
        best = logits.argmax(-1).cpu()
        rows = [ids[:n].tolist() for ids, n in zip(best, frames.tolist(), strict=True)]
        return [self.tokenizer.decode(row).strip() for row in rows]
