"""Pairs of texts that say (nearly) the same: MinHash proposes, exact Jaccard decides.

The one idea: hashing may only *propose*. Every pair that leaves this module has its exact Jaccard
similarity, counted on the shingle sets of both texts; on short texts three of four proposals are
wrong, so the check is what makes a pair trustworthy.

Same texts never make quadratic pairs. k rows of one normalised text give a star of k - 1 pairs to
the first of them, and a pair between *different* texts links the first rows of both: it speaks for
all rows of the two texts. `text_graph` reads pairs that way; connected groups come out the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curator.buckets import candidates
from curator.errors import RecipeError, StepError
from curator.shingles import (
    CHUNK_CHARS,
    SIZES,
    Allocate,
    IntArray,
    KeyArray,
    Shingles,
    choose_shingles,
    normalise,
    shingle_sets,
    sketch,
)

__all__ = [
    "Pairs",
    "Shingles",
    "TextGraph",
    "check_near",
    "choose_shingles",
    "near_groups",
    "near_pairs",
    "nearest_group",
    "normalise",
    "text_graph",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Texts: TypeAlias = Sequence[str] | pa.Array | pa.ChunkedArray

SURE_JACCARD = 0.7  # rows at this or above share a group; pairs are made down to here
LOWEST_THRESHOLD = 0.5  # below, 21 bands of 6 rows miss more than 7 of 10 pairs
_VERIFY_SHINGLES = 2_000_000
_KEPT_SHINGLES = 40_000_000


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of rows whose texts are the same or near, sorted by left, then right.

    left, right: positions of the two rows, shape (p,) each, left < right.
    jaccard: exact similarity of the shingle sets, shape (p,), in (0, 1]; 1.0 for same texts.
    capped_buckets: buckets too full to try all their pairs (a few of the longest texts stood in
        for the rest, so near pairs in there may be missing); 0 nearly always.
    """

    left: IntArray
    right: IntArray
    jaccard: FloatArray
    capped_buckets: int


@dataclass(frozen=True, slots=True)
class TextGraph:
    """Which different texts are near each other, and which rows hold the same one.

    texts: the different normalised texts, longest first, then in alphabetical order.
    codes: the text of each row as an index into texts, shape (n,).
    near: per text the other texts near it, and their Jaccard.
    """

    texts: tuple[str, ...]
    codes: IntArray
    near: dict[int, dict[int, float]]


def near_pairs(
    texts: Texts,
    *,
    threshold: float,
    shingles: Shingles,
    sides: BoolArray | None = None,
    threads: int = 1,
    chunk_chars: int = CHUNK_CHARS,
    allocate: Allocate = np.empty,
) -> Pairs:
    """Find the pairs of rows with the same text or an exact Jaccard of at least the threshold.

    A pair at Jaccard .8 is found with 99.8 % probability, at .7 with 93 %; same texts always.

    Args:
        texts: n texts as they are; they are normalised here.
        threshold: Smallest Jaccard of a pair, in 0.5..1.
        shingles: What a text is a set of; `char-2` for corpora of texts under 12 characters.
        sides: Side of each row, shape (n,): only pairs between False and True are given. Then the
            first row of each text and side stands for its side, and every row that is the same as
            or near to a row of the other side has at least one pair.
        threads: Threads for the hashing; they do not change the result.
        chunk_chars: Characters hashed at a time; does not change the result.
        allocate: Makes room for the sketches, 232 bytes a text: in memory, or in a file, from which
            one band after the other is read; does not change the result.

    Returns:
        The pairs; a star for each text that several rows share, see the module's text.

    Raises:
        StepError: The threshold or the shingles are none that this knows.
    """
    _check_options(threshold, shingles)
    different, codes = _different_texts(texts)
    found, capped = candidates(
        sketch(different, shingles, threads=threads, chunk_chars=chunk_chars, allocate=allocate),
        threshold,
        _held(codes, sides, len(different)),
    )
    u, v, jaccard = _verified(different, found, threshold, shingles)
    if sides is None:
        left, right, score = _linked(codes, u, v, jaccard)
    else:
        left, right, score = _linked_across(codes, sides, u, v, jaccard)
    low, high = np.minimum(left, right), np.maximum(left, right)
    order = np.lexsort((high, low))
    return Pairs(low[order], high[order], score[order], capped)


def near_groups(ids: Sequence[str], pairs: Pairs) -> list[str]:
    """Give each row the name of its near-duplicate group: the smallest id among them.

    Args:
        ids: Row ids, in the order the pairs were made for.
        pairs: Pairs over all these rows (made without sides).

    Returns:
        Group of each row, in row order; a row without pairs is its own group.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(ids)
    if n == 0:
        return []
    links = coo_array((np.ones(len(pairs.left), np.int8), (pairs.left, pairs.right)), shape=(n, n))
    _, members = connected_components(links, directed=False)
    names: dict[int, str] = {}
    for member, row_id in zip(members.tolist(), ids, strict=True):
        names[member] = min(row_id, names.get(member, row_id))
    return [names[member] for member in members.tolist()]


def nearest_group(
    new_texts: Texts,
    known_texts: Texts,
    known_groups: Sequence[str],
    *,
    shingles: Shingles,
    threshold: float = SURE_JACCARD,
) -> list[str | None]:
    """Give each new row the group of the known row nearest to it.

    Args:
        new_texts: Texts of the m rows that come later.
        known_texts: Texts of the n rows that have a group.
        known_groups: Their groups, n of them.
        shingles: As the groups were made with.
        threshold: Smallest Jaccard to join, in 0.5..1.

    Returns:
        m groups, in order; None for a row near to no known one (its group is its own, or that of
        other new rows: `near_groups` over the rows left). Equally near: the smallest name.
    """
    n, m = len(known_texts), len(new_texts)
    both = [*_plain(known_texts), *_plain(new_texts)]
    pairs = near_pairs(both, threshold=threshold, shingles=shingles, sides=np.arange(n + m) >= n)
    best: dict[int, tuple[float, str]] = {}
    for known, new, jaccard in zip(
        pairs.left.tolist(), pairs.right.tolist(), pairs.jaccard.tolist(), strict=True
    ):
        offer = (-jaccard, known_groups[known])
        best[new] = min(offer, best.get(new, offer))
    return [best[n + i][1] if n + i in best else None for i in range(m)]


def text_graph(texts: Texts, pairs: Pairs, *, threshold: float) -> TextGraph:
    """Read pairs of rows as a graph of different texts.

    Args:
        texts: The n texts the pairs were made for.
        pairs: Made at this threshold or a lower one.
        threshold: Smallest Jaccard of two texts to count as near.

    Returns:
        The texts, the text of each row and the near texts of each.
    """
    different, codes = _different_texts(texts)
    near: dict[int, dict[int, float]] = {}
    strong = pairs.jaccard >= threshold
    u, v = codes[pairs.left[strong]], codes[pairs.right[strong]]
    for a, b, jaccard in zip(u.tolist(), v.tolist(), pairs.jaccard[strong].tolist(), strict=True):
        if a != b:
            near.setdefault(a, {})[b] = jaccard
            near.setdefault(b, {})[a] = jaccard
    return TextGraph(tuple(different.to_list()), codes, near)


def check_near(check: str, near: float) -> None:
    """Make sure that a check asks for no fainter likeness than pairs are made for.

    Raises:
        RecipeError: near is outside 0.7..1.
    """
    if not SURE_JACCARD <= near <= 1:
        raise RecipeError(
            f"{check}: near is {near}; expected {SURE_JACCARD}..1, the Jaccard of two texts (below "
            f"{SURE_JACCARD} too many pairs would be missed)"
        )


def _check_options(threshold: float, shingles: str) -> None:
    if not LOWEST_THRESHOLD <= threshold <= 1:
        raise StepError(
            f"near duplicates: threshold {threshold} is outside {LOWEST_THRESHOLD}..1; below, "
            f"MinHash misses most pairs; 0.8 is a good start"
        )
    if shingles not in SIZES:
        raise StepError(f"near duplicates: shingles {shingles!r} is not one of {sorted(SIZES)}")


def _plain(texts: Texts) -> list[str]:
    return texts.to_pylist() if isinstance(texts, pa.Array | pa.ChunkedArray) else list(texts)


def _different_texts(texts: Texts) -> tuple[pl.Series, IntArray]:
    """Give the different normalised texts, longest first, and the text of each row, shape (n,).

    This order is the same for any order of the rows; full buckets take their hubs from its front.
    """
    encoded = normalise(texts).dictionary_encode()
    frame = pl.DataFrame({"text": pl.Series(encoded.dictionary, dtype=pl.String)})
    frame = frame.with_row_index("found").with_columns(
        pl.col("text").str.len_chars().alias("chars")
    )
    frame = frame.sort("chars", "text", descending=[True, False])
    rank = np.empty(len(frame), np.int64)
    rank[frame["found"].to_numpy()] = np.arange(len(frame))
    return frame["text"], rank[encoded.indices.to_numpy().astype(np.int64)]


def _held(codes: IntArray, sides: BoolArray | None, texts: int) -> BoolArray:
    """Tell which texts each of the two sides has, shape (2, texts); all, without sides."""
    held = np.full((2, texts), fill_value=sides is None)
    if sides is not None:
        held[0, codes[~sides]] = True
        held[1, codes[sides]] = True
    return held


def _verified(
    texts: pl.Series, found: KeyArray, threshold: float, shingles: Shingles
) -> tuple[IntArray, IntArray, FloatArray]:
    """Count the exact Jaccard of the candidates and keep those at the threshold or above."""
    n = np.uint64(max(len(texts), 1))
    u, v = (found // n).astype(np.int64), (found % n).astype(np.int64)
    jaccard = np.empty(len(u), np.float64)
    lengths = texts.str.len_chars().to_numpy().astype(np.int64) + 1
    wanted = np.unique(np.concatenate([u, v]))
    # Where a corpus repeats itself a text is in many pairs: its set is made once if all sets fit,
    # and else again for each block of pairs, so that memory stays flat.
    every = _sets(texts, wanted, shingles) if lengths[wanted].sum() <= _KEPT_SHINGLES else None
    ends = np.cumsum(lengths[u] + lengths[v])
    low = 0
    while low < len(u):
        before = ends[low - 1] if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + _VERIFY_SHINGLES, side="right")))
        a, b = u[low:high], v[low:high]
        sets = every or _sets(texts, np.unique(np.concatenate([a, b])), shingles)
        jaccard[low:high] = _jaccard(sets, a, b)
        low = high
    strong = jaccard >= threshold
    return u[strong], v[strong], jaccard[strong]


@dataclass(frozen=True, slots=True)
class _Sets:
    """The shingle sets of some texts: a matrix with one column per possible hash, and their sizes.

    A product of two rows merges their sorted hashes in C.
    """

    texts: IntArray
    matrix: Any
    sizes: IntArray


def _sets(texts: pl.Series, wanted: IntArray, shingles: Shingles) -> _Sets:
    from scipy.sparse import csr_array

    starts, hashes = shingle_sets(texts.gather(wanted), shingles)
    ones = np.ones(len(hashes), np.int8)
    matrix = csr_array((ones, hashes, starts), shape=(len(wanted), 1 << 48))
    return _Sets(wanted, matrix, np.diff(starts))


def _jaccard(sets: _Sets, u: IntArray, v: IntArray) -> FloatArray:
    """Give the exact Jaccard similarity of each pair of texts, shape (p,), in 0..1."""
    a, b = np.searchsorted(sets.texts, u), np.searchsorted(sets.texts, v)
    shared = np.diff(sets.matrix[a].multiply(sets.matrix[b]).indptr)
    ratio: FloatArray = shared / (sets.sizes[a] + sets.sizes[b] - shared)
    return ratio


def _first_rows(codes: IntArray, rows: IntArray, texts: int) -> IntArray:
    """Give the first of the rows that holds each text, shape (texts,); -1 where none does."""
    first = np.full(texts, -1, np.int64)
    first[codes[rows[::-1]]] = rows[::-1]  # the last write stays: the first row
    return first


def _linked(
    codes: IntArray, u: IntArray, v: IntArray, jaccard: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Turn pairs of texts into pairs of their first rows, and same texts into stars."""
    rows = np.arange(len(codes))
    first = _first_rows(codes, rows, int(codes.max(initial=-1)) + 1)
    others = rows[first[codes] != rows]
    return (
        np.concatenate([first[codes[others]], first[u]]),
        np.concatenate([others, first[v]]),
        np.concatenate([np.ones(len(others)), jaccard]),
    )


def _linked_across(
    codes: IntArray, sides: BoolArray, u: IntArray, v: IntArray, jaccard: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Turn pairs of texts into pairs across the sides: each row with the other side's first."""
    texts = int(codes.max(initial=-1)) + 1
    same = np.arange(texts)
    a = np.concatenate([same, u, v])
    b = np.concatenate([same, v, u])
    score = np.concatenate([np.ones(texts), jaccard, jaccard])
    false, true = np.flatnonzero(~sides), np.flatnonzero(sides)
    first_false, first_true = _first_rows(codes, false, texts), _first_rows(codes, true, texts)
    both = (first_false[a] >= 0) & (first_true[b] >= 0)
    a, b, score = a[both], b[both], score[both]
    by_false, left = _spread(codes, false, a)
    by_true, right = _spread(codes, true, b)
    fresh = right != first_true[b[by_true]]  # that pair is among the others already
    by_true, right = by_true[fresh], right[fresh]
    return (
        np.concatenate([left, first_false[a[by_true]]]),
        np.concatenate([first_true[b[by_false]], right]),
        np.concatenate([score[by_false], score[by_true]]),
    )


def _spread(codes: IntArray, rows: IntArray, wanted: IntArray) -> tuple[IntArray, IntArray]:
    """Give every row that holds each wanted text: places in wanted, and the rows."""
    ordered = rows[np.argsort(codes[rows], kind="stable")]
    low = np.searchsorted(codes[ordered], wanted, side="left")
    counts = np.searchsorted(codes[ordered], wanted, side="right") - low
    places = np.repeat(np.arange(len(wanted)), counts)
    offsets = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places, ordered[low[places] + offsets]
