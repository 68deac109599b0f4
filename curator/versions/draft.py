"""A version that is not committed yet: checked against its parent, then written as what differs.

The one idea: the caller hands over the whole child table and what it decided; whether the two agree
is found by comparing the tables, and the same comparison says what needs to be stored.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.versions import freeze, laws, parts
from curator.versions.changes import Changes, compare
from curator.versions.manifest import Version
from curator.versions.objects import Folder


class Draft:
    """Rows, decisions and findings on their way into the store.

    rows: in their stored form, sorted by id; decisions, findings: sorted by row id.
    locked: id and content hash of its test rows.
    """

    locked: pa.Table

    def __init__(
        self,
        folder: Folder,
        step: str,
        rows: pa.Table,
        base: parts.Layout | None,
        decisions: pa.Table,
        findings: pa.Table,
    ) -> None:
        self.rows = laws.lawful_rows(rows)
        self.decisions = laws.lawful_table(decisions, schema.DECISION_SCHEMA, "decisions")
        self.findings = laws.lawful_table(findings, schema.FINDING_SCHEMA, "findings")
        self._folder, self._step, self._base = folder, step, base
        self._live: parts.Live | None = None
        self._changes: Changes | None = None
        if base is not None:
            self._live = parts.read_live(folder, base)
            self._changes = compare(self._live.rows, self.rows)

    def check(self, parent: Version | None, task: schema.Task) -> None:
        """Check the lock against the first parent, then that rows and decisions agree.

        Raises:
            LockError: Test rows are not those of the parent.
            StoreError: A row changed without a decision, or a decision changed no row.
        """
        self.locked = freeze.locked_rows(self.rows, task)
        before = None if self._live is None else self._live.rows
        if parent is not None and before is not None:
            of_parent = freeze.locked_rows(before, schema.task_named(parent.task))
            freeze.check_stored(self._folder, parent.short, parent.lock, of_parent)
            freeze.check_same_lock(self._step, of_parent, self.locked)
        laws.check_decided(before, self.rows, self._changes, self.decisions)

    def write(self) -> parts.Layout:
        """Store what the version adds; gives its layout, which is not stored yet."""
        freeze.write_record(self._folder, self.locked)
        return parts.Layout(
            parts=self._parts(),
            decisions=parts.put_table(self._folder, self.decisions),
            findings=parts.put_table(self._folder, self.findings),
            rows=self.rows.num_rows,
            splits={name: self._count(name) for name in schema.SPLITS},
        )

    def _count(self, split: str) -> int:
        return pc.sum(pc.equal(self.rows["split"], split), min_count=0).as_py() or 0

    def _parts(self) -> tuple[parts.Part, ...]:
        live, changes, base = self._live, self._changes, self._base
        if live is None or changes is None or base is None or live.rows.schema != self.rows.schema:
            return (parts.whole(self._folder, self.rows),)
        differing = changes.where(changes.columns)
        removed = changes.dropped.copy()
        removed[changes.left[differing]] = True
        written = changes.added.copy()
        written[changes.right[differing]] = True
        new = self.rows.take(pa.array(np.flatnonzero(written)))
        return parts.write_parts(self._folder, base, live, removed, new)
