"""Anybody's trainer, our verdict: what it answered, row by row and seed by seed, is compared here.

The one idea: a verdict needs nothing of a trainer but its answer to each test row under each seed.
So a file of answers is checked at the edge, against the rows and labels it speaks of, and from then
on it goes the way of our own scores: same pairs, groups, fresh rows, slices and words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.context import Context, served
from curator.errors import MeasureError
from curator.impact.claim import Measurement
from curator.impact.design import (
    GROUP_SEED,
    Side,
    TestSet,
    known_to,
    shared_test_rows,
    slices_of,
    too_few_fresh,
    touched_parts,
)
from curator.impact.groups import item_groups
from curator.impact.kept import Kept
from curator.impact.planning import default_margin
from curator.impact.statistics import BoolArray, FloatArray, IntArray, crossed
from curator.recipe import MeasureSpec

TIER = "outside"
Kind = Literal["prediction", "score"]
METRICS: Mapping[Kind, str] = {"prediction": "accuracy", "score": "score"}
# With fewer rows per label than this, labels are answers (a text each), and group nothing.
ROWS_PER_CLASS = 2


@dataclass(frozen=True, slots=True)
class Scores:
    """What an outside trainer answered on the test rows of one version.

    kind: prediction (a label per row) or score (a number in 0..1 per row).
    by_seed: Seed -> row id -> answer; every seed has every shared test row.
    cpu_s: CPU seconds it took, where that is known.
    """

    kind: Kind
    by_seed: Mapping[int, Mapping[str, str | float]]
    cpu_s: float = 0.0

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, in order."""
        return tuple(sorted(self.by_seed))

    def digest(self) -> str:
        """Hash what was answered, whatever file it came in."""
        told: list[int | list[str] | list[str | float]] = []
        for seed in self.seeds:
            ids = sorted(self.by_seed[seed])
            told += [seed, ids, [self.by_seed[seed][i] for i in ids]]
        return schema.hash_fields("scores 1", self.kind, *told)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a file of answers is held to.

    ids: Every test row of the version.
    needed: Those that are compared.
    labels: Every label that may be predicted.
    """

    ids: frozenset[str]
    needed: tuple[str, ...]
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Comparable:
    """Two versions that an outside trainer can be compared on.

    groups: Group of each test row, shape (m,).
    fresh: Which test rows have no near-duplicate in either training set, shape (m,).
    classes: Whether the labels are classes (and not an answer per row).
    blank: The measurement without its estimate.
    """

    before: Side
    after: Side
    test: TestSet
    groups: IntArray
    fresh: BoolArray
    classes: bool
    blank: Measurement

    def asked(self, side: Side) -> Asked:
        """Say what the answers on one side are held to."""
        raw = side.rows.filter(pc.equal(side.rows["split"], "test"))
        labels = {*side.train()["label"].to_pylist(), *self.test.labels}
        labels |= {*raw["label"].to_pylist(), *served(raw, side.transforms)["label"].to_pylist()}
        return Asked(frozenset(raw["id"].to_pylist()), self.test.ids, frozenset(labels))


def prepare_outside(
    before: Side, after: Side, *, spec: MeasureSpec, context: Context
) -> Measurement | Comparable:
    """Settle a measurement without answers where that can be done, else say what is compared.

    Args:
        before: The version without the change.
        after: The version with it.
        spec: Margin and metric.
        context: Features of their chain, for the groups of test rows.

    Returns:
        A finished measurement (identical, or not measurable and why), or what `compare_scores`
        takes.

    Raises:
        MeasureError: The versions share no test row.
    """
    test = shared_test_rows(before, after)
    margin = spec.margin if spec.margin is not None else default_margin(len(test.ids))
    blank = Measurement(
        before=before.version, after=after.version, tier=TIER, spec="", metric=spec.metric,
        identical=False, reason=None, estimate=None, seeds=(), test_rows=len(test.ids),
        margin=margin, before_score=None, after_score=None, slices=(), cost_cpu_s=0.0, fits=0,
        model="an outside trainer", shared=test.shared.note if test.shared else None,
    )  # fmt: skip
    if _seen(before) == _seen(after) and test.before == test.after:
        return replace(blank, identical=True)
    classes = len(set(test.labels)) * ROWS_PER_CLASS <= len(test.labels)
    labels = test.labels if classes else ["answer"] * len(test.labels)
    groups = item_groups(labels, context.embed(test.before), seed=GROUP_SEED)
    fresh = ~(known_to(before, test.before) | known_to(after, test.after))
    reason = groups.unusable or too_few_fresh(groups.groups[fresh])
    if reason:
        return replace(blank, reason=reason)
    return Comparable(before, after, test, groups.groups, fresh, classes, blank)


def compare_scores(
    ready: Comparable, before: Scores, after: Scores, *, spec: str, model: str
) -> Measurement:
    """Estimate the effect of the change from what was answered on both sides.

    Args:
        ready: The test rows, their groups, the blank measurement.
        before: Answers after training on the first version.
        after: Answers after training on the second, under the same seeds.
        spec: What identifies the trainer or the answers.
        model: What to call it in the sentence.

    Raises:
        MeasureError: The two cannot be paired: other seeds, other kinds, or one seed only.
    """
    _must_pair(before, after)
    blank = replace(
        ready.blank, spec=spec, model=model, seeds=before.seeds, metric=METRICS[before.kind],
        cost_cpu_s=before.cpu_s + after.cpu_s, fits=len(before.seeds) + len(after.seeds),
    )  # fmt: skip
    if before.kind == "prediction" and len(set(ready.test.labels)) < 2:  # noqa: PLR2004
        return replace(blank, reason="the test rows all have one label")
    maps: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
    if ready.test.shared is not None:
        maps = (ready.test.shared.before, ready.test.shared.after)
    reached = [
        _reached(scores, ready.test, names)
        for scores, names in zip((before, after), maps, strict=True)
    ]
    differences, fresh = reached[1] - reached[0], ready.fresh
    parts = touched_parts(ready, differences[:, fresh], maps) if ready.classes else {}
    return replace(
        blank,
        **parts,
        estimate=crossed(differences[:, fresh], ready.groups[fresh]),
        test_rows=int(fresh.sum()),
        before_score=float(reached[0][:, fresh].mean()),
        after_score=float(reached[1][:, fresh].mean()),
        slices=tuple(slices_of(differences, ready.test.labels if ready.classes else (), fresh)),
    )


def kept_answers(ready: Comparable, before: Scores, after: Scores) -> Kept | None:
    """Give the predictions of both sides, to be scored again under corrected labels.

    Returns:
        None where a score stands for each row: another right answer would have scored otherwise,
        and what was answered is not known.
    """
    if before.kind == "score":
        return None
    test = ready.test
    maps: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
    if test.shared is not None:
        maps = (test.shared.before, test.shared.after)
    told = [
        [[names.get(str(by[i]), str(by[i])) for i in test.ids] for by in _by_seed(scores)]
        for scores, names in zip((before, after), maps, strict=True)
    ]
    names = sorted({*test.labels, *(one for side in told for seed in side for one in seed)})
    number = {name: k for k, name in enumerate(names)}
    one, other = (np.array([[number[n] for n in seed] for seed in side]) for side in told)
    wanted = np.array([number[label] for label in test.labels])
    return Kept(tuple(names), test.ids, wanted, one, other, ready.groups, ready.fresh)


def _by_seed(scores: Scores) -> list[Mapping[str, str | float]]:
    return [scores.by_seed[seed] for seed in scores.seeds]


def _must_pair(before: Scores, after: Scores) -> None:
    if before.kind != after.kind:
        raise MeasureError(
            f"the first side gives a {before.kind} per row and the second a {after.kind}; "
            "give the same on both"
        )
    if before.seeds != after.seeds:
        one, other = set(before.seeds), set(after.seeds)
        raise MeasureError(
            "the two sides have different seeds, so runs cannot be paired: "
            f"only the first has {sorted(one - other)}, only the second {sorted(other - one)}; "
            "train both versions under the same seeds"
        )
    if len(before.seeds) < 2:  # noqa: PLR2004 - noise cannot be told from one
        raise MeasureError(
            f"only seed {before.seeds[0]} on both sides: without a second one the noise of "
            "training is unknown; give at least 2 seeds (5 to be trusted)"
        )


def _reached(scores: Scores, test: TestSet, names: Mapping[str, str]) -> FloatArray:
    """Score each test row under each seed, shape (s, m), 0..1."""
    if scores.kind == "score":
        rows = [[scores.by_seed[seed][i] for i in test.ids] for seed in scores.seeds]
        return np.array(rows, dtype=np.float64)
    hits = [
        [
            names.get(str(told[i]), str(told[i])) == label
            for i, label in zip(test.ids, test.labels, strict=True)
        ]
        for told in (scores.by_seed[seed] for seed in scores.seeds)
    ]
    return np.array(hits, dtype=np.float64)


def training_file(side: Side) -> pa.Table:
    """Give the rows a trainer may learn from, in the order of ids.

    Columns: id, text, label, weight, and the user's own (an answer, a system prompt).
    """
    train = side.train()
    return train.select(["id", "text", "label", "weight", *schema.user_columns(train)])


def _seen(side: Side) -> Counter[str]:
    """Give the multiset of what a trainer may learn from; ids are names and teach nothing."""
    rows = training_file(side).drop_columns(["id"])
    return Counter(schema.hash_fields(row) for row in rows.to_pylist())


def answer_file(ids: Sequence[str], texts: Sequence[str]) -> pa.Table:
    """Give the rows a trainer answers: id and text as served, and no label to peek at."""
    return pa.table({"id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.string())})
