"""Scores of answers that are more than one label: F1 of labels and of spans.

The one idea: each is 2 tp / (2 tp + fp + fn) over what was told and what was wanted; they differ
in what is counted (all pairs together, or each label by itself).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

import numpy as np

from .keys import FloatArray, IntArray
from .pieces import Span


def micro_f1(wanted: Sequence[Collection[Hashable]], told: Sequence[Collection[Hashable]]) -> float:
    """Give the F1 of all answers counted together, 0..1; 1 where nothing was wanted nor told.

    Args:
        wanted: What holds of each row: labels, or spans (then it is span F1, exact).
        told: What was predicted.

    Source: van Rijsbergen 1979; Tjong Kim Sang and De Meulder 2003 (exact spans).
    """
    right = sum(len(set(a) & set(b)) for a, b in zip(wanted, told, strict=True))
    return _f1(right, sum(len(set(a)) for a in wanted), sum(len(set(b)) for b in told))


def macro_f1(wanted: Sequence[Collection[Hashable]], told: Sequence[Collection[Hashable]]) -> float:
    """Give the mean F1 of the labels that were wanted or told, 0..1; 1 where there is none."""
    labels = {one for row in (*wanted, *told) for one in row}
    scores = [
        _f1(
            sum(label in a and label in b for a, b in zip(wanted, told, strict=True)),
            sum(label in a for a in wanted),
            sum(label in b for b in told),
        )
        for label in labels
    ]
    return float(np.mean(sorted(scores))) if scores else 1.0


def span_macro_f1(wanted: Sequence[Collection[Span]], told: Sequence[Collection[Span]]) -> float:
    """Give the mean over span labels of their exact span F1, 0..1; 1 where there is no span."""
    labels = sorted({label for row in (*wanted, *told) for _, _, label in row})
    scores = [
        micro_f1(
            [[s for s in row if s[2] == label] for row in wanted],
            [[s for s in row if s[2] == label] for row in told],
        )
        for label in labels
    ]
    return float(np.mean(scores)) if scores else 1.0


def exact_share(
    wanted: Sequence[Collection[Hashable]], told: Sequence[Collection[Hashable]]
) -> float:
    """Give the share of rows whose whole answer is right, 0..1."""
    return float(np.mean([set(a) == set(b) for a, b in zip(wanted, told, strict=True)]))


def calibration_error(chances: FloatArray, held: IntArray, *, bins: int = 15) -> float:
    """Give how far chances and shares part, mean over equally wide bins, 0..1.

    Args:
        chances: Predicted, of any shape, 0..1.
        held: 1 where it came to pass, else 0, same shape.
        bins: Number of bins.

    Source: Naeini, Cooper and Hauskrecht 2015 (ECE).
    """
    flat, came = np.ravel(chances).astype(np.float64), np.ravel(held).astype(np.float64)
    place = np.minimum((flat * bins).astype(np.int64), bins - 1)
    gap = np.bincount(place, weights=flat - came, minlength=bins)
    return float(np.abs(gap).sum() / len(flat))


def _f1(right: int, wanted: int, told: int) -> float:
    return 2 * right / (wanted + told) if wanted + told else 1.0
