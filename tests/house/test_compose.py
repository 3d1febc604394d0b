"""The container files name only what exists: commands, applications, ports, variables, folders."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from callcenter.settings.env import Env

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
# Variables that somebody else than Env reads: Django, boto3, compose itself, the two servers.
OTHERS = {
    "DJANGO_SETTINGS_MODULE",
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"),
    *("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "VALKEY_PASSWORD", "PORT"),
    "LEARNING_DIR",
}
IMAGE_ONLY = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_CACHE_DIR"}


def known(name: str) -> bool:
    return name in Env.model_fields or name in OTHERS


def words(command: str | list[str]) -> list[str]:
    return command if isinstance(command, list) else shlex.split(command)


def check_command(parts: list[str]) -> None:
    """The command's program, module, application or management command exists in this project."""
    if parts[0] == "nice":
        parts = parts[3:]
    while parts[:2] == ["python", "-m"]:
        parts = parts[2:]
    if parts[0] == "python":
        assert parts[1] == "manage.py", parts
        assert parts[2] in get_commands(), parts[2]
    elif parts[0] == "celery":
        module = parts[parts.index("-A") + 1]
        assert importlib.util.find_spec(module), module
        if "-Q" in parts:
            source = Path(str(importlib.util.find_spec(module).origin)).read_text()  # type: ignore[union-attr]
            for queue in parts[parts.index("-Q") + 1].split(","):
                assert f'"{queue}"' in source, queue
    elif parts[0] == "gunicorn":
        assert importlib.util.find_spec(parts[1]), parts[1]
    else:
        assert importlib.util.find_spec(parts[0]), parts[0]


@pytest.mark.parametrize("name", OURS)
def test_every_command_exists(name: str) -> None:
    check_command(words(OURS[name].get("command") or ["gunicorn", "callcenter.wsgi"]))


@pytest.mark.parametrize("name", OURS)
def test_every_image_is_a_stage_of_the_dockerfile_that_runs_as_nobody_in_particular(name: str) -> None:
    target = OURS[name]["build"]["target"]
    stage = re.split(r"^FROM ", DOCKERFILE, flags=re.M)
    body = next(part for part in stage if re.match(rf"\S+ AS {target}\n", part))
    users = re.findall(r"^USER (\S+)", body, flags=re.M)
    assert users and users[-1] not in {"root", "0"}
    assert "HEALTHCHECK" in body


def test_the_commands_of_the_dockerfile_exist() -> None:
    commands = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, flags=re.M)
    assert len(commands) == 2
    for command in commands:
        check_command(yaml.safe_load(command))


def test_every_folder_that_the_dockerfile_copies_exists() -> None:
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source


@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_is_one_that_somebody_reads(name: str) -> None:
    for variable in SERVICES[name].get("environment", {}):
        assert known(variable), variable


def test_every_variable_of_the_dockerfile_is_one_that_somebody_reads() -> None:
    block = re.search(r"^ENV (.+?)(?<!\\)\n", DOCKERFILE, flags=re.M | re.S)
    assert block
    for variable in re.findall(r"(\w+)=", block[1]):
        assert known(variable) or variable in IMAGE_ONLY | {"PYANNOTE_METRICS_ENABLED"}, variable


def test_every_variable_that_compose_asks_for_is_in_the_example_and_the_other_way_round() -> None:
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    offered = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), flags=re.M))
    assert asked == offered
    assert all(known(name) for name in offered)


def test_the_example_holds_no_secret() -> None:
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "VALKEY_PASSWORD"):
        assert re.search(rf"^{name}=$", (ROOT / ".env.example").read_text(), flags=re.M)
        assert f"${{{name}:?" in (ROOT / "docker-compose.yml").read_text()


def test_the_values_of_the_example_are_accepted_by_the_settings() -> None:
    lines = re.findall(r"^(\w+)=(.+)$", (ROOT / ".env.example").read_text(), flags=re.M)
    Env(**{name: value for name, value in lines if name in Env.model_fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SERVICES)
def test_every_volume_is_declared(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        assert volume.split(":")[0] in COMPOSE["volumes"]


@pytest.mark.parametrize("name", [n for n, s in SERVICES.items() if s.get("restart") == "unless-stopped"])
def test_every_lasting_service_has_a_health_check_or_says_why_not(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check.get("test") or name.startswith("learning")


@pytest.mark.parametrize("name", SERVICES)
def test_who_is_waited_for_exists_and_can_be_healthy(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if how["condition"] == "service_healthy":
            assert SERVICES[other]["healthcheck"]["test"]


def test_the_site_listens_where_its_port_and_its_health_check_point() -> None:
    web = SERVICES["web"]
    assert "--bind 0.0.0.0:8000" in web["command"]
    assert web["ports"] == ["${PORT:-8000}:8000"]
    assert "127.0.0.1:8000/healthz" in str(web["healthcheck"]["test"])
    assert "EXPOSE 8000" in DOCKERFILE


def test_the_health_check_asks_an_address_that_exists() -> None:
    from django.urls import resolve

    assert resolve("/healthz")


def test_every_queue_has_a_worker() -> None:
    served = set()
    for service in OURS.values():
        parts = words(service.get("command", ""))
        if "-Q" in parts:
            served |= set(parts[parts.index("-Q") + 1].split(","))
    assert served == {"default", "ingest", "nlu", "speech", "learning"}


@pytest.mark.parametrize("name", ["speech", "speech-gpu", "learning", "learning-gpu"])
def test_a_speech_or_learning_worker_takes_one_job_at_a_time_and_knows_no_database(name: str) -> None:
    command = SERVICES[name]["command"]
    assert "--pool=solo" in command and "--prefetch-multiplier=1" in command
    assert not {"DATABASE_URL", "ANALYTICS_DATABASE_URL", "SECRET_KEY"} & set(SERVICES[name]["environment"])


def test_the_gpu_worker_reserves_a_gpu_and_only_on_request() -> None:
    service = SERVICES["speech-gpu"]
    assert service["profiles"] == ["gpu"]
    device = service["deploy"]["resources"]["reservations"]["devices"][0]
    assert device["driver"] == "nvidia" and "gpu" in device["capabilities"]
    assert service["environment"]["SPEECH_DEVICE"] == "cuda"


def test_the_database_of_the_containers_has_the_vector_extension() -> None:
    assert SERVICES["postgres"]["image"].startswith("pgvector/pgvector:pg18")
