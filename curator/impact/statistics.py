"""Is the difference real? The estimator, the interval and the verdict every claim rests on.

The one idea: a score moves for two reasons that have nothing to do with the data, the seed of the
training and the choice of test rows. A test that looks at one of them only "proves" nothing as
something; so the variance here is crossed, seed by item, and the item part is clustered, because a
changed training row moves one decision boundary and the test rows beside it flip together.

Letters: s seeds, m test rows, G groups of test rows. Effects, margins and intervals are fractions
(0.01 is one point); an effect is *after minus before*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from curator.errors import MeasureError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Verdict = Literal["better", "worse", "equivalent", "undecided", "identical", "not_measurable"]

ALPHA = 0.05
LEAST = 2  # seeds, groups or rows: noise cannot be told from one
MIN_SLICE_ROWS = 20  # under 20 rows one flip is worth five points: no interval says anything


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one data change did to one score, with the parts of its variance.

    effect: Mean of the differences, -1..1.
    variance: Variance of the effect; never below its item or its seed part.
    df: Degrees of freedom of the variance (Satterthwaite), at least seeds - 1.
    item: Part of the variance that more test rows would shrink; holds residual.
    seed: Part of the variance that more seeds would shrink; holds residual.
    residual: Part that either would shrink.
    seeds: Number of paired seeds s.
    rows: Number of test rows m.
    groups: Number of groups of test rows G.
    effective_groups: m^2 / (sum of squared group sizes); G where all are equally large.
    """

    effect: float
    variance: float
    df: float
    item: float
    seed: float
    residual: float
    seeds: int
    rows: int
    groups: int
    effective_groups: float


def crossed(differences: FloatArray, groups: IntArray) -> Estimate:
    """Estimate the effect of a change over seeds and test rows at once.

    Args:
        differences: Score after minus score before, per paired seed and test row, shape (s, m);
            for accuracy each is -1, 0 or 1. At least two seeds.
        groups: Group of each test row, shape (m,), any whole numbers; at least two groups. One
            group per row gives the unclustered estimator.

    Returns:
        The estimate. All differences zero give effect and variance 0.

    Raises:
        MeasureError: Shapes disagree, or there are fewer than two seeds or two groups.

    Source: Two-way analysis of variance with the item part clustered (Cameron, Gelbach and Miller
        2011), by the jackknife over groups (Bell and McCaffrey 2002: unequal groups bias the plain
        sum of squares down), and Satterthwaite 1946 degrees of freedom. The effective number of
        groups (Kish 1965) stands in these for G, as unequal groups carry less than they count.
    """
    _check_shapes(differences, groups)
    s, m = differences.shape
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    n_groups = len(sizes)
    seed_means = differences.mean(axis=1)
    effect = float(seed_means.mean())
    sums = np.stack([np.bincount(group, weights=row, minlength=n_groups) for row in differences])
    group_means = sums.mean(axis=0)

    # The jackknife over groups: leaving a group of size n_k out moves the mean by this much. Equal
    # groups give the plain clustered variance; a large one weighs more than its square alone.
    left_out = (n_groups - 1) / n_groups / np.square(m - sizes, dtype=np.float64)
    item = float((left_out * np.square(group_means - sizes * effect)).sum())
    seed = float(np.square(seed_means - effect).sum()) / (s - 1) / s
    rest = sums - group_means - np.outer(seed_means - effect, sizes)
    residual = float((left_out * np.square(rest)).sum()) / (s - 1) / s

    effective = m**2 / float(np.square(sizes, dtype=np.float64).sum())
    variance = max(item + seed - residual, item, seed)
    df = degrees_of_freedom(variance, item, effective - 1, seed, s - 1)
    return Estimate(effect, variance, df, item, seed, residual, s, m, n_groups, effective)


def _check_shapes(differences: FloatArray, groups: IntArray) -> None:
    if groups.ndim != 1 or differences.shape[1:] != groups.shape:
        raise MeasureError(
            f"differences have shape {differences.shape} and groups {groups.shape}; "
            "expected (seeds, test rows) and (test rows,)"
        )
    if differences.shape[0] < LEAST:
        raise MeasureError(
            f"{differences.shape[0]} paired seed: without a second one the noise of training "
            "is unknown; measure with at least 2 seeds (3 or more to be trusted)"
        )
    if len(np.unique(groups)) < LEAST:
        raise MeasureError(
            "all test rows are in one group: what other test rows would have shown is unknown; "
            "measure on test rows from at least 2 groups"
        )


def degrees_of_freedom(
    variance: float, item: float, item_df: float, seed: float, seed_df: float
) -> float:
    """Combine the degrees of freedom of two parts of a variance; at least those of the seeds.

    Source: Satterthwaite 1946.
    """
    spread = item**2 / max(item_df, 1e-9) + seed**2 / seed_df
    return max(variance**2 / spread, seed_df) if spread > 0 else seed_df


def interval(estimate: Estimate, alpha: float = ALPHA) -> tuple[float, float]:
    """Give the interval that covers the true effect in a share of 1 - alpha of such measurements.

    Args:
        estimate: What was measured.
        alpha: Allowed share of misses, 0..1; under several claims the level of `holm_levels`.

    Returns:
        Low and high end, fractions; never nearer than `least_half` of so many rows.
    """
    half = half_width(estimate.variance, estimate.df, estimate.rows, alpha)
    return estimate.effect - half, estimate.effect + half


def half_width(variance: float, df: float, rows: int, alpha: float) -> float:
    """Give half the length of a two-sided interval, a fraction."""
    return max(float(stats.t.isf(alpha / 2, df)) * sqrt(variance), least_half(rows, alpha))


def least_half(rows: float, alpha: float) -> float:
    """Give what so many rows leave open even if not one of them was answered otherwise.

    Where a share p of all rows is changed, m of them show no change with chance (1 - p)^m; in
    groups of fixed size too, so the bound needs no estimate of how rows flip together.

    Args:
        rows: Number of test rows m, at least 1.
        alpha: Two-sided level: each side may err in half of it.

    Source: Hanley and Lippman-Hand 1983, the rule of three (about 3 / m at 5 % on one side).
    """
    return float(1 - (alpha / 2) ** (1 / rows))


def p_value(estimate: Estimate) -> float:
    """Give the chance, 0..1, of an effect this large in either direction if there is none.

    It is below alpha exactly where `interval(estimate, alpha)` excludes 0.
    """
    if estimate.effect == 0:
        return 1.0
    by_noise = float(2 * stats.t.sf(abs(_t_ratio(estimate)), estimate.df))
    by_rows = 2 * max(0.0, 1 - abs(estimate.effect)) ** estimate.rows  # see `least_half`
    return min(1.0, max(by_noise, by_rows))


def _t_ratio(estimate: Estimate) -> float:
    if estimate.variance > 0:
        return estimate.effect / sqrt(estimate.variance)
    return float(np.sign(estimate.effect)) * np.inf if estimate.effect else 0.0


def verdict(low: float, high: float, margin: float) -> Verdict:
    """Say in one word what an interval shows; a function of the interval, so they never disagree.

    Equivalence is asked first: a change shown to be smaller than anything that matters is
    `equivalent` even where its sign is certain. Reversing the order calls one do-nothing change in
    ten worse at 3,000 test rows (two random 10 % drops differ truly, by half a point).

    Args:
        low: Lower end of the interval of the effect.
        high: Upper end.
        margin: The smallest change worth acting on, above 0.

    Returns:
        `equivalent` (inside the margin), `better` or `worse` (0 excluded), else `undecided`. The
        caller answers `identical` (nothing was run) and `not_measurable`.
    """
    if -margin < low and high < margin:
        return "equivalent"
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "undecided"


def holm_levels(p_values: Sequence[float], *, alpha: float = ALPHA) -> list[float]:
    """Give each of several claims the level at which its own interval agrees with Holm's test.

    Args:
        p_values: One per claim, 0..1.
        alpha: Chance of one false claim or more that the whole family may take.

    Returns:
        A level per claim, in the order given: an interval at it excludes 0 exactly where Holm
        rejects. Claims of equal p-value get equal levels.

    Raises:
        ValueError: A p-value is not in 0..1; leave out claims that were never tested.

    Source: Holm 1979, step-down: the i-th smallest of k p-values against alpha / (k - i + 1); those
        not rejected stand at the level where the first of them failed.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"p-values must lie in 0..1, found {list(p_values)}")
    order = np.sort(p)
    steps = alpha / (len(p) - np.arange(len(p)))
    # Strict: a p-value equal to its level has an interval that ends at 0, which shows nothing.
    failures = np.flatnonzero(order >= steps)
    first_failure = failures[0] if len(failures) else len(p)
    # The first place of a value among the sorted ones: tied claims share the strictest level.
    ranks = np.minimum(np.searchsorted(order, p, side="left"), first_failure)
    return [float(steps[rank]) for rank in ranks]


@dataclass(frozen=True, slots=True)
class SliceEffect:
    """What a change did to one named part of the test rows.

    name: The slice, e.g. a class.
    rows: Its number of test rows.
    effect: Mean difference inside it, -1..1.
    low: Lower end of its own interval; None where it has too few rows to say.
    high: Upper end, or None.
    p_harm: One-sided p-value of "the change did no harm here", or None.
    harmed: Whether harm is shown, all slices of the list considered.
    se: Standard error of the effect, for bounds at other levels; None where it has too few rows.
    df: Its degrees of freedom, or None.
    """

    name: str
    rows: int
    effect: float
    low: float | None
    high: float | None
    p_harm: float | None
    harmed: bool
    se: float | None = None
    df: float | None = None


def slice_effects(
    differences: FloatArray,
    slices: Sequence[str],
    *,
    min_rows: int = MIN_SLICE_ROWS,
    alpha: float = ALPHA,
) -> list[SliceEffect]:
    """Look for harm that the overall effect hides, slice by slice.

    Args:
        differences: Score after minus before, shape (s, m), s >= 2.
        slices: Slice of each test row, e.g. its class; m of them.
        min_rows: Slices with fewer test rows are listed with their effect only; at least 2.
        alpha: Expected share of false alarms among the slices called harmed, and 1 - coverage of
            each interval.

    Returns:
        One entry per slice, the most harmed first (by lower end; those without interval last).

    Source: Benjamini and Hochberg 1995, one-sided for harm; inside a slice each row is its own
        group.
    """
    names = np.asarray(slices)
    found = [
        _slice_effect(str(name), differences[:, names == name], min_rows=min_rows, alpha=alpha)
        for name in np.unique(names)
    ]
    tested = [slice_ for slice_ in found if slice_.p_harm is not None]
    limit = _benjamini_hochberg([slice_.p_harm or 0.0 for slice_ in tested], alpha)
    called = [
        replace(slice_, harmed=slice_.p_harm is not None and slice_.p_harm <= limit)
        for slice_ in found
    ]
    return sorted(called, key=_most_harmed_first)


def _most_harmed_first(slice_: SliceEffect) -> tuple[bool, float, str]:
    untold = slice_.low is None
    return untold, slice_.effect if slice_.low is None else slice_.low, slice_.name


def _slice_effect(name: str, inside: FloatArray, *, min_rows: int, alpha: float) -> SliceEffect:
    rows = inside.shape[1]
    if rows < min_rows:
        return SliceEffect(name, rows, float(inside.mean()), None, None, None, harmed=False)
    estimate = crossed(inside, np.arange(rows, dtype=np.int64))
    low, high = interval(estimate, alpha)
    p_harm = float(stats.t.cdf(_t_ratio(estimate), estimate.df))
    se = sqrt(estimate.variance)
    return SliceEffect(
        name, rows, estimate.effect, low, high, p_harm, harmed=False, se=se, df=estimate.df
    )


def _benjamini_hochberg(p_values: Sequence[float], alpha: float) -> float:
    """Give the largest p-value that is still called; -1 where none is."""
    order = np.sort(np.asarray(p_values, dtype=np.float64))
    passed = np.flatnonzero(order <= alpha * (np.arange(len(order)) + 1) / max(len(order), 1))
    return float(order[passed[-1]]) if len(passed) else -1.0
