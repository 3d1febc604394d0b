"""What a night's recipe promises: who learns how often, who judges, and what is computed once for many fits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr_worker.datasets import DatasetError
from asr_worker.training.clips import variants
from asr_worker.training.config import AugmentConfig
from asr_worker.training.data import Example, of_epoch, read_split
from asr_worker.training.fit import fit
from tests.training.small import QUICK, dataset, two_words


@pytest.mark.parametrize(("epochs", "visits"), [(6, 2), (7, 3), (5, 1)])
def test_old_rows_are_learnt_from_as_often_as_asked_and_new_ones_in_every_epoch(epochs: int, visits: int) -> None:
    old = [i % 3 > 0 for i in range(31)]
    chosen = [of_epoch(old, epochs=epochs, visits=visits, seed=7, epoch=e) for e in range(epochs)]
    assert len({len(rows) for rows in chosen}) == 1
    seen = Counter(i for rows in chosen for i in rows)
    assert {seen[i] for i, is_old in enumerate(old) if not is_old} == {epochs}
    assert {seen[i] for i, is_old in enumerate(old) if is_old} <= {visits, visits + 1}
    assert chosen == [of_epoch(old, epochs=epochs, visits=visits, seed=7, epoch=e) for e in range(epochs)]


@pytest.mark.parametrize("visits", [0, 4, 9])
def test_without_a_number_of_visits_or_with_too_many_every_row_is_in_every_epoch(visits: int) -> None:
    assert of_epoch([True, False, True], epochs=4, visits=visits, seed=7, epoch=2) == [0, 1, 2]


def test_with_nobody_held_out_all_learn_and_the_last_checkpoint_is_the_result(base: Path, tmp_path: Path) -> None:
    data = two_words(tmp_path / "data", speakers=3)
    split = read_split(data, seed=7, hold_out=0.0)
    assert len(split.train) == 6 and not split.judged and set(split.validation) <= set(split.train)
    done = fit(base, data, tmp_path / "out", replace(QUICK, epochs=3, hold_out=0.0))
    assert done.rows == {"correction": 6} and done.best_step == done.steps == 6
    assert [point["step"] for point in done.curve] == [0, 6]


def test_one_speaker_is_enough_where_nobody_has_to_be_held_out(tmp_path: Path) -> None:
    data = two_words(tmp_path / "data", speakers=1)
    with pytest.raises(DatasetError) as caught:
        read_split(data, seed=7)
    assert caught.value.code == "one_speaker"
    assert len(read_split(data, seed=7, hold_out=0.0).train) == 2


def test_rows_for_validation_judge_although_nobody_is_held_out(tmp_path: Path) -> None:
    rows = [{"text": "aa", "speaker": "s0", "split": "train"}, {"text": "aa", "speaker": "s1", "split": "validation"}]
    split = read_split(dataset(tmp_path / "data", rows), seed=7, hold_out=0.0)
    assert split.judged and [e.speaker for e in split.validation] == ["s1"]


def test_changed_copies_can_be_kept_to_the_new_domain() -> None:
    new, old = Example("n", Path("n"), "aa"), Example("o", Path("o"), "aa", old=True)
    made = variants([new, old], AugmentConfig(noise=1.0, copies=2, old_domain=False))
    assert [(e.id, e.variant) for e in made] == [("n", 0), ("n", 1), ("n", 2), ("o", 0)]


def test_a_kept_cache_spares_another_fit_the_encoder_and_changes_nothing(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr_worker.training.whisper import WhisperFamily

    data, cache = two_words(tmp_path / "data"), tmp_path / "cache"
    first = fit(base, data, tmp_path / "first", QUICK, cache=cache)
    assert len(list(cache.glob("*.npy"))) == 8

    def no_more(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a clip was encoded twice")

    with monkeypatch.context() as patched:
        patched.setattr(WhisperFamily, "encode", no_more)
        second = fit(base, data, tmp_path / "second", QUICK, cache=cache)
        fit(base, data, tmp_path / "third", replace(QUICK, method="lora"), cache=cache)
    assert [p["wer"] for p in second.curve] == [p["wer"] for p in first.curve]
    assert [p["validation_loss"] for p in second.curve] == [p["validation_loss"] for p in first.curve]
    assert len(list(cache.glob("*.npy"))) == 8


def test_copies_changed_in_another_way_are_other_clips(base: Path, tmp_path: Path) -> None:
    data, cache = two_words(tmp_path / "data", speakers=2), tmp_path / "cache"
    for number, snr in enumerate(((0.0, 5.0), (10.0, 20.0))):
        config = replace(QUICK, hold_out=0.0, augment=AugmentConfig(noise=1.0, noise_snr_db=snr))
        fit(base, data, tmp_path / f"out{number}", config, cache=cache)
        # Four clips as they are, and four changed ones for each way of changing them.
        assert len(list(cache.glob("*.npy"))) == 8 + 4 * number
