"""Adapters on a transformers model: the one home of peft.

The one idea: an adapter is put on for the length of a `with` block and taken off whatever happens,
so one loaded model serves every fit. Its start is drawn from the fit's seed, not from a global
generator.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .errors import FitError
from .spec import FitSpec


@contextmanager
def lora(model: Any, spec: FitSpec, *, layers: list[int], seed: int) -> Iterator[dict[str, Any]]:
    """Put LoRA on the given layers.

    Args:
        model: A transformers model with frozen weights.
        spec: Gives rank, alpha, targets and dropout.
        layers: Numbers of the layers that get one.
        seed: Of the adapters' start, 0..2**63-1.

    Yields:
        The trainable parameters by name.

    Raises:
        FitError: The model has no layer of the named targets.

    Source: Hu et al. 2021, LoRA, through peft.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=list(spec.targets),
        layers_to_transform=layers,
        layers_pattern="layer",
    )
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            # peft 0.21 asks transformers 5.24 by a name that is going away.
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
            torch.manual_seed(seed)
            adapted = get_peft_model(model, config)
    except ValueError as error:
        names = sorted({n.split(".")[-1] for n, m in model.named_modules() if _linear(m)})
        raise FitError(
            f"targets {list(spec.targets)} name no layer of this model; it has {names}"
        ) from error
    try:
        for name, module in adapted.named_modules():
            if "lora_dropout" in name:
                module.train()
        yield {n: p for n, p in adapted.named_parameters() if p.requires_grad}
    finally:
        adapted.unload()


def _linear(module: Any) -> bool:
    import torch

    return isinstance(module, torch.nn.Linear)
