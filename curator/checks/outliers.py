"""Rows unlike the others: in length, in how they are written, in what they are about.

The one idea: "unlike" is measured against the others only. Lengths are compared within a class,
the model of the characters leaves the row's near-duplicate group out, and so do the nearest
neighbours; then one robust scale (standard deviations by median deviation) says how far out is far.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from curator.checks.surprise import bits_per_character
from curator.near import normalise
from curator.reading import (
    BoolArray,
    FloatArray,
    IntArray,
    doubts,
    label_of,
    texts_of,
    together,
)
from curator.reading import words_of as _words_of
from curator.schema import hash_fields

CHECK = "outliers"
ISSUES = ("odd_length", "odd_words", "surprising", "outlier", "out_of_domain")

_BLOCK = 2_048
_MANY = 20  # rows of a class from which its own spread is known
# Among texts that are all alike a hair's breadth is no outlier: the least spread that counts, of
# the logarithm of a length, of bits a character, and of cosine distance.
_FLOOR, _BITS, _NEAR = 0.25, 0.25, 0.02


def outliers(
    rows: pa.Table,
    embeddings: FloatArray,
    *,
    max_z: float = 5.0,
    neighbours: int = 5,
    reference_rows: int = 20_000,
    max_chars: int = 2_000,
) -> pa.Table:
    """Find rows unlike the others: in length, in their characters, and in what they are about.

    Args:
        rows: Rows with id, group, text, label and split.
        embeddings: Of all rows, shape (n, d), unit length.
        max_z: Flag from this many standard deviations on, by median deviation.
        neighbours: A row's distance is the mean one to so many nearest training rows of other
            groups.
        reference_rows: Distances are to at most so many training rows, drawn by group.
        max_chars: Of each text the model of the characters reads so many.

    Returns:
        Findings: odd_length and odd_words (length in characters and in words within the class, on
        a logarithmic scale), surprising (bits per character), outlier (training rows far from the
        others), out_of_domain (test and validation rows far from training rows). Every row is
        scored; score: standard deviations.
    """
    texts = texts_of(rows)
    train = np.array([split == "train" for split in rows["split"].to_pylist()], dtype=bool)
    tables = _lengths(rows, texts, train, max_z)
    tables.append(_surprising(rows, texts, train, max_z, max_chars))
    tables += _far(rows, embeddings, train, max_z, neighbours, reference_rows)
    return together(tables)


def _lengths(rows: pa.Table, texts: pl.Series, train: BoolArray, max_z: float) -> list[pa.Table]:
    labels = label_of(rows).to_list()
    made = []
    for issue, unit, counts in (
        ("odd_length", "characters", texts.str.len_chars()),
        ("odd_words", "words", _words_of(texts).list.len()),
    ):
        length = counts.to_numpy().astype(np.float64)
        z, typical = _z_by_class(np.log(length + 1), labels, train)
        said = [f"{n:,.0f} {unit}; {np.exp(t) - 1:,.0f} is typical of its class"
                for n, t in zip(length, typical, strict=True)]  # fmt: skip
        made.append(doubts(rows, np.arange(len(z)), issue_type=issue, check=CHECK, score=np.abs(z),
                           evidence=said, flagged=np.abs(z) >= max_z))  # fmt: skip
    return made


def _z_by_class(
    values: FloatArray, labels: list[str], train: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Compare each value with those of the training rows of its class; of all, in small classes."""
    frame = pl.DataFrame({"label": labels, "value": values, "train": train})
    base = frame.filter("train") if train.any() else frame
    middle, spread = _middle(base["value"].to_numpy())
    own = (
        base.group_by("label")
        .agg(n=pl.len(), middle=pl.col("value").median(),
             spread=(pl.col("value") - pl.col("value").median()).abs().median() * 1.4826)
        .filter(pl.col("n") >= _MANY)
    )  # fmt: skip
    joined = frame.join(own, on="label", how="left", maintain_order="left")
    centre = joined["middle"].fill_null(middle).to_numpy()
    scale = np.maximum(joined["spread"].fill_null(spread).to_numpy(), _FLOOR)
    return (values - centre) / scale, centre


def _middle(values: FloatArray) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    middle = float(np.median(values))
    return middle, float(1.4826 * np.median(np.abs(values - middle)))


def _surprising(
    rows: pa.Table, texts: pl.Series, train: BoolArray, max_z: float, max_chars: int
) -> pa.Table:
    plain = pl.Series("text", normalise(texts.str.slice(0, 2 * max_chars).to_arrow()))
    fitted = train if train.any() else np.ones(len(train), dtype=bool)
    bits = bits_per_character(plain, rows["group"].to_pylist(), fitted=fitted, max_chars=max_chars)
    at = np.flatnonzero(np.isfinite(bits))
    z = _z_by_length(bits[at], np.log(plain.str.len_chars().to_numpy()[at] + 1.0))
    typical = float(np.median(bits[at])) if len(at) else 0.0
    said = [f"{b:.1f} bits a character, {typical:.1f} is typical" for b in bits[at]]
    return doubts(rows, at, issue_type="surprising", check=CHECK, score=z, evidence=said,
                  flagged=z >= max_z)  # fmt: skip


def _z_by_length(values: FloatArray, length: FloatArray) -> FloatArray:
    """Compare texts with texts of like length: the shorter, the more their bits spread."""
    order = np.argsort(length, kind="stable")
    z = np.zeros(len(values))
    parts = np.array_split(order, max(min(10, len(values) // 50), 1))
    for part in parts:
        middle, spread = _middle(values[part])
        z[part] = (values[part] - middle) / max(spread, _BITS)
    return z


def _far(
    rows: pa.Table,
    embeddings: FloatArray,
    train: BoolArray,
    max_z: float,
    neighbours: int,
    reference_rows: int,
) -> list[pa.Table]:
    groups = pl.Series(rows["group"].to_pylist(), dtype=pl.String)
    numbers = groups.rank("dense").to_numpy().astype(np.int64)
    base = np.flatnonzero(train) if train.any() else np.arange(len(train))
    reference = _drawn(base, groups, reference_rows)
    distance = _distances(embeddings, numbers, reference, neighbours)
    known = np.isfinite(distance)
    own = known & train if train.any() else known
    middle, spread = _middle(distance[own])
    z = (distance - middle) / max(spread, _NEAR)
    made = []
    for issue, side in (("outlier", own), ("out_of_domain", known & ~own)):
        at = np.flatnonzero(side)
        said = [f"distance {d:.2f} to its nearest training rows, {middle:.2f} is typical"
                for d in distance[at]]  # fmt: skip
        made.append(doubts(rows, at, issue_type=issue, check=CHECK, score=z[at], evidence=said,
                           flagged=z[at] >= max_z))  # fmt: skip
    return made


def _drawn(base: IntArray, groups: pl.Series, most: int) -> IntArray:
    """Draw rows by a hash of their group, so that the same rows are drawn in any company."""
    if len(base) <= most:
        return base
    drawn = np.array([hash_fields(group) for group in groups.gather(base)])
    return np.sort(base[np.argsort(drawn, kind="stable")[:most]])


def _distances(
    embeddings: FloatArray, numbers: IntArray, reference: IntArray, neighbours: int
) -> FloatArray:
    """Give the mean cosine distance to the nearest rows of other groups; nan without any."""
    count = min(neighbours, len(np.unique(numbers[reference])) - 1)
    found = np.full(len(embeddings), np.nan)
    if count < 1:
        return found
    against = np.ascontiguousarray(embeddings[reference], dtype=np.float32)
    for start in range(0, len(embeddings), _BLOCK):
        block = slice(start, start + _BLOCK)
        near = embeddings[block].astype(np.float32) @ against.T
        near[numbers[block, None] == numbers[reference]] = -np.inf
        best = np.partition(near, -count, axis=1)[:, -count:]
        with np.errstate(invalid="ignore"):
            distance = 1 - best.mean(axis=1)
        found[block] = np.where(np.isfinite(distance), distance, np.nan)
    return found
