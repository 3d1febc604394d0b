"""How many stored calls a second a changed rule is applied to, from the database and back into it.

    python -m benchmarks.rerule [--calls 10000] [--processes 2] [--semantic 200]

It makes a database of its own, stores generated calls in it (turns with word times, as the pipeline stores them), and
measures `callcenter.insights.rerule.run`: read transcripts, run rules, write alerts, load the changed calls into the
warehouse. Three runs of a phrase rule that was changed each time, so that alerts are raised, changed and taken away;
then all phrase rules of the shipped pack at once, and, where the embedding model is installed, one rule with a semantic
part. Afterwards the database is dropped. The goal is on the median of the changed rule, the warehouse included.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import statistics
import sys
from typing import Any

GOAL = 200.0
AGENT = (
    "Thank you for calling Northwind, this call may be recorded. How can I help you today?",
    "Let me have a look at that for you, it may take a moment.",
    "I can see that your last payment went through on the fourteenth, and the next one is due in two weeks.",
    "So what I would suggest is that we move you to the other plan, which has the same price and more data.",
    "Could you confirm the first line of your address and the postcode for me, please?",
    "Right, I have made a note of that, and somebody will call you back before the end of the week.",
    "Is there anything else that I can do for you this morning?",
)
CUSTOMER = (
    "Okay, yes, that sounds fine, but I still do not understand why it took so many days.",
    "My bill went up by fifteen pounds and nobody told me about it.",
    "It is the flat on the second floor, next to the station.",
    "Thank you, that is really helpful.",
    "Well, the last time I called, your colleague told me something completely different.",
    "Hello, I have a question about the invoice that came in the post last week.",
    "No, it does not work since Monday, and I have restarted it twice already.",
)
SAID = (
    "I want to cancel my contract today, I am done with this.",
    "I would like to speak to a manager about this.",
    "I want to make a formal complaint about how I was treated.",
)
RULE = """\
key: bench.leave
name: Wants to leave
category: {}
severity: {}
party: customer
any:
  - cancel my|the contract
  - speak|talk to a|the manager
"""


def turns(seed: int) -> list[tuple[str, str, list[list[Any]]]]:
    """Return one call of 26 to 54 turns; one in five says something that rules look for."""
    draw = random.Random(seed)
    now, out = 500, []
    grave = draw.randrange(20) * 2 + 1 if draw.random() < 0.2 else -1
    for index in range(draw.randrange(26, 55)):
        party = "agent" if index % 2 == 0 else "customer"
        text = draw.choice(AGENT if party == "agent" else CUSTOMER)
        if index == grave:
            text = draw.choice(SAID)
        words = []
        for word in text.split():
            words.append([word, now, now + 280, round(draw.uniform(0.6, 0.99), 2)])
            now += 340
        out.append((party, text, words))
        now += draw.randrange(200, 1500)
    return out


def store(count: int) -> int:
    """Fill the database with calls and return how many words they have."""
    from datetime import timedelta

    from django.utils import timezone

    from callcenter.accounts.models import Team
    from callcenter.calls.models import Call, Queue, Recording, Transcript, Turn
    from callcenter.insights.models import Insight

    team, queue = Team.objects.create(name="Bench", slug="bench"), Queue.objects.create(name="Bench")
    words = 0
    for start in range(0, count, 500):
        numbers = range(start, min(start + 500, count))
        said = {n: turns(n) for n in numbers}
        recordings = Recording.objects.bulk_create(
            Recording(
                sha256=hashlib.sha256(str(n).encode()).hexdigest(), storage_key=f"audio/{n}", size=1, sample_rate=8000,
                content_type="audio/wav", channels=2, duration_ms=said[n][-1][2][-1][2] + 500, layout="two_party",
            )
            for n in numbers
        )  # fmt: skip
        calls = Call.objects.bulk_create(
            Call(
                recording=recording, team=team, queue=queue, external_id=f"bench-{n}",
                started_at=timezone.now() - timedelta(minutes=13 * n),
            )
            for n, recording in zip(numbers, recordings, strict=True)
        )  # fmt: skip
        transcripts = Transcript.objects.bulk_create(
            Transcript(
                call=call, artefact_key=f"artefacts/{n}", fingerprint=f"{n:x}", engine="bench", model="bench",
                language="en", layout="two_party", diarizer="channels", mapping={"confidence": 0.97},
                mean_probability=0.8,
            )
            for n, call in zip(numbers, calls, strict=True)
        )  # fmt: skip
        for call, transcript in zip(calls, transcripts, strict=True):
            call.transcript = transcript
        Call.objects.bulk_update(calls, ["transcript"])
        rows = [
            Turn(
                transcript=transcript, call=call, index=index, party=party, speaker=party, start_ms=timed[0][1],
                end_ms=timed[-1][2], text=text, words=timed, mean_probability=0.8, source_turn=index,
            )
            for n, call, transcript in zip(numbers, calls, transcripts, strict=True)
            for index, (party, text, timed) in enumerate(said[n])
        ]  # fmt: skip
        Turn.objects.bulk_create(rows, batch_size=2000)
        Insight.objects.bulk_create(
            Insight(call=call, transcript=transcript, nlu_version="bench", document={})
            for call, transcript in zip(calls, transcripts, strict=True)
        )
        words += sum(len(row.words) for row in rows)
    return words


def cpu() -> float:
    """Return the processor time of this process and of those it started and that ended; the database's is not in it."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def measure(count: int, processes: int, semantic: int) -> dict[str, Any]:
    """Return the figures."""
    from analytics.nlu import default_rules
    from callcenter.accounts.models import User
    from callcenter.calls.models import Call
    from callcenter.core.errors import CallcenterError
    from callcenter.insights import rerule, rules
    from callcenter.insights.models import Alert, Rule

    words = store(count)
    figures: dict[str, Any] = {"calls": count, "words_per_call": round(words / count), "processes": processes}
    by = User.objects.create(username="bench")
    rule = rules.set_enabled(rule=rules.create(source=RULE.format("churn", "low"), by=by), enabled=True, by=by)
    rates: list[float] = []
    spent: list[float] = []
    for round_, (category, severity) in enumerate((("churn", "low"), ("churn", "high"), ("complaint", "high"))):
        if round_:
            source = RULE.format(category, severity)
            rule, _ = rules.save(rule=rule, source=source, by=by, base_version=round_)
        before = cpu()
        outcome = rerule.run(keys=[rule.key], processes=processes)
        rates.append(outcome.rate)
        spent.append(1000 * (cpu() - before) / count)
        print(
            f"changed rule, run {round_ + 1}: {outcome.rate:7.1f} calls/s  "
            f"({outcome.added} new, {outcome.changed} changed, {outcome.removed} gone; "
            f"{spent[-1]:.2f} ms of processor a call)",
            flush=True,
        )
    figures["changed_rule_calls_per_second"] = round(statistics.median(rates), 1)
    figures["changed_rule_cpu_ms_per_call"] = round(statistics.median(spent), 2)
    figures["changed_rule_slowest"] = round(min(rates), 1)
    alone = rerule.run(keys=[rule.key], ids=list(Call.objects.order_by("pk").values_list("pk", flat=True)[:1000]))
    figures["changed_rule_one_process"] = round(alone.rate, 1)
    print(f"changed rule, one process, 1,000 calls: {alone.rate:7.1f} calls/s", flush=True)
    pack = [r for r in default_rules() if r.get("enabled", True)]
    phrases = [r for r in pack if not r.get("semantic")]
    Rule.objects.bulk_create(
        Rule(key=r["key"], category=r["category"], severity=r["severity"], title=r["key"], definition=r)
        for r in phrases
    )
    some = list(Call.objects.order_by("pk").values_list("pk", flat=True)[: max(200, count // 5)])
    whole = rerule.run(ids=some, processes=processes)
    figures["whole_pack_rules"] = len(phrases) + 1
    figures["whole_pack_calls_per_second"] = round(whole.rate, 1)
    print(f"all {len(phrases) + 1} phrase rules: {whole.rate:7.1f} calls/s ({whole.added} new)", flush=True)
    if semantic:
        Rule.objects.all().update(enabled=False)
        chosen = next(r for r in pack if r.get("semantic") and r["category"] == "churn")
        Rule.objects.create(
            key=chosen["key"], category="churn", severity="high", title=chosen["key"], definition=chosen
        )
        try:
            meant = rerule.run(keys=[chosen["key"]], ids=some[:semantic])
            figures["semantic_rule_calls_per_second"] = round(meant.rate, 2)
            print(f"one rule with a semantic part: {meant.rate:7.2f} calls/s ({semantic} calls)", flush=True)
        except CallcenterError as error:
            print(f"not run: {error.message}", flush=True)
    figures["alerts"] = Alert.objects.count()
    return figures


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--semantic", type=int, default=100, help="calls for the semantic rule; 0 leaves it out")
    options = parser.parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "callcenter.settings.dev")
    import django

    django.setup()
    from django.conf import settings
    from django.db import connections

    from analytics.warehouse import migrate

    connection = connections["default"]
    connection.settings_dict.setdefault("TEST", {})["NAME"] = f"bench_rerule_{os.getpid()}"
    old = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    values = connection.settings_dict
    url = f"postgresql://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT']}/{values['NAME']}"
    # The other processes read the same from their environment.
    os.environ["DATABASE_URL"] = os.environ["ANALYTICS_DATABASE_URL"] = settings.ANALYTICS_DATABASE_URL = url
    try:
        migrate(url)
        figures = measure(options.calls, options.processes, options.semantic)
    finally:
        from callcenter.insights.warehouse_doc import engine

        engine().dispose()
        connection.creation.destroy_test_db(old, verbosity=0)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN if options.processes > 1 else resource.RUSAGE_SELF)
    figures["peak_memory_mb"] = round(usage.ru_maxrss / 1024)
    goals = {"changed_rule_calls_per_second": GOAL}
    met = figures["changed_rule_calls_per_second"] >= GOAL
    print(json.dumps({"figures": figures, "goals": goals, "met": met}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
