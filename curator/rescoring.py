"""Score every stored comparison again under corrected test labels, without any training.

The one idea: predictions do not change when a label does. What the corrected labels say of old
comparisons is shown beside what was claimed, and is descriptive: the labels were corrected after
the looks, so no alpha pays for it and no verdict comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.compute as pc

from curator.errors import MeasureError
from curator.impact.kept import Kept
from curator.impact.statistics import crossed, interval
from curator.versions.store import Store

KIND = "answers"


def rescore(store: Store, ref: str) -> dict[str, Any]:
    """Score all stored comparisons under the test labels of another version.

    Args:
        store: Holds the comparisons.
        ref: Branch or tag of the version with the corrected test labels: the benchmark's name.

    Returns:
        JSON values: per comparison the score and effect under the given and the corrected labels;
        `left_out` those without stored predictions; 0 fits.

    Raises:
        MeasureError: The version is not named, or shares no test row with any comparison.
    """
    version = store.version(ref)
    if ref not in {**store.tags(), **store.branches()}:
        raise MeasureError(
            f"{ref}: corrected labels make a new benchmark, which needs a name: "
            f"`curator tag NAME {version.short}`, then rescore NAME"
        )
    rows = store.rows(version)
    test = rows.filter(pc.equal(rows["split"], "test"))
    corrected = dict(zip(test["id"].to_pylist(), test["label"].to_pylist(), strict=True))
    comparisons = list(_comparisons(store, corrected))
    if not comparisons:
        raise MeasureError(
            f"{ref}: no stored comparison has predictions on its test rows; measure first, or "
            "name a version whose test rows have the same ids"
        )
    changed = max(one["labels_changed"] for one in comparisons)
    return {
        "benchmark": ref, "version": version.id, "lock": version.lock, "fits": 0,
        "descriptive": True, "comparisons": comparisons, "left_out": _left_out(store),
        "sentence": (
            f"{len(comparisons)} comparisons scored again under the test labels of {ref} (up to "
            f"{changed:,} of them other than before), with 0 fits. Descriptive: the labels were "
            "corrected after the looks, so this is no verdict; measure on that benchmark for one."
        ),
    }  # fmt: skip


def _comparisons(store: Store, corrected: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    latest: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for one in store.records(KIND):
        at = (one["before"], one["after"], one["tier"], one["spec"])
        if at not in latest or one["kept"]["seeds"] > latest[at]["kept"]["seeds"]:
            latest[at] = one
    for (before, after, tier, _), one in sorted(latest.items()):
        kept = Kept.from_dict(one["kept"])
        given = [kept.names[number] for number in kept.wanted]
        known = [corrected.get(row) for row in kept.ids]
        if all(label is None for label in known):
            continue
        anew = [old if new is None else new for old, new in zip(given, known, strict=True)]
        yield {
            "before": before, "after": after, "tier": tier, "seeds": len(kept.before),
            "test_rows": int(kept.fresh.sum()),
            "labels_changed": sum(a != b for a, b in zip(given, anew, strict=True)),
            "given": _scored(kept, given), "corrected": _scored(kept, anew),
        }  # fmt: skip


def _scored(kept: Kept, labels: list[str]) -> dict[str, float]:
    before, after = (side[:, kept.fresh] for side in kept.differences(labels))
    estimate = crossed(after - before, kept.groups[kept.fresh])
    low, high = interval(estimate)
    return {
        "before_score": float(before.mean()), "after_score": float(after.mean()),
        "effect": estimate.effect, "low": low, "high": high,
    }  # fmt: skip


def _left_out(store: Store) -> int:
    """Count the measured changes whose predictions were not kept (per-row scores, old stores)."""
    names = ("before", "after", "tier", "spec")
    kept = {tuple(one[name] for name in names) for one in store.records(KIND)}
    measured = {
        tuple(one[name] for name in names) for one in store.records("impacts") if one["estimate"]
    }
    return len(measured - kept)
