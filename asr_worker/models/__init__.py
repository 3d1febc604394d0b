"""Models: one catalogue, one way to install them, one way to find them. Importing this loads nothing heavy."""

from asr_worker.models.catalogue import CATALOGUE
from asr_worker.models.errors import ModelError
from asr_worker.models.store import models_dir, resolve
from asr_worker.types import ModelMissing

__all__ = ["CATALOGUE", "ModelError", "ModelMissing", "models_dir", "resolve"]
