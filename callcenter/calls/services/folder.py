"""The watched folder: what lies there long enough unchanged is taken, and then moved aside."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog
from django.conf import settings

from callcenter.accounts.models import Team
from callcenter.calls.models import Batch
from callcenter.calls.services import archives, batches

log = structlog.get_logger("callcenter.folder")
SETTLE_SECONDS = 3.0
TAKEN = "taken"


def poll(*, root: Path | None = None, settle_seconds: float = SETTLE_SECONDS) -> Batch | None:
    """Make one batch of all settled files under INGEST_DIR; return it, or None when there was nothing to take.

    A file still being written is left for the next time. A taken file is moved into `taken/`, so it is seen once;
    were it seen twice, its content would make it a duplicate row and not a second call. A folder whose name is a
    team's slug files its calls under that team.
    """
    if root is None:
        if not settings.ENV.INGEST_DIR:
            return None
        root = Path(settings.ENV.INGEST_DIR)
    if not root.is_dir():
        log.error("ingest_dir_missing")
        return None
    teams = {team.slug: team for team in Team.objects.all()}
    wanted = settings.ENV.INGEST_TEAM
    # A misspelt team must not file calls where other people read them.
    default = teams.get(wanted) if wanted else Team.objects.order_by("pk").first()
    if default is None:
        log.error("ingest_folder_has_no_team")
        return None
    settled = [p for p in sorted(root.rglob("*")) if _settled(p, root, settle_seconds)]
    if not settled:
        return None
    batch = batches.open_batch(
        by=None, team=default, name=f"Watched folder {datetime.now(tz=UTC):%d %b %H:%M}", source="folder"
    )
    try:
        for path in sorted(settled, key=lambda p: not archives.is_manifest(p.name)):
            try:
                _take(path, root, batch, teams)
            except OSError as error:
                # Not readable, or gone already (another poll took it): the other files still come through.
                log.warning("ingest_file_not_taken", batch=str(batch.pk), error=type(error).__name__)
    finally:
        closed = batches.close_batch(batch=batch)
    return closed


def _take(path: Path, root: Path, batch: Batch, teams: dict[str, Team]) -> None:
    if archives.is_manifest(path.name):
        batches.add_manifest(batch=batch, filename=path.name, data=path.read_bytes())
    else:
        relative = path.relative_to(root)
        first = relative.parts[0] if len(relative.parts) > 1 else ""
        meta: dict[str, str] = {"_mtime": datetime.fromtimestamp(path.stat().st_mtime, tz=UTC).isoformat()}
        if first in teams:
            meta["team"] = first
        with path.open("rb") as stream:
            batches.add_file(batch=batch, filename=str(relative), stream=stream, metadata=meta)
    _move(path, root)


def _settled(path: Path, root: Path, settle_seconds: float) -> bool:
    relative = path.relative_to(root)
    if relative.parts[0] == TAKEN or any(part.startswith(".") for part in relative.parts):
        return False
    if path.is_symlink() or not path.is_file() or path.suffix in {".part", ".tmp", ".crdownload"}:
        return False
    return time.time() - path.stat().st_mtime >= settle_seconds


def _move(path: Path, root: Path) -> None:
    target = root / TAKEN / path.relative_to(root)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target = target.with_name(f"{target.stem}.{time.time_ns()}{target.suffix}")
    os.replace(path, target)
