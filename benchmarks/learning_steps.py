"""The single steps of the learning benchmark, each meant for a process of its own: its memory and its clock are alone.

`python -m benchmarks.learning_steps STEP JSON` prints one JSON object. Rows of evaluations stay in the work folder,
with their errors under two normalisers: the product's own, and `basic` (lower case, everything but letters and digits
a space), under which it counts how letters, digits and numbers are written.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import common, learning_data

NORMALISERS = ("basic", "en-1")


def data(work: Path, folder: str, base: str) -> dict[str, Any]:
    """Build the datasets; the time is that of labelling the replayed speech, which the fit need not encode again."""
    shutil.rmtree(work / learning_data.CACHE, ignore_errors=True)
    learning_data.test_sets(Path(folder), work)
    learning_data.training_set(Path(folder), work, base, replay=False)
    used = time.process_time()
    _, seconds = learning_data.training_set(Path(folder), work, base)
    cached = len(list((work / learning_data.CACHE).glob("*.npy")))
    return {
        "label_seconds": round(seconds, 1),
        "label_processor_seconds": round(time.process_time() - used, 1),
        "encoded": cached,
    }


def fit(
    work: Path,
    name: str,
    base: str,
    dataset: str,
    config: dict[str, Any],
    shared: bool = False,
    only: int | None = None,
) -> dict[str, Any]:
    """Fine-tune and export to what is served; the times are those of the whole call.

    Encoding is in them, except for clips that earlier steps have left in the shared cache (`encoded_before`). Where it
    holds more than `only` so many, those of a run that was cut off, it is emptied first.
    """
    from asr_worker import export as exporting
    from asr_worker.engines.registry import find_model
    from asr_worker.training.config import FitConfig
    from asr_worker.training.fit import fit as fine_tune

    for left in (work / "fits" / name, work / "served" / name):  # of a run that was cut off: its clock is a figure
        shutil.rmtree(left, ignore_errors=True)
    cache = work / learning_data.CACHE if shared else None
    encoded = len(list(cache.glob("*.npy"))) if cache else 0
    if cache and only is not None and encoded > only:
        shutil.rmtree(cache)
        encoded = 0
    load = os.getloadavg()[0]
    began, used = time.perf_counter(), time.process_time()
    done = fine_tune(find_model(base), work / dataset, work / "fits" / name, FitConfig.from_json(config), cache=cache)
    fitted = time.perf_counter() - began
    if done.mergeable:
        exporting.export(Path(done.checkpoint), work / "served" / name, kinds=("int8",))
    total = time.perf_counter() - began
    return {
        "fit_seconds": round(fitted, 1),
        "total_seconds": round(total, 1),
        "processor_seconds": round(time.process_time() - used, 1),
        "seconds_per_epoch": done.seconds_per_epoch,
        "epochs": done.epochs,
        "share": round(done.trainable_parameters / done.parameters, 5),
        "mergeable": done.mergeable,
        "validation": [done.validation_wer_before, done.validation_wer_after],
        "rows": sum(done.rows.values()),
        "encoded_before": encoded,
        "load_at_start": round(load, 1),
        "peak_mib": common.peak_kib() // 1024,
    }


def score(work: Path, name: str, model: str, sets: list[str]) -> dict[str, Any]:
    """Evaluate what is served (int8, beam 5) on the named sets and keep the rows."""
    from asr_worker import datasets
    from asr_worker.evaluate import evaluate_rows
    from asr_worker.types import PipelineSpec

    out = {}
    for which in sets:
        spec = PipelineSpec(model=model, compute_type="int8")
        rows = datasets.read(work / which)
        document = evaluate_rows(rows, spec, name=which)
        kept = [{**e, **basic(r["text"], e["hypothesis"])} for r, e in zip(rows, document["rows"], strict=True)]
        _keep(work, name, which, kept)
        out[which] = document["pooled"]["wer"]
    return out


def greedy(work: Path, name: str, base: str, adapter: str, sets: list[str]) -> dict[str, Any]:
    """Evaluate a model that cannot be exported: float32 and greedy, over encoder outputs that all of them share."""
    from asr_worker import datasets
    from asr_worker.engines.registry import find_model
    from asr_worker.training import adapters, families, validation
    from asr_worker.training.cache import ClipCache
    from asr_worker.training.clips import Clips
    from asr_worker.training.data import Example

    place = find_model(base)
    family = families.load(place)
    out = {}
    for which in sets:
        rows = [Example.of(row) for row in datasets.read(work / which)]
        # Encoder outputs are those of the base: all these adapters stand in the decoder.
        clips = Clips(family, ClipCache(work / "greedy", f"{base}|{which}"), "encoder").add(rows)
        if adapter and which == sets[0]:
            family.model = adapters.attach(family.model, Path(adapter), place)
        entries, kept = [], {e.id for e in clips.examples}
        texts, _ = validation.transcribe(family, clips)
        heard = dict(zip((e.id for e in clips.examples), texts, strict=True))
        for row in rows:
            text = heard.get(row.id, "")
            wrong, words = validation.word_errors([row.text], [text])
            entry = {"id": row.id, "call": row.call, "words": words, "errors": wrong, "kept": row.id in kept}
            entries.append({**entry, **basic(row.text, text)})
        _keep(work, name, which, entries)
        out[which] = round(sum(e["errors"] for e in entries) / max(1, sum(e["words"] for e in entries)), 5)
    return out


def trainer(work: Path, base: str, dataset: str, epochs: int, rate: float, batch: int) -> dict[str, Any]:
    """Fine-tune with transformers' own Seq2SeqTrainer, set up the way its Whisper recipes are, and export."""
    import torch
    import transformers

    from asr_worker import audio, datasets
    from asr_worker import export as exporting
    from asr_worker.engines.registry import find_model

    torch.set_num_threads(int(common.THREADS))
    place = find_model(base)
    model = transformers.WhisperForConditionalGeneration.from_pretrained(place, local_files_only=True)
    processor = transformers.AutoProcessor.from_pretrained(place, local_files_only=True)
    rows = []
    for row in datasets.read(work / dataset):
        samples = audio.decode(row["path"]).mean(axis=0)
        if len(samples) <= 30 * audio.RATE:
            made = processor.feature_extractor(samples, sampling_rate=audio.RATE, return_tensors="pt")
            rows.append(
                {"input_features": made.input_features[0], "labels": processor.tokenizer(row["text"]).input_ids}
            )
    for left in (work / "trainer", work / "served" / "trainer"):
        shutil.rmtree(left, ignore_errors=True)
    start = model.config.decoder_start_token_id

    def collate(part: list[dict[str, Any]]) -> dict[str, Any]:
        padded = processor.tokenizer.pad([{"input_ids": r["labels"]} for r in part], return_tensors="pt")
        labels = padded["input_ids"].masked_fill(padded["attention_mask"].ne(1), -100)
        labels = labels[:, 1:] if (labels[:, 0] == start).all() else labels
        return {"input_features": torch.stack([r["input_features"] for r in part]), "labels": labels}

    class Clock(transformers.TrainerCallback):
        marks: list[float] = []

        def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
            self.marks.append(-time.perf_counter())

        def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
            self.marks[-1] += time.perf_counter()

    told = transformers.Seq2SeqTrainingArguments(
        output_dir=str(work / "trainer"), per_device_train_batch_size=batch, num_train_epochs=epochs,
        learning_rate=rate,
        warmup_steps=0.1, weight_decay=0.01, report_to=[], save_strategy="no", use_cpu=True, seed=7,
        remove_unused_columns=False, disable_tqdm=True,
    )  # fmt: skip
    clock = Clock()
    began = time.perf_counter()
    transformers.Seq2SeqTrainer(
        model=model, args=told, train_dataset=rows, data_collator=collate, callbacks=[clock]
    ).train()
    seconds = time.perf_counter() - began
    checkpoint = work / "trainer" / "checkpoint"
    model.save_pretrained(checkpoint)
    processor.save_pretrained(checkpoint)
    for name in ("tokenizer.json", "preprocessor_config.json", "generation_config.json"):
        (checkpoint / name).write_bytes((place / name).read_bytes())
    exporting.export(checkpoint, work / "served" / "trainer", kinds=("int8",))
    return {
        "seconds": round(seconds, 1),
        "seconds_per_epoch": round(sum(clock.marks) / len(clock.marks), 2),
        "rows": len(rows),
        "peak_mib": common.peak_kib() // 1024,
    }


def noise(work: Path, models: dict[str, str], limit: int) -> dict[str, Any]:
    """Return word error rates against noise of several served models."""
    from asr_worker import datasets
    from benchmarks import learning_noise

    rows = datasets.read(work / "test-new")[:limit]
    return {"rows": learning_noise.table(models, rows)}


@functools.cache
def _basic() -> Any:
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer

    return BasicTextNormalizer()


def basic(reference: str, heard: str) -> dict[str, int]:
    """Return a row's words and errors under Whisper's basic normaliser."""
    import jiwer

    said, text = (" ".join(_basic()(one).split()) for one in (reference, heard))
    found = jiwer.process_words(said, text)
    wrong = found.substitutions + found.deletions + found.insertions
    return {"basic_words": len(said.split()), "basic_errors": wrong}


def rows_of(work: Path, name: str, which: str, normaliser: str) -> list[dict[str, Any]]:
    """Return the kept evaluation rows, `words` and `errors` being those under the normaliser."""
    rows = json.loads((work / "evaluations" / f"{name}-{which}.json").read_text(encoding="utf-8"))
    if normaliser == "basic":
        rows = [{**row, "words": row["basic_words"], "errors": row["basic_errors"]} for row in rows]
    return rows


def _keep(work: Path, name: str, which: str, rows: list[dict[str, Any]]) -> None:
    folder = work / "evaluations"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-{which}.json").write_text(json.dumps(rows), encoding="utf-8")


STEPS = {"data": data, "fit": fit, "score": score, "greedy": greedy, "trainer": trainer, "noise": noise}


def main(arguments: list[str]) -> int:
    told = json.loads(arguments[1])
    print(json.dumps(STEPS[arguments[0]](**{**told, "work": Path(told["work"])})))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
