"""Recorded demo calls: written and voiced by this project, with what is spoken in each as reference.

Import-light on purpose (standard library only): a command can list the calls without an audio or
web dependency. `voice.py` makes the recordings; nothing here does so at run time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
MANIFEST = FOLDER / "manifest.jsonl"


def rows() -> list[dict[str, Any]]:
    """One dictionary per demo call in manifest order; `audio` is relative to `FOLDER`."""
    text = MANIFEST.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def audio_path(row: dict[str, Any]) -> Path:
    """The absolute path of a row's recording."""
    return FOLDER / str(row["audio"])
