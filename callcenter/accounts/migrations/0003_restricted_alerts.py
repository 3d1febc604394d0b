"""Who may see alerts on self-harm and threats. Whoever could see them until now keeps the right."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def keep(apps: Any, schema_editor: Any) -> None:
    user = apps.get_model("accounts", "User")
    user.objects.filter(role__in=["supervisor", "compliance"]).update(restricted_alerts=True)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_training_consent")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="restricted_alerts",
            field=models.BooleanField(
                default=False,
                help_text="Counts for supervisors and compliance officers; administrators always may.",
                verbose_name="may see self-harm alerts",
            ),
        ),
        migrations.RunPython(keep, migrations.RunPython.noop),
    ]
