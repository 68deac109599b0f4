"""How much would more data bring? A curve through smaller sets, and a careful look beyond.

The one idea: what more rows bring is what the last rows brought, falling off. So the error is
measured on nested parts of the rows at hand, several draws of each, and error = a + b n^-c is
fitted draw by draw; where the draws part, the band is wide, and beyond twice the data nothing is
said at all.

Source: inverse power laws of learning curves (Cortes et al. 1993, Learning curves: asymptotic
    values and rate of convergence).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from curator.impact.statistics import FloatArray

PARTS = (0.125, 0.25, 0.5, 0.75, 1.0)
FURTHEST = 2.0
RATES = np.linspace(0.1, 1.5, 29)
LEVEL = 0.9


@dataclass(frozen=True, slots=True)
class Point:
    """The score at a size: mean and band at 90 %, 0..1; measured, or drawn on by the fit."""

    share: float
    rows: int
    score: float
    low: float
    high: float
    measured: bool


def curve(scores: FloatArray, rows: int, *, item_se: float) -> tuple[Point, ...]:
    """Give the curve of a score, and the score at one and a half times and twice the rows.

    Args:
        scores: Mean score per draw and part, shape (r, len(PARTS)), 0..1; three draws or more.
        rows: Training rows at hand.
        item_se: Standard error of a score from the choice of test rows, a fraction.

    Returns:
        One point per part, then those beyond; the last is twice the data and no more.
    """
    measured = [
        _point(share, rows, scores[:, at], item_se, measured=True) for at, share in enumerate(PARTS)
    ]
    beyond = []
    for share in (1.5, FURTHEST):
        drawn = np.array([_beyond(one, share) for one in scores])
        beyond.append(_point(share, rows, drawn, item_se, measured=False))
    return (*measured, *beyond)


def _point(share: float, rows: int, drawn: FloatArray, item_se: float, *, measured: bool) -> Point:
    # A new set of rows would be one draw more, so the band is for a draw and not for their mean.
    spread = float(drawn.std(ddof=1))
    half = float(stats.t.isf((1 - LEVEL) / 2, len(drawn) - 1)) * float(np.hypot(spread, item_se))
    score = float(drawn.mean())
    low, high = max(0.0, score - half), min(1.0, score + half)
    return Point(share, round(share * rows), score, low, high, measured)


def _beyond(scores: FloatArray, share: float) -> float:
    """Draw one draw's curve on, from where it stands, as the power law that fits it best falls."""
    sizes, errors = np.array(PARTS), 1 - scores
    best, falls = np.inf, 1.0
    for rate in RATES:
        terms = np.stack([np.ones_like(sizes), sizes**-rate], axis=1)
        (floor, slope), *_ = np.linalg.lstsq(terms, errors, rcond=None)
        if slope < 0:  # more rows made it worse: level, which is as far as the law goes
            floor, slope = errors.mean(), 0.0
        elif floor < 0:
            floor, slope = 0.0, float(terms[:, 1] @ errors / (terms[:, 1] @ terms[:, 1]))
        missed = float(np.square(floor + slope * terms[:, 1] - errors).sum())
        if missed < best:
            now = float(floor + slope)
            best, falls = missed, float(floor + slope * share**-rate) / now if now > 0 else 1.0
    return float(1 - errors[-1] * falls)
