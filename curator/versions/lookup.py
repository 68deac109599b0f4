"""Rows found by id, without reading the rest: for small edits, `why` and rows asked for by name.

The one idea: parts are sorted by id, so the bounds in a Parquet footer say which row groups may
hold one; of these the ids are read first, and the other columns only where a wanted row is live.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curator.versions.objects import Folder, get_object
from curator.versions.parts import (
    IntArray,
    Layout,
    Live,
    Part,
    dead_positions,
    opened,
    parquet_file,
    rows_at,
    sorted_live,
)


def find_live(folder: Folder, layout: Layout, ids: pa.Array) -> Live:
    """Read the rows of a version that have these ids, sorted, with the place of each.

    Only the ids of all rows are decoded, and the row groups that hold one of the wanted.
    """
    tables, part, position = [], [], []
    wanted = sorted(set(ids.to_pylist()))
    for index, piece in enumerate(layout.parts):
        rows, at = _held(folder, piece, wanted)
        tables.append(rows)
        part.append(np.full(len(at), index, np.int64))
        position.append(at)
    return sorted_live(tables, np.concatenate(part), np.concatenate(position))


def _held(folder: Folder, part: Part, wanted: list[str]) -> tuple[pa.Table, IntArray]:
    """Read the live rows of a part that have one of these ids, which are sorted; and where.

    Row group by row group, ids first, so that of a large part little is held at once.
    """
    data = pa.BufferReader(get_object(folder, part.object))
    file = parquet_file(data, part.object)
    schema, starts = file.schema_arrow, _starts(file)
    # Strings that repeat stay numbers until the rows are picked.
    strings = [field.name for field in schema if pa.types.is_string(field.type)]
    file = pq.ParquetFile(data, metadata=file.metadata, read_dictionary=_repeated(file, strings))
    others = [name for name in schema.names if name != "id"]
    alive, values = np.ones(part.rows, np.bool_), pa.array(wanted, pa.string())
    alive[dead_positions(folder, part)] = False
    pieces = [schema.empty_table()]
    places: list[IntArray] = [np.empty(0, np.int64)]
    for group in _groups_with(file, "id", wanted):
        ids = file.read_row_group(group, columns=["id"])["id"]
        start = int(starts[group])
        here = pc.is_in(ids, values).to_numpy() & alive[start : start + len(ids)]
        at = np.flatnonzero(here).astype(np.int64)
        if len(at):
            rows = file.read_row_group(group, columns=others).take(pa.array(at))
            rows = rows.append_column(schema.field("id"), ids.take(pa.array(at)))
            pieces.append(rows.select(schema.names).cast(schema))
            places.append(at + start)
    return pa.concat_tables(pieces), np.concatenate(places)


def _repeated(file: pq.ParquetFile, names: Sequence[str]) -> list[str]:
    """Give those of these columns that were written with a dictionary."""
    if not file.num_row_groups:
        return []
    first = file.metadata.row_group(0)
    columns = [first.column(index) for index in range(first.num_columns)]
    kept = {c.path_in_schema for c in columns if c.has_dictionary_page}
    return [name for name in names if name in kept and name != "id"]


def _starts(file: pq.ParquetFile) -> IntArray:
    """Give the position of the first row of each row group."""
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    return np.cumsum([0, *sizes], dtype=np.int64)[:-1]


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
