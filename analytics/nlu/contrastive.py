"""Sentence vectors fitted to a set of classes by contrast: what belongs together moves together, within minutes.

The upper layers of the sentence encoder are trained so that sentences of a class lie near each other and near their
class's prototype and far from all others: the supervised contrastive loss of Khosla et al. ("Supervised Contrastive
Learning", NeurIPS 2020) beside a cosine softmax over prototypes, in batches that hold several sentences of each of
some classes. Fitting an encoder by contrast before a plain head reads it is the idea of Tunstall et al. ("Efficient
Few-Shot Learning Without Prompts", 2022). Two things make it affordable without a GPU: the lower layers stay as they
are, so what they say of a sentence is computed once, and batches are as long as their longest sentence. Words are left
out at random while training, which stands in for sentences that nobody gave.

The same text gives the same vectors up to rounding: every draw comes from a fixed seed.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from analytics.nlu.embedding import MiniLM

PER_CLASS = 4
#: A batch goes through the encoder in so many parts of like length, so that little padding is computed.
SPLITS = 3
TEXT_CACHE = 5_000
ENCODE_TOKENS = 2048
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an encoder is fitted. `depth` lower layers stay; `classes_per_batch` classes meet in a batch."""

    depth: int = 3
    epochs: int = 5
    learning_rate: float = 3e-4
    prototype_rate: float = 5.0
    classes_per_batch: int = 24
    temperature: float = 0.07
    smoothing: float = 0.05
    word_dropout: float = 0.1
    warm_up: float = 0.1
    seed: int = 1

    @property
    def key(self) -> dict[str, Any]:
        return asdict(self)


class States:
    """What the lower layers say of each word piece of each text, one after another without padding."""

    def __init__(self, flat: np.ndarray, lengths: np.ndarray) -> None:
        self.flat, self.lengths = flat, lengths
        self.ends = np.cumsum(lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (rows, longest, dim) states and the mask of what is no padding."""
        longest = int(self.lengths[list(rows)].max())
        states = np.zeros((len(rows), longest, self.flat.shape[1]), np.float32)
        mask = np.zeros((len(rows), longest), np.float32)
        for at, row in enumerate(rows):
            size, end = int(self.lengths[row]), int(self.ends[row])
            states[at, :size] = self.flat[end - size : end]
            mask[at, :size] = 1
        return states, mask

    def pick(self, rows: np.ndarray) -> States:
        """Return the states of some of the texts."""
        parts = [self.flat[self.ends[r] - self.lengths[r] : self.ends[r]] for r in rows]
        return States(np.concatenate(parts) if parts else self.flat[:0], self.lengths[rows])


def _upper(layers: Any, states: Any, mask: Any) -> tuple[Any, Any]:
    """Return the mean and the maximum over the words of what the upper layers say."""
    size = mask.shape[1]
    seen = (mask[:, None, None, :] > 0).expand(-1, 1, size, -1)
    for layer in layers:
        out = layer(states, attention_mask=seen)
        states = out[0] if isinstance(out, tuple) else out
    weights = mask.unsqueeze(-1)
    mean = (states * weights).sum(1) / weights.sum(1)
    return mean, states.masked_fill(weights == 0, -1e9).max(1).values


class TunedEncoder:
    """An encoder with its own upper layers; thread-safe. Rows are two unit vectors, mean and maximum, side by side."""

    def __init__(self, base: MiniLM, layers: Any, depth: int) -> None:
        self._base, self._layers, self.depth = base, layers.eval(), depth
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._guard = threading.Lock()

    @classmethod
    def of_arrays(cls, base: MiniLM, arrays: dict[str, np.ndarray], depth: int) -> TunedEncoder:
        """Return the encoder that `arrays()` described. Raises ValueError for arrays of another model."""
        import torch

        layers = base.upper_layers(depth)
        try:
            layers.load_state_dict({k: torch.tensor(v.astype(np.float32)) for k, v in arrays.items()})
        except RuntimeError as error:
            raise ValueError("the fitted layers belong to another model") from error
        return cls(base, layers, depth)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the fitted layers as half-precision arrays, for storing."""
        return {k: v.detach().numpy().astype(np.float16) for k, v in self._layers.state_dict().items()}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 rows of shape (len(texts), 2 * dim)."""
        if not texts:
            return np.zeros((0, 2 * self._base.dim), np.float32)
        with self._guard:
            fresh = [t for t in dict.fromkeys(texts) if t not in self._cache]
            known = {t: self._cache[t] for t in dict.fromkeys(texts) if t in self._cache}
            if fresh:
                rows = self.encode_states(self._base.states(fresh, self.depth))
                known |= zip(fresh, rows, strict=True)
            for text, row in known.items():
                self._cache[text] = row
                self._cache.move_to_end(text)
            while len(self._cache) > TEXT_CACHE:
                self._cache.popitem(last=False)
        return np.stack([known[t] for t in texts])

    def encode_states(self, states: States) -> np.ndarray:
        """Return the rows of texts whose lower states are known."""
        import torch

        out = np.empty((len(states), 2 * self._base.dim), np.float32)
        for batch in batches_of_tokens(states.lengths, ENCODE_TOKENS):
            x, mask = states.batch(batch)
            with torch.inference_mode():
                pooled = _upper(self._layers, torch.from_numpy(x), torch.from_numpy(mask))
                out[batch] = torch.cat([torch.nn.functional.normalize(p, dim=1) for p in pooled], dim=1).numpy()
        return out


def batches_of_tokens(lengths: np.ndarray, tokens: int) -> list[list[int]]:
    """Return indexes in batches of like length, each of at most so many padded word pieces (or one text)."""
    batches: list[list[int]] = []
    for row in np.argsort(lengths, kind="stable"):
        if batches and (len(batches[-1]) + 1) * int(lengths[row]) <= tokens:
            batches[-1].append(int(row))
        else:
            batches.append([int(row)])
    return batches


def tune(
    base: MiniLM, states: States, labels: np.ndarray, classes: int, recipe: Recipe, *, progress: Progress | None = None
) -> tuple[TunedEncoder, np.ndarray]:
    """Return the fitted encoder and the unit prototypes (classes, dim), which read the mean half of its rows.

    `states` are `base.states(texts, recipe.depth)`. `progress` is told the share done after each batch and may raise
    to stop.
    """
    import torch
    from torch.nn import functional

    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    layers = base.upper_layers(recipe.depth)
    start = TunedEncoder(base, layers, recipe.depth).encode_states(states)[:, : base.dim]
    member = np.eye(classes, dtype=np.float32)[labels]
    prototypes = torch.nn.Parameter(functional.normalize(torch.from_numpy(member.T @ start), dim=1))
    rates = (recipe.learning_rate, recipe.learning_rate * recipe.prototype_rate)
    groups = [{"params": list(layers.parameters())}, {"params": [prototypes]}]
    optimiser = torch.optim.AdamW(groups, lr=rates[0], weight_decay=0.01)
    plans = [_batches(labels, recipe.classes_per_batch, rng) for _ in range(recipe.epochs)]
    total, step = sum(map(len, plans)), 0
    layers.train()
    for plan in plans:
        for rows in plan:
            pace = min(1.0, (step + 1) / max(1.0, recipe.warm_up * total)) * _cosine(step / total)
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * pace
            rows = rows[np.argsort(states.lengths[rows], kind="stable")]
            parts = [part for part in np.array_split(rows, SPLITS) if len(part)]
            mean = torch.cat([_mean(layers, states, part, recipe) for part in parts])
            target = torch.from_numpy(labels[rows])
            loss = _loss(functional.normalize(mean, dim=1), functional.normalize(prototypes, dim=1), target, recipe)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(layers.parameters(), 1.0)
            optimiser.step()
            step += 1
            if progress is not None:
                progress(step / total)
    return TunedEncoder(base, layers, recipe.depth), functional.normalize(prototypes.detach(), dim=1).numpy()


def _mean(layers: Any, states: States, rows: np.ndarray, recipe: Recipe) -> Any:
    """Return the mean half of some rows with words left out at random, never the first."""
    import torch

    x, kept = (torch.from_numpy(a) for a in states.batch(rows))
    dropped = torch.rand_like(kept) < recipe.word_dropout
    dropped[:, 0] = False
    return _upper(layers, x, kept * (~dropped))[0]


def _cosine(done: float) -> float:
    return max(0.02, 0.5 * (1 + math.cos(math.pi * done)))


def _loss(rows: Any, prototypes: Any, target: Any, recipe: Recipe) -> Any:
    """Return the cosine softmax over prototypes plus the supervised contrastive loss within the batch."""
    import torch
    from torch.nn import functional

    logits = rows @ prototypes.T / recipe.temperature
    loss = functional.cross_entropy(logits, target, label_smoothing=recipe.smoothing)
    itself = torch.eye(len(rows), dtype=torch.bool)
    likeness = (rows @ rows.T / recipe.temperature).masked_fill(itself, -1e9)
    same = (target[:, None] == target[None]) & ~itself
    paired = same.any(1)
    if paired.any():
        shares = (likeness.log_softmax(1) * same).sum(1)[paired] / same.sum(1)[paired]
        loss = loss - shares.mean()
    return loss


def _batches(labels: np.ndarray, classes_per_batch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return one epoch: every row once, in batches of up to four rows of each of some classes drawn together."""
    waiting = {int(k): list(rng.permutation(np.flatnonzero(labels == k))) for k in np.unique(labels)}
    out: list[np.ndarray] = []
    while waiting:
        order = rng.permutation(sorted(waiting))
        for at in range(0, len(order), classes_per_batch):
            drawn = [int(k) for k in order[at : at + classes_per_batch]]
            out.append(np.array([row for k in drawn for row in waiting[k][:PER_CLASS]], int))
            for k in drawn:
                waiting[k] = waiting[k][PER_CLASS:]
        waiting = {k: rows for k, rows in waiting.items() if rows}
    return out
