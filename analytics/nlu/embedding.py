"""Sentence embeddings from a local MiniLM directory: mean-pooled unit vectors, batched by length, cached by text.

The pooling is that of Reimers and Gurevych, "Sentence-BERT" (EMNLP 2019). One pass gives two readings of a text: its
vector (the last layer, trained to say what a sentence is about) and its tone (layers from the middle of the network,
which still know how it was said: the last layer has learned to forget that). Nothing is downloaded: the directory
`<models_dir>/minilm` must hold an ordinary transformers checkpoint with its tokeniser.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from analytics.nlu.contrastive import States

MODEL_NAME = "minilm"
MAX_TOKENS = 128
MAX_FITTED_TOKENS = 64
TOKENS_PER_BATCH = 1024
TEXT_CACHE = 10_000
TONE_DEPTHS = (1 / 2, 2 / 3)

_lock = threading.Lock()
_loaded: dict[str, MiniLM] = {}


class EmbedderMissing(Exception):
    """The embedding model cannot be used here; the message names the cure."""


class Embedder(Protocol):
    """Texts to unit vectors. `fingerprint` changes whenever the vectors would."""

    fingerprint: str

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 unit vectors of shape (len(texts), dim)."""
        ...

    def encode_fixed(self, texts: tuple[str, ...]) -> np.ndarray:
        """Return the same for texts that come again with every call (examples of rules), kept for good."""
        ...

    def tones(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 vectors of how the texts were said, shape (len(texts), any width)."""
        ...


class MiniLM:
    """A loaded checkpoint; thread-safe, one per directory and process (see `load`)."""

    def __init__(self, directory: Path) -> None:
        if not (directory / "config.json").is_file():
            raise EmbedderMissing(
                f"no sentence-embedding model '{directory.name}' in the models folder: "
                f"run `python -m asr_worker.models pull {MODEL_NAME}`"
            )
        try:
            import torch
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise EmbedderMissing(
                "sentence embeddings need the worker extra: pip install 'callcenter[worker]'"
            ) from error
        self._torch = torch
        self._tokenizer = AutoTokenizer.from_pretrained(str(directory), local_files_only=True)
        self._model: Any = AutoModel.from_pretrained(str(directory), local_files_only=True).eval()
        self.fingerprint = _fingerprint(directory)
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._fixed: dict[tuple[str, ...], np.ndarray] = {}
        self._guard = threading.Lock()

    @property
    def dim(self) -> int:
        return int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return self._rows(texts)[:, : self.dim]

    def tones(self, texts: Sequence[str]) -> np.ndarray:
        return self._rows(texts)[:, self.dim :]

    def _rows(self, texts: Sequence[str]) -> np.ndarray:
        """Return vector and tone of every text side by side, from the cache where it has them."""
        if not texts:
            return np.zeros((0, self.dim * (1 + len(TONE_DEPTHS))), np.float32)
        with self._guard:
            known = {t: self._cache[t] for t in dict.fromkeys(texts) if t in self._cache}
            fresh = [t for t in dict.fromkeys(texts) if t not in known]
            if fresh:
                for text, vector in zip(fresh, self._run(fresh), strict=True):
                    known[text] = self._cache[text] = vector
            for text in known:
                self._cache.move_to_end(text)
            while len(self._cache) > TEXT_CACHE:
                self._cache.popitem(last=False)
        return np.stack([known[t] for t in texts])

    def states(self, texts: Sequence[str], depth: int) -> States:
        """Return what the first `depth` layers say of each word piece: what `upper_layers(depth)` read."""
        torch = self._torch
        ids = self._tokenizer(list(texts), truncation=True, max_length=MAX_FITTED_TOKENS)["input_ids"]
        lengths = np.array([len(i) for i in ids], int)
        ends = np.cumsum(lengths)
        flat = np.empty((int(lengths.sum()), self.dim), np.float32)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for batch in _batches(order, ids):
            tokens, mask = self._padded(batch, ids)
            with torch.inference_mode():
                x = self._model.embeddings(tokens)
                seen = mask[:, None, None, :].bool().expand(-1, 1, mask.shape[1], -1)
                for layer in self._model.encoder.layer[:depth]:
                    out = layer(x, attention_mask=seen)
                    x = out[0] if isinstance(out, tuple) else out
            for row, i in enumerate(batch):
                flat[ends[i] - lengths[i] : ends[i]] = x[row, : lengths[i]].numpy()
        return States(flat, lengths)

    def upper_layers(self, depth: int) -> Any:
        """Return a copy of the layers above `depth`, to be fitted. Raises EmbedderMissing for an unusual model."""
        layers = getattr(getattr(self._model, "encoder", None), "layer", None)
        if layers is None or len(layers) <= depth:
            raise EmbedderMissing("this embedding model has no stack of layers that could be fitted")
        return copy.deepcopy(layers[depth:])

    def encode_fixed(self, texts: tuple[str, ...]) -> np.ndarray:
        if texts not in self._fixed:
            self._fixed[texts] = self.encode(texts)
        return self._fixed[texts]

    def _run(self, texts: list[str]) -> np.ndarray:
        """Return the rows in the order of `texts`; sorted by length inside, so that little padding is computed."""
        torch = self._torch
        ids = self._tokenizer(texts, truncation=True, max_length=MAX_TOKENS, return_attention_mask=False)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out = np.empty((len(ids), self.dim * (1 + len(TONE_DEPTHS))), np.float32)
        for batch in _batches(order, ids):
            tokens, mask = self._padded(batch, ids)
            with torch.inference_mode():
                states = self._model(input_ids=tokens, attention_mask=mask, output_hidden_states=True).hidden_states
                depth = len(states) - 1
                weights = mask.unsqueeze(-1).to(states[-1].dtype)
                read = [states[-1], *(states[round(depth * part)] for part in TONE_DEPTHS)]
                pooled = [(layer * weights).sum(1) / weights.sum(1) for layer in read]
                unit = torch.cat([torch.nn.functional.normalize(p.float(), dim=1) for p in pooled], dim=1)
            out[batch] = unit.numpy()
        return out

    def _padded(self, batch: list[int], ids: list[list[int]]) -> tuple[Any, Any]:
        """Return the word pieces of a batch, whose last text is its longest, and the mask of what is no padding."""
        torch = self._torch
        shape = (len(batch), len(ids[batch[-1]]))
        tokens = torch.full(shape, self._tokenizer.pad_token_id or 0, dtype=torch.long)
        mask = torch.zeros(shape, dtype=torch.long)
        for row, i in enumerate(batch):
            tokens[row, : len(ids[i])] = torch.tensor(ids[i])
            mask[row, : len(ids[i])] = 1
        return tokens, mask


def _batches(order: list[int], ids: list[list[int]]) -> list[list[int]]:
    """Return index batches in order of length, each of at most 1024 padded tokens (or one text)."""
    batches: list[list[int]] = []
    for i in order:
        if batches and (len(batches[-1]) + 1) * len(ids[i]) <= TOKENS_PER_BATCH:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches


def _fingerprint(directory: Path) -> str:
    digest = hashlib.sha256()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        path = directory / name
        if path.is_file():
            digest.update(name.encode())
            digest.update(str(path.stat().st_size).encode())
            with path.open("rb") as file:
                digest.update(file.read(1 << 20))
    return digest.hexdigest()[:16]


def load(models_dir: str | Path) -> MiniLM:
    """Return the embedder of a models folder, loaded once per process. Raises EmbedderMissing with the cure."""
    directory = Path(models_dir) / MODEL_NAME
    key = str(directory.resolve())
    with _lock:
        if key not in _loaded:
            _loaded[key] = MiniLM(directory)
        return _loaded[key]
