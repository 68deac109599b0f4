"""What a change did to the classes it touched, as a family of their own.

The one idea: if only q of G equal groups of test rows move, the clustered t of the whole cannot
exceed sqrt(q (G - 1) / (G - q)), whatever happens to them: two of 77 classes may die unseen. But
which classes a change touched stands in its rows, before anything is trained; so these are asked
one by one, few enough to be heard, and the rest is asked only whether it was harmed.

Letters: s seeds, m test rows. Effects are fractions, after minus before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, sqrt
from typing import Any, Literal

import numpy as np
from scipy import stats

from curator.impact.sequence import Plan, Standing, sequential_p, share_at, standing
from curator.impact.statistics import (
    LEAST,
    MIN_SLICE_ROWS,
    Estimate,
    FloatArray,
    IntArray,
    Verdict,
    crossed,
    holm_levels,
    interval,
    p_value,
    verdict,
)

Row = tuple[str, str, float]
"""What a fit sees of a training row: input, label, weight."""

WIDE = "beyond what a random choice of as many rows of these classes moves"
NARROW = "of these rows: what another choice of rows would move is not in these intervals"

RestOutcome = Literal["not_worse", "worse", "not_shown"]


def touched_classes(
    before: Counter[Row],
    after: Counter[Row],
    *,
    names: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> frozenset[str]:
    """Name the classes of the training rows that are on one side only.

    A relabelled row touches both its classes. Exchanging a training set for its like touches them
    all, and a family of all classes is as strict as it is long.

    Args:
        before: The training rows without the change, with their number.
        after: Those with it.
        names: What the labels of either side are called among the test rows, where that differs.
    """
    gone = {names[0].get(label, label) for _, label, _ in before - after}
    new = {names[1].get(label, label) for _, label, _ in after - before}
    return frozenset(gone | new)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the test rows: a touched class, or all rows of the untouched.

    estimate: None where the part has too few rows to carry one.
    row_choice: Standard deviation that the choice of changed rows adds, in the estimate's variance
        already; None where it was not asked, as nothing is called or we did not train.
    """

    name: str
    rows: int
    estimate: Estimate | None
    row_choice: float | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Part:
        """Read a part back from JSON values."""
        estimate = values["estimate"]
        return cls(
            values["name"],
            values["rows"],
            Estimate(**estimate) if estimate else None,
            values.get("row_choice"),
        )


def class_parts(
    differences: FloatArray, labels: Sequence[str], touched: Collection[str]
) -> tuple[Part, ...]:
    """Estimate the effect inside each touched class, seed by item.

    Args:
        differences: Score after minus before, shape (s, m), s >= 2.
        labels: Class of each test row, m of them.
        touched: Classes to look at.

    Returns:
        One part per touched class that has a test row, by name; under 20 rows without an estimate.
    """
    names = np.asarray(labels)
    inside = [(name, differences[:, names == name]) for name in sorted(touched)]
    return tuple(
        Part(name, d.shape[1], _rows_apart(d) if d.shape[1] >= MIN_SLICE_ROWS else None)
        for name, d in inside
        if d.shape[1]
    )


def _rows_apart(differences: FloatArray) -> Estimate:
    return crossed(differences, np.arange(differences.shape[1], dtype=np.int64))


def rest_part(
    differences: FloatArray, labels: Sequence[str], touched: Collection[str], groups: IntArray
) -> Part | None:
    """Estimate the effect on the test rows of untouched classes; None where there is none.

    Args:
        differences: Score after minus before, shape (s, m), s >= 2.
        labels: Class of each test row, m of them.
        touched: The classes to leave out.
        groups: Group of each test row, shape (m,), as for the whole.
    """
    outside = ~np.isin(np.asarray(labels), list(touched))
    rows = int(outside.sum())
    if rows == 0:
        return None
    enough = rows >= MIN_SLICE_ROWS and len(np.unique(groups[outside])) >= LEAST
    estimate = crossed(differences[:, outside], groups[outside]) if enough else None
    return Part("all other classes", rows, estimate)


def whole_is_blind(whole: Estimate, parts: Sequence[Part], *, alpha: float) -> bool:
    """Say whether no effect on these parts alone, however large, could move the whole's interval.

    Args:
        whole: The estimate over all test rows.
        parts: The touched classes.
        alpha: Level of the whole's interval.
    """
    share = min(1.0, sum(part.rows for part in parts) / whole.rows)
    groups = whole.effective_groups
    largest = sqrt(share * (groups - 1) / (1 - share)) if share < 1 else inf
    return largest < float(stats.t.isf(alpha / 2, max(groups - 1, 1)))


@dataclass(frozen=True, slots=True)
class PartClaim:
    """What may be claimed of one touched class.

    effect, low, high: Inside the class, with the interval at level 1 - alpha; None where it has
        too few test rows.
    verdict: A function of the interval, or `not_measurable`.
    row_choice: Standard deviation from the choice of changed rows, in the interval; None where it
        was not asked.
    """

    name: str
    rows: int
    effect: float | None
    low: float | None
    high: float | None
    alpha: float
    verdict: Verdict
    row_choice: float | None = None


@dataclass(frozen=True, slots=True)
class RestClaim:
    """What may be claimed of the classes that the change did not touch.

    outcome: not_worse (loses less than the margin), worse (loses), or not_shown; the interval is
        two-sided at level 1 - alpha, so each answer errs in at most half of alpha.
    """

    rows: int
    effect: float | None
    low: float | None
    high: float | None
    alpha: float
    margin: float
    outcome: RestOutcome


@dataclass(frozen=True, slots=True)
class TouchedClaim:
    """The touched classes under Holm's correction, and the rest.

    alpha: Level of the family over all looks.
    classes: Those called first, then by the size of their effect.
    rest: None where every test row is of a touched class.
    """

    alpha: float
    classes: tuple[PartClaim, ...]
    rest: RestClaim | None
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Give the claim as JSON values."""
        return asdict(self)


def claim_touched(
    parts: Sequence[Part], rest: Part | None, *, alpha: float, share: float, margin: float
) -> TouchedClaim:
    """Say what may be claimed of the touched classes and of the rest.

    Args:
        parts: The touched classes, at the last of their looks.
        rest: The others together; None where there is none.
        alpha: Level of the family over all looks, and of the rest.
        share: Share of it that this look may use.
        margin: The smallest change worth acting on.

    Returns:
        The claims; a class is better or worse exactly where its interval says so.
    """
    levels = iter(_levels(parts, alpha=alpha, share=share))
    claims = [
        _of_part(part, next(levels) * share if part.estimate else alpha * share, margin)
        for part in parts
    ]
    ordered = tuple(sorted(claims, key=_called_first))
    about = _of_rest(rest, alpha * share, margin) if rest else None
    return TouchedClaim(alpha, ordered, about, _sentence(ordered, about))


def touched_standings(
    parts: Sequence[Part], *, alpha: float, margin: float, plan: Plan
) -> list[Standing]:
    """Say of each touched class that can be measured whether it is done with, at Holm's level."""
    measured = [part.estimate for part in parts if part.estimate]
    if not measured:
        return []
    levels = _levels(parts, alpha=alpha, share=share_at(plan, measured[0].seeds))
    return [
        standing(estimate, margin=margin, alpha=level, plan=plan)
        for estimate, level in zip(measured, levels, strict=True)
    ]


def _levels(parts: Sequence[Part], *, alpha: float, share: float) -> list[float]:
    p = [sequential_p(p_value(part.estimate), share) for part in parts if part.estimate]
    return holm_levels(p, alpha=alpha)


def _of_part(part: Part, alpha: float, margin: float) -> PartClaim:
    if part.estimate is None:
        return PartClaim(part.name, part.rows, None, None, None, alpha, "not_measurable")
    low, high = interval(part.estimate, alpha)
    word = verdict(low, high, margin)
    effect = part.estimate.effect
    return PartClaim(part.name, part.rows, effect, low, high, alpha, word, part.row_choice)


def _of_rest(rest: Part, alpha: float, margin: float) -> RestClaim:
    if rest.estimate is None:
        return RestClaim(rest.rows, None, None, None, alpha, margin, "not_shown")
    low, high = interval(rest.estimate, alpha)
    # Not worse first, as equivalence is asked first of the whole.
    outcome: RestOutcome = "not_worse" if low > -margin else "worse" if high < 0 else "not_shown"
    return RestClaim(rest.rows, rest.estimate.effect, low, high, alpha, margin, outcome)


def _called_first(claim: PartClaim) -> tuple[bool, float, str]:
    return claim.verdict not in {"better", "worse"}, -abs(claim.effect or 0.0), claim.name


def _sentence(classes: Sequence[PartClaim], rest: RestClaim | None) -> str:
    called = [
        f"{c.name} {c.verdict} ({100 * (c.effect or 0):+.0f} points, "
        f"[{100 * (c.low or 0):+.0f}, {100 * (c.high or 0):+.0f}])"
        for c in classes
        if c.verdict in {"better", "worse"}
    ]
    tested = sum(c.verdict != "not_measurable" for c in classes)
    told = f"Classes the change touched: {len(classes)}, of which {tested} have test rows enough "
    told += f"({MIN_SLICE_ROWS}); "
    none = "none is shown to be better or worse" if tested else "so nothing is said of any of them"
    told += f"{', '.join(called)}" if called else none
    if called:
        asked = all(c.row_choice is not None for c in classes if c.verdict in {"better", "worse"})
        told += ", " + (WIDE if asked else NARROW)
    words = {
        "not_worse": "is shown to lose less than the margin",
        "worse": "is shown to lose",
        "not_shown": "is not shown to be unharmed",
    }
    return f"{told}; the rest {words[rest.outcome]}." if rest else f"{told}."
