"""Words for what is stored as a key or in English, in the language of whoever reads."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from callcenter.insights import stored

register = template.Library()
_PARTIES = {"agent": _("Agent"), "customer": _("Customer"), "unknown": _("Unknown")}


@register.filter
def party_label(party: str) -> str:
    """Return who speaks, as a word that begins a sentence."""
    return str(_PARTIES.get(party, str(party)[:1].upper() + str(party)[1:]))


@register.filter
def worded(text: Any) -> str:
    """Translate an English text that came from the database; what is not known stays as it is."""
    return "" if text is None else stored.worded(str(text))


@register.filter
def noted(text: Any) -> str:
    """Translate the notes that the house itself leaves; those of people stay as they wrote them."""
    return gettext(str(text)) if text else ""
