"""The diarizer with its real weights, on the labelled recordings where they are there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from asr_worker.types import ModelMissing, PipelineSpec

pytestmark = pytest.mark.slow


def _data() -> Path:
    root = Path(os.environ.get("CALLCENTER_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (root / "diarization" / "sample.flac").exists():
        pytest.skip("the labelled recordings are not here (set CALLCENTER_DATA)")
    return root


@pytest.fixture(scope="module")
def diarizer():  # type: ignore[no-untyped-def]
    from asr_worker.engines.pyannote import PyannoteDiarizer

    try:
        return PyannoteDiarizer(PipelineSpec())
    except ModelMissing as missing:
        pytest.skip(f"no weights: {missing}")


def _der(found, reference: Path, seconds: float, collar: float) -> float:  # type: ignore[no-untyped-def]
    from benchmarks.diarization import errors, read_rttm

    rows = [(s.speaker, s.start_ms / 1000, s.end_ms / 1000) for s in found]
    return errors(read_rttm(reference), rows, seconds, collar=collar)["der"]


def test_the_telephone_sample_is_told_apart_without_the_number_of_speakers(diarizer) -> None:  # type: ignore[no-untyped-def]
    from asr_worker import audio

    folder = _data() / "diarization"
    samples = audio.decode(folder / "sample.flac")[0]
    found = diarizer.diarize(samples)
    assert len({s.speaker for s in found}) == 2
    assert _der(found, folder / "sample.rttm", len(samples) / 16_000, 0.0) <= 0.08


def test_the_mono_call_has_two_speakers_with_and_without_the_hint(diarizer) -> None:  # type: ignore[no-untyped-def]
    from asr_worker import audio

    folder = _data() / "contact_centre_calls"
    samples = audio.decode(folder / "auto_repairs_40_mono.flac")[0]
    for hint in (2, 0):
        found = diarizer.diarize(samples, num_speakers=hint)
        assert len({s.speaker for s in found}) == 2
        assert _der(found, folder / "auto_repairs_40_mono.rttm", len(samples) / 16_000, 0.25) <= 0.06


@pytest.mark.parametrize("seconds", [0.05, 0.4, 20.0])
def test_silence_and_faint_noise_have_no_speaker(diarizer, seconds: float) -> None:  # type: ignore[no-untyped-def]
    noise = np.random.default_rng(0).normal(0, 1e-4, int(seconds * 16_000)).astype(np.float32)
    assert diarizer.diarize(np.zeros_like(noise)) == []
    assert diarizer.diarize(noise) == []


def test_onnxruntime_and_torch_hear_the_same(diarizer) -> None:  # type: ignore[no-untyped-def]
    from asr_worker import audio
    from asr_worker.diarization.runtime import OnnxNetworks, TorchNetworks

    networks = diarizer._networks
    if not isinstance(networks, OnnxNetworks):
        pytest.skip("this machine runs the diarizer through torch")
    samples = audio.decode(_data() / "diarization" / "sample.flac")[0][:160_000]
    reference = TorchNetworks(networks._segmentation, networks._embedding)
    np.testing.assert_allclose(networks.segment(samples[None]), reference.segment(samples[None]), atol=1e-3)
    features = networks.filterbank(samples)
    np.testing.assert_allclose(networks.trunk(features), reference.trunk(features), atol=1e-2, rtol=1e-2)
