"""Compare two versions by name: find their spec and common root, measure, claim.

The spec comes from a recipe where one is given, else from the run that made the second version, or
the nearest one before it (people's edits and verdicts are no run).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curator.about import find_about
from curator.context import Context, hold_caches
from curator.errors import MeasureError
from curator.impact.claim import Impact, claim
from curator.impact.ledger import Uses, uses
from curator.impact.measure import first_used, measure_pair, tiers_to_look
from curator.impact.sequence import LOOKS, Plan
from curator.options import unknown_name
from curator.progress import SILENT, Progress
from curator.recipe import TIERS, MeasureSpec, Recipe, load
from curator.versions.manifest import Version
from curator.versions.store import Store
from curator.versions.superseding import lock_notes


@dataclass(frozen=True, slots=True)
class Compared:
    """What was claimed of one change.

    impacts: One per tier, the dearest last.
    first_used: When these test rows were first measured on, ISO 8601.
    work: What was computed now, and what was found in the cache.
    test_uses: All looks at these test rows, and the alpha they were charged.
    """

    impacts: tuple[Impact, ...]
    first_used: str | None
    work: dict[str, int]
    test_uses: Uses | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the dearest impact as JSON values; cheaper tiers stand under `screens`."""
        return {
            **self.impacts[-1].as_dict(),
            "screens": [impact.as_dict() for impact in self.impacts[:-1]],
            "first_used": self.first_used,
            "test_uses": self.test_uses.as_dict() if self.test_uses else None,
            "work": self.work,
        }


def compare(
    store: Store,
    a: str,
    b: str,
    *,
    tier: str | None = None,
    recipe: Path | Recipe | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Say what the change from version a to version b did to the model.

    Args:
        store: Holds both.
        a: Version, branch or tag without the change.
        b: The one with it.
        tier: probe, top-layers or all-layers; None takes the dearest of the spec.
        recipe: Gives the spec; None takes the one kept with b, or nearest before it.
        progress: Told what happens.

    Returns:
        The impact as JSON values; cheaper tiers stand under `screens`.

    Raises:
        MeasureError: The tier is unknown, or nothing can be measured.
    """
    return comparison(store, a, b, tier=tier, recipe=recipe, progress=progress).as_dict()


def comparison(
    store: Store,
    a: str,
    b: str,
    *,
    tier: str | None = None,
    recipe: Path | Recipe | None = None,
    looks: Plan = LOOKS,
    progress: Progress = SILENT,
) -> Compared:
    """Claim what `compare` says, tier by tier; looks are those of `sequence`, the rest as there."""
    before, after = store.version(a), store.version(b)
    for note in lock_notes(before, after):
        progress.say(f"measure {note}")
    if tier is not None and tier not in TIERS:
        raise MeasureError(unknown_name("measure", "tier", tier, TIERS))
    spec, context = spec_and_context(store, before, after, recipe, progress)
    dearest = tier or spec.tiers[-1]
    cheaper = [t for t in TIERS[: TIERS.index(dearest)] if t in spec.tiers]
    tiers = tiers_to_look(store, before.lock, (*cheaper, dearest), progress)
    found = tuple(
        claim(measure_pair(store, before, after, tier=one, spec=spec, context=context, looks=looks))
        for one in tiers
    )
    hold_caches(context)
    return Compared(
        found,
        first_used(store, before.lock),
        context.counters.as_dict(),
        uses(store, before.lock),
    )


def spec_and_context(
    store: Store,
    before: Version,
    after: Version,
    recipe: Path | Recipe | None,
    progress: Progress,
) -> tuple[MeasureSpec, Context]:
    """Give what a comparison rests on: a recipe's, else that of the run nearest before `after`.

    Raises:
        MeasureError: No recipe is given, and no run is known of `after` or a version before it.
    """
    spec, language, base = _spec(store, after, recipe, progress)
    context = Context(
        cache=store.cache,
        root=store.rows(root_of(store, before)),
        model_name=spec.model,
        language=language,
        base=base,
        progress=progress,
    )
    return spec, context


def root_of(store: Store, version: Version) -> Version:
    """Give the version without parent that a version goes back to."""
    while version.parents:
        version = store.version(version.parents[0])
    return version


def _spec(
    store: Store, version: Version, recipe: Path | Recipe | None, progress: Progress
) -> tuple[MeasureSpec, str | None, Path]:
    if recipe is not None:
        loaded = recipe if isinstance(recipe, Recipe) else load(recipe)
        return loaded.measure or MeasureSpec(), loaded.language, loaded.base
    for before in store.ancestry(version):
        if (about := find_about(store, before.id)) is not None:
            if before.id != version.id:
                progress.say(
                    f"measure no recipe made {version.short} ({version.step.name}); the spec is "
                    f"that of the run that made {before.short}, before it"
                )
            return about.measure or MeasureSpec(), about.language, about.base
    raise MeasureError(
        f"no run is known that made version {version.short} or one before it, so the spec is not "
        "known; name a recipe with --recipe"
    )
