"""Digits that are no card number: security codes, expiry dates, accounts, sort codes, telephone numbers, echoes."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from analytics.redaction.cards import Claim, cards, context
from analytics.redaction.cues import OTHER, Cue, Cues
from analytics.redaction.kinds import (
    ACCOUNT,
    CARD_CODE,
    CARD_EXPIRY,
    CARD_NUMBER,
    PHONE,
    POSTCODE,
    SORT_CODE,
)
from analytics.redaction.reading import Piece
from analytics.redaction.runs import Segment, chains, segments

CODE_AFTER_CARD = 60
ECHO = 8
_PHONE = re.compile(r"0[1-9]\d{8,9}|(?:00)?44\d{10}|1?[2-9]\d{2}[2-9]\d{6}|(?:00|011)[1-9]\d{8,12}")


def looks_like_expiry(digits: str) -> bool:
    """Return whether these are a month and a year in which a card could end: "0928", "928", "092028"."""
    if len(digits) == 6:
        return "01" <= digits[:2] <= "12" and digits[2:4] == "20"
    if len(digits) == 5:
        return digits[0] != "0" and digits[1:3] == "20"
    month, year = digits[:-2], digits[-2:]
    return len(digits) in (3, 4) and 1 <= int(month) <= 12 and "20" <= year <= "49"


def numbers(streams: Sequence[Sequence[Piece]], everything: Sequence[Piece], cues: Cues) -> list[Claim]:
    """Return every claim on digits: of the streams of the parties, and of card numbers cut up between parties."""
    claims: list[Claim] = []
    found = [segments(stream, cues) for stream in streams]
    taken: set[tuple[int, int]] = set()

    def claim(new: list[Claim]) -> None:
        group = claims[-1].group + 1 if claims else 1
        for one in new:
            claims.append(Claim(one.kind, one.segment, one.first, one.end, one.why, one.certainty, group))
            taken.add((id(one.segment.stream), one.segment.first))

    for mine in found:
        for chain in chains(mine, cues):
            claim(cards(chain, cues))
    if len(streams) > 1:
        sure = {piece for one in claims for piece in _places(one)}
        for chain in chains(segments(everything, cues), cues):
            new = cards(chain, cues, only_checked=True)
            if new and not all(piece in sure for one in new for piece in _places(one)):
                claim(new)
    ends = sorted(one.segment.last_at for one in claims)
    heard = Heard.of(claims)
    for mine in found:
        for segment in mine:
            if (id(segment.stream), segment.first) not in taken:
                claim(_of_segment(segment, cues, heard, ends))
    return claims


def _places(claim: Claim) -> list[int]:
    first, last = claim.segment.atoms[claim.first].first, claim.segment.atoms[claim.end - 1].last
    return [claim.segment.stream[k].at for k in range(first, last + 1)]


class Heard:
    """The digits of the card numbers of a call, to know them again where a part of one is repeated."""

    def __init__(self, groups: Sequence[tuple[int, int, str]]) -> None:
        self._groups = sorted(groups)
        self._starts = [group[0] for group in self._groups]
        self._grams = {text[k : k + 4] for _, _, text in groups if len(text) >= 12 for k in range(len(text) - 3)}

    @classmethod
    def of(cls, claims: Sequence[Claim]) -> Heard:
        whole: dict[int, tuple[int, int, str]] = {}
        for one in claims:
            first, last, text = whole.get(one.group, (one.segment.first_at, 0, ""))
            text += "".join(atom.digits for atom in one.segment.atoms[one.first : one.end])
            whole[one.group] = (min(first, one.segment.first_at), max(last, one.segment.last_at), text)
        return cls(list(whole.values()))

    def repeats(self, segment: Segment) -> bool:
        """Return whether a segment repeats four digits of a card, or two while it is being read out."""
        digits = segment.digits
        if len(digits) >= 4:
            return bool(self._grams) and all(digits[k : k + 4] in self._grams for k in range(len(digits) - 3))
        place = bisect_left(self._starts, segment.first_at)
        during = (group for group in self._groups[max(0, place - 2) : place] if segment.first_at <= group[1] + ECHO)
        return len(digits) >= 2 and any(len(text) <= 80 and digits in text for _, _, text in during)


def _of_segment(segment: Segment, cues: Cues, heard: Heard, card_ends: Sequence[int]) -> list[Claim]:
    digits = segment.digits
    size = len(digits)
    near = context(cues, segment.first_at, segment.last_at)
    if heard.repeats(segment) and (size >= 4 or not near or near[0].kind == CARD_NUMBER):
        return [_whole(CARD_NUMBER, segment, "repeats digits of a card number said in this call", 0.9)]
    kinds = [cue.kind for cue in near]
    for cue in near:
        if cue.kind == OTHER:
            return []
        made = _by_cue(cue, segment, digits, kinds)
        if made:
            return made
    if size in (3, 4) and (not near or cue_of_card(near[0])) and _just_after(card_ends, segment.first_at):
        return [_whole(CARD_CODE, segment, "three or four digits right after a card number", 0.6)]
    own = segment.last - segment.first
    undisturbed = segment.last_at - segment.first_at - own <= 8
    if undisturbed and _PHONE.fullmatch(digits) and not any(c.kind == OTHER for c in cues.before(segment.first_at, 80)):
        return [_whole(PHONE, segment, "as long as a telephone number and begins like one", 0.6)]
    return []


def cue_of_card(cue: Cue) -> bool:
    """Return whether a cue speaks of a card."""
    return cue.kind in (CARD_NUMBER, CARD_CODE, CARD_EXPIRY, "card")


def _just_after(ends: Sequence[int], at: int) -> bool:
    place = bisect_left(ends, at)
    return place > 0 and at - ends[place - 1] <= CODE_AFTER_CARD


def _whole(kind: str, segment: Segment, why: str, certainty: float) -> Claim:
    return Claim(kind, segment, 0, len(segment.atoms), why, certainty)


def _by_cue(cue: Cue, segment: Segment, digits: str, kinds: Sequence[str]) -> list[Claim]:
    """Return the claim that a cue makes on a segment, where its digits have the right shape."""
    size = len(digits)
    if cue.kind == CARD_CODE:
        if 3 <= size <= 5 or (size == 2 and segment.first_at - cue.last <= 12):
            return [_whole(CARD_CODE, segment, "digits where a security code was asked for or named", 0.9)]
        if size in (6, 7, 8) and CARD_EXPIRY in kinds:
            return _split(segment, size - (4 if size == 8 else 3), CARD_EXPIRY, CARD_CODE)
    if cue.kind == CARD_EXPIRY and (looks_like_expiry(digits) or (size <= 4 and segment.first_at - cue.last <= 8)):
        return [_whole(CARD_EXPIRY, segment, "a month and a year where an expiry date was asked for", 0.9)]
    if cue.kind == SORT_CODE:
        if ACCOUNT in kinds and 12 <= size <= 16:
            return _split(segment, 6, SORT_CODE, ACCOUNT)
        if 5 <= size <= 9:
            return [_whole(SORT_CODE, segment, "digits where a sort code was asked for or named", 0.9)]
    if cue.kind == ACCOUNT:
        if SORT_CODE in kinds and 12 <= size <= 16:
            return _split(segment, 6, SORT_CODE, ACCOUNT)
        if 4 <= size <= 24:
            return [_whole(ACCOUNT, segment, "digits where an account number was asked for or named", 0.9)]
    if cue.kind == PHONE and 6 <= size <= 16:
        return [_whole(PHONE, segment, "digits where a telephone number was asked for or named", 0.9)]
    if cue.kind == POSTCODE and size in (5, 9):
        return [_whole(POSTCODE, segment, "digits where a postcode was asked for or named", 0.8)]
    return []


def _split(segment: Segment, size: int, left: str, right: str) -> list[Claim]:
    """Return two claims, the first over the first `size` digits; an atom across the border belongs to the second."""
    total, border = 0, 0
    for at, atom in enumerate(segment.atoms):
        total += len(atom.digits)
        if total > size:
            break
        border = at + 1
    why = "two numbers that were asked for in one breath"
    end = len(segment.atoms)
    return [Claim(kind, segment, a, b, why, 0.8) for kind, a, b in ((left, 0, border), (right, border, end)) if b > a]
