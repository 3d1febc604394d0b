"""What must not be seen or heard of a call: found in a transcript, hidden in text and in sound. Knows no Django.

Rules alone decide, in linear time and without a model. Nothing here writes a log, and no message quotes a word.
"""

from analytics.redaction.audio import MutePlan, MuteRefused, mute, mute_plan
from analytics.redaction.finding import find, scrub
from analytics.redaction.kinds import (
    ALWAYS_HIDDEN,
    CARDS_ONLY,
    CONTACT,
    KINDS,
    LEVELS,
    PLACEHOLDERS,
    STRICT,
    Level,
    RedactionError,
    Span,
    level_of,
    merged,
    placeholder_kind,
)
from analytics.redaction.numbers import says_digits
from analytics.redaction.text import hide_in_place, plain_text, redact_document, redact_text

__all__ = [
    "ALWAYS_HIDDEN", "CARDS_ONLY", "CONTACT", "KINDS", "LEVELS", "PLACEHOLDERS", "STRICT", "Level", "MutePlan",
    "MuteRefused", "RedactionError", "Span", "find", "hide_in_place", "level_of", "merged", "mute", "mute_plan",
    "placeholder_kind", "plain_text", "redact_document", "redact_text", "says_digits",
    "scrub",
]  # fmt: skip
