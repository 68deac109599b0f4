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

from curator.schema import CHANGING_ACTIONS, DECISION_SCHEMA, PROVENANCE, ROW_SCHEMA
from curator.tasks import task_of
from curator.versions.changes import Changes, compare
from curator.versions.manifest import Version
from curator.versions.objects import canonical_json
from curator.versions.parts import get_table, one_sided

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
    left, right = one_sided(store.folder, store.layout(old), store.layout(new), but=PROVENANCE)
    before, after = _whole(left, right), _whole(right, left)
    changes = compare(before, after, _compared(before, after))
    made = changed_cells(before, after, changes).sort_by([("id", "ascending"), ("op", "ascending")])
    reasons, steps = _because(made, _told(store, old, new))
    ops = pa.array(list(OPS.values())).take(pc.index_in(made["op"], pa.array(list(OPS))))
    columns = [made["id"], ops, reasons, steps, made["before"], made["after"]]
    return pa.table(columns, schema=DIFF_SCHEMA)


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
    touched = changes.where(names)
    same = new["id"].take(pa.array(changes.right[~touched])).to_pylist()
    yield from ({"id": row, "status": "same", "before": None, "after": None} for row in same)
    taught = task_of(new).targets
    only_label = touched & ~changes.where(n for n in names if n not in taught)
    for mask, status in ((only_label, "relabelled"), (touched & ~only_label, "changed")):
        cells = _cells(old, new, changes, mask, names, status)
        for row, _, was, now in zip(*(c.to_pylist() for c in _ops(*cells).columns), strict=True):
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
    columns = (column.to_pylist() for column in changed_cells(before, after, changes).columns)
    yield from zip(*columns, strict=True)


def changed_cells(before: pa.Table, after: pa.Table, changes: Changes) -> pa.Table:
    """Give id, op (an action), before and after of each change; before and after as JSON."""
    gone, came = before.filter(pa.array(changes.dropped)), after.filter(pa.array(changes.added))
    shown = task_of(before).columns
    made = [_ops(gone["id"], "drop", _objects(gone, shown), None)]
    made.append(_ops(came["id"], "add", None, _objects(came, shown)))
    action_of = task_of(before).action_of
    for action, mask in changes.by_action().items():
        names = [n for n in changes.columns if action_of(n) == action and n not in PROVENANCE]
        made.append(_ops(*_cells(before, after, changes, mask, names, action)))
    return pa.concat_tables(made)


def _ops(
    ids: pa.ChunkedArray, action: str, before: pa.Array | None, after: pa.Array | None
) -> pa.Table:
    ops = pa.repeat(pa.scalar(action), len(ids))
    sides = (pa.nulls(len(ids), pa.string()) if side is None else side for side in (before, after))
    return pa.table([ids, ops, *sides], ["id", "op", "before", "after"])


def _cells(
    before: pa.Table,
    after: pa.Table,
    changes: Changes,
    mask: Any,
    names: Sequence[str],
    action: str,
) -> tuple[pa.ChunkedArray, str, pa.Array, pa.Array]:
    """Give ids, and the differing cells before and after, of the shared rows a mask picks."""
    names = [name for name in names if name in changes.columns]
    picked = np.flatnonzero(mask) if names else np.empty(0, np.int64)
    ids = after["id"].take(pa.array(changes.right[picked]))
    # Rows in which the same columns differ are written together.
    if not len(picked):
        return ids, action, pa.array([], pa.string()), pa.array([], pa.string())
    differs = np.array([changes.columns[name][picked] for name in names])
    patterns, of = np.unique(differs, axis=1, return_inverse=True)
    written: list[tuple[pa.Array, pa.Array]] = []
    order = []
    for number, pattern in enumerate(patterns.T):
        here = np.flatnonzero(of.ravel() == number)
        columns = [name for name, differing in zip(names, pattern, strict=True) if differing]
        written.append(
            tuple(
                _objects(table.take(pa.array(at[picked[here]])), columns)
                for table, at in ((before, changes.left), (after, changes.right))
            )
        )
        order.append(here)
    back = pa.array(np.argsort(np.concatenate(order)))
    was, now = (pa.concat_arrays(side).take(back) for side in zip(*written, strict=True))
    return ids, action, was, now


def _objects(rows: pa.Table, names: Sequence[str]) -> pa.Array:
    """Write these columns of each row, where it has them, as `cells_json` does, by column."""
    pieces: list[Any] = []
    for name in sorted(name for name in names if name in rows.column_names):
        start = "," if pieces else "{"
        pieces += [pa.scalar(f"{start}{_quoted(name)}:", pa.large_string()), _values(rows, name)]
    if not pieces:
        return pa.repeat(pa.scalar("{}"), rows.num_rows)
    end = pa.scalar("}", pa.large_string())
    joined = pc.binary_join_element_wise(*pieces, end, pa.scalar("", pa.large_string()))
    return joined.cast(pa.string())


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


def _told(store: Store, old: Version, new: Version) -> pa.Table:
    """Give row_id, action, reason and step of each change decided between, oldest first."""
    past = {version.id for version in store.ancestry(old)}
    line = store.ancestry(new)
    names = ["row_id", "action", "reason", "step"]
    if old.id not in {version.id for version in line}:
        return DECISION_SCHEMA.empty_table().select(names)
    between = reversed([version for version in line if version.id not in past])
    made = pa.concat_tables(
        get_table(store.folder, store.layout(version).decisions, names) for version in between
    )
    return made.filter(pc.is_in(made["action"], pa.array(CHANGING_ACTIONS)))


def _because(made: pa.Table, told: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Give reason and step of each change; most rows have one decision, which speaks for them."""
    ids = pc.unique(made["id"])
    of_row = pc.index_in(made["id"], ids).to_numpy()
    about = pc.fill_null(pc.index_in(told["row_id"], ids), -1).to_numpy()
    speaking = np.flatnonzero(about >= 0)
    told, about = told.take(pa.array(speaking)), about[speaking]
    counts = np.bincount(about, minlength=len(ids))
    order = np.argsort(about, kind="stable")
    first = (np.cumsum(counts) - counts)[of_row]
    one = counts[of_row] == 1
    place = pa.array(order[np.where(one, first, 0)] if len(order) else first, mask=~one)
    reasons, steps = (_filled(told[name].take(place)) for name in ("reason", "step"))
    several = counts[of_row] > 1
    if not several.any():
        return pc.fill_null(reasons, NO_STEP), steps
    lists = [told[name].take(pa.array(order)).to_pylist() for name in ("action", "reason", "step")]
    joined = []
    for action, start, count in zip(
        made["op"].filter(pa.array(several)).to_pylist(),
        first[several].tolist(),
        counts[of_row[several]].tolist(),
        strict=True,
    ):
        of_one = (values[start : start + count] for values in lists)
        joined.append(_joined(action, list(zip(*of_one, strict=True))))
    reasons, steps = (
        pc.replace_with_mask(column, pa.array(several), pa.array(said, pa.string()))
        for column, said in zip((reasons, steps), zip(*joined, strict=True), strict=True)
    )
    return pc.fill_null(reasons, NO_STEP), steps


def _filled(column: pa.ChunkedArray) -> pa.Array:
    """Put nulls for empty words."""
    whole = column.combine_chunks()
    return pc.if_else(pc.equal(whole, ""), pa.scalar(None, pa.string()), whole)


def _joined(action: str, every: Sequence[tuple[str, str, str]]) -> tuple[str | None, str | None]:
    """Join what several decisions (action, reason, step) say of a row."""
    # A row that was dropped and came back edited has no decision of its own kind: then all speak.
    speaking = [one for one in every if one[0] == action] or every
    reasons = dict.fromkeys(reason for _, reason, _ in speaking)
    steps = dict.fromkeys(step for _, _, step in speaking)
    return "; ".join(reasons) or None, " + ".join(steps) or None
