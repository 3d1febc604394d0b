"""Reading a manifest: CSV or JSON lines, one row a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from callcenter.calls.services.metadata import COLUMNS, canonical, unknown_columns
from callcenter.core.errors import Refused

MAX_BYTES = 20 * 1024 * 1024
MAX_ROWS = 100_000


def parse(*, filename: str, data: bytes) -> dict[str, dict[str, Any]]:
    """Return {file name: values}. Raises Refused with the line and the reason when any of it cannot be understood.

    A manifest is taken whole or not at all: guessing what a misspelt column meant would file calls wrongly.
    """
    if len(data) > MAX_BYTES:
        raise Refused(f"The manifest is larger than {MAX_BYTES // 2**20} MiB.", code="bad_manifest")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"The manifest is not UTF-8 text (byte {error.start}).", code="bad_manifest") from error
    first = text.lstrip()[:1]
    rows = (
        _json_lines(text) if filename.lower().endswith((".jsonl", ".ndjson", ".json")) or first == "{" else _csv(text)
    )
    found: dict[str, dict[str, Any]] = {}
    for line, row in rows:
        name = str(row.pop("filename", "") or "").strip()
        if not name:
            raise Refused(f"Manifest line {line}: there is no file name.", code="bad_manifest")
        if name in found:
            raise Refused(f"Manifest line {line}: “{name}” stands there twice.", code="bad_manifest")
        found[name] = row
        if len(found) > MAX_ROWS:
            raise Refused(f"The manifest has more than {MAX_ROWS} rows.", code="bad_manifest")
    if not found:
        raise Refused("The manifest has no rows.", code="bad_manifest")
    _check_storable(found)
    return found


def _check_storable(found: dict[str, dict[str, Any]]) -> None:
    """Refuse characters that no database column takes: NUL and halves of surrogate pairs."""
    for name, values in found.items():
        for text in (name, *map(str, values.values())):
            if "\x00" in text or not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
                shown = name.encode("ascii", "replace").decode().replace("\x00", "?")[:80]
                raise Refused(f"Manifest row “{shown}” holds a character that is none.", code="bad_manifest")


def lookup(manifest: dict[str, dict[str, Any]], filename: str) -> tuple[str, dict[str, Any]] | None:
    """Return the manifest's name and values for a file: by full path, else by the last part of the path."""
    if filename in manifest:
        return filename, manifest[filename]
    tail = _tail(filename)
    for name, values in manifest.items():
        if name.endswith(tail) and _tail(name) == tail:
            return name, values
    return None


def unnamed(manifest: dict[str, dict[str, Any]], filenames: Iterable[str]) -> list[str]:
    """Return the manifest's names that no file name stands for, in the manifest's order; linear in both."""
    by_tail: dict[str, str] = {}
    for name in manifest:
        by_tail.setdefault(_tail(name), name)
    named = {name if name in manifest else by_tail.get(_tail(name)) for name in filenames}
    return [name for name in manifest if name not in named]


def _tail(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _check_columns(columns: list[str], line: int) -> None:
    wrong = unknown_columns(columns)
    if wrong:
        listed = ", ".join(f"“{name}”" for name in wrong)
        raise Refused(
            f"Manifest line {line}: column {listed} is not known. Known columns: {', '.join(COLUMNS)}.",
            code="bad_manifest",
        )


def _csv(text: str) -> list[tuple[int, dict[str, Any]]]:
    sample = text[:4096]
    try:
        dialect: Any = csv.Sniffer().sniff(sample.splitlines()[0] if sample else "", delimiters=",;\t")
    except (csv.Error, IndexError):
        dialect = csv.excel
    reader = csv.DictReader(io.StringIO(text, newline=""), dialect=dialect)
    try:
        return _csv_rows(reader)
    except csv.Error as error:
        raise Refused(f"Manifest line {reader.line_num + 1}: {error}.", code="bad_manifest") from error


def _csv_rows(reader: csv.DictReader[str]) -> list[tuple[int, dict[str, Any]]]:
    columns = list(reader.fieldnames or [])
    _check_columns(columns, 1)
    if "filename" not in [canonical(c) for c in columns]:
        raise Refused("Manifest line 1: there is no column “filename”.", code="bad_manifest")
    rows = []
    for row in reader:
        if None in row:
            raise Refused(f"Manifest line {reader.line_num}: more values than columns.", code="bad_manifest")
        if any(row.values()):
            rows.append((reader.line_num, {canonical(k): v for k, v in row.items()}))
    return rows


def _json_lines(text: str) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Refused(f"Manifest line {number}: not JSON ({error}).", code="bad_manifest") from error
        if not isinstance(row, dict):
            raise Refused(f"Manifest line {number}: not a JSON object.", code="bad_manifest")
        _check_columns(list(row), number)
        rows.append((number, {canonical(k): v for k, v in row.items()}))
    return rows


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
