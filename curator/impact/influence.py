"""What each training row does to a ridge regression's test margin, exactly, without a refit.

The one idea: least squares knows what it would be without a row in closed form, so one inverse
gives the influence of every row, and sums of it those of a step, a source, a class, an annotator.
It is the *ridge margin* that is explained, a smooth stand-in for a score: it ranks, it is no effect
on accuracy. Sums of rows differ from removing them together by 6 % at a twentieth of the rows, 14 %
at a tenth and 39 % at three tenths (measured), so large groups are told as what they are: sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curator.impact.statistics import FloatArray, IntArray

AnyFloats = npt.NDArray[np.floating]
PENALTY = 0.1
"""Weak, so that it nearly interpolates as a fine-tuned model does: a strong one hides label noise
(removing all wrong rows is worth 7.5 points to such a head, 0.7 to a ridge of 1)."""

LARGE_SHARE = 0.1
"""Above this share of the training weight a sum is far from what removing the group would do."""


@dataclass(frozen=True, slots=True)
class Influence:
    """Influence of each training row on the mean test margin.

    margin: Mean over test rows of the score of the right class less that of its strongest rival.
    rows: Margin with the row less margin without it, shape (n,); the rivals stay those of all rows.
    """

    margin: float
    rows: FloatArray


def ridge_influence(
    features: AnyFloats,
    labels: IntArray,
    weights: AnyFloats,
    test: AnyFloats,
    wanted: IntArray,
    *,
    classes: int,
) -> Influence:
    """Give the exact leave-one-out influence of every training row on the ridge margin.

    Args:
        features: Training rows, shape (n, d), the last column 1.
        labels: Class of each, shape (n,), 0..k-1.
        weights: Weight of each, shape (n,), 0 or more.
        test: Test rows, shape (m, d).
        wanted: Right class of each, shape (m,), 0..k-1.
        classes: Number k of classes, at least 2.

    Source: Cook and Weisberg 1982 (deletion in closed form); margin linear in the coefficients, as
        the rivals are held.
    """
    x, t = features.astype(np.float64), test.astype(np.float64)
    w = weights.astype(np.float64)
    goal = np.zeros((len(x), classes))
    goal[np.arange(len(x)), labels] = 1.0
    weighted = x * w[:, None]
    inverse = np.linalg.inv(weighted.T @ x + PENALTY * np.eye(x.shape[1]))
    slopes = inverse @ (weighted.T @ goal)
    direction, margin = _direction(t, t @ slopes, wanted)
    leverage = np.einsum("ij,ij->i", x @ inverse, x)
    pull = np.einsum("ij,ij->i", x @ (inverse @ direction), goal - x @ slopes)
    return Influence(margin, w * pull / (1 - w * leverage))


def _direction(t: FloatArray, scores: FloatArray, wanted: IntArray) -> tuple[FloatArray, float]:
    """Give the gradient of the mean margin by the coefficients, shape (d, k), and the margin."""
    m = np.arange(len(t))
    others = scores.copy()
    others[m, wanted] = -np.inf
    rivals = others.argmax(axis=1)
    direction = np.zeros((scores.shape[1], t.shape[1]))
    np.add.at(direction, wanted, t)
    np.subtract.at(direction, rivals, t)
    margin = float((scores[m, wanted] - scores[m, rivals]).mean())
    return direction.T / len(t), margin
