"""Finding the words that a reader sees: those that are marked, for the catalogues, and those that are not, for a test.

Templates are read through Django's own parser, so what is found is what would be looked up; Python and JavaScript
through Babel. No gettext tool is needed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from django.template import Engine, engines
from django.template.base import FilterExpression, Node, TextNode, VariableNode
from django.template.loader_tags import IncludeNode
from django.templatetags.i18n import BlockTranslateNode, TranslateNode
from django.utils.functional import Promise

from callcenter.core.catalogues import LOCALE, ROOT

LANGUAGES = ("zh_Hans",)
#: Whose words stand in the folder `work`; those of everything else stand in `site`.
WORK = ("insights", "learning", "review", "privacy")
KEYWORDS: dict[str, Any] = {
    **{name: None for name in ("gettext", "gettext_lazy", "gettext_noop", "_", "N_")},
    **{name: (1, 2) for name in ("ngettext", "ngettext_lazy")},
    **{name: ((1, "c"), 2) for name in ("pgettext", "pgettext_lazy")},
}
#: Names of products, formats, units and keys: the same in every language.
NAMES = frozenset(
    "Callcenter CSV JSON Parquet API SRT WebVTT Hz kHz dB MB GB URL YAML SHA-256 WER CER Alt Ctrl Enter Esc Tab".split()
)
#: Elements whose text is for machines or is quoted from them.
SILENT = {"script", "style", "code", "kbd", "pre"}
SPOKEN_ATTRIBUTES = {"title", "placeholder", "aria-label", "aria-description", "alt", "label", "data-confirm"}
#: Values of attributes that some templates choose as a default or hand to their base: nobody reads them.
KEYS = frozenset(("submit", "text", "post", "inbox", "info", "account-pages"))
#: Letters of a date format that are written as words, which other languages put elsewhere.
WORDY_DATE = re.compile(r"[DlMNFbP]")
HOLE = "\0"
#: What a translation must keep: places that are filled in, and tags.
PLACE = re.compile(r"%\(\w+\)[sd]|%[sd%]|\{\w+(?::[^{}]*)?\}|</?[a-z]+")


@dataclass
class Template:
    """What one template says: messages as (context, singular, plural), and words that nobody can translate."""

    path: str
    messages: set[tuple[str | None, str, str | None]] = field(default_factory=set)
    unmarked: list[str] = field(default_factory=list)


def folder_of(path: str) -> str:
    """Return which folder of catalogues has the words of a source."""
    parts = Path(path).parts
    return "work" if len(parts) > 1 and parts[1] in WORK else "site"


def templates() -> Iterator[Template]:
    """Read every template of the site."""
    engine: Engine = engines["django"].engine  # type: ignore[attr-defined]
    for path in sorted((ROOT / "templates").rglob("*.html")):
        found = Template(str(path.relative_to(ROOT)))
        parsed = engine.from_string(path.read_text(encoding="utf-8"))
        text = "".join(_pieces(parsed.nodelist, found))
        reader = _Reader()
        reader.feed(text)
        reader.close()
        found.unmarked += reader.unmarked
        yield found


def _pieces(nodes: Any, found: Template) -> Iterator[str]:
    """Yield the text of nodes in order; a hole stands where something is filled in."""
    for node in nodes:
        if isinstance(node, TextNode):
            yield node.s
            continue
        _expressions(node, found)
        if isinstance(node, BlockTranslateNode):
            context = node.message_context
            plural = node.render_token_list(node.plural)[0] if node.plural else None
            said = context.var if isinstance(context, FilterExpression) else None
            found.messages.add((said, node.render_token_list(node.singular)[0], plural))
            yield HOLE
        elif isinstance(node, TranslateNode):
            literal = getattr(node.filter_expression.var, "literal", None)
            context = node.message_context
            if literal:
                said = context.var if isinstance(context, FilterExpression) else None
                found.messages.add((said, str(literal).replace("%", "%%"), None))
            yield HOLE
        else:
            if isinstance(node, VariableNode | IncludeNode):
                yield HOLE
            for name in node.child_nodelists:
                children = getattr(node, name, None)
                if children:
                    yield from _pieces(children, found)


def _expressions(node: Node, found: Template) -> None:
    for expression in _filter_expressions(vars(node)):
        var = expression.var
        if isinstance(var, Promise):
            found.messages.add((None, var._args[0], None))  # type: ignore[attr-defined]
        elif isinstance(node, VariableNode) and isinstance(var, str) and _letters(var):
            found.unmarked.append(var)
        for function, arguments in expression.filters:
            name = getattr(function, "_filter_name", function.__name__)
            if name in ("pluralize", "yesno"):
                found.unmarked.append(f"the filter {name}")
            for computed, value in arguments:
                if computed:
                    continue
                if isinstance(value, Promise):
                    found.messages.add((None, value._args[0], None))  # type: ignore[attr-defined]
                elif name in ("default", "default_if_none") and _letters(str(value)):
                    found.unmarked.append(str(value))
                elif name in ("date", "time") and len(str(value)) > 1 and WORDY_DATE.search(str(value)):
                    found.unmarked.append(f"the format {value}")
    if isinstance(node, IncludeNode):
        for expression in node.extra_context.values():
            text = expression.var
            if isinstance(text, str) and re.search(r"[A-Z ]", text) and _letters(text):
                found.unmarked.append(text)


def _filter_expressions(value: Any) -> Iterator[FilterExpression]:
    if isinstance(value, FilterExpression):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            if key != "nodelist" and not str(key).startswith("nodelist_"):
                yield from _filter_expressions(part)
    elif isinstance(value, list | tuple):
        for part in value:
            if not isinstance(part, Node):
                yield from _filter_expressions(part)


class _Reader(HTMLParser):
    """Collects the words that stand between tags or in an attribute that is read out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.unmarked: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in SILENT
        self.unmarked += [value for name, value in attrs if value and name in SPOKEN_ATTRIBUTES and _letters(value)]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._silent -= tag in SILENT

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent = max(0, self._silent - 1)

    def handle_data(self, data: str) -> None:
        if not self._silent and _letters(data):
            self.unmarked.append(" ".join(data.replace(HOLE, "…").split()))


def _letters(text: str) -> bool:
    """Return whether a text has words, beside names that are the same everywhere."""
    return any(word not in NAMES | KEYS for word in re.findall(r"[A-Za-z][\w-]+", text.replace(HOLE, " ")))


def code(suffix: str) -> Iterator[tuple[str, str | None, str, str | None]]:
    """Yield (path, context, singular, plural) of all marked texts in Python ("py") or JavaScript ("js")."""
    root = ROOT / "callcenter" if suffix == "py" else ROOT / "templates" / "static" / "js"
    method = "python" if suffix == "py" else "javascript"
    for path in sorted(root.rglob(f"*.{suffix}")):
        with path.open("rb") as stream:
            for _line, found, _comments, context in extract(method, stream, keywords=KEYWORDS):
                one, many = found if isinstance(found, tuple) else (found, None)
                yield str(path.relative_to(ROOT)), context, one, many


#: Calls whose words reach a reader, and which of their arguments holds them.
SAYING = {"CallcenterError": 0, "Refused": 0, "success": 1, "error": 1, "warning": 1, "info": 1, "add_error": 1}


def unmarked_in_code() -> Iterator[tuple[str, str]]:
    """Yield (path, words) of messages to people that are written without a mark."""
    for path in sorted((ROOT / "callcenter").rglob("*.py")):
        if path.is_relative_to(ROOT / "callcenter" / "api"):
            continue  # machines read English
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            place = SAYING.get(name)
            flash = place == 1 and name != "add_error"
            if place is None or len(node.args) <= place:
                continue
            if flash and getattr(getattr(node.func, "value", None), "id", "") != "messages":
                continue
            said = node.args[place]
            if isinstance(said, ast.JoinedStr) or isinstance(said, ast.Constant) and isinstance(said.value, str):
                yield str(path.relative_to(ROOT)), ast.unparse(said)


def wanted(folder: str, domain: str) -> Catalog:
    """Return a catalogue, without translations, of all texts that this folder should have."""
    catalogue = Catalog(project="callcenter", charset="utf-8", fuzzy=False)

    def add(path: str, context: str | None, one: str, many: str | None) -> None:
        if folder_of(path) == folder:
            # Without numbers of lines, which every edit above changes; Babel allows it, its types do not say so.
            places: Any = [(path, None)]
            catalogue.add((one, many) if many else one, locations=places, context=context)

    if domain == "djangojs":
        for found in code("js"):
            add(*found)
        return catalogue
    for template in templates():
        for message in sorted(template.messages, key=str):
            add(template.path, *message)
    for found in code("py"):
        add(*found)
    return catalogue


def domains(folder: str) -> tuple[str, ...]:
    """Return the catalogues of a folder; scripts have theirs in `site`."""
    return ("django", "djangojs") if folder == "site" else ("django",)


def path_of(folder: str, language: str, domain: str) -> Path:
    """Return where a catalogue lies."""
    return LOCALE / folder / language / "LC_MESSAGES" / f"{domain}.po"


def load(path: Path) -> Catalog:
    """Read a catalogue."""
    with path.open("rb") as stream:
        return read_po(stream, locale=path.parent.parent.name)


def update(folder: str) -> int:
    """Bring the catalogues of a folder up to date with the sources; return how many texts lack a translation."""
    missing = 0
    for language in LANGUAGES:
        for domain in domains(folder):
            path = path_of(folder, language, domain)
            catalogue = load(path)
            catalogue.update(wanted(folder, domain), no_fuzzy_matching=True)
            catalogue.obsolete.clear()
            catalogue.header_comment = "# Words of the site; see docs/translations.md."
            with path.open("wb") as stream:
                write_po(stream, catalogue, width=120, sort_output=True, include_lineno=False, omit_header=False)
            missing += len(untranslated(folder, domain, language))
    return missing


def untranslated(folder: str, domain: str, language: str) -> list[str]:
    """Return what a folder's sources say and no catalogue has in this language, or has with other places in it."""
    known: dict[Any, Any] = {}
    for other in ("work", "site"):
        if domain in domains(other):
            known |= {(m.context, m.id): m for m in load(path_of(other, language, domain)) if m.id and not m.fuzzy}
    found = []
    for message in wanted(folder, domain):
        if not message.id:
            continue
        there = known.get((message.context, message.id))
        told = there.string if there is not None else ""
        texts = [told] if isinstance(told, str) else list(told)
        one, many = message.id if isinstance(message.id, tuple) else (message.id, message.id)
        places = set(PLACE.findall(str(many)))
        if not all(texts) or any(set(PLACE.findall(text)) != places for text in texts):
            found.append(f"{one}  ({', '.join(sorted({path for path, _ in message.locations}))})")
    return found
