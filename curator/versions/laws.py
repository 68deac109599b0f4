"""What must hold before a version is committed: the row contract and the law of decisions.

The one idea: a store that accepts only lawful versions can promise that `why` is complete, because
the rows changed between parent and child are exactly the step's decisions.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from curator.errors import RowError, StoreError
from curator.schema import CHANGING_ACTIONS, SPLITS, user_columns
from curator.tasks import Task
from curator.versions.changes import Changes
from curator.versions.manifest import Version, columns_of
from curator.versions.parts import is_ascending, stored_schema

_SHOWN = 5


def named(ids: Iterable[str]) -> str:
    """List ids for a message: the first few, and how many more there are."""
    every = sorted(ids)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


def lawful_rows(rows: pa.Table, task: Task) -> pa.Table:
    """Check a table against the row contract and put it in its stored form.

    Args:
        rows: All rows of a version, in any order.
        task: Whose rows they are.

    Returns:
        The same rows sorted by id, contract columns first, the user's own after them in their
        order, without schema metadata, dictionaries as plain values.

    Raises:
        RowError: A contract column is missing, has another type or holds nulls; an id stands
            twice; a split or weight is outside its range.
        StoreError: A user's column has a type that Parquet does not keep.
    """
    contract = task.schema
    _check_columns(rows, contract)
    own = user_columns(rows)
    fields = [*contract, *(_plain(rows.schema.field(name)) for name in own)]
    stored = stored_schema(pa.schema(fields))
    whole = rows.select(stored.names).cast(stored).combine_chunks()
    ordered = is_ascending(whole["id"].combine_chunks())
    if not ordered:
        _check_unique(whole)
        whole = whole.sort_by("id").combine_chunks()
    _check_values(whole)
    _check_nested(whole, task)
    return whole


def _plain(field: pa.Field) -> pa.Field:
    is_dictionary = pa.types.is_dictionary(field.type)
    kind = field.type.value_type if is_dictionary else field.type
    return pa.field(field.name, kind, field.nullable)


def _check_columns(rows: pa.Table, contract: pa.Schema) -> None:
    twice = sorted({n for n in rows.column_names if rows.column_names.count(n) > 1})
    if twice:
        raise RowError(f"columns {twice} stand twice in the rows; rename one of each")
    missing = [name for name in contract.names if name not in rows.column_names]
    if missing:
        raise RowError(f"rows lack the columns {missing}; they have {rows.column_names}")
    for field in contract:
        found = rows.schema.field(field.name).type
        if found != field.type:
            raise RowError(f"column {field.name!r} has type {found}, expected {field.type}")
        if not field.nullable and (nulls := rows[field.name].null_count):
            raise RowError(f"column {field.name!r} is null in {nulls} row(s); it must be filled")


def _check_unique(rows: pa.Table) -> None:
    counts = rows["id"].combine_chunks().value_counts()
    doubled = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if len(doubled):
        raise RowError(f"ids stand on more than one row: {named(doubled.to_pylist())}")


def _check_values(rows: pa.Table) -> None:
    splits = set(pc.unique(rows["split"]).to_pylist()) - set(SPLITS)
    if splits:
        raise RowError(f"splits {sorted(splits)} are unknown; a split is one of {list(SPLITS)}")
    sound = pc.and_(pc.is_finite(rows["weight"]), pc.greater_equal(rows["weight"], 0))
    if not pc.all(sound).as_py() and rows.num_rows:
        bad = rows["id"].filter(pc.invert(sound)).to_pylist()
        raise RowError(f"weights must be finite and not negative; they are not in {named(bad)}")


def _check_nested(rows: pa.Table, task: Task) -> None:
    """Check label lists, spans and messages, which no Arrow type can hold to their form."""
    if task.value_fault is None:
        return
    names = ["id", *task.columns]
    for row in rows.select(names).to_pylist():
        if fault := task.value_fault(row):
            raise RowError(f"row {row['id']}: {fault}")


def lawful_table(table: pa.Table, schema: pa.Schema, noun: str) -> pa.Table:
    """Check a findings or decisions table against its schema; gives it sorted by row id.

    Raises:
        StoreError: A column is missing, superfluous, of another type, or null where it may not be.
    """
    if table.column_names != schema.names:
        raise StoreError(f"{noun} have columns {table.column_names}, expected {schema.names}")
    wrong = [f.name for f in schema if table.schema.field(f.name).type != f.type]
    if wrong:
        raise StoreError(f"{noun}: columns {wrong} do not have the types of the schema")
    empty = [f.name for f in schema if not f.nullable and table[f.name].null_count]
    if empty:
        raise StoreError(f"{noun}: columns {empty} hold nulls; they must be filled")
    return table.cast(schema).sort_by("row_id").combine_chunks()


def check_columns_kept(parent: Version, schema: pa.Schema) -> None:
    """Check that changed rows have the columns of the version they change.

    Raises:
        StoreError: They do not: then all rows must be committed.
    """
    if columns_of(schema) != parent.columns:
        raise StoreError(
            f"the changed rows have columns {schema.names}, version {parent.short} has "
            f"{[name for name, _, _ in parent.columns]} of perhaps other types; a step that "
            "changes columns commits all rows"
        )


def check_dropped(dropped: pa.Array, changed: pa.Table, before: pa.Table) -> None:
    """Check that rows to drop are there, and are not also changed.

    Raises:
        StoreError: They are not; names them.
    """
    unknown = dropped.filter(pc.invert(pc.is_in(dropped, value_set=_ids(before))))
    if len(unknown):
        raise StoreError(f"rows to drop are not in the parent: {named(unknown.to_pylist())}")
    both = dropped.filter(pc.is_in(dropped, value_set=_ids(changed)))
    if len(both):
        raise StoreError(f"rows are dropped and changed at once: {named(both.to_pylist())}")


def _ids(rows: pa.Table) -> pa.Array:
    return rows["id"].combine_chunks()


def check_decided(
    before: pa.Table | None, after: pa.Table, changes: Changes | None, decisions: pa.Table
) -> None:
    """Check law 2: rows changed = decisions, exactly; parent - dropped + added = child.

    Args:
        before: Rows of the first parent; None for an import, which decides nothing.
        after: Rows of the child.
        changes: Their difference.
        decisions: What the step says it did.

    Raises:
        StoreError: A row changed without a decision, or a decision changed no row; lists them.
    """
    changing = decisions.filter(pc.is_in(decisions["action"], pa.array(CHANGING_ACTIONS)))
    if before is not None and changes is not None and _is_said(changing, before, after, changes):
        return
    said = set(zip(changing["action"].to_pylist(), changing["row_id"].to_pylist(), strict=True))
    done = set() if before is None or changes is None else _done(before, after, changes)
    faults = []
    for action in CHANGING_ACTIONS:
        silent = [row for what, row in done - said if what == action]
        empty = [row for what, row in said - done if what == action]
        if silent:
            faults.append(f"{len(silent)} row(s) changed without a {action!r}: {named(silent)}")
        if empty:
            faults.append(f"{len(empty)} {action!r} decision(s) changed nothing: {named(empty)}")
    if faults:
        raise StoreError(
            "rows and decisions of this step disagree, so its history would be wrong; "
            "nothing was committed. " + "; ".join(faults)
        )


def _is_said(said: pa.Table, before: pa.Table, after: pa.Table, changes: Changes) -> bool:
    """Tell whether decisions name each change once and nothing else, without naming any row."""
    shared = after["id"].take(pa.array(changes.right))
    done = {
        "drop": before["id"].filter(pa.array(changes.dropped)),
        "add": after["id"].filter(pa.array(changes.added)),
        **{action: shared.filter(pa.array(m)) for action, m in changes.by_action().items()},
    }
    rows = {action: said["row_id"].filter(pc.equal(said["action"], action)) for action in done}
    return all(_sorted(rows[action]).equals(_sorted(ids)) for action, ids in done.items())


def _sorted(ids: pa.ChunkedArray) -> pa.Array:
    whole = ids.combine_chunks()
    return whole.take(pc.sort_indices(whole))


def _done(before: pa.Table, after: pa.Table, changes: Changes) -> set[tuple[str, str]]:
    done = {("drop", row) for row in before["id"].filter(pa.array(changes.dropped)).to_pylist()}
    done |= {("add", row) for row in after["id"].filter(pa.array(changes.added)).to_pylist()}
    shared = after["id"].take(pa.array(changes.right))
    for action, mask in changes.by_action().items():
        done |= {(action, row) for row in shared.filter(pa.array(mask)).to_pylist()}
    return done
