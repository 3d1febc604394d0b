"""A recording of six hours is checked, and a very long one transcribed, in memory that does not grow with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def scenario(what: str, folder: Path, hours: float, models: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.six_hours", what, str(folder), str(hours)],
        cwd=ROOT,
        env={**os.environ, "MODELS_DIR": str(models.resolve())},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def models() -> Path:
    folder = Path(os.environ.get("MODELS_DIR", ROOT / "var" / "models"))
    if not (folder / "whisper-tiny.en").is_dir():
        pytest.skip("whisper-tiny.en is not installed: python -m asr_worker.models pull test")
    return folder


def test_six_hours_are_checked_in_bounded_memory(tmp_path: Path, models: Path) -> None:
    found = scenario("probe", tmp_path, 6, models)
    assert found["duration_ms"] == 6 * 3_600_000 and found["codec"] == "pcm_mulaw"
    assert found["layout"] == "two_party"
    assert found["peak_mib"] < 400
    assert all(length <= 45_000 for length in found["peaks"])


def test_one_hour_is_transcribed_in_bounded_memory_and_all_the_speech_is_found(tmp_path: Path, models: Path) -> None:
    found = scenario("pipeline", tmp_path, 1, models)
    assert found["duration_ms"] == 3_600_000 and found["degraded"] == ""
    assert found["peak_mib"] < 2500
    for start in found["starts"]:
        near = [at for at in found["word_starts"] if start - 1 <= at <= start + 50]
        assert len(near) > 40, f"speech at {start} s: {len(near)} words"
    inside = sum(any(start - 1 <= at <= start + 50 for start in found["starts"]) for at in found["word_starts"])
    assert inside == len(found["word_starts"]), "words where nobody speaks"
