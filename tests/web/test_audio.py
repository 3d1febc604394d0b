"""Audio: any range of it, only to those who may hear it, and always something that a browser plays."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest
from django.test import Client

from callcenter.calls.services.playback import ensure_playback
from callcenter.calls.views.audio import Unsatisfiable, parse_range
from callcenter.core.models import AuditEvent
from callcenter.core.storage import store
from tests.factories import CallFactory, stored_recording, tone_wav


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def call(cast: Any) -> Any:
    return CallFactory(team=cast.team_a, agent=cast.agent, recording=stored_recording(tone_wav(seconds=2)))


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_the_whole_file_comes_without_a_range(call: Any, cast: Any) -> None:
    response = signed_in(cast.agent).get(f"/calls/{call.pk}/audio")
    assert response.status_code == 200
    assert body(response) == tone_wav(seconds=2)
    assert response["Accept-Ranges"] == "bytes"
    assert "private" in response["Cache-Control"]


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=100-199", 100, 199), ("bytes=100-", 100, None), ("bytes=-50", -50, None)],
)
def test_a_range_is_answered_with_exactly_its_bytes(
    header: str, first: int, last: int | None, call: Any, cast: Any
) -> None:
    whole = tone_wav(seconds=2)
    response = signed_in(cast.agent).get(f"/calls/{call.pk}/audio", headers={"Range": header})
    wanted = whole[first:] if last is None else whole[first : last + 1]
    assert response.status_code == 206
    assert body(response) == wanted
    start = first if first >= 0 else len(whole) + first
    assert response["Content-Range"] == f"bytes {start}-{start + len(wanted) - 1}/{len(whole)}"
    assert response["Content-Length"] == str(len(wanted))


def test_a_range_beyond_the_end_is_416_and_a_strange_one_is_ignored(call: Any, cast: Any) -> None:
    client = signed_in(cast.agent)
    beyond = client.get(f"/calls/{call.pk}/audio", headers={"Range": "bytes=99999999-"})
    assert (beyond.status_code, beyond["Content-Range"]) == (416, f"bytes */{call.recording.size}")
    for strange in ("bytes=5-2", "bytes=0-1,5-9", "lines=1-2", "bytes=-", "nonsense"):
        response = client.get(f"/calls/{call.pk}/audio", headers={"Range": strange})
        assert response.status_code == 200
        body(response)


def test_no_range_reads_outside_the_file() -> None:
    for size in (0, 1, 10):
        for text in ("0-", "0-999", "-5", "-0", "9-", "3-4"):
            try:
                found = parse_range(f"bytes={text}", size)
            except Unsatisfiable:
                continue
            assert found is None or 0 <= found[0] <= found[1] < size


def test_head_tells_the_size_and_sends_nothing(call: Any, cast: Any) -> None:
    response = signed_in(cast.agent).head(f"/calls/{call.pk}/audio")
    assert (response.status_code, response["Content-Length"]) == (200, str(call.recording.size))
    assert not AuditEvent.objects.filter(action="call.audio").exists()


def test_an_unchanged_file_is_not_sent_again(call: Any, cast: Any) -> None:
    client = signed_in(cast.agent)
    tag = client.head(f"/calls/{call.pk}/audio")["ETag"]
    assert client.get(f"/calls/{call.pk}/audio", headers={"If-None-Match": tag}).status_code == 304
    other = client.get(f"/calls/{call.pk}/audio", headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert other.status_code == 200
    body(other)


def test_listening_is_written_to_the_audit_log_once_and_not_for_every_piece(call: Any, cast: Any) -> None:
    client = signed_in(cast.agent)
    for header in ("bytes=0-", "bytes=500-", "bytes=900-"):
        body(client.get(f"/calls/{call.pk}/audio", headers={"Range": header}))
    assert AuditEvent.objects.filter(action="call.audio", user=cast.agent).count() == 1


def test_who_may_not_see_the_call_gets_no_byte_and_learns_nothing(call: Any, cast: Any) -> None:
    for user in (cast.other_agent, cast.supervisor_b):
        response = signed_in(user).get(f"/calls/{call.pk}/audio")
        assert (response.status_code, response.streaming) == (404, False)
    assert not AuditEvent.objects.filter(action="call.audio").exists()


def test_audio_that_is_gone_says_so(call: Any, cast: Any) -> None:
    store().delete(call.recording.storage_key)
    response = signed_in(cast.agent).get(f"/calls/{call.pk}/audio")
    assert response.status_code == 410
    assert "no longer stored" in response.content.decode()


def g711(channels: int) -> bytes:
    """Return one second of A-law in WAV, as telephone systems write it and browsers do not play it."""
    out = io.BytesIO()
    with av.open(out, "w", format="wav") as sink, av.open(io.BytesIO(tone_wav(seconds=1, channels=channels))) as source:
        stream = sink.add_stream("pcm_alaw", rate=8000, layout="stereo" if channels == 2 else "mono")
        for frame in source.decode(audio=0):
            frame.pts = None
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize("channels", [1, 2])
def test_a_telephone_format_is_played_from_a_derived_file_with_both_channels(channels: int, cast: Any) -> None:
    recording = stored_recording(g711(channels), codec="pcm_alaw", channels=channels, duration_ms=1000)
    call = CallFactory(team=cast.team_a, agent=cast.agent, recording=recording)
    response = signed_in(cast.agent).get(f"/calls/{call.pk}/audio")
    assert response["Content-Type"] == "audio/ogg"
    with av.open(io.BytesIO(body(response))) as made:
        stream = made.streams.audio[0]
        samples = sum(frame.samples for frame in made.decode(stream))
        assert stream.codec_context.channels == channels
        assert samples / 48_000 == pytest.approx(1.0, abs=0.05)


def test_the_derived_file_is_made_once(db: None) -> None:
    recording = stored_recording(g711(1), codec="pcm_alaw", channels=1)
    first = ensure_playback(recording)
    store().put_bytes(first.key, b"kept")
    assert ensure_playback(recording).size == 4


def test_a_playable_original_is_not_copied(db: None) -> None:
    recording = stored_recording(tone_wav(seconds=1))
    assert ensure_playback(recording).key == recording.storage_key
    assert list(store().iter_keys("artefacts")) == []
