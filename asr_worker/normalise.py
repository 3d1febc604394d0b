"""One English text normaliser for training, evaluation and diffs, so that two figures are always comparable.

What sounds the same becomes the same: case and punctuation go, contractions and spoken or written numbers meet in
one form. Change anything here and NORMALISER_VERSION must change too, since stored word error rates name it.
"""

from __future__ import annotations

import re
import unicodedata

NORMALISER_VERSION = "en-1"

_UNITS = {
    name: value
    for value, name in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen".split()
    )
}
_TENS = {name: (i + 2) * 10 for i, name in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split())}
_SCALES = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_ORDINAL_WORDS = {
    "first": "1st", "second": "2nd", "third": "3rd", "fifth": "5th", "eighth": "8th", "ninth": "9th",
    "twelfth": "12th", "twentieth": "20th", "thirtieth": "30th",
}  # fmt: skip
_CONTRACTIONS = {
    "won't": "will not", "can't": "can not", "cannot": "can not", "shan't": "shall not", "ain't": "is not",
    "let's": "let us", "y'all": "you all", "ma'am": "madam", "gonna": "going to", "wanna": "want to",
    "gotta": "got to", "gimme": "give me", "lemme": "let me", "kinda": "kind of", "'cause": "because",
    "cos": "because", "dunno": "do not know",
}  # fmt: skip
_ENDINGS = (("n't", " not"), ("'re", " are"), ("'ve", " have"), ("'ll", " will"), ("'m", " am"))
_IS_AFTER = set("it that what he she there here who where how when this everything something".split())
_SAME = {
    "okay": "ok", "o.k.": "ok", "alright": "all right", "mr": "mister", "mrs": "missus", "dr": "doctor",
    "st": "saint", "uh": "", "um": "", "uhm": "", "er": "", "erm": "", "hmm": "", "mm": "", "mhm": "", "mmhmm": "",
    "uhhuh": "", "ah": "", "eh": "", "favour": "favor", "colour": "color", "cheque": "check", "centre": "center",
    "organise": "organize", "realise": "realize", "cancelled": "canceled", "grey": "gray", "neighbour": "neighbor",
}  # fmt: skip
_SYMBOLS = (("%", " percent "), ("&", " and "), ("@", " at "), ("+", " plus "))
_MONEY = re.compile(r"([$£€])\s?(\d[\d,]*(?:\.\d+)?)")
_CURRENCY = {"$": "dollars", "£": "pounds", "€": "euros"}
_CLOCK = re.compile(r"\b(\d{1,2}):(\d{2})\b")
_BRACKETS = re.compile(r"\[[^\]]*\]|<[^>]*>|\([^)]*\)")
_LETTERS = re.compile(r"\b(?:[a-z][.\-]){2,}[a-z]?\b|\b(?:[a-z]\.){2,}", re.I)
_AM_PM = re.compile(r"\b([ap])\.?\s?m\b\.?")


def normalise(text: str) -> str:
    """Return the text in the form in which two texts are compared: lower case words with single spaces between.

    `normalise(normalise(x)) == normalise(x)` for every x.
    """
    # One rule may make way for another (an `o'` becomes an `o`, which beside a digit is a zero), so they are applied
    # until nothing changes; two rounds are the rule.
    for _ in range(8):
        before, text = text, _once(text)
        if text == before:
            break
    return text


def _once(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).lower()
    text = text.replace("’", "'").replace("‘", "'").replace("`", "'")
    text = _BRACKETS.sub(" ", text)
    text = _MONEY.sub(_spoken_money, text)
    text = _CLOCK.sub(lambda m: m[1] if m[2] == "00" else f"{m[1]} {m[2]}", text)
    text = _AM_PM.sub(r"\1m", text)
    text = _LETTERS.sub(lambda m: " " + re.sub(r"[.\-]", " ", m[0]) + " ", text)
    for symbol, word in _SYMBOLS:
        text = text.replace(symbol, word)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"(?<=\d)\.(?=\d)", " point ", text)
    text = re.sub(r"(?<=\d)(st|nd|rd|th)\b", r"\1", text)
    words: list[str] = []
    for raw in re.sub(r"[^\w']+|_", " ", text).split():
        words += _expand(raw.strip("'") if raw not in _CONTRACTIONS else raw)
    return " ".join(_numbers([w for w in words if w]))


def _spoken_money(match: re.Match[str]) -> str:
    whole, _, cents = match[2].replace(",", "").partition(".")
    name = _CURRENCY[match[1]]
    return f" {whole} {name} {int(cents)} " if cents and int(cents) else f" {whole} {name} "


def _expand(word: str) -> list[str]:
    if word in _CONTRACTIONS:
        return _CONTRACTIONS[word].split()
    for ending, spoken in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending):
            return (word[: -len(ending)] + spoken).split()
    if word.endswith("'s"):
        stem = word[:-2]
        return [stem, "is"] if stem in _IS_AFTER else [stem + "s"]
    if word.endswith("'d") and len(word) > 2:
        return [word[:-2], "would"]
    word = word.replace("'", "")
    return _SAME.get(word, word).split()


def _numbers(words: list[str]) -> list[str]:
    """Return the words with every number as single digits, so that `forty two`, `42` and `four two` agree.

    Digit by digit is how numbers are dictated on the telephone, and the only form that leaves no choice: `2018` and
    `twenty eighteen` both become `2 0 1 8`.
    """
    out: list[str] = []
    i = 0
    while i < len(words):
        value, used = _read_number(words, i)
        if used:
            out += list(value)
            i += used
            continue
        word = words[i]
        match = re.fullmatch(r"(\d+)(st|nd|rd|th)?", word)
        if match:
            out += list(match[1]) if not match[2] else [word]
        elif re.fullmatch(r"\d+[a-z]+|[a-z]+\d+", word):
            out += re.findall(r"\d|[a-z]+", word)
        else:
            out.append(_ORDINAL_WORDS.get(word, word) if word != "second" else word)
        i += 1
    return out


def _read_number(words: list[str], at: int) -> tuple[str, int]:
    """Return the digits of the spoken number that begins here and how many words it takes; 0 words where none does."""
    if words[at] in ("oh", "o") and _in_digits(words, at):
        return "0", 1
    i, total, group, digits = at, 0, None, ""
    while i < len(words):
        word = words[i]
        if word in _TENS:
            if group is not None and group % 100:
                break
            group = (group or 0) + _TENS[word]
        elif word in _UNITS:
            value = _UNITS[word]
            after_hundreds = group and group % 100 == 0 and value
            after_tens = group and group % 10 == 0 and group % 100 >= 20 and 0 < value < 10
            if not (group is None or (group == 0 and total) or after_hundreds or after_tens):
                break
            group = (group or 0) + value
        elif word == "hundred" and group and group < 100:
            group *= 100
        elif word in _SCALES and group:
            total += group * _SCALES[word]
            group = 0
        elif (
            word == "and"
            and group
            and group % 100 == 0
            and i + 1 < len(words)
            and (words[i + 1] in _UNITS or words[i + 1] in _TENS)
        ):
            pass
        else:
            break
        i += 1
    if group is not None:
        digits = str(total + group)
    return digits, i - at if digits else 0


def _in_digits(words: list[str], at: int) -> bool:
    """Say whether an `oh` stands beside a digit and therefore means zero."""
    near = words[max(0, at - 1) : at] + words[at + 1 : at + 2]
    return any(w in _UNITS and _UNITS[w] < 10 or w.isdigit() for w in near)
