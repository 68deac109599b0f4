"""Try a change without touching the test rows: a grouped cross-fit of the training rows.

The one idea: a training row that both versions hold unchanged can be answered by models that never
saw its group, once for each version. That may be asked as often as one likes, as it spends no alpha
of the frozen test rows; and it claims nothing, as training labels are what is in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import finetune
from curator import schema
from curator.comparing import spec_and_context
from curator.context import Context
from curator.errors import MeasureError
from curator.impact.banks import refuse_other_tasks
from curator.impact.design import GROUP_SEED, Side, fit_spec
from curator.impact.groups import item_groups
from curator.impact.planning import default_margin
from curator.impact.statistics import FloatArray, crossed, interval, verdict
from curator.impact.trials import training_of
from curator.options import unknown_name
from curator.progress import SILENT, Progress
from curator.recipe import TIERS
from curator.tasks import TASKS
from curator.versions.store import Store

FOLDS = 5
SEEDS = (0, 1, 2)


def explore(
    store: Store,
    a: str,
    b: str,
    *,
    folds: int = FOLDS,
    tier: str = "probe",
    recipe: Path | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Screen the change from version a to version b on held-out training rows.

    Args:
        store: Holds both.
        a: Version, branch or tag without the change.
        b: The one with it.
        folds: Parts of the training rows; near-duplicates are in one part.
        tier: probe, top-layers or all-layers.
        recipe: Gives the spec; None takes the one kept with b.
        progress: Told what happens.

    Returns:
        JSON values; `kind` is `screen` and `verdict` a word about these training rows only.

    Raises:
        MeasureError: Too few training rows are the same in both versions, the tier is unknown or
            cannot be had, or there are fewer than two folds, or more than groups.
    """
    if tier not in TIERS:
        raise MeasureError(unknown_name("explore", "tier", tier, TIERS))
    before, after = store.version(a), store.version(b)
    for version in (before, after):
        refuse_other_tasks(version, "explore")
    spec, context = spec_and_context(store, before, after, recipe, progress)
    if tier != "probe" and not context.is_encoder:
        raise MeasureError(f"--tier {tier}: {context.no_encoder()}; take --tier probe")
    sides = [Side(v.id, store.rows(v), v.transforms) for v in (before, after)]
    held = _unchanged(*sides)
    if not 2 <= folds <= len(set(held["group"].to_pylist())):  # noqa: PLR2004 - one trains nothing
        raise MeasureError(
            f"{folds} folds; expected 2 up to the number of groups of near-duplicates among the "
            f"training rows both versions share ({len(set(held['group'].to_pylist()))})"
        )
    labels = held["label"].to_pylist()
    groups = item_groups(labels, context.embed(held["text"].to_pylist()), seed=GROUP_SEED)
    if groups.unusable:
        raise MeasureError(f"of the training rows both versions share, {groups.unusable}")
    fit = fit_spec(tier, spec, context)
    one, other = (_right(side, held, folds, fit, context) for side in sides)
    estimate = crossed(other - one, groups.groups)
    low, high = interval(estimate)
    margin = spec.margin if spec.margin is not None else default_margin(len(labels))
    word = verdict(low, high, margin)
    return {
        "kind": "screen", "before": before.id, "after": after.id, "tier": tier,
        "metric": "accuracy", "effect": estimate.effect, "low": low, "high": high,
        "verdict": word, "margin": margin, "rows": len(labels), "folds": folds,
        "seeds": list(SEEDS), "before_score": float(one.mean()), "after_score": float(other.mean()),
        "sentence": (
            f"Screen, no verdict ({word}): {100 * estimate.effect:+.2f} points "
            f"[{100 * low:+.2f}, {100 * high:+.2f}] on {len(labels):,} training rows that both "
            f"versions hold unchanged, each answered by models ({tier}) that never saw its "
            f"group, in {folds} folds, against "
            "the labels they were given; no test row was looked at and no alpha was charged."
        ),
    }  # fmt: skip


def _unchanged(before: Side, after: Side) -> pa.Table:
    """Give the training rows of equal input and label in both versions."""
    task = TASKS["classification"]
    sides = []
    for side in (before, after):
        train = side.train()
        hashes = schema.content_hashes(train, task)
        sides.append(dict(zip(train["id"].to_pylist(), hashes, strict=True)))
    train = before.train()
    keep = [sides[1].get(row) == sides[0][row] for row in train["id"].to_pylist()]
    return train.filter(pa.array(keep))


def _fold(group: str, folds: int) -> int:
    return int(schema.hash_fields("explore", group)[:8], 16) % folds


def _right(
    side: Side, held: pa.Table, folds: int, fit: finetune.FitSpec, context: Context
) -> FloatArray:
    """Say which held rows a version's models answer right, each without its fold, shape (s, n)."""
    train = side.train()
    own = np.array([_fold(group, folds) for group in train["group"].to_pylist()])
    of = np.array([_fold(group, folds) for group in held["group"].to_pylist()])
    texts, labels = held["text"].to_pylist(), np.array(held["label"].to_pylist(), dtype=object)
    right = np.zeros((len(SEEDS), len(texts)))
    for fold in range(folds):
        at = np.flatnonzero(of == fold)
        if len(at):
            training = training_of(train.filter(pa.array(own != fold)))
            answers = _answers(training, [texts[i] for i in at], fit, context)
            right[:, at] = answers == labels[at]
    return right


def _answers(
    training: finetune.Training, texts: Sequence[str], fit: finetune.FitSpec, context: Context
) -> Any:
    classes = tuple(sorted(set(training.labels)))
    found = finetune.fit_scores(
        training, list(texts), classes=classes, spec=fit, seeds=SEEDS, model=context.model,
        projection=context.projection if fit.tier == "probe" else None, cache=context.cache,
    )  # fmt: skip
    context.counters.fits += sum(not one.cached for one in found)
    context.counters.fits_cached += sum(one.cached for one in found)
    names = np.array(classes, dtype=object)
    return np.stack([names[one.probabilities.argmax(axis=1)] for one in found])
