"""Any speech checkpoint that transformers can load: Whisper and other seq2seq models, and CTC models.

Slower than the served engine and able to run what that cannot: a checkpoint fresh from training, a PEFT adapter, a
wav2vec2. Whisper's word times come from the cross-attention of its alignment heads with dynamic time warping (as in
Radford et al. 2022, section 4.5 and the authors' published word-timestamp method), read by hooks on the query and
key projections, so any attention implementation may be loaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from asr_worker.engines import guard
from asr_worker.engines.base import RATE, Channel, Clip, Heard, Progress, Timed, no_progress, pack
from asr_worker.engines.registry import find_model
from asr_worker.models import quantised
from asr_worker.types import ModelMissing, PipelineSpec, SpeechError, Word

_MAX_NEW_TOKENS = 224
_OTHER_CLIP_MS = 20_000


def load(spec: PipelineSpec) -> tuple[Any, Any, str]:
    """Return (model in evaluation mode on its device, processor, kind), kind being `whisper`, `seq2seq` or `ctc`.

    An adapter is merged where its kind allows that; a directory marked as quantised gets its 8-bit layers. Raises
    ModelMissing for a directory without a checkpoint.
    """
    import torch
    import transformers

    path = find_model(spec.model)
    if not (path / "config.json").is_file():
        raise ModelMissing(f"{path.name} holds no transformers checkpoint; run: python -m asr_worker.models pull")
    config = transformers.AutoConfig.from_pretrained(path, local_files_only=True)
    names = " ".join(getattr(config, "architectures", None) or [])
    kind = "ctc" if "CTC" in names else "whisper" if config.model_type == "whisper" else "seq2seq"
    loader = transformers.AutoModelForCTC if kind == "ctc" else transformers.AutoModelForSpeechSeq2Seq
    half = spec.device.startswith("cuda")
    if quantised.is_quantised(path):
        if half:
            message = f"{path.name} has 8-bit layers that only run on CPUs; serve another form of it on {spec.device}."
            raise SpeechError(message, code="cpu_only", permanent=True)
        model = quantised.load(path, loader)
    else:
        model = loader.from_pretrained(path, local_files_only=True, dtype=torch.float16 if half else torch.float32)
    if spec.adapter:
        from asr_worker.training.adapters import attach

        model = attach(model, find_model(spec.adapter), path)
    processor = transformers.AutoProcessor.from_pretrained(path, local_files_only=True)
    return model.to(spec.device).eval(), processor, kind


class TransformersTranscriber:
    """A checkpoint served by transformers: float32 on CPUs, float16 on CUDA; greedy for `beam_size` 1."""

    name = "transformers"

    def __init__(self, spec: PipelineSpec) -> None:
        import torch

        torch.set_num_threads(int(os.environ.get("SPEECH_THREADS", "0")) or min(4, os.cpu_count() or 2))
        self.model, self.processor, self.kind = load(spec)
        self.device = spec.device

    def transcribe(
        self,
        audio: np.ndarray,
        spec: PipelineSpec,
        *,
        regions: Sequence[tuple[int, int]] | None = None,
        progress: Progress = no_progress,
    ) -> list[Word]:
        """Return the words of one channel (float32 [samples], 16 kHz) in time order."""
        if regions is None:
            from asr_worker.vad import speech_regions

            regions = speech_regions(audio)
        return self.transcribe_channels([Channel(audio, regions)], spec, progress=progress)[0].words

    def transcribe_channels(
        self, channels: Sequence[Channel], spec: PipelineSpec, *, progress: Progress = no_progress
    ) -> list[Heard]:
        """Return one Heard per channel. Batches mix channels; a clip never does."""
        longest = 29_500 if self.kind == "whisper" else _OTHER_CLIP_MS
        clips = [c for i, channel in enumerate(channels) for c in pack(i, channel.regions, longest_ms=longest)]
        clips.sort(key=lambda clip: -clip.duration_ms)
        heard = [Heard() for _ in channels]
        for at in range(0, len(clips), spec.batch_size):
            batch = clips[at : at + spec.batch_size]
            audios = [clip.audio(channels[clip.channel].audio) for clip in batch]
            for clip, audio, decoded in zip(batch, audios, self._run(audios, spec), strict=True):
                self._keep(clip, audio, decoded, heard[clip.channel], spec)
            progress(min(1.0, (at + len(batch)) / len(clips)))
        return [guard.finish(one, channel.audio) for one, channel in zip(heard, channels, strict=True)]

    def _keep(self, clip: Clip, audio: np.ndarray, decoded: guard.Decoded, heard: Heard, spec: PipelineSpec) -> None:
        words, reason = guard.judge(decoded, audio)
        if reason == "loop":
            if self.kind != "ctc":  # CTC cannot loop: it says what the frames say
                words = self._run([audio], spec, no_repeat=4)[0].words
                words = guard.collapse(words)
                heard.warnings.append(guard.LOOPED)
        elif reason:
            heard.warnings.append(reason)
        heard.words += clip.place(words)

    def _run(self, audios: Sequence[np.ndarray], spec: PipelineSpec, *, no_repeat: int = 0) -> list[guard.Decoded]:
        import torch

        with torch.inference_mode():
            if self.kind == "ctc":
                from asr_worker.engines import ctc

                return ctc.decode(self.model, self.processor, audios, self.device)
            return self._generate(audios, spec, no_repeat)

    def _generate(self, audios: Sequence[np.ndarray], spec: PipelineSpec, no_repeat: int) -> list[guard.Decoded]:
        import torch

        from asr_worker.engines import attention_times

        whisper = self.kind == "whisper"
        padding = {} if whisper else {"padding": True}  # Whisper's windows are always 30 s
        inputs = self.processor(list(audios), sampling_rate=RATE, return_tensors="pt", **padding)
        name = "input_features" if "input_features" in inputs else "input_values"
        features = inputs[name].to(self.device, next(self.model.parameters()).dtype)
        options: dict[str, Any] = {
            "num_beams": spec.beam_size,
            "max_new_tokens": _MAX_NEW_TOKENS,
            "return_dict_in_generate": True,
            "no_repeat_ngram_size": no_repeat or None,
            "do_sample": False,
        }
        if whisper:
            options |= self._whisper_options(spec)
        elif "attention_mask" in inputs:
            options["attention_mask"] = inputs["attention_mask"].to(self.device)
        produced = self.model.generate(features, **options)
        ids = produced["sequences"] if isinstance(produced, dict) else getattr(produced, "sequences", produced)
        if whisper:
            return attention_times.timed(self.model, self.processor.tokenizer, features, ids, audios, spec)
        return self._evenly(features, ids, audios, torch)

    def _whisper_options(self, spec: PipelineSpec) -> dict[str, Any]:
        config = self.model.generation_config
        options: dict[str, Any] = {"return_timestamps": False, "condition_on_prev_tokens": False}
        if getattr(config, "is_multilingual", False):
            options |= {"language": spec.language or "en", "task": "transcribe"}
        if spec.hot_words:
            options["prompt_ids"] = self.processor.get_prompt_ids(" ".join(spec.hot_words), return_tensors="pt").to(
                self.device
            )
        return options

    def _evenly(self, features: Any, ids: Any, audios: Sequence[np.ndarray], torch: Any) -> list[guard.Decoded]:
        """Return words with times in proportion to their letters, for models whose attention has no alignment heads."""
        logits = self.model(features, decoder_input_ids=ids[:, :-1]).logits.float().log_softmax(-1)
        picked = logits.gather(-1, ids[:, 1:, None])[..., 0].cpu().numpy()
        tokenizer = self.processor.tokenizer
        special = set(tokenizer.all_special_ids)
        out = []
        for row, scores, audio in zip(ids.cpu().tolist(), picked, audios, strict=True):
            said = [float(s) for t, s in zip(row[1:], scores, strict=True) if t not in special]
            text = tokenizer.decode(row, skip_special_tokens=True).split()
            mean = float(np.mean(said)) if said else 0.0
            length, letters = len(audio) * 1000 / RATE, sum(map(len, text)) or 1
            words, at = [], 0.0
            for word in text:
                share = length * len(word) / letters
                words.append(Timed(word, at, at + share, float(np.exp(mean))))
                at += share
            out.append(guard.Decoded(words, mean))
        return out
