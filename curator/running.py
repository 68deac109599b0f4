"""Run a recipe: import, each step a committed version, each change measured.

The one idea: a step's key is its input version, its options and its code version. What has a key
already is not done again, so a run that was killed goes on after its last finished step.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import connectors
from curator import schema
from curator.about import RunAbout, about_run, keep_about
from curator.comparing import root_of
from curator.context import Context, find_encoder, hold_caches
from curator.errors import MovedError, RecipeError
from curator.execute import execute, model_of, step_version
from curator.impact.claim import Impact
from curator.impact.measure import measure_chain, say_what_can_be_seen
from curator.importing import IMPORT_VERSION, Imported, import_rows
from curator.labels import parents_of
from curator.options import plain, unknown_name
from curator.progress import SILENT, Progress
from curator.putting import REVIEWS
from curator.recipe import Recipe, StepSpec
from curator.registry import needs_of
from curator.reviewing import Ended, end_run, people_on, refuse_reverted
from curator.tasks import task_of
from curator.versions.differences import redelivery
from curator.versions.manifest import StepRecord, Version
from curator.versions.store import Store
from curator.versions.superseding import lines_without_erased, without_erased

BRANCH = "main"


@dataclass(frozen=True, slots=True)
class StepRun:
    """One step of a run and the version it made or found.

    cached: The step was done before and not done again.
    notes: Sentences a person should read.
    """

    name: str
    kind: str
    version: Version
    cached: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did.

    steps: The import first, then each step in the order of the recipe.
    impacts: (step name or "whole chain", impact), tier by tier.
    redelivery: What a new delivery of the sources changed: kind -> rows; empty for a first one.
    quarantine: File with the records that could not be read, or None.
    ended: Where the branch was left: what people did on top, and what of it does not apply.
    """

    recipe: Recipe
    about: RunAbout
    imported: Imported
    steps: tuple[StepRun, ...]
    impacts: tuple[tuple[str, Impact], ...]
    context: Context
    redelivery: dict[str, int]
    quarantine: str | None
    ended: Ended

    @property
    def head(self) -> Version:
        """The last version of the run."""
        return self.steps[-1].version

    def as_dict(self) -> dict[str, Any]:
        """Give the run as JSON values."""
        return {
            "name": self.recipe.name,
            "versions": [
                {"step": s.name, "version": s.version.id, "rows": s.version.rows,
                 "cached": s.cached, "notes": list(s.notes)}
                for s in self.steps
            ],
            "impacts": [{"step": step, **impact.as_dict()} for step, impact in self.impacts],
            "lock": self.head.lock,
            "redelivery": self.redelivery,
            "quarantined": len(self.imported.bad),
            "quarantine": str(self.quarantine) if self.quarantine else None,
            "warnings": list(self.imported.warnings),
            "reviews": self.ended.as_dict(),
            "work": self.context.counters.as_dict(),
        }  # fmt: skip


def run(
    recipe: Recipe,
    store: Store,
    *,
    only: str | None = None,
    measure: bool = True,
    put_back: Sequence[str] = (),
    progress: Progress = SILENT,
) -> RunResult:
    """Run a recipe into a store.

    What people did on the branch, and on the branch `reviews`, is put on again as the last step.

    Args:
        recipe: What to do.
        store: Where versions go.
        only: Name of the one step to run, on the import version; it goes to branch `only-NAME`.
        measure: Whether to train and compare; the recipe may switch it off too.
        put_back: Names of steps that were reverted on the branch and are to be run all the same.
        progress: Told what happens.

    Returns:
        The versions, the impacts, and what there is to say.

    Raises:
        CuratorError: With what to do; versions committed before it stay.
    """
    chosen = _chosen(recipe, only)
    branch = f"only-{only}" if only else BRANCH
    _check_put_back(chosen, put_back)
    refuse_reverted(store, branch, chosen, put_back)
    # The branch does not leave what people did on it, not even while the chain is being made.
    to = None if people_on(store, branch) else branch
    model = recipe.measure.model if recipe.measure else None
    # Before the import, which may take long: a model that is not there is told at once.
    encoder = find_encoder(model, recipe.language, base=recipe.base)
    imported, first, changes, quarantine = do_import(recipe, store, branch, to, progress=progress)
    context = Context(
        cache=store.cache,
        root=store.rows(first.version),
        model_name=model,
        language=recipe.language,
        base=recipe.base,
        progress=progress,
        encoder=encoder,
        tree=parents_of(imported.labels),
    )
    if recipe.measure is not None:
        say_what_can_be_seen(store, first.version, recipe.measure, len(chosen), progress)
    steps = [first]
    for name, step in chosen:
        steps.append(_step(name, step, steps[-1].version, imported, context, store, to))
        _say_step(steps[-2].version, steps[-1], store, progress)
    made = () if to else tuple(step.version.id for step in steps)
    known = {e.version for e in store.entries(branch)} if branch in store.branches() else set()
    ended = end_run(store, branch, steps[-1].version, reviews=only is None, made=made)
    if ended.version.id != steps[-1].version.id:
        done = ended.version.id in known
        steps.append(_people(ended, steps[-1].version, store, progress, cached=done))
    about = about_run(
        recipe, imported, [(s.name, s.kind, s.version, s.notes) for s in steps], quarantine
    )
    keep_about(store, about)
    impacts: tuple[tuple[str, Impact], ...] = ()
    if measure and recipe.measure is not None:
        named = [(s.name, s.version) for s in steps]
        impacts = tuple(measure_chain(store, named, recipe.measure, context, progress=progress))
    progress.say(f"work    {context.counters.sentence()}")
    hold_caches(context)
    return RunResult(
        recipe, about, imported, tuple(steps), impacts, context, changes, quarantine, ended
    )


def _people(
    ended: Ended, chain: Version, store: Store, progress: Progress, *, cached: bool
) -> StepRun:
    """Give what people did on top of the chain as the last step of a run, and say it."""
    counts: dict[str, int] = {}
    for op in store.diff(chain, ended.version)["op"].to_pylist():
        counts[op] = counts.get(op, 0) + 1
    told = ", ".join(f"{n:,} {op}" for op, n in sorted(counts.items())) or "no row changed"
    noun = "change" if ended.people == 1 else "changes"
    notes = [f"{ended.people:,} {noun} of people on top of the recipe: {told}"]
    if ended.lost.num_rows:
        notes.append(
            f"{ended.lost.num_rows:,} decisions of people do not apply to the rows as they are now "
            f"and were not put on: curator rows {chain.short}..{ended.version.short} --action keep"
        )
    progress.say(f"step    {REVIEWS}: {ended.version.rows:,} rows -> {ended.version.short}")
    for note in notes:
        progress.say(f"note    {note}")
    return StepRun(REVIEWS, REVIEWS, ended.version, cached=cached, notes=tuple(notes))


def _check_put_back(chosen: Sequence[tuple[str, StepSpec]], put_back: Sequence[str]) -> None:
    for name in put_back:
        if name not in (known := [step for step, _ in chosen]):
            raise RecipeError(unknown_name("--put-back: the recipe", "step", name, known))


def _chosen(recipe: Recipe, only: str | None) -> list[tuple[str, StepSpec]]:
    named = list(zip(step_names(recipe.steps), recipe.steps, strict=True))
    if only is None:
        return named
    found = [pair for pair in named if pair[0] == only]
    if not found:
        raise RecipeError(unknown_name("--only: the recipe", "step", only, [n for n, _ in named]))
    return found


def step_names(steps: Sequence[StepSpec]) -> list[str]:
    """Name steps by kind; a kind that stands twice gets a number."""
    seen: dict[str, int] = {}
    names = []
    for step in steps:
        seen[step.kind] = seen.get(step.kind, 0) + 1
        names.append(step.kind if seen[step.kind] == 1 else f"{step.kind}-{seen[step.kind]}")
    return names


def do_import(
    recipe: Recipe, store: Store, branch: str, to: str | None, *, progress: Progress = SILENT
) -> tuple[Imported, StepRun, dict[str, int], str | None]:
    """Import the sources and commit them as a version without parent.

    Args:
        recipe: Names the sources.
        store: Where the version goes.
        branch: Its import is the delivery before this one.
        to: The branch to move; None moves none.
        progress: Told what happens.

    Returns:
        The import, its version, what a new delivery changed (kind -> rows), and the quarantine
        file where records could not be read.
    """
    before = import_of(store, branch) or import_of(store, BRANCH)
    previous = store.rows(before) if before else None
    kept: list[str] = []
    imported = import_rows(
        recipe,
        previous=previous,
        quarantine=lambda bad: kept.extend(_quarantine(bad, recipe, store)),
    )
    left = without_erased(store.folder, imported.rows)
    if again := imported.rows.num_rows - left.num_rows:
        progress.say(f"import  {again:,} rows of the sources were erased and are left out")
        imported = replace(imported, rows=left)
    step = StepRecord("import", dict(imported.options), IMPORT_VERSION)
    version = _commit(
        store, to, imported.rows, parents=(), task=recipe.task, step=step,
        decisions=schema.decisions([]), findings=schema.findings([]),
        note={"recipe": recipe.name},
    )  # fmt: skip
    changes, note = dict[str, int](), ""
    if previous is not None and before and imported.redelivered and before.id != version.id:
        delivered = redelivery(previous, imported.rows, keyed=imported.keyed)
        changes, note = delivered.counts, delivered.note
    _say_import(recipe, imported, version, progress)
    if kept:
        bad = len(imported.bad)
        noun = "record" if bad == 1 else "records"
        progress.say(f"import  {bad:,} {noun} set aside -> {kept[0]}")
    if changes:
        named = ", ".join(f"{n:,} {kind}" for kind, n in changes.items())
        progress.say(f"import  against the last delivery: {named}")
        if note:
            progress.say(f"import  {note}")
        _say_lock(before, version, previous, imported, progress)
    cached = before is not None and before.id == version.id
    first = StepRun("import", "import", version, cached=cached)
    return imported, first, changes, kept[0] if kept else None


def _say_lock(
    before: Version | None,
    version: Version,
    previous: pa.Table | None,
    imported: Imported,
    progress: Progress,
) -> None:
    """Say that a new delivery changed the frozen test rows: another test set."""
    if before is None or previous is None or before.lock == version.lock:
        return
    tests = [
        set(rows.filter(pc.equal(rows["split"], "test"))["id"].to_pylist())
        for rows in (previous, imported.rows)
    ]
    gone, new = len(tests[0] - tests[1]), len(tests[1] - tests[0])
    progress.say(
        f"warning the delivery changed the frozen test rows ({gone:,} gone, {new:,} new, the "
        f"others relabelled or edited): the lock {str(before.lock)[:12]} becomes "
        f"{str(version.lock)[:12]}; versions across the two compare on the rows they share"
    )


def import_of(store: Store, ref: str) -> Version | None:
    """Give the import that a branch goes back to; None where there is no such branch."""
    if ref not in store.branches():
        return None
    version = root_of(store, store.version(ref))
    return version if version.step.name == "import" else None


def _quarantine(bad: Sequence[connectors.BadRecord], recipe: Recipe, store: Store) -> list[str]:
    """Keep unreadable records in a file of their own, named by their content."""
    if not bad:
        return []
    lines = [json.dumps(asdict(record), ensure_ascii=False) for record in bad]
    lines = lines_without_erased(store.folder, lines)
    if not lines:
        return []
    data = ("\n".join(lines) + "\n").encode()
    path = f"quarantine/{recipe.name}-{schema.hash_fields(data)[:12]}.jsonl"
    return [store.keep_file(path, data)]


def _commit(store: Store, branch: str | None, rows: Any, **parts: Any) -> Version:
    """Commit a version; the branch moves only where it has not passed that version already.

    Where another writer moved the branch meanwhile and touched no common row, the change is put
    onto what that writer left.
    """
    try:
        return store.commit(branch, rows, only_forward=True, **parts)
    except MovedError as moved:
        return store.retry(moved)


def _step(
    name: str,
    step: StepSpec,
    parent: Version,
    imported: Imported,
    context: Context,
    store: Store,
    branch: str | None,
) -> StepRun:
    key = step_key(name, step, parent, imported, context)
    done = store.recorded("steps", key)
    if done is not None:
        return StepRun(name, step.kind, store.version(done["version"]), cached=True,
                       notes=tuple(done["notes"]))  # fmt: skip
    context.progress.say(f"step    {name}: {parent.rows:,} rows in")
    outcome = execute(
        step, name, store.rows(parent), context, transforms=parent.transforms,
        labels=imported.labels,
    )  # fmt: skip
    told = {"notes": list(outcome.notes), "model": model_of(step, context)}
    version = _commit(
        store, branch, outcome.rows, parents=(parent,), task=parent.task,
        step=StepRecord(name, plain(step.options), step_version(step.kind)),
        decisions=outcome.decisions, findings=outcome.findings, transforms=outcome.transforms,
        note=told,
    )  # fmt: skip
    if version.parents == (parent.id,):  # else it stands on what another writer did meanwhile
        store.record("steps", key, {"version": version.id, **told})
    return StepRun(name, step.kind, version, cached=False, notes=outcome.notes)


def step_key(
    name: str, step: StepSpec, parent: Version, imported: Imported, context: Context
) -> str:
    """Give the key under which a finished step is found again."""
    asked = model_of(step, context)
    texts = {k: list(v.texts) for k, v in imported.labels.items()} if step.kind == "augment" else {}
    model = (asked["revision"], asked["numerics"]) if asked else ()
    more = [context.tree] if context.tree and "tree" in needs_of(step.kind, step.options) else []
    return schema.hash_fields(
        parent.id,
        step.kind,
        name,
        plain(step.options),
        step_version(step.kind),
        model,
        texts,
        *more,
    )


def _say_import(
    recipe: Recipe,
    imported: Imported,
    version: Version,
    progress: Progress,
) -> None:
    splits = imported.rows["split"].value_counts().to_pylist()
    counts = ", ".join(f"{s['counts']:,} {s['values']}" for s in splits)
    task = task_of(imported.rows)
    kinds = f", {len(task.labels(imported.rows))} classes" if task.has_label else ""
    progress.say(f"import  {version.rows:,} rows ({counts}){kinds} -> {version.id[:12]}")
    if imported.split_made and imported.redelivered:
        progress.say(
            "import  no source brings test rows: those set apart at the first delivery stay "
            "frozen, new rows train"
        )
    elif imported.split_made:
        progress.say(
            f"import  no source brings test rows: {recipe.split.test:.0%} were set apart by class "
            "and near-duplicate group, and are frozen from now on"
        )
    for warning in imported.warnings:
        progress.say(f"warning {warning}")


def _say_step(parent: Version, done: StepRun, store: Store, progress: Progress) -> None:
    counts: dict[str, int] = {}
    decisions = store.decisions(done.version)
    for action, reason in zip(
        decisions["action"].to_pylist(), decisions["reason"].to_pylist(), strict=True
    ):
        told = f"{action} ({reason})"
        counts[told] = counts.get(told, 0) + 1
    named = "; ".join(f"{n:,} {told}" for told, n in sorted(counts.items())) or "nothing to change"
    how = "done before" if done.cached else "done"
    progress.say(
        f"step    {done.name} ({how}): {parent.rows:,} -> {done.version.rows:,} rows; {named}"
        f" -> {done.version.id[:12]}"
    )
    for note in done.notes:
        progress.say(f"note    {note}")
