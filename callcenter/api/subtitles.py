"""A transcript as SRT, WebVTT or plain text."""

from __future__ import annotations

from typing import Any

NAMES = {"agent": "Agent", "customer": "Customer", "unknown": "Speaker"}
MAX_CUE_MS = 7_000
MAX_CUE_CHARS = 84


def clock(ms: int, separator: str) -> str:
    """Return HH:MM:SS and milliseconds with the given separator."""
    seconds, rest = divmod(max(ms, 0), 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{separator}{rest:03d}"


def cues(document: dict[str, Any]) -> list[tuple[int, int, str, str]]:
    """Return (start_ms, end_ms, party, text): turns cut where a cue would be too long to read."""
    found: list[tuple[int, int, str, str]] = []
    for turn in document["turns"]:
        words: list[dict[str, Any]] = []
        for word in turn["words"]:
            length = sum(len(w["text"]) + 1 for w in words) + len(word["text"])
            if words and (word["end_ms"] - words[0]["start_ms"] > MAX_CUE_MS or length > MAX_CUE_CHARS):
                found.append(_cue(turn, words))
                words = []
            words.append(word)
        if words:
            found.append(_cue(turn, words))
    return sorted(found)


def srt(document: dict[str, Any]) -> str:
    """Return the transcript as SubRip."""
    blocks = [
        f"{number}\n{clock(start, ',')} --> {clock(end, ',')}\n{NAMES[party]}: {text}\n"
        for number, (start, end, party, text) in enumerate(cues(document), start=1)
    ]
    return "\n".join(blocks)


def vtt(document: dict[str, Any]) -> str:
    """Return the transcript as WebVTT with voice tags."""
    blocks = ["WEBVTT\n"]
    for start, end, party, text in cues(document):
        safe = text.replace("&", "&amp;").replace("<", "&lt;")
        blocks.append(f"{clock(start, '.')} --> {clock(end, '.')}\n<v {NAMES[party]}>{safe}\n")
    return "\n".join(blocks)


def plain(document: dict[str, Any]) -> str:
    """Return one line a turn: time, party, text."""
    return "".join(
        f"[{clock(turn['start_ms'], '.')[:8]}] {NAMES[turn['party']]}: {turn['text']}\n" for turn in document["turns"]
    )


def _cue(turn: dict[str, Any], words: list[dict[str, Any]]) -> tuple[int, int, str, str]:
    end = max(words[-1]["end_ms"], words[0]["start_ms"] + 1)
    return words[0]["start_ms"], end, turn["party"], " ".join(w["text"] for w in words)
