"""The demo: a fictional company's people, and real work on recordings written and voiced by us."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from callcenter.accounts.models import Role, Team, User
from callcenter.calls.models import Batch, Call
from callcenter.calls.services import batches

ROOT = Path(__file__).resolve().parent.parent / "demo"
BATCH_NAME = "Demo recordings"
STAFF = (
    ("admin", Role.ADMIN, "Demo Administrator"),
    ("supervisor", Role.SUPERVISOR, "Sam Okafor"),
    ("operator", Role.OPERATOR, "Mo Lindqvist"),
    ("compliance", Role.COMPLIANCE, "Chris Adeyemi"),
)


@dataclass(frozen=True, slots=True)
class SignIn:
    """A user name of the demo and what it shows. All share one password, made at the first run."""

    username: str
    role: str
    shows: str


def manifest() -> list[dict[str, Any]]:
    """Return the demo calls as the manifest has them."""
    lines = (ROOT / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def password() -> str:
    """Return the demo's password: DEMO_PASSWORD, else one made at the first run and kept in var/."""
    given = os.environ.get("DEMO_PASSWORD")
    if given:
        return given
    path = settings.VAR_DIR / "demo_password"
    if not path.exists():
        handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        os.write(handle, f"demo-{secrets.token_hex(4)}".encode())
        os.close(handle)
    return path.read_text().strip()


def seed_people() -> list[SignIn]:
    """Create teams, agents and staff of the demo; existing users keep everything but the demo password."""
    secret = password()
    rows = manifest()
    signins = []
    with transaction.atomic():
        teams = {name: _team(name) for name in sorted({row["team"] for row in rows})}
        people = {row["agent"]: (row["agent_name"], row["team"]) for row in rows}
        for username, (name, team) in sorted(people.items()):
            user = _user(username, Role.AGENT, name, secret)
            user.teams.set([teams[team]])
        for username, role, name in STAFF:
            user = _user(username, role, name, secret)
            if role == Role.SUPERVISOR:
                user.teams.set(teams.values())
            if role in (Role.SUPERVISOR, Role.COMPLIANCE):
                User.objects.filter(pk=user.pk).update(restricted_alerts=True)
            if role == Role.ADMIN:
                User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
        _team("Outside samples")
    first_agent = min(people)
    signins.append(SignIn("supervisor", "supervisor", "dashboards, all calls of the three teams, alerts, uploads"))
    signins.append(SignIn(first_agent, "agent", "own calls and own figures only"))
    signins.append(SignIn("operator", "model operator", "queues, workers, failures; no conversations"))
    signins.append(SignIn("compliance", "compliance officer", "every team, audit log"))
    signins.append(SignIn("admin", "administrator", "everything, and the admin at /admin/"))
    return signins


def pending() -> list[dict[str, Any]]:
    """Return the demo calls that are not filed yet."""
    have = set(Call.objects.filter(source="demo").values_list("external_id", flat=True))
    return [row for row in manifest() if row["external_id"] not in have]


def file_calls(rows: list[dict[str, Any]], *, extra: list[Path]) -> Batch:
    """Upload the demo recordings (and outside samples) as one batch through the same service as any upload."""
    team = _team(rows[0]["team"]) if rows else _team("Outside samples")
    batch = batches.open_batch(by=None, team=team, name=BATCH_NAME, source="demo")
    for row in rows:
        meta = {
            key: row.get(key)
            for key in ("agent", "team", "queue", "direction", "customer_ref", "external_id", "language")
        }
        meta["started_at"] = _started(row)
        with (ROOT / row["audio"]).open("rb") as stream:
            batches.add_file(batch=batch, filename=Path(row["audio"]).name, stream=stream, metadata=meta)
    for path in extra:
        meta = {"team": "outside-samples", "external_id": f"SAMPLE-{path.stem}", "num_speakers": 2}
        with path.open("rb") as stream:
            batches.add_file(batch=batch, filename=f"pyannote-audio-{path.name}", stream=stream, metadata=meta)
    return batches.close_batch(batch=batch)


def outside_samples() -> list[Path]:
    """Return the telephone sample that the pyannote.audio wheel carries, if it is installed and not filed yet."""
    import importlib.util

    spec = importlib.util.find_spec("pyannote")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "audio" / "sample" / "sample.wav"
        if path.is_file() and not Call.objects.filter(external_id=f"SAMPLE-{path.stem}").exists():
            return [path]
    return []


def word_errors() -> dict[str, Any]:
    """Compare what was recognised with the scripts, party by party; return pooled and per-call word error rates."""
    import jiwer

    from asr_worker.normalise import NORMALISER_VERSION, normalise

    calls = {c.external_id: c for c in Call.objects.filter(source="demo").select_related("transcript")}
    per_call: dict[str, float] = {}
    errors = words = 0
    for row in manifest():
        call = calls.get(row["external_id"])
        if call is None or call.transcript is None:
            continue
        call_errors = call_words = 0
        for party in ("agent", "customer"):
            said = normalise(" ".join(line["text"] for line in row["reference"] if line["party"] == party))
            turns = call.transcript.turns.filter(party=party).order_by("index")
            heard = normalise(" ".join(turn.text for turn in turns))
            if not said:
                continue
            result = jiwer.process_words(said, heard)
            call_errors += result.substitutions + result.deletions + result.insertions
            call_words += len(said.split())
        per_call[row["name"]] = call_errors / max(call_words, 1)
        errors, words = errors + call_errors, words + call_words
    return {
        "wer": errors / words if words else None,
        "words": words,
        "per_call": per_call,
        "normaliser": NORMALISER_VERSION,
    }


def _started(row: dict[str, Any]) -> str:
    hours, minutes = (int(part) for part in row["time"].split(":"))
    day = timezone.localtime() - timedelta(days=int(row["days_ago"]))
    when: datetime = day.replace(hour=hours, minute=minutes, second=0, microsecond=0)
    return when.isoformat()


def _team(name: str) -> Team:
    return Team.objects.get_or_create(slug=slugify(name), defaults={"name": name})[0]


def _user(username: str, role: str, name: str, secret: str) -> User:
    user, _ = User.objects.get_or_create(
        username=username,
        defaults={"role": role, "display_name": name, "email": f"{username}@example.invalid"},
    )
    if not user.check_password(secret):
        user.set_password(secret)
        user.save(update_fields=["password"])
    return user
