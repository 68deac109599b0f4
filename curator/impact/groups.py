"""Which test rows flip together: the groups that the item part of the variance is clustered by.

The one idea: a changed training row moves one decision boundary, so the test rows beside it are not
independent witnesses. Classes are the natural groups; where they are few or lopsided, clusters of
the test embeddings stand in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from curator.impact.statistics import LEAST, IntArray

AnyFloatArray = npt.NDArray[np.floating]

MIN_ROWS = 20  # under 20 test rows one flip is worth five points: refuse
MIN_EFFECTIVE = 15.0
MAX_CLASS_SHARE = 0.05
MAX_CLUSTERS = 40
ROWS_PER_CLUSTER = 15
# Of ten starts the most even clusters are kept: at 350 to 390 rows (drug reviews) one start gave an
# effective number of 14.6 to 19.9, which would have left it to luck whether there is a verdict.
STARTS = 10


@dataclass(frozen=True, slots=True)
class ItemGroups:
    """The groups of the test rows, and whether they can carry a verdict.

    groups: Group of each test row, shape (m,), values 0..G-1, in row order.
    by: What a group is.
    effective: m^2 / (sum of squared group sizes).
    unusable: Why no verdict can rest on these test rows, in words; None where one can. A caller
        that finds a reason answers `not_measurable` with it.
    """

    groups: IntArray
    by: Literal["classes", "clusters"]
    effective: float
    unusable: str | None


def item_groups(labels: Sequence[str], embeddings: AnyFloatArray, *, seed: int) -> ItemGroups:
    """Group the test rows: by class where classes are many and even, else by embedding cluster.

    To be made once per test set and kept beside its lock, so that every measurement on it is
    clustered alike.

    Args:
        labels: Label of each test row, m of them.
        embeddings: Features of the same rows, shape (m, d); any finite numbers.
        seed: Where the search for clusters starts.

    Returns:
        The groups. Classes count as many and even if their effective number is at least 15 and
        none holds more than 5 % of the rows; there are at most min(40, m / 15) clusters, the most
        even that ten starts of k-means find.

    Source: measured on banking77: with 52 very unequal classes (effective number 3.6) 18 to 23 % of
        do-nothing changes were called better or worse, with 77 balanced ones 2 to 3 %.
    """
    m = len(labels)
    _, classes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    classes = classes.astype(np.int64)
    if m < MIN_ROWS:
        why = (
            f"{m} test rows; a verdict needs at least {MIN_ROWS} (and several hundred to be sharp)"
        )
        return ItemGroups(classes, "classes", effective_number(classes), why)
    sizes = np.bincount(classes)
    if effective_number(classes) >= MIN_EFFECTIVE and sizes.max() <= MAX_CLASS_SHARE * m:
        return ItemGroups(classes, "classes", effective_number(classes), None)
    clusters = _clusters(embeddings, seed=seed)
    effective = effective_number(clusters)
    return ItemGroups(clusters, "clusters", effective, _too_few(m, effective))


def effective_number(groups: IntArray) -> float:
    """Give the number of equally large groups that would carry as much information; 0 for no rows.

    Source: Kish 1965, m^2 / (sum of squared group sizes).
    """
    if len(groups) == 0:
        return 0.0
    sizes = np.bincount(groups).astype(np.float64)
    return float(len(groups) ** 2 / np.square(sizes).sum())


def _clusters(embeddings: AnyFloatArray, *, seed: int) -> IntArray:
    from sklearn.cluster import KMeans  # 0.8 s to load

    points = np.asarray(embeddings, dtype=np.float64)
    distinct = len(np.unique(points, axis=0))
    wanted = min(MAX_CLUSTERS, len(points) // ROWS_PER_CLUSTER, distinct)
    if wanted < LEAST:
        return np.zeros(len(points), dtype=np.int64)
    states = np.random.SeedSequence(seed).generate_state(STARTS)
    found = [
        KMeans(n_clusters=wanted, n_init=1, random_state=int(state)).fit_predict(points)
        for state in states
    ]
    clusters: IntArray = np.unique(max(found, key=effective_number), return_inverse=True)[1]
    return clusters.astype(np.int64)


def _too_few(rows: int, effective: float) -> str | None:
    if effective >= MIN_EFFECTIVE:
        return None
    return (
        f"the {rows} test rows fall into groups worth {effective:.1f} equal ones, and rows of a "
        f"group change together; a verdict needs {MIN_EFFECTIVE:.0f} or more: add test rows "
        f"(about {ROWS_PER_CLUSTER} per group) that differ from these"
    )
