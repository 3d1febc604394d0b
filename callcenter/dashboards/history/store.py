"""Generated calls go into the tables by COPY and into the warehouse by its loader, and out of both again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Field, Model
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from analytics.warehouse import loader
from analytics.warehouse.tables import Base
from callcenter.accounts.models import Team, User
from callcenter.calls.models import Call, Queue, Recording, Transcript, Turn
from callcenter.core.errors import CallcenterError
from callcenter.dashboards.history import invent, when
from callcenter.dashboards.history.cast import ANSWERS, MARK, TEAMS, House, build
from callcenter.dashboards.history.invent import Invented
from callcenter.insights.models import Alert, Insight
from callcenter.insights.warehouse_doc import SCHEMA_VERSION, batched, engine
from callcenter.pipeline.models import Run
from callcenter.review.models import Review

CHUNK = 1000
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was made, and the seconds it took to write and to load."""

    calls: int
    turns: int
    alerts: int
    store_seconds: float
    load_seconds: float


def seed(
    *, calls: int, days: int = 365, seed: int = 1, agents_per_team: int = 10, progress: Progress | None = None
) -> Seeded:
    """Create the history. Whatever stops it, what is there is marked, and `remove` takes it away.

    Raises:
        CallcenterError: there are generated calls already.
    """
    if Call.objects.filter(source=MARK).exists():
        raise CallcenterError(N_("There are generated calls already; remove them first."), code="seeded_already")
    house = build(seed=seed, agents_per_team=agents_per_team)
    now = timezone.now().replace(microsecond=0)
    written = loaded = 0.0
    done = turns = alerts = 0
    for chunk in batched(_invented(house, calls=calls, days=days, seed=seed, now=now), CHUNK):
        begun = timezone.now()
        with transaction.atomic():
            _write(house, chunk)
        between = timezone.now()
        loader.load_many(engine(), (document(house, one) for one in chunk if not one.failed))
        written += (between - begun).total_seconds()
        loaded += (timezone.now() - between).total_seconds()
        done += len(chunk)
        turns += sum(len(one.turns) for one in chunk)
        alerts += sum(len(one.alerts) for one in chunk)
        if progress is not None:
            progress(done)
    with connection.cursor() as cursor:
        for model in (Recording, Call, Transcript, Turn, Insight, Alert, Run, Review):
            cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")
    with engine().begin() as warehouse:
        for table in Base.metadata.sorted_tables:
            warehouse.exec_driver_sql(f"ANALYZE {table.fullname}")
    return Seeded(done, turns, alerts, written, loaded)


def remove(*, progress: Progress | None = None) -> int:
    """Take every generated call away, from the warehouse too, and the generated people whom nothing else refers to."""
    generated = Call.objects.filter(source=MARK)
    removed = 0
    while ids := list(generated.values_list("pk", flat=True)[:CHUNK]):
        loader.delete_calls(engine(), ids)
        with transaction.atomic():
            recordings = list(generated.filter(pk__in=ids).values_list("recording", flat=True))
            Call.objects.filter(pk__in=ids).delete()
            Recording.objects.filter(pk__in=recordings, calls=None).delete()
        removed += len(ids)
        if progress is not None:
            progress(removed)
    # Real calls may have come to a generated queue or team meanwhile; what they belong to stays.
    Queue.objects.filter(name__endswith=f" ({MARK})", calls=None).delete()
    User.objects.filter(username__startswith=f"{MARK}-", calls=None).delete()
    Team.objects.filter(slug__startswith=f"{MARK}-", calls=None, batches=None).delete()
    return removed


def _invented(house: House, *, calls: int, days: int, seed: int, now: datetime) -> Iterator[Invented]:
    rng = Random(f"{seed}-when")  # noqa: S311 - figures for looking at, not secrets
    members = house.members
    shares = [member.manner.share for member in members]
    names = {team.pk: name for name, team in house.teams.items()}
    times = when.moments(count=calls, days=days, now=now, zone=ZoneInfo(settings.TIME_ZONE), rng=rng)
    for number, (moment, place, surge) in enumerate(times):
        agent = rng.choices(members, shares)[0]
        queue = rng.choices(range(4), ANSWERS[names.get(agent.team, TEAMS[0])])[0]
        yield invent.call(
            number, seed=seed, started_at=moment, place=place, surge=surge, agent=agent, queue=queue, now=now
        )


class _Table:
    """COPY into the table of one model: what a row does not say is the default of its field, as with the ORM."""

    def __init__(self, model: type[Model], *, with_id: bool = False) -> None:
        fields: list[Field[Any, Any]] = [
            f
            for f in model._meta.concrete_fields
            if not f.generated and (with_id or f.get_internal_type() != "BigAutoField")
        ]
        self.name = model._meta.db_table
        self.columns = [str(field.column) for field in fields]
        self.defaults = [_default(field) for field in fields]
        self.places = {field.attname: place for place, field in enumerate(fields)}

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        quote = connection.ops.quote_name
        into = f"COPY {quote(self.name)} ({', '.join(map(quote, self.columns))}) FROM STDIN"
        with connection.cursor() as cursor, cursor.copy(into) as copy:  # type: ignore[attr-defined]
            for row in rows:
                values = list(self.defaults)
                for name, value in row.items():
                    values[self.places[name]] = value
                copy.write_row(values)


def _default(field: Field[Any, Any]) -> Any:
    value = field.get_default()
    if field.get_internal_type() == "JSONField":
        return json.dumps(value)
    return value() if callable(value) else value


def _write(house: House, chunk: Sequence[Invented]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [Recording._meta.db_table, len(chunk)],
        )
        recordings = [row[0] for row in cursor.fetchall()]
    ids = dict(zip((one.call_id for one in chunk), recordings, strict=True))
    understood = [one for one in chunk if not one.failed]
    _Table(Recording, with_id=True).write([_recording(one, ids[one.call_id]) for one in chunk])
    _Table(Call).write([_call(house, one, ids[one.call_id]) for one in chunk])
    _Table(Transcript).write([_transcript(one) for one in understood])
    _Table(Turn).write([row for one in understood for row in _turns(one)])
    _Table(Insight).write([_insight(one) for one in understood])
    _Table(Alert).write([_alert(house, one, raw) for one in understood for raw in one.alerts])
    _Table(Run).write([_run(one) for one in chunk])
    _Table(Review).write([row for one in understood for row in _reviews(one)])


def _recording(one: Invented, pk: int) -> dict[str, Any]:
    channels = 2 if one.layout == "two_party" else 1
    return {
        "id": pk,
        "sha256": one.sha256,
        "storage_key": f"{MARK}/{one.sha256}",
        "size": one.duration_ms * 8 * channels,
        "content_type": "audio/wav",
        "container": MARK,
        "codec": "pcm_mulaw",
        "sample_rate": 8000,
        "channels": channels,
        "duration_ms": one.duration_ms,
        "layout": one.layout,
        "created_at": one.started_at,
    }


def _call(house: House, one: Invented, recording: int) -> dict[str, Any]:
    return {
        "id": one.call_id,
        "recording_id": recording,
        "team_id": one.agent.team,
        "agent_id": one.agent.pk,
        "queue_id": house.queues[one.queue].pk,
        "direction": one.direction,
        "started_at": one.started_at,
        "customer_ref": one.customer_ref,
        "external_id": f"{MARK}-{one.number:07}",
        "filename": f"{MARK}-{one.number:07}.wav",
        "num_speakers": 2,
        "source": MARK,
        "transcript_id": None if one.failed else _transcript_id(one),
        "created_at": one.started_at,
        "updated_at": one.started_at,
    }


def _transcript_id(one: Invented) -> uuid.UUID:
    return uuid.uuid5(one.call_id, "transcript")


def _transcribed_at(one: Invented) -> datetime:
    return one.started_at + timedelta(milliseconds=one.duration_ms, seconds=90)


def _transcript(one: Invented) -> dict[str, Any]:
    return {
        "id": _transcript_id(one),
        "call_id": one.call_id,
        "artefact_key": f"{MARK}/{one.sha256}.json",
        "fingerprint": one.sha256[:16],
        "engine": "faster-whisper",
        "model": one.model,
        "language": "en",
        "layout": one.layout,
        "diarizer": "channels" if one.layout == "two_party" else "pyannote",
        "mapping": '{"parties": {}, "confidence": 0.95, "reason": "generated"}',
        "word_count": one.word_count,
        "mean_probability": one.mean_probability,
        "created_at": _transcribed_at(one),
    }


def _turns(one: Invented) -> Iterator[dict[str, Any]]:
    for index, turn in enumerate(one.turns):
        agent = turn.party == "agent"
        yield {
            "transcript_id": _transcript_id(one),
            "call_id": one.call_id,
            "index": index,
            "party": turn.party,
            "speaker": "channel-0" if agent else "channel-1",
            "channel": 0 if agent else 1,
            "start_ms": turn.start_ms,
            "end_ms": turn.end_ms,
            "text": turn.text,
            "searchable": turn.text,
            "words": turn.words_json,
            "mean_probability": turn.probability,
            "source_turn": index,
            "review": turn.review,
            "expected_errors": turn.expected_errors,
            "to_review": not turn.review,
        }


def _insight(one: Invented) -> dict[str, Any]:
    sentiment = one.insight["sentiment"]
    return {
        "call_id": one.call_id,
        "transcript_id": _transcript_id(one),
        "nlu_version": one.insight["nlu_version"],
        "intent": one.insight["intent"],
        "intent_probability": one.insight["intent_probability"],
        "sentiment": sentiment["score"],
        "sentiment_customer": sentiment["customer"],
        "sentiment_agent": sentiment["agent"],
        "document": json.dumps(one.insight),
        "created_at": _transcribed_at(one),
    }


def _alert(house: House, one: Invented, raw: dict[str, Any]) -> dict[str, Any]:
    handled = raw["status"] != "open"
    return {
        "id": raw["id"],
        "call_id": one.call_id,
        "identity": raw["identity"],
        "category": raw["category"],
        "severity": raw["severity"],
        "rule_key": raw["rule_key"],
        "rule_version": "1",
        "party": raw["party"],
        "start_ms": raw["start_ms"],
        "end_ms": raw["end_ms"],
        "turn_index": raw["turn"],
        "quote": raw["quote"],
        "word_ids": json.dumps(raw["word_ids"]),
        "transcription_confidence": raw["confidence"],
        "components": '[{"kind": "phrase", "detail": "generated", "share": 1.0}]',
        "score": raw["score"],
        "status": raw["status"],
        "handled_by_id": house.supervisor.pk if handled else None,
        "handled_at": raw["handled_at"],
        "first_handled_at": raw["handled_at"],
        "dismiss_kind": "handled" if raw["status"] == "dismissed" else "",
        "dismiss_reason": "Generated." if raw["status"] == "dismissed" else "",
        "touched": handled,
        "created_at": raw["created_at"],
    }


def _run(one: Invented) -> dict[str, Any]:
    ended = _transcribed_at(one)
    return {
        "id": uuid.uuid5(one.call_id, "run"),
        "call_id": one.call_id,
        "state": "failed" if one.failed else "done",
        "stage": "transcribe" if one.failed else "warehouse",
        "progress": 0.3 if one.failed else 1.0,
        "attempt": 1,
        "error_code": "bad_audio" if one.failed else "",
        "error_message": "The recording ends in the middle of a frame." if one.failed else "",
        "error_permanent": one.failed,
        "transcript_id": None if one.failed else _transcript_id(one),
        "next_attempt_at": None,
        "seconds": '{"decode": 0.3, "transcribe": 9.5, "assemble": 0.1, "understand": 0.9}',
        "created_at": ended - timedelta(seconds=60),
        "started_at": ended - timedelta(seconds=40),
        "finished_at": ended,
    }


def _reviews(one: Invented) -> Iterator[dict[str, Any]]:
    for index, turn in enumerate(one.turns):
        if turn.review:
            yield {
                "id": uuid.uuid5(one.call_id, f"review-{index}"),
                "call_id": one.call_id,
                "transcript_id": _transcript_id(one),
                "turn_index": index,
                "first_word": 0,
                "start_ms": turn.start_ms,
                "end_ms": turn.end_ms,
                "text": turn.text,
                "outcome": turn.review,
                "reviewer_id": one.agent.pk,
                "sampled": index % 4 == 0,
                "expected_errors": turn.expected_errors,
                "words": turn.count,
                "wrong": round(turn.expected_errors) if turn.review == "corrected" else 0,
                "reviewed_at": _transcribed_at(one) + timedelta(hours=3),
            }


def document(house: House, one: Invented) -> dict[str, Any]:
    """Return the call document, made from what was invented; equal to the one that the tables give."""
    sentiments = one.insight["sentiment"]
    keys = ("intent", "intent_probability", "intents", "metrics", "nlu_version")
    return {
        "schema_version": SCHEMA_VERSION,
        "call_id": one.call_id,
        "external_id": f"{MARK}-{one.number:07}",
        "recording_sha256": one.sha256,
        "started_at": one.started_at,
        "duration_ms": one.duration_ms,
        "direction": one.direction,
        "language": "en",
        "customer_ref": one.customer_ref,
        "team": {"id": one.agent.team, "name": house.team_names[one.agent.team]},
        "queue": {"id": house.queues[one.queue].pk, "name": house.queues[one.queue].name},
        "agent": {"id": one.agent.pk, "username": one.agent.username, "name": one.agent.name},
        "layout": one.layout,
        "model": one.model,
        "transcribed_at": _transcribed_at(one),
        "mean_word_probability": one.mean_probability,
        "words": one.word_count,
        "insight": {
            **{key: one.insight[key] for key in keys},
            "sentiment": {key: value for key, value in sentiments.items() if key != "turns"},
        },
        "turns": [
            {
                "index": index,
                "party": turn.party,
                "start_ms": turn.start_ms,
                "end_ms": turn.end_ms,
                "words": turn.count,
                "mean_probability": turn.probability,
                "reviewed": bool(turn.review),
                "sentiment": turn.mood,
            }
            for index, turn in enumerate(one.turns)
        ],
        "alerts": [
            {
                "id": raw["id"],
                "category": raw["category"],
                "severity": raw["severity"],
                "status": raw["status"],
                "party": raw["party"],
                "start_ms": raw["start_ms"],
                "end_ms": raw["end_ms"],
                "score": raw["score"],
                "rule_key": raw["rule_key"],
                "rule_version": "1",
                "created_at": raw["created_at"],
            }
            for raw in sorted(one.alerts, key=lambda raw: (raw["start_ms"], str(raw["id"])))
        ],
    }
