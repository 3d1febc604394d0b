"""Counting and finding speakers among embeddings of known origin."""

from __future__ import annotations

import numpy as np
import pytest

from asr_worker.diarization.clustering import ClusterSettings, find_speakers, unit

SETTINGS = ClusterSettings()


def voices(*sizes: int, noise: float = 0.03, seed: int = 1) -> np.ndarray:
    """Return embeddings of len(sizes) people who are far apart, each with some noise."""
    rng = np.random.default_rng(seed)
    people = np.linalg.qr(rng.normal(size=(256, len(sizes))))[0].T
    rows = [person + rng.normal(0, noise, (size, 256)) for person, size in zip(people, sizes, strict=True)]
    return np.concatenate(rows).astype(np.float32)


@pytest.mark.parametrize("sizes", [(40,), (40, 40), (60, 8), (30, 20, 10), (20, 20, 20, 20)])
def test_the_number_of_people_is_found(sizes: tuple[int, ...]) -> None:
    found = voices(*sizes)
    assert len(find_speakers(found, np.full(len(found), 3.0), settings=SETTINGS)) == len(sizes)


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_a_given_number_is_kept(wanted: int) -> None:
    found = voices(30, 30)
    assert len(find_speakers(found, np.full(60, 3.0), num_speakers=wanted, settings=SETTINGS)) == wanted


def test_bounds_are_kept() -> None:
    found = voices(20, 20, 20, 20)
    weights = np.full(80, 3.0)
    assert len(find_speakers(found, weights, max_speakers=2, settings=SETTINGS)) == 2
    assert len(find_speakers(voices(40), np.full(40, 3.0), min_speakers=2, settings=SETTINGS)) == 2


def test_a_cough_is_not_a_speaker() -> None:
    found = voices(40, 40, 1)
    weights = np.array([3.0] * 80 + [1.6])
    assert len(find_speakers(found, weights, settings=SETTINGS)) == 2
    pair = find_speakers(found, weights, num_speakers=2, settings=SETTINGS)
    assert np.abs(pair @ unit(found[-1])).max() < 0.5


def test_one_embedding_is_one_speaker() -> None:
    assert find_speakers(voices(1), np.array([0.2]), settings=SETTINGS).shape == (1, 256)
    assert find_speakers(voices(1), np.array([0.2]), num_speakers=2, settings=SETTINGS).shape == (1, 256)


def test_equal_input_gives_equal_speakers() -> None:
    found = voices(50, 30, noise=0.06)
    weights = np.linspace(1.5, 6, 80)
    first = find_speakers(found, weights, settings=SETTINGS)
    np.testing.assert_array_equal(first, find_speakers(found, weights, settings=SETTINGS))


def test_hours_of_embeddings_are_thinned_out_evenly() -> None:
    found = voices(2000, 2000)
    speakers = find_speakers(found, np.full(4000, 3.0), settings=ClusterSettings(cap=200))
    assert len(speakers) == 2
