"""Base models: is this one whole, what of it can be trained, and what would a measurement cost?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import finetune
from curator.context import find_encoder
from curator.errors import MeasureError
from curator.impact.sequence import MOST_SEEDS

SIDES = 2  # a measurement trains on both versions


def examine_model(
    name: str, *, base: Path, rows: int, targets: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Load a model, train two steps per tier, and estimate costs.

    Args:
        name: Folder, package address, or `hf:owner/name`; options may follow, as in a recipe.
        base: Folder that paths are relative to.
        rows: Training rows to estimate for.
        targets: Layers that get an adapter; empty for those its architecture usually has.

    Returns:
        What `finetune.as_values` gives.

    Raises:
        MeasureError: There is no such model, or its folder is incomplete.
        finetune.FitError: It cannot be loaded.
    """
    encoder = find_encoder(name, "en", base=base)
    if encoder is None:
        raise MeasureError(f"{name!r} has no layers to examine; name a transformers folder")
    trial = finetune.try_model(encoder, targets=targets)
    return finetune.as_values(trial, rows=rows, seeds=SIDES * MOST_SEEDS)


def told(found: dict[str, Any]) -> list[str]:
    """Say what was found, in lines."""
    texts = f"texts of {found['tokens']:.0f} tokens"
    lines = [
        _shape(found),
        f"device {found['device']}, fastest in {found['fast_precision']}",
        _adapters(found),
        f"embedding {found['rows']:,} {texts}: about {found['embed_all_s']:.0f} CPU s, once",
    ]
    for tier, cost in found["tiers"].items():
        if cost.get("fault"):
            lines.append(f"{tier}: not possible: {cost['fault']}")
            continue
        first, second = cost["losses"]
        lines.append(
            f"{tier}: two steps trained, loss {first:.3f} then {second:.3f}; {found['rows']:,} "
            f"rows x 2 epochs: about {cost['fit_s']:.0f} CPU s a fit, at most "
            f"{cost['measurement_s']:.0f} a measurement ({found['seeds']} fits)"
        )
    return lines


def _shape(found: dict[str, Any]) -> str:
    return (
        f"{found['name']}: {found['kind']}, {found['parameters'] / 1e6:,.1f} million parameters, "
        f"{found['layers']} layers, {found['dimensions']} numbers a token, at most "
        f"{found['max_positions']} tokens, pooling {found['pooling']}"
    )


def _adapters(found: dict[str, Any]) -> str:
    named = ", ".join(found["linear"])
    if not found["targets"]:
        return f"adapters: none of the usual layers is here; write targets: from [{named}]"
    return f"adapters go to {', '.join(found['targets'])} (of {named})"
