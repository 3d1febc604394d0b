from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asr_worker.channels import RATE, ChannelAnalyser
from asr_worker.types import ChannelReport
from tests.speech.sounds import burst_talk, encoded, tune, white_noise


def report(samples: np.ndarray, piece: int = 5 * RATE) -> ChannelReport:
    analyser = ChannelAnalyser(len(samples))
    for at in range(0, samples.shape[1], piece):
        analyser.add(samples[:, at : at + piece])
    return analyser.report()


def delayed(samples: np.ndarray, by: int) -> np.ndarray:
    return np.concatenate((np.zeros(by, np.float32), samples[:-by]))


def test_a_real_two_channel_call_is_two_parties(stereo: np.ndarray) -> None:
    found = report(stereo)
    assert found.layout == "two_party"
    assert found.correlation < 0.2
    assert min(found.speech_ms) > 10_000


@pytest.mark.parametrize("leak_db", [-25, -20])
@pytest.mark.parametrize("delay_ms", [0, 30, 120])
def test_crosstalk_between_the_channels_is_still_two_parties(stereo: np.ndarray, leak_db: int, delay_ms: int) -> None:
    gain = 10 ** (leak_db / 20)
    late = delay_ms * RATE // 1000 or 1
    mixed = np.stack([stereo[0] + gain * delayed(stereo[1], late), stereo[1] + gain * delayed(stereo[0], late)])
    assert report(mixed).layout == "two_party"


def test_one_sided_line_echo_is_still_two_parties(stereo: np.ndarray) -> None:
    mixed = stereo.copy()
    mixed[1] += 10 ** (-12 / 20) * delayed(stereo[0], 400)
    assert report(mixed).layout == "two_party"


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.25, -1.0])
@pytest.mark.parametrize("delay_ms", [0, 5, 60])
def test_the_same_mix_twice_is_dual_mono_despite_gain_and_delay(stereo: np.ndarray, gain: float, delay_ms: int) -> None:
    mix = stereo.mean(axis=0)
    copy = gain * (delayed(mix, delay_ms * RATE // 1000) if delay_ms else mix)
    found = report(np.stack([mix, copy + white_noise(120, level=0.0005)]))
    assert found.layout == "dual_mono"
    assert found.correlation > 0.8


def test_dual_mono_survives_a_lossy_codec(stereo: np.ndarray, tmp_path: Path) -> None:
    from asr_worker import audio

    mix = np.repeat(stereo.mean(axis=0)[: 60 * RATE], 2)
    path = encoded(tmp_path / "a.ogg", np.stack([mix, mix]), codec="libopus", container="ogg", rate=16000)
    assert audio.probe(path).report.layout == "dual_mono"


@pytest.mark.parametrize("side", [0, 1])
def test_one_silenced_side_is_found(stereo: np.ndarray, side: int) -> None:
    samples = stereo.copy()
    samples[side] = 0
    found = report(samples)
    assert (found.layout, found.active_channel) == ("one_silent", 1 - side)
    assert found.speech_ms[side] == 0


@pytest.mark.parametrize("side", [0, 1])
def test_a_side_with_only_line_noise_counts_as_silent(stereo: np.ndarray, side: int) -> None:
    samples = stereo.copy()
    samples[side] = white_noise(120, level=0.003)
    found = report(samples)
    assert (found.layout, found.active_channel) == ("one_silent", 1 - side)


def test_a_side_with_only_the_echo_of_the_other_counts_as_silent(stereo: np.ndarray) -> None:
    samples = stereo.copy()
    samples[1] = 0.02 * delayed(stereo[0], 200) + white_noise(120, level=0.0002)
    found = report(samples)
    assert (found.layout, found.active_channel) == ("one_silent", 0)


def test_a_caller_who_says_little_is_still_a_party(stereo: np.ndarray) -> None:
    samples = stereo.copy()
    samples[1, 30 * RATE :] = 0
    assert report(samples).layout == "two_party"


def test_one_channel_is_mono_and_nothing_at_all_is_silent(stereo: np.ndarray) -> None:
    assert report(stereo[:1]).layout == "mono"
    assert report(np.zeros((1, RATE * 10), np.float32)).layout == "silent"
    assert report(np.zeros((2, RATE * 10), np.float32)).layout == "silent"
    assert report(np.zeros((2, 0), np.float32)).layout == "silent"


def test_noise_holds_no_speech_and_talk_does() -> None:
    assert report(white_noise(20)[None]).speech_ms == (0,)
    talk = report(burst_talk(20)[None]).speech_ms[0]
    assert 4_000 < talk < 18_000


def test_music_on_both_sides_is_dual_mono() -> None:
    music = tune(20)
    assert report(np.stack([music, music])).layout == "dual_mono"


@pytest.mark.parametrize("piece", [37, 1000, RATE * 200])
def test_the_size_of_the_pieces_changes_nothing(stereo: np.ndarray, piece: int) -> None:
    part = stereo[:, : (3 if piece == 37 else 60) * RATE]
    assert report(part, piece) == report(part)
