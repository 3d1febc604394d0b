"""Which model and which settings the next run uses."""

from __future__ import annotations

from django.conf import settings

from asr_worker.types import PipelineSpec
from callcenter.calls.models import Call
from callcenter.learning.models import Model
from callcenter.review.vocabulary import terms_for


def spec_for(call: Call) -> PipelineSpec:
    """Return the spec of a new run: the served registry model if there is one, else the configured default."""
    env = settings.ENV
    # The row of the model that the settings name only keeps its place in the registry: the settings decide.
    served = Model.objects.filter(status=Model.Status.SERVED, built_in=False).first()
    english = call.language.lower().startswith("en")
    if served is not None and served.english_only and not english:
        served = None
    model = served.reference if served else env.SPEECH_MODEL
    if not english and model.endswith(".en"):
        # An English-only model would write English-sounding nonsense without a word of warning.
        model = model.removesuffix(".en")
    return PipelineSpec(
        transcriber=served.engine if served else env.SPEECH_ENGINE,
        model=model,
        compute_type=(served.compute_type if served else "") or env.SPEECH_COMPUTE_TYPE,
        device=env.SPEECH_DEVICE,
        language=(call.language or env.SPEECH_LANGUAGE).split("-")[0],
        diarizer=env.SPEECH_DIARIZER,
        num_speakers=call.num_speakers,
        agent_channel=call.agent_channel,
        hot_words=tuple(terms_for(call.team_id)),
        voice=env.VOICE_SIGNAL,
    )
