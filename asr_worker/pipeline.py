"""Audio key in, transcript key out: decode, diarize, transcribe, assemble, each with its own stored artefact.

A stage whose artefact is there is not run again, so a worker that was killed goes on where it stopped and running
twice is harmless. An artefact that cannot be read is computed anew. A call whose diarization fails still gets its
words: the transcript says in one sentence what is missing, and the next run tries that stage again.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from asr_worker import assemble as assembly
from asr_worker import audio, listen
from asr_worker import voice as voices
from asr_worker.storage import Store, artefact_key
from asr_worker.types import (
    AudioInfo,
    BadAudio,
    Party,
    PartyMapping,
    PipelineSpec,
    SpeakerSegment,
    SpeechError,
    Stage,
    Transcript,
    Word,
)

log = logging.getLogger(__name__)

Progress = Callable[[str, float], None]
MAX_DIARIZE_MS = 3 * 3600 * 1000


def _ignore(stage: str, fraction: float) -> None:
    """Ignore progress."""


@dataclass(frozen=True, slots=True)
class Speakers:
    """The diarize stage's result. `degraded` is empty or the sentence that says why there are no speakers."""

    diarizer: str
    segments: tuple[SpeakerSegment, ...] = ()
    degraded: str = ""
    seconds: float = 0.0

    @classmethod
    def from_json(cls, doc: dict[str, Any]) -> Speakers:
        return cls(doc["diarizer"], tuple(SpeakerSegment(**s) for s in doc["segments"]), "", doc["seconds"])


@dataclass(frozen=True, slots=True)
class Spoken:
    """The transcribe stage's result: per listened channel its words and its speech regions in ms."""

    channels: tuple[int, ...]
    words: tuple[tuple[Word, ...], ...]
    regions: tuple[tuple[tuple[int, int], ...], ...]
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @classmethod
    def from_json(cls, doc: dict[str, Any]) -> Spoken:
        return cls(
            tuple(doc["channels"]),
            tuple(tuple(Word(**w) for w in row) for row in doc["words"]),
            tuple(tuple((int(a), int(b)) for a, b in row) for row in doc["regions"]),
            tuple(doc["warnings"]),
            doc["seconds"],
        )


@dataclass(slots=True)
class RunReport:
    """What a run did: keys of its artefacts and the wall seconds of each stage that was computed, not reused."""

    audio_info_key: str = ""
    transcript_key: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


def sha_of_key(audio_key: str) -> str:
    """Return the SHA-256 that a recording's key ends with."""
    return audio_key.rsplit("/", 1)[-1]


def _stored(store: Store, key: str, read: Callable[[dict[str, Any]], Any]) -> Any:
    """Return the artefact at `key`, or None where it is missing or not readable as what it should be."""
    try:
        return read(json.loads(store.get_bytes(key)))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        log.warning("an artefact could not be read and is computed again: %s", key)
        return None


def _write(store: Store, key: str, doc: Any) -> None:
    store.put_bytes(key, json.dumps(doc, ensure_ascii=False, separators=(",", ":")).encode())


def _key(audio_key: str, stage: Stage, spec: PipelineSpec) -> str:
    return artefact_key(sha_of_key(audio_key), stage, spec.fingerprint(stage))


def decode(store: Store, audio_key: str, *, report: RunReport | None = None) -> AudioInfo:
    """Return the facts about the recording, from the artefact or by decoding it once.

    Raises BadAudio for an unusable recording and FileNotFoundError where the store does not have it.
    """
    key = _key(audio_key, "decode", PipelineSpec())
    if report:
        report.audio_info_key = key
    info = _stored(store, key, audio.info_from_json)
    if info is None:
        began = time.perf_counter()
        with store.local_path(audio_key) as path:
            info = audio.probe(path)
        _write(store, key, asdict(info))
        if report:
            report.seconds["decode"] = round(time.perf_counter() - began, 3)
    return info


def chosen_diarizer(info: AudioInfo, spec: PipelineSpec) -> str:
    """Return who tells the parties apart: `channels` where each has one, else `pyannote`; the spec may insist."""
    if spec.diarizer in ("", "auto"):
        return "channels" if info.report.layout in ("two_party", "silent") else "pyannote"
    if spec.diarizer == "channels" and info.channels < 2:
        return "none"
    return spec.diarizer


def listened(info: AudioInfo, spec: PipelineSpec) -> tuple[int, ...]:
    """Return the channels to transcribe: both where they are two parties, else the active one."""
    if info.report.layout == "silent":
        return ()
    return (0, 1) if chosen_diarizer(info, spec) == "channels" else (info.report.active_channel,)


def diarize(
    store: Store,
    audio_key: str,
    spec: PipelineSpec,
    info: AudioInfo,
    *,
    progress: Progress = _ignore,
    report: RunReport | None = None,
) -> Speakers:
    """Return who speaks when. Never raises for a failing diarizer: `degraded` then says what is missing.

    Only a complete result is stored, so the next run tries a failed one again.
    """
    name = chosen_diarizer(info, spec)
    if name == "channels" or info.report.layout == "silent":
        return Speakers("channels")
    if name == "none":
        return Speakers("none", degraded="The recording has one channel, so channels cannot tell the parties apart.")
    key = _key(audio_key, "diarize", spec)
    found = _stored(store, key, Speakers.from_json)
    if found is not None:
        return found
    if info.duration_ms > MAX_DIARIZE_MS:
        limit = audio.say_length(MAX_DIARIZE_MS)
        return Speakers(name, degraded=f"The recording is too long to tell the speakers apart (limit {limit}).")
    began = time.perf_counter()
    try:
        from asr_worker.engines import registry

        engine = registry.diarizer(spec, name)
        with store.local_path(audio_key) as path:
            samples = audio.decode(path)[info.report.active_channel].copy()
        segments = engine.diarize(
            samples,
            num_speakers=spec.num_speakers,
            min_speakers=spec.min_speakers,
            max_speakers=spec.max_speakers,
            progress=lambda fraction: progress("diarize", fraction),
        )
    except BadAudio:
        raise
    except SpeechError as error:
        return Speakers(name, degraded=f"Speakers could not be told apart: {error.message}")
    except Exception as error:  # a diarizer is third-party code; its failure must not cost the words
        log.exception("diarization failed")
        return Speakers(name, degraded=f"Speakers could not be told apart ({type(error).__name__}).")
    seconds = round(time.perf_counter() - began, 3)
    result = Speakers(name, tuple(segments), "", seconds)
    _write(store, key, asdict(result))
    if report:
        report.seconds["diarize"] = seconds
    return result


def transcribe(
    store: Store,
    audio_key: str,
    spec: PipelineSpec,
    info: AudioInfo,
    *,
    progress: Progress = _ignore,
    report: RunReport | None = None,
) -> Spoken:
    """Return the words of every channel that is listened to, from the artefact or by running the engine.

    Raises ModelMissing and whatever the engine raises; nothing is stored then.
    """
    channels = listened(info, spec)
    key = _transcribe_key(audio_key, spec, channels)
    found = _stored(store, key, Spoken.from_json)
    if found is not None and found.channels == channels:
        return found
    began = time.perf_counter()
    words: tuple[tuple[Word, ...], ...] = ()
    regions: tuple[tuple[tuple[int, int], ...], ...] = ()
    warnings: tuple[str, ...] = ()
    if channels:
        from asr_worker.engines import registry

        engine = registry.transcriber(spec)
        with store.local_path(audio_key) as path:
            words, regions, warnings = listen.listen(
                path, channels, engine, spec, info.duration_ms, lambda f: progress("transcribe", f)
            )
    seconds = round(time.perf_counter() - began, 3)
    result = Spoken(channels, words, regions, warnings, seconds)
    _write(store, key, asdict(result))
    if report:
        report.seconds["transcribe"] = seconds
    return result


def _transcribe_key(audio_key: str, spec: PipelineSpec, channels: tuple[int, ...]) -> str:
    # The channels follow from the layout and the diarizer; they are part of the name so that insisting on another
    # diarizer does not fight over one artefact.
    listened_to = "".join(str(c) for c in channels) or "none"
    return artefact_key(sha_of_key(audio_key), "transcribe", f"{spec.fingerprint('transcribe')}-{listened_to}")


def assemble(info: AudioInfo, spec: PipelineSpec, speakers: Speakers, spoken: Spoken) -> Transcript:
    """Return the transcript. Pure: the same results of the stages give the same transcript."""
    warnings = list(info.warnings) + list(spoken.warnings)
    segments = speakers.segments
    numbers: dict[str, int] = {}
    if speakers.diarizer == "channels":
        said = [(f"channel-{c}", w) for c, row in zip(spoken.channels, spoken.words, strict=True) for w in row]
        segments = tuple(
            sorted(
                (
                    SpeakerSegment(a, b, f"channel-{c}")
                    for c, row in zip(spoken.channels, spoken.regions, strict=True)
                    for a, b in row
                ),
                key=lambda s: (s.start_ms, s.end_ms, s.speaker),
            )
        )
        numbers = {f"channel-{c}": c for c in spoken.channels}
        mapping = channel_mapping(spoken.channels, spec.agent_channel)
    else:
        flat = [w for row in spoken.words for w in row]
        said = assembly.assign(flat, segments)
        active = spoken.channels[0] if spoken.channels else 0
        numbers = {name: active for name, _ in said}
        mapping = _map_speakers(said, segments)
    turns = assembly.turns(said, parties=mapping.parties, channels=numbers)
    if not turns:
        warnings.append("no speech was found in this recording")
    return Transcript(
        recording=info.sha256,
        spec=spec,
        fingerprint=spec.fingerprint("assemble"),
        model=spec.model,
        language=spec.language,
        duration_ms=info.duration_ms,
        layout=info.report.layout,
        diarizer=speakers.diarizer,
        mapping=mapping,
        turns=turns,
        speaker_segments=segments,
        degraded=speakers.degraded,
        warnings=tuple(dict.fromkeys(warnings)),
        engine_seconds={"diarize": speakers.seconds, "transcribe": spoken.seconds},
    )


def channel_mapping(channels: tuple[int, ...], agent_channel: int) -> PartyMapping:
    """Return the mapping of a recording with one party per channel: certain, since it is configured."""
    parties: dict[str, Party] = {f"channel-{c}": "agent" if c == agent_channel else "customer" for c in channels}
    return PartyMapping(parties, 1.0, f"one party per channel; channel {agent_channel} is the agent's")


def _map_speakers(said: list[tuple[str, Word]], segments: tuple[SpeakerSegment, ...]) -> PartyMapping:
    if not segments or not said:
        return PartyMapping({"": "unknown"}, 0.0, "the speakers are not known")
    from asr_worker.parties import map_speakers

    return map_speakers(said)


def run(
    store: Store,
    audio_key: str,
    spec: PipelineSpec,
    progress: Progress | None = None,
    *,
    report: RunReport | None = None,
) -> str:
    """Return the key of the transcript of this recording under this spec, computing only what is missing.

    `progress(stage, fraction)` is called with fractions that never fall within a stage. Raises BadAudio,
    ModelMissing, or what an engine raised; artefacts of finished stages stay.
    """
    tell = progress or _ignore
    report = report if report is not None else RunReport()
    report.transcript_key = key = _key(audio_key, "assemble", spec)
    info = decode(store, audio_key, report=report)
    tell("decode", 1.0)
    if spec.voice and info.report.layout != "silent" and (took := voices.ensure(store, audio_key, info.sha256)):
        report.seconds["voice"] = took
    done = _stored(store, key, Transcript.from_json)
    if done is not None and done.recording == sha_of_key(audio_key):
        tell("assemble", 1.0)
        return key
    speakers = diarize(store, audio_key, spec, info, progress=tell, report=report)
    tell("diarize", 1.0)
    spoken = transcribe(store, audio_key, spec, info, progress=tell, report=report)
    tell("transcribe", 1.0)
    began = time.perf_counter()
    transcript = assemble(info, spec, speakers, spoken)
    if transcript.degraded:
        # A key of its own: a later run that is not degraded is another transcript, and readers keep them apart.
        report.transcript_key = key = key.removesuffix(".json") + "-degraded.json"
    _write(store, key, transcript.to_json())
    report.seconds["assemble"] = round(time.perf_counter() - began, 3)
    tell("assemble", 1.0)
    return key
