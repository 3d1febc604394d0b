"""Programs run together: restarted when they crash, told apart by their logs, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from callcenter.core import supervisor
from callcenter.core.supervisor import AlreadyUp, Program, Supervisor
from tests.house.processes import all_gone, wait_until

ROOT = Path(__file__).resolve().parents[2]
WAITS = "import signal; signal.pause()"
IGNORES = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


def python(name: str, code: str, **environment: str | None) -> Program:
    return Program(name, [sys.executable, "-c", code], environment)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def make(*programs: Program) -> Supervisor:
        made.append(Supervisor(programs, tmp_path / "logs", on_event=lambda _line: None))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop(grace_s=1)


def test_a_program_that_is_killed_comes_back(house: Callable[..., Supervisor]) -> None:
    running = house(python("a", WAITS), python("b", WAITS))
    first = running.pids()
    os.kill(first["a"], signal.SIGKILL)
    wait_until(lambda: running.pids().get("a") not in (None, first["a"]), "a runs again")
    assert running.restarts() == {"a": 1, "b": 0}
    assert running.pids()["b"] == first["b"]


def test_stopping_leaves_nothing_even_of_a_program_that_does_not_listen(
    house: Callable[..., Supervisor], tmp_path: Path
) -> None:
    running = house(python("deaf", IGNORES), python("obedient", WAITS))
    wait_until(lambda: "deaf" in (tmp_path / "logs" / "deaf.log").read_text(), "the signal handler is in place")
    pids = running.pids().values()
    running.stop(grace_s=0.2)
    wait_until(all_gone(pids), "both have ended")
    assert running.pids() == {}


def test_the_children_of_a_child_go_with_it(house: Callable[..., Supervisor], tmp_path: Path) -> None:
    spawns = (
        f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {IGNORES!r}]).pid, flush=True);{WAITS}"
    )
    running = house(python("parent", spawns))
    log = tmp_path / "logs" / "parent.log"
    wait_until(lambda: "deaf" in log.read_text(), "the grandchild runs")
    grandchild = int(log.read_text().split()[0])
    running.stop(grace_s=0.2)
    wait_until(all_gone([grandchild]), "the grandchild has ended")


def test_a_killed_supervisor_leaves_no_child(tmp_path: Path) -> None:
    code = (
        "import json, signal, sys; from pathlib import Path; from callcenter.core.supervisor import *\n"
        f"s = Supervisor([Program('a', [sys.executable, '-c', {WAITS!r}])], Path(sys.argv[1]), on_event=len)\n"
        "s.start(); print(json.dumps(s.pids()), flush=True); s.run()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    pids = json.loads(process.stdout.readline()).values()
    assert not all_gone(pids)()
    process.kill()
    process.wait(timeout=10)
    wait_until(all_gone(pids), "the child has ended")


def test_a_supervisor_that_is_asked_to_stop_ends_well(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from callcenter.core.supervisor import *\n"
        f"s = Supervisor([Program('a', [sys.executable, '-c', {WAITS!r}])], Path(sys.argv[1]), on_event=len)\n"
        "s.start(); told = []\n"
        "def tell(): told or told.append(print(s.pids()['a'], flush=True))\n"
        "sys.exit(s.run(until=tell))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    child = int(process.stdout.readline())  # said from within run(), so the signal finds it listening
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert all_gone([child])()


def test_a_program_that_cannot_be_kept_running_stops_the_rest_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "MAX_QUICK_EXITS", 1)
    monkeypatch.setattr(supervisor, "MAX_BACK_OFF_S", 0.05)
    events: list[str] = []
    broken = python("broken", "import sys; sys.exit('the address is in use')")
    house = Supervisor([broken, python("fine", WAITS)], tmp_path, on_event=events.append)
    house.start()
    pids = house.pids().values()
    assert house.run() == 1
    assert house.failed == "broken"
    assert any("the address is in use" in line for line in events)
    assert all_gone(pids)()


def test_a_program_sees_the_variables_it_is_given_and_none_that_is_withheld(
    house: Callable[..., Supervisor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://not-for-you")
    show = "import os; print(os.environ.get('REDIS_URL'), os.environ.get('DATABASE_URL'), flush=True);" + WAITS
    house(python("speech", show, REDIS_URL="redis://here", DATABASE_URL=None))
    log = tmp_path / "logs" / "speech.log"
    wait_until(lambda: log.read_text() == "redis://here None\n", "it has printed what it sees")


def test_a_second_up_on_the_same_folder_is_told_of_the_first(tmp_path: Path) -> None:
    lock = supervisor.claim(tmp_path)
    assert supervisor.running_pid(tmp_path) == os.getpid()
    with pytest.raises(AlreadyUp, match=f"process {os.getpid()}"):
        supervisor.claim(tmp_path)
    os.close(lock)
    assert supervisor.running_pid(tmp_path) is None
    os.close(supervisor.claim(tmp_path))


@pytest.fixture
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "site_programs", lambda **_options: [python("worker", WAITS)])
    monkeypatch.setattr(supervisor, "_other_workers_answer", lambda: False)


def workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if WAITS in child.cmdline()]


@pytest.mark.usefixtures("one_worker")
def test_a_command_gets_workers_for_as_long_as_it_runs(tmp_path: Path) -> None:
    with supervisor.workers_for_command(tmp_path):
        wait_until(lambda: len(workers()) == 1, "a worker runs")
        with supervisor.workers_for_command(tmp_path):
            assert len(workers()) == 1
    assert workers() == []


@pytest.mark.usefixtures("one_worker")
def test_a_command_that_leant_on_another_takes_over_when_that_one_ends(tmp_path: Path) -> None:
    lock = supervisor.claim(tmp_path)
    with supervisor.workers_for_command(tmp_path):
        assert workers() == []
        os.close(lock)
        wait_until(lambda: len(workers()) == 1, "its own worker runs now")
    assert workers() == []
