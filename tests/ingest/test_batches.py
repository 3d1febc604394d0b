"""What becomes of the files of a batch, the good, the bad and the doubled."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest

from callcenter.accounts.models import Team, User
from callcenter.calls.models import Batch, BatchRow, Call, Recording
from callcenter.calls.services import archives, batches
from callcenter.core.errors import CallcenterError
from callcenter.core.models import AuditEvent
from callcenter.core.storage import store
from callcenter.pipeline.models import Run
from tests.audio_files import call_wav, pulses, wav

pytestmark = pytest.mark.django_db


def add(batch: Batch, name: str, data: bytes, **kwargs: Any) -> BatchRow:
    return batches.add_file(batch=batch, filename=name, stream=io.BytesIO(data), **kwargs)


def zipped(files: dict[str, bytes], **kwargs: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **kwargs) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def rows(batch: Batch) -> dict[str, tuple[str, str]]:
    return {row.filename: (row.state, row.reason) for row in batch.rows.all()}


def test_a_good_recording_becomes_one_call_with_a_run_and_an_audit_event(batch: Batch, work: Any, sent: Any) -> None:
    row = add(batch, "one.wav", call_wav())
    batches.close_batch(batch=batch)
    work()
    row.refresh_from_db()
    assert row.state == "done"
    call = row.call
    assert call is not None and call.recording.layout == "two_party" and call.recording.channels == 2
    assert store().exists(call.recording.storage_key)
    assert Run.objects.get(call=call).state == "queued"
    assert [name for name, _ in sent] == ["pipeline.advance"]
    assert AuditEvent.objects.filter(action="call.create", object_id=str(call.pk)).exists()
    assert not store().exists(row.staged_key)


def test_the_same_audio_twice_is_one_recording_and_one_call(batch: Batch, work: Any) -> None:
    add(batch, "one.wav", call_wav())
    add(batch, "copy.wav", call_wav())
    batches.close_batch(batch=batch)
    work()
    assert rows(batch)["copy.wav"][0] == "duplicate"
    assert Recording.objects.count() == 1 and Call.objects.count() == 1 and Run.objects.count() == 1
    assert batch.rows.get(filename="copy.wav").call == batch.rows.get(filename="one.wav").call


def test_the_same_audio_in_two_teams_is_one_recording_and_two_calls(batch: Batch, supervisor: User, work: Any) -> None:
    other = Team.objects.create(name="Sales", slug="sales")
    supervisor.teams.add(other)
    add(batch, "one.wav", call_wav())
    add(batch, "other.wav", call_wav(), metadata={"team": "sales"})
    batches.close_batch(batch=batch)
    work()
    assert {state for state, _ in rows(batch).values()} == {"done"}
    assert Recording.objects.count() == 1 and Call.objects.count() == 2


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.wav", b"", "empty"),
        ("text.wav", b"Dear sir or madam, this is not sound at all.\n" * 50, "not"),
        ("zero.wav", wav(np.zeros(0, np.float32)), "0 s"),
        ("cut.wav", call_wav(20)[: len(call_wav(20)) // 3], "cut short"),
        ("seven.wav", wav(np.stack([pulses(1.0, seed=n) for n in range(7)], axis=1)), "7 channels"),
    ],
)
def test_bad_audio_is_refused_with_its_reason_and_the_rest_of_the_batch_goes_on(
    batch: Batch, work: Any, name: str, data: bytes, says: str
) -> None:
    add(batch, name, data)
    add(batch, "good.wav", call_wav())
    batches.close_batch(batch=batch)
    work()
    state, reason = rows(batch)[name]
    assert state == "refused" and says in reason
    assert rows(batch)["good.wav"][0] == "done"
    assert Call.objects.count() == 1


def test_a_recording_longer_than_the_limit_is_refused(batch: Batch, work: Any, settings: Any) -> None:
    settings.ENV = settings.ENV.model_copy(update={"MAX_DURATION_MINUTES": 1})
    add(batch, "long.wav", wav(np.zeros(8000 * 70, np.float32)))
    batches.close_batch(batch=batch)
    work()
    state, reason = rows(batch)["long.wav"]
    assert state == "refused" and "limit" in reason


def test_pure_silence_is_kept_and_its_row_says_that_nothing_was_heard(batch: Batch, work: Any) -> None:
    add(batch, "silence.wav", wav(np.zeros(8000 * 5, np.float32)))
    batches.close_batch(batch=batch)
    work()
    state, reason = rows(batch)["silence.wav"]
    assert state == "done" and "Nothing louder" in reason


def test_a_recording_of_192_khz_is_taken(batch: Batch, work: Any) -> None:
    add(batch, "hires.wav", wav(pulses(2.0, rate=192_000), rate=192_000))
    batches.close_batch(batch=batch)
    work()
    assert rows(batch)["hires.wav"][0] == "done"


def test_a_file_over_the_upload_limit_is_refused_without_being_kept(batch: Batch, settings: Any) -> None:
    settings.ENV = settings.ENV.model_copy(update={"MAX_UPLOAD_MB": 1})
    row = add(batch, "big.wav", b"RIFF" + bytes(2 * 2**20))
    assert row.state == "refused" and "1 MiB" in row.reason
    assert not list(store().iter_keys("staging"))


def test_a_zip_gives_every_file_its_own_row_and_reads_the_manifest_in_it(batch: Batch, work: Any, agent: User) -> None:
    data = zipped({
        "calls/a.wav": call_wav(seed=1),
        "calls/b.wav": call_wav(seed=2),
        "manifest.csv": b"filename,agent,external_id\na.wav,amy,X-1\nmissing.wav,amy,X-3\n",
        "__MACOSX/junk": b"x",
    })  # fmt: skip
    add(batch, "all.zip", data)
    batches.close_batch(batch=batch)
    work()
    found = rows(batch)
    assert found["all.zip"][0] == "done"
    assert found["all.zip/calls/a.wav"][0] == "done" and found["all.zip/calls/b.wav"][0] == "done"
    assert found["missing.wav"][0] == "refused" and "not uploaded" in found["missing.wav"][1]
    call = Call.objects.get(external_id="X-1")
    assert call.agent == agent
    assert not any("MACOSX" in name for name in found)


def test_a_zip_bomb_is_refused_before_it_unpacks(batch: Batch, work: Any) -> None:
    add(batch, "bomb.zip", zipped({"zeros.wav": bytes(80 * 2**20)}))
    add(batch, "good.wav", call_wav())
    batches.close_batch(batch=batch)
    work()
    assert rows(batch)["bomb.zip"][0] == "refused" and "bomb" in rows(batch)["bomb.zip"][1]
    assert rows(batch)["good.wav"][0] == "done"
    assert batch.rows.count() == 2


def test_a_zip_whose_directory_lies_about_a_size_is_stopped_while_it_unpacks(tmp_path: Any) -> None:
    path = tmp_path / "liar.zip"
    data = bytearray(zipped({"a.wav": b"RIFF" + bytes(1000)}))
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    from callcenter.core.errors import Refused

    with archives.opened(path) as archive, pytest.raises(Refused):
        archive.members()
        archive.read_small("a.wav")


@pytest.mark.parametrize("name", ["../evil.wav", "/abs.wav", "a/../../evil.wav"])
def test_a_zip_with_a_name_that_leaves_its_folder_is_refused(batch: Batch, work: Any, name: str) -> None:
    add(batch, "evil.zip", zipped({name: call_wav()}))
    batches.close_batch(batch=batch)
    work()
    assert rows(batch)["evil.zip"][0] == "refused" and "leaves its folder" in rows(batch)["evil.zip"][1]


def test_a_manifest_with_a_wrong_column_is_refused_by_name_and_the_files_go_on(batch: Batch, work: Any) -> None:
    row = batches.add_manifest(batch=batch, filename="manifest.csv", data=b"filename,agnt\na.wav,amy\n")
    add(batch, "a.wav", call_wav())
    batches.close_batch(batch=batch)
    work()
    assert row.state == "refused" and "agnt" in row.reason and "agent" in row.reason
    assert rows(batch)["a.wav"][0] == "done"


def test_a_manifest_row_without_its_file_is_refused_as_missing(batch: Batch, work: Any) -> None:
    batches.add_manifest(batch=batch, filename="m.jsonl", data=b'{"audio": "a.wav"}\n{"audio": "gone.wav"}\n')
    add(batch, "a.wav", call_wav())
    batches.close_batch(batch=batch)
    work()
    assert rows(batch)["gone.wav"] == ("refused", "The manifest names this file, but it was not uploaded.")
    assert rows(batch)["a.wav"][0] == "done"


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("agent", "nobody", "not a known user name"),
        ("team", "nowhere", "not known"),
        ("direction", "sideways", "not one of"),
        ("started_at", "yesterday", "not a date"),
        ("num_speakers", "many", "whole number"),
    ],
)
def test_a_wrong_value_refuses_its_own_row_and_names_the_value(
    batch: Batch, work: Any, column: str, value: str, says: str
) -> None:
    batches.add_manifest(batch=batch, filename="m.csv", data=f"filename,{column}\na.wav,{value}\nb.wav,\n".encode())
    add(batch, "a.wav", call_wav(seed=1))
    add(batch, "b.wav", call_wav(seed=2))
    batches.close_batch(batch=batch)
    work()
    state, reason = rows(batch)["a.wav"]
    assert state == "refused" and value in reason and says in reason
    assert rows(batch)["b.wav"][0] == "done"


def test_one_external_id_for_two_recordings_is_refused_at_the_second(batch: Batch, work: Any) -> None:
    add(batch, "a.wav", call_wav(seed=1), metadata={"external_id": "X"})
    add(batch, "b.wav", call_wav(seed=2), metadata={"external_id": "X"})
    batches.close_batch(batch=batch)
    work()
    state, reason = rows(batch)["b.wav"]
    assert state == "refused" and "already belongs" in reason


def test_nobody_files_calls_under_a_team_of_others(batch: Batch, work: Any, supervisor: User) -> None:
    other = Team.objects.create(name="Sales", slug="sales")
    with pytest.raises(CallcenterError):
        batches.open_batch(by=supervisor, team=other)
    add(batch, "a.wav", call_wav(), metadata={"team": "sales"})
    batches.close_batch(batch=batch)
    work()
    state, reason = rows(batch)["a.wav"]
    assert state == "refused" and "may not" in reason
    assert not Call.objects.exists()


def test_a_row_is_worked_on_once_however_often_its_message_comes(batch: Batch) -> None:
    row = add(batch, "a.wav", call_wav())
    batches.close_batch(batch=batch)
    assert batches.process_row(row.pk) is not None
    assert batches.process_row(row.pk) is None
    assert Call.objects.count() == 1


def test_a_row_whose_worker_died_is_sent_again_and_given_up_after_three_tries(batch: Batch, sent: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    row = add(batch, "a.wav", call_wav())
    long_ago = timezone.now() - timedelta(hours=1)
    for expected in ("received", "received", "refused"):
        BatchRow.objects.filter(pk=row.pk).update(state="checking", claimed_at=long_ago)
        sent.clear()
        batches.sweep_rows()
        row.refresh_from_db()
        assert row.state == expected
        assert bool(sent) == (expected == "received")
    assert "3 tries" in row.reason


def test_a_telephone_codec_that_browsers_cannot_play_is_made_ready_for_the_first_listener(
    batch: Batch, work: Any, sent: Any
) -> None:
    from callcenter.calls.services.playback import derived_key, prepare

    add(batch, "ulaw.wav", wav(pulses(2.0), subtype="ULAW"))
    batches.close_batch(batch=batch)
    work()
    recording = Recording.objects.get()
    assert ("calls.prepare_playback", {"recording_id": recording.pk}) in sent
    prepare(recording.pk)
    assert store().exists(derived_key(recording))
