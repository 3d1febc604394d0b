"""Every reason why this installation would not work is found and named with its cure.

Each check is a function that takes what it looks at and returns one `Finding`; it never raises for
an expected outcome, and `examine()` turns an unexpected one into a failure of that check alone.
"""

from __future__ import annotations

import io
import shutil
import socket
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

MIN_FREE_GB = 5.0
TIMEOUT_S = 5
REQUIRED_EXTENSIONS = frozenset({"vector"})
WORKERS = frozenset({"cpu", "speech"})


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """What one check found; `cure` says what to do unless all is well."""

    check: str
    verdict: Verdict
    message: str
    cure: str = ""

    def as_json(self) -> dict[str, str]:
        return {name: str(value) for name, value in asdict(self).items()}


def ok(check: str, message: str) -> Finding:
    return Finding(check, Verdict.OK, message)


def warning(check: str, message: str, cure: str) -> Finding:
    return Finding(check, Verdict.WARNING, message, cure)


def failure(check: str, message: str, cure: str) -> Finding:
    return Finding(check, Verdict.FAILURE, message, cure)


def check_database(url: str) -> Finding:
    """The operational database answers, is PostgreSQL 14 or newer and speaks UTF-8."""
    import psycopg

    try:
        with psycopg.connect(_postgres_url(url), connect_timeout=TIMEOUT_S) as connection:
            version = connection.info.server_version
            row = connection.execute("SHOW server_encoding").fetchone()
    except psycopg.Error as error:
        cure = "Start PostgreSQL or correct DATABASE_URL; leave it empty for the embedded database."
        return failure("database", f"cannot connect to {_where(url)}: {_first_line(error)}", cure)
    if version < 140000:
        return failure("database", f"PostgreSQL {version // 10000} is too old", "Use PostgreSQL 14 or newer.")
    if row is None or row[0] != "UTF8":
        cure = "Create the database with ENCODING 'UTF8'; the image in docker-compose.yml does."
        return failure("database", f"the encoding is {row and row[0]}, not UTF8", cure)
    return ok("database", f"PostgreSQL {version // 10000}.{version % 10000} at {_where(url)}")


def check_extensions(url: str, required: Collection[str] = REQUIRED_EXTENSIONS) -> Finding:
    """Every extension that the migrations rely on is installed in the database."""
    import psycopg

    try:
        with psycopg.connect(_postgres_url(url), connect_timeout=TIMEOUT_S) as connection:
            there = {str(row[0]) for row in connection.execute("SELECT extname FROM pg_extension")}
    except psycopg.Error as error:
        return failure("extensions", f"cannot ask: {_first_line(error)}", "Cure the database first.")
    missing = sorted(set(required) - there)
    if missing:
        wanted = " ".join(f"CREATE EXTENSION {name};" for name in missing)
        return failure("extensions", f"missing: {', '.join(missing)}", f"As a superuser of that database: {wanted}")
    return ok("extensions", ", ".join(sorted(there & set(required))) or "none needed")


def check_migrations(unapplied: Callable[[], list[str]] | None = None) -> Finding:
    """Every migration of the site has been applied."""
    from django.db import Error

    try:
        missing = (unapplied or _unapplied_migrations)()
    except Error as error:
        return failure("migrations", f"cannot ask: {_first_line(error)}", "Cure the database first.")
    if missing:
        listed = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        return failure("migrations", f"{len(missing)} not applied: {listed}", "Run: manage.py migrate")
    return ok("migrations", "all applied")


def check_warehouse(url: str) -> Finding:
    """The warehouse's schema is at its newest revision."""
    from sqlalchemy.exc import SQLAlchemyError

    from analytics.warehouse import current_and_head

    try:
        current, head = current_and_head(url)
    except (SQLAlchemyError, ValueError) as error:
        cure = "Correct ANALYTICS_DATABASE_URL; leave it empty to keep the warehouse in the main database."
        return failure("warehouse", f"cannot ask {_where(url)}: {_first_line(error)}", cure)
    if current != head:
        cure = "Run: manage.py up, or manage.py warehouse migrate"
        return failure("warehouse", f"at revision {current or 'none'}, newest is {head}", cure)
    return ok("warehouse", f"at revision {head}")


def check_broker(url: str) -> Finding:
    """The broker answers and never throws queued work away when it is full."""
    import redis

    cure = "Start Valkey or Redis, or correct REDIS_URL; leave it empty for the embedded one."
    try:
        with redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S) as client:
            client.ping()
            try:
                policy = str(dict(client.config_get("maxmemory-policy")).get("maxmemory-policy", "noeviction"))
            except redis.exceptions.ResponseError:  # managed services hide their configuration
                policy = "noeviction"
    except (redis.exceptions.RedisError, ValueError, OSError) as error:
        return failure("broker", f"no answer from {_where(url)}: {_first_line(error)}", cure)
    if policy != "noeviction":
        return warning("broker", f"maxmemory-policy is {policy}: queued work can vanish", "Set it to noeviction.")
    return ok("broker", f"answers at {_where(url)}")


def check_workers(answers: Callable[[], Iterable[str]] | None = None) -> Finding:
    """A processor worker and a speech worker answer; their absence is a warning, since work only waits."""
    try:
        names = sorted(set((answers or _answering_workers)()))
    except Exception as error:  # the transport has error classes of its own
        return warning("workers", f"cannot ask: {_first_line(error)}", "Cure the broker first.")
    missing = sorted(WORKERS - {name.split("@")[0] for name in names})
    if missing:
        cure = "Start them: `make up` on one machine, `docker compose up worker speech` in containers."
        return warning("workers", f"no answer from: {', '.join(missing)} (new recordings wait)", cure)
    return ok("workers", ", ".join(names))


def check_storage(url: str) -> Finding:
    """An object can be written to the store, read back in parts and deleted."""
    from asr_worker.storage import open_store

    key, content = f"doctor/{socket.gethostname()}", b"callcenter doctor"
    try:
        store = open_store(url)
        store.put_bytes(key, content)
        try:
            readable = store.get_bytes(key) == content and store.read_range(key, 11, 6) == b"doctor"
        finally:
            store.delete(key)
    except Exception as error:  # folders and buckets fail in their own ways, all of which mean the same here
        cure = "Make the folder writable for this user, or correct STORAGE_URL and the bucket's credentials."
        return failure("storage", f"{_where(url)} is not usable: {_first_line(error)}", cure)
    if not readable:
        cure = "Check the disk or the bucket: what is written must be read back unchanged."
        return failure("storage", f"{_where(url)} does not give back what was written", cure)
    return ok("storage", f"writable at {_where(url)}")


def check_models(names: Iterable[str], resolve: Callable[[str], Path] | None = None) -> Finding:
    """Every model that the settings name is installed and holds weights (hashes: `asr_worker.models verify`)."""
    from asr_worker.types import SpeechError

    if resolve is None:
        from asr_worker.models import resolve  # type: ignore[attr-defined,no-redef,unused-ignore]
    assert resolve is not None
    missing, hollow = [], []
    for name in names:
        try:
            folder = Path(resolve(name))
        except (SpeechError, OSError):
            missing.append(name)
            continue
        if not any(path.is_file() and path.stat().st_size > 0 for path in folder.rglob("*")):
            hollow.append(name)
    if missing or hollow:
        text = "; ".join(
            f"{word}: {', '.join(group)}" for word, group in (("missing", missing), ("empty", hollow)) if group
        )
        return failure(
            "models", text, "Run: python -m asr_worker.models pull demo, then python -m asr_worker.models verify"
        )
    return ok("models", f"{', '.join(names)} installed")


def check_decoding() -> Finding:
    """A second of tone survives encoding to Opus and decoding, with the codecs that came in the package."""
    cure = "Reinstall the package av (PyAV) from its wheel: make setup"
    try:
        import av
        import numpy as np

        rate, buffer = 16_000, io.BytesIO()
        tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)
        with av.open(buffer, "w", format="ogg") as out:
            stream = out.add_stream("libopus", rate=48_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="flt", layout="mono")
            frame.sample_rate = rate
            for piece in av.AudioResampler(format="s16", layout="mono", rate=48_000).resample(frame):
                out.mux(stream.encode(piece))
            out.mux(stream.encode(None))
        buffer.seek(0)
        with av.open(buffer, "r") as source:
            heard = np.concatenate([frame.to_ndarray().ravel() for frame in source.decode(audio=0)])
    except Exception as error:
        return failure("decoding", f"audio cannot be decoded: {_first_line(error)}", cure)
    level = float(np.sqrt(np.mean(np.square(heard.astype(np.float64)))))
    if heard.size < 40_000 or not 0.2 < level < 0.5:
        return failure("decoding", "audio comes back damaged from the decoder", cure)
    return ok("decoding", f"PyAV {av.__version__}, no system program needed")


def check_disk(path: Path, *, min_free_gb: float = MIN_FREE_GB) -> Finding:
    """There is room for recordings, the database and models."""
    while not path.exists() and path != path.parent:
        path = path.parent
    free = shutil.disk_usage(path).free / 1e9
    cure = f"Free space on the disk of {path}, or move VAR_DIR or STORAGE_URL to a larger one."
    if free < min_free_gb / 5:
        return failure("disk", f"{free:.1f} GB free", cure)
    if free < min_free_gb:
        return warning("disk", f"{free:.1f} GB free, less than {min_free_gb:.0f} GB", cure)
    return ok("disk", f"{free:.0f} GB free")


def check_security(*, production: bool, secret_key: str, allowed_hosts: list[str], debug: bool) -> Finding:
    """In production the secret key is a secret, hosts are named and debugging is off."""
    problems = []
    if len(secret_key) < 40 or len(set(secret_key)) < 10 or secret_key.startswith("only-for-tests"):
        problems.append(("SECRET_KEY is short or guessable", "Set SECRET_KEY to 50 random characters."))
    if not allowed_hosts or "*" in allowed_hosts:
        problems.append(("ALLOWED_HOSTS lets any host name in", "Set ALLOWED_HOSTS to the names of this site."))
    if debug:
        problems.append(("DEBUG shows source code to strangers", "Set DEBUG=false."))
    if not problems:
        return ok("security", "secret key, host names and debugging are in order")
    text, cure = "; ".join(text for text, _ in problems), " ".join(cure for _, cure in problems)
    return failure("security", text, cure) if production else warning("security", text, cure)


def check_front_end(vendor: Path, static_root: Path) -> Finding:
    """The style sheets and scripts that pages load are there, whether collected or not."""
    import json

    for manifest in (vendor / "manifest.json", static_root / "vendor" / "manifest.json"):
        if not manifest.is_file():
            continue
        listed = [entry["file"] for entry in json.loads(manifest.read_text())]
        missing = [name for name in listed if not (manifest.parent / name).is_file()]
        if missing:
            return failure("front end", f"missing: {', '.join(missing[:3])}", "Run: make clean setup")
        return ok("front end", f"{len(listed)} files")
    return failure("front end", "no style sheets and scripts: pages would be bare", "Run: make setup")


def wanted_models() -> list[str]:
    """The models that these settings need: transcription, who speaks, understanding."""
    return [settings.ENV.SPEECH_MODEL, "pyannote-segmentation", "wespeaker-resnet34", "minilm"]


def examine(*, workers: bool = True) -> list[Finding]:
    """Every check on this installation, in the order in which a person would cure them."""
    production = settings.SETTINGS_MODULE.endswith(".prod")
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("database", lambda: check_database(settings.DATABASE_URL)),
        ("extensions", lambda: check_extensions(settings.DATABASE_URL)),
        ("migrations", check_migrations),
        ("warehouse", lambda: check_warehouse(settings.ANALYTICS_DATABASE_URL)),
        ("broker", lambda: check_broker(settings.REDIS_URL)),
        ("storage", lambda: check_storage(settings.STORAGE_URL)),
        ("disk", lambda: check_disk(settings.VAR_DIR)),
        ("decoding", check_decoding),
        ("models", lambda: check_models(wanted_models())),
        ("front end", lambda: check_front_end(settings.VAR_DIR / "static_vendor", Path(settings.STATIC_ROOT))),
        (
            "security",
            lambda: check_security(
                production=production,
                secret_key=settings.SECRET_KEY,
                allowed_hosts=list(settings.ALLOWED_HOSTS),
                debug=settings.DEBUG,
            ),
        ),
    ]
    if workers:
        checks.append(("workers", check_workers))
    return [_guarded(name, check) for name, check in checks]


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed; warnings do not count."""
    return all(finding.verdict is not Verdict.FAILURE for finding in findings)


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:
        return failure(name, f"the check itself broke: {type(error).__name__}: {_first_line(error)}", "Report this.")


def _postgres_url(url: str) -> str:
    scheme, rest = url.split("://", 1)
    return f"postgresql://{rest}" if scheme.split("+")[0] in {"postgres", "postgresql"} else url


def _where(url: str) -> str:
    """An address without the user, the password and the options in it."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _unapplied_migrations() -> list[str]:
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    plan: list[tuple[Any, bool]] = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def _answering_workers() -> list[str]:
    from callcenter.celery import app

    return [name for answer in app.control.ping(timeout=1.5) or [] for name in answer]
