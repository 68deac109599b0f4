"""Edits by people: rows to a spreadsheet and back, cell by cell, onto a branch of their own.

The one idea: a row leaves with the hash of what it said, so what comes back is compared with the
row as it was exported. A changed cell is a decision with a person and a reason; a row that changed
meanwhile is a conflict, unless a person changed other cells of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import connectors
from curator import schema
from curator.edit_cells import is_editable, list_of, rewritten, says_the_same, spelt, value_of
from curator.errors import RowError, StoreError
from curator.exporting import keep_place
from curator.label_maps import label_maps, renamed
from curator.labels import nearest
from curator.options import unknown_name
from curator.putting import REVIEWS
from curator.query import rows_of
from curator.replaying import run_of
from curator.tasks import action_of, task_of
from curator.versions.differences import cells_json
from curator.versions.manifest import StepRecord, Version
from curator.versions.merging import CONFLICT_SCHEMA, MACHINE
from curator.versions.refs import nearest as nearest_name
from curator.versions.store import Store

BRANCH, MAIN, STEP = REVIEWS, "main", "edits"
EDITS_VERSION = 1
CONTEXT = "context: "
"""How the header of a column begins that is there to be read only."""

KEYS = ("id", "base_hash")
_ABOUT_ROW = ("split", "source", "step")
_ABOUT_DOUBT = ("action", "reason", "issue_type", "score", "suggestion", "partner_text", "evidence")
_EXPRESSION = set(" =<>'\"()")


@dataclass(frozen=True, slots=True)
class Exported:
    """A file for people: where it is, how many rows it holds, and what there is to say."""

    path: Path
    rows: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a file of edits.

    version: what was committed; None where no cell was to be changed.
    counts: changed rows by action; conflicts: CONFLICT_SCHEMA, theirs is the file; not applied.
    """

    version: Version | None
    branch: str
    counts: Mapping[str, int]
    conflicts: pa.Table
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "version": self.version.id if self.version else None,
            "branch": self.branch,
            "counts": dict(self.counts),
            "conflicts": self.conflicts.to_pylist(),
            "notes": list(self.notes),
        }


def export_edits(store: Store, query: str, *, out: Path, to: str, **only: str | None) -> Exported:
    """Write rows to a file that people edit and `apply_edits` takes back.

    Args:
        store: Holds the rows.
        query: A version, a span A..B of changes, or an SQL expression over the rows of main.
        out: The file to write.
        to: xlsx or csv.
        only: step, issue, action and where, as `query.rows_of` takes them.

    Returns:
        The file. Test rows are left out, as they are frozen, and rows that are no longer there.

    Raises:
        StoreError: No such version or a bad expression, or no row is left to edit.
        connectors.SourceError: The file cannot be written, or a text does not fit a cell.
    """
    if to not in ("xlsx", "csv"):
        raise StoreError(unknown_name("edits export", "format", to, ("xlsx", "csv")))
    asked = query
    if _EXPRESSION & set(query):
        more = only.get("where")
        query, only = MAIN, {**only, "where": f"({query}) and ({more})" if more else query}
    version = store.version(query.partition("..")[2] or query.partition("..")[0] or MAIN)
    listed = rows_of(store, query, **only)
    ids = pc.unique(listed["id"])
    held = store.rows(version)
    here = held.filter(pc.is_in(held["id"], ids))
    rows = here.filter(pc.not_equal(here["split"], "test"))
    notes = [
        f"{count:,} {what}"
        for count, what in (
            (here.num_rows - rows.num_rows, "test rows are left out: they are frozen"),
            (len(ids) - here.num_rows, "rows are left out: they are no longer there"),
        )
        if count
    ]
    if not rows.num_rows:
        raise StoreError(f"no row of {asked!r} is left to edit" + "".join(f"; {n}" for n in notes))
    told = listed if ".." in query or only.get("issue") else None
    connectors.write(_sheet(rows, told), out, to="xlsx" if to == "xlsx" else "csv")
    keep_place(store, version, out, "edits")
    return Exported(out, rows.num_rows, tuple(notes))


def editable(rows: pa.Table) -> list[str]:
    """Name the columns that a person may change, in the order of a file."""
    own = [n for n in schema.user_columns(rows) if is_editable(rows.schema.field(n).type)]
    return [*task_of(rows).columns, "weight", *own]


def _sheet(rows: pa.Table, told: pa.Table | None) -> pa.Table:
    columns: dict[str, Any] = {"id": rows["id"], "base_hash": schema.row_hashes(rows)}
    open_ = editable(rows)
    clash = [n for n in open_ if n in KEYS or n.startswith(CONTEXT)]
    if clash:
        raise StoreError(f"columns {clash} bear names that a file of edits needs; rename them")
    closed = [n for n in schema.user_columns(rows) if n not in open_]
    for name in (*open_, *_ABOUT_ROW, *closed):
        kind = rows.schema.field(name).type
        head = name if name in open_ else CONTEXT + name
        columns[head] = [spelt(value, kind) for value in rows[name].to_pylist()]
    if told is not None:
        doubts = {row["id"]: row for row in told.to_pylist()}
        for name in (n for n in _ABOUT_DOUBT if n in told.column_names):
            values = [doubts[row][name] for row in rows["id"].to_pylist()]
            columns[CONTEXT + name] = ["" if v is None else str(v) for v in values]
    return pa.table(columns)


def apply_edits(
    store: Store,
    file: Path,
    *,
    by: str,
    reason: str,
    branch: str = BRANCH,
    new_labels: Sequence[str] = (),
) -> Applied:
    """Put the changed cells of a file onto a branch, as decisions of a person.

    Args:
        store: Holds the rows.
        file: As `export_edits` wrote it and a person saved it, csv or xlsx.
        by: Who decided.
        reason: Why.
        branch: Where the decisions go; made from main's head where it is not there.
        new_labels: Labels that may be given though no row has them.

    Returns:
        What was changed, and the cells that were not because the row changed meanwhile.

    Raises:
        RowError: The file is not one to apply; lists every fault, and nothing is changed.
        StoreError: There is no main, or another writer moved the branch.
        connectors.SourceError: The file cannot be read.
    """
    for option, value in (("--by", by), ("--reason", reason)):
        if not value.strip() or (option == "--by" and value == MACHINE):
            raise RowError(f"{option} {value!r}: say who changed the rows, and why")
    base, notes = branch_start(store, branch)
    rows = store.rows(base)
    known = _known_labels(store, base, rows) | set(new_labels)
    sheet = _Sheet(store, base, rows, file, known)
    cells = list(sheet.cells())
    if sheet.faults:
        lines = "\n".join(sheet.faults)
        count = len(sheet.faults)
        faults = f"{count} faults" if count > 1 else "1 fault"
        raise RowError(f"{file}: nothing was applied, {faults} in the file\n{lines}")
    changed = {row: dict(values) for row, values in _settled(sheet, cells)}
    _check_form(sheet, changed)
    conflicts = pa.Table.from_pylist(
        [sheet.conflict(clash, by=by, reason=reason) for clash in sheet.clashes],
        schema=CONFLICT_SCHEMA,
    )
    made = _commit(store, branch, base, rows, changed, by=by, reason=reason) if changed else None
    names = rows.column_names
    actions = {(r, action_of(name, names)) for r, cell in changed.items() for name in cell}
    counts = Counter(action for _, action in sorted(actions))
    notes += sheet.notes
    if made is not None:
        brings = " and so does the next `curator run`" if branch == BRANCH else ""
        notes.append(f"`curator merge {branch}` brings them into {MAIN}{brings}")
    return Applied(made, branch, dict(counts), conflicts, tuple(notes))


def branch_start(store: Store, branch: str) -> tuple[Version, list[str]]:
    """Give the version the edits are put onto, and what a person should know of it."""
    main = store.head(MAIN)
    if branch not in store.branches():
        return main, [f"branch {branch} is made from {MAIN} at {main.short}"]
    head = store.head(branch)
    if branch == MAIN or main.id in {v.id for v in store.ancestry(head)}:
        return head, []
    if head.id in {v.id for v in store.ancestry(main)}:
        return main, [f"{MAIN} holds all of {branch} already: {branch} goes on from {main.short}"]
    note = f"{MAIN} has moved on since; `curator merge {MAIN} --into {branch}` brings that here"
    return head, [note]


def _check_form(sheet: _Sheet, changed: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that rows keep the form of their task, as spans that lie within their text."""
    fault_of = task_of(sheet.rows).value_fault
    faults = [
        f"row {row}: {fault}"
        for row, cells in changed.items()
        if fault_of and (fault := fault_of({**sheet.now[row], **cells}))
    ]
    if faults:
        raise RowError("nothing was applied\n" + "\n".join(faults))


def _known_labels(store: Store, base: Version, rows: pa.Table) -> set[str]:
    maps = label_maps(base.transforms)
    known = {new for m in maps for news in m["split"].values() for new in news}
    try:
        declared = run_of(store, base).labels
    except StoreError:  # committed by no run: the rows alone say which labels there are
        declared = ()
    return known | task_of(rows).labels(rows) | {renamed(label, maps) for label in declared}


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell a person changed: its line, row and column, before and after."""

    line: int
    row: str
    column: str
    was: Any
    new: Any


@dataclass(slots=True)
class _Past:
    """A row as it was exported, and who changed it since, newest first."""

    row: dict[str, Any] | None
    decisions: list[dict[str, Any]] = field(default_factory=list)


class _Sheet:
    """A file of edits, read against the rows it is put onto."""

    def __init__(
        self, store: Store, base: Version, rows: pa.Table, file: Path, known: set[str]
    ) -> None:
        self.store, self.base, self.rows, self.known = store, base, rows, known
        self.faults: list[str] = []
        self.notes: list[str] = []
        self.clashes: list[_Cell] = []
        self._owners: dict[str, str] | None = None
        self.open = editable(rows)
        self.records = self._read(file)
        wanted = pa.array([record["id"] for record in self.records], pa.string())
        some = rows.filter(pc.is_in(rows["id"], wanted))
        self.now = {row["id"]: row for row in some.to_pylist()}
        hashes = dict(zip(some["id"].to_pylist(), schema.row_hashes(some), strict=True))
        stale = {
            r["id"]: r["base_hash"]
            for r in self.records
            if r["id"] in hashes and hashes[r["id"]] != r["base_hash"]
        }
        self.past = {row: _Past(values) for row, values in self.now.items() if row not in stale}
        self.past |= _past(store, base, stale)

    def _read(self, file: Path) -> list[dict[str, Any]]:
        bad: list[connectors.BadRecord] = []
        batches = list(connectors.read(str(file.resolve()), base=Path.cwd(), on_bad=bad.append))
        self.faults += [f"line {b.line}: cannot be read: {b.reason}" for b in bad]
        found = [n for n in batches[0].schema.names if n not in ("source_row", "source_line")]
        for name in (n for n in (*KEYS, *self.open) if n not in found):
            ours = {*KEYS, *self.open}
            others = [n for n in found if n not in ours and not n.startswith(CONTEXT)]
            self.faults.append(
                f"column {name!r} is missing{nearest_name(name, others)} Put it back as it was "
                "exported: cells that nobody changed change nothing"
            )
        more = [n for n in found if n not in {*KEYS, *self.open} and not n.startswith(CONTEXT)]
        if more:
            self.notes.append(f"columns {more} are none of the corpus and were not looked at")
        if not set(KEYS) <= set(found):
            return []
        self.open = [n for n in self.open if n in found]
        return [record for batch in batches for record in batch.to_pylist()]

    def cells(self) -> Iterator[_Cell]:
        """Give each cell that differs from the row as it was exported."""
        lines: dict[str, int] = {}
        for record in self.records:
            row, line = record["id"], record["source_line"]
            if row in lines:
                self._fault(line, f"id {row!r} stands in line {lines[row]} already")
                continue
            lines[row] = line
            if self._is_known(record):
                yield from self._cells_of(record)

    def _fault(self, line: int, what: str) -> None:
        self.faults.append(f"line {line}: {what}")

    def _is_known(self, record: Mapping[str, Any]) -> bool:
        row, hash_ = record["id"], record["base_hash"]
        if row in self.now and self.past[row].row is not None:
            return True
        owner = self._owner(hash_)
        if row in self.now and (owner is None or owner == row):
            return True  # changed meanwhile, to be told as a conflict
        hint = (
            f"; its base_hash is that of row {owner}, so the id was changed: write it back"
            if owner
            else ""
        )
        near = "" if owner else nearest_name(row, self.rows["id"].to_pylist())
        self._fault(record["source_line"],
                    f"id {row!r} is not the row that was exported here{hint}{near}"
                    if row in self.now
                    else f"id {row!r} is no row of {self.base.short}{hint}{near}")  # fmt: skip
        return False

    def _owner(self, hash_: str) -> str | None:
        """Give the row that says what a hash was made from."""
        if self._owners is None:
            ids = self.rows["id"].to_pylist()
            self._owners = dict(zip(schema.row_hashes(self.rows), ids, strict=True))
        return self._owners.get(hash_)

    def _cells_of(self, record: Mapping[str, Any]) -> Iterator[_Cell]:
        row, line = record["id"], record["source_line"]
        was = self.past[row].row or self.now[row]
        self._look_at_context(record, was)
        changed = [
            name
            for name in self.open
            if not says_the_same(record[name] or "", was[name], self.rows.schema.field(name).type)
        ]
        if changed and was["split"] == "test":
            self._fault(line, f"row {row} is a test row, and test rows are frozen: its "
                        f"{', '.join(changed)} cannot be changed; take the line out")  # fmt: skip
            return
        for name in changed:
            fault, value = self._value(name, record[name] or "", was[name])
            if fault:
                self._fault(line, f"column {name!r}, row {row}: {fault}")
            else:
                yield _Cell(line, row, name, was[name], value)

    def _look_at_context(self, record: Mapping[str, Any], was: Mapping[str, Any]) -> None:
        for name in _ABOUT_ROW:
            told = record.get(CONTEXT + name)
            fresh = was is self.now[record["id"]]
            if fresh and told is not None and told != spelt(was[name], pa.string()):
                self.notes.append(
                    f"line {record['source_line']}: {CONTEXT + name} was changed to {told!r}; "
                    "it is only there to be read and nothing was done"
                )

    def _value(self, name: str, cell: str, was: Any) -> tuple[str | None, Any]:
        """Give what is wrong with a changed cell, or its value."""
        made = rewritten(cell, was)
        if made:
            told = f"found {cell!r} where {was!r} was: a spreadsheet program made {made} of it"
            return f"{told}; format the column as text, put it back and save again", None
        task = task_of(self.rows)
        if name in (*task.columns, "weight") and not cell.strip():
            return f"it is empty; give the {name}, or leave it as it was ({was!r})", None
        if name == "label":
            label = cell.strip()
            unknown = f"label {label!r} does not exist.{nearest(label, sorted(self.known))} Mend "
            allow = f"it, or allow it with --new-label {label!r}"
            return (None if label in self.known else unknown + allow), label
        try:
            kind = self.rows.schema.field(name).type
            value = (
                list_of(cell, self.known if name in task.relabelled else None)
                if (pa.types.is_list(kind))
                else value_of(cell, kind)
            )
        except ValueError as fault:
            return str(fault), None
        if name == "weight" and isinstance(value, float) and value < 0:
            return f"found {cell!r}, expected a weight of 0 or more", None
        return None, value

    def conflict(self, cell: _Cell, *, by: str, reason: str) -> dict[str, Any]:
        """Write a cell that was not applied as a row of CONFLICT_SCHEMA."""
        name, now = cell.column, self.now[cell.row]
        past = self.past[cell.row]
        last = past.decisions[0] if past.decisions else {"reason": "in no step between", "by": None}
        base = None if past.row is None else cells_json({name: cell.was})
        return {
            "row_id": cell.row, "column": name, "base": base,
            "ours": cells_json({name: now[name]}), "theirs": cells_json({name: cell.new}),
            "ours_reason": last["reason"], "ours_by": last["by"],
            "theirs_reason": reason, "theirs_by": by,
        }  # fmt: skip


def _past(store: Store, base: Version, stale: Mapping[str, str]) -> dict[str, _Past]:
    """Find rows that changed since as they were exported, and the decisions on them since."""
    found = {row: _Past(None) for row in stale}
    left = dict(stale)
    for version in store.ancestry(base):
        if not left:
            break
        held = list(store.find(version, list(left)).values())
        if held:
            rows = pa.Table.from_pylist(held, schema=store.rows(version).schema)
            for values, hash_ in zip(held, schema.row_hashes(rows), strict=True):
                if left[values["id"]] == hash_:
                    found[values["id"]].row = values
                    del left[values["id"]]
        made = store.decisions(version)
        here = made.filter(pc.is_in(made["row_id"], pa.array(list(left), pa.string())))
        for decision in here.to_pylist():
            if decision["action"] in schema.CHANGING_ACTIONS:
                found[decision["row_id"]].decisions.append(decision)
    return found


def _settled(sheet: _Sheet, cells: Sequence[_Cell]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the cells to change by row; what clashes with a change made meanwhile is kept apart."""
    by_row: dict[str, dict[str, Any]] = {}
    for cell in cells:
        past, now = sheet.past[cell.row], sheet.now[cell.row][cell.column]
        kind = sheet.rows.schema.field(cell.column).type
        if says_the_same(spelt(cell.new, kind), now, kind):
            continue  # somebody did the same
        fresh = past.row is not None and says_the_same(spelt(cell.was, kind), now, kind)
        by_people = all(d["by"] != MACHINE for d in past.decisions)
        if fresh and by_people:
            by_row.setdefault(cell.row, {})[cell.column] = cell.new
        else:
            sheet.clashes.append(cell)
    yield from by_row.items()


def _commit(
    store: Store,
    branch: str,
    base: Version,
    rows: pa.Table,
    changed: Mapping[str, Mapping[str, Any]],
    *,
    by: str,
    reason: str,
) -> Version:
    some = rows.filter(pc.is_in(rows["id"], pa.array(sorted(changed), pa.string())))
    decisions, records = [], []
    for row in some.to_pylist():
        cells = changed[row["id"]]
        actions: dict[str, list[str]] = {}
        for name in cells:
            actions.setdefault(action_of(name, rows.column_names), []).append(name)
        decisions += [
            {
                "row_id": row["id"], "action": action, "step": STEP, "reason": reason, "by": by,
                "before": cells_json({n: row[n] for n in names}),
                "after": cells_json({n: cells[n] for n in names}),
            }
            for action, names in actions.items()
        ]  # fmt: skip
        records.append({**row, **cells, "step": STEP})
    return store.commit_changes(
        branch,
        pa.Table.from_pylist(records, schema=rows.schema),
        parent=base,
        step=StepRecord(STEP, {}, EDITS_VERSION),
        decisions=schema.decisions(decisions),
        findings=schema.findings([]),
        note={"edits_by": by},
    )
