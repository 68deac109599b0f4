"""How far people agree beyond chance, each figure with an interval.

The one idea: everything is said of *units* (rows that people judged) and a matrix of what each
person said of each unit, gaps allowed. A unit is what would be drawn anew, so the intervals come
from a bootstrap over units: people stay, as the question is how far these people agree.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from curator.errors import StepError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Level = Literal["nominal", "ordinal", "interval"]

ROUNDS = 1000
LEVEL = 0.95
MISSING = -1
"""Stands in a matrix of codes where a person did not judge a unit."""

_PAIR = 2


@dataclass(frozen=True, slots=True)
class Agreement:
    """One coefficient: 1 is full agreement, 0 what chance gives, below 0 worse than chance.

    value, low, high: The coefficient and its 95 % interval; None where nothing can vary (fewer
        than two units that two people judged, or one answer throughout).
    units: Units that count; raters: people who judged one of them.
    """

    value: float | None
    low: float | None
    high: float | None
    units: int
    raters: int


def codes_of(answers: Sequence[Sequence[Hashable | None]]) -> tuple[IntArray, list[Hashable]]:
    """Number the answers: (codes, what each number stands for).

    Args:
        answers: One list per unit, one place per person, None where a person gave none.

    Returns:
        Codes, shape (units, people), 0..k-1 in the order of the sorted values, or MISSING.
    """
    values = sorted({a for unit in answers for a in unit if a is not None}, key=_sort_key)
    place = {value: k for k, value in enumerate(values)}
    rows = [[MISSING if a is None else place[a] for a in unit] for unit in answers]
    width = len(answers[0]) if answers else 0
    return np.array(rows, dtype=np.int64).reshape(len(answers), width), values


def _sort_key(value: Hashable) -> tuple[bool, float, str]:
    """Order numbers by their size and all else by its text."""
    if isinstance(value, int | float):
        return False, float(value), ""
    return True, 0.0, str(value)


def cohen_kappa(first: IntArray, second: IntArray) -> float | None:
    """Give Cohen's kappa of two people who judged the same units.

    Args:
        first: Codes of one of them, shape (n,); units with MISSING are left out.
        second: Codes of the other, likewise.

    Returns:
        1 is full agreement, 0 is chance; None where both always give one and the same answer.

    Source: Cohen 1960, A coefficient of agreement for nominal scales.
    """
    both = (first != MISSING) & (second != MISSING)
    a, b = first[both], second[both]
    if not len(a):
        return None
    k = int(max(a.max(), b.max())) + 1
    shares_a, shares_b = (np.bincount(x, minlength=k) / len(x) for x in (a, b))
    return _beyond(float((a == b).mean()), float(shares_a @ shares_b))


def fleiss_kappa(counts: IntArray) -> float | None:
    """Give Fleiss' kappa of units that equally many people judged, not always the same ones.

    Args:
        counts: How many people gave each answer, shape (units, k); rows sum to the same m >= 2.

    Raises:
        StepError: Rows do not sum to one number of two or more: then use `krippendorff_alpha`.

    Source: Fleiss 1971, Measuring nominal scale agreement among many raters.
    """
    people = counts.sum(axis=1)
    if not len(counts) or people.min() != people.max() or people[0] < _PAIR:
        raise StepError(
            "Fleiss' kappa needs equally many answers, two or more, for each row; found "
            f"{sorted(set(people.tolist()))}: use Krippendorff's alpha"
        )
    m = int(people[0])
    observed = float(((counts**2).sum(axis=1) - m).mean() / (m * (m - 1)))
    shares = counts.sum(axis=0) / counts.sum()
    return _beyond(observed, float(shares @ shares))


def _beyond(observed: float, chance: float) -> float | None:
    return None if chance >= 1 else (observed - chance) / (1 - chance)


def krippendorff_alpha(
    codes: IntArray, *, level: Level = "nominal", values: Sequence[float] | None = None
) -> float | None:
    """Give Krippendorff's alpha; answers may be missing, people may be many.

    Args:
        codes: Codes, shape (units, people), 0..k-1 in the order of the scale, or MISSING.
        level: nominal (labels), ordinal (ratings), or interval (then `values` are their sizes).
        values: Size of each code; by default the code itself.

    Returns:
        1 is full agreement, 0 is chance; None where fewer than two answers meet, or all are one.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability.
    """
    return _Units(codes, level, values).alpha(np.ones(len(codes)))


def counts_of(codes: IntArray) -> IntArray:
    """Count answers by unit and code, shape (units, k)."""
    k = int(codes.max(initial=0)) + 1
    counts = np.zeros((len(codes), k), dtype=np.int64)
    unit, person = np.nonzero(codes != MISSING)
    np.add.at(counts, (unit, codes[unit, person]), 1)
    return counts


class _Units:
    """Units that two or more people judged, and how far apart the answers to each are."""

    def __init__(self, codes: IntArray, level: Level, values: Sequence[float] | None) -> None:
        counts = counts_of(codes)
        self.pairable = counts.sum(axis=1) >= _PAIR
        self.counts, self.level, self.values = counts[self.pairable], level, values
        self.people = self.counts.sum(axis=1)
        # Ranks depend on which units were drawn; the other distances do not.
        self.within = None if level == "ordinal" else self._within(self._apart(self.counts.sum(0)))

    def alpha(self, drawn: FloatArray) -> float | None:
        """Give alpha where each unit of `codes` stands as often as it was drawn."""
        times = drawn[self.pairable]
        sizes = times @ self.counts
        total = sizes.sum()
        if total < _PAIR:
            return None
        apart = self._apart(sizes)
        within = self._within(apart) if self.within is None else self.within
        expected = sizes @ apart @ sizes / (total - 1)
        return None if expected <= 0 else float(1 - times @ within / expected)

    def _within(self, apart: FloatArray) -> FloatArray:
        return np.asarray(((self.counts @ apart) * self.counts).sum(axis=1) / (self.people - 1))

    def _apart(self, sizes: npt.NDArray[np.floating | np.integer]) -> FloatArray:
        return _distances(np.asarray(sizes, dtype=np.float64), self.level, self.values)


def _distances(sizes: FloatArray, level: Level, values: Sequence[float] | None) -> FloatArray:
    """Give the squared distance of each pair of codes, shape (k, k)."""
    k = len(sizes)
    if level == "nominal":
        return np.asarray(1.0 - np.eye(k))
    if level == "interval":
        at = np.arange(k, dtype=np.float64) if values is None else np.asarray(values, np.float64)
    else:  # what lies between two ranks, and half of the two themselves
        at = np.cumsum(sizes) - sizes / 2
    return np.asarray((at[:, None] - at[None, :]) ** 2)


def alpha_of(
    codes: IntArray,
    *,
    level: Level = "nominal",
    values: Sequence[float] | None = None,
    seed: int = 0,
) -> Agreement:
    """Give Krippendorff's alpha with its interval, from units that two or more people judged."""
    return _with_interval(codes, _Units(codes, level, values).alpha, seed=seed)


def fleiss_of(codes: IntArray, *, seed: int = 0) -> Agreement | None:
    """Give Fleiss' kappa with its interval; None where units have unequally many answers."""
    judged = codes[(codes != MISSING).any(axis=1)]
    if not len(judged):
        return None
    people = (judged != MISSING).sum(axis=1)
    if people.min() != people.max() or people[0] < _PAIR:
        return None
    counts = counts_of(judged)
    return _with_interval(
        judged, lambda drawn: fleiss_kappa(np.repeat(counts, drawn.astype(np.int64), axis=0)),
        seed=seed,
    )  # fmt: skip


def cohen_of(codes: IntArray, *, seed: int = 0) -> Agreement:
    """Give Cohen's kappa of two people with its interval.

    Args:
        codes: Shape (units, 2), or MISSING.
        seed: Of the bootstrap.
    """

    def kappa(drawn: FloatArray) -> float | None:
        some = np.repeat(codes, drawn.astype(np.int64), axis=0)
        return cohen_kappa(some[:, 0], some[:, 1])

    return _with_interval(codes, kappa, seed=seed)


def _with_interval(
    codes: IntArray, measure: Callable[[FloatArray], float | None], *, seed: int
) -> Agreement:
    """Give a coefficient and the middle 95 % of its values over units drawn anew.

    Units are drawn from those that two or more people judged; a draw in which nothing varies says
    nothing and is left out, and where that is most of them there is no interval.
    """
    paired = (codes != MISSING).sum(axis=1) >= _PAIR
    raters = int((codes[paired] != MISSING).any(axis=0).sum())
    units = np.flatnonzero(paired)
    value = measure(paired.astype(np.float64))
    if value is None or len(units) < _PAIR:
        return Agreement(None, None, None, len(units), raters)
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(ROUNDS):
        chosen = units[draw.integers(0, len(units), len(units))]
        one = measure(np.bincount(chosen, minlength=len(codes)).astype(np.float64))
        if one is not None:
            found.append(one)
    if len(found) <= ROUNDS / 2:
        return Agreement(value, None, None, len(units), raters)
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Agreement(value, min(float(low), value), max(float(high), value), len(units), raters)
