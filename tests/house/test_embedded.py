"""The embedded services start once, serve everybody, survive crashes and never outlive their last user."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from callcenter.core import embedded
from tests.house.processes import all_gone, wait_until

ROOT = Path(__file__).resolve().parents[2]
USER = """
import json, sys
from pathlib import Path
from callcenter.core.embedded import ensure, status
ends = ensure(Path(sys.argv[1]))
now = status(Path(sys.argv[1]))
print(json.dumps({"database_url": ends.database_url, "redis_url": ends.redis_url, **vars(now)}), flush=True)
sys.stdin.read()
"""


class User:
    """A process that needs the services until it is told to go, or killed."""

    def __init__(self, var_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(var_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "CALLCENTER_SERVICES_LINGER": "0.2"},
        )
        self._seen: dict[str, object] | None = None

    @property
    def seen(self) -> dict[str, object]:
        if self._seen is None:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, "the process ended before it had services"
            self._seen = json.loads(line)
        return self._seen

    def pids(self) -> list[int]:
        return [int(str(self.seen[f"{name}_pid"])) for name in ("watchdog", "postgres", "valkey")]

    def leave(self) -> None:
        self.process.communicate("", timeout=30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose cluster exists already, so that each test starts it in well under a second.

    The name makes every path in it longer than a unix socket may have.
    """
    base = tmp_path_factory.mktemp("services")
    var_dir = base / ("long" * 30) / "var"
    first = User(var_dir)
    pids = first.pids()
    first.leave()
    wait_until(all_gone(pids), "the first start has been cleared away")
    yield var_dir
    embedded.stop(var_dir)
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def users(cluster: Path) -> Iterator[Callable[[], User]]:
    made: list[User] = []

    def make() -> User:
        made.append(User(cluster))
        return made[-1]

    yield make
    for user in made:
        if user.process.poll() is None:
            user.kill()
    wait_until(lambda: not embedded.status(cluster).running, "services stop after the test")


def test_both_servers_answer_and_the_application_role_is_no_superuser(users: Callable[[], User]) -> None:
    user = users()
    with psycopg.connect(str(user.seen["database_url"])) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version_num')::int, current_setting('is_superuser'), "
            "'[1,2]'::vector <-> '[1,5]'::vector, current_setting('max_connections')::int"
        ).fetchone()
    assert row is not None
    assert row[0] >= 180000 and row[1:] == ("off", 3.0, 200)
    client = redis.from_url(str(user.seen["redis_url"]))
    assert client.ping()
    config = client.config_get("*")
    assert config["maxmemory-policy"] == "noeviction"
    assert (config["appendonly"], config["appendfsync"]) == ("yes", "everysec")


def test_a_database_made_later_has_the_vector_type_too(users: Callable[[], User]) -> None:
    url = str(users().seen["database_url"])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS made_later")
        connection.execute("CREATE DATABASE made_later")
    with psycopg.connect(url, dbname="made_later") as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        assert connection.execute("SELECT '[1,2,3]'::vector::text").fetchone() == ("[1,2,3]",)


def test_neither_server_lets_in_a_stranger_without_the_password(users: Callable[[], User]) -> None:
    seen = users().seen
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=int(str(seen["postgres_port"])), user="callcenter", password="guess")
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=int(str(seen["valkey_port"]))).ping()


def test_passwords_are_in_private_files_and_on_no_command_line(users: Callable[[], User], cluster: Path) -> None:
    pids = users().pids()
    secrets = json.loads((cluster / "services.secret").read_text()).values()
    for path in (cluster / "services.secret", cluster / "run" / "services.json", cluster / "valkey" / "valkey.conf"):
        assert path.stat().st_mode & 0o077 == 0, path.name
    for pid in pids:
        command_line = " ".join(psutil.Process(pid).cmdline())
        assert not any(secret in command_line for secret in secrets)


def test_two_processes_that_start_at_once_share_the_same_servers(users: Callable[[], User]) -> None:
    racing = [users() for _ in range(4)]
    assert len({json.dumps(user.seen, sort_keys=True) for user in racing}) == 1


def test_the_servers_stay_while_one_user_is_left_and_go_when_it_is_killed(users: Callable[[], User]) -> None:
    first, second = users(), users()
    pids = first.pids()
    assert second.pids() == pids
    first.kill()
    with psycopg.connect(str(second.seen["database_url"])) as connection:
        connection.execute("SELECT 1")
    second.kill()
    wait_until(all_gone(pids), "watchdog, PostgreSQL and Valkey are gone after the last user was killed")


def test_a_killed_watchdog_takes_both_servers_with_it_and_the_next_user_starts_afresh(
    users: Callable[[], User],
) -> None:
    first = users()
    pids = first.pids()
    os.kill(pids[0], signal.SIGKILL)
    wait_until(all_gone(pids), "no orphan after the watchdog was killed")
    second = users()
    assert second.pids()[0] != pids[0]
    with psycopg.connect(str(second.seen["database_url"])) as connection:
        connection.execute("SELECT 1")


def test_a_server_that_is_killed_comes_back_on_the_same_address(users: Callable[[], User], cluster: Path) -> None:
    user = users()
    _, postgres_pid, valkey_pid = user.pids()
    os.kill(postgres_pid, signal.SIGKILL)
    os.kill(valkey_pid, signal.SIGKILL)

    def answers() -> bool:
        now = embedded.status(cluster)
        if now.postgres_pid in (0, postgres_pid) or now.valkey_pid in (0, valkey_pid):
            return False
        try:
            with psycopg.connect(str(user.seen["database_url"]), connect_timeout=2):
                return bool(redis.from_url(str(user.seen["redis_url"])).ping())
        except (psycopg.OperationalError, redis.exceptions.ConnectionError):
            return False

    wait_until(answers, "both servers answer again where they answered before")


def test_rows_and_queued_messages_survive_a_restart(users: Callable[[], User]) -> None:
    first = users()
    pids = first.pids()
    with psycopg.connect(str(first.seen["database_url"])) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        connection.execute("INSERT INTO kept VALUES (42)")
    redis.from_url(str(first.seen["redis_url"])).rpush("queue", "message")
    first.leave()
    wait_until(all_gone(pids), "stopped in between")
    second = users()
    with psycopg.connect(str(second.seen["database_url"])) as connection:
        assert connection.execute("SELECT max(n) FROM kept").fetchone() == (42,)
    assert redis.from_url(str(second.seen["redis_url"])).lpop("queue") == b"message"


def test_a_pid_file_that_names_a_stranger_does_not_keep_the_database_from_starting(
    users: Callable[[], User], cluster: Path
) -> None:
    pid_file = cluster / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{cluster / 'postgres'}\n1700000000\n5432\n\n127.0.0.1\n\nready   \n")
    with psycopg.connect(str(users().seen["database_url"])) as connection:
        connection.execute("SELECT 1")


def test_state_left_by_a_dead_watchdog_is_not_believed(users: Callable[[], User], cluster: Path) -> None:
    (cluster / "run" / "services.json").write_text(
        json.dumps({"ready": True, "watchdog_pid": os.getpid(), "database_url": "postgresql://old", "redis_url": ""})
    )
    assert not embedded.status(cluster).running
    assert users().seen["database_url"] != "postgresql://old"


def test_stop_ends_everything_even_with_users_left(users: Callable[[], User], cluster: Path) -> None:
    user = users()
    pids = user.pids()
    assert embedded.stop(cluster) is True
    wait_until(all_gone(pids), "stopped")
    assert embedded.stop(cluster) is False
    assert user.process.poll() is None


def test_a_lost_password_file_is_explained_with_its_cure(users: Callable[[], User], cluster: Path) -> None:
    secret = cluster / "services.secret"
    kept = secret.read_bytes()
    secret.unlink()
    try:
        with pytest.raises(embedded.EmbeddedServiceError, match="restore that file from a backup"):
            embedded.ensure(cluster)
    finally:
        embedded.release(cluster)
        secret.write_bytes(kept)
        secret.chmod(0o600)


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(embedded.EmbeddedServiceError, match="DATABASE_URL"):
        embedded.ensure(blocked / "var")
