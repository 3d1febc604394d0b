"""A generated history is what it says: equal in tables and warehouse, refused beside real calls, removable."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Avg, Count

from analytics.warehouse import ALL_TEAMS, CallFilter, loader, queries, rollups
from callcenter.accounts.models import Team, User
from callcenter.calls.models import Call, Queue, Recording, Turn
from callcenter.dashboards.history import store
from callcenter.insights.models import Alert, Insight
from tests.factories import understood_call


def seed(**options: Any) -> str:
    out = StringIO()
    call_command("seed_history", stdout=out, **{"calls": 300, "days": 60, **options})
    return out.getvalue()


def test_tables_and_warehouse_say_the_same_of_a_generated_history(warehouse: Any, db: None) -> None:
    said = seed()
    assert said.startswith("300 calls, ")
    failed = Call.objects.filter(transcript=None).count()
    figures = queries.headline(warehouse, CallFilter(ALL_TEAMS))
    assert figures.calls == 300 - failed == Insight.objects.count()
    assert figures.alerts == Alert.objects.exclude(category="self_harm").count() > 0
    assert figures.sentiment == pytest.approx(Insight.objects.aggregate(mean=Avg("sentiment"))["mean"])
    assert figures.reviewed_calls == Turn.objects.exclude(review="").aggregate(n=Count("call", distinct=True))["n"]
    assert rollups.drift(warehouse) == 0
    before, out = loader.checksum(warehouse), StringIO()
    call_command("warehouse", "rebuild", stdout=out)
    assert "the same as before" in out.getvalue()
    assert loader.checksum(warehouse) == before


def test_a_generated_history_looks_like_work(warehouse: Any, db: None) -> None:
    seed(calls=600, days=28)
    cells = {(c.weekday, c.hour): c.figures.calls for c in queries.heatmap(warehouse, CallFilter(ALL_TEAMS))}
    assert sum(n for (day, _), n in cells.items() if day == 1) > 3 * sum(n for (day, _), n in cells.items() if day == 7)
    assert not [hour for (_, hour) in cells if hour < 5]
    rows = queries.agents(warehouse, CallFilter(ALL_TEAMS))
    assert len(rows) > 30
    interrupting = sorted(row.figures.interruptions_agent / row.figures.calls for row in rows)
    assert interrupting[-1] > 2 * interrupting[len(rows) // 2]
    assert len(queries.intents(warehouse, CallFilter(ALL_TEAMS))) > 15
    figures = queries.headline(warehouse, CallFilter(ALL_TEAMS))
    assert 0.1 < (figures.negative_share or 0) < 0.6
    assert 0.5 < (figures.mean_word_probability or 0) < 0.95


def test_the_same_seed_is_the_same_history(warehouse: Any, db: None) -> None:
    seed(calls=50)
    first = sorted(Turn.objects.values_list("text", flat=True))
    store.remove()
    seed(calls=50)
    assert sorted(Turn.objects.values_list("text", flat=True)) == first


def test_removing_takes_generated_calls_away_and_leaves_real_ones(warehouse: Any, cast: Any) -> None:
    real = understood_call(team=cast.team_a, agent=cast.agent)
    seed(calls=40, force=True)
    assert Call.objects.count() == 41
    out = StringIO()
    call_command("seed_history", "--remove", stdout=out)
    assert out.getvalue() == "40 generated calls removed.\n"
    assert list(Call.objects.all()) == [real]
    assert list(Recording.objects.all()) == [real.recording]
    assert queries.headline(warehouse, CallFilter(ALL_TEAMS)).calls == 0
    assert not User.objects.filter(username__startswith="generated-").exists()
    assert not Team.objects.filter(slug__startswith="generated-").exists()
    assert not Queue.objects.filter(name__endswith="(generated)").exists()


def test_generated_calls_are_refused_where_they_would_do_harm(
    warehouse: Any, cast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    understood_call(team=cast.team_a, agent=cast.agent)
    with pytest.raises(CommandError, match="real calls"):
        seed(calls=10)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "callcenter.settings.prod")
    with pytest.raises(CommandError, match="production"):
        seed(calls=10, force=True)
    assert Call.objects.count() == 1


def test_a_second_history_is_refused_and_a_wrong_user_is_named(warehouse: Any, cast: Any) -> None:
    with pytest.raises(CommandError, match="nobody-of-this-name"):
        seed(calls=10, show_to=["nobody-of-this-name"])
    seed(calls=10, show_to=["supervisor"])
    assert Call.objects.visible_to(cast.supervisor).count() == 10
    with pytest.raises(CommandError, match="already"):
        seed(calls=10)
