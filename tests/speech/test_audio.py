from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tracemalloc
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_worker import audio
from asr_worker.types import AudioInfo, BadAudio
from tests.speech.sounds import burst_talk, encoded, long_mulaw_wav, wav, white_noise


def refusal(path: Path, **options: int) -> BadAudio:
    with pytest.raises(BadAudio) as caught:
        audio.probe(path, **options)
    assert caught.value.permanent
    assert caught.value.message.endswith(".")
    return caught.value


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"])
def test_every_kind_of_wav_is_decoded_to_16_khz(tmp_path: Path, subtype: str) -> None:
    talk = burst_talk(2.0)
    path = wav(tmp_path / "a.wav", talk, subtype=subtype)
    info = audio.probe(path)
    assert (info.duration_ms, info.sample_rate, info.channels, info.container) == (2000, 8000, 1, "wav")
    samples = audio.decode(path)
    assert samples.dtype == np.float32
    assert samples.shape == (1, 32000)
    back = samples[0, ::2]
    assert np.corrcoef(back, talk)[0, 1] > 0.97


@pytest.mark.parametrize(
    ("codec", "container"),
    [("flac", "flac"), ("libmp3lame", "mp3"), ("libopus", "ogg"), ("aac", "mp4"), ("libopus", "webm")],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_compressed_formats_are_decoded_with_their_channels(
    tmp_path: Path, codec: str, container: str, channels: int
) -> None:
    talk = np.stack([burst_talk(3.0, rate=48000, seed=s) for s in range(channels)])
    path = encoded(tmp_path / "recording", talk, codec=codec, container=container, rate=48000)
    info = audio.probe(path)
    assert info.channels == channels
    assert info.duration_ms == pytest.approx(3000, abs=80)
    samples = audio.decode(path)
    assert samples.shape[0] == channels
    assert samples.shape[1] == pytest.approx(48000, abs=1300)
    assert 0.01 < float(np.abs(samples).max()) <= 1.0


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000])
def test_sample_rates_up_to_192_khz_are_accepted(tmp_path: Path, rate: int) -> None:
    path = wav(tmp_path / "a.wav", burst_talk(1.0, rate=rate), rate=rate)
    assert audio.probe(path).duration_ms == 1000
    assert audio.decode(path).shape[1] == pytest.approx(16000, abs=40)


def test_the_facts_name_the_bytes_and_survive_json(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", np.stack([burst_talk(5, seed=1), burst_talk(5, seed=2)]))
    info = audio.probe(path)
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert info.peaks_per_second == 20
    assert [len(row) for row in info.peaks] == [100, 100]
    assert all(0 <= v <= 100 for row in info.peaks for v in row)
    assert max(info.peaks[0]) > 5
    assert audio.info_from_json(json.loads(json.dumps(asdict(info)))) == info


def test_streamed_windows_put_together_are_the_decoded_recording(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", np.stack([burst_talk(25, seed=1), burst_talk(25, seed=2)]))
    windows = list(audio.stream(path, seconds=4))
    assert [start for start, _ in windows] == [i * 64000 for i in range(7)]
    assert [w.shape[1] for _, w in windows] == [64000] * 6 + [16000]
    assert np.array_equal(np.concatenate([w for _, w in windows], axis=1), audio.decode(path))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    assert refusal(tmp_path / "a.wav").code == "empty_file"


def test_a_recording_of_zero_seconds_is_refused(tmp_path: Path) -> None:
    error = refusal(wav(tmp_path / "a.wav", np.zeros(0, np.float32)))
    assert error.code == "no_audio"
    assert "0 seconds" in error.message


def test_text_with_an_audio_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("Dear Sir or Madam,\nplease find enclosed\n" * 20)
    assert "text, not audio" in refusal(tmp_path / "a.wav").message


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
    ],
)
def test_a_playlist_cannot_make_the_decoder_open_another_file(tmp_path: Path, text: str) -> None:
    other = wav(tmp_path / "secret.wav", burst_talk(1))
    (tmp_path / "a.wav").write_text(text.format(other))
    assert refusal(tmp_path / "a.wav").code == "not_audio"


def test_random_bytes_and_an_archive_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(np.random.default_rng(0).bytes(40_000))
    refusal(tmp_path / "a.mp3")
    (tmp_path / "b.wav").write_bytes(b"PK\x03\x04" + bytes(2000))
    assert "archive" in refusal(tmp_path / "b.wav").message


def test_a_truncated_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    for kind in ("WAV", "FLAC"):
        path = tmp_path / "a"
        soundfile.write(path, white_noise(20), 8000, format=kind)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        error = refusal(path)
        assert error.code == "truncated"
        assert "20 s" in error.message
        assert any(found in error.message for found in ("only 10", "only 9"))


def test_a_file_cut_inside_its_header_is_refused(tmp_path: Path) -> None:
    whole = wav(tmp_path / "a.wav", white_noise(2)).read_bytes()
    for length in (10, 30, 44):
        (tmp_path / "cut.wav").write_bytes(whole[:length])
        refusal(tmp_path / "cut.wav")


def test_a_streamed_wav_whose_writer_knew_no_length_is_accepted(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", burst_talk(2))
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    data[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    data[4:8] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert audio.probe(path).duration_ms == 2000


def test_an_mp3_cut_in_the_middle_is_accepted_with_a_warning(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp3", burst_talk(20, rate=16000), codec="libmp3lame", container="mp3")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    info = audio.probe(path)
    assert 8000 < info.duration_ms < 12000
    assert any("cut short" in w for w in info.warnings)


def test_seven_channels_are_refused_by_number(tmp_path: Path) -> None:
    error = refusal(wav(tmp_path / "a.wav", np.stack([white_noise(1)] * 7)))
    assert "7 channels" in error.message


def test_a_recording_over_the_limit_is_refused_with_both_lengths(tmp_path: Path) -> None:
    error = refusal(wav(tmp_path / "a.wav", burst_talk(90)), max_duration_ms=60_000)
    assert error.code == "too_long"
    assert "1 min 30 s" in error.message
    assert "1 min 00 s" in error.message


def test_not_a_number_in_a_float_wav_does_not_spread(tmp_path: Path) -> None:
    talk = burst_talk(2)
    talk[100:110] = np.nan
    talk[200] = np.inf
    path = wav(tmp_path / "a.wav", talk, subtype="FLOAT")
    assert audio.probe(path).duration_ms == 2000
    assert np.isfinite(audio.decode(path)).all()


def test_pure_silence_is_a_silent_recording_and_no_error(tmp_path: Path) -> None:
    info = audio.probe(wav(tmp_path / "a.wav", np.zeros((2, 80_000), np.float32)))
    assert info.report.layout == "silent"
    assert info.report.speech_ms == (0, 0)


def _probe_memory(path: Path) -> int:
    tracemalloc.start()
    audio.probe(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_length_of_the_recording(tmp_path: Path) -> None:
    short = _probe_memory(long_mulaw_wav(tmp_path / "short.wav", 5 * 60))
    long = _probe_memory(long_mulaw_wav(tmp_path / "long.wav", 40 * 60))
    assert long < short + 4_000_000


@pytest.mark.slow
def test_six_hours_are_probed_in_bounded_memory(tmp_path: Path) -> None:
    path = long_mulaw_wav(tmp_path / "six.wav", 6 * 3600)
    code = (
        "import resource, sys; from asr_worker import audio;"
        "base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; info = audio.probe(sys.argv[1]);"
        "print(info.duration_ms, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    duration_ms, grown_mib = map(int, done.stdout.split())
    assert duration_ms == 6 * 3600 * 1000
    assert grown_mib < 150


def test_probing_imports_no_torch(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", burst_talk(1))
    code = (
        "import sys; from asr_worker import audio, pipeline, storage; audio.probe(sys.argv[1]);"
        "print([m for m in ('torch', 'transformers', 'ctranslate2', 'onnxruntime', 'django') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_audio_info_is_what_the_contract_says(tmp_path: Path) -> None:
    assert isinstance(audio.probe(wav(tmp_path / "a.wav", burst_talk(1))), AudioInfo)
