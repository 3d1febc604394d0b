"""The operations page tells the truth about settings and commands."""

from __future__ import annotations

import re
from pathlib import Path

from django.core.management import get_commands

from callcenter.settings.env import Env

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()


def test_every_setting_is_described_and_no_other() -> None:
    table = PAGE.split("<!-- settings:begin")[1].split("<!-- settings:end")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.M) == list(Env.model_fields)


def test_stated_defaults_are_the_defaults() -> None:
    table = PAGE.split("<!-- settings:begin")[1].split("<!-- settings:end")[0]
    for name, stated in re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", table, flags=re.M):
        default = Env.model_fields[name].default
        if name.endswith("_DIR") or name == "STORAGE_URL":
            continue  # said relative to the project's folder
        assert str(default).lower() == stated.lower(), name


def test_every_command_that_the_page_names_exists() -> None:
    for command in re.findall(r"manage\.py (\w+)", PAGE):
        assert command in get_commands() or command == "stands", command
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M)
    for target in re.findall(r"`make (\w+)", PAGE):
        assert target in targets, target
