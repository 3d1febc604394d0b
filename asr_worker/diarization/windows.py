"""The geometry of the segmentation model: which frame of which window is which moment of the recording.

The model reads windows of ten seconds and answers one frame per 270 samples. The hop between windows is a whole
number of frames, so frames of overlapping windows fall on one common grid and can be averaged without rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAMPLE_RATE = 16_000
WINDOW_SAMPLES = 160_000
FRAME_SAMPLES = 270
WINDOW_FRAMES = 589
FIRST_CENTRE = 495  # samples: the receptive field of frame 0 is 991 samples wide
LOCAL_SPEAKERS = 3

# The seven classes of the model's output: silence, one of three speakers, two of three speakers.
CLASSES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
_MEMBERSHIP = np.array([[float(k in c) for k in range(LOCAL_SPEAKERS)] for c in CLASSES], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """Windows over `samples` samples, one every `hop_frames` frames; the last one may reach past the end."""

    samples: int
    hop_frames: int

    @property
    def count(self) -> int:
        """Number of windows: every sample is covered, and there is always at least one window."""
        hop = self.hop_frames * FRAME_SAMPLES
        return 1 + max(0, -(-(self.samples - WINDOW_SAMPLES) // hop))

    @property
    def frames(self) -> int:
        """Number of frames on the common grid, those past the end of the recording included."""
        return (self.count - 1) * self.hop_frames + WINDOW_FRAMES

    def start_sample(self, window: int) -> int:
        return window * self.hop_frames * FRAME_SAMPLES

    def cut(self, audio: np.ndarray, window: int) -> np.ndarray:
        """Return the window's 160000 samples as float32, zeros after the end of the recording."""
        start = self.start_sample(window)
        piece = np.asarray(audio[start : start + WINDOW_SAMPLES], dtype=np.float32)
        if len(piece) < WINDOW_SAMPLES:
            piece = np.pad(piece, (0, WINDOW_SAMPLES - len(piece)))
        return piece


def frame_ms(frame: int | float) -> float:
    """Return the moment, in ms, of the middle of `frame` on the common grid.

    A run of active frames is said to last from the middle of its first frame to the middle of the first silent one,
    which is how the labels that the model learnt from were laid on frames.
    """
    return (FIRST_CENTRE + frame * FRAME_SAMPLES) * 1000.0 / SAMPLE_RATE


def marginals(probabilities: np.ndarray) -> np.ndarray:
    """Return (..., 3): the probability that each local speaker is active, alone or with another.

    `probabilities` is (..., 7), the model's classes after softmax.
    """
    return probabilities @ _MEMBERSHIP


def alone(probabilities: np.ndarray) -> np.ndarray:
    """Return (..., 3): the probability that each local speaker is the only one active."""
    return probabilities[..., 1:4]


def harden(probabilities: np.ndarray) -> np.ndarray:
    """Return (..., 3) of 0 and 1: the speakers of the most probable class."""
    return _MEMBERSHIP[np.argmax(probabilities, axis=-1)]
