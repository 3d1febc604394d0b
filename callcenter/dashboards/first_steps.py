"""The first steps in a new house: what to do in which order, each ticked from what is really there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import Role, User
from callcenter.calls.models import Batch, Call
from callcenter.core.help import section_for
from callcenter.insights.models import Alert
from callcenter.pipeline.models import Run
from callcenter.review.models import Review

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

#: A house with this many calls has found its way.
SETTLED = 25


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, where it is done, and whether it is."""

    title: str | _StrPromise
    text: str | _StrPromise
    done: bool
    url: str
    action: str | _StrPromise
    help_url: str


def first_steps(user: User) -> list[Step]:
    """Return the steps for who leads a house; none when all are done, or when the house has found its way."""
    if user.role not in (Role.ADMIN, Role.SUPERVISOR):
        return []
    calls = Call.objects.visible_to(user)
    if calls.order_by()[:SETTLED].count() == SETTLED:
        return []
    steps = [
        Step(
            _("People and teams"),
            _("Make a team and give it agents and a supervisor; recordings belong to a team."),
            User.objects.filter(role=Role.AGENT, is_active=True, teams__isnull=False).exists(),
            reverse("admin:accounts_user_changelist") if user.is_staff else "",
            _("People and teams"),
            section_for("dashboards:agents"),
        ),
        Step(
            _("Upload recordings"),
            _("Drop some calls, best with one party on each channel. A manifest can name agent, queue and time."),
            Batch.objects.visible_to(user).filter(rows__isnull=False).exists() or calls.exists(),
            reverse("calls:batch_new"),
            _("Upload"),
            section_for("calls:batch_new"),
        ),
        Step(
            _("Watch them become calls"),
            _("Each file is checked, transcribed and understood; the page of the batch shows how far it is."),
            Run.objects.filter(call__in=calls, state=Run.State.DONE).exists(),
            reverse("calls:batches"),
            _("Batches"),
            section_for("calls:batch"),
        ),
        Step(
            _("Look at alerts"),
            _("Listen to what was flagged, and acknowledge it or dismiss it with a reason."),
            Alert.objects.filter(call__in=calls).exclude(status=Alert.Status.OPEN).exists(),
            reverse("insights:alerts"),
            _("Alerts"),
            section_for("insights:alerts"),
        ),
        Step(
            _("Correct what was heard wrong"),
            _("Start the review queue: every correction is something the speech model can learn from."),
            Review.objects.filter(call__in=calls).exists(),
            reverse("review:queue"),
            _("Review"),
            section_for("review:queue"),
        ),
    ]
    return [] if all(step.done for step in steps) else steps
