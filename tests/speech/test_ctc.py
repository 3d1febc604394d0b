"""The CTC path on a wav2vec2 that is built here and trained for seconds, until it spells tones as letters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from asr_worker.types import PipelineSpec

pytestmark = pytest.mark.slow

RATE = 16_000
LETTERS = {"A": 400, "B": 1000, "C": 2000, "D": 3500}
LETTER_MS, GAP_MS, BREATH_MS = 140, 60, 200


def sing(text: str, rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return the text as tones with a breath of noise for each space, and the (start ms, end ms) of each word."""
    parts, spans, at = [np.zeros(RATE // 5)], [], 200
    for word in text.split():
        begin = at
        for letter in word:
            t = np.arange(RATE * LETTER_MS // 1000) / RATE
            tone = np.sin(2 * np.pi * LETTERS[letter] * t) * np.hanning(len(t)) * rng.uniform(0.3, 0.6)
            parts += [tone, np.zeros(RATE * GAP_MS // 1000)]
            at += LETTER_MS + GAP_MS
        spans.append((begin, at - GAP_MS))
        parts += [rng.normal(0, 0.1, RATE * BREATH_MS // 1000), np.zeros(RATE * GAP_MS // 1000)]
        at += BREATH_MS + GAP_MS
    audio = np.concatenate(parts)
    return (audio + rng.normal(0, 0.005, len(audio))).astype(np.float32), spans


def some_text(rng: np.random.Generator, words: int = 4) -> str:
    """Return words of one to three letters, no letter twice in a row: telling those apart takes longer to learn."""
    return " ".join("".join(rng.permutation(list(LETTERS))[: rng.integers(1, 4)]) for _ in range(words))


def frame_labels(text: str, frames: int, vocabulary: dict[str, int]) -> list[int]:
    """Return which letter each 20 ms frame belongs to: the tone, the breath (a space) or nothing (a blank)."""
    labels, at = [0] * frames, 200
    for word in text.split():
        marks = [(letter, LETTER_MS) for letter in word] + [("|", BREATH_MS)]
        for mark, length in marks:
            for frame in range(at // 20 + 1, min(frames, (at + length) // 20)):
                labels[frame] = vocabulary[mark]
            at += length + GAP_MS
    return labels


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a tiny wav2vec2 that was trained on tones, as `save_pretrained` leaves it."""
    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder = tmp_path_factory.mktemp("ctc")
    vocabulary = {"<pad>": 0, "<unk>": 1, "|": 2, **{letter: i + 3 for i, letter in enumerate(LETTERS)}}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = Wav2Vec2CTCTokenizer(
        str(folder / "vocab.json"),
        pad_token="<pad>",
        unk_token="<unk>",
        word_delimiter_token="|",
        bos_token=None,
        eos_token=None,
    )
    extractor = Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=True, return_attention_mask=True)
    torch.manual_seed(7)
    torch.set_num_threads(1)
    config = Wav2Vec2Config(
        vocab_size=len(vocabulary), hidden_size=48, num_hidden_layers=1, num_attention_heads=2, intermediate_size=96,
        conv_dim=(48, 48, 48), conv_kernel=(64, 8, 4), conv_stride=(20, 4, 4), num_feat_extract_layers=3,
        feat_extract_norm="layer", num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, apply_spec_augment=False,
        hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0, layerdrop=0.0,
        final_dropout=0.0, ctc_loss_reduction="mean", ctc_zero_infinity=True, pad_token_id=0, do_stable_layer_norm=True,
    )  # fmt: skip
    model = Wav2Vec2ForCTC(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rng = np.random.default_rng(3)
    for _ in range(120):
        texts = [some_text(rng, 2) for _ in range(6)]
        inputs = extractor([sing(t, rng)[0] for t in texts], sampling_rate=RATE, return_tensors="pt", padding=True)
        logits = model(inputs.input_values, attention_mask=inputs.attention_mask).logits
        # Where every tone stands is known, so the frames are taught directly: plain CTC training spends its first
        # hundred steps on saying nothing but blanks.
        wanted = torch.tensor([frame_labels(t, logits.shape[1], vocabulary) for t in texts])
        loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), wanted)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if loss.item() < 0.03:
            break
    model.save_pretrained(folder)
    Wav2Vec2Processor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def test_a_trained_ctc_checkpoint_spells_with_word_times_and_probabilities(checkpoint: Path) -> None:
    from asr_worker.engines import registry

    spec = PipelineSpec(transcriber="transformers", model=str(checkpoint), batch_size=4)
    engine = registry.transcriber(spec)
    rng = np.random.default_rng(99)
    right = total = 0
    for _ in range(4):
        text = some_text(rng, 6)
        audio, spans = sing(text, rng)
        words = engine.transcribe(audio, spec, regions=[(0, len(audio) * 1000 // RATE)])
        total += 6
        if [w.text for w in words] != text.split():
            continue
        right += 6
        for word, (start, end) in zip(words, spans, strict=True):
            assert abs(word.start_ms - start) < 150
            assert abs(word.end_ms - end) < 150
            assert 0.5 < word.probability <= 1.0
    registry.forget()
    assert right >= 0.75 * total
