"""How figures look on every page: one way to write a time, a share, a score."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from analytics.warehouse.measures import NEGATIVE_AT_MOST, POSITIVE_AT_LEAST
from callcenter.core.retold import retold
from callcenter.insights.models import Category

register = template.Library()
NOTHING = "–"
SEVERITY_COLOUR = {"low": "secondary", "medium": "yellow", "high": "orange", "critical": "red"}
RUN_COLOUR = {"done": "green", "failed": "red", "queued": "secondary"}
#: Keys that are shown as they are: parties, moods, steps of the pipeline, lengths of time.
WORDS = {
    "agent": pgettext_lazy("party", "agent"),
    "customer": pgettext_lazy("party", "customer"),
    "unknown": gettext_lazy("unknown"),
    "negative": gettext_lazy("negative"),
    "neutral": gettext_lazy("neutral"),
    "positive": gettext_lazy("positive"),
    "decode": gettext_lazy("decode"),
    "diarize": gettext_lazy("diarize"),
    "transcribe": gettext_lazy("transcribe"),
    "assemble": gettext_lazy("assemble"),
    "understand": gettext_lazy("understand"),
    "voice": gettext_lazy("voice"),
    "hour": gettext_lazy("hour"),
    "day": gettext_lazy("day"),
    "week": gettext_lazy("week"),
    "month": gettext_lazy("month"),
}
ROW_COLOUR = {"done": "green", "duplicate": "azure", "refused": "red", "received": "secondary"}


@register.filter
def clock(ms: Any) -> str:
    """Write milliseconds as a position: 0:07, 12:05, 1:02:03."""
    if ms in (None, ""):
        return NOTHING
    seconds = int(ms) // 1000
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@register.filter
def duration(ms: Any) -> str:
    """Write milliseconds as a length: 0.8 s, 42 s, 3 min 5 s, 1 h 2 min."""
    if ms in (None, ""):
        return NOTHING
    if 0 < ms < 10_000:
        return _("%(seconds)s s") % {"seconds": f"{ms / 1000:.1f}"}
    seconds = round(ms / 1000)
    if seconds < 60:
        return _("%(seconds)s s") % {"seconds": seconds}
    if seconds < 3600:
        minutes, seconds = divmod(seconds, 60)
        if not seconds:
            return _("%(minutes)s min") % {"minutes": minutes}
        return _("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": seconds}
    hours, minutes = divmod(round(seconds / 60), 60)
    if not minutes:
        return _("%(hours)s h") % {"hours": hours}
    return _("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes}


@register.filter
def seconds(ms: Any) -> str:
    """Write milliseconds as seconds for a media address: 1.25."""
    return f"{int(ms or 0) / 1000:.2f}"


@register.filter
def percent(share: Any) -> str:
    """Write a share 0..1 in per cent."""
    return NOTHING if share in (None, "") else f"{share * 100:.0f}\N{NARROW NO-BREAK SPACE}%"


@register.filter
def percent1(share: Any) -> str:
    """Write a share 0..1 in per cent with one decimal."""
    return NOTHING if share in (None, "") else f"{share * 100:.1f}\N{NARROW NO-BREAK SPACE}%"


@register.filter
def score(value: Any) -> str:
    """Write a sentiment score with its sign."""
    if value in (None, ""):
        return NOTHING
    text = f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", "−")


@register.filter
def mood(value: Any) -> str:
    """Return negative, neutral, positive or an empty string, by the thresholds of the warehouse."""
    if value in (None, ""):
        return ""
    if value <= NEGATIVE_AT_MOST:
        return "negative"
    return "positive" if value >= POSITIVE_AT_LEAST else "neutral"


@register.filter
def spoken(key: Any) -> str:
    """Turn a key into words: technical_support -> Technical support."""
    if key in WORDS:
        known = str(WORDS[key])
        return known[:1].upper() + known[1:]
    text = str(key or "").replace("_", " ").replace("-", " ").strip()
    return text[:1].upper() + text[1:]


@register.filter
def word(key: Any) -> str:
    """Write a key of ours as a word of the reader's language; what is no such key stays as it is."""
    return str(WORDS.get(key, key or ""))


@register.filter(name="retold")
def retold_filter(text: Any) -> str:
    """Write a stored sentence in the reader's language."""
    return retold(text or "")


@register.filter
def category_label(key: str) -> str:
    """Return the words for an alert category."""
    return str(dict(Category.choices).get(key, spoken(key)))


@register.filter
def severity_colour(key: str) -> str:
    return SEVERITY_COLOUR.get(key, "secondary")


@register.filter
def run_colour(key: str) -> str:
    return RUN_COLOUR.get(key, "azure")


@register.filter
def row_colour(key: str) -> str:
    return ROW_COLOUR.get(key, "azure")


@register.filter
def get(mapping: Any, key: Any) -> Any:
    """Look up a key; None where it is missing."""
    return mapping.get(key) if hasattr(mapping, "get") else None


@register.filter
def size(count: Any) -> str:
    """Write bytes in the unit that fits."""
    amount = float(count or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


@register.filter
def percent_number(share: Any) -> int:
    """Return a share 0..1 as a whole number of per cent, for widths and progress bars."""
    return round(100 * float(share or 0))


@register.filter
def rest(share: Any) -> float:
    """Return what a share leaves of the whole."""
    return 1.0 - float(share or 0)


@register.filter
def waited(delta: Any) -> str:
    """Write a timedelta as a length."""
    return duration(delta.total_seconds() * 1000) if delta is not None else NOTHING
