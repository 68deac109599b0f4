"""What this machine can compute with, and what is chosen on it: the decisions, apart from torch.

The one idea: `Machine` is a value, so each decision is a function of it that a test can ask without
the hardware. Nothing falls back in silence: what was asked for and is not there is an error.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .errors import FitError

DRIVERS = ("nvidiactl", "kfd", "dxg")
"""Devices under /dev that a CUDA or ROCm torch needs; dxg is Windows' Linux."""

MICRO_TOKENS = {"cpu": 512, "cuda": 16_384}
"""Tokens that go through a model together in training; gradients of a batch add up."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to compute with.

    cuda: whether torch sees a GPU (ROCm's too). cuda_bfloat16: whether it computes in bfloat16.
    four_bit: whether bitsandbytes is installed.
    """

    cuda: bool = False
    cuda_bfloat16: bool = False
    four_bit: bool = False


@cache
def this_machine() -> Machine:
    """Look at the machine; torch is loaded only where a GPU's driver exists."""
    there = os.name == "nt" or any(Path("/dev", name).exists() for name in DRIVERS)
    cuda = bfloat16 = False
    if there:
        import torch

        cuda = bool(torch.cuda.is_available())
        bfloat16 = cuda and bool(torch.cuda.is_bf16_supported())
    return Machine(cuda, bfloat16, find_spec("bitsandbytes") is not None)


def choose_device(machine: Machine) -> str:
    """Give `cuda` where there is a GPU, else `cpu`."""
    return "cuda" if machine.cuda else "cpu"


def choose_precision(asked: str, machine: Machine) -> str:
    """Give float32 or bfloat16.

    Args:
        asked: float32, bfloat16, or auto for what is fastest on the device that will be chosen.
        machine: Where it will run.

    Raises:
        FitError: bfloat16 was asked for and the GPU has none. Every processor computes it,
            though not all of them fast.
    """
    if asked == "auto":
        # On a processor with avx512_bf16 the short parts of a batch took 1.6 times as long in
        # bfloat16 (docs/log.md, 2026-11-24), so there it must be asked for.
        return "bfloat16" if machine.cuda_bfloat16 else "float32"
    if asked == "bfloat16" and machine.cuda and not machine.cuda_bfloat16:
        raise FitError(
            "precision is bfloat16, which this GPU does not have; write precision: float32"
        )
    return asked


def check_method(method: str, machine: Machine) -> None:
    """Refuse a method that this machine cannot run.

    Raises:
        FitError: qlora: without a GPU or bitsandbytes it cannot be, with both it is not there yet.
    """
    if method != "qlora":
        return
    if not machine.cuda:
        raise FitError(
            "method qlora holds the model in 4 bits, which needs a GPU (CUDA or ROCm), and none is "
            "there; write method: lora, the same adapters on the model as it is"
        )
    if not machine.four_bit:
        raise FitError(
            "method qlora needs bitsandbytes, which is not installed; `pip install bitsandbytes`, "
            "or write method: lora"
        )
    raise FitError(
        "method qlora is not there yet: loading in 4 bits has not been tried on a GPU; write "
        "method: lora"
    )
