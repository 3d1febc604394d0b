"""Runs the two networks of the diarizer: through onnxruntime on a CPU, through torch on a GPU, with equal results.

On CPUs onnxruntime needs about three quarters of torch's time for the same weights and, unlike torch's thread pool,
keeps its pace on a busy machine. The networks are exported from the torch modules in memory when they are loaded,
so there is one set of weights on the disk and nothing that could disagree with it.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np

os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")  # pyannote reports usage over the network unless told not to

MEL_BINS = 80
EMBEDDING_SIZE = 256
TRUNK_SIZE = 2560
log = logging.getLogger(__name__)


class Networks(Protocol):
    """The weights, loaded. `threads` bounds the CPU threads of one call."""

    def segment(self, windows: np.ndarray) -> np.ndarray:
        """Return (windows, 589, 7) class probabilities for float32 (windows, 160000)."""
        ...

    def filterbank(self, audio: np.ndarray) -> np.ndarray:
        """Return (frames, 80) log mel energies, 10 ms apart, not centred, for float32 (samples,)."""
        ...

    def trunk(self, features: np.ndarray) -> np.ndarray:
        """Return (ceil(frames / 8), 2560) frame-level speaker features for centred float32 (frames, 80)."""
        ...

    def project(self, statistics: np.ndarray) -> np.ndarray:
        """Return (n, 256) embeddings for (n, 5120) pooled means and deviations."""
        ...


class TorchNetworks:
    """The networks as torch modules on any device; the reference that the other runtime is tested against."""

    def __init__(self, segmentation: Any, embedding: Any, *, device: str = "cpu", threads: int = 0) -> None:
        import torch

        self._torch = torch
        self._device = torch.device(device)
        self._segmentation = segmentation.eval().to(self._device)
        self._embedding = embedding.eval().to(self._device)
        if threads:
            torch.set_num_threads(threads)
        head = embedding.resnet.seg_1
        self._weight = head.weight.detach().cpu().numpy().astype(np.float32)
        self._bias = head.bias.detach().cpu().numpy().astype(np.float32)

    def segment(self, windows: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            scores = self._segmentation(self._tensor(windows)[:, None])
        return np.exp(scores.float().cpu().numpy())

    def filterbank(self, audio: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            wave = self._torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))[None] * 32768.0
            return self._embedding._fbank(wave).numpy()

    def trunk(self, features: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            maps = self._embedding.resnet.forward_frames(self._tensor(features)[None])
        return _by_time(maps.float().cpu().numpy()[0])

    def project(self, statistics: np.ndarray) -> np.ndarray:
        return statistics.astype(np.float32) @ self._weight.T + self._bias

    def _tensor(self, array: np.ndarray) -> Any:
        return self._torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(self._device)


class OnnxNetworks(TorchNetworks):
    """The same networks with the two heavy parts in onnxruntime, for CPUs."""

    def __init__(self, segmentation: Any, embedding: Any, *, threads: int = 0) -> None:
        super().__init__(segmentation, embedding)
        torch = self._torch
        self._segment = _session(segmentation, torch.zeros(2, 1, 160_000), {0: "windows"}, {0: "windows"}, threads)
        trunk = _Trunk.around(embedding.resnet)
        self._trunk = _session(trunk, torch.zeros(1, 400, MEL_BINS), {1: "frames"}, {3: "steps"}, threads)

    def segment(self, windows: np.ndarray) -> np.ndarray:
        scores = self._segment.run(None, {"x": np.ascontiguousarray(windows, dtype=np.float32)[:, None]})[0]
        return np.exp(scores)

    def trunk(self, features: np.ndarray) -> np.ndarray:
        maps = self._trunk.run(None, {"x": np.ascontiguousarray(features, dtype=np.float32)[None]})[0]
        return _by_time(maps[0])


class _Trunk:
    @staticmethod
    def around(resnet: Any) -> Any:
        """Return a module whose forward pass is the ResNet up to, and without, its pooling."""
        import torch

        class Frames(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.resnet = resnet

            def forward(self, x: Any) -> Any:
                return self.resnet.forward_frames(x)

        return Frames().eval()


def _by_time(maps: np.ndarray) -> np.ndarray:
    """Turn (channels, bins, steps) into (steps, channels * bins), the order that the projection expects."""
    return np.ascontiguousarray(maps.reshape(-1, maps.shape[-1]).T)


def _session(module: Any, example: Any, into: dict[int, str], out: dict[int, str], threads: int) -> Any:
    import onnxruntime
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (example,), buffer, input_names=["x"], output_names=["y"],
            dynamic_axes={"x": into, "y": out}, dynamo=False, opset_version=17,
        )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Spinning threads burn the time that other workers on the machine could use and gain nothing here.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The clips differ in length: memory kept for the longest one would never be used again.
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(buffer.getvalue(), options, providers=["CPUExecutionProvider"])


def load(segmentation_dir: Path, embedding_dir: Path, *, device: str = "cpu", threads: int = 0) -> Networks:
    """Return the networks from two model directories, ready to run on `device`.

    Raises ModelMissing where a directory holds no model.
    """
    from asr_worker.models.pyannote_native import load_embedding, load_segmentation

    segmentation, embedding = load_segmentation(segmentation_dir), load_embedding(embedding_dir)
    if device.startswith("cuda"):
        return TorchNetworks(segmentation, embedding, device=device)
    try:
        return OnnxNetworks(segmentation, embedding, threads=threads)
    except Exception:  # an onnxruntime that cannot take the graph costs speed, never the call
        log.exception("the diarizer runs through torch: onnxruntime did not take its networks")
        return TorchNetworks(segmentation, embedding, device=device, threads=threads)
