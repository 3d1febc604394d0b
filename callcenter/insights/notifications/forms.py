"""The form of a route: what is told, where, and when not."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import Team, User
from callcenter.calls.selectors import visible_teams
from callcenter.core.errors import CallcenterError
from callcenter.insights.models import RESTRICTED, Category, Severity
from callcenter.insights.notifications import services
from callcenter.insights.notifications.models import Route

HOURS = [(hour, f"{hour:02}:00") for hour in range(24)]
ADDRESS_HINT = _(
    "A web address that begins with https://, or an Apprise address such as mailto://user:password@host, "
    "slack://…, msteams://… or ntfys://…. It is stored encrypted and not shown again."
)


class RouteForm(forms.Form):
    """A route, new or present. The address is asked for once; empty keeps it."""

    name = forms.CharField(label=_("Name"), max_length=120)
    channel = forms.ChoiceField(label=_("Channel"), choices=Route.Channel.choices)
    address = forms.CharField(
        label=_("Address"),
        max_length=2000,
        help_text=ADDRESS_HINT,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    team = forms.ModelChoiceField(Team.objects.none(), label=_("Team"), required=False, empty_label=_("All teams"))
    minimum_severity = forms.ChoiceField(choices=Severity.choices, label=_("From this severity"), initial="medium")
    digest = forms.ChoiceField(choices=Route.Digest.choices, label=_("How often"), initial="immediately")
    daily_hour = forms.TypedChoiceField(choices=HOURS, coerce=int, label=_("Daily at"), initial=8)
    quiet_from = forms.TimeField(
        label=_("Quiet from"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    quiet_until = forms.TimeField(
        label=_("Quiet until"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    time_zone = forms.ChoiceField(label=_("Time zone"))
    categories = forms.MultipleChoiceField(
        choices=[(key, label) for key, label in Category.choices if key not in RESTRICTED],
        required=False,
        widget=forms.CheckboxSelectMultiple(),
    )
    tells_restricted = forms.BooleanField(required=False, label=_("Self-harm and threats too, at once"))
    tells_surges = forms.BooleanField(required=False, label=_("Surges: a rate that left its usual band"))
    with_quotes = forms.BooleanField(required=False, label=_("Quotes, with personal and payment data hidden"))
    enabled = forms.BooleanField(required=False, initial=True, label=_("Switched on"))

    def __init__(self, *args: Any, user: User, route: Route | None = None, **kwargs: Any) -> None:
        if route is not None:
            kwargs.setdefault("initial", {name: getattr(route, name) for name in FIELDS} | {"team": route.team_id})
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        zones = sorted(available_timezones() | {settings.TIME_ZONE})
        fields["time_zone"].choices = [(zone, zone.replace("_", " ")) for zone in zones]
        if route is None:
            fields["time_zone"].initial = settings.TIME_ZONE
        else:
            del fields["channel"]
            fields["address"].required = False
            fields["address"].label = gettext("New address")
            fields["address"].help_text = gettext("Empty: it stays {address_shown}.").format(
                address_shown=route.address_shown
            )
        fields["team"].queryset = visible_teams(user)
        if not user.has_role():  # not an administrator
            fields["team"].required = True
            fields["team"].empty_label = None
        if not user.sees_restricted_alerts:
            del fields["tells_restricted"]
        self.route = route
        for name, field in fields.items():
            kind = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
            if isinstance(field.widget, (forms.CheckboxInput, forms.CheckboxSelectMultiple)):
                kind = "form-check-input"
            field.widget.attrs["class"] = kind
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"id_{name}_help"

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        channel = self.route.channel if self.route is not None else data.get("channel")
        if data.get("address") and channel:
            data["address"] = data["address"].strip()
            try:
                services.check_address(channel, data["address"])
            except CallcenterError as error:
                self.add_error("address", error.message)
        begin, end = data.get("quiet_from"), data.get("quiet_until")
        if (begin is None) != (end is None) and not {"quiet_from", "quiet_until"} & set(self.errors):
            self.add_error("quiet_until" if end is None else "quiet_from", gettext("Give both times, or neither."))
        if begin is not None and begin == end:
            self.add_error(
                "quiet_until", gettext("These quiet hours would never end. To send nothing, switch the route off.")
            )
        return data


FIELDS = (
    "name", "minimum_severity", "digest", "daily_hour", "quiet_from", "quiet_until", "time_zone", "categories",
    "tells_restricted", "tells_surges", "with_quotes", "enabled",
)  # fmt: skip
