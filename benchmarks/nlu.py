"""How long understanding a ten-minute call takes beside embedding the same sentences one by one.

    python -m benchmarks.nlu [--models-dir var/models] [--runs 5]

Both use the same weights on the same text in the same process: ours is the whole of `understand` (metrics, rules,
intent, sentiment, semantic rules; its text cache emptied before every run), the alternative is only the embedding of
each sentence on its own with transformers, as a plain loop would do it. Medians of several runs taken in turns.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from analytics.nlu import NLU_VERSION, understand
from analytics.nlu.chunks import cut
from analytics.nlu.embedding import EmbedderMissing, MiniLM, load
from analytics.nlu.text import read

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


def ten_minutes() -> dict[str, Any]:
    """Return a call of about ten minutes and 1,500 words in which no sentence is like another."""
    now, turns = 0, []
    for index in range(110):
        party, bank = ("agent", AGENT) if index % 2 == 0 else ("customer", CUSTOMER)
        text = bank[(index // 2) % len(bank)].format(n=index + 3)
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


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nlu", description=__doc__.splitlines()[0])
    parser.add_argument("--models-dir", type=Path, default=Path("var/models"))
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args(argv)
    try:
        model = load(args.models_dir)
    except EmbedderMissing as error:
        print(f"not run: {error}")
        print(json.dumps({"figures": {}, "goals": {}, "met": False, "not_run": str(error)}))
        return 1
    document = ten_minutes()
    texts = [c.text for c in cut(read(document))]
    config = {"models_dir": str(args.models_dir)}
    first = timed(lambda: understand(document, config))
    ours: list[float] = []
    loops: list[float] = []
    for _ in range(args.runs):
        model._cache.clear()
        ours.append(timed(lambda: understand(document, config)))
        loops.append(timed(lambda: one_by_one(model, texts)))
    ours_s, loop_s = statistics.median(ours), statistics.median(loops)
    figures = {
        "call_minutes": round(document["duration_ms"] / 60_000, 2),
        "words": sum(len(t["words"]) for t in document["turns"]),
        "sentences": len(texts),
        "first_call_s": round(first, 3),
        "understand_s": round(ours_s, 3),
        "one_by_one_embedding_s": round(loop_s, 3),
        "ratio": round(ours_s / loop_s, 3),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "runs": args.runs,
        "nlu_version": NLU_VERSION,
    }
    goals = {"understand_s_below": 1.0, "ratio_below": 1.0}
    met = ours_s < goals["understand_s_below"] and figures["ratio"] < goals["ratio_below"]
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value}")
    print(json.dumps({"figures": figures, "goals": goals, "met": met}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
