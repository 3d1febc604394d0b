"""Training clips made to sound like other rooms, lines and speakers, so that a model hears through them.

Everything is drawn from (seed, key), so a clip changes the same way each time it is asked for, on any machine with
the same media library. Audio is float32 [samples] at 16 kHz; silence and empty clips come back as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from asr_worker.training import telephony
from asr_worker.training.config import AugmentConfig

RATE = 16_000
CODECS = ("g711", "gsm", "amr-like")
NOISES = ("white", "pink", "babble", "hum")
ROOM_SECONDS = (0.15, 0.6)
_ACTIVE = 10 ** (-30 / 10)


class Augmenter:
    """Changes clips as a configuration says; `voices` are other clips that babble is mixed from.

    Without voices babble is made from the clip itself, cut up and turned round: the same spectrum, no words.
    """

    def __init__(self, config: AugmentConfig, seed: int, voices: Sequence[np.ndarray] = ()) -> None:
        unknown = set(config.codecs) - set(CODECS)
        if unknown:
            raise ValueError(f"no codec called {sorted(unknown)[0]!r}; known: {', '.join(CODECS)}")
        self.config, self.seed, self.voices = config, seed, tuple(voices)

    def __call__(self, audio: np.ndarray, key: str) -> np.ndarray:
        """Return the clip changed as (seed, key) draws; its length differs only where the speed does."""
        config, out = self.config, np.asarray(audio, np.float32)
        if not len(out) or not out.any():
            return out
        # Every change has its own stream, so switching one on does not change what the others draw.
        if self._drawn("speed", key, config.speed):
            out = change_speed(out, self._rng("speed-by", key).uniform(*config.speed_range))
        if self._drawn("room", key, config.room):
            rng = self._rng("room-of", key)
            out = in_room(out, float(rng.uniform(*ROOM_SECONDS)), rng)
        if self._drawn("noise", key, config.noise):
            rng = self._rng("noise-of", key)
            kind, snr = NOISES[int(rng.integers(len(NOISES)))], rng.uniform(*config.noise_snr_db)
            made = babble(out, self.voices, rng) if kind == "babble" else noise(kind, len(out), rng)
            out = add_noise(out, made, float(snr))
        if self._drawn("gain", key, config.gain):
            out = change_level(out, self._rng("gain-by", key).uniform(*config.gain_db))
        if self._drawn("telephone", key, config.telephone):
            out = telephony.band(out)
        if config.codecs and self._drawn("codec", key, config.codec):
            rng = self._rng("codec-of", key)
            out = through_codec(out, config.codecs[int(rng.integers(len(config.codecs)))], rng)
        return out.astype(np.float32)

    def _drawn(self, name: str, key: str, chance: float) -> bool:
        return chance > 0 and self._rng(name, key).random() < chance

    def _rng(self, name: str, key: str) -> np.random.Generator:
        digest = hashlib.sha256(f"{self.seed}|{name}|{key}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))


# --- noise ---------------------------------------------------------------------------------------------


def active_power(audio: np.ndarray) -> float:
    """Return the mean square of the 20 ms frames within 30 dB of the loudest one: of the speech, not its pauses."""
    frame = RATE // 50
    if len(audio) < frame:
        return float(np.square(audio, dtype=np.float64).mean()) if len(audio) else 0.0
    frames = audio[: len(audio) // frame * frame].reshape(-1, frame)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    return float(power[power >= power.max() * _ACTIVE].mean())


def add_noise(audio: np.ndarray, sound: np.ndarray, snr_db: float) -> np.ndarray:
    """Return the audio with the sound under it, `snr_db` below the active speech."""
    power = float(np.square(sound, dtype=np.float64).mean())
    if power <= 0:
        return audio
    scale = np.sqrt(active_power(audio) / power / 10 ** (snr_db / 10))
    return (audio + scale * sound).astype(np.float32)


def noise(kind: str, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise float32 [samples]: `white`, `pink` (equal power per octave) or `hum` (mains, with harmonics)."""
    if kind == "hum":
        seconds = np.arange(samples) / RATE
        mains = float(rng.choice([50.0, 60.0]))
        strengths, phases = rng.uniform(0.2, 1.0, 12) / np.arange(1, 13), rng.uniform(0, 2 * np.pi, 12)
        total = np.zeros(samples)
        for n in range(12):
            total += strengths[n] * np.sin(2 * np.pi * mains * (n + 1) * seconds + phases[n])
        return total.astype(np.float32)
    white = rng.standard_normal(samples)
    if kind == "white":
        return white.astype(np.float32)
    if kind == "pink":
        hertz = np.fft.rfftfreq(samples, 1 / RATE)
        return np.fft.irfft(np.fft.rfft(white) / np.sqrt(np.maximum(hertz, 20.0)), samples).astype(np.float32)
    raise ValueError(f"no noise called {kind!r}; known: white, pink, hum")


def babble(audio: np.ndarray, voices: Sequence[np.ndarray], rng: np.random.Generator, *, crowd: int = 6) -> np.ndarray:
    """Return float32 [as many samples]: `crowd` voices at once, from other clips, else pieces of this one reversed."""
    usable = [voice for voice in voices if len(voice) and np.any(voice)]
    total = np.zeros(len(audio), np.float64)
    for _ in range(crowd):
        if usable:
            voice = usable[int(rng.integers(len(usable)))]
        else:
            voice = audio[::-1]
        turned = np.roll(voice, int(rng.integers(len(voice))))
        power = np.sqrt(active_power(turned)) or 1.0
        total += np.resize(turned, len(audio)) / power
    return total.astype(np.float32)


# --- rooms, levels, speed, lines -----------------------------------------------------------------------


def room_response(seconds: float, rng: np.random.Generator, *, direct_db: float = 6.0) -> np.ndarray:
    """Return an impulse response: the direct sound, then noise that falls by 60 dB within `seconds` (RT60).

    `direct_db` is by how much the direct sound is stronger than all that follows. The decaying-noise model of a
    diffuse field (Polack 1988) needs no room and no recordings.
    """
    samples = max(2, int(1.2 * seconds * RATE))
    tail = rng.standard_normal(samples) * 10 ** (-3 * np.arange(samples) / RATE / seconds)
    tail[: RATE // 400] = 0.0  # the first reflections come a few milliseconds late
    made = tail / max(np.sqrt(np.square(tail).sum()), 1e-12) * 10 ** (-direct_db / 20)
    made[0] = 1.0
    return made.astype(np.float32)


def in_room(audio: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return the audio as heard in a room with that reverberation time, in time, as long and as loud as before."""
    response = room_response(seconds, rng, direct_db=float(rng.uniform(0.0, 10.0)))
    size = len(audio) + len(response)
    wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)[: len(audio)]
    before, after = active_power(audio), active_power(wet)
    return (wet * np.sqrt(before / after) if after > 0 else wet).astype(np.float32)


def change_level(audio: np.ndarray, gain_db: float) -> np.ndarray:
    """Return the audio louder by so many decibels; what is then too loud for a recording is cut off, as in one."""
    return np.clip(audio * 10 ** (gain_db / 20), -1.0, 1.0).astype(np.float32)


def change_speed(audio: np.ndarray, factor: float) -> np.ndarray:
    """Return the audio `factor` times as fast, the pitch with it (Ko et al. 2015); 1.1 is a tenth shorter or so."""
    import soxr

    return soxr.resample(np.asarray(audio, np.float32), RATE * factor, RATE).astype(np.float32)


def through_codec(audio: np.ndarray, codec: str, rng: np.random.Generator) -> np.ndarray:
    """Return the audio after a telephone codec; laws and bit rates are drawn. Raises ValueError for an unknown one.

    `amr-like` is AMR narrow band itself where the media library can code it, and otherwise the model of GSM with
    half its pulse steps.
    """
    if codec == "g711":
        return telephony.g711(audio, "mu" if rng.random() < 0.5 else "a")
    if codec == "gsm":
        return telephony.gsm(audio)
    if codec == "amr-like":
        rate = telephony.AMR_BIT_RATES[int(rng.integers(len(telephony.AMR_BIT_RATES)))]
        return telephony.amr(audio, rate) if telephony.has_amr() else telephony.gsm(audio, levels=4)
    raise ValueError(f"no codec called {codec!r}; known: {', '.join(CODECS)}")


# --- features ------------------------------------------------------------------------------------------


def spec_augment(
    features: np.ndarray,
    rng: np.random.Generator,
    *,
    time_masks: int = 2,
    time_share: float = 0.05,
    mel_masks: int = 2,
    mel_share: float = 0.15,
) -> np.ndarray:
    """Return features [frames, mels] with bands of time and of frequency replaced by the mean (Park et al. 2019).

    Each mask is up to its share of the frames or mels wide. The input stays as it was.
    """
    out = np.array(features, copy=True)
    if not out.size:
        return out
    frames, mels = out.shape
    mean = out.mean()
    for count, size, share, across in ((time_masks, frames, time_share, 0), (mel_masks, mels, mel_share, 1)):
        for _ in range(count):
            width = int(rng.integers(0, int(share * size) + 1))
            start = int(rng.integers(0, size - width + 1))
            out[
                (slice(start, start + width), slice(None))
                if across == 0
                else (slice(None), slice(start, start + width))
            ] = mean
    return out
