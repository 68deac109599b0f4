"""Measure a learning curve: nested parts of the training rows, several draws, one test set."""

from __future__ import annotations

from dataclasses import asdict
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curator import schema
from curator.comparing import spec_and_context
from curator.errors import MeasureError
from curator.impact.banks import refuse_other_tasks
from curator.impact.budget import refuse_locked
from curator.impact.curve import FURTHEST, PARTS, Point, curve
from curator.impact.design import fit_spec
from curator.impact.measure import side_of
from curator.impact.statistics import crossed
from curator.impact.trials import open_trials, training_of
from curator.progress import SILENT, Progress
from curator.versions.store import Store

DRAWS = 5
LEAST_ROWS = 80


def learning_curve(
    store: Store, ref: str, *, recipe: Path | None = None, progress: Progress = SILENT
) -> dict[str, Any]:
    """Say how the probe's score grew with the rows, and what up to twice as many may bring.

    Args:
        store: Holds the version.
        ref: Version, branch or tag.
        recipe: Gives the spec; None takes the one kept with the version.
        progress: Told what happens.

    Returns:
        JSON values: points with a band, and a sentence.

    Raises:
        MeasureError: There are too few training rows, or the test rows can carry nothing.
    """
    version = store.version(ref)
    refuse_other_tasks(version, "learning-curve")
    refuse_locked(store, version.lock, "learning-curve")
    spec, context = spec_and_context(store, version, version, recipe, progress)
    side = side_of(store, version)
    train = side.train()
    if train.num_rows < LEAST_ROWS:
        raise MeasureError(
            f"version {version.short} has {train.num_rows} training rows; a curve needs at least "
            f"{LEAST_ROWS}, as an eighth of fewer teaches nothing"
        )
    trials = open_trials(side, (), context, fit_spec("probe", spec, context))
    texts, scores, last = trials.served(side.transforms), np.zeros((DRAWS, len(PARTS))), []
    groups = train["group"].to_pylist()
    for draw in range(DRAWS):
        # A row's place in the order depends on the draw and its group: parts are nested.
        order = np.array([int(schema.hash_fields("curve", draw, g)[:12], 16) for g in groups])
        place = order.argsort(kind="stable").argsort()
        for at, share in enumerate(PARTS):
            kept = train.filter(pa.array(place < round(share * len(place))))
            hits = trials.hits(training_of(kept), texts, seeds=(draw,))[:, trials.fresh]
            scores[draw, at] = hits.mean()
            last += [hits[0]] if share == 1.0 else []
        progress.say(f"  draw {draw + 1} of {DRAWS}")
    item = crossed(np.stack(last), trials.groups[trials.fresh]).item
    points = curve(scores, train.num_rows, item_se=sqrt(item))
    return {
        "version": version.id, "tier": "probe", "metric": "accuracy", "draws": DRAWS,
        "test_rows": int(trials.fresh.sum()), "points": [asdict(point) for point in points],
        "sentence": _sentence(points), "fits": trials.fits, "cost_cpu_s": trials.cpu_s,
    }  # fmt: skip


def _sentence(points: tuple[Point, ...]) -> str:
    now, then = points[len(PARTS) - 1], points[-1]
    gain = then.score - now.score
    return (
        f"Probe: accuracy {now.score:.3f} at {now.rows:,} rows; drawn on to {FURTHEST:g} times as "
        f"many it would be {then.score:.3f} ({100 * gain:+.1f} points), 90 % band "
        f"[{then.low:.3f}, {then.high:.3f}], if further rows are like these. Descriptive, on these "
        "test rows; nothing is said beyond twice the data."
    )
