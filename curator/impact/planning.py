"""How small an effect could be seen, and what it would take to see a smaller one.

The one idea: before anything is trained, the number of test rows and seeds already says which
questions can be answered. So the smallest visible effect is printed first, from noise measured on
other data, and again afterwards from the noise that was met.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, log10, sqrt

from scipy import optimize, stats

from curator.errors import MeasureError
from curator.impact.statistics import (
    ALPHA,
    LEAST,
    Estimate,
    degrees_of_freedom,
    interval,
    least_half,
    verdict,
)

POWER = 0.8
MOST_ROWS = 1_000_000  # beyond these nobody will label or train: say so instead of a number
MOST_SEEDS = 64
SEED_STEPS = (8, 12, 16, 24, 32, 48, MOST_SEEDS)


@dataclass(frozen=True, slots=True)
class Noise:
    """What makes the score of one row under one seed move, as standard deviations.

    seed: Between seeds, of the mean over all test rows.
    item: Between test rows, of the mean over all seeds.
    residual: Of one row under one seed, beyond the two.
    """

    seed: float
    item: float
    residual: float


PLANNED = {
    "probe": Noise(seed=0.005, item=0.10, residual=0.35),
    "top-layers": Noise(seed=0.01, item=0.20, residual=0.40),
    "all-layers": Noise(seed=0.01, item=0.20, residual=0.40),
}
"""Noise to plan with, per tier: measured on banking77 (head probe; top two layers of MiniLM)."""


def default_margin(rows: int) -> float:
    """Give the smallest change worth acting on where the user named none, a fraction.

    One point, as smaller ones seldom decide anything; on fewer than 600 test rows 6 / rows. If not
    one of m rows changed, changes of up to 6.0 / m are still compatible with that at the level of
    the first look (the rule of three, at .5 % and on both sides), so "equivalent" within less is a
    claim that no m rows can carry there.

    Args:
        rows: Number of test rows, at least 1.

    Source: Hanley and Lippman-Hand 1983, If nothing goes wrong, is everything all right?
    """
    return max(0.01, 6 / rows)


def planned_effect(tier: str, *, rows: int, seeds: int, alpha: float = ALPHA) -> float:
    """Give the smallest effect that a measurement will see, before anything is run; a fraction.

    Args:
        tier: A key of `PLANNED`.
        rows: Number of test rows, at least 2.
        seeds: Number of paired seeds, at least 2.
        alpha: Two-sided level; divide by the number of steps where several are judged together.

    Returns:
        The effect that is called better or worse in 80 % of such measurements.

    Raises:
        MeasureError: The tier is unknown, or there are too few rows or seeds.
    """
    if tier not in PLANNED:
        raise MeasureError(f"tier {tier!r} is not one of {sorted(PLANNED)}")
    if min(rows, seeds) < LEAST:
        raise MeasureError(
            f"{rows} test rows and {seeds} seeds: expected at least {LEAST} of both, "
            "as no noise can be told from fewer"
        )
    return _visible(PLANNED[tier], seeds=seeds, rows=rows, item_df=rows - 1, alpha=alpha)


def smallest_effect(estimate: Estimate, *, alpha: float = ALPHA) -> float:
    """Give the smallest effect that this measurement could have shown, a fraction.

    Args:
        estimate: What was measured; only its noise counts here, not its effect.
        alpha: Two-sided level of the claim.

    Returns:
        The effect that is called better or worse in 80 % of such measurements; never less than
        what so many rows leave open if nothing varied.
    """
    factor = float(stats.t.isf(alpha / 2, estimate.df) + stats.norm.ppf(POWER))
    return max(factor * sqrt(estimate.variance), least_half(estimate.rows, alpha))


def noise(estimate: Estimate) -> Noise:
    """Give the noise that was met, per seed and per test row; for `estimate` to be scaled."""
    s, m = estimate.seeds, estimate.rows
    residual = min(estimate.residual, estimate.variance)
    item, seed = max(estimate.item - residual, 0), max(estimate.seed - residual, 0)
    return Noise(seed=sqrt(seed * s), item=sqrt(item * m), residual=sqrt(residual * s * m))


def _visible(
    noise: Noise, *, seeds: float, rows: float, item_df: float, alpha: float = ALPHA
) -> float:
    """Give the smallest effect seen at this noise; rows may be infinite."""
    residual = noise.residual**2 / (seeds * rows)
    item, seed = noise.item**2 / rows + residual, noise.seed**2 / seeds + residual
    variance = item + seed - residual
    df = degrees_of_freedom(variance, item, item_df, seed, seeds - 1)
    by_noise = float(stats.t.isf(alpha / 2, df) + stats.norm.ppf(POWER)) * sqrt(variance)
    return max(by_noise, least_half(rows, alpha))


def what_would_decide(estimate: Estimate, margin: float, *, alpha: float = ALPHA) -> str:
    """Say in plain words what it would take to decide an undecided claim.

    Two questions are open: is there an effect of the size that was seen, and (where that is below
    the margin) is it smaller than matters. Either is taken as answered where an effect of
    max(size seen, margin) would be visible with 80 % power. The numbers assume that further test
    rows and seeds are as noisy as those at hand.

    Args:
        estimate: What was measured.
        margin: The smallest change worth acting on, above 0.
        alpha: Two-sided level of the claim.

    Returns:
        One sentence; it says so where the claim is decided, or where no number would do.
    """
    low, high = interval(estimate, alpha)
    word = verdict(low, high, margin)
    if word != "undecided":
        return f"Nothing more is needed: this is decided ({word})."
    target = max(abs(estimate.effect), margin)
    met, item_df = noise(estimate), estimate.effective_groups - 1
    at = _Question(met, item_df, alpha, target)
    rows = at.rows_needed(estimate.seeds, estimate.rows)
    seeds = at.seeds_needed(estimate.rows, estimate.seeds)
    return f"To tell {_points(target)} from nothing it would take " + _needs(
        at, estimate, rows, seeds
    )


@dataclass(frozen=True, slots=True)
class _Question:
    """What has to become visible, at which noise."""

    noise: Noise
    item_df: float
    alpha: float
    target: float

    def excess(self, seeds: float, rows: float) -> float:
        seen = _visible(self.noise, seeds=seeds, rows=rows, item_df=self.item_df, alpha=self.alpha)
        return seen - self.target

    def rows_needed(self, seeds: float, have: float) -> float:
        """Give the test rows needed at this many seeds; infinite where none would do."""
        if self.excess(seeds, MOST_ROWS) > 0:
            return inf
        if self.excess(seeds, have) <= 0:
            return have
        return float(optimize.brentq(lambda rows: self.excess(seeds, rows), have, MOST_ROWS))

    def seeds_needed(self, rows: float, have: int) -> float:
        """Give the seeds needed on this many test rows; infinite where none would do."""
        enough = (n for n in range(have, MOST_SEEDS + 1) if self.excess(n, rows) <= 0)
        return next(enough, inf)


def _needs(at: _Question, estimate: Estimate, rows: float, seeds: float) -> str:
    have = f"now {estimate.rows:,} and {estimate.seeds}"
    if rows == inf and seeds == inf:
        # The cheapest pair: what both cost together, labels and training.
        pairs = [(at.rows_needed(n, estimate.rows), n) for n in SEED_STEPS if n > estimate.seeds]
        both, more = min(pairs, key=lambda pair: pair[0] * pair[1], default=(inf, MOST_SEEDS))
        if both == inf:
            return (
                f"more than {MOST_ROWS:,} test rows and {MOST_SEEDS} seeds ({have}): "
                "no measurement of this kind will decide it."
            )
        return f"both about {_round_up(both):,} test rows like these and {more} seeds ({have})."
    if seeds == inf:
        return (
            f"about {_round_up(rows):,} test rows like these (now {estimate.rows:,}); "
            f"more seeds alone would not do, the test set is too small."
        )
    if rows == inf:
        return (
            f"{int(seeds)} seeds (now {estimate.seeds}); "
            "more test rows alone would not do, training varies too much from seed to seed."
        )
    return (
        f"about {_round_up(rows):,} test rows like these (now {estimate.rows:,}) "
        f"or {int(seeds)} seeds (now {estimate.seeds})."
    )


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _round_up(number: float) -> int:
    """Round up to two leading digits: more would pretend to a precision that is not there."""
    unit: int = 10 ** max(int(log10(max(number, 1))) - 1, 0)
    return ceil(number / unit) * unit
