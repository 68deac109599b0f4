"""Do two parts of a corpus differ: training from test rows, or one version from another?

The one idea: five views of a text (what it is about, its words, length, language, label), each with
one number for how far the sides are apart, compared with the same number after whole near-duplicate
groups were dealt to the sides by chance. A difference is told where it is neither chance (adjusted
for the number of views) nor too small to matter; where the sides are too small to show anything,
that is said instead.

Source: Lopez-Paz and Oquab 2017, Revisiting classifier two-sample tests (the view of the domain).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curator.checks.language import languages_of
from curator.checks.permuting import area_under_curve, dealt, holm, interval_by_groups, p_value
from curator.reading import (
    BoolArray,
    FloatArray,
    IntArray,
    doubts,
    label_of,
    terms_of,
    texts_of,
    together,
)
from curator.schema import hash_fields
from curator.tasks import task_of

CHECK = "drift"
ISSUES = ("domain_drift", "word_drift", "length_drift", "language_drift", "label_drift")

_EXAMPLES = 3
_FEWEST = 20  # groups on each side under which nothing is claimed
_READ_CHARS = 2_000
_DIMENSIONS = 64
_FOLDS = 5
_RIDGE = 1.0


@dataclass(frozen=True, slots=True)
class View:
    """How far two sides are apart in one view.

    issue_type: Of `ISSUES`.
    distance: The number, and what chance makes of it, shape (permutations,).
    least: The distance that matters.
    showing: How much each row shows it, shape (n,); the highest are shown.
    said: Sentence with the numbers.
    """

    issue_type: str
    distance: float
    chance: FloatArray
    least: float
    showing: FloatArray
    said: str


def drift(
    rows: pa.Table,
    embeddings: FloatArray,
    *,
    permutations: int = 199,
    level: float = 0.05,
    min_auc: float = 0.6,
    min_share: float = 0.05,
    min_length: float = 0.15,
    max_rows: int = 5_000,
) -> pa.Table:
    """Find in what test or validation rows differ from training rows.

    Args:
        rows: Rows with id, group, text, label and split.
        embeddings: Of all rows, shape (n, d), unit length.
        permutations: How often groups are dealt out by chance.
        level: Chance of a false alarm over all views of one pair of splits, 0..1.
        min_auc: A domain classifier matters from this area under the curve, .5..1.
        min_share: Words, languages and labels matter from this difference of shares, 0..1.
        min_length: Lengths matter from this Kolmogorov-Smirnov distance, 0..1.
        max_rows: Of each split at most so many rows are compared, drawn by group.

    Returns:
        Findings about the set, carried by the three rows of the other split that show it most:
        domain_drift, word_drift, length_drift, language_drift, label_drift. Not flagged: a pair of
        splits that is too small to tell.
    """
    splits = np.array(rows["split"].to_pylist())
    tables = []
    for other in ("validation", "test"):
        at = np.flatnonzero((splits == "train") | (splits == other))
        side = splits[at] == other
        if side.any() and not side.all():
            at = at[_drawn(rows, at, side, max_rows)]
            found = compared(
                rows.take(pa.array(at)), np.asarray(embeddings)[at], splits[at] == other,
                between=f"{other} against train", permutations=permutations, level=level,
                least=(min_auc, min_share, min_length),
            )  # fmt: skip
            tables.append(found)
    return together(tables)


def version_drift(
    before: pa.Table,
    after: pa.Table,
    embeddings_before: FloatArray,
    embeddings_after: FloatArray,
    *,
    max_rows: int = 5_000,
) -> pa.Table:
    """Find in what the training rows of one version differ from those of another.

    Args:
        before: Training rows of the first version.
        after: Training rows of the second.
        embeddings_before: Of the first, shape (n, d), unit length.
        embeddings_after: Of the second, shape (m, d).
        max_rows: Of each at most so many rows are compared, drawn by group.

    Returns:
        Findings as by `drift`, carried by rows of the second.
    """
    task = task_of(before)
    columns = ["id", "group", *task.columns]
    rows = pa.concat_tables([before.select(columns), after.select(columns)])
    side = np.arange(rows.num_rows) >= before.num_rows
    at = _drawn(rows, np.arange(rows.num_rows), side, max_rows)
    vectors = np.concatenate([embeddings_before, embeddings_after])[at]
    return compared(
        rows.take(pa.array(at)), vectors, side[at], between="the second against the first",
        permutations=199, level=0.05, least=(0.6, 0.05, 0.15),
    )  # fmt: skip


def _drawn(rows: pa.Table, at: IntArray, side: BoolArray, most: int) -> IntArray:
    """Draw rows of each side by a hash of their group: the same rows in any company."""
    keys = np.array([hash_fields(group) for group in rows["group"].take(pa.array(at)).to_pylist()])
    kept = []
    for one in (False, True):
        own = np.flatnonzero(side == one)
        kept.append(own[np.argsort(keys[own], kind="stable")[:most]])
    return np.sort(np.concatenate(kept))


def compared(
    rows: pa.Table,
    embeddings: FloatArray,
    side: BoolArray,
    *,
    between: str,
    permutations: int,
    level: float,
    least: tuple[float, float, float],
) -> pa.Table:
    """Compare two sides of rows in every view.

    Args:
        rows: Rows with id, group, text and label.
        embeddings: Shape (n, d).
        side: Which rows are the second side, shape (n,).
        between: What the sides are called.
        permutations: How often groups are dealt out by chance.
        level: Chance of a false alarm over the views, 0..1.
        least: Smallest area under the curve, difference of shares, and distance of lengths.
    """
    names = rows["group"].to_pylist()
    group = pl.Series(names).rank("dense").to_numpy().astype(np.int64) - 1
    # A group on both sides is two witnesses, one for each: it is dealt out as two.
    unit = np.unique(group * 2 + side, return_inverse=True)[1].astype(np.int64)
    sizes = [len(np.unique(unit[side == one])) for one in (False, True)]
    if min(sizes) < _FEWEST:
        said = f"{between}: {min(sizes)} groups on one side, {_FEWEST} are needed to tell a drift"
        at = np.flatnonzero(side)[:1]
        return doubts(rows, at, issue_type="domain_drift", check=CHECK, score=np.zeros(len(at)),
                      evidence=[said] * len(at), flagged=False)  # fmt: skip
    folds = np.array([int(hash_fields(name), 16) % _FOLDS for name in names], dtype=np.int64)
    chance = dealt(unit, side, times=permutations)
    views = list(_views(rows, np.asarray(embeddings, np.float64), side, chance, unit, folds, least))
    adjusted = holm([p_value(v.distance, v.chance) for v in views])
    tables = []
    for view, p in zip(views, adjusted, strict=True):
        if p <= level and view.distance >= view.least:
            second = np.flatnonzero(side)
            at = second[np.argsort(-view.showing[second], kind="stable")[:_EXAMPLES]]
            said = f"{between}: {view.said} (p {p:.3f}, {sizes[0]} and {sizes[1]} groups)"
            tables.append(doubts(rows, at, issue_type=view.issue_type, check=CHECK,
                                 score=np.full(len(at), view.distance),
                                 evidence=[said] * len(at)))  # fmt: skip
    return together(tables)


def _views(
    rows: pa.Table,
    embeddings: FloatArray,
    side: BoolArray,
    chance: npt.NDArray[np.bool_],
    unit: IntArray,
    folds: IntArray,
    least: tuple[float, float, float],
) -> Iterator[View]:
    min_auc, min_share, min_length = least
    yield _domain(embeddings, side, chance, unit, folds, min_auc)
    texts = texts_of(rows).str.slice(0, _READ_CHARS)
    yield _length(texts, side, chance, min_length)
    yield _words(texts, side, chance, min_share)
    for issue, what, values in (
        ("language_drift", "language", pl.Series(languages_of(texts).language)),
        ("label_drift", "label", label_of(rows)),
    ):
        yield _shares(issue, what, values, side, chance, min_share)


def _domain(
    embeddings: FloatArray,
    side: BoolArray,
    chance: npt.NDArray[np.bool_],
    unit: IntArray,
    folds: IntArray,
    min_auc: float,
) -> View:
    """Train a classifier to tell the sides apart, out of fold, once for all permutations."""
    targets = np.concatenate([side[None], chance]).astype(np.float64)
    scores = _out_of_fold(_reduced(embeddings), targets, folds)
    areas = np.array([area_under_curve(s, t > 0) for s, t in zip(scores, targets, strict=True)])
    low, high = interval_by_groups(lambda at: area_under_curve(scores[0][at], side[at]), unit)
    visible = float(np.quantile(areas[1:], 0.95))
    said = (f"a classifier tells them apart with an area under the curve of {areas[0]:.2f} "
            f"[{low:.2f}, {high:.2f}]; chance reaches {visible:.2f}")  # fmt: skip
    return View("domain_drift", float(areas[0]), areas[1:], min_auc, scores[0], said)


def _reduced(embeddings: FloatArray) -> FloatArray:
    """Give the strongest directions of the embeddings, centred."""
    centred: FloatArray = np.asarray(embeddings - embeddings.mean(axis=0), np.float64)
    if centred.shape[1] <= _DIMENSIONS:
        return centred
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ vectors[:, -_DIMENSIONS:])


def _out_of_fold(features: FloatArray, targets: FloatArray, folds: IntArray) -> FloatArray:
    """Give scores of ridge classifiers that did not see the row's fold, shape (targets, n)."""
    wide = np.hstack([features, np.ones((len(features), 1))])
    made: FloatArray = np.zeros(targets.shape)
    for fold in range(_FOLDS):
        seen, left = wide[folds != fold], folds == fold
        gram = seen.T @ seen + _RIDGE * np.eye(wide.shape[1])
        weights = np.linalg.solve(gram, seen.T @ targets[:, folds != fold].T)
        made[:, left] = (wide[left] @ weights).T
    return made


def _length(texts: pl.Series, side: BoolArray, chance: npt.NDArray[np.bool_], least: float) -> View:
    length = texts.str.len_chars().to_numpy().astype(np.float64)
    order = np.argsort(length, kind="stable")
    last = np.append(np.diff(length[order]) > 0, [True])

    def distance(sides: BoolArray) -> float:
        one = np.cumsum(sides[order]) / max(sides.sum(), 1)
        other = np.cumsum(~sides[order]) / max((~sides).sum(), 1)
        return float(np.abs(one - other)[last].max())

    middle = [float(np.median(length[side == one])) for one in (True, False)]
    seen = distance(side)
    said = f"lengths differ by {seen:.2f}: {middle[0]:.0f} against {middle[1]:.0f} characters"
    away = np.abs(np.log(length + 1) - np.log(middle[1] + 1))
    return View("length_drift", seen, _by_chance(distance, chance), least, away, said)


def _words(texts: pl.Series, side: BoolArray, chance: npt.NDArray[np.bool_], least: float) -> View:
    """Compare the share of rows that hold a word, for the word that differs most."""
    from scipy.sparse import csr_matrix

    terms = terms_of(texts).list.unique()
    flat = pl.DataFrame({"term": terms}).with_row_index("at").explode("term").drop_nulls("term")
    common = flat.filter(pl.len().over("term") >= max(5, least * min(side.sum(), (~side).sum())))
    names = common["term"].unique().sort()
    columns = common["term"].rank("dense").to_numpy().astype(np.int64) - 1
    shape = (len(texts), max(len(names), 1))
    held = csr_matrix((np.ones(len(columns)), (common["at"].to_numpy(), columns)), shape=shape)
    total = np.asarray(held.sum(axis=0)).ravel()

    def gaps(sides: BoolArray) -> FloatArray:
        one = np.asarray(held.T @ sides.astype(np.float64))
        apart = one / max(sides.sum(), 1) - (total - one) / max((~sides).sum(), 1)
        return np.asarray(apart, np.float64)

    seen = gaps(side)
    best = int(np.argmax(np.abs(seen)))
    word = names[best] if len(names) else ""
    has = np.asarray(held[:, best].todense()).ravel()
    shares = [float(has[side == one].mean()) for one in (True, False)]
    said = f"the word {word!r} stands in {shares[0]:.0%} against {shares[1]:.0%} of the rows"
    far = _by_chance(lambda sides: float(np.abs(gaps(sides)).max()), chance)
    showing = has if seen[best] > 0 else 1 - has
    return View("word_drift", float(abs(seen[best])), far, least, showing, said)


def _shares(
    issue: str,
    what: str,
    values: pl.Series,
    side: BoolArray,
    chance: npt.NDArray[np.bool_],
    least: float,
) -> View:
    names = values.unique().sort()
    codes = values.rank("dense").to_numpy().astype(np.int64) - 1

    def gaps(sides: BoolArray) -> FloatArray:
        one = np.bincount(codes, weights=sides, minlength=len(names)) / max(sides.sum(), 1)
        other = np.bincount(codes, weights=~sides, minlength=len(names)) / max((~sides).sum(), 1)
        return np.asarray(one - other, np.float64)

    seen = gaps(side)
    best = int(np.argmax(np.abs(seen)))
    shares = [float((codes[side == one] == best).mean()) for one in (True, False)]
    said = (f"shares of {what} differ by {np.abs(seen).sum() / 2:.0%}, most of {names[best]!r}: "
            f"{shares[0]:.0%} against {shares[1]:.0%}")  # fmt: skip
    far = _by_chance(lambda sides: float(np.abs(gaps(sides)).sum() / 2), chance)
    sign = 1.0 if seen[best] > 0 else -1.0
    return View(issue, float(np.abs(seen).sum() / 2), far, least, sign * (codes == best), said)


def _by_chance(distance: Callable[[BoolArray], float], chance: npt.NDArray[np.bool_]) -> FloatArray:
    return np.array([distance(sides) for sides in chance])
