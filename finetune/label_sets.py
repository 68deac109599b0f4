"""Out-of-fold probabilities of several labels a text: one yes or no per label.

The one idea: two models of different kinds, both blind to the row and its near-duplicates: logistic
regressions for all labels at once, and the labels of the nearest other rows. Their mean log-odds
err less than either where labels are wrong in a systematic way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .crossfit import FLOOR, fold_of
from .errors import FitError
from .keys import FloatArray, IntArray
from .logistic import blas_threads, with_bias
from .probe import check_finite

BoolArray = npt.NDArray[np.bool_]

NEIGHBOURS = 30
SHARPNESS = 0.1  # of exp(cosine / SHARPNESS), as in `neighbours`
MAX_STEPS = 2000
TOLERANCE = 1e-4
BLOCK_ROWS = 512


def crossfit_sets(
    features: FloatArray,
    targets: BoolArray,
    groups: Sequence[str],
    *,
    seed: int,
    folds: int = 5,
    c: float = 10.0,
) -> FloatArray:
    """Predict the labels of each row by models that saw neither it nor its group.

    Args:
        features: Unit-length vectors, shape (n, d).
        targets: Whether a row has a label, shape (n, k).
        groups: Group per row; a group is never split between folds.
        seed: Of the folds.
        folds: Number of folds, 2 or more.
        c: Inverse strength of the penalty.

    Returns:
        Probability of each label, shape (n, k), float32, FLOOR..1 - FLOOR.

    Raises:
        FitError: Too few groups for the folds, shapes that differ, or a feature is not finite.
    """
    if not len(features) == len(targets) == len(groups):
        raise FitError(
            f"label sets got {len(features)} vectors, {len(targets)} rows of labels and "
            f"{len(groups)} groups; expected one of each per row"
        )
    if len(set(groups)) < folds:
        raise FitError(
            f"{len(set(groups))} groups of near-duplicates cannot fill {folds} folds; "
            "import more rows"
        )
    check_finite(features)
    # In the order of their content, so that the order of the rows changes no bit.
    order = np.array(
        sorted(range(len(groups)), key=lambda i: (features[i].tobytes(), targets[i].tobytes())),
        dtype=np.int64,
    )
    x, y = features[order], targets[order].astype(np.float32)
    named = [groups[i] for i in order]
    with blas_threads(1):
        odds = _logits(_fold_heads(x, y, fold_of(named, folds=folds, seed=seed), folds, c))
        odds += _logits(_neighbours(x, y, named))
    found = np.empty_like(odds)
    found[order] = np.clip(1 / (1 + np.exp(-odds / 2)), FLOOR, 1 - FLOOR)
    return found


def _logits(probabilities: FloatArray) -> FloatArray:
    p = np.clip(probabilities.astype(np.float32), FLOOR, 1 - FLOOR)
    return np.asarray(np.log(p) - np.log1p(-p))


def _fold_heads(x: FloatArray, y: FloatArray, fold: IntArray, folds: int, c: float) -> FloatArray:
    biased, found = with_bias(x), np.empty_like(y)
    for number in range(folds):
        held = fold == number
        if held.any():
            head = _fit(biased[~held], y[~held], c)
            found[held] = 1 / (1 + np.exp(-(biased[held] @ head)))
    return found


def _fit(x: FloatArray, y: FloatArray, c: float) -> FloatArray:
    """Fit a penalised logistic regression per label, shape (d + 1, k).

    Source: Nesterov 1983 (accelerated descent); O'Donoghue and Candes 2015 (restarts).
    """
    n = len(x)
    penalty = np.full((x.shape[1], 1), 1 / (c * n), dtype=np.float32)
    penalty[-1] = 1e-6  # the bias hardly
    largest = float(np.linalg.eigvalsh((x.T @ x).astype(np.float64))[-1])
    rate = np.float32(1 / (largest / (4 * n) + 1 / (c * n)))
    head: FloatArray = np.zeros((x.shape[1], y.shape[1]), dtype=np.float32)
    head[-1] = _logits(y.mean(axis=0))
    ahead: FloatArray = head
    momentum: FloatArray = np.ones(y.shape[1], dtype=np.float32)
    for _ in range(MAX_STEPS):
        slope = x.T @ (1 / (1 + np.exp(-(x @ ahead))) - y) / n + penalty * ahead
        if np.abs(slope).max() <= TOLERANCE:
            return ahead
        stepped = ahead - rate * slope
        # A label whose step turns back begins anew, each by itself.
        back = ((ahead - stepped) * (stepped - head)).sum(axis=0) > 0
        further = np.where(back, 1, (1 + np.sqrt(1 + 4 * momentum**2)) / 2).astype(np.float32)
        lead = np.where(back, 0, (momentum - 1) / further).astype(np.float32)
        ahead, head, momentum = stepped + lead * (stepped - head), stepped, further
    raise FitError(f"the label heads did not converge in {MAX_STEPS} steps on {n} rows")


def _neighbours(x: FloatArray, y: FloatArray, groups: Sequence[str]) -> FloatArray:
    """Give the share of near rows of other groups that have each label, one vote for the mean."""
    codes = np.unique(np.array(groups), return_inverse=True)[1]
    found, base = np.empty_like(y), y.mean(axis=0)
    for start in range(0, len(x), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        near = x[rows] @ x.T
        near[codes[rows, None] == codes[None, :]] = -np.inf
        kept = min(NEIGHBOURS, near.shape[1])
        at = np.sort(np.argpartition(-near, kept - 1, axis=1)[:, :kept], axis=1)
        here = np.take_along_axis(near, at, axis=1)
        weights = np.exp((here - here.max(axis=1, keepdims=True)) / SHARPNESS)
        weights[~np.isfinite(here)] = 0
        votes = np.einsum("nb,nbk->nk", weights, y[at])
        found[rows] = (votes + base) / (weights.sum(axis=1, keepdims=True) + 1)
    return found
