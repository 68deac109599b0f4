"""Is a difference more than chance? Tests that deal whole near-duplicate groups out anew.

The one idea: rows of a group are copies of each other, so a thousand copies are one witness. Groups
are the units that change sides, never rows; every permutation draws from a stream of its own seed.

Source: Phipson and Smyth 2010, Permutation p-values should never be zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from curator.reading import BoolArray, FloatArray, IntArray


def dealt(groups: IntArray, side: BoolArray, *, times: int, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Deal groups out to two sides again and again; a group with rows on both keeps its split.

    Args:
        groups: Group number per row, shape (n,), 0..g-1.
        side: Side of each row, shape (n,).
        times: Permutations.
        seed: Of the dice.

    Returns:
        Sides, shape (times, n).
    """
    count = int(groups.max(initial=-1)) + 1
    share = np.bincount(groups, weights=side, minlength=count) / np.maximum(
        np.bincount(groups, minlength=count), 1
    )
    draw = np.random.default_rng(seed)
    made = np.empty((times, len(groups)), dtype=bool)
    for k in range(times):
        made[k] = share[draw.permutation(count)][groups] > 0.5  # noqa: PLR2004 - the larger part
    return made


def p_value(seen: float, chance: FloatArray) -> float:
    """Give the share of chance results at least as large as what was seen, never 0.

    >>> p_value(1.0, np.zeros(99))
    0.01
    """
    return float((1 + np.sum(chance >= seen - 1e-12)) / (1 + len(chance)))


def area_under_curve(scores: FloatArray, side: BoolArray) -> float:
    """Give the probability that a row of the True side scores above one of the other; ties half.

    >>> area_under_curve(np.array([1.0, 2.0, 3.0]), np.array([False, False, True]))
    1.0
    """
    from scipy.stats import rankdata

    ones = int(side.sum())
    zeros = len(side) - ones
    if not ones or not zeros:
        return 0.5
    return float((rankdata(scores)[side].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def interval_by_groups(
    measure: Callable[[IntArray], float], groups: IntArray, *, times: int = 200, seed: int = 0
) -> tuple[float, float]:
    """Give a 95 % interval of a measure by drawing whole groups with replacement.

    Args:
        measure: From row positions to a number.
        groups: Group number per row, shape (n,).
        times: Draws.
        seed: Of the dice.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap (percentiles).
    """
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(int(groups.max(initial=-1)) + 2))
    draw = np.random.default_rng(seed)
    values = []
    for _ in range(times):
        some = draw.integers(0, len(starts) - 1, len(starts) - 1)
        sizes = starts[some + 1] - starts[some]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        values.append(measure(order[np.repeat(starts[some], sizes) + within]))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number, so that one false alarm in the family keeps its level.

    >>> holm([0.01, 0.04])
    [0.02, 0.04]

    Source: Holm 1979.
    """
    order = np.argsort(p_values, kind="stable")
    made, worst = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order.tolist()):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[at]))
        made[at] = worst
    return made
