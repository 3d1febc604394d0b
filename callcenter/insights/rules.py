"""Rules as people change them: every save is a new version with its author, an old one can be brought back."""

from __future__ import annotations

import difflib
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from callcenter.accounts.models import User
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.insights import rulebook
from callcenter.insights.models import Rule, RuleVersion

MAX_NOTE = 300


def create(*, source: str, by: User, note: str = "") -> Rule:
    """Store a new rule, switched off until somebody has tried it. Raises CallcenterError for a text with mistakes."""
    definition = _definition(source)
    try:
        with transaction.atomic():
            rule = Rule.objects.create(
                key=definition["key"], version=1, enabled=False, **_columns(definition), definition=definition
            )
            _remember(rule, source, note or "New.", by)
            audit.record("rule.create", rule, user=by, version=1)
    except IntegrityError:
        message = gettext("There is a rule “{key}” already; give this one another key.").format(key=definition["key"])
        raise CallcenterError(message, code="key_taken") from None
    return rule


def save(*, rule: Rule, source: str, by: User, base_version: int, note: str = "") -> tuple[Rule, bool]:
    """Make the text the rule's next version; return the rule and whether anything was new.

    Raises CallcenterError for a text with mistakes, and where somebody else has saved since `base_version` was read.
    """
    definition = _definition(source, key=rule.key)
    with transaction.atomic():
        rule = Rule.objects.select_for_update().get(pk=rule.pk)
        if rule.version != base_version:
            newest = rule.versions.select_related("created_by").first()
            who = newest.created_by.name if newest is not None and newest.created_by else gettext("somebody")
            message = gettext("Meanwhile {who} saved version {version}. Look at it, then save yours again.").format(
                who=who, version=rule.version
            )
            raise CallcenterError(message, code="stale")
        if source_of(rule).strip() == source.strip():
            return rule, False
        rule.version += 1
        rule.definition = definition
        for name, value in _columns(definition).items():
            setattr(rule, name, value)
        rule.save()
        _remember(rule, source, note, by)
        audit.record("rule.change", rule, user=by, version=rule.version)
    return rule, True


def restore(*, rule: Rule, version: int, by: User) -> Rule:
    """Bring an old version back as the newest one. Raises CallcenterError when the engine no longer takes it."""
    old = rule.versions.filter(version=version).first()
    if old is None:
        raise CallcenterError(gettext("The rule has no version {version}.").format(version=version), code="no_version")
    current = Rule.objects.get(pk=rule.pk).version
    note = f"Version {version} again."
    return save(rule=rule, source=text_of(old), by=by, base_version=current, note=note)[0]


def set_enabled(*, rule: Rule, enabled: bool, by: User) -> Rule:
    """Switch a rule on or off for the calls to come; stored calls change only when it is re-applied."""
    with transaction.atomic():
        changed = Rule.objects.filter(pk=rule.pk, enabled=not enabled).update(enabled=enabled)
        if changed:
            audit.record("rule.enable" if enabled else "rule.disable", rule, user=by)
    rule.refresh_from_db()
    return rule


def source_of(rule: Rule) -> str:
    """Return the text of the rule as it stands, with its author's comments where there are any."""
    newest = rule.versions.filter(version=rule.version).first()
    return text_of(newest) if newest is not None else rulebook.write({**rule.definition, "key": rule.key})


def text_of(version: RuleVersion) -> str:
    """Return the text of one version."""
    return version.source or rulebook.write({**version.definition, "key": version.rule.key})


def difference(before: str, after: str) -> list[tuple[str, str]]:
    """Return the lines that a change took away ("del"), brought in ("ins") and left around them ("same", "gap")."""
    out = []
    for line in list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]:
        kind = {"+": "ins", "-": "del", "@": "gap"}.get(line[:1], "same")
        out.append((kind, "…" if kind == "gap" else line[1:]))
    return out


def _definition(source: str, *, key: str = "") -> dict[str, Any]:
    reading = rulebook.read(source, key=key)
    if not reading.right or reading.definition is None:
        said = "; ".join(f"{m.path}: {m.message}" if m.path else m.message for m in reading.mistakes[:3])
        raise CallcenterError(gettext("Not saved. {said}").format(said=said), code="invalid_rule")
    return reading.definition


def _columns(definition: dict[str, Any]) -> dict[str, Any]:
    return {
        "category": definition["category"],
        "severity": definition.get("severity", "medium"),
        "title": definition.get("name") or str(definition["key"]).replace("_", " ").capitalize()[:200],
    }


def _remember(rule: Rule, source: str, note: str, by: User | None) -> RuleVersion:
    return RuleVersion.objects.create(
        rule=rule,
        version=rule.version,
        source=source.replace("\r\n", "\n"),
        definition=rule.definition,
        note=note.strip()[:MAX_NOTE],
        created_by=by,
    )
