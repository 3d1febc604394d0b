"""Transcript in, understanding out: intent, sentiment, talk metrics and risk alerts of one call. Knows no Django.

Importing this package loads no model library; models are loaded at the first call that needs them.
"""

from analytics.nlu.rules import CATEGORIES, SEVERITIES, Problem, RuleError, compile_rules
from analytics.nlu.schema import NLU_VERSION, SCHEMA_VERSION, Understanding, validate
from analytics.nlu.tuned import train_tuned
from analytics.nlu.understand import default_intents, default_rules, understand

__all__ = [
    "CATEGORIES", "NLU_VERSION", "SCHEMA_VERSION", "SEVERITIES", "Problem", "RuleError", "Understanding",
    "compile_rules", "default_intents", "default_rules", "train_tuned", "understand", "validate",
]  # fmt: skip
