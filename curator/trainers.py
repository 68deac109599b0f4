"""Compare two versions by anybody's trainer: a command that is run, or two files of its answers.

The one idea: what an outside trainer answered is measured once and kept by its content, beside the
measurements of our own tiers; a command is run look by look, and only where it was not run before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from curator import schema
from curator.comparing import Compared, spec_and_context
from curator.context import Context
from curator.errors import MeasureError
from curator.impact.answers import read_answers
from curator.impact.budget import Opened, end_comparison, open_comparison
from curator.impact.claim import Measurement, claim, p_of_claim, points
from curator.impact.design import Side
from curator.impact.ledger import Look, charge, now, uses
from curator.impact.measure import (
    MEASURE_VERSION,
    erased_since,
    first_used,
    keep_answers,
    side_of,
)
from curator.impact.outside import (
    Comparable,
    Scores,
    answer_file,
    compare_scores,
    kept_answers,
    prepare_outside,
    training_file,
)
from curator.impact.planning import planned_effect
from curator.impact.sequence import LOOKS, Plan, share_at
from curator.impact.statistics import ALPHA
from curator.impact.trainer import Job, Run, Trainer, run_trainer
from curator.progress import SILENT, Progress
from curator.versions.store import Store


@dataclass(frozen=True, slots=True)
class Outside:
    """Who trains instead of us: exactly one of the two is given.

    scores: Files with the answers after training on the first and on the second version.
    trainer: A command that trains and answers.
    seeds: Number of paired seeds the command is run under; None: look by look.
    """

    scores: tuple[Path, Path] | None = None
    trainer: Trainer | None = None
    seeds: int | None = None

    def plan(self, looks: Plan) -> Plan:
        """Give the looks: those wanted, or the one that a fixed number of seeds leaves."""
        return looks if self.seeds is None else ((self.seeds, 1.0),)


def outside(
    scores: tuple[Path, Path] | None,
    train_with: str | None,
    *,
    seeds: int | None = None,
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
    if seeds is not None and seeds < 2:  # noqa: PLR2004 - noise cannot be told from one
        raise MeasureError(f"--seeds {seeds}: expected 2 or more; noise cannot be told from one")
    trainer = Trainer(train_with, files, time_limit_s)
    trainer.arguments()
    return Outside(trainer=trainer, seeds=seeds)


def outside_comparison(
    store: Store,
    a: str,
    b: str,
    *,
    by: Outside,
    recipe: Path | None = None,
    looks: Plan = LOOKS,
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
        looks: When to look at more seeds of a command.
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
        ledger = _Ledger(store, before.lock, (*erased_since(before), *erased_since(after)))
        found = (
            _answered(ledger, found, by.scores, context)
            if by.trainer is None
            else _trained(ledger, found, by.trainer, by.plan(looks), context)
        )
    return Compared(
        (claim(found),),
        first_used(store, before.lock),
        context.counters.as_dict(),
        uses(store, before.lock),
    )


@dataclass(slots=True)
class _Ledger:
    """Where measurements on one pair of versions are kept.

    lock: Lock of the test rows that are looked at.
    erased: What tells the versions from what they were before rows were erased from them.
    opened: The level of the comparison, where levels were declared for the test rows.
    """

    store: Store
    lock: str
    erased: tuple[str | None, ...]
    opened: Opened | None = None

    def levelled(self, ready: Comparable, spec: str) -> Comparable:
        """Give the comparison its declared level, where levels were declared.

        Raises:
            AlphaSpentError: None is left.
        """
        blank = ready.blank
        subject = (blank.before, blank.after, spec, blank.plan, *self.erased)
        tags = [name for name, version in self.store.tags().items() if version == blank.after]
        self.opened = open_comparison(self.store, self.lock, subject, releases=sorted(tags))
        if self.opened is None:
            return ready
        note = self.opened.note
        return replace(ready, blank=replace(blank, level=self.opened.level, declared=note))

    def keep(
        self, key: str, found: Measurement, ready: Comparable, sides: tuple[Scores, Scores]
    ) -> None:
        """Keep a measurement, and the predictions it rests on for other right answers."""
        self.store.record("impacts", key, found.as_dict())
        kept = kept_answers(ready, *sides)
        if kept is not None:
            keep_answers(self.store, key, found, kept)

    def end(self, found: Measurement) -> None:
        """Write down how the comparison ended, where it has a declared level."""
        if self.opened is not None and found.estimate is not None:
            called = claim(found).verdict in {"better", "worse"}
            p = p_of_claim(found)
            end_comparison(self.store, self.lock, self.opened, p=p, called=called)

    def key(self, ready: Comparable, context: Context, spec: str, seeds: Sequence[int]) -> str:
        """Give the place of a measurement under these seeds."""
        blank = ready.blank
        return schema.hash_fields(
            "outside 1", MEASURE_VERSION, blank.before, blank.after, spec, blank.margin,
            list(seeds), [list(look) for look in blank.plan], context.model.revision,
            context.model.numerics, *self.erased,
        )  # fmt: skip

    def use(self, ready: Comparable, spec: str, seeds: int) -> None:
        """Write a look down before it is taken, so that one that is killed counts too."""
        blank = ready.blank
        level = ALPHA if self.opened is None else self.opened.level * self.opened.charged
        alpha = level * share_at(blank.plan, seeds)
        tier = f"{blank.tier} {spec[:12]}"
        look = Look(now(), self.lock, blank.before, blank.after, tier, seeds, alpha, alpha)
        charge(self.store, look)


def _answered(
    ledger: _Ledger,
    ready: Comparable,
    paths: tuple[Path, Path] | None,
    context: Context,
) -> Measurement:
    """Measure from two files of answers."""
    assert paths is not None
    before, after = (
        read_answers(path, ready.asked(side))
        for path, side in zip(paths, (ready.before, ready.after), strict=True)
    )
    spec = schema.hash_fields(before.digest(), after.digest())
    model = f"answers in {paths[0].name} and {paths[1].name}"
    ready = ledger.levelled(ready, spec)
    key = ledger.key(ready, context, spec, before.seeds)
    ledger.use(ready, spec, len(before.seeds))
    found = compare_scores(ready, before, after, spec=spec, model=model)
    ledger.keep(key, found, ready, (before, after))
    ledger.end(found)
    return found


def _trained(
    ledger: _Ledger, ready: Comparable, trainer: Trainer, plan: Plan, context: Context
) -> Measurement:
    """Run a trainer look by look, until its claim is decided or hopeless."""
    ready = replace(ready, blank=replace(ready.blank, plan=plan))
    spec, model = trainer.spec(), f"trained by `{trainer.command}`"
    ready = ledger.levelled(ready, spec)
    runs = _Runs(ready, trainer, plan, context)
    for count, _ in plan:
        seeds = range(count)
        key = ledger.key(ready, context, spec, seeds)
        known = ledger.store.recorded("impacts", key)
        if known is not None:
            found = Measurement.from_dict(known)
        else:
            ledger.use(ready, spec, count)
            before, after = runs.of(seeds)
            found = compare_scores(ready, before, after, spec=spec, model=model)
            ledger.keep(key, found, ready, (before, after))
        if claim(found).stopped != "open":
            break
    ledger.end(found)
    context.counters.fits_cached += found.fits - len(runs.made)
    return found


@dataclass(slots=True)
class _Runs:
    """The runs of one measurement so far, by side and seed; a later look asks for more."""

    ready: Comparable
    trainer: Trainer
    plan: Plan
    context: Context
    made: dict[tuple[str, int], Run] = field(default_factory=dict)
    spent_s: list[float] = field(default_factory=list)

    def of(self, seeds: Sequence[int]) -> tuple[Scores, Scores]:
        """Run both sides seed by seed, so that what is killed leaves whole pairs."""
        if not self.made:
            _announce(self.ready, self.plan, self.context.progress)
        total = 2 * len(seeds)
        for seed in seeds:
            for name, side, texts in (
                ("before", self.ready.before, self.ready.test.before),
                ("after", self.ready.after, self.ready.test.after),
            ):
                if (name, seed) not in self.made:
                    self._run(_job(self.ready, side, texts, name, seed), (name, seed), total)
        before, after = (
            _joined([self.made[name, seed].scores for seed in seeds])
            for name in ("before", "after")
        )
        return before, after

    def _run(self, job: Job, at: tuple[str, int], total: int) -> None:
        context, started = self.context, time.monotonic()
        run = run_trainer(self.trainer, job, cache=context.cache, progress=context.progress)
        self.made[at] = run
        context.counters.fits += not run.cached
        context.counters.fits_cached += run.cached
        if not run.cached:
            self.spent_s.append(time.monotonic() - started)
        done, spent = len(self.made), self.spent_s
        left = f", about {sum(spent) / len(spent) * (total - done):.0f} s left" if spent else ""
        how = "from the cache" if run.cached else "done"
        ahead = left if done < total else ""
        context.progress.say(f"  {job.name}: {how}, {done} of {total}{ahead}")


def _job(ready: Comparable, side: Side, texts: Sequence[str], name: str, seed: int) -> Job:
    return Job(
        name=f"{name}, seed {seed}",
        train=training_file(side),
        test=answer_file(ready.test.ids, texts),
        seed=seed,
        asked=ready.asked(side),
    )


def _announce(ready: Comparable, plan: Plan, progress: Progress) -> None:
    rows, (seeds, share) = int(ready.fresh.sum()), plan[-1]
    seen = planned_effect("top-layers", rows=rows, seeds=seeds, alpha=ALPHA * share)
    looks = " or ".join(str(count) for count, _ in plan)
    progress.say(
        f"outside {looks} paired seeds, two runs of your trainer each; on {rows:,} test rows they "
        f"can show effects from {points(seen)} points, if it is as noisy as a fine-tune; "
        f"margin {points(ready.blank.margin)} points"
    )


def _joined(runs: Sequence[Scores]) -> Scores:
    kinds = sorted({run.kind for run in runs})
    if len(kinds) > 1:
        raise MeasureError(f"--train-with: gave {' and '.join(kinds)} under different seeds")
    by_seed = {seed: told for run in runs for seed, told in run.by_seed.items()}
    return replace(runs[0], by_seed=by_seed, cpu_s=sum(run.cpu_s for run in runs))
