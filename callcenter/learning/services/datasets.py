"""Building a dataset: reviewed segments in, clips and an immutable manifest out, with a golden set held apart.

Voices are assigned once (see `splits`); a customer who is heard on the held-out side is left out of training; what
must stay private is cut out; replayed old-domain rows ride along. The same state gives the same manifest SHA-256.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext

from asr_worker.datasets import clip_name, put_clip
from asr_worker.types import BadAudio
from callcenter.accounts.models import Team, User
from callcenter.calls.models import Call, Turn
from callcenter.core.errors import CallcenterError
from callcenter.core.storage import store
from callcenter.learning.models import Dataset, SplitAssignment
from callcenter.learning.services import clips, old_domain, privacy, pseudo, splits
from callcenter.learning.services.store_rows import Row, default_name, file_dataset, free_name
from callcenter.privacy.services import withheld
from callcenter.review.segments import Segment, reviewed_segments

Side = SplitAssignment.Side
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Cut:
    """The rows that segments gave, and why others gave none."""

    rows: list[Row]
    left_out: list[dict[str, str]]


def build(
    *,
    by: User | None,
    name: str = "",
    since: datetime | None = None,
    teams: Collection[Team] | None = None,
    replay_share: float = 0.3,
    pseudo_share: float = 0.0,
    progress: Progress = lambda fraction: None,
) -> Dataset:
    """Return a new training dataset, and see to it that the golden set is up to date.

    `since` and `teams` narrow what is learned from, never what is held out. The shares are of the training seconds.
    Raises CallcenterError where nothing was reviewed or too little to hold out a test set, saying what is missing.
    """
    if name and Dataset.objects.filter(name=name).exists():
        raise CallcenterError(
            gettext("There is a dataset named “{name}” already.").format(name=name), code="name_taken"
        )
    segments = reviewed_segments()
    if not segments:
        raise CallcenterError(gettext("Nobody has reviewed or corrected anything yet."), code="nothing_reviewed")
    consenting = _consenting(segments)
    usable = [s for s in segments if s.call_id in consenting]
    if not usable:
        raise CallcenterError(
            gettext(
                "None of the reviewed calls may be learned from: consent to training is off for them or for their "
                "teams."
            ),
            code="no_consent",
        )
    sides, held_customers = assign(usable)
    team_ids = None if teams is None else {team.pk for team in teams}
    wanted, refused = [], [_without(s, "no consent to training") for s in segments if s.call_id not in consenting]
    for segment in usable:
        side = sides[segment.call_id]
        reason = "" if side == Side.GOLDEN else _unwanted(segment, side, since, team_ids, held_customers)
        if reason:
            refused.append(_without(segment, reason))
        else:
            wanted.append((segment, side))
    cut = cut_segments(wanted, progress=lambda fraction: progress(0.8 * fraction))
    golden_rows = [row for row in cut.rows if row["split"] == "test"]
    rows = [row for row in cut.rows if row["split"] != "test"]
    left_out = refused + cut.left_out
    if not golden_rows or not any(row["split"] == "train" for row in rows):
        raise CallcenterError(
            _nothing_left("test set" if not golden_rows else "training", left_out), code="nothing_left"
        )
    golden = golden_set(golden_rows, by=by)
    seconds = sum(row["duration_s"] for row in rows if row["split"] == "train")
    if pseudo_share:
        guesses = pseudo.confident(sides=sides, held_customers=held_customers, teams=team_ids, since=since)
        rows += _share(cut_segments([(s, Side.TRAIN.value) for s in guesses]).rows, seconds, pseudo_share)
    progress(0.9)
    old = old_domain.current(by=by)
    rows += _share([{**r, "split": "train", "source": "replay"} for r in old.replay], seconds, replay_share)
    reasons = Counter(item["reason"] for item in left_out)
    dataset = file_dataset(
        name=name or default_name(),
        kind=Dataset.Kind.TRAIN,
        rows=rows,
        by=by,
        parameters={
            "since": since.isoformat() if since else None,
            "teams": sorted(team.slug for team in teams) if teams is not None else None,
            "replay_share": replay_share,
            "pseudo_share": pseudo_share,
            "old_domain": str(old.gate.pk) if old.gate else None,
        },
        problems=left_out,
        counts={"left_out": dict(sorted(reasons.items())), "reviewed": len(segments)},
        golden=golden,
    )
    progress(1.0)
    return dataset


def assign(segments: Iterable[Segment]) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Return the side of each call, and the customers heard on each held-out side.

    A customer of the golden set is left out of training and validation, one of the validation rows out of training.
    Raises CallcenterError when there is too little to hold out a test set; then nothing is assigned either.
    """
    segments = list(segments)
    keys = {s.call_id: splits.voice_key(agent=s.agent, call_id=s.call_id) for s in segments}
    with transaction.atomic():
        by_voice = splits.assign((key, call_id) for call_id, key in keys.items())
    sides = {call_id: by_voice[key] for call_id, key in keys.items()}
    golden = {s.customer_ref for s in segments if s.customer_ref and sides[s.call_id] == Side.GOLDEN}
    validation = {s.customer_ref for s in segments if s.customer_ref and sides[s.call_id] == Side.VALIDATION}
    return sides, {Side.TRAIN.value: golden | validation, Side.VALIDATION.value: golden, Side.GOLDEN.value: set()}


def golden_set(rows: list[Row], *, by: User | None) -> Dataset:
    """Return the golden set of these rows: the present version if nothing has changed, else the next one."""
    from asr_worker.datasets import to_lines

    sha256 = hashlib.sha256(to_lines(rows)).hexdigest()
    same = Dataset.objects.filter(kind=Dataset.Kind.GOLDEN, sha256=sha256, imported=False).first()
    if same is not None:
        return same
    version = Dataset.objects.filter(kind=Dataset.Kind.GOLDEN, imported=False).count() + 1
    return file_dataset(
        name=free_name(f"golden-{version}"), kind=Dataset.Kind.GOLDEN, rows=rows, by=by, parameters={"version": version}
    )


def cut_segments(wanted: Iterable[tuple[Segment, str]], *, progress: Progress = lambda fraction: None) -> Cut:
    """Cut the clips of segments out of their recordings, each recording read once, and return their rows.

    A recording that is gone or cannot be decoded leaves out its own segments and nothing else.
    """
    by_call: defaultdict[str, list[tuple[Segment, str]]] = defaultdict(list)
    for segment, side in wanted:
        by_call[segment.call_id].append((segment, side))
    calls = Call.objects.select_related("recording", "team").in_bulk(list(by_call))
    cut = Cut([], [])
    for done, (call_id, group) in enumerate(by_call.items()):
        call = next((c for pk, c in calls.items() if str(pk) == call_id), None)
        if call is None:
            cut.left_out.extend(_without(s, "the call was deleted") for s, _ in group)
        else:
            _cut_call(call, group, cut)
        progress((done + 1) / len(by_call))
    return cut


def _cut_call(call: Call, group: list[tuple[Segment, str]], cut: Cut) -> None:
    if withheld(call.recording):
        cut.left_out.extend(_without(s, "the recording is withheld until card data in it is muted") for s, _ in group)
        return
    turns = list(Turn.objects.filter(transcript_id=group[0][0].transcript_id).order_by("index"))
    hidden = privacy.hidden_in(call, turns)
    plan: list[tuple[Segment, str, int, int, clips.Piece]] = []
    for segment, side in group:
        if hidden.covers(turn_index=segment.turn_index):
            cut.left_out.append(_without(segment, "private data without known times"))
            continue
        channel = _channel(segment)
        parts = clips.pieces(
            segment.words,
            others=_around(segment, turns),
            hidden=hidden.spans,
            duration_ms=call.recording.duration_ms,
        )
        if not parts:
            cut.left_out.append(_without(segment, "nothing left that is long enough"))
        plan += [(segment, side, channel, at, part) for at, part in enumerate(parts)]
    if not plan:
        return
    try:
        with store().local_path(call.recording.storage_key) as path:
            sounds = clips.sounds(path, [(channel, part.start_ms, part.end_ms) for _, _, channel, _, part in plan])
    except FileNotFoundError:
        cut.left_out.extend(_without(s, "the recording is gone from the storage") for s, *_ in plan)
        return
    except BadAudio:
        cut.left_out.extend(_without(s, "the recording cannot be decoded") for s, *_ in plan)
        return
    for (segment, side, channel, at, part), sound in zip(plan, sounds, strict=True):
        if len(sound) < clips.MIN_MS * clips.RATE // 1000:
            cut.left_out.append(_without(segment, "the recording ends before it"))
            continue
        sha256 = put_clip(store(), clips.flac(sound))
        cut.rows.append(_row(segment, side, channel, at, part, sha256, len(sound)))


def _row(segment: Segment, side: str, channel: int, at: int, part: clips.Piece, sha256: str, samples: int) -> Row:
    return {
        "id": f"{segment.id}:{at}" if at else segment.id,
        "audio": clip_name(sha256),
        "sha256": sha256,
        "duration_s": round(samples / clips.RATE, 3),
        "sample_rate": clips.RATE,
        "text": part.text,
        "speaker": _speaker(segment),
        "call": segment.call_id,
        "split": "test" if side == Side.GOLDEN else str(side),
        "source": {"corrected": "correction", "confirmed": "confirmed"}.get(segment.outcome, "pseudo"),
        "party": segment.party,
        "team": segment.team,
        "queue": segment.queue,
        "agent": segment.agent,
        "channel": channel,
        "start_ms": part.start_ms,
        "end_ms": part.end_ms,
        "model": segment.model,
        "corrections": list(segment.correction_ids),
        "old_domain": False,
        "consent": True,
    }


def _speaker(segment: Segment) -> str:
    """Return who speaks, without the customer's reference: manifests travel further than the call list does."""
    if segment.party == "agent" and segment.agent:
        return segment.agent
    if segment.party == "customer" and segment.customer_ref:
        return f"customer-{hashlib.sha256(segment.customer_ref.encode()).hexdigest()[:10]}"
    return f"{segment.call_id[:8]}:{segment.speaker or segment.party}"


def _channel(segment: Segment) -> int:
    return segment.channel if 0 <= segment.channel < segment.audio_channels else 0


def _around(segment: Segment, turns: Iterable[Turn]) -> list[tuple[int, int]]:
    """Return the words of other turns that stand on the same channel."""
    return [
        (int(word[1]), int(word[2]))
        for turn in turns
        if turn.index != segment.turn_index and (segment.audio_channels == 1 or turn.channel == segment.channel)
        for word in turn.words
    ]


def _consenting(segments: Iterable[Segment]) -> set[str]:
    calls = Call.objects.filter(pk__in={s.call_id for s in segments})
    return {str(pk) for pk in privacy.allowed(calls).values_list("pk", flat=True)}


def _unwanted(
    segment: Segment, side: str, since: datetime | None, teams: set[int] | None, held: dict[str, set[str]]
) -> str:
    """Return why a segment is not for training or validation, or an empty string."""
    if since is not None and segment.reviewed_at < since:
        return "reviewed before the chosen day"
    if teams is not None and segment.team_id not in teams:
        return "of another team"
    # Where nobody knows which party it is, it may be the customer.
    if segment.party != "agent" and segment.customer_ref in held[side]:
        return "a customer who is heard in the held-out calls"
    return ""


def _without(segment: Segment, reason: str) -> dict[str, str]:
    return {"id": segment.id, "call": segment.call_id, "reason": reason}


def _nothing_left(what: str, left_out: list[dict[str, str]]) -> str:
    reasons = Counter(item["reason"] for item in left_out)
    listed = "; ".join(f"{n} × {reason}" for reason, n in reasons.most_common(4))
    return f"No segment is left for the {what}. Left out: {listed or 'nothing'}."


def _share(rows: list[Row], seconds: float, share: float) -> list[Row]:
    """Return as many of the rows as make up `share` of the whole beside `seconds`, always the same ones."""
    budget = seconds * share / (1 - share) if share < 1 else 0.0
    chosen, used = [], 0.0
    for row in sorted(rows, key=lambda r: hashlib.sha256(str(r["id"]).encode()).hexdigest()):
        if used >= budget:
            break
        chosen.append(row)
        used += float(row["duration_s"])
    return chosen
