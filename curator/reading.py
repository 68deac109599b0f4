"""How a text is read: its words and its labels; and how a check writes down what it found.

The one idea: a word is what stands between spaces, except in scripts that write none: there each
character is one. All of it runs over whole columns, a bounded piece at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curator.schema import FINDING_SCHEMA
from curator.tasks import task_of

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
WORD = rf"[{UNSPACED}]|[^\s{UNSPACED}]+"
TERM = rf"[{UNSPACED}]|[\p{{L}}\p{{N}}][\p{{L}}\p{{M}}\p{{N}}_']*"
PIECE_CHARS = 8_000_000
"""Characters that are read at a time; one longer text is a piece by itself."""

_SHOWN = 40


def texts_of(rows: pa.Table) -> pl.Series:
    """Give the texts of rows as a column, as their task reads them."""
    return pl.Series("text", task_of(rows).input_text(rows), dtype=pl.String)


def labels_of(rows: pa.Table) -> pl.Series:
    """Give the labels of rows as a column of lists; no label is an empty list."""
    sets = [[label for label in labels if label] for labels in task_of(rows).label_sets(rows)]
    return pl.Series("label", sets, dtype=pl.List(pl.String))


def label_of(rows: pa.Table) -> pl.Series:
    """Give the labels of rows as a column of one name each; several labels make one name."""
    return labels_of(rows).list.join(" + ").rename("label")


def words_of(texts: pl.Series) -> pl.Series:
    """Split texts into words; a character of a script without spaces is one.

    >>> words_of(pl.Series(["my card 丢了!"])).to_list()
    [['my', 'card', '丢', '了', '!']]
    """
    return texts.str.extract_all(WORD)


def terms_of(texts: pl.Series) -> pl.Series:
    """Split texts into lower-case words without punctuation.

    >>> terms_of(pl.Series(["My card: 丢了!"])).to_list()
    [['my', 'card', '丢', '了']]
    """
    return texts.str.to_lowercase().str.extract_all(TERM)


def pieces(texts: pl.Series) -> Iterator[tuple[int, pl.Series]]:
    """Give texts in pieces of bounded size: (position of the first, texts)."""
    ends = np.cumsum(texts.str.len_chars().to_numpy())
    start = 0
    while start < len(texts):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + PIECE_CHARS, "right")), start + 1)
        yield start, texts[start:stop]
        start = stop


def shown(text: str, most: int = _SHOWN) -> str:
    """Quote the beginning of a text on one line."""
    line = " ".join(text[: 2 * most].split())
    return repr(line if len(line) <= most else line[: most - 1] + "…")


def doubts(
    rows: pa.Table,
    at: npt.ArrayLike,
    *,
    issue_type: str,
    check: str,
    score: npt.ArrayLike,
    evidence: list[str],
    flagged: npt.ArrayLike | bool = True,
) -> pa.Table:
    """Make findings about the rows at these positions, column by column.

    Args:
        rows: Row table.
        at: Positions, shape (m,).
        issue_type: Of all of them.
        check: Name of the check.
        score: Shape (m,); higher is more suspicious.
        evidence: m sentences.
        flagged: Shape (m,), or one for all.
    """
    places = np.asarray(at, dtype=np.int64)
    count = len(places)
    columns = {
        "row_id": rows["id"].take(pa.array(places)).combine_chunks(),
        "issue_type": pa.array([issue_type] * count, pa.string()),
        "score": pa.array(np.asarray(score, dtype=np.float64)),
        "evidence": pa.array(evidence, pa.string()),
        "check": pa.array([check] * count, pa.string()),
        "flagged": pa.array(np.broadcast_to(np.asarray(flagged, dtype=bool), (count,))),
    }
    arrays = [columns.get(f.name, pa.nulls(count, f.type)) for f in FINDING_SCHEMA]
    return pa.table(arrays, schema=FINDING_SCHEMA)


def together(tables: list[pa.Table]) -> pa.Table:
    """Put findings one after the other; none where there are none."""
    return pa.concat_tables([FINDING_SCHEMA.empty_table(), *tables]).combine_chunks()
