"""A call's script: who says what, when, over which sort of telephone line. Read from `calls/*.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from callcenter.demo import FOLDER

LAYOUTS = ("two_party", "mono", "dual_mono")
PARTIES = ("agent", "customer")


class ScriptError(ValueError):
    """A script or the cast says something that cannot be voiced; the message names the file."""


@dataclass(frozen=True)
class Voice:
    """A Kokoro voice and how it is used; `speed` is a factor, above one is faster."""

    name: str
    speed: float = 1.0

    @property
    def accent(self) -> str:
        """The espeak-ng language that fits the voice: `en-gb` for b* voices, else `en-us`."""
        return "en-gb" if self.name.startswith("b") else "en-us"


@dataclass(frozen=True)
class Agent:
    """Somebody who takes calls: user name, shown name, team and voice."""

    username: str
    name: str
    team: str
    voice: Voice


@dataclass(frozen=True)
class Line:
    """One utterance. `pause_ms` is the gap before it (negative overlaps, None draws a natural one)."""

    party: str
    text: str
    pause_ms: int | None = None
    say: str | None = None


@dataclass(frozen=True)
class Hold:
    """A stretch in which nobody speaks: `music` for a hold tune, else the bare line."""

    seconds: float
    music: bool


@dataclass(frozen=True)
class Telephone:
    """What the line does to a call: levels in dBFS of active speech, noise relative to speech in dB.

    `leak_db` is how loud each party is heard on the other's channel (None: not at all).
    """

    agent_db: float = -22.0
    customer_db: float = -24.0
    snr_db: float = 35.0
    noise: str = "hiss"
    mulaw: bool = False
    leak_db: float | None = None


@dataclass(frozen=True)
class Script:
    """One call, ready to be voiced."""

    name: str
    title: str
    agent: Agent
    queue: str
    direction: str
    days_ago: int
    time: str
    customer_ref: str
    external_id: str
    layout: str
    customer: Voice
    telephone: Telephone
    expect: dict[str, Any]
    lines: tuple[Line | Hold, ...] = field(default_factory=tuple)

    def voice(self, party: str) -> Voice:
        """The voice of a party of this call."""
        return self.agent.voice if party == "agent" else self.customer


def load_cast(folder: Path = FOLDER) -> dict[str, Agent]:
    """The agents of `cast.yaml` by user name."""
    raw = yaml.safe_load((folder / "cast.yaml").read_text(encoding="utf-8"))
    return {
        username: Agent(username, about["name"], about["team"], Voice(**about["voice"]))
        for username, about in raw["agents"].items()
    }


def load_scripts(folder: Path = FOLDER) -> list[Script]:
    """Every script under `folder/calls`, in file-name order; ScriptError names what is wrong and where."""
    cast = load_cast(folder)
    return [load_script(path, cast) for path in sorted((folder / "calls").glob("*.yaml"))]


def load_script(path: Path, cast: dict[str, Agent]) -> Script:
    """The script in `path`; ScriptError when a field is missing, unknown or out of range."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        script = Script(
            name=path.stem,
            agent=cast[raw.pop("agent")],
            customer=Voice(**raw.pop("customer")),
            telephone=Telephone(**raw.pop("telephone", {})),
            lines=tuple(_line(item) for item in raw.pop("lines")),
            **raw,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ScriptError(f"{path.name}: {error}") from error
    if script.layout not in LAYOUTS:
        raise ScriptError(f"{path.name}: layout {script.layout!r} is none of {', '.join(LAYOUTS)}")
    return script


def _line(item: list[Any]) -> Line | Hold:
    """One item of `lines`: [party, text, pause_ms, say] or [hold, music|silence, seconds]."""
    party, *rest = item
    if party == "hold":
        kind, seconds = rest
        return Hold(seconds=float(seconds), music=kind == "music")
    if party not in PARTIES:
        raise ValueError(f"a line's party is {party!r}, not agent, customer or hold")
    text = " ".join(str(rest[0]).split())
    pause = rest[1] if len(rest) > 1 else None
    return Line(party, text, pause, rest[2] if len(rest) > 2 else None)
