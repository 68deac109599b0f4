"""The store: versions of rows that are committed whole, named, and never changed.

The one idea: a commit writes objects, then the layout, then the manifest, then the branch entry,
each create-only. Killed anywhere, the store holds the versions it held before and perhaps some
bytes that nothing names; the same commit run again goes on from there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from curator import schema
from curator.errors import MovedError, StoreError
from curator.tasks import task_named
from curator.versions import freeze, lookup, parts, records, refs, superseding
from curator.versions.differences import diff
from curator.versions.draft import Draft
from curator.versions.hashes import RowHashes
from curator.versions.history import History, why
from curator.versions.leases import Lease
from curator.versions.listing import LogEntry, ancestry, first_entries, log
from curator.versions.manifest import StepRecord, Version, columns_of, manifest, version_of
from curator.versions.objects import Folder, get_object, names, object_path, put_object
from curator.versions.retrying import moved_error, replay

_VERSION_ID = re.compile(r"[0-9a-f]{64}")
_VERSION_PREFIX = re.compile(r"[0-9a-f]{6,64}")


class Store:
    """Versions of rows in a folder, as one session sees and extends them.

    A branch that another writer moved after this session opened the store is not moved again: the
    commit is refused, its version stays readable by id, and a new session can go on from there.
    """

    def __init__(self, folder: Folder, author: str, cache: Path) -> None:
        self.folder = folder
        self.author = author
        self.hashes = RowHashes(folder, cache)
        self._cache = cache
        self._seen = {
            name: max(refs.numbers(folder, name)) for name in refs.names(folder, refs.HEADS)
        }

    @property
    def cache(self) -> Path:
        """Local folder for what can be computed again; deleting it costs time, nothing else."""
        return self._cache

    @property
    def address(self) -> str:
        """What a person calls this store: its path, or such as `s3://bucket/path`."""
        return self.folder.address

    def commit(  # noqa: PLR0913 - a version is all of these
        self,
        branch: str | None,
        rows: pa.Table,
        *,
        parents: Sequence[Version | str],
        task: str,
        step: StepRecord,
        decisions: pa.Table,
        findings: pa.Table,
        transforms: Sequence[dict[str, Any]] = (),
        note: dict[str, Any] | None = None,
        only_forward: bool = False,
    ) -> Version:
        """Commit a version: all of its rows, with the decisions that made it from its parent.

        Args:
            branch: The branch to move there (made where it does not exist); None moves none.
            rows: All rows of the version, the task's columns and the user's own, any order.
            parents: Versions it was made from, the one it was changed from first; none: an import.
            task: Name of the task.
            step: The step that made it.
            decisions: schema.DECISION_SCHEMA; exactly the changes from the first parent.
            findings: schema.FINDING_SCHEMA; kept with the version, part of no id.
            transforms: Serving transforms for the raw test rows, oldest first.
            note: JSON values to keep in the branch entry.
            only_forward: Leave the branch where it is if its history holds the version already.

        Returns:
            The version; a version that existed is returned as it is.

        Raises:
            RowError: The rows break the row contract.
            LockError: Test rows are not those of the first parent.
            MovedError: Another writer moved the branch; `retry` may put the change onto its work.
            StoreError: Rows and decisions disagree, or the store cannot be written.
        """
        ancestors = [self.version(parent) for parent in parents]
        draft = Draft(
            self.folder, self.hashes, step.name, rows, decisions, findings, task=task_named(task)
        )
        if ancestors:
            draft.start_from(ancestors[0], self._layout(ancestors[0].id))
        return self._commit(branch, draft, ancestors, task, step, transforms, note, only_forward)

    def commit_changes(  # noqa: PLR0913 - a version is all of these
        self,
        branch: str | None,
        changed: pa.Table,
        *,
        dropped: Sequence[str] = (),
        parent: Version | str,
        step: StepRecord,
        decisions: pa.Table,
        findings: pa.Table,
        transforms: Sequence[dict[str, Any]] | None = None,
        note: dict[str, Any] | None = None,
    ) -> Version:
        """Commit a version by what differs from its parent; gives the same id as `commit` does.

        A small edit of a large version so costs little: other rows are not read.

        Args:
            branch: The branch to move there; None moves none.
            changed: New rows, and changed ones in their new state, with all columns of the parent.
            dropped: Ids of rows that go.
            parent: The version that is changed.
            step: The step that made it.
            decisions: schema.DECISION_SCHEMA; exactly the changes.
            findings: schema.FINDING_SCHEMA.
            transforms: Serving transforms; by default those of the parent.
            note: JSON values to keep in the branch entry.

        Raises:
            RowError: The rows break the row contract.
            LockError: A test row would change.
            MovedError: Another writer moved the branch.
            StoreError: Rows and decisions disagree, a row to drop is not there, or the store cannot
                be written.
        """
        base = self.version(parent)
        own = task_named(base.task)
        draft = Draft(self.folder, self.hashes, step.name, changed, decisions, findings, task=own)
        draft.change(base, self._layout(base.id), pa.array(dropped, pa.string()))
        kept = base.transforms if transforms is None else transforms
        return self._commit(branch, draft, [base], base.task, step, kept, note, False)  # noqa: FBT003

    def _commit(
        self,
        branch: str | None,
        draft: Draft,
        ancestors: Sequence[Version],
        task: str,
        step: StepRecord,
        transforms: Sequence[dict[str, Any]],
        note: dict[str, Any] | None,
        only_forward: bool,  # noqa: FBT001 - passed on
    ) -> Version:
        if branch is not None and branch not in self._seen:
            self._check_free(branch, "branch")
        draft.check(task_named(task))
        data = manifest(
            parents=[version.id for version in ancestors],
            task=task,
            columns=columns_of(draft.rows.schema),
            step=step,
            content=draft.content,
            decisions=schema.decisions_digest(draft.decisions),
            lock=draft.lock,
            transforms=transforms,
        )
        name = superseding.known_as(self.folder, hashlib.sha256(data).hexdigest())
        with Lease(self.folder, "write") as lease:
            if not self._is_version(name):
                self._put_layout(name, draft.write())
                put_object(self.folder, data)
            lease.check()
            if branch is not None and not (only_forward and self._holds(branch, name)):
                self._move(branch, name, step.name, note or {})
        return self._read_version(name)

    def _put_layout(self, version: str, layout: parts.Layout) -> None:
        """Store the layout of a version that is not there yet, after those a killed commit left."""
        data = layout.to_bytes()
        known = names(self.folder, f"layouts/{version}")
        if known and self.folder.get(known[-1]) == data:
            return
        number = int(known[-1].rpartition("/")[2]) + 1 if known else 1
        while not self.folder.put_new(f"layouts/{version}/{number:04d}", data):
            number += 1

    def _holds(self, branch: str, version: str) -> bool:
        head = refs.latest(self.folder, branch)
        return head is not None and version in {v.id for v in self.ancestry(head.version)}

    def retry(self, moved: MovedError, *, attempts: int = 10) -> Version:
        """Put a change that lost a race onto the work of the winner, where no row is common.

        Args:
            moved: What `commit` raised.
            attempts: How often to try again when yet another writer is faster.

        Returns:
            The new head of the branch, made by the same step.

        Raises:
            MovedError: Other writers were faster each time.
            StoreError: Both touch the same rows, or the branch goes another way now.
        """
        mine, before = self.version(moved.version), dict(self._seen)
        last = moved
        try:
            for _ in range(attempts):
                head = self.entries(moved.branch)[-1]
                self._seen[moved.branch] = head.number
                try:
                    return replay(self, mine, self.version(head.version), moved.branch)
                except MovedError as again:
                    last = again
            raise last
        except StoreError:
            self._seen = before  # what this session may move has not changed
            raise

    def _move(self, branch: str, version: str, step: str, note: dict[str, Any]) -> None:
        head = refs.latest(self.folder, branch)
        number = head.number if head else 0
        if head and head.version == version:
            self._seen[branch] = number
            return
        seen = self._seen.get(branch, 0)
        entry = refs.new_entry(seen + 1, version, self.author, step, note)
        if number != seen or not refs.append(self.folder, branch, entry):
            raise moved_error(self.folder, branch, version)
        self._seen[branch] = seen + 1

    def version(self, ref: Version | str) -> Version:
        """Give the version a name stands for.

        Args:
            ref: A full id, a unique prefix of one (6 digits or more), a branch or a tag, each
                perhaps with `~2` for the second first-parent before it; or a version itself.

        Raises:
            StoreError: Nothing is called so, or several versions are; says what exists.
        """
        if isinstance(ref, Version):
            return ref
        name, tilde, back = ref.partition("~")
        if tilde and not back.isdecimal():
            raise StoreError(f"{ref!r}: after ~ comes a number, as in main~2")
        version = self._read_version(self._id_of(name))
        for steps in range(int(back or 0)):
            if not version.parents:
                raise StoreError(f"{ref!r}: {name} has only {steps} version(s) before it")
            version = self._read_version(version.parents[0])
        return version

    def _id_of(self, name: str) -> str:
        if _VERSION_ID.fullmatch(name) and self._is_version(name):
            return name
        if refs.is_name(name):
            if head := refs.latest(self.folder, name):
                return head.version
            if tagged := refs.read_tag(self.folder, name):
                return tagged
        if _VERSION_PREFIX.fullmatch(name):
            found = [v for v in self._ids() if v.startswith(name) and self._is_version(v)]
            if len(found) == 1:
                return found[0]
            if found:
                raise StoreError(f"{name!r} is the start of {len(found)} versions: {found}")
        branches, tags = refs.names(self.folder, refs.HEADS), refs.names(self.folder, refs.TAGS)
        if not branches and not tags:
            raise StoreError(
                f"no version, branch or tag is called {name!r}: this store holds none yet; "
                "`curator run RECIPE` makes some"
            )
        near = refs.nearest(name, [*branches, *tags])
        raise StoreError(
            f"no version, branch or tag is called {name!r}{near} Branches: "
            f"{', '.join(branches) or 'none'}; tags: {', '.join(tags) or 'none'}; versions: see "
            "`curator log`"
        )

    def _ids(self) -> list[str]:
        return sorted({path.split("/")[1] for path in names(self.folder, "layouts")})

    def _is_version(self, name: str) -> bool:
        # A layout without its manifest was left by a killed commit: not a version yet.
        # A range is always asked of the store itself, never of a local copy.
        return self.folder.get(object_path(name), 0, 1) is not None

    def _read_version(self, name: str) -> Version:
        layout = self._layout(name)
        data = get_object(self.folder, name)
        rows, splits = layout.rows, layout.splits
        return version_of(data, rows=rows, splits=splits, superseded=layout.superseded)

    def layout(self, ref: Version | str) -> parts.Layout:
        """Give the newest layout of a version: where its rows, decisions and findings lie."""
        return self._layout(self.version(ref).id)

    def _layout(self, name: str) -> parts.Layout:
        known = names(self.folder, f"layouts/{name}")
        data = self.folder.get(known[-1]) if known else None
        if data is None:
            raise StoreError(
                f"layouts/{name}: missing, so the rows of version {name[:12]} cannot be found; "
                "put the folder back from a backup or from another copy of this store"
            )
        return parts.layout_of(data, known[-1])

    def head(self, branch: str = "main") -> Version:
        """Give the version a branch points at now.

        Raises:
            StoreError: There is no such branch, or its log has a gap.
        """
        return self._read_version(self.entries(branch)[-1].version)

    def entries(self, branch: str = "main") -> list[refs.RefEntry]:
        """Give the whole log of a branch, oldest first: every version it ever pointed at.

        Raises:
            StoreError: There is no such branch, or its log has a gap.
        """
        known = refs.names(self.folder, refs.HEADS)
        if branch not in known:
            raise StoreError(
                f"no branch is called {branch!r}{refs.nearest(branch, known)} "
                f"Branches: {', '.join(known) or 'none'}"
            )
        return refs.entries(self.folder, branch)

    def branches(self) -> dict[str, str]:
        """Give the version id each branch points at, by name."""
        heads = refs.names(self.folder, refs.HEADS)
        return {name: refs.newest(self.folder, name).version for name in heads}

    def tags(self) -> dict[str, str]:
        """Give the version id each tag names, by name."""
        found = {n: refs.read_tag(self.folder, n) for n in refs.names(self.folder, refs.TAGS)}
        return {name: version for name, version in found.items() if version is not None}

    def branch(self, name: str, ref: Version | str) -> Version:
        """Make a new branch that points at a version.

        Raises:
            StoreError: The name is taken or not allowed, or there is no such version.
        """
        self._check_free(name, "branch")
        with Lease(self.folder, "write"):
            version = self.version(ref)
            entry = refs.new_entry(1, version.id, self.author, "branch", {})
            won = refs.append(self.folder, name, entry)
        if not won:
            raise StoreError(
                f"branch {name!r} exists; `restore {version.short}` moves a branch that exists"
            )
        self._seen[name] = 1
        return version

    def tag(self, name: str, ref: Version | str) -> Version:
        """Give a version a fixed name.

        Raises:
            StoreError: The name is taken or not allowed, or there is no such version.
        """
        self._check_free(name, "tag")
        with Lease(self.folder, "write"):
            version = self.version(ref)
            won = refs.create_tag(self.folder, name, version.id, self.author)
        if not won:
            taken = refs.read_tag(self.folder, name) or ""
            raise StoreError(
                f"tag {name!r} exists, for version {taken[:12]}; a tag never moves: take another "
                "name"
            )
        return version

    def restore(
        self, ref: Version | str, branch: str = "main", note: dict[str, Any] | None = None
    ) -> Version:
        """Point a branch at an earlier version by a new entry in its log; nothing is rewritten.

        Raises:
            StoreError: There is no such version or branch, or another writer moved the branch.
        """
        with Lease(self.folder, "write"):
            version, before = self.version(ref), self.head(branch)
            self._move(branch, version.id, "restore", {"from": before.id, **(note or {})})
        return version

    def catch_up(self, branch: str, *, onto: Version) -> bool:
        """See a branch as others left it, if it still holds a version; tells whether it does."""
        head = refs.latest(self.folder, branch)
        if head is None or onto.id not in {v.id for v in self.ancestry(head.version)}:
            return False
        self._seen[branch] = head.number
        return True

    def _check_free(self, name: str, noun: str) -> None:
        refs.check_name(name, noun)
        other, kind = ("tag", refs.TAGS) if noun == "branch" else ("branch", refs.HEADS)
        if name in refs.names(self.folder, kind):
            raise StoreError(f"{noun} {name!r}: a {other} has this name; take another one")

    def rows(self, ref: Version | str) -> pa.Table:
        """Read all rows of a version, sorted by id, with the columns its manifest states.

        Raises:
            StoreError: An object is missing or altered, or the parts are not this version's.
        """
        version = self.version(ref)
        rows = parts.read_live(self.folder, self._layout(version.id)).rows
        if columns_of(rows.schema) != version.columns or rows.num_rows != version.rows:
            raise StoreError(
                f"version {version.short}: its parts hold {rows.num_rows} rows of columns "
                f"{rows.column_names}, expected {version.rows} rows of "
                f"{[name for name, _, _ in version.columns]}: its layout was altered; put it back "
                "from a backup"
            )
        return rows

    def find(self, ref: Version | str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Read some rows of a version by id, without reading all of it; absent ids are left out."""
        found = lookup.find_live(self.hashes, self.layout(ref), pa.array(ids, pa.string()))
        return {row["id"]: row for row in found.rows.to_pylist()}

    def decisions(self, ref: Version | str) -> pa.Table:
        """Read what the step of a version decided, schema.DECISION_SCHEMA sorted by row id."""
        return parts.get_table(self.folder, self.layout(ref).decisions)

    def findings(self, ref: Version | str) -> pa.Table:
        """Read what the step of a version found, schema.FINDING_SCHEMA sorted by row id."""
        return schema.lifted_findings(parts.get_table(self.folder, self.layout(ref).findings))

    def check_lock(self, ref: Version | str) -> None:
        """Check that the stored test rows of a version are still the frozen ones.

        Raises:
            LockError: They are not; names the rows.
        """
        version = self.version(ref)
        task = task_named(version.task)
        stored = freeze.stored_locked(self.folder, self._layout(version.id), task)
        freeze.check_stored(self.folder, version.short, version.lock, stored)

    def ancestry(
        self, ref: Version | str, *, known: dict[str, Version] | None = None
    ) -> list[Version]:
        """Give a version and all before it, newest first: no version stands before a child.

        Those in `known`, by id, are not read again; those that are read are added to it.
        """
        return ancestry(self._read_version, self.version(ref), {} if known is None else known)

    def log(self, ref: Version | str = "main") -> list[LogEntry]:
        """Give a version and all before it as `log` shows them, newest first."""
        return log(self, ref)

    def first_entries(self) -> dict[str, refs.RefEntry]:
        """Give for each version the first entry of any branch that pointed at it or made it."""
        return first_entries(self)

    def diff(self, a: Version | str, b: Version | str) -> pa.Table:
        """Give the rows that differ from version a to version b; see `differences.diff`."""
        return diff(self, a, b)

    def why(self, row: str, *, branch: str | None = None) -> History:
        """Give the history of a row; see `history.why`."""
        superseding.refuse(self.folder, row)
        return why(self, row, branch=branch)

    def keep_file(self, name: str, data: bytes) -> str:
        """Keep a file for people, such as quarantined records, beside the versions.

        Returns:
            Where it lies: a path, or an address.
        """
        self.folder.put_new(name, data)
        return f"{self.address}/{name}"

    def record(self, kind: str, key: str, value: dict[str, Any]) -> bool:
        """Keep a JSON value under a key, once; see `records.put`."""
        return records.put(self.folder, kind, key, value)

    def recorded(self, kind: str, key: str) -> dict[str, Any] | None:
        """Give the value under a key; None where there is none."""
        return records.get(self.folder, kind, key)

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Give all values of a kind, in the order of their places."""
        return records.every(self.folder, kind)
