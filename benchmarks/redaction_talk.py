"""Made-up talk with secrets in it: how people say digits, what surrounds them, and what a recogniser makes of it.

Written from how calls go and on purpose without a look at, or a table of, the parser that is measured with it. Every
phrase bank has up to four parts: the first is what development looked at; the second and the third were held out until
they were measured once, and their failures looked at after that; the fourth was written before and is held out still.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEENS = [
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
DECADES = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
# What a recogniser writes for a digit it nearly understood, and words that have nothing to do with it.
SOUNDALIKES = {
    "two": ["to", "too"], "four": ["for", "fore"], "eight": ["ate"], "one": ["won"], "three": ["free"],
    "six": ["sex"], "five": ["fife"], "nine": ["nein"], "oh": ["o", "O"],
}  # fmt: skip
MISHEARD = ["find", "sits", "hate", "heaven", "door", "knife", "wine", "shoe", "fight", "stare", "then", "fair"]
STYLES = ("typed", "groups", "dashes", "single", "figures", "pairs", "repeats", "hundreds", "plural", "mixed")


def pair(rng: random.Random, two: str) -> list[str]:
    """Return two digits as a two-digit number is said: "forty two", "oh five", "sixteen", "thirty"."""
    tens, unit = int(two[0]), int(two[1])
    if tens == 0:
        return [zero(rng), zero(rng) if unit == 0 else NAMES[unit]]
    if tens == 1:
        return [TEENS[unit]]
    if unit == 0:
        return [DECADES[tens]]
    return [f"{DECADES[tens]}-{NAMES[unit]}"] if rng.random() < 0.5 else [DECADES[tens], NAMES[unit]]


def zero(rng: random.Random) -> str:
    return rng.choices(["zero", "oh", "nought", "o"], [5, 4, 1, 1])[0]


def single(rng: random.Random, digits: str) -> list[str]:
    said = zero(rng)
    return [said if d == "0" else NAMES[int(d)] for d in digits]


def repeats(rng: random.Random, digits: str, *, plural: bool = False) -> list[str]:
    """Return digits with "double", "triple" (or "three fives") where the same digit follows itself."""
    out: list[str] = []
    at = 0
    while at < len(digits):
        count = 1
        while at + count < len(digits) and digits[at + count] == digits[at] and count < 4:
            count += 1
        name = zero(rng) if digits[at] == "0" else NAMES[int(digits[at])]
        if count == 1:
            out.append(name)
        elif plural and count > 2:
            out += [NAMES[count], {"six": "sixes", "zero": "zeros", "oh": "ohs", "o": "ohs"}.get(name, name + "s")]
        elif count == 4:
            out += ["double", name, "double", name]
        else:
            out += [{2: "double", 3: rng.choice(["triple", "treble"])}[count], name]
        at += count
    return out


def hundreds(rng: random.Random, group: str) -> list[str]:
    """Return a group of digits with "hundred" where it ends in two zeros, else in pairs."""
    if len(group) == 4 and group.endswith("00") and group[0] != "0" and group[1] != "0":
        return [*pair(rng, group[:2]), "hundred"]
    if len(group) == 3 and group.endswith("00") and group[0] != "0":
        return [NAMES[int(group[0])], "hundred"]
    if len(group) == 4 and group[1:3] != "00" and group[0] != "0" and group[1] != "0" and rng.random() < 0.15:
        rest = [] if group[2:] == "00" else ["and", *pair(rng, group[2:])] if group[2] != "0" else []
        if rest:
            return [NAMES[int(group[0])], "thousand", NAMES[int(group[1])], "hundred", *rest]
    out: list[str] = []
    for at in range(0, len(group) - len(group) % 2, 2):
        out += pair(rng, group[at : at + 2])
    return out + (single(rng, group[-1]) if len(group) % 2 else [])


def speak(rng: random.Random, group: str, style: str) -> list[str]:
    """Return one group of digits as words, in one of STYLES."""
    if style == "mixed":
        style = rng.choice(["figures", "groups", "single", "pairs", "repeats", "hundreds"])
    if style in ("typed", "groups", "dashes"):
        return [group]
    if style == "figures":
        return list(group)
    if style == "single":
        return single(rng, group)
    if style == "pairs" or style == "hundreds":
        return hundreds(rng, group) if style == "hundreds" else [w for p in chop(group, [2] * 9) for w in two(rng, p)]
    return repeats(rng, group, plural=style == "plural")


def two(rng: random.Random, part: str) -> list[str]:
    return pair(rng, part) if len(part) == 2 else single(rng, part)


def chop(digits: str, sizes: list[int]) -> list[str]:
    """Return the digits in groups of these sizes; the last may be shorter, a rest is a group of its own."""
    out, at = [], 0
    for size in sizes:
        if at >= len(digits):
            break
        out.append(digits[at : at + size])
        at += size
    return out + ([digits[at:]] if at < len(digits) else [])


@dataclass(frozen=True, slots=True)
class Secret:
    """Words of one kind that must not be seen."""

    kind: str
    words: tuple[str, ...]


@dataclass(slots=True)
class Talk:
    """A call being written: turns of plain text and secrets, with times as a recogniser would give them."""

    rng: random.Random
    part: int = 0
    now: int = 600
    turns: list[dict[str, Any]] = field(default_factory=list)
    truth: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def pick(self, bank: tuple[list[str], ...]) -> str:
        return self.rng.choice(bank[min(self.part, len(bank) - 1)])

    def say(self, party: str, *parts: str | Secret, pause_ms: int | None = None) -> None:
        """Add a turn of `party`; nothing is added where there is nothing to say."""
        words: list[dict[str, Any]] = []
        self.now += self.rng.randint(150, 900) if pause_ms is None else pause_ms
        index = len(self.turns)
        for part in parts:
            kind = part.kind if isinstance(part, Secret) else ""
            for text in part.words if isinstance(part, Secret) else part.split():
                length = self.rng.randint(160, 420)
                if kind:
                    self.truth.setdefault(kind, []).append((index, len(words)))
                words.append({"text": text, "start_ms": self.now, "end_ms": self.now + length, "probability": 0.9})
                self.now += length + self.rng.choice([0, 20, 40, 90, 250])
        if words:
            self.turns.append(
                {
                    "index": index, "party": party, "speaker": party, "channel": 0 if party == "agent" else 1,
                    "start_ms": words[0]["start_ms"], "end_ms": words[-1]["end_ms"], "words": words,
                    "text": " ".join(w["text"] for w in words),
                }
            )  # fmt: skip

    def document(self) -> dict[str, Any]:
        """Return the transcript as the speech side writes it."""
        return {
            "schema_version": 1, "language": "en", "duration_ms": self.now + 500, "layout": "two_party",
            "mapping": {"confidence": 1.0}, "turns": self.turns,
        }  # fmt: skip


def punctuated(rng: random.Random, words: list[str], manner: str) -> list[str]:
    """Return the words with commas after each, a full stop after the last, or nothing."""
    if not words or manner == "none":
        return words
    if manner == "commas":
        return [w + "," for w in words[:-1]] + [words[-1] + rng.choice([".", ","])]
    return words[:-1] + [words[-1] + manner]


def misrecognised(rng: random.Random, words: list[str], rate: float) -> list[str]:
    """Return the words as a recogniser with this word error rate writes them: soundalikes, other words, losses."""
    out: list[str] = []
    for word in words:
        draw = rng.random()
        core = word.strip(".,").lower()
        if draw < rate / 2 and core in SOUNDALIKES:
            out.append(rng.choice(SOUNDALIKES[core]))
        elif draw < rate * 0.75 and core in NAMES:
            out.append(rng.choice(MISHEARD))
        elif draw < rate and core in NAMES and len(words) > 2:
            continue
        elif draw < rate * 1.5 and core in NAMES:
            out.append(str(NAMES.index(core)))
        elif draw < rate * 1.8:
            out.append(word.capitalize())
        else:
            out.append(word)
    return out or words


FILLERS = (["um,", "uh", "er,", "let me see", "okay", "so", "and", "then"], ["erm", "hmm", "and then", "right", "yeah"])
STALLS = (
    ["hang on", "sorry the dog is barking", "bear with me a second", "let me get my glasses", "one moment"],
    ["hold on a tick", "it's a bit worn off", "my little one is crying, sorry", "just turning the light on", "wait"],
    ["mm,", "you know", "like", "one sec", "ah", "next is"],
    [
        "can you hear me okay",
        "let me put you on speaker",
        "sorry, the doorbell just went",
        "where did I put it",
        "I've lost my place",
    ],
    ["eh,", "basically", "after that", "so then", "carrying on,"],
    ["just moving to another room", "the cat is on the table", "is the line okay", "my phone is at two percent"],
)
REGRETS = (
    ["no sorry", "sorry,", "no, wait", "I mean", "correction,", "no, sorry,", "scratch that,"],
    ["oops, no,", "actually no", "my mistake,", "that's wrong,", "let me say that again,", "rather,"],
    [
        "oh no, I read that wrong,",
        "hold on, that should be",
        "pardon me,",
        "let me correct that,",
        "not that,",
        "whoops,",
    ],
    ["no hang on,", "strike that,", "I misread it,", "apologies, that is", "wait no,"],
)
NODS = (
    ["Mm hmm.", "Yep.", "Okay.", "Go on.", "Got it.", "Thank you."],
    ["Uh huh.", "Lovely.", "And then?", "Yes, carry on.", "Right.", "Perfect, next?"],
    ["Cool.", "I have that.", "Yes please.", "Alright.", "Noted.", "Brilliant, go ahead."],
    ["Fine.", "All right, yes.", "Thanks.", "Good.", "Mm."],
)
NEXT = (
    ["And the next four?", "Next ones please.", "And the last four digits?", "Keep going."],
    ["What comes after that?", "And the rest of it?", "I'm listening.", "Then the other eight?"],
    ["Then?", "And what follows?", "Next part please.", "Could you give me the remaining digits?"],
    ["What else?", "And following that?", "Four more please.", "Is there any more?"],
)
CARD_ASKS = (
    [
        "Can I take the card number please?", "What's the long number across the front of the card?",
        "Could you read me the sixteen digit number?", "And which card would you like to pay with? Read it out please.",
        "Go ahead with your debit card number.", "I'll need your card details then, whenever you're ready.",
    ],
    [
        "If you could give me the number on the front of your card.", "Right, the long card number when you're ready?",
        "Is that a Visa or a Mastercard? And the digits?", "Let's take the payment. What's the 16 digit number?",
        "Pop the credit card number over to me.", "And the numbers on your bank card?",
    ],
    [
        "Could I get the number on the card you'd like to use?", "Please read out the main number on your card.",
        "I'm ready for the card whenever you are.", "What card number should I put this on?",
        "Can you tell me the digits on your debit card?", "Right then, your Visa number?",
    ],
    [
        "Which number is printed on your card?", "I just need your card number to take the payment.",
        "Let me have the long number first.", "When you've got your card in front of you, read me the numbers.",
    ],
)  # fmt: skip
CARD_OFFERS = (
    ["My card number is", "I'll pay by card, it's", "The long number is", "It's a Visa,", "Here's my credit card,"],
    ["Okay the card says", "So the debit card is", "It's an Amex,", "Put it on my mastercard,", "the number on it is"],
    [
        "My visa number is",
        "The digits are",
        "I've got my card here, it reads",
        "You can use my debit card",
        "Take it off this card,",
    ],
    ["Charge it to my Visa,", "This is my card,", "Right, the credit card number's", "I'm paying with a Mastercard,"],
)
CODE_ASKS = (
    ["And the three digits on the back?", "The security code please?", "What's the CVV?", "And the CVC number?"],
    ["And the last three numbers on the signature strip?", "Turn it over, what's the code on the back?",
     "What's the C V V?", "And the card verification number?"],
    ["And the little code on the reverse?", "What are the final three digits on the back?", "The CVV number please?"],
    ["And the security digits?", "There are three numbers behind, what are they?", "And the CVC on the back?"],
)  # fmt: skip
EXPIRY_ASKS = (
    ["And the expiry date?", "When does it expire?", "What's the expiration date on the card?"],
    ["Valid until?", "And the expiry on that card?", "What are the expiry month and year?"],
    ["What date does it run out?", "And it's valid until when?", "The expiry month?"],
    ["And when is the card valid until?", "Expiring when?", "And its expiry?"],
)
CHAT = (
    [
        "How can I help you today?", "I'm calling about my bill.", "That's fine, thank you.",
        "It went up by twelve pounds last month.", "I've been with you for six years.",
        "Okay, let me look at that for you.", "I had a letter on the third.",
        "Could you hold for two minutes?", "There were four people in the house then.",
    ],
    [
        "The router has been flashing since nine this morning.", "I rang twice on Tuesday.",
        "We moved here about ten months ago.", "You'll get it in five working days.",
        "It was thirty percent more than last year.", "There's one more thing I wanted to ask.",
        "My daughter is seventeen and uses it for school.", "I'll just check that on the system.",
    ],
    [
        "I've called three times since Monday.", "It's number twelve on the list.", "My son is twenty one next week.",
        "That'll be eighty five pounds then.", "We close at half five today.", "Is there an app for this?",
        "I live alone so it's just one person.",
    ],
    [
        "The bill is for ninety one pounds.", "We have two televisions.", "I was told eight weeks.", "It is flat six.",
        "You are through to the right team.", "Our office opens at seven.", "She turned fifty in May.",
    ],
)  # fmt: skip
