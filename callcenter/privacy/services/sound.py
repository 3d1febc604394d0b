"""The sound of a mask: the muted variant, the excerpt that is listened to again, and the encrypted original."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analytics.redaction import MutePlan, Span, mute, mute_plan

WINDOW_SECONDS = 60.0
CHECK_RATE = 16_000
#: How much around a muted stretch is listened to again: what was asked for decides what digits are.
AROUND_MS = 8_000
GAP_MS = 1_000
MAGIC = b"CCORIG1\n"
CHUNK = 4 * 1024 * 1024

Intervals = list[list[list[int]]]


def plan_of(spans: Sequence[dict[str, Any]], duration_ms: int, channels: int, padding_ms: int) -> MutePlan:
    """Return what to mute for the spans that have times. Raises MuteRefused for one outside of the recording."""
    timed = [
        Span(s["kind"], 0, 0, 1, 0, 1, s["start_ms"], s["end_ms"], s.get("channel"), "", 1.0)
        for s in spans
        if s.get("start_ms") is not None
    ]
    return mute_plan(timed, duration_ms, padding_ms, channels=channels)


def intervals_of(plan: MutePlan) -> Intervals:
    """Return a plan's intervals as JSON has them."""
    return [[[start, end] for start, end in channel] for channel in plan.channels]


def write_muted(source: Path, target: Path, plan: MutePlan, rate: int) -> None:
    """Write the recording with the plan's stretches silent: FLAC, of the same length, rate and channels.

    In windows, so that a recording of hours needs no more memory than a short one. Raises BadAudio and RedactionError.
    """
    import soundfile

    from asr_worker.audio import stream

    with soundfile.SoundFile(
        str(target), "w", samplerate=rate, channels=len(plan.channels), format="FLAC", subtype="PCM_16"
    ) as out:
        for start, samples in stream(source, seconds=WINDOW_SECONDS, rate=rate):
            out.write(mute(samples.astype(np.float32), _within(plan, start, samples.shape[1], rate), rate).T)


def _within(plan: MutePlan, start: int, length: int, rate: int) -> MutePlan:
    """Return the part of a plan that lies in a window that begins on a whole second, in the window's time."""
    begin, size = start * 1000 // rate, -(-length * 1000 // rate)
    return MutePlan(
        size,
        tuple(
            tuple((max(0, a - begin), min(size, b - begin)) for a, b in channel if a < begin + size and b > begin)
            for channel in plan.channels
        ),
    )


def windows_of(muted: Intervals, duration_ms: int) -> list[list[int]]:
    """Return what to listen to again: [start in the excerpt, start in the recording, length] in ms."""
    rows = sorted([max(0, a - AROUND_MS), min(duration_ms, b + AROUND_MS)] for channel in muted for a, b in channel)
    joined: list[list[int]] = []
    for start, end in rows:
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    out, at = [], 0
    for start, end in joined:
        out.append([at, start, end - start])
        at += end - start + GAP_MS
    return out


def write_excerpt(source: Path, target: Path, windows: Sequence[Sequence[int]], channels: int) -> None:
    """Write the windows of a recording one after the other, with silence between them, as 16 kHz FLAC."""
    import soundfile

    with soundfile.SoundFile(
        str(target), "w", samplerate=CHECK_RATE, channels=channels, format="FLAC", subtype="PCM_16"
    ) as out:
        written = 0
        for at, piece in _pieces(source, windows):
            wanted = at * CHECK_RATE // 1000
            if wanted > written:
                out.write(np.zeros((wanted - written, channels), np.float32))
                written = wanted
            out.write(piece.T)
            written += piece.shape[1]


def _pieces(source: Path, windows: Sequence[Sequence[int]]) -> Iterator[tuple[int, np.ndarray]]:
    from asr_worker.audio import stream

    held: list[list[np.ndarray]] = [[] for _ in windows]
    at = 0
    for offset, data in stream(source, seconds=WINDOW_SECONDS, rate=CHECK_RATE):
        for number, (_, start, length) in enumerate(windows):
            low = max(0, start * CHECK_RATE // 1000 - offset)
            high = min(data.shape[1], (start + length) * CHECK_RATE // 1000 - offset)
            if low < high:
                held[number].append(data[:, low:high].copy())
        while at < len(windows) and (windows[at][1] + windows[at][2]) * CHECK_RATE // 1000 <= offset + data.shape[1]:
            if held[at]:
                yield windows[at][0], np.concatenate(held[at], axis=1)
            held[at] = []
            at += 1
    for number in range(at, len(windows)):
        if held[number]:
            yield windows[number][0], np.concatenate(held[number], axis=1)


def in_recording(windows: Sequence[Sequence[int]], ms: int) -> int:
    """Return the time in the recording of a moment of the excerpt; one in the silence between is the nearest edge."""
    best = 0
    for at, start, length in windows:
        if ms >= at:
            best = start + min(ms - at, length)
    return best


def encrypt(source: Path, target: Path, key: str) -> None:
    """Write a file encrypted in pieces, each bound to its place, so that none can be moved, dropped or changed."""
    from cryptography.fernet import Fernet

    box = Fernet(key.encode())
    with source.open("rb") as inside, target.open("wb") as out:
        out.write(MAGIC)
        number = 0
        while True:
            piece = inside.read(CHUNK)
            token = box.encrypt(struct.pack(">Q?", number, not piece) + piece)
            out.write(struct.pack(">I", len(token)) + token)
            number += 1
            if not piece:
                return


def decrypt(source: Path, target: Path, key: str) -> None:
    """Undo `encrypt`. Raises ValueError for another key, another file, or one that was tampered with."""
    from cryptography.fernet import Fernet, InvalidToken

    box = Fernet(key.encode())
    with source.open("rb") as inside, target.open("wb") as out:
        if inside.read(len(MAGIC)) != MAGIC:
            raise ValueError("this is no encrypted original")
        number = 0
        while True:
            head = inside.read(4)
            if len(head) != 4:
                raise ValueError("the encrypted original is cut short")
            try:
                plain = box.decrypt(inside.read(struct.unpack(">I", head)[0]))
            except InvalidToken as error:
                raise ValueError("the key does not fit, or the file was changed") from error
            at, last = struct.unpack(">Q?", plain[:9])
            if at != number:
                raise ValueError("the pieces of the encrypted original are out of order")
            if last:
                return
            out.write(plain[9:])
            number += 1
