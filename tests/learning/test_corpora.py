"""Corpora come in with every bad row named, go out again whole, and the old domain is never on both sides."""

from __future__ import annotations

import json
import zipfile
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from callcenter.core.errors import CallcenterError
from callcenter.core.storage import store
from callcenter.learning.models import Dataset, DatasetJob, Model, NightlyRun
from callcenter.learning.services import datasets, exporting, importing, jobs, old_domain, uploads
from callcenter.learning.services.store_rows import rows_of
from tests.learning.conftest import reviewed_call, wav

pytestmark = pytest.mark.django_db


def corpus(folder: Path, *, speakers: int = 4, split: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for n in range(speakers):
        (folder / f"{n}.wav").write_bytes(wav(1.0 + n / 10, n, channels=1))
        row = {"audio": f"{n}.wav", "text": f"number {n}", "speaker": f"s{n}"}
        lines.append(json.dumps({**row, "split": split} if split else row))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_a_folder_with_a_manifest_comes_in_with_voices_apart(tmp_path: Path) -> None:
    made = importing.import_corpus(path=corpus(tmp_path / "c", speakers=6), name="mine", role="train", by=None)
    rows = rows_of(made)
    assert made.imported and made.kind == Dataset.Kind.TRAIN and len(rows) == 6
    sides = {row["speaker"]: row["split"] for row in rows}
    assert set(sides.values()) == {"train", "validation"}


def test_every_bad_row_is_named_with_its_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "c")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "long.wav").write_bytes(wav(40, 1, channels=1))
    with (folder / "manifest.jsonl").open("a") as out:
        for row in (
            {"audio": "gone.wav", "text": "x"},
            {"audio": "0.wav", "text": "  "},
            {"audio": "../../etc/passwd", "text": "x"},
            {"audio": "empty.wav", "text": "x"},
            {"audio": "long.wav", "text": "x"},
            {"text": "no audio"},
            {"audio": "1.wav", "text": "x", "suspect_reference": True},
        ):
            out.write(json.dumps(row) + "\n")
        out.write("{broken\n")
    made = importing.import_corpus(path=folder, name="mine", role="golden", by=None)
    assert made.rows == 4 and len(made.problems) == 8
    said = " ".join(problem["reason"] for problem in made.problems)
    for word in ("not there", "no text", "outside", "empty", "40 s long", "no audio file", "suspect", "not a JSON"):
        assert word in said
    assert {"manifest.jsonl, line 5", "manifest.jsonl, line 12"} <= {problem["where"] for problem in made.problems}


def test_a_hugging_face_folder_as_a_zip_comes_in_by_its_splits(tmp_path: Path) -> None:
    archive = tmp_path / "hf.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for split in ("train", "test"):
            lines = ["file_name,transcription,speaker_id"]
            for n in range(3):
                out.writestr(f"data/{split}/{n}.wav", wav(1.0, n + (10 if split == "test" else 0), channels=1))
                lines.append(f"{n}.wav,words of {split} {n},{split}-{n}")
            out.writestr(f"data/{split}/metadata.csv", "\n".join(lines))
    train = importing.import_corpus(path=archive, name="t", role="train", by=None)
    golden = importing.import_corpus(path=archive, name="g", role="golden", by=None)
    assert {row["text"].split()[2] for row in rows_of(train)} == {"train"}
    assert {row["text"].split()[2] for row in rows_of(golden)} == {"test"}
    assert train.counts["left_out"] == {"marked as test by the corpus": 3}


def test_an_old_domain_is_divided_by_voice_into_gate_and_replay(tmp_path: Path) -> None:
    gate = importing.import_corpus(path=corpus(tmp_path / "c", speakers=8), name="old", role="old_domain", by=None)
    found = old_domain.current()
    assert found.gate == gate and found.replay
    assert not {r["speaker"] for r in found.replay} & {r["speaker"] for r in rows_of(gate)}
    assert all(row["old_domain"] for row in [*found.replay, *rows_of(gate)])


def test_a_corpus_that_holds_nothing_usable_is_refused_with_the_first_reasons(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "manifest.jsonl").write_text('{"audio": "gone.wav", "text": "x"}\n')
    with pytest.raises(CallcenterError, match=r"manifest.jsonl, line 1: gone.wav is not there"):
        importing.import_corpus(path=tmp_path / "c", name="x", role="train", by=None)
    with pytest.raises(CallcenterError, match="neither a folder nor a zip"):
        importing.import_corpus(path=Path(__file__), name="x", role="train", by=None)
    assert not Dataset.objects.exists()


def test_an_exported_dataset_can_be_imported_with_the_same_clips(reviewed: Any, tmp_path: Path) -> None:
    made = datasets.build(by=None, name="mine")
    archive = exporting.export(dataset=made, target=tmp_path / "mine.zip", by=None)
    with zipfile.ZipFile(archive) as held:
        described = json.loads(held.read("dataset.json"))
        assert described["sha256"] == made.sha256 and "manifest.jsonl" in held.namelist()
    again = importing.import_corpus(path=archive, name="again", role="train", by=None)
    before, after = rows_of(made), rows_of(again)
    key = ("id", "sha256", "text", "split", "duration_s")
    assert [[row[k] for k in key] for row in before] == [[row[k] for k in key] for row in after]


def test_a_clip_that_is_gone_or_changed_stops_an_export(reviewed: Any, tmp_path: Path) -> None:
    made = datasets.build(by=None)
    row = rows_of(made)[0]
    store().put_bytes(f"datasets/{row['audio']}", b"something else")
    with pytest.raises(CallcenterError, match="is not the one that was stored"):
        exporting.export(dataset=made, target=tmp_path / "a.zip", by=None)
    store().delete(f"datasets/{row['audio']}")
    with pytest.raises(CallcenterError, match="is gone from the storage"):
        exporting.export(dataset=made, target=tmp_path / "b.zip", by=None)
    assert not (tmp_path / "a.zip").exists() and not list(tmp_path.glob("*.part"))


def test_the_demo_scripts_are_the_old_domain_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from callcenter import demo

    lines = [json.loads(line) for line in demo.MANIFEST.read_text().splitlines() if line.strip()]
    monkeypatch.setattr(demo, "rows", lambda: lines[:6])
    first, second = old_domain.built_in(), old_domain.built_in()
    assert first.gate is not None and first.gate == second.gate
    rows = rows_of(first.gate)
    assert {row["call"] for row in rows}.isdisjoint({row["call"] for row in first.replay}) and first.replay
    call = reviewed_call(number=0)
    call.recording.sha256 = next(d["sha256"] for d in lines[:6] if f"demo-scripts:{d['name']}" == rows[0]["call"])
    call.recording.save()
    third = old_domain.built_in()
    assert third.gate is not None and third.gate != first.gate
    assert rows[0]["call"] not in {row["call"] for row in rows_of(third.gate)}


# --- models from elsewhere ---------------------------------------------------------------------------------------


def checkpoint(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "whisper", "vocab_size": 51864}))
    (folder / "tokenizer.json").write_text("{}")
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
    return folder


def test_a_checkpoint_is_stored_as_a_candidate(tmp_path: Path) -> None:
    model = uploads.upload(path=checkpoint(tmp_path / "m"), name="theirs", by=None)
    assert model.status == Model.Status.CANDIDATE and model.english_only and model.engine == "faster-whisper"
    assert store().exists(f"{model.reference.removeprefix('store:')}/files.json")
    with pytest.raises(CallcenterError, match="here already"):
        uploads.upload(path=checkpoint(tmp_path / "m2"), name="twin", by=None)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("pytorch_model.bin", b"PK\x03\x04", "can run code"),
        ("weights.pt", b"x", "can run code"),
        ("modeling.py", b"import os", "does not belong"),
        ("model.bin", b"\x80\x04\x95\x00 pickle", "pickles are refused"),
        ("more.safetensors", b"\x80\x04\x95\x00\x00\x00\x00\x00pickle", "not a safetensors file"),
        ("extra.json", b"{broken", "is not JSON"),
    ],
)
def test_files_that_could_run_code_or_are_not_what_they_say_are_refused(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    folder = checkpoint(tmp_path / "m")
    (folder / name).write_bytes(content)
    with pytest.raises(CallcenterError, match=said):
        uploads.upload(path=folder, name="bad", by=None)
    assert not Model.objects.exists() and not list(store().iter_keys("models/"))


def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CallcenterError, match="no weights"):
        uploads.upload(path=folder, name="x", by=None)


# --- behind the page, and the commands ---------------------------------------------------------------------------


def test_a_job_builds_a_dataset_once_and_says_what_is_wrong(reviewed: Any) -> None:
    job = jobs.start(task="build", name="by-page", parameters={"replay_share": 0.0}, by=None)
    assert jobs.work(str(job.pk)) and not jobs.work(str(job.pk))
    job.refresh_from_db()
    assert job.state == DatasetJob.State.DONE and job.dataset is not None and job.dataset.name == "by-page"
    again = jobs.start(task="build", name="by-page", parameters={}, by=None)
    jobs.work(str(again.pk))
    again.refresh_from_db()
    assert again.state == DatasetJob.State.FAILED and "already" in again.error_message


def test_an_uploaded_corpus_leaves_nothing_behind_in_the_staging_area(tmp_path: Path) -> None:
    archive = tmp_path / "c.zip"
    folder = corpus(tmp_path / "c")
    with zipfile.ZipFile(archive, "w") as out:
        for path in folder.iterdir():
            out.write(path, path.name)
    with archive.open("rb") as stream:
        key = jobs.stage(stream, filename="c.zip", job_hint="abc")
    job = jobs.start(task="import", name="up", parameters={"role": "golden"}, by=None, staged_key=key)
    jobs.work(str(job.pk))
    job.refresh_from_db()
    assert job.state == DatasetJob.State.DONE and not list(store().iter_keys("staging/"))


def told(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_dataset_command_builds_lists_shows_and_exports(reviewed: Any, tmp_path: Path) -> None:
    assert "12 reviewed" not in told("dataset", "build", "--name", "cli", "--replay-share", "0")
    assert "golden-1" in told("dataset", "list") and "held out   golden-1" in told("dataset", "show", "cli")
    told("dataset", "export", "cli", str(tmp_path / "out"))
    assert (tmp_path / "out" / "manifest.jsonl").is_file()
    assert "again" in told("dataset", "import", str(tmp_path / "out"), "--name", "again")
    with pytest.raises(CommandError, match="no dataset “nothing”"):
        told("dataset", "show", "nothing")
    with pytest.raises(CommandError, match="not a day"):
        told("dataset", "build", "--since", "31.3.")


def test_the_model_command_needs_a_reason_where_the_gate_has_not_spoken(tmp_path: Path) -> None:
    told("model", "upload", str(checkpoint(tmp_path / "m")), "--name", "theirs")
    with pytest.raises(CommandError, match="has not passed the gate"):
        told("model", "promote", "theirs")
    assert "theirs is live" in told("model", "promote", "theirs", "--force", "measured elsewhere")
    assert "* theirs" in told("model", "list")
    assert "whisper-base.en is live again" in told("model", "rollback")
    assert "retired" in told("model", "show", "theirs")


def test_the_learn_command_runs_a_night_and_says_why_nothing_was_done() -> None:
    assert "no night by the clock" in told("learn")
    assert "Nothing was reviewed" in told("learn", "--now")
    assert NightlyRun.objects.get().state == NightlyRun.State.SKIPPED
