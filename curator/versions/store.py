"""The store: versions of rows that are committed whole, named, and never changed.

The one idea: a commit writes objects, then the layout, then the manifest, then the branch entry,
each create-only. Killed anywhere, the store holds the versions it held before and perhaps some
bytes that nothing names; the same commit run again goes on from there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curator import schema
from curator.errors import StoreError
from curator.versions import freeze, parts, records, refs
from curator.versions.differences import diff
from curator.versions.draft import Draft
from curator.versions.history import History, why
from curator.versions.manifest import StepRecord, Version, columns_of, manifest, version_of
from curator.versions.objects import (
    Folder,
    get_object,
    object_path,
    put_object,
)

FORMAT = 1
"""The store format this release writes and reads."""

_VERSION_ID = re.compile(r"[0-9a-f]{64}")
_VERSION_PREFIX = re.compile(r"[0-9a-f]{6,64}")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A version as `log` shows it.

    created: when a branch first pointed at it, ISO 8601 UTC; None when none ever did.
    author: who moved the branch there.
    tags, branches: names that point at it now.
    """

    version: str
    parents: tuple[str, ...]
    step: str
    rows: int
    created: str | None
    author: str | None
    tags: tuple[str, ...]
    branches: tuple[str, ...]


def open_store(path: Path | str, *, create: bool, author: str | None = None) -> Store:
    """Open the store in a folder, for one session of work.

    Args:
        path: The store's folder.
        create: Make the store where there is none.
        author: Who its commits are by; by default the system's user.

    Returns:
        The store; it holds nothing open, so it needs no closing.

    Raises:
        StoreError: There is no store, a newer Curator made it, or the folder cannot be used.
    """
    path = Path(path)
    folder = Folder(path)
    if path.exists() and not path.is_dir():
        raise StoreError(f"{path}: a file stands where the store's folder should be")
    found = folder.get("FORMAT")
    if found is None:
        if any(folder.list(name) for name in ("objects", "layouts", "refs")):
            raise StoreError(f"{path / 'FORMAT'}: missing; put a file there that says {FORMAT}")
        if not create:
            raise StoreError(f"{path}: there is no store here; `curator run RECIPE` makes one")
        folder.put_new("FORMAT", f"{FORMAT}\n".encode())
        found = folder.get("FORMAT") or b""
    _check_format(path, found.decode("utf-8", "replace").strip())
    return Store(folder, refs.user() if author is None else author)


def _check_format(path: Path, found: str) -> None:
    if not found.isdecimal():
        raise StoreError(f"{path / 'FORMAT'}: says {found[:40]!r}, expected a number such as 1")
    if int(found) > FORMAT:
        raise StoreError(
            f"{path}: this store has format {found}, made by a newer Curator; this one reads up to "
            f"{FORMAT}. Upgrade with `pip install --upgrade corpus-curator`"
        )


class Store:
    """Versions of rows in a folder, as one session sees and extends them.

    A branch that another writer moved after this session opened the store is not moved again: the
    commit is refused, its version stays readable by id, and a new session can go on from there.
    """

    def __init__(self, folder: Folder, author: str) -> None:
        self.folder = folder
        self.author = author
        self._seen = {
            name: max(refs.numbers(folder, name)) for name in refs.names(folder, refs.HEADS)
        }

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
    ) -> Version:
        """Commit a version: all of its rows, with the decisions that made it from its parent.

        Args:
            branch: The branch to move there (made where it does not exist); None moves none.
            rows: All rows of the version, schema.ROW_SCHEMA columns and the user's own, any order.
            parents: Versions it was made from, the one it was changed from first; none: an import.
            task: Name of the task.
            step: The step that made it.
            decisions: schema.DECISION_SCHEMA; exactly the changes from the first parent.
            findings: schema.FINDING_SCHEMA; kept with the version, part of no id.
            transforms: Serving transforms for the raw test rows, oldest first.
            note: JSON values to keep in the branch entry.

        Returns:
            The version; a version that existed is returned as it is.

        Raises:
            RowError: The rows break the row contract.
            LockError: Test rows are not those of the first parent.
            StoreError: Rows and decisions disagree, another writer moved the branch, or the store
                cannot be written.
        """
        if branch is not None and branch not in self._seen:
            self._check_free(branch, "branch")
        ancestors = [self.version(parent) for parent in parents]
        base = self._layout(ancestors[0].id) if ancestors else None
        draft = Draft(self.folder, step.name, rows, base, decisions, findings)
        draft.check(ancestors[0] if ancestors else None, schema.task_named(task))
        data = manifest(
            parents=[version.id for version in ancestors],
            task=task,
            columns=columns_of(draft.rows.schema),
            step=step,
            content=schema.content_digest(draft.rows),
            decisions=schema.decisions_digest(draft.decisions),
            lock=freeze.lock_of(draft.locked),
            transforms=transforms,
        )
        name = hashlib.sha256(data).hexdigest()
        if not self._is_version(name):
            self.folder.put_new(f"layouts/{name}/0001", draft.write().to_bytes())
            put_object(self.folder, data)
        if branch is not None:
            self._move(branch, name, step.name, note or {})
        return self._read_version(name)

    def _move(self, branch: str, version: str, step: str, note: dict[str, Any]) -> None:
        head = refs.latest(self.folder, branch)
        number = head.number if head else 0
        if head and head.version == version:
            self._seen[branch] = number
            return
        seen = self._seen.get(branch, 0)
        entry = refs.new_entry(seen + 1, version, self.author, step, note)
        if number != seen or not refs.append(self.folder, branch, entry):
            raise self._moved(branch, version)
        self._seen[branch] = seen + 1

    def _moved(self, branch: str, version: str) -> StoreError:
        head = refs.latest(self.folder, branch)
        where = f"{head.version[:12]} by {head.author} at {head.time}" if head else "nothing"
        return StoreError(
            f"branch {branch!r} was moved to {where} (step {head.step if head else ''!r}) while "
            f"this run was at work, so it was not moved to {version[:12]}. Nothing is lost: run "
            "again, which starts from the new head and reuses all that was computed"
        )

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
        near = refs.nearest(name, [*branches, *tags])
        raise StoreError(
            f"no version, branch or tag is called {name!r}{near} Branches: "
            f"{', '.join(branches) or 'none'}; tags: {', '.join(tags) or 'none'}; versions: see "
            "`curator log`"
        )

    def _ids(self) -> list[str]:
        return sorted({path.split("/")[1] for path in self.folder.list("layouts")})

    def _is_version(self, name: str) -> bool:
        # A layout without its manifest was left by a killed commit: not a version yet.
        return self.folder.get(object_path(name)) is not None

    def _read_version(self, name: str) -> Version:
        layout = self._layout(name)
        return version_of(get_object(self.folder, name), rows=layout.rows, splits=layout.splits)

    def layout(self, ref: Version | str) -> parts.Layout:
        """Give the newest layout of a version: where its rows, decisions and findings lie."""
        return self._layout(self.version(ref).id)

    def _layout(self, name: str) -> parts.Layout:
        known = self.folder.list(f"layouts/{name}")
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
        return {n: self.entries(n)[-1].version for n in refs.names(self.folder, refs.HEADS)}

    def tags(self) -> dict[str, str]:
        """Give the version id each tag names, by name."""
        found = {n: refs.read_tag(self.folder, n) for n in refs.names(self.folder, refs.TAGS)}
        return {name: version for name, version in found.items() if version is not None}

    def branch(self, name: str, ref: Version | str) -> Version:
        """Make a new branch that points at a version.

        Raises:
            StoreError: The name is taken or not allowed, or there is no such version.
        """
        version = self.version(ref)
        self._check_free(name, "branch")
        entry = refs.new_entry(1, version.id, self.author, "branch", {})
        if not refs.append(self.folder, name, entry):
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
        version = self.version(ref)
        self._check_free(name, "tag")
        if not refs.create_tag(self.folder, name, version.id, self.author):
            taken = refs.read_tag(self.folder, name) or ""
            raise StoreError(
                f"tag {name!r} exists, for version {taken[:12]}; a tag never moves: take another "
                "name"
            )
        return version

    def restore(self, ref: Version | str, branch: str = "main") -> Version:
        """Point a branch at an earlier version by a new entry in its log; nothing is rewritten.

        Raises:
            StoreError: There is no such version or branch, or another writer moved the branch.
        """
        version = self.version(ref)
        before = self.head(branch)
        self._move(branch, version.id, "restore", {"from": before.id})
        return version

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
        return parts.find_rows(parts.Reader(self.folder), self.layout(ref), ids)

    def decisions(self, ref: Version | str) -> pa.Table:
        """Read what the step of a version decided, schema.DECISION_SCHEMA sorted by row id."""
        return parts.get_table(self.folder, self.layout(ref).decisions)

    def findings(self, ref: Version | str) -> pa.Table:
        """Read what the step of a version found, schema.FINDING_SCHEMA sorted by row id."""
        return parts.get_table(self.folder, self.layout(ref).findings)

    def check_lock(self, ref: Version | str) -> None:
        """Check that the stored test rows of a version are still the frozen ones.

        Raises:
            LockError: They are not; names the rows.
        """
        version = self.version(ref)
        stored = freeze.locked_rows(self.rows(version), schema.task_named(version.task))
        freeze.check_stored(self.folder, version.short, version.lock, stored)

    def ancestry(self, ref: Version | str) -> list[Version]:
        """Give a version and all before it, newest first: no version stands before a child."""
        seen: dict[str, Version] = {}
        order: list[Version] = []
        stack: list[tuple[Version, bool]] = [(self.version(ref), False)]
        while stack:  # depth first, a version after all its parents
            version, done = stack.pop()
            if done:
                order.append(version)
            elif version.id not in seen:
                seen[version.id] = version
                stack.append((version, True))
                stack += [(self._read_version(p), False) for p in version.parents if p not in seen]
        return order[::-1]

    def log(self, ref: Version | str = "main") -> list[LogEntry]:
        """Give a version and all before it as `log` shows them, newest first."""
        first = self.first_entries()
        branches, tags = self.branches(), self.tags()
        return [
            LogEntry(
                version=version.id,
                parents=version.parents,
                step=version.step.name,
                rows=version.rows,
                created=first[version.id].time if version.id in first else None,
                author=first[version.id].author if version.id in first else None,
                tags=tuple(name for name, at in tags.items() if at == version.id),
                branches=tuple(name for name, at in branches.items() if at == version.id),
            )
            for version in self.ancestry(ref)
        ]

    def first_entries(self) -> dict[str, refs.RefEntry]:
        """Give for each version the first entry of any branch that pointed at it."""
        found: dict[str, refs.RefEntry] = {}
        for name in refs.names(self.folder, refs.HEADS):
            for entry in self.entries(name):
                known = found.get(entry.version)
                if known is None or entry.time < known.time:
                    found[entry.version] = entry
        return found

    def diff(self, a: Version | str, b: Version | str) -> pa.Table:
        """Give the rows that differ from version a to version b; see `differences.diff`."""
        return diff(self, a, b)

    def why(self, row: str, *, branch: str | None = None) -> History:
        """Give the history of a row; see `history.why`."""
        return why(self, row, branch=branch)

    def record(self, kind: str, key: str, value: dict[str, Any]) -> bool:
        """Keep a JSON value under a key, once; see `records.put`."""
        return records.put(self.folder, kind, key, value)

    def recorded(self, kind: str, key: str) -> dict[str, Any] | None:
        """Give the value under a key; None where there is none."""
        return records.get(self.folder, kind, key)

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Give all values of a kind, in the order of their places."""
        return records.every(self.folder, kind)
