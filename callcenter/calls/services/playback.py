"""What a browser gets to play: the original where browsers can play it, else a derived Opus file made once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings
from django.utils.translation import gettext_noop as N_

from asr_worker.pipeline import sha_of_key
from callcenter.calls.models import Recording
from callcenter.core.errors import CallcenterError
from callcenter.core.storage import store

log = structlog.get_logger("callcenter.playback")

#: Raised whenever the derived file would come out differently, so that old ones are made anew.
VERSION = 1
OPUS_RATE = 48_000
BITS_PER_CHANNEL = 24_000
#: Container -> codecs that every current browser plays. Telephone codecs inside WAV are not among them.
PLAYABLE: dict[str, tuple[str, ...]] = {
    "wav": ("pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f32le"),
    "mp3": ("mp3", "mp3float"),
    "flac": ("flac",),
    "ogg": ("opus", "libopus", "vorbis", "libvorbis", "flac"),
    "mov": ("aac", "mp3", "mp3float"),
    "mp4": ("aac", "mp3", "mp3float"),
    "matroska": ("opus", "libopus", "vorbis", "libvorbis"),
    "webm": ("opus", "libopus", "vorbis", "libvorbis"),
}


class NotPlayable(CallcenterError):
    """The recording cannot be turned into something that a browser plays."""

    code = "not_playable"


@dataclass(frozen=True, slots=True)
class Playback:
    """A stored file that browsers play."""

    key: str
    size: int
    content_type: str
    etag: str


def playable_as_it_is(recording: Recording) -> bool:
    """Return whether every current browser plays the original."""
    container = recording.container.split(",")[0].lower()
    return recording.codec.lower() in PLAYABLE.get(container, ()) and recording.channels <= 2


def derived_key(recording: Recording) -> str:
    """Return where the derived file lies; its name is its content's origin and its recipe."""
    return f"artefacts/{sha_of_key(recording.storage_key)}/playback/opus-{VERSION}.ogg"


def ensure_playback(recording: Recording) -> Playback:
    """Return what to play, making the derived file if it is needed and missing. Safe to call twice at once.

    Raises NotPlayable when the original is gone or cannot be decoded, and while card data may be heard in it.
    """
    from callcenter.privacy.services import withheld

    closed = withheld(recording)
    if closed:
        raise NotPlayable(closed, code="withheld")
    return _made(recording)


def _made(recording: Recording) -> Playback:
    stored = sha_of_key(recording.storage_key)
    if playable_as_it_is(recording):
        return Playback(recording.storage_key, recording.size, recording.content_type, stored)
    key = derived_key(recording)
    if not store().exists(key):
        _derive(recording, key)
    return Playback(key, store().size(key), "audio/ogg", f"{stored}-opus{VERSION}")


def _derive(recording: Recording, key: str) -> None:
    import av

    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        made = Path(folder) / "playback.ogg"
        try:
            with store().local_path(recording.storage_key) as original:
                _encode(original, made)
        except FileNotFoundError as error:
            raise NotPlayable(N_("The audio of this call is no longer stored."), code="audio_missing") from error
        except (av.error.FFmpegError, ValueError) as error:
            raise NotPlayable(N_("The audio of this call cannot be made playable in a browser.")) from error
        store().put_file(key, made)
    if Recording.objects.filter(pk=recording.pk, storage_key=recording.storage_key).exists() is False:
        # Muted meanwhile: what was made here sounds as before.
        store().delete(key)
        raise NotPlayable(N_("The recording was changed just now. Load the page again."), code="changed")
    log.info("playback_made", recording=recording.sha256[:12])


def _encode(original: Path, made: Path) -> None:
    """Write the first audio stream as Opus, one packet at a time. Damaged packets are stepped over."""
    import av

    from asr_worker.audio import CONTAINERS

    # The same door as at ingest: without the list, FFmpeg would follow a playlist to other files and addresses.
    opened = av.open(f"file:{original}", options={"format_whitelist": CONTAINERS})
    with opened as source, av.open(str(made), "w", format="ogg") as sink:
        stream = source.streams.audio[0]
        layout = "stereo" if (stream.codec_context.channels or 1) > 1 else "mono"
        output = sink.add_stream("libopus", rate=OPUS_RATE, layout=layout)
        output.codec_context.bit_rate = BITS_PER_CHANNEL * (2 if layout == "stereo" else 1)
        output.codec_context.options = {"application": "voip", "vbr": "on"}
        resampler = av.AudioResampler(format="s16", layout=layout, rate=OPUS_RATE)
        fifo = av.AudioFifo()
        frame_size = OPUS_RATE // 50
        for packet in source.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                frame.pts = None
                for piece in resampler.resample(frame):
                    piece.pts = None
                    fifo.write(piece)
            while fifo.samples >= frame_size:
                sink.mux(output.encode(fifo.read(frame_size)))
        for piece in resampler.resample(None):
            piece.pts = None
            fifo.write(piece)
        while fifo.samples:
            sink.mux(output.encode(fifo.read(min(frame_size, fifo.samples))))
        sink.mux(output.encode(None))


def prepare(recording_id: int) -> None:
    """Make the derived file of a recording if it needs one; one that cannot be made is the listener's to hear of."""
    recording = Recording.objects.filter(pk=recording_id).first()
    if recording is None:
        return
    try:
        # Before the call is transcribed too: made is not served, and muting throws away what was made before it.
        _made(recording)
    except NotPlayable:
        log.warning("playback_not_made", recording=recording_id)
