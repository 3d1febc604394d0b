"""From a trained checkpoint to what is served, and other forms of the same weights to compare it with.

Every function builds in a hidden folder beside its target and ends with one rename, so a target that exists is whole.
A checkpoint that cannot be used raises SpeechError with the code `export_failed`, a full disk one with `disk_full`.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from asr_worker.types import ModelMissing, PipelineSpec, SpeechError

_COPIED = (".json", ".txt", ".md", ".model")
_FULL = (errno.ENOSPC, errno.EDQUOT)
PRUNED_SHARES = (0.2, 0.4)


class ExportError(SpeechError):
    """A checkpoint cannot be turned into the form asked for."""

    permanent = True
    code = "export_failed"


def export(checkpoint: Path, out: Path, *, kinds: Sequence[str] = ("int8", "float16")) -> Path:
    """Return `out` as a complete served directory: the checkpoint, its tokenizer, and `ct2-<kind>` for every kind.

    Raises ExportError for a checkpoint that is broken, not Whisper, or an adapter that cannot be folded in.
    """
    from asr_worker.models.whisper import export_ctranslate2

    _servable(checkpoint)
    with _building(out, checkpoint.name) as folder:
        _whole(_load(checkpoint), checkpoint.name)
        _copy_checkpoint(checkpoint, folder)
        _complete(folder)
        for kind in kinds:
            export_ctranslate2(folder, folder / f"ct2-{kind}", kind)
            _opens(folder / f"ct2-{kind}")
    return out


def quantise_dynamic(checkpoint: Path, out: Path) -> Path:
    """Return `out` as a checkpoint with 8-bit linear layers, which the engine transformers serves on CPUs."""
    from asr_worker.models import quantised

    with _building(out, checkpoint.name) as folder:
        model = _whole(_load(checkpoint), checkpoint.name)
        _copy_settings(checkpoint, folder)
        quantised.write(model, folder)
    return out


def prune_magnitude(checkpoint: Path, out: Path, share: float) -> Path:
    """Return `out` as a checkpoint whose linear layers have lost the `share` (0..1) of their weights nearest to zero.

    Layer by layer, as Han et al. 2015 ("Learning both weights and connections"), without training again. Zeros take
    as much room in a file as other numbers. The layer that shares its weights with the embedding is left whole.
    """
    import torch

    if not 0 <= share < 1:
        raise ValueError("the share to prune must be at least 0 and below 1")
    with _building(out, checkpoint.name) as folder:
        model = _whole(_load(checkpoint), checkpoint.name)
        embeddings = {m.weight.data_ptr() for m in model.modules() if isinstance(m, torch.nn.Embedding)}
        with torch.no_grad():
            for module in model.modules():
                if not isinstance(module, torch.nn.Linear) or module.weight.data_ptr() in embeddings:
                    continue
                drop = int(share * module.weight.numel())
                if drop:
                    least = module.weight.abs().flatten().topk(drop, largest=False).indices
                    module.weight.view(-1)[least] = 0.0
        _save(model, checkpoint, folder)
    return out


def average_with_base(checkpoint: Path, base: Path, base_share: float, out: Path) -> Path:
    """Return `out` with every weight `base_share` (0..1) the base's and the rest the checkpoint's.

    Against forgetting: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models". Raises ExportError where the
    two are not the same model by names and shapes.
    """
    import torch

    if not 0 <= base_share <= 1:
        raise ValueError("the base's share must be between 0 and 1")
    with _building(out, checkpoint.name) as folder:
        model, other = _whole(_load(checkpoint), checkpoint.name), _load(base)
        ours, theirs = model.state_dict(), other.state_dict()
        if {k: v.shape for k, v in ours.items()} != {k: v.shape for k, v in theirs.items()}:
            raise ExportError(
                f"{checkpoint.name} and {base.name} are not the same kind of model, so they cannot be averaged.",
                code="base_differs",
            )
        done: set[int] = set()
        with torch.no_grad():
            for key, value in ours.items():
                # Tied weights are one tensor under two names and must be moved once.
                if value.is_floating_point() and value.data_ptr() not in done:
                    value.lerp_(theirs[key].to(value.dtype), base_share)
                    done.add(value.data_ptr())
        _save(model, checkpoint, folder)
    return out


def variants(
    served: Path,
    rows: Sequence[dict[str, Any]],
    *,
    spec: PipelineSpec | None = None,
    pruned: Sequence[float] = PRUNED_SHARES,
    begun: Callable[[str], None] = lambda kind: None,
) -> list[dict[str, Any]]:
    """Return {kind, bytes, wer, real_time_factor} of the checkpoint as it is and of its other forms, on the same rows.

    `served` is a directory of `export`; what CTranslate2 serves is measured with faster-whisper, the others with the
    engine transformers, all with the spec's beam (greedy unless said otherwise: a beam there takes longer than the
    audio). `bytes` are those of the weights. Nothing stays on the disk. `begun` hears of each kind beforehand.
    """
    from asr_worker.engines import registry
    from asr_worker.evaluation import evaluate_rows

    spec = replace(spec or PipelineSpec(beam_size=1), adapter="")
    out: list[dict[str, Any]] = []

    def measure(kind: str, folder: Path, engine: str, weights: str, compute: str = "float32") -> None:
        begun(kind)
        own = replace(spec, transcriber=engine, model=str(folder), compute_type=compute)
        document = evaluate_rows(rows, own, name=kind)
        size = (folder / weights).stat().st_size if weights else _weight_bytes(folder)
        found = {"kind": kind, "bytes": size, "wer": document["pooled"]["wer"]}
        out.append({**found, "real_time_factor": document["real_time_factor"]})

    try:
        measure("checkpoint", served, "transformers", "")
        for folder in sorted(served.glob("ct2-*")):
            kind = folder.name.removeprefix("ct2-")
            # CTranslate2 computes float16 weights in float32 where the processor knows no better.
            measure(folder.name, folder, "faster-whisper", "model.bin", "int8" if kind == "int8" else "float32")
        with tempfile.TemporaryDirectory(prefix="variants-") as place:
            made = quantise_dynamic(served, Path(place) / "dynamic-int8")
            measure("dynamic-int8", made, "transformers", "")
            for share in pruned:
                made = prune_magnitude(served, Path(place) / f"pruned-{share:.0%}".rstrip("%"), share)
                measure(f"pruned {share:.0%}", made, "transformers", "")
    finally:
        registry.forget()  # the folders are gone; nobody shall find their engines warm
    return out


# --- parts ---------------------------------------------------------------------------------------------


@contextmanager
def _building(out: Path, name: str) -> Iterator[Path]:
    """Yield an empty folder that becomes `out` if all goes well, and say what went wrong in words if not."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():
        raise ExportError(f"{out.name} exists already.")
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        yield folder
        folder.chmod(0o755)
        os.replace(folder, out)
    except SpeechError:
        raise
    except Exception as error:
        if _is_full(error):
            message = f"The disk is full: there was no room to export {name}. Free some space and try again."
            raise SpeechError(message, code="disk_full", permanent=True) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"{name} cannot be exported: {reason[:300]}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_full(error: BaseException | None) -> bool:
    """Say whether a full disk is behind an error; the writers in other languages only leave a sentence."""
    while error is not None:
        if (isinstance(error, OSError) and error.errno in _FULL) or "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _servable(checkpoint: Path) -> None:
    try:
        config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(f"{checkpoint.name} has no readable config.json, so it is no checkpoint.") from error
    if (checkpoint / "adapter").is_dir() or (checkpoint / "adapter_config.json").is_file():
        raise ExportError(
            f"{checkpoint.name} has an adapter that cannot be folded into the model; only the engine transformers can "
            "serve it.",
            code="not_servable",
        )
    if config.get("model_type") != "whisper":
        raise ExportError(
            f"{checkpoint.name} is a {config.get('model_type')} model; CTranslate2 serves Whisper only. Serve it with "
            "the engine transformers.",
            code="not_servable",
        )


def _copy_settings(checkpoint: Path, folder: Path) -> None:
    for path in sorted(checkpoint.iterdir()):
        if path.is_file() and path.suffix in _COPIED and ".index." not in path.name:
            shutil.copyfile(path, folder / path.name)


def _copy_checkpoint(checkpoint: Path, folder: Path) -> None:
    """Copy what belongs to a checkpoint and nothing that lies beside it (optimiser states, older conversions)."""
    _copy_settings(checkpoint, folder)
    weights = [p for p in checkpoint.iterdir() if p.suffix == ".safetensors" or p.name.endswith(".index.json")]
    for path in weights or checkpoint.glob("pytorch_model*"):
        shutil.copyfile(path, folder / path.name)


def _complete(folder: Path) -> None:
    """Write the two files that faster-whisper reads in their own names where a newer library joined them in others."""
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer, WhisperFeatureExtractor

    if not (folder / "preprocessor_config.json").is_file():
        WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True).save_pretrained(folder)
    if not (folder / "tokenizer.json").is_file():
        AutoTokenizer.from_pretrained(folder, local_files_only=True).save_pretrained(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    vocabulary = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    # Older checkpoints leave the time stamps out of the tokenizer. Where its files are gone altogether, a library may
    # make up an empty one without a word.
    spoken = tokenizer.encode("hello", add_special_tokens=False).ids
    if not spoken or not vocabulary - 1600 <= tokenizer.get_vocab_size() <= vocabulary:
        raise ValueError("its tokenizer is missing or belongs to another model")


def _load(checkpoint: Path) -> Any:
    """Return a checkpoint's float32 model on the CPU. Raises ExportError where a tensor lacks or does not fit."""
    import torch
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(checkpoint, local_files_only=True)
        names = " ".join(getattr(config, "architectures", None) or [])
        loader = transformers.AutoModelForCTC if "CTC" in names else transformers.AutoModelForSpeechSeq2Seq
        model, found = loader.from_pretrained(
            checkpoint, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:
        # Whatever a damaged file makes a parser say, the answer to the operator is the same.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"{checkpoint.name} cannot be read: {reason[:300]}") from error
    lacking = [key for key in found.get("missing_keys", ()) if key != "proj_out.weight"]
    if lacking or found.get("mismatched_keys"):
        raise ExportError(f"{checkpoint.name} lacks weights or has others: {', '.join(map(str, lacking[:3]))}")
    return model.eval()


def _whole(model: Any, name: str) -> Any:
    """Return the model. Raises ExportError where a weight is no number: training has diverged."""
    for key, value in model.state_dict().items():
        if value.is_floating_point() and not math.isfinite(float(value.sum())) and not bool(value.isfinite().all()):
            raise ExportError(f"{name} has weights that are no numbers ({key}): its training diverged.")
    return model


def _save(model: Any, checkpoint: Path, folder: Path) -> None:
    _copy_settings(checkpoint, folder)
    model.save_pretrained(folder)


def _opens(folder: Path) -> None:
    """Raise what CTranslate2 says of a directory that it cannot serve."""
    import ctranslate2

    ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="float32", intra_threads=1)


def _weight_bytes(folder: Path) -> int:
    found = [p.stat().st_size for p in folder.glob("*.safetensors")] or [
        p.stat().st_size for p in folder.glob("pytorch_model*.bin")
    ]
    if not found:
        raise ModelMissing(f"{folder.name} holds no weights")
    return sum(found)
