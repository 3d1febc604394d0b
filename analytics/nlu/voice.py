"""How aroused each turn sounds beside the speaker's own usual in the same call, and where words and voice disagree.

Read from tracks of loudness and pitch (the speech side measures them from the sound alone) and from the times of the
words. A turn's loudness, pitch and pace are each compared with the median of that speaker's turns, in units of their
median deviation: a person who is always loud is not aroused, one who becomes louder, higher and faster is. Nothing is
averaged with the sentiment of the words: the two stand side by side. It is an indication and no measure of feelings: a
bad line, laughter or a passing lorry raise a voice too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

VERSION = 1
#: Fewer turns of a speaker than this give no usual to compare with; shorter turns are not judged.
MIN_TURNS, MIN_SPEECH_MS, MIN_WORDS = 4, 800, 3
WEIGHTS = {"energy": 0.4, "pitch": 0.4, "rate": 0.2}
#: The least deviation that counts as one unit: dB, semitones, syllables a second.
FLOORS = {"energy": 2.0, "pitch": 1.0, "rate": 0.7}
LIMIT = 4.0
RAISED, LOWERED = 1.2, -1.2
#: Parts that must each be above their usual before a voice counts as raised: one alone is often an error.
AGREEING, PART_RAISED = 2, 0.7
CALM_WORDS, GLAD_WORDS, HARD_WORDS, CALM_VOICE = -0.25, 0.5, -0.5, 0.3
_VOWELS = re.compile(r"[aeiouy]+", re.IGNORECASE)


def problem_of(tracks: Any) -> str:
    """Return what is wrong with a tracks document, or an empty text."""
    if not isinstance(tracks, dict) or tracks.get("schema_version") != 1:
        return "the voice tracks are of an unknown version"
    channels = tracks.get("channels")
    if not isinstance(channels, list) or not channels or not isinstance(tracks.get("step_ms"), int):
        return "the voice tracks are incomplete"
    return ""


def voice_signal(
    tracks: dict[str, Any], turns: Sequence[dict[str, Any]], moods: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return {version, turns, disagreements} for the turns of a transcript document and their sentiment.

    Each turn has `pitch_hz`, `energy_db`, `rate` (syllables a second), `overlap` (share of its time in which somebody
    else speaks too), `arousal` (units above this speaker's usual, None where it cannot be told) and `level` (raised,
    usual, lowered or unknown). Raises ValueError for tracks that cannot be read.
    """
    if problem := problem_of(tracks):
        raise ValueError(problem)
    channels = [
        (np.asarray(c["energy_db"], np.float32), np.asarray(c["pitch_hz"], np.float32)) for c in tracks["channels"]
    ]
    step = tracks["step_ms"]
    alone = len(channels) == 1
    rows = [_measured(turn, channels, step, turns, alone=alone) for turn in turns if turn.get("words")]
    _compare(rows)
    scores = {mood["turn"]: mood["score"] for mood in moods}
    found = [item for row in rows if (item := _disagreement(row, scores.get(row["turn"]))) is not None]
    for row in rows:
        for name in ("speaker", "judged", "parts"):
            row.pop(name)
    return {"version": VERSION, "turns": rows, "disagreements": found}


def _measured(
    turn: dict[str, Any],
    channels: Sequence[tuple[np.ndarray, np.ndarray]],
    step: int,
    turns: Sequence[dict[str, Any]],
    *,
    alone: bool,
) -> dict[str, Any]:
    energy, pitch = channels[min(max(int(turn.get("channel", 0)), 0), len(channels) - 1)]
    spoken = np.zeros(len(energy), bool)
    speech_ms = 0
    for word in turn["words"]:
        spoken[word["start_ms"] // step : -(-word["end_ms"] // step)] = True
        speech_ms += max(0, word["end_ms"] - word["start_ms"])
    both = np.zeros(len(energy), bool)
    for other in turns:
        apart = other.get("speaker", other["party"]) != turn.get("speaker", turn["party"])
        if apart and other["start_ms"] < turn["end_ms"] and other["end_ms"] > turn["start_ms"]:
            for word in other.get("words", ()):
                both[word["start_ms"] // step : -(-word["end_ms"] // step)] = True
    overlap = float((spoken & both).sum() / max(1, spoken.sum()))
    # On one channel, what two people say at once is nobody's voice.
    clean = spoken & ~both if alone else spoken
    voiced = clean & (pitch > 0)
    enough = voiced.sum() * step >= 300
    syllables = sum(max(1, len(_VOWELS.findall(word["text"]))) for word in turn["words"] if word["text"])
    return {
        "turn": turn["index"],
        "party": turn["party"],
        "speaker": turn.get("speaker") or turn["party"],
        "start_ms": turn["start_ms"],
        "end_ms": turn["end_ms"],
        "pitch_hz": round(float(np.median(pitch[voiced])), 1) if enough else None,
        "energy_db": round(float(np.median(energy[voiced])), 1) if enough else None,
        "rate": round(1000 * syllables / speech_ms, 2) if speech_ms else None,
        "overlap": round(overlap, 3),
        "judged": enough and speech_ms >= MIN_SPEECH_MS and len(turn["words"]) >= MIN_WORDS,
        "arousal": None,
        "level": "unknown",
        "parts": {},
    }


def _compare(rows: list[dict[str, Any]]) -> None:
    """Fill in arousal and level of the turns of every speaker who has enough of them."""
    for speaker in {row["speaker"] for row in rows}:
        mine = [row for row in rows if row["speaker"] == speaker and row["judged"]]
        if len(mine) < MIN_TURNS:
            continue
        values = {
            "energy": np.array([row["energy_db"] for row in mine]),
            "pitch": 12 * np.log2(np.array([row["pitch_hz"] for row in mine])),
            "rate": np.array([row["rate"] for row in mine]),
        }
        units = {}
        for name, of in values.items():
            usual = np.median(of)
            unit = max(FLOORS[name], 1.4826 * float(np.median(np.abs(of - usual))))
            units[name] = np.clip((of - usual) / unit, -LIMIT, LIMIT)
        for at, row in enumerate(mine):
            row["parts"] = {name: round(float(z[at]), 2) for name, z in units.items()}
            arousal = sum(WEIGHTS[name] * float(z[at]) for name, z in units.items())
            row["arousal"] = round(arousal, 2)
            up = sum(part >= PART_RAISED for part in row["parts"].values())
            down = sum(part <= -PART_RAISED for part in row["parts"].values())
            row["level"] = (
                "raised" if arousal >= RAISED and up >= AGREEING
                else "lowered" if arousal <= LOWERED and down >= AGREEING
                else "usual"
            )  # fmt: skip


def _disagreement(row: dict[str, Any], score: float | None) -> dict[str, Any] | None:
    """Return where a raised voice says calm words, or a calm voice hard ones; what is glad may be loud."""
    if score is None or row["arousal"] is None:
        return None
    if row["level"] == "raised" and CALM_WORDS < score < GLAD_WORDS:
        kind = "calm_words_raised_voice"
    elif score <= HARD_WORDS and row["arousal"] <= CALM_VOICE:
        kind = "hard_words_calm_voice"
    else:
        return None
    return {
        "turn": row["turn"], "party": row["party"], "start_ms": row["start_ms"], "end_ms": row["end_ms"],
        "kind": kind, "arousal": row["arousal"], "score": score, "parts": row["parts"],
    }  # fmt: skip
