"""The columns of somebody else's manifest: what they mean, what was said of them before, and a look at the rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from callcenter.accounts.models import Team, User
from callcenter.calls.models import ManifestMapping
from callcenter.calls.services import manifests
from callcenter.calls.services.metadata import COLUMNS, canonical, problems
from callcenter.core.errors import Refused

ROWS_SHOWN = 8
#: How many columns are remembered of a team; the oldest are forgotten.
MOST_COLUMNS = 300


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name there, by which it is remembered, an example, and the field it is taken for ("" is none)."""

    name: str
    key: str
    example: str
    field: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it would be understood, with everything that is wrong with it."""

    line: int
    values: list[str]
    problems: list[str]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a manifest would say. `problem` is what keeps all of it from being taken."""

    columns: list[Column]
    fields: list[str]
    rows: list[Row]
    total: int
    problem: str
    named: int
    files: int
    without_file: int

    @property
    def ready(self) -> bool:
        return not self.problem


def mapping_of(team: Team | None) -> manifests.Mapping:
    """Return what was last said of the columns of this team's manifests."""
    found = ManifestMapping.objects.filter(team=team).first() if team else None
    return dict(found.columns) if found else {}


def remember(team: Team, mapping: manifests.Mapping) -> None:
    """Keep what was said of these columns; what was said of others stays."""
    with transaction.atomic():
        Team.objects.select_for_update().get(pk=team.pk)
        kept, _made = ManifestMapping.objects.get_or_create(team=team)
        older = {name: field for name, field in kept.columns.items() if name not in mapping}
        kept.columns = dict(list({**older, **mapping}.items())[-MOST_COLUMNS:])
        kept.save()


def read_mapping(text: str) -> manifests.Mapping | None:
    """Return the mapping that a page sent; None for nothing. Raises Refused for what is none."""
    if not text:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(v, str) and (not v or v in COLUMNS) for v in found.values()):
        raise Refused(_("What the columns mean could not be read."), code="bad_mapping")
    return {manifests.key(name).replace("\x00", ""): field for name, field in found.items()}


def preview(
    *,
    filename: str,
    data: bytes,
    team: Team,
    by: User,
    mapping: manifests.Mapping | None = None,
    files: Sequence[str] = (),
) -> Preview:
    """Return how a manifest would be understood; nothing is written.

    `mapping` is what was chosen on the page so far; without it stands what was remembered, else what the names say.
    `files` are the recordings that were chosen, for telling which of them the manifest does not name.

    Raises:
        Refused: it is no table at all.
    """
    sheet = manifests.read(filename=filename, data=data)
    said = {**mapping_of(team), **(mapping or {})}
    columns = [_column(name, said, sheet) for name in sheet.columns]
    meaning = {column.name: column.field for column in columns}
    fields = [name for name in COLUMNS if name in meaning.values()]
    problem = _problem(columns, sheet)
    if problem:
        return Preview(columns, fields, [], len(sheet.rows), problem, 0, len(files), 0)
    written = [(line, manifests.meant(raw, meaning)) for line, raw in sheet.rows]
    names: dict[str, dict[str, Any]] = {str(row.get("filename") or "").strip(): {} for _line, row in written}
    named = manifests.names_of(names, files)
    left = names.keys() - set(named) if files else set()
    try:
        manifests.parse(filename=filename, data=data, mapping={column.key: column.field for column in columns})
    except Refused as error:
        problem = error.message
    rows = [_row(line, row, fields, left, team, by) for line, row in written[:ROWS_SHOWN]]
    return Preview(columns, fields, rows, len(written), problem, len(files) - named.count(None), len(files), len(left))


def _column(name: str, said: manifests.Mapping, sheet: manifests.Sheet) -> Column:
    field = said.get(manifests.key(name))
    if field is None:
        field = canonical(name) if canonical(name) in COLUMNS else ""
    example = next((str(raw[name]) for _line, raw in sheet.rows[:50] if raw.get(name) not in (None, "")), "")
    return Column(name, manifests.key(name), example[:60], field)


def _problem(columns: list[Column], sheet: manifests.Sheet) -> str:
    taken: dict[str, str] = {}
    for column in columns:
        if column.field in taken:
            return _("“{one}” and “{other}” are both taken for {field}. Choose one of them.").format(
                one=taken[column.field], other=column.name, field=column.field
            )
        if column.field:
            taken[column.field] = column.name
    if not sheet.rows:
        return _("The manifest has no rows.")
    return "" if "filename" in taken else _("Say which column holds the name of the file.")


def _row(line: int, row: dict[str, Any], fields: list[str], left: set[str], team: Team, by: User) -> Row:
    values = {name: "" if row.get(name) is None else str(row[name]) for name in fields}
    name = values["filename"].strip()
    found = [] if name else [_("There is no file name.")]
    if name in left:
        found.append(_("No chosen file has this name."))
    found += problems({key: value for key, value in values.items() if key != "filename"}, team=team, by=by)
    return Row(line, list(values.values()), found)
