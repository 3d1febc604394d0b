"""The doctor sees each kind of damage, says the cure, and calls a sound installation sound."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
import redis
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from asr_worker.types import ModelMissing
from callcenter.core import doctor
from callcenter.core.doctor import Finding, Verdict

NOWHERE = "127.0.0.1:1"


def test_url() -> str:
    """Address of the test database, which Django names only once it is made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        name = cursor.fetchone()[0]
    return settings.DATABASE_URL.rsplit("/", 1)[0] + f"/{name}"


test_url.__test__ = False  # type: ignore[attr-defined]


def assert_failure(finding: Finding, *words: str) -> None:
    assert finding.verdict is Verdict.FAILURE, finding
    assert finding.cure
    for word in words:
        assert word in finding.message + finding.cure


def assert_ok(finding: Finding) -> None:
    assert finding.verdict is Verdict.OK, finding
    assert finding.message and not finding.cure


@pytest.mark.django_db
def test_a_database_that_answers_is_well() -> None:
    assert_ok(doctor.check_database(test_url()))


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    finding = doctor.check_database(f"postgresql://me:hunter2@{NOWHERE}/callcenter")
    assert_failure(finding, NOWHERE, "DATABASE_URL")
    assert "hunter2" not in json.dumps(finding.as_json())


@pytest.fixture
def odd_database() -> Iterator[str]:
    base = settings.DATABASE_URL.rsplit("/", 1)[0]
    with psycopg.connect(f"{base}/callcenter", autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS doctor_odd")
        admin.execute("CREATE DATABASE doctor_odd TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'")
    yield f"{base}/doctor_odd"
    with psycopg.connect(f"{base}/callcenter", autocommit=True) as admin:
        admin.execute("DROP DATABASE doctor_odd WITH (FORCE)")


@pytest.mark.django_db
def test_a_database_of_the_wrong_encoding_or_without_vector_is_refused(odd_database: str) -> None:
    assert_failure(doctor.check_database(odd_database), "LATIN1", "UTF8")
    assert_failure(doctor.check_extensions(odd_database), "missing: vector", "CREATE EXTENSION vector;")


@pytest.mark.django_db
def test_installed_extensions_are_well() -> None:
    assert_ok(doctor.check_extensions(test_url()))


@pytest.mark.django_db
def test_migrations_that_were_not_applied_are_counted_and_named() -> None:
    assert_ok(doctor.check_migrations())
    assert_failure(
        doctor.check_migrations(lambda: ["calls.0001_initial", "calls.0002_more"]),
        "2 not applied",
        "calls.0001_initial",
        "manage.py migrate",
    )


@pytest.mark.django_db(transaction=True)
def test_a_warehouse_that_was_never_made_is_found_and_one_at_head_is_well() -> None:
    from analytics.warehouse import migrate

    with psycopg.connect(test_url(), autocommit=True) as plain:
        plain.execute("DROP SCHEMA IF EXISTS analytics CASCADE")
    assert_failure(doctor.check_warehouse(test_url()), "revision none", "warehouse migrate")
    migrate(test_url())
    assert_ok(doctor.check_warehouse(test_url()))


def test_a_warehouse_that_cannot_be_reached_is_a_failure() -> None:
    assert_failure(doctor.check_warehouse(f"postgresql://me@{NOWHERE}/x"), NOWHERE, "ANALYTICS_DATABASE_URL")


def test_a_broker_that_answers_is_well_and_one_that_does_not_is_a_failure() -> None:
    assert_ok(doctor.check_broker(settings.REDIS_URL))
    finding = doctor.check_broker(f"redis://:hunter2@{NOWHERE}/0")
    assert_failure(finding, NOWHERE, "REDIS_URL")
    assert "hunter2" not in finding.message
    assert_failure(doctor.check_broker("not an address"), "REDIS_URL")


def test_a_broker_that_would_throw_work_away_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis.Redis, "config_get", lambda *_: {"maxmemory-policy": "allkeys-lru"})
    finding = doctor.check_broker(settings.REDIS_URL)
    assert finding.verdict is Verdict.WARNING
    assert "allkeys-lru" in finding.message and "noeviction" in finding.cure


def test_absent_workers_are_a_warning_only() -> None:
    assert_ok(doctor.check_workers(lambda: ["cpu@here", "speech@there"]))
    finding = doctor.check_workers(lambda: ["cpu@here"])
    assert finding.verdict is Verdict.WARNING
    assert "no answer from: speech" in finding.message and "make up" in finding.cure

    def broken() -> list[str]:
        raise ConnectionError("refused")

    assert doctor.check_workers(broken).verdict is Verdict.WARNING


def test_a_store_is_written_read_and_left_clean(tmp_path: Path) -> None:
    assert_ok(doctor.check_storage(f"file://{tmp_path / 'store'}"))
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_a_store_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_failure(doctor.check_storage(f"file://{tmp_path / 'file'}"), "STORAGE_URL")
    assert_failure(doctor.check_storage("ftp://somewhere/else"), "STORAGE_URL")


def test_a_store_that_gives_back_something_else_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    lying = SimpleNamespace(
        put_bytes=lambda *_: None,
        get_bytes=lambda _key: b"else",
        read_range=lambda *_: b"",
        delete=lambda _key: None,
    )
    monkeypatch.setattr("asr_worker.storage.open_store", lambda _url: lying)
    assert_failure(doctor.check_storage("file:///anywhere"), "does not give back")


def test_missing_and_hollow_models_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "model.bin").write_bytes(b"weights")
    (tmp_path / "hollow").mkdir()

    def resolve(name: str) -> Path:
        if name == "absent":
            raise ModelMissing("not there")
        return tmp_path / name

    assert_ok(doctor.check_models(["good"], resolve))
    assert_failure(
        doctor.check_models(["good", "absent", "hollow"], resolve), "missing: absent", "empty: hollow", "models pull"
    )


def test_audio_can_be_decoded_without_a_system_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert_ok(doctor.check_decoding())


def test_a_broken_decoder_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    def broken(*_: object, **__: object) -> None:
        raise OSError("libopus is not here")

    monkeypatch.setattr(av, "open", broken)
    assert_failure(doctor.check_decoding(), "libopus is not here", "make setup")


@pytest.mark.parametrize(("free_gb", "verdict"), [(50, Verdict.OK), (3, Verdict.WARNING), (0.2, Verdict.FAILURE)])
def test_a_full_disk_is_a_failure_and_a_filling_one_a_warning(
    free_gb: float, verdict: Verdict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _path: SimpleNamespace(free=free_gb * 1e9))
    finding = doctor.check_disk(tmp_path / "not" / "made" / "yet")
    assert finding.verdict is verdict
    assert bool(finding.cure) == (verdict is not Verdict.OK)


GOOD_KEY = "k8#f" + "ab3d9xq1" * 6


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"secret_key": "short"}, "SECRET_KEY"),
        ({"secret_key": "x" * 60}, "SECRET_KEY"),
        ({"allowed_hosts": ["*"]}, "ALLOWED_HOSTS"),
        ({"allowed_hosts": []}, "ALLOWED_HOSTS"),
        ({"debug": True}, "DEBUG"),
    ],
)
def test_a_door_left_open_is_a_failure_in_production_and_a_warning_elsewhere(
    changes: dict[str, object], word: str
) -> None:
    sound = {"secret_key": GOOD_KEY, "allowed_hosts": ["calls.example"], "debug": False}
    assert_ok(doctor.check_security(production=True, **sound))  # type: ignore[arg-type]
    assert_failure(doctor.check_security(production=True, **{**sound, **changes}), word)  # type: ignore[arg-type]
    here = doctor.check_security(production=False, **{**sound, **changes})  # type: ignore[arg-type]
    assert here.verdict is Verdict.WARNING


def test_front_end_files_are_looked_for_one_by_one(tmp_path: Path) -> None:
    vendor, static = tmp_path / "vendor", tmp_path / "static"
    assert_failure(doctor.check_front_end(vendor, static), "make setup")
    vendor.mkdir()
    (vendor / "manifest.json").write_text(json.dumps([{"file": "a.css"}, {"file": "b.js"}]))
    (vendor / "a.css").write_text("")
    assert_failure(doctor.check_front_end(vendor, static), "b.js")
    (vendor / "b.js").write_text("")
    assert_ok(doctor.check_front_end(vendor, static))
    (static / "vendor").parent.mkdir()
    vendor.rename(static / "vendor")
    assert_ok(doctor.check_front_end(vendor, static))


def test_a_check_that_breaks_is_a_failure_of_that_check_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Finding:
        raise KeyError("surprise")

    monkeypatch.setattr(doctor, "check_decoding", broken)
    monkeypatch.setattr(doctor, "check_migrations", lambda: doctor.ok("migrations", "fine"))
    findings = {finding.check: finding for finding in doctor.examine(workers=False)}
    assert_failure(findings["decoding"], "surprise")
    assert findings["broker"].verdict is Verdict.OK


def run_doctor(monkeypatch: pytest.MonkeyPatch, *findings: Finding, flags: tuple[str, ...] = ()) -> tuple[str, int]:
    monkeypatch.setattr(doctor, "examine", lambda **_: list(findings))
    out = io.StringIO()
    try:
        call_command("doctor", *flags, stdout=out)
    except SystemExit as leaving:
        return out.getvalue(), int(str(leaving.code))
    return out.getvalue(), 0


def test_the_command_prints_every_cure_and_its_exit_code_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    well, ill = doctor.ok("disk", "50 GB free"), doctor.failure("broker", "no answer", "Start Valkey.")
    text, code = run_doctor(monkeypatch, well, ill)
    assert code == 1
    assert "FAILED" in text and "cure: Start Valkey." in text
    text, code = run_doctor(monkeypatch, well, doctor.warning("workers", "none", "make up"))
    assert code == 0
    assert "warning" in text and "cure: make up" in text


def test_the_command_speaks_json(monkeypatch: pytest.MonkeyPatch) -> None:
    text, code = run_doctor(monkeypatch, doctor.failure("disk", "full", "Free space."), flags=("--json",))
    assert code == 1
    assert json.loads(text) == {
        "healthy": False,
        "findings": [{"check": "disk", "verdict": "failure", "message": "full", "cure": "Free space."}],
    }
