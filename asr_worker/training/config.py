"""Everything that decides a fine-tuning besides the base model and the data: one frozen value that round-trips JSON.

Imports nothing heavy, so that pages and commands can offer and check the same choices.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

Method = Literal["full", "frozen_encoder", "lora", "adalora", "ia3", "prefix", "prompt", "bottleneck"]
Schedule = Literal["linear", "cosine", "constant"]
Adversary = Literal["none", "fgm", "pgd"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]

METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How often (0..1) a training clip is changed in each way, and by how much; all zero means untouched clips.

    `copies` changed variants stand beside every clip, with `old_domain` off only beside those of the new domain.
    `noise_snr_db` and `speed_range` are the ranges drawn from; `codecs` are drawn evenly; gain in decibels.
    """

    noise: float = 0.0
    noise_snr_db: tuple[float, float] = (0.0, 20.0)
    telephone: float = 0.0
    codec: float = 0.0
    codecs: tuple[str, ...] = ("g711", "gsm", "amr-like")
    speed: float = 0.0
    speed_range: tuple[float, float] = (0.9, 1.1)
    gain: float = 0.0
    gain_db: tuple[float, float] = (-10.0, 6.0)
    room: float = 0.0
    spec_augment: float = 0.0
    copies: int = 1
    old_domain: bool = True

    @property
    def changes_audio(self) -> bool:
        """Return whether any change happens before the features are computed."""
        return any((self.noise, self.telephone, self.codec, self.speed, self.gain, self.room))


@dataclass(frozen=True, slots=True)
class FitConfig:
    """One fine-tuning. Zero for `learning_rate` means the method's own default; `max_steps` 0 means all epochs.

    `patience` counts validations without a better validation WER; 0 never stops early. `average_with_base` is the
    share of the base weights mixed into the result (0 none, -1: chosen on the validation rows). `max_minutes` 0
    means no limit; at the limit the best checkpoint so far is the result. `encoder_layers` lets that many of the
    encoder's top layers learn in the method `frozen_encoder`; what lies below them is still computed once.
    `replay_visits` is how often each old-domain row is learnt from in the whole run, spread evenly over the epochs: 0
    takes all of them in every epoch. `hold_out` is the share of rows (whole speakers) that judge the checkpoints where
    the dataset has no validation rows; 0 holds nobody out, for a recipe whose length is known: the last checkpoint is
    then the result, and the figures are of rows that were learnt. `distillation` is the share of an old-domain row's
    loss that is the distance to the base model's own probabilities instead of to the row's text: the whole of what the
    base heard is kept, not only the word that it liked best (Whisper models).
    """

    method: Method = "frozen_encoder"
    epochs: int = 6
    max_steps: int = 0
    max_minutes: float = 0.0
    batch_size: int = 8
    gradient_accumulation: int = 1
    learning_rate: float = 0.0
    schedule: Schedule = "linear"
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    dropout: float = 0.0
    label_smoothing: float = 0.0
    max_gradient_norm: float = 1.0
    patience: int = 3
    seed: int = 7
    precision: Precision = "auto"
    device: str = "auto"
    average_with_base: float = 0.0
    rank: int = 16
    scale: int = 32
    virtual_tokens: int = 16
    bottleneck: int = 64
    adversary: Adversary = "none"
    adversary_epsilon: float = 0.05
    adversary_steps: int = 3
    cache_encoder: bool = True
    encoder_layers: int = 0
    pad_to_full_window: bool = False
    replay_visits: int = 0
    hold_out: float = 0.12
    distillation: float = 0.0
    search_trials: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, doc: dict[str, Any]) -> FitConfig:
        """Return the configuration of a document. Raises ValueError naming an unknown field or a wrong value."""
        values = dict(doc)
        augment = values.pop("augment", {}) or {}
        for name, given, target in (("", values, cls), ("augment.", augment, AugmentConfig)):
            unknown = set(given) - {f.name for f in fields(target)}
            if unknown:
                raise ValueError(f"unknown training setting: {name}{sorted(unknown)[0]}")
        for key in ("noise_snr_db", "codecs", "speed_range", "gain_db"):
            if key in augment:
                augment[key] = tuple(augment[key])
        made = cls(**values, augment=AugmentConfig(**augment))
        if made.method not in METHODS:
            raise ValueError(f"unknown method {made.method!r}; known: {', '.join(METHODS)}")
        if not 0 <= made.distillation <= 1:
            raise ValueError(f"distillation is a share between 0 and 1, not {made.distillation}")
        return made
