"""What can be hidden, who may see what, and the one record that says where something must be hidden."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CARD_NUMBER, CARD_CODE, CARD_EXPIRY = "card_number", "card_code", "card_expiry"
ACCOUNT, SORT_CODE, PHONE, EMAIL = "account_number", "sort_code", "phone_number", "email"
NAME, ADDRESS, POSTCODE, BIRTH_DATE = "name", "address", "postcode", "birth_date"

# In the order in which one placeholder wins where two kinds claim the same words.
KINDS = (
    CARD_NUMBER, CARD_CODE, CARD_EXPIRY, SORT_CODE, ACCOUNT, EMAIL, PHONE, BIRTH_DATE, POSTCODE, ADDRESS, NAME,
)  # fmt: skip
ALWAYS_HIDDEN = frozenset({CARD_NUMBER, CARD_CODE})
# Without spaces: a placeholder is one word wherever a text is cut into words.
PLACEHOLDERS: Mapping[str, str] = {
    CARD_NUMBER: "[card-number]", CARD_CODE: "[card-security-code]", CARD_EXPIRY: "[card-expiry]",
    SORT_CODE: "[sort-code]", ACCOUNT: "[account-number]", EMAIL: "[e-mail]", PHONE: "[phone-number]",
    BIRTH_DATE: "[birth-date]", POSTCODE: "[postcode]", ADDRESS: "[address]", NAME: "[name]",
}  # fmt: skip
_KIND_OF: Mapping[str, str] = {text: kind for kind, text in PLACEHOLDERS.items()}


def placeholder_kind(word: str) -> str | None:
    """Return the kind that a word stands for as a placeholder; None for a word that is none."""
    return _KIND_OF.get(word.strip(".,;:!?")) if word.startswith("[") else None


def merged(words: Iterable[str]) -> list[str]:
    """Return the words with a run of one placeholder, one for each hidden word, told once."""
    out: list[str] = []
    for word in words:
        if not (out and word == out[-1] and placeholder_kind(word)):
            out.append(word)
    return out


class RedactionError(ValueError):
    """Something cannot be redacted safely; the message says what and why and never what was said."""


@dataclass(frozen=True, slots=True)
class Level:
    """What one reader does not see. Card numbers and security codes are hidden whatever `hides` says."""

    name: str
    hides: frozenset[str]

    def __post_init__(self) -> None:
        unknown = self.hides - set(KINDS)
        if unknown:
            raise RedactionError(f"level {self.name!r} hides unknown kinds: {', '.join(sorted(unknown))}")
        object.__setattr__(self, "hides", self.hides | ALWAYS_HIDDEN)


STRICT = Level("strict", frozenset(KINDS))
# For people who must know whom they speak of, but need no payment detail.
CONTACT = Level("contact", frozenset({CARD_EXPIRY, ACCOUNT, SORT_CODE, BIRTH_DATE}))
CARDS_ONLY = Level("cards_only", frozenset())
LEVELS: Mapping[str, Level] = {level.name: level for level in (STRICT, CONTACT, CARDS_ONLY)}


def level_of(level: Level | str | Iterable[str]) -> Level:
    """Return a level from itself, from its name in LEVELS, or from kinds. Raises RedactionError for an unknown one."""
    if isinstance(level, Level):
        return level
    if isinstance(level, str):
        if level not in LEVELS:
            raise RedactionError(f"there is no redaction level {level!r}; there are {', '.join(LEVELS)}")
        return LEVELS[level]
    return Level("custom", frozenset(level))


@dataclass(frozen=True, slots=True)
class Span:
    """Words of one turn that must be hidden.

    `turn` is the turn's `index`; words are the half-open range [first_word, end_word) of its words; [start, end) are
    characters of the turn's text (its words joined by single spaces, or its own text where it has no words).
    `start_ms` and `end_ms` are both None where a word at either end has no usable time, `channel` is None where the
    turn names none. Spans of one thing said over several turns share `group`. `why` names the rule, never the words;
    `certainty` is
    in [0, 1].
    """

    kind: str
    turn: int
    first_word: int
    end_word: int
    start: int
    end: int
    start_ms: int | None
    end_ms: int | None
    channel: int | None
    why: str
    certainty: float
    group: int = 0
