"""What changed between two versions, and why: read from the parts that differ, told by decisions.

The one idea: the rows say *what* changed and the decisions of the steps in between say *why*. Where
no step in between leads from one version to the other, the reason says just that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator.schema import CHANGING_ACTIONS, PROVENANCE, ROW_SCHEMA
from curator.versions.changes import Changes, compare
from curator.versions.manifest import Version
from curator.versions.objects import canonical_json
from curator.versions.parts import one_sided

if TYPE_CHECKING:
    from curator.versions.store import Store

DIFF_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("op", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("step", pa.string()),
        pa.field("before", pa.string()),
        pa.field("after", pa.string()),
    ]
)
"""One change of one row. before and after are JSON objects of the columns concerned."""

REDELIVERY_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("before", pa.string()),
        pa.field("after", pa.string()),
    ]
)

OPS = {
    "add": "added",
    "drop": "dropped",
    "edit": "edited",
    "relabel": "relabelled",
    "weight": "weighted",
}
"""What an action does to a row."""

NO_STEP = "in no step between"
_SHOWN = ("text", "label")
_STATUSES = ("new", "withdrawn", "relabelled", "changed", "same")

_Op = tuple[str, str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Redelivery:
    """What a source delivered anew, matched by id with what it delivered before.

    rows: REDELIVERY_SCHEMA, sorted by id; status is new, withdrawn, relabelled, changed or same.
    counts: rows by status, all five.
    note: what the matching cannot tell, for the reader.
    """

    rows: pa.Table
    counts: dict[str, int]
    note: str


def diff(store: Store, a: Version | str, b: Version | str) -> pa.Table:
    """List the rows that differ from version a to version b, with the reason.

    Args:
        store: The store.
        a: The earlier version, or any name of it.
        b: The later version, or any name of it.

    Returns:
        DIFF_SCHEMA, sorted by id; op is added, dropped, edited, relabelled or weighted, a row with
        two kinds of change stands twice. Reason and step come from the decisions of the versions
        between, several joined; where b does not descend from a, or no decision speaks of the row,
        the reason is `in no step between`.

    Raises:
        StoreError: A version is not there, or an object is missing or altered.
    """
    old, new = store.version(a), store.version(b)
    if old.content == new.content:
        return DIFF_SCHEMA.empty_table()
    left, right = one_sided(store.folder, store.layout(old), store.layout(new))
    before, after = _whole(left, right), _whole(right, left)
    changes = compare(before, after, _compared(before, after))
    changed = sorted(operations(before, after, changes))
    told = _told(store, old, new, {op[0] for op in changed})
    return pa.Table.from_pylist(
        [_row(op, told) for op in changed],
        schema=DIFF_SCHEMA,
    )


def diff_counts(changes: pa.Table) -> dict[str, dict[str, int]]:
    """Count the rows of a diff by op and reason."""
    counts: dict[str, dict[str, int]] = {}
    grouped = changes.group_by(["op", "reason"]).aggregate([([], "count_all")]).to_pylist()
    for group in sorted(grouped, key=lambda g: (g["op"], g["reason"])):
        counts.setdefault(group["op"], {})[group["reason"]] = group["count_all"]
    return counts


def redelivery(old: pa.Table, new: pa.Table, *, keyed: bool) -> Redelivery:
    """Match the rows of a new delivery with those of the one before, by id.

    Args:
        old: Imported rows, row contract.
        new: Rows imported from the new delivery.
        keyed: Ids come from key columns, so that an edited text keeps its id.

    Returns:
        Every row of both, by status. Groups and weights are not compared: they are ours.
    """
    ours = {*PROVENANCE, "group", "weight", "parent"}
    columns = [n for n in _compared(old, new) if n not in ours]
    changes = compare(old, new, columns)
    records = list(_delivered(old, new, changes))
    rows = pa.Table.from_pylist(records, schema=REDELIVERY_SCHEMA).sort_by("id")
    counts = dict.fromkeys(_STATUSES, 0)
    for record in records:
        counts[record["status"]] += 1
    note = (
        ""
        if keyed
        else (
            "Ids come from the content, as no key columns are named: an edited text counts as one "
            "row withdrawn and one new"
        )
    )
    return Redelivery(rows, counts, note)


def _delivered(old: pa.Table, new: pa.Table, changes: Changes) -> Iterator[dict[str, Any]]:
    for op in operations(old, new, Changes(changes.dropped, changes.added, *_NOTHING)):
        status = "withdrawn" if op[1] == "drop" else "new"
        yield {"id": op[0], "status": status, "before": op[2], "after": op[3]}
    names = sorted(changes.columns)
    before, after = (t.select(["id", *names]) for t in (old, new))
    touched = changes.where(names)
    same = new["id"].take(pa.array(changes.right[~touched])).to_pylist()
    yield from ({"id": row, "status": "same", "before": None, "after": None} for row in same)
    only_label = touched & ~changes.where(n for n in names if n != "label")
    for mask, status in ((only_label, "relabelled"), (touched & ~only_label, "changed")):
        for row, was, now in _cells(before, after, changes, mask, names):
            yield {"id": row, "status": status, "before": was, "after": now}


_NOTHING: tuple[Any, Any, dict[str, Any]] = (np.empty(0, np.int64), np.empty(0, np.int64), {})


def _whole(tables: Sequence[pa.Table], others: Sequence[pa.Table]) -> pa.Table:
    if tables:
        return pa.concat_tables(tables)
    return others[0].slice(0, 0) if others else ROW_SCHEMA.empty_table()


def _compared(before: pa.Table, after: pa.Table) -> list[str]:
    names = dict.fromkeys([*before.column_names, *after.column_names])
    return [name for name in names if name not in PROVENANCE]


def operations(before: pa.Table, after: pa.Table, changes: Changes) -> Iterator[_Op]:
    """Give (row id, action, before, after) of each change; before and after as JSON."""
    gone = before.filter(pa.array(changes.dropped)).select(["id", *_SHOWN]).to_pylist()
    yield from ((row.pop("id"), "drop", cells_json(row), None) for row in gone)
    came = after.filter(pa.array(changes.added)).select(["id", *_SHOWN]).to_pylist()
    yield from ((row.pop("id"), "add", None, cells_json(row)) for row in came)
    for action, mask in changes.by_action().items():
        names = {"relabel": ["label"], "weight": ["weight"]}.get(action) or [
            n for n in changes.columns if n not in {*PROVENANCE, "label", "weight"}
        ]
        for row, was, now in _cells(before, after, changes, mask, names):
            yield row, action, was, now


def _cells(
    before: pa.Table, after: pa.Table, changes: Changes, mask: Any, names: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """Give id and the differing cells, before and after, of the shared rows a mask picks."""
    picked = np.flatnonzero(mask)
    old, new = (
        table.take(pa.array(at[picked]))
        .select(["id", *(n for n in names if n in table.column_names)])
        .to_pylist()
        for table, at in ((before, changes.left), (after, changes.right))
    )
    for where, was, now in zip(picked, old, new, strict=True):
        differing = [n for n in names if n in changes.columns and changes.columns[n][where]]
        sides = [cells_json({n: r[n] for n in differing if n in r}) for r in (was, now)]
        yield now["id"], sides[0], sides[1]


def cells_json(cells: dict[str, Any]) -> str:
    """Write cells of a row as canonical JSON."""
    if "weight" in cells:  # float32: its own shortest digits, not those of its float64 twin
        cells = {**cells, "weight": float(str(np.float32(cells["weight"])))}
    # A user's own dates, decimals and not-a-numbers stand as their text.
    plain = json.loads(json.dumps(cells, default=str), parse_constant=str)
    return canonical_json(plain).decode("utf-8", "surrogatepass")


def _told(
    store: Store, old: Version, new: Version, ids: set[str]
) -> dict[str, list[tuple[str, str, str]]]:
    """Give (action, reason, step) of each decision on these rows, oldest first, by row id."""
    past = {version.id for version in store.ancestry(old)}
    line = store.ancestry(new)
    told: dict[str, list[tuple[str, str, str]]] = {}
    if old.id not in {version.id for version in line}:
        return told
    wanted, changing = pa.array(sorted(ids), pa.string()), pa.array(CHANGING_ACTIONS)
    for version in reversed([v for v in line if v.id not in past]):
        made = store.decisions(version).select(["row_id", "action", "reason", "step"])
        here = pc.and_(pc.is_in(made["row_id"], wanted), pc.is_in(made["action"], changing))
        for decision in made.filter(here).to_pylist():
            row = decision["row_id"]
            told.setdefault(row, []).append(
                (decision["action"], decision["reason"], decision["step"])
            )
    return told


def _row(op: _Op, told: dict[str, list[tuple[str, str, str]]]) -> dict[str, Any]:
    row, action, before, after = op
    every = told.get(row, [])
    # A row that was dropped and came back edited has no decision of its own kind: then all speak.
    speaking = [t for t in every if t[0] == action] or every
    reasons = list(dict.fromkeys(reason for _, reason, _ in speaking))
    steps = list(dict.fromkeys(step for _, _, step in speaking))
    return {
        "id": row,
        "op": OPS[action],
        "reason": "; ".join(reasons) or NO_STEP,
        "step": " + ".join(steps) or None,
        "before": before,
        "after": after,
    }
