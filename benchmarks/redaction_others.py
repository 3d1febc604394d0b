"""Seeded calls with the other things that are hidden, and calls full of numbers that are nobody's secret."""

from __future__ import annotations

import random
from collections.abc import Callable

from benchmarks.redaction_cases import Case, _secret, _truth
from benchmarks.redaction_talk import CHAT, Talk, chop, pair, punctuated, speak

FIRST = ["Martin", "Helen", "Priya", "Oluwaseun", "Margaret", "Jose", "Wei", "Siobhan", "Mohammed", "Katarzyna"]
LAST = ["Doyle", "Marsh", "Whitlow", "Lindqvist", "Okafor", "Garcia", "Zhang", "Byrne", "Rahman", "Nowak"]
STREETS = ["Chapel Lane", "Orchard Street", "Mill Road", "Park Avenue", "Kings Drive", "St Johns Close", "Elm Grove"]
TOWNS = ["Norwich", "Ashford", "Leeds", "Cork", "Bristol", "Stoke"]
MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
]  # fmt: skip
ORDINALS = ["first", "second", "third", "fourth", "fifth", "ninth", "twelfth", "twentieth", "thirtieth"]


def digits(rng: random.Random, count: int) -> str:
    return "".join(str(rng.randint(0, 9)) for _ in range(count))


def said(rng: random.Random, number: str, sizes: list[int]) -> list[str]:
    style = rng.choice(["groups", "single", "figures", "pairs", "repeats", "mixed"])
    words = [w for g in chop(number, sizes) for w in speak(rng, g, style)]
    return punctuated(rng, words, rng.choice(["none", ".", "commas"]))


def account(talk: Talk) -> None:
    asks = (["What's your account number?", "Can I take your account number, please?"],
            ["And the bank account number?", "The number of the account?"])  # fmt: skip
    talk.say("agent", talk.pick(asks))
    number = digits(talk.rng, talk.rng.choice([6, 8, 8, 10]))
    talk.say(
        "customer", talk.rng.choice(["It's", "", "Yes,"]), _secret("account_number", said(talk.rng, number, [4] * 3))
    )


def sort_code(talk: Talk) -> None:
    asks = (["And the sort code?", "What's the sort code please?"], ["The sort code is?", "Your bank's sort code?"])
    talk.say("agent", talk.pick(asks))
    number = digits(talk.rng, 6)
    typed = "-".join(chop(number, [2] * 3))
    words = [typed] if talk.rng.random() < 0.3 else said(talk.rng, number, [2] * 3)
    talk.say("customer", talk.rng.choice(["It's", ""]), _secret("sort_code", words))


def phone(talk: Talk) -> None:
    rng = talk.rng
    forms = [
        ("07" + digits(rng, 9), [5, 3, 3]),
        ("0113" + digits(rng, 7), [4, 3, 4]),
        ("555" + digits(rng, 7), [3, 3, 4]),
    ]
    number, sizes = rng.choice(forms)
    asks = (["What's the best phone number?", "Can I take a mobile number?"],
            ["And what number can we ring you on?", "A contact number for you?"])  # fmt: skip
    offers = (["You can call me on", "My number is"], ["Ring me back on", "My mobile's"])
    if rng.random() < 0.6:
        talk.say("agent", talk.pick(asks))
        talk.say("customer", rng.choice(["It's", ""]), _secret("phone_number", said(rng, number, sizes)))
    else:
        talk.say("customer", talk.pick(offers), _secret("phone_number", said(rng, number, sizes)))


def email(talk: Talk) -> None:
    rng = talk.rng
    first, last = rng.choice(FIRST).lower(), rng.choice(LAST).lower()
    local = rng.choice([[first, "dot", last], [first[0], "dot", last], [*first, "underscore", last],
                        [first, last, *"42"], [first[0], last], [*last, "seven", "seven"],
                        [last, "hyphen", first]])  # fmt: skip
    domain = rng.choice([["gmail", "dot", "com"], ["hotmail", "dot", "co", "dot", "uk"], ["example", "dot", "org"],
                         ["outlook.com"], ["yahoo", "dot", "com"], ["my", "company", "dot", "net"]])  # fmt: skip
    typed = ["".join({"dot": ".", "underscore": "_", "hyphen": "-"}.get(w, w) for w in local) + "@example.com"]
    words = typed if rng.random() < 0.2 else [*local, "at", *domain]
    asks = (
        ["What's your email address?", "And the email?"],
        ["Where shall I email that?", "An e-mail for the receipt?"],
    )
    if rng.random() < 0.7:
        talk.say("agent", talk.pick(asks))
    talk.say("customer", rng.choice(["It's", "Sure, it's", "That's"]), _secret("email", words))


def name(talk: Talk) -> None:
    rng = talk.rng
    first, last = rng.choice(FIRST), rng.choice(LAST)
    asks = (["Can I take your name, please?", "And what's your full name?", "Who am I talking to?"],
            ["What name is it under?", "Could I have the account holder's name?"])  # fmt: skip
    offers = (["My name is", "Hello, my name's"], ["Hi, the name is", "I'm called"])
    spelled = [letter.upper() + rng.choice(["", ","]) for letter in last]
    if rng.random() < 0.5:
        talk.say("agent", talk.pick(asks))
        talk.say("customer", rng.choice(["It's", "", "Yes, it's"]), _secret("name", [first, last + "."]))
    else:
        talk.say("customer", talk.pick(offers), _secret("name", [first, last]))
    if rng.random() < 0.4:
        talk.say("agent", "How do you spell the surname?")
        talk.say("customer", _secret("name", spelled))
    if rng.random() < 0.4:
        talk.say("agent", "Thank you,", _secret("name", [first + "."]))


def address(talk: Talk) -> None:
    rng = talk.rng
    number = rng.randint(1, 99)
    spoken = [str(number)] if rng.random() < 0.5 else pair(rng, f"{number:02d}") if number > 9 else ["nine"]
    words = [*spoken, *rng.choice(STREETS).split()]
    asks = (
        ["What's your address?", "And the first line of your address?"],
        ["Where do you live?", "Where shall we send it?"],
    )
    talk.say("agent", talk.pick(asks))
    town = [_secret("address", [rng.choice(TOWNS)])] if rng.random() < 0.4 else []
    talk.say(
        "customer", rng.choice(["It's", "I live at", ""]), _secret("address", words), *(["in", *town] if town else [])
    )


def postcode(talk: Talk) -> None:
    rng = talk.rng
    area = rng.choice(["NR", "LS", "SW", "M", "B", "BS"])
    district, sector = str(rng.randint(1, 19)), str(rng.randint(1, 9))
    unit = "".join(rng.choice("ABDEFGHJLNPQRSTUWXYZ") for _ in range(2))
    typed = [area + district, sector + unit]
    spoken = [*area, *(pair(rng, district) if len(district) == 2 else speak(rng, district, "single")),
              *speak(rng, sector, "single"), *unit]  # fmt: skip
    asks = (["And the postcode?", "Could you give me your postcode?"], ["Your post code?", "What postcode is that?"])
    talk.say("agent", talk.pick(asks))
    talk.say("customer", rng.choice(["It's", "", "The postcode is"]), _secret("postcode", rng.choice([typed, spoken])))


def birth_date(talk: Talk) -> None:
    rng = talk.rng
    year, month = rng.randint(40, 99), rng.choice(MONTHS)
    day = rng.choice(ORDINALS)
    forms = [
        ["the", day, "of", month, "nineteen", *pair(rng, str(year))],
        [f"{rng.randint(1, 28)}/{rng.randint(1, 12)}/19{year}"], [month, day, f"19{year}"],
        [day, "of", month, *pair(rng, str(year))],
        [f"{rng.randint(1, 28):02d}", f"{rng.randint(1, 12):02d}", str(year)],
    ]  # fmt: skip
    asks = (
        ["And your date of birth?", "Can I take your date of birth please?"],
        ["When were you born?", "Your birth date?"],
    )
    talk.say("agent", talk.pick(asks))
    form = rng.choice(forms)
    plain, secret = (form[:1], form[1:]) if form[0] == "the" else ([], form)
    talk.say("customer", rng.choice(["It's", ""]), *plain, _secret("birth_date", secret))


KINDS: dict[str, Callable[[Talk], None]] = {
    "account_number": account, "sort_code": sort_code, "phone_number": phone, "email": email, "name": name,
    "address": address, "postcode": postcode, "birth_date": birth_date,
}  # fmt: skip


def other_cases(seed: int, each: int = 60, *, part: int = 0) -> list[Case]:
    """Return `each` calls for every kind that is not of a card."""
    out = []
    for kind, write in KINDS.items():
        for at in range(each):
            talk = Talk(random.Random(f"{kind}-{seed}-{at}"), part)
            talk.say("agent", talk.pick(CHAT))
            write(talk)
            talk.say("customer", talk.pick(CHAT))
            out.append(Case(kind, talk.document(), _truth(talk)))
    return out


def _order(talk: Talk) -> None:
    number = digits(talk.rng, talk.rng.choice([6, 8, 10, 12, 16]))
    talk.say("agent", talk.pick((["What's the order number?", "Do you have the booking reference?"],
                                 ["And the invoice number?", "Which ticket number is it?"])))  # fmt: skip
    talk.say("customer", talk.rng.choice(["It's", ""]), " ".join(said(talk.rng, number, [4] * 4)))


def _prices(talk: Talk) -> None:
    rng = talk.rng
    for _ in range(rng.randint(2, 6)):
        amount = rng.choice(
            [f"£{rng.randint(5, 900)}.{rng.randint(10, 99)}", " ".join(pair(rng, str(rng.randint(20, 99))))]
        )
        unit = "" if amount.startswith("£") else rng.choice(["pounds", "euros", "pounds and fifty pence", "dollars"])
        talk.say(rng.choice(["agent", "customer"]), rng.choice(["That comes to", "I paid", "It was"]), amount, unit)


def _meter(talk: Talk) -> None:
    talk.say("agent", "Can I take the meter reading?")
    for lead in ("It's", "And the electric is"):
        number = digits(talk.rng, 5)
        talk.say("customer", lead, " ".join(said(talk.rng, number, [5])))
        talk.say("agent", " ".join(speak(talk.rng, number, "single")))


def _dates(talk: Talk) -> None:
    rng = talk.rng
    for _ in range(4):
        talk.say(
            "agent", f"The engineer comes on the {rng.choice(ORDINALS)} of {rng.choice(MONTHS)}, between nine and one."
        )
        talk.say(
            "customer",
            rng.choice(
                ["Was that twenty twenty six?", f"I had one on {rng.randint(1, 28)}/{rng.randint(1, 12)}/2025."]
            ),
        )


def _serials(talk: Talk) -> None:
    rng = talk.rng
    talk.say("agent", "Please read me all the serial numbers on the boxes.")
    for _ in range(rng.randint(2, 5)):
        talk.say("customer", rng.choice(["The next is", "Then", "Box"]), " ".join(said(rng, digits(rng, 9), [3] * 3)))


def _long_digits(talk: Talk) -> None:
    rng = talk.rng
    talk.say("agent", talk.pick((["What is the tracking number?"], ["The meter point number, please."])))
    talk.say("customer", " ".join(said(rng, digits(rng, rng.choice([13, 18, 20, 21, 22])), [4] * 6)))


def _card_talk(talk: Talk) -> None:
    rng = talk.rng
    said_of_cards = (
        ["I ordered two cards on the fourth and only one came.", "My card was declined twice."],
        ["Both of my cards were taken, I lost three hundred pounds.", "The new card is late."],
    )
    talk.say("customer", talk.pick(said_of_cards))
    talk.say(
        "agent",
        rng.choice(["It takes five to seven working days.", "There is a fee of ten pounds.", "Within 24 hours."]),
    )
    talk.say("customer", talk.pick(CHAT))


NEGATIVES: dict[str, Callable[[Talk], None]] = {
    "order number": _order, "prices": _prices, "meter reading": _meter, "dates": _dates, "serial numbers": _serials,
    "long digit talk": _long_digits, "talk about cards": _card_talk, "phone number": phone, "account number": account,
    "sort code": sort_code, "birth date": birth_date, "address": address,
}  # fmt: skip


def negative_cases(seed: int, each: int = 40, *, part: int = 0) -> list[Case]:
    """Return `each` calls of every sort that has no card number in it."""
    out = []
    for form, write in NEGATIVES.items():
        for at in range(each):
            talk = Talk(random.Random(f"no-{form}-{seed}-{at}"), part)
            talk.say("agent", talk.pick(CHAT))
            write(talk)
            talk.say("customer", talk.pick(CHAT))
            out.append(Case(form, talk.document(), _truth(talk)))
    return out
