"""Which kind of model a checkpoint is, and the part that knows how such a model learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr_worker.training.files import TrainingError


def load(base: Path) -> Any:
    """Return the family of a checkpoint, loaded in float32: Whisper, or a CTC model of the wav2vec2 kind.

    Raises TrainingError `unsupported_model` for anything else and `model_unreadable` for damaged files.
    """
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(base, local_files_only=True)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{base.name} holds no checkpoint that can be read.", code="model_unreadable") from error
    names = " ".join(getattr(config, "architectures", None) or [])
    if config.model_type == "whisper":
        from asr_worker.training.whisper import WhisperFamily

        return WhisperFamily(base)
    if "CTC" in names:
        from asr_worker.training.ctc import CtcFamily

        return CtcFamily(base)
    raise TrainingError(
        f"{base.name} is a {config.model_type} model; Whisper and CTC models can be fine-tuned.",
        code="unsupported_model",
    )
