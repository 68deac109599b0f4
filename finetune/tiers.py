"""A tier made ready for a training set: fit a seed, and score the test texts.

The one idea: what all seeds share (features, activations, the head's start) is computed once here,
and the three tiers differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checkpoints import Checkpoint
from .embed import Encoder, Features, Progress, Report, embed
from .errors import FitError
from .inputs import inputs_of
from .keys import FloatArray, IntArray, canonical_order, slot_keys, text_key, uniform
from .logistic import blas_threads, fit_logistic
from .loop import Rows, State, Trained, predict, train
from .losses import class_weights
from .probe import Projection, check_finite, fit_probe, predict_probe
from .spec import FitSpec

VALIDATION_SALT = 0x5EED  # keeps the draw of held-out groups apart from the rows' batches


@dataclass(frozen=True, slots=True)
class Training:
    """What a model learns from: n texts, their labels, their weights (shape (n,), 0 or more).

    groups: near-duplicate group of each row, never split by a validation share; None where each
    text is a group of its own.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    weights: FloatArray
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """What training gave: the state, and what is kept about its rows and epochs."""

    state: State
    rows: dict[str, NDArray[Any]] = field(default_factory=dict)
    epochs: tuple[dict[str, float], ...] = ()
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier, ready: fit a seed, and score the test texts (distinct, in the order given)."""

    fit: Callable[[int, Checkpoint, Report | None], Fit]
    score: Callable[[State], FloatArray]


@dataclass(frozen=True, slots=True)
class _Ordered:
    """A training set in canonical order."""

    texts: list[str]
    keys: list[bytes]
    classes: list[str]
    targets: IntArray
    weights: FloatArray
    groups: list[str]


def ready_tier(
    train: Training,
    test: Sequence[str],
    spec: FitSpec,
    model: Features,
    projection: Projection | None,
    *,
    cache: Path,
    progress: Report | None,
) -> Tier:
    """Compute what all seeds share.

    Args:
        train: The training rows, in any order.
        test: Distinct texts to be scored.
        spec: Says the tier.
        model: Features; an encoder above the probe.
        projection: Of the probe.
        cache: Folder of all caches.
        progress: Told about features that are computed.
    """
    rows = _ordered(train, spec)
    if spec.tier == "probe":
        assert projection is not None, "checked at the door"
        vectors = embed([*rows.texts, *test], model, cache=cache, progress=progress)
        check_finite(vectors)
        return _probe(projection.apply(vectors), rows, spec)
    assert isinstance(model, Encoder), "checked at the door"
    return _layers(rows, test, spec, model, cache=cache, progress=progress)


def _ordered(train: Training, spec: FitSpec) -> _Ordered:
    keys = [text_key(text) for text in train.texts]
    weights = np.asarray(train.weights, dtype=np.float32)
    order = canonical_order(keys, train.labels, weights)
    names = sorted(set(train.labels))
    number = {name: k for k, name in enumerate(names)}
    targets = np.array([number[train.labels[i]] for i in order], dtype=np.int64)
    groups = train.groups or train.texts
    return _Ordered(
        texts=[train.texts[i] for i in order],
        keys=[keys[i] for i in order],
        classes=names,
        targets=targets,
        weights=class_weights(targets, weights[order], kind=spec.class_weights),
        groups=[groups[i] for i in order],
    )


def _probe(mapped: FloatArray, rows: _Ordered, spec: FitSpec) -> Tier:
    train, test = mapped[: len(rows.keys)], mapped[len(rows.keys) :]
    slots = slot_keys(rows.keys)

    def fit(seed: int, _: Checkpoint, __: Report | None) -> Fit:
        with blas_threads(spec.threads):
            head = fit_probe(
                train, rows.targets, rows.weights, slots,
                classes=rows.classes, spec=spec, seed=seed,
            )  # fmt: skip
        return Fit({"head": head})

    def score(state: State) -> FloatArray:
        with blas_threads(spec.threads):
            return predict_probe(test, state["head"])

    return Tier(fit, score)


def _layers(
    rows: _Ordered,
    test: Sequence[str],
    spec: FitSpec,
    model: Encoder,
    *,
    cache: Path,
    progress: Report | None,
) -> Tier:
    vectors = embed(rows.texts, model, cache=cache, progress=progress)
    check_finite(vectors)
    inputs = inputs_of([*rows.texts, *test], model, spec, cache=cache, progress=progress)
    test_keys = [text_key(text) for text in test]
    heads: dict[bytes, FloatArray] = {}
    if not spec.validation:  # then all seeds start from one head
        whole = np.ones(len(rows.keys), dtype=bool)
        heads[(~whole).tobytes()] = _head(vectors, rows, whole, spec)

    def fit(seed: int, checkpoint: Checkpoint, report: Report | None) -> Fit:
        held = held_out(rows.targets, rows.groups, share=spec.validation, seed=seed)
        if held.tobytes() not in heads:
            heads[held.tobytes()] = _head(vectors, rows, ~held, spec)
        done = train(
            Rows(rows.keys, rows.targets, rows.weights, held),
            inputs,
            head=heads[held.tobytes()],
            spec=spec,
            seed=seed,
            checkpoint=checkpoint,
            report=(lambda at, total: report(Progress("step", at, total, 0))) if report else None,
        )
        return Fit(done.state, _kept(rows, held, done), done.epochs, done.resumed)

    return Tier(fit, lambda state: predict(inputs, test_keys, state, spec=spec))


def _head(vectors: FloatArray, rows: _Ordered, learnt: NDArray[Any], spec: FitSpec) -> FloatArray:
    """Start the head: the logistic regression on frozen vectors, or zeros."""
    if spec.head_start == "zeros":
        return np.zeros((vectors.shape[1] + 1, len(rows.classes)), dtype=np.float32)
    with blas_threads(1):
        return fit_logistic(
            vectors[learnt], rows.targets[learnt], rows.weights[learnt],
            classes=len(rows.classes), c=spec.head_c,
        )  # fmt: skip


def _kept(rows: _Ordered, held: NDArray[Any], done: Trained) -> dict[str, NDArray[Any]]:
    keys = np.frombuffer(b"".join(rows.keys), dtype=np.uint8).reshape(len(rows.keys), -1)
    return {
        "keys": keys, "targets": rows.targets, "row_losses": done.row_losses, "held": held,
        "held_logits": done.held_logits,
    }  # fmt: skip


def held_out(targets: IntArray, groups: Sequence[str], *, share: float, seed: int) -> NDArray[Any]:
    """Choose the validation rows: a share of the groups, by hash; no class loses all its rows.

    Args:
        targets: Class per row, shape (n,).
        groups: Group per row; none is split.
        share: 0 for none.
        seed: Deals the groups.

    Returns:
        Which rows are held out, shape (n,).

    Raises:
        FitError: No group was drawn, or nothing would be left of one.
    """
    if not share:
        return np.zeros(len(targets), dtype=bool)
    keys = np.array([int.from_bytes(text_key(g)[:8], "little") for g in groups], dtype=np.uint64)
    held = uniform(keys, seed, VALIDATION_SALT) < share
    for target in np.unique(targets):
        if held[targets == target].all():
            held &= ~np.isin(keys, keys[targets == target])
    if not held.any():
        raise FitError(
            f"a validation share of {share:g} holds out none of {len(set(groups))} groups; raise "
            "validation, or train for fixed epochs with validation: 0 and patience: 0"
        )
    return held
