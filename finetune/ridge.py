"""Ridge regression on class indicators, each group of rows left out in closed form.

The one idea: what a least-squares fit would say of a row without the row's group follows from the
fit on all rows and the group's leverage, so every row is judged by a model of nearly all others at
the price of one fit. Least squares does not pull a class to a margin, so it errs on other rows than
logistic regression.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .keys import FloatArray, IntArray
from .probe import softmax

PENALTY = 0.3  # of 0.3, 1 and 3 the best on two of three noise sets made for choosing, see the log
SHARPEST, BLUNTEST = 1e-3, 1.0
"""Between these temperatures a softmax of regression scores is fitted; scores run about 0..1."""

SEARCH_STEPS = 24
GOLDEN = (5**0.5 - 1) / 2
ROWS = 4096  # rows worked on at a time


def ridge_probabilities(
    features: FloatArray, labels: IntArray, groups: Sequence[str], *, classes: int
) -> FloatArray:
    """Predict each row by a ridge regression fitted on the rows of all other groups.

    Args:
        features: Shape (n, d), float32, finite.
        labels: Class per row, shape (n,), 0..classes-1.
        groups: Group per row, two different ones or more.
        classes: Number k of classes.

    Returns:
        Probabilities, shape (n, k), float32, rows sum to 1. The temperature of the softmax is the
        one under which the given labels are likeliest, over all rows together.

    Source: Cook and Weisberg 1982 (leave-out residuals by leverage), for groups of rows.
    """
    fit = _fit(features, labels, classes)
    scores = np.empty((len(labels), classes), dtype=np.float32)
    _, group, sizes = np.unique(
        np.asarray(groups, dtype=str), return_inverse=True, return_counts=True
    )
    alone = np.flatnonzero(sizes[group] == 1)
    for start in range(0, len(alone), ROWS):
        rows = alone[start : start + ROWS]
        scores[rows] = _without_itself(fit, features[rows], labels[rows])
    for rows in _gathered(group, sizes):
        scores[rows] = _without_group(fit, features[rows], labels[rows])
    scores /= np.float32(_temperature(scores, labels))
    return softmax(scores)


@dataclass(frozen=True, slots=True)
class _Fit:
    """The fit on all rows; the last dimension is the bias, which bears no penalty.

    gram: X'X and the penalty, shape (d + 1, d + 1). cross: X'Y, shape (d + 1, k).
    """

    gram: FloatArray
    inverse: FloatArray
    cross: FloatArray
    slopes: FloatArray


def _fit(features: FloatArray, labels: IntArray, classes: int) -> _Fit:
    d = features.shape[1]
    gram, cross = np.zeros((d + 1, d + 1)), np.zeros((classes, d + 1))
    gram[np.diag_indices(d)] = PENALTY
    for start in range(0, len(labels), ROWS):
        rows = _biased(features[start : start + ROWS])
        gram += rows.T @ rows
        np.add.at(cross, labels[start : start + ROWS], rows)
    inverse = np.linalg.inv(gram)
    return _Fit(gram, inverse, cross.T, inverse @ cross.T)


def _biased(features: FloatArray) -> FloatArray:
    return np.hstack([features.astype(np.float64), np.ones((len(features), 1))])


def _gathered(group: IntArray, sizes: IntArray) -> Iterator[IntArray]:
    """Give the rows of each group that has more than one."""
    order = np.argsort(group, kind="stable")
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        if size > 1:
            yield order[end - size : end]


def _without_itself(fit: _Fit, features: FloatArray, labels: IntArray) -> FloatArray:
    rows = _biased(features)
    leverage = np.einsum("ij,ij->i", rows @ fit.inverse, rows)
    scores = rows @ fit.slopes
    scores[np.arange(len(labels)), labels] -= leverage
    return np.asarray(scores / (1 - leverage)[:, None])


def _without_group(fit: _Fit, features: FloatArray, labels: IntArray) -> FloatArray:
    rows = _biased(features)
    given = np.zeros((len(labels), fit.cross.shape[1]))
    given[np.arange(len(labels)), labels] = 1.0
    if len(rows) > len(fit.gram):  # fewer dimensions than rows: take the group out of the sums
        slopes = np.linalg.solve(fit.gram - rows.T @ rows, fit.cross - rows.T @ given)
        return np.asarray(rows @ slopes)
    leverage = rows @ fit.inverse @ rows.T
    left = np.linalg.solve(np.eye(len(rows)) - leverage, given - rows @ fit.slopes)
    return np.asarray(given - left)


def _temperature(scores: FloatArray, labels: IntArray) -> float:
    """Find by golden section, on a logarithmic scale, where the given labels are likeliest."""
    low, high = np.log(SHARPEST), np.log(BLUNTEST)
    for _ in range(SEARCH_STEPS):
        inner, outer = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if _loss(scores, labels, np.exp(inner)) <= _loss(scores, labels, np.exp(outer)):
            high = outer
        else:
            low = inner
    return float(np.exp((low + high) / 2))


def _loss(scores: FloatArray, labels: IntArray, temperature: float) -> float:
    total = 0.0
    for start in range(0, len(labels), ROWS):
        block = scores[start : start + ROWS] / np.float32(temperature)
        own = block[np.arange(len(block)), labels[start : start + ROWS]]
        top = block.max(axis=1)
        sums = np.exp(block - top[:, None]).sum(axis=1)
        total += float((top - own + np.log(sums)).sum(dtype=np.float64))
    return total
