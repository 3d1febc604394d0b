"""Who reads what: a level for every role and every sink, and the audited look behind it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from analytics.redaction import ALWAYS_HIDDEN, CARDS_ONLY, CONTACT, KINDS, STRICT, Level, scrub
from callcenter.accounts.models import Role, User
from callcenter.calls.models import Call
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.queue import enqueue
from callcenter.privacy.models import Reveal, RoleLevel

REVEAL_MINUTES = 15
#: Who may look behind a placeholder, with a reason. Administrators count as everybody.
REVEALERS = (Role.COMPLIANCE,)
#: Of a card nothing is revealed: number and code are not stored, and the expiry helps nobody without them.
REVEALABLE = tuple(kind for kind in KINDS if not kind.startswith("card_"))
DEFAULTS: dict[str, frozenset[str]] = {
    Role.AGENT: CONTACT.hides,
    Role.SUPERVISOR: CONTACT.hides,
    Role.OPERATOR: STRICT.hides,
    Role.COMPLIANCE: STRICT.hides,
    Role.ADMIN: STRICT.hides,
}
#: Where words go that no role reads. What is learned from keeps names: they are what models mishear most.
SINKS: dict[str, Level] = {
    "webhook": STRICT,
    "notification": STRICT,
    "log": STRICT,
    "warehouse": STRICT,
    "training": Level("training", STRICT.hides - {"name"}),
    "storage": CARDS_ONLY,
}
LABELS = {
    "card_number": _("Card numbers"), "card_code": _("Card security codes"), "card_expiry": _("Card expiry dates"),
    "sort_code": _("Sort codes"), "account_number": _("Account numbers"), "email": _("E-mail addresses"),
    "phone_number": _("Phone numbers"), "birth_date": _("Birth dates"), "postcode": _("Postcodes"),
    "address": _("Addresses"), "name": _("Names"),
}  # fmt: skip


def level_of_role(role: str) -> Level:
    """Return what readers of a role do not see."""
    row = RoleLevel.objects.filter(role=role).first()
    hides = frozenset(row.hides) & frozenset(KINDS) if row else DEFAULTS.get(role, STRICT.hides)
    return Level(role, hides)


def level_for(who: User | str, call: Call | None = None) -> Level:
    """Return what a user does not see (of this call, where a reveal may be open), or what a sink does not get.

    Raises KeyError for a sink that is not in SINKS: a new way out is a decision, not a default.
    """
    if isinstance(who, str):
        return search_level() if who == "search" else SINKS[who]
    level = level_of_role(Role.ADMIN if who.is_superuser else who.role)
    if call is None or not may_reveal(who):
        return level
    shown = {kind for row in Reveal.objects.live().filter(user=who, call=call) for kind in row.kinds}
    return Level(level.name, level.hides - shown) if shown else level


def search_level() -> Level:
    """Return what the index of words leaves out: whatever agents or supervisors do not see."""
    return Level("search", level_of_role(Role.AGENT).hides | level_of_role(Role.SUPERVISOR).hides)


def may_reveal(user: User) -> bool:
    """Return whether this user may look behind placeholders at all."""
    return user.is_authenticated and user.has_role(*REVEALERS)


def reveal(*, call: Call, by: User, kinds: Iterable[str], reason: str) -> Reveal:
    """Let a person read these kinds in one call for a while; who, what and why is in the audit log.

    Raises CallcenterError for who may not, for no reason, and for kinds that nobody may.
    """
    if not may_reveal(by) or not Call.objects.visible_to(by).filter(pk=call.pk).exists():
        raise CallcenterError(gettext("Your role may not look behind what is hidden."), code="forbidden")
    wanted = list(dict.fromkeys(kinds))
    if not wanted or not set(wanted) <= set(REVEALABLE):
        raise CallcenterError(gettext("Choose what to show. Card data is shown to nobody."), code="bad_kind")
    reason = scrub(" ".join(reason.replace("\x00", " ").split()), CARDS_ONLY)[:300]
    if len(reason) < 5:
        raise CallcenterError(gettext("Say why you need to see it; the reason is kept."), code="reason_missing")
    with transaction.atomic():
        row = Reveal.objects.create(
            user=by,
            call=call,
            kinds=wanted,
            reason=reason,
            expires_at=timezone.now() + timedelta(minutes=REVEAL_MINUTES),
        )
        audit.record("privacy.reveal", call, user=by, kinds=wanted, reason=reason, minutes=REVEAL_MINUTES)
    return row


def set_level(*, role: str, hides: Iterable[str], by: User) -> RoleLevel:
    """Set what a role does not see. The index of words follows in the background. Raises CallcenterError."""
    if not by.has_role(*REVEALERS):
        raise CallcenterError(gettext("Your role may not change this."), code="forbidden")
    wanted = frozenset(hides) | ALWAYS_HIDDEN
    if role not in Role.values or not wanted <= frozenset(KINDS):
        raise CallcenterError(gettext("This role or kind is not known."), code="bad_level")
    with transaction.atomic():
        before = search_level().hides
        row, _ = RoleLevel.objects.update_or_create(
            role=role, defaults={"hides": [k for k in KINDS if k in wanted], "updated_by": by}
        )
        audit.record("privacy.level", row, user=by, role=role, hides=row.hides)
        if search_level().hides != before:
            enqueue("privacy.reindex", queue="nlu")
    return row


def table() -> list[dict[str, Any]]:
    """Return every role with what it does not see, for the page."""
    return [{"role": role, "label": label, "hides": level_of_role(role).hides} for role, label in Role.choices]
