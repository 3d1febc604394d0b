"""From Whisper's tokens and their times to words: grouping, punctuation, and times that people would agree with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asr_worker.engines.base import Timed

_OPENING = set("\"'“‘¿([{-–—")
_ENDING = (".", "?", "!", "。", "？", "！")


def group_tokens(words: Sequence[str], word_tokens: Sequence[Sequence[int]]) -> list[tuple[str, int]]:
    """Return (text, number of tokens) of words as people write them, covering every token in order.

    Whatever does not begin with a space belongs to the word before it (`25` `%`, `1` `,` `200`); an opening mark
    belongs to the word after it. Marks that stand alone keep their tokens and lend them to the word before.
    """
    out: list[tuple[str, int]] = []
    opening, opening_tokens = "", 0
    for text, tokens in zip(words, word_tokens, strict=True):
        bare = text.strip()
        fresh = text.startswith(" ") or not out
        if fresh and bare and all(c in _OPENING for c in bare):
            opening, opening_tokens = opening + bare, opening_tokens + len(tokens)
        elif fresh and any(c.isalnum() for c in bare):
            out.append((opening.strip("-–—") + bare, opening_tokens + len(tokens)))
            opening, opening_tokens = "", 0
        elif opening:
            out.append((opening.strip("-–—") + bare, opening_tokens + len(tokens)))
            opening, opening_tokens = "", 0
        elif out:
            out[-1] = (out[-1][0] + bare, out[-1][1] + len(tokens))
        else:
            opening, opening_tokens = bare, len(tokens)
    if opening_tokens and out:
        out[-1] = (out[-1][0], out[-1][1] + opening_tokens)
    return [(text, count) for text, count in out]


def tidy_times(
    groups: Sequence[tuple[str, int]],
    token_times_ms: np.ndarray | Sequence[float],
    token_probabilities: Sequence[float],
    length_ms: float,
) -> list[Timed]:
    """Return timed words; every one gets a start and an end, also where the alignment gave none.

    `token_times_ms` holds the start of each token. Words without letters or digits are left out. Attention
    stretches the words beside a pause over the pause; those are cut back to twice the usual length of a word.
    """
    times = np.asarray(token_times_ms, float)
    total = sum(count for _, count in groups)
    if len(times) < total + 1:
        last = times[-1] if len(times) else 0.0
        times = np.concatenate((times, np.linspace(last, length_ms, total + 2 - len(times))[1:]))
    times = np.minimum(np.maximum.accumulate(times), length_ms)
    spans: list[tuple[str, float, float, float]] = []
    at = 0
    for text, count in groups:
        part = list(token_probabilities[at : at + count])
        probability = float(np.mean(part)) if part else 0.0
        spans.append((text, float(times[at]), float(times[at + count]), min(1.0, max(0.0, probability))))
        at += count
    spans = _spread(spans)
    lengths = [b - a for _, a, b, _ in spans if b > a]
    longest = max(400.0, 2 * min(700.0, float(np.median(lengths)))) if lengths else 400.0
    out: list[Timed] = []
    for i, (text, start, end, probability) in enumerate(spans):
        if end - start > longest:
            if i == 0 or spans[i - 1][0].endswith(_ENDING):
                start = end - longest
            elif text.endswith(_ENDING) or i == len(spans) - 1:
                end = start + longest
            elif end - start > 2 * longest:
                start = end - 2 * longest
        if any(c.isalnum() for c in text):
            out.append(Timed(text, start, end, probability))
    return out


def _spread(spans: list[tuple[str, float, float, float]]) -> list[tuple[str, float, float, float]]:
    """Give words that fell on one instant equal shares of the span up to the next word that moved."""
    out = list(spans)
    i = 0
    while i < len(out):
        j = i
        while j + 1 < len(out) and out[j][2] - out[j][1] < 20:
            j += 1
        start, end = out[i][1], max(out[j][2], out[i][1] + 20.0 * (j - i + 1))
        share = (end - start) / (j - i + 1)
        for k in range(i, j + 1):
            text, _, _, probability = out[k]
            out[k] = (text, start + share * (k - i), start + share * (k - i + 1), probability)
        i = j + 1
    return out
