"""The demo recordings are what their manifest says, and the manifest says what the scripts say."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from typing import Any

import av
import numpy as np
import pytest

from callcenter import demo
from callcenter.demo.script import Line, Script, load_scripts

DISCLOSURE = "this call is recorded for quality and training purposes"
DIGITS = dict(zip("zero one two three four five six seven eight nine".split(), "0123456789", strict=True))
ROWS = demo.rows()
CATEGORIES = {
    "churn", "complaint", "legal", "fraud", "data_leak", "abuse", "script_miss", "payment_data",
    "vulnerable", "self_harm", "process", "suspect_transcript",
}  # fmt: skip


def each_row_of(*layouts: str) -> pytest.MarkDecorator:
    rows = [row for row in ROWS if row["layout"] in layouts]
    return pytest.mark.parametrize("row", rows, ids=[row["name"] for row in rows])


each_row = each_row_of("two_party", "mono", "dual_mono")


def decode(row: dict[str, Any]) -> tuple[np.ndarray, int]:
    """Samples of shape (channels, samples) and their rate."""
    with av.open(str(demo.audio_path(row))) as container:
        stream = container.streams.audio[0]
        channels = stream.codec_context.channels
        blocks = [frame.to_ndarray() for frame in container.decode(stream)]
        rate = stream.codec_context.sample_rate
    joined = np.concatenate(blocks, axis=1)
    if joined.shape[0] != channels:
        joined = joined.reshape(-1, channels).T
    return joined, rate


def said(row: dict[str, Any], party: str | None = None) -> str:
    lines = [line["text"] for line in row["reference"] if party in (None, line["party"])]
    return " ".join(lines).lower()


@each_row
def test_a_recording_is_the_file_that_the_manifest_names(row: dict[str, Any]) -> None:
    path = demo.audio_path(row)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]


@each_row
def test_a_recording_decodes_to_the_stated_length_and_channels(row: dict[str, Any]) -> None:
    samples, rate = decode(row)
    assert samples.shape[0] == row["channels"] == (1 if row["layout"] == "mono" else 2)
    assert abs(samples.shape[1] * 1000 / rate - row["duration_ms"]) <= 50
    assert 40_000 <= row["duration_ms"] <= 125_000


@each_row
def test_every_reference_line_lies_inside_the_recording(row: dict[str, Any]) -> None:
    starts = [line["start_ms"] for line in row["reference"]]
    assert starts == sorted(starts)
    for line in row["reference"]:
        assert 0 <= line["start_ms"] < line["end_ms"] <= row["duration_ms"]
        assert line["party"] in ("agent", "customer")


@each_row
def test_nobody_talks_over_themselves(row: dict[str, Any]) -> None:
    for party in ("agent", "customer"):
        spans = [line for line in row["reference"] if line["party"] == party]
        assert all(one["end_ms"] <= two["start_ms"] for one, two in zip(spans, spans[1:], strict=False))


@each_row_of("two_party")
def test_each_party_is_heard_on_its_own_channel(row: dict[str, Any]) -> None:
    samples, rate = decode(row)
    power = samples.astype(np.float64) ** 2
    for channel, party in enumerate(("agent", "customer")):
        for line in (line for line in row["reference"] if line["party"] == party):
            others = [o for o in row["reference"] if o["party"] != party]
            if any(o["start_ms"] < line["end_ms"] and line["start_ms"] < o["end_ms"] for o in others):
                continue
            span = slice(line["start_ms"] * rate // 1000, line["end_ms"] * rate // 1000)
            assert power[channel, span].mean() > 30 * power[1 - channel, span].mean(), line["text"]


@each_row_of("dual_mono")
def test_a_dual_mono_call_has_the_same_signal_on_both_channels(row: dict[str, Any]) -> None:
    samples, _ = decode(row)
    assert np.corrcoef(samples[0], samples[1])[0, 1] > 0.99


def test_the_collection_is_small_and_varied_enough() -> None:
    assert len(ROWS) >= 14
    layouts = [row["layout"] for row in ROWS]
    assert layouts.count("two_party") >= 10
    assert layouts.count("mono") >= 3
    assert layouts.count("dual_mono") == 1
    assert len({row["agent"] for row in ROWS}) == 6
    assert len({row["team"] for row in ROWS}) == 3
    assert len({row["queue"] for row in ROWS}) == 4
    for key in ("name", "sha256", "external_id", "customer_ref"):
        assert len({row[key] for row in ROWS}) == len(ROWS), key
    assert {row["direction"] for row in ROWS} == {"inbound", "outbound"}
    assert all(0 <= row["days_ago"] <= 22 and re.fullmatch(r"[012]\d:[0-5]\d", row["time"]) for row in ROWS)
    sizes = [demo.audio_path(row).stat().st_size for row in ROWS]
    assert sum(sizes) < 4_000_000
    assert max(sizes) < 500_000


def test_the_audio_folder_holds_nothing_but_the_manifest_s_recordings() -> None:
    assert {path.name for path in (demo.FOLDER / "audio").iterdir()} == {demo.audio_path(row).name for row in ROWS}


def test_only_the_call_that_misses_the_disclosure_lacks_it() -> None:
    missing = [row["name"] for row in ROWS if DISCLOSURE not in said(row, "agent")]
    assert missing == ["missing_disclosure"]
    assert "record" not in said(next(row for row in ROWS if row["name"] == "missing_disclosure"))


def test_expected_alerts_are_known_categories_and_each_main_risk_has_a_call() -> None:
    expected = {category for row in ROWS for category in row["expect"]["alerts"]}
    assert expected <= CATEGORIES
    assert expected >= CATEGORIES - {"self_harm", "suspect_transcript"}


def test_the_card_number_is_spoken_in_digits_and_passes_luhn() -> None:
    row = next(row for row in ROWS if row["name"] == "card_payment")
    words = re.findall(r"[a-z]+", said(row, "customer"))
    runs = "".join(DIGITS.get(word, " ") for word in words)
    number = next(run for run in runs.split() if len(run) >= 13)
    assert len(number) == 16
    doubled = [int(digit) * (2 - index % 2) for index, digit in enumerate(number)]
    assert sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
    # A number that payment firms publish for tests, so that it can be nobody's card.
    assert number == "5425233430109903"


@pytest.mark.parametrize("script", load_scripts(), ids=lambda script: script.name)
def test_the_manifest_says_what_the_script_says(script: Script) -> None:
    row = next(row for row in ROWS if row["name"] == script.name)
    spoken = sorted((line.party, line.text) for line in script.lines if isinstance(line, Line))
    assert sorted((line["party"], line["text"]) for line in row["reference"]) == spoken
    assert (row["agent"], row["team"]) == (script.agent.username, script.agent.team)
    for key in "title queue direction days_ago time customer_ref external_id layout expect".split():
        assert row[key] == getattr(script, key), key


@pytest.mark.parametrize("script", load_scripts(), ids=lambda script: script.name)
def test_the_reference_spells_out_everything_as_it_is_spoken(script: Script) -> None:
    for line in script.lines:
        if isinstance(line, Line):
            assert not re.search(r"[^A-Za-z',.?! -]", line.text), line.text


def test_listing_the_calls_loads_nothing_beyond_what_the_package_itself_loads() -> None:
    def loaded(statement: str) -> str:
        heavy = ("numpy", "av", "yaml", "onnxruntime", "torch")
        code = f"import sys; {statement}; print([name for name in {heavy} if name in sys.modules])"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert loaded("from callcenter import demo; demo.rows()") == loaded("import callcenter")
