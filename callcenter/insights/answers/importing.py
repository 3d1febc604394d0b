"""A folder of text, markdown and JSON becomes articles: what is new or changed is taken, every refusal says why.

Markdown and text: the first heading or line is the title; lines "Tags:", "Question:" and a section "Reply" are read;
the rest is the text. JSON: a list (or an object with "articles") of objects with title and body, or a tree of flows
whose subflows have instructions and actions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext_noop as N_

from callcenter.accounts.models import User
from callcenter.core.errors import CallcenterError
from callcenter.insights.answers.models import Article
from callcenter.insights.answers.services import save_article

SUFFIXES = (".md", ".markdown", ".txt", ".json")
MAX_BYTES = 5_000_000
_LINE = re.compile(r"^(tags|question|questions)\s*:\s*(.+)$", re.IGNORECASE)
_REPLY = re.compile(r"^#{1,6}\s*reply(?: template)?\s*$", re.IGNORECASE)


@dataclass
class Report:
    """What became of a folder: how many articles, and per file what was refused and why."""

    added: int = 0
    changed: int = 0
    same: int = 0
    kept: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def import_folder(folder: Path, *, by: User | None = None, overwrite: bool = False) -> Report:
    """Bring in every article of a folder and those below it. What a person has changed here stays, unless told.

    Raises CallcenterError when the folder cannot be read or holds no such file.
    """
    if not folder.is_dir():
        raise CallcenterError(N_("There is no folder %(folder)s.") % {"folder": folder}, code="no_folder")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise CallcenterError(
            N_("%(folder)s holds no file of the kinds %(suffixes)s.")
            % {"folder": folder, "suffixes": ", ".join(SUFFIXES)},
            code="empty_folder",
        )
    report = Report()
    seen: dict[str, str] = {}
    for path in files:
        name = str(path.relative_to(folder))
        try:
            found = list(_read(path))
        except CallcenterError as error:
            report.refused.append(f"{name}: {error.message}")
            continue
        for article in found:
            key = article.pop("key", "") or slugify(article["title"])[:120]
            where = f"{name}: “{str(article['title'])[:60]}”"
            if not key:
                report.refused.append(f"{where} has no title that could name it.")
            elif key in seen:
                report.refused.append(f"{where} is there twice; the one in {seen[key]} was taken.")
            else:
                seen[key] = name
                _take(report, key, article, name, where, by=by, overwrite=overwrite)
    return report


def _take(
    report: Report, key: str, values: dict[str, Any], name: str, where: str, *, by: User | None, overwrite: bool
) -> None:
    present = Article.objects.filter(key=key).first()
    if present is not None and not present.source and not overwrite:
        report.kept.append(f"{where} was changed here by a person and stays.")
        return
    try:
        enabled = present.enabled if present is not None else True
        _, changed = save_article(by=by, article=present, key=key, enabled=enabled, source=name[:255], **values)
    except CallcenterError as error:
        report.refused.append(f"{where}: {error.message}")
        return
    if present is None:
        report.added += 1
    elif changed:
        report.changed += 1
    else:
        report.same += 1


def _read(path: Path) -> Iterator[dict[str, Any]]:
    if path.stat().st_size > MAX_BYTES:
        raise CallcenterError(N_("is larger than %(max_bytes)s MB.") % {"max_bytes": MAX_BYTES // 1_000_000})
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CallcenterError(N_("is not UTF-8 text.")) from error
    except OSError as error:
        raise CallcenterError(N_("cannot be read (%(error)s).") % {"error": error.strerror}) from error
    if not text.strip():
        raise CallcenterError(N_("is empty."))
    if path.suffix.lower() != ".json":
        yield _from_text(text)
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", "?")
        raise CallcenterError(N_("is not JSON (line %(line)s).") % {"line": line}) from error
    made = list(_from_json(found))
    if not made:
        raise CallcenterError(N_("holds no articles: objects with a title and a body, or flows with subflows."))
    yield from made


def _from_text(text: str) -> dict[str, Any]:
    title, tags, questions = "", [], []
    parts: dict[str, list[str]] = {"body": [], "reply": []}
    here = "body"
    for line in text.splitlines():
        if not title and line.strip():
            title = line.strip().lstrip("#").strip()
        elif _REPLY.match(line.strip()):
            here = "reply"
        elif here == "reply" and line.startswith("#"):
            here = "body"
            parts[here].append(line)
        elif here == "body" and (known := _LINE.match(line.strip())):
            said = known.group(2).strip()
            if known.group(1).lower() == "tags":
                tags += [tag.strip() for tag in said.split(",") if tag.strip()]
            else:
                questions.append(said)
        else:
            parts[here].append(line)
    body, reply = ("\n".join(parts[name]).strip() for name in ("body", "reply"))
    return {"title": title[:200], "body": body, "reply": reply, "tags": tags, "questions": questions}


def _from_json(found: Any) -> Iterator[dict[str, Any]]:
    if isinstance(found, dict) and isinstance(found.get("articles"), list):
        found = found["articles"]
    if isinstance(found, dict) and "title" in found:
        found = [found]
    if isinstance(found, list):
        for item in found:
            if isinstance(item, dict) and isinstance(item.get("title"), str) and isinstance(item.get("body"), str):
                yield {
                    "key": slugify(str(item.get("key", "")))[:120],
                    "title": item["title"][:200],
                    "body": item["body"],
                    "reply": str(item.get("reply") or ""),
                    "tags": _strings(item.get("tags")),
                    "questions": _strings(item.get("questions")),
                }
    elif isinstance(found, dict):
        for flow, content in found.items():
            if isinstance(content, dict) and isinstance(content.get("subflows"), dict):
                for name, steps in content["subflows"].items():
                    if isinstance(steps, dict):
                        yield {"title": str(name)[:200], "body": _steps(steps), "tags": [str(flow)]}


def _steps(steps: dict[str, Any]) -> str:
    """Return the instructions and numbered actions of a subflow as text."""
    blocks = _strings(steps.get("instructions"))
    number = 0
    for action in steps.get("actions") or []:
        if isinstance(action, dict) and str(action.get("text", "")).strip():
            number += 1
            lines = [f"{number}. {' '.join(str(action['text']).split())}"]
            lines += [f"   - {' '.join(one.split())}" for one in _strings(action.get("subtext"))]
            blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _strings(value: Any) -> list[str]:
    return [str(one) for one in value if isinstance(one, str) and one.strip()] if isinstance(value, list) else []
