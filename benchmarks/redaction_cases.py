"""Seeded calls with card numbers in them: every way of saying one, in a conversation, as a recogniser hears it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from benchmarks.redaction_talk import (
    CARD_ASKS,
    CARD_OFFERS,
    CHAT,
    CODE_ASKS,
    EXPIRY_ASKS,
    FILLERS,
    NAMES,
    NEXT,
    NODS,
    REGRETS,
    STALLS,
    STYLES,
    Secret,
    Talk,
    chop,
    misrecognised,
    punctuated,
    speak,
)

CARD, CODE, EXPIRY = "card_number", "card_code", "card_expiry"
ISSUERS = [
    ("4", 16, 8), ("51", 16, 2), ("53", 16, 2), ("55", 16, 2), ("2345", 16, 2), ("34", 15, 1), ("37", 15, 2),
    ("6011", 16, 1), ("65", 16, 1), ("36", 14, 1), ("35", 16, 1), ("6759", 18, 1), ("62", 19, 1),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One call. `truth` holds, per kind, the (turn, word) places that must be hidden; none in a negative."""

    form: str
    document: dict[str, Any]
    truth: dict[str, frozenset[tuple[int, int]]]


def check_digit(body: str) -> str:
    """Return the digit that makes body + digit pass the check that card numbers pass."""
    total = 0
    for place, letter in enumerate(reversed(body)):
        value = int(letter) * (2 if place % 2 == 0 else 1)
        total += value // 10 + value % 10
    return str(-total % 10)


def card_number(rng: random.Random) -> str:
    """Return a number that could stand on a card; repeated digits and zeros come more often than by chance."""
    prefix, length, _ = rng.choices(ISSUERS, [i[2] for i in ISSUERS])[0]
    body = prefix
    while len(body) < length - 1:
        draw = rng.random()
        body += body[-1] if draw < 0.2 else "0" if draw < 0.3 else str(rng.randint(0, 9))
    return body + check_digit(body)


def groups_of(rng: random.Random, number: str) -> list[str]:
    if len(number) in (14, 15):
        return chop(number, [4, 6, 5])
    return chop(number, rng.choice([[4] * 5, [4] * 5, [4] * 5, [2] * 10, [3] * 7, [8, 8, 3], [20], [4, 3, 5, 4, 3]]))


def spoken_group(talk: Talk, group: str, style: str, manner: str, errors: float) -> list[str]:
    words = speak(talk.rng, group, style)
    return misrecognised(talk.rng, punctuated(talk.rng, words, manner), errors)


def _secret(kind: str, words: list[str]) -> Secret:
    return Secret(kind, tuple(words))


def tell(talk: Talk, party: str, number: str, style: str, *, shape: str, errors: float, lead: str = "") -> None:
    """Let a party read a card number out: in one go, or in groups that the other party answers, repeats or prompts."""
    rng = talk.rng
    other = "agent" if party == "customer" else "customer"
    manner = rng.choice(["none", "none", ",", ".", "commas"])
    if style == "typed" and shape == "one go":
        talk.say(party, lead, _secret(CARD, misrecognised(rng, [number], 0)))
        return
    if style == "dashes":
        talk.say(party, lead, _secret(CARD, [rng.choice("-./").join(chop(number, [4] * 5))]))
        return
    groups = groups_of(rng, number)
    if shape == "one go":
        words = [w for g in groups for w in spoken_group(talk, g, style, manner, errors)]
        talk.say(party, lead, _secret(CARD, words))
        return
    parts: list[str | Secret] = [lead]
    wrong_at = rng.randrange(1, len(groups)) if shape == "correction" and len(groups) > 1 else -1
    for at, group in enumerate(groups):
        if at == wrong_at:
            spoilt = "".join(str(rng.randint(0, 9)) for _ in group)
            parts += [_secret(CARD, spoken_group(talk, spoilt, style, "none", 0)), talk.pick(REGRETS)]
        parts.append(_secret(CARD, spoken_group(talk, group, style, manner, errors)))
        last = at == len(groups) - 1
        if shape == "hesitations" and not last and rng.random() < 0.6:
            parts.append(talk.pick(FILLERS))
        if shape == "stalls" and not last and rng.random() < 0.35:
            parts.append(talk.pick(STALLS))
            talk.say(party, *parts)
            parts = []
            talk.now += rng.randint(1500, 7000)
        if shape in ("turns", "echoed", "prompted") and not last and rng.random() < 0.7:
            talk.say(party, *parts)
            parts = []
            if shape == "turns":
                talk.say(other, talk.pick(NODS))
            elif shape == "prompted":
                talk.say(other, talk.pick(NEXT))
            else:
                talk.say(
                    other, _secret(CARD, spoken_group(talk, group, "single", "commas", 0)), rng.choice(["", "yes"])
                )
    talk.say(party, *parts)


SHAPES = ("one go", "one go", "hesitations", "stalls", "correction", "turns", "echoed", "prompted", "read back")


def card_case(seed: int, at: int, *, part: int = 0) -> Case:
    """Return the `at`-th call with a card number in it; styles and shapes take turns, everything else is drawn."""
    rng = random.Random(f"card-{seed}-{at}")
    talk = Talk(rng, part)
    style, shape = STYLES[at % len(STYLES)], SHAPES[(at // len(STYLES)) % len(SHAPES)]
    errors = rng.choice([0, 0, 0.02, 0.05])
    number = card_number(rng)
    for _ in range(rng.randint(0, 3)):
        talk.say(rng.choice(["agent", "customer"]), talk.pick(CHAT))
    opening = rng.choices(["asked", "offered", "none"], [6, 3, 1])[0]
    lead = ""
    if opening == "asked":
        talk.say("agent", talk.pick(CARD_ASKS))
        lead = rng.choice(["", "", "Yes it's", "Okay.", "Sure,", "Right, let me find my purse. It's"])
    elif opening == "offered":
        lead = talk.pick(CARD_OFFERS)
    clear = errors if opening != "none" else 0
    tell(talk, "customer", number, style, shape="one go" if shape == "read back" else shape, errors=clear, lead=lead)
    if shape == "read back":
        talk.say("agent", rng.choice(["So that's", "Let me read that back,", "I've got"]),
                 _secret(CARD, [w for g in chop(number, [4] * 5) for w in speak(rng, g, "single")]),
                 rng.choice(["is that right?", "yes?", ""]))  # fmt: skip
        talk.say("customer", rng.choice(["That's right.", "Yes.", "Correct."]))
    if rng.random() < 0.5:
        _rest_of_the_card(talk)
    for _ in range(rng.randint(0, 2)):
        talk.say(rng.choice(["agent", "customer"]), talk.pick(CHAT))
    if rng.random() < 0.15:
        _lose_the_parties(talk)
    return Case(f"{style} / {shape} / {opening}", talk.document(), _truth(talk))


def _rest_of_the_card(talk: Talk) -> None:
    rng = talk.rng
    talk.say("agent", talk.pick(EXPIRY_ASKS))
    talk.say("customer", rng.choice(["It's", "", "That's"]), _secret(EXPIRY, expiry_words(rng)))
    talk.say("agent", talk.pick(CODE_ASKS))
    code = "".join(str(rng.randint(0, 9)) for _ in range(3))
    style = rng.choice(["groups", "single", "figures", "repeats"])
    talk.say("customer", rng.choice(["", "Let me turn it over.", "It's"]), _secret(CODE, speak(rng, code, style)))


def expiry_words(rng: random.Random) -> list[str]:
    """Return a card's expiry month and year in one of the ways it is said or written."""
    month, year = rng.randint(1, 12), rng.randint(26, 33)
    names = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
             "November", "December"]  # fmt: skip
    digit_word = NAMES[year % 10] if year % 10 else ""
    year_words = [w for w in ["twenty" if year < 30 else "thirty", digit_word] if w]
    month_words = ["oh", NAMES[month]] if month < 10 else [["ten", "eleven", "twelve"][month - 10]]
    forms = [
        [f"{month:02d}/{year}"], [names[month - 1], f"20{year}"], [names[month - 1], *year_words],
        [*month_words, *year_words], [f"{month:02d}", str(year)],
    ]  # fmt: skip
    return rng.choice(forms)


def _lose_the_parties(talk: Talk) -> None:
    """Make the call a mono one whose diarization failed: nobody is known, and everything is one channel."""
    for turn in talk.turns:
        turn["party"], turn["channel"] = "unknown", 0


def partial_case(seed: int, at: int, *, part: int = 0) -> Case:
    """Return a call in which only a part of a card number is said, near words that name the card."""
    rng = random.Random(f"partial-{seed}-{at}")
    talk = Talk(rng, part)
    digits = card_number(rng)[: rng.choice([6, 8])] if at % 3 == 0 else card_number(rng)[-4:]
    dev = ["The card ending in", "The last four digits of my card are", "My card number ends with"]
    held = ["I can see a Visa ending", "the last four of the card on file is", "That's the mastercard that ends in"]
    if at % 3 == 0:
        dev, held = ["The card number starts with"], ["My debit card begins"]
    style = rng.choice(["groups", "single", "pairs", "repeats", "figures"])
    words = [w for g in chop(digits, [4] * 3) for w in speak(rng, g, style)]
    talk.say(rng.choice(["customer", "agent"]), rng.choice(held if part else dev), _secret(CARD, words))
    talk.say("agent", talk.pick(CHAT))
    return Case(f"partial / {style}", talk.document(), _truth(talk))


def _truth(talk: Talk) -> dict[str, frozenset[tuple[int, int]]]:
    return {kind: frozenset(places) for kind, places in talk.truth.items()}


def card_cases(seed: int, count: int = 540, *, part: int = 0) -> list[Case]:
    """Return `count` calls with whole card numbers and a tenth as many with partial ones."""
    whole = [card_case(seed, at, part=part) for at in range(count)]
    return whole + [partial_case(seed, at, part=part) for at in range(count // 10)]
