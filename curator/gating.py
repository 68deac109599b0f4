"""Measure a change, whoever trains, and let a gate judge what was measured.

The one idea: whether our own tiers trained, a command did, or the answers lay in two files, there
is one measurement, kept once by its content; the gate reads it and trains nothing of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from curator.comparing import Compared, comparison
from curator.errors import MeasureError
from curator.impact.claim import points
from curator.impact.gate import Gate, Limits, judge
from curator.impact.groups import MIN_ROWS
from curator.impact.sequence import FIXED, LOOKS, Plan
from curator.impact.statistics import ALPHA
from curator.progress import SILENT, Progress
from curator.trainers import Outside, outside_comparison
from curator.versions.manifest import Version
from curator.versions.store import Store


def measure(
    store: Store,
    a: str,
    b: str,
    *,
    tier: str | None = None,
    recipe: Path | None = None,
    by: Outside | None = None,
    looks: Plan = LOOKS,
    progress: Progress = SILENT,
) -> Compared:
    """Say what the change from version a to version b did, whoever trains.

    Args:
        store: Holds both.
        a: Version, branch or tag without the change.
        b: The one with it.
        tier: probe, top-layers or all-layers; None takes the dearest of the spec.
        recipe: Gives the spec; None takes the one kept with b.
        by: Who trains instead of us; None where we do.
        looks: When to look at more seeds.
        progress: Told what happens.

    Raises:
        MeasureError: Nothing can be measured, or a tier is asked of an outside trainer.
    """
    if by is None:
        return comparison(store, a, b, tier=tier, recipe=recipe, looks=looks, progress=progress)
    if tier is not None:
        raise MeasureError(f"--tier {tier}: an outside trainer is a tier of its own; leave it out")
    return outside_comparison(store, a, b, by=by, recipe=recipe, looks=looks, progress=progress)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a gate holds a change to.

    margin: Largest loss of the metric that does not matter, a fraction; None takes the recipe's,
        else the one that the test rows can carry.
    limits: How much a class may lose.
    alpha: Allowed chance of each wrong answer.
    """

    margin: float | None = None
    limits: Limits = field(default_factory=Limits)
    alpha: float = ALPHA


def gate(
    store: Store,
    a: str,
    b: str,
    *,
    rules: Rules,
    tier: str | None = None,
    recipe: Path | None = None,
    by: Outside | None = None,
    progress: Progress = SILENT,
) -> Gate:
    """Say whether version b may take the place of version a.

    Args:
        store: Holds both.
        a: Version, branch or tag that stands.
        b: The one that wants its place.
        rules: Margin, protected classes, level.
        tier: probe, top-layers or all-layers; None takes the dearest of the spec.
        recipe: Gives the spec; None takes the one kept with b.
        by: Who trains instead of us.
        progress: Told what happens.

    Raises:
        MeasureError: Nothing can be measured, or the rules name what is not there.
    """
    before, after = store.version(a), store.version(b)
    _must_be_points(rules.margin, before)
    # A gate's bounds are one-sided, so the looks of a two-sided claim would stop it wrongly.
    found = measure(store, a, b, tier=tier, recipe=recipe, by=by, looks=FIXED, progress=progress)
    classes = {
        label
        for version in (before, after)
        if version.task == "classification"
        for label in set(store.rows(version)["label"].to_pylist())
    }
    measured = found.impacts[-1].measurement
    return judge(
        measured,
        margin=rules.margin,
        limits=rules.limits,
        classes=sorted(classes),
        # Declared for these test rows, it is all that this comparison may spend.
        alpha=rules.alpha if measured.level is None else measured.level,
    )


def _must_be_points(margin: float | None, version: Version) -> None:
    """Refuse a margin that no test row could tell from none: it is a fraction written as points."""
    rows = version.splits.get("test", 0)
    if margin is not None and rows >= MIN_ROWS and margin < 1 / rows / 2:
        raise MeasureError(
            f"--margin {margin * 100:g}: half a test row of {rows:,} is worth more "
            f"({points(1 / rows / 2)} points); margins are in points, so 1 is one in a hundred rows"
        )
