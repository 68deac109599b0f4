"""How surprising a text is to a model of the corpus itself: noise, other languages, other topics.

The one idea: a character n-gram model is nothing but counts, so a row's own near-duplicate group
can be taken out of the counts before the row is scored; no row is its own witness. Counts lie in
tables of fixed size (two n-grams share a place once in a while), so memory does not grow with the
corpus.

Source: MacKay and Peto 1995, A hierarchical Dirichlet language model (the smoothing).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from curator.reading import FloatArray, IntArray, pieces

ORDER = 4
_STRENGTH = 4.0  # pseudo-counts that the shorter context lends to a longer one
_PLACES = np.uint64(1 << 24)
_START = np.uint64(2)
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_ALPHABET_LEAST = 64

CodeArray = npt.NDArray[np.uint64]


def bits_per_character(
    texts: pl.Series,
    groups: Sequence[str],
    *,
    fitted: npt.NDArray[np.bool_],
    max_chars: int = 2_000,
) -> FloatArray:
    """Say how many bits a character of each text costs a model that never saw its group.

    Args:
        texts: n texts.
        groups: Near-duplicate group per text.
        fitted: Which texts the model is counted on (training rows), shape (n,).
        max_chars: Of each text this many characters are read.

    Returns:
        Shape (n,); nan for an empty text.
    """
    # Rows of a group side by side, so that a piece can count its groups by itself.
    order = np.lexsort((np.arange(len(groups)), _codes(groups)))
    sorted_texts = texts.gather(order).str.to_lowercase().str.slice(0, max_chars)
    numbers = _codes(groups)[order]
    trained = fitted[order]
    parts = [
        _Piece(start, piece, numbers, trained) for start, piece in _by_group(sorted_texts, numbers)
    ]
    letters = sum(len(np.unique(p.codes)) for p in parts[:1]) if parts else 0
    probability: list[FloatArray] = [
        np.full(len(p.codes), 1.0 / max(letters, _ALPHABET_LEAST)) for p in parts
    ]
    context = np.zeros(int(_PLACES), np.int32)
    context[0] = sum(int(p.trained.sum()) for p in parts)
    for n in range(1, ORDER + 1):
        table = np.zeros(int(_PLACES), np.int32)
        for part in parts:
            np.add.at(table, part.places(n)[part.trained], 1)
        for at, part in enumerate(parts):
            whole = part.without_own(context, part.contexts(n))
            seen = part.without_own(table, part.places(n))
            seen = np.minimum(seen, whole)
            probability[at] = (seen + _STRENGTH * probability[at]) / (whole + _STRENGTH)
        context = table
    bits = np.full(len(texts), np.nan)
    for part, p in zip(parts, probability, strict=True):
        cost = np.bincount(part.of, weights=-np.log2(p), minlength=part.count)
        length = np.bincount(part.of, minlength=part.count)
        with np.errstate(invalid="ignore"):
            bits[order[part.start : part.start + part.count]] = cost / length
    return bits


def _codes(names: Sequence[str]) -> IntArray:
    return pl.Series(names, dtype=pl.String).rank("dense").to_numpy().astype(np.int64)


def _by_group(texts: pl.Series, numbers: IntArray) -> list[tuple[int, pl.Series]]:
    """Give pieces of texts that part no group."""
    starts = [start for start, _ in pieces(texts)]
    new = (
        np.concatenate([[True], numbers[1:] != numbers[:-1]]) if len(numbers) else np.zeros(0, bool)
    )
    heads = np.flatnonzero(new)
    places = np.searchsorted(heads, starts, "right") - 1
    cuts = sorted({int(heads[place]) for place in places} | {0})
    ends = [*cuts[1:], len(texts)]
    return [(a, texts[a:b]) for a, b in zip(cuts, ends, strict=True) if b > a]


class _Piece:
    """The characters of some texts, with the n-gram that ends at each of them."""

    def __init__(
        self, start: int, texts: pl.Series, numbers: IntArray, trained: npt.NDArray[np.bool_]
    ) -> None:
        joined = "".join(texts.to_list())
        self.start, self.count = start, len(texts)
        lengths = texts.str.len_chars().to_numpy().astype(np.int64)
        self.codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        self.of = np.repeat(np.arange(self.count), lengths)
        self.group = numbers[start : start + self.count][self.of]
        self.trained = trained[start : start + self.count][self.of]
        heads = np.concatenate([[0], np.cumsum(lengths)])[:-1]
        self.since = np.arange(len(self.codes)) - heads[self.of] if self.count else self.of

    def places(self, n: int) -> IntArray:
        """Give the place in a table of the n-gram that ends at each character."""
        return self._hashed(range(n - 1, -1, -1), n)

    def contexts(self, n: int) -> IntArray:
        """Give the place of the n - 1 characters before each character; 0 for none."""
        if n == 1:
            return np.zeros(len(self.codes), np.int64)
        return self._hashed(range(n - 1, 0, -1), n - 1)

    def _hashed(self, back: range, n: int) -> IntArray:
        made = np.full(len(self.codes), np.uint64(n), np.uint64)
        for shift in back:
            before = np.zeros(len(self.codes), np.uint64)
            before[shift:] = self.codes[: len(self.codes) - shift] if shift else self.codes
            made = (made ^ np.where(self.since >= shift, before + np.uint64(3), _START)) * _PRIME
            made ^= made >> np.uint64(31)
        return np.asarray(made % _PLACES).astype(np.int64)

    def without_own(self, table: npt.NDArray[np.int32], places: IntArray) -> FloatArray:
        """Look counts up, without what the character's own group brought to them."""
        key = self.group * np.int64(_PLACES) + places
        seen, at = np.unique(key, return_inverse=True)
        own = np.bincount(at, weights=self.trained, minlength=len(seen))[at]
        return np.asarray(np.maximum(table[places] - own, 0.0), np.float64)
