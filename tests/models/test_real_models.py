"""The pulled models load, match what they were made from, and hear what is said."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from asr_worker.models import resolve, store
from asr_worker.types import ModelMissing

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("CALLCENTER_DATA", ROOT.parent / "shared" / "data"))


def model(name: str) -> Path:
    try:
        return resolve(name)
    except ModelMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def spoken() -> tuple[np.ndarray, list[str]]:
    """A clip of read speech, mono at 16 kHz, and its words."""
    soundfile = pytest.importorskip("soundfile")
    manifest = DATA / "librispeech_other" / "manifest.jsonl"
    if not manifest.is_file():
        pytest.skip("the recordings are not here; set CALLCENTER_DATA")
    row = json.loads(manifest.read_text().splitlines()[0])
    samples, rate = soundfile.read(manifest.parent / row["audio"], dtype="float32")
    assert rate == 16000
    return samples, words(row["text"])


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def share_heard(said: list[str], heard: list[str]) -> float:
    return len(set(said) & set(heard)) / len(set(said))


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_the_served_form_hears_the_words_and_when(spoken, kind):
    from faster_whisper import WhisperModel

    samples, said = spoken
    engine = WhisperModel(str(model("tiny.en") / f"ct2-{kind}"), device="cpu", compute_type=kind, cpu_threads=2)
    segments, _ = engine.transcribe(samples, language="en", word_timestamps=True)
    heard = [word for segment in segments for word in segment.words or []]
    assert share_heard(said, words(" ".join(w.word for w in heard))) > 0.8
    starts = [w.start for w in heard]
    assert starts == sorted(starts) and heard[-1].end <= len(samples) / 16000 + 0.5


def test_the_checkpoint_hears_the_words_and_when(spoken):
    transformers = pytest.importorskip("transformers")
    samples, said = spoken
    heard = transformers.pipeline("automatic-speech-recognition", model=str(model("tiny.en")))(
        {"raw": samples, "sampling_rate": 16000}, return_timestamps="word"
    )
    assert share_heard(said, words(heard["text"])) > 0.8
    times = [chunk["timestamp"] for chunk in heard["chunks"]]
    assert all(a <= b for a, b in times) and times[-1][1] <= len(samples) / 16000 + 0.5


def test_a_multilingual_checkpoint_transcribes_without_being_told_the_language(spoken):
    from transformers import AutoProcessor, WhisperForConditionalGeneration

    samples, said = spoken
    path = model("whisper-base")
    processor = AutoProcessor.from_pretrained(path)
    engine = WhisperForConditionalGeneration.from_pretrained(path)
    features = processor(samples, sampling_rate=16000, return_tensors="pt").input_features
    heard = processor.batch_decode(engine.generate(features), skip_special_tokens=True)[0]
    assert share_heard(said, words(heard)) > 0.8


@pytest.mark.parametrize(
    ("name", "loader", "difference", "bound", "file"),
    [
        ("pyannote-segmentation", "load_segmentation", "segmentation_difference", 1e-3, "segmentation-3.0.onnx"),
        ("wespeaker-resnet34", "load_embedding", "embedding_difference", 1e-4, "wespeaker-resnet34-256.onnx"),
    ],
)  # fmt: skip
def test_a_rebuilt_diarization_model_matches_its_published_graph(name, loader, difference, bound, file, tmp_path):
    from asr_worker.models import catalogue, diarization, pyannote_native, sources
    from asr_worker.models.pull import downloads_dir

    path = model(name)
    entry = catalogue.find(name)
    assert entry is not None
    part = entry.sources[-1].parts[0]
    kept = downloads_dir(path.parent)
    if not list((kept / part.kind / f"{part.name}-{part.version}").glob("*.whl")):
        pytest.skip(f"the archive of {name} was not kept")
    files = sources.fetch(part, kept, tmp_path, lambda what, done, total: None)
    assert part.files[0].path.endswith(file)
    assert getattr(diarization, difference)(getattr(pyannote_native, loader)(path), files["onnx"]) < bound


def test_sentence_embeddings_load_and_tell_meanings_apart():
    torch = pytest.importorskip("torch")
    from transformers import AutoModel, AutoTokenizer

    path = model("minilm")
    tokenizer, network = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path).eval()
    texts = ["I want to cancel my contract", "Please end my subscription", "The weather is lovely today"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = network(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_installed_models_are_what_they_were_when_installed():
    directory = store.models_dir()
    found = [p for p in directory.glob("*") if store.read_record(p)]
    if not found:
        pytest.skip("no models are installed")
    assert {p.name: store.verify(p) for p in found} == {p.name: [] for p in found}
