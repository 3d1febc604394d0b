"""Built-in detectors: patterns over words that no list of phrases can say. Each returns the places it found.

card_number      13 to 19 digits, spoken or written, that pass the Luhn check (or almost, in a talk about cards)
card_code        three or four digits right after somebody asked for the security code
                 (both also where the digits were hidden before the transcript was stored: the placeholder tells)
account_number   6 to 18 digits right after "bank account number", "sort code", "routing number", "social security"
repetition       the same words again and again: a recogniser's loop, not a person
fast_speech      more words in a second than anybody can say
doubtful_words   a stretch of words that the recogniser itself doubts
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analytics.nlu.phrases import compile_phrases, find_any
from analytics.nlu.text import CallText, Stream, Token
from analytics.redaction import PLACEHOLDERS

_UNITS = {w: i for i, w in enumerate("zero one two three four five six seven eight nine".split())} | {
    "oh": 0,
    "o": 0,
}
_TEENS = {
    w: i + 10
    for i, w in enumerate("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split())
}
_TENS = {w: (i + 2) * 10 for i, w in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split())}
_REPEAT = {"double": 2, "triple": 3, "treble": 3}
_DIGIT_WORDS = frozenset(_UNITS) | frozenset(_REPEAT)
_BETWEEN = frozenset({"and", "then", "dash", "hyphen", "space", "ok", "yes", "yeah", "so", "it", "is", "that", "next"})
_MAX_DIGIT_PAUSE_MS = 8_000

_CARD_TALK = compile_phrases(
    ["card number", "credit card", "debit card", "long number", "sixteen digit*", "16 digit*", "expiry|expiration",
     "visa",
     "mastercard", "master card", "american express", "amex", "pay by card", "card details", "name on the card"]
)  # fmt: skip
_CODE_TALK = compile_phrases(
    ["security code", "cvv", "cvc", "c v v", "c v c", "three|3 digit* on the back", "digit* on the back",
     "code on the back", "number on the back", "last three digits on the back", "verification code on the card"]
)  # fmt: skip
_ACCOUNT_TALK = compile_phrases(
    ["bank account number", "sort code", "routing number", "iban", "social security",
     "national insurance number"]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """Tokens [start, end) of one party's stream, how strongly they count (0..1) and, in words, why."""

    stream: Stream
    start: int
    end: int
    strength: float
    detail: str
    digits: str = ""


@dataclass(frozen=True, slots=True)
class DigitRun:
    """Digits spoken in one go: `digits[k]` came from token `owners[k]`."""

    digits: str
    owners: tuple[int, ...]


def digit_runs(stream: Stream) -> list[DigitRun]:
    """Return the runs of digits of one party, read as people say them: "double four", "forty-two", "oh", "4532 11"."""
    runs: list[DigitRun] = []
    digits: list[str] = []
    owners: list[int] = []
    last = -1
    at = 0
    tokens = stream.tokens

    def close() -> None:
        if digits:
            runs.append(DigitRun("".join(digits), tuple(owners)))
        digits.clear()
        owners.clear()

    while at < len(tokens):
        read, used = _digits_at(tokens, at, inside=bool(digits))
        if digits and tokens[at].start_ms - tokens[last].end_ms > _MAX_DIGIT_PAUSE_MS:
            close()
        if read:
            for k, digit in enumerate(read):
                digits.append(digit)
                owners.append(at + min(k, used - 1))
            last = at + used - 1
            at += used
            continue
        if digits and (tokens[at].norm not in _BETWEEN or at - last > 2):
            close()
        at += 1
    close()
    return runs


def _digits_at(tokens: tuple[Token, ...], at: int, *, inside: bool) -> tuple[str, int]:
    """Return the digits said from token `at` on and how many tokens they took ("" and 0 when none)."""
    word = tokens[at].norm
    if word.isdecimal():
        return word, 1
    if word in _UNITS and (word not in ("o", "oh") or inside):
        return str(_UNITS[word]), 1
    if word in _TEENS:
        return str(_TEENS[word]), 1
    if word in _TENS:
        nxt = tokens[at + 1].norm if at + 1 < len(tokens) else ""
        if nxt in _UNITS and _UNITS[nxt] and nxt not in ("o", "oh"):
            return str(_TENS[word] + _UNITS[nxt]), 2
        return str(_TENS[word]), 1
    if word in _REPEAT and at + 1 < len(tokens):
        nxt = tokens[at + 1].norm
        digit = str(_UNITS[nxt]) if nxt in _UNITS else nxt if nxt.isdecimal() and len(nxt) == 1 else ""
        if digit:
            return digit * _REPEAT[word], 2
    return "", 0


def luhn(digits: str) -> bool:
    """Return whether the digits pass the check-sum of card numbers (ISO/IEC 7812-1, annex B)."""
    total = 0
    for k, letter in enumerate(reversed(digits)):
        value = int(letter) * (2 if k % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def card_number(call: CallText, options: dict[str, Any]) -> list[Finding]:
    """Return spoken or written card numbers. A 15 or 16 digit run that fails Luhn counts only in a talk about cards."""
    out = _hidden(call, "card_number", "a card number was said; its digits are not kept")
    talk = _times(call, _CARD_TALK)
    for stream in call.streams.values():
        for run in digit_runs(stream):
            window = _luhn_window(run.digits)
            if window is not None:
                lo, hi = window
                out.append(_finding(stream, run, lo, hi, 1.0, f"{hi - lo} digits that pass the card check-sum"))
            elif 14 <= len(run.digits) <= 17 and run.digits[0] in "3456":
                start = stream.tokens[run.owners[0]].start_ms
                if any(-15_000 <= start - t <= 90_000 for t in talk):
                    text = (
                        f"{len(run.digits)} digits in a talk about a card, check-sum not met: a digit may be misheard"
                    )
                    out.append(_finding(stream, run, 0, len(run.digits), 0.6, text))
    return out


def _hidden(call: CallText, kind: str, detail: str) -> list[Finding]:
    """Return the stretches that stand hidden as this kind; parts of one party with little between are one."""
    out: list[Finding] = []
    for stream in call.streams.values():
        places = stream.positions.get(PLACEHOLDERS[kind], ())
        first = last = -1
        for at in places:
            if first >= 0 and (at - last > 8 or stream.tokens[at].start_ms - stream.tokens[last].end_ms > 30_000):
                out.append(Finding(stream, first, last + 1, 1.0, detail))
                first = -1
            first = at if first < 0 else first
            last = at
        if first >= 0:
            out.append(Finding(stream, first, last + 1, 1.0, detail))
    return out


def _luhn_window(digits: str) -> tuple[int, int] | None:
    """Return the part of a run that is a card number: a whole run of 13 to 19, else a known length at a known start."""
    if 13 <= len(digits) <= 19 and digits[0] in "23456" and len(set(digits)) > 1 and luhn(digits):
        return 0, len(digits)
    for size in (16, 15):
        for lo in range(0, len(digits) - size + 1):
            part = digits[lo : lo + size]
            known = part[0] in "2456" if size == 16 else part[:2] in ("34", "37")
            if known and len(set(part)) > 1 and luhn(part):
                return lo, lo + size
    return None


def card_code(call: CallText, options: dict[str, Any]) -> list[Finding]:
    """Return three or four digits said within 20 s after a card's security code was mentioned."""
    hidden = _hidden(call, "card_code", "a card's security code was said; its digits are not kept")
    return hidden + _asked_for(call, _CODE_TALK, 3, 4, 20_000, "digits right after the security code was mentioned")


def account_number(call: CallText, options: dict[str, Any]) -> list[Finding]:
    """Return 6 to 18 digits said within 25 s after a bank account, routing or social-security number was mentioned."""
    return _asked_for(call, _ACCOUNT_TALK, 6, 18, 25_000, "digits right after an account number was mentioned")


def _asked_for(call: CallText, talk: Any, low: int, high: int, reach_ms: int, why: str) -> list[Finding]:
    out = []
    times = _times(call, talk)
    for stream in call.streams.values():
        for whole in digit_runs(stream):
            for run in _cut_at(whole, stream, times):
                start = stream.tokens[run.owners[0]].start_ms
                if low <= len(run.digits) <= high and any(0 <= start - t <= reach_ms for t in times):
                    out.append(_finding(stream, run, 0, len(run.digits), 0.9, f"{len(run.digits)} {why}"))
    return out


def _cut_at(run: DigitRun, stream: Stream, times: list[int]) -> list[DigitRun]:
    """Return the run in the pieces between the questions: what was said before a question does not answer it."""
    cuts = [
        k
        for k in range(1, len(run.digits))
        if any(stream.tokens[run.owners[k - 1]].start_ms < t <= stream.tokens[run.owners[k]].start_ms for t in times)
    ]
    edges = [0, *cuts, len(run.digits)]
    return [DigitRun(run.digits[a:b], run.owners[a:b]) for a, b in zip(edges, edges[1:], strict=False)]


def _times(call: CallText, phrases: Any) -> list[int]:
    return [s.tokens[h.end - 1].end_ms for s in call.streams.values() for h in find_any(phrases, s)]


def _finding(stream: Stream, run: DigitRun, lo: int, hi: int, strength: float, detail: str) -> Finding:
    return Finding(stream, run.owners[lo], run.owners[hi - 1] + 1, strength, detail, run.digits[lo:hi])


def repetition(call: CallText, options: dict[str, Any]) -> list[Finding]:
    """Return stretches in which the same 1 to 8 words follow each other at least `times` (default 5) times."""
    times = int(options.get("times", 5))
    out = []
    for stream in call.streams.values():
        norms = [t.norm for t in stream.tokens]
        at = 0
        while at < len(norms):
            best = (0, 0)
            for size in range(1, 9):
                unit = norms[at : at + size]
                count = 1
                while norms[at + count * size : at + (count + 1) * size] == unit and len(unit) == size:
                    count += 1
                wanted = times + 3 if size == 1 else times if size < 4 else max(3, times - 1)
                if (
                    count >= wanted
                    and not all(u.isdecimal() or u in _DIGIT_WORDS for u in unit)
                    and count * size > best[0]
                ):
                    best = (count * size, count)
            if best[0]:
                out.append(Finding(stream, at, at + best[0], 0.95, f"the same words {best[1]} times in a row"))
                at += best[0]
            else:
                at += 1
    return out


def fast_speech(call: CallText, options: dict[str, Any]) -> list[Finding]:
    """Return stretches of 12 words said at more than `words_per_second` (default 8), which nobody can."""
    limit = float(options.get("words_per_second", 8))
    out: list[Finding] = []
    for stream in call.streams.values():
        tokens = stream.tokens
        at = 0
        while at + 12 <= len(tokens):
            part = tokens[at : at + 12]
            words = len({(t.turn, t.word) for t in part})
            spent = max(1, part[-1].end_ms - part[0].start_ms)
            if words >= 10 and words * 1000 / spent > limit:
                out.append(Finding(stream, at, at + 12, 0.8, f"{words * 1000 / spent:.1f} words in a second"))
                at += 12
            else:
                at += 3
    return out


def doubtful_words(call: CallText, options: dict[str, Any]) -> list[Finding]:
    """Return runs of `words` (default 10) words whose mean probability is below `probability` (default 0.4)."""
    size, limit = int(options.get("words", 10)), float(options.get("probability", 0.4))
    out: list[Finding] = []
    for stream in call.streams.values():
        tokens = stream.tokens
        at = 0
        while at + size <= len(tokens):
            part = tokens[at : at + size]
            mean = sum(t.probability for t in part) / size
            if mean < limit:
                out.append(Finding(stream, at, at + size, 0.7, f"mean word probability {mean:.2f} over {size} words"))
                at += size
            else:
                at += 2
    return out


DETECTORS: dict[str, Callable[[CallText, dict[str, Any]], list[Finding]]] = {
    "card_number": card_number,
    "card_code": card_code,
    "account_number": account_number,
    "repetition": repetition,
    "fast_speech": fast_speech,
    "doubtful_words": doubtful_words,
}
