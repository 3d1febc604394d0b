"""Small transcripts for the pure parts of review."""

from __future__ import annotations

from asr_worker.types import Layout, PartyMapping, PipelineSpec, Transcript, Turn, Word


def words(text: str, start_ms: int, *, step: int = 400, probability: float = 0.9) -> tuple[Word, ...]:
    """Return the words of a text, each `step` ms after the last and 80 ms shorter than that."""
    return tuple(
        Word(word, start_ms + i * step, start_ms + (i + 1) * step - 80, probability)
        for i, word in enumerate(text.split())
    )


def document(*said: tuple[str, str], layout: Layout = "two_party", gap_ms: int = 600) -> Transcript:
    """Return a transcript of (party, text), one turn after the other."""
    turns, at = [], 500
    for index, (party, text) in enumerate(said):
        spoken = words(text, at)
        channel = 0 if party == "agent" or layout != "two_party" else 1
        speaker = "S1" if party == "agent" else "S2"
        end = spoken[-1].end_ms if spoken else at
        turns.append(Turn(index, party, speaker, channel, at, end, spoken))  # type: ignore[arg-type]
        at = end + gap_ms
    return Transcript(
        recording="ab" * 32, spec=PipelineSpec(), fingerprint="0" * 16, model="whisper-tiny.en", language="en",
        duration_ms=at + 500, layout=layout, diarizer="channels",
        mapping=PartyMapping({"S1": "agent", "S2": "customer"}, 0.9, "by channel"), turns=tuple(turns),
    )  # fmt: skip


CALL = (
    ("agent", "Thank you for calling North wind how can I help"),
    ("customer", "I was charged twice on my in voice this month"),
    ("agent", "I am sorry I will refund it"),
    ("customer", "thank you that is kind"),
)
