"""Finds engines by name and keeps the loaded ones warm: one transcriber and one diarizer per process.

Importing this module imports no engine; naming one does.
"""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from typing import Any

from asr_worker.engines.base import Diarizer, Transcriber
from asr_worker.types import ModelMissing, PipelineSpec, SpeechError

TRANSCRIBERS = {
    "faster-whisper": "asr_worker.engines.faster_whisper:FasterWhisperTranscriber",
    "transformers": "asr_worker.engines.transformers_engine:TransformersTranscriber",
}
DIARIZERS = {
    "pyannote": "asr_worker.engines.pyannote:PyannoteDiarizer",
    "pyannote-pipeline": "asr_worker.engines.pyannote:PyannotePipelineDiarizer",
}

_lock = threading.Lock()
_warm: dict[str, tuple[tuple[Any, ...], Any]] = {}


def _load(names: dict[str, str], name: str, kind: str) -> Any:
    if name not in names:
        known = ", ".join(sorted(names))
        raise SpeechError(f"no {kind} is called {name!r}; known: {known}", code="unknown_engine", permanent=True)
    module, _, attribute = names[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def find_model(ref: str) -> Path:
    """Return the directory of a model: a local directory as it is, anything else through the model catalogue.

    A fine-tuned model (`store:models/...`) is fetched from the own store the first time this machine needs it.
    Raises ModelMissing naming the command that installs it.
    """
    if ref.startswith("store:"):
        from asr_worker.models import artefacts

        return artefacts.fetch(ref)
    if ref and (path := Path(ref)).is_dir():
        return path
    try:
        from asr_worker.models import resolve
    except ImportError as error:
        raise ModelMissing(f"model {ref!r} is not a directory and the catalogue cannot be read") from error
    return Path(resolve(ref))


def _keep(kind: str, key: tuple[Any, ...], make: Any) -> Any:
    with _lock:
        held = _warm.get(kind)
        if held is None or held[0] != key:
            _warm.pop(kind, None)  # let the old weights go before the new ones come
            _warm[kind] = held = (key, make())
        return held[1]


def transcriber(spec: PipelineSpec) -> Transcriber:
    """Return the transcriber that the spec names, loaded; the last one used stays warm.

    Raises SpeechError for an unknown name and ModelMissing for a model that is not installed.
    """
    make = _load(TRANSCRIBERS, spec.transcriber, "transcriber")
    key = (spec.transcriber, spec.model, spec.adapter, spec.compute_type, spec.device)
    return _keep("transcriber", key, lambda: make(spec))


def diarizer(spec: PipelineSpec, name: str = "pyannote") -> Diarizer:
    """Return the named diarizer, loaded for the spec's device; the last one used stays warm."""
    make = _load(DIARIZERS, name, "diarizer")
    return _keep("diarizer", (name, spec.device), lambda: make(spec))


def forget() -> None:
    """Let all loaded engines go."""
    with _lock:
        _warm.clear()
