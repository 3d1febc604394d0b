"""Builders of the diarization models: published ONNX graphs rebuilt as native pyannote.audio modules.

An ONNX export keeps every trained number but folds some together. Here each is put back: LSTM gates reordered,
batch normalisation made the identity behind its folded convolution, and the band edges of the sinc filters
recovered from the filters themselves. Each result must match the graph on test signals, or the build fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from scipy.optimize import least_squares

from asr_worker.models import pyannote_native

Report = Callable[[str], None]

SEGMENTATION_TOLERANCE = 1e-3  # largest difference of a log-probability; about 2e-5 is seen
EMBEDDING_TOLERANCE = 1e-4  # largest 1 - cosine between the two embeddings; about 1e-5 is seen


def build_segmentation(files: Mapping[str, Path], out: Path, name: str, report: Report) -> dict[str, float]:
    """Build PyanNet from `onnx` and return how far it is from the graph. Raises ValueError if too far."""
    report("reading the graph")
    graph, tensors = _read(files["onnx"])
    model = pyannote_native.create(pyannote_native.SEGMENTATION)
    state = model.state_dict()
    for key in state:
        if key in tensors:
            _put(state, key, tensors[key])
    for layer, node in enumerate(n for n in graph.node if n.op_type == "LSTM"):
        inputs, hidden, biases = (tensors[node.input[i]] for i in (1, 2, 3))
        for direction, suffix in enumerate(("", "_reverse")):
            bias_input, bias_hidden = biases[direction].chunk(2)
            _put(state, f"lstm.weight_ih_l{layer}{suffix}", _torch_gates(inputs[direction]))
            _put(state, f"lstm.weight_hh_l{layer}{suffix}", _torch_gates(hidden[direction]))
            _put(state, f"lstm.bias_ih_l{layer}{suffix}", _torch_gates(bias_input))
            _put(state, f"lstm.bias_hh_l{layer}{suffix}", _torch_gates(bias_hidden))
    products = [n for n in graph.node if n.op_type == "MatMul"]
    for key, node in zip(("linear.0", "linear.1", "classifier"), products, strict=True):
        _put(state, f"{key}.weight", tensors[node.input[1]].T)
    model.load_state_dict(state)

    report("recovering the filters")
    bank: Any = model.sincnet.conv1d[0].filterbank  # type: ignore[union-attr,index]
    filters = next(t for t in tensors.values() if tuple(t.shape) == tuple(bank.filters().shape))
    low, band = _band_edges(filters.numpy(), bank)
    with torch.no_grad():
        bank.low_hz_.copy_(torch.from_numpy(low - bank.min_low_hz).view(-1, 1))
        bank.band_hz_.copy_(torch.from_numpy(band - bank.min_band_hz).view(-1, 1))

    report("comparing with the graph")
    worst = segmentation_difference(model, files["onnx"])
    if worst > SEGMENTATION_TOLERANCE:
        raise ValueError(f"{name}: the rebuilt model is {worst:.2g} away from the published graph")
    pyannote_native.save(model, pyannote_native.SEGMENTATION, out)
    return {"largest_difference": worst}


def build_embedding(files: Mapping[str, Path], out: Path, name: str, report: Report) -> dict[str, float]:
    """Build WeSpeakerResNet34 from `onnx` and return how far it is from the graph. Raises ValueError if too far."""
    report("reading the graph")
    graph, tensors = _read(files["onnx"])
    model = pyannote_native.create(pyannote_native.EMBEDDING)
    state = model.state_dict()
    kernels = [key for key, value in state.items() if value.dim() == 4]
    convolutions = [n for n in graph.node if n.op_type == "Conv"]
    for key, node in zip(kernels, convolutions, strict=True):
        _put(state, key, tensors[node.input[1]])
        _identity_norm(state, key, tensors[node.input[2]])
    # The graph subtracts the mean training embedding last; here it goes into the bias.
    _put(state, "resnet.seg_1.weight", tensors["model.seg_1.weight"])
    _put(state, "resnet.seg_1.bias", tensors["model.seg_1.bias"] - tensors["mean_vec"])
    model.load_state_dict(state)

    report("comparing with the graph")
    worst = embedding_difference(model, files["onnx"])
    if worst > EMBEDDING_TOLERANCE:
        raise ValueError(f"{name}: the rebuilt model's embeddings are {worst:.2g} away from the published graph's")
    pyannote_native.save(model, pyannote_native.EMBEDDING, out)
    return {"largest_cosine_distance": worst}


def segmentation_difference(model: torch.nn.Module, onnx_file: Path) -> float:
    """Return the largest absolute difference between module and graph over ten seconds of tone and noise."""
    sound = _test_sound(160_000)
    (expected,) = _session(onnx_file).run(None, {"input_values": sound.numpy()})
    with torch.inference_mode():
        return float(np.abs(np.asarray(expected) - model(sound).numpy()).max())


def embedding_difference(model: torch.nn.Module, onnx_file: Path) -> float:
    """Return 1 - cosine between module and graph over three seconds of tone and noise."""
    sound = _test_sound(48_000)
    with torch.inference_mode():
        features = model.compute_fbank(sound)  # type: ignore[operator]
        ours = model(sound).numpy().ravel()
    (expected,) = _session(onnx_file).run(None, {"feats": features.numpy()})
    theirs = np.asarray(expected).ravel()
    return float(1 - ours @ theirs / (np.linalg.norm(ours) * np.linalg.norm(theirs)))


def _test_sound(samples: int) -> torch.Tensor:
    seconds = torch.arange(samples) / 16000
    tone = torch.sin(2 * torch.pi * 180 * seconds) * (torch.sin(2 * torch.pi * 0.7 * seconds) > 0)
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(7))
    return (0.2 * tone + 0.05 * noise).view(1, 1, -1)


def _session(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _read(path: Path) -> tuple[Any, dict[str, torch.Tensor]]:
    graph = onnx.load(str(path)).graph
    return graph, {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}


def _put(state: dict[str, torch.Tensor], key: str, value: torch.Tensor) -> None:
    if key not in state or state[key].shape != value.shape:
        raise ValueError(f"the graph's tensor for {key} does not fit: {tuple(value.shape)}")
    state[key] = value.contiguous()


def _torch_gates(stacked: torch.Tensor) -> torch.Tensor:
    """Reorder an LSTM's stacked gates from ONNX (input, output, forget, cell) to torch's order."""
    gate_input, gate_output, forget, cell = stacked.chunk(4)
    return torch.cat([gate_input, forget, cell, gate_output])


def _identity_norm(state: dict[str, torch.Tensor], kernel: str, bias: torch.Tensor) -> None:
    """Set the batch norm behind `kernel` so that in evaluation it only adds `bias` (the scale is in the kernel)."""
    stem = kernel.removesuffix(".weight")
    norm = stem[:-1] + "1" if stem.endswith("shortcut.0") else stem.replace("conv", "bn")
    epsilon = torch.nn.BatchNorm2d(1).eps  # added to the variance inside the root
    _put(state, f"{norm}.weight", torch.ones_like(bias))
    _put(state, f"{norm}.bias", bias)
    _put(state, f"{norm}.running_mean", torch.zeros_like(bias))
    _put(state, f"{norm}.running_var", torch.full_like(bias, 1 - epsilon))


def _band_edges(filters: np.ndarray, bank: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return lower edges and widths in Hz of the sinc band-passes that `filters` (80, 1, 251) sample.

    Filter i is even and filter 40 + i odd, both windowed differences of two sines (Ravanelli and Bengio,
    "Speaker Recognition from Raw Waveform with SincNet", 2018), so least squares on one half finds the edges.
    """
    phase = bank.n_.numpy()[0].astype(float)
    window = bank.window_.numpy().astype(float)
    half = window.size
    pairs = filters.shape[0] // 2
    low, band = np.zeros(pairs, np.float32), np.zeros(pairs, np.float32)

    def residual(edges: np.ndarray, even: np.ndarray, odd: np.ndarray) -> np.ndarray:
        start, stop = edges
        scale = window / (phase / 2) / (2 * (stop - start))
        evens = (np.sin(stop * phase) - np.sin(start * phase)) * scale
        odds = (np.cos(start * phase) - np.cos(stop * phase)) * scale
        return np.concatenate([evens - even, odds - odd])

    hertz = np.fft.rfftfreq(8192, 1 / 16000)
    for i in range(pairs):
        even, odd = filters[i, 0, :half].astype(float), filters[pairs + i, 0, :half].astype(float)
        spectrum = np.abs(np.fft.rfft(filters[i, 0], 8192))
        passed = hertz[spectrum > spectrum.max() / 2]
        guesses = ((passed[0], passed[-1] + 1), (max(passed[0] - 20, 50.0), passed[-1] + 20))
        fits = [least_squares(residual, guess, x_scale=10.0, args=(even, odd)) for guess in guesses]
        start, stop = min(fits, key=lambda fit: fit.cost).x
        low[i], band[i] = start, stop - start
    return low, band
