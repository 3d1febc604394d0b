"""From reviewed segments to a dataset: who stands where, what is cut out, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_worker import datasets as files
from callcenter.calls.models import Call, Turn
from callcenter.core.errors import CallcenterError
from callcenter.core.storage import store
from callcenter.learning.models import Dataset, SplitAssignment
from callcenter.learning.services import clips, datasets
from callcenter.learning.services.store_rows import rows_of
from tests.factories import AlertFactory, TeamFactory
from tests.learning.conftest import review_turn, reviewed_call

pytestmark = pytest.mark.django_db


def test_a_build_gives_training_data_and_a_golden_set_of_other_voices(reviewed: list[Call], tmp_path: Path) -> None:
    made = datasets.build(by=None, name="first")
    assert made.golden is not None and made.golden.kind == Dataset.Kind.GOLDEN
    train, golden = rows_of(made), rows_of(made.golden)
    assert {row["split"] for row in train} == {"train", "validation"} and {row["split"] for row in golden} == {"test"}
    assert not {row["agent"] for row in train} & {row["agent"] for row in golden}
    assert not {row["call"] for row in train} & {row["call"] for row in golden}
    assert len({row["call"] for row in golden}) >= 3
    assert len(train) + len(golden) == 12 and all(row["source"] == "correction" for row in train)
    assert made.corrections.count() == len(train) and made.calls.count() == len(train)
    folder = files.materialise(store(), made.manifest_key, tmp_path / "out")
    rows = files.read(folder, splits=("train",))
    assert {row["text"] for row in rows} == {"My name is Saffron Robles"}


def test_the_same_reviews_give_the_same_manifest_and_golden_set(reviewed: list[Call]) -> None:
    first, second = datasets.build(by=None, name="a"), datasets.build(by=None, name="b")
    assert first.sha256 == second.sha256 and first.golden == second.golden
    assert Dataset.objects.filter(kind=Dataset.Kind.GOLDEN).count() == 1


def test_a_voice_that_is_golden_stays_golden_and_its_new_segments_make_the_next_version(reviewed: list[Call]) -> None:
    first = datasets.build(by=None)
    assert first.golden is not None
    golden_agent = rows_of(first.golden)[0]["agent"]
    for _ in range(8):
        reviewed_call(agent=golden_agent)
    second = datasets.build(by=None)
    assert second.golden is not None and second.golden != first.golden
    assert second.golden.rows == first.golden.rows + 8
    assert golden_agent not in {row["agent"] for row in rows_of(second)}
    assert {row["id"] for row in rows_of(first.golden)} < {row["id"] for row in rows_of(second.golden)}


def test_a_customer_heard_in_the_golden_calls_is_not_trained_on(reviewed: list[Call]) -> None:
    first = datasets.build(by=None)
    assert first.golden is not None
    golden_call = Call.objects.get(pk=rows_of(first.golden)[0]["call"])
    trainer = next(row["agent"] for row in rows_of(first) if row["split"] == "train")
    again = reviewed_call(agent=trainer, customer=golden_call.customer_ref, reviewed=(0, 1))
    rows = [row for row in rows_of(datasets.build(by=None)) if row["call"] == str(again.pk)]
    assert [row["party"] for row in rows] == ["agent"]


def test_one_agent_alone_cannot_hold_out_a_test_set() -> None:
    for _ in range(6):
        reviewed_call(agent="ann")
    with pytest.raises(CallcenterError, match="cannot hold out a test set") as caught:
        datasets.build(by=None)
    assert caught.value.code == "one_speaker"
    assert not SplitAssignment.objects.exists() and not Dataset.objects.exists()


def test_too_few_calls_cannot_hold_out_a_test_set_and_place_nobody() -> None:
    reviewed_call(agent="ann")
    reviewed_call(agent="bob")
    with pytest.raises(CallcenterError, match="cannot hold out a test set"):
        datasets.build(by=None)
    assert not SplitAssignment.objects.exists()


def test_nothing_reviewed_is_said_so() -> None:
    reviewed_call(reviewed=())
    with pytest.raises(CallcenterError, match="Nobody has reviewed"):
        datasets.build(by=None)


def test_calls_without_an_agent_are_told_apart_by_call() -> None:
    for _ in range(8):
        reviewed_call(agent="")
    made = datasets.build(by=None)
    assert made.golden is not None
    assert not {row["call"] for row in rows_of(made)} & {row["call"] for row in rows_of(made.golden)}


def test_a_call_or_team_that_does_not_consent_is_left_out(reviewed: list[Call]) -> None:
    refusing = reviewed[0]
    Call.objects.filter(pk=refusing.pk).update(training_consent=False)
    silent = TeamFactory(name="Silent", training_consent=False)
    outside = reviewed_call(agent="eve", team=silent)
    agreed = reviewed_call(agent="eve", team=silent)
    Call.objects.filter(pk=agreed.pk).update(training_consent=True)
    made = datasets.build(by=None)
    assert made.golden is not None
    used = {row["call"] for row in rows_of(made) + rows_of(made.golden)}
    assert str(refusing.pk) not in used and str(outside.pk) not in used and str(agreed.pk) in used
    assert made.counts["left_out"]["no consent to training"] == 2


def test_payment_data_is_cut_out_of_sound_and_text(reviewed: list[Call]) -> None:
    call = reviewed_call(agent="ann", said=("Hello", "my card is four five six nine and I live here", "Thanks"))
    turn = call.turns.get(index=1)
    first, last = turn.words[3], turn.words[6]
    AlertFactory(call=call, category="payment_data", start_ms=first[1], end_ms=last[2], turn_index=1)
    made = datasets.build(by=None)
    assert made.golden is not None
    rows = [row for row in rows_of(made) + rows_of(made.golden) if row["call"] == str(call.pk)]
    assert sorted(row["text"] for row in rows) == ["I live here", "my card"]  # with a margin around
    assert all(row["end_ms"] <= first[1] or row["start_ms"] >= last[2] for row in rows)


def test_a_card_number_that_no_alert_knows_is_found_and_cut(reviewed: list[Call]) -> None:
    spoken = "four one one one one one one one one one one one one one one one"
    call = reviewed_call(agent="ann", said=("Your card number please", f"it is {spoken}", "Thanks"))
    made = datasets.build(by=None)
    assert made.golden is not None
    texts = [row["text"] for row in rows_of(made) + rows_of(made.golden) if row["call"] == str(call.pk)]
    assert texts and not any("one one one" in text for text in texts)


def test_payment_data_without_times_drops_the_segment(reviewed: list[Call]) -> None:
    AlertFactory(call=reviewed[0], category="payment_data", start_ms=0, end_ms=0, turn_index=1)
    made = datasets.build(by=None)
    assert made.golden is not None
    assert str(reviewed[0].pk) not in {row["call"] for row in rows_of(made) + rows_of(made.golden)}
    assert made.counts["left_out"]["private data without known times"] == 1


def test_a_recording_that_is_gone_leaves_out_its_own_segments_only(reviewed: list[Call]) -> None:
    reviewed_call(agent="ann", sound=False)
    made = datasets.build(by=None)
    assert made.golden is not None
    assert made.rows + made.golden.rows == 12
    assert made.counts["left_out"] == {"the recording is gone from the storage": 1}


def test_teams_and_days_narrow_what_is_learned_and_not_what_is_held_out(reviewed: list[Call]) -> None:
    whole = datasets.build(by=None)
    other = TeamFactory(name="Other")
    for name in ("xav", "yan"):
        reviewed_call(agent=name, team=other)
        reviewed_call(agent=name, team=other)
    made = datasets.build(by=None, teams=[other])
    assert made.golden is not None and whole.golden is not None
    assert {row["team"] for row in rows_of(made)} == {"Other"}
    assert {row["id"] for row in rows_of(whole.golden)} <= {row["id"] for row in rows_of(made.golden)}


def test_confirmed_segments_and_pseudo_labels_are_marked_as_what_they_are(reviewed: list[Call]) -> None:
    first = datasets.build(by=None)
    trainer = next(row["agent"] for row in rows_of(first) if row["split"] == "train")
    confirmed = reviewed_call(agent=trainer, outcome="confirmed")
    sure = reviewed_call(agent=trainer, reviewed=())
    Turn.objects.filter(call=sure, index=0).update(mean_probability=0.99)
    rows = {row["call"]: row for row in rows_of(datasets.build(by=None, pseudo_share=0.4))}
    assert rows[str(confirmed.pk)]["source"] == "confirmed"
    assert rows[str(sure.pk)]["source"] == "pseudo" and rows[str(sure.pk)]["corrections"] == []


def test_a_clip_holds_the_channel_and_the_stretch_of_its_turn(reviewed: list[Call], tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    made = datasets.build(by=None)
    folder = files.materialise(store(), made.manifest_key, tmp_path / "d")
    row = files.read(folder)[0]
    samples, rate = soundfile.read(row["path"])
    assert rate == 16_000 and samples.ndim == 1
    call = Call.objects.get(pk=row["call"])
    with store().local_path(call.recording.storage_key) as path:
        (whole,) = clips.sounds(path, [(1, row["start_ms"], row["end_ms"])])
    assert abs(len(samples) / rate - row["duration_s"]) < 0.001
    assert float(np.abs(samples - whole).max()) < 1e-3


def test_padding_stops_at_the_neighbouring_word_of_the_same_channel() -> None:
    words = [("yes", 1000, 1300)]
    (piece,) = clips.pieces(words, others=[(700, 950), (1340, 1500)], duration_ms=9000)
    assert (piece.start_ms, piece.end_ms) == (950, 1340)
    (free,) = clips.pieces(words, duration_ms=9000)
    assert (free.start_ms, free.end_ms) == (800, 1500)


def test_a_long_segment_is_cut_at_a_pause_and_no_word_is_lost() -> None:
    words = [(f"w{n}", 500 * n + (2000 if n > 50 else 0), 500 * n + 400 + (2000 if n > 50 else 0)) for n in range(100)]
    parts = clips.pieces(words, duration_ms=60_000)
    assert [w for part in parts for w in part.words] == words
    assert all(part.duration_ms <= clips.MAX_MS for part in parts)
    assert parts[0].words[-1][0] == "w50"


def test_what_is_shorter_than_a_third_of_a_second_is_no_clip() -> None:
    assert clips.pieces([("I", 1000, 1050)], others=[(900, 1000), (1060, 1200)], duration_ms=9000) == []


def test_a_name_that_is_taken_is_refused_before_anything_is_cut(reviewed: list[Call]) -> None:
    datasets.build(by=None, name="mine")
    with pytest.raises(CallcenterError, match="already"):
        datasets.build(by=None, name="mine")


def test_a_turn_confirmed_later_comes_into_the_next_dataset(reviewed: list[Call]) -> None:
    before = datasets.build(by=None)
    review_turn(reviewed[0].turns.get(index=0), outcome="confirmed")
    after = datasets.build(by=None)
    assert before.golden and after.golden
    assert after.rows + after.golden.rows == before.rows + before.golden.rows + 1


def test_replay_rows_ride_along_as_old_domain(reviewed: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    from callcenter import demo
    from callcenter.demo import MANIFEST

    lines = [__import__("json").loads(x) for x in MANIFEST.read_text().splitlines()[:6] if x.strip()]
    monkeypatch.setattr(demo, "rows", lambda: lines)
    made = datasets.build(by=None, replay_share=0.5)
    replay = [row for row in rows_of(made) if row["old_domain"]]
    own = sum(row["duration_s"] for row in rows_of(made) if row["split"] == "train" and not row["old_domain"])
    assert replay and all(row["source"] == "replay" and row["split"] == "train" for row in replay)
    assert 0.5 <= sum(row["duration_s"] for row in replay) / own < 2.0
    gate = Dataset.objects.get(kind=Dataset.Kind.OLD_DOMAIN)
    assert not {row["call"] for row in rows_of(gate)} & {row["call"] for row in replay}
    assert made.parameters["old_domain"] == str(gate.pk)


def test_an_empty_manifest_is_never_stored(reviewed: list[Call]) -> None:
    Call.objects.update(training_consent=False)
    with pytest.raises(CallcenterError, match="consent"):
        datasets.build(by=None)
    assert not Dataset.objects.exists()


def test_an_uploads_manifest_may_say_that_a_call_is_not_to_be_learned_from() -> None:
    from callcenter.calls.services.metadata import resolve
    from callcenter.core.errors import Refused

    team = TeamFactory(name="Billing")
    said = {
        word: resolve({"Training Consent": word}, team=team, by=None).training_consent for word in ("yes", "No", "")
    }
    assert said == {"yes": True, "No": False, "": None}
    with pytest.raises(Refused, match="training_consent “perhaps” is not yes or no"):
        resolve({"training_consent": "perhaps"}, team=team, by=None)
