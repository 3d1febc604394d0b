"""Rows for tests and for looking at pages: every model, with values that make sense together.

Nothing here is random: a sequence number decides each value, so a failing test fails again.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import wave
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from asr_worker import types as asr_types
from callcenter.accounts.models import ApiToken, Role, Team, User
from callcenter.calls.models import Batch, BatchRow, Call, Queue, Recording, Transcript, Turn
from callcenter.core.storage import audio_key, store
from callcenter.insights.models import Alert, Insight, Intent, Rule
from callcenter.learning.models import Dataset, Evaluation, Model, Promotion, TrainingRun
from callcenter.pipeline.models import Run
from callcenter.review.models import Correction

PASSWORD = "correct horse battery"  # noqa: S105 - of test users only


class TeamFactory(DjangoModelFactory):
    class Meta:
        model = Team
        django_get_or_create = ("slug",)

    name = factory.Sequence(lambda n: f"Team {n}")
    slug = factory.LazyAttribute(lambda team: team.name.lower().replace(" ", "-"))


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    display_name = factory.LazyAttribute(lambda user: user.username.replace("_", " ").title())
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.org")
    role = Role.AGENT
    password = factory.django.Password(PASSWORD)

    @factory.post_generation
    def teams(self: User, create: bool, extracted: Any, **_: Any) -> None:  # type: ignore[misc]
        if create and extracted:
            self.teams.set(extracted)


class ApiTokenFactory(DjangoModelFactory):
    class Meta:
        model = ApiToken

    user = factory.SubFactory(UserFactory)
    name = factory.Sequence(lambda n: f"token {n}")
    digest = factory.Sequence(lambda n: hashlib.sha256(f"secret {n}".encode()).hexdigest())
    prefix = "cc_abcde"


class QueueFactory(DjangoModelFactory):
    class Meta:
        model = Queue
        django_get_or_create = ("name",)

    name = factory.Sequence(lambda n: ("Billing", "Technical support", "Sales", "Retention")[n % 4])


def tone_wav(*, seconds: float = 2.0, channels: int = 2, rate: int = 8000, pitch: int = 220) -> bytes:
    """Return a small WAV: each channel sounds in turn, so that a player has something to play."""
    frames = bytearray()
    for index in range(int(seconds * rate)):
        for channel in range(channels):
            loud = 1.0 if channels == 1 or int(index / rate * 2) % channels == channel else 0.02
            value = 9000 * loud * math.sin(2 * math.pi * (pitch + 110 * channel) * index / rate)
            frames += struct.pack("<h", int(value))
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setnchannels(channels)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(bytes(frames))
    return out.getvalue()


def peaks_for(duration_ms: int, channels: int, seed: int = 0) -> list[list[int]]:
    """Return 20 peaks a second that look like speech."""
    count = max(1, duration_ms * 20 // 1000)

    def peak(channel: int, i: int) -> int:
        talks = 1.0 if channels == 1 or (i // 60 + channel) % 2 else 0.08
        return int(talks * (12 + 60 * abs(math.sin((i + seed) / 7 + channel)) + (i * 37 + channel) % 17))

    return [[peak(channel, i) for i in range(count)] for channel in range(channels)]


class RecordingFactory(DjangoModelFactory):
    class Meta:
        model = Recording

    class Params:
        #: Give bytes here to have them in the store as well.
        audio: bytes | None = None

    sha256 = factory.Sequence(lambda n: hashlib.sha256(f"recording {n}".encode()).hexdigest())
    storage_key = factory.LazyAttribute(lambda recording: audio_key(recording.sha256))
    size = 64_000
    content_type = "audio/wav"
    container = "wav"
    codec = "pcm_s16le"
    sample_rate = 8000
    channels = 2
    duration_ms = 60_000
    layout = factory.LazyAttribute(lambda recording: "two_party" if recording.channels == 2 else "mono")
    info = factory.LazyAttribute(
        lambda recording: {
            "peaks_per_second": 20,
            "peaks": peaks_for(recording.duration_ms, recording.channels),
            "warnings": [],
        }
    )


def stored_recording(audio: bytes | None = None, **values: Any) -> Recording:
    """Create a recording whose audio lies in the store."""
    data = tone_wav() if audio is None else audio
    sha = hashlib.sha256(data).hexdigest()
    found = Recording.objects.filter(sha256=sha).first()
    if found is not None:
        return found
    store().put_bytes(audio_key(sha), data)
    return RecordingFactory(sha256=sha, size=len(data), **values)


class CallFactory(DjangoModelFactory):
    """A call as it is right after ingest. Use `understood_call` for one with everything."""

    class Meta:
        model = Call

    recording = factory.SubFactory(RecordingFactory)
    team = factory.SubFactory(TeamFactory)
    agent = factory.LazyAttribute(lambda call: UserFactory(teams=[call.team]))
    queue = factory.SubFactory(QueueFactory)
    direction = Call.Direction.INBOUND
    started_at = factory.Sequence(lambda n: timezone.now() - timedelta(hours=3 * n + 1))
    customer_ref = factory.Sequence(lambda n: f"C-{1000 + n}")
    external_id = factory.Sequence(lambda n: f"ext-{n:05}")
    filename = factory.Sequence(lambda n: f"call-{n:05}.wav")
    num_speakers = 2


class TranscriptFactory(DjangoModelFactory):
    class Meta:
        model = Transcript

    call = factory.SubFactory(CallFactory)
    artefact_key = factory.Sequence(lambda n: f"artefacts/{'0' * 60}{n:04}/assemble/{n:016x}.json")
    fingerprint = factory.Sequence(lambda n: f"{n:016x}")
    engine = "faster-whisper"
    model = "whisper-base.en"
    language = "en"
    layout = factory.LazyAttribute(lambda transcript: transcript.call.recording.layout)
    diarizer = "channels"
    mapping = factory.LazyFunction(
        lambda: {
            "parties": {"channel-0": "agent", "channel-1": "customer"},
            "confidence": 0.97,
            "reason": "The first channel greets and names the company.",
        }
    )
    word_count = 0
    mean_probability = 0.9


class TurnFactory(DjangoModelFactory):
    class Meta:
        model = Turn

    transcript = factory.SubFactory(TranscriptFactory)
    call = factory.LazyAttribute(lambda turn: turn.transcript.call)
    index = factory.Sequence(lambda n: n)
    source_turn = factory.LazyAttribute(lambda turn: turn.index)
    party = "agent"
    speaker = factory.LazyAttribute(lambda turn: "channel-0" if turn.party == "agent" else "channel-1")
    channel = factory.LazyAttribute(lambda turn: 0 if turn.party == "agent" else 1)
    start_ms = 0
    end_ms = factory.LazyAttribute(lambda turn: turn.words[-1][2] if turn.words else turn.start_ms)
    text = "Thank you for calling."
    searchable = factory.LazyAttribute(lambda turn: turn.text)
    words = factory.LazyAttribute(lambda turn: timed(turn.text, turn.start_ms))
    mean_probability = 0.9


def timed(text: str, start_ms: int, *, word_ms: int = 320, unsure: tuple[int, ...] = ()) -> list[list[Any]]:
    """Return words with times; those at the places `unsure` get a low probability."""
    return [
        [word, start_ms + i * word_ms, start_ms + (i + 1) * word_ms - 40, 0.31 if i in unsure else 0.93]
        for i, word in enumerate(text.split())
    ]


class InsightFactory(DjangoModelFactory):
    class Meta:
        model = Insight

    call = factory.SubFactory(CallFactory)
    transcript = factory.LazyAttribute(lambda insight: insight.call.transcript or TranscriptFactory(call=insight.call))
    nlu_version = "nlu 1, test"
    intent = "billing_question"
    intent_probability = 0.82
    sentiment = 0.1
    sentiment_customer = -0.05
    sentiment_agent = 0.3
    document = factory.LazyFunction(dict)


class AlertFactory(DjangoModelFactory):
    class Meta:
        model = Alert

    call = factory.SubFactory(CallFactory)
    identity = factory.Sequence(lambda n: f"{n:032x}")
    category = "churn"
    severity = "high"
    rule_key = "churn-cancel"
    rule_version = "1"
    party = "customer"
    start_ms = 4_000
    end_ms = 6_000
    turn_index = 1
    quote = "I want to cancel my contract today"
    word_ids = factory.LazyFunction(lambda: ["1:3", "1:4", "1:5"])
    transcription_confidence = 0.88
    components = factory.LazyFunction(
        lambda: [
            {"kind": "phrase", "detail": "“cancel my contract”", "share": 0.8},
            {"kind": "semantic", "detail": "close to “I am leaving you”", "share": 0.2},
        ]
    )
    score = 0.86


class IntentFactory(DjangoModelFactory):
    class Meta:
        model = Intent
        django_get_or_create = ("name",)

    name = factory.Sequence(lambda n: f"intent_{n}")
    label = factory.LazyAttribute(lambda intent: intent.name.replace("_", " ").capitalize())
    examples = factory.LazyFunction(lambda: ["I have a question about my bill"])


class RuleFactory(DjangoModelFactory):
    class Meta:
        model = Rule

    key = factory.Sequence(lambda n: f"rule-{n}")
    category = "churn"
    severity = "high"
    title = factory.LazyAttribute(lambda rule: rule.key.replace("-", " ").capitalize())
    definition = factory.LazyFunction(dict)


class RunFactory(DjangoModelFactory):
    class Meta:
        model = Run

    call = factory.SubFactory(CallFactory)
    state = Run.State.DONE
    attempt = 1
    progress = factory.LazyAttribute(lambda run: 1.0 if run.state == Run.State.DONE else 0.4)
    started_at = factory.LazyFunction(lambda: timezone.now() - timedelta(seconds=40))
    finished_at = factory.LazyAttribute(lambda run: timezone.now() if run.state in Run.ENDED else None)
    seconds = factory.LazyAttribute(
        lambda run: (
            {"decode": 0.4, "transcribe": 6.2, "assemble": 0.1, "understand": 0.8}
            if run.state == Run.State.DONE
            else {}
        )
    )


class BatchFactory(DjangoModelFactory):
    class Meta:
        model = Batch

    name = factory.Sequence(lambda n: f"Upload {n}")
    team = factory.SubFactory(TeamFactory)
    closed_at = factory.LazyFunction(timezone.now)


class BatchRowFactory(DjangoModelFactory):
    class Meta:
        model = BatchRow

    batch = factory.SubFactory(BatchFactory)
    position = factory.Sequence(lambda n: n)
    filename = factory.Sequence(lambda n: f"recording-{n}.wav")
    size = 480_000
    state = BatchRow.State.DONE


class CorrectionFactory(DjangoModelFactory):
    class Meta:
        model = Correction

    call = factory.LazyAttribute(lambda correction: correction.transcript.call)
    transcript = factory.SubFactory(TranscriptFactory)
    turn_index = 0
    first_word = 0
    last_word = 0
    before = factory.LazyFunction(lambda: ["bill"])
    after = factory.LazyFunction(lambda: ["Bill"])
    start_ms = 0
    end_ms = 300


class DatasetFactory(DjangoModelFactory):
    class Meta:
        model = Dataset

    name = factory.Sequence(lambda n: f"dataset-{n}")
    sha256 = factory.Sequence(lambda n: f"{n:064x}")
    manifest_key = factory.LazyAttribute(lambda dataset: f"datasets/{dataset.sha256}.jsonl")


class TrainingRunFactory(DjangoModelFactory):
    class Meta:
        model = TrainingRun

    dataset = factory.SubFactory(DatasetFactory)
    method = "lora"


class ModelFactory(DjangoModelFactory):
    class Meta:
        model = Model

    name = factory.Sequence(lambda n: f"model-{n}")
    reference = "whisper-base.en"
    engine = "faster-whisper"


class EvaluationFactory(DjangoModelFactory):
    class Meta:
        model = Evaluation

    model = factory.SubFactory(ModelFactory)
    data_name = "golden"
    normaliser = "1"
    figures = factory.LazyFunction(lambda: {"wer": 0.12})


class PromotionFactory(DjangoModelFactory):
    class Meta:
        model = Promotion

    model = factory.SubFactory(ModelFactory)


@dataclass
class Story:
    """What is said in a made-up call, and what it means."""

    intent: str = "billing_question"
    turns: tuple[tuple[str, str, float], ...] = (
        ("agent", "Thank you for calling Northwind, this is Dana speaking. How can I help you today?", 0.4),
        ("customer", "Hello, I was charged twice on my invoice this month and nobody answers my letters.", -0.5),
        ("agent", "I am sorry to hear that. May I have your account number, please?", 0.1),
        ("customer", "It is four four one seven. Honestly, if this goes on I want to cancel my contract today.", -0.7),
        ("agent", "I understand. I can see the second charge and I will refund it right away.", 0.5),
        ("customer", "Oh, that is good. Thank you very much for your help.", 0.7),
    )
    alerts: tuple[dict[str, Any], ...] = (
        {"category": "churn", "severity": "high", "turn_index": 3, "words": (10, 17)},
    )
    unsure: dict[int, tuple[int, ...]] = field(default_factory=lambda: {3: (2, 3)})


QUIET = Story(
    intent="praise",
    turns=(
        ("agent", "Good morning, Northwind support, how may I help?", 0.3),
        ("customer", "I only wanted to say that the engineer yesterday was wonderful. Everything works.", 0.8),
        ("agent", "That is lovely to hear, I will pass it on. Have a nice day.", 0.7),
    ),
    alerts=(),
    unsure={},
)


def stored_artefact(call: Call) -> None:
    """Write the call's turns to the store as the transcript they came from, and project it: it can be corrected."""
    from callcenter.review.projection import project

    transcript = call.transcript
    assert transcript is not None
    turns = tuple(
        asr_types.Turn(
            index=turn.index,
            party=turn.party,
            speaker=turn.speaker,
            channel=turn.channel,
            start_ms=turn.start_ms,
            end_ms=turn.end_ms,
            words=tuple(asr_types.Word(*word) for word in turn.words),
        )
        for turn in transcript.turns.order_by("index")
    )
    document = asr_types.Transcript(
        recording=call.recording.sha256,
        spec=asr_types.PipelineSpec(model=transcript.model),
        fingerprint=transcript.fingerprint,
        model=transcript.model,
        language="en",
        duration_ms=call.recording.duration_ms,
        layout=transcript.layout,
        diarizer=transcript.diarizer,
        mapping=asr_types.PartyMapping(**transcript.mapping),
        turns=turns,
    )
    store().put_bytes(transcript.artefact_key, json.dumps(document.to_json()).encode())
    project(call, transcript)


def understood_call(
    story: Story | None = None, *, audio: bool = False, artefact: bool = False, run: bool = True, **values: Any
) -> Call:
    """Create a call with transcript, turns, insight, alerts and a finished run.

    With `audio` its sound lies in the store, with `artefact` (or `audio`) its transcript, so that it can be corrected.
    """
    story = story or Story()
    position = 800
    laid: list[tuple[str, str, float, list[list[Any]]]] = []
    for index, (party, text, mood) in enumerate(story.turns):
        words = timed(text, position, unsure=story.unsure.get(index, ()))
        laid.append((party, text, mood, words))
        position = words[-1][2] + 700
    duration_ms = position + 500
    if "recording" not in values:
        if audio:
            pitch = 180 + Recording.objects.count() % 40
            values["recording"] = stored_recording(
                tone_wav(seconds=duration_ms / 1000, pitch=pitch), duration_ms=duration_ms
            )
        else:
            values["recording"] = RecordingFactory(duration_ms=duration_ms)
    call: Call = CallFactory(**values)
    transcript = TranscriptFactory(call=call, word_count=sum(len(words) for *_, words in laid))
    for index, (party, text, _, words) in enumerate(laid):
        TurnFactory(
            transcript=transcript, call=call, index=index, party=party, start_ms=words[0][1], text=text, words=words
        )
    call.transcript = transcript
    call.save(update_fields=["transcript"])
    if audio or artefact:
        stored_artefact(call)
    document = insight_document(story, laid, duration_ms)
    InsightFactory(
        call=call,
        transcript=transcript,
        intent=story.intent,
        sentiment=document["sentiment"]["score"],
        sentiment_customer=document["sentiment"]["customer"],
        sentiment_agent=document["sentiment"]["agent"],
        document=document,
    )
    for raw in story.alerts:
        first, last = raw["words"]
        words = laid[raw["turn_index"]][3][first : last + 1]
        AlertFactory(
            call=call,
            category=raw["category"],
            severity=raw["severity"],
            turn_index=raw["turn_index"],
            start_ms=words[0][1],
            end_ms=words[-1][2],
            party=laid[raw["turn_index"]][0],
            quote=" ".join(word[0] for word in words),
            word_ids=[f"{raw['turn_index']}:{number}" for number in range(first, last + 1)],
            listen_first=raw.get("listen_first", False),
        )
    if run:
        RunFactory(call=call, transcript=transcript)
    return call


def insight_document(
    story: Story, laid: list[tuple[str, str, float, list[list[Any]]]], duration_ms: int
) -> dict[str, Any]:
    """Return a document in the shape of `analytics.nlu.understand`."""

    def mean(party: str) -> float | None:
        scores = [mood for who, _, mood, _ in laid if who == party]
        return round(sum(scores) / len(scores), 3) if scores else None

    talk = {party: sum(w[-1][2] - w[0][1] for who, _, _, w in laid if who == party) for party in ("agent", "customer")}
    label = lambda mood: "negative" if mood <= -0.25 else "positive" if mood >= 0.25 else "neutral"  # noqa: E731
    customer = [mood for who, _, mood, _ in laid if who == "customer"]
    spoken = sum(talk.values()) or 1
    return {
        "schema_version": 1,
        "nlu_version": "nlu 1, test",
        "intent": story.intent,
        "intent_probability": 0.82,
        "intents": [
            {"name": story.intent, "probability": 0.82, "turns": [1], "primary": True},
            {"name": "cancellation", "probability": 0.35, "turns": [min(3, len(laid) - 1)], "primary": False},
        ],
        "sentiment": {
            "score": round(sum(mood for _, _, mood, _ in laid) / len(laid), 3),
            "agent": mean("agent"),
            "customer": mean("customer"),
            "customer_change": round(customer[-1] - customer[0], 3) if customer else None,
            "quarters": {"agent": [0.2, 0.1, 0.3, 0.5], "customer": [-0.5, -0.6, -0.1, 0.7]},
            "turns": [
                {"turn": i, "party": who, "start_ms": w[0][1], "end_ms": w[-1][2], "score": mood, "label": label(mood)}
                for i, (who, _, mood, w) in enumerate(laid)
            ],
        },
        "metrics": {
            "duration_ms": duration_ms,
            "talk_ratio_agent": talk["agent"] / spoken,
            "agent_talk_ms": talk["agent"],
            "customer_talk_ms": talk["customer"],
            "silence_ms": max(0, duration_ms - spoken),
            "silence_ratio": max(0, duration_ms - spoken) / duration_ms,
            "longest_silence_ms": 1300,
            "longest_silence_start_ms": 0,
            "overtalk_ms": 240,
            "interruptions_agent": 0,
            "interruptions_customer": 1,
            "wpm_agent": 172.0,
            "wpm_customer": 181.0,
            "longest_monologue_agent_ms": 4500,
            "longest_monologue_customer_ms": 5600,
            "response_latency_agent_ms": 700,
            "response_latency_customer_ms": 650,
            "hold_ms": 0,
            "holds": [],
            "turns": len(laid),
            "words": sum(len(w) for *_, w in laid),
            "mean_word_probability": 0.9,
        },
        "alerts": [],
    }
