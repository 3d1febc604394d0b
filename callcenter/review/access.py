"""Who may correct which call, whose corrections wait for approval, and how a call reads to one person."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.utils.crypto import salted_hmac
from django.utils.translation import gettext

from asr_worker.types import Transcript as TranscriptDocument
from callcenter.accounts.decorators import EDITORS, SUPERVISORS
from callcenter.accounts.models import Team, User
from callcenter.calls.models import Call
from callcenter.core.errors import CallcenterError
from callcenter.review.models import Correction
from callcenter.review.projection import change_of, load, ordered
from callcenter.review.replay import Change, Replayed, replay

#: Where approval is sampled, one turn in this many waits for a supervisor.
SAMPLE_EVERY = 5
Status = Correction.Status


@dataclass(frozen=True, slots=True)
class View:
    """A call's text as one person sees it: approved corrections and the person's own waiting ones."""

    document: TranscriptDocument
    changes: tuple[Change, ...]
    pending: frozenset[str]
    done: Replayed


def may_correct(user: User) -> bool:
    """Return whether this user may correct the calls that the user may see."""
    return user.has_role(*EDITORS)


def locked_call(call_id: UUID | str, user: User) -> Call:
    """Return the call with its row locked, for one change of its text. Raises CallcenterError where that cannot be.

    The caller has opened a transaction.
    """
    if not may_correct(user):
        raise CallcenterError(gettext("You may read this call but not correct it."), code="not_allowed")
    visible = Call.objects.visible_to(user).filter(pk=call_id)
    call = Call.objects.select_for_update(of=("self",)).filter(pk__in=visible.values("pk")).first()
    if call is None:
        raise CallcenterError(gettext("There is no such call."), code="not_found")
    if call.transcript is None:
        raise CallcenterError(gettext("This call has no transcript yet."), code="no_transcript")
    return call


def view_of(
    call: Call,
    user: User,
    *,
    without: frozenset[str] = frozenset(),
    document: TranscriptDocument | None = None,
) -> View:
    """Return how the call reads to this user, leaving out the corrections `without`. Raises CallcenterError."""
    assert call.transcript is not None
    document = document or load(call.transcript)
    mine = Correction.objects.filter(transcript=call.transcript, status=Status.PENDING, author=user)
    shown = ordered(Correction.objects.filter(transcript=call.transcript, status=Status.APPROVED) | mine)
    changes = tuple(change_of(c) for c in shown if str(c.pk) not in without)
    pending = frozenset(str(c.pk) for c in shown if c.status == Status.PENDING)
    return View(document, changes, pending, replay(document, changes))


def has_pending(call: Call, user: User) -> bool:
    """Return whether corrections of this user wait for approval on this call."""
    if call.transcript_id is None or not user.is_authenticated:
        return False
    return Correction.objects.filter(transcript=call.transcript_id, status=Status.PENDING, author=user).exists()


def needs_approval(call: Call, user: User, turn: int, word: int) -> bool:
    """Return whether a correction of this turn by this user waits for a supervisor.

    A supervisor's own need none. Which turns are sampled is decided by the server's secret and the turn, so nobody can
    choose, and correcting the same turn again asks the same question again.
    """
    if user.has_role(*SUPERVISORS):
        return False
    rule = call.team.correction_approval
    if rule == Team.Approval.SAMPLED:
        drawn = salted_hmac("callcenter.review.sampled", f"{call.pk}:{turn}.{word}").digest()
        return drawn[0] % SAMPLE_EVERY == 0
    return rule == Team.Approval.ALL
