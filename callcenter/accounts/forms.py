"""Forms of the account page."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

LIFETIMES = (("30", _("30 days")), ("90", _("90 days")), ("365", _("1 year")), ("0", _("No end")))


class TokenForm(forms.Form):
    """A new API token: what it is for and how long it lives."""

    name = forms.CharField(
        max_length=120,
        label=_("What is it for?"),
        widget=forms.TextInput(attrs={"class": "form-control", "placeholder": _("Telephone system, nightly export …")}),
    )
    days = forms.ChoiceField(
        choices=LIFETIMES,
        initial="90",
        label=_("Lives for"),
        widget=forms.Select(attrs={"class": "form-select"}),
    )
