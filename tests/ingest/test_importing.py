"""Importing from folders: manifests, file-name patterns, corpus layouts, and the watched folder."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from callcenter.accounts.models import Team, User
from callcenter.calls.models import Batch, Call
from callcenter.calls.services import folder
from tests.audio_files import call_wav, pulses, wav, write

pytestmark = pytest.mark.django_db


def run_import(*args: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("import_recordings", *args, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_a_folder_is_imported_with_what_its_file_names_say(tmp_path: Path, team: Team, agent: User, work: Any) -> None:
    write(tmp_path / "in" / "amy_20260301T1405_C17.wav", call_wav(seed=1))
    write(tmp_path / "in" / "notes.txt", b"not a recording")
    pattern = r"(?P<agent>\w+?)_(?P<started_at>\d{8}T\d{4})_(?P<external_id>C\d+)"
    result = run_import(str(tmp_path / "in"), "--pattern", pattern)
    work()
    assert len(result["rows"]) == 1
    call = Call.objects.get()
    assert call.agent == agent and call.external_id == "C17" and call.started_at.year == 2026
    assert call.source == "command"


def test_a_pattern_with_an_unknown_group_is_refused_with_the_known_ones(tmp_path: Path, team: Team) -> None:
    write(tmp_path / "a.wav", call_wav())
    with pytest.raises(CommandError, match="agnt.*external_id"):
        run_import(str(tmp_path), "--pattern", r"(?P<agnt>\w+)")


def test_a_manifest_in_the_folder_is_used_and_its_missing_file_is_a_refused_row(
    tmp_path: Path, team: Team, work: Any
) -> None:
    write(tmp_path / "a.wav", call_wav())
    write(tmp_path / "manifest.csv", b"filename;customer_ref\na.wav;K-9\ngone.wav;K-8\n../b.wav;K-7\n")
    result = run_import(str(tmp_path))
    work()
    states = {row["filename"]: (row["state"], row["reason"]) for row in result["rows"]}
    assert states["gone.wav"][0] == "refused" and "not there" in states["gone.wav"][1]
    assert states["../b.wav"][0] == "refused" and "outside" in states["../b.wav"][1]
    assert Call.objects.get().customer_ref == "K-9"


def test_separate_agent_and_caller_files_become_one_stereo_call(tmp_path: Path, team: Team, work: Any) -> None:
    root = tmp_path / "harper" / "data"
    write(root / "audio" / "agent" / "abc.wav", wav(pulses(4, pitch=120, seed=1)))
    write(root / "audio" / "caller" / "abc.wav", wav(pulses(3, pitch=210, seed=2)))
    write(root / "audio" / "agent" / "lonely.wav", wav(pulses(3, pitch=120, seed=3)))
    write(
        root / "metadata" / "abc.json",
        json.dumps({"start_time": 1_571_000_000, "caller": {"speaker_id": 7}}).encode(),
    )
    result = run_import(str(tmp_path / "harper"))
    work()
    call = Call.objects.select_related("recording").get()
    assert call.external_id == "abc" and call.recording.channels == 2 and call.recording.layout == "two_party"
    assert call.recording.duration_ms == 4000 and call.started_at.year == 2019 and call.customer_ref == "speaker 7"
    lonely = next(row for row in result["rows"] if row["filename"] == "lonely.wav")
    assert lonely["state"] == "refused" and "caller side is missing" in lonely["reason"]


def test_an_import_without_a_team_lists_the_teams(tmp_path: Path, team: Team) -> None:
    Team.objects.create(name="Sales", slug="sales")
    with pytest.raises(CommandError, match="billing, sales"):
        call_command("import_recordings", str(tmp_path))


def test_the_watched_folder_takes_settled_files_once_and_moves_them_aside(
    tmp_path: Path, team: Team, work: Any
) -> None:
    sales = Team.objects.create(name="Sales", slug="sales")
    settled = [
        write(tmp_path / "a.wav", call_wav(seed=1)),
        write(tmp_path / "sales" / "b.wav", call_wav(seed=2)),
    ]
    for path in settled:
        os.utime(path, (1_700_000_000, 1_700_000_000))
    fresh = write(tmp_path / "c.wav", call_wav(seed=3))
    batch = folder.poll(root=tmp_path)
    work()
    assert batch is not None and batch.rows.count() == 2
    assert {call.team for call in Call.objects.all()} == {team, sales}
    assert Call.objects.filter(started_at__year=2023).count() == 2
    assert fresh.exists() and not settled[0].exists() and (tmp_path / "taken" / "sales" / "b.wav").exists()
    assert folder.poll(root=tmp_path) is None
    assert Batch.objects.count() == 1
