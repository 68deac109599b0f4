"""Scores of tasks that have no verdict yet: both sides trained, named metrics, and no claim.

The one idea: what was never tried on changes that do nothing may be looked at, seed by seed, beside
the reason why it proves nothing. It is a look at the test rows all the same, and written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import finetune
from curator import schema
from curator.context import Context, served
from curator.impact.banks import taught
from curator.impact.claim import Measurement
from curator.impact.design import Side, fit_spec, known_to
from curator.impact.statistics import BoolArray
from curator.recipe import MeasureSpec
from curator.tasks import task_of

SEEDS = (0, 1, 2)
HALF = 0.5

Score = Callable[[Sequence[Any], Sequence[Any]], float]
SCORES: dict[str, dict[str, Score]] = {
    "multilabel": {
        "micro_f1": finetune.micro_f1,
        "macro_f1": finetune.macro_f1,
        "exact_share": finetune.exact_share,
    },
    "tokens": {
        "span_f1": finetune.micro_f1,
        "span_macro_f1": finetune.span_macro_f1,
        "exact_share": finetune.exact_share,
    },
}
"""Per task its metrics, the first one named first; tasks that are not here are not trained."""


@dataclass(frozen=True, slots=True)
class _Shared:
    """The test rows of equal raw content on both sides, m of them, as each side serves them.

    texts, wanted: Per side.
    fresh: Which have no near-duplicate in either training set, shape (m,).
    """

    texts: tuple[tuple[str, ...], tuple[str, ...]]
    wanted: tuple[tuple[Any, ...], tuple[Any, ...]]
    fresh: BoolArray


def can_show(rows: pa.Table) -> bool:
    """Say whether rows of this task can be trained on and scored."""
    return task_of(rows).name in SCORES


def no_features(rows: pa.Table, tier: str, context: Context) -> str | None:
    """Say why a tier has nothing to train on; None where it has."""
    if context.is_encoder:
        return None
    if task_of(rows).name == "tokens":
        return f"no scores: spans need an encoder, and the features are {context.model_note()}"
    return None if tier == "probe" else f"no scores: {context.no_encoder()}"


def show_scores(
    blank: Measurement,
    before: Side,
    after: Side,
    *,
    tier: str,
    spec: MeasureSpec,
    context: Context,
) -> Measurement:
    """Train both sides on the same seeds and score them on the test rows that they share.

    Args:
        blank: The measurement with the reason why there is no verdict.
        before: The version without the change.
        after: The version with it.
        tier: Of the training.
        spec: Method and training options.
        context: Features and caches of their chain.

    Raises:
        finetune.FitError: A fit failed.
    """
    blank = replace(blank, model=context.model_note())
    if why := no_features(before.rows, tier, context):
        return replace(blank, reason=f"{blank.reason}; {why}")
    shared = _shared(before, after)
    if not shared.texts[0]:
        return replace(blank, reason=f"{blank.reason}; the versions share no test row")
    task = task_of(before.rows).name
    if before.seen_by_model() == after.seen_by_model() and shared.texts[0] == shared.texts[1]:
        return replace(blank, identical=True, test_rows=len(shared.texts[0]))
    fit = fit_spec(tier, spec, context)
    sides = [
        _scored(side, shared, at, task, fit, context) for at, side in enumerate((before, after))
    ]
    first = next(iter(SCORES[task]))
    told = {
        "metric": first, "seeds": list(SEEDS), "rows": int(shared.fresh.sum()),
        "before": sides[0]["fresh"], "after": sides[1]["fresh"],
        "all_rows": {"rows": len(shared.fresh), "before": sides[0]["all"],
                     "after": sides[1]["all"]},
    }  # fmt: skip
    means = [float(np.mean(side["fresh"][first])) if side["fresh"] else None for side in sides]
    return replace(
        blank, spec=fit.key(), metric=first, seeds=SEEDS, test_rows=told["rows"],
        before_score=means[0], after_score=means[1],
        cost_cpu_s=sum(side["cpu_s"] for side in sides), fits=2 * len(SEEDS),
        scores={**told, "sentence": _sentence(told, first)},
    )  # fmt: skip


def _shared(before: Side, after: Side) -> _Shared:
    found = []
    for side in (before, after):
        raw = side.rows.filter(pc.equal(side.rows["split"], "test"))
        hashes = schema.content_hashes(raw, task_of(raw))
        keys = dict(zip(raw["id"].to_pylist(), hashes, strict=True))
        found.append((served(raw, side.transforms), keys))
    ids = [i for i, key in found[0][1].items() if found[1][1].get(i) == key]
    order = [rows.filter(pc.is_in(rows["id"], pa.array(ids, pa.string()))) for rows, _ in found]
    texts = [tuple(rows["text"].to_pylist()) for rows in order]
    known: BoolArray = np.zeros(len(ids), dtype=bool)
    if ids:
        known = known_to(before, texts[0]) | known_to(after, texts[1])
    return _Shared((texts[0], texts[1]), (taught(order[0]), taught(order[1])), ~known)


def _scored(
    side: Side, shared: _Shared, at: int, task: str, fit: finetune.FitSpec, context: Context
) -> dict[str, Any]:
    """Score one side: per metric a number a seed, on fresh rows and on all."""
    training, texts, wanted = side.training(), list(shared.texts[at]), shared.wanted[at]
    classes = finetune.answer_labels((*training.labels, *wanted), task)
    results = finetune.fit_scores(
        training, texts, classes=classes, spec=fit, seeds=SEEDS, model=context.model,
        projection=_projection(context, task) if fit.tier == "probe" else None,
        cache=context.cache,
    )  # fmt: skip
    context.counters.fits += sum(not one.cached for one in results)
    context.counters.fits_cached += sum(one.cached for one in results)
    told = [_told(one, task, classes) for one in results]
    rows = {"fresh": np.flatnonzero(shared.fresh), "all": np.arange(len(texts))}
    return {
        "cpu_s": sum(one.cpu_s for one in results),
        **{name: _metrics(wanted, told, results, task, classes, own) for name, own in rows.items()},
    }


def _metrics(
    wanted: Sequence[Any],
    told: Sequence[Sequence[Any]],
    results: Sequence[finetune.FitResult],
    task: str,
    classes: Sequence[str],
    rows: Any,
) -> dict[str, list[float]]:
    if not len(rows):
        return {}
    right = [wanted[i] for i in rows]
    found = {
        name: [score(right, [one[i] for i in rows]) for one in told]
        for name, score in SCORES[task].items()
    }
    if task == "multilabel":
        came = np.array([[label in labels for label in classes] for labels in right])
        found["calibration_error"] = [
            finetune.chance_error(one.probabilities[rows], came.astype(np.int64)) for one in results
        ]
    return found


def _told(result: finetune.FitResult, task: str, classes: Sequence[str]) -> Sequence[Any]:
    if task == "tokens":
        return result.spans
    names = np.array(classes, dtype=object)
    return [tuple(names[row > HALF]) for row in result.probabilities]


def _projection(context: Context, task: str) -> Any:
    """Give the probe's projection; that of words is fitted on words of the import version."""
    if task != "tokens":
        return context.projection
    train = context.root.filter(pc.equal(context.root["split"], "train"))
    texts = sorted(set(train["text"].to_pylist()))
    key = schema.hash_fields("words 1", context.model.revision, context.model.numerics, *texts)
    path = context.cache / "models" / f"projection-{key}.npz"
    if path.exists():
        return finetune.load_projection(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    found = finetune.fit_projection(
        finetune.vectors_of_words(texts, context.model, cache=context.cache)
    )
    found.save(path)
    return found


def _sentence(told: Mapping[str, Any], first: str) -> str:
    def said(side: str) -> str:
        seeds = told[side][first]
        return f"{np.mean(seeds):.3f} ({min(seeds):.3f} to {max(seeds):.3f})"

    if not told["rows"]:
        return "Every test row has a near-duplicate in training, so no score is shown."
    return (
        f"Scores of {len(told['seeds'])} paired seeds on {told['rows']:,} test rows, which prove "
        f"nothing yet: {first} {said('before')} before, {said('after')} after."
    )
