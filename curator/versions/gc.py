"""Clear away what no branch, tag or record leads to, and nothing else.

The one idea: what is reachable is found first and from the names alone; of the rest only what is
older than the grace period goes, in an order that leaves the store readable wherever it is stopped:
first the manifest (then there is no such version), then its layouts, then what they named.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from curator.errors import StoreError
from curator.versions import leases, parts, records, refs
from curator.versions.leases import Lease
from curator.versions.local import LocalFolder
from curator.versions.manifest import version_of
from curator.versions.objects import Folder, Stored, get_object, names, object_path
from curator.versions.store import Store

GRACE_S = 86_400.0
"""Age in seconds from which unreachable bytes are removed: a day, as a run may last that long."""

KINDS = ("versions", "layouts", "objects", "locks", "temporary files")


@dataclass(frozen=True, slots=True)
class Garbage:
    """A name that nothing leads to.

    kind: one of KINDS.
    """

    kind: str
    stored: Stored


@dataclass(frozen=True, slots=True)
class Collected:
    """What `gc` removed, or would remove.

    removed: what goes; young: unreachable too, but younger than the grace period.
    kept: names that a branch, tag or record leads to, with what they need.
    dry_run: nothing was removed.
    """

    removed: tuple[Garbage, ...]
    young: tuple[Garbage, ...]
    kept: int
    dry_run: bool

    @property
    def bytes(self) -> int:
        """Bytes that go."""
        return sum(garbage.stored.bytes for garbage in self.removed)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Give names and bytes that go, by kind."""
        number = Counter(garbage.kind for garbage in self.removed)
        size: Counter[str] = Counter()
        for garbage in self.removed:
            size[garbage.kind] += garbage.stored.bytes
        return {kind: (number[kind], size[kind]) for kind in KINDS if number[kind]}

    def as_dict(self) -> dict[str, Any]:
        """Give the result as JSON values."""
        return {
            "dry_run": self.dry_run,
            "removed": {k: {"names": n, "bytes": b} for k, (n, b) in self.counts().items()},
            "bytes": self.bytes,
            "young": {"names": len(self.young), "bytes": sum(g.stored.bytes for g in self.young)},
            "kept": self.kept,
        }


def collect(store: Store, *, grace_s: float = GRACE_S, dry_run: bool = False) -> Collected:
    """Remove what nothing leads to and what is older than a grace period.

    Args:
        store: The store.
        grace_s: Age in seconds below which nothing is removed.
        dry_run: Only say what would be removed.

    Raises:
        StoreError: A writer is at work, or what is reachable cannot be told: a ref, manifest or
            layout cannot be read. Then nothing is removed.
    """
    if grace_s < 0:
        raise StoreError(f"a grace period of {grace_s:g} seconds; it is 0 or more")
    folder = store.folder
    if dry_run:
        return _sorted_out(folder, grace_s, dry_run=True)
    with Lease(folder, "gc") as lease:
        leases.clear_old(folder)
        found = _sorted_out(folder, grace_s, dry_run=False)
        for garbage in found.removed:
            lease.check()
            folder.delete(garbage.stored.name)
    _clear_cache(store)
    return found


def _sorted_out(folder: Folder, grace_s: float, *, dry_run: bool) -> Collected:
    reached = _reached(folder)
    latest = time.time() - grace_s
    unreached = [g for g in _everything(folder) if g.stored.name not in reached]
    manifests = {path.split("/")[1] for path in names(folder, "layouts")}
    told = [_as_version(garbage, manifests) for garbage in unreached]
    order = {kind: number for number, kind in enumerate(KINDS)}
    told.sort(key=lambda garbage: (order[garbage.kind], garbage.stored.name))
    old = [garbage for garbage in told if garbage.stored.modified <= latest]
    # What a young unreachable version needs stays with it.
    young = [garbage for garbage in told if garbage.stored.modified > latest]
    needed = _needed_by_young(folder, young)
    removed = tuple(garbage for garbage in old if garbage.stored.name not in needed)
    return Collected(removed, tuple(young), len(reached), dry_run)


def _as_version(garbage: Garbage, manifests: set[str]) -> Garbage:
    name = garbage.stored.name.rpartition("/")[2]
    is_manifest = garbage.kind == "objects" and name in manifests
    return Garbage("versions", garbage.stored) if is_manifest else garbage


def _everything(folder: Folder) -> Iterable[Garbage]:
    for kind in ("layouts", "objects", "locks"):
        yield from (Garbage(kind, stored) for stored in folder.list(kind))
    if isinstance(folder, LocalFolder):
        yield from (Garbage("temporary files", stored) for stored in folder.unfinished())


def _reached(folder: Folder) -> set[str]:
    """Give every name that a branch entry, tag or record leads to."""
    reached: set[str] = set()
    queue = list(dict.fromkeys(_roots(folder)))
    seen = set(queue)
    for version in queue:
        for parent in _reach(folder, version, reached):
            if parent not in seen:
                seen.add(parent)
                queue.append(parent)
    return reached


def _roots(folder: Folder) -> Iterable[str]:
    for branch in refs.names(folder, refs.HEADS):
        yield from (entry.version for entry in refs.entries(folder, branch))
    for tag in refs.names(folder, refs.TAGS):
        if version := refs.read_tag(folder, tag):
            yield version
    for name in names(folder, "records/steps"):
        version = records.read(folder, name).get("version")
        if isinstance(version, str) and folder.get(object_path(version), 0, 1) is not None:
            yield version


def _reach(folder: Folder, version: str, reached: set[str]) -> tuple[str, ...]:
    """Add what a version needs; gives its parents."""
    known = names(folder, f"layouts/{version}")
    if not known:
        raise StoreError(
            f"layouts/{version}: missing, so what version {version[:12]} needs cannot be told and "
            "nothing was removed; `curator verify` lists all that is wrong"
        )
    layout = parts.layout_of(folder.get(known[-1]) or b"", known[-1])
    facts = version_of(
        get_object(folder, version), rows=layout.rows, splits=layout.splits,
        superseded=layout.superseded,
    )  # fmt: skip
    # Older layouts stay too: a reader may be at work with one.
    reached.update(known, (object_path(version), f"locks/{facts.lock}"))
    for name in known:
        reached |= _named_by(parts.layout_of(folder.get(name) or b"", name))
    return facts.parents


def _named_by(layout: parts.Layout) -> set[str]:
    found = {layout.decisions, layout.findings}
    for part in layout.parts:
        found |= {part.object, part.deleted} - {None}  # type: ignore[arg-type]
    return {object_path(name) for name in found}


def _needed_by_young(folder: Folder, young: Iterable[Garbage]) -> set[str]:
    """Give what layouts of young versions name: old objects they share with what is gone."""
    needed: set[str] = set()
    for garbage in young:
        if garbage.kind == "layouts":
            name = garbage.stored.name
            manifest = name.split("/")[1]
            layout = parts.layout_of(folder.get(name) or b"", name)
            needed |= {*_named_by(layout), object_path(manifest)}
            if data := folder.get(object_path(manifest)):
                lock = version_of(
                    data, rows=layout.rows, splits=layout.splits, superseded=layout.superseded
                ).lock
                needed.add(f"locks/{lock}")
    return needed


def _clear_cache(store: Store) -> None:
    """Remove row hashes of parts that are gone."""
    there = {stored.name.rpartition("/")[2] for stored in store.folder.list("objects")}
    store.hashes.forget_all_but(there)
