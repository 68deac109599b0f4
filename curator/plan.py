"""What a run would do: per step rows, embeddings and fits, what of it is done, and the time.

Nothing is written. Where a step has not run, its rows are not known; an upper bound is told.
"""

from __future__ import annotations

from typing import Any

import finetune
from curator.context import Context
from curator.declared import Declared
from curator.errors import CuratorError
from curator.impact.budget import left, next_level
from curator.impact.design import fit_spec
from curator.impact.ledger import percent
from curator.impact.measure import visible
from curator.impact.planning import default_margin
from curator.impact.sequence import MOST_SEEDS
from curator.impact.statistics import ALPHA
from curator.importing import Imported, import_rows
from curator.labels import parents_of
from curator.recipe import Recipe, StepSpec
from curator.registry import MODEL_NEEDS, needs_of
from curator.reviewing import kept_by_a_run
from curator.running import BRANCH, import_of, step_key, step_names
from curator.tasks import task_of
from curator.versions.manifest import Version
from curator.versions.store import Store

# CPU seconds, measured on two cores (docs/log.md): per embedded text, per fit and 1,000 rows.
EMBED_S = 0.005
CROSSFIT_S = 0.6
_SHOWN = 5
FIT_S = {"probe": 0.15, "top-layers": 12.0, "all-layers": 36.0}


def plan(recipe: Recipe, store: Store | None, *, cache: Any) -> dict[str, Any]:
    """Say what a run of a recipe would do.

    Args:
        recipe: The recipe.
        store: The store it would go to, where there is one.
        cache: Its cache folder.

    Returns:
        steps: per step its state (done or new), rows (an upper bound where marked in `notes`),
        embeddings to compute, fits new and cached, CPU seconds; notes: sentences.
    """
    first = import_of(store, BRANCH) if store else None
    previous = store.rows(first) if store and first else None
    imported = import_rows(recipe, previous=previous)
    context = Context(
        cache=cache,
        root=imported.rows,
        model_name=recipe.measure.model if recipe.measure else None,
        language=recipe.language,
        base=recipe.base,
        tree=parents_of(imported.labels),
    )
    missing = finetune.count_missing(
        task_of(imported.rows).input_text(imported.rows).to_pylist(), context.model, cache=cache
    )
    steps = _steps(recipe, imported, context, store, first, missing)
    notes = _notes(recipe, imported, context, store, first)
    if recipe.measure is not None:
        seconds = sum(step["cpu_s"] for step in steps)
        notes.append(f"cost: about {seconds:,.0f} CPU seconds in all, an upper bound like the fits")
    notes += _people(store) if store else []
    return {"name": recipe.name, "steps": steps, "notes": notes}


def _people(store: Store) -> list[str]:
    """Say which changes of people a run would put on again."""
    kept, entries = kept_by_a_run(store, BRANCH), store.first_entries()
    if not kept:
        return []
    told = [
        f"{version.step.name} {version.short}"
        + (f" by {entries[version.id].author}" if version.id in entries else "")
        for version in kept
    ]
    noun = "change" if len(kept) == 1 else "changes"
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    note = (
        f"{len(kept):,} {noun} of people would be put on as the last step, where the rows still "
        f"read as they did: {', '.join(told[:_SHOWN])}{more}"
    )
    return [note]


def _steps(
    recipe: Recipe,
    imported: Imported,
    context: Context,
    store: Store | None,
    first: Version | None,
    missing: int,
) -> list[dict[str, Any]]:
    rows = imported.rows.num_rows
    at = first if first and first.rows == rows else None
    entry = {"step": "import", "state": "read again", "rows": rows, "embeddings": 0, "fits": 0,
             "fits_cached": 0, "cpu_s": round(rows * 1e-4, 1)}  # fmt: skip
    entries = [entry]
    for name, step in zip(step_names(recipe.steps), recipe.steps, strict=True):
        done = None
        if store and at:
            known = store.recorded("steps", step_key(name, step, at, imported, context))
            done = store.version(known["version"]) if known else None
        rows = done.rows if done else rows
        entries.append(_entry(name, step, rows, done, recipe, missing))
        if _embeds(step) and not done:
            missing = 0
        at = done
    return entries


def _embeds(step: StepSpec) -> bool:
    return step.kind == "augment" or bool(MODEL_NEEDS & set(needs_of(step.kind, step.options)))


def _entry(
    name: str, step: StepSpec, rows: int, done: Version | None, recipe: Recipe, missing: int
) -> dict[str, Any]:
    tiers = recipe.measure.tiers if recipe.measure else ()
    fits = MOST_SEEDS * len(tiers)
    embeddings = missing if _embeds(step) and not done else 0
    seconds = embeddings * EMBED_S
    if not done:
        seconds += CROSSFIT_S * rows / 1000 * _embeds(step)
        seconds += sum(FIT_S[t] * rows / 1000 * MOST_SEEDS for t in tiers)
    return {
        "step": name,
        "state": "done" if done else "new",
        "rows": rows,
        "embeddings": embeddings,
        "fits": 0 if done else fits,
        "fits_cached": fits if done else 0,
        "cpu_s": round(seconds, 1),
    }


def _notes(
    recipe: Recipe,
    imported: Imported,
    context: Context,
    store: Store | None,
    first: Version | None,
) -> list[str]:
    notes = [
        "rows of new steps are upper bounds: what a step drops is known when it has run",
        f"so are fits: {MOST_SEEDS} seeds are the last look, what is decided before takes fewer",
        f"features: {context.model_note()}",
        *imported.warnings,
    ]
    if recipe.measure is None:
        return [*notes, "nothing would be measured (`measure: false`)"]
    test = imported.rows["split"].to_pylist().count("test")
    margin = recipe.measure.margin or default_margin(test)
    notes.append(f"{test:,} test rows; smallest change worth acting on: {margin * 100:.1f} points")
    lock = first.lock if first else None
    level = next_level(store, lock) if store else None
    if level is None and recipe.measure.alpha:
        level = Declared(**recipe.measure.alpha).first_level()
    for tier in recipe.measure.tiers:
        try:
            fit_spec(tier, recipe.measure, context)
            seen, company = visible(tier, test, len(recipe.steps), level)
        except (CuratorError, finetune.FitError) as fault:
            notes.append(f"{tier}: {fault}")
            continue
        notes.append(
            f"{tier}: the smallest effect that can be relied on to show is {seen} "
            f"({company}, up to {MOST_SEEDS} seeds)"
        )
        if tier != "probe" and not context.is_encoder:
            notes.append(f"{tier}: not measurable, {context.no_encoder()}")
    return [*notes, _alpha_note(recipe, store, lock)]


def _alpha_note(recipe: Recipe, store: Store | None, lock: str | None) -> str:
    """Say what a run's looks will be charged to the test rows, at most."""
    steps, tiers = len(recipe.steps), recipe.measure.tiers if recipe.measure else ()
    told = left(store, lock) if store else None
    if told is None and recipe.measure and recipe.measure.alpha:
        told = f"declared by this run: {Declared(**recipe.measure.alpha).words()}"
    if told is not None:
        return (
            f"alpha: {told}; a run opens up to {steps + (steps > 1)} comparisons that are new, the "
            f"whole chain first, on {tiers[-1]} only"
        )
    each = ALPHA * (1 + (steps > 1))
    return (
        f"alpha: up to {percent(each)} will be charged per tier ({percent(ALPHA)} for the steps "
        f"together, by Holm, and {percent(ALPHA)} for the whole chain), and as much again for the "
        "classes they touch; `measure: alpha:` declares shares that are kept to"
    )
