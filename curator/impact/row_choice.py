"""Would other rows of these classes have done it too? The choice of rows, inside touched classes.

The one idea: which three of a class's fifteen rows leave moves that class by points, whatever the
change is about. So a touched class is called only beyond what a random choice of as many rows
moves: a few rows of each touched class are left out at random, eight times, and what one row moves
is read from how far these part. Trained only where a class is about to be called.

Few rows at a time, as what one row moves is wanted of a class that is whole: halves of a class of
fifteen part two to three times as far as rows of a whole one do (docs/log.md, row choice).

Source: the delete-d jackknife (Shao and Wu 1989), the noise of training taken off by analysis of
    variance; pooled over the touched classes, as eight draws of one class say little. A row of a
    class of n moves it in proportion to 1 / n, so variances are pooled at n = 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

import finetune
from curator import schema
from curator.context import Context
from curator.impact.claim import Measurement
from curator.impact.design import Ready, Side, right_answers
from curator.impact.sequence import share_at
from curator.impact.statistics import ALPHA, FloatArray, interval
from curator.impact.touched import Part

DRAWS = 8
SEEDS = 2  # of those measured, so that the whole side is trained already
LEFT_OUT = 0.2
LEAST_ROWS = 3  # of two rows one is half the class


@dataclass(frozen=True, slots=True)
class RowChoice:
    """What one row of a touched class moves.

    variance: Of the effect inside its class, times the square of the class's rows.
    df: Degrees of freedom.
    """

    variance: float
    df: float

    def of(self, changed: int, held: int) -> float:
        """Give the variance from the choice of so many changed rows, where the class holds more."""
        return changed * self.variance / max(1, held) ** 2


def what_a_row_moves(
    moved: FloatArray, dropped: Sequence[int], held: Sequence[int]
) -> RowChoice | None:
    """Pool what one row moves from random choices of a few.

    Args:
        moved: Effect inside each class of leaving rows out, shape (draws, seeds, classes).
        dropped: Rows of each class that a draw leaves out.
        held: Rows of each class.

    Returns:
        None where no class has rows enough.
    """
    draws, seeds, _ = moved.shape
    between = moved.mean(axis=1).var(axis=0, ddof=1)
    noise = moved.var(axis=1, ddof=1).mean(axis=0) / seeds
    known = np.array(held) >= LEAST_ROWS
    if not known.any():
        return None
    n, d = np.array(held, dtype=float)[known], np.array(dropped, dtype=float)[known]
    found = float(((between - noise)[known] * n**2 / d).mean())
    return RowChoice(max(0.0, found), float((draws - 1) * known.sum()))


def widened(part: Part, choice: RowChoice, changed: int, held: int) -> Part:
    """Add the choice of rows to the variance inside a class.

    It stands with the part that more seeds do not shrink, so forecasts keep it.
    """
    if part.estimate is None:
        return part
    plain, extra = part.estimate, choice.of(changed, held)
    variance = plain.variance + extra
    df = plain.df
    if extra > 0:
        df = variance**2 / (plain.variance**2 / plain.df + extra**2 / choice.df)
    wide = replace(plain, variance=variance, item=plain.item + extra, df=df)
    return replace(part, estimate=wide, row_choice=float(np.sqrt(extra)))


def with_row_choice(found: Measurement, ready: Ready, context: Context) -> Measurement:
    """Widen the claims of touched classes by the choice of rows, where one is about to be called.

    Args:
        found: The measurement; its touched classes have a variance of seeds and test rows.
        ready: What it was finished from.
        context: Features and caches.

    Raises:
        finetune.FitError: A fit failed.
    """
    # At the most generous level it may be read at; a stricter one can call nothing more.
    level = (ALPHA if found.level is None else found.level) * share_at(found.plan, len(found.seeds))
    if not any(_excludes_nothing(part, level) for part in found.touched):
        return found
    names = [part.name for part in found.touched]
    side, held = _larger(ready, names)
    changed = _changed(ready)
    drawn = [_without(side, names, _called(ready, side), draw) for draw in range(DRAWS)]
    seeds = found.seeds[:SEEDS]
    whole, _ = right_answers(
        ready, side.training(), context, seeds=seeds, after=side is ready.after
    )
    moved, cost = [], 0.0
    for training in drawn:
        right, seconds = right_answers(
            ready, training, context, seeds=seeds, after=side is ready.after
        )
        moved.append(_inside(right - whole, ready, names))
        cost += seconds
    choice = what_a_row_moves(
        np.stack(moved), [_few(held[name]) for name in names], [held[name] for name in names]
    )
    if choice is None:
        touched = tuple(replace(part, estimate=None) for part in found.touched)
    else:
        touched = tuple(widened(p, choice, changed[p.name], held[p.name]) for p in found.touched)
    fits = found.fits + DRAWS * len(seeds)
    return replace(found, touched=touched, cost_cpu_s=found.cost_cpu_s + cost, fits=fits)


def _excludes_nothing(part: Part, level: float) -> bool:
    if part.estimate is None:
        return False
    low, high = interval(part.estimate, level)
    return low > 0 or high < 0


def _few(held: int) -> int:
    return max(1, round(LEFT_OUT * held))


def _called(ready: Ready, side: Side) -> Mapping[str, str]:
    """Give what a side's labels are called among the test rows."""
    shared = ready.test.shared
    if shared is None:
        return {}
    return shared.after if side is ready.after else shared.before


def _larger(ready: Ready, names: Sequence[str]) -> tuple[Side, Counter[str]]:
    """Give the side that holds more rows of these classes, and how many of each."""
    found = []
    for side in (ready.before, ready.after):
        called = _called(ready, side)
        labels = Counter(called.get(n, n) for n in side.train()["label"].to_pylist())
        found.append((side, Counter({name: labels[name] for name in names})))
    return max(found, key=lambda one: one[1].total())


def _changed(ready: Ready) -> Counter[str]:
    """Count the rows that are on one side only, by class."""
    before, after = ready.before.seen_by_model(), ready.after.seen_by_model()
    changed: Counter[str] = Counter()
    for side, rows in ((ready.before, before - after), (ready.after, after - before)):
        called = _called(ready, side)
        for (_, label, _), count in rows.items():
            changed[called.get(label, label)] += count
    return changed


def _without(
    side: Side, names: Sequence[str], called: Mapping[str, str], draw: int
) -> finetune.Training:
    """Leave a few rows of each class out, chosen by hash; children go with their parent."""
    train = side.train()
    of_class: dict[str, list[tuple[str, int]]] = {name: [] for name in names}
    columns = [train[name].to_pylist() for name in ("id", "parent", "label")]
    for at, (row, parent, label) in enumerate(zip(*columns, strict=True)):
        name = called.get(label, label)
        if name in of_class:
            of_class[name].append((schema.hash_fields("row choice", draw, parent or row), at))
    gone = {at for rows in of_class.values() for _, at in sorted(rows)[: _few(len(rows))]}
    kept = [at for at in range(train.num_rows) if at not in gone]
    return replace(side, rows=train.take(kept)).training()


def _inside(moved: FloatArray, ready: Ready, names: Sequence[str]) -> FloatArray:
    """Give the mean inside each class on fresh test rows, shape (s, classes)."""
    labels = np.array(ready.test.labels, dtype=object)
    masks = [(labels == name) & ready.fresh for name in names]
    return np.stack([moved[:, mask].mean(axis=1) for mask in masks], axis=1)
