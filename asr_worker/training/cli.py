"""`python -m asr_worker.training fit --base M --dataset D --out DIR`: fine-tune a model on a dataset folder."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from asr_worker.training.config import METHODS, AugmentConfig, FitConfig
from asr_worker.types import SpeechError


def parser() -> argparse.ArgumentParser:
    """Return the command's parser: a flag per setting of FitConfig, and `--augment-*` per one of AugmentConfig."""
    top = argparse.ArgumentParser(prog="python -m asr_worker.training", description="Fine-tune speech models.")
    commands = top.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit", help="fine-tune a base model on a dataset")
    fit.add_argument("--base", required=True, help="catalogue name or directory of the model to start from")
    fit.add_argument("--dataset", required=True, type=Path, help="folder with manifest.jsonl")
    fit.add_argument("--out", required=True, type=Path, help="folder for the result; called again, it goes on")
    fit.add_argument("--old", type=Path, help="dataset folder of the old domain, watched against forgetting")
    fit.add_argument("--config", type=Path, help="JSON file with settings; flags go before it")
    fit.add_argument("--search", type=int, default=None, metavar="N", help="try N settings first (Optuna)")
    fit.add_argument("--json", action="store_true", help="print the result as one JSON object, no progress")
    fit.add_argument("--method", choices=METHODS, default=None)
    for setting in fields(FitConfig):
        if setting.name in ("method", "augment", "search_trials"):
            continue
        _flag(fit, f"--{setting.name.replace('_', '-')}", setting.name, setting.default)
    for setting in fields(AugmentConfig):
        if setting.default is not MISSING:
            _flag(fit, f"--augment-{setting.name.replace('_', '-')}", f"augment.{setting.name}", setting.default)
    return top


def _flag(to: argparse.ArgumentParser, flag: str, name: str, default: Any) -> None:
    if isinstance(default, bool):
        to.add_argument(flag, dest=name, default=None, action=argparse.BooleanOptionalAction, help=f"({default})")
    elif isinstance(default, tuple):
        kind = type(default[0])
        count: Any = "+" if kind is str else len(default)
        to.add_argument(flag, dest=name, default=None, type=kind, nargs=count, metavar="V", help=f"{default}")
    else:
        to.add_argument(flag, dest=name, default=None, type=type(default), metavar="V", help=f"({default})")


def config_of(args: argparse.Namespace) -> FitConfig:
    """Return the settings of a command line. Raises ValueError for an unknown or wrong one, OSError for its file."""
    document: dict[str, Any] = {}
    if args.config:
        document = json.loads(args.config.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError(f"{args.config.name} holds no settings")
    augment = dict(document.get("augment") or {})
    known = {f.name for f in fields(FitConfig)}
    for name, value in vars(args).items():
        if value is None:
            continue
        if name.startswith("augment."):
            augment[name.removeprefix("augment.")] = tuple(value) if isinstance(value, list) else value
        elif name in known:
            document[name] = value
    if args.search is not None:
        document["search_trials"] = args.search
    return FitConfig.from_json({**document, "augment": augment})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 when the fine-tuning failed, 2 when something was asked for that cannot be."""
    args = parser().parse_args(argv)
    try:
        config = config_of(args)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from asr_worker.engines.registry import find_model
    from asr_worker.training.fit import fit, ignore

    try:
        show = ignore if args.json else _Shown()
        done = fit(find_model(args.base), args.dataset, args.out, config, progress=show, validate_old=args.old)
    except SpeechError as error:
        print(f"error ({error.code}): {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(done.to_json()))
        return 0
    print(
        f"{done.method}: word error rate {done.validation_wer_before:.4f} -> {done.validation_wer_after:.4f} on "
        f"{done.validation_rows} held-out rows, {done.steps} steps, {done.seconds:.0f} s; {done.checkpoint}"
    )
    return 0


class _Shown:
    """Prints a line when the stage changes and at every tenth of the whole."""

    def __init__(self) -> None:
        self.last = ("", -1)

    def __call__(self, document: dict[str, Any]) -> None:
        now = (document["stage"], int(10 * document["fraction"]))
        if now == self.last and document["wer"] is None:
            return
        self.last = now
        loss = f", loss {document['loss']:.3f}" if document["loss"] is not None else ""
        wer = f", word error rate {document['wer']:.4f}" if document["wer"] is not None else ""
        left = f", {document['seconds_left']:.0f} s left" if document["seconds_left"] else ""
        print(f"{document['fraction']:>4.0%} {document['stage']}: step {document['step']}{loss}{wer}{left}", flush=True)
