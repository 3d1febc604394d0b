"""Every change of a training clip can be heard: what it did is measured in the sound itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_worker.training import augment, telephony
from asr_worker.training.augment import RATE, Augmenter
from asr_worker.training.config import AugmentConfig

ALL = AugmentConfig(noise=1.0, telephone=1.0, codec=1.0, speed=1.0, gain=1.0, room=1.0)


def _speechlike(seconds: float = 3.0, seed: int = 0) -> np.ndarray:
    """Buzz through three resonances in syllables with pauses: the spectrum and the rhythm of speech, no words."""
    rng = np.random.default_rng(seed)
    at = np.arange(int(seconds * RATE)) / RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * at)
    buzz = np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / RATE)) + 0.2 * rng.standard_normal(len(at))
    spectrum, hertz = np.fft.rfft(buzz), np.fft.rfftfreq(len(at), 1 / RATE)
    shape = sum(np.exp(-(((hertz - f) / 200) ** 2)) for f in (500, 1500, 2600, 5500))
    voice = np.fft.irfft(spectrum * (shape + 0.02), len(at)) * (np.sin(2 * np.pi * 2.5 * at) > -0.4)
    return (0.2 * voice / np.abs(voice).max()).astype(np.float32)


def _db(ratio: float) -> float:
    return 10 * float(np.log10(ratio))


def _share_between(audio: np.ndarray, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(audio)) ** 2
    hertz = np.fft.rfftfreq(len(audio), 1 / RATE)
    return float(power[(hertz >= low) & (hertz < high)].sum() / power.sum())


SPEECH = _speechlike()


@pytest.mark.parametrize("kind", ["white", "pink", "babble", "hum"])
@pytest.mark.parametrize("snr", [0.0, 10.0, 20.0])
def test_noise_lies_the_drawn_decibels_below_the_speech(kind: str, snr: float) -> None:
    rng = np.random.default_rng(3)
    sound = augment.babble(SPEECH, [], rng) if kind == "babble" else augment.noise(kind, len(SPEECH), rng)
    added = augment.add_noise(SPEECH, sound, snr) - SPEECH
    loud = SPEECH.reshape(-1, 320)
    loud = loud[np.abs(loud).max(axis=1) > 0.02]
    assert abs(_db(np.square(loud).mean() / np.square(added).mean()) - snr) < 1.0


def test_the_augmenter_keeps_to_the_range_of_the_noise() -> None:
    found = []
    for key in range(40):
        config = AugmentConfig(noise=1.0, noise_snr_db=(5.0, 8.0))
        added = Augmenter(config, 1)(SPEECH, str(key)) - SPEECH
        found.append(_db(augment.active_power(SPEECH) / float(np.square(added).mean())))
    assert min(found) > 4.0 and max(found) < 9.0 and max(found) - min(found) > 1.5


def test_the_noises_have_their_colours() -> None:
    rng = np.random.default_rng(0)
    white, pink, hum = (augment.noise(kind, 20 * RATE, rng) for kind in ("white", "pink", "hum"))
    assert abs(_share_between(white, 0, 4000) - 0.5) < 0.02
    octaves = [_share_between(pink, low, 2 * low) for low in (100, 400, 1600)]
    assert max(octaves) / min(octaves) < 1.2
    assert _share_between(hum, 0, 800) > 0.99
    with pytest.raises(ValueError, match="no noise"):
        augment.noise("brown", 10, rng)


def test_babble_is_made_of_the_other_clips_where_there_are_any() -> None:
    tone = np.sin(2 * np.pi * 3000 * np.arange(2 * RATE) / RATE).astype(np.float32)
    made = augment.babble(SPEECH, [tone], np.random.default_rng(0))
    assert len(made) == len(SPEECH) and _share_between(made, 2900, 3100) > 0.9
    own = augment.babble(SPEECH, [], np.random.default_rng(0))
    assert _share_between(own, 2900, 3100) < 0.2
    # Nothing of the clip itself stands at its own place: the words cannot be heard twice.
    assert abs(float(np.corrcoef(own, SPEECH)[0, 1])) < 0.1


def test_the_telephone_band_leaves_nothing_outside_and_the_middle_as_it_was() -> None:
    white = augment.noise("white", 4 * RATE, np.random.default_rng(0))
    heard = telephony.band(white)
    assert _share_between(heard, 0, 140) < 1e-5 and _share_between(heard, 3560, 8000) < 1e-5
    inside = (
        np.square(np.abs(np.fft.rfft(heard)[2000:13000])).sum()
        / np.square(np.abs(np.fft.rfft(white)[2000:13000])).sum()
    )
    assert abs(_db(inside)) < 0.1


CODECS: list[Any] = [
    ("mu", telephony.g711, 25.0, 60.0),
    ("a", lambda audio: telephony.g711(audio, "a"), 25.0, 60.0),
    ("gsm", telephony.gsm, 4.0, 20.0),
    ("gsm with half the steps", lambda audio: telephony.gsm(audio, levels=4), 2.0, 18.0),
]


@pytest.mark.parametrize(("name", "codec", "least", "most"), CODECS, ids=[c[0] for c in CODECS])
def test_a_codec_costs_what_it_should_and_keeps_time(name: str, codec: Any, least: float, most: float) -> None:
    heard, line = codec(SPEECH), telephony._from_line(telephony._to_line(SPEECH), len(SPEECH))
    assert len(heard) == len(SPEECH) and heard.dtype == np.float32
    assert _share_between(heard, 4100, 8000) < 1e-4 < _share_between(SPEECH, 4100, 8000)
    assert least < _db(np.square(line).sum() / np.square(line - heard).sum()) < most
    shift = int(np.argmax(np.correlate(heard, SPEECH[400:-400], "valid"))) - 400
    assert abs(shift) <= 8


@pytest.mark.skipif(not telephony.has_amr(), reason="this media library cannot code AMR narrow band")
def test_the_real_amr_codes_better_with_more_bits_and_keeps_time() -> None:
    line = telephony._from_line(telephony._to_line(SPEECH), len(SPEECH))
    quality = []
    for rate in (4750, 12200):
        heard = telephony.amr(SPEECH, rate)
        assert len(heard) == len(SPEECH) and _share_between(heard, 4100, 8000) < 1e-4
        shift = int(np.argmax(np.correlate(heard, SPEECH[400:-400], "valid"))) - 400
        assert abs(shift) <= 8
        quality.append(_db(np.square(line).sum() / np.square(line - heard).sum()))
    assert 0 < quality[0] < quality[1]


def test_where_amr_cannot_be_coded_the_model_of_gsm_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telephony, "has_amr", lambda: False)
    heard = augment.through_codec(SPEECH, "amr-like", np.random.default_rng(0))
    np.testing.assert_array_equal(heard, telephony.gsm(SPEECH, levels=4))


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_speed_changes_the_duration_and_the_pitch(factor: float) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    heard = augment.change_speed(tone, factor)
    assert abs(len(tone) / len(heard) - factor) < 0.001
    peak = int(np.argmax(np.abs(np.fft.rfft(heard)))) * RATE / len(heard)
    assert abs(peak - 1000 * factor) < 3


def test_gain_is_heard_in_decibels_and_never_leaves_the_scale() -> None:
    for gain in (-10.0, -3.0, 6.0):
        heard = augment.change_level(SPEECH, gain)
        assert abs(_db(np.square(heard).sum() / np.square(SPEECH).sum()) - gain) < 0.1
    assert np.abs(augment.change_level(SPEECH, 40.0)).max() == 1.0


@pytest.mark.parametrize("seconds", [0.2, 0.5])
def test_a_room_decays_in_its_time(seconds: float) -> None:
    response = augment.room_response(seconds, np.random.default_rng(0), direct_db=0.0)
    # Backward integration (Schroeder 1965), read between -5 and -25 dB and drawn out to -60.
    tail = response[RATE // 400 :].astype(np.float64)
    curve = 10 * np.log10(np.cumsum(np.square(tail)[::-1])[::-1] / np.square(tail).sum())
    fall = (np.argmax(curve < -25) - np.argmax(curve < -5)) / RATE
    assert abs(3 * fall / seconds - 1) < 0.15


def test_in_a_room_a_click_rings_on_in_time_and_as_loud() -> None:
    click = np.zeros(RATE, np.float32)
    click[1000] = 0.5
    heard = augment.in_room(click, 0.4, np.random.default_rng(2))
    assert len(heard) == len(click) and int(np.argmax(np.abs(heard))) == 1000
    early, late = np.square(heard[1040:4000]).sum(), np.square(heard[5000:8000]).sum()
    assert early > 10 * late > 0 and np.abs(heard[:990]).max() < 1e-6
    loud = augment.in_room(SPEECH, 0.4, np.random.default_rng(2))
    assert abs(_db(augment.active_power(loud) / augment.active_power(SPEECH))) < 0.1


def test_spec_augment_masks_a_share_of_time_and_of_frequency_and_leaves_the_rest() -> None:
    features = np.random.default_rng(0).standard_normal((300, 80)).astype(np.float32)
    before = features.copy()
    shares = []
    for seed in range(200):
        made = augment.spec_augment(features, np.random.default_rng(seed))
        changed = made != features
        rows, columns = changed.all(axis=1), changed.all(axis=0)
        assert rows.sum() <= 30 and columns.sum() <= 24
        assert not (changed & ~rows[:, None] & ~columns[None]).any()
        shares.append(changed.mean())
    np.testing.assert_array_equal(features, before)
    # Two masks each, uniform up to 5 % of the frames and 15 % of the mels: about 5 + 15 % less overlaps, halved.
    assert 0.15 < float(np.mean(shares)) < 0.21


def test_spec_augment_bears_clips_of_no_frames_and_of_one() -> None:
    for frames in (0, 1):
        features = np.ones((frames, 80), np.float32)
        assert augment.spec_augment(features, np.random.default_rng(0)).shape == features.shape


def test_the_same_seed_and_key_change_a_clip_the_same_way_and_others_do_not() -> None:
    plain = Augmenter(ALL, 7)(SPEECH, "a/1")
    np.testing.assert_array_equal(Augmenter(ALL, 7)(SPEECH, "a/1"), plain)
    for other in (Augmenter(ALL, 7)(SPEECH, "a/2"), Augmenter(ALL, 8)(SPEECH, "a/1")):
        assert len(other) != len(plain) or not np.allclose(other, plain)


def test_one_change_more_leaves_what_the_others_drew() -> None:
    alone = Augmenter(AugmentConfig(noise=1.0), 7)(SPEECH, "k")
    both = Augmenter(AugmentConfig(noise=1.0, gain=1.0, gain_db=(-6.0, -6.0)), 7)(SPEECH, "k")
    np.testing.assert_allclose(both, alone * 10 ** (-6 / 20), rtol=1e-4, atol=1e-6)


def test_a_chance_of_a_half_changes_about_half_the_clips() -> None:
    half = Augmenter(AugmentConfig(gain=0.5, gain_db=(-3.0, -3.0)), 0)
    changed = sum(not np.array_equal(half(SPEECH[:800], str(k)), SPEECH[:800]) for k in range(400))
    assert 160 < changed < 240


def test_nothing_configured_leaves_the_clip_alone_and_the_input_is_never_written_to() -> None:
    np.testing.assert_array_equal(Augmenter(AugmentConfig(), 0)(SPEECH, "k"), SPEECH)
    before = SPEECH.copy()
    Augmenter(ALL, 0)(SPEECH, "k")
    np.testing.assert_array_equal(SPEECH, before)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 4000), st.integers(0, 5), st.sampled_from(telephony.AMR_BIT_RATES), st.booleans())
def test_any_clip_comes_back_finite_however_short(samples: int, seed: int, rate: int, silent: bool) -> None:
    audio = np.zeros(samples, np.float32) if silent else _speechlike(0.25)[:samples]
    heard = Augmenter(replace(ALL, speed=0.0), seed)(audio, str(rate))
    assert len(heard) == len(audio) and heard.dtype == np.float32 and np.isfinite(heard).all()


def test_an_unknown_codec_is_named_before_any_work() -> None:
    with pytest.raises(ValueError, match="no codec called 'opus'"):
        Augmenter(AugmentConfig(codec=1.0, codecs=("opus",)), 0)
