"""A real PostgreSQL and a real Valkey run while somebody needs them, and not a moment longer.

`ensure()` starts both servers from their wheels, or joins the ones that already run on the same
folder. Every user process holds a shared `flock` on one file for as long as it lives; the kernel
lets go of it however the process ends, SIGKILL included. A watchdog process (`embedded_servers.py`)
owns the servers, tries that lock exclusively, and stops everything once nobody holds it. There are
no pid files to go stale and no counters to drift.

This module is imported by settings, so it needs no Django and nothing heavy.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0
_POLL_S = 0.05

# Open descriptors of the users' lock, by folder: kept for the life of the process on purpose.
_held: dict[Path, int] = {}
_mutex = threading.Lock()


class EmbeddedServiceError(RuntimeError):
    """The embedded servers cannot be had; the message says why and what to do about it."""


@dataclass(frozen=True)
class Endpoints:
    """Where the running services listen. Both addresses carry a password: never log them."""

    database_url: str
    redis_url: str


@dataclass(frozen=True)
class ServiceStatus:
    """What runs for one folder: the watchdog and its two servers (pids are 0 when nothing runs)."""

    running: bool
    watchdog_pid: int = 0
    postgres_pid: int = 0
    valkey_pid: int = 0
    postgres_port: int = 0
    valkey_port: int = 0


def ensure(var_dir: Path) -> Endpoints:
    """Both servers answer on the returned addresses until this process ends.

    Safe to call from many processes and threads at once, and again in the same process.
    Data live in `var_dir/postgres` and `var_dir/valkey`.

    Raises:
        EmbeddedServiceError: a wheel is missing, or a server does not start.
    """
    var_dir = Path(var_dir).resolve()
    with _mutex:
        run_dir = _prepare(var_dir)
        with _file_lock(run_dir / "start.lock", timeout_s=START_TIMEOUT_S):
            _join(var_dir, run_dir)
            state = _ready_state(run_dir)
            if state is None:
                state = _start(var_dir, run_dir)
        return Endpoints(database_url=str(state["database_url"]), redis_url=str(state["redis_url"]))


def hold(var_dir: Path) -> None:
    """Services of this folder, once started by anybody, stay up until this process ends; starts nothing.

    For a parent of several short commands, so that the servers do not restart between them.
    """
    var_dir = Path(var_dir).resolve()
    with _mutex:
        run_dir = _prepare(var_dir)
        with _file_lock(run_dir / "start.lock", timeout_s=START_TIMEOUT_S):
            _join(var_dir, run_dir)


def release(var_dir: Path) -> None:
    """This process no longer counts as a user; the servers stop if it was the last one."""
    with _mutex:
        descriptor = _held.pop(Path(var_dir).resolve(), None)
        if descriptor is not None:
            os.close(descriptor)


def status(var_dir: Path) -> ServiceStatus:
    """What runs for this folder, without starting anything and without counting as a user."""
    run_dir = Path(var_dir).resolve() / "run"
    if not _watchdog_alive(run_dir):
        return ServiceStatus(running=False)
    state = _read_state(run_dir)
    fields = ("watchdog_pid", "postgres_pid", "valkey_pid", "postgres_port", "valkey_port")
    return ServiceStatus(running=True, **{name: int(str(state.get(name, 0))) for name in fields})


def stop(var_dir: Path, *, timeout_s: float = STOP_TIMEOUT_S) -> bool:
    """Nothing runs for this folder any more, whoever used it; True when something was stopped.

    Raises:
        EmbeddedServiceError: the servers are still there after `timeout_s` seconds.
    """
    run_dir = Path(var_dir).resolve() / "run"
    if not _watchdog_alive(run_dir):
        return False
    pid = int(str(_read_state(run_dir).get("watchdog_pid", 0)))
    if pid:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while _watchdog_alive(run_dir):
        if time.monotonic() > deadline:
            raise EmbeddedServiceError(f"the services (watchdog process {pid}) did not stop; see {_log(run_dir)}")
        time.sleep(_POLL_S)
    return True


# --- how it is done -----------------------------------------------------------------------------


def _prepare(var_dir: Path) -> Path:
    run_dir = var_dir / "run"
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        (var_dir / "logs").mkdir(exist_ok=True)
        run_dir.chmod(0o700)
    except OSError as error:
        raise EmbeddedServiceError(
            f"cannot write to {var_dir} ({error.strerror}); make it writable, or set DATABASE_URL and REDIS_URL"
        ) from error
    return run_dir


def _log(run_dir: Path) -> Path:
    return run_dir.parent / "logs" / "services.log"


def _join(var_dir: Path, run_dir: Path) -> None:
    """This process counts as a user from here on (see the module's first lines)."""
    if var_dir in _held:
        return
    descriptor = os.open(run_dir / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    # A watchdog on its way out holds the lock exclusively until both servers are gone.
    _flock(descriptor, fcntl.LOCK_SH, STOP_TIMEOUT_S, run_dir)
    _held[var_dir] = descriptor


def _flock(descriptor: int, kind: int, timeout_s: float, run_dir: Path) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise EmbeddedServiceError(
                    f"another process has been starting or stopping the services for {timeout_s:.0f} s; "
                    f"see {_log(run_dir)}, then run `make down`"
                ) from None
            time.sleep(_POLL_S)


@contextmanager
def _file_lock(path: Path, *, timeout_s: float) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    _flock(descriptor, fcntl.LOCK_EX, timeout_s, path.parent)
    try:
        yield
    finally:
        os.close(descriptor)


def _watchdog_alive(run_dir: Path) -> bool:
    """A watchdog lives exactly as long as it holds its lock; its pid alone would prove nothing."""
    try:
        descriptor = os.open(run_dir / "watchdog.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _read_state(run_dir: Path) -> dict[str, object]:
    try:
        state = json.loads((run_dir / "services.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return state if isinstance(state, dict) else {}


def _ready_state(run_dir: Path) -> dict[str, object] | None:
    """The state of a live, ready watchdog; None when there is none. Waits for one that is starting."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while _watchdog_alive(run_dir):
        state = _read_state(run_dir)
        if state.get("ready"):
            return state
        if time.monotonic() > deadline:
            raise EmbeddedServiceError(f"the services are still not ready; see {_log(run_dir)}")
        time.sleep(_POLL_S)
    return None


def _start(var_dir: Path, run_dir: Path) -> dict[str, object]:
    (run_dir / "services.json").unlink(missing_ok=True)
    log_path = _log(run_dir)
    script = Path(__file__).with_name("embedded_servers.py")
    with log_path.open("ab") as log:
        offset = log.tell()
        # A session of its own: Ctrl-C in the terminal must reach the command, not its database.
        # -P keeps this folder off the import path, where a sibling could shadow a standard module.
        watchdog = subprocess.Popen(
            [sys.executable, "-P", str(script), str(var_dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        state = _read_state(run_dir)
        if state.get("ready") and state.get("watchdog_pid") == watchdog.pid:
            # Not waited for on purpose: it outlives this process when others use the services.
            threading.Thread(target=watchdog.wait, daemon=True, name="services-watchdog").start()
            return state
        if watchdog.poll() is not None:
            tail = log_path.read_bytes()[offset:].decode(errors="replace").strip().splitlines()[-6:]
            raise EmbeddedServiceError("the embedded services did not start:\n  " + "\n  ".join(tail))
        time.sleep(_POLL_S)
    watchdog.terminate()
    raise EmbeddedServiceError(f"the embedded services took over {START_TIMEOUT_S:.0f} s to start; see {log_path}")
