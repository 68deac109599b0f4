"""Whether a store is what it says: every byte, every row, every name, hashed again.

The one idea: an object proves its bytes by its name, a version proves its rows by its digest, and
both are needed: who rewrites an object and the layout that names it consistently still cannot make
other rows hash to the digest that is part of the version's id. Nothing kept locally is trusted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.errors import CuratorError, StoreError
from curator.tasks import Task, task_named
from curator.versions import freeze, parts, records, refs
from curator.versions.hashes import Records
from curator.versions.laws import named
from curator.versions.manifest import Version, columns_of, version_of
from curator.versions.objects import Folder, get_object, names, object_path, parsed_json
from curator.versions.store import Store


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it should be.

    where: a name in the store, or `version ID`; what: a sentence that says what is wrong.
    version: id of the version concerned, where it is one.
    rows: ids of the rows concerned, where they can be named.
    """

    where: str
    what: str
    version: str | None = None
    rows: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give the fault as JSON values."""
        told: dict[str, Any] = {"where": self.where, "what": self.what, "version": self.version}
        return told | {"rows": list(self.rows)}


@dataclass(frozen=True, slots=True)
class Superseded:
    """A version that an erasure left other digests than its id was made from.

    erasure: its number; digests: by name (content, decisions, test_lock) the former and the new.
    """

    version: str
    erasure: int
    digests: dict[str, tuple[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at and what was found.

    versions, objects, rows: how many were hashed again; bytes: of the objects.
    unreachable: objects that no version needs; `gc` removes them.
    superseded: versions whose digests an erasure replaced, as it had to.
    """

    versions: int
    objects: int
    bytes: int
    rows: int
    unreachable: int
    faults: tuple[Fault, ...]
    superseded: tuple[Superseded, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give the result as JSON values."""
        return {
            "versions": self.versions,
            "objects": self.objects,
            "bytes": self.bytes,
            "rows": self.rows,
            "unreachable": self.unreachable,
            "faults": [fault.as_dict() for fault in self.faults],
            "superseded": [asdict(one) for one in self.superseded],
        }


def verify(store: Store, *, say: Callable[[str], None] = lambda _: None) -> Verified:
    """Hash everything a branch, tag or committed version leads to, and compare it with its names.

    Args:
        store: The store.
        say: Told which version is looked at.

    Returns:
        Counts, and every fault found; none means that each row of each version is as committed.

    Raises:
        StoreError: The store cannot be listed at all (no permission, no network).
    """
    return _Verifier(store).run(say)


@dataclass(frozen=True, slots=True)
class _Held:
    """A part as it was read once, dead rows included: what its live rows are checked by.

    records: hash of each row, shape (n, 16); rows: id, split and content hash (of test rows alone).
    columns: as in a manifest.
    """

    records: Records
    rows: pa.Table
    columns: tuple[tuple[str, str, bool], ...]


class _Verifier:
    """One verification: what was read, and the faults so far."""

    def __init__(self, store: Store) -> None:
        self.store = store
        # The folder itself, not a local copy of its objects.
        self.folder: Folder = getattr(store.folder, "source", store.folder)
        self.faults: list[Fault] = []
        self.bytes = self.rows = 0
        self.checked: dict[str, bool] = {}
        self.versions: dict[str, Version] = {}
        self.layouts: dict[str, parts.Layout] = {}
        self.held: dict[str, _Held] = {}
        self.locks: dict[str | None, pa.Table | None] = {}
        self.sound: list[str] = []
        self.suspects: list[str] = []

    def run(self, say: Callable[[str], None]) -> Verified:
        """Look at refs, versions and records, in this order."""
        told = self._told()
        there = [path.split("/")[1] for path in names(self.folder, "layouts")]
        wanted = dict.fromkeys([*told, *(v for v in there if self._is_there(v))])
        queue = list(wanted)
        for name in queue:
            version = self._read(name, told.get(name))
            if version is not None:
                unseen = [parent for parent in version.parents if parent not in wanted]
                queue += unseen
                wanted |= dict.fromkeys(unseen)
                told |= dict.fromkeys(unseen, f"version {version.short}, as a parent")
        for number, version in enumerate(self.versions.values()):
            say(f"verify  {number + 1} of {len(self.versions)}: version {version.short}")
            self._check(version)
        for name in self.suspects:
            self._name_rows(self.versions[name])
        self._check_records()
        objects = names(self.folder, "objects")
        unreachable = sum(name.rpartition("/")[2] not in self.checked for name in objects)
        return Verified(
            len(self.versions), len(self.checked), self.bytes, self.rows, unreachable,
            tuple(self.faults), tuple(self._superseded()),
        )  # fmt: skip

    def _superseded(self) -> Iterable[Superseded]:
        for name, layout in self.layouts.items():
            if now := layout.superseded:
                was = parsed_json(get_object(self.folder, name), name)
                digests = {key: (was[key], now[key]) for key in now if key != "erasure"}
                changed = {key: pair for key, pair in digests.items() if pair[0] != pair[1]}
                yield Superseded(name, now["erasure"], changed)

    def fault(
        self, where: str, what: str, version: str | None = None, rows: Iterable[str] = ()
    ) -> None:
        """Note a fault."""
        self.faults.append(Fault(where, what, version, tuple(sorted(rows))))

    def _is_there(self, version: str) -> bool:
        return self.folder.get(object_path(version), 0, 1) is not None

    def _told(self) -> dict[str, str]:
        """Give the versions that branches and tags ever named, with where they did."""
        told: dict[str, str] = {}
        for branch in refs.names(self.folder, refs.HEADS):
            known = refs.numbers(self.folder, branch)
            missing = sorted(set(range(1, max(known, default=0) + 1)) - set(known))
            if missing:
                where = f"{refs.HEADS}/{branch}"
                self.fault(where, f"entries {missing} of {known[-1]} are missing from its log")
            for number in known:
                where = f"{refs.HEADS}/{branch}/{number:08d}"
                try:
                    told.setdefault(refs.entry(self.folder, branch, number).version, where)
                except StoreError as fault:
                    self.fault(where, str(fault))
        for tag in refs.names(self.folder, refs.TAGS):
            where = f"{refs.TAGS}/{tag}"
            try:
                told.setdefault(refs.read_tag(self.folder, tag) or "", where)
            except StoreError as fault:
                self.fault(where, str(fault))
        return told

    def _read(self, name: str, where: str | None) -> Version | None:
        if not self._object(name, name, "manifest"):
            if where is not None:
                self.fault(where, f"names version {name[:12]}, which cannot be read", name)
            return None
        known = names(self.folder, f"layouts/{name}")
        if not known:
            self.fault(f"layouts/{name}", "missing, so its rows cannot be found", name)
            return None
        try:
            layout = parts.layout_of(self.folder.get(known[-1]) or b"", known[-1])
            data = get_object(self.folder, name)
            version = version_of(
                data, rows=layout.rows, splits=layout.splits, superseded=layout.superseded
            )
        except StoreError as fault:
            self.fault(known[-1], str(fault), name)
            return None
        self.versions[name], self.layouts[name] = version, layout
        return version

    def _object(self, name: str, version: str, noun: str) -> bool:
        """Check once that an object is there and has the bytes it is named by."""
        if name not in self.checked:
            data = self.folder.get(object_path(name))
            self.checked[name] = data is not None and hashlib.sha256(data).hexdigest() == name
            self.bytes += len(data or b"")
            if not self.checked[name]:
                wrong = "is missing" if data is None else "was altered: its bytes do not hash to it"
                self.fault(object_path(name), f"this object {wrong}", version)
        if not self.checked[name] and noun != "manifest":
            self.fault(f"version {version[:12]}", f"needs {object_path(name)} ({noun}), which is "
                       "missing or altered", version)  # fmt: skip
        return self.checked[name]

    def _check(self, version: Version) -> None:
        layout = self.layouts[version.id]
        stored = [("part", part.object) for part in layout.parts]
        stored += [("deletion vector", p.deleted) for p in layout.parts if p.deleted]
        needs = {
            self._check_rows: stored,
            self._check_decisions: [("decisions", layout.decisions)],
            self._check_findings: [("findings", layout.findings)],
        }
        self._check_record(version)
        for check, objects in needs.items():
            whole = [self._object(name, version.id, noun) for noun, name in objects]
            if not all(whole):
                continue
            try:
                check(version, layout)
            except (CuratorError, pa.ArrowException, IndexError, ValueError) as fault:
                self.fault(f"version {version.short}", str(fault), version.id)

    def _check_record(self, version: Version) -> None:
        if version.lock in self.locks:
            return
        self.locks[version.lock] = freeze.read_record(self.folder, version.lock)
        if self.locks[version.lock] is None:
            what = "the record of this test lock is missing or altered; put it back from a backup"
            self.fault(f"locks/{version.lock}", what, version.id)

    def _check_rows(self, version: Version, layout: parts.Layout) -> None:
        """Hash every live row again, and compare digest, counts, columns and lock."""
        records: list[Records] = [np.empty((0, 16), np.uint8)]
        rows: list[pa.Table] = []
        for part in layout.parts:
            held = self._part(part, task_named(version.task))
            if held.columns != version.columns:
                self.fault(
                    f"version {version.short}",
                    f"part {part.object[:12]} has columns {[n for n, _, _ in held.columns]}, the "
                    f"manifest says {[n for n, _, _ in version.columns]}",
                    version.id,
                )
                return
            live = parts.live_positions(self.folder, part)
            records.append(held.records[live])
            rows.append(held.rows.take(pa.array(live)))
        whole = pa.concat_tables(rows)
        self._check_counts(version, layout, whole)
        self._check_lock(version, whole)
        is_sound = schema.digest_of(np.concatenate(records)) == version.content
        (self.sound if is_sound else self.suspects).append(version.id)

    def _part(self, part: parts.Part, task: Task) -> _Held:
        if part.object not in self.held:
            table = parts.get_table(self.folder, part.object)
            self.rows += table.num_rows
            records = schema.record_hashes(table)
            kept = self.store.hashes.kept(part.object)
            if kept is not None and not kept.fits(table, records):
                where = str(self.store.hashes.path(part.object))
                self.fault(where, "this cache does not fit its part; delete it, it is made again")
            is_test = pc.equal(table["split"], "test").combine_chunks()
            test = table.filter(is_test)
            content = pa.array(schema.content_hashes(test, task), pa.string())
            at = pc.cumulative_sum(is_test.cast(pa.int64()))
            places = pc.if_else(is_test, pc.subtract(at, 1), pa.scalar(None, pa.int64()))
            rows = table.select(["id", "split"]).append_column("content", content.take(places))
            self.held[part.object] = _Held(records, rows, columns_of(table.schema))
        return self.held[part.object]

    def _check_counts(self, version: Version, layout: parts.Layout, rows: pa.Table) -> None:
        where = f"version {version.short}"
        found = {c["values"]: c["counts"] for c in rows["split"].value_counts().to_pylist()}
        said = {name: count for name, count in layout.splits.items() if count}
        if found != said or rows.num_rows != layout.rows:
            self.fault(where, f"its parts hold {found} rows, its layout says {said}", version.id)
        counts = rows["id"].combine_chunks().value_counts()
        twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist()
        if twice:
            self.fault(where, f"ids stand on two live rows: {named(twice)}", version.id, twice)

    def _check_lock(self, version: Version, rows: pa.Table) -> None:
        test = rows.filter(pc.equal(rows["split"], "test")).select(["id", "content"]).sort_by("id")
        test = test.cast(freeze.LOCK_SCHEMA)
        record = self.locks[version.lock]
        if freeze.lock_of(test) == version.lock:
            return
        apart: set[str] = set()
        told = "and as the record of the lock is damaged too, they cannot be named"
        if record is not None:
            apart, told = _apart(record, test), f"({freeze.locks_apart(record, test)})"
        what = f"its frozen test rows were altered {told}"
        self.fault(f"version {version.short}", what, version.id, apart)

    def _check_decisions(self, version: Version, layout: parts.Layout) -> None:
        made = parts.get_table(self.folder, layout.decisions)
        what = ""
        if made.schema != schema.DECISION_SCHEMA:
            what = f"its decisions have columns {made.column_names}"
        elif schema.decisions_digest(made) != version.decisions:
            what = "its decisions were altered: they do not hash to the digest in its manifest"
        if what:
            self.fault(f"version {version.short}", what, version.id)

    def _check_findings(self, version: Version, layout: parts.Layout) -> None:
        found = schema.lifted_findings(parts.get_table(self.folder, layout.findings))
        if found.schema != schema.FINDING_SCHEMA:
            what = f"its findings have columns {found.column_names}"
            self.fault(f"version {version.short}", what, version.id)

    def _name_rows(self, version: Version) -> None:
        """Say which rows of a version were altered, by its lock, its parent and its children."""
        rows = set(self._against_relatives(version))
        rows |= {row for f in self.faults if f.version == version.id for row in f.rows}
        told = "which ones cannot be told, as no whole version stands before or after it"
        if rows:
            told = named(rows)
        what = (
            "its rows do not hash to the digest in its manifest, so some were altered after the "
            f"commit: {told}"
        )
        self.fault(f"version {version.short}", what, version.id, rows)

    def _against_relatives(self, version: Version) -> Iterable[str]:
        """Find rows that differ from a whole relative without a decision of the step between."""
        pairs = [(parent, version.id) for parent in version.parents[:1] if parent in self.sound]
        pairs += [
            (version.id, child.id)
            for child in self.versions.values()
            if child.id in self.sound and child.parents[:1] == (version.id,)
        ]
        found: list[set[str]] = []
        for a, b in pairs:
            left, right = (self._row_hashes(name) for name in (a, b))
            differing = {
                row for row in left.keys() | right.keys() if left.get(row) != right.get(row)
            }
            made = parts.get_table(self.folder, self.layouts[b].decisions)
            made = made.filter(pc.is_in(made["action"], pa.array(schema.CHANGING_ACTIONS)))
            found.append(differing - set(made["row_id"].to_pylist()))
        return set.union(*found) if found else ()

    def _row_hashes(self, version: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for part in self.layouts[version].parts:
            held = self.held[part.object]
            live = parts.live_positions(self.folder, part)
            ids = held.rows["id"].take(pa.array(live)).to_pylist()
            found |= zip(ids, map(bytes, held.records[live]), strict=True)
        return found

    def _check_records(self) -> None:
        for name in names(self.folder, "records"):
            try:
                records.read(self.folder, name)
            except StoreError as fault:
                self.fault(name, str(fault))


def _apart(record: pa.Table, test: pa.Table) -> set[str]:
    want, have = (
        dict(zip(t["id"].to_pylist(), t["content"].to_pylist(), strict=True))
        for t in (record, test)
    )
    return {row for row in want.keys() | have.keys() if want.get(row) != have.get(row)}
