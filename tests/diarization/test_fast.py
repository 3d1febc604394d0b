"""The whole diarizer over networks without weights: what comes out is known, so every boundary can be asserted."""

from __future__ import annotations

import numpy as np
import pytest

from asr_worker.diarization import fast, pooling
from asr_worker.diarization.windows import SAMPLE_RATE, WINDOW_FRAMES, WindowGrid
from asr_worker.types import SpeakerSegment
from tests.diarization.fakes import LevelNetworks, speech

CALL = speech((None, 1), ("loud", 3), (None, 1), ("quiet", 4), ("loud", 2), (None, 2), ("quiet", 5), (None, 2))


def seconds(segments: list[SpeakerSegment]) -> list[tuple[str, float, float]]:
    return [(s.speaker, round(s.start_ms / 1000, 1), round(s.end_ms / 1000, 1)) for s in segments]


def test_a_call_of_two_is_cut_where_the_voices_change() -> None:
    assert seconds(fast.diarize(LevelNetworks(), CALL)) == [
        ("S1", 1.0, 4.0),
        ("S2", 5.0, 9.0),
        ("S1", 9.0, 11.0),
        ("S2", 13.0, 18.0),
    ]


def test_the_same_call_gives_the_same_segments_every_time() -> None:
    assert fast.diarize(LevelNetworks(), CALL) == fast.diarize(LevelNetworks(), CALL)


@pytest.mark.parametrize("length", [0.0, 0.01, 0.5, 1.0, 30.0])
def test_silence_of_any_length_has_no_speaker(length: float) -> None:
    assert fast.diarize(LevelNetworks(), speech((None, length))) == []


def test_half_a_second_of_speech_is_one_speaker() -> None:
    assert {s.speaker for s in fast.diarize(LevelNetworks(), speech(("loud", 0.5)))} == {"S1"}


def test_one_voice_is_one_speaker() -> None:
    audio = speech(*[("loud", 3), (None, 1)] * 8)
    assert {s.speaker for s in fast.diarize(LevelNetworks(), audio)} == {"S1"}


def test_a_given_number_of_speakers_bounds_what_comes_out() -> None:
    assert {s.speaker for s in fast.diarize(LevelNetworks(), CALL, num_speakers=1)} == {"S1"}
    assert len({s.speaker for s in fast.diarize(LevelNetworks(), CALL, max_speakers=1)}) == 1


def test_segments_lie_within_the_recording_and_in_time_order() -> None:
    found = fast.diarize(LevelNetworks(), speech(("loud", 12.34)))
    assert all(0 <= s.start_ms < s.end_ms <= 12_340 for s in found)
    assert [s.start_ms for s in found] == sorted(s.start_ms for s in found)


def test_a_short_pause_of_one_speaker_is_no_new_segment() -> None:
    found = fast.diarize(LevelNetworks(), speech(("loud", 3), (None, 0.15), ("loud", 3)))
    assert len(found) == 1


def test_progress_grows_to_one() -> None:
    seen: list[float] = []
    fast.diarize(LevelNetworks(), CALL, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_two_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="one channel"):
        fast.diarize(LevelNetworks(), np.zeros((2, 16_000), np.float32))


def test_the_trunk_reads_each_second_of_speech_once_and_no_long_silence() -> None:
    networks = LevelNetworks()
    talk = speech(*[("loud", 9), ("quiet", 11)] * 6)
    fast.diarize(networks, np.concatenate([talk, speech((None, 120))]))
    spoken_steps = len(talk) / pooling.STEP_SAMPLES
    assert spoken_steps <= networks.trunk_steps < 1.15 * spoken_steps


def test_a_voice_pooled_in_pieces_equals_a_voice_pooled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    audio = rng.random(20 * SAMPLE_RATE, dtype=np.float32)
    networks = LevelNetworks()
    networks.project = lambda statistics: statistics[:, [0, 2560]].repeat(128, axis=1)  # type: ignore[method-assign]
    voices = [pooling.Voice(0, np.ones(WINDOW_FRAMES)), pooling.Voice(400, np.ones(WINDOW_FRAMES))]
    whole = [(0, 250)]
    at_once = pooling.embed(networks, audio, voices, whole, progress=lambda f: None)
    monkeypatch.setattr(pooling, "PIECE_STEPS", 40)
    in_pieces = pooling.embed(networks, audio, voices, whole, progress=lambda f: None)
    np.testing.assert_allclose(in_pieces, at_once, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("length", [0, 1, 159_999, 160_000, 160_001, 1_000_003])
def test_windows_cover_every_sample(length: int) -> None:
    grid = WindowGrid(length, 59)
    last = grid.start_sample(grid.count - 1)
    assert last + 160_000 >= length and (grid.count == 1 or last < length)
    assert grid.cut(np.ones(length, np.float32), grid.count - 1).shape == (160_000,)
