"""What the speech worker tells the web side; no broker and no model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asr_worker import pipeline, tasks
from asr_worker.celery import app
from asr_worker.types import BadAudio, PipelineSpec, SpeechError

ASKED = {"run_id": "r1", "attempt": 2, "audio_key": "recordings/ab/x", "spec": PipelineSpec().to_json()}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, dict[str, Any], str]]:
    messages: list[tuple[str, dict[str, Any], str]] = []

    def send_task(name: str, *, kwargs: dict[str, Any], queue: str, **_: Any) -> None:
        messages.append((name, kwargs, queue))

    monkeypatch.setattr(app, "send_task", send_task)
    monkeypatch.setenv("STORAGE_URL", f"file://{tmp_path}")
    return messages


def outcome(monkeypatch: pytest.MonkeyPatch, sent: list[Any], run: Any) -> tuple[str, dict[str, Any]]:
    monkeypatch.setattr(pipeline, "run", run)
    tasks.transcribe(**ASKED)
    last = [m for m in sent if m[0] != "pipeline.speech_progress"]
    assert len(last) == 1
    assert last[0][2] == "default"
    assert (last[0][1]["run_id"], last[0][1]["attempt"]) == ("r1", 2)
    return last[0][0], last[0][1]


def test_a_finished_run_reports_keys_and_seconds(monkeypatch: pytest.MonkeyPatch, sent: list[Any]) -> None:
    def run(store: Any, key: str, spec: PipelineSpec, progress: Any, *, report: pipeline.RunReport) -> str:
        report.audio_info_key, report.seconds["decode"] = "info", 0.5
        progress("decode", 1.0)
        return "transcript"

    name, said = outcome(monkeypatch, sent, run)
    assert name == "pipeline.speech_finished"
    assert (said["audio_info_key"], said["transcript_key"], said["seconds"]) == ("info", "transcript", {"decode": 0.5})
    progress = [m[1] for m in sent if m[0] == "pipeline.speech_progress"]
    assert progress[0]["stage"] == "decode"


@pytest.mark.parametrize(
    ("error", "code", "permanent"),
    [
        (BadAudio("The file is empty.", code="empty_file"), "empty_file", True),
        (SpeechError("The model server is busy."), "speech_error", False),
        (FileNotFoundError("x"), "audio_missing", True),
        (RuntimeError("my card number is 4111"), "worker_error", False),
        (MemoryError(), "worker_error", False),
    ],
)
def test_a_failed_run_says_whether_another_try_can_help(
    monkeypatch: pytest.MonkeyPatch,
    sent: list[Any],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    code: str,
    permanent: bool,
) -> None:
    def run(*_: Any, **__: Any) -> str:
        raise error

    name, said = outcome(monkeypatch, sent, run)
    assert name == "pipeline.speech_failed"
    assert (said["code"], said["permanent"]) == (code, permanent)
    assert "4111" not in said["message"] + caplog.text


def test_the_workers_own_device_wins_over_the_message(monkeypatch: pytest.MonkeyPatch, sent: list[Any]) -> None:
    seen: list[PipelineSpec] = []

    def run(store: Any, key: str, spec: PipelineSpec, *_: Any, **__: Any) -> str:
        seen.append(spec)
        return "t"

    monkeypatch.setenv("SPEECH_DEVICE", "cuda")
    outcome(monkeypatch, sent, run)
    assert seen[0].device == "cuda"


def test_progress_is_told_at_most_once_a_second_within_a_stage(sent: list[Any]) -> None:
    with tasks.Reporter("r", 1) as report:
        for i in range(100):
            report("transcribe", i / 100)
        report("assemble", 1.0)
    stages = [m[1]["stage"] for m in sent]
    assert stages == ["decode", "transcribe", "assemble"]


def test_losing_a_progress_message_does_not_fail_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("broker away")

    monkeypatch.setattr(app, "send_task", broken)
    with tasks.Reporter("r", 1) as report:
        report("decode", 1.0)


def test_messages_are_json_on_declared_queues_and_acknowledged_late() -> None:
    conf = app.conf
    assert {q.name for q in conf.task_queues} == {"ingest", "speech", "nlu", "learning", "default"}
    assert (conf.task_serializer, list(conf.accept_content), conf.task_create_missing_queues) == (
        "json",
        ["json"],
        False,
    )
    assert (conf.task_acks_late, conf.task_reject_on_worker_lost, conf.worker_prefetch_multiplier) == (True, True, 1)
    assert conf.broker_transport_options["visibility_timeout"] == 7200
