"""The stages, their artefacts and what survives a failure; engines and voice activity are stand-ins."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asr_worker import listen, pipeline, vad
from asr_worker.engines import registry
from asr_worker.storage import FileStore, recording_key
from asr_worker.types import BadAudio, ModelMissing, PipelineSpec, SpeechError, Transcript
from tests.speech.engines import Echo, Halves
from tests.speech.sounds import burst_talk, long_mulaw_wav, wav

SPEC = PipelineSpec(model="some-model")


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Echo:
    engine = Echo()
    monkeypatch.setattr(registry, "transcriber", lambda spec: engine)
    return engine


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> Halves:
    engine = Halves()
    monkeypatch.setattr(registry, "diarizer", lambda spec, name="": engine)
    return engine


class ByLevel:
    """Voice activity by loudness: made talk is not speech to the real network."""

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        smooth = np.convolve(vad.levels_db(samples), np.ones(5) / 5, "same")
        return (smooth > -45).astype(np.float32)


@pytest.fixture(autouse=True)
def by_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vad, "SpeechProbabilities", ByLevel)


@pytest.fixture
def put(store: FileStore, tmp_path: Path) -> Callable[[np.ndarray], str]:
    def put(samples: np.ndarray) -> str:
        from asr_worker.audio import sha256_of

        path = wav(tmp_path / "in.wav", samples)
        key = recording_key(sha256_of(path))
        store.put_file(key, path)
        return key

    return put


def two_parties(seconds: float = 30) -> np.ndarray:
    return np.stack([burst_talk(seconds, seed=1), burst_talk(seconds, seed=2)])


def transcript(store: FileStore, key: str) -> Transcript:
    return Transcript.from_json(json.loads(store.get_bytes(key)))


def test_two_channels_become_two_parties_without_a_diarizer(
    store: FileStore, put: Callable[..., str], echo: Echo, halves: Halves
) -> None:
    made = transcript(store, pipeline.run(store, put(two_parties()), SPEC))
    assert (made.layout, made.diarizer, halves.calls) == ("two_party", "channels", 0)
    assert {(t.channel, t.party) for t in made.turns} == {(0, "agent"), (1, "customer")}
    assert all(w.text == f"c{t.channel}" for t in made.turns for w in t.words)
    assert made.mapping.confidence == 1.0
    assert made.speaker_segments
    assert made.degraded == ""


def test_the_agent_can_be_on_the_other_channel(store: FileStore, put: Callable[..., str], echo: Echo) -> None:
    made = transcript(store, pipeline.run(store, put(two_parties()), PipelineSpec(agent_channel=1)))
    assert {(t.channel, t.party) for t in made.turns} == {(1, "agent"), (0, "customer")}


@pytest.mark.parametrize("layout", ["mono", "dual_mono", "one_silent"])
def test_one_mixed_signal_is_diarized_and_heard_once(
    store: FileStore, put: Callable[..., str], echo: Echo, halves: Halves, layout: str
) -> None:
    talk = burst_talk(30)
    samples = {
        "mono": talk,
        "dual_mono": np.stack([talk, talk]),
        "one_silent": np.stack([0 * talk, talk]),
    }[layout]
    spec = PipelineSpec(num_speakers=2)
    made = transcript(store, pipeline.run(store, put(samples), spec))
    assert (made.layout, made.diarizer, halves.calls) == (layout, "pyannote", 1)
    assert halves.asked == {"num_speakers": 2, "min_speakers": 1, "max_speakers": 4}
    assert {t.speaker for t in made.turns} == {"S1", "S2"}
    assert {w.text for t in made.turns for w in t.words} == {"c0"}


def test_the_second_run_computes_nothing(store: FileStore, put: Callable[..., str], echo: Echo) -> None:
    key = put(two_parties())
    first, second = pipeline.RunReport(), pipeline.RunReport()
    assert pipeline.run(store, key, SPEC, report=first) == pipeline.run(store, key, SPEC, report=second)
    assert echo.calls == 1
    assert set(first.seconds) == {"decode", "voice", "transcribe", "assemble"}
    assert second.seconds == {}
    assert first.transcript_key == second.transcript_key
    assert store.exists(second.audio_info_key)


def test_a_run_goes_on_after_the_stage_that_failed(
    store: FileStore, put: Callable[..., str], echo: Echo, halves: Halves
) -> None:
    key = put(burst_talk(20))
    echo.fail = SpeechError("busy")
    with pytest.raises(SpeechError):
        pipeline.run(store, key, SPEC)
    echo.fail = None
    report = pipeline.RunReport()
    pipeline.run(store, key, SPEC, report=report)
    assert halves.calls == 1
    assert "diarize" not in report.seconds
    assert "transcribe" in report.seconds


@pytest.mark.parametrize("stage", ["decode", "diarize", "transcribe", "assemble"])
@pytest.mark.parametrize("rubbish", [b"", b'{"half": ', b"[]", b"null", b"\xff\xfe", b'{"schema_version": 99}'])
def test_a_corrupted_artefact_is_computed_again(
    store: FileStore, put: Callable[..., str], echo: Echo, halves: Halves, stage: str, rubbish: bytes
) -> None:
    key = put(burst_talk(20))
    good = transcript(store, pipeline.run(store, key, SPEC))
    for name in list(store.iter_keys("artefacts/")):
        if f"/{stage}/" in name or "/assemble/" in name:
            store.put_bytes(name, rubbish)
    assert transcript(store, pipeline.run(store, key, SPEC)).turns == good.turns


@pytest.mark.parametrize("error", [RuntimeError("secret words"), ModelMissing("install it with: pull x")])
def test_a_call_without_diarization_is_a_degraded_transcript_and_is_tried_again(
    store: FileStore, put: Callable[..., str], echo: Echo, halves: Halves, error: Exception
) -> None:
    key = put(burst_talk(20))
    halves.fail = error
    made = transcript(store, pipeline.run(store, key, SPEC))
    assert {t.party for t in made.turns} == {"unknown"}
    assert made.degraded
    assert "secret words" not in made.degraded
    assert ("pull x" in made.degraded) == isinstance(error, ModelMissing)
    halves.fail = None
    again = transcript(store, pipeline.run(store, key, SPEC))
    assert again.degraded == ""
    assert {t.speaker for t in again.turns} == {"S1", "S2"}
    assert echo.calls == 1


def test_silence_ends_as_a_transcript_without_words_and_without_an_engine(
    store: FileStore, put: Callable[..., str], echo: Echo, halves: Halves
) -> None:
    made = transcript(store, pipeline.run(store, put(np.zeros((2, 80_000), np.float32)), SPEC))
    assert (made.layout, made.turns, echo.calls, halves.calls) == ("silent", (), 0, 0)
    assert any("no speech" in w for w in made.warnings)


def test_a_bad_recording_is_refused_with_its_reason(store: FileStore) -> None:
    key = recording_key("ab" * 32)
    store.put_bytes(key, b"not audio at all, but quite some text\n" * 9)
    with pytest.raises(BadAudio):
        pipeline.run(store, key, SPEC)


def test_a_recording_that_is_not_there_is_a_file_not_found_error(store: FileStore) -> None:
    with pytest.raises(FileNotFoundError):
        pipeline.run(store, recording_key("cd" * 32), SPEC)


def test_progress_goes_through_the_stages_and_never_back(
    store: FileStore, put: Callable[..., str], echo: Echo, halves: Halves
) -> None:
    seen: list[tuple[str, float]] = []
    pipeline.run(store, put(burst_talk(20)), SPEC, lambda stage, fraction: seen.append((stage, fraction)))
    stages = list(dict.fromkeys(stage for stage, _ in seen))
    assert stages == ["decode", "diarize", "transcribe", "assemble"]
    for name in stages:
        fractions = [f for s, f in seen if s == name]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0


def test_insisting_on_the_channels_of_a_mono_recording_says_why_it_cannot(
    store: FileStore, put: Callable[..., str], echo: Echo
) -> None:
    made = transcript(store, pipeline.run(store, put(burst_talk(10)), PipelineSpec(diarizer="channels")))
    assert "one channel" in made.degraded
    assert made.turns


def test_a_long_recording_is_heard_in_windows_without_losing_or_doubling_words(
    store: FileStore, tmp_path: Path, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr_worker.audio import sha256_of

    path = long_mulaw_wav(tmp_path / "long.wav", 10 * 60)
    key = recording_key(sha256_of(path))
    store.put_file(key, path)
    spec = PipelineSpec(diarizer="channels")
    whole = transcript(store, pipeline.run(store, key, spec))
    whole_ms = echo.longest_ms
    echo.longest_ms = 0
    monkeypatch.setattr(listen, "WINDOW_SECONDS", 64.0)
    windows = transcript(store, pipeline.run(store, key, PipelineSpec(diarizer="channels", beam_size=1)))
    assert echo.longest_ms < 130_000 < whole_ms
    one = [(w.start_ms, w.end_ms) for t in whole.turns for w in t.words]
    many = [(w.start_ms, w.end_ms) for t in windows.turns for w in t.words]
    assert len(one) > 200
    near = sum(any(abs(a - b) < 80 for b, _ in many) for a, _ in one)
    assert near > 0.95 * len(one)
    assert abs(len(one) - len(many)) <= 0.03 * len(one)
    assert [a for a, _ in many] == sorted(a for a, _ in many)
