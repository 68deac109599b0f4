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
from curator.impact.design import GROUP_SEED, Side, fit_spec
from curator.impact.groups import item_groups
from curator.impact.planning import default_margin
from curator.impact.statistics import FloatArray, crossed, interval, verdict
from curator.impact.trials import training_of
from curator.progress import SILENT, Progress
from curator.tasks import TASKS
from curator.versions.store import Store

FOLDS = 5
SEEDS = (0, 1, 2)


def explore(
    store: Store, a: str, b: str, *, recipe: Path | None = None, progress: Progress = SILENT
) -> dict[str, Any]:
    """Screen the change from version a to version b on held-out training rows.

    Args:
        store: Holds both.
        a: Version, branch or tag without the change.
        b: The one with it.
        recipe: Gives the spec; None takes the one kept with b.
        progress: Told what happens.

    Returns:
        JSON values; `kind` is `screen` and `verdict` a word about these training rows only.

    Raises:
        MeasureError: Too few training rows are the same in both versions.
    """
    before, after = store.version(a), store.version(b)
    spec, context = spec_and_context(store, before, after, recipe, progress)
    sides = [Side(v.id, store.rows(v), v.transforms) for v in (before, after)]
    held = _unchanged(*sides)
    labels = held["label"].to_pylist()
    groups = item_groups(labels, context.embed(held["text"].to_pylist()), seed=GROUP_SEED)
    if groups.unusable:
        raise MeasureError(f"of the training rows both versions share, {groups.unusable}")
    fit = fit_spec("probe", spec, context)
    folds = np.array([_fold(group) for group in held["group"].to_pylist()])
    one, other = (_right(side, held, folds, fit, context) for side in sides)
    estimate = crossed(other - one, groups.groups)
    low, high = interval(estimate)
    margin = spec.margin if spec.margin is not None else default_margin(len(labels))
    word = verdict(low, high, margin)
    return {
        "kind": "screen", "before": before.id, "after": after.id, "tier": "probe",
        "metric": "accuracy", "effect": estimate.effect, "low": low, "high": high,
        "verdict": word, "margin": margin, "rows": len(labels), "folds": FOLDS,
        "seeds": list(SEEDS), "before_score": float(one.mean()), "after_score": float(other.mean()),
        "sentence": (
            f"Screen, no verdict ({word}): {100 * estimate.effect:+.2f} points "
            f"[{100 * low:+.2f}, {100 * high:+.2f}] on {len(labels):,} training rows that both "
            f"versions hold unchanged, each answered by probes that never saw its group, against "
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


def _fold(group: str) -> int:
    return int(schema.hash_fields("explore", group)[:8], 16) % FOLDS


def _right(
    side: Side, held: pa.Table, folds: Any, fit: finetune.FitSpec, context: Context
) -> FloatArray:
    """Say which held rows a version's models answer right, each without its fold, shape (s, n)."""
    train = side.train()
    own = np.array([_fold(group) for group in train["group"].to_pylist()])
    texts, labels = held["text"].to_pylist(), np.array(held["label"].to_pylist(), dtype=object)
    right = np.zeros((len(SEEDS), len(texts)))
    for fold in range(FOLDS):
        at = np.flatnonzero(folds == fold)
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
        projection=context.projection, cache=context.cache,
    )  # fmt: skip
    context.counters.fits += sum(not one.cached for one in found)
    context.counters.fits_cached += sum(one.cached for one in found)
    names = np.array(classes, dtype=object)
    return np.stack([names[one.probabilities.argmax(axis=1)] for one in found])
