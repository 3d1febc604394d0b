"""Reads what a RIFF/WAVE header promises, which FFmpeg silently corrects when the file is shorter.

A recorder that was killed leaves a header of the full length over half the sound; only the header shows it.
"""

from __future__ import annotations

import struct
from pathlib import Path

_UNKNOWN = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFE, 0x7FFFF000, 0xFFFFFFFE)  # what streaming writers put there


def stated_ms(path: Path) -> int:
    """Return the length in ms that a RIFF header promises; 0 where the file is no RIFF or its writer did not know."""
    with path.open("rb") as source:
        head = source.read(12)
        if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
            return 0
        byte_rate = 0
        wide_size = 0
        for _ in range(64):
            chunk = source.read(8)
            if len(chunk) < 8:
                return 0
            name, size = chunk[:4], struct.unpack("<I", chunk[4:])[0]
            if name == b"data":
                if size == 0xFFFFFFFF and wide_size:
                    size = wide_size
                return 0 if size in _UNKNOWN or not byte_rate else int(size * 1000 / byte_rate)
            body = source.read(min(size, 64))
            if name == b"fmt " and len(body) >= 12:
                byte_rate = struct.unpack("<I", body[8:12])[0]
            elif name == b"ds64" and len(body) >= 16:
                wide_size = struct.unpack("<Q", body[8:16])[0]
            source.seek(size + (size & 1) - len(body), 1)
    return 0


def explain_unreadable(path: Path) -> str:
    """Return the sentence for a file that no decoder accepts, by looking at how it begins."""
    with path.open("rb") as source:
        head = source.read(512)
    if head[:4] in (b"RIFF", b"RF64", b"fLaC", b"OggS", b"\x1aE\xdf\xa3") or head[4:8] == b"ftyp":
        return "The file begins like a recording but is damaged or cut off: it cannot be decoded."
    if head[:2] == b"PK":
        return "The file is an archive, not a recording; upload it as a zip batch or unpack it first."
    printable = sum(32 <= b < 127 or b in (9, 10, 13) for b in head)
    if printable > 0.95 * len(head):
        return "The file is text, not audio, whatever its name says."
    return "The file is not audio in any format that is supported (wav, flac, mp3, ogg, m4a, webm)."
