"""`manage.py model list|show|promote|rollback|evaluate|upload|flag`: the registry from the command line."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from callcenter.core.errors import CallcenterError
from callcenter.learning.models import Model
from callcenter.learning.services import registry


class Command(BaseCommand):
    help = "Shows the models, puts one live or back, has one judged, brings one in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="all models; the served one is marked")
        show = actions.add_parser("show", help="one model: figures, checks of the gate, lineage")
        show.add_argument("name")
        promote = actions.add_parser("promote", help="make a model the served one")
        promote.add_argument("name")
        promote.add_argument("--force", metavar="REASON", default="", help="although it has not passed the gate")
        back = actions.add_parser("rollback", help="serve again what was served before")
        back.add_argument("--reason", default="")
        judge = actions.add_parser("evaluate", help="put a model through the gate against the served one")
        judge.add_argument("name")
        judge.add_argument("--golden", help="name of the golden set (default: the newest)")
        upload = actions.add_parser("upload", help="bring in a model trained elsewhere: a folder or a zip")
        upload.add_argument("path", type=Path)
        upload.add_argument("--name", required=True)
        flag = actions.add_parser("flag", help="flag the models that learned from a caller")
        flag.add_argument("--customer", required=True, metavar="REF")
        flag.add_argument("--reason", default="A caller whose calls it learned from was erased.")

    def handle(self, *args: Any, **options: Any) -> None:
        registry.served()
        try:
            getattr(self, f"_{options['action']}")(options)
        except CallcenterError as error:
            raise CommandError(error.message) from error

    def _list(self, options: dict[str, Any]) -> None:
        for model in Model.objects.all():
            mark = "*" if model.status == Model.Status.SERVED else " "
            flagged = "  FLAGGED" if model.flagged_reason else ""
            made = f"{timezone.localtime(model.created_at):%Y-%m-%d %H:%M}"
            self.stdout.write(
                f"{mark} {model.name:40}  {model.get_status_display():22}  {model.engine}  {made}{flagged}"
            )

    def _show(self, options: dict[str, Any]) -> None:
        model = find(options["name"])
        write = self.stdout.write
        write(f"{model.name}: {model.get_status_display().lower()}")
        write(f"  reference  {model.reference}")
        write(f"  engine     {model.engine} {model.compute_type}")
        if model.flagged_reason:
            write(f"  flagged    {model.flagged_reason}")
        run = model.training_run
        if run is not None and run.dataset is not None:
            write(f"  trained    {run.method} from {run.base} on {run.dataset.name} ({run.dataset.sha256[:12]})")
        for evaluation in model.evaluations.all()[:6]:
            wer = evaluation.figures.get("wer")
            shown = "–" if wer is None else f"{wer:.1%}"
            where = f"{evaluation.dataset or 'a set'}, normaliser {evaluation.normaliser}"
            write(f"  {evaluation.data_name:9}  WER {shown} on {where}")
        judged = model.judged_by.exclude(verdict={}).first()
        for check in judged.verdict.get("checks", []) if judged else []:
            write(f"  {'passed' if check['passed'] else 'FAILED':9}  {check['title']}: {check['detail']}")

    def _promote(self, options: dict[str, Any]) -> None:
        model = find(options["name"])
        made = registry.promote(model=model, by=None, forced_reason=options["force"])
        self.stdout.write(f"{model.name} is live" if made else f"{model.name} was live already")

    def _rollback(self, options: dict[str, Any]) -> None:
        made = registry.rollback(by=None, reason=options["reason"])
        assert made is not None
        self.stdout.write(f"{made.model.name} is live again")

    def _evaluate(self, options: dict[str, Any]) -> None:
        from callcenter.learning.management.commands.dataset import find as find_dataset
        from callcenter.learning.services import training

        golden = find_dataset(options["golden"]) if options["golden"] else None
        run = training.evaluate(model=find(options["name"]), by=None, golden=golden)
        self.stdout.write(f"evaluation {run.pk} is in line; the learning worker does it")

    def _upload(self, options: dict[str, Any]) -> None:
        from callcenter.learning.services import uploads

        model = uploads.upload(path=options["path"], name=options["name"], by=None)
        self.stdout.write(f"{model.name} is stored; next: manage.py model evaluate {model.name}")

    def _flag(self, options: dict[str, Any]) -> None:
        from callcenter.calls.models import Call

        calls = Call.objects.filter(customer_ref=options["customer"])
        if not calls:
            raise CommandError(f"There is no call of the customer “{options['customer']}”.")
        flagged = registry.flag_models_of(calls, reason=options["reason"])
        self.stdout.write(f"{len(flagged)} models flagged" + "".join(f"\n  {model.name}" for model in flagged))


def find(name: str) -> Model:
    """Return a model by name or by the beginning of its SHA-256. Raises CommandError."""
    found = Model.objects.filter(name=name).first()
    if found is None and len(name) >= 6:
        found = Model.objects.filter(sha256__startswith=name.lower()).first()
    if found is None:
        raise CommandError(f"There is no model “{name}”. See: manage.py model list")
    return found
