"""Networks without weights: a sound's level says who speaks, and the level is the voice."""

from __future__ import annotations

import numpy as np

from asr_worker.diarization.windows import FIRST_CENTRE, FRAME_SAMPLES, SAMPLE_RATE, WINDOW_FRAMES

LEVELS = {"quiet": 0.2, "middle": 0.5, "loud": 0.8}


def speech(*parts: tuple[str | None, float]) -> np.ndarray:
    """Return samples: each part is (a level's name or None for silence, seconds)."""
    pieces = [np.full(int(seconds * SAMPLE_RATE), LEVELS.get(name or "", 0.0), np.float32) for name, seconds in parts]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


class LevelNetworks:
    """Hears each level as a speaker; local speakers are numbered by first appearance, as a real network would."""

    def __init__(self) -> None:
        self.windows = 0
        self.trunk_steps = 0

    def segment(self, windows: np.ndarray) -> np.ndarray:
        self.windows += len(windows)
        out = np.zeros((len(windows), WINDOW_FRAMES, 7), np.float32)
        at = FIRST_CENTRE + np.arange(WINDOW_FRAMES) * FRAME_SAMPLES
        for row, window in enumerate(windows):
            heard: dict[float, int] = {}
            for frame, level in enumerate(np.round(window[at], 2)):
                local = heard.setdefault(float(level), len(heard)) if level else None
                out[row, frame, 0 if local is None else 1 + local] = 1.0
        return out

    def filterbank(self, audio: np.ndarray) -> np.ndarray:
        frames = 1 + (len(audio) - 400) // 160
        return np.repeat(audio[np.arange(frames) * 160 + 200][:, None], 80, axis=1)

    def trunk(self, features: np.ndarray) -> np.ndarray:
        self.trunk_steps += -(-len(features) // 8)
        return np.repeat(features[::8, :1], 2560, axis=1)

    def project(self, statistics: np.ndarray) -> np.ndarray:
        """Put each level on an axis of its own; the mean is taken off, so what counts is the order of levels."""
        value = statistics[:, 0]
        angle = (value - value.min()) / max(float(np.ptp(value)), 1e-6) if np.ptp(value) > 0.05 else value * 0
        out = np.zeros((len(statistics), 256), np.float32)
        out[:, 0], out[:, 1] = np.cos(angle * np.pi / 2), np.sin(angle * np.pi / 2)
        return out
