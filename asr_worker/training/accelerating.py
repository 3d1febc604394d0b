"""Device, precision and number of processes, through accelerate: one CPU, one GPU, or several (`accelerate launch`)."""

from __future__ import annotations

from typing import Any

import torch

from asr_worker.training.config import FitConfig


def precision_of(config: FitConfig, cuda: bool) -> str:
    """Return accelerate's word for the precision: `auto` is bf16 on GPUs that have it, else fp16, and fp32 on CPUs."""
    if config.precision == "auto":
        if not cuda:
            return "no"
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    # fp16 needs a loss scaler, which CPUs have not got.
    if config.precision == "fp32" or (config.precision == "fp16" and not cuda):
        return "no"
    return config.precision


def accelerator_for(config: FitConfig) -> Any:
    """Return an Accelerator for the configuration. A later fit in the same process may ask for something else."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState, PartialState

    cuda = config.device != "cpu" and torch.cuda.is_available()
    if PartialState._shared_state and PartialState().num_processes == 1:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
    return Accelerator(mixed_precision=precision_of(config, cuda), cpu=not cuda)
