"""Every rule keeps the version that it stands at; what people decided on alerts is kept from deletion."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def remember(apps: Any, schema_editor: Any) -> None:
    """Give every rule the version that it stands at, and keep what people have decided."""
    rule, version = apps.get_model("insights", "Rule"), apps.get_model("insights", "RuleVersion")
    version.objects.bulk_create(
        version(rule=r, version=r.version, definition=r.definition, note="As it stood.", created_at=r.updated_at)
        for r in rule.objects.all()
    )
    decided = apps.get_model("insights", "Alert").objects.exclude(status="open")
    decided.update(touched=True, first_handled_at=models.F("handled_at"))
    decided.filter(status="dismissed").update(dismiss_kind="wrong")


class Migration(migrations.Migration):
    dependencies = [("insights", "0002_risk_triage")]

    operations = [migrations.RunPython(remember, migrations.RunPython.noop)]
