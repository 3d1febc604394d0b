from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pipeline", "0001_initial")]

    operations = [
        migrations.AddField(model_name="run", name="held", field=models.BooleanField(default=False)),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["created_at"], condition=models.Q(("held", True)), name="run_held"),
        ),
    ]
