"""Reads behind the pages of the taxonomy: only calls that the user may see are counted or named."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Count, Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import User
from callcenter.calls.models import Call
from callcenter.insights.intents import taxonomy, tuning
from callcenter.insights.intents.forms import FEW
from callcenter.insights.intents.models import UNKNOWN, CallLabel, IntentJob, TaxonomyVersion
from callcenter.insights.models import Insight

SHOWN_MOVES = 200
FIGURES = (
    ("cv_accuracy", _("Right intent for an example it has not seen")),
    ("cv_known_kept", _("Of those, sure enough to say so")),
    ("cv_unseen_refused", _("Unknown for what no intent covers")),
    ("cv_small_talk_refused", _("Unknown for small talk")),
    ("trial_accuracy_plain", _("Right intent for an example it has not seen, plain")),
    ("trial_accuracy", _("The same with fitted vectors")),
    ("trial_known_kept", _("Of those, sure enough to say so")),
    ("trial_unseen_refused", _("Unknown for what no intent covers")),
)


def overview(user: User) -> dict[str, Any]:
    """Return the taxonomy with the calls of each intent, what waits to be read again, and the last work on it."""
    version = taxonomy.current()
    calls = Call.objects.visible_to(user).filter(insight__isnull=False)
    counts = dict(Insight.objects.filter(call__in=calls).values_list("intent").annotate(Count("pk")).order_by())
    labelled = CallLabel.objects.filter(withdrawn_at=None, call__in=calls)
    said = dict(labelled.values_list("name").annotate(Count("pk")).order_by())
    rows = [
        {
            "item": item,
            "depth": depth,
            "calls": counts.get(item["name"], 0),
            "said": said.get(item["name"], 0),
            "few": item["enabled"] and len(item["examples"]) + said.get(item["name"], 0) < FEW,
        }
        for depth, item in taxonomy.tree(version.content)
    ]
    behind = calls.filter(Q(intent_reading=None) | Q(intent_reading__version__lt=version.number)).count()
    last = IntentJob.objects.filter(task=IntentJob.Task.RELABEL).first()
    fitted, fresh = tuning.newest()
    return {
        "tuning": IntentJob.objects.filter(task=IntentJob.Task.TUNE).first(),
        "fitted": fitted,
        "fitted_fresh": fresh,
        "fitted_pays": bool(fitted and fitted.result["figures"].get("pays")),
        "version": version,
        "rows": rows,
        "calls": sum(counts.values()),
        "unknown": counts.get(UNKNOWN, 0),
        "said": sum(said.values()),
        "fresh_labels": labelled.filter(created_at__gt=last.created_at).count() if last else labelled.count(),
        "behind": behind,
        "job": last,
        "figures": figures(_last_figures()),
    }


def _last_figures() -> dict[str, float]:
    """Return what the newest job on the saved taxonomy measured."""
    done = IntentJob.objects.filter(task=IntentJob.Task.RELABEL, state=IntentJob.State.DONE).first()
    return (done.result.get("figures") or {}) if done else {}


def figures(found: dict[str, float], before: dict[str, float] | None = None) -> list[dict[str, Any]]:
    """Return the head's own figures in words, beside those before a change where there are any."""
    return [
        {"label": label, "value": found[key], "before": (before or {}).get(key)}
        for key, label in FIGURES
        if key in found
    ]


def history() -> list[TaxonomyVersion]:
    """Return the newest versions; `current` has caught up with the rows before."""
    taxonomy.current()
    return list(TaxonomyVersion.objects.select_related("author", "restored_from").defer("content")[:200])


def labels_of(*contents: list[dict[str, Any]]) -> dict[str, str]:
    """Return the words for every intent that occurs; the last content has the last word."""
    found = {UNKNOWN: gettext("Unknown")}
    for items in contents:
        found |= {item["name"]: item["label"] for item in items}
    return found


def job_view(job: IntentJob, user: User) -> dict[str, Any]:
    """Return what a job's page shows: from -> to with counts, and the calls that this user may see."""
    proposed = job.parameters.get("proposed", [])
    words = labels_of(taxonomy.content(), proposed)
    moves = job.moves.filter(call__in=Call.objects.visible_to(user))
    pairs = Counter({(b, a): n for b, a, n in moves.values_list("before", "after").annotate(Count("pk")).order_by()})
    shown = moves.select_related("call__agent", "call__team").order_by("before", "after", "-probability")[:SHOWN_MOVES]
    seen = sum(pairs.values())
    return {
        "job": job,
        "changes": job.parameters.get("changes", []),
        "pairs": [
            {"before": words.get(b, b), "after": words.get(a, a), "count": n, "share": n / seen}
            for (b, a), n in pairs.most_common()
        ],
        "moves": [
            {"row": move, "before": words.get(move.before, move.before), "after": words.get(move.after, move.after)}
            for move in shown
        ],
        "moved": seen,
        "hidden": max(0, job.changed - seen) if job.task == IntentJob.Task.RELABEL else 0,
        "more": max(0, seen - SHOWN_MOVES),
        "anyway": moves.filter(anyway=True).count(),
        "looked": job.done + job.skipped,
        "figures": figures(job.result.get("figures") or {}, job.result.get("figures_before")),
        "outdated": job.task == IntentJob.Task.PREVIEW and _outdated(job),
        "saved_as": job.result.get("saved_as"),
        "interval": _interval(job),
    }


def _outdated(job: IntentJob) -> bool:
    newest = TaxonomyVersion.objects.first()
    return newest is None or newest.number != job.version


def _interval(job: IntentJob) -> tuple[float, float] | None:
    """Return the 95 % interval (Wilson) of the share that moves, for a preview that looked at a sample."""
    n = job.done
    if not job.result.get("sampled") or not n:
        return None
    z, p = 1.96, job.changed / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * ((p * (1 - p) + z * z / (4 * n)) / n) ** 0.5 / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)
