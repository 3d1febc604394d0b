"""Looks at the channels of a recording before any model runs, and says how the parties sit on them.

Two channels with different speech are the cheapest accuracy there is: one party each and no diarization. So two
mistakes must not happen: taking a doubled mono mix for two parties (every word appears twice) and taking two
parties with some echo between the channels for a doubled mix (the sides are thrown together). Both kinds of file
show a high correlation in short windows, since an echo is a copy too; what tells them apart is that in a doubled
mix the level difference between the channels never changes. The signal is fed in pieces, so memory stays small
for recordings of any length.
"""

from __future__ import annotations

import numpy as np

from asr_worker.types import ChannelReport, Layout

RATE = 8000
FRAME = 160  # 20 ms
_BLOCK = 32768  # about 4 s, the window of one cross-correlation
_MAX_LAG = 1600  # 200 ms either way
_DENSE_BLOCKS = 75  # the first five minutes are looked at whole, later ones one block in eight
_FLOOR_DB = -90.0
_DEAD_DB = -65.0  # nothing on the channel is louder
_SPEECH_ABOVE_FLOOR_DB = 9.0
_LEAK_DB = 18.0  # a frame this much below the other channel is the other party's echo
_COPY_DB = 24.0  # a copy this much quieter is an echo, not the second half of a doubled mix
_SAME_CORRELATION = 0.75
_SAME_LEVEL_DB = 6.0
_SAME_SHARE = 0.85
_MIN_SPEECH_MS = 300


class ChannelAnalyser:
    """Collects evidence from consecutive pieces of shape [channels, samples] at 8 kHz; `report()` concludes."""

    def __init__(self, channels: int) -> None:
        if channels not in (1, 2):
            raise ValueError(f"{channels} channels")
        self.channels = channels
        self._rest = np.zeros((channels, 0), np.float32)
        self._levels: list[np.ndarray] = []
        self._cross = np.zeros(2 * _MAX_LAG + 1)
        self._energy = np.zeros(channels)
        self._pending = np.zeros((channels, 0), np.float32)
        self._blocks = 0

    def add(self, piece: np.ndarray) -> None:
        """Take the next samples, float in [-1, 1], any length."""
        data = np.concatenate((self._rest, piece), axis=1) if self._rest.shape[1] else piece
        whole = data.shape[1] // FRAME * FRAME
        self._rest = data[:, whole:].copy()
        if whole:
            frames = data[:, :whole].reshape(self.channels, -1, FRAME)
            power = np.einsum("cfs,cfs->cf", frames, frames, dtype=np.float64) / FRAME
            self._levels.append((10 * np.log10(power + 10 ** (_FLOOR_DB / 10))).astype(np.float32))
        if self.channels == 2:
            self._pending = np.concatenate((self._pending, piece), axis=1)
            while self._pending.shape[1] >= _BLOCK:
                self._correlate(self._pending[:, :_BLOCK])
                self._pending = self._pending[:, _BLOCK:]

    def _correlate(self, block: np.ndarray) -> None:
        """Add one block's cross-correlation over the allowed lags to the sum over the recording.

        Summing before normalising lets each block count by its energy, at one lag common to all of them: an echo
        of one party is then weighed against the whole energy of the other.
        """
        self._blocks += 1
        if self._blocks > _DENSE_BLOCKS and self._blocks % 8:
            return
        block = block - block.mean(axis=1, keepdims=True)
        left, right = (np.fft.rfft(c, 2 * _BLOCK) for c in block)
        full = np.fft.irfft(left * np.conj(right))
        self._cross += np.concatenate((full[-_MAX_LAG:], full[: _MAX_LAG + 1]))
        self._energy += np.square(block, dtype=np.float64).sum(axis=1)

    def correlation(self) -> float:
        """Return the strongest correlation between the channels over lags of up to 200 ms, 0..1; 1.0 for mono."""
        if self.channels == 1:
            return 1.0
        if self._pending.shape[1] > FRAME:
            padded = np.zeros((2, _BLOCK), np.float32)
            padded[:, : self._pending.shape[1]] = self._pending
            self._correlate(padded)
            self._pending = np.zeros((2, 0), np.float32)
        scale = float(np.sqrt(self._energy[0] * self._energy[1]))
        return min(1.0, float(np.abs(self._cross).max()) / scale) if scale > 1e-9 else 0.0

    def report(self) -> ChannelReport:
        """Return the layout, how much energy-based speech each channel holds, and which channel to listen to."""
        levels = np.concatenate(self._levels, axis=1) if self._levels else np.zeros((self.channels, 0), np.float32)
        active = np.stack([_speech_frames(row) for row in levels])
        loudest = [float(np.percentile(row, 99.5)) if row.size else _FLOOR_DB for row in levels]
        correlation = self.correlation()
        if self.channels == 2:
            same = _level_difference_is_steady(levels, active) and correlation >= _SAME_CORRELATION
            if not same:
                active[0] &= levels[0] > levels[1] - _LEAK_DB
                active[1] &= levels[1] > levels[0] - _LEAK_DB
        else:
            same = False
        speech = tuple(int(row.sum()) * FRAME * 1000 // RATE for row in active)
        strongest = int(np.argmax([level + min(ms, 60_000) / 1000 for level, ms in zip(loudest, speech, strict=True)]))
        layout, note = self._layout(loudest, speech, strongest, same)
        return ChannelReport(layout, round(correlation, 4), speech, strongest, note)

    def _layout(self, loudest: list[float], speech: tuple[int, ...], strongest: int, same: bool) -> tuple[Layout, str]:
        if max(loudest) < _DEAD_DB:
            return "silent", "nothing louder than background noise was found"
        if self.channels == 1:
            return "mono", "one channel"
        other = 1 - strongest
        if loudest[other] < _DEAD_DB:
            return "one_silent", f"channel {other} is empty"
        if same:
            if loudest[strongest] - loudest[other] > _COPY_DB:
                return "one_silent", f"channel {other} holds only an echo of channel {strongest}"
            return "dual_mono", "both channels carry the same sound"
        if speech[strongest] >= _MIN_SPEECH_MS and speech[other] < max(
            _MIN_SPEECH_MS, speech[strongest] // 100 if speech[other] < 1000 else 0
        ):
            return "one_silent", f"channel {other} holds no speech"
        return "two_party", "the channels carry different speech"


def _speech_frames(levels: np.ndarray) -> np.ndarray:
    """Return which 20 ms frames stand clearly above the channel's own noise floor."""
    if not levels.size:
        return np.zeros(0, bool)
    heard = levels[levels > _FLOOR_DB + 5]
    floor = float(np.percentile(heard, 15)) if heard.size else _FLOOR_DB
    # A recording gated to digital silence between the words has no noise floor among the frames that are heard.
    if heard.size < 0.5 * levels.size:
        floor = min(floor, -55.0)
    return levels > max(floor + _SPEECH_ABOVE_FLOOR_DB, _DEAD_DB)


def _level_difference_is_steady(levels: np.ndarray, active: np.ndarray) -> bool:
    """Say whether the two channels keep the same level difference in most frames where either one is active."""
    either = active[0] | active[1]
    if not either.size:
        return False
    if int(either.sum()) < 10:
        either = np.ones(levels.shape[1], bool)
    # A delay of a few frames between the copies must not look like a changing difference.
    kernel = np.ones(min(15, levels.shape[1])) / 15
    smooth = [np.convolve(np.power(10, row / 10), kernel, "same") for row in levels]
    difference = 10 * np.log10(smooth[0] / smooth[1])[either]
    near = np.abs(difference - np.median(difference)) < _SAME_LEVEL_DB
    return float(near.mean()) >= _SAME_SHARE
