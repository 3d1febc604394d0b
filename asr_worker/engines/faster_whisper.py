"""The served engine: Whisper on CTranslate2, fed with full clips of speech from all channels at once.

It uses faster-whisper's model loader, features and tokenizer, and its own batching: speech of every channel is
packed into clips of up to 30 s (Whisper's encoder costs the same for less), clips of like length share a batch, and
there is no conditioning on earlier text, which is what makes loops spread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr_worker.engines import guard
from asr_worker.engines.base import RATE, Channel, Clip, Heard, Progress, Timed, no_progress, pack
from asr_worker.engines.registry import find_model
from asr_worker.engines.whisper_words import group_tokens, tidy_times
from asr_worker.types import ModelMissing, PipelineSpec, Word

_MAX_NEW_TOKENS = 224


def model_directory(path: Path, compute_type: str) -> Path:
    """Return the CTranslate2 directory to serve from: the matching subfolder, any other one, or the path itself.

    CTranslate2 converts the numbers while loading, so a missing precision is no reason to fail.
    Raises ModelMissing where there is none.
    """
    wanted = [f"ct2-{compute_type}", "ct2-float32", "ct2-float16", "ct2-int8"]
    for folder in [path / name for name in wanted] + [path]:
        if (folder / "model.bin").is_file():
            return folder
    raise ModelMissing(
        f"{path.name} has no CTranslate2 weights for the engine faster-whisper; "
        "run: python -m asr_worker.models pull, or serve it with the engine transformers"
    )


class FasterWhisperTranscriber:
    """Whisper through CTranslate2. `spec.device` cuda serves float16, cpu what `compute_type` says."""

    name = "faster-whisper"

    def __init__(self, spec: PipelineSpec) -> None:
        from faster_whisper import WhisperModel
        from faster_whisper.tokenizer import Tokenizer

        compute = "float16" if spec.device.startswith("cuda") else spec.compute_type
        folder = model_directory(find_model(spec.model), compute)
        threads = int(os.environ.get("SPEECH_THREADS", "0")) or min(4, os.cpu_count() or 2)
        device, _, index = spec.device.partition(":")
        self.model = WhisperModel(
            str(folder),
            device=device,
            device_index=int(index or 0),
            compute_type=compute,
            cpu_threads=threads,
            local_files_only=True,
        )
        self._tokenizer_class = Tokenizer

    def _tokenizer(self, language: str) -> Any:
        return self._tokenizer_class(
            self.model.hf_tokenizer,
            self.model.model.is_multilingual,
            task="transcribe",
            language=language or "en",
        )

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
        clips = [clip for i, channel in enumerate(channels) for clip in pack(i, channel.regions)]
        clips.sort(key=lambda clip: -clip.duration_ms)
        heard = [Heard() for _ in channels]
        tokenizer = self._tokenizer(spec.language)
        for at in range(0, len(clips), spec.batch_size):
            batch = clips[at : at + spec.batch_size]
            audios = [clip.audio(channels[clip.channel].audio) for clip in batch]
            for clip, audio, result in zip(batch, audios, self._run(audios, tokenizer, spec), strict=True):
                words, reason = guard.judge(result, audio)
                if reason == "loop":
                    words = self._again(clip, channels[clip.channel], tokenizer, spec)
                    if guard.is_loop(" ".join(w.text for w in words)):
                        words = guard.collapse(words)
                    heard[clip.channel].warnings.append(guard.LOOPED)
                elif reason:
                    heard[clip.channel].warnings.append(reason)
                heard[clip.channel].words += clip.place(words)
            progress(min(1.0, (at + len(batch)) / len(clips)))
        return [guard.finish(one, channel.audio) for one, channel in zip(heard, channels, strict=True)]

    def _again(self, clip: Clip, channel: Channel, tokenizer: Any, spec: PipelineSpec) -> list[Timed]:
        """Decode a clip that fell into a loop once more with repetition forbidden."""
        audio = clip.audio(channel.audio)
        (result,) = self._run([audio], tokenizer, spec, no_repeat=4, penalty=1.1)
        return result.words

    def _run(
        self,
        audios: Sequence[np.ndarray],
        tokenizer: Any,
        spec: PipelineSpec,
        *,
        no_repeat: int = 0,
        penalty: float = 1.0,
    ) -> list[guard.Decoded]:
        """Return what Whisper made of each clip of at most 30 s."""
        from faster_whisper.transcribe import get_suppressed_tokens

        frames = self.model.feature_extractor.nb_max_frames
        features = np.stack([self._features(audio, frames) for audio in audios])
        prompt = self.model.get_prompt(
            tokenizer,
            previous_tokens=[],
            without_timestamps=True,
            hotwords=" ".join(spec.hot_words) or None,
        )
        encoded = self.model.encode(features)
        results = self.model.model.generate(
            encoded,
            [list(prompt) for _ in audios],
            beam_size=spec.beam_size,
            max_length=min(self.model.max_length, len(prompt) + _MAX_NEW_TOKENS),
            suppress_blank=True,
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            return_scores=True,
            return_no_speech_prob=True,
            no_repeat_ngram_size=no_repeat,
            repetition_penalty=penalty,
        )
        tokens = [[t for t in r.sequences_ids[0] if t < tokenizer.eot] for r in results]
        aligned = self._align(encoded, tokens, audios, tokenizer)
        return [
            guard.Decoded(
                words=words,
                mean_log_probability=float(result.scores[0]) * len(ids) / (len(ids) + 1) if ids else 0.0,
                no_speech=float(result.no_speech_prob),
            )
            for result, ids, words in zip(results, tokens, aligned, strict=True)
        ]

    def _features(self, audio: np.ndarray, frames: int) -> np.ndarray:
        made = self.model.feature_extractor(audio)[..., :frames]
        return np.pad(made, ((0, 0), (0, frames - made.shape[-1])))

    def _align(
        self, encoded: Any, tokens: list[list[int]], audios: Sequence[np.ndarray], tokenizer: Any
    ) -> list[list[Timed]]:
        """Return timed words per clip from the cross-attention of the alignment heads."""
        per_frame = RATE / self.model.frames_per_second
        sizes = [max(2, min(3000, -(-len(a) // int(per_frame)))) for a in audios]
        results = self.model.model.align(encoded, tokenizer.sot_sequence, tokens, sizes, median_filter_width=7)
        out = []
        for ids, result, audio in zip(tokens, results, audios, strict=True):
            pairs = np.array(result.alignments).reshape(-1, 2)
            jumps = np.flatnonzero(np.diff(pairs[:, 0], prepend=-1)) if len(pairs) else np.zeros(0, int)
            times = pairs[jumps, 1] * 1000 / self.model.tokens_per_second
            length = len(audio) * 1000 / RATE
            groups = group_tokens(*tokenizer.split_to_word_tokens(ids)) if ids else []
            out.append(tidy_times(groups, times, list(result.text_token_probs), length))
        return out
