"""When to look at a measurement, and when to stop: after 3, 5 and 8 paired seeds.

The one idea: each look may use a share of the claim's alpha that was fixed before, and the shares
sum to one. A claim is read at its last look only, at that look's share; so it errs in at most alpha
of all cases, whatever the reason to stop there was (decided, hopeless, or another step's fate).

Most of alpha is kept for the last look: looks at the same test rows agree so much that early shares
buy little, and what is decided early is mostly clear at any level.

Source: Bonferroni over looks (an alpha-spending function that needs no joint distribution). Shares
    by simulation (decision 0017): 2.5 to 3.5 % false calls where test rows are the noise, 4.7 %
    where seeds are; a first look at 2 seeds made 6.9 %.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Literal

from scipy import stats

from curator.errors import MeasureError
from curator.impact.planning import planned_effect
from curator.impact.statistics import (
    ALPHA,
    Estimate,
    degrees_of_freedom,
    half_width,
    interval,
    verdict,
)

Plan = tuple[tuple[int, float], ...]
"""Looks in order: (paired seeds, share of alpha)."""

Standing = Literal["decided", "hopeless", "last look", "open"]

LOOKS: Plan = ((3, 0.1), (5, 0.2), (8, 0.7))
FIXED: Plan = ((5, 1.0),)  # one look that has all of alpha: for a bound that nobody waits for
MOST_SEEDS = LOOKS[-1][0]
LAST_SHARE = LOOKS[-1][1]
HOPE = 0.1  # under this chance of a later decision further seeds are not paid for


def share_at(plan: Plan, seeds: int) -> float:
    """Give the share of alpha of the look at this many seeds, 0..1.

    Args:
        plan: The looks; an empty one is a fixed number of seeds, looked at once.
        seeds: Paired seeds at hand.

    Raises:
        MeasureError: The plan has no look there.
    """
    if not plan:
        return 1.0
    shares = dict(plan)
    if seeds not in shares:
        raise MeasureError(
            f"{seeds} paired seeds are not a look of the plan, which looks at {sorted(shares)}; "
            "a look that was not planned has no share of alpha"
        )
    return shares[seeds]


def later_looks(plan: Plan, seeds: int) -> Plan:
    """Give the looks after the one at this many seeds."""
    return tuple(look for look in plan if look[0] > seeds)


def sequential_p(p: float, share: float) -> float:
    """Give the p-value of a claim read at a look that had this share of alpha, 0..1.

    It is below a level exactly where the p-value of the look is below the level's share, and it is
    a p-value for any rule of stopping: the chance that any of the looks falls below its share of
    the level is at most the level.
    """
    return min(1.0, p / share)


def extended(estimate: Estimate, seeds: int) -> Estimate:
    """Give the estimate that more seeds would leave, if its effect and kind of noise stayed.

    The part that only test rows would shrink is held fixed; what a single seed adds is divided
    among more of them.
    """
    shrunk = estimate.seeds / seeds
    residual = min(estimate.residual, estimate.item, estimate.seed)
    item = estimate.item - residual * (1 - shrunk)
    seed, residual = estimate.seed * shrunk, residual * shrunk
    variance = max(item + seed - residual, item, seed)
    df = degrees_of_freedom(variance, item, estimate.effective_groups - 1, seed, seeds - 1)
    return replace(
        estimate, variance=variance, df=df, item=item, seed=seed, residual=residual, seeds=seeds
    )


def chance_to_decide(estimate: Estimate, *, margin: float, alpha: float, plan: Plan) -> float:
    """Give the chance, 0..1, that a later look decides; never too low by counting looks alone.

    Args:
        estimate: What this look showed.
        margin: The smallest change worth acting on, above 0.
        alpha: Level of the claim over all its looks.
        plan: All looks.

    Returns:
        The sum over later looks of the chance of an interval that excludes 0 or lies inside the
        margin, at most 1; normal, with the variance of one seed and that of the test rows held at
        what was met.
    """
    chances = [
        _chance_at(estimate, seeds, margin=margin, alpha=alpha * share)
        for seeds, share in later_looks(plan, estimate.seeds)
    ]
    return min(1.0, sum(chances))


def _chance_at(estimate: Estimate, seeds: int, *, margin: float, alpha: float) -> float:
    later = extended(estimate, seeds)
    half = half_width(later.variance, later.df, later.rows, alpha)
    # How far the mean of n seeds still wanders until there are N, the new ones being like the old.
    drift = max(sqrt(estimate.seed * (1 - estimate.seeds / seeds)), 1e-12)
    wander = stats.norm(estimate.effect, drift)
    found = float(wander.sf(half) + wander.cdf(-half))
    room = margin - half
    small = float(wander.cdf(room) - wander.cdf(-room)) if room > 0 else 0.0
    return min(1.0, found + small)


def standing(estimate: Estimate, *, margin: float, alpha: float, plan: Plan) -> Standing:
    """Say whether a claim is done with, and why, or open to another look.

    Args:
        estimate: What its latest look showed.
        margin: The smallest change worth acting on, above 0.
        alpha: Level of the claim over all its looks.
        plan: All looks.

    Returns:
        `decided`: equivalent, better or worse. `last look`: undecided, and the plan ends here.
        `hopeless`: undecided, and the chance of any later decision is under 10 %. Else `open`.
    """
    low, high = interval(estimate, alpha * share_at(plan, estimate.seeds))
    if verdict(low, high, margin) != "undecided":
        return "decided"
    if not later_looks(plan, estimate.seeds):
        return "last look"
    hope = chance_to_decide(estimate, margin=margin, alpha=alpha, plan=plan)
    return "hopeless" if hope < HOPE else "open"


def visible_at_last_look(tier: str, *, rows: int, claims: int = 1) -> float:
    """Give the smallest effect that the last look of the plan will see; a fraction.

    Args:
        tier: A key of `planning.PLANNED`.
        rows: Number of test rows, at least 2.
        claims: Number of claims judged together.

    Raises:
        MeasureError: The tier is unknown, or there are too few rows.
    """
    alpha = ALPHA * LAST_SHARE / max(1, claims)
    return planned_effect(tier, rows=rows, seeds=MOST_SEEDS, alpha=alpha)
