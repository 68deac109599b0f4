"""Rows found by id, without reading the rest: for small edits, `why` and rows asked for by name.

The one idea: parts are sorted by id. What is kept beside the store tells where in a part a row is;
without that the bounds in a Parquet footer say which row groups may hold it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curator.schema import record_hashes
from curator.versions.hashes import Kept, RowHashes, places, starts_of
from curator.versions.objects import Folder, get_object
from curator.versions.parts import (
    IntArray,
    Layout,
    Live,
    Part,
    dead_positions,
    get_table,
    in_memory,
    opened,
    parquet_file,
    rows_at,
    sorted_live,
)


def find_live(
    hashes: RowHashes, layout: Layout, ids: pa.Array, kept: dict[str, Kept] | None = None
) -> Live:
    """Read the rows of a version that have these ids, sorted, with the place of each.

    What is kept of the parts tells where a row lies, so that only row groups which hold one of the
    wanted are decoded.

    Args:
        hashes: What is kept of the parts of the store.
        layout: Of the version.
        ids: What to look for; absent ones are left out.
        kept: What is kept of its parts, by name, where it was read already.
    """
    tables, part, position = [], [], []
    wanted = pc.unique(ids)
    for index, piece in enumerate(layout.parts):
        of_part = (kept or {}).get(piece.object) or hashes.kept(piece.object)
        rows, at = _held(hashes.folder, piece, of_part, wanted)
        if rows is not None:
            tables.append(rows)
        part.append(np.full(len(at), index, np.int64))
        position.append(at)
    if not tables:
        tables = [opened(hashes.folder, layout.parts[0].object).schema_arrow.empty_table()]
    return sorted_live(tables, np.concatenate(part), np.concatenate(position))


def _held(
    folder: Folder, part: Part, kept: Kept | None, wanted: pa.Array
) -> tuple[pa.Table | None, IntArray]:
    """Read the live rows of a part that have one of these ids, and where; None if none may be."""
    if kept is None:
        starts = starts_of(get_table(folder, part.object, ["id"])["id"].combine_chunks())
    else:
        starts = kept.starts
    which, at = living(folder, part, *places(starts, wanted))
    if not len(at):
        return None, at
    order = np.argsort(at)
    ids, at = wanted.take(pa.array(which[order])), at[order]
    data = in_memory(get_object(folder, part.object))
    file = parquet_file(data, part.object)
    schema = file.schema_arrow
    # Strings that repeat stay numbers until the rows are picked.
    strings = [field.name for field in schema if pa.types.is_string(field.type)]
    file = pq.ParquetFile(data, metadata=file.metadata, read_dictionary=_repeated(file, strings))
    if kept is None or len(at) * _MANY > part.rows:
        there = rows_at(file, at).cast(schema)
        right = pc.equal(there["id"], ids)
        return there.filter(right), at[right.to_numpy()]
    # Few rows are hashed, which tells their ids for sure without decoding those of all others.
    others = rows_at(file, at, [name for name in schema.names if name != "id"])
    there = others.append_column(schema.field("id"), ids).select(schema.names).cast(schema)
    right = (record_hashes(there) == kept.records[at]).all(axis=1)
    return there.filter(pa.array(right)), at[right]


def living(folder: Folder, part: Part, which: IntArray, at: IntArray) -> tuple[IntArray, IntArray]:
    """Leave out the places of a part that are dead."""
    if not len(at) or part.deleted is None:
        return which, at
    alive = np.ones(part.rows, np.bool_)
    alive[dead_positions(folder, part)] = False
    return which[alive[at]], at[alive[at]]


def _repeated(file: pq.ParquetFile, names: Sequence[str]) -> list[str]:
    """Give those of these columns that were written with a dictionary."""
    if not file.num_row_groups:
        return []
    first = file.metadata.row_group(0)
    columns = [first.column(index) for index in range(first.num_columns)]
    kept = {c.path_in_schema for c in columns if c.has_dictionary_page}
    return [name for name in names if name in kept and name != "id"]


# A row is hashed in 5 us and an id decoded in 60 ns.
_MANY = 80


class Reader:
    """Opens stored tables, each read and checked once for as long as the reader lives."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._files: dict[str, pq.ParquetFile] = {}
        self._dead: dict[str, IntArray] = {}
        self._places: dict[tuple[str, tuple[str, ...]], IntArray] = {}

    def file(self, name: str) -> pq.ParquetFile:
        """Open a stored table."""
        if name not in self._files:
            self._files[name] = opened(self.folder, name)
        return self._files[name]

    def dead(self, part: Part) -> IntArray:
        """Give the dead positions of a part, ascending."""
        name = part.deleted or ""
        if name not in self._dead:
            self._dead[name] = dead_positions(self.folder, part)
        return self._dead[name]

    def places(self, name: str, ids: list[str]) -> IntArray:
        """Give the positions in a part of rows that have one of these ids, dead or not, ascending.

        Versions share their parts, so a row that is sought in many is found once.
        """
        key = (name, tuple(ids))
        if key not in self._places:
            self._places[key] = _positions_of_ids(self.file(name), ids)
        return self._places[key]


def find_rows(reader: Reader, layout: Layout, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Find rows of a version by id, decoding only the row groups that hold them.

    Returns:
        The row of each id that the version has.
    """
    found: dict[str, dict[str, Any]] = {}
    wanted = sorted(set(ids))
    for part in layout.parts:
        at = reader.places(part.object, wanted)
        at = _living(at, part, reader.dead(part)) if len(at) else at
        if len(at):
            rows = rows_at(reader.file(part.object), at)
            found |= {row["id"]: row for row in rows.to_pylist()}
    return found


def _living(positions: IntArray, part: Part, dead: IntArray) -> IntArray:
    """Leave out dead positions."""
    alive = np.ones(part.rows, np.bool_)
    alive[dead] = False
    return positions[alive[positions]]


def _positions_of_ids(file: pq.ParquetFile, wanted: list[str]) -> IntArray:
    """Give the positions of rows that have one of these ids, ascending."""
    groups = _groups_with(file, "id", wanted)
    if not groups:
        return np.empty(0, np.int64)
    ids = file.read_row_groups(groups, columns=["id"])["id"]
    held = pc.is_in(ids, pa.array(wanted, pa.string())).to_numpy()
    sizes = np.array([file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)])
    starts = np.cumsum(sizes) - sizes
    positions = np.concatenate([np.arange(sizes[g]) + starts[g] for g in groups])
    return np.asarray(positions[held], dtype=np.int64)


def rows_with(file: pq.ParquetFile, column: str, row: str) -> pa.Table:
    """Read what a stored table says of a row, decoding only the row groups that may hold it.

    Args:
        file: As a reader opens it; sorted by the column, or all of it is read.
        column: Its first column, of ids.
        row: The id that is asked for.
    """
    groups = _groups_with(file, column, [row])
    if not groups:
        return file.schema_arrow.empty_table()
    held = file.read_row_groups(groups)
    return held.filter(pc.equal(held[column], row))


def _groups_with(file: pq.ParquetFile, name: str, ids: list[str]) -> list[int]:
    """Give the row groups whose column of ids may hold one of these, which are sorted."""
    column = file.schema_arrow.names.index(name)
    found = []
    for index in range(file.num_row_groups):
        bounds = file.metadata.row_group(index).column(column).statistics
        # No bounds: Parquet leaves them out for long values; then the group must be read.
        if bounds is None or not bounds.has_min_max:
            found.append(index)
            continue
        at = bisect_left(ids, bounds.min)
        if at < len(ids) and ids[at] <= bounds.max:
            found.append(index)
    return found
