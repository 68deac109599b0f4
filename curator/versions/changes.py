"""What differs between two tables of rows, by id and column: the one comparison all else uses.

The one idea: commit, the law of decisions, `diff` and re-delivery ask the same question, so they
get the same answer. Equality is that of `schema.row_hashes`: floats by their bits, null unlike
empty, types included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curator.schema import PROVENANCE, hash_fields
from curator.tasks import action_of

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference of two tables with unique ids: before (n rows) and after (m rows).

    dropped: rows of before that after lacks, shape (n,).
    added: rows of after that before lacks, shape (m,).
    left, right: positions of the shared rows in before and in after, shape (c,) each.
    columns: for each column that differs anywhere, where it does, shape (c,).
    names: all columns of either table; they tell the task, and so what is a relabelling.
    """

    dropped: BoolArray
    added: BoolArray
    left: IntArray
    right: IntArray
    columns: dict[str, BoolArray]
    names: tuple[str, ...] = ()

    def where(self, names: Iterable[str]) -> BoolArray:
        """Tell which shared rows differ in any of these columns, shape (c,)."""
        either = np.zeros(len(self.left), np.bool_)
        for name in names:
            if name in self.columns:
                either |= self.columns[name]
        return either

    def by_action(self) -> dict[str, BoolArray]:
        """Tell for edit, relabel and weight which shared rows they changed; provenance is none."""
        own = {n: action_of(n, self.names) for n in self.columns if n not in PROVENANCE}
        return {
            action: self.where(name for name, does in own.items() if does == action)
            for action in ("edit", "relabel", "weight")
        }


def compare(before: pa.Table, after: pa.Table, columns: Sequence[str] | None = None) -> Changes:
    """Compare two tables of rows by id.

    Args:
        before: Rows with unique ids, n of them.
        after: Rows with unique ids, m of them.
        columns: The columns to compare; by default all that either table has.
    """
    at = pc.index_in(after["id"], value_set=before["id"].combine_chunks())
    found = np.asarray(pc.fill_null(at, -1).to_numpy(), dtype=np.int64)
    right = np.flatnonzero(found >= 0)
    left = found[right]
    dropped = np.ones(before.num_rows, np.bool_)
    dropped[left] = False
    if columns is None:
        columns = list(dict.fromkeys([*before.column_names, *after.column_names]))
    differing = {}
    # Most often nothing was dropped or nothing added, and one side is as it stands.
    old = before if _is_whole(left, before.num_rows) else before.take(pa.array(left))
    new = after if _is_whole(right, after.num_rows) else after.take(pa.array(right))
    for name in columns:
        mask = _differs(old, new, name)
        if mask.any():
            differing[name] = mask
    names = tuple(dict.fromkeys([*before.column_names, *after.column_names]))
    return Changes(dropped, found < 0, left, right, differing, names)


def _is_whole(positions: IntArray, rows: int) -> bool:
    return len(positions) == rows and bool((positions == np.arange(rows)).all())


def _differs(old: pa.Table, new: pa.Table, name: str) -> BoolArray:
    there = [table[name] for table in (old, new) if name in table.column_names]
    if len(there) < len((old, new)):  # a column that is not there says nothing, as null does
        filled: BoolArray = there[0].is_valid().to_numpy(zero_copy_only=False)
        return filled
    a, b = old[name], new[name]
    if a.type != b.type:
        return _differs_by_hash(a, b)
    one_null: BoolArray = pc.not_equal(a.is_null(), b.is_null()).to_numpy(zero_copy_only=False)
    if pa.types.is_floating(a.type):
        a, b = _bits(a), _bits(b)
    try:
        unequal = pc.fill_null(pc.not_equal(a, b), False)  # noqa: FBT003 - the fill value
    except pa.ArrowNotImplementedError:  # lists, structs and maps have no kernel
        return _differs_by_hash(a, b)
    differing: BoolArray = unequal.to_numpy(zero_copy_only=False)
    return differing | one_null


def _bits(column: pa.ChunkedArray) -> pa.Array:
    flat = column.combine_chunks()
    return flat.view({16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[flat.type.bit_width])


def _differs_by_hash(a: pa.ChunkedArray, b: pa.ChunkedArray) -> BoolArray:
    pairs: Iterable[tuple[Any, Any]] = zip(a.to_pylist(), b.to_pylist(), strict=True)
    return np.array([hash_fields(x) != hash_fields(y) for x, y in pairs], dtype=np.bool_)
