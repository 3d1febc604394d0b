"""The night: build a dataset if there is enough new, train, let the gate decide, tell people. One row a night.

Every step is found again from the row: a night whose worker died goes on with the next sweep.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max, Q
from django.utils import timezone
from django.utils.translation import gettext

from callcenter.accounts.models import User
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue
from callcenter.learning.models import Dataset, NightlyRun, TrainingRun
from callcenter.learning.services import datasets, notify, training
from callcenter.review.segments import reviewed_segments

log = structlog.get_logger("callcenter.learning")
State = NightlyRun.State
#: A night that was missed begins late within these hours, and not at noon.
WINDOW_HOURS = 4
_STALE = timedelta(minutes=30)
MAX_ATTEMPTS = 3


def due(now: datetime | None = None) -> bool:
    """Return whether the clock's run of this night should begin: the hour has come and no row says it did."""
    hour = settings.ENV.LEARNING_NIGHTLY_HOUR
    now = timezone.localtime(now)
    if hour < 0 or not 0 <= (now.hour - hour) % 24 < WINDOW_HOURS:
        return False
    return not NightlyRun.objects.filter(night=_night(now), number=0).exists()


def next_at(now: datetime | None = None) -> datetime | None:
    """Return when the next night begins by the clock; None when it never does."""
    hour = settings.ENV.LEARNING_NIGHTLY_HOUR
    if hour < 0:
        return None
    now = timezone.localtime(now)
    at = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return at if at > now else at + timedelta(days=1)


def _night(now: datetime) -> date:
    """Return the date on which the night began: a window that reaches over midnight is one night."""
    return (now - timedelta(hours=settings.ENV.LEARNING_NIGHTLY_HOUR)).date()


def run_once(*, by: User | None = None, scheduled: bool = False) -> NightlyRun:
    """Begin a night (or go on with this night's) and return its row; it ends at once where there is nothing to do."""
    if scheduled:
        night, created = NightlyRun.objects.get_or_create(night=_night(timezone.localtime()), number=0)
        if not created and (night.state != State.WORKING or night.run_id):
            return night
    else:
        night = _by_hand(by)
    return work_on(night)


def ask(*, by: User) -> NightlyRun:
    """Make the row of a night that a person asked for, and have it begun behind the page.

    Raises CallcenterError while another one is being prepared.
    """
    if NightlyRun.objects.filter(state=State.WORKING, run=None).exists():
        raise CallcenterError(gettext("A run is being prepared already."), code="busy")
    night = _by_hand(by)
    enqueue("learning.nightly", queue="ingest", night_id=night.pk)
    return night


def _by_hand(by: User | None) -> NightlyRun:
    today = timezone.localdate()
    for _ in range(5):
        last = NightlyRun.objects.filter(night=today).aggregate(n=Max("number"))["n"] or 0
        try:
            with transaction.atomic():
                night = NightlyRun.objects.create(night=today, number=last + 1, created_by=by)
                audit.record("learning.night", night, user=by)
                return night
        except IntegrityError:  # somebody pressed the button at the same moment
            continue
    raise CallcenterError(gettext("Somebody else is starting a run just now; look again in a moment."), code="busy")


def work_on(night: NightlyRun) -> NightlyRun:
    """Do what is left of a night up to the start of its training. Only one caller at a time does."""
    now = timezone.now()
    claimed = (
        NightlyRun.objects.filter(pk=night.pk, state=State.WORKING, run=None)
        .filter(Q(claimed_at=None) | Q(claimed_at__lt=now - _STALE))
        .update(claimed_at=now, attempts=F("attempts") + 1)
    )
    night.refresh_from_db()
    if claimed != 1:
        return night
    if night.attempts > MAX_ATTEMPTS:
        return _end(night, State.FAILED, "Building the dataset was tried three times and never ended; see the logs.")
    try:
        return _begin(night)
    except CallcenterError as error:
        # Too little to learn from is a reason to skip, and so is a run that somebody started by hand.
        quiet = {"nothing_reviewed", "one_speaker", "too_few_calls", "no_consent", "nothing_left", "busy"}
        return _end(night, State.SKIPPED if error.code in quiet else State.FAILED, error.message)
    except Exception as error:
        log.exception("night_failed", night=str(night.night), error=type(error).__name__)
        return _end(night, State.FAILED, f"Preparing the night failed ({type(error).__name__}); see the logs.")


def _begin(night: NightlyRun) -> NightlyRun:
    env = settings.ENV
    if TrainingRun.objects.filter(state__in=TrainingRun.OPEN).exists():
        return _end(night, State.SKIPPED, "Another learning run is at work; one runs at a time.")
    if night.dataset is None:
        segments = reviewed_segments()
        fresh = len(_fresh(segments))
        NightlyRun.objects.filter(pk=night.pk).update(segments=len(segments), fresh=fresh)
        night.segments, night.fresh = len(segments), fresh
        if not fresh:
            return _end(night, State.SKIPPED, "Nothing was reviewed since the last training.")
        if fresh < env.LEARNING_MIN_CORRECTIONS:
            return _end(
                night,
                State.SKIPPED,
                f"Only {fresh} segment{'s' if fresh != 1 else ''} reviewed since the last training; a night begins at "
                f"{env.LEARNING_MIN_CORRECTIONS}.",
            )
        night.dataset = datasets.build(
            by=night.created_by,
            replay_share=env.LEARNING_REPLAY_SHARE,
            pseudo_share=env.LEARNING_PSEUDO_SHARE,
        )
        NightlyRun.objects.filter(pk=night.pk).update(dataset=night.dataset)
    with transaction.atomic():
        night.run = training.start(dataset=night.dataset, by=night.created_by)
        NightlyRun.objects.filter(pk=night.pk).update(run=night.run)
    return night


def _fresh(segments: Iterable[datasets.Segment]) -> set[str]:
    """Return the ids of reviewed segments that no training has seen in their present state."""
    last = last_trained()
    since = last.created_at if last is not None else None
    return {s.id for s in segments if since is None or s.reviewed_at > since}


def last_trained() -> Dataset | None:
    """Return the newest dataset of all corrections whose training came to an answer of the gate.

    One that was narrowed to teams or days does not count: what it left out would never be learned.
    """
    ended = [TrainingRun.State.DONE, TrainingRun.State.REFUSED]
    built = Dataset.objects.filter(kind=Dataset.Kind.TRAIN, imported=False, training_runs__state__in=ended)
    return built.filter(parameters__teams=None, parameters__since=None).first()


def sweep() -> int:
    """Begin the night that is due, go on with interrupted ones, end those whose training has ended; return how many."""
    done = 0
    if due():
        night, created = NightlyRun.objects.get_or_create(night=_night(timezone.localtime()), number=0)
        if created:
            enqueue("learning.nightly", queue="ingest", night_id=night.pk)
            done += 1
    for night in NightlyRun.objects.filter(state=State.WORKING).select_related("run__candidate"):
        if night.run is None:
            if (night.claimed_at or night.created_at) < timezone.now() - _STALE:
                enqueue("learning.nightly", queue="ingest", night_id=night.pk)
                done += 1
        elif night.run.ended:
            _conclude(night, night.run)
            done += 1
    _retranscribe()
    return done


def _conclude(night: NightlyRun, run: TrainingRun) -> None:
    if run.state == TrainingRun.State.DONE:
        live = run.promotions.filter(rollback=False).exists()
        _end(night, State.PROMOTED if live else State.KEPT, run.outcome)
    elif run.state == TrainingRun.State.REFUSED:
        _end(night, State.REFUSED, run.outcome)
    else:
        _end(night, State.FAILED, run.error_message or "The training failed.")


def _end(night: NightlyRun, state: str, reason: str) -> NightlyRun:
    """End the night once, and tell people unless there was simply nothing to do."""
    now = timezone.now()
    days = settings.ENV.LEARNING_RETRANSCRIBE_DAYS
    changed = NightlyRun.objects.filter(pk=night.pk, state=State.WORKING).update(
        state=state,
        reason=reason[:1000],
        finished_at=now,
        retranscribe_after=now - timedelta(days=days) if days and state == State.PROMOTED else None,
    )
    night.refresh_from_db()
    if changed != 1:
        return night
    audit.record("learning.night_end", night, state=state)
    log.info("night_ended", night=str(night.night), state=state)
    if state != State.SKIPPED:
        title = f"Callcenter learning, {night.night:%d %b %Y}: {night.get_state_display()}"
        if notify.send(title=title, body=reason):
            NightlyRun.objects.filter(pk=night.pk).update(notified_at=timezone.now())
    return night


# --- hearing recent calls again --------------------------------------------------------------------------------


def _retranscribe() -> int:
    """Put the next recent calls in line for the new model, newest first, while nobody else waits.

    One for each speech worker: a call that comes in meanwhile waits for no more than the one in hand.
    """
    from callcenter.calls.models import Call
    from callcenter.learning.models import Model
    from callcenter.pipeline import broker
    from callcenter.pipeline.models import Run
    from callcenter.pipeline.selectors import workers
    from callcenter.pipeline.services import reprocess

    night = NightlyRun.objects.filter(retranscribe_after__isnull=False).order_by("created_at").first()
    if night is None:
        return 0
    candidate = night.run.candidate if night.run else None
    if candidate is None or candidate.status != Model.Status.SERVED:
        NightlyRun.objects.filter(pk=night.pk).update(retranscribe_after=None)
        return 0
    # New calls come first: as long as anything waits or is at work, old calls do not.
    if broker.queue_length("speech") or Run.objects.filter(state__in=[*Run.WAITING, *Run.WORKING]).exists():
        return 0
    portion = sum("speech" in worker.queues for worker in workers()) or 1
    again = list(
        Call.objects.filter(started_at__gte=night.retranscribe_after, transcript__isnull=False)
        .exclude(runs__created_at__gte=night.finished_at)
        .order_by("-started_at")[:portion]
    )
    for call in again:
        try:
            reprocess(call=call, by=None)
        except CallcenterError:  # somebody else has just put it in line
            continue
    values = {"retranscribed": F("retranscribed") + len(again)}
    NightlyRun.objects.filter(pk=night.pk).update(**values, **({} if again else {"retranscribe_after": None}))
    return len(again)
