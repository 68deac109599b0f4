"""Measure pairs and chains of versions, once: a measurement is found again by its content.

Before anything is trained it is said what the test rows can show and when they were first used.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from curator import schema
from curator.context import Context
from curator.errors import MeasureError
from curator.impact.claim import Impact, Measurement, claim, claim_together, points
from curator.impact.design import SEEDS, Side, measure_tier
from curator.impact.planning import default_margin, planned_effect
from curator.impact.statistics import ALPHA
from curator.progress import SILENT, Progress
from curator.recipe import MeasureSpec
from curator.versions.manifest import Version
from curator.versions.store import Store

WHOLE_CHAIN = "whole chain"
MEASURE_VERSION = 1


def side_of(store: Store, version: Version) -> Side:
    """Give a version as a measurement sees it, its lock checked.

    Raises:
        LockError: The frozen test rows are not what the lock says.
    """
    store.check_lock(version)
    return Side(version.id, store.rows(version), version.transforms)


def measure_pair(
    store: Store, a: Version, b: Version, *, tier: str, spec: MeasureSpec, context: Context
) -> Measurement:
    """Measure the change from version a to version b on one tier, or find it measured.

    Raises:
        MeasureError: There is no test row to measure on.
        LockError: The frozen test rows were tampered with.
        finetune.FitError: A fit failed.
    """
    if a.lock is None or b.lock is None:
        raise MeasureError("there is no test row, so nothing can be measured; bring a test split")
    before, after = side_of(store, a), side_of(store, b)
    key = schema.hash_fields(
        MEASURE_VERSION, a.id, b.id, tier, spec.method, spec.metric, spec.margin, list(SEEDS),
        context.model.revision, context.model.numerics,
    )  # fmt: skip
    known = store.recorded("impacts", key)
    if known is not None:
        found = Measurement.from_dict(known)
        context.counters.fits_cached += found.fits
        return found
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found = measure_tier(before, after, tier=tier, spec=spec, context=context)
    if found.estimate is not None:
        store.record("lock_uses", a.lock, {"first_used": now})
    store.record("impacts", key, found.as_dict())
    return found


def first_used(store: Store, lock: str | None) -> str | None:
    """Say when test rows were first measured on, ISO 8601; None before that."""
    use = store.recorded("lock_uses", lock) if lock else None
    return use["first_used"] if use else None


def measure_chain(
    store: Store,
    chain: Sequence[tuple[str, Version]],
    spec: MeasureSpec,
    context: Context,
    *,
    progress: Progress = SILENT,
) -> Iterator[tuple[str, Impact]]:
    """Measure each step of a chain, tier by tier, and the whole of it.

    Args:
        store: Holds the versions.
        chain: (step name, version), the import first.
        spec: Tiers, margin, metric.
        context: Features and caches of the chain.
        progress: Told each claim.

    Yields:
        (step name or "whole chain", impact): per tier the steps under Holm's correction, then the
        whole chain at the plain level.
    """
    for tier in spec.tiers:
        names, found = [], []
        for (_, before), (name, after) in itertools.pairwise(chain):
            progress.say(f"measure {name} ({tier})")
            found.append(measure_pair(store, before, after, tier=tier, spec=spec, context=context))
            names.append(name)
        claims = list(zip(names, claim_together(found), strict=True))
        if len(chain) > 2:  # noqa: PLR2004 - with one step the chain is the step
            whole = measure_pair(
                store, chain[0][1], chain[-1][1], tier=tier, spec=spec, context=context
            )
            claims.append((WHOLE_CHAIN, claim(whole)))
        for name, impact in claims:
            progress.say(f"impact  {tier}, {name}: {impact.sentence}")
            if impact.next:
                progress.say(f"        {impact.next}")
            yield name, impact


def say_what_can_be_seen(
    store: Store, version: Version, spec: MeasureSpec, steps: int, progress: Progress
) -> None:
    """Say, before anything is trained, which effects the test rows can show."""
    rows = version.splits.get("test", 0)
    margin = spec.margin if spec.margin is not None else default_margin(rows)
    used = first_used(store, version.lock)
    when = f"first used {used}" if used else "not used yet"
    progress.say(f"test    {rows:,} frozen rows, lock {str(version.lock)[:12]}, {when}")
    for tier in spec.tiers:
        seen = planned_effect(tier, rows=rows, seeds=len(SEEDS), alpha=ALPHA / max(1, steps))
        progress.say(
            f"test    {tier}: the smallest effect these rows can show is {points(seen)} points "
            f"({steps} steps judged together); margin {points(margin)} points"
        )
