"""Whisper while it learns: the exact prompt and features that are served, the encoder run once, short cross-attention.

The encoder always sees the 30 s window that the served engine gives it, or, when it learns itself, the audible part
and a margin. The decoder attends to the audible frames and a margin of two seconds; what lies behind is padding, and
leaving it out saves most of the decoder's time. Greedy decoding here is for choosing between checkpoints only: what
counts is measured on the exported model.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from asr_worker.training.config import FitConfig
from asr_worker.training.files import TrainingError

IGNORED = -100
MOST_TOKENS = 224
#: Frames (20 ms) of padding after the audible ones that the decoder still sees.
MARGIN = 100
_ENCODE_AT_ONCE = 4
Batch = dict[str, Any]


class WhisperFamily:
    """A Whisper checkpoint, its tokenizer and features; `model` is transformers' WhisperForConditionalGeneration."""

    kind = "whisper"

    def __init__(self, base: Path) -> None:
        import transformers

        self.model = transformers.WhisperForConditionalGeneration.from_pretrained(
            base, local_files_only=True, dtype=torch.float32, attn_implementation="sdpa"
        )
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(base, local_files_only=True)
        self.mels = self.model.config.num_mel_bins
        self.window = 2 * self.model.config.max_source_positions
        generation = base / "generation_config.json"
        self.generation = json.loads(generation.read_text()) if generation.is_file() else {}
        self._suppressed: torch.Tensor | None = None
        self.learning_layers = 0
        self.teacher: Any = None

    def freeze_all_but_head(self) -> None:
        """Let the decoder's layers learn.

        The token embeddings, which are also the output layer and more than half of a small decoder, stay: new words
        are spelled with old pieces, and leaving them alone is both faster and kinder to what was known.
        """
        for name, parameter in self.model.model.decoder.named_parameters():
            parameter.requires_grad_(not name.startswith("embed_tokens"))
        encoder = self.model.model.encoder
        if self.learning_layers:
            for part in (*encoder.layers[-self.learning_layers :], encoder.layer_norm):
                part.requires_grad_(True)

    def level(self, config: FitConfig) -> str:
        """Return what is computed once per clip: `encoder` outputs where the encoder is frozen, else `features`."""
        layers = self.model.config.encoder_layers
        self.learning_layers = min(config.encoder_layers, layers) if config.method == "frozen_encoder" else 0
        return "features" if config.method == "full" or not config.cache_encoder else "encoder"

    def remember(self) -> None:
        """Keep a copy of the model as it is now for `loss` to distil from."""
        self.teacher = copy.deepcopy(self.model).eval().requires_grad_(False)

    # --- what is said ------------------------------------------------------------------------------

    def prompt(self, language: str) -> list[int]:
        """Return the tokens that the served engine puts before the words."""
        ids = self.tokenizer.convert_tokens_to_ids
        multilingual = self.generation.get("is_multilingual", self.model.config.vocab_size >= 51_865)
        middle = [ids(f"<|{language or 'en'}|>"), ids("<|transcribe|>")] if multilingual else []
        found = [ids("<|startoftranscript|>"), *middle, ids("<|notimestamps|>")]
        if None in found:
            raise TrainingError(f"The base model knows no language {language!r}.", code="unknown_language")
        return found

    def labels(self, text: str, language: str) -> list[int]:
        """Return prompt, words and end as token ids; empty when there are more words than a window may hold."""
        words = self.tokenizer.encode(" " + text.strip(), add_special_tokens=False)
        prompt = self.prompt(language)
        most = min(MOST_TOKENS, self.model.config.max_target_positions - len(prompt) - 1)
        return [*prompt, *words, self.model.config.eos_token_id] if len(words) <= most else []

    # --- what is heard -----------------------------------------------------------------------------

    def features(self, audio: np.ndarray) -> np.ndarray:
        """Return log-mel features float32 [frames, mels] of the audible part, as the served engine computes them."""
        from faster_whisper.feature_extractor import FeatureExtractor

        made = FeatureExtractor(feature_size=self.mels)(audio)
        return np.ascontiguousarray(made[:, : self.window].T)

    @torch.inference_mode()
    def encode(self, features: Sequence[np.ndarray], device: Any = "cpu") -> list[np.ndarray]:
        """Return per clip the encoder's outputs float32 [audible frames and margin, width] of the full window."""
        self.model.eval()
        out: list[np.ndarray] = []
        for at in range(0, len(features), _ENCODE_AT_ONCE):
            part = features[at : at + _ENCODE_AT_ONCE]
            window = np.zeros((len(part), self.mels, self.window), np.float32)
            for row, one in zip(window, part, strict=True):
                row[:, : len(one)] = one.T
            encoded = encoder_forward(
                self.model.model.encoder, torch.from_numpy(window).to(device), without_top=self.learning_layers
            )
            for one, frames in zip(part, encoded.float().cpu().numpy(), strict=True):
                out.append(frames[: min(len(frames), len(one) // 2 + MARGIN)])
        return out

    # --- batches -----------------------------------------------------------------------------------

    def collate(
        self, inputs: Sequence[np.ndarray], labels: Sequence[list[int]], prompts: Sequence[int], level: str
    ) -> Batch:
        """Return tensors of one batch; `level` says whether the inputs are encoder outputs or features.

        `inputs` [batch, frames, width]; `mask` bool [batch, 1, 1, frames] or None; `ids` and `targets` int64
        [batch, tokens], targets being -100 where nothing is to be learnt (the prompt and the padding).
        """
        longest = max(len(x) for x in inputs)
        if level == "features":
            longest = min(self.window, longest + 2 * MARGIN)
            longest += longest % 2
        stacked = np.zeros((len(inputs), longest, inputs[0].shape[1]), np.float32)
        heard = np.zeros((len(inputs), longest), bool)
        for i, one in enumerate(inputs):
            stacked[i, : len(one)] = one
            heard[i, : len(one)] = True
        width = max(len(x) for x in labels) - 1
        ids = np.full((len(labels), width), self.model.config.eos_token_id, np.int64)
        targets = np.full((len(labels), width), IGNORED, np.int64)
        for i, (row, given) in enumerate(zip(labels, prompts, strict=True)):
            ids[i, : len(row) - 1] = row[:-1]
            targets[i, given - 1 : len(row) - 1] = row[given:]
        masked = level == "encoder" and not heard.all()
        return {
            "inputs": torch.from_numpy(stacked),
            "mask": torch.from_numpy(heard)[:, None, None, :] if masked else None,
            "ids": torch.from_numpy(ids),
            "targets": torch.from_numpy(targets),
            "level": level,
        }

    def encoded(self, batch: Batch, model: nn.Module | None = None) -> torch.Tensor:
        """Return what the decoder attends to, running the encoder only where its outputs are not given."""
        encoder = (model or self.model).model.encoder
        if batch["level"] == "encoder":
            return top_layers(encoder, batch["inputs"], batch["mask"], self.learning_layers)
        learns = torch.is_grad_enabled() and any(p.requires_grad for p in encoder.parameters())
        with torch.set_grad_enabled(learns or batch["inputs"].requires_grad):
            return encoder_forward(encoder, batch["inputs"].transpose(1, 2))

    def loss(self, batch: Batch, *, smoothing: float = 0.0, distillation: float = 0.0) -> torch.Tensor:
        """Return the mean cross-entropy of the words and the end, in natural-log units per token.

        `distillation` is the share of the old rows' loss that is the divergence from what the remembered model gives
        each token (Hinton et al. 2015; Li and Hoiem, "Learning without forgetting", 2017).
        """
        memory, mask = with_virtual_frames(self.model, self.encoded(batch), batch["mask"])
        hidden = decoder_forward(self.model.model.decoder, batch["ids"], memory, mask)
        wanted = batch["targets"] != IGNORED
        logits = self.model.proj_out(hidden[wanted])  # only where there is something to learn: the costliest product
        lost = functional.cross_entropy(
            logits.float(), batch["targets"][wanted], label_smoothing=smoothing, reduction="none"
        )
        if distillation and batch["old"].any():
            old = batch["old"][:, None].expand_as(wanted)[wanted]
            scores = logits[old].float().log_softmax(-1)
            apart = functional.kl_div(scores, self._remembered(batch), reduction="none", log_target=True).sum(-1)
            lost = lost.index_put((old,), torch.lerp(lost[old], apart, distillation))
        return lost.mean()

    @torch.no_grad()
    def _remembered(self, batch: Batch) -> torch.Tensor:
        """Return the remembered model's log-probabilities [tokens of old rows, vocabulary]."""
        old, model = batch["old"], self.teacher
        mask = batch["mask"][old] if batch["mask"] is not None else None
        memory = self.encoded({**batch, "inputs": batch["inputs"][old], "mask": mask}, model)
        hidden = decoder_forward(model.model.decoder, batch["ids"][old], memory, mask)
        return model.proj_out(hidden[batch["targets"][old] != IGNORED]).float().log_softmax(-1)

    @torch.inference_mode()
    def transcribe(self, batch: Batch, prompts: Sequence[list[int]]) -> list[str]:
        """Return the greedily decoded text per clip, at most a third longer than the longest reference."""
        from transformers.cache_utils import DynamicCache, EncoderDecoderCache

        self.model.eval()
        memory, mask = with_virtual_frames(self.model, self.encoded(batch), batch["mask"])
        end = self.model.config.eos_token_id
        device = memory.device
        longest = min(MOST_TOKENS, batch["ids"].shape[1] * 4 // 3 + 8)
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        ids = torch.tensor(prompts, device=device)
        produced: list[torch.Tensor] = []
        running = torch.ones(len(ids), dtype=torch.bool, device=device)
        at = 0
        for step in range(longest):
            hidden = decoder_forward(self.model.model.decoder, ids, memory, mask, cache=cache, at=at)
            at += ids.shape[1]
            logits = self.model.proj_out(hidden[:, -1]).float()
            logits[:, self._never(logits.device)] = -torch.inf
            if step == 0:
                logits[:, self.generation.get("begin_suppress_tokens") or []] = -torch.inf
            best = logits.argmax(-1)
            best[~running] = end
            produced.append(best)
            running &= best != end
            if not running.any():
                break
            ids = best[:, None]
        rows = torch.stack(produced, 1).cpu().tolist()
        return [self.tokenizer.decode(row, skip_special_tokens=True).strip() for row in rows]

    def _never(self, device: Any) -> torch.Tensor:
        if self._suppressed is None or self._suppressed.device != device:
            never = set(self.generation.get("suppress_tokens") or [])
            never |= {i for i in self.tokenizer.all_special_ids if i != self.model.config.eos_token_id}
            never |= set(range(self.tokenizer.convert_tokens_to_ids("<|notimestamps|>"), self.model.config.vocab_size))
            self._suppressed = torch.tensor(sorted(i for i in never if i >= 0), dtype=torch.long, device=device)
        return self._suppressed


def encoder_forward(encoder: nn.Module, features: torch.Tensor, *, without_top: int = 0) -> torch.Tensor:
    """Return the encoder's outputs [batch, frames // 2, width] for features [batch, mels, frames], frames <= window.

    The same computation as transformers' own, which insists on 30 s. `without_top` stops before that many layers (and
    before the last norm); `top_layers` goes on from there.
    """
    x = functional.gelu(encoder.conv1(features))
    x = functional.gelu(encoder.conv2(x)).transpose(1, 2)
    x = x + encoder.embed_positions.weight[: x.shape[1]]
    x = functional.dropout(x, p=encoder.dropout, training=encoder.training)
    for layer in encoder.layers[: len(encoder.layers) - without_top]:
        x = layer(x, None)
    return x if without_top else encoder.layer_norm(x)


def top_layers(encoder: nn.Module, states: torch.Tensor, mask: torch.Tensor | None, count: int) -> torch.Tensor:
    """Return the encoder's outputs given the states below its top `count` layers; the states themselves for none."""
    if not count:
        return states
    for layer in encoder.layers[-count:]:
        states = layer(states, mask)
    return encoder.layer_norm(states)


def decoder_forward(
    decoder: nn.Module,
    ids: torch.Tensor,
    memory: torch.Tensor,
    mask: torch.Tensor | None,
    *,
    cache: Any = None,
    at: int = 0,
) -> torch.Tensor:
    """Return the decoder's outputs [batch, tokens, width]; `mask` marks the frames of `memory` that may be attended to.

    transformers' own forward takes no cross-attention mask, which clips of different length in one batch need.
    """
    x = decoder.embed_tokens(ids) + decoder.embed_positions.weight[at : at + ids.shape[1]]
    x = functional.dropout(x, p=decoder.dropout, training=decoder.training)
    for layer in decoder.layers:
        x = layer(x, None, memory, encoder_attention_mask=mask, past_key_values=cache, use_cache=cache is not None)
    return decoder.layer_norm(x)


def with_virtual_frames(
    model: nn.Module, memory: torch.Tensor, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return memory and mask with the learned frames of the method `prompt` behind them, where the model has any."""
    learned = getattr(model.model.encoder, "virtual_frames", None)
    if learned is None:
        return memory, mask
    extra = learned.to(memory.dtype).expand(len(memory), -1, -1)
    if mask is not None:
        mask = functional.pad(mask, (0, extra.shape[1]), value=True)
    return torch.cat([memory, extra], 1), mask
