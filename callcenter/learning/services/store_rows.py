"""Writing a dataset's rows: counts by split, source and speaker, the manifest in the store, the row in the database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from asr_worker import datasets
from callcenter.accounts.models import User
from callcenter.core import audit
from callcenter.core.errors import CallcenterError
from callcenter.core.storage import store
from callcenter.learning.models import Dataset

Row = dict[str, Any]
MAX_PROBLEMS = 500


def counts_of(rows: Sequence[Row]) -> dict[str, Any]:
    """Return how many rows and seconds there are by split, source, team and speaker, and how many calls."""
    out: dict[str, Any] = {}
    for name in ("split", "source", "team", "speaker"):
        clips: Counter[str] = Counter()
        seconds: defaultdict[str, float] = defaultdict(float)
        for row in rows:
            key = str(row.get(name) or "")
            clips[key] += 1
            seconds[key] += float(row["duration_s"])
        out[name] = {key: {"rows": n, "seconds": round(seconds[key], 1)} for key, n in sorted(clips.items())}
    out["calls"] = len({row["call"] for row in rows if row.get("call")})
    out["words"] = sum(len(str(row["text"]).split()) for row in rows)
    return out


def file_dataset(
    *,
    name: str,
    kind: str,
    rows: Sequence[Row],
    by: User | None,
    parameters: dict[str, Any],
    problems: Sequence[dict[str, Any]] = (),
    counts: dict[str, Any] | None = None,
    golden: Dataset | None = None,
    imported: bool = False,
) -> Dataset:
    """Store the manifest and make the dataset's row, with corrections and calls. The same rows, the same SHA-256.

    Raises CallcenterError for no rows or a name that is taken.
    """
    if not rows:
        raise CallcenterError(gettext("The dataset is empty: there is no usable row."), code="dataset_empty")
    sha256 = datasets.put_manifest(store(), list(rows))
    try:
        with transaction.atomic():
            dataset = Dataset.objects.create(
                name=name,
                kind=kind,
                sha256=sha256,
                manifest_key=datasets.manifest_key(sha256),
                rows=len(rows),
                audio_seconds=round(sum(float(row["duration_s"]) for row in rows), 2),
                parameters=parameters,
                counts={**counts_of(rows), **(counts or {})},
                problems=list(problems)[:MAX_PROBLEMS],
                golden=golden,
                imported=imported,
                created_by=by,
            )
            if not imported:
                _link(dataset, rows)
            audit.record("dataset.create", dataset, user=by, kind=kind, rows=len(rows), sha256=sha256)
    except IntegrityError as error:
        raise CallcenterError(
            gettext("There is a dataset named “{name}” already.").format(name=name), code="name_taken"
        ) from error
    return dataset


def _link(dataset: Dataset, rows: Iterable[Row]) -> None:
    from callcenter.calls.models import Call
    from callcenter.review.models import Correction

    corrections = {key for row in rows for key in row.get("corrections") or ()}
    calls = {str(row["call"]) for row in rows if row.get("call") and not row.get("old_domain")}
    dataset.corrections.set(Correction.objects.filter(pk__in=corrections))
    dataset.calls.set(Call.objects.filter(pk__in=calls))


def free_name(wanted: str) -> str:
    """Return a dataset name that is not taken: the wanted one, else with the first number that is free."""
    name, number = wanted[:110], 2
    while Dataset.objects.filter(name=name).exists():
        name, number = f"{wanted[:110]}-{number}", number + 1
    return name


def default_name() -> str:
    """Return the name of a dataset that nobody named: corrections of this minute."""
    return free_name(f"corrections-{timezone.localtime():%Y-%m-%d-%H%M}")


def rows_of(dataset: Dataset) -> list[Row]:
    """Return the manifest's rows. Raises CallcenterError when the manifest is gone or broken."""
    try:
        return list(datasets.parse(store().get_bytes(dataset.manifest_key), dataset.name))
    except FileNotFoundError as error:
        raise CallcenterError(
            gettext("The dataset's manifest is gone from the storage."), code="dataset_gone"
        ) from error
    except datasets.DatasetError as error:
        raise CallcenterError(error.message, code=error.code) from error
