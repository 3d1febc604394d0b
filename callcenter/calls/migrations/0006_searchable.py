import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.db import migrations, models

NAME = "calls_turn_search_cddc27_gin"


class Migration(migrations.Migration):
    """The index of words is made of what may be searched for. Until `manage.py redact --all` that is the whole text."""

    dependencies = [("calls", "0005_comments")]

    operations = [
        migrations.RemoveIndex(model_name="turn", name=NAME),
        migrations.RemoveField(model_name="turn", name="search"),
        migrations.AddField(
            model_name="turn", name="searchable", field=models.TextField(blank=True, default=""), preserve_default=False
        ),
        migrations.RunSQL("UPDATE calls_turn SET searchable = text", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="turn",
            name="search",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.contrib.postgres.search.SearchVector("searchable", config="english"),
                output_field=django.contrib.postgres.search.SearchVectorField(),
            ),
        ),
        migrations.AddIndex(
            model_name="turn", index=django.contrib.postgres.indexes.GinIndex(fields=["search"], name=NAME)
        ),
    ]
