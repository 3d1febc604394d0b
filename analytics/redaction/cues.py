"""Words that say what a number or a name beside them is: "the long number", "sort code", "my name is"."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from analytics.redaction.kinds import (
    ACCOUNT,
    ADDRESS,
    BIRTH_DATE,
    CARD_CODE,
    CARD_EXPIRY,
    CARD_NUMBER,
    EMAIL,
    NAME,
    PHONE,
    POSTCODE,
    SORT_CODE,
)
from analytics.redaction.reading import FILLERS, Piece

CARD_WEAK = "card"  # a card is spoken of, not its number
OTHER = "other"  # a number of something that is nobody's secret: an order, a meter
DATE = "date"  # a day is spoken of: numbers on both sides of it are not one number

# One phrase per comma; the longest phrase at a place wins, so "order number" is never the "number" of a card.
_PHRASES = {
    CARD_NUMBER: """card number, card numbers, card no, long number, long card number, sixteen digit, sixteen digits,
        16 digit, 16 digits, sixteen numbers, 16 numbers, number on the front, numbers on the front,
        number across the front, numbers across the front, number across the middle, across the front,
        front of the card, front of your card, front of my card, number on the card, number on your card,
        number on my card, number on that card, numbers on your card, numbers on the card, numbers on my card,
        digits on the card, digits on your card, digits of the card, digits of my card, digits of your card, card
        details,
        debit card, credit card, bank card, payment card, visa, mastercard, master card, amex, american express,
        maestro,
        card ending, card ending in, card that ends, card ends, card starts, card starting, card begins, card says,
        visa ending, pan number, primary account number, number on it, four of the card, digits of that card,
        last four of the card, card is, card it's, card its, pay by card, read my card, read out my card""",
    CARD_WEAK: "card, cards, card payment, card payments",
    CARD_CODE: """cvv, cvc, cvv2, cvc2, cv2, csc, cvb, cbv, cbb, cdv, c v v, c v c, c v two, c v 2, see v v,
        security code,
        security number, security digits, security code on the back, verification code, verification number,
        card verification, three digits, 3 digits, three digit, 3 digit, three numbers, 3 numbers,
        last three, digits on the back, number on the back, numbers on the back, code on the back, on the back,
        back of the card, back of your card, back of my card, signature strip, on the reverse, digits on the reverse""",
    CARD_EXPIRY: """expiry, expiry date, expiration, expiration date, expires, expire, expiring, exp date, exp,
        valid until, valid thru, valid through, valid to, valid till, good through, good until, end date, run out,
        runs out, ends when,
        valid from, start date on the card""",
    ACCOUNT: """account number, account numbers, account no, acct number, bank account, number of the account,
        number on the account, account details, iban, customer number, customer id, membership number, roll number,
        national insurance number, social security number, social security, account is, account ending,
        number of your account, number of my account, account's""",
    SORT_CODE: "sort code, sort codes, routing number, aba number, transit number, bsb",
    PHONE: """phone number, phone numbers, phone, telephone, telephone number, mobile, mobile number, mobile's, cell,
        cell phone, cell number, landline, contact number, callback number, call back number, call me on, call me at,
        call me back on, reach me on, reach me at, ring me on, ring me back on, ring me at, text me on, number to call,
        number to ring, ring you on, call you on, reach you on, call you at, reach you at, call you back on,
        ring you back on, my number is, my number's, my numbers, work number, home number, daytime number,
        best number, whatsapp, fax""",
    EMAIL: "email, e mail, email address, e mail address, email is, emails",
    NAME: """my name is, my name's, my names, name is, name's, full name, your name, the name, what name, first name,
        last name, surname, family name, middle name, maiden name, speaking to, speaking with, talking to, through to,
        who am i,
        account holder's name, holder's name, name on the account, name on the card, i'm called, i am called,
        spell it, spell that, spell your, spelled, spelt, you spell, account holder""",
    ADDRESS: """address, home address, billing address, delivery address, where do you live, i live at, i live in,
        live at, moving to, moved to, where shall we send it, where should we send it, send it to, where are you moving,
        first line, deliver to, delivered to""",
    POSTCODE: "postcode, post code, postal code, zip code, zip, postcodes",
    BIRTH_DATE: """date of birth, birth date, birthdate, birthday, d o b, dob, born, born on, were you born""",
    DATE: """january, february, april, june, july, august, september, october, november, december, monday, tuesday,
        wednesday, thursday, friday, saturday, sunday, o'clock""",
    OTHER: """order number, order numbers, order, orders, reference number, reference, ref, booking reference, booking,
        booking number, tracking number, tracking, invoice number, invoice, case number, ticket number, ticket,
        serial number, serial numbers, serial, meter reading, meter, reading, readings, meter point number, mpan, mprn,
        confirmation number, confirmation, claim number, policy number, part number, model number, parcel,
        consignment, barcode, imei, flight, complaint number, job number, sim card, sim, electric is, gas is, delivery
        number,
        extension, house number, passcode, order is, order id, transaction, transaction id, batch""",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cue:
    """A cue of one kind, over pieces [first, last] of the call's order of speech."""

    kind: str
    first: int
    last: int
    turn: int
    ms: int | None


def _table() -> dict[str, list[tuple[tuple[str, ...], str]]]:
    table: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for kind, text in _PHRASES.items():
        for phrase in text.split(","):
            words = tuple(phrase.split())
            table.setdefault(words[0], []).append((words, kind))
    for entries in table.values():
        entries.sort(key=lambda entry: -len(entry[0]))
    return table


_BY_FIRST = _table()


class Cues:
    """All cues of a call in order, with look-ups by place."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.all = _find([p for p in pieces if p.norm not in FILLERS])
        self._turns = [piece.turn for piece in pieces]
        self._pieces = frozenset(k for cue in self.all for k in range(cue.first, cue.last + 1))
        self._firsts = [cue.first for cue in self.all]
        self._lasts = [cue.last for cue in self.all]

    @property
    def pieces(self) -> frozenset[int]:
        """The places of all pieces in cues of numbers: the "sixteen" of "sixteen digit" is no digit itself."""
        return self._pieces

    def between(self, first: int, last: int) -> list[Cue]:
        """Return the cues that lie wholly after piece `first` and before piece `last`."""
        return self.all[bisect_right(self._firsts, first) : bisect_left(self._lasts, last)]

    def before(self, at: int, reach: int) -> list[Cue]:
        """Return the cues that end within `reach` pieces before piece `at`, the nearest first."""
        return self.all[bisect_left(self._lasts, at - reach) : bisect_left(self._lasts, at)][::-1]

    def after(self, at: int, reach: int, *, same_turn: bool = False) -> list[Cue]:
        """Return the cues that begin within `reach` pieces after piece `at` (in its turn), the nearest first."""
        found = self.all[bisect_right(self._firsts, at) : bisect_right(self._firsts, at + reach)]
        return [cue for cue in found if cue.turn == self._turns[at]] if same_turn else found


def _find(pieces: Sequence[Piece]) -> list[Cue]:
    out: list[Cue] = []
    at = 0
    while at < len(pieces):
        length, kind = _longest(pieces, at)
        if length:
            out.append(Cue(kind, pieces[at].at, pieces[at + length - 1].at, pieces[at].turn, pieces[at].ms))
        at += length or 1
    return out


def _longest(pieces: Sequence[Piece], at: int) -> tuple[int, str]:
    for words, kind in _BY_FIRST.get(pieces[at].norm, ()):
        end = at + len(words)
        # A phrase is one party's: "... the card?" and the answer "It's ..." are not "card it's".
        if end > len(pieces) or pieces[end - 1].turn != pieces[at].turn:
            continue
        if all(pieces[at + k].norm == word for k, word in enumerate(words)):
            return len(words), kind
    return 0, ""
