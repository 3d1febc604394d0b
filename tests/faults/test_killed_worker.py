"""A worker killed in mid-call costs time and nothing else. Real services, real queue, real model, real SIGKILL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "callcenter" / "demo" / "audio"


def long_call(path: Path, *, repeats: int) -> Path:
    """Write one of the demo calls several times in a row, so that there is a middle to be killed in."""
    source = sorted(DEMO.glob("*.opus"))[0]
    with av.open(str(source)) as container:
        resampler = av.AudioResampler(format="s16", rate=8000)
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    channels = len(frames[0].layout.channels)
    samples = np.concatenate([f.to_ndarray().reshape(-1, channels) for f in frames])
    soundfile.write(path, np.concatenate([samples] * repeats), 8000, subtype="PCM_16")
    return path


@pytest.mark.slow
@pytest.mark.faults
def test_a_speech_worker_killed_in_mid_call_leaves_one_call_done_once(tmp_path: Path) -> None:
    models = Path(os.environ.get("MODELS_DIR", ROOT / "var" / "models"))
    if not (models / "whisper-tiny.en").is_dir():
        pytest.skip("whisper-tiny.en is not installed: python -m asr_worker.models pull test")
    audio = long_call(tmp_path / "call.wav", repeats=8)
    environment = {
        **os.environ,
        "VAR_DIR": str(tmp_path / "var"),
        "MODELS_DIR": str(models),
        "SPEECH_MODEL": "whisper-tiny.en",
        "RUN_SILENCE_SECONDS": "30",
        "SWEEP_SECONDS": "2",
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "ANALYTICS_DATABASE_URL": "",
        "STORAGE_URL": "",
        "DJANGO_SETTINGS_MODULE": "callcenter.settings.dev",
    }
    scenario = [sys.executable, "-m", "tests.faults.killed_speech_worker", str(audio)]
    ended = subprocess.run(scenario, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads(ended.stdout.strip().splitlines()[-1])
    assert found["state"] == "done"
    assert found["attempts"] >= 2 and found["restarts"] >= 1
    assert (found["calls"], found["transcripts"], found["insights"]) == (1, 1, 1)
    assert found["turns"] > 5
