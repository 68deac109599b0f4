"""Compare two versions by anybody's trainer, and let a gate judge what was measured.

The one idea: whether our own tiers trained, a command did, or the answers lay in two files, there
is one measurement, kept once by its content; the gate reads it and trains nothing of its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from curator import schema
from curator.comparing import Compared, comparison, spec_and_context
from curator.context import Context
from curator.errors import MeasureError
from curator.impact.answers import read_answers
from curator.impact.claim import Measurement, claim, points
from curator.impact.design import SEEDS, Side
from curator.impact.gate import Gate, Limits, judge
from curator.impact.groups import MIN_ROWS
from curator.impact.measure import MEASURE_VERSION, first_used, side_of
from curator.impact.outside import (
    Comparable,
    Scores,
    answer_file,
    compare_scores,
    prepare_outside,
    training_file,
)
from curator.impact.planning import planned_effect
from curator.impact.sequence import FIXED, LOOKS, Plan
from curator.impact.statistics import ALPHA
from curator.impact.trainer import Job, Trainer, run_trainer
from curator.progress import SILENT, Progress
from curator.versions.manifest import Version
from curator.versions.store import Store


@dataclass(frozen=True, slots=True)
class Outside:
    """Who trains instead of us: exactly one of the two is given.

    scores: Files with the answers after training on the first and on the second version.
    trainer: A command that trains and answers.
    seeds: The paired seeds the command is run under.
    """

    scores: tuple[Path, Path] | None = None
    trainer: Trainer | None = None
    seeds: tuple[int, ...] = SEEDS


def outside(
    scores: tuple[Path, Path] | None,
    train_with: str | None,
    *,
    seeds: int = len(SEEDS),
    time_limit_s: float | None = None,
    files: str = "jsonl",
) -> Outside | None:
    """Read the options of the command line that name an outside trainer; None where none does.

    Raises:
        MeasureError: Both are given, the command cannot be used, or there are too few seeds.
    """
    if scores is None and train_with is None:
        return None
    if scores is not None and train_with is not None:
        raise MeasureError("--scores and --train-with: give one of them")
    if train_with is None:
        return Outside(scores=scores)
    if seeds < 2:  # noqa: PLR2004 - noise cannot be told from one
        raise MeasureError(f"--seeds {seeds}: expected 2 or more; noise cannot be told from one")
    trainer = Trainer(train_with, files, time_limit_s)
    trainer.arguments()
    return Outside(trainer=trainer, seeds=tuple(range(seeds)))


def outside_comparison(
    store: Store,
    a: str,
    b: str,
    *,
    by: Outside,
    recipe: Path | None = None,
    progress: Progress = SILENT,
) -> Compared:
    """Say what the change from version a to version b did to an outside trainer's model.

    Args:
        store: Holds both.
        a: Version, branch or tag without the change.
        b: The one with it.
        by: Who trains.
        recipe: Gives margin, metric and the features that group test rows; None takes those kept
            with b.
        progress: Told what happens.

    Raises:
        MeasureError: The answers cannot be used, or nothing can be measured.
    """
    before, after = store.version(a), store.version(b)
    if before.lock is None or after.lock is None:
        raise MeasureError("there is no test row, so nothing can be measured; bring a test split")
    spec, context = spec_and_context(store, before, after, recipe, progress)
    sides = side_of(store, before), side_of(store, after)
    found = prepare_outside(*sides, spec=spec, context=context)
    if isinstance(found, Comparable):
        found = _measured(store, before.lock, found, by, context)
    return Compared((claim(found),), first_used(store, before.lock), context.counters.as_dict())


def _measured(
    store: Store, lock: str, ready: Comparable, by: Outside, context: Context
) -> Measurement:
    if by.trainer is not None:
        spec, model = by.trainer.spec(), f"trained by `{by.trainer.command}`"
        key = _key(ready, context, spec, by.seeds)
        known = store.recorded("impacts", key)
        if known is not None:
            context.counters.fits_cached += known["fits"]
            return Measurement.from_dict(known)
        _use(store, lock)
        before, after = _trained(ready, by.trainer, by.seeds, context)
    else:
        assert by.scores is not None
        before, after = (
            read_answers(path, ready.asked(side))
            for path, side in zip(by.scores, (ready.before, ready.after), strict=True)
        )
        spec = schema.hash_fields(before.digest(), after.digest())
        model = f"answers in {by.scores[0].name} and {by.scores[1].name}"
        key = _key(ready, context, spec, before.seeds)
        _use(store, lock)
    found = compare_scores(ready, before, after, spec=spec, model=model)
    store.record("impacts", key, found.as_dict())
    return found


def _key(ready: Comparable, context: Context, spec: str, seeds: Sequence[int]) -> str:
    blank = ready.blank
    return schema.hash_fields(
        "outside 1", MEASURE_VERSION, blank.before, blank.after, spec, blank.margin, list(seeds),
        context.model.revision, context.model.numerics,
    )  # fmt: skip


def _use(store: Store, lock: str) -> None:
    """Note the look before it is taken, so that one that is killed counts too."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    store.record("lock_uses", lock, {"first_used": now})


def _trained(
    ready: Comparable, trainer: Trainer, seeds: Sequence[int], context: Context
) -> tuple[Scores, Scores]:
    """Run a trainer on both sides, seed by seed, so that what is killed leaves whole pairs."""
    _announce(ready, seeds, context.progress)
    jobs = [
        _job(ready, side, texts, name, seed)
        for seed in seeds
        for name, side, texts in (
            ("before", ready.before, ready.test.before),
            ("after", ready.after, ready.test.after),
        )
    ]
    made: list[Scores] = []
    spent: list[float] = []
    for number, job in enumerate(jobs):
        started = time.monotonic()
        run = run_trainer(trainer, job, cache=context.cache, progress=context.progress)
        context.counters.fits += not run.cached
        context.counters.fits_cached += run.cached
        if not run.cached:
            spent.append(time.monotonic() - started)
        made.append(run.scores)
        _tell(context.progress, job, number + 1, len(jobs), spent, cached=run.cached)
    return _joined(made[::2]), _joined(made[1::2])


def _job(ready: Comparable, side: Side, texts: Sequence[str], name: str, seed: int) -> Job:
    return Job(
        name=f"{name}, seed {seed}",
        train=training_file(side),
        test=answer_file(ready.test.ids, texts),
        seed=seed,
        asked=ready.asked(side),
    )


def _announce(ready: Comparable, seeds: Sequence[int], progress: Progress) -> None:
    rows = int(ready.fresh.sum())
    seen = planned_effect("top-layers", rows=rows, seeds=len(seeds))
    progress.say(
        f"outside {2 * len(seeds)} runs of your trainer, {len(seeds)} paired seeds; on {rows:,} "
        f"test rows they can show effects from {points(seen)} points, if it is as noisy as a "
        f"fine-tune; margin {points(ready.blank.margin)} points"
    )


def _tell(
    progress: Progress, job: Job, done: int, total: int, spent: Sequence[float], *, cached: bool
) -> None:
    left = f", about {sum(spent) / len(spent) * (total - done):.0f} s left" if spent else ""
    how = "from the cache" if cached else "done"
    progress.say(f"  {job.name}: {how}, {done} of {total}{left if done < total else ''}")


def _joined(runs: Sequence[Scores]) -> Scores:
    kinds = sorted({run.kind for run in runs})
    if len(kinds) > 1:
        raise MeasureError(f"--train-with: gave {' and '.join(kinds)} under different seeds")
    by_seed = {seed: told for run in runs for seed, told in run.by_seed.items()}
    return replace(runs[0], by_seed=by_seed, cpu_s=sum(run.cpu_s for run in runs))


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
        tier: probe or top-layers; None takes the dearest of the spec.
        recipe: Gives the spec; None takes the one kept with b.
        by: Who trains instead of us; None where we do.
        looks: When to look at more seeds, where we train.
        progress: Told what happens.

    Raises:
        MeasureError: Nothing can be measured, or a tier is asked of an outside trainer.
    """
    if by is None:
        return comparison(store, a, b, tier=tier, recipe=recipe, looks=looks, progress=progress)
    if tier is not None:
        raise MeasureError(f"--tier {tier}: an outside trainer is a tier of its own; leave it out")
    return outside_comparison(store, a, b, by=by, recipe=recipe, progress=progress)


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
        tier: probe or top-layers; None takes the dearest of the spec.
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
        for label in set(store.rows(version)["label"].to_pylist())
    }
    return judge(
        found.impacts[-1].measurement,
        margin=rules.margin,
        limits=rules.limits,
        classes=sorted(classes),
        alpha=rules.alpha,
    )


def _must_be_points(margin: float | None, version: Version) -> None:
    """Refuse a margin that no test row could tell from none: it is a fraction written as points."""
    rows = version.splits.get("test", 0)
    if margin is not None and rows >= MIN_ROWS and margin < 1 / rows / 2:
        raise MeasureError(
            f"--margin {margin * 100:g}: half a test row of {rows:,} is worth more "
            f"({points(1 / rows / 2)} points); margins are in points, so 1 is one in a hundred rows"
        )
