"""Decodes any telephone or web container to float32, and refuses what is not a usable recording in plain words.

PyAV carries FFmpeg inside its wheel, so no system program is needed. Everything streams: memory does not grow
with the length of the recording unless the caller asks for all samples at once (`decode`). Imports no torch.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np

from asr_worker import wavhead
from asr_worker.channels import RATE as ANALYSIS_RATE
from asr_worker.channels import ChannelAnalyser
from asr_worker.types import AudioInfo, BadAudio, ChannelReport

RATE = 16_000
MAX_DURATION_MS = 8 * 3600 * 1000
MAX_SAMPLE_RATE, MIN_SAMPLE_RATE = 192_000, 4_000
PEAKS_PER_SECOND, MAX_PEAKS = 20, 40_000
_PIECE_SECONDS = 8
# Only containers that hold sound themselves. Playlists and concatenation scripts are text that makes FFmpeg open
# other files or addresses, which an uploader must never be able to ask for.
CONTAINERS = "wav,w64,aiff,au,caf,flac,mp3,ogg,mov,mp4,m4a,3gp,matroska,webm,aac,amr,asf"
# Containers whose header states a length that the writer knew; others only guess it from the bit rate.
_STATE_LENGTH = {"wav", "w64", "aiff", "au", "caf", "flac", "mov", "matroska"}

logging.getLogger("libav").setLevel(logging.CRITICAL)


class _Source:
    """One opened file: its audio stream, what was met while reading it, and the pieces it decodes to."""

    def __init__(self, container: Any, stream: Any) -> None:
        self.container, self.stream = container, stream
        context = stream.codec_context
        self.channels = int(context.channels or 0)
        self.sample_rate = int(context.sample_rate or 0)
        self.codec = str(context.name)
        self.format = str(container.format.name).split(",")[0]
        self.samples = 0
        self.damaged = 0
        self.expected_ms = _stated_ms(container, stream)
        self.stated_ms = self.expected_ms if self.format in _STATE_LENGTH else 0

    def frames(self) -> Iterator[Any]:
        """Yield decoded frames; damaged packets are counted and stepped over."""
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
                decoded = packet.decode()
            except StopIteration:
                return
            except (av.error.InvalidDataError, av.error.ArgumentError):
                self.damaged += 1
                if self.damaged > 1000:
                    return
                continue
            except av.error.FFmpegError:
                self.damaged += 1
                return
            for frame in decoded:
                self.samples += frame.samples
                yield frame

    def pieces(self, rate: int, samples: int) -> Iterator[np.ndarray]:
        """Yield float32 arrays [channels, about `samples`] at `rate`; the last one is shorter."""
        resampler: Any = None
        shape: tuple[Any, ...] = ()
        layout = "mono" if self.channels == 1 else "stereo"
        held: list[np.ndarray] = []
        count = 0
        for frame in self.frames():
            now = (frame.format.name, frame.sample_rate, frame.layout.name)
            if now != shape:
                if resampler is not None:
                    held += [_clean(f) for f in resampler.resample(None)]
                same_count = frame.layout.nb_channels == self.channels
                resampler = av.AudioResampler(format="fltp", layout=None if same_count else layout, rate=rate)
                shape = now
            frame.pts = None
            for out in resampler.resample(frame):
                held.append(_clean(out))
                count += held[-1].shape[1]
            if count >= samples:
                yield np.concatenate(held, axis=1)
                held, count = [], 0
        if resampler is not None:
            held += [_clean(f) for f in resampler.resample(None)]
        if held and sum(h.shape[1] for h in held):
            yield np.concatenate(held, axis=1)

    @property
    def duration_ms(self) -> int:
        return round(self.samples * 1000 / self.sample_rate) if self.sample_rate else 0


def _clean(frame: Any) -> np.ndarray:
    array = frame.to_ndarray()
    if not np.isfinite(array).all():
        array = np.nan_to_num(array, nan=0.0, posinf=1.0, neginf=-1.0)
    return np.clip(array, -1.0, 1.0)


def _stated_ms(container: Any, stream: Any) -> int:
    if stream.duration and stream.time_base:
        return int(stream.duration * stream.time_base * 1000)
    return int(container.duration / 1000) if container.duration else 0


@contextmanager
def _opened(path: str | Path) -> Iterator[_Source]:
    path = Path(path)
    size = path.stat().st_size
    if size == 0:
        raise BadAudio("The file is empty (0 bytes).", code="empty_file")
    try:
        container = av.open(f"file:{path}", options={"format_whitelist": CONTAINERS})
    except av.error.FFmpegError as error:
        raise BadAudio(wavhead.explain_unreadable(path), code="not_audio") from error
    with container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            raise BadAudio("The file holds no sound that can be decoded.", code="not_audio")
        source = _Source(container, stream)
        _check_shape(source)
        yield source


def _check_shape(source: _Source) -> None:
    if source.channels > 2:
        raise BadAudio(
            f"The recording has {source.channels} channels; only one or two are supported. "
            "Export it as mono or as stereo with one party on each side.",
            code="too_many_channels",
        )
    if source.channels < 1 or not MIN_SAMPLE_RATE <= source.sample_rate <= MAX_SAMPLE_RATE:
        raise BadAudio(
            f"A sample rate of {source.sample_rate} Hz is not supported "
            f"({MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz are).",
            code="bad_sample_rate",
        )


def say_length(ms: int) -> str:
    """Return a length as people say it: `0.4 s`, `52 s`, `8 min 30 s`, `6 h 00 min`."""
    seconds = ms / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def probe(path: str | Path, *, max_duration_ms: int = MAX_DURATION_MS) -> AudioInfo:
    """Return the facts about a recording after decoding all of it once, in memory that does not grow with length.

    Raises BadAudio, with a sentence for the uploader, for a file that is empty, not audio, cut short, without any
    sound in it, with more than two channels, or longer than `max_duration_ms`.
    """
    with _opened(path) as source:
        if source.stated_ms > max_duration_ms:
            raise _too_long(source.stated_ms, max_duration_ms)
        analyser = ChannelAnalyser(source.channels)
        peaks = _Peaks(source.channels)
        for piece in source.pieces(ANALYSIS_RATE, _PIECE_SECONDS * ANALYSIS_RATE):
            if source.duration_ms > max_duration_ms:
                raise _too_long(source.duration_ms, max_duration_ms, at_least=True)
            analyser.add(piece)
            peaks.add(piece)
        warnings = _judge_length(source, wavhead.stated_ms(Path(path)))
        per_second, values = peaks.result()
        return AudioInfo(
            sha256=sha256_of(path),
            duration_ms=source.duration_ms,
            sample_rate=source.sample_rate,
            channels=source.channels,
            codec=source.codec,
            container=source.format,
            report=analyser.report(),
            peaks_per_second=per_second,
            peaks=values,
            warnings=warnings,
        )


def _too_long(ms: int, limit: int, *, at_least: bool = False) -> BadAudio:
    how = "more than" if at_least else "about"
    return BadAudio(
        f"The recording is {how} {say_length(limit if at_least else ms)} long; the limit is {say_length(limit)}.",
        code="too_long",
    )


def _judge_length(source: _Source, head_ms: int) -> tuple[str, ...]:
    """Return warnings about damage that can be lived with; raise BadAudio for what cannot."""
    found, stated = source.duration_ms, max(source.stated_ms, head_ms)
    if found == 0 and (source.damaged or stated > 0):
        raise BadAudio(
            "No sound in the file could be decoded: it is damaged or cut off right after its header.",
            code="truncated" if stated > 0 else "not_audio",
        )
    if found == 0:
        raise BadAudio("The recording is 0 seconds long.", code="no_audio")
    missing = stated - found
    if missing > 500 and missing > 0.02 * stated:
        raise BadAudio(
            f"The file is cut short: its header promises {say_length(stated)} and only {say_length(found)} "
            "are there. Upload the complete file.",
            code="truncated",
        )
    warnings = []
    if source.damaged:
        warnings.append(f"{source.damaged} damaged packet(s) were skipped while decoding")
    if source.expected_ms - found > max(1000, 0.05 * source.expected_ms):
        warnings.append(
            f"the header suggests {say_length(source.expected_ms)} but {say_length(found)} are there; "
            "the file may be cut short"
        )
    return tuple(warnings)


class _Peaks:
    """Keeps the largest absolute value of each 1/20 s, and thins them out for long recordings at the end."""

    def __init__(self, channels: int) -> None:
        self._window = ANALYSIS_RATE // PEAKS_PER_SECOND
        self._rest = np.zeros((channels, 0), np.float32)
        self._parts: list[np.ndarray] = []

    def add(self, piece: np.ndarray) -> None:
        data = np.concatenate((self._rest, piece), axis=1)
        whole = data.shape[1] // self._window * self._window
        self._rest = data[:, whole:].copy()
        self._parts.append(self._scaled(data[:, :whole].reshape(len(data), -1, self._window)))

    @staticmethod
    def _scaled(windows: np.ndarray) -> np.ndarray:
        return np.rint(np.abs(windows).max(axis=2, initial=0) * 100).astype(np.uint8)

    def result(self) -> tuple[int, tuple[tuple[int, ...], ...]]:
        parts = list(self._parts)
        if self._rest.shape[1]:
            parts.append(self._scaled(self._rest[:, None, :]))
        values = np.concatenate(parts, axis=1) if parts else np.zeros((len(self._rest), 0), np.uint8)
        rate = PEAKS_PER_SECOND
        for slower in (10, 5, 2, 1):
            if values.shape[1] * rate // PEAKS_PER_SECOND <= MAX_PEAKS:
                break
            rate = slower
        step = PEAKS_PER_SECOND // rate
        if step > 1:
            values = np.pad(values, ((0, 0), (0, -values.shape[1] % step)))
            values = values.reshape(len(values), -1, step).max(axis=2)
        return rate, tuple(tuple(int(v) for v in row) for row in values)


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes in hex, read in pieces."""
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def stream(path: str | Path, *, seconds: float = 600.0, rate: int = RATE) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (start in samples, float32 [channels, samples] at `rate`) for consecutive windows of the recording.

    All windows but the last are exactly `seconds` long. Raises BadAudio as `probe` does, except for its length.
    """
    size = int(seconds * rate)
    with _opened(path) as source:
        held = np.zeros((source.channels, 0), np.float32)
        start = 0
        for piece in source.pieces(rate, min(size, _PIECE_SECONDS * 4 * rate)):
            held = np.concatenate((held, piece), axis=1) if held.shape[1] else piece
            while held.shape[1] >= size:
                yield start, held[:, :size]
                start, held = start + size, held[:, size:].copy()
        if held.shape[1]:
            yield start, held


def decode(path: str | Path, *, rate: int = RATE) -> np.ndarray:
    """Return the whole recording as float32 [channels, samples] at `rate` (16 kHz), in [-1, 1].

    Raises BadAudio where nothing can be decoded. Use `stream` for recordings of more than about an hour.
    """
    with _opened(path) as source:
        parts = list(source.pieces(rate, 60 * rate))
    if not parts:
        raise BadAudio("No sound in the file could be decoded.", code="not_audio")
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def info_from_json(doc: dict[str, Any]) -> AudioInfo:
    """Rebuild an AudioInfo from its JSON form. Raises KeyError or TypeError where the document is not one."""
    report = doc["report"]
    return AudioInfo(
        **{
            **doc,
            "report": ChannelReport(**{**report, "speech_ms": tuple(report["speech_ms"])}),
            "peaks": tuple(tuple(row) for row in doc["peaks"]),
            "warnings": tuple(doc.get("warnings", ())),
        }
    )
