"""A version that is not committed yet: checked against its parent, then written as what differs.

The one idea: a version is its parent less some rows and plus some. The caller hands over all rows
of the child, or only those that change; either way what it decided is compared with what differs,
and only what differs is hashed and stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.tasks import Task, task_named
from curator.versions import freeze, laws, lookup, parts
from curator.versions.changes import Changes, compare
from curator.versions.hashes import Kept, RowHashes, kept_of
from curator.versions.manifest import Version
from curator.versions.objects import Folder
from curator.versions.recalled import recalled


@dataclass(frozen=True, slots=True)
class Base:
    """The version a draft was changed from.

    live: its rows, all or those the draft speaks of.
    """

    version: Version
    layout: parts.Layout
    live: parts.Live


class Draft:
    """Rows, decisions and findings on their way into the store.

    rows: the rows handed over, in their stored form, sorted by id.
    decisions, findings: sorted by row id.
    columns: schema of the version's rows; content: their digest; lock: hash of its test rows.
    """

    content: str
    lock: str | None

    def __init__(
        self,
        folder: Folder,
        hashes: RowHashes,
        step: str,
        rows: pa.Table,
        decisions: pa.Table,
        findings: pa.Table,
        *,
        task: Task,
    ) -> None:
        self.rows = laws.lawful_rows(rows, task)
        self.decisions = laws.lawful_table(decisions, schema.DECISION_SCHEMA, "decisions")
        self.findings = laws.lawful_table(findings, schema.FINDING_SCHEMA, "findings")
        self._folder, self._hashes, self._step = folder, hashes, step
        self._base: Base | None = None
        self._changes: Changes | None = None
        self._new = self.rows
        self._gone: dict[str, parts.IntArray] | None = None
        self._kept: dict[str, Kept] = {}
        self._touched = (self.rows, self.rows)

    def start_from(self, version: Version, layout: parts.Layout) -> None:
        """Take a version as the first parent; the rows handed over are all of the child's."""
        self._start(Base(version, layout, parts.read_live(self._folder, layout)))

    def change(self, version: Version, layout: parts.Layout, dropped: pa.Array) -> None:
        """Take a version as the first parent; the rows handed over are those that change.

        Args:
            version: The parent.
            layout: Where it lies.
            dropped: Ids of rows that go.
        """
        concerned = pa.concat_arrays([self.rows["id"].combine_chunks(), dropped])
        laws.check_columns_kept(version, self.rows.schema)
        self._kept = {part.object: self._hashes.of(part) for part in layout.parts}
        base = Base(version, layout, self._concerned(layout, concerned))
        laws.check_dropped(dropped, self.rows, base.live.rows)
        self._start(base)

    def _concerned(self, layout: parts.Layout, ids: pa.Array) -> parts.Live:
        """Give the rows of the parent that have these ids; those are read that none can recall."""
        known = recalled(self._folder, layout, self._kept, self.rows, self.decisions)
        left = ids.filter(pc.invert(pc.is_in(ids, value_set=known.rows["id"].combine_chunks())))
        if not len(left):
            return known
        read = lookup.find_live(self._hashes, layout, left, self._kept)
        return parts.sorted_live(
            [known.rows, read.rows],
            np.concatenate([known.part, read.part]),
            np.concatenate([known.position, read.position]),
        )

    def _start(self, base: Base) -> None:
        self._base = base
        self._changes = changes = compare(base.live.rows, self.rows)
        self._touched = (base.live.rows, self.rows)
        if base.live.rows.schema != self.rows.schema:
            return  # stored anew, as a part has one schema
        differing = changes.where(changes.columns)
        removed = changes.dropped.copy()
        removed[changes.left[differing]] = True
        written = changes.added.copy()
        written[changes.right[differing]] = True
        self._new = self.rows.filter(pa.array(written)).combine_chunks()
        self._touched = (base.live.rows.filter(pa.array(removed)), self._new)
        self._gone = {
            part.object: np.sort(base.live.position[removed & (base.live.part == index)])
            for index, part in enumerate(base.layout.parts)
            if (removed & (base.live.part == index)).any()
        }

    def check(self, task: Task) -> None:
        """Check the lock against the first parent, that rows and decisions agree; then hash.

        Raises:
            LockError: Test rows are not those of the parent.
            StoreError: A row changed without a decision, or a decision changed no row.
        """
        base = self._base
        before = None if base is None else base.live.rows
        self._check_lock(task)
        laws.check_decided(before, self.rows, self._changes, self.decisions)
        records = schema.record_hashes(self._new)
        self._records = records
        if base is not None and self._gone is not None:
            records = self._hashes.live(base.layout, self._gone, self._kept, records)
        self.content = schema.digest_of(records)

    def _check_lock(self, task: Task) -> None:
        base = self._base
        if base is not None:
            self._check_parent(base, task_named(base.version.task))
            # Rows that did not change need not be looked at.
            before, after = (freeze.locked_rows(rows, task) for rows in self._touched)
            freeze.check_same_lock(self._step, before, after)
            if before.equals(after) and base.version.task == task.name:
                self.lock = base.version.lock
                return
        self._locked = freeze.locked_rows(self.rows, task)
        self.lock = freeze.lock_of(self._locked)

    def _check_parent(self, base: Base, task: Task) -> None:
        if not self._hashes.holds_lock(base.layout, base.version.lock):
            stored = freeze.stored_locked(self._folder, base.layout, task)
            freeze.check_stored(self._folder, base.version.short, base.version.lock, stored)
            self._hashes.keep_lock(base.layout, base.version.lock)

    def write(self) -> parts.Layout:
        """Store what the version adds; gives its layout, which is not stored yet."""
        if self._base is None or self._base.version.lock != self.lock:
            freeze.write_record(self._folder, self._locked)
        rows, splits = self._counts()
        layout = parts.Layout(
            parts=self._parts(),
            decisions=parts.put_table(self._folder, self.decisions),
            findings=parts.put_table(self._folder, self.findings),
            rows=rows,
            splits=splits,
        )
        self._hashes.keep_lock(layout, self.lock)
        return layout

    def _counts(self) -> tuple[int, dict[str, int]]:
        base, now = self._base, _split_counts(self.rows)
        if base is None:
            return self.rows.num_rows, now
        before = _split_counts(base.live.rows)
        splits = {name: base.layout.splits[name] - before[name] + now[name] for name in now}
        return base.layout.rows - base.live.rows.num_rows + self.rows.num_rows, splits

    def _parts(self) -> tuple[parts.Part, ...]:
        kept: tuple[parts.Part, ...] = ()
        if self._base is not None and self._gone is not None:
            kept = parts.less(self._folder, self._base.layout, self._gone)
        if kept and not self._new.num_rows:
            return kept
        new = parts.whole(self._folder, self._new)
        for number, part in enumerate(new):
            start = number * parts.PART_ROWS
            rows, records = (
                whole[start : start + part.rows] for whole in (self._new, self._records)
            )
            self._hashes.keep(part.object, kept_of(rows, records))
        return (*kept, *new)


def _split_counts(rows: pa.Table) -> dict[str, int]:
    return {
        name: pc.sum(pc.equal(rows["split"], name), min_count=0).as_py() or 0
        for name in schema.SPLITS
    }
