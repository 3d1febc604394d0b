"""The text of a rule, as people edit it: YAML in, a checked definition or every mistake with its place out.

Reading never takes long and never does anything but read: no anchors (so no text that unfolds into gigabytes), no tags,
a limit on size and depth, and limits on what would make a rule slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

MAX_TEXT = 64_000
MAX_LINE = 4_000
MAX_DEPTH = 8
MAX_BRACKETS = 40
MAX_PHRASES = 500
MAX_PHRASE_WORDS = 25
MAX_GAPS = 4
MAX_EXAMPLES = 200
MAX_EXAMPLE_LETTERS = 300
MAX_PROBLEMS = 30
#: The order in which a rule reads best; what is not here (version, enabled) is kept by the house, not by the text.
ORDER = (
    "key", "name", "description", "category", "severity", "party", "any", "all", "none", "exclude", "absent", "window",
    "metrics", "detector", "detector_options", "semantic", "near", "negation", "min_hits", "min_words", "max_alerts",
    "within_seconds",
)  # fmt: skip
_OWN = ("version", "enabled")
_PHRASE_LISTS = ("any", "none", "exclude", "absent")
_PACK = re.compile(r"^rules\[0\]\.?")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong: where in the rule (empty: the whole), on which line (None: nowhere), and what."""

    path: str
    message: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says. `definition` is None where it says nothing usable; then there are mistakes."""

    definition: dict[str, Any] | None
    mistakes: list[Mistake] = field(default_factory=list)

    @property
    def right(self) -> bool:
        return self.definition is not None and not self.mistakes

    @property
    def semantic(self) -> bool:
        return bool(self.definition and self.definition.get("semantic"))


class _Unwanted(yaml.MarkedYAMLError):
    """Something that YAML allows and a rule does not."""


class _Loader(yaml.SafeLoader):
    """Plain data only: texts, numbers, true, false, lists and mappings. "no" is a word here, as it is in speech."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Unwanted(
                problem=gettext("anchors (&) and references (*) are not part of a rule"), problem_mark=event.start_mark
            )
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Unwanted(problem=gettext("lists stand too deep within each other"), problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("tag:yaml.org,2002:null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|false|True|False)$", list("tfTF")),
    ("tag:yaml.org,2002:int", r"^-?\d{1,15}$", list("-0123456789")),
    ("tag:yaml.org,2002:float", r"^-?\d{1,15}\.\d{1,15}$", list("-0123456789")),
):
    _Loader.add_implicit_resolver(tag, re.compile(pattern), first)


class _Dumper(yaml.SafeDumper):
    """Lists stand below their key, indented, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def read(text: str, *, key: str = "") -> Reading:
    """Return the rule that a text says, or every mistake in it. With `key`, the rule must keep that key."""
    if len(text) > MAX_TEXT:
        return Reading(
            None,
            [
                Mistake(
                    "",
                    gettext("The text has {count:,} letters; a rule may have {max_text:,}.").format(
                        count=len(text), max_text=MAX_TEXT
                    ),
                )
            ],
        )
    if (line := next((n for n, row in enumerate(text.splitlines(), 1) if len(row) > MAX_LINE), None)) is not None:
        return Reading(
            None,
            [
                Mistake(
                    "",
                    gettext("This line is too long; a line may have {max_line:,} letters.").format(max_line=MAX_LINE),
                    line,
                )
            ],
        )
    if (line := _too_deep(text)) is not None:
        return Reading(None, [Mistake("", gettext("Not readable: brackets stand too deep within each other."), line)])
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        raw = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        return Reading(None, [_broken(error)])
    except (RecursionError, ValueError) as error:
        return Reading(
            None, [Mistake("", gettext("This is not readable as YAML ({kind}).").format(kind=type(error).__name__))]
        )
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(raw, dict):
        return Reading(None, [Mistake("", gettext("A rule is a list of fields such as “key: churn.cancel”."))])
    lines = dict(_lines(node))
    mistakes = [*_twice(node), *_limits(raw)]
    if len(list(_phrases(raw))) <= MAX_PHRASES:  # what is far too large is not even compiled
        mistakes += _compiled(raw, key)
    placed = [Mistake(m.path, m.message, m.line or _line_of(m.path, lines)) for m in mistakes]
    more = len(placed) - MAX_PROBLEMS
    placed = placed[:MAX_PROBLEMS] + (
        [Mistake("", gettext("… and {more} more.").format(more=more))] if more > 0 else []
    )
    return Reading({str(k): v for k, v in raw.items() if k not in _OWN}, placed)


def write(definition: dict[str, Any]) -> str:
    """Return a definition as text, in the order in which a rule reads best."""
    known = {name: definition[name] for name in ORDER if name in definition}
    rest = {name: value for name, value in definition.items() if name not in known and name not in _OWN}
    return yaml.dump(known | rest, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _too_deep(text: str) -> int | None:
    """Return the line where brackets pile up; the scanner of YAML would take seconds over thousands of them."""
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        for letter in line:
            if letter in "[{":
                depth += 1
                if depth > MAX_BRACKETS:
                    return number
            elif letter in "]}" and depth:
                depth -= 1
    return None


def _compiled(raw: dict[str, Any], key: str) -> list[Mistake]:
    from analytics.nlu.rules import RuleError, compile_rules

    mistakes = []
    for name in ("name", "description"):
        if name in raw and not isinstance(raw[name], str):
            mistakes.append(Mistake(name, gettext("must be a text")))
        elif len(raw.get(name, "")) > 200 and name == "name":
            mistakes.append(Mistake(name, gettext("must have at most 200 letters")))
    if key and raw.get("key") != key:
        mistakes.append(Mistake("key", gettext("is the name of the rule and stays {key!r}").format(key=key)))
    try:
        compile_rules([{k: v for k, v in raw.items() if k not in _OWN}])
    except RuleError as error:
        mistakes += [Mistake(_PACK.sub("", p.path), p.message) for p in error.problems]
    return mistakes


def _limits(raw: dict[str, Any]) -> Iterator[Mistake]:
    """Yield what would make the rule slow or unreadable."""
    found = list(_phrases(raw))
    if len(found) > MAX_PHRASES:
        yield Mistake(
            "",
            gettext("The rule has {count:,} phrases; it may have {max_phrases}. Make several rules of it.").format(
                count=len(found), max_phrases=MAX_PHRASES
            ),
        )
        return
    for path, phrase in found:
        words = phrase.split()
        if len(words) > MAX_PHRASE_WORDS:
            yield Mistake(
                path,
                gettext("has {count} words; a phrase may have {max_phrase_words}").format(
                    count=len(words), max_phrase_words=MAX_PHRASE_WORDS
                ),
            )
        if words.count("*") > MAX_GAPS:
            yield Mistake(
                path,
                gettext("has {count} gaps (*); more than {max_gaps} match almost anything, slowly").format(
                    count=words.count("*"), max_gaps=MAX_GAPS
                ),
            )
        if sum(word.endswith("?") for word in words) > MAX_GAPS * 2:
            yield Mistake(path, gettext("has more than {max_gaps} optional words").format(max_gaps=MAX_GAPS * 2))
    semantic = raw.get("semantic")
    semantic = semantic if isinstance(semantic, dict) else {}
    for name in ("examples", "unlike"):
        texts = semantic.get(name)
        if isinstance(texts, list) and len(texts) > MAX_EXAMPLES:
            yield Mistake(
                f"semantic.{name}",
                gettext("has {count:,} texts; it may have {max_examples}").format(
                    count=len(texts), max_examples=MAX_EXAMPLES
                ),
            )
        for at, text in enumerate(texts if isinstance(texts, list) else ()):
            if isinstance(text, str) and len(text) > MAX_EXAMPLE_LETTERS:
                yield Mistake(
                    f"semantic.{name}[{at}]",
                    gettext("has over {max_example_letters} letters; give one sentence").format(
                        max_example_letters=MAX_EXAMPLE_LETTERS
                    ),
                )


def _phrases(raw: dict[str, Any]) -> Iterator[tuple[str, str]]:
    def flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, list):
            for at, item in enumerate(value):
                yield from flat(item, f"{path}[{at}]")

    for name in (*_PHRASE_LISTS, "all"):
        yield from flat(raw.get(name), name)
    window = raw.get("window")
    window = window if isinstance(window, dict) else {}
    for name in ("after", "before"):
        yield from flat(window.get(name), f"window.{name}")


def _broken(error: yaml.YAMLError) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    what = str(getattr(error, "problem", "") or "it cannot be read")
    cure = ""
    if "mapping values are not allowed" in what:
        cure = gettext(" A text with “: ” in it needs quotes.")
    elif "found character" in what and "cannot start any token" in what:
        cure = gettext(" Put the text in quotes; use spaces, not tabs, to indent.")
    elif "expected <block end>" in what:
        cure = gettext(" Look at the indentation of this line and the one before.")
    elif "could not determine a constructor" in what:
        what = "tags (!) are not part of a rule"
    return Mistake(
        "",
        gettext("Not readable: {what}.{cure}").format(what=what, cure=cure),
        mark.line + 1 if mark is not None else None,
    )


def _lines(node: Any, path: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{path}.{key.value}" if path else str(key.value)
            yield name, key.start_mark.line + 1
            yield from _lines(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for at, item in enumerate(node.value):
            yield f"{path}[{at}]", item.start_mark.line + 1
            yield from _lines(item, f"{path}[{at}]")


def _twice(node: Any) -> Iterator[Mistake]:
    seen: set[str] = set()
    for key, _value in node.value:
        name = str(key.value)
        if name in seen:
            yield Mistake(name, gettext("stands there twice; only the last would count"), key.start_mark.line + 1)
        seen.add(name)


def _line_of(path: str, lines: dict[str, int]) -> int | None:
    """Return the line of a path, or of the nearest thing around it."""
    while path:
        if path in lines:
            return lines[path]
        cut = max(path.rfind("."), path.rfind("["))
        path = path[:cut] if cut > 0 else ""
    return None


#: What a new rule can begin with: key, words, text.
TEMPLATES: tuple[tuple[str, Any, str], ...] = (
    ("phrases", _("Somebody says one of these"), """\
key: team.my-rule            # small letters, digits, dots, dashes; it cannot be changed later
name: What the rule looks for
category: complaint
severity: medium             # low, medium, high, critical
party: customer              # customer, agent, any
any:
  - speak|talk to a|the|your manager|supervisor
  - file|make|raise a? formal? complaint
exclude:                     # what only sounds like it
  - no complaint*
"""),
    ("absent", _("Something required is not said"), """\
key: team.required-phrase
name: Recording not announced
category: script_miss
severity: low
party: agent
absent:
  - this call is|may be recorded
  - calls are recorded
window:
  first_seconds: 60          # counted from the first word
min_words: 15                # the agent must have said this much before anyone is accused
"""),
    ("semantic", _("A sentence means this, in whatever words"), """\
key: team.by-meaning
name: Somebody else uses the account
category: fraud
severity: high
party: customer
semantic:
  threshold: 0.7             # from 0.1 to 1; higher is stricter
  examples:
    - I did not make this payment
    - somebody has changed the address on my account
  unlike:                    # what sounds alike and is not meant
    - I made a payment yesterday
    - I would like to change my address
"""),
    ("metrics", _("The talk itself is unusual"), """\
key: team.long-silence
name: Long silence
category: process
severity: low
metrics:
  - longest_silence_ms > 60000
  - duration_ms > 120000
"""),
    ("together", _("Two things are said near each other"), """\
key: team.two-things
name: Refund promised although not allowed
category: process
severity: medium
party: agent
all:
  - [refund, money back]
  - [today, right away, at once]
within_seconds: 20
none:
  - if it is approved
"""),
)  # fmt: skip
