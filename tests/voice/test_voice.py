"""A voice is compared with its own usual: made sounds with known pitch and loudness, and one real demo call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analytics.nlu.voice import problem_of, voice_signal
from asr_worker import voice
from asr_worker.storage import FileStore, recording_key
from callcenter.demo import FOLDER
from tests.audio_files import wav

RATE = 8000
WORDS = "well then we could look at that again tomorrow morning".split()


def said(seconds: float, *, pitch: float, level: float, seed: int) -> np.ndarray:
    """Return a buzzing voice of syllables, a little unsteady as voices are."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.02 * np.sin(2 * np.pi * 3 * t))) / RATE
    tone = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(2, 14))
    return (level * tone * (0.65 + 0.35 * np.sin(2 * np.pi * 4 * t))).astype(np.float32)


class Made:
    """A stereo call put together turn by turn: the sound, and the transcript document that goes with it."""

    def __init__(self) -> None:
        self.sides: list[list[np.ndarray]] = [[], []]
        self.turns: list[dict[str, Any]] = []
        self.now = 0.0

    def turn(self, party: str, *, pitch: float, level: float = 0.05, pace: float = 0.35) -> int:
        seconds = pace * len(WORDS)
        side = 0 if party == "agent" else 1
        noise = np.random.default_rng(len(self.turns))
        sound = said(seconds, pitch=pitch, level=level, seed=len(self.turns))
        gap = np.zeros(int(0.4 * RATE), np.float32)
        for index in (0, 1):
            mine = sound if index == side else 0 * sound
            self.sides[index] += [mine + noise.normal(0, 0.0003, len(mine)).astype(np.float32), gap]
        start = self.now
        words = [
            {
                "text": word,
                "start_ms": round(1000 * (start + i * pace)),
                "end_ms": round(1000 * (start + (i + 1) * pace)) - 20,
            }
            for i, word in enumerate(WORDS)
        ]
        self.now += seconds + 0.4
        span = {"start_ms": words[0]["start_ms"], "end_ms": words[-1]["end_ms"]}
        index = len(self.turns)
        self.turns.append(
            {"index": index, "party": party, "speaker": f"channel-{side}", "channel": side, "words": words, **span}
        )
        return index

    def sound(self) -> np.ndarray:
        return np.stack([np.concatenate(side) for side in self.sides], axis=1)

    def signal(self, folder: Path, scores: dict[int, float] | None = None, *, mono: bool = False) -> dict[str, Any]:
        path = folder / "call.wav"
        samples = self.sound()
        path.write_bytes(wav(samples.sum(1) if mono else samples))
        scores = scores or {}
        moods = [{"turn": turn["index"], "score": scores.get(turn["index"], 0.0)} for turn in self.turns]
        turns = [{**turn, "channel": 0} for turn in self.turns] if mono else self.turns
        return voice_signal(voice.tracks(path), turns, moods)


def ordinary(made: Made, count: int, *, level: float = 0.05) -> None:
    for n in range(count):
        made.turn("agent", pitch=118 + n % 3)
        made.turn("customer", pitch=205 + 2 * (n % 3), level=level)


def levels(found: dict[str, Any]) -> dict[int, str]:
    return {turn["turn"]: turn["level"] for turn in found["turns"]}


@pytest.mark.parametrize("pitch", [90, 120, 180, 250, 333])
def test_pitch_and_loudness_are_measured_though_the_telephone_cuts_the_lowest_tone(pitch: int) -> None:
    sound = said(2.0, pitch=pitch, level=0.1, seed=1)  # from the second harmonic on
    energy, found = voice.measure(sound)
    assert np.median(found[found > 0]) == pytest.approx(pitch, rel=0.03)
    softer, _ = voice.measure(0.1 * sound)
    assert np.median(energy) - np.median(softer) == pytest.approx(20, abs=0.5)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    assert (voice.measure(noise)[1] > 0).mean() < 0.05
    energy, found = voice.measure(np.zeros(RATE, np.float32))
    assert not found.any() and set(energy) == {voice.FLOOR_DB}


@pytest.mark.parametrize("mono", [False, True])
def test_a_turn_that_is_louder_higher_and_faster_is_flagged_and_no_other(tmp_path: Path, mono: bool) -> None:
    made = Made()
    ordinary(made, 5)
    hot = made.turn("customer", pitch=275, level=0.15, pace=0.24)
    ordinary(made, 1)
    found = made.signal(tmp_path, mono=mono)
    assert levels(found)[hot] == "raised"
    assert [turn for turn, level in levels(found).items() if level == "raised"] == [hot]
    assert [(d["turn"], d["kind"]) for d in found["disagreements"]] == [(hot, "calm_words_raised_voice")]


def test_a_speaker_who_is_always_loud_is_not_flagged(tmp_path: Path) -> None:
    made = Made()
    ordinary(made, 6, level=0.25)
    found = made.signal(tmp_path)
    loud = [turn["energy_db"] for turn in found["turns"] if turn["party"] == "customer"]
    assert min(loud) > -25 and set(levels(found).values()) == {"usual"} and found["disagreements"] == []


def test_loudness_alone_raises_nothing(tmp_path: Path) -> None:
    made = Made()
    ordinary(made, 5)
    nearer = made.turn("customer", pitch=206, level=0.2)
    assert levels(made.signal(tmp_path))[nearer] == "usual"


def test_hard_words_in_a_calm_voice_are_shown_and_glad_shouting_is_no_quarrel(tmp_path: Path) -> None:
    made = Made()
    ordinary(made, 5)
    cold = made.turn("customer", pitch=205)
    glad = made.turn("customer", pitch=280, level=0.15, pace=0.25)
    angry = made.turn("customer", pitch=280, level=0.15, pace=0.25)
    found = made.signal(tmp_path, {cold: -0.8, glad: 0.8, angry: -0.8})
    assert levels(found)[glad] == levels(found)[angry] == "raised"
    assert [(d["turn"], d["kind"]) for d in found["disagreements"]] == [(cold, "hard_words_calm_voice")]


def test_too_few_turns_tell_nothing_and_say_so(tmp_path: Path) -> None:
    made = Made()
    made.turn("customer", pitch=200)
    made.turn("customer", pitch=290, level=0.2)
    found = made.signal(tmp_path)
    assert set(levels(found).values()) == {"unknown"} and all(turn["arousal"] is None for turn in found["turns"])


def test_what_two_say_at_once_counts_as_overlap() -> None:
    words = [{"text": "yes", "start_ms": 200 * i, "end_ms": 200 * i + 200} for i in range(10)]
    one = {"index": 0, "party": "agent", "speaker": "a", "channel": 0, "start_ms": 0, "end_ms": 2000, "words": words}
    late = [{**word, "start_ms": word["start_ms"] + 1000, "end_ms": word["end_ms"] + 1000} for word in words]
    two = {**one, "index": 1, "party": "customer", "speaker": "b", "start_ms": 1000, "end_ms": 3000, "words": late}
    track = {"energy_db": [-30.0] * 40, "pitch_hz": [120.0] * 40}
    found = voice_signal({"schema_version": 1, "step_ms": 100, "channels": [track]}, [one, two], [])
    assert [turn["overlap"] for turn in found["turns"]] == [0.5, 0.5]


def test_tracks_of_another_kind_are_refused_and_an_empty_call_is_an_ordinary_one() -> None:
    assert "unknown version" in problem_of({"schema_version": 9})
    with pytest.raises(ValueError, match="incomplete"):
        voice_signal({"schema_version": 1, "step_ms": 100, "channels": []}, [], [])
    track = {"energy_db": [], "pitch_hz": []}
    found = voice_signal({"schema_version": 1, "step_ms": 100, "channels": [track]}, [], [])
    assert found["turns"] == [] and found["disagreements"] == []


def test_tracks_are_kept_once_by_content_and_measured_again_where_they_are_broken(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    sha = "ab" * 32
    store.put_bytes(recording_key(sha), wav(said(2, pitch=120, level=0.1, seed=0)))
    assert voice.ensure(store, recording_key(sha), sha) > 0
    key = voice.voice_key(sha)
    first = store.get_bytes(key)
    assert key.startswith(f"artefacts/{sha}/voice/") and voice.ensure(store, recording_key(sha), sha) == 0
    store.put_bytes(key, b"{")
    assert voice.ensure(store, recording_key(sha), sha) > 0 and store.get_bytes(key) == first


def test_a_recording_that_cannot_be_measured_costs_nobody_the_words(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    assert voice.ensure(store, recording_key("cd" * 32), "cd" * 32) == 0.0
    store.put_bytes(recording_key("ef" * 32), b"no sound")
    assert voice.ensure(store, recording_key("ef" * 32), "ef" * 32) == 0.0


def demo(name: str) -> tuple[Path, list[dict[str, Any]]]:
    """A demo call's sound, and its script as a transcript document whose words fill their turns evenly."""
    rows = [json.loads(line) for line in (FOLDER / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    row = next(row for row in rows if row["name"] == name)
    turns = []
    for index, turn in enumerate(row["reference"]):
        parts = turn["text"].split()
        step = (turn["end_ms"] - turn["start_ms"]) / len(parts)
        words = [
            {
                "text": part,
                "start_ms": int(turn["start_ms"] + i * step),
                "end_ms": int(turn["start_ms"] + (i + 1) * step),
            }
            for i, part in enumerate(parts)
        ]
        side = 0 if turn["party"] == "agent" else 1
        turns.append({**turn, "index": index, "channel": side, "speaker": turn["party"], "words": words})
    return FOLDER / row["audio"], turns


def test_a_demo_call_is_measured_and_its_two_voices_are_told_apart() -> None:
    path, turns = demo("abusive_customer")
    tracks = voice.tracks(path)
    seconds = len(tracks["channels"][0]["energy_db"]) * tracks["step_ms"] / 1000
    assert seconds == pytest.approx(58.0, abs=0.2)
    found = voice_signal(tracks, turns, [])
    pitch = {
        party: float(np.median([t["pitch_hz"] for t in found["turns"] if t["party"] == party and t["pitch_hz"]]))
        for party in ("agent", "customer")
    }
    assert all(70 < hz < 400 for hz in pitch.values())
    assert abs(pitch["agent"] - pitch["customer"]) > 20  # a woman and a man, in this script
    assert {turn["level"] for turn in found["turns"]} <= {"raised", "usual", "lowered", "unknown"}
    assert sum(turn["arousal"] is not None for turn in found["turns"]) >= 6
