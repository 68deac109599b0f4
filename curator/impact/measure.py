"""Measure pairs and chains of versions, once: a measurement is found again by its content.

Before anything is trained it is said what the test rows can show and when they were first used.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from curator import schema
from curator.context import Context
from curator.errors import MeasureError
from curator.impact.claim import Impact, Measurement, claim, claim_together, points
from curator.impact.design import SEEDS, Ready, Side, finish, fit_ahead, prepare
from curator.impact.groups import MIN_ROWS
from curator.impact.planning import default_margin, planned_effect
from curator.impact.statistics import ALPHA
from curator.progress import SILENT, Progress
from curator.recipe import MeasureSpec
from curator.versions.manifest import Version
from curator.versions.store import Store

WHOLE_CHAIN = "whole chain"
MEASURE_VERSION = 3


def side_of(store: Store, version: Version) -> Side:
    """Give a version as a measurement sees it, its lock checked.

    Raises:
        LockError: The frozen test rows are not what the lock says.
    """
    store.check_lock(version)
    return Side(version.id, store.rows(version), version.transforms)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A measurement that is wanted, and where it is kept."""

    key: str
    lock: str
    found: Measurement | Ready


def measure_pair(
    store: Store, a: Version, b: Version, *, tier: str, spec: MeasureSpec, context: Context
) -> Measurement:
    """Measure the change from version a to version b on one tier, or find it measured.

    Raises:
        MeasureError: There is no test row to measure on.
        LockError: The frozen test rows were tampered with.
        finetune.FitError: A fit failed.
    """
    return _measure(store, [(a, b)], tier=tier, spec=spec, context=context)[0]


def _measure(
    store: Store,
    pairs: Sequence[tuple[Version, Version]],
    *,
    tier: str,
    spec: MeasureSpec,
    context: Context,
) -> list[Measurement]:
    """Measure several changes on one tier; their fits are made side by side."""
    asked = [_ask(store, a, b, tier=tier, spec=spec, context=context) for a, b in pairs]
    fit_ahead([one.found for one in asked if isinstance(one.found, Ready)], context)
    return [_settle(store, one, context) for one in asked]


def _ask(
    store: Store, a: Version, b: Version, *, tier: str, spec: MeasureSpec, context: Context
) -> _Asked:
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
        return _Asked(key, a.lock, found)
    return _Asked(key, a.lock, prepare(before, after, tier=tier, spec=spec, context=context))


def _settle(store: Store, asked: _Asked, context: Context) -> Measurement:
    found = asked.found
    if isinstance(found, Ready):
        # Noted before the look, so that a look that is killed counts too.
        now = datetime.now(UTC).isoformat(timespec="seconds")
        store.record("lock_uses", asked.lock, {"first_used": now})
        found = finish(found, context)
    store.record("impacts", asked.key, found.as_dict())
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
        steps = list(itertools.pairwise(chain))
        pairs = [(before, after) for (_, before), (_, after) in steps]
        if len(steps) > 1:  # with one step the chain is the step
            pairs.append((chain[0][1], chain[-1][1]))
        progress.say(f"measure {len(steps)} steps and the whole of them ({tier})")
        found = _measure(store, pairs, tier=tier, spec=spec, context=context)
        named = [name for _, (name, _) in steps]
        claims = list(zip(named, claim_together(found[: len(steps)]), strict=True))
        claims += [(WHOLE_CHAIN, claim(whole)) for whole in found[len(steps) :]]
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
        if rows < MIN_ROWS:
            progress.say(f"test    {tier}: no verdict can rest on {rows} rows; add test rows")
            continue
        seen = planned_effect(tier, rows=rows, seeds=len(SEEDS), alpha=ALPHA / max(1, steps))
        progress.say(
            f"test    {tier}: the smallest effect these rows can show is {points(seen)} points "
            f"({steps} steps judged together), if they differ enough from each other; "
            f"margin {points(margin)} points"
        )
