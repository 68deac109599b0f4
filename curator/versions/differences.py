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
from curator.tasks import task_of
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
    columns = zip(*(_row(op, told) for op in changed), strict=True)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, DIFF_SCHEMA, strict=False)]
    return pa.table(arrays, schema=DIFF_SCHEMA) if changed else DIFF_SCHEMA.empty_table()


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
    taught = task_of(new).targets
    only_label = touched & ~changes.where(n for n in names if n not in taught)
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
    gone, shown = before.filter(pa.array(changes.dropped)), task_of(before).columns
    for row, told in zip(gone["id"].to_pylist(), _objects(gone, shown), strict=True):
        yield row, "drop", told, None
    came = after.filter(pa.array(changes.added))
    for row, told in zip(came["id"].to_pylist(), _objects(came, shown), strict=True):
        yield row, "add", None, told
    action_of = task_of(before).action_of
    for action, mask in changes.by_action().items():
        names = [n for n in changes.columns if action_of(n) == action and n not in PROVENANCE]
        for row, was, now in _cells(before, after, changes, mask, names):
            yield row, action, was, now


def _cells(
    before: pa.Table, after: pa.Table, changes: Changes, mask: Any, names: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """Give id and the differing cells, before and after, of the shared rows a mask picks."""
    picked = np.flatnonzero(mask)
    names = [name for name in names if name in changes.columns]
    if not len(picked) or not names:
        return
    # Rows in which the same columns differ are written together.
    differs = np.array([changes.columns[name][picked] for name in names])
    patterns, of = np.unique(differs, axis=1, return_inverse=True)
    sides = [np.empty(len(picked), object) for _ in range(2)]
    for number, pattern in enumerate(patterns.T):
        here = np.flatnonzero(of.ravel() == number)
        columns = [name for name, differing in zip(names, pattern, strict=True) if differing]
        for side, table, at in zip(
            sides, (before, after), (changes.left, changes.right), strict=True
        ):
            there = [name for name in columns if name in table.column_names]
            rows = table.select(["id", *there]).take(pa.array(at[picked[here]]))
            side[here] = _objects(rows, there)
    ids = after["id"].take(pa.array(changes.right[picked])).to_pylist()
    yield from zip(ids, *(side.tolist() for side in sides), strict=True)


def _objects(rows: pa.Table, names: Sequence[str]) -> list[str]:
    """Write these columns of each row as `cells_json` does, column by column."""
    pieces: list[Any] = []
    for name in sorted(names):
        start = "," if pieces else "{"
        pieces += [pa.scalar(f"{start}{_quoted(name)}:", pa.large_string()), _values(rows, name)]
    if not pieces:
        return ["{}"] * rows.num_rows
    end = pa.scalar("}", pa.large_string())
    joined = pc.binary_join_element_wise(*pieces, end, pa.scalar("", pa.large_string()))
    return list(joined.to_pylist())


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _values(rows: pa.Table, name: str) -> pa.Array:
    """Write each value of a column as JSON."""
    column = rows[name].combine_chunks()
    plain = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if plain and not column.null_count:
        column = column.cast(pa.large_string())
        mark = pa.scalar('"', pa.large_string())
        written = pc.binary_join_element_wise(mark, column, mark, pa.scalar("", pa.large_string()))
        escaped = pc.match_substring_regex(column, r'[\x00-\x1f"\\]')
        if not pc.any(escaped, min_count=0).as_py():
            return written
        apart = [_value(name, value) for value in column.filter(escaped).to_pylist()]
        return pc.replace_with_mask(written, escaped, pa.array(apart, pa.large_string()))
    return pa.array([_value(name, value) for value in column.to_pylist()], pa.large_string())


def _value(name: str, value: Any) -> str:
    return cells_json({name: value})[len(_quoted(name)) + 2 : -1]


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
        columns = (column.to_pylist() for column in made.filter(here).columns)
        for row, *rest in zip(*columns, strict=True):
            action, reason, step = rest
            told.setdefault(row, []).append((action, reason, step))
    return told


def _row(
    op: _Op, told: dict[str, list[tuple[str, str, str]]]
) -> tuple[str, str, str, str | None, str | None, str | None]:
    """Give a row of DIFF_SCHEMA."""
    row, action, before, after = op
    every = told.get(row, [])
    if len(every) == 1:
        _, reason, step = every[0]
        return row, OPS[action], reason or NO_STEP, step or None, before, after
    # A row that was dropped and came back edited has no decision of its own kind: then all speak.
    speaking = [t for t in every if t[0] == action] or every
    reasons = dict.fromkeys(reason for _, reason, _ in speaking)
    steps = dict.fromkeys(step for _, _, step in speaking)
    return (row, OPS[action], "; ".join(reasons) or NO_STEP, " + ".join(steps) or None, before,
            after)  # fmt: skip
