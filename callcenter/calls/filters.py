"""The filter that the calls list, the dashboard and the alerts share: read from the address, written to the address."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q, Subquery
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from analytics.warehouse.measures import NEGATIVE_AT_MOST, POSITIVE_AT_LEAST
from callcenter.accounts.models import User
from callcenter.calls import ranges
from callcenter.calls.models import Call, CallQuerySet, Turn
from callcenter.insights.models import Alert, Category
from callcenter.pipeline.models import Run

PARTIES = {"customer": gettext_lazy("The customer"), "agent": gettext_lazy("The agent")}
MOODS = ("negative", "neutral", "positive")
STATES = {
    "ready": gettext_lazy("Understood"),
    "processing": gettext_lazy("In progress"),
    "failed": gettext_lazy("Failed"),
}
PERIODS = {"today": 1, "7": 7, "30": 30, "90": 90, "365": 365}
MAX_QUERY = 300
_NO_PARAMETER = ("problems", "faults", "limits")


@dataclass(frozen=True, slots=True)
class CallQuery:
    """What was asked for. Every field is also a parameter of the address; the empty value means "any".

    `start` and `end` are days, both inclusive, in the time zone of the user, else the site's. `problems` says, for
    people, what in the address could not be understood and was therefore left out. `limits` are the ranges of what is
    measured, each end a parameter of its own; what is wrong with one stands in `faults`, and in `problems` too.
    """

    q: str = ""
    said_by: str = ""
    start: date | None = None
    end: date | None = None
    team: int | None = None
    queue: int | None = None
    agent: int | None = None
    intent: str = ""
    category: str = ""
    alerts: str = ""
    mood: str = ""
    state: str = ""
    direction: str = ""
    batch: uuid.UUID | None = None
    weekday: int | None = None
    hour: int | None = None
    reviewed: str = ""
    limits: ranges.Limits = ()
    problems: tuple[str, ...] = ()
    faults: tuple[ranges.Fault, ...] = ()

    @classmethod
    def parse(cls, params: QueryDict, *, days: int | None = None) -> CallQuery:
        """Read the parameters. `days` is the period meant when the address names none."""
        problems: list[str] = []

        def number(name: str, low: int = 0, high: int = 2**31 - 1) -> int | None:
            text = params.get(name, "").strip()
            if not text:
                return None
            if text.isdigit() and len(text) < 11 and low <= int(text) <= high:
                return int(text)
            problems.append(_("%(name)s “%(text)s” is not known.") % {"name": name, "text": text[:20]})
            return None

        def one_of(name: str, known: Any) -> str:
            text = params.get(name, "").strip()
            if text and text not in known:
                problems.append(_("%(name)s “%(text)s” is not known.") % {"name": name, "text": text[:20]})
                return ""
            return text

        start, end = _day(params, "start", problems), _day(params, "end", problems)
        period = one_of("period", (*PERIODS, "all"))
        if period in PERIODS:
            days = PERIODS[period]
        if start is None and end is None and days and period != "all":
            end = timezone.localdate()
            start = end - timedelta(days=days - 1)
        if start and end and end < start:
            problems.append(_("The period ended before it started; the two days were exchanged."))
            start, end = end, start
        batch = None
        if params.get("batch"):
            try:
                batch = uuid.UUID(str(params["batch"]))
            except ValueError:
                problems.append(_("That batch is not known."))
        limits, faults = ranges.read(params)
        return cls(
            q=params.get("q", "").replace("\x00", "").strip()[:MAX_QUERY],
            said_by=one_of("said_by", PARTIES),
            start=start,
            end=end,
            team=number("team"),
            queue=number("queue"),
            agent=number("agent"),
            intent=params.get("intent", "").replace("\x00", "").strip()[:60],
            category=one_of("category", Category.values),
            alerts=one_of("alerts", ("open", "any")),
            mood=one_of("mood", MOODS),
            state=one_of("state", STATES),
            direction=one_of("direction", Call.Direction.values),
            batch=batch,
            weekday=number("weekday", 1, 7),
            hour=number("hour", 0, 23),
            reviewed=one_of("reviewed", ("yes", "no")),
            limits=limits,
            problems=(*problems, *(fault.text for fault in faults)),
            faults=faults,
        )

    @property
    def start_time(self) -> datetime | None:
        """Return the first moment of the period."""
        return _midnight(self.start) if self.start else None

    @property
    def end_time(self) -> datetime | None:
        """Return the first moment after the period."""
        return _midnight(self.end + timedelta(days=1)) if self.end else None

    @property
    def days(self) -> int | None:
        """Return how many days the period has; None where it is open."""
        return (self.end - self.start).days + 1 if self.start and self.end else None

    @property
    def narrowed(self) -> bool:
        """Return whether anything at all limits the list."""
        return bool(self.params())

    def params(self, **changes: Any) -> dict[str, str]:
        """Return the address parameters, with changes; empty ones are left out."""
        asked = replace(self, **{name: value for name, value in changes.items() if name not in ranges.NAMES})
        values: dict[str, Any] = {f.name: getattr(asked, f.name) for f in fields(asked) if f.name not in _NO_PARAMETER}
        values |= {name: ranges.written(name, value) for name, value in asked.limits}
        values |= {name: value for name, value in changes.items() if name in ranges.NAMES}
        return {name: str(value) for name, value in values.items() if value not in (None, "")}

    def link(self, path: str, **changes: Any) -> str:
        """Return an address with this filter. Parameters that are no field (such as sort) are passed on."""
        known = {f.name for f in fields(self)} | ranges.NAMES.keys()
        own = {name: value for name, value in changes.items() if name in known}
        extra = {name: value for name, value in changes.items() if name not in known and value}
        query = urlencode({**self.params(**own), **extra})
        return f"{path}?{query}" if query else path

    def apply(self, calls: CallQuerySet, *, user: User) -> CallQuerySet:
        """Narrow the calls by everything except the search text; alerts that this user may not see do not count."""
        where = Q()
        for name, value in (
            ("team_id", self.team),
            ("direction", self.direction),
            ("insight__intent", self.intent),
            ("started_at__iso_week_day", self.weekday),
            ("started_at__hour", self.hour),
        ):
            if value not in (None, ""):
                where &= Q(**{name: value})
        for name, key in (("queue", self.queue), ("agent", self.agent)):
            if key is not None:
                where &= Q(**{f"{name}__isnull": True}) if key == 0 else Q(**{f"{name}_id": key})
        if self.start_time:
            where &= Q(started_at__gte=self.start_time)
        if self.end_time:
            where &= Q(started_at__lt=self.end_time)
        if self.mood:
            where &= {
                "negative": Q(insight__sentiment__lte=NEGATIVE_AT_MOST),
                "positive": Q(insight__sentiment__gte=POSITIVE_AT_LEAST),
                "neutral": Q(insight__sentiment__gt=NEGATIVE_AT_MOST, insight__sentiment__lt=POSITIVE_AT_LEAST),
            }[self.mood]
        if self.category or self.alerts:
            alerts = Alert.objects.filter(call=OuterRef("pk")).permitted_to(user)
            if self.category:
                alerts = alerts.filter(category=self.category)
            if self.alerts == "open":
                alerts = alerts.open()
            where &= Q(Exists(alerts))
        if self.reviewed:
            looked_at = Exists(
                Turn.objects.filter(call=OuterRef("pk"), transcript=OuterRef("transcript")).exclude(review="")
            )
            where &= Q(looked_at) if self.reviewed == "yes" else ~Q(looked_at)
        for measure, least, most in ranges.held(self.limits):
            if least is not None:
                where &= Q(**{f"{measure.path}__gte": least})
            if most is not None:
                where &= Q(**{f"{measure.path}__lte": most})
        if self.batch:
            where &= Q(batch_rows__batch_id=self.batch, batch_rows__state="done")
        if self.state == "ready":
            where &= Q(insight__isnull=False)
        elif self.state == "processing":
            where &= Q(Exists(Run.objects.filter(call=OuterRef("pk")).exclude(state__in=Run.ENDED)))
        elif self.state == "failed":
            newest = Run.objects.filter(call=OuterRef("pk")).order_by("-created_at")
            calls = calls.alias(newest_state=Subquery(newest.values("state")[:1]))
            where &= Q(newest_state=Run.State.FAILED)
        return calls.filter(where)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _day(params: QueryDict, name: str, problems: list[str]) -> date | None:
    text = params.get(name, "").strip()
    if not text:
        return None
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None or not 1970 <= day.year <= 9000:
        problems.append(_("“%(text)s” is not a date.") % {"text": text[:20]})
        return None
    return day
