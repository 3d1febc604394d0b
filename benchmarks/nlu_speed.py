"""How fast understanding is: a ten-minute call beside a plain loop over its sentences, and rules on stored calls.

    python -m benchmarks.nlu_speed [--models-dir var/models] [--runs 5]

Both use the same weights on the same text in the same process: ours is the whole of `understand` (metrics, rules,
intent, sentiment, semantic rules; its text cache emptied before every run), the alternative is only the embedding of
each sentence on its own with transformers, as a plain loop would do it. Medians of several runs taken in turns.

Stored calls: one phrase rule, then all phrase rules of the shipped pack, over calls of about five minutes as they are
read from JSON, in one process and without a database. `python -m benchmarks.rerule` measures the same with the
database, the alerts written and the warehouse brought up to date.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from analytics.nlu import NLU_VERSION, compile_rules, default_rules, understand
from analytics.nlu.chunks import cut
from analytics.nlu.embedding import EmbedderMissing, MiniLM, load
from analytics.nlu.engine import run_rules
from analytics.nlu.metrics import talk_metrics
from analytics.nlu.text import read
from benchmarks.common import finish, peak_kib

GOALS = {"understand_s_below": 1.0, "ratio_below": 1.0, "stored_calls_per_second": 200}
CHANGED_RULE = {
    "key": "bench.leave", "category": "churn", "party": "customer",
    "any": ["cancel my|the contract", "speak|talk to a|the manager", "leave * you"],
}  # fmt: skip
AGENT = (
    "Let me have a look at that for you, it may take a moment.",
    "I can see that your last payment went through on the {n}th, and the next one is due in two weeks.",
    "So what I would suggest is that we move you to plan {n}, which has the same price and more data.",
    "Could you confirm the first line of your address and the postcode for me, please?",
    "Right, I have made a note of that under reference {n}, and somebody will call you back.",
)
CUSTOMER = (
    "Okay, yes, that sounds fine, but I still do not understand why it took {n} days.",
    "My bill went up by {n} pounds and nobody told me about it.",
    "It is the flat on the second floor, number {n}, next to the station.",
    "Thank you, that is really helpful.",
    "Well, the last time I called, your colleague told me something completely different about item {n}.",
)


def ten_minutes(turns_said: int = 110, seed: int = 0) -> dict[str, Any]:
    """Return a call of about ten minutes and 1,500 words in which no sentence is like another."""
    now, turns = 0, []
    for index in range(turns_said):
        party, bank = ("agent", AGENT) if index % 2 == 0 else ("customer", CUSTOMER)
        text = bank[(index // 2) % len(bank)].format(n=index + 3 + seed)
        words = []
        for word in text.split():
            words.append({"text": word, "start_ms": now, "end_ms": now + 300, "probability": 0.9})
            now += 345
        turn = {"index": index, "party": party, "start_ms": words[0]["start_ms"], "end_ms": words[-1]["end_ms"]}
        turns.append(turn | {"words": words, "text": text})
        now += 400
    return {"schema_version": 1, "turns": turns, "duration_ms": now, "language": "en"}


def one_by_one(model: MiniLM, texts: list[str]) -> None:
    """The alternative: every sentence by itself, nothing batched, nothing shared."""
    for text in texts:
        model._run([text])


def timed(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def call_figures(models_dir: Path, runs: int) -> dict[str, Any]:
    """Return the seconds of understanding a ten-minute call and of the plain loop. Raises EmbedderMissing."""
    model = load(models_dir)
    document = ten_minutes()
    texts = [c.text for c in cut(read(document))]
    config = {"models_dir": str(models_dir)}
    first = timed(lambda: understand(document, config))
    ours: list[float] = []
    loops: list[float] = []
    busy: list[float] = []
    for _ in range(runs):
        model._cache.clear()
        used = time.process_time()
        ours.append(timed(lambda: understand(document, config)))
        busy.append(time.process_time() - used)
        loops.append(timed(lambda: one_by_one(model, texts)))
    ours_s, loop_s = statistics.median(ours), statistics.median(loops)
    return {
        "call_minutes": round(document["duration_ms"] / 60_000, 2),
        "words": sum(len(t["words"]) for t in document["turns"]),
        "sentences": len(texts),
        "first_call_s": round(first, 3),
        "understand_s": round(ours_s, 3),
        "understand_cpu_s": round(statistics.median(busy), 3),
        "one_by_one_embedding_s": round(loop_s, 3),
        "ratio": round(ours_s / loop_s, 3),
        "peak_memory_mib": peak_kib() // 1024,
        "runs": runs,
        "nlu_version": NLU_VERSION,
    }


def stored_figures(calls: int) -> dict[str, Any]:
    """Return how many stored calls a second one changed phrase rule, and all phrase rules, are run on."""
    documents = [ten_minutes(55, seed) for seed in range(calls)]
    one = compile_rules([CHANGED_RULE])
    phrases = compile_rules([r for r in default_rules() if not r.get("semantic")])
    out: dict[str, Any] = {"stored_calls": calls}
    for name, rules in (("one_rule", one), ("all_phrase_rules", phrases)):
        began, used = time.perf_counter(), time.process_time()
        for document in documents:
            call = read(document)
            metrics = talk_metrics(call) if any(r.metrics for r in rules) else {}
            run_rules(rules, call, metrics)
        seconds, busy = time.perf_counter() - began, time.process_time() - used
        out[name] = {
            "rules": len(rules),
            "calls_per_second": round(calls / seconds, 1),
            "calls_per_cpu_second": round(calls / busy, 1),
        }
    return out


def print_figures(figures: dict[str, Any]) -> None:
    width = max(map(len, figures), default=0)
    for name, value in figures.items():
        print(f"  {name:<{width}}  {value}")


def below(call: dict[str, Any], stored: dict[str, Any]) -> list[str]:
    """Return the goals that these figures miss."""
    out = []
    if call and call["understand_s"] >= GOALS["understand_s_below"]:
        out.append(f"understand_s {call['understand_s']}")
    if call and call["ratio"] >= GOALS["ratio_below"]:
        out.append(f"ratio {call['ratio']}")
    rate = stored["one_rule"]["calls_per_second"]
    if rate < GOALS["stored_calls_per_second"]:
        out.append(f"stored_calls_per_second {rate}")
    return out


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nlu_speed", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models-dir", type=Path, default=Path("var/models"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--calls", type=int, default=int(os.environ.get("BENCH_CALLS") or 1000))
    args = parser.parse_args(argv)
    call: dict[str, Any] = {}
    try:
        call = call_figures(args.models_dir, args.runs)
        print("a ten-minute call")
        print_figures(call)
    except EmbedderMissing as error:
        print(f"not measured: a ten-minute call: {error}")
    stored = stored_figures(args.calls)
    print("rules on stored calls")
    print_figures(stored)
    missed = below(call, stored)
    return finish({**call, **stored, "below": missed}, GOALS, met=bool(call) and not missed)


if __name__ == "__main__":
    sys.exit(main())
