"""Rows taken out of every version for good, while the versions keep their ids.

The one idea: whatever holds a row is written anew without it, each version gets a layout that names
the new objects and the digests they have, and only then the old ones go. So a version is whole at
any moment, and an erasure that was killed is gone on with by the next one: what was to go is known
by its salted hash, and the texts to look for stay readable until everything else is done.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curator import schema
from curator.errors import StoreError
from curator.rewriting import texts_of
from curator.versions import freeze, parts, records, refs, superseding
from curator.versions.leases import Lease
from curator.versions.local import LocalFolder
from curator.versions.manifest import StepRecord, Version, manifest, version_of
from curator.versions.objects import canonical_json, get_object, names, object_path
from curator.versions.parts import Layout, Part, put_table
from curator.versions.store import Store
from curator.versions.superseding import DONE, ERASURES, Erasure, hashed
from curator.versions.traces import Traces, candidates, descendants, kind_of, quoted, said_in_cells

_PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did, or would do.

    number: of the erasure; None in a dry run, or where every row was erased before.
    rows: ids that were named; children: ids made from them, in any version.
    twins: ids of other rows with one of their texts, which stay.
    versions: versions with another layout now; objects: written anew; lines: quarantined records.
    texts: what the rows said, for whoever looks for it elsewhere; in no record.
    notes: sentences a person should read.
    """

    number: int | None
    rows: tuple[str, ...]
    children: tuple[str, ...]
    twins: tuple[str, ...]
    versions: int
    objects: int
    lines: int
    texts: frozenset[str]
    notes: tuple[str, ...]


def erase(
    store: Store, rows: Iterable[str], *, by: str, reason: str, dry_run: bool = False
) -> Erased:
    """Take rows, and all that was made from them, out of every version of a store.

    Args:
        store: The store.
        rows: Ids, or the first digits of them.
        by: Who asked for it.
        reason: Why; stays in the store.
        dry_run: Only say what would go.

    Raises:
        StoreError: No row is called so, another process writes, or the store cannot be written.
    """
    if dry_run:
        return _Eraser(store).run(list(rows), by=by, reason=reason, lease=None)
    with Lease(store.folder, "gc") as lease:
        for left in [one for one in superseding.erasures(store.folder) if not one.is_done]:
            _Eraser(store).finish(left, lease)
        return _Eraser(store).run(list(rows), by=by, reason=reason, lease=lease)


@dataclass(slots=True)
class _Found:
    """What a look at every object found.

    parents: by row the row it was made from; all_ids: every id of a row or candidate.
    """

    parents: dict[str, str] = field(default_factory=dict)
    all_ids: set[str] = field(default_factory=set)


class _Eraser:
    """One erasure: what goes, and what is written anew for it."""

    def __init__(self, store: Store) -> None:
        self.store, self.folder = store, store.folder
        self.traces = Traces()
        self.twins: set[str] = set()
        self.new: dict[str, str] = {}
        self.notes: list[str] = []

    def run(self, asked: list[str], *, by: str, reason: str, lease: Lease | None) -> Erased:
        """Find what goes, note the erasure, and do it; without a lease only find."""
        found = self._looked()
        wanted = self._named(asked, found)
        children = descendants(wanted, found.parents)
        self.traces.ids = wanted | children
        self._read_texts()
        number = None
        lines = len(self._quarantined())
        touched = self._touched()
        if lease is not None and self.traces.ids:
            begun = self._begin(len(wanted), len(children), by=by, reason=reason)
            number = begun.number
            lines, touched = self._carry_out(begun, lease)
        here = {self.new.get(name, name) for name in touched}
        versions = sum(self._is_concerned(layout, here) for layout in self._layouts().values())
        return Erased(
            number=number,
            rows=tuple(sorted(wanted)),
            children=tuple(sorted(children)),
            twins=tuple(sorted(self.twins)),
            versions=versions,
            objects=len(touched),
            lines=lines,
            texts=frozenset(self.traces.texts),
            notes=tuple(self.notes),
        )

    def finish(self, begun: Erasure, lease: Lease) -> None:
        """Go on with an erasure that was killed."""
        self.traces.ids = {row for row in self._looked().all_ids if begun.holds(row)}
        self._read_texts()
        self._carry_out(begun, lease)

    def _looked(self) -> _Found:
        found = _Found()
        for _, table in self._tables():
            kind = kind_of(table)
            if kind == "rows":
                found.all_ids.update(table["id"].to_pylist())
                made = table.filter(table["parent"].is_valid())
                found.parents |= zip(
                    made["id"].to_pylist(), made["parent"].to_pylist(), strict=True
                )
            elif kind == "decisions":
                found.all_ids.update(table["row_id"].to_pylist())
                found.parents |= candidates(table)
        return found

    def _tables(self) -> Iterator[tuple[str, pa.Table]]:
        """Read every stored table, reachable or not."""
        for path in names(self.folder, "objects"):
            name = path.rpartition("/")[2]
            data = get_object(self.folder, name)
            if data[:4] == _PARQUET:
                yield name, pq.read_table(parts.in_memory(data))

    def _named(self, asked: Iterable[str], found: _Found) -> set[str]:
        wanted: set[str] = set()
        for start in asked:
            if start in found.all_ids:
                wanted.add(start)
                continue
            if (told := superseding.erased(self.folder, start)) is not None:
                self.notes.append(f"row {start} is gone already ({told.sentence})")
                continue
            near = [row for row in found.all_ids if start and row.startswith(start)]
            if len(near) != 1:
                many = f"{len(near)} rows have an id that starts with {start!r}; write more of it"
                none = f"no row was ever called {start!r}, on any branch; nothing was erased"
                raise StoreError(many if near else none)
            wanted.add(near[0])
        return wanted

    def _read_texts(self) -> None:
        """Collect what the rows ever said, and who else says it."""
        for _, table in self._tables():
            kind = kind_of(table)
            if kind == "rows":
                for row in self._of(table, within=True).to_pylist():
                    self.traces.texts |= set(said_in_cells(row))
            elif kind is not None:
                self.traces.texts |= set(quoted(table, self.traces.ids))
        self.traces.texts.discard("")
        said = pa.array(sorted(self.traces.texts), pa.string())
        for _, table in self._tables():
            if kind_of(table) == "rows":
                others = self._of(table, within=False)
                texts, owner = texts_of(others)
                same = pc.is_in(texts, said).to_numpy(zero_copy_only=False)
                ids = others["id"].to_pylist()
                self.twins |= {ids[at] for at in owner[same].tolist()}

    def _of(self, rows: pa.Table, *, within: bool) -> pa.Table:
        """Give the rows that go, or those that stay."""
        gone = pc.is_in(rows["id"], pa.array(sorted(self.traces.ids), pa.string()))
        return rows.filter(gone if within else pc.invert(gone))

    def _begin(self, rows: int, children: int, *, by: str, reason: str) -> Erasure:
        salt = secrets.token_hex(16)
        number = len(superseding.erasures(self.folder)) + 1
        value = {
            "number": number, "time": refs.now(), "by": by, "reason": self.traces.without(reason),
            "rows": rows, "children": children, "salt": salt,
            "hashes": sorted(hashed(salt, row) for row in self.traces.ids),
        }  # fmt: skip
        if not records.put(self.folder, ERASURES, f"{number:06d}", value):
            raise StoreError("another erasure began at this moment; run again")
        return next(one for one in superseding.erasures(self.folder) if one.number == number)

    def _carry_out(self, begun: Erasure, lease: Lease) -> tuple[int, set[str]]:
        """Do it, in an order in which every version is whole at any moment."""
        self.traces.salt = begun.salt
        lines = self._clear_quarantine()
        self._clear_json()
        self._rewrite_tables()
        lease.check()
        self._lay_out(begun.number)
        lease.check()
        self._remove()
        told = sorted(hashed(self.traces.salt, line) for line in lines)
        done = {"number": begun.number, "time": refs.now(), "lines": told}
        records.put(self.folder, DONE, f"{begun.number:06d}", done)
        return len(lines), set(self.new)

    # What is written anew.

    def _rewrite_tables(self) -> None:
        for name, table in self._tables():
            made = self.traces.rewritten(table)
            if made is not None:
                self.new[name] = put_table(self.folder, made)

    def _touched(self) -> set[str]:
        return {name for name, table in self._tables() if self.traces.rewritten(table) is not None}

    # Layouts and digests.

    def _layouts(self) -> dict[str, Layout]:
        """Give the newest layout of every version, committed or not."""
        newest = {path.split("/")[1]: path for path in names(self.folder, "layouts")}
        return {
            version: parts.layout_of(self.folder.get(path) or b"", path)
            for version, path in newest.items()
            if self.folder.get(object_path(version), 0, 1) is not None
        }

    def _is_concerned(self, layout: Layout, touched: Iterable[str]) -> bool:
        named = {layout.decisions, layout.findings, *(part.object for part in layout.parts)}
        return not named.isdisjoint(touched)

    def _lay_out(self, number: int) -> None:
        """Give each version concerned a layout of what was written anew."""
        for name, layout in self._layouts().items():
            if self._is_concerned(layout, self.new):
                version = version_of(
                    get_object(self.folder, name),
                    rows=layout.rows,
                    splits=layout.splits,
                    superseded=layout.superseded,
                )
                self._supersede(version, layout, self._lock(version), number)

    def _supersede(self, version: Version, layout: Layout, lock: str | None, number: int) -> None:
        decisions = self.new.get(layout.decisions, layout.decisions)
        made = replace(
            layout,
            parts=self._parts(layout),
            decisions=decisions,
            findings=self.new.get(layout.findings, layout.findings),
        )
        rows, splits = self._counts(made)
        digests = {
            "erasure": number,
            "content": schema.digest_of(self.store.hashes.live(made)),
            "decisions": schema.decisions_digest(parts.get_table(self.folder, decisions)),
            "test_lock": lock,
        }
        made = replace(made, rows=rows, splits=splits, superseded=digests)
        superseding.keep_alias(self.folder, _name_now(version, digests), version.id)
        last = int(names(self.folder, f"layouts/{version.id}")[-1].rpartition("/")[2])
        self.folder.put_new(f"layouts/{version.id}/{last + 1:04d}", made.to_bytes())

    def _parts(self, layout: Layout) -> tuple[Part, ...]:
        made = []
        for part in layout.parts:
            if part.object not in self.new:
                made.append(part)
                continue
            old = parts.get_table(self.folder, part.object)["id"]
            stays = ~np.asarray(pc.is_in(old, pa.array(sorted(self.traces.ids), pa.string())))
            dead = parts.dead_positions(self.folder, part)
            # Positions move up by the number of erased rows before them.
            moved = (np.cumsum(stays) - 1)[dead[stays[dead]]]
            vector = None
            if len(moved):
                column = pa.array(moved, pa.uint32())
                vector = put_table(self.folder, pa.table([column], schema=parts.VECTOR_SCHEMA))
            made.append(Part(self.new[part.object], int(stays.sum()), vector))
        filled = [p for p in made if p.rows > len(parts.dead_positions(self.folder, p))]
        return tuple(filled or made[:1])

    def _counts(self, layout: Layout) -> tuple[int, dict[str, int]]:
        splits: dict[str, int] = dict.fromkeys(schema.SPLITS, 0)
        for part in layout.parts:
            column = parts.get_table(self.folder, part.object, ["split"])["split"]
            live = column.take(pa.array(parts.live_positions(self.folder, part)))
            for count in live.value_counts().to_pylist():
                splits[count["values"]] += count["counts"]
        return sum(splits.values()), splits

    def _lock(self, version: Version) -> str | None:
        """Give the lock of a version's test rows that are left, and keep what it is made from."""
        record = freeze.read_record(self.folder, version.lock)
        if version.lock is None or record is None:
            return version.lock
        gone = pc.is_in(record["id"], pa.array(sorted(self.traces.ids), pa.string()))
        left = record.filter(pc.invert(gone)).combine_chunks()
        freeze.write_record(self.folder, left)
        lock = freeze.lock_of(left)
        if lock is not None and lock != version.lock:
            self._carry_uses(version.lock, lock)
        return lock

    def _carry_uses(self, before: str, after: str) -> None:
        """Let the test rows that are left have the looks that were taken at them."""
        used = records.get(self.folder, "lock_uses", before)
        if used is not None:
            records.put(self.folder, "lock_uses", after, used)
        looks = [look for look in records.every(self.folder, "ledger") if look["lock"] == before]
        for number, look in enumerate(looks):
            records.put(self.folder, "ledger", f"{after}-{number:06d}", {**look, "lock": after})

    # What is not a table.

    def _quarantined(self) -> dict[str, list[str]]:
        """Give the lines of quarantine files that hold one of the texts, by file."""
        found: dict[str, list[str]] = {}
        for name in names(self.folder, "quarantine"):
            lines = (self.folder.get(name) or b"").decode("utf-8", "replace").splitlines()
            if here := [line for line in lines if self.traces.speaks(line)]:
                found[name] = here
        return found

    def _clear_quarantine(self) -> list[str]:
        gone: list[str] = []
        for name, here in self._quarantined().items():
            data = self.folder.get(name) or b""
            lines = data.decode("utf-8", "replace").splitlines()
            left = [line for line in lines if line not in here]
            gone += here
            if left:
                self.folder.replace(name, ("\n".join(left) + "\n").encode())
            else:
                self.folder.delete(name)
        return gone

    def _clear_json(self) -> None:
        """Mend records and refs that hold a text or an id, such as a reason that quotes one."""
        for name in (*names(self.folder, "records"), *names(self.folder, "refs")):
            data = self.folder.get(name) or b""
            try:
                value = json.loads(data.decode("utf-8", "surrogatepass"))
            except ValueError:  # not ours, as what a file browser leaves; `verify` tells of others
                continue
            mended = self.traces.mended_json(value)
            if mended != value:
                self.folder.replace(name, canonical_json(mended))

    def _remove(self) -> None:
        """Remove what the erasure superseded, and leftovers of killed writers that hold a row."""
        self._remove_layouts()
        reached = {
            name
            for path in names(self.folder, "layouts")
            for name in _named_by(parts.layout_of(self.folder.get(path) or b"", path))
        }
        stale = [
            (kind_of(table) == "rows", name)
            for name, table in self._tables()
            if name not in reached and self.traces.rewritten(table) is not None
        ]
        self._remove_locks()
        for _, name in sorted(stale):  # rows last: a killed erasure reads its texts from them
            self.folder.delete(object_path(name))
        if isinstance(self.folder, LocalFolder):
            for stored in self.folder.unfinished():
                self.folder.delete(stored.name)
        there = {path.rpartition("/")[2] for path in names(self.folder, "objects")}
        self.store.hashes.forget_all_but(there)

    def _remove_locks(self) -> None:
        """Remove records of test locks that name an erased row, as ids are hashes of content."""
        for path in names(self.folder, "locks"):
            lock = path.rpartition("/")[2]
            record = freeze.read_record(self.folder, lock)
            if record is not None and not self.traces.ids.isdisjoint(record["id"].to_pylist()):
                self.folder.delete(f"records/lock_uses/{lock}")
                self.folder.delete(path)

    def _remove_layouts(self) -> None:
        """Remove layouts that name what was written anew, but the newest of a committed version."""
        newest = {path.split("/")[1]: path for path in names(self.folder, "layouts")}
        for path in names(self.folder, "layouts"):
            version = path.split("/")[1]
            committed = self.folder.get(object_path(version), 0, 1) is not None
            if path == newest[version] and committed:
                continue
            named = _named_by(parts.layout_of(self.folder.get(path) or b"", path))
            if named & self.new.keys():
                self.folder.delete(path)


def _named_by(layout: Layout) -> set[str]:
    vectors = {part.deleted for part in layout.parts if part.deleted is not None}
    return {layout.decisions, layout.findings, *(p.object for p in layout.parts), *vectors}


def _name_now(version: Version, digests: Mapping[str, Any]) -> str:
    """Give the id that a commit of what is left would have."""
    data = manifest(
        parents=version.parents,
        task=version.task,
        columns=version.columns,
        step=StepRecord(version.step.name, version.step.options, version.step.version),
        content=digests["content"],
        decisions=digests["decisions"],
        lock=digests["test_lock"],
        transforms=version.transforms,
    )
    return hashlib.sha256(data).hexdigest()
