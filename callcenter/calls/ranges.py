"""Limits on what is measured of a call: from 5 to 10 minutes long, at least 40 % silence, as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

Limits = tuple[tuple[str, float], ...]
_CLOCK = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):([0-5]\d)\Z", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,6}(?:[.,]\d{1,4})?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that calls are measured by: where its value lies, and how people write one.

    A written value divided by `divisor` is what the database and the warehouse hold. `low` and `high` are as written.
    """

    name: str
    label: str | Promise
    unit: str | Promise
    path: str
    warehouse: str
    divisor: float
    low: float
    high: float

    @property
    def names(self) -> tuple[str, str]:
        """Return the two parameters of the address."""
        return f"{self.name}_min", f"{self.name}_max"


_SHARE: tuple[float, float, float] = (100, 0, 100)
MEASURES: tuple[Measure, ...] = (
    # Its values are seconds as written and milliseconds as held.
    Measure("duration", gettext_lazy("Length"), gettext_lazy("m:ss or seconds"),
            "recording__duration_ms", "duration_ms", 0.001, 0, 360_000),
    Measure("silence", gettext_lazy("Silence"), "%", "insight__silence_ratio", "silence_ratio", *_SHARE),
    Measure("talk", gettext_lazy("Agent's share of the talk"), "%",
            "insight__talk_ratio_agent", "talk_ratio_agent", *_SHARE),
    Measure("overtalk", gettext_lazy("Talking at once"), "%", "insight__overtalk_ratio", "overtalk_ratio", *_SHARE),
    Measure("pace", gettext_lazy("Agent's words a minute"), "", "insight__wpm_agent", "wpm_agent", 1, 0, 1000),
    Measure("sentiment", gettext_lazy("Sentiment score"), gettext_lazy("−1 to 1"),
            "insight__sentiment", "sentiment", 1, -1, 1),
    Measure("quality", gettext_lazy("Certainty of the transcript"), "%",
            "transcript__mean_probability", "mean_word_probability", *_SHARE),
)  # fmt: skip
NAMES: Mapping[str, Measure] = {name: measure for measure in MEASURES for name in measure.names}


@dataclass(frozen=True, slots=True)
class Fault:
    """What was wrong at one field: its name, what was written there, what to say."""

    name: str
    written: str
    text: str


def read(params: Mapping[str, str]) -> tuple[Limits, tuple[Fault, ...]]:
    """Return the limits in an address, and what of them could not be understood and was left out."""
    found: dict[str, float] = {}
    faults: list[Fault] = []
    for name, measure in NAMES.items():
        text = (params.get(name) or "").strip()
        if not text:
            continue
        value = _value(text, measure)
        if value is None:
            faults.append(Fault(name, text[:20], _unreadable(text[:20], measure)))
        elif not measure.low <= value <= measure.high:
            faults.append(Fault(name, text[:20], _outside(text[:20], measure)))
        else:
            found[name] = value
    for measure in MEASURES:
        least, most = measure.names
        if least in found and most in found and found[least] > found[most]:
            said = _("“{least}” is more than “{most}”; the two were exchanged.").format(
                least=written(least, found[least]), most=written(most, found[most])
            )
            faults.append(Fault(least, "", said))
            found[least], found[most] = found[most], found[least]
    return tuple(found.items()), tuple(faults)


def _value(text: str, measure: Measure) -> float | None:
    if measure.name == "duration" and (clock := _CLOCK.match(text)):
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return float((hours * 60 + minutes) * 60 + seconds)
    text = text.replace("\N{MINUS SIGN}", "-").removesuffix("%").strip()
    return float(text.replace(",", ".")) if _NUMBER.match(text) else None


def _unreadable(text: str, measure: Measure) -> str:
    if measure.name == "duration":
        return _("{field}: “{text}” is neither minutes and seconds such as 1:30 nor a number of seconds.").format(
            field=measure.label, text=text
        )
    return _("{field}: “{text}” is not a number.").format(field=measure.label, text=text)


def _outside(text: str, measure: Measure) -> str:
    if measure.name == "duration":
        return _("{field}: “{text}” is longer than any call can be.").format(field=measure.label, text=text)
    return _("{field}: “{text}” is not from {low} to {high}.").format(
        field=measure.label, text=text, low=f"{measure.low:g}", high=f"{measure.high:g}"
    )


def written(name: str, value: float) -> str:
    """Return a limit as it stands in the address and in its field."""
    if NAMES[name].name != "duration" or value != int(value):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    minutes, seconds = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def held(limits: Iterable[tuple[str, float]]) -> list[tuple[Measure, float | None, float | None]]:
    """Return each limited measure with its least and greatest value as the database holds it; None is open."""
    given = dict(limits)
    found = []
    for measure in MEASURES:
        least, most = (given.get(name) for name in measure.names)
        if least is not None or most is not None:
            found.append((measure, _held(measure, least), _held(measure, most)))
    return found


def _held(measure: Measure, value: float | None) -> float | None:
    if value is None:
        return None
    # Seconds become whole milliseconds, so that "at most 1:30" holds a call of exactly that.
    return float(round(value / measure.divisor)) if measure.name == "duration" else value / measure.divisor


def described(limits: Iterable[tuple[str, float]]) -> list[tuple[str, str, str]]:
    """Return each limit as its parameter, its value there, and what it says in words."""
    found = []
    for name, value in limits:
        measure, text = NAMES[name], written(name, value)
        said = _("{field} from {value}") if name.endswith("_min") else _("{field} up to {value}")
        shown = f"{text}\N{NO-BREAK SPACE}%" if measure.unit == "%" else text
        found.append((name, text, said.format(field=measure.label, value=shown)))
    return found


def fields(limits: Iterable[tuple[str, float]], faults: Iterable[Fault]) -> list[dict[str, object]]:
    """Return what a form shows: each measure with its two fields, what stands in them and what is wrong with it."""
    given, wrong = dict(limits), {fault.name: fault for fault in faults}
    rows: list[dict[str, object]] = []
    for measure in MEASURES:
        ends = []
        for name in measure.names:
            fault = wrong.get(name)
            shown = fault.written if fault and fault.written else written(name, given[name]) if name in given else ""
            ends.append({"name": name, "value": shown, "wrong": bool(fault and fault.written)})
        texts = [wrong[name].text for name in measure.names if name in wrong]
        rows.append({"name": measure.name, "label": measure.label, "unit": measure.unit, "ends": ends, "texts": texts})
    return rows
