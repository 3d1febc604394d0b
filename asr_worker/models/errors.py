"""What can go wrong with models, each as one line that ends with the cure."""

from __future__ import annotations


class ModelError(Exception):
    """A model cannot be pulled or verified; the text is one line for a person."""


class SourceUnavailable(ModelError):
    """This source cannot be used here and now; the next one may be."""


class WrongHash(ModelError):
    """A file is not what the catalogue says; nothing of it is kept or used."""


class DiskFull(ModelError):
    """There is not enough room; nothing was installed."""
