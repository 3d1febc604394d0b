"""A Whisper of a few hundred thousand random weights: everything but sense, in milliseconds and without a download."""

from __future__ import annotations

import base64
from pathlib import Path


def build(out: Path, *, seed: int = 0, width: int = 48) -> Path:
    """Write a whole checkpoint directory whose tokens are single bytes."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    from asr_worker.models.whisper_tokens import END, START, build_tokenizer, generation_config, write_tokenizer

    out.mkdir(parents=True)
    ranks = out / "ranks"
    ranks.write_bytes(b"".join(base64.b64encode(bytes([i])) + b" %d\n" % i for i in range(256)))
    size = 256 + 107 + 1501
    tokenizer = build_tokenizer(ranks, size)
    ranks.unlink()
    end = tokenizer.token_to_id(END)
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=size, d_model=width, encoder_layers=1, decoder_layers=4, encoder_attention_heads=6,
            decoder_attention_heads=6, encoder_ffn_dim=2 * width, decoder_ffn_dim=2 * width, num_mel_bins=80,
            decoder_start_token_id=tokenizer.token_to_id(START), bos_token_id=end, eos_token_id=end, pad_token_id=end,
        )
    )  # fmt: skip
    with torch.no_grad():  # untrained weights are tiny; larger ones make outputs that depend on the input
        for parameter in model.parameters():
            parameter.mul_(4.0)
    model.generation_config = generation_config(tokenizer, "whisper-tiny.en", False)
    model.save_pretrained(out)
    write_tokenizer(tokenizer, out)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(out)
    return out
