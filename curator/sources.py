"""Sources become one table: columns mapped to the contract, unusable records set aside.

Ids, groups and splits are given later, by `importing`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

import connectors
from curator import schema
from curator.errors import RowError
from curator.options import unknown_name
from curator.recipe import Recipe, SourceSpec
from curator.shaping import Shaped, as_text, shape
from curator.tasks import Task, reserved_names, task_named

_RAW_CHARS = 500
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
    notes: list[str] = []
    parts = [_read(spec, recipe, bad, notes, labelled=labelled) for spec in recipe.sources]
    parts = [part for part in parts if part.num_rows]
    if not parts:
        raise RowError(
            f"no row could be read from {[str(s.address) for s in recipe.sources]}"
            + (f"; the first of {len(bad)} faults: {bad[0].reason}" if bad else "")
        )
    table, mixed = _together(parts)
    notes += [f"column {n!r} has several types in its sources; read as text" for n in mixed]
    return table, bad, notes


def _read(
    spec: SourceSpec,
    recipe: Recipe,
    bad: list[connectors.BadRecord],
    notes: list[str],
    *,
    labelled: bool,
) -> pa.Table:
    texts = [spec.columns[role] for role in ("text",) if role in spec.columns]
    if isinstance(spec.address, str):
        batches = connectors.read(
            spec.address,
            base=recipe.base,
            strings=texts,
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
    return _mapped(table, spec, task_named(recipe.task), where, bad, notes, labelled=labelled)


def _mapped(
    table: pa.Table,
    spec: SourceSpec,
    task: Task,
    where: str,
    bad: list[connectors.BadRecord],
    notes: list[str],
    *,
    labelled: bool,
) -> pa.Table:
    own = [n for n in table.column_names if n not in ("source_row", "source_line")]
    wanted = _wanted(spec, task, own, where, labelled=labelled)
    separator = spec.separator
    shaped = shape(task, table, wanted, separator=separator, labelled=labelled)
    values = {part: as_text(table[wanted[part]]) for part in ("split", "group") if part in wanted}
    columns = {
        **shaped.columns,
        "split": _splits(values.get("split"), spec, where, table.num_rows),
        "user_group": values.get("group", pa.nulls(table.num_rows, pa.string())),
        "key": _keys(table, spec),
        "name": pa.array([spec.name] * table.num_rows, pa.string()),
        "source": pa.array([where] * table.num_rows, pa.string()),
        "source_row": table["source_row"],
        "source_line": table["source_line"].cast(pa.int64()),
    }
    used = {*shaped.used, wanted.get("split")}
    for name in own:
        if name not in used:
            columns[_own_name(name, columns, task)] = table[name]
    notes += _told(shaped, table, where)
    mapped = pa.table(columns)
    told = [wanted["text"]] if task.name == "classification" else sorted(shaped.used)
    came = table.select([name for name in told if name in own])
    return _usable(mapped, came, shaped, where, bad)


def _wanted(
    spec: SourceSpec, task: Task, own: Sequence[str], where: str, *, labelled: bool
) -> dict[str, str]:
    """Give the columns to read by what they are for; all are there but a target nobody needs."""
    wanted = dict(spec.columns)
    if task.name == "preference" and "prompt" in own:
        wanted.setdefault("prompt", "prompt")
    absent = [role for role in task.targets if not labelled and wanted.get(role) not in own]
    for part, name in [*wanted.items(), *(("id", key) for key in spec.id)]:
        if name not in own and part not in absent:
            raise RowError(unknown_name(f"{where} (columns.{part})", "column", name, own))
    return wanted


def _told(shaped: Shaped, table: pa.Table, where: str) -> list[str]:
    notes = []
    for what, records in shaped.notes.items():
        first = records[0]
        place = table["source_line"][first].as_py() or table["source_row"][first].as_py()
        notes.append(f"{len(records):,} records of {where} have {what} (the first at {place})")
    return notes


def _own_name(name: str, taken: Mapping[str, Any], task: Task) -> str:
    return f"orig_{name}" if name in reserved_names(task) or name in taken else name


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
    columns = [as_text(table[name]).to_pylist() for name in spec.id]
    return pa.array([schema.hash_fields(*key) for key in zip(*columns, strict=True)], pa.string())


def _usable(
    table: pa.Table, came: pa.Table, shaped: Shaped, where: str, bad: list[connectors.BadRecord]
) -> pa.Table:
    """Set records that are not of the task's form aside, with their place."""
    keep = [True] * table.num_rows
    for faults in shaped.stages:
        here = [at for at, fault in enumerate(faults) if fault and keep[at]]
        some = came.take(pa.array(here, pa.int64())).to_pylist()
        for at, record in zip(here, some, strict=True):
            keep[at] = False
            line, number = (table[name][at].as_py() for name in ("source_line", "source_row"))
            bad.append(connectors.BadRecord(where, line, number, str(faults[at]), _raw(record)))
    return table.filter(pa.array(keep, pa.bool_()))


def _raw(record: Mapping[str, Any]) -> str:
    """Give the beginning of what a record said: its text, or all there is of it as JSON."""
    if len(record) == 1:
        (value,) = record.values()
        return str("" if value is None else value)[:_RAW_CHARS]
    return json.dumps(record, ensure_ascii=False, default=str)[:_RAW_CHARS]


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
        part = part.set_column(part.column_names.index(name), name, as_text(part[name]))
    return part
