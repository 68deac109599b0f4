"""This change to this set, or this kind of change? The second claim pays for the choice of rows.

The one idea: rows chosen differently would have moved the score too. So the same change is tried on
parts of the training rows, the same part on both sides, and what that moves beyond the noise of
training is added to the variance, scaled from a part to a whole new set.

Source: half-sampling variances (McCarthy 1969) at a part f: what leaving out 1 - f moves is
    (1 - f) / f of what a new set of as many rows would move.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curator import schema
from curator.comparing import Compared, comparison, spec_and_context
from curator.context import Context
from curator.impact.design import Ready, Side, prepare, right_answers
from curator.impact.measure import side_of
from curator.impact.sequence import FIXED
from curator.impact.statistics import Estimate, FloatArray, interval, verdict
from curator.progress import SILENT, Progress
from curator.versions.store import Store

PART = 0.85
RESAMPLES = 8
FIRST_SEED = 200  # seeds of their own, so that nothing is read twice


@dataclass(frozen=True, slots=True)
class Choice:
    """What the choice of rows adds.

    variance: Of the effect, from a whole new choice of as many rows; never below 0.
    df: Its degrees of freedom.
    """

    variance: float
    df: int


def choice_of_rows(resampled: FloatArray, plain: Estimate) -> Choice:
    """Give the variance of an effect from the choice of rows.

    Args:
        resampled: Mean difference per part of the rows, each under a seed of its own, shape (r,).
        plain: The effect on all rows; its seed part is what training alone moves.
    """
    beyond = float(resampled.var(ddof=1)) - plain.seed * plain.seeds
    return Choice(max(0.0, beyond) * PART / (1 - PART), len(resampled) - 1)


def with_choice(plain: Estimate, choice: Choice) -> Estimate:
    """Give the estimate whose variance holds the choice of rows too."""
    variance = plain.variance + choice.variance
    if choice.variance == 0:
        return plain
    spread = plain.variance**2 / plain.df + choice.variance**2 / choice.df
    return replace(plain, variance=variance, df=variance**2 / spread)


def measured_as_kind(
    store: Store,
    a: str,
    b: str,
    *,
    tier: str | None = None,
    recipe: Path | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Measure a change and claim of it both this change and this kind of change.

    Args:
        store: Holds both versions.
        a: Version, branch or tag without the change.
        b: The one with it.
        tier: As for `measure`.
        recipe: As for `measure`.
        progress: Told what happens.

    Returns:
        What `measure` gives, and under `kind_of_change` effect, interval, verdict and sentence of
        the wider claim; None where the narrow one was not measured.

    Raises:
        MeasureError: Nothing can be measured.
    """
    found = comparison(store, a, b, tier=tier, recipe=recipe, progress=progress)
    return {**found.as_dict(), "kind_of_change": _kind(store, a, b, found, recipe, progress)}


def _kind(
    store: Store, a: str, b: str, found: Compared, recipe: Path | None, progress: Progress
) -> dict[str, Any] | None:
    impact = found.impacts[-1]
    m = impact.measurement
    if m.estimate is None:
        return None
    before, after = store.version(a), store.version(b)
    spec, context = spec_and_context(store, before, after, recipe, progress)
    sides = side_of(store, before), side_of(store, after)
    ready = prepare(*sides, tier=m.tier, spec=spec, context=context, looks=FIXED)
    if not isinstance(ready, Ready):
        return None
    progress.say(f"kind    {RESAMPLES} parts of {PART:.0%} of the rows, the same on both sides")
    drawn = np.array([_part_effect(ready, part, context) for part in range(RESAMPLES)])
    choice = choice_of_rows(drawn, m.estimate)
    wide = with_choice(m.estimate, choice)
    low, high = interval(wide, impact.alpha)
    word = verdict(low, high, m.margin)
    sd = 100 * float(np.sqrt(choice.variance))
    return {
        "effect": wide.effect, "low": low, "high": high, "verdict": word,
        "sd_of_row_choice": float(np.sqrt(choice.variance)), "resamples": RESAMPLES, "part": PART,
        "sentence": (
            f"This kind of change, on training sets like this one: {word}, "
            f"{100 * wide.effect:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]; another "
            f"choice of as many rows moves it by {sd:.1f} points (standard deviation, from "
            f"{RESAMPLES} parts)."
        ),
    }  # fmt: skip


def _part_effect(ready: Ready, part: int, context: Context) -> float:
    """Measure the change on one part of the rows under one seed; children go with their parent."""
    seed = (FIRST_SEED + part,)
    hits = [
        right_answers(ready, _part(side, part).training(), context, seeds=seed, after=after)[0]
        for side, after in ((ready.before, False), (ready.after, True))
    ]
    return float((hits[1] - hits[0])[:, ready.fresh].mean())


def _part(side: Side, part: int) -> Side:
    ids, parents = (side.rows[name].to_pylist() for name in ("id", "parent"))
    keep = [
        int(schema.hash_fields("part", part, parent or row)[:12], 16) < PART * 16**12
        for row, parent in zip(ids, parents, strict=True)
    ]
    return replace(side, rows=side.rows.filter(pa.array(keep)))
