"""Whisper's tokeniser, special tokens and decoding rules, built from the published byte-pair ranks.

The ranks file holds one base64 token and its rank per line. Everything else (special tokens and their order,
the tokens that are never worth saying, the heads that follow the audio) is fixed by how Whisper was trained:
Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import GenerationConfig
from transformers.models.whisper.tokenization_whisper import LANGUAGES

LANGUAGE_COUNT = 99  # the later `large-v3` added one more; the models here were trained with 99
TIMESTAMPS = 1501  # 0.00 s to 30.00 s in steps of 20 ms
END = "<|endoftext|>"
START = "<|startoftranscript|>"
NO_TIMESTAMPS = "<|notimestamps|>"

# Decoder heads, as [layer, head], whose cross-attention follows the audio in time: published with each model.
ALIGNMENT_HEADS: dict[str, list[list[int]]] = {
    "whisper-tiny.en": [[1, 0], [2, 0], [2, 5], [3, 0], [3, 1], [3, 2], [3, 3], [3, 4]],
    "whisper-base.en": [[3, 3], [4, 7], [5, 1], [5, 5], [5, 7]],
    "whisper-base": [[3, 1], [4, 2], [4, 3], [4, 7], [5, 1], [5, 2], [5, 4], [5, 6]],
}

# Marks of music, speakers and layout that stand in subtitles but are never spoken.
_UNSPOKEN = [
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *"<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪".split(),
]
_NOTES = [*"♩♪♫♬♭♮♯"]  # several bytes, so several tokens: suppressing the first suppresses the sign


def special_tokens() -> list[str]:
    """Return Whisper's special tokens in the order of their ids (English and multilingual models alike)."""
    languages = [f"<|{code}|>" for code in list(LANGUAGES)[:LANGUAGE_COUNT]]
    tasks = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nocaptions|>"]
    return [END, START, *languages, *tasks, NO_TIMESTAMPS]


def read_ranks(path: Path) -> dict[bytes, int]:
    """Return token bytes -> rank. Raises ValueError unless the ranks are 0..n-1 without a gap."""
    ranks: dict[bytes, int] = {}
    for line in path.read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    if sorted(ranks.values()) != list(range(len(ranks))):
        raise ValueError(f"{path.name} does not hold consecutive ranks")
    return ranks


def _merges(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    """Return the merge rules in order: a token's rule is what is left after merging with all lower ranks."""
    rules = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        pieces = [token[i : i + 1] for i in range(len(token))]
        while len(pieces) > 2:
            best = min(range(len(pieces) - 1), key=lambda i: ranks.get(pieces[i] + pieces[i + 1], rank))
            pieces[best : best + 2] = [pieces[best] + pieces[best + 1]]
        if len(pieces) == 2:
            rules.append((pieces[0], pieces[1]))
    return rules


def _byte_letters() -> dict[int, str]:
    """Return the printable stand-in of every byte that byte-level BPE vocabularies use (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {byte: chr(byte) for byte in printable}
    for offset, byte in enumerate(b for b in range(256) if b not in table):
        table[byte] = chr(256 + offset)
    return table


def build_tokenizer(ranks_file: Path, vocab_size: int) -> Tokenizer:
    """Return the tokeniser whose ids are 0..vocab_size-1. Raises ValueError when the pieces do not add up."""
    letters = _byte_letters()

    def letter(raw: bytes) -> str:
        return "".join(letters[b] for b in raw)

    ranks = read_ranks(ranks_file)
    bpe = models.BPE(
        vocab={letter(token): rank for token, rank in ranks.items()},
        merges=[(letter(a), letter(b)) for a, b in _merges(ranks)],
    )
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special_tokens()])
    tokenizer.add_tokens([AddedToken(f"<|{i * 0.02:.2f}|>", normalized=False) for i in range(TIMESTAMPS)])
    if tokenizer.get_vocab_size() != vocab_size:
        raise ValueError(f"the tokeniser has {tokenizer.get_vocab_size()} tokens, the model {vocab_size}")
    start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    prefix = [(START, start), (NO_TIMESTAMPS, tokenizer.token_to_id(NO_TIMESTAMPS)), (END, end)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START}:0 {NO_TIMESTAMPS}:0 $A:0 {END}:0",
        pair=f"{START}:0 {NO_TIMESTAMPS}:0 $A:0 $B:1 {END}:1",
        special_tokens=prefix,
    )
    return tokenizer


def write_tokenizer(tokenizer: Tokenizer, out: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and the plain vocabulary and merges into `out`."""
    tokenizer.save(str(out / "tokenizer.json"))
    tokenizer.model.save(str(out))  # vocab.json and merges.txt, for readers that want them
    config = {
        "tokenizer_class": "WhisperTokenizer",
        "add_prefix_space": False,
        "model_max_length": 1024,
        "unk_token": END,
        "bos_token": END,
        "eos_token": END,
        "pad_token": END,
        "extra_special_tokens": special_tokens()[1:],
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False))


def suppressed(tokenizer: Tokenizer) -> list[int]:
    """Return the ids that decoding must never produce: subtitle marks, and task tokens out of place."""

    def ids(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    banned = {ids(" -")[0], ids(" '")[0]}  # a dash or quote may stand inside a word, never open one
    for sign in [*_UNSPOKEN, *_NOTES]:
        for spelled in (ids(sign), ids(" " + sign)):
            if len(spelled) == 1 or sign in _NOTES:
                banned.add(spelled[0])
    task = ("<|translate|>", "<|transcribe|>", START, "<|startoflm|>", "<|startofprev|>", "<|nocaptions|>")
    vocabulary = tokenizer.get_vocab()
    return sorted(banned | {vocabulary[t] for t in task})


def generation_config(tokenizer: Tokenizer, name: str, multilingual: bool) -> GenerationConfig:
    """Return the decoding rules of catalogue model `name`, word times included."""
    end, start = tokenizer.token_to_id(END), tokenizer.token_to_id(START)
    extra: dict[str, Any] = {}
    if multilingual:
        codes = [f"<|{code}|>" for code in list(LANGUAGES)[:LANGUAGE_COUNT]]
        extra = {
            "lang_to_id": {code: tokenizer.token_to_id(code) for code in codes},
            "task": "transcribe",  # without it and without a language, transformers would leave the task out
            "task_to_id": {t: tokenizer.token_to_id(f"<|{t}|>") for t in ("transcribe", "translate")},
        }
    return GenerationConfig(
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        max_length=448,
        max_initial_timestamp_index=50,
        no_timestamps_token_id=tokenizer.token_to_id(NO_TIMESTAMPS),
        prev_sot_token_id=tokenizer.token_to_id("<|startofprev|>"),
        is_multilingual=multilingual,
        suppress_tokens=suppressed(tokenizer),
        begin_suppress_tokens=[tokenizer.encode(" ", add_special_tokens=False).ids[0], end],
        alignment_heads=ALIGNMENT_HEADS[name],
        return_timestamps=False,
        **extra,
    )
