"""The contract between the speech side and everybody else: frozen dataclasses that round-trip through JSON.

Nothing here imports Django, torch or a database. All times are integer milliseconds from the start of the
recording; probabilities are floats in [0, 1]. `analytics` reads the JSON form and never these classes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

Party = Literal["agent", "customer", "unknown"]
Layout = Literal["two_party", "dual_mono", "one_silent", "mono", "silent"]
Stage = Literal["decode", "diarize", "transcribe", "assemble"]

PARTIES: tuple[Party, ...] = ("agent", "customer", "unknown")
STAGES: tuple[Stage, ...] = ("decode", "diarize", "transcribe", "assemble")
SCHEMA_VERSION = 1


class SpeechError(Exception):
    """A speech stage failed. `permanent` decides between giving up and another try; `code` is stable for machines."""

    permanent = False
    code = "speech_error"

    def __init__(self, message: str, *, code: str | None = None, permanent: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if permanent is not None:
            self.permanent = permanent


class BadAudio(SpeechError):
    """The recording itself cannot be used; trying again cannot help. The message is shown to the uploader as it is."""

    permanent = True
    code = "bad_audio"


class ModelMissing(SpeechError):
    """A model is not installed; the message names the command that installs it."""

    permanent = True
    code = "model_missing"


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """Everything that decides a transcript besides the audio; the same spec on the same audio gives the same artefact.

    `model` is a catalogue name, a local directory or a hub id. `agent_channel` is the channel of the agent where
    each party has a channel. `num_speakers` 0 means: let the diarizer decide between `min_speakers` and `max_speakers`.
    """

    transcriber: str = "faster-whisper"
    model: str = "whisper-base.en"
    adapter: str = ""
    compute_type: str = "int8"
    device: str = "cpu"
    language: str = "en"
    diarizer: str = "auto"
    num_speakers: int = 0
    min_speakers: int = 1
    max_speakers: int = 4
    agent_channel: int = 0
    beam_size: int = 5
    batch_size: int = 8
    vad: str = "silero"
    hot_words: tuple[str, ...] = ()
    #: Whether loudness and pitch are measured beside the words; changes no transcript.
    voice: bool = True

    def fingerprint(self, stage: Stage) -> str:
        """Return 16 hex digits over the fields that can change this stage's artefact (and no others)."""
        names: dict[str, tuple[str, ...]] = {
            "decode": (),
            "diarize": ("diarizer", "num_speakers", "min_speakers", "max_speakers"),
            "transcribe": (
                "transcriber", "model", "adapter", "compute_type", "language", "beam_size", "vad", "hot_words",
            ),
        }  # fmt: skip
        names["assemble"] = names["diarize"] + names["transcribe"] + ("agent_channel",)
        doc = {"schema": SCHEMA_VERSION, "stage": stage, **{n: getattr(self, n) for n in names[stage]}}
        return hashlib.sha256(json.dumps(doc, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, doc: dict[str, Any]) -> PipelineSpec:
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in doc.items() if k in known}
        if "hot_words" in values:
            values["hot_words"] = tuple(values["hot_words"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word. `text` carries its own punctuation and no surrounding spaces."""

    text: str
    start_ms: int
    end_ms: int
    probability: float


@dataclass(frozen=True, slots=True)
class SpeakerSegment:
    """One stretch of one diarization label; segments of different speakers may overlap."""

    start_ms: int
    end_ms: int
    speaker: str


@dataclass(frozen=True, slots=True)
class Turn:
    """An uninterrupted stretch of one party; `words` are in time order and lie within it."""

    index: int
    party: Party
    speaker: str
    channel: int
    start_ms: int
    end_ms: int
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return " ".join(w.text for w in self.words)


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """What looking at the channels found, before any model ran."""

    layout: Layout
    correlation: float
    speech_ms: tuple[int, ...]
    active_channel: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Facts about one decoded recording. `peaks` holds, per channel, `peaks_per_second` values in 0..100 per second."""

    sha256: str
    duration_ms: int
    sample_rate: int
    channels: int
    codec: str
    container: str
    report: ChannelReport
    peaks_per_second: int
    peaks: tuple[tuple[int, ...], ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartyMapping:
    """Which speaker is which party, how sure (0..1) and, in words, why."""

    parties: dict[str, Party]
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """What one model said about one recording; immutable and self-describing.

    `degraded` is empty or says in one sentence what is missing (for example that no diarization was possible).
    `engine_seconds` maps a stage to the wall seconds it took when it was computed.
    """

    recording: str
    spec: PipelineSpec
    fingerprint: str
    model: str
    language: str
    duration_ms: int
    layout: Layout
    diarizer: str
    mapping: PartyMapping
    turns: tuple[Turn, ...]
    speaker_segments: tuple[SpeakerSegment, ...] = ()
    degraded: str = ""
    warnings: tuple[str, ...] = ()
    engine_seconds: dict[str, float] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document; `turns[].text` is included for readers that do not want words."""
        doc = asdict(self)
        for raw, turn in zip(doc["turns"], self.turns, strict=True):
            raw["text"] = turn.text
        return json.loads(json.dumps(doc))

    @classmethod
    def from_json(cls, doc: dict[str, Any]) -> Transcript:
        """Rebuild a transcript. Raises ValueError for a schema version that this code does not know."""
        if doc.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"transcript schema {doc.get('schema_version')!r} is not {SCHEMA_VERSION}")
        turns = tuple(
            Turn(
                index=t["index"], party=t["party"], speaker=t["speaker"], channel=t["channel"],
                start_ms=t["start_ms"], end_ms=t["end_ms"], words=tuple(Word(**w) for w in t["words"]),
            )
            for t in doc["turns"]
        )  # fmt: skip
        return cls(
            recording=doc["recording"],
            spec=PipelineSpec.from_json(doc["spec"]),
            fingerprint=doc["fingerprint"],
            model=doc["model"],
            language=doc["language"],
            duration_ms=doc["duration_ms"],
            layout=doc["layout"],
            diarizer=doc["diarizer"],
            mapping=PartyMapping(**doc["mapping"]),
            turns=turns,
            speaker_segments=tuple(SpeakerSegment(**s) for s in doc.get("speaker_segments", ())),
            degraded=doc.get("degraded", ""),
            warnings=tuple(doc.get("warnings", ())),
            engine_seconds=dict(doc.get("engine_seconds", {})),
        )
