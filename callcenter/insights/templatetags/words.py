"""Words for what is stored as a key or in English, in the language of whoever reads."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

register = template.Library()
_PARTIES = {"agent": _("Agent"), "customer": _("Customer"), "unknown": _("Unknown")}


@register.filter
def party_label(party: str) -> str:
    """Return who speaks, as a word that begins a sentence."""
    return str(_PARTIES.get(party, str(party)[:1].upper() + str(party)[1:]))


@register.filter
def worded(text: Any) -> str:
    """Translate a fixed English text that came from the database; what no catalogue knows stays as it is."""
    return gettext(str(text)) if text not in (None, "") else ""
