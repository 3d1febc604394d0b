"""The processes of one machine run together: started as one, restarted when they crash, gone as one.

For `manage.py up` and `manage.py demo`; a data centre uses its own (see docker-compose.yml). Each child
writes to its own file in `var/logs`. Children ask the kernel for a signal on the supervisor's death, so
that SIGKILL leaves none behind; work in hand is not lost by that, because tasks are acknowledged late.
"""

from __future__ import annotations

import ctypes
import fcntl
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

ROOT = Path(__file__).resolve().parent.parent.parent
QUICK_EXIT_S = 30.0
MAX_QUICK_EXITS = 5
MAX_BACK_OFF_S = 30.0
_TICK_S = 0.1
_ROTATE_BYTES = 20 * 1024 * 1024
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class Program:
    """One child: its command, what its environment adds (None removes a variable), how it is told to go at once."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str | None] = field(default_factory=dict)
    death_signal: int = signal.SIGTERM


@dataclass
class _Child:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_again_at: float | None = None
    quick_exits: int = 0
    restarts: int = 0


def site_programs(*, port: int, web: bool = True, beat: bool = True, host: str = "127.0.0.1") -> list[Program]:
    """What a single machine runs: web server, processor worker, speech worker, clock.

    Reads Django's settings for what the speech worker is told; it gets no database address and no secret key.
    """
    from django.conf import settings

    celery = [sys.executable, "-m", "celery"]
    level = f"--loglevel={settings.ENV.LOG_LEVEL}"
    speech_environment: dict[str, str | None] = {
        "REDIS_URL": settings.REDIS_URL,
        "STORAGE_URL": settings.STORAGE_URL,
        "MODELS_DIR": str(settings.MODELS_DIR),
        **{name: str(value) for name, value in settings.ENV if name.startswith("SPEECH_")},
        "PYANNOTE_METRICS_ENABLED": "0",
        "DATABASE_URL": None,
        "ANALYTICS_DATABASE_URL": None,
        "SECRET_KEY": None,
        "DJANGO_SETTINGS_MODULE": None,
    }
    programs = [
        Program(
            "worker",
            [
                *celery,
                "-A",
                "callcenter.celery",
                "worker",
                "-Q",
                "default,ingest,nlu",
                "-c",
                "2",
                "-n",
                "cpu@%h",
                level,
            ],
            death_signal=signal.SIGQUIT,
        ),
        Program(
            "speech",
            [
                *[*celery, "-A", "asr_worker.celery", "worker", "-Q", "speech", "--pool=solo"],
                *["--prefetch-multiplier=1", "-n", "speech@%h", level],
            ],
            speech_environment,
            death_signal=signal.SIGQUIT,
        ),
    ]
    programs.append(
        Program(
            "learning",
            [
                # Training takes what the calls leave over.
                *["nice", "-n", "10", *celery, "-A", "asr_worker.celery", "worker", "-Q", "learning", "--pool=solo"],
                *["--prefetch-multiplier=1", "-n", "learning@%h", level],
            ],
            {**speech_environment, "SPEECH_MODEL": None, "LEARNING_DIR": str(settings.VAR_DIR / "learning")},
            death_signal=signal.SIGQUIT,
        )
    )
    if beat:
        schedule = str(settings.VAR_DIR / "celerybeat-schedule")
        command = [*celery, "-A", "callcenter.celery", "beat", "-s", schedule, "--pidfile=", level]
        programs.append(Program("beat", command))
    if web:
        gunicorn = [sys.executable, "-m", "gunicorn", "callcenter.wsgi", "--bind", f"{host}:{port}"]
        gunicorn += ["--workers", "2", "--threads", "4", "--timeout", "120", "--access-logfile", "/dev/null"]
        programs.insert(0, Program("web", gunicorn))
    return programs


class Supervisor:
    """Keeps programs running from `start()` to `stop()`; also a context manager.

    `on_event` gets one short line for every start, crash and stop.
    """

    def __init__(self, programs: Sequence[Program], log_dir: Path, *, on_event: Callable[[str], None] = print) -> None:
        self.log_dir = log_dir
        self._children = [_Child(program) for program in programs]
        self._on_event = on_event
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._monitor: threading.Thread | None = None
        self.failed: str | None = None

    def start(self) -> None:
        """Every program has been started. Raises OSError when a command cannot be run at all."""
        self.log_dir.mkdir(parents=True, exist_ok=True)
        try:
            for child in self._children:
                self._launch(child)
        except BaseException:
            self.stop(grace_s=2)
            raise
        # The thread that forks a child must outlive it: the kernel's death signal is tied to the thread.
        self._monitor = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._monitor.start()

    def stop(self, *, grace_s: float = 15.0) -> None:
        """No child is left: asked first, told after `grace_s` seconds (their work is taken up again later)."""
        self._stopping.set()
        with self._lock:
            running = [child for child in self._children if child.process and child.process.poll() is None]
            for child in running:
                _signal_group(child, signal.SIGTERM)
            deadline = time.monotonic() + grace_s
            for child in running:
                assert child.process is not None
                try:
                    child.process.wait(max(0.05, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self._on_event(f"{child.program.name}: still busy, ending it (its work is taken up again)")
                _signal_group(child, signal.SIGKILL)  # what is left of its group too
                child.process.wait()
        if self._monitor is not None and self._monitor is not threading.current_thread():
            self._monitor.join()

    def run(self, *, until: Callable[[], bool] | None = None) -> int:
        """Blocks until SIGTERM, SIGINT, `until()` or a program that cannot be kept running; returns the exit code.

        Must be called in the main thread, after `start()`; stops everything before it returns.
        """
        asked = threading.Event()

        def ask(_number: int, _frame: FrameType | None) -> None:
            asked.set()

        previous = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while not asked.wait(_TICK_S) and self.failed is None and not (until and until()):
                pass
        finally:
            self._on_event("stopping")
            self.stop()
            for number, handler in previous.items():
                signal.signal(number, handler)
        return 1 if self.failed else 0

    def pids(self) -> dict[str, int]:
        """Process id of every program that runs at this moment, by name."""
        with self._lock:
            return {
                child.program.name: child.process.pid
                for child in self._children
                if child.process is not None and child.process.poll() is None
            }

    def restarts(self) -> dict[str, int]:
        """How often each program had to be started again, by name."""
        return {child.program.name: child.restarts for child in self._children}

    def __enter__(self) -> Supervisor:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self, child: _Child) -> None:
        program, parent = child.program, os.getpid()
        path = self.log_dir / f"{program.name}.log"
        if path.exists() and path.stat().st_size > _ROTATE_BYTES:
            path.replace(path.with_suffix(".log.1"))
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        for name, value in program.environment.items():
            environment.pop(name, None)
            if value is not None:
                environment[name] = value

        def prepare() -> None:
            if sys.platform == "linux":
                _libc.prctl(_PR_SET_PDEATHSIG, int(program.death_signal), 0, 0, 0)
                if os.getppid() != parent:
                    os._exit(1)

        with path.open("ab") as log:
            child.process = subprocess.Popen(
                list(program.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=environment,
                # A group of its own: Ctrl-C reaches the supervisor alone, which stops the rest in order.
                start_new_session=True,
                preexec_fn=prepare,
            )
        child.started, child.start_again_at = time.monotonic(), None
        self._on_event(f"{program.name}: started (process {child.process.pid}, {path.name})")

    def _watch(self) -> None:
        while not self._stopping.wait(_TICK_S):
            with self._lock:
                if self._stopping.is_set():
                    return
                for child in self._children:
                    self._attend(child)

    def _attend(self, child: _Child) -> None:
        now = time.monotonic()
        if child.start_again_at is not None:
            if now >= child.start_again_at:
                child.restarts += 1
                self._launch(child)
            return
        if child.process is None or child.process.poll() is None:
            return
        _signal_group(child, signal.SIGKILL)  # its own children, where it could not see to them
        quick = now - child.started < QUICK_EXIT_S
        child.quick_exits = child.quick_exits + 1 if quick else 1
        code = child.process.returncode
        if child.quick_exits > MAX_QUICK_EXITS and self.failed is None:
            self.failed = child.program.name
            self._on_event(f"{child.program.name}: keeps ending (exit code {code}); {self._tail(child)}")
        wait = min(MAX_BACK_OFF_S, 0.5 * 2.0 ** (child.quick_exits - 1))
        child.start_again_at = now + wait
        self._on_event(f"{child.program.name}: ended with exit code {code}; starting again in {wait:.1f} s")

    def _tail(self, child: _Child) -> str:
        path = self.log_dir / f"{child.program.name}.log"
        lines = path.read_text(errors="replace").strip().splitlines()[-5:]
        return f"the end of {path}:\n  " + "\n  ".join(lines)


def _signal_group(child: _Child, number: int) -> None:
    assert child.process is not None
    try:
        os.killpg(child.process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def wait_for_site(port: int, *, host: str = "127.0.0.1", timeout_s: float = 120.0) -> bool:
    """True once the web server gives an answer of any kind; False when it did not in time.

    An open port is not enough: the server listens before it has loaded the site.
    """
    address = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection(address, port, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse()
            return True
        except (OSError, http.client.HTTPException):
            time.sleep(_TICK_S)
        finally:
            connection.close()
    return False


# --- one `up` per folder --------------------------------------------------------------------------


class AlreadyUp(RuntimeError):
    """Another process supervises this folder; `pid` is that process."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"already up (process {pid}); `make down` stops it")
        self.pid = pid


def claim(var_dir: Path) -> int:
    """This process is the one supervisor of the folder until it ends; returns the descriptor that says so.

    Raises AlreadyUp when another one is. A lock, not a pid file: it cannot go stale.
    """
    path = var_dir / "run" / "up.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyUp(running_pid(var_dir) or 0) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def running_pid(var_dir: Path) -> int | None:
    """The process that supervises this folder now, or None."""
    try:
        descriptor = os.open(var_dir / "run" / "up.lock", os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 20).decode()
        return int(text) if text.isdigit() else None
    else:
        return None
    finally:
        os.close(descriptor)


def serve(*, port: int, host: str = "127.0.0.1", web: bool = True, on_event: Callable[[str], None] = print) -> int:
    """The whole site runs until SIGTERM or Ctrl-C; returns the exit code, 1 when a program cannot be kept running.

    Raises AlreadyUp when another process does this for the same folder.
    """
    from django.conf import settings

    lock = claim(settings.VAR_DIR)
    try:
        programs = site_programs(port=port, host=host, web=web)
        house = Supervisor(programs, settings.VAR_DIR / "logs", on_event=on_event)
        house.start()
        if web and wait_for_site(port, host=host):
            on_event(f"ready: http://{host}:{port}/ (Ctrl-C stops)")
        return house.run()
    finally:
        os.close(lock)


@contextmanager
def workers_for_command(var_dir: Path, *, on_event: Callable[[str], None] = lambda _line: None) -> Iterator[None]:
    """Workers run while the block does: those that are there already, else our own, gone afterwards.

    When the process whose workers we lean on ends first, ours take over, so that nobody waits for ever.
    """
    if _other_workers_answer():
        yield
        return
    leaving = threading.Event()

    def attempt() -> bool:
        try:
            lock = claim(var_dir)
        except AlreadyUp:
            return False
        try:
            with Supervisor(site_programs(port=0, web=False), var_dir / "logs", on_event=on_event):
                started.set()
                leaving.wait()
        finally:
            os.close(lock)
        return True

    def keep() -> None:
        while not leaving.is_set() and not attempt():
            started.set()  # somebody else's workers are there
            leaving.wait(0.5)
        started.set()

    started = threading.Event()
    keeper = threading.Thread(target=keep, name="workers", daemon=True)
    keeper.start()
    started.wait()
    try:
        yield
    finally:
        leaving.set()
        keeper.join()


def _other_workers_answer() -> bool:
    """Whether a broker of our own choosing has workers on other machines; never asked of the embedded one."""
    from django.conf import settings

    if not settings.ENV.REDIS_URL:
        return False
    from callcenter.celery import app

    names = {name.split("@")[0] for answer in app.control.ping(timeout=1.5) or [] for name in answer}
    return {"cpu", "speech"} <= names
