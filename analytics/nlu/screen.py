"""Which rules could find anything in a call at all, told from its vocabulary alone.

Sound, never complete: a rule that is left out cannot raise an alert there; one that stays may still raise none. Over
many stored calls this is what makes a changed rule cheap, because most calls need not be read word by word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from analytics.nlu.phrases import _NUMBERS, Element, Phrase, Similarity, literals
from analytics.nlu.rules import Rule
from analytics.nlu.text import normalise


def vocabulary(texts: Iterable[str]) -> set[str]:
    """Return every token that the texts have, as phrases see them."""
    return {token for text in texts for word in text.split() for token in normalise(word)}


class Screen:
    """Rules against the words of many calls; `words` is what all of them have together."""

    def __init__(self, rules: Sequence[Rule], words: Collection[str]) -> None:
        self.rules = [(rule, _needs(rule)) for rule in rules]
        wanted = literals(p for _, groups in self.rules for group in groups or () for p in group)
        self.similar = Similarity(wanted, words)

    def possible(self, words: Collection[str]) -> tuple[Rule, ...]:
        """Return the rules that could find something in a call with these words."""
        return tuple(
            rule
            for rule, groups in self.rules
            if groups is None or all(any(self._may(p, words, near=rule.near > 0) for p in group) for group in groups)
        )

    def _may(self, phrase: Phrase, words: Collection[str], *, near: bool) -> bool:
        return all(
            element.gap or element.optional or (near and element.functional) or self._there(element, words, near)
            for element in phrase.elements
        )

    def _there(self, element: Element, words: Collection[str], near: bool) -> bool:
        if any(all(token in words for token in alternative) for alternative in element.exact):
            return True
        if element.number and any(word.isdigit() or word in _NUMBERS for word in words):
            return True
        if element.prefixes and any(word.startswith(element.prefixes) for word in words):
            return True
        if not near:
            return False
        return any(
            heard in words
            for alternative in element.exact
            if len(alternative) == 1
            for heard in self.similar.get(alternative[0])
        )


def _needs(rule: Rule) -> list[tuple[Phrase, ...]] | None:
    """Return groups of phrases of each of which one must be said, or None where words alone cannot rule a rule out."""
    if rule.detector or (rule.semantic and not rule.absent) or not (rule.any or rule.all):
        return None
    return [group for group in (rule.any, *rule.all) if group]
