"""Makes the demo recordings and their manifest from the scripts: `python -m callcenter.demo.voice`.

Speech comes from Kokoro (see `kokoro.py`), everything after it is seeded by the call's name, so only
a changed line changes what is heard. Never run by the product.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from callcenter.demo import FOLDER, MANIFEST, telephone
from callcenter.demo.kokoro import RATE as SPEECH_RATE
from callcenter.demo.kokoro import Speaker
from callcenter.demo.script import Hold, Script, Voice, load_scripts
from callcenter.demo.telephone import RATE, Signal

BIT_RATE = {"two_party": 28_000, "mono": 18_000, "dual_mono": 20_000}
CHANNEL = {"agent": 0, "customer": 1}
LEAD_IN = 0.6
TAIL = 0.8


class Speech(Protocol):
    """Says a line: float32 mono at 24 kHz."""

    def say(self, text: str, voice: Voice) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Spoken:
    """Where a line lies in the call, in milliseconds."""

    party: str
    start_ms: int
    end_ms: int
    text: str


def main(arguments: list[str] | None = None) -> int:
    """Voices every script, or those named by `--only`, and rewrites the manifest; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m callcenter.demo.voice", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="a script's name; may be repeated")
    parser.add_argument(
        "--cache",
        type=Path,
        default=FOLDER.parents[1] / "var" / "demo-voice",
        help="where weights and spoken lines are kept (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    scripts = load_scripts()
    wanted = set(options.only or [script.name for script in scripts])
    if unknown := wanted - {script.name for script in scripts}:
        parser.error(f"no script called {', '.join(sorted(unknown))}")
    kept = {}
    if MANIFEST.exists():
        kept = {json.loads(line)["name"]: line for line in MANIFEST.read_text("utf-8").splitlines()}
    speech = Speaker(options.cache)
    (FOLDER / "audio").mkdir(exist_ok=True)
    lines = []
    for script in scripts:
        if script.name in wanted:
            row = make(script, speech)
            kept[script.name] = json.dumps(row, ensure_ascii=False)
            size = (FOLDER / row["audio"]).stat().st_size
            print(f"{script.name:28} {row['duration_ms'] / 1000:6.1f} s {size / 1024:6.0f} KiB", flush=True)
        if script.name in kept:
            lines.append(kept[script.name])
    MANIFEST.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


def make(script: Script, speech: Speech) -> dict[str, Any]:
    """Writes the recording of `script` under `audio/` and returns its manifest row."""
    signals, spoken = perform(script, speech)
    path = FOLDER / "audio" / f"{script.name}.opus"
    encode(signals, path, BIT_RATE[script.layout])
    return {
        "name": script.name,
        "title": script.title,
        "audio": f"audio/{path.name}",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "duration_ms": round(signals.shape[1] * 1000 / RATE),
        "channels": signals.shape[0],
        "layout": script.layout,
        "agent": script.agent.username,
        "agent_name": script.agent.name,
        "team": script.agent.team,
        "queue": script.queue,
        "direction": script.direction,
        "days_ago": script.days_ago,
        "time": script.time,
        "customer_ref": script.customer_ref,
        "external_id": script.external_id,
        "language": "en",
        "expect": script.expect,
        "reference": [
            {"party": line.party, "start_ms": line.start_ms, "end_ms": line.end_ms, "text": line.text}
            for line in spoken
        ],
    }


def perform(script: Script, speech: Speech) -> tuple[Signal, list[Spoken]]:
    """The call as it is recorded, shape (channels, samples) at 8 kHz, and where its lines lie."""
    random = np.random.default_rng(zlib.crc32(script.name.encode()))
    line = script.telephone
    levels = {"agent": line.agent_db, "customer": line.customer_db}
    placed: list[tuple[int, int, Signal]] = []
    spoken: list[Spoken] = []
    now = int(LEAD_IN * RATE)
    free = {"agent": 0, "customer": 0}
    before = ""
    for item in script.lines:
        if isinstance(item, Hold):
            start, now = now, now + int(item.seconds * RATE)
            if item.music:
                placed.append((CHANNEL["agent"], start, telephone.hold_tune(item.seconds)))
            free = dict.fromkeys(free, now)
            continue
        raw = telephone.to_line_rate(speech.say(item.say or item.text, script.voice(item.party)), SPEECH_RATE)
        waveform = telephone.at_level(telephone.trim(telephone.band(raw)), levels[item.party])
        usual = random.integers(180, 420) if item.party == before else random.integers(220, 640)
        pause = usual if item.pause_ms is None else item.pause_ms
        # Nobody talks over themselves, however early a line is asked to start.
        start = max(now + int(pause) * RATE // 1000, free[item.party], 0)
        end = start + len(waveform)
        placed.append((CHANNEL[item.party], start, waveform))
        spoken.append(Spoken(item.party, start * 1000 // RATE, end * 1000 // RATE, item.text))
        free[item.party] = end
        now, before = max(now, end), item.party
    total = now + int(TAIL * RATE)
    clean = np.zeros((2, total), dtype=np.float32)
    for channel, start, waveform in placed:
        clean[channel, start : start + len(waveform)] += waveform[: total - start]
    spoken.sort(key=lambda line: line.start_ms)
    return _on_the_line(clean, script, line.noise, random), spoken


def _on_the_line(clean: Signal, script: Script, kind: str, random: np.random.Generator) -> Signal:
    """Noise, leak, channel layout and companding, in the order in which a real call meets them."""
    line = script.telephone
    heard = clean.copy()
    if line.leak_db is not None:
        heard += clean[::-1] * 10 ** (line.leak_db / 20)
    customer_noise = 10 ** ((line.customer_db - line.snr_db) / 20)
    # The agent's headset is always cleaner than the caller's surroundings.
    heard[0] += telephone.noise("hiss", clean.shape[1], random) * customer_noise * 0.3
    heard[1] += telephone.noise(kind, clean.shape[1], random) * customer_noise
    if script.layout != "two_party":
        heard = heard.sum(axis=0, keepdims=True)
    if line.mulaw:
        heard = telephone.mulaw(heard)
    if script.layout == "dual_mono":
        heard = np.repeat(heard, 2, axis=0)
    return np.clip(heard, -1, 1).astype(np.float32)


def encode(signals: Signal, path: Path, bit_rate: int) -> None:
    """Writes (channels, samples) at 8 kHz as Opus in Ogg; the same input gives the same bytes."""
    layout = "stereo" if signals.shape[0] == 2 else "mono"
    with av.open(str(path), "w", format="ogg", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=RATE, layout=layout)
        stream.bit_rate = bit_rate
        stream.codec_context.options = {"application": "voip", "vbr": "on", "frame_duration": "20"}
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        interleaved = np.ascontiguousarray((signals.T * 32767).round().astype(np.int16).reshape(1, -1))
        step = RATE * signals.shape[0]
        for begin in range(0, interleaved.shape[1], step):
            block = interleaved[:, begin : begin + step]
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout=layout)
            frame.sample_rate = RATE
            frame.time_base = Fraction(1, RATE)
            frame.pts = begin // signals.shape[0]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    sys.exit(main())
