"""Making a call from its script: timing, channels, the telephone line and the encoder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callcenter.demo import telephone, voice
from callcenter.demo.kokoro import SYMBOLS, phonemes
from callcenter.demo.script import (
    Agent,
    Hold,
    Line,
    Script,
    ScriptError,
    Telephone,
    Voice,
    load_cast,
    load_script,
)

RATE = telephone.RATE
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


class Tone:
    """Speech stand-in: one second of tone per line, after half a second of silence."""

    def say(self, text: str, voice: Voice) -> np.ndarray:
        seconds = np.arange(24_000) / 24_000
        hertz = 500 if voice.name == "bf_emma" else 1300
        tone = 0.3 * np.sin(2 * np.pi * hertz * seconds)
        return np.concatenate([np.zeros(12_000), tone]).astype(np.float32)


def a_script(*lines: Line | Hold, layout: str = "two_party", **line: Any) -> Script:
    return Script(
        name="a_call",
        title="A call",
        agent=Agent("ann", "Ann", "Team", Voice("bf_emma")),
        queue="Queue",
        direction="inbound",
        days_ago=1,
        time="09:00",
        customer_ref="C-1",
        external_id="X-1",
        layout=layout,
        customer=Voice("am_puck"),
        telephone=Telephone(**line),
        expect={},
        lines=lines,
    )


def test_silence_before_speech_is_no_part_of_its_span() -> None:
    signals, spoken = voice.perform(a_script(Line("agent", "Hello")), Tone())
    assert 950 <= spoken[0].end_ms - spoken[0].start_ms <= 1100
    loud = np.flatnonzero(np.abs(signals[0]) > 0.02) * 1000 / RATE
    assert abs(loud[0] - spoken[0].start_ms) < 60
    assert abs(loud[-1] - spoken[0].end_ms) < 80


def test_a_negative_pause_lets_parties_overlap_but_never_one_with_itself() -> None:
    _, spoken = voice.perform(
        a_script(Line("agent", "a"), Line("customer", "b", -400), Line("customer", "c", -800)), Tone()
    )
    assert 380 <= spoken[0].end_ms - spoken[1].start_ms <= 420
    assert spoken[2].start_ms >= spoken[1].end_ms


def test_hold_music_plays_on_the_agent_s_channel_while_nobody_speaks() -> None:
    lines = (Line("agent", "a"), Hold(4, True), Line("customer", "b", 500))
    signals, spoken = voice.perform(a_script(*lines), Tone())
    start, end = (spoken[0].end_ms + 1000) * RATE // 1000, (spoken[1].start_ms - 1500) * RATE // 1000
    assert spoken[1].start_ms - spoken[0].end_ms == pytest.approx(4500, abs=2)
    music, line = signals[0, start:end], signals[1, start:end]
    assert np.mean(music**2) > 50 * np.mean(line**2)


@pytest.mark.parametrize(("layout", "channels"), [("two_party", 2), ("mono", 1), ("dual_mono", 2)])
def test_the_layout_decides_the_channels(layout: str, channels: int) -> None:
    signals, _ = voice.perform(a_script(Line("agent", "a"), Line("customer", "b"), layout=layout), Tone())
    assert signals.shape[0] == channels
    if layout == "dual_mono":
        assert np.array_equal(signals[0], signals[1])


def test_the_same_script_gives_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for name in ("one.opus", "two.opus"):
        signals, _ = voice.perform(a_script(Line("agent", "a"), Line("customer", "b"), mulaw=True), Tone())
        voice.encode(signals, tmp_path / name, 24_000)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


def test_the_telephone_band_keeps_speech_and_drops_what_lies_outside() -> None:
    seconds = np.arange(RATE) / RATE

    def passed(hertz: float) -> float:
        tone = np.sin(2 * np.pi * hertz * seconds).astype(np.float32)
        return float(np.sqrt(np.mean(telephone.band(tone) ** 2) / np.mean(tone**2)))

    assert passed(1000) == pytest.approx(1, abs=0.01)
    assert passed(100) < 0.06
    assert passed(3800) < 0.01


def test_resampling_to_the_line_rate_keeps_a_tone_and_makes_no_alias() -> None:
    seconds = np.arange(24_000) / 24_000
    kept = telephone.to_line_rate(np.sin(2 * np.pi * 1000 * seconds).astype(np.float32), 24_000)
    gone = telephone.to_line_rate(np.sin(2 * np.pi * 6000 * seconds).astype(np.float32), 24_000)
    assert len(kept) == RATE
    assert np.sqrt(np.mean(kept**2)) == pytest.approx(2**-0.5, rel=0.01)
    # The very ends are clicks, which have every frequency.
    assert np.abs(gone[80:-80]).max() < 0.01


def test_mulaw_is_exact_to_its_eight_bits_and_never_louder() -> None:
    ramp = np.linspace(-1, 1, 2001, dtype=np.float32)
    back = telephone.mulaw(ramp)
    assert np.abs(back).max() <= 1.0
    assert np.abs(back - ramp).max() < 0.025
    assert len(np.unique(back)) <= 256


@pytest.mark.parametrize("kind", ["hiss", "hum", "street", "office"])
def test_noise_has_unit_power_and_comes_back_the_same_for_the_same_seed(kind: str) -> None:
    one, two = (telephone.noise(kind, 3 * RATE, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one, two)
    assert np.mean(one**2) == pytest.approx(1, rel=0.01)


def test_a_script_with_an_unknown_field_is_refused_with_its_file_name(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text("agent: priya.nair\ncustomer: {name: am_puck}\nlines: []\nmood: grim\n", encoding="utf-8")
    with pytest.raises(ScriptError, match=r"odd\.yaml.*mood"):
        load_script(path, load_cast())


@needs_espeak
@pytest.mark.parametrize("accent", ["en-us", "en-gb"])
def test_phonemes_keep_punctuation_and_use_only_kokoro_s_symbols(accent: str) -> None:
    spoken = phonemes("Oh, hello there! Is the water meter on the button? Fire, hour, going, little.", accent)
    assert set(spoken) <= set(SYMBOLS)
    assert [mark for mark in spoken if mark in ",!?."] == list(",!?,,,.")


@needs_espeak
def test_accents_differ_where_they_should() -> None:
    assert "ɹ" in phonemes("car", "en-us")
    assert "ɹ" not in phonemes("car", "en-gb")
    assert "Q" in phonemes("go", "en-gb")
    assert "O" in phonemes("go", "en-us")
