"""Train on any rows and score the same frozen test rows: what curves, rivals and shares stand on.

The one idea: a trial is a training set and the texts as served; whoever makes it up, it is trained
and scored by the functions that a verdict uses, so what is shown beside a verdict is of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import finetune
from curator.context import Context, served
from curator.errors import MeasureError
from curator.impact.design import GROUP_SEED, Side, known_to, too_few_fresh
from curator.impact.groups import item_groups
from curator.impact.statistics import BoolArray, FloatArray, IntArray
from curator.label_maps import label_maps, renamed


@dataclass(slots=True)
class Trials:
    """The frozen test rows of a version, and what trials on them cost so far.

    ids, labels: Of the m test rows; labels under the version's maps.
    maps: The version's label maps, which predictions pass too.
    raw: Test rows as they were frozen.
    groups: Group of each test row, shape (m,).
    fresh: Which have no near-duplicate in training, shape (m,).
    """

    context: Context
    fit: finetune.FitSpec
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    maps: Any
    raw: pa.Table
    groups: IntArray
    fresh: BoolArray
    fits: int = 0
    cpu_s: float = 0.0
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def served(self, transforms: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """Give the test texts under serving transforms, in the order of ids."""
        key = repr([dict(one) for one in transforms])
        if key not in self.texts:
            self.texts[key] = tuple(served(self.raw, transforms)["text"].to_pylist())
        return self.texts[key]

    def answers(
        self, training: finetune.Training, texts: Sequence[str], *, seeds: Sequence[int]
    ) -> tuple[tuple[str, ...], FloatArray]:
        """Train under each seed: class names, and probabilities of shape (s, m, k)."""
        classes = tuple(sorted({*training.labels, *self.labels}))
        probe = self.fit.tier == "probe"
        found = finetune.fit_scores(
            training, list(texts), classes=classes, spec=self.fit, seeds=seeds,
            model=self.context.model, projection=self.context.projection if probe else None,
            cache=self.context.cache,
        )  # fmt: skip
        new = sum(not one.cached for one in found)
        self.context.counters.fits += new
        self.context.counters.fits_cached += len(found) - new
        self.fits += len(found)
        self.cpu_s += sum(one.cpu_s for one in found)
        return classes, np.stack([one.probabilities.astype(np.float64) for one in found])

    def hits(
        self, training: finetune.Training, texts: Sequence[str], *, seeds: Sequence[int]
    ) -> FloatArray:
        """Train under each seed: 1 where a test row is predicted right, else 0, shape (s, m)."""
        classes, found = self.answers(training, texts, seeds=seeds)
        meant = np.array([renamed(name, self.maps) for name in classes], dtype=object)
        right = meant[found.argmax(axis=2)] == np.array(self.labels, dtype=object)
        return np.asarray(right, dtype=np.float64)


def open_trials(side: Side, others: Sequence[Side], context: Context, fit: Any) -> Trials:
    """Give the test rows of a version for trials.

    Args:
        side: The version whose test rows and label maps count.
        others: Further versions whose training rows make a test row known.
        context: Features and caches of their chain.
        fit: The training spec.

    Raises:
        MeasureError: There are no test rows, or none that a number can rest on.
    """
    raw = side.rows.filter(pc.equal(side.rows["split"], "test"))
    if not raw.num_rows:
        raise MeasureError(
            f"version {side.version[:12]} has no test row, so nothing can be scored; bring a test "
            "split"
        )
    maps = label_maps(side.transforms)
    labels = tuple(renamed(label, maps) for label in raw["label"].to_pylist())
    if len(set(labels)) < 2:  # noqa: PLR2004 - one class cannot be told from another
        raise MeasureError(f"the test rows all have one label, {labels[0]!r}; nothing can be told")
    texts = tuple(served(raw, side.transforms)["text"].to_pylist())
    groups = item_groups(labels, context.embed(texts), seed=GROUP_SEED)
    known = np.zeros(len(labels), dtype=bool)
    for one in (side, *others):
        known |= known_to(one, texts)
    reason = groups.unusable or too_few_fresh(groups.groups[~known])
    if reason:
        raise MeasureError(reason)
    return Trials(
        context, fit, tuple(raw["id"].to_pylist()), labels, maps, raw, groups.groups, ~known
    )


def training_of(rows: pa.Table) -> finetune.Training:
    """Give the training rows of a table as the fine-tune engine takes them."""
    return Side("", rows, ()).training()
