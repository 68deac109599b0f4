"""How the set is made up: classes too small to learn, and an order that is not chance.

The one idea: a doubt about the set is carried by the rows that show it, so that it is stored,
listed and shown like any other.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from curator.checks.permuting import p_value
from curator.reading import FloatArray, IntArray, doubts, label_of, labels_of, together

CHECK = "composition"
ISSUES = ("rare_class", "order")
_EXAMPLES = 3
_PAIRS = 2_000  # neighbours that are compared, evenly spread over the file
_FEWEST = 20  # rows in file order under which no order can be told from chance


def composition(
    rows: pa.Table,
    embeddings: FloatArray,
    *,
    min_class_share: float = 0.1,
    min_class_rows: int = 2,
    permutations: int = 199,
    min_order: float = 0.1,
    level: float = 0.01,
) -> pa.Table:
    """Find classes that are too rare, and files whose neighbours are more alike than chance.

    Args:
        rows: Rows with id, group, label, split, source and source_row.
        embeddings: Of all rows, shape (n, d), unit length.
        min_class_share: A class is rare under this share of a mean class's training rows, 0..1.
        min_class_rows: A class is rare under this many training rows.
        permutations: Orders drawn by chance to compare with.
        min_order: Smallest excess of equal labels, or of cosine, of neighbours worth telling, 0..1.
        level: Chance of a false alarm, 0..1.

    Returns:
        Findings: rare_class, carried by up to three rows of the class; order (per source), carried
        by the first three rows of the longest run of one label, or of the source.

    Source: cleanlab's Datalab for both ideas; the order test here permutes whole neighbourhoods.
    """
    tables = [_rare(rows, min_class_share, min_class_rows)]
    sources = pl.Series(rows["source"].to_pylist(), dtype=pl.String)
    places = pl.Series(rows["source_row"].to_pylist(), dtype=pl.Int64)
    for name in sources.drop_nulls().unique().sort():
        at = ((sources == name) & places.is_not_null()).fill_null(value=False).arg_true().to_numpy()
        order = at[np.argsort(places.gather(at).to_numpy(), kind="stable")].astype(np.int64)
        if len(order) >= _FEWEST:
            tables += _order(rows, embeddings, order, permutations, min_order, level)
    return together(tables)


def _rare(rows: pa.Table, min_share: float, min_rows: int) -> pa.Table:
    frame = pl.DataFrame({
        "label": labels_of(rows),
        "split": pl.Series(rows["split"].to_pylist(), dtype=pl.String),
    }).with_row_index("at")  # fmt: skip
    frame = frame.filter(pl.col("split") == "train").explode("label").drop_nulls("label")
    counts = frame.group_by("label").agg(n=pl.len(), at=pl.col("at").head(_EXAMPLES))
    mean = frame.height / max(counts.height, 1)
    least = max(min_share * mean, min_rows)
    rare = counts.filter(pl.col("n") < least).sort("n", "label")
    at, score, said = [], [], []
    for label, n, examples in rare.iter_rows():
        at += examples
        score += [1 - n / least] * len(examples)
        noun = "row" if n == 1 else "rows"
        said += [f"class {label!r} has {n} training {noun}, a mean class {mean:.0f}"] * len(
            examples
        )
    return doubts(rows, at, issue_type="rare_class", check=CHECK, score=score, evidence=said)


def _order(
    rows: pa.Table,
    embeddings: FloatArray,
    order: IntArray,
    permutations: int,
    min_order: float,
    level: float,
) -> list[pa.Table]:
    labels = label_of(rows).gather(order).rank("dense").to_numpy()
    groups = pl.Series(rows["group"].to_pylist()).gather(order).rank("dense").to_numpy()
    vectors = np.asarray(embeddings)[order]
    # Copies side by side say nothing about the order.
    steps = np.flatnonzero(groups[1:] != groups[:-1])
    steps = steps[:: max(len(steps) // _PAIRS, 1)]
    if not len(steps):
        return []

    def equal(one: IntArray, other: IntArray) -> float:
        return float(np.mean(labels[one] == labels[other]))

    def cosine(one: IntArray, other: IntArray) -> float:
        return float(np.mean(np.einsum("ij,ij->i", vectors[one], vectors[other])))

    source = rows["source"][int(order[0])].as_py()
    for what, alike in (("share of equal labels", equal), ("cosine", cosine)):
        seen = alike(steps, steps + 1)
        draw = np.random.default_rng(0)
        shuffles = (draw.permutation(len(order)) for _ in range(permutations))
        chance = np.array([alike(s[steps], s[steps + 1]) for s in shuffles])
        excess, p = seen - float(chance.mean()), p_value(seen, chance)
        if p <= level and excess >= min_order:
            said = (
                f"{source}: neighbours have a mean {what} of {seen:.2f}, by chance "
                f"{chance.mean():.2f} (p {p:.3f}); shuffle before cutting it into parts"
            )
            at = order[_longest_run(labels)][:_EXAMPLES]
            score = np.full(len(at), excess)
            said_of = [said] * len(at)
            return [
                doubts(rows, at, issue_type="order", check=CHECK, score=score, evidence=said_of)
            ]
    return []


def _longest_run(labels: IntArray) -> IntArray:
    """Give the positions of the longest run of one value."""
    cuts = np.concatenate([[0], np.flatnonzero(labels[1:] != labels[:-1]) + 1, [len(labels)]])
    best = int(np.argmax(np.diff(cuts)))
    return np.arange(cuts[best], cuts[best + 1])
