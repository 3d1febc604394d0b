"""What the documents name is there: make targets, commands, variables, files and folders."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from callcenter.settings.env import Env

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS if path.is_file()]
# Read by somebody else than our settings: Django, the speech side, pip, npm, boto3, make, the driver.
OTHERS = {
    *("DJANGO_SETTINGS_MODULE", "CALLCENTER_HUB", "CALLCENTER_DATA", "HF_TOKEN", "DOWNLOADS_DIR"),
    *("PIP_INDEX_URL", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYANNOTE_METRICS_ENABLED"),
    *("SERVE", "PORT", "DATA", "DETACH", "PYTHON", "CHROMIUM"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_"),
    *("POSTGRES_PASSWORD", "POSTGRES_USER", "POSTGRES_DB", "VALKEY_PASSWORD"),
}
# Made when the product runs, or the reader's own.
MADE = (
    "var/",
    "screenshots/",
    ".venv",
    "node_modules",
    ".env",
    "../",
    "~",
    "/",
    "staging/",
    "originals/",
    "recordings/",
    "artefacts/",
    "taken/",
)
SUFFIXES = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".jsonl", ".html", ".js", ".css", ".cfg", ".ini"}


def code_of(name: str) -> list[str]:
    """Return the back-ticked stretches and the lines of the fenced blocks of a document."""
    text = (ROOT / name).read_text(encoding="utf-8")
    fenced = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.S | re.M)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    lines = [line.split("#")[0].strip() for block in fenced for line in block.splitlines()]
    return [piece for piece in [*re.findall(r"`([^`\n]+)`", prose), *lines] if piece]


@pytest.fixture(scope="module")
def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z%-]*):", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("name", NAMES)
def test_every_make_target_exists(name: str, targets: set[str]) -> None:
    named = {
        word
        for piece in code_of(name)
        for run in re.findall(r"(?:^|\s|&&\s*)make((?:\s+[A-Za-z][\w%=./-]*)+)", piece)
        for word in run.split()[:1]
        if "=" not in word
    }
    wrong = {word for word in named if word not in targets and not word.lower().startswith("bench-")}
    assert not wrong


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_exists(name: str) -> None:
    named = {n for piece in code_of(name) for n in re.findall(r"make bench-([a-z_]+)", piece)}
    assert not {n for n in named if not (ROOT / "benchmarks" / f"{n}.py").is_file()}


@pytest.mark.parametrize("name", NAMES)
def test_every_management_command_exists(name: str) -> None:
    named = {n for piece in code_of(name) for n in re.findall(r"manage\.py\s+([a-z][\w-]*)", piece)}
    assert not named - set(get_commands())


@pytest.mark.parametrize("name", NAMES)
def test_every_python_module_that_is_run_exists(name: str) -> None:
    pattern = r"(?:python|celery|gunicorn)\S*\s+(?:-m|-A)?\s*((?:asr_worker|analytics|callcenter|benchmarks)[\w.]*)"
    named = {n.rstrip(".") for piece in code_of(name) for n in re.findall(pattern, piece)}
    assert not {n for n in named if importlib.util.find_spec(n) is None}


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_is_read_by_something(name: str) -> None:
    pattern = r"^(?:export )?([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=\S*)?(?:$|\s)"
    named = {n for piece in code_of(name) for n in re.findall(pattern, piece)}
    known = set(Env.model_fields) | OTHERS
    wrong = {n for n in named if n.removesuffix("_FILE") not in known and n != "NAME_FILE"}
    assert not {n for n in wrong if not is_constant(n)}


def is_constant(name: str) -> bool:
    """Say whether our own code has a constant of that name or, in a benchmark, reads the variable."""
    return any(
        re.search(rf"^{name}\b|environ[^\n]*[\"']{name}[\"']", path.read_text(), re.M)
        for part in ("callcenter", "asr_worker", "analytics", "benchmarks")
        for path in (ROOT / part).rglob("*.py")
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_file_and_folder_exists(name: str) -> None:
    named = set()
    for piece in code_of(name):
        if re.fullmatch(r"\.?[\w.@-]+(/[\w.@-]+)*/?", piece) and not piece.startswith(MADE):
            path = Path(piece)
            if piece.endswith("/") or ("/" in piece and path.suffix in SUFFIXES):
                named.add(piece)
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", (ROOT / name).read_text(encoding="utf-8"))
    folder = (ROOT / name).parent
    lost = {n for n in named if not any((base / n).exists() for base in (ROOT, folder, *package_roots()))}
    lost |= {link for link in links if not (folder / link).exists() and not link.startswith(("mailto", "/"))}
    assert not lost


def package_roots() -> list[Path]:
    """Documents name files from the part that they are about, too."""
    parts = ("asr_worker", "analytics", "analytics/warehouse", "analytics/nlu", "callcenter", "tests")
    return [ROOT / part for part in parts]
