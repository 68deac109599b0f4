"""Tasks whose verdicts were tried on changes that do nothing; the others have no verdict yet.

The one idea: a verdict of a kind that was never seen to be silent about nothing says nothing.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curator.errors import MeasureError
from curator.impact.claim import Measurement
from curator.impact.planning import default_margin
from curator.recipe import MeasureSpec
from curator.tasks import task_of
from curator.versions.manifest import Version

MEASURED = ("classification",)


def taught(rows: pa.Table) -> tuple[Any, ...]:
    """Give what each row teaches: a label, a tuple of labels, or a tuple of spans."""
    task = task_of(rows).name
    if task == "multilabel":
        return tuple(map(tuple, rows["labels"].to_pylist()))
    if task == "tokens":
        return tuple(
            tuple((s["start"], s["end"], s["label"]) for s in spans)
            for spans in rows["spans"].to_pylist()
        )
    return tuple(rows["label"].to_pylist())


def no_bank(*sides: pa.Table) -> str | None:
    """Say why rows of these versions cannot be measured; None where they can."""
    absent = [task.name for task in map(task_of, sides) if task.name not in MEASURED]
    return f"no A/A bank for task {absent[0]} yet" if absent else None


def refuse_other_tasks(version: Version, what: str) -> None:
    """Refuse a look at scores of a task that has no verdicts yet.

    Raises:
        MeasureError: The version is of such a task.
    """
    if version.task not in MEASURED:
        raise MeasureError(
            f"{what}: version {version.short} is of task {version.task!r}, and this is there for "
            f"{', '.join(MEASURED)} only"
        )


def unmeasured(
    before: str, after: str, rows: pa.Table, tier: str, spec: MeasureSpec, reason: str
) -> Measurement:
    """Give a measurement that was not made, with the reason.

    Args:
        before: The version without the change.
        after: The version with it.
        rows: Its rows.
        tier: That was asked for.
        spec: Margin and metric.
        reason: Why.
    """
    tests = pc.sum(pc.equal(rows["split"], "test")).as_py() or 0
    margin = spec.margin if spec.margin is not None else default_margin(max(tests, 1))
    return Measurement(
        before=before, after=after, tier=tier, spec="", metric=spec.metric, identical=False,
        reason=reason, estimate=None, seeds=(), test_rows=tests, margin=margin, before_score=None,
        after_score=None, slices=(), cost_cpu_s=0.0, fits=0, model="none", shared=None,
    )  # fmt: skip
