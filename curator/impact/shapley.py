"""Which step of a chain brought what: three ways to share a total out, and none without its error.

The one idea: the value of a step depends on what stands beside it, so it is asked in every company.
With v(S) the score of a model trained on the steps S alone, in the order they were run, a waterfall
adds them one by one, leave-one-out takes each from the end, and the Shapley value averages over all
companies; each is a sum of v's, row by row and seed by seed, so each has a crossed interval.

Letters: s seeds, m test rows, k steps. A set of steps is a number whose bit j stands for step j.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np

from curator.impact.statistics import ALPHA, FloatArray, IntArray, crossed, interval

MOST_STEPS = 6
"""Up to so many steps every company is tried: 64 of them, about 10 CPU seconds on the probe."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one step brought, by one way of sharing.

    effect, low, high: A fraction and its 95 % interval over seeds and test rows.
    separable: Whether the interval excludes 0; else the share cannot be told from nothing.
    """

    effect: float
    low: float
    high: float
    separable: bool


@dataclass(frozen=True, slots=True)
class Shares:
    """The three ways, one entry per step in the order they were run, and the total.

    shapley: None where there are too many steps to try every company.
    """

    waterfall: tuple[Share, ...]
    leave_one_out: tuple[Share, ...]
    shapley: tuple[Share, ...] | None
    total: Share


def companies(steps: int) -> list[int]:
    """List the sets of steps whose score is needed, the smallest number first.

    All of them up to six steps; beyond, those of the waterfall and of leave-one-out only.
    """
    everyone = (1 << steps) - 1
    if steps <= MOST_STEPS:
        return list(range(everyone + 1))
    firsts = {(1 << j) - 1 for j in range(steps + 1)}
    return sorted(firsts | {everyone & ~(1 << j) for j in range(steps)})


def share_out(scores: Mapping[int, FloatArray], groups: IntArray, *, steps: int) -> Shares:
    """Share the difference of the whole chain out among its steps.

    Args:
        scores: Score per seed and test row, shape (s, m), of each set in `companies(steps)`.
        groups: Group of each test row, shape (m,).
        steps: Number k of steps, at least 1.

    Returns:
        Waterfall and Shapley sum to the total (to rounding); leave-one-out need not.

    Source: Shapley 1953; intervals as in `statistics.crossed`.
    """
    everyone = (1 << steps) - 1
    waterfall = [scores[(1 << (j + 1)) - 1] - scores[(1 << j) - 1] for j in range(steps)]
    last = [scores[everyone] - scores[everyone & ~(1 << j)] for j in range(steps)]
    shapley = None
    if steps <= MOST_STEPS:
        shapley = _told([_shapley(scores, j, steps) for j in range(steps)], groups)
    total = _share(scores[everyone] - scores[0], groups)
    return Shares(_told(waterfall, groups), _told(last, groups), shapley, total)


def _shapley(scores: Mapping[int, FloatArray], step: int, steps: int) -> FloatArray:
    mean = np.zeros_like(scores[0])
    for company in range(1 << steps):
        if not company >> step & 1:
            size = company.bit_count()
            weight = factorial(size) * factorial(steps - size - 1) / factorial(steps)
            mean += weight * (scores[company | 1 << step] - scores[company])
    return mean


def _told(differences: Sequence[FloatArray], groups: IntArray) -> tuple[Share, ...]:
    return tuple(_share(one, groups) for one in differences)


def _share(differences: FloatArray, groups: IntArray) -> Share:
    estimate = crossed(differences, groups)
    low, high = interval(estimate, ALPHA)
    return Share(estimate.effect, low, high, low > 0 or high < 0)
