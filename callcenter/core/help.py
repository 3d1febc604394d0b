"""Help: one short page for each area, and which of its sections fits the page a person is on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class Area:
    """A page of help."""

    slug: str
    title: str | _StrPromise
    icon: str
    summary: str | _StrPromise

    @property
    def url(self) -> str:
        return reverse("help_page", args=[self.slug])


AREAS = (
    Area("start", _("Getting started"), "rocket", _("From an empty house to the first corrected call.")),
    Area("dashboard", _("Dashboard"), "layout-dashboard", _("Figures, trends, saved views, agents and queues.")),
    Area("calls", _("Finding calls"), "phone", _("Search in what was said, filters, export.")),
    Area("call", _("One call"), "headphones", _("Listen, read, comment, compare, correct.")),
    Area("upload", _("Uploading"), "upload", _("Recordings, manifests, and what becomes of each file.")),
    Area("alerts", _("Alerts"), "alert-triangle", _("What they mean, and how to decide on one.")),
    Area("rules", _("Rules, intents and answers"), "adjustments", _("What raises alerts and what callers want.")),
    Area("notifications", _("Notifications"), "bell", _("The inbox, and messages that leave the house.")),
    Area("review", _("Correcting"), "pencil-check", _("The queue, approval, words that are wrong everywhere.")),
    Area("learning", _("Learning"), "school", _("How corrections become a better model.")),
    Area("operations", _("Operations"), "server-2", _("Queues, workers, failures and what cures them.")),
    Area("privacy", _("Privacy"), "shield-lock", _("What is never kept, and who sees what.")),
    Area("account", _("Account and keyboard"), "user", _("Sign-in, time zone, tokens, keys, colours.")),
)
BY_SLUG = {area.slug: area for area in AREAS}
#: The section of each page, as `area` or `area#section`, by the name of its address; the longest beginning fits.
SECTIONS = {
    "dashboards:": "dashboard",
    "dashboards:agent": "dashboard#people",
    "dashboards:note": "dashboard#notes",
    "dashboards:queue": "dashboard#people",
    "calls:": "calls",
    "calls:detail": "call",
    "calls:compare": "call#compare",
    "calls:batch": "upload#states",
    "calls:batch_new": "upload",
    "exports:": "calls#export",
    "insights:alert": "alerts",
    "insights:quality": "alerts#quality",
    "insights:audit": "alerts#quality",
    "insights:rule": "rules",
    "intents:": "rules#intents",
    "answers:": "rules#answers",
    "notifications:": "notifications#routes",
    "notifications:inbox": "notifications",
    "review:": "review",
    "review:approval": "review#approval",
    "review:fix_all": "review#fix-all",
    "review:vocabulary": "review#vocabulary",
    "review:mine": "review#yours",
    "review:turn": "call#correct",
    "learning:": "learning",
    "learning:dataset": "learning#datasets",
    "learning:run": "learning#runs",
    "learning:model": "learning#models",
    "learning:upload": "learning#models",
    "learning:yours": "review#yours",
    "pipeline:": "operations",
    "privacy:": "privacy",
    "accounts:": "account",
    "account_": "account",
    "mfa_": "account#two-step",
}


def section_for(view_name: str) -> str:
    """Return the address of the help that fits a page; the list of areas where none does."""
    fitting = [begin for begin in SECTIONS if view_name.startswith(begin)]
    if not fitting:
        return reverse("help")
    slug, _hash, anchor = SECTIONS[max(fitting, key=len)].partition("#")
    return reverse("help_page", args=[slug]) + (f"#{anchor}" if anchor else "")


@require_safe
@login_required
def index(request: HttpRequest) -> HttpResponse:
    """Show every area of help."""
    return render(request, "help/index.html", {"areas": AREAS})


@require_safe
@login_required
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the help of one area."""
    area = BY_SLUG.get(slug)
    if area is None:
        raise Http404
    return render(request, f"help/{slug}.html", {"areas": AREAS, "area": area})
