"""One batch of everything that people upload, through real services, real workers and real models, once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
Found = dict[str, Any]
pytestmark = pytest.mark.slow
NEEDED = ("whisper-tiny.en", "pyannote-segmentation", "wespeaker-resnet34", "minilm")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Run the scenario and return what it found."""
    models = Path(os.environ.get("MODELS_DIR", ROOT / "var" / "models"))
    missing = [name for name in NEEDED if not (models / name).is_dir()]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; python -m asr_worker.models pull")
    environment = {
        **os.environ,
        "VAR_DIR": str(tmp_path_factory.mktemp("real") / "var"),
        "MODELS_DIR": str(models.resolve()),
        "SPEECH_MODEL": "whisper-tiny.en",
        "DJANGO_SETTINGS_MODULE": "callcenter.settings.dev",
        **dict.fromkeys(("DATABASE_URL", "REDIS_URL", "ANALYTICS_DATABASE_URL", "STORAGE_URL", "INGEST_DIR"), ""),
    }
    scenario = [sys.executable, "-m", "tests.integration.real_workers"]
    ended = subprocess.run(scenario, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout.strip().splitlines()[-1])


def call_of(found: Found, filename: str) -> Found:
    return next(call for call in found["calls"].values() if call["filename"] == filename)


@pytest.mark.parametrize(
    ("filename", "state", "code", "words"),
    [
        ("stereo.opus", "done", "", ""),
        ("mono.opus", "done", "", ""),
        ("again/stereo copy.opus", "duplicate", "duplicate", "already here"),
        ("empty.wav", "refused", "empty_file", "empty"),
        ("text.wav", "refused", "not_audio", ""),
        ("truncated.wav", "refused", "truncated", "cut short"),
        ("seven.wav", "refused", "too_many_channels", "7 channels"),
        ("silence.wav", "done", "silent", "othing louder"),
        ("noise.wav", "done", "", ""),
        ("tune.wav", "done", "", ""),
        ("bomb.zip", "refused", "zip_bomb", "bomb"),
        ("wrong/manifest.csv", "refused", "bad_manifest", "“colour”"),
        ("manifest.csv", "done", "", "3 rows"),
        ("never-sent.wav", "refused", "missing_file", "was not uploaded"),
    ],
)
def test_every_row_ends_with_its_message(found: Found, filename: str, state: str, code: str, words: str) -> None:
    row = found["rows"][filename]
    assert (row["state"], row["code"]) == (state, code), row
    assert words in row["reason"]
    assert row["reason"] if state != "done" else True


def test_every_call_ends_done_in_one_run(found: Found) -> None:
    assert len(found["calls"]) == 5
    assert all(call["runs"] == ["done"] for call in found["calls"].values()), found["calls"]
    assert found["events"] == [], "a worker crashed"


@pytest.mark.parametrize("filename", ["silence.wav", "noise.wav", "tune.wav"])
def test_nothing_is_heard_where_nobody_speaks(found: Found, filename: str) -> None:
    call = call_of(found, filename)
    assert (call["words"], call["turns"]) == (0, 0)
    assert call["intent"] is not None, "even an empty call is understood"


@pytest.mark.parametrize(("filename", "diarizer"), [("stereo.opus", "channels"), ("mono.opus", "pyannote")])
def test_a_good_call_has_both_parties_and_an_insight(found: Found, filename: str, diarizer: str) -> None:
    call = call_of(found, filename)
    assert call["diarizer"] == diarizer and call["degraded"] == ""
    assert {"agent", "customer"} <= set(call["parties"])
    assert call["words"] > 60 and call["turns"] >= 6
    assert call["intent"] and call["agent"] == "dana"
    assert call["playback"] > 1000


def test_a_threat_to_leave_is_an_alert(found: Found) -> None:
    assert "churn" in call_of(found, "stereo.opus")["alerts"]


def test_the_warehouse_counts_what_the_site_counts(found: Found) -> None:
    assert set(found["warehouse"]) == {call["id"] for call in found["calls"].values()}
    for call in found["calls"].values():
        row = found["warehouse"][call["id"]]
        assert (row["words"], row["turns"], row["turn_rows"]) == (call["words"], call["turns"], call["turns"])
        assert row["alerts"] == row["alert_rows"] == len(call["alerts"])
        assert row["intent"] == call["intent"]


def test_a_rebuilt_warehouse_is_the_same_as_before(found: Found) -> None:
    assert "the same as before" in found["rebuild"], found["rebuild"]
    assert found["rebuild"].startswith("5 calls")


def test_no_upload_stays_behind_in_the_staging_area(found: Found) -> None:
    assert found["staged"] == []


def test_swapping_the_parties_understands_the_call_again(found: Found) -> None:
    before, after = found["swap"]["before"], found["swap"]["after"]
    assert after["runs"] == ["done", "done"] and after["transcripts"] == 1
    assert (before["first_party"], after["first_party"]) in {("agent", "customer"), ("customer", "agent")}
    assert after["sentiments"] == before["sentiments"][::-1]
    assert found["swap"]["warehouse"]["party"] == after["first_party"]
    assert found["swap"]["warehouse"]["words"] == before["words"]
    assert "the same as before" in found["swap"]["rebuild"]


def test_no_log_holds_what_was_said_or_by_whom(found: Found) -> None:
    assert found["leaks"] == []
