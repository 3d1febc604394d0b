"""Reads behind the review pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum

from callcenter.accounts.models import Team, User
from callcenter.calls.models import Call, Turn
from callcenter.calls.selectors import visible_teams
from callcenter.privacy.services.levels import level_for
from callcenter.privacy.services.seeing import text_for, words_of
from callcenter.review.estimate import ErrorRate, Worth, error_rate, worth
from callcenter.review.models import Correction, Review
from callcenter.review.page import what_changed
from callcenter.review.vocabulary import vocabulary_of

#: After this many doubtful segments comes a spot check.
SPOT_CHECK_AFTER = 4
PAGE = 25
#: What is estimated rests on the newest reviews: models and callers change.
RECENT = 2000
Status = Correction.Status


def waiting(user: User, team: Team | None = None) -> QuerySet[Turn]:
    """Return the turns of visible calls that nobody has looked at."""
    calls = Call.objects.visible_to(user)
    if team is not None:
        calls = calls.filter(team=team)
    return Turn.objects.filter(to_review=True, call__in=calls)


def ranked(user: User, team: Team | None = None) -> QuerySet[Turn]:
    """Return the turns that wait, those with the most expected wrong words first; without the spot checks."""
    return waiting(user, team).filter(spot_check=None, expected_errors__gt=0).order_by("-expected_errors", "id")


def spot_checks(user: User, team: Team | None = None) -> QuerySet[Turn]:
    """Return the spot checks that wait, in their drawn order."""
    return waiting(user, team).filter(spot_check__isnull=False).order_by("spot_check", "id")


@dataclass(frozen=True, slots=True)
class Entry:
    """A segment of the queue; `words` are (text, doubtful)."""

    turn: Turn
    words: list[tuple[str, bool]]
    sampled: bool
    near: list[str]


def entries(turns: QuerySet[Turn], user: User, *, sampled: bool, size: int = PAGE) -> list[Entry]:
    """Return the first segments with their doubtful words marked."""
    found = list(turns.select_related("call__agent", "call__team", "transcript")[:size])
    known: dict[int, Any] = {}
    out = []
    seen = seen_words(user, found, once=True)
    for turn in found:
        team = turn.call.team_id
        if team not in known:
            known[team] = vocabulary_of(team)
        misses = known[team].near_misses([word[0] for word in turn.words])
        words = [
            (text, n in misses or (w[3] is not None and w[3] < 0.5))
            for n, (text, w) in enumerate(zip(seen[turn.pk], turn.words, strict=True))
            if text
        ]
        out.append(Entry(turn, words, sampled, sorted(set(misses.values()))))
    return out


def seen_words(user: User, turns: Sequence[Turn], *, once: bool = False) -> dict[int, list[str]]:
    """Return the words of these turns as this user sees them; what surrounds them decides what they are."""
    level = level_for(user)
    calls: dict[Any, list[Turn]] = {}
    for turn in Turn.objects.filter(transcript__in={t.transcript_id for t in turns}).order_by("index"):
        calls.setdefault(turn.transcript_id, []).append(turn)
    words = {key: words_of(rows, level, once=once) for key, rows in calls.items()}
    return {turn.pk: words[turn.transcript_id][turn.index] for turn in turns}


def next_segment(user: User, *, source: str = "", after: int | None = None, done: int = 0) -> tuple[Turn | None, str]:
    """Return the next segment to look at, and whether the queue or the spot checks led there ("queue", "sample").

    `after` is a turn to step over: the one that was just left without a decision. `done` counts the segments of this
    sitting: every fifth is a spot check, so that the estimate grows along with the corrections.
    """
    want_sample = source == "sample" or (source != "only" and done % (SPOT_CHECK_AFTER + 1) == SPOT_CHECK_AFTER)
    order = [("sample", spot_checks(user)), ("queue", ranked(user))]
    if not want_sample:
        order.reverse()
    for name, turns in order:
        left = _beyond(turns, name, after)
        others = turns if after is None else turns.exclude(pk=after)
        found = left.select_related("call").first() or others.select_related("call").first()
        if found is not None:
            return found, name
    return None, ""


def _beyond(turns: QuerySet[Turn], name: str, after: int | None) -> QuerySet[Turn]:
    here = Turn.objects.filter(pk=after).first() if after else None
    if here is None:
        return turns
    if name == "sample":
        return turns.filter(spot_check__gt=here.spot_check) if here.spot_check is not None else turns
    expected = here.expected_errors or 0.0
    return turns.filter(Q(expected_errors__lt=expected) | Q(expected_errors=expected, id__gt=here.pk))


def sitting(call: Call, user: User, source: str, moment: str) -> dict[str, Any] | None:
    """Return how many segments are left where the review queue led to this call, else None."""
    if source not in ("queue", "sample"):
        return None
    left = spot_checks(user) if source == "sample" else ranked(user)
    here = call.turns.filter(transcript=call.transcript_id)
    at = int(moment) if moment.isdecimal() and len(moment) < 10 else 0
    turn = here.filter(start_ms__lte=at).order_by("-start_ms").values_list("pk", flat=True).first()
    return {"from": source, "left": left.count(), "turn": turn or ""}


@dataclass(frozen=True, slots=True)
class State:
    """Where correcting stands, for the calls that a user may see."""

    doubtful: int
    expected: float
    unchecked: int
    reviewed: int
    corrected: int
    rate: ErrorRate | None
    worth: Worth
    minutes_left: float


def state(user: User) -> State:
    """Return what is left, the estimated error rate from the spot checks, and whether going on pays."""
    from callcenter.review.estimate import minutes

    left = ranked(user).aggregate(count=Count("pk"), expected=Sum("expected_errors"))
    reviews = Review.objects.filter(call__in=Call.objects.visible_to(user), transcript=F("call__transcript"))
    sampled = reviews.filter(sampled=True).order_by("-reviewed_at")[:RECENT]
    recent = list(reviews.filter(sampled=False).order_by("-reviewed_at")[:500])
    following = list(ranked(user).values_list("expected_errors", "start_ms", "end_ms")[:PAGE])
    counts = reviews.aggregate(all=Count("pk"), corrected=Count("pk", filter=Q(outcome=Review.Outcome.CORRECTED)))
    lengths = [end - start for _, start, end in following]
    each = minutes(lengths) / len(lengths) if lengths else 0.0
    return State(
        doubtful=left["count"],
        expected=left["expected"] or 0.0,
        unchecked=spot_checks(user).count(),
        reviewed=counts["all"],
        corrected=counts["corrected"],
        rate=error_rate((str(r.call_id), r.words, r.wrong) for r in sampled),
        worth=worth(
            [(r.expected_errors, r.wrong, r.end_ms - r.start_ms) for r in recent],
            [(expected or 0.0, end - start) for expected, start, end in following],
        ),
        minutes_left=each * left["count"],
    )


@dataclass(frozen=True, slots=True)
class Pending:
    """What one person changed at once in one call and a supervisor has to decide on."""

    group: Any
    call: Call
    author: User | None
    rows: list[Correction]
    lines: list[tuple[str, str, str]]
    start_ms: int
    end_ms: int
    context: str


def pending(user: User, *, size: int = 100) -> list[Pending]:
    """Return what waits for approval in visible calls, oldest first."""
    found = (
        Correction.objects.visible_to(user)
        .filter(status=Status.PENDING, transcript=F("call__transcript"))
        .select_related("call__team", "call__agent", "author")
        .order_by("created_at", "order")
    )
    groups: dict[Any, list[Correction]] = {}
    for row in found[: size * 4]:
        groups.setdefault((row.group, row.call_id), []).append(row)
    out = []
    for (group, _), rows in list(groups.items())[:size]:
        call = rows[0].call
        lines = [(r.get_kind_display(), *changed_for(user, r)) for r in rows]
        start, end = min(r.start_ms for r in rows), max(r.end_ms for r in rows)
        near = Turn.objects.filter(transcript=rows[0].transcript_id, start_ms__lte=start, end_ms__gte=start).first()
        out.append(
            Pending(
                group, call, rows[0].author, rows, lines, start, end, text_for(user, call, near.text) if near else ""
            )
        )
    return out


def changed_for(user: User, row: Correction) -> tuple[str, str]:
    """Return how it was and how it became, as this user may read it."""
    before, after = what_changed(row, swapped=row.call.parties_swapped)
    return text_for(user, row.call, before), text_for(user, row.call, after)


def pending_count(user: User) -> int:
    """Return how many corrections wait for this user's decision; 0 for who decides nothing."""
    from callcenter.accounts.decorators import SUPERVISORS

    if not user.has_role(*SUPERVISORS):
        return 0
    found = Correction.objects.visible_to(user).filter(status=Status.PENDING, transcript=F("call__transcript"))
    return found.values("group").distinct().count()


def own(user: User) -> dict[str, Any]:
    """Return what a user has corrected: counts by status and the newest corrections, in words."""
    mine = Correction.objects.filter(author=user, root=None).exclude(status=Status.WITHDRAWN)
    counts = dict(mine.order_by().values_list("status").annotate(count=Count("pk")))
    reviews = Review.objects.filter(reviewer=user)
    sums = reviews.aggregate(words=Sum("words"), wrong=Sum("wrong"), segments=Count("pk"))
    shown = mine.filter(call__in=Call.objects.visible_to(user)).select_related("call").order_by("-created_at", "order")
    return {
        "approved": counts.get(Status.APPROVED, 0) + counts.get(Status.SETTLED, 0),
        "pending": counts.get(Status.PENDING, 0),
        "rejected": counts.get(Status.REJECTED, 0),
        "total": sum(counts.values()),
        "segments": sums["segments"],
        "words": sums["words"] or 0,
        "wrong": sums["wrong"] or 0,
        "rows": [(row, *changed_for(user, row)) for row in shown[:50]],
    }


def teams(user: User) -> list[Team]:
    """Return the teams of this user's calls."""
    return list(visible_teams(user))
