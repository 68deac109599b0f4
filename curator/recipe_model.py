"""A model as a recipe names it: an address, and how texts go through it, in one string.

The one idea: `{from: X, pooling: last}` and `X?pooling=last` say the same, so whatever passes a
model's name on (records of runs, the command line) passes its options on too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote

import finetune

MODEL_OPTIONS = ("pooling", "prefix", "max_tokens", "remote_code")

TRAINING = (
    "epochs", "learning_rate", "layers", "rank", "alpha", "dropout", "targets", "weight_decay",
    "schedule", "warmup", "clip", "loss", "loss_strength", "class_weights", "head_start",
    "validation", "patience", "precision", "virtual_tokens",
)  # fmt: skip
"""Fields of the training spec that a recipe may set for the tiers above the probe."""

ROWS = 1000  # any number: whether a spec is sound does not hang on it


def with_options(address: str, options: Mapping[str, Any]) -> str:
    """Write a model's address and its options as one string."""
    told = [f"{name}={quote(str(options[name]), safe=':/')}" for name in sorted(options)]
    return address + ("?" + "&".join(told) if told else "")


def split_options(name: str) -> tuple[str, dict[str, Any]]:
    """Give the address and the options of a model's name.

    A `?` that no known option follows belongs to the address.
    """
    address, mark, query = name.rpartition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    if not mark or not pairs or any(key not in MODEL_OPTIONS for key, _ in pairs):
        return name, {}
    options: dict[str, Any] = dict(pairs)
    if "max_tokens" in options:
        given = options["max_tokens"]
        options["max_tokens"] = int(given) if given.isdecimal() else given
    return address, options


def option_faults(options: Mapping[str, Any], *, named: bool) -> list[str]:
    """Say what is wrong with the options of a model; empty for nothing.

    Args:
        options: As the recipe has them.
        named: Whether the model is named.
    """
    faults = [] if named else ["model needs `from:`, a folder, package address or hf:owner/name"]
    given = options.get("max_tokens", 128)
    if isinstance(given, bool) or not isinstance(given, int):
        faults.append(f"model.max_tokens: found {given!r}, expected a whole number")
    if options.get("pooling", "mean") not in finetune.POOLINGS:
        found, known = options["pooling"], ", ".join(finetune.POOLINGS)
        faults.append(f"model.pooling: found {found!r}, expected one of {known}")
    return faults


def training_fault(tiers: Sequence[str], method: str, training: Mapping[str, Any]) -> str | None:
    """Say why no fit can be made of these; None where one can, in each tier above the probe."""
    for tier in tiers:
        if tier != "probe":
            try:
                finetune.default_spec(tier, rows=ROWS, method=method, **spec_values(training))
            except finetune.FitError as fault:
                return str(fault)
    return None


def spec_values(training: Mapping[str, Any]) -> dict[str, Any]:
    """Give training options as the fine-tune engine takes them."""
    values = dict(training)
    if isinstance(values.get("targets"), list):
        values["targets"] = tuple(values["targets"])
    elif isinstance(values.get("targets"), str):
        values["targets"] = (values["targets"],)
    return values
