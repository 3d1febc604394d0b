"""Speed of reading: every page over a generated history, and the same figures straight from the operational tables.

Usage: python -m benchmarks.reading        (BENCH_CALLS=100000, BENCH_REQUESTS=30, BENCH_DAYS=365)
Starts a PostgreSQL and a Valkey of its own in a temporary folder, fills them, asks for every page through the whole
WSGI stack as a supervisor of all teams, and removes everything. Times are wall clock, without a network; the goals are
about them. Beside them stands the processor time of the site and the database together, which other work on the
machine lengthens less: on a busy machine it says what an idle one would need.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import finish

CALLS = int(os.environ.get("BENCH_CALLS") or 100_000)
DAYS = int(os.environ.get("BENCH_DAYS") or 365)
REQUESTS = int(os.environ.get("BENCH_REQUESTS") or 30)
WARM = 3
GOALS = {"page_p95_ms": 150, "dashboard_p95_ms": 100, "search_p95_ms": 200, "deep_page_ratio": 1.5, "loader_per_s": 500}
SEARCHES = (
    "refund",
    "ombudsman",
    '"cancel my contract"',
    "router red",
    "thank you",
    "invoice or bill",
    "frustrating -refund",
)


def main() -> int:
    """Fill, measure, print the tables and the JSON line."""
    folder = Path(tempfile.mkdtemp(prefix="bench-reading-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped then too
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "callcenter.settings.dev", "VAR_DIR": str(folder), "DEBUG": "0",
            "LOG_LEVEL": "ERROR", "EMBEDDED_SERVICES": "1", "ALLOWED_HOSTS": "*",
        }
    )  # fmt: skip
    for name in ("DATABASE_URL", "REDIS_URL", "ANALYTICS_DATABASE_URL", "STORAGE_URL"):
        os.environ.pop(name, None)
    try:
        return _run(folder)
    finally:
        from callcenter.core.embedded import release, stop

        release(folder)
        stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path) -> int:
    import django

    django.setup()
    from django.core.management import call_command

    from analytics.warehouse import migrate
    from callcenter.insights.services import seed_defaults

    call_command("migrate", verbosity=0)
    from django.conf import settings

    migrate(settings.ANALYTICS_DATABASE_URL)
    seed_defaults()
    print(f"{CALLS:,} calls over {DAYS} days; load average at the start {os.getloadavg()[0]:.1f}", flush=True)
    from callcenter.core.embedded import status
    from callcenter.dashboards.history import store

    _POSTMASTER.append(status(folder).postgres_pid)
    begun = time.perf_counter()
    loading = [0.0]
    load = store.loader.load_many

    def counted(*args: Any, **values: Any) -> Any:
        """Load, and add the processor time that it took."""
        busy = _cpu_ms()
        try:
            return load(*args, **values)
        finally:
            loading[0] += (_cpu_ms() - busy) / 1000

    store.loader.load_many = counted
    try:
        made = store.seed(calls=CALLS, days=DAYS, progress=_say)
    finally:
        store.loader.load_many = load
    seconds = time.perf_counter() - begun
    loader = made.calls / made.load_seconds
    print(
        f"filled in {seconds:.0f} s: {made.turns:,} turns, {made.alerts:,} alerts; loader {loader:,.0f} calls/s",
        flush=True,
    )
    figures: dict[str, Any] = {"calls": made.calls, "turns": made.turns, "loader_per_s": round(loader)}
    figures["loader_per_cpu_s"] = round(made.calls / max(loading[0], 0.001))
    figures["disk_mib"] = _sizes()
    pages = _pages()
    print(f"\n{'page':<34}{'median':>9}{'p95':>9}{'cpu median':>12}{'cpu p95':>9}  ms", flush=True)
    rows = {}
    for name, work in pages.items():
        rows[name] = one = _measure(work)
        print(f"{name:<34}{one.median:>9.0f}{one.p95:>9.0f}{one.cpu_median:>12.0f}{one.cpu_p95:>9.0f}", flush=True)
    figures["pages_p95_ms"] = {name: round(one.p95) for name, one in rows.items()}
    figures["pages_cpu_p95_ms"] = {name: round(one.cpu_p95) for name, one in rows.items()}
    groups = {
        "dashboard_p95_ms": [name for name in rows if name.startswith("dashboard")],
        "search_p95_ms": [name for name in rows if name.startswith("search")],
    }
    grouped = {name for names in groups.values() for name in names}
    groups["page_p95_ms"] = [name for name in rows if name not in grouped]
    for goal, names in groups.items():
        figures[goal] = round(max(rows[name].p95 for name in names))
        figures[f"cpu_{goal}"] = round(max(rows[name].cpu_p95 for name in names))
    figures["deep_page_ratio"] = round(rows["calls, near the end"].cpu_median / rows["calls"].cpu_median, 2)
    figures["straight"] = _straight()
    figures["load_average"] = round(os.getloadavg()[0], 1)
    met = all(
        figures[goal] >= wanted if goal == "loader_per_s" else figures[goal] <= wanted for goal, wanted in GOALS.items()
    )
    return finish(figures, GOALS, met)


def _say(done: int) -> None:
    if done % 10_000 == 0:
        print(f"  {done:,} calls", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of several requests: wall clock, and processor time of site and database together."""

    median: float
    p95: float
    cpu_median: float
    cpu_p95: float


def _measure(work: Callable[[int], Any]) -> Times:
    """Measure `work`, which gets the number of the request, after a few requests that do not count."""
    walls, cpus = [], []
    for number in range(-WARM, REQUESTS):
        begun, busy = time.perf_counter(), _cpu_ms()
        work(abs(number))
        if number >= 0:
            walls.append((time.perf_counter() - begun) * 1000)
            cpus.append(_cpu_ms() - busy)
    return Times(statistics.median(walls), _p95(walls), statistics.median(cpus), _p95(cpus))


def _p95(values: list[float]) -> float:
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def _cpu_ms() -> float:
    """Return the processor time so far of this process and of the database's processes."""
    total = time.process_time_ns()
    for pid in _backends():
        try:
            total += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        except (OSError, ValueError):  # it ended meanwhile
            continue
    return total / 1e6


_POSTMASTER: list[int] = []


def _backends() -> list[str]:
    try:
        return Path(f"/proc/{_POSTMASTER[0]}/task/{_POSTMASTER[0]}/children").read_text().split()
    except (OSError, IndexError):
        return []


def _pages() -> dict[str, Callable[[int], Any]]:
    from django.test import Client
    from django.urls import reverse

    from callcenter.accounts.models import User
    from callcenter.calls.models import Call, Queue

    supervisor = User.objects.get(username="generated-supervisor")
    client = Client()
    client.force_login(supervisor, backend="django.contrib.auth.backends.ModelBackend")

    def get(address: str) -> None:
        response = client.get(address)
        if response.status_code != 200:
            raise SystemExit(f"{address} answered {response.status_code}")

    def varied(*addresses: str) -> Callable[[int], Any]:
        return lambda number: get(addresses[number % len(addresses)])

    agents = list(User.objects.filter(username__startswith="generated-agent").values_list("pk", flat=True)[:8])
    queues = list(Queue.objects.values_list("pk", flat=True))
    calls = list(Call.objects.exclude(transcript=None).order_by("?").values_list("pk", flat=True)[:20])
    pages = {
        "dashboard": varied("/"),
        "dashboard, 7, 90 days": varied("/?period=7", "/?period=90"),
        "dashboard, a year": varied("/?period=365", "/?period=all"),
        "dashboard, narrowed": varied(*(f"/?queue={q}" for q in queues), *(f"/?agent={a}" for a in agents)),
        "dashboard, off the rollups": varied("/?mood=negative", "/?alerts=open", "/?category=churn"),
        "calls": varied("/calls/"),
        "calls, near the end": _deep(get, calls=CALLS),
        "calls, other orders": varied(*(f"/calls/?sort={s}" for s in ("oldest", "longest", "negative", "unsure"))),
        "calls, narrowed": varied(
            "/calls/?mood=negative&alerts=open", "/calls/?intent=complaint", "/calls/?weekday=1&hour=10&state=ready",
            f"/calls/?agent={agents[0]}&state=ready", "/calls/?state=failed",
        ),
        "calls, counts beside the list": varied("/calls/facets", f"/calls/facets?agent={agents[0]}"),
        "calls, counts, narrowed": varied("/calls/facets?mood=negative&alerts=open", "/calls/facets?intent=complaint"),
        "search, counts": varied("/calls/facets?q=refund", "/calls/facets?q=thank+you"),
        "calls, within ranges": varied("/calls/?silence_min=20&silence_max=60", "/calls/?talk_min=70"),
        "a call": varied(*(reverse("calls:detail", args=[pk]) for pk in calls)),
        "alerts": varied("/alerts/", "/alerts/?status=all", "/alerts/?category=churn&sort=newest"),
        "review": varied("/review/"),
        "batches": varied("/batches/"),
        "operations": varied("/operations/"),
        "learning": varied("/learning/", "/learning/datasets/", "/learning/models/", "/learning/yours/"),
        "rules, intents, answers": varied("/rules/", "/intents/", "/alerts/answers/", "/alerts/notifications/"),
        "quality of alerts": varied("/alerts/quality/"),
        "review, others": varied("/review/mine/", "/review/approval/", "/review/vocabulary/", "/review/fix-all/"),
        "inbox, exports, notes": varied("/inbox/", "/exports/", "/notes/"),
        "account, help": varied("/account/", "/help/", "/help/calls/"),
    }  # fmt: skip
    for name, address in (("agents", "dashboards:agents"), ("queues", "dashboards:queues")):
        pages[name] = varied(reverse(address))
    pages["an agent"] = varied(*(reverse("dashboards:agent", args=[pk]) for pk in agents))
    pages["a queue"] = varied(*(reverse("dashboards:queue", args=[pk]) for pk in queues))
    from urllib.parse import quote

    for text in SEARCHES:
        pages[f"search {text}"] = varied(f"/calls/?q={quote(text)}")
    return pages


def _deep(get: Callable[[str], None], *, calls: int) -> Callable[[int], Any]:
    """Return a reader of pages that lie after 95 % of all calls."""
    from callcenter.calls.models import Call
    from callcenter.calls.selectors import SORTS
    from callcenter.core.paging import _encode

    place = int(calls * 0.95)
    found = Call.objects.order_by("-started_at", "-id")[place : place + REQUESTS + WARM]
    cursors = [_encode(call, SORTS["newest"][1]) for call in found]
    return lambda number: get(f"/calls/?after={cursors[number % len(cursors)]}")


def _straight() -> dict[str, Any]:
    """Compute figures of the dashboard from the operational tables and from the warehouse; they must be equal."""
    from datetime import timedelta

    from django.db.models import Avg, Count, F, FloatField, Q, Sum
    from django.db.models.fields.json import KeyTransform
    from django.db.models.functions import Cast, ExtractHour, ExtractIsoWeekDay, TruncDay
    from django.utils import timezone

    from analytics.warehouse import ALL_TEAMS, CallFilter, queries
    from callcenter.calls.models import Call
    from callcenter.insights.models import Alert
    from callcenter.insights.warehouse_doc import engine

    end = timezone.now()
    start = end - timedelta(days=30)
    flt = CallFilter(ALL_TEAMS, start=start, end=end)
    calls = Call.objects.filter(insight__isnull=False, started_at__gte=start, started_at__lt=end).order_by()
    silence = Cast(KeyTransform("silence_ms", KeyTransform("metrics", "insight__document")), FloatField())
    db = engine()

    def numbers(found: dict[str, Any]) -> tuple[Any, ...]:
        return (found["calls"], round(found["length"]), round(found["mood"], 4), round(found["silent"]))

    def here() -> tuple[Any, ...]:
        figures = queries.headline(db, flt)
        mood = figures.sentiment or 0.0
        return (figures.calls, figures.duration_ms, round(mood, 4), figures.silence_ms)

    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "headline": (
            here,
            lambda: numbers(
                calls.aggregate(
                    calls=Count("pk"), length=Sum("recording__duration_ms"), mood=Avg("insight__sentiment"),
                    silent=Sum(silence),
                )
            ),
        ),
        "intents": (
            lambda: {row.intent: row.figures.calls for row in queries.intents(db, flt, mentions=False)},
            lambda: dict(calls.values_list("insight__intent").annotate(Count("pk"))),
        ),
        "agents": (
            lambda: {row.agent_id: row.figures.calls for row in queries.agents(db, flt)},
            lambda: {
                row["agent"]: row["n"]
                for row in calls.values("agent").annotate(
                    n=Count("pk"), mood=Avg("insight__sentiment"), silent=Sum(silence),
                    length=Avg("recording__duration_ms"),
                )
            },
        ),
        "calls by day": (
            lambda: {r.start.date(): r.figures.calls for r in queries.calls_over_time(db, flt) if r.figures.calls},
            lambda: {
                day.date(): n
                for day, n, _ in calls.annotate(day=TruncDay("started_at", tzinfo=_utc())).values("day").annotate(
                    n=Count("pk"), mood=Avg("insight__sentiment")
                ).values_list("day", "n", "mood")
            },
        ),
        "heat map": (
            lambda: {(c.weekday, c.hour): c.figures.calls for c in queries.heatmap(db, flt, measures=("calls",))},
            lambda: {
                (row["weekday"], row["hour"]): row["n"]
                for row in calls.annotate(
                    weekday=ExtractIsoWeekDay("started_at", tzinfo=_utc()),
                    hour=ExtractHour("started_at", tzinfo=_utc()),
                ).values("weekday", "hour").annotate(n=Count("pk"))
            },
        ),
        "open alerts": (
            lambda: {row.category: row.open for row in queries.alerts_by_category(db, flt) if row.open},
            lambda: dict(
                Alert.objects.filter(~Q(category="self_harm"), status="open", call__in=calls.values("pk"))
                .order_by().values_list(F("category")).annotate(Count("pk"))
            ),
        ),
    }  # fmt: skip
    print(f"\n{'30 days':<34}{'warehouse':>11}{'straight':>11}{'cpu':>11}{'cpu':>11}  ms, both say the same")
    out = {}
    for name, (quick, straight) in pairs.items():
        if quick() != straight():
            raise SystemExit(f"{name}: warehouse and operational tables do not say the same")
        ours, theirs = _measure(lambda _, f=quick: f()), _measure(lambda _, f=straight: f())  # type: ignore[misc]
        print(f"{name:<34}{ours.median:>11.1f}{theirs.median:>11.1f}{ours.cpu_median:>11.1f}{theirs.cpu_median:>11.1f}")
        out[name] = {
            "warehouse_ms": round(ours.median, 1), "straight_ms": round(theirs.median, 1),
            "warehouse_cpu_ms": round(ours.cpu_median, 1), "straight_cpu_ms": round(theirs.cpu_median, 1),
        }  # fmt: skip
    return out


def _utc() -> Any:
    import datetime

    return datetime.UTC


def _sizes() -> dict[str, int]:
    """Return what lies on disk, in MiB: by schema and for the largest tables."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT schemaname || '.' || relname, pg_total_relation_size(relid) FROM pg_stat_user_tables "
            "ORDER BY 2 DESC"
        )
        rows = cursor.fetchall()
    by_schema: dict[str, int] = {}
    for name, size in rows:
        schema = name.split(".")[0]
        by_schema[schema] = by_schema.get(schema, 0) + size
    print("\non disk: " + ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in by_schema.items()))
    for name, size in rows[:8]:
        print(f"  {name:<34}{size / 2**20:>9,.0f} MiB")
    total = sum(by_schema.values())
    million = total / CALLS * 1e6 / 2**30
    print(f"  {total / CALLS / 1024:.1f} KiB a call: 1,000,000 such calls would need {million:.1f} GiB")
    return {
        **{name: round(size / 2**20) for name, size in by_schema.items()},
        "per_call_kib": round(total / CALLS / 1024),
    }


if __name__ == "__main__":
    raise SystemExit(main())
