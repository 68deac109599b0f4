"""Measure pairs and chains of versions, once: a measurement is found again by its content.

Before anything is trained it is said what the test rows can show and when they were first used.
Seeds are bought look by look (see `sequence`): a claim that is decided, or hopeless, buys no more.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from curator import schema
from curator.context import Context
from curator.declared import Declared
from curator.errors import AlphaSpentError, MeasureError
from curator.impact.banks import MEASURED, no_bank
from curator.impact.budget import (
    Opened,
    declare,
    declared,
    end_comparison,
    left,
    next_level,
    open_comparison,
)
from curator.impact.claim import (
    Impact,
    Measurement,
    claim,
    claim_together,
    p_of_claim,
    points,
    standings,
)
from curator.impact.design import Ready, Side, finish, fit_ahead, fit_spec, prepare
from curator.impact.groups import MIN_ROWS
from curator.impact.kept import Kept
from curator.impact.ledger import Look, charge, counted, now, percent, uses
from curator.impact.lengths import with_equal_epochs
from curator.impact.placebo import kind_of_change, placebo
from curator.impact.planning import default_margin, planned_effect
from curator.impact.row_choice import with_row_choice
from curator.impact.sequence import (
    LAST_SHARE,
    LOOKS,
    MOST_SEEDS,
    Plan,
    share_at,
    visible_at_last_look,
)
from curator.impact.shown import SCORES, can_show, show_scores
from curator.impact.shown import SEEDS as SHOWN_SEEDS
from curator.impact.statistics import ALPHA
from curator.progress import SILENT, Progress
from curator.recipe import MeasureSpec
from curator.versions import refs
from curator.versions.manifest import Version
from curator.versions.store import Store

WHOLE_CHAIN = "whole chain"
SINCE_TAG = "since tag"
MEASURE_VERSION = 8
PLACEBO_VERSION = 2


def side_of(store: Store, version: Version) -> Side:
    """Give a version as a measurement sees it, its lock checked.

    Raises:
        LockError: The frozen test rows are not what the lock says.
    """
    store.check_lock(version)
    return Side(version.id, store.rows(version), version.transforms)


@dataclass(slots=True)
class _Asked:
    """A measurement under way: its latest look, and what a further one needs.

    plan: When it may be looked at.
    claims: Number of claims of its family.
    looks: Number of looks taken.
    ready: What a look is finished from; None until one is not found in the store.
    found: The latest look; None before the first.
    opened: Its level, where levels were declared for the test rows.
    refused: Why it may not be looked at.
    """

    a: Version
    b: Version
    sides: tuple[Side, Side]
    plan: Plan
    claims: int = 1
    looks: int = 0
    ready: Ready | None = None
    found: Measurement | None = None
    opened: Opened | None = None
    refused: AlphaSpentError | None = None

    def seeds(self) -> tuple[int, ...]:
        """Give the seeds of the latest look."""
        return tuple(range(self.plan[max(0, self.looks - 1)][0]))


def measure_pair(
    store: Store,
    a: Version,
    b: Version,
    *,
    tier: str,
    spec: MeasureSpec,
    context: Context,
    looks: Plan = LOOKS,
) -> Measurement:
    """Measure the change from version a to version b on one tier, or find it measured.

    Args:
        store: Holds both.
        a: The version without the change.
        b: The one with it.
        tier: probe, top-layers or all-layers.
        spec: Margin, metric, method.
        context: Features and caches of their chain.
        looks: When to look; `FIXED` trains a fixed number of seeds.

    Returns:
        The last look that a claim at the plain level needed.

    Raises:
        MeasureError: There is no test row to measure on.
        LockError: The frozen test rows were tampered with.
        finetune.FitError: A fit failed.
    """
    one = _ask(store, a, b, looks)
    found = _measure(store, [[one]], tier=tier, spec=spec, context=context)[0][0]
    if one.refused:
        raise one.refused
    return found


def _measure(
    store: Store,
    asked: Sequence[Sequence[_Asked]],
    *,
    tier: str,
    spec: MeasureSpec,
    context: Context,
) -> list[list[Measurement]]:
    """Measure families of changes on one tier, until no claim of any family asks for more seeds.

    All first looks are taken together, so that their fits are made side by side; then those of the
    claims that are open at the level Holm gives them now. As that level may fall with the fate of
    the others, every claim is asked again after each round.
    """
    waiting = [one for family in asked for one in family]
    while waiting:
        _look(store, waiting, tier=tier, spec=spec, context=context)
        waiting = [one for family in asked for one in _open(family)]
    for one in (one for family in asked for one in family):
        _end(store, one)
        if one.found and one.found.estimate and one.plan == LOOKS and not _is_locked(one):
            one.found = replace(one.found, placebo=_placebo(store, one, spec, context))
    return [_found(family) for family in asked]


def _open(family: Sequence[_Asked]) -> list[_Asked]:
    now = standings(_found(family))
    return [one for one, at in zip(family, now, strict=True) if at == "open"]


def _found(family: Sequence[_Asked]) -> list[Measurement]:
    return [one.found for one in family if one.found is not None]


def _ask(store: Store, a: Version, b: Version, looks: Plan = LOOKS, *, claims: int = 1) -> _Asked:
    if a.lock is None or b.lock is None:
        raise MeasureError("there is no test row, so nothing can be measured; bring a test split")
    return _Asked(a, b, (side_of(store, a), side_of(store, b)), looks, claims)


def _look(
    store: Store, waiting: Sequence[_Asked], *, tier: str, spec: MeasureSpec, context: Context
) -> None:
    """Take the next look of each; what one look of several needs is trained side by side."""
    for one in waiting:
        one.looks += 1
    new = [one for one in waiting if not _known(store, one, tier=tier, spec=spec, context=context)]
    for one in new:
        prepared = one.ready or prepare(
            *one.sides, tier=tier, spec=spec, context=context, looks=one.plan
        )
        if isinstance(prepared, Ready):
            one.ready = prepared
        else:
            one.found = _shown(store, one, prepared, tier, spec, context)
    # The whole of a chain before its steps: with little left it is what counts.
    for one in sorted(new, key=lambda one: one.claims):
        if one.ready:
            _open_level(store, one, tier, one.ready)
    _say_charges(store, new, tier, context)
    for seeds in sorted({one.seeds() for one in new}):
        together = [one.ready for one in new if one.ready and one.seeds() == seeds]
        fit_ahead(together, context, seeds=seeds)
    for one in new:
        if one.ready:
            kept: list[Kept] = []
            one.found = _finish(store, one, one.ready, context, kept.append)
            keep_answers(store, _key(one, tier, spec, context), one.found, kept[0])
        if one.found and not one.refused:
            store.record("impacts", _key(one, tier, spec, context), one.found.as_dict())


def _shown(
    store: Store, one: _Asked, blank: Measurement, tier: str, spec: MeasureSpec, context: Context
) -> Measurement:
    """Add the scores of a task that has no verdict; a look that is charged no alpha."""
    if not no_bank(*(side.rows for side in one.sides)) or not can_show(one.sides[0].rows):
        return blank
    charge(
        store, Look(now(), str(one.a.lock), one.a.id, one.b.id, tier, len(SHOWN_SEEDS), 0.0, 0.0)
    )
    return show_scores(blank, *one.sides, tier=tier, spec=spec, context=context)


def _open_level(store: Store, one: _Asked, tier: str, ready: Ready) -> None:
    """Give a comparison its declared level before its first look; or the reason it has none."""
    subject = (one.a.id, one.b.id, tier, one.plan, *erased_since(one.a), *erased_since(one.b))
    tags = [name for name, version in store.tags().items() if version == one.b.id]
    try:
        one.opened = open_comparison(store, str(one.a.lock), subject, releases=sorted(tags))
    except AlphaSpentError as spent:
        one.refused, one.ready = spent, None
        one.found = replace(ready.blank, reason=str(spent))
        return
    if one.opened:
        told = replace(ready.blank, level=one.opened.level, declared=one.opened.note)
        one.ready = replace(ready, blank=told)


def _end(store: Store, one: _Asked) -> None:
    """Write down how a comparison at a declared level ended."""
    if one.opened and one.found and one.found.estimate:
        called = claim(one.found).verdict in {"better", "worse"}
        end_comparison(store, str(one.a.lock), one.opened, p=p_of_claim(one.found), called=called)


def _is_locked(one: _Asked) -> bool:
    return one.opened is not None and one.opened.release is not None


def _known(store: Store, one: _Asked, *, tier: str, spec: MeasureSpec, context: Context) -> bool:
    known = store.recorded("impacts", _key(one, tier, spec, context))
    if known is not None:
        before = one.found.fits if one.found else 0
        one.found = Measurement.from_dict(known)
        context.counters.fits_cached += one.found.fits - before
    return known is not None


def _key(one: _Asked, tier: str, spec: MeasureSpec, context: Context) -> str:
    return schema.hash_fields(
        MEASURE_VERSION, one.a.id, one.b.id, tier, spec.method, spec.metric, spec.margin,
        list(one.seeds()), [list(look) for look in one.plan], context.model.revision,
        context.model.numerics, *erased_since(one.a), *erased_since(one.b),
        *(f"{name}={value!r}" for name, value in sorted(spec.training.items())),
        *(("scores 1",) if no_bank(one.sides[0].rows) else ()),
    )  # fmt: skip


def erased_since(version: Version) -> tuple[str | None, ...]:
    """Give what tells a version from what it was before rows were erased from it."""
    return () if version.superseded is None else (version.content, version.lock)


def _placebo(
    store: Store, one: _Asked, spec: MeasureSpec, context: Context
) -> Mapping[str, Any] | None:
    """Give what random changes of its kind show beside this one, or find it; None for others."""
    key = schema.hash_fields(
        PLACEBO_VERSION, one.a.content, one.b.content, one.a.lock, context.model.revision,
        context.model.numerics,
    )  # fmt: skip
    known = store.recorded("placebos", key)
    if known is None:
        ready = one.ready or prepare(*one.sides, tier="probe", spec=spec, context=context)
        asked = None
        if isinstance(ready, Ready) and kind_of_change(ready):
            asked = placebo(replace(ready, fit=fit_spec("probe", spec, context)), context)
        known = {"found": asked.as_dict() if asked else None}
        store.record("placebos", key, known)
    found: Mapping[str, Any] | None = known["found"]
    return found


def keep_answers(store: Store, key: str, found: Measurement, kept: Kept) -> None:
    """Keep what was predicted beside the measurement, for other right answers than these."""
    about = {"before": found.before, "after": found.after, "tier": found.tier, "spec": found.spec}
    store.record("answers", key, {**about, "kept": kept.as_dict()})


def _finish(
    store: Store, one: _Asked, ready: Ready, context: Context, keep: Callable[[Kept], None]
) -> Measurement:
    # Written down before the look, so that a look that is killed counts too.
    charge(store, _charged(one, ready.fit.tier, touched=one.plan == LOOKS))
    counted = len(one.found.seeds) if one.found else 0
    found = finish(ready, context, seeds=one.seeds(), counted=counted, keep=keep)
    found = with_equal_epochs(found, ready, context)
    return with_row_choice(found, ready, context) if one.plan == LOOKS else found


def _charged(one: _Asked, tier: str, *, touched: bool) -> Look:
    """Say what the next look costs: an even part of the family's alpha, and that look's share."""
    level = one.opened.level * one.opened.charged if one.opened else ALPHA / one.claims
    alpha = level * share_at(one.plan, len(one.seeds()))
    return Look(
        now(), str(one.a.lock), one.a.id, one.b.id, tier, len(one.seeds()), alpha, alpha * touched
    )


def _say_charges(store: Store, new: Sequence[_Asked], tier: str, context: Context) -> None:
    """Say what looks will be charged, before anything is trained for them."""
    looks = [_charged(one, tier, touched=one.plan == LOOKS) for one in new if one.ready]
    if not looks:
        return
    seeds = " and ".join(str(n) for n in sorted({look.seeds for look in looks}))
    whole, touched = sum(x.alpha for x in looks), sum(x.alpha_touched for x in looks)
    classes = f", and {percent(touched)} for the classes they touch" if touched else ""
    context.progress.say(
        f"ledger  {tier}, {counted(len(looks), 'look')} at {seeds} seeds will be charged "
        f"{percent(whole)} of alpha to lock {looks[0].lock[:12]}{classes} (alpha: the allowed "
        "chance of a false call; lock: these test rows)"
    )
    if told := left(store, looks[0].lock):
        context.progress.say(f"ledger  {told}")


def tiers_to_look(
    store: Store, lock: str | None, tiers: Sequence[str], progress: Progress
) -> tuple[str, ...]:
    """Give the tiers that look at test rows: all, or the dearest where alpha was declared."""
    if declared(store, lock) is None or len(tiers) == 1:
        return tuple(tiers)
    progress.say(
        f"ledger  alpha was declared for these test rows: only {tiers[-1]} looks at them, as each "
        "tier would be a comparison (`curator explore` asks the cheap ones)"
    )
    return tuple(tiers[-1:])


def first_used(store: Store, lock: str | None) -> str | None:
    """Say when test rows were first measured on, ISO 8601; None before that."""
    # Looks of outside trainers, and those before there was a ledger, stand in lock_uses.
    use = store.recorded("lock_uses", lock) if lock else None
    dates = [use["first_used"] if use else None, uses(store, lock).first]
    return min((date for date in dates if date), default=None)


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
        (step name, "whole chain" or "since tag NAME", impact): per tier the steps under Holm's
        correction, then the whole chain and what came since the last tag, each at the plain level.
    """
    first, last = chain[0][1], chain[-1][1]
    release = last_release(store, last)
    for tier in tiers_to_look(store, first.lock, spec.tiers, progress):
        steps = list(itertools.pairwise(chain))
        families = [
            [_ask(store, before, after, claims=len(steps)) for (_, before), (_, after) in steps]
        ]
        others = [(WHOLE_CHAIN, first)] if len(steps) > 1 else []
        if release and release[1].id != first.id:  # since the import it is the whole chain
            others.append((f"{SINCE_TAG} {release[0]}", release[1]))
        families += [[_ask(store, before, last)] for _, before in others]
        progress.say(f"measure {len(steps)} steps and the whole of them ({tier})")
        found = _measure(store, families, tier=tier, spec=spec, context=context)
        named = [name for _, (name, _) in steps]
        claims = list(zip(named, claim_together(found[0]), strict=True))
        if len(steps) == 1:  # the chain is the step
            claims.append((WHOLE_CHAIN, claim(found[0][0])))
        claims += [
            (name, claim(family[0])) for (name, _), family in zip(others, found[1:], strict=True)
        ]
        for name, impact in claims:
            progress.say(f"impact  {tier}, {name}: {impact.sentence}")
            if impact.next:
                progress.say(f"        {impact.next}")
            yield name, impact


def last_release(store: Store, head: Version) -> tuple[str, Version] | None:
    """Give the tag made last, and its version, among those on the same frozen test rows.

    A tag on the head itself is that of the release now measured, so the one before it counts.
    """
    tagged = [
        (refs.tag_time(store.folder, n), n, store.version(v)) for n, v in store.tags().items()
    ]
    known = [
        (time, name, version)
        for time, name, version in tagged
        if version.id != head.id and version.lock == head.lock
    ]
    if not known:
        return None
    _, name, version = max(known, key=lambda one: one[:2])
    return name, version


def visible(tier: str, rows: int, steps: int, level: float | None) -> tuple[str, str]:
    """Say the smallest effect that the last look shows, and at which level.

    Args:
        tier: probe, top-layers or all-layers.
        rows: Number of test rows.
        steps: Steps that are judged together where no level is declared.
        level: The declared level of the next comparison; None where none is.
    """
    if level == 0:
        return "none", "the alpha declared for them is spent"
    if level is None:
        seen = visible_at_last_look(tier, rows=rows, claims=steps)
        return f"{points(seen)} points", f"{steps} steps judged together"
    seen = planned_effect(tier, rows=rows, seeds=MOST_SEEDS, alpha=level * LAST_SHARE)
    return f"{points(seen)} points", f"each comparison at the declared {percent(level)}"


def say_what_can_be_seen(
    store: Store, version: Version, spec: MeasureSpec, steps: int, progress: Progress
) -> None:
    """Declare what the test rows may be asked, and say which effects they can show.

    Raises:
        MeasureError: Something else was declared of them, or they were looked at before.
    """
    rows = version.splits.get("test", 0)
    if spec.alpha and version.lock:
        declare(store, version.lock, Declared(**spec.alpha))
    margin = spec.margin if spec.margin is not None else default_margin(rows)
    used = first_used(store, version.lock)
    when = f"first used {used}" if used else "not used yet"
    erased = f" (as erasure {version.superseded} left them)" if version.superseded else ""
    progress.say(f"test    {rows:,} frozen rows{erased}, lock {str(version.lock)[:12]}, {when}")
    if version.task not in MEASURED:
        shown = "scores of both sides, seed by seed" if version.task in SCORES else "nothing"
        progress.say(
            f"test    task {version.task} has no verdict yet (no A/A bank); shown: {shown}"
        )
    for tier in spec.tiers if version.task in MEASURED else ():
        if rows < MIN_ROWS:
            progress.say(f"test    {tier}: no verdict can rest on {rows} rows; add test rows")
            continue
        seen, company = visible(tier, rows, steps, next_level(store, version.lock))
        progress.say(
            f"test    {tier}: the smallest effect these rows can show is {seen} ({company}, up to "
            f"{MOST_SEEDS} seeds), if they differ enough from each other; margin "
            f"{points(margin)} points"
        )
    progress.say(f"ledger  {uses(store, version.lock).sentence()}")
    if told := left(store, version.lock):
        progress.say(f"ledger  {told}")
