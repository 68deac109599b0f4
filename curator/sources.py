"""Sources become one table: columns mapped to the contract, unusable records set aside.

Ids, groups and splits are given later, by `importing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import connectors
from curator import schema
from curator.errors import RowError
from curator.options import unknown_name
from curator.recipe import Recipe, SourceSpec

SPLIT_ALIASES = {"dev": "validation", "val": "validation", "valid": "validation"}


def read_sources(
    recipe: Recipe, *, labelled: bool = True
) -> tuple[pa.Table, list[connectors.BadRecord], list[str]]:
    """Read every source into one table of contract and user columns, ids and groups still open.

    Args:
        recipe: Names the sources.
        labelled: A label is required; without, an absent label column reads as "".

    Returns:
        The table, with `source_line` and `name` beside the columns of the contract; the records
        that could not be read; warnings.

    Raises:
        RowError: A column that is not there, or a split that is not one.
        connectors.SourceError: A source that cannot be read.
    """
    bad: list[connectors.BadRecord] = []
    parts = [_read(spec, recipe, bad, labelled=labelled) for spec in recipe.sources]
    parts = [part for part in parts if part.num_rows]
    if not parts:
        raise RowError(
            f"no row could be read from {[str(s.address) for s in recipe.sources]}"
            + (f"; the first of {len(bad)} faults: {bad[0].reason}" if bad else "")
        )
    table, mixed = _together(parts)
    warnings = [f"column {n!r} has several types in its sources; read as text" for n in mixed]
    return table, bad, warnings


def _read(
    spec: SourceSpec, recipe: Recipe, bad: list[connectors.BadRecord], *, labelled: bool
) -> pa.Table:
    text = spec.columns["text"]
    if isinstance(spec.address, str):
        batches = connectors.read(
            spec.address,
            base=recipe.base,
            strings=(text,),
            on_bad=bad.append,
            **dict[str, Any](spec.reading),
        )
        where = spec.address
    else:
        batches = connectors.frame_batches(spec.address)
        where = "frame"
    table = pa.concat_tables(
        [pa.Table.from_batches([b]) for b in batches], promote_options="permissive"
    )
    return _mapped(table, spec, where, bad, labelled=labelled)


def _mapped(
    table: pa.Table,
    spec: SourceSpec,
    where: str,
    bad: list[connectors.BadRecord],
    *,
    labelled: bool,
) -> pa.Table:
    own = [n for n in table.column_names if n not in ("source_row", "source_line")]
    wanted = dict(spec.columns)
    if not labelled and wanted["label"] not in own:
        wanted.pop("label")
    for part, name in [*wanted.items(), *(("id", key) for key in spec.id)]:
        if name not in own:
            raise RowError(unknown_name(f"{where} (columns.{part})", "column", name, own))
    values = {part: _as_text(table[name]) for part, name in wanted.items()}
    values.setdefault("label", pa.chunked_array([pa.array([""] * table.num_rows, pa.string())]))
    columns = {
        "text": values["text"],
        "label": pc.utf8_trim_whitespace(values["label"]),
        "split": _splits(values.get("split"), spec, where, table.num_rows),
        "user_group": values.get("group", pa.nulls(table.num_rows, pa.string())),
        "key": _keys(table, spec),
        "name": pa.array([spec.name] * table.num_rows, pa.string()),
        "source": pa.array([where] * table.num_rows, pa.string()),
        "source_row": table["source_row"],
        "source_line": table["source_line"].cast(pa.int64()),
    }
    used = {wanted["text"], wanted.get("label"), wanted.get("split")}
    for name in own:
        if name not in used:
            columns[_own_name(name, columns)] = table[name]
    mapped = pa.table(columns)
    return _usable(mapped, where, bad, labelled=labelled)


def _own_name(name: str, taken: Mapping[str, Any]) -> str:
    contract = {*schema.ROW_SCHEMA.names, *taken}
    return f"orig_{name}" if name in contract else name


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.string())
    return pa.chunked_array([pa.array([_spelt(v) for v in column.to_pylist()], pa.string())])


def _spelt(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _splits(
    column: pa.ChunkedArray | None, spec: SourceSpec, where: str, rows: int
) -> pa.Array | pa.ChunkedArray:
    if column is None:
        return pa.array([spec.split] * rows, pa.string())
    values = [
        SPLIT_ALIASES.get(v.strip().lower(), v.strip().lower()) if v else "train"
        for v in column.to_pylist()
    ]
    for position, value in enumerate(values):
        if value not in schema.SPLITS:
            raise RowError(
                f"{where}: record {position}: split {value!r} is not one of {list(schema.SPLITS)}"
            )
    return pa.array(values, pa.string())


def _keys(table: pa.Table, spec: SourceSpec) -> pa.Array:
    if not spec.id:
        return pa.nulls(table.num_rows, pa.string())
    columns = [_as_text(table[name]).to_pylist() for name in spec.id]
    return pa.array([schema.hash_fields(*key) for key in zip(*columns, strict=True)], pa.string())


def _usable(
    table: pa.Table, where: str, bad: list[connectors.BadRecord], *, labelled: bool
) -> pa.Table:
    """Set records without text or label aside, with their place."""
    no_text = pc.is_null(table["text"])
    no_label = pc.fill_null(pc.equal(table["label"], ""), fill_value=True)
    faults = [(no_text, "there is no text")] + ([(no_label, "there is no label")] * labelled)
    keep = pa.array([True] * table.num_rows)
    for mask, reason in faults:
        here = table.filter(pc.and_(mask, keep)).select(["source_row", "source_line", "text"])
        bad.extend(
            connectors.BadRecord(where, line, number, reason, (text or "")[:500])
            for number, line, text in zip(
                *map(pa.ChunkedArray.to_pylist, here.columns), strict=True
            )
        )
        keep = pc.and_(keep, pc.invert(mask))
    return table.filter(keep)


def _together(parts: Sequence[pa.Table]) -> tuple[pa.Table, list[str]]:
    kinds: dict[str, set[Any]] = {}
    for part in parts:
        for field in part.schema:
            if not pa.types.is_null(field.type):
                kinds.setdefault(field.name, set()).add(field.type)
    mixed = [name for name, types in kinds.items() if len(types) > 1]
    alike = [_with_text(part, mixed) for part in parts]
    return pa.concat_tables(alike, promote_options="default").combine_chunks(), mixed


def _with_text(part: pa.Table, names: Sequence[str]) -> pa.Table:
    for name in (n for n in names if n in part.column_names):
        part = part.set_column(part.column_names.index(name), name, _as_text(part[name]))
    return part
