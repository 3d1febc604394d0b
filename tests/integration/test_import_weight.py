"""The web side starts without the weight of models, and each part without the frameworks of the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "torchaudio", "transformers", "pyannote", "sklearn", "scipy", "ctranslate2", "faster_whisper", "peft"}
PROBE = """
import importlib, json, os, sys
if os.environ.get("DJANGO_SETTINGS_MODULE"):
    import django
    django.setup()
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({m.partition(".")[0] for m in sys.modules})))
"""


def loaded_by(tmp_path: Path, *modules: str, django: bool) -> set[str]:
    """Return the top-level packages in memory after importing the modules in a fresh process."""
    environment = {**os.environ, "EMBEDDED_SERVICES": "false", "VAR_DIR": str(tmp_path), "SECRET_KEY": "x" * 50}
    for name in ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL", "ANALYTICS_DATABASE_URL"):
        environment.pop(name, None)
    if django:
        environment["DJANGO_SETTINGS_MODULE"] = "callcenter.settings.dev"
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *modules], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "modules", [("callcenter.urls",), ("callcenter.wsgi",), ("callcenter.celery", "callcenter.pipeline.tasks")]
)
def test_the_web_side_starts_without_any_model_library(tmp_path: Path, modules: tuple[str, ...]) -> None:
    assert not HEAVY & loaded_by(tmp_path, *modules, django=True)


def test_every_view_task_and_service_of_the_web_side_is_light(tmp_path: Path) -> None:
    folder = ROOT / "callcenter"
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted(folder.rglob("*.py"))
        if not {"migrations", "settings", "demo"} & set(path.relative_to(ROOT).parts) and path.stem != "__init__"
    ]
    assert len(names) > 60
    assert not HEAVY & loaded_by(tmp_path, *names, django=True)


def test_the_warehouse_knows_no_django(tmp_path: Path) -> None:
    found = loaded_by(tmp_path, "analytics.warehouse", "analytics.warehouse.queries", django=False)
    assert not (HEAVY | {"django", "callcenter", "asr_worker"}) & found


def test_understanding_knows_no_django_and_loads_no_model_when_imported(tmp_path: Path) -> None:
    found = loaded_by(tmp_path, "analytics.nlu", django=False)
    assert not {"django", "callcenter", "asr_worker", "torch", "transformers"} & found


@pytest.mark.parametrize("module", ["types", "storage", "audio", "channels", "assemble", "normalise"])
def test_what_the_speech_side_shares_is_light_and_knows_no_django(tmp_path: Path, module: str) -> None:
    found = loaded_by(tmp_path, f"asr_worker.{module}", django=False)
    assert not (HEAVY | {"django", "callcenter", "analytics", "sqlalchemy", "psycopg"}) & found


def test_the_speech_workers_application_starts_light_and_knows_none_of_the_other_parts(tmp_path: Path) -> None:
    # Celery's own JSON encoder looks for a class of Django where Django is installed; that is not ours.
    found = loaded_by(tmp_path, "asr_worker.celery", django=False)
    assert not (HEAVY | {"callcenter", "analytics", "sqlalchemy", "psycopg"}) & found
