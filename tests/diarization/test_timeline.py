"""Voting on one timeline: who is whom in each window, and how runs of frames become segments."""

from __future__ import annotations

import numpy as np

from asr_worker.diarization import timeline
from asr_worker.diarization.windows import WINDOW_FRAMES, WindowGrid, frame_ms

CENTROIDS = np.eye(2)


def test_two_local_speakers_of_a_window_are_two_people() -> None:
    embeddings = np.array([[1.0, 0.1], [1.0, 0.4]])  # both are more like the first person
    who = timeline.assign(np.array([0, 0]), np.array([0, 2]), embeddings, np.array([5.0, 5.0]), CENTROIDS, 1)
    assert who.tolist() == [[0, -1, 1]]


def test_more_local_speakers_than_people_share_the_nearest() -> None:
    embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0]])
    who = timeline.assign(np.zeros(3, int), np.arange(3), embeddings, np.array([5.0, 5.0, 1.0]), CENTROIDS, 1)
    assert who.tolist() == [[0, 1, 1]]


def test_nobody_active_is_nobody_assigned() -> None:
    nothing = np.zeros(0, int)
    assert (timeline.assign(nothing, nothing, np.zeros((0, 2)), np.zeros(0), CENTROIDS, 3) == -1).all()


def test_overlapping_windows_are_averaged() -> None:
    grid = WindowGrid(200_000, 59)
    local = np.zeros((grid.count, WINDOW_FRAMES, 3), np.float32)
    local[0, 59:, 0] = 1.0  # only the first window hears somebody
    who = np.full((grid.count, 3), -1)
    who[:, 0] = 0
    total, people = timeline.activity(grid, local, who, 1)
    assert total[30, 0] == 0.0
    assert total[60, 0] == 0.5  # two windows, one of them says yes
    np.testing.assert_allclose(people, total[:, 0])


def test_as_many_speak_as_there_are_people() -> None:
    total = np.array([[0.9, 0.3], [0.9, 0.8], [0.2, 0.1]])
    people = np.array([1.2, 1.7, 0.3])
    assert timeline.choose(total, people, rounding=0.5).tolist() == [[True, False], [True, True], [False, False]]


def test_runs_become_segments_named_in_order_of_appearance() -> None:
    active = np.zeros((200, 2), bool)
    active[10:60, 1] = True
    active[70:80, 1] = True  # after a pause of 169 ms
    active[100:150, 0] = True
    found = timeline.segments(active, duration_ms=10_000, bridge_ms=200, least_ms=0)
    assert [s.speaker for s in found] == ["S1", "S2"]
    assert found[0].start_ms == round(frame_ms(10)) and found[0].end_ms == round(frame_ms(80))


def test_a_run_past_the_end_is_cut_and_a_short_one_goes() -> None:
    active = np.zeros((300, 1), bool)
    active[0:2] = True
    active[250:] = True
    found = timeline.segments(active, duration_ms=4_500, bridge_ms=0, least_ms=100)
    assert len(found) == 1 and found[0].end_ms == 4_500
