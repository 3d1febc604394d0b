"""The taxonomy and its versions: what it says now, what a change would make of it, and saving that change.

The rows of `Intent` are what understanding works with. Whoever changes them elsewhere (a seed, a script) is caught up
with: the next look at the taxonomy stores what it finds as a version without an author.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from callcenter.accounts.models import User
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.insights.intents import diff
from callcenter.insights.intents.models import Placement, TaxonomyVersion
from callcenter.insights.models import Intent

Item = dict[str, Any]
OUTSIDE = "Changed outside this page"


def content() -> list[Item]:
    """Return the taxonomy as its rows say it, in order of name."""
    rows = Intent.objects.select_related("placement__parent").order_by("name")
    return [
        {
            "name": row.name,
            "label": row.label or row.name,
            "description": row.description,
            "examples": [str(text) for text in row.examples],
            "parent": row.placement.parent.name if hasattr(row, "placement") else "",
            "enabled": row.enabled,
        }
        for row in rows
    ]


def current() -> TaxonomyVersion:
    """Return the newest version, after storing one where the rows say something else."""
    newest = TaxonomyVersion.objects.first()
    now = content()
    if newest is not None and newest.content == now:
        return newest
    try:
        with transaction.atomic():
            return TaxonomyVersion.objects.create(
                number=newest.number + 1 if newest else 1,
                content=now,
                changes=diff.changes(newest.content, now) if newest else [],
                note=OUTSIDE if newest else "As it was found",
            )
    except IntegrityError:
        # Somebody else has stored it in this moment.
        return TaxonomyVersion.objects.get(number=newest.number + 1 if newest else 1)


def proposal(edit: dict[str, Any], now: list[Item]) -> list[Item]:
    """Return the taxonomy with one edit made: {"put": item} or {"restore": number of a version}.

    Restoring disables what has come since instead of deleting it: calls may carry its name. Raises CallcenterError
    when the version is gone.
    """
    if "put" in edit:
        item = edit["put"]
        return sorted([*(i for i in now if i["name"] != item["name"]), item], key=lambda i: i["name"])
    old = TaxonomyVersion.objects.filter(number=edit["restore"]).first()
    if old is None:
        raise CallcenterError(gettext("That version does not exist."), code="no_version")
    known = {item["name"] for item in old.content}
    later = [{**item, "enabled": False, "parent": ""} for item in now if item["name"] not in known]
    return sorted([*old.content, *later], key=lambda i: i["name"])


def save(
    *, proposed: list[Item], base: int, by: User | None, note: str = "", restored_from: int | None = None
) -> TaxonomyVersion:
    """Make a proposal the taxonomy; return its version.

    Raises CallcenterError when the taxonomy has changed since the proposal was made, or when nothing changes.
    """
    with transaction.atomic():
        newest = TaxonomyVersion.objects.select_for_update().first()
        now = content()
        if newest is None or newest.number != base or newest.content != now:
            message = gettext(
                "Somebody has changed the taxonomy in the meantime. Look again at what your change would move."
            )
            raise CallcenterError(message, code="taxonomy_changed")
        found = diff.changes(now, proposed)
        if not found:
            raise CallcenterError(gettext("Nothing is changed."), code="nothing_changed")
        _write(proposed)
        version = TaxonomyVersion.objects.create(
            number=base + 1,
            content=content(),
            changes=found,
            note=note.strip()[:300],
            author=by,
            restored_from=TaxonomyVersion.objects.filter(number=restored_from).first() if restored_from else None,
        )
        action = "taxonomy.restore" if restored_from else "taxonomy.save"
        detail: dict[str, Any] = {"number": version.number, "changes": diff.summary(found)}
        if restored_from:
            detail["restored"] = restored_from
        audit.record(action, version, user=by, **detail)
    return version


def _write(proposed: list[Item]) -> None:
    rows: dict[str, Intent] = {}
    for item in proposed:
        rows[item["name"]], _ = Intent.objects.update_or_create(
            name=item["name"],
            defaults={field: item[field] for field in ("label", "description", "examples", "enabled")},
        )
    for item in proposed:
        parent = rows.get(item["parent"])
        if parent is None:
            Placement.objects.filter(intent=rows[item["name"]]).delete()
        else:
            Placement.objects.update_or_create(intent=rows[item["name"]], defaults={"parent": parent})


def for_engine(items: list[Item]) -> list[dict[str, Any]]:
    """Return the enabled intents as understanding reads them."""
    return [
        {
            "name": item["name"],
            "label": item["label"],
            "description": item["description"],
            "examples": item["examples"],
        }
        for item in items
        if item["enabled"]
    ]


def ancestors(name: str, items: list[Item]) -> list[str]:
    """Return the names above an intent, the nearest first; a circle ends where it closes."""
    parents = {item["name"]: item["parent"] for item in items}
    found: list[str] = []
    above = parents.get(name, "")
    while above and above in parents and above not in found:
        found.append(above)
        above = parents[above]
    return found


def tree(items: list[Item]) -> list[tuple[int, Item]]:
    """Return (depth, intent) so that every intent stands under its parent, both in order of their words."""
    below: dict[str, list[Item]] = {}
    names = {item["name"] for item in items}
    for item in sorted(items, key=lambda i: i["label"].lower()):
        below.setdefault(item["parent"] if item["parent"] in names else "", []).append(item)
    out: list[tuple[int, Item]] = []

    def walk(parent: str, depth: int) -> None:
        for item in below.pop(parent, []):
            out.append((depth, item))
            walk(item["name"], depth + 1)

    walk("", 0)
    for rest in list(below):  # a circle that somebody wrote past the page
        walk(rest, 0)
    return out
