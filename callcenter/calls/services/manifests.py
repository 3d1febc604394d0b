"""Reading a manifest: CSV or JSON lines, one row a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_noop as N_

from callcenter.calls.services.metadata import COLUMNS, canonical, unknown_columns
from callcenter.core.errors import Refused

MAX_BYTES = 20 * 1024 * 1024
MAX_ROWS = 100_000


#: What columns mean, by their name as `key` gives it; "" is a column that is left out.
Mapping = dict[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A manifest as it is written: its columns, and each row with the number of its line."""

    columns: list[str]
    rows: list[tuple[int, dict[str, Any]]]
    has_header: bool


def parse(*, filename: str, data: bytes, mapping: Mapping | None = None) -> dict[str, dict[str, Any]]:
    """Return {file name: values}. Raises Refused with the line and the reason when any of it cannot be understood.

    A manifest is taken whole or not at all: guessing what a misspelt column meant would file calls wrongly. `mapping`
    is what somebody said of columns; the others have to have names that we know.
    """
    sheet = read(filename=filename, data=data)
    meaning = fields(sheet.columns, 1, mapping) if sheet.has_header else {}
    if sheet.has_header and "filename" not in meaning.values():
        raise Refused(N_("Manifest line 1: there is no column “filename”."), code="bad_manifest")
    found: dict[str, dict[str, Any]] = {}
    for line, raw in sheet.rows:
        row = meant(raw, meaning if sheet.has_header else fields(list(raw), line, mapping))
        name = str(row.pop("filename", "") or "").strip()
        if not name:
            raise Refused(N_("Manifest line %(line)s: there is no file name.") % {"line": line}, code="bad_manifest")
        if name in found:
            raise Refused(
                N_("Manifest line %(line)s: “%(name)s” stands there twice.") % {"line": line, "name": name},
                code="bad_manifest",
            )
        found[name] = row
        if len(found) > MAX_ROWS:
            raise Refused(
                N_("The manifest has more than %(max_rows)s rows.") % {"max_rows": MAX_ROWS}, code="bad_manifest"
            )
    if not found:
        raise Refused(N_("The manifest has no rows."), code="bad_manifest")
    _check_storable(found)
    return found


def read(*, filename: str, data: bytes) -> Sheet:
    """Return what stands there, whatever its columns are called. Raises Refused for what is no table."""
    if len(data) > MAX_BYTES:
        raise Refused(
            N_("The manifest is larger than %(max_bytes)s MiB.") % {"max_bytes": MAX_BYTES // 2**20},
            code="bad_manifest",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(
            N_("The manifest is not UTF-8 text (byte %(start)s).") % {"start": error.start}, code="bad_manifest"
        ) from error
    first = text.lstrip()[:1]
    is_json = filename.lower().endswith((".jsonl", ".ndjson", ".json")) or first == "{"
    return _json_lines(text) if is_json else _csv(text)


def key(column: str) -> str:
    """Return the name by which a column is remembered."""
    return column.replace("\ufeff", "").strip().casefold()[:120]


def fields(columns: list[str], line: int, mapping: Mapping | None) -> dict[str, str]:
    """Return what each column means. Raises Refused for one that nobody knows, and for two that mean the same."""
    said = {column: (mapping or {}).get(key(column)) for column in columns}
    meaning = {column: canonical(column) if name is None else name for column, name in said.items()}
    _check_columns([column for column in columns if said[column] is None], line)
    for name in COLUMNS:
        several = [column for column, field in meaning.items() if field == name]
        if mapping is not None and len(several) > 1:
            raise Refused(
                N_("Manifest line %(line)s: “%(first)s” and “%(second)s” are both taken for %(name)s.")
                % {"line": line, "first": several[0], "second": several[1], "name": name},
                code="bad_manifest",
            )
    return meaning


def meant(raw: dict[str, Any], meaning: dict[str, str]) -> dict[str, Any]:
    """Return a row under our names, without the columns that are left out."""
    return {meaning[column]: value for column, value in raw.items() if meaning.get(column)}


def _check_storable(found: dict[str, dict[str, Any]]) -> None:
    """Refuse characters that no database column takes: NUL and halves of surrogate pairs."""
    for name, values in found.items():
        for text in (name, *map(str, values.values())):
            if "\x00" in text or not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
                shown = name.encode("ascii", "replace").decode().replace("\x00", "?")[:80]
                raise Refused(
                    N_("Manifest row “%(shown)s” holds a character that is none.") % {"shown": shown},
                    code="bad_manifest",
                )


def lookup(manifest: dict[str, dict[str, Any]], filename: str) -> tuple[str, dict[str, Any]] | None:
    """Return the manifest's name and values for a file: by full path, else by the last part of the path."""
    if filename in manifest:
        return filename, manifest[filename]
    tail = _tail(filename)
    for name, values in manifest.items():
        if name.endswith(tail) and _tail(name) == tail:
            return name, values
    return None


def names_of(manifest: dict[str, dict[str, Any]], filenames: Iterable[str]) -> list[str | None]:
    """Return for each file the manifest's name of it, as `lookup` finds it, or None; linear in both."""
    by_tail: dict[str, str] = {}
    for name in manifest:
        by_tail.setdefault(_tail(name), name)
    return [name if name in manifest else by_tail.get(_tail(name)) for name in filenames]


def unnamed(manifest: dict[str, dict[str, Any]], filenames: Iterable[str]) -> list[str]:
    """Return the manifest's names that no file name stands for, in the manifest's order."""
    named = set(names_of(manifest, filenames))
    return [name for name in manifest if name not in named]


def _tail(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _check_columns(columns: list[str], line: int) -> None:
    wrong = unknown_columns(columns)
    if wrong:
        listed = ", ".join(f"“{name}”" for name in wrong)
        raise Refused(
            N_("Manifest line %(line)s: column %(listed)s is not known. Known columns: %(columns)s.")
            % {"line": line, "listed": listed, "columns": ", ".join(COLUMNS)},
            code="bad_manifest",
        )


def _csv(text: str) -> Sheet:
    sample = text[:4096]
    try:
        dialect: Any = csv.Sniffer().sniff(sample.splitlines()[0] if sample else "", delimiters=",;\t")
    except (csv.Error, IndexError):
        dialect = csv.excel
    reader = csv.DictReader(io.StringIO(text, newline=""), dialect=dialect)
    rows = []
    try:
        columns = list(reader.fieldnames or [])
        for row in reader:
            if None in row:
                raise Refused(
                    N_("Manifest line %(line_num)s: more values than columns.") % {"line_num": reader.line_num},
                    code="bad_manifest",
                )
            if any(row.values()):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise Refused(
            N_("Manifest line %(line_num)s: %(error)s.") % {"line_num": reader.line_num + 1, "error": error},
            code="bad_manifest",
        ) from error
    return Sheet(columns, rows, has_header=True)


def _json_lines(text: str) -> Sheet:
    rows = []
    columns: dict[str, None] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Refused(
                N_("Manifest line %(number)s: not JSON (%(error)s).") % {"number": number, "error": error},
                code="bad_manifest",
            ) from error
        if not isinstance(row, dict):
            raise Refused(N_("Manifest line %(number)s: not a JSON object.") % {"number": number}, code="bad_manifest")
        columns |= dict.fromkeys(row)
        rows.append((number, row))
    return Sheet(list(columns), rows, has_header=False)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
