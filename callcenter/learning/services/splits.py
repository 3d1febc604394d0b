"""Who stands on which side: voices are assigned once and for ever, so that nothing tested on was ever trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.utils.translation import gettext, ngettext

from callcenter.core.errors import CallcenterError
from callcenter.learning.models import SplitAssignment

Side = SplitAssignment.Side
SHARES = {Side.TRAIN.value: 0.65, Side.GOLDEN.value: 0.25, Side.VALIDATION.value: 0.10}
#: With fewer calls than this in the golden set no interval can be told from noise.
MIN_GOLDEN_CALLS = 3


@dataclass
class Voice:
    """One agent with all calls, or one call without an agent."""

    key: str
    calls: set[str] = field(default_factory=set)


def voice_key(*, agent: str, call_id: str) -> str:
    """Return the key by which a call is assigned: its agent's, else its own."""
    return f"agent:{agent}" if agent else f"call:{call_id}"


def assign(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return {voice key: side} for (voice key, call id) pairs, assigning the voices that are new and keeping the rest.

    Raises CallcenterError when there is too little to hold out a test set. Call it within a transaction: what it
    wrote before raising must not stay.
    """
    voices: dict[str, Voice] = {}
    for key, call in pairs:
        voices.setdefault(key, Voice(key)).calls.add(call)
    sides = dict(SplitAssignment.objects.filter(key__in=voices).values_list("key", "side"))
    fresh = [voice for key, voice in voices.items() if key not in sides]
    fresh.sort(key=lambda v: (-len(v.calls), hashlib.sha256(v.key.encode()).hexdigest()))
    placed = _place(voices, sides, fresh)
    SplitAssignment.objects.bulk_create(
        [SplitAssignment(key=voice.key, side=placed[voice.key]) for voice in fresh], ignore_conflicts=True
    )
    # Somebody else may have placed a voice meanwhile; what stands in the table counts.
    sides = dict(SplitAssignment.objects.filter(key__in=voices).values_list("key", "side"))
    _check(voices, sides)
    return sides


def _place(voices: dict[str, Voice], sides: dict[str, str], fresh: list[Voice]) -> dict[str, str]:
    """Give each new voice to the side that lacks most, then see to it that no side is left without what it needs."""
    total = sum(len(v.calls) for v in voices.values())
    have = {side: sum(len(v.calls) for k, v in voices.items() if sides.get(k) == side) for side in SHARES}
    placed: dict[str, str] = {}
    for voice in fresh:
        side = max(SHARES, key=lambda s: SHARES[s] * total - have[s])
        placed[voice.key] = side
        have[side] += len(voice.calls)

    def movable() -> list[Voice]:
        """Return new voices that training can spare, the smallest first."""
        held = [v for v in fresh if placed[v.key] == Side.TRAIN]
        keep = 0 if any(side == Side.TRAIN for side in sides.values()) else 1
        return sorted(held, key=lambda v: (len(v.calls), v.key))[: max(0, len(held) - keep)]

    def move(voice: Voice, side: str) -> None:
        have[placed[voice.key]] -= len(voice.calls)
        placed[voice.key] = side
        have[side] += len(voice.calls)

    spare = [v for v in fresh if placed[v.key] == Side.VALIDATION]
    while have[Side.GOLDEN] < MIN_GOLDEN_CALLS and (candidates := movable() or spare):
        # The one that suffices, else the largest: few voices in the golden set leave more to learn from.
        lacking = MIN_GOLDEN_CALLS - have[Side.GOLDEN]
        enough = [v for v in candidates if len(v.calls) >= lacking]
        chosen = enough[0] if enough else candidates[-1]
        move(chosen, Side.GOLDEN)
        spare = [v for v in spare if v is not chosen]
    if not have[Side.TRAIN]:
        for voice in sorted(fresh, key=lambda v: (-len(v.calls), v.key)):
            if placed[voice.key] == Side.VALIDATION or have[Side.GOLDEN] - len(voice.calls) >= MIN_GOLDEN_CALLS:
                move(voice, Side.TRAIN)
                break
    if not have[Side.VALIDATION] and len(movable()) > 0 and have[Side.TRAIN] > len(movable()[0].calls):
        move(movable()[0], Side.VALIDATION)
    return placed


def _check(voices: dict[str, Voice], sides: dict[str, str]) -> None:
    if len(voices) < 2:
        raise CallcenterError(
            gettext(
                "All reviewed segments come from the calls of one agent, which cannot hold out a test set: the gate "
                "judges on voices that were never trained on. Review calls of a second agent."
            ),
            code="one_speaker",
        )
    golden = sum(len(v.calls) for k, v in voices.items() if sides[k] == Side.GOLDEN)
    train = sum(len(v.calls) for k, v in voices.items() if sides[k] == Side.TRAIN)
    if golden < MIN_GOLDEN_CALLS or not train:
        calls = sum(len(v.calls) for v in voices.values())
        raise CallcenterError(
            ngettext(
                "Segments of {calls} call by {agents} agents cannot hold out a test set: {least} calls of one or more "
                "agents are set aside for the gate, and at least one call of another agent must be left to learn from. "
                "Review segments of more calls.",
                "Segments of {calls} calls by {agents} agents cannot hold out a test set: {least} calls of one or more "
                "agents are set aside for the gate, and at least one call of another agent must be left to learn from. "
                "Review segments of more calls.",
                calls,
            ).format(calls=calls, agents=len(voices), least=MIN_GOLDEN_CALLS),
            code="too_few_calls",
        )
