"""Words, times and probabilities from a CTC model's frames: the best path, collapsed, with where each letter stood."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from asr_worker.engines.base import RATE, Timed
from asr_worker.engines.guard import Decoded


def decode(model: Any, processor: Any, audios: Sequence[np.ndarray], device: str) -> list[Decoded]:
    """Return the timed words of each clip (float32 [samples], 16 kHz), greedily decoded in one padded batch."""
    extractor = getattr(processor, "feature_extractor", processor)
    tokenizer = processor.tokenizer
    inputs = extractor(list(audios), sampling_rate=RATE, return_tensors="pt", padding=True)
    name = "input_values" if "input_values" in inputs else "input_features"
    values = inputs[name].to(device, next(model.parameters()).dtype)
    masked = getattr(extractor, "return_attention_mask", False)
    mask = inputs["attention_mask"].to(device) if masked and "attention_mask" in inputs else None
    probabilities = model(values, attention_mask=mask).logits.float().softmax(-1).cpu().numpy()
    longest = max(len(a) for a in audios)
    out = []
    for frames, audio in zip(probabilities, audios, strict=True):
        used = max(1, round(len(frames) * len(audio) / longest))
        out.append(words_of(frames[:used], tokenizer, len(audio) * 1000 / RATE))
    return out


def words_of(frames: np.ndarray, tokenizer: Any, length_ms: float) -> Decoded:
    """Return the words of one clip from posteriors [frames, vocabulary].

    A word lasts from its first letter's first frame to its last letter's last; its probability is the mean
    posterior of its letters, each at its surest frame.
    """
    blank = tokenizer.pad_token_id
    delimiter = getattr(tokenizer, "word_delimiter_token", "|") or "|"
    special = set(tokenizer.all_special_ids) - {tokenizer.convert_tokens_to_ids(delimiter)}
    best = frames.argmax(axis=1)
    chances = frames.max(axis=1)
    per_frame = length_ms / len(frames)
    words: list[Timed] = []
    text, begin, end, sure = "", 0, 0, []  # type: ignore[var-annotated]

    def close() -> None:
        nonlocal text, sure
        if text.strip():
            words.append(Timed(text.strip(), begin * per_frame, end * per_frame, float(np.mean(sure))))
        text, sure = "", []

    at = 0
    for token, run in groupby(best.tolist()):
        size = len(list(run))
        start, at = at, at + size
        if token == blank or token in special:
            continue
        letter = tokenizer.convert_ids_to_tokens(token)
        if letter == delimiter or letter.startswith("▁"):
            close()
            letter = "" if letter == delimiter else letter[1:]
        if not letter:
            continue
        if not text:
            begin = start
        text += letter
        end = at
        sure.append(float(chances[start:at].max()))
    close()
    score = float(np.log(np.clip(chances, 1e-9, 1.0)).mean()) if len(chances) else 0.0
    return Decoded(words, score if words else 0.0)
