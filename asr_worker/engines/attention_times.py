"""Word times and probabilities for a transformers Whisper, from one teacher-forced pass over what it said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from asr_worker.engines.base import RATE
from asr_worker.engines.guard import Decoded
from asr_worker.engines.whisper_words import group_tokens, tidy_times
from asr_worker.types import PipelineSpec

_FRAMES_PER_SECOND = 50
_UNSPACED = {"zh", "ja", "th", "lo", "my", "yue"}


def timed(
    model: Any, tokenizer: Any, features: Any, ids: Any, audios: Sequence[np.ndarray], spec: PipelineSpec
) -> list[Decoded]:
    """Return the timed words of each clip. `ids` is [clips, tokens] as `generate` gave it, prompt included or not."""
    import torch

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = base.generation_config
    end = int(tokenizer.convert_tokens_to_ids("<|endoftext|>"))
    said = [[t for t in row if t < end] for row in _after_prompt(ids.cpu().tolist(), tokenizer)]
    prefix = _prefix(tokenizer, config, spec)
    longest = max(map(len, said), default=0)
    if not longest:
        return [Decoded([], 0.0) for _ in said]
    rows = torch.tensor([prefix + row + [end] * (longest + 1 - len(row)) for row in said], device=features.device)
    heads = getattr(config, "alignment_heads", None) or _later_half(base.config)
    with _attention(base, heads) as caught:
        logits = model(input_features=features, decoder_input_ids=rows, use_cache=False).logits
    weights = caught()  # [clips, heads, tokens, frames]
    first = len(prefix)
    predicted = logits[:, first - 1 : -1].float().softmax(-1)
    chances = predicted.gather(-1, rows[:, first:, None])[..., 0].cpu().numpy()
    silence = _no_speech(logits, tokenizer)
    out = []
    for i, (row, audio) in enumerate(zip(said, audios, strict=True)):
        frames = max(2, min(weights.shape[-1], -(-len(audio) * _FRAMES_PER_SECOND // RATE)))
        # The row of the token that is about to be said attends to where it is said.
        matrix = weights[i, :, first - 1 : first + len(row), :frames]
        starts = token_starts(matrix.float().cpu().numpy()) * 1000 / _FRAMES_PER_SECOND
        groups = group_tokens(*split_words(tokenizer, row, spec.language))
        words = tidy_times(groups, starts, chances[i, : len(row)].tolist(), len(audio) * 1000 / RATE)
        sure = np.log(np.clip(chances[i, : len(row) + 1], 1e-9, 1.0))
        out.append(Decoded(words, float(sure.mean()), float(silence[i])))
    return out


def _after_prompt(rows: list[list[int]], tokenizer: Any) -> list[list[int]]:
    """Return the rows without anything up to the last control token before the text (a hot-word prompt, languages)."""
    start = int(tokenizer.convert_tokens_to_ids("<|startoftranscript|>"))
    return [row[row.index(start) + 1 :] if start in row else row for row in rows]


def _prefix(tokenizer: Any, config: Any, spec: PipelineSpec) -> list[int]:
    names = ["<|startoftranscript|>"]
    if getattr(config, "is_multilingual", False):
        names += [f"<|{spec.language or 'en'}|>", "<|transcribe|>"]
    return [int(tokenizer.convert_tokens_to_ids(name)) for name in (*names, "<|notimestamps|>")]


def _no_speech(logits: Any, tokenizer: Any) -> np.ndarray:
    ids = [tokenizer.convert_tokens_to_ids(name) for name in ("<|nospeech|>", "<|nocaptions|>")]
    known = [i for i in ids if i is not None and i != tokenizer.unk_token_id]
    if not known:
        return np.zeros(len(logits))
    return logits[:, 0].float().softmax(-1)[:, known[0]].cpu().numpy()


def _later_half(config: Any) -> list[list[int]]:
    layers, heads = config.decoder_layers, config.decoder_attention_heads
    return [[layer, head] for layer in range(layers // 2, layers) for head in range(heads)]


@contextmanager
def _attention(model: Any, heads: Sequence[Sequence[int]]) -> Iterator[Any]:
    """Catch queries and keys of the cross-attention; the yielded function returns the chosen heads' weights."""
    import torch

    layers = model.model.decoder.layers
    seen: dict[tuple[int, str], Any] = {}
    handles = []
    for number in sorted({int(layer) for layer, _ in heads}):
        block = layers[number].encoder_attn
        for name in ("q_proj", "k_proj"):
            handles.append(
                getattr(block, name).register_forward_hook(
                    lambda _m, _i, out, key=(number, name): seen.__setitem__(key, out.detach())
                )
            )

    def weights() -> Any:
        rows = []
        for layer, head in heads:
            block = layers[layer].encoder_attn
            size = block.head_dim
            query = seen[layer, "q_proj"][..., head * size : (head + 1) * size].float()
            keys = seen[layer, "k_proj"][..., head * size : (head + 1) * size].float()
            rows.append((query @ keys.transpose(1, 2) * size**-0.5).softmax(-1))
        return torch.stack(rows, 1)

    try:
        yield weights
    finally:
        for handle in handles:
            handle.remove()


def token_starts(weights: np.ndarray, *, width: int = 7) -> np.ndarray:
    """Return the frame at which each token begins, for weights [heads, tokens, frames].

    Weights are normalised over the tokens, smoothed over time by a median and averaged over heads; the cheapest
    monotonic path through them gives the frames.
    """
    spread = weights.std(axis=1, keepdims=True)
    scaled = (weights - weights.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
    mode: Any = "reflect" if scaled.shape[2] > width else "edge"
    padded = np.pad(scaled, ((0, 0), (0, 0), (width // 2, width // 2)), mode=mode)
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, width, axis=2), axis=3)
    return warp(-smooth.mean(axis=0))


def warp(cost: np.ndarray) -> np.ndarray:
    """Return, for each row of a cost matrix, the column where the cheapest monotonic path enters that row."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    step = np.zeros((rows + 1, columns + 1), np.int8)
    # Cells of one anti-diagonal depend on the two before it only, so each is one vector operation.
    for diagonal in range(2, rows + columns + 1):
        i = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        j = diagonal - i
        choices = np.stack((total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]))
        best = choices.argmin(axis=0)
        total[i, j] = cost[i - 1, j - 1] + choices[best, np.arange(len(i))]
        step[i, j] = best
    starts = np.zeros(rows)
    i, j = rows, columns
    while i > 0 and j > 0:
        starts[i - 1] = j - 1
        move = step[i, j]
        i, j = i - (move != 2), j - (move != 1)
    return starts


def split_words(tokenizer: Any, ids: Sequence[int], language: str) -> tuple[list[str], list[list[int]]]:
    """Return pieces of text and their tokens, cut where a piece begins with a space or is punctuation.

    Tokens that are part of one character stay together. Languages without spaces are cut at every character.
    """
    pieces: list[str] = []
    tokens: list[list[int]] = []
    held: list[int] = []
    for token in ids:
        held.append(token)
        text = tokenizer.decode(held)
        if "�" in text and len(held) < 4:
            continue
        mark = not any(c.isalnum() for c in text)
        if not pieces or text.startswith(" ") or mark or language in _UNSPACED:
            pieces.append(text)
            tokens.append(held)
        else:
            pieces[-1] += text
            tokens[-1] += held
        held = []
    if held:
        pieces.append(tokenizer.decode(held))
        tokens.append(held)
    return pieces, tokens
