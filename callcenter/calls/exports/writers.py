"""Rows to files: CSV, JSON Lines, Parquet; each written as the rows come, never held whole in memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from callcenter.calls.exports.columns import Kind, Row

# What a spreadsheet would take for a formula, should a customer's words begin with it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
PARQUET_ROWS = 5_000


class Writer(Protocol):
    """Takes rows until it is closed."""

    def write(self, row: Row) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Text:
    def __init__(self, path: Path, columns: Mapping[str, Kind]) -> None:
        self.columns = columns
        # A byte order mark lets spreadsheets read names in every script.
        self.out = path.open("w", encoding="utf-8-sig" if isinstance(self, CsvWriter) else "utf-8", newline="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.out.close()


class CsvWriter(_Text):
    """Comma-separated, with a header line. Text that looks like a formula gets an apostrophe before it."""

    def __init__(self, path: Path, columns: Mapping[str, Kind]) -> None:
        super().__init__(path, columns)
        self.csv = csv.writer(self.out)
        self.csv.writerow(columns)

    def write(self, row: Row) -> None:
        self.csv.writerow([_cell(row.get(name), kind) for name, kind in self.columns.items()])


class JsonlWriter(_Text):
    """One JSON object a line; times in ISO 8601."""

    def write(self, row: Row) -> None:
        values = {name: _plain(row.get(name)) for name in self.columns}
        self.out.write(json.dumps(values, ensure_ascii=False) + "\n")


class ParquetWriter:
    """Typed columns, compressed, in groups of PARQUET_ROWS rows."""

    def __init__(self, path: Path, columns: Mapping[str, Kind]) -> None:
        import pyarrow
        import pyarrow.parquet

        types = {
            "text": pyarrow.string(), "integer": pyarrow.int64(), "number": pyarrow.float64(),
            "time": pyarrow.timestamp("ms", tz="UTC"),
        }  # fmt: skip
        self.pyarrow, self.columns = pyarrow, columns
        self.schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
        self.file = pyarrow.parquet.ParquetWriter(path, self.schema, compression="zstd")
        self.waiting: list[Row] = []

    def write(self, row: Row) -> None:
        self.waiting.append({name: _typed(row.get(name), kind) for name, kind in self.columns.items()})
        if len(self.waiting) >= PARQUET_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self.waiting:
            self.file.write_table(self.pyarrow.Table.from_pylist(self.waiting, schema=self.schema))
            self.waiting = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush()
        self.file.close()


WRITERS: dict[str, Any] = {"csv": CsvWriter, "jsonl": JsonlWriter, "parquet": ParquetWriter}


def _cell(value: Any, kind: Kind) -> Any:
    value = _plain(value)
    if kind == "text" and isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _typed(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind == "time":
        return value
    return str(value) if kind == "text" else round(value) if kind == "integer" else float(value)
