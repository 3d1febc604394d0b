"""The voice's part of understanding: read where the speech side has measured it, left out where it has not."""

from __future__ import annotations

import json
from typing import Any

import structlog
from django.conf import settings

from callcenter.calls.models import Call
from callcenter.core.storage import store

log = structlog.get_logger("callcenter.insights")


def add(*, call: Call, transcript: dict[str, Any], document: dict[str, Any]) -> None:
    """Put `voice` into a document of understanding, if it is switched on and the recording was measured.

    Never raises: the words are understood without it.
    """
    from analytics.nlu.voice import voice_signal

    if not settings.ENV.VOICE_SIGNAL:
        return
    try:
        tracks = _tracks(call)
        moods = document["sentiment"]["turns"]
        document["voice"] = voice_signal(tracks, transcript["turns"], moods)
    except FileNotFoundError:
        return  # transcribed before there was such a thing, or by a worker that has it switched off
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        log.warning("voice_not_read", call=str(call.pk), error=type(error).__name__)


def _tracks(call: Call) -> Any:
    """Return the tracks of the recording as it was heard: of the muted variant, else of the original."""
    from asr_worker.pipeline import sha_of_key
    from asr_worker.voice import voice_key

    recording = call.recording
    for sha in dict.fromkeys((sha_of_key(recording.storage_key), recording.sha256)):
        if store().exists(voice_key(sha)):
            return json.loads(store().get_bytes(voice_key(sha)))
    raise FileNotFoundError
