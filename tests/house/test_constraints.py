"""What is installed is pinned and hashed, names no address, and keeps torch out of the site."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "constraints").glob("*.txt"))
HEAVY = {"torch", "torchaudio", "transformers", "pyannote.audio", "ctranslate2", "faster_whisper", "onnxruntime"}


def requirements(name: str) -> dict[str, list[Requirement]]:
    """Every requirement of a constraints file by canonical name (one may stand there once per Python version)."""
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "constraints" / name).read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            requirement = Requirement(line.rstrip(" \\"))
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_line_is_an_exact_version_or_a_hash(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    assert lines
    for line in lines:
        pin = re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,_-]+\])?==[A-Za-z0-9.+!_]+( ; .+)? \\$", line)
        assert pin or re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line


@pytest.mark.parametrize(
    "path", [*FILES, ROOT / "package.json", ROOT / "package-lock.json"], ids=lambda path: path.name
)
def test_no_lock_file_names_an_address(path: Path) -> None:
    assert "://" not in path.read_text()


def test_the_site_installs_without_torch() -> None:
    names = set(requirements("web.txt"))
    assert not {canonicalize_name(name) for name in HEAVY} & names
    assert not {name for name in names if name.startswith(("nvidia-", "triton"))}


def test_every_dependency_of_the_project_is_pinned_to_a_version_that_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for name, declared in (
        ("web.txt", project["dependencies"]),
        ("all.txt", [*project["dependencies"], *extras["worker"], *extras["dev"]]),
    ):
        pinned = requirements(name)
        for wanted in map(Requirement, declared):
            if canonicalize_name(wanted.name) == "callcenter":
                continue
            pins = pinned.get(canonicalize_name(wanted.name))
            assert pins, f"{wanted.name} is not in {name}: run `make lock`"
            for pin in pins:
                version = str(pin.specifier).removeprefix("==")
                assert wanted.specifier.contains(version, prereleases=True), f"{pin} against {wanted}"


def test_what_both_files_pin_they_pin_alike() -> None:
    web, everything = requirements("web.txt"), requirements("all.txt")
    for name, pins in web.items():
        assert {str(pin.specifier) for pin in pins} <= {str(pin.specifier) for pin in everything[name]}, name


def test_front_end_packages_are_pinned_and_verified() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    wanted = json.loads((ROOT / "package.json").read_text())
    for name, version in {**wanted["dependencies"], **wanted["devDependencies"]}.items():
        assert lock[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in entry for name, entry in lock.items() if name)


def test_importing_the_whole_site_loads_no_model_library() -> None:
    code = (
        "import django, sys; django.setup()\n"
        "import callcenter.urls, callcenter.wsgi, callcenter.celery\n"
        "from django.urls import get_resolver; get_resolver().url_patterns\n"
        "callcenter.celery.app.loader.import_default_modules()\n"
        f"loaded = {HEAVY!r} & set(sys.modules); sys.exit(', '.join(sorted(loaded)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-1500:]
