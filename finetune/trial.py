"""A model tried out: is it whole, can it be trained, and what would that cost?

The one idea: the answer is taken from doing it. Made-up texts go through the model, two steps are
trained per tier, and the time of these is what the estimate rests on.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .checkpoints import Checkpoint
from .device import choose_device, choose_precision, this_machine
from .embed import Encoder
from .errors import FitError
from .inputs import inputs_of
from .keys import FloatArray, text_key, uniform
from .loop import Rows, train
from .methods import linear_names
from .spec import default_spec
from .tiers import held_out

ROWS = 32
TOKENS = 16
"""Of a made-up text: what 1,000 short customer questions have on average."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a tier did in two steps, or why it did not.

    losses: mean loss of the first and the second step. row_s: CPU seconds per row and epoch.
    once_s: CPU seconds per row that are paid once (embedding, activations). fault: why not, or "".
    """

    tier: str
    losses: tuple[float, ...] = ()
    row_s: float = 0.0
    once_s: float = 0.0
    fault: str = ""

    def estimate(self, rows: int, *, epochs: int, seeds: int) -> float:
        """Give the CPU seconds for this many rows, epochs and seeds."""
        return rows * (self.once_s + self.row_s * epochs * seeds)


@dataclass(frozen=True, slots=True)
class Trial:
    """What was found out about a model.

    linear: names of its layers that an adapter can sit on.
    targets: those of the ones asked for (or usual for the architecture) that are there.
    tokens: of a made-up text, on average; costs grow with them.
    """

    name: str
    kind: str
    parameters: int
    layers: int
    dimensions: int
    max_positions: int
    pooling: str
    linear: tuple[str, ...]
    targets: tuple[str, ...]
    device: str
    fast_precision: str
    tokens: float
    embed_s: float
    tiers: tuple[Costs, ...]


def try_model(encoder: Encoder, *, targets: tuple[str, ...] = ()) -> Trial:
    """Load a model, embed made-up texts, and train two steps in each tier that can be.

    Args:
        encoder: The model.
        targets: Layers that get an adapter; empty for those its architecture usually has.

    Raises:
        FitError: The folder is incomplete or cannot be loaded.
    """
    texts = _texts(encoder)
    vectors = encoder.transform(texts)  # the first time loads the model
    start = time.process_time()
    vectors = encoder.transform(texts)
    embed_s = (time.process_time() - start) / ROWS
    linear = linear_names(encoder.model)
    wanted = targets or encoder.folder.targets
    found = tuple(name for name in wanted if name in linear)
    folder = encoder.folder
    return Trial(
        name=encoder.name,
        kind=folder.kind,
        parameters=sum(p.numel() for p in encoder.model.parameters()),
        layers=folder.layers,
        dimensions=folder.dimensions,
        max_positions=folder.max_positions,
        pooling=folder.pooling,
        linear=linear,
        targets=found,
        device=choose_device(this_machine()),
        fast_precision=choose_precision("auto", this_machine()),
        tokens=float(np.mean([len(ids) for ids in encoder.tokens(texts)])),
        embed_s=embed_s,
        tiers=tuple(
            _tried(tier, encoder, texts, vectors, wanted, embed_s)
            for tier in ("top-layers", "all-layers")
        ),
    )


def _texts(encoder: Encoder) -> list[str]:
    """Make texts of the tokenizer's own pieces."""
    tokenizer = encoder.tokenizer
    draws = uniform(np.arange(ROWS * TOKENS, dtype=np.uint64), 0).reshape(ROWS, TOKENS)
    ids = (draws * len(tokenizer)).astype(np.int64)
    return [f"{tokenizer.decode(row.tolist(), skip_special_tokens=True)} {i}"
            for i, row in enumerate(ids)]  # fmt: skip


def _tried(
    tier: str,
    encoder: Encoder,
    texts: list[str],
    vectors: FloatArray,
    targets: tuple[str, ...],
    embed_s: float,
) -> Costs:
    layers = min(2, encoder.folder.layers)
    spec = default_spec(
        tier, rows=ROWS, batches=1, epochs=2, layers=layers, targets=targets,
        max_tokens=encoder.max_tokens, learning_rate=1e-4, schedule="constant",
    )  # fmt: skip
    keys = sorted(text_key(text) for text in texts)
    targets_of = np.arange(ROWS, dtype=np.int64) % 2
    held = held_out(targets_of, texts, share=0.0, seed=0)
    head = np.zeros((vectors.shape[1] + 1, 2), dtype=np.float32)
    try:
        with tempfile.TemporaryDirectory() as cache:
            start = time.process_time()
            inputs = inputs_of(texts, encoder, spec, cache=Path(cache))
            once = (time.process_time() - start) / ROWS
            ends: list[float] = []  # of the steps; the first one also loads peft
            done = train(
                Rows(keys, targets_of, np.ones(ROWS, dtype=np.float32), held), inputs,
                head=head, spec=spec, seed=0, checkpoint=Checkpoint(None),
                report=lambda *_: ends.append(time.process_time()),
            )  # fmt: skip
    except FitError as fault:
        return Costs(tier, fault=str(fault))
    losses = tuple(epoch["train_loss"] for epoch in done.epochs)
    return Costs(tier, losses, row_s=(ends[1] - ends[0]) / ROWS, once_s=once + embed_s)


def as_values(trial: Trial, *, rows: int, seeds: int) -> dict[str, Any]:
    """Give a trial as JSON values, with its costs for this many rows.

    Args:
        trial: What `try_model` gave.
        rows: Training rows.
        seeds: Fits of a measurement, both sides together.
    """
    tiers = {
        cost.tier: {"fault": cost.fault}
        if cost.fault
        else {
            "losses": list(cost.losses),
            "row_epoch_s": cost.row_s,
            "fit_s": cost.estimate(rows, epochs=2, seeds=1),
            "measurement_s": cost.estimate(rows, epochs=2, seeds=seeds),
        }
        for cost in trial.tiers
    }
    own = {name: getattr(trial, name) for name in Trial.__dataclass_fields__ if name != "tiers"}
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in own.items()}
    return {**plain, "rows": rows, "seeds": seeds, "embed_all_s": trial.embed_s * rows,
            "tiers": tiers}  # fmt: skip
