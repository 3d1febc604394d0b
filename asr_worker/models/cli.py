"""`python -m asr_worker.models pull | list | verify`: exit code 0 when all is well, 1 with one line of reason."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from asr_worker.models import catalogue, store
from asr_worker.models.errors import ModelError
from asr_worker.models.pull import pull


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    directory = Path(options.models_dir).expanduser().absolute() if options.models_dir else store.models_dir()
    console = Console(stderr=True)
    try:
        models = _chosen(options)
        if options.command == "pull":
            return _pull(models, directory, console)
        if options.command == "list":
            return _list(models, directory, as_json=options.json)
        return _verify(models, directory, console, as_json=options.json)
    except ModelError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("stopped; nothing half-installed was left", markup=False)
        return 130


def _parser() -> argparse.ArgumentParser:
    sets = ", ".join(catalogue.SETS)
    parser = argparse.ArgumentParser(prog="python -m asr_worker.models", description="Install and check models.")
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {"pull": "install models", "list": "show the catalogue", "verify": "hash installed models again"}
    for command, text in helps.items():
        sub = commands.add_parser(command, help=text, description=text)
        default = {"pull": "demo", "list": "all", "verify": "all installed"}[command]
        sub.add_argument(
            "names", nargs="*", metavar="NAME", help=f"names, aliases or sets ({sets}); default: {default}"
        )
        sub.add_argument("--models-dir", help="the models folder (default: MODELS_DIR, else var/models)")
        if command != "pull":
            sub.add_argument("--json", action="store_true", help="for machines")
    return parser


def _chosen(options: argparse.Namespace) -> list[catalogue.Model]:
    names = options.names or (["demo"] if options.command == "pull" else ["all"])
    try:
        return catalogue.expand(names)
    except KeyError as error:
        known = ", ".join(m.name for m in catalogue.CATALOGUE)
        raise ModelError(f"no model {error.args[0]!r}; there are: {known}; sets: {', '.join(catalogue.SETS)}") from None


def _pull(models: list[catalogue.Model], directory: Path, console: Console) -> int:
    # Converters draw their own bars; ours is enough.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    failures = []
    columns = (
        SpinnerColumn(), TextColumn("{task.fields[model]:<22}"), BarColumn(), TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        for model in models:
            task = progress.add_task("looking", model=model.name, total=None)
            try:
                fresh = pull(model, directory=directory, advance=_reporter(progress, task))
            except ModelError as error:
                failures.append(str(error))
                progress.update(task, description="failed", total=1, completed=0)
                continue
            progress.update(task, description="installed" if fresh else "already there", total=1, completed=1)
    for failure in failures:
        console.print(f"error: {failure}", style="red", markup=False, highlight=False, soft_wrap=True)
    return 1 if failures else 0


def _reporter(progress: Progress, task: TaskID) -> Any:
    def advance(what: str, done: int, total: int) -> None:
        progress.update(task, description=what, completed=min(done, total), total=total or None)

    return advance


def _list(models: list[catalogue.Model], directory: Path, *, as_json: bool) -> int:
    rows = []
    for model in models:
        record = store.read_record(directory / model.name)
        here = store.installed(model, directory)
        rows.append(
            {
                "name": model.name,
                "aliases": list(model.aliases),
                "kind": model.kind,
                "licence": model.licence,
                "size": model.size,
                "note": model.note,
                "installed": here,
                "path": str(directory / model.name) if here else None,
                "source": record.get("source") if record else None,
                "built_at": record.get("built_at") if record else None,
            }
        )
    if as_json:
        json.dump({"models_dir": str(directory), "models": rows}, sys.stdout, indent=2)
        print()
        return 0
    table = Table("name", "kind", "size", "licence", "installed", "what it is")
    for row in rows:
        size = f"{row['size'] // 1_000_000} MB"  # type: ignore[operator]
        state = "yes" if row["installed"] else "no"
        table.add_row(str(row["name"]), str(row["kind"]), size, str(row["licence"]), state, str(row["note"]))
    Console().print(table)
    return 0


def _verify(models: list[catalogue.Model], directory: Path, console: Console, *, as_json: bool) -> int:
    """Rehash. Named models must be there; without names, those that are not installed are not looked for."""
    named = len(models) < len(catalogue.CATALOGUE)
    results: list[dict[str, Any]] = []
    with Progress(
        TextColumn("{task.fields[model]:<22}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
        console=console, transient=True, disable=as_json,
    ) as progress:  # fmt: skip
        for model in models:
            path = directory / model.name
            if not path.exists() and not named:
                continue
            record = store.read_record(path)
            total = sum(fact["size"] for fact in record["files"].values()) if record else 1
            task = progress.add_task("", model=model.name, total=total)
            problems = store.verify(path, lambda count, task=task: progress.advance(task, count))  # type: ignore[misc]
            if not problems and not store.installed(model, directory):
                problems = ["made by an older recipe"]
            results.append({"name": model.name, "ok": not problems, "problems": problems})
    bad = [r for r in results if not r["ok"]]
    if as_json:
        json.dump({"models_dir": str(directory), "ok": not bad, "models": results}, sys.stdout, indent=2)
        print()
    else:
        for result in results:
            state = "ok" if result["ok"] else "; ".join(result["problems"])
            print(f"{result['name']:<22} {state}")
        if not results:
            print("no models are installed; run: python -m asr_worker.models pull")
    for result in bad:
        name = result["name"]
        hint = f"error: {name}: {result['problems'][0]}; cure: python -m asr_worker.models pull {name}"
        console.print(hint, style="red", markup=False, highlight=False, soft_wrap=True)
    return 1 if bad else 0
