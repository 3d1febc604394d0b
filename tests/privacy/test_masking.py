"""Sound: muted, kept only so, listened to again, withheld until it holds. With real files and no speech model."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.test import Client

from callcenter.calls.services.transcripts import store_transcript
from callcenter.core.models import AuditEvent
from callcenter.core.storage import audio_key, store
from callcenter.privacy.models import Mask
from callcenter.privacy.services import keeping, masking, sound
from tests.factories import RunFactory, tone_wav
from tests.nlu.calls import call as said_call
from tests.privacy.conftest import CARD, artefact_of, call_with_audio

pytestmark = pytest.mark.django_db
State = Mask.State


@pytest.fixture
def found(cast: Any) -> Any:
    """A call of team A in which a card number was found; its recording waits to be muted."""
    call = call_with_audio(team=cast.team_a, agent=cast.agent)
    store_transcript(call=call, key=artefact_of(CARD, call))
    call.refresh_from_db()
    return call


def samples(key: str) -> tuple[np.ndarray, int]:
    data, rate = soundfile.read(io.BytesIO(store().get_bytes(key)), always_2d=True)
    return data, rate


def listen(call: Any, user: Any) -> Any:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client.get(f"/calls/{call.pk}/audio")


def answer(mask: Mask, *turns: tuple[str, str]) -> None:
    """Let the speech worker have heard these turns in the excerpt."""
    mask.refresh_from_db()
    sha = mask.check_key.rsplit("/", 1)[-1]
    key = f"artefacts/{sha}/assemble/00.json"
    store().put_bytes(key, json.dumps(said_call(*turns)).encode())
    masking.check_finished(mask_id=mask.pk, attempt=mask.attempt, transcript_key=key)
    mask.refresh_from_db()


def test_the_muted_recording_replaces_the_original_at_the_same_length(found: Any) -> None:
    recording, mask = found.recording, Mask.objects.get()
    original, rate = samples(recording.storage_key)
    first = recording.storage_key
    assert masking.work(mask.pk)
    recording.refresh_from_db()
    mask.refresh_from_db()
    muted, muted_rate = samples(recording.storage_key)
    assert (muted.shape, muted_rate) == (original.shape, rate)
    assert not store().exists(first) and recording.storage_key != first
    assert recording.sha256 == first.rsplit("/", 1)[-1]
    span = mask.spans[0]
    inside = slice(span["start_ms"] * rate // 1000, span["end_ms"] * rate // 1000)
    assert np.abs(original[inside]).max() > 0.1 and np.abs(muted[inside]).max() == 0.0
    before = slice(0, (span["start_ms"] - 600) * rate // 1000)
    assert np.abs(original[before] - muted[before]).max() < 1e-3
    assert mask.state == State.CHECKING and mask.doomed == []


def test_peaks_and_info_are_those_of_the_muted_recording(found: Any) -> None:
    mask = Mask.objects.get()
    masking.work(mask.pk)
    found.recording.refresh_from_db()
    mask.refresh_from_db()
    info = found.recording.info
    at = (mask.spans[0]["start_ms"] + 500) * info["peaks_per_second"] // 1000
    assert info["peaks"][0][at] == 0 and found.recording.codec == "flac"


def test_nobody_hears_it_before_it_was_listened_to_again(found: Any, cast: Any) -> None:
    refused = listen(found, cast.supervisor)
    assert refused.status_code == 423 and "being muted" in refused.content.decode()
    mask = Mask.objects.get()
    masking.work(mask.pk)
    assert listen(found, cast.supervisor).status_code == 423
    answer(mask, ("agent", "Can I take the card number please?"), ("agent", "Thank you."))
    assert mask.state == State.DONE
    heard = listen(found, cast.supervisor)
    assert heard.status_code == 200 and heard["Content-Type"] == "audio/flac"
    b"".join(heard.streaming_content)


def test_the_excerpt_and_what_was_heard_in_it_are_deleted(found: Any) -> None:
    mask = Mask.objects.get()
    masking.work(mask.pk)
    mask.refresh_from_db()
    excerpt = mask.check_key
    assert store().exists(excerpt)
    answer(mask, ("agent", "Thank you."))
    assert not store().exists(excerpt)
    assert list(store().iter_keys(f"artefacts/{excerpt.rsplit('/', 1)[-1]}/")) == []


def test_digits_heard_through_the_mask_are_muted_too_and_after_three_times_a_person_must_look(found: Any) -> None:
    mask = Mask.objects.get()
    for round_ in range(1, masking.MAX_ROUNDS + 1):
        masking.work(mask.pk)
        answer(mask, ("agent", "Your card number?"), ("customer", "4242 4242 4242 4242"))
        assert (mask.state, mask.rounds) == (State.WAITING, round_)
    masking.work(mask.pk)
    answer(mask, ("agent", "Your card number?"), ("customer", "4242 4242 4242 4242"))
    assert mask.state == State.FAILED and "still heard" in mask.problem


def test_one_digit_beside_a_muted_stretch_is_a_leak_and_an_expiry_date_is_not() -> None:
    windows, muted = [[0, 10_000, 30_000]], [[[12_000, 15_000]]]

    def heard(start: int, *turns: tuple[str, str]) -> list[Any]:
        document = said_call(*turns)
        shift = start - document["turns"][0]["words"][0]["start_ms"] - 10_000
        for turn in document["turns"]:
            for word in turn["words"]:
                word["start_ms"], word["end_ms"] = word["start_ms"] + shift, word["end_ms"] + shift
        return masking.heard_through(document, windows, muted)

    assert len(heard(15_100, ("customer", "seven thank you"))) == 1
    assert heard(17_000, ("customer", "seven thank you")) == []
    assert heard(15_100, ("customer", "thank you for that")) == []
    assert heard(14_900, ("customer", "and it expires nine twenty six")) == []


def test_a_place_without_times_closes_the_recording_and_a_person_decides(found: Any, cast: Any) -> None:
    mask = Mask.objects.get()
    keeping.note(
        recording=found.recording,
        places=[
            {"kind": "card_code", "party": "customer", "channel": 1, "start_ms": None, "end_ms": None, "near_ms": 9}
        ],
    )
    masking.work(mask.pk)
    mask.refresh_from_db()
    assert mask.state == State.FAILED and "no usable times" in mask.problem
    assert mask.muted, "what has times is muted all the same"
    refused = listen(found, cast.supervisor)
    assert refused.status_code == 423 and "compliance officer" in refused.content.decode()
    masking.mute_stretch(mask=mask, start_ms=30_000, end_ms=32_000, by=cast.compliance)
    masking.work(mask.pk)
    answer(mask, ("agent", "Thank you."))
    assert mask.state == State.DONE and mask.untimed == 0
    data, rate = samples(mask.recording.__class__.objects.get(pk=mask.recording_id).storage_key)
    assert np.abs(data[30_100 * rate // 1000 : 31_900 * rate // 1000]).max() == 0.0


def test_a_decision_needs_a_reason_and_is_written_down(found: Any, cast: Any) -> None:
    mask = Mask.objects.get()
    Mask.objects.update(state=State.FAILED)
    with pytest.raises(masking.CallcenterError):
        masking.resolve(mask=mask, release=True, reason=" ", by=cast.compliance)
    with pytest.raises(masking.CallcenterError):
        masking.resolve(mask=mask, release=True, reason="I want to hear it", by=cast.supervisor)
    masking.resolve(mask=mask, release=True, reason="It is a reference number of ours", by=cast.compliance)
    assert listen(found, cast.agent).status_code == 200
    event = AuditEvent.objects.get(action="privacy.mask_resolve")
    assert event.user == cast.compliance and event.detail["released"] is True


def test_the_same_file_sent_again_does_not_bring_the_original_back(found: Any, cast: Any, tmp_path: Path) -> None:
    from callcenter.calls.services.ingest import ingest_path

    original = store().get_bytes(found.recording.storage_key)
    masking.work(Mask.objects.get().pk)
    path = tmp_path / "again.wav"
    path.write_bytes(original)
    outcome = ingest_path(
        path, filename="again.wav", raw_metadata={}, team=cast.team_b, by=cast.supervisor_b, source="web"
    )
    assert outcome.call is not None and outcome.call.recording_id == found.recording_id
    assert not store().exists(audio_key(found.recording.sha256))


def test_a_first_transcript_under_way_keeps_the_recording_closed(cast: Any) -> None:
    call = call_with_audio(team=cast.team_a, agent=cast.agent)
    RunFactory(call=call, state="speech")
    refused = listen(call, cast.agent)
    assert refused.status_code == 423 and "being transcribed" in refused.content.decode()


def test_a_new_transcript_of_the_muted_recording_knows_what_is_muted(found: Any) -> None:
    mask = Mask.objects.get()
    masking.work(mask.pk)
    answer(mask, ("agent", "Thank you."))
    found.recording.refresh_from_db()
    silent = type(CARD)(turns=(*CARD.turns[:3], *CARD.turns[6:]), alerts=(), unsure={})
    transcript = store_transcript(call=found, key=artefact_of(silent, found, fingerprint="cd", step=400))
    assert "[card-number]" in " ".join(transcript.turns.values_list("text", flat=True))
    mask.refresh_from_db()
    assert mask.state == State.DONE, "nothing new was found"


def test_what_got_lost_is_sent_again(found: Any, sent: list[Any]) -> None:
    sent.clear()
    masking.sweep()
    assert [name for name, _ in sent] == ["privacy.mask"]
    masking.work(Mask.objects.get().pk)
    Mask.objects.update(due_at=Mask.objects.get().created_at)
    sent.clear()
    masking.sweep()
    assert [name for name, _ in sent] == ["asr_worker.listen_again"]


def test_a_check_that_cannot_be_done_ends_with_a_person(found: Any) -> None:
    mask = Mask.objects.get()
    masking.work(mask.pk)
    mask.refresh_from_db()
    masking.check_failed(
        mask_id=mask.pk, attempt=mask.attempt, code="model_missing", message="No model.", permanent=True
    )
    mask.refresh_from_db()
    assert mask.state == State.FAILED and "No model." in mask.problem


def test_the_original_is_kept_only_where_asked_for_and_only_encrypted(
    found: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from cryptography.fernet import Fernet

    key = Fernet.generate_key().decode()
    monkeypatch.setattr(settings.ENV, "REDACTION_KEEP_ORIGINAL", True)
    monkeypatch.setattr(settings.ENV, "REDACTION_KEY", key)
    original = store().get_bytes(found.recording.storage_key)
    masking.work(Mask.objects.get().pk)
    kept = store().get_bytes(Mask.objects.get().original_key)
    assert original[:200] not in kept
    sealed, plain = tmp_path / "sealed", tmp_path / "plain"
    sealed.write_bytes(kept)
    sound.decrypt(sealed, plain, key)
    assert plain.read_bytes() == original
    with pytest.raises(ValueError, match="key does not fit"):
        sound.decrypt(sealed, plain, Fernet.generate_key().decode())
    sealed.write_bytes(kept[:-40])
    with pytest.raises(ValueError):
        sound.decrypt(sealed, plain, key)


def test_a_long_recording_is_muted_across_windows_as_in_one_piece(tmp_path: Path) -> None:
    source, target = tmp_path / "in.wav", tmp_path / "out.flac"
    source.write_bytes(tone_wav(seconds=125, channels=1))
    place = {"kind": "card_number", "start_ms": 58_000, "end_ms": 122_000, "channel": 0}
    plan = sound.plan_of([place], 125_000, 1, 250)
    sound.write_muted(source, target, plan, 8000)
    data, rate = soundfile.read(str(target))
    assert len(data) == 125 * rate
    assert np.abs(data[57_750 * 8 : 122_250 * 8]).max() == 0.0
    assert np.abs(data[57_000 * 8 : 57_700 * 8]).max() > 0.1 and np.abs(data[122_300 * 8 : 123_000 * 8]).max() > 0.1


def test_times_of_an_excerpt_lead_back_into_the_recording() -> None:
    windows = sound.windows_of([[[20_000, 25_000]], [[90_000, 91_000]]], 100_000)
    assert windows == [[0, 12_000, 21_000], [22_000, 82_000, 17_000]]
    assert sound.in_recording(windows, 500) == 12_500
    assert sound.in_recording(windows, 21_500) == 33_000
    assert sound.in_recording(windows, 23_000) == 83_000
