"""Run what a measurement needs: the same seeds on both versions, the same frozen test rows.

The one idea: both sides are trained by the same function on content-keyed seeds, so that only the
data can tell them apart; inputs that are the same for a model are not run at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import finetune
from curator import schema
from curator.context import Context, served
from curator.errors import MeasureError
from curator.impact.banks import no_bank, taught, unmeasured
from curator.impact.claim import Measurement
from curator.impact.groups import MIN_EFFECTIVE, MIN_ROWS, effective_number, item_groups
from curator.impact.kept import Kept
from curator.impact.planning import default_margin
from curator.impact.sequence import LOOKS, Plan
from curator.impact.statistics import BoolArray, FloatArray, IntArray, crossed, slice_effects
from curator.impact.touched import class_parts, rest_part, touched_classes
from curator.label_maps import SharedLabels, label_maps, shared_labels
from curator.near import choose_shingles, near_pairs
from curator.progress import Tick
from curator.recipe import MeasureSpec
from curator.recipe_model import spec_values
from curator.tasks import TASKS, task_of

SEEDS = (0, 1, 2, 3, 4)  # where the number of seeds is fixed beforehand; see `sequence` for looks
# A test row this near (Jaccard) to a training row is not new to the model.
KNOWN_JACCARD = 0.8
GROUP_SEED = 0


@dataclass(frozen=True, slots=True)
class Side:
    """One version as a measurement sees it.

    rows: Its rows, test rows raw.
    transforms: Its serving transforms.
    """

    version: str
    rows: pa.Table
    transforms: Sequence[Mapping[str, Any]]

    def train(self) -> pa.Table:
        """Give the rows a model is trained on."""
        return self.rows.filter(pc.equal(self.rows["split"], "train"))

    def training(self) -> finetune.Training:
        """Give the training set as the fine-tune engine takes it."""
        train = self.train()
        return finetune.Training(
            texts=tuple(train["text"].to_pylist()),
            labels=taught(train),
            weights=train["weight"].to_numpy(),
            groups=tuple(train["group"].to_pylist()),
        )

    def seen_by_model(self) -> Counter[tuple[str, Any, float]]:
        """Give the multiset of (input, label, weight), which is all a fit depends on."""
        train = self.train()
        texts, weights = train["text"].to_pylist(), train["weight"].to_pylist()
        return Counter(zip(texts, taught(train), weights, strict=True))


@dataclass(frozen=True, slots=True)
class TestSet:
    """The frozen test rows both versions share, and their texts under each version's transforms.

    labels: The coarsest labels both versions share, those of the rows where no map changes them.
    shared: How the labels of a label map become shared ones; None where neither side has a map.
    """

    __test__ = False  # not a test class, whatever its name

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    shared: SharedLabels | None = None


def shared_test_rows(before: Side, after: Side) -> TestSet:
    """Find the test rows of equal raw content in both versions.

    Raises:
        MeasureError: There is none.
    """
    task = TASKS["classification"]
    sides = []
    for side in (before, after):
        raw = side.rows.filter(pc.equal(side.rows["split"], "test"))
        ready = served(raw, side.transforms)
        keys = dict(zip(raw["id"].to_pylist(), schema.content_hashes(raw, task), strict=True))
        sides.append((raw, ready, keys))
    shared = [i for i, k in sides[0][2].items() if sides[1][2].get(i) == k]
    if not shared:
        raise MeasureError(
            f"versions {before.version[:12]} and {after.version[:12]} share no test row, so "
            "nothing can be compared; measure versions of one corpus, or bring a test split"
        )
    wanted = pa.array(shared)
    raw, one, other = (
        rows.filter(pc.is_in(rows["id"], wanted)).select(["id", "label", "text"])
        for rows in (sides[0][0], sides[0][1], sides[1][1])
    )
    labels = raw["label"].to_pylist()
    joint = _shared_labels(before, after, labels)
    return TestSet(
        tuple(one["id"].to_pylist()),
        tuple(labels if joint is None else (joint.raw[label] for label in labels)),
        tuple(one["text"].to_pylist()),
        tuple(other["text"].to_pylist()),
        joint,
    )


def _shared_labels(before: Side, after: Side, raw: Sequence[str]) -> SharedLabels | None:
    """Find the labels on which sides with label maps can be compared; None where none has one."""
    sides = [
        (label_maps(side.transforms), set(side.train()["label"].to_pylist()))
        for side in (before, after)
    ]
    return shared_labels(raw, *sides) if sides[0][0] or sides[1][0] else None


def fit_spec(tier: str, spec: MeasureSpec, context: Context) -> finetune.FitSpec:
    """Give the training spec of a tier; batches per epoch are set once, by the import version."""
    train = pc.sum(pc.equal(context.root["split"], "train")).as_py() or 0
    task = {"task": task_of(context.root).name}
    if tier == "probe":
        return finetune.default_spec(tier, method="head", rows=train, **task)
    values = spec_values(spec.training) | task
    if context.is_encoder:
        values.setdefault("targets", context.model.folder.targets)
        values["max_tokens"] = context.model.max_tokens
    return finetune.default_spec(tier, method=spec.method, rows=train, **values)


@dataclass(frozen=True, slots=True)
class Ready:
    """A measurement that is worth its fits: everything but the fits themselves.

    Each look is finished from it anew; seeds are content-keyed, so it trains only what it adds.

    blank: The measurement without its estimate.
    groups: Group of each test row, shape (m,).
    fresh: Which test rows have no near-duplicate in either training set, shape (m,).
    """

    before: Side
    after: Side
    test: TestSet
    fit: finetune.FitSpec
    classes: tuple[str, ...]
    groups: IntArray
    fresh: BoolArray
    blank: Measurement


def prepare(
    before: Side,
    after: Side,
    *,
    tier: str,
    spec: MeasureSpec,
    context: Context,
    looks: Plan = LOOKS,
) -> Measurement | Ready:
    """Settle a measurement without training where that can be done, else make it ready.

    Args:
        before: The version without the change.
        after: The version with it.
        tier: probe, top-layers or all-layers.
        spec: Margin, metric, method.
        context: Features and caches of their chain.
        looks: When it will be looked at.

    Returns:
        A finished measurement (identical, or not measurable and why), or what `finish` takes.

    Raises:
        MeasureError: The versions share no test row.
    """
    if reason := no_bank(before.rows, after.rows):
        return unmeasured(before.version, after.version, after.rows, tier, spec, reason)
    test = shared_test_rows(before, after)
    margin = spec.margin if spec.margin is not None else default_margin(len(test.ids))
    blank = Measurement(
        before=before.version, after=after.version, tier=tier, spec="", metric=spec.metric,
        identical=False, reason=None, estimate=None, seeds=(), test_rows=len(test.ids),
        margin=margin, before_score=None, after_score=None, slices=(), cost_cpu_s=0.0, fits=0,
        model=context.model_note(), shared=test.shared.note if test.shared else None,
        plan=looks,
    )  # fmt: skip
    if tier != "probe" and not context.is_encoder:
        return replace(blank, reason=f"{context.no_encoder()}; the features are {blank.model}")
    fit = fit_spec(tier, spec, context)
    blank = replace(blank, spec=fit.key())
    if before.seen_by_model() == after.seen_by_model() and test.before == test.after:
        return replace(blank, identical=True)
    if len(set(test.labels)) < 2:  # noqa: PLR2004 - one class cannot be told from another
        return replace(blank, reason="the test rows all have one label")
    groups = item_groups(test.labels, context.embed(test.before), seed=GROUP_SEED)
    fresh = ~(known_to(before, test.before) | known_to(after, test.after))
    reason = groups.unusable or too_few_fresh(groups.groups[fresh])
    if reason:
        return replace(blank, reason=reason)
    labels = {*before.training().labels, *after.training().labels, *test.labels}
    return Ready(before, after, test, fit, tuple(sorted(labels)), groups.groups, fresh, blank)


def too_few_fresh(fresh: IntArray) -> str | None:
    """Say why the test rows that are new to both models cannot carry a verdict; None if they can.

    Args:
        fresh: Group of each of them.
    """
    left = effective_number(fresh)
    if len(fresh) >= MIN_ROWS and left >= MIN_EFFECTIVE:
        return None
    return (
        f"only {len(fresh)} test rows, in groups worth {left:.1f} equal ones, have no "
        f"near-duplicate in training; a verdict needs {MIN_ROWS} in {MIN_EFFECTIVE:.0f}"
    )


def finish(
    ready: Ready,
    context: Context,
    *,
    seeds: Sequence[int],
    counted: int = 0,
    keep: Callable[[Kept], None] | None = None,
) -> Measurement:
    """Train both sides on the same seeds, where that is not done, and estimate the effect.

    Args:
        ready: What to measure.
        context: Features and caches.
        seeds: Those of this look.
        counted: How many of them an earlier look has asked for, and told the counters of.
        keep: Given what was predicted, to be scored again under other labels.

    Raises:
        finetune.FitError: A fit failed.
    """
    test, fresh = ready.test, ready.fresh
    one, other = (
        _fits(side, texts, ready, context, seeds=seeds, counted=counted)
        for side, texts in ((ready.before, test.before), (ready.after, test.after))
    )
    told = (test.shared.before, test.shared.after) if test.shared else ({}, {})
    called = [[names.get(name, name) for name in ready.classes] for names in told]
    hits = [
        _hits(fits, names, test.labels) for fits, names in zip((one, other), called, strict=True)
    ]
    differences = hits[1] - hits[0]
    if keep is not None:
        keep(_kept(ready, (one, other), called))
    return replace(
        ready.blank,
        estimate=crossed(differences[:, fresh], ready.groups[fresh]),
        seeds=tuple(seeds),
        **touched_parts(ready, differences[:, fresh], told),
        test_rows=int(fresh.sum()),
        before_score=float(hits[0][:, fresh].mean()),
        after_score=float(hits[1][:, fresh].mean()),
        slices=tuple(slices_of(differences, test.labels, fresh)),
        cost_cpu_s=float(sum(f.cpu_s for f in (*one, *other))),
        fits=len(one) + len(other),
    )


def _kept(
    ready: Ready, fits: Sequence[Sequence[finetune.FitResult]], called: Sequence[Sequence[str]]
) -> Kept:
    """Give what both sides predicted, as numbers of shared names."""
    names = sorted({*called[0], *called[1], *ready.test.labels})
    number = {name: k for k, name in enumerate(names)}
    told = [
        np.stack([np.array([number[n] for n in own])[f.probabilities.argmax(axis=1)] for f in side])
        for side, own in zip(fits, called, strict=True)
    ]
    wanted = np.array([number[label] for label in ready.test.labels])
    return Kept(tuple(names), ready.test.ids, wanted, told[0], told[1], ready.groups, ready.fresh)


class Pair(Protocol):
    """Two versions and the test rows they are compared on; `Ready` is one."""

    @property
    def before(self) -> Side:
        """The version without the change."""
        ...

    @property
    def after(self) -> Side:
        """The version with it."""
        ...

    @property
    def test(self) -> TestSet:
        """The test rows both share, m of them."""
        ...

    @property
    def groups(self) -> IntArray:
        """Group of each test row, shape (m,)."""
        ...

    @property
    def fresh(self) -> BoolArray:
        """Which test rows have no near-duplicate in training, shape (m,)."""
        ...


def touched_parts(
    pair: Pair, differences: FloatArray, names: tuple[Mapping[str, str], Mapping[str, str]]
) -> dict[str, Any]:
    """Estimate what happened to the classes that the change touched, and to the rest.

    Args:
        pair: The versions and their test rows.
        differences: After minus before on the fresh test rows, seeds first.
        names: What the labels of either side are called among the test rows.

    Returns:
        The fields `touched` and `rest` of a measurement.
    """
    test = pair.test
    touched = touched_classes(pair.before.seen_by_model(), pair.after.seen_by_model(), names=names)
    # A serving transform that changes a test row's text changes what is asked of its class.
    served_anew = zip(test.labels, test.before, test.after, strict=True)
    touched |= {label for label, before, after in served_anew if before != after}
    labels = [label for label, fresh in zip(test.labels, pair.fresh, strict=True) if fresh]
    return {
        "touched": class_parts(differences, labels, touched),
        "rest": rest_part(differences, labels, touched, pair.groups[pair.fresh]),
    }


def right_answers(
    ready: Ready,
    training: finetune.Training,
    context: Context,
    *,
    seeds: Sequence[int],
    after: bool = False,
) -> tuple[FloatArray, float]:
    """Train on another set in place of one side: the first, or the one `after` the change.

    Returns:
        1 per seed and test row that is predicted right, else 0, shape (s, m); and CPU seconds.
    """
    texts = ready.test.after if after else ready.test.before
    fits = _trained(training, texts, ready, context, seeds=seeds)
    shared = ready.test.shared
    names = (shared.after if after else shared.before) if shared else {}
    told = [names.get(name, name) for name in ready.classes]
    return _hits(fits, told, ready.test.labels), sum(fit.cpu_s for fit in fits)


def fit_ahead(waiting: Sequence[Ready], context: Context, *, seeds: Sequence[int]) -> None:
    """Train what the next look of several measurements will ask for, side by side.

    Only the dear tier is worth it; what is not trained here is trained when it is asked for.
    """
    dear = [ready for ready in waiting if ready.fit.tier != "probe"]
    jobs: dict[str, finetune.FitJob] = {}
    for ready in dear:
        sides = ((ready.before, ready.test.before), (ready.after, ready.test.after))
        for side, texts in sides:
            seen = map(repr, sorted(side.seen_by_model().items()))
            jobs[schema.hash_fields(*seen, texts)] = finetune.FitJob(side.training(), texts)
    if dear:
        context.counters.fits += finetune.fit_ahead(
            list(jobs.values()),
            spec=dear[0].fit,
            seeds=seeds,
            encoder=context.model,
            cache=context.cache,
            progress=_teller(context, dear[0].fit.tier),
        )


def _teller(context: Context, tier: str) -> Callable[[finetune.Progress], None]:
    """Say how far a long job is, a line of its own for each stage."""
    tickers: dict[str, Tick] = {}

    def tell(at: finetune.Progress) -> None:
        label = {"fit": f"{tier} fits", "step": f"{tier} steps"}.get(at.stage, at.stage)
        tickers.setdefault(label, context.progress.ticker(label))(at.done, at.total)

    return tell


def _fits(
    side: Side,
    texts: Sequence[str],
    ready: Ready,
    context: Context,
    *,
    seeds: Sequence[int],
    counted: int = 0,
) -> list[finetune.FitResult]:
    return _trained(side.training(), texts, ready, context, seeds=seeds, counted=counted)


def _trained(
    training: finetune.Training,
    texts: Sequence[str],
    ready: Ready,
    context: Context,
    *,
    seeds: Sequence[int],
    counted: int = 0,
) -> list[finetune.FitResult]:
    spec = ready.fit
    results = finetune.fit_scores(
        training,
        list(texts),
        classes=ready.classes,
        spec=spec,
        seeds=seeds,
        model=context.model,
        projection=context.projection if spec.tier == "probe" else None,
        cache=context.cache,
        progress=_teller(context, spec.tier),
    )
    context.counters.fits += sum(not r.cached for r in results)
    context.counters.fits_cached += sum(r.cached for r in results[counted:])
    return results


def _hits(
    fits: Sequence[finetune.FitResult], classes: Sequence[str], labels: Sequence[str]
) -> FloatArray:
    """Score each test row under each seed, shape (s, m): 1 where the prediction is right."""
    place = {name: k for k, name in enumerate(dict.fromkeys((*classes, *labels)))}
    wanted = np.array([place[label] for label in labels])
    # Under a label map several classes are one of the labels that both sides share.
    meant = np.array([place[name] for name in classes])
    return np.stack([(meant[f.probabilities.argmax(axis=1)] == wanted).astype(float) for f in fits])


def known_to(side: Side, texts: Sequence[str]) -> BoolArray:
    """Say which test texts have a near-duplicate among a version's training rows, shape (m,)."""
    train = side.train()["text"].to_pylist()
    together = pa.array([*texts, *train], pa.string())
    sides = np.arange(len(together)) >= len(texts)
    pairs = near_pairs(
        together, threshold=KNOWN_JACCARD, shingles=choose_shingles(together), sides=sides
    )
    known = np.zeros(len(texts), dtype=bool)
    known[pairs.left[pairs.left < len(texts)]] = True
    return known


def slices_of(
    differences: FloatArray, labels: Sequence[str], fresh: BoolArray
) -> list[dict[str, Any]]:
    """Describe the effect on named parts of the test rows, the whole first.

    Args:
        differences: After minus before, shape (s, m).
        labels: Label of each test row; empty where labels are no classes.
        fresh: Which test rows have no near-duplicate in training, shape (m,).
    """
    whole = slice_effects(differences, ["all test rows"] * len(fresh))
    found = [*whole]
    if not fresh.all():
        seen = ["near-duplicate in training" if not ok else "" for ok in fresh]
        found += [s for s in slice_effects(differences, seen) if s.name]
    if labels:
        found += slice_effects(differences, [f"class {label}" for label in labels])
    return [
        {
            "name": s.name, "rows": s.rows, "effect": s.effect, "low": s.low, "high": s.high,
            "harmed": s.harmed, "se": s.se, "df": s.df,
        }
        for s in found
    ]  # fmt: skip
