"""The probe tier: a softmax head on cached vectors, trained in hundredths of a second.

The one idea: it learns like the real model (seeded start, minibatches, near interpolation, so wrong
labels hurt it as they hurt a fine-tune), but all its randomness is keyed by content. A row's batch
in an epoch is floor(u(seed, epoch, row) x batches), a class starts from its name; a row that leaves
changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from .answers import sigmoid
from .errors import FitError
from .keys import FloatArray, IntArray, KeyArray, hash_parts, normals, uniform
from .shards import write_whole
from .spec import FitSpec

PROBE_AXES = 96
"""Axes that a probe sees where nobody asks for more."""

PREDICT_ROWS = 256
"""Rows per product when predicting, blank rows added: a row's bits do not depend on its company."""


@dataclass(frozen=True, slots=True)
class Projection:
    """A fixed linear map of vectors to fewer numbers, fitted once per model revision.

    mean: shape (d,). axes: principal axes times a common scale, shape (d, p). Both float32.
    revision: hash of both, 32 hexadecimal digits.
    """

    mean: FloatArray
    axes: FloatArray
    revision: str

    def apply(self, features: FloatArray) -> FloatArray:
        """Map vectors (n, d) to (n, p + 1), float32; the last column is 1, for the bias."""
        mapped = np.ones((len(features), self.axes.shape[1] + 1), dtype=np.float32)
        for start in range(0, len(features), PREDICT_ROWS):
            block = np.zeros((PREDICT_ROWS, self.axes.shape[0]), dtype=np.float32)
            rows = features[start : start + PREDICT_ROWS]
            block[: len(rows)] = rows - self.mean
            mapped[start : start + len(rows), :-1] = (block @ self.axes)[: len(rows)]
        return mapped

    def save(self, path: Path) -> None:
        """Write the projection as npz, whole or not at all."""
        write_whole(path, lambda file: np.savez(file, mean=self.mean, axes=self.axes))


def load_projection(path: Path) -> Projection:
    """Read a saved projection.

    Raises:
        FitError: The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return _projection(stored["mean"], stored["axes"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise FitError(f"{path}: no projection can be read here ({error}); fit it again") from error


def fit_projection(embeddings: FloatArray, *, dimensions: int = PROBE_AXES) -> Projection:
    """Fit the map to the leading principal axes, scaled so that a mapped row has mean square 1.

    Args:
        embeddings: Training rows of the import version, shape (n, d).
        dimensions: Axes kept; fewer where d or n - 1 is smaller.

    Raises:
        FitError: There are fewer than two rows, or a number is not finite.
    """
    check_finite(embeddings)
    if len(embeddings) <= 1:
        raise FitError(f"{len(embeddings)} rows cannot fit a projection; at least 2 are needed")
    wide = embeddings.astype(np.float64)
    mean = wide.mean(axis=0)
    values, vectors = np.linalg.eigh(
        np.cov(wide - mean, rowvar=False, ddof=0).reshape(len(mean), -1)
    )
    kept = min(dimensions, len(mean), len(embeddings) - 1)
    axes = vectors[:, ::-1][:, :kept]
    # An axis may come out with either sign: the largest entry is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(kept)])
    scale = np.sqrt(kept / max(float(values[::-1][:kept].sum()), 1e-12))
    return _projection(mean.astype(np.float32), (axes * scale).astype(np.float32))


def _projection(mean: FloatArray, axes: FloatArray) -> Projection:
    revision = hash_parts("projection", str(axes.shape), mean.tobytes().hex(), axes.tobytes().hex())
    return Projection(mean=mean, axes=axes, revision=revision)


def fit_probe(
    mapped: FloatArray,
    targets: IntArray,
    weights: FloatArray,
    slots: KeyArray,
    *,
    classes: Sequence[str],
    spec: FitSpec,
    seed: int,
) -> FloatArray:
    """Train the head: plain minibatch descent with momentum on the weighted softmax loss.

    Args:
        mapped: Projected rows in canonical order, shape (n, p), last column 1.
        targets: Class per row, shape (n,), 0..k-1; or 1 per label that holds, shape (n, k).
        weights: Weight per row, shape (n,), 0 or more.
        slots: Slot key per row, shape (n,).
        classes: The k class names, in the order of targets.
        spec: Of tier `probe`.
        seed: Of the head's start and of all batches.

    Returns:
        The head, shape (p, k), float32.

    Raises:
        FitError: The loss is no longer finite.
    """
    batches = spec.batches
    share = (weights * (batches / weights.sum())).astype(np.float32)
    head = normals(classes, mapped.shape[1], seed=seed).T * np.float32(spec.start_scale)
    speed = np.zeros_like(head)
    everyone = np.arange(len(targets))
    for epoch in range(spec.epochs):
        slot = (uniform(slots, seed, epoch) * batches).astype(np.int64)
        order = np.argsort(slot, kind="stable")
        ends = np.searchsorted(slot[order], np.arange(batches + 1))
        rate = np.float32(spec.learning_rate * (1.0 - epoch / spec.epochs))
        inputs, goal, scale = mapped[order], targets[order], share[order]
        for start, end in pairwise(ends.tolist()):
            if goal.ndim > 1:
                errors = sigmoid(inputs[start:end] @ head) - goal[start:end]
            else:
                errors = softmax(inputs[start:end] @ head)
                errors[everyone[: end - start], goal[start:end]] -= 1.0
            errors *= scale[start:end, None]
            speed *= np.float32(spec.momentum)
            speed -= rate * (inputs[start:end].T @ errors)
            head += speed
    if not np.isfinite(head).all():
        raise FitError(
            f"the probe's loss is not finite at learning rate {spec.learning_rate}; lower it"
        )
    return head


def predict_probe(
    mapped: FloatArray,
    head: FloatArray,
    *,
    chances: Callable[[FloatArray], FloatArray] | None = None,
) -> FloatArray:
    """Give class probabilities, shape (m, k), float32; of softmax, rows sum to 1."""
    found = np.empty((len(mapped), head.shape[1]), dtype=np.float32)
    for start in range(0, len(mapped), PREDICT_ROWS):
        block = np.zeros((PREDICT_ROWS, mapped.shape[1]), dtype=np.float32)
        rows = mapped[start : start + PREDICT_ROWS]
        block[: len(rows)] = rows
        found[start : start + len(rows)] = (chances or softmax)(block @ head)[: len(rows)]
    return found


def softmax(scores: FloatArray) -> FloatArray:
    """Turn scores (n, k) into probabilities, in place."""
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def check_finite(features: FloatArray) -> None:
    """Refuse vectors with a number that is not finite.

    Raises:
        FitError: Names the first such row by its position.
    """
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise FitError(
            f"{len(bad)} of {len(features)} vectors hold a number that is not finite, first at "
            f"position {bad[0]}; delete the embedding cache, or use another model"
        )
