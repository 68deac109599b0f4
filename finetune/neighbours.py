"""What the nearest rows of other groups are labelled.

The one idea: neighbours vote by exp(similarity / 0.1), and the row's own near-duplicates have no
vote, so a wrong label that was copied does not vouch for itself. Rows are compared in blocks: no
n x n matrix ever exists.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .keys import FloatArray, IntArray

WIDTH = 0.1
BLOCK_CELLS = 8_000_000
"""Similarities held at a time: 32 MB of them, and 64 MB of positions while they are sorted."""


def neighbour_probabilities(
    features: FloatArray,
    labels: IntArray,
    groups: Sequence[str],
    *,
    classes: int,
    neighbours: int = 20,
) -> FloatArray:
    """Give the weighted vote of each row's nearest rows outside its group.

    One more vote, as far away as the farthest of the neighbours, goes to the classes by their
    shares: no class has probability 0, and a row with no one near it says little.

    Args:
        features: Unit-length vectors, shape (n, d), finite.
        labels: Class per row, shape (n,), 0..classes-1.
        groups: Group per row; rows of one group never vote on each other.
        classes: Number k of classes.
        neighbours: Votes asked for, 1 or more; fewer where there are fewer rows.

    Returns:
        Probabilities, shape (n, k), float32, rows sum to 1.
    """
    n = len(labels)
    shares = np.bincount(labels, minlength=classes) / max(1, n)
    _, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    asked = min(neighbours, n)
    found = np.empty((n, classes), dtype=np.float32)
    step = max(1, BLOCK_CELLS // max(n, classes, 1))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        near, votes = _votes(features[rows], features, group[rows], group, asked)
        cells = np.arange(len(near))[:, None] * classes + labels[near]
        sums = np.bincount(cells.ravel(), votes.ravel(), minlength=len(near) * classes)
        total = sums.reshape(-1, classes) + _least(votes)[:, None] * shares
        found[rows] = total / total.sum(axis=1, keepdims=True)
    return found


def _votes(
    asking: FloatArray, features: FloatArray, own: IntArray, group: IntArray, asked: int
) -> tuple[IntArray, FloatArray]:
    """Give positions of the nearest rows and their votes, each of shape (b, asked)."""
    similar = asking @ features.T
    similar[own[:, None] == group[None, :]] = -np.inf
    near = np.argpartition(similar, len(group) - asked, axis=1)[:, len(group) - asked :]
    nearest = np.take_along_axis(similar, near, axis=1).astype(np.float64)
    votes = np.exp((nearest - np.maximum(nearest.max(axis=1, keepdims=True), -1.0)) / WIDTH)
    return near, votes


def _least(votes: FloatArray) -> FloatArray:
    """Give the smallest vote of each row, shape (b,); 1 where nobody votes."""
    least = np.where(votes > 0, votes, np.inf).min(axis=1)
    return np.where(np.isfinite(least), least, 1.0)
