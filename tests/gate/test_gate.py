"""The gate lets through what is better beyond chance and nowhere worse, and says of everything else why not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_worker import gate
from asr_worker.gate import GateBounds, Verdict, judge
from tests.gate.documents import document, evaluation, row

BOUNDS = GateBounds(samples=500)
OLD = evaluation([1] * 12)


def _judge(candidate: dict[str, Any], served: dict[str, Any], **more: Any) -> Verdict:
    options = {"old_candidate": OLD, "old_served": OLD, "bounds": BOUNDS} | more
    return judge(candidate, served, **options)


def _failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if not check.passed]


SERVED = evaluation([4] * 24)
BETTER = evaluation([2] * 24)


def test_an_honest_gain_passes_with_every_figure_shown() -> None:
    verdict = _judge(BETTER, SERVED)
    assert verdict.passed and _failed(verdict) == []
    assert verdict.gain["wer_before"] == 0.2 and verdict.gain["wer_after"] == 0.1
    assert verdict.gain["relative"] == verdict.gain["low"] == verdict.gain["high"] == 0.5
    names = [check.name for check in verdict.checks]
    assert len(names) == len(set(names))
    assert set(names) >= {
        "same_golden", "enough_calls", "enough_words", "gain", "same_old", "old_domain", "slice_team", "slice_queue",
        "slice_speaker", "numbers", "vocabulary", "long_deletions", "empty", "repetitions", "real_time",
        "real_time_ratio",
    }  # fmt: skip
    assert "50 % fewer words" in verdict.summary


rows = st.lists(st.integers(0, 20), min_size=12, max_size=40)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_a_model_never_passes_against_itself(errors: list[int]) -> None:
    assert "gain" in _failed(_judge(evaluation(errors), evaluation(errors)))


@settings(max_examples=60, deadline=None)
@given(rows, st.data())
def test_a_model_that_is_better_in_every_row_passes(errors: list[int], data: st.DataObject) -> None:
    before = [e + 1 for e in errors]
    after = [data.draw(st.integers(0, e - 1)) for e in before]
    assert _judge(evaluation(after), evaluation(before)).passed


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 12), st.data())
def test_a_gain_in_one_call_only_does_not_pass_however_large(calls: int, data: st.DataObject) -> None:
    lucky = data.draw(st.integers(0, calls - 1))
    after = [0 if i // 4 == lucky else 19 for i in range(4 * calls)]
    verdict = _judge(evaluation(after), evaluation([19] * 4 * calls))
    assert "gain" in _failed(verdict)
    assert verdict.gain["absolute"] is not None and verdict.gain["absolute"] > 0


@settings(max_examples=40, deadline=None)
@given(rows, st.data())
def test_the_order_of_the_rows_does_not_matter(errors: list[int], data: st.DataObject) -> None:
    after = [data.draw(st.integers(0, 20)) for _ in errors]
    plain = _judge(evaluation(after), evaluation(errors))
    mixed = evaluation(after)
    mixed["rows"] = data.draw(st.permutations(mixed["rows"]))
    assert _judge(mixed, evaluation(errors)) == plain


@settings(max_examples=40, deadline=None)
@given(rows, st.data())
def test_a_verdict_comes_back_whole_from_its_document(errors: list[int], data: st.DataObject) -> None:
    verdict = _judge(evaluation([data.draw(st.integers(0, 20)) for _ in errors]), evaluation(errors))
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
    assert verdict.passed == all(check.passed for check in verdict.checks)


@settings(max_examples=40, deadline=None)
@given(rows, st.data())
def test_gain_and_loss_mirror_each_other(errors: list[int], data: st.DataObject) -> None:
    other = [data.draw(st.integers(0, 20)) for _ in errors]
    one, two = _judge(evaluation(other), evaluation(errors)), _judge(evaluation(errors), evaluation(other))
    assert one.gain["absolute"] == -(two.gain["absolute"] or 0.0)
    assert not (one.passed and two.passed)


def test_a_gain_within_noise_is_refused_and_the_interval_is_said() -> None:
    after = [4 + (1 if i // 4 % 2 else -1) - (i == 0) for i in range(24)]
    verdict = _judge(evaluation(after), SERVED)
    assert _failed(verdict) == ["gain"]
    detail = next(check.detail for check in verdict.checks if check.name == "gain")
    assert "does not lie wholly above zero" in detail and "95 % interval" in detail
    assert verdict.summary.startswith("Refused") and "does not lie wholly above zero" in verdict.summary


def test_rows_of_one_call_count_as_one_observation() -> None:
    """The same row errors pass as many calls and fail as two: errors within a call are not independent."""
    before, after = [4] * 40, [3] * 40
    many = (evaluation(after), evaluation(before))
    assert _judge(*many).passed
    few = [document([r | {"call": f"c{int(r['id'][1:]) // 20}"} for r in one["rows"]]) for one in many]
    verdict = _judge(*few)
    assert _failed(verdict) == ["enough_calls"]
    assert "Too little to tell: 2 calls, 3 needed" in verdict.summary


def test_too_few_words_are_too_little_to_tell() -> None:
    verdict = _judge(evaluation([0] * 12, words=5), evaluation([2] * 12, words=5))
    assert _failed(verdict) == ["enough_words"] and "Too little to tell: 60 words, 100 needed" in verdict.summary


def test_without_calls_the_speakers_are_drawn() -> None:
    def nameless(one: dict[str, Any], speakers: int) -> dict[str, Any]:
        return document([r | {"call": "", "speaker": f"s{int(r['id'][1:]) % speakers}"} for r in one["rows"]])

    assert _judge(nameless(BETTER, 6), nameless(SERVED, 6)).gain["calls"] == 6
    assert "enough_calls" in _failed(_judge(nameless(BETTER, 2), nameless(SERVED, 2)))


def test_forgetting_ordinary_speech_is_refused_at_the_bound_and_not_before() -> None:
    served = evaluation([2] * 50)
    within, over = evaluation([3] * 10 + [2] * 40), evaluation([3] * 11 + [2] * 39)
    assert _judge(BETTER, SERVED, old_candidate=within, old_served=served).passed
    verdict = _judge(BETTER, SERVED, old_candidate=over, old_served=served)
    assert _failed(verdict) == ["old_domain"]
    check = next(check for check in verdict.checks if check.name == "old_domain")
    assert check.figure == 1.1 and check.bound == 1.0 and "interval" in check.detail


def test_without_an_old_domain_set_nothing_passes_unless_the_bounds_say_so() -> None:
    nothing = {"old_candidate": None, "old_served": None}
    assert _failed(_judge(BETTER, SERVED, **nothing)) == ["old_domain"]
    assert _judge(BETTER, SERVED, **nothing, bounds=GateBounds(samples=500, require_old=False)).passed
    half = {"old_candidate": None, "old_served": OLD, "bounds": GateBounds(samples=500, require_old=False)}
    assert _failed(_judge(BETTER, SERVED, **half)) == ["old_domain"]


@pytest.mark.parametrize("dimension", ["team", "queue", "speaker"])
def test_a_slice_that_loses_is_named_though_the_whole_gains(dimension: str) -> None:
    def sliced(own: int, other: int) -> dict[str, Any]:
        return document(
            [
                row(i, errors=own if i % 4 == 3 else other) | {dimension: "north" if i % 4 == 3 else "south"}
                for i in range(40)
            ]
        )

    verdict = _judge(sliced(5, 1), sliced(4, 4))
    failed = [check for check in verdict.checks if not check.passed and check.name == f"slice_{dimension}"]
    assert failed and "north" in failed[0].detail and failed[0].figure == 5.0 and failed[0].bound == 3.0
    loose = GateBounds(samples=500, min_slice_words=201)
    assert f"slice_{dimension}" not in _failed(_judge(sliced(5, 1), sliced(4, 4), bounds=loose))


@pytest.mark.parametrize("what", ["numbers", "vocabulary"])
def test_losing_recall_is_refused(what: str) -> None:
    lost = document([r | ({f"{what}_heard": 0} if i == 0 else {}) for i, r in enumerate(BETTER["rows"])])
    verdict = _judge(lost, SERVED)
    assert _failed(verdict) == [what] and "24 of 24 heard before, 23 after" in verdict.summary


def test_recall_of_what_nobody_said_is_no_reason_to_refuse() -> None:
    nothing = {"numbers_said": 0, "numbers_heard": 0, "vocabulary_said": 0, "vocabulary_heard": 0}
    verdict = _judge(evaluation([2] * 24, **nothing), evaluation([4] * 24, **nothing))
    assert verdict.passed
    assert [check.figure for check in verdict.checks if check.name in ("numbers", "vocabulary")] == [None, None]


@pytest.mark.parametrize(
    ("name", "change"),
    [("long_deletions", {"longest_deletion": 4}), ("empty", {"empty": True}), ("repetitions", {"repetition": True})],
)
def test_one_more_mishap_is_refused(name: str, change: dict[str, Any]) -> None:
    worse = document([r | (change if i == 5 else {}) for i, r in enumerate(BETTER["rows"])])
    assert _failed(_judge(worse, SERVED)) == [name]
    as_before = document([r | (change if i == 7 else {}) for i, r in enumerate(SERVED["rows"])])
    assert _judge(worse, as_before).passed


def test_a_gap_of_three_words_is_no_long_one() -> None:
    assert _judge(document([r | {"longest_deletion": 3} for r in BETTER["rows"]]), SERVED).passed


def test_a_slower_model_is_refused_by_processor_time_and_a_busy_machine_is_not_held_against_it() -> None:
    assert _failed(_judge(BETTER | {"processor_factor": 0.26}, SERVED)) == ["real_time_ratio"]
    assert _judge(BETTER | {"real_time_factor": 0.4}, SERVED).passed
    assert _failed(_judge(BETTER | {"real_time_factor": 1.1}, SERVED)) == ["real_time"]
    gpu = {"spec": {"device": "cuda"}}
    assert _failed(_judge(BETTER | gpu | {"real_time_factor": 0.4}, SERVED | gpu)) == ["real_time_ratio"]


def test_an_evaluation_that_does_not_say_how_long_it_took_is_refused() -> None:
    assert _failed(_judge(BETTER | {"real_time_factor": None}, SERVED)) == ["real_time"]


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (BETTER | {"normaliser": "en-2"}, "normaliser en-2 beside en-1"),
        (BETTER | {"rows": BETTER["rows"][1:]}, "1 rows stand on one side only"),
        (BETTER | {"rows": [BETTER["rows"][0] | {"words": 21}, *BETTER["rows"][1:]]}, "1 rows have other reference"),
        (BETTER | {"data": "e"}, "the recordings or their references differ"),
        (BETTER | {"rows": []}, "there is no row to compare"),
    ],
)  # fmt: skip
def test_what_was_not_measured_alike_is_refused(candidate: dict[str, Any], said: str) -> None:
    verdict = _judge(candidate, SERVED)
    assert _failed(verdict)[0] == "same_golden" and said in verdict.summary
    old = _judge(BETTER, SERVED, old_candidate=candidate, old_served=SERVED)
    assert "same_old" in _failed(old)


def test_a_document_that_is_no_evaluation_is_an_error() -> None:
    for wrong in ({}, {"rows": []}, document([{"id": "a"}]), document([row(0), row(0)])):
        with pytest.raises(ValueError, match="evaluation"):
            _judge(wrong, SERVED)


def test_bounds_come_back_from_their_document_and_a_wrong_one_is_named() -> None:
    assert GateBounds.from_json(json.loads(json.dumps(BOUNDS.to_json()))) == BOUNDS
    for wrong, said in (({"max_loss": 1}, "max_loss"), ({"seed": "x"}, "seed"), ({"samples": 3}, "samples")):
        with pytest.raises(ValueError, match=said):
            GateBounds.from_json(wrong)


def test_the_command_prints_the_checks_and_its_exit_code_is_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {}
    for name, doc in (("better", BETTER), ("served", SERVED), ("old", OLD)):
        paths[name] = tmp_path / f"{name}.json"
        paths[name].write_text(json.dumps(doc))
    old = ["--old-candidate", str(paths["old"]), "--old-served", str(paths["old"])]
    assert gate.main([str(paths["better"]), str(paths["served"]), *old]) == 0
    assert "Passed" in capsys.readouterr().out
    assert gate.main([str(paths["served"]), str(paths["better"]), *old, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["passed"] is False
    (tmp_path / "broken.json").write_text("{")
    assert gate.main([str(tmp_path / "broken.json"), str(paths["served"])]) == 2
    assert gate.main([str(tmp_path / "gone.json"), str(paths["served"])]) == 2


def test_the_gate_needs_no_model_library() -> None:
    heavy = ("torch", "transformers", "jiwer", "scipy")
    code = f"import sys, asr_worker.gate; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
