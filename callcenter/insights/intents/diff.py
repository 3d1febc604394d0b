"""What differs between two states of the taxonomy, in a form that a page can show and the audit log can keep."""

from __future__ import annotations

from typing import Any

Item = dict[str, Any]
_FIELDS = ("label", "description", "parent")


def changes(before: list[Item], after: list[Item]) -> list[dict[str, Any]]:
    """Return what changed, intent by intent in order of name; an empty list means that nothing did.

    Each change has `name`, `label`, `kind` (added, removed, disabled, enabled, changed), `fields` (field -> [before,
    after]), `examples_added` and `examples_removed`.
    """
    old = {item["name"]: item for item in before}
    new = {item["name"]: item for item in after}
    found = []
    for name in sorted(old.keys() | new.keys()):
        change = _change(old.get(name), new.get(name))
        if change is not None:
            found.append({"name": name, "label": (new.get(name) or old[name])["label"], **change})
    return found


def _change(old: Item | None, new: Item | None) -> dict[str, Any] | None:
    if new is None:
        return {
            "kind": "removed",
            "fields": {},
            "examples_added": [],
            "examples_removed": old["examples"] if old else [],
        }
    if old is None:
        fields = {field: ["", new[field]] for field in _FIELDS if new[field]}
        return {"kind": "added", "fields": fields, "examples_added": new["examples"], "examples_removed": []}
    fields = {field: [old[field], new[field]] for field in _FIELDS if old[field] != new[field]}
    added = [text for text in new["examples"] if text not in old["examples"]]
    removed = [text for text in old["examples"] if text not in new["examples"]]
    kind = "changed"
    if old["enabled"] != new["enabled"]:
        kind = "enabled" if new["enabled"] else "disabled"
    elif not (fields or added or removed):
        return None
    return {"kind": kind, "fields": fields, "examples_added": added, "examples_removed": removed}


def summary(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the changes without any wording: names, kinds and counts, fit for the audit log."""
    return [
        {
            "name": change["name"],
            "kind": change["kind"],
            "fields": sorted(change["fields"]),
            "examples_added": len(change["examples_added"]),
            "examples_removed": len(change["examples_removed"]),
        }
        for change in found
    ]
