"""What a manifest row, a file name or an API request says about a call: read, checked, resolved."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop as N_

from callcenter.accounts.models import Team, User
from callcenter.calls.models import Call, Queue
from callcenter.core.errors import Refused

#: Column name -> what it holds. The names that a manifest may use.
COLUMNS: dict[str, Any] = {
    "filename": _("the file this row is about (also: audio)"),
    "team": _("name or slug of the team"),
    "agent": _("user name of the agent"),
    "queue": _("name of the queue"),
    "direction": _("inbound, outbound or unknown"),
    "started_at": _("ISO 8601 date and time; without a zone the server's zone is meant"),
    "customer_ref": _("your reference of the customer"),
    "external_id": _("your identifier of the call; unique in a team"),
    "language": _("language code such as en"),
    "num_speakers": _("how many people speak, for mono calls (1 to 8; empty: find out)"),
    "agent_channel": _("channel of the agent where each party has a channel (0 or 1)"),
    "training_consent": _("yes or no: whether models may learn from the call (empty: as its team has it)"),
}
ALIASES = {"audio": "filename", "file": "filename", "path": "filename"}
MAX_TEXT = 120


@dataclass(frozen=True, slots=True)
class Metadata:
    """Resolved business data of one call."""

    team: Team
    agent: User | None
    queue: Queue | None
    direction: str
    started_at: datetime
    customer_ref: str
    external_id: str
    language: str
    num_speakers: int
    agent_channel: int
    training_consent: bool | None = None


def canonical(column: str) -> str:
    """Return the column's canonical name: lower case, underscores, aliases resolved."""
    name = column.strip().lower().lstrip("\ufeff").replace(" ", "_").replace("-", "_")
    return ALIASES.get(name, name)


def unknown_columns(columns: list[str]) -> list[str]:
    """Return those names that no manifest may use, as they were written."""
    return [column for column in columns if canonical(column) not in COLUMNS]


def problems(raw: dict[str, Any], *, team: Team, by: User | None) -> list[str]:
    """Return all that is wrong with raw values, each said once; nothing is written."""
    found: list[str] = []
    home = {"team": raw.get("team", "")}
    for name, value in raw.items():
        try:
            resolve({**home, name: value}, team=team, by=by, dry=True)
        except Refused as error:
            if error.message not in found:
                found.append(error.message)
    return found


def resolve(
    raw: dict[str, Any], *, team: Team, by: User | None, fallback_start: datetime | None = None, dry: bool = False
) -> Metadata:
    """Turn raw values into rows of ours. With `dry` a queue that is not there yet is not made.

    `team` is used where the row names none. Raises Refused with a sentence that names the field and the value.
    A user who does not see all teams may only file calls under the own teams.
    """
    values = {canonical(key): str(value).strip() for key, value in raw.items() if value not in (None, "")}
    if values.get("team"):
        team = _team(values["team"])
    if by is not None and not by.sees_all_teams and not by.teams.filter(pk=team.pk).exists():
        raise Refused(
            N_("You may not file calls under the team “%(name)s”.") % {"name": team.name}, code="team_not_allowed"
        )
    direction = values.get("direction", "unknown").lower()
    if direction not in Call.Direction.values:
        raise Refused(
            N_("direction “%(direction)s” is not one of %(values)s.")
            % {"direction": values["direction"], "values": ", ".join(Call.Direction.values)},
            code="bad_metadata",
        )
    for name in ("customer_ref", "external_id"):
        if len(values.get(name, "")) > MAX_TEXT:
            raise Refused(
                N_("%(name)s is longer than %(max_text)s characters.") % {"name": name, "max_text": MAX_TEXT},
                code="bad_metadata",
            )
    return Metadata(
        team=team,
        agent=_agent(values["agent"], team) if values.get("agent") else None,
        queue=_queue(values["queue"], dry=dry) if values.get("queue") else None,
        direction=direction,
        started_at=_when(values["started_at"]) if values.get("started_at") else fallback_start or timezone.now(),
        customer_ref=values.get("customer_ref", ""),
        external_id=values.get("external_id", ""),
        language=_language(values.get("language", "en")),
        num_speakers=_number(values, "num_speakers", 0, 8),
        agent_channel=_number(values, "agent_channel", 0, 1),
        training_consent=_yes_or_no(values.get("training_consent", "")),
    )


def _team(text: str) -> Team:
    team = Team.objects.filter(slug=text.lower()).first() or Team.objects.filter(name__iexact=text).first()
    if team is None:
        raise Refused(N_("team “%(text)s” is not known.") % {"text": text}, code="unknown_team")
    return team


def _agent(text: str, team: Team) -> User:
    agent = User.objects.filter(username__iexact=text).first()
    if agent is None:
        raise Refused(N_("agent “%(text)s” is not a known user name.") % {"text": text}, code="unknown_agent")
    if not agent.teams.filter(pk=team.pk).exists():
        raise Refused(
            N_("agent “%(text)s” is not in the team “%(name)s”.") % {"text": text, "name": team.name},
            code="agent_not_in_team",
        )
    return agent


def _queue(text: str, *, dry: bool) -> Queue | None:
    if len(text) > MAX_TEXT:
        raise Refused(N_("queue is longer than %(max_text)s characters.") % {"max_text": MAX_TEXT}, code="bad_metadata")
    found = Queue.objects.filter(name__iexact=text).first()
    return found if found or dry else Queue.objects.get_or_create(name=text)[0]


def _when(text: str) -> datetime:
    try:
        when = parse_datetime(text)
        if when is None and text.replace(".", "", 1).isdigit():
            seconds = float(text)
            when = datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, tz=UTC)
        if when is not None and timezone.is_naive(when):
            when = timezone.make_aware(when)
    except (ValueError, OverflowError, OSError):
        when = None
    # What lies outside these years is a mistake, and the ends of the calendar break whoever shows or shifts it.
    if when is None or not 1970 <= when.year <= 2100:
        raise Refused(
            N_("started_at “%(text)s” is not a date and time such as 2026-03-31T14:05:00+02:00.") % {"text": text},
            code="bad_metadata",
        )
    return when


def _language(text: str) -> str:
    code = text.lower().replace("_", "-")
    if not re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{2,8})?", code):
        raise Refused(
            N_("language “%(text)s” is not a language code such as en.") % {"text": text}, code="bad_metadata"
        )
    return code


def _yes_or_no(text: str) -> bool | None:
    word = text.lower()
    if not word:
        return None
    if word in ("yes", "true", "1", "y"):
        return True
    if word in ("no", "false", "0", "n"):
        return False
    raise Refused(N_("training_consent “%(text)s” is not yes or no.") % {"text": text}, code="bad_metadata")


def _number(values: dict[str, str], name: str, low: int, high: int) -> int:
    text = values.get(name, "")
    if not text:
        return 0
    if not re.fullmatch(r"[0-9]{1,3}", text) or not low <= int(text) <= high:
        raise Refused(
            N_("%(name)s “%(text)s” is not a whole number from %(low)s to %(high)s.")
            % {"name": name, "text": text, "low": low, "high": high},
            code="bad_metadata",
        )
    return int(text)
