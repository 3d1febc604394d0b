"""Forms of the upload page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from callcenter.accounts.models import Role, Team, User
from callcenter.calls.models import Call, Queue
from callcenter.calls.selectors import visible_teams


class MultipleFileInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class MultipleFileField(forms.FileField):
    """Many files in one field; its value is a list."""

    widget = MultipleFileInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        files = data if isinstance(data, list | tuple) else [data]
        return [super(MultipleFileField, self).clean(item, initial) for item in files if item]


class BatchForm(forms.Form):
    """A new batch: its team, what holds for all its files where the manifest says nothing, and the files."""

    team = forms.ModelChoiceField(
        Team.objects.none(),
        label=_("Team"),
        empty_label=_("Choose a team"),
        help_text=_("The calls are filed under this team."),
    )
    name = forms.CharField(label=_("Name"), max_length=200, required=False, help_text=_("Empty: the date and time."))
    queue = forms.ModelChoiceField(Queue.objects.none(), label=_("Queue"), required=False, empty_label=_("Not known"))
    agent = forms.ModelChoiceField(
        User.objects.none(), label=_("Agent"), required=False, empty_label=_("Not known"), to_field_name="username"
    )
    direction = forms.ChoiceField(
        label=_("Direction"), choices=Call.Direction.choices, initial=Call.Direction.UNKNOWN, required=False
    )
    agent_channel = forms.ChoiceField(
        choices=[("", _("First (left)")), ("1", _("Second (right)"))],
        required=False,
        label=_("Agent's channel"),
        help_text=_("For recordings with one party on each channel."),
    )
    backlog = forms.BooleanField(
        required=False,
        label=_("These are old recordings"),
        help_text=_("They are processed while no new calls wait."),
    )
    # Empty files pass here: they get a row that says so, and the others go on. (Forms keep uploads as `files`, too.)
    files = MultipleFileField(label=_("Files"), required=False, allow_empty_file=True)  # type: ignore[assignment]
    manifest = forms.FileField(label=_("Manifest"), required=False, allow_empty_file=True)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = visible_teams(user)
        fields: dict[str, Any] = self.fields
        fields["team"].queryset = teams
        if teams.count() == 1:
            fields["team"].initial = teams.first()
            fields["team"].empty_label = None
        fields["queue"].queryset = Queue.objects.all()
        fields["agent"].queryset = User.objects.filter(role=Role.AGENT, teams__in=teams, is_active=True).distinct()
        for name, field in fields.items():
            chooses = isinstance(field.widget, forms.Select)
            ticks = isinstance(field.widget, forms.CheckboxInput)
            field.widget.attrs["class"] = "form-select" if chooses else "form-check-input" if ticks else "form-control"
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"id_{name}_help"

    def defaults(self) -> dict[str, str]:
        """Return what the batch says about every file, as a manifest row would say it."""
        data = self.cleaned_data
        values = {
            "queue": data["queue"].name if data["queue"] else "",
            "agent": data["agent"].username if data["agent"] else "",
            "direction": data["direction"],
            "agent_channel": data["agent_channel"],
            "_backlog": "yes" if data["backlog"] else "",
        }
        return {name: value for name, value in values.items() if value}
