"""How much of a long text repeats itself: lines, paragraphs and word n-grams.

The one idea: words become numbers and n-grams hashes, so that all texts of a piece are counted at
once. Thresholds are those of the paper; texts under `min_words` are never looked at, as a question
of eight words repeats "the" without being spam. Of a text the first million characters are counted
(Gopher drops texts of more than 100,000 words altogether).

Source: Rae et al. 2021, Scaling Language Models (Gopher), table A1 and section A.1.1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from curator.reading import FloatArray, IntArray, pieces, words_of

TOP = {2: 0.20, 3: 0.18, 4: 0.16}
"""Largest share of characters in the most frequent n-gram, by n."""
DUPLICATED = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
"""Largest share of characters in n-grams that stood in the text before, by n."""
LINES = {"lines": 0.30, "line characters": 0.20, "paragraphs": 0.30, "paragraph characters": 0.20}
"""Largest share of lines and paragraphs, and of their characters, that stood before."""

CodeArray = npt.NDArray[np.uint64]

_READ_CHARS = 1_000_000
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_OTHER = np.uint64(0xC2B2AE3D27D4EB4F)


def repetition_shares(texts: pl.Series) -> Iterator[tuple[str, float, FloatArray]]:
    """Give each measure of repetition: its name, the paper's threshold, share per text 0..1.

    Args:
        texts: n texts.

    Returns:
        (name, threshold, shape (n,)).
    """
    found = {name: np.zeros(len(texts)) for name in (*LINES, *map(_named, (*TOP, *DUPLICATED)))}
    for start, piece in pieces(texts.str.slice(0, _READ_CHARS)):
        for name, shares in (*_of_lines(piece), *_of_words(piece)):
            found[name][start : start + len(piece)] = shares
    for name, limit in (*LINES.items(), *((_named(n), v) for n, v in (TOP | DUPLICATED).items())):
        yield name, limit, found[name]


def _named(n: int) -> str:
    return f"most frequent {n}-gram" if n in TOP else f"repeated {n}-grams"


def _of_lines(texts: pl.Series) -> Iterator[tuple[str, FloatArray]]:
    for kind, pattern in (("line", r"[^\n]+"), ("paragraph", r"[^\n]+(?:\n[^\n]+)*")):
        parts = pl.DataFrame({"text": texts.str.extract_all(pattern)}).with_row_index("at")
        lines = parts.explode("text", empty_as_null=False).with_columns(
            pl.col("text").str.strip_chars()
        )
        lines = lines.filter(pl.col("text") != "").with_columns(
            again=pl.col("text").cum_count().over("at", "text") > 1,
            chars=pl.col("text").str.len_chars(),
        )
        told = lines.group_by("at").agg(
            share=pl.col("again").mean(),
            chars=(pl.col("chars") * pl.col("again")).sum() / pl.col("chars").sum(),
        )
        at = told["at"].to_numpy()
        for name, column in ((f"{kind}s", "share"), (f"{kind} characters", "chars")):
            shares = np.zeros(len(texts))
            shares[at] = told[column].to_numpy()
            yield name, shares


def _of_words(texts: pl.Series) -> Iterator[tuple[str, FloatArray]]:
    words = words_of(texts)
    counts = words.list.len().to_numpy().astype(np.int64)
    flat = words.explode(empty_as_null=False, keep_nulls=False)
    codes = flat.rank("dense").to_numpy().astype(np.uint64) if len(flat) else np.zeros(0, np.uint64)
    chars = flat.str.len_chars().to_numpy().astype(np.int64)
    of = np.repeat(np.arange(len(texts)), counts)
    # White space is in neither side of a share: scripts without it have the same thresholds.
    total = np.maximum(np.bincount(of, weights=chars, minlength=len(texts)), 1.0)
    for n in (*TOP, *DUPLICATED):
        share = _top if n in TOP else _repeated
        yield _named(n), share(_grams(codes, n), of, chars, n, len(texts)) / total


def _grams(codes: CodeArray, n: int) -> CodeArray:
    """Hash each run of n words; the last n - 1 positions have none."""
    count = max(len(codes) - n + 1, 0)
    made: CodeArray = np.zeros(count, np.uint64)
    for shift in range(n):
        made = _mixed(made + codes[shift : shift + count])
    return made


def _mixed(codes: CodeArray) -> CodeArray:
    made: CodeArray = codes * _PRIME
    made ^= made >> np.uint64(29)
    return made


def _within(grams: CodeArray, of: IntArray, n: int) -> tuple[IntArray, pl.Series]:
    """Give the positions whose n words stand in one text, and a key for each: text and n-gram."""
    at = np.flatnonzero(of[: len(grams)] == of[n - 1 :][: len(grams)])
    return at, pl.Series(_mixed(grams[at] ^ (of[at].astype(np.uint64) * _OTHER)))


def _top(grams: CodeArray, of: IntArray, chars: IntArray, n: int, texts: int) -> FloatArray:
    """Give the characters in the most frequent n-gram of each text, 0 where it stands once."""
    at, keys = _within(grams, of, n)
    many = keys.is_duplicated().to_numpy()  # few are, and only they have to be counted
    at, keys = at[many], keys.filter(many)
    length = _lengths(chars, n)[at]
    frame = pl.DataFrame({"key": keys, "of": of[at], "chars": length})
    best = (
        frame.group_by("key")
        .agg(pl.len().alias("times"), pl.col("of", "chars").first())
        .sort("times", "chars", descending=True)
        .unique("of", keep="first", maintain_order=True)
    )
    found = np.zeros(texts)
    found[best["of"].to_numpy()] = (best["times"] * best["chars"]).to_numpy()
    return found


def _repeated(grams: CodeArray, of: IntArray, chars: IntArray, n: int, texts: int) -> FloatArray:
    """Give the characters of words that stand in an n-gram seen before, each counted once."""
    at, keys = _within(grams, of, n)
    steps = np.zeros(len(chars) + 1, np.int64)
    again = at[~keys.is_first_distinct().to_numpy()]
    np.add.at(steps, again, 1)
    np.add.at(steps, again + n, -1)
    covered = np.cumsum(steps[:-1]) > 0
    return np.bincount(of[covered], weights=chars[covered], minlength=texts).astype(np.float64)


def _lengths(chars: IntArray, n: int) -> IntArray:
    ends = np.concatenate([[0], np.cumsum(chars)])
    return np.asarray(ends[n:] - ends[:-n])
