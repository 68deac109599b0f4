"""Out-of-fold probabilities: every row judged by a model that saw neither it nor its kin.

The one idea: a fold is a hash of (group, seed), nothing else. Near-duplicates share a group and so
a fold; a row keeps its fold when others leave. The fold models are handed back, so that children of
a row are judged by the very model that left their parent's group out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import FitError
from .keys import FloatArray, IntArray, text_key, uniform
from .logistic import blas_threads, fit_logistic, only_class, with_bias
from .probe import check_finite, predict_probe

FLOOR = 1e-6
"""Least probability of any class, also of one that a fold's training side lacks."""


@dataclass(frozen=True, slots=True)
class CrossFit:
    """What a cross-fit gives.

    probabilities: out-of-fold, shape (n, k), float32, at least FLOOR (nearly), rows sum to 1.
    folds: fold of each row, shape (n,).
    heads: per fold the head fitted on all other folds, shape (d + 1, k); None for an empty fold.
    """

    probabilities: FloatArray
    folds: IntArray
    heads: tuple[FloatArray | None, ...]


def fold_of(groups: Sequence[str], *, folds: int, seed: int) -> IntArray:
    """Deal groups to folds by hash, shape (n,), values 0..folds-1."""
    keys = [int.from_bytes(text_key(group)[:8], "little") for group in groups]
    return (uniform(np.array(keys, dtype=np.uint64), seed) * folds).astype(np.int64)


def crossfit(
    features: FloatArray,
    labels: IntArray,
    groups: Sequence[str],
    *,
    classes: int,
    seed: int,
    folds: int = 5,
    c: float = 10.0,
) -> CrossFit:
    """Predict each row by a logistic regression fitted on the other folds.

    Args:
        features: Unit-length vectors, shape (n, d).
        labels: Class per row, shape (n,), 0..classes-1.
        groups: Group per row; a group is never split between folds.
        classes: Number k of classes; one without a row in a training side gets the floor there.
        seed: Of the folds.
        folds: Number of folds, 2 or more.
        c: Inverse strength of the penalty.

    Returns:
        Probabilities in the order of the rows, the folds, and the fold models.

    Raises:
        FitError: Too few groups for the folds, one class only, or a feature that is not finite.
    """
    _check(features, labels, groups, classes, folds)
    fold = fold_of(groups, folds=folds, seed=seed)
    biased = with_bias(features)
    found = np.empty((len(labels), classes), dtype=np.float32)
    heads: list[FloatArray | None] = []
    with blas_threads(1):
        for number in range(folds):
            held = fold == number
            if not held.any():
                heads.append(None)
                continue
            head = _fold_head(features, labels, ~held, number, classes, c)
            found[held] = floored(predict_probe(biased[held], head))
            heads.append(head)
    return CrossFit(probabilities=found, folds=fold, heads=tuple(heads))


def predict_children(fit: CrossFit, child_features: FloatArray, parents: IntArray) -> FloatArray:
    """Predict children by the model that left their parent's group out.

    Args:
        fit: What `crossfit` gave.
        child_features: Shape (c, d).
        parents: Position of each child's parent among the rows of the fit, shape (c,).

    Returns:
        Probabilities, shape (c, k), float32, rows sum to 1.

    Raises:
        FitError: A feature is not finite.
    """
    check_finite(child_features)
    biased = with_bias(child_features)
    found = np.empty((len(parents), fit.probabilities.shape[1]), dtype=np.float32)
    fold = fit.folds[parents]
    with blas_threads(1):
        for number, head in enumerate(fit.heads):
            held = fold == number
            if head is not None and held.any():
                found[held] = floored(predict_probe(biased[held], head))
    return found


def floored(probabilities: FloatArray) -> FloatArray:
    """Lift every probability to FLOOR and make rows sum to 1 again."""
    lifted = np.maximum(probabilities, np.float32(FLOOR))
    lifted /= lifted.sum(axis=1, keepdims=True)
    return lifted


def _check(
    features: FloatArray, labels: IntArray, groups: Sequence[str], classes: int, folds: int
) -> None:
    if not len(features) == len(labels) == len(groups):
        raise FitError(
            f"cross-fit got {len(features)} vectors, {len(labels)} labels and {len(groups)} "
            "groups; expected one of each per row"
        )
    if folds <= 1:
        raise FitError(f"folds is {folds}; cross-fit needs at least 2")
    if len(set(groups)) < folds:
        raise FitError(
            f"{len(set(groups))} groups of near-duplicates cannot fill {folds} folds; "
            "lower folds, or import more rows"
        )
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise FitError(f"labels run {labels.min()}..{labels.max()}, expected 0..{classes - 1}")
    check_finite(features)


def _fold_head(
    features: FloatArray, labels: IntArray, kept: FloatArray, number: int, classes: int, c: float
) -> FloatArray:
    present = np.unique(labels[kept])
    if len(present) == 1 and (labels != present[0]).any():
        return only_class(features.shape[1], int(present[0]), classes)
    try:
        return fit_logistic(features[kept], labels[kept], classes=classes, c=c)
    except FitError as error:
        raise FitError(f"cross-fit without fold {number}: {error}") from error
