"""Three tables of rows become one: what one side changed is taken, what both changed is asked.

The one idea: only rows on which the two sides differ need a thought. There a side that still reads
as their common ancestor has not spoken, so the other side's word stands; where both have spoken,
the caller settles it or it stays open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator.schema import PROVENANCE, hash_fields, sort_rows
from curator.versions.changes import BoolArray, Changes, compare

Side = Literal["ours", "theirs"]
Row = Mapping[str, Any]

WHOLE_ROW = "(row)"
"""The column of a clash in which one side dropped the row and the other changed it."""


@dataclass(frozen=True, slots=True)
class Clash:
    """A cell that both sides changed, to different values; or a row one of them dropped.

    base, ours, theirs: the columns concerned; None where that side has no such row.
    """

    row_id: str
    column: str
    base: dict[str, Any] | None
    ours: dict[str, Any] | None
    theirs: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Together:
    """What became of two sides.

    rows: all rows, sorted by id; where a clash is open, as ours has it.
    settled: clashes with the side that was taken.
    open: clashes nobody settled.
    """

    rows: pa.Table
    settled: tuple[tuple[Clash, Side], ...]
    open: tuple[Clash, ...]


def three_way(
    bases: Sequence[pa.Table],
    ours: pa.Table,
    theirs: pa.Table,
    settle: Callable[[Clash], Side | None],
) -> Together:
    """Join what two sides made of a common ancestor.

    Args:
        bases: Rows of the nearest common ancestors; where there are several (branches that were
            merged crosswise) and they disagree about a cell, it counts as changed on both sides.
        ours: Rows of one side, the same columns.
        theirs: Rows of the other.
        settle: Asked for each clash; None leaves it open.
    """
    apart = compare(ours, theirs)
    own = [name for name in apart.columns if name not in PROVENANCE]
    touched = np.flatnonzero(apart.where(own))
    left, right = apart.left[touched], apart.right[touched]
    ids = ours["id"].take(pa.array(left)).to_pylist()
    gone = ours.filter(pa.array(apart.dropped))
    come = theirs.filter(pa.array(apart.added))
    wanted = [*ids, *gone["id"].to_pylist(), *come["id"].to_pylist()]
    judge = _Judge([_by_id(base, wanted) for base in bases], settle)
    cells = _cells(ours, theirs, apart, touched)
    taken = {name: judge.cells(name, ids, *cells[name]) for name in own}
    dropped = {row["id"] for row in gone.to_pylist() if judge.one_sided(row, "ours") == "theirs"}
    added = [judge.one_sided(row, "theirs") == "theirs" for row in come.to_pylist()]
    moved = np.zeros(len(touched), np.bool_)
    for mask in taken.values():
        moved |= mask
    stays = np.ones(ours.num_rows, np.bool_)
    stays[left[moved]] = False
    stays &= ~_mask(pc.is_in(ours["id"], pa.array(sorted(dropped), pa.string())))
    pieces = [
        ours.filter(pa.array(stays)),
        _mixed(ours.take(pa.array(left)), theirs.take(pa.array(right)), taken, moved),
        come.filter(pa.array(added, pa.bool_())),
    ]
    rows = sort_rows(pa.concat_tables(pieces)).combine_chunks()
    return Together(rows, tuple(judge.settled), tuple(judge.open))


def aligned(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Give tables the columns of all of them, those of the first before the others' own.

    A column that a table lacks is null in it; columns of one name have one type.
    """
    fields = {field.name: field for table in tables[::-1] for field in table.schema}
    order = dict.fromkeys(name for table in tables for name in table.column_names)
    partial = {n for n in order if any(n not in table.column_names for table in tables)}
    wanted = pa.schema(
        [fields[n].with_nullable(nullable=True) if n in partial else fields[n] for n in order]
    )
    return [_filled(table, wanted) for table in tables]


def _filled(table: pa.Table, wanted: pa.Schema) -> pa.Table:
    for field in wanted:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(wanted.names).cast(wanted)


class _Judge:
    """Decides cell by cell, and keeps what it could not decide by the common ancestors alone."""

    def __init__(
        self, bases: Sequence[Mapping[str, Row]], settle: Callable[[Clash], Side | None]
    ) -> None:
        self.bases = bases
        self.settle = settle
        self.settled: list[tuple[Clash, Side]] = []
        self.open: list[Clash] = []

    def cells(
        self, column: str, ids: Sequence[str], ours: Sequence[Any], theirs: Sequence[Any]
    ) -> BoolArray:
        """Tell of which rows their cell of a column is to be taken, shape (n,)."""
        take = np.zeros(len(ids), np.bool_)
        for i, (row, our, their) in enumerate(zip(ids, ours, theirs, strict=True)):
            if not same(our, their):
                take[i] = self._cell(column, row, our, their) == "theirs"
        return take

    def _cell(self, column: str, row: str, our: Any, their: Any) -> Side:
        def heard(base: Row | None) -> Side | None:
            if base is None:
                return None
            if same(base[column], our):
                return "theirs"
            return "ours" if same(base[column], their) else None

        base = self._base(row)
        before = None if base is None else {column: base[column]}
        clash = Clash(row, column, before, {column: our}, {column: their})
        return self._agreed(row, heard, clash)

    def one_sided(self, row: Row, side: Side) -> Side:
        """Decide on a row that only one side has: theirs is to do as they did."""
        other: Side = "theirs" if side == "ours" else "ours"
        base = self._base(row["id"])
        changed = [] if base is None else _changed(base, row)

        def heard(base: Row | None) -> Side | None:
            if base is None:
                return side  # the row is new on this side
            return None if _changed(base, row) else other

        shown = {name: row[name] for name in changed}
        before = None if base is None else {name: base[name] for name in changed}
        sides = (shown, None) if side == "ours" else (None, shown)
        return self._agreed(row["id"], heard, Clash(row["id"], WHOLE_ROW, before, *sides))

    def _agreed(self, row: str, heard: Callable[[Row | None], Side | None], clash: Clash) -> Side:
        verdicts = {heard(base.get(row)) for base in self.bases}
        if len(verdicts) == 1 and (only := verdicts.pop()) is not None:
            return only
        chosen = self.settle(clash)
        if chosen is None:
            self.open.append(clash)
            return "ours"
        self.settled.append((clash, chosen))
        return chosen

    def _base(self, row: str) -> Row | None:
        return next((base[row] for base in self.bases if row in base), None)


def same(a: Any, b: Any) -> bool:
    """Tell whether two cells of one column are equal; not-a-number equals itself."""
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    return hash_fields(a) == hash_fields(b)


def _changed(base: Row, row: Row) -> list[str]:
    names = (n for n in row if n not in PROVENANCE)
    return [name for name in names if not same(base.get(name), row[name])]


def _by_id(rows: pa.Table, ids: Iterable[str]) -> dict[str, Row]:
    some = rows.filter(pc.is_in(rows["id"], pa.array(sorted(ids), pa.string())))
    return {row["id"]: row for row in some.to_pylist()}


def _cells(
    ours: pa.Table, theirs: pa.Table, apart: Changes, touched: Any
) -> dict[str, tuple[list[Any], list[Any]]]:
    left, right = pa.array(apart.left[touched]), pa.array(apart.right[touched])
    return {
        name: (ours[name].take(left).to_pylist(), theirs[name].take(right).to_pylist())
        for name in apart.columns
    }


def _mixed(
    ours: pa.Table, theirs: pa.Table, taken: Mapping[str, BoolArray], moved: BoolArray
) -> pa.Table:
    """Give the rows of which cells were taken from them; `step` comes along with any cell."""
    here = np.flatnonzero(moved)
    columns = []
    for name in ours.column_names:
        mask = moved if name == "step" else taken.get(name, np.zeros(len(moved), np.bool_))
        both = pa.chunked_array([*ours[name].chunks, *theirs[name].chunks], ours[name].type)
        at = np.where(mask[here], here + ours.num_rows, here)
        columns.append(both.take(pa.array(at, pa.int64())))
    return pa.table(columns, schema=ours.schema)


def _mask(mask: pa.ChunkedArray) -> BoolArray:
    found: BoolArray = mask.to_numpy(zero_copy_only=False)
    return found
