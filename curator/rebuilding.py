"""Make a version again from its import by what is stored, and say where the two part.

The one idea: if each step's stored findings and decisions explain its rows, the history is true. No
model is asked, so every machine must agree, by digest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.errors import StoreError
from curator.execute import ruled, step_version
from curator.progress import SILENT, Progress
from curator.recipe import StepSpec
from curator.replaying import kind_of, spec_of
from curator.tasks import action_of
from curator.versions.changes import compare
from curator.versions.differences import operations
from curator.versions.manifest import Version
from curator.versions.store import Store

How = Literal["import", "findings", "decisions", "computed", "merged"]

_UNTOLD = object()

PARTED_SCHEMA = pa.schema(
    [
        pa.field("version", pa.string(), nullable=False),
        pa.field("step", pa.string(), nullable=False),
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("what", pa.string(), nullable=False),
        pa.field("stored", pa.string()),
        pa.field("now", pa.string()),
    ]
)
"""Where a version and its rebuild part. what: an issue type (the row crosses its threshold), a
decision, or the row itself; stored and now are JSON, null where that side has none."""


@dataclass(frozen=True, slots=True)
class StepRebuilt:
    """One version made again.

    how: import (read as stored), findings (decided anew from stored findings), decisions (replayed
        one by one), computed (checks and augmenters run again), merged (both parents joined again).
    taken: rows whose content no decision states, taken as stored.
    moved: findings whose score moved without crossing a threshold; by: the furthest move.
    matches: whether rows and decisions are those of the version, by digest; in a recheck, whether
        every row falls on the same side of every threshold.
    notes: sentences a person should read.
    """

    version: str
    step: str
    how: How
    rows: int
    matches: bool
    taken: int = 0
    moved: int = 0
    by: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A whole history made again, oldest version first; parted: PARTED_SCHEMA."""

    version: str
    steps: tuple[StepRebuilt, ...]
    parted: pa.Table

    @property
    def matches(self) -> bool:
        """Whether every version came out the same."""
        return all(step.matches for step in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "version": self.version,
            "matches": self.matches,
            "steps": [
                {name: getattr(step, name) for name in step.__slots__} | {"notes": list(step.notes)}
                for step in self.steps
            ],
            "parted": self.parted.to_pylist(),
        }


def rebuild(store: Store, ref: Version | str, *, progress: Progress = SILENT) -> Rebuilt:
    """Make a version again from its import, by stored findings and decisions; no model is asked.

    Args:
        store: The store.
        ref: Version, branch or tag.
        progress: Told what happens.

    Returns:
        Each version on the way, and whether rows and decisions came out as stored, by digest.

    Raises:
        StoreError: Something stored is missing or altered.
    """
    target = store.version(ref)
    line = store.ancestry(target)[::-1]
    left = {v.id: sum(v.id in child.parents for child in line) for v in line}
    held: dict[str, pa.Table] = {}
    steps: list[StepRebuilt] = []
    apart: list[dict[str, Any]] = []
    for version in line:
        before = held[version.parents[0]] if version.parents else None
        made, rows, here = rebuilt_alone(store, version, before)
        progress.say(f"rebuild {made.step}: {made.rows:,} rows, {verdict(made)}")
        held[version.id] = rows
        steps.append(made)
        apart += here
        for parent in version.parents:  # no child left: its rows may go
            left[parent] -= 1
            if not left[parent]:
                del held[parent]
    return Rebuilt(target.id, tuple(steps), pa.Table.from_pylist(apart, schema=PARTED_SCHEMA))


def verdict(made: StepRebuilt) -> str:
    """Say in two words how a version came out."""
    return "as stored" if made.matches else "not as stored"


def rebuilt_alone(
    store: Store, version: Version, before: pa.Table | None
) -> tuple[StepRebuilt, pa.Table, list[dict[str, Any]]]:
    """Make one version again; gives the rows to go on with, stored ones where they part."""
    stored = store.decisions(version)
    how: How
    taken = 0
    notes: list[str] = []
    if before is None:
        rows, decisions, how = store.rows(version), stored, "import"
    elif spec := _decidable(version, notes):
        decided = ruled(spec, version.step.name, before, store.findings(version))
        rows, decisions, how = decided.rows, decided.decisions, "findings"
    else:
        rows, taken = apply_decisions(before, stored, lambda ids: _stored(store, version, ids))
        decisions, how = stored, "decisions"
    same = schema.content_digest(rows) == version.content
    alike = schema.decisions_digest(decisions) == version.decisions
    apart: list[dict[str, Any]] = []
    if not same:
        kept = store.rows(version)
        apart += rows_apart(version, kept, rows)
        rows = kept
    if not alike:
        apart += decisions_apart(version, stored, decisions)
    made = StepRebuilt(
        version.id, version.step.name, how, rows.num_rows, same and alike, taken,
        notes=tuple(notes),
    )  # fmt: skip
    return made, rows, apart


def _stored(store: Store, version: Version, ids: Sequence[str]) -> pa.Table:
    rows = store.rows(version)
    return rows.filter(pc.is_in(rows["id"], pa.array(ids, pa.string())))


def _decidable(version: Version, notes: list[str]) -> StepSpec | None:
    """Give the step of a version where today's rule can decide from its stored findings."""
    kind = kind_of(version.step.name)
    if kind is None or kind == "augment":
        return None
    if step_version(kind) != version.step.version:
        notes.append(
            f"made by version {version.step.version} of the step's code, here is version "
            f"{step_version(kind)}: replayed by its decisions, not by its findings"
        )
        return None
    try:
        return spec_of(version)
    except StoreError as fault:
        notes.append(f"{fault}: replayed by its decisions, not by its findings")
        return None


def apply_decisions(
    rows: pa.Table, decisions: pa.Table, stored: Callable[[Sequence[str]], pa.Table]
) -> tuple[pa.Table, int]:
    """Apply decisions to rows: parent - dropped + added = child, cells as the decisions state.

    Args:
        rows: Rows of the parent, sorted by id.
        decisions: schema.DECISION_SCHEMA.
        stored: Gives rows of the child by id; asked for added rows, and for changed ones whose
            decision does not state the cells, or not in a form that JSON keeps.

    Returns:
        The rows of the child, and how many rows were taken as stored.
    """
    made = [d for d in decisions.to_pylist() if d["action"] in schema.CHANGING_ACTIONS]
    dropped = [d["row_id"] for d in made if d["action"] == "drop"]
    added = sorted(d["row_id"] for d in made if d["action"] == "add")
    left = rows.filter(pc.invert(pc.is_in(rows["id"], pa.array(dropped, pa.string()))))
    taken = set(added)
    for column, cells in _told(made, rows.column_names).items():
        ids = sorted(cells)
        values = _array([cells[row] for row in ids], rows.schema.field(column).type)
        if values is None:
            taken |= set(ids)
            values = stored(ids)[column]
        left = _with_cells(left, column, ids, values)
    new = stored(added) if added else rows.slice(0, 0)
    together = pa.concat_tables([left, new.select(left.column_names).cast(left.schema)])
    return schema.sort_rows(together), len(taken)


def _told(made: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Give the new cells that decisions state, by column and row; `_UNTOLD` where they do not."""
    told: dict[str, dict[str, Any]] = {}
    for decision in made:
        action, row = decision["action"], decision["row_id"]
        if action in ("drop", "add"):
            continue
        cells = json.loads(decision["after"] or "{}") or {
            name: _UNTOLD
            for name in columns
            if name not in ("id", *schema.PROVENANCE) and action_of(name, columns) == action
        }
        for column, value in cells.items():
            told.setdefault(column, {})[row] = value
    return told


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array | None:
    """Put values into a column's type; None where JSON does not keep that type."""
    if _UNTOLD in values or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return None
    try:
        return pa.array(values, kind)
    except (ValueError, TypeError, OverflowError, pa.ArrowException):
        return None


def _with_cells(rows: pa.Table, column: str, ids: Sequence[str], values: Any) -> pa.Table:
    at = pc.index_in(rows["id"], value_set=pa.array(ids, pa.string()))
    found = np.asarray(pc.fill_null(at, -1).to_numpy())
    here = np.where(found >= 0, found + rows.num_rows, np.arange(rows.num_rows))
    field = rows.schema.field(column)
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    both = pa.chunked_array([*rows[column].chunks, *chunks], field.type)
    place = rows.column_names.index(column)
    return rows.set_column(place, field, both.take(pa.array(here, pa.int64())))


def decisions_apart(
    version: Version, stored: pa.Table, now: pa.Table, *, told: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """List the decisions that differ in what they tell; by default in any column."""
    old, new = (_by_action(made, told or made.column_names) for made in (stored, now))
    return [
        parted(version, key[0], f"decision {key[1]}", old.get(key), new.get(key))
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def _by_action(decisions: pa.Table, told: Sequence[str]) -> dict[tuple[str, str], str]:
    return {
        (d["row_id"], d["action"]): as_json({name: d[name] for name in told})
        for d in decisions.to_pylist()
    }


def rows_apart(version: Version, stored: pa.Table, now: pa.Table) -> list[dict[str, Any]]:
    """List the rows that differ."""
    return [
        parted(version, row, f"row: {action}", was, here)
        for row, action, was, here in operations(stored, now, compare(stored, now))
    ]


def parted(
    version: Version, row: str, what: str, stored: str | None, now: str | None
) -> dict[str, Any]:
    """Write one row of PARTED_SCHEMA."""
    return {
        "version": version.id, "step": version.step.name, "row_id": row, "what": what,
        "stored": stored, "now": now,
    }  # fmt: skip


def as_json(value: dict[str, Any]) -> str:
    """Write JSON values on one line."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
