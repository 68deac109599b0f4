"""What an erasure left behind: that it happened, when, by whom, why and how many; not what.

The one idea: an erased row is known by a salted hash of its id alone. That answers who asks for
that id, keeps a source that is delivered again from bringing the row back, and tells nothing else.
A version keeps its id; the digests that changed stand in its layout, and what a commit would now
call that version leads to it, so a recipe that is run again finds its versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curator.errors import StoreError
from curator.schema import hash_fields
from curator.versions import records
from curator.versions.manifest import Version
from curator.versions.objects import Folder, canonical_json, parsed_json

ERASURES, DONE = "erasures", "erasures-done"
"""Kinds of record: what an erasure set out to do, and what it came to."""

_ALIASES = "aliases"


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure.

    number: 1, 2, 3, ...; time: ISO 8601, UTC; by, reason: as stated.
    rows: how many were named; children: how many more were made from these.
    salt: of the hashes; hashes: of the ids; lines: of quarantined records, likewise.
    is_done: whether it came to its end; else the next `erase` goes on with it.
    """

    number: int
    time: str
    by: str
    reason: str
    rows: int
    children: int
    salt: str
    hashes: frozenset[str]
    is_done: bool
    lines: frozenset[str] = frozenset()

    def holds(self, row: str) -> bool:
        """Tell whether a row of this id was erased."""
        return hashed(self.salt, row) in self.hashes

    @property
    def sentence(self) -> str:
        """Say what happened."""
        more = f" and {self.children} made from them" if self.children else ""
        return (
            f"erasure {self.number} of {self.time[:10]}: {self.rows} row(s){more}, by {self.by}: "
            f"{self.reason}"
        )


def lock_notes(*versions: Version) -> list[str]:
    """Say of each version that an erasure left other rows in it, and so perhaps another lock."""
    return [
        f"rows of version {version.short} are those that erasure {version.superseded} left, and "
        f"its test lock is {str(version.lock)[:12]}"
        for version in versions
        if version.superseded is not None
    ]


def hashed(salt: str, row: str) -> str:
    """Hash an id, or a quarantined record, so that it can be recognised and not be read."""
    return hash_fields("erased", salt, row)


def erasures(folder: Folder) -> list[Erasure]:
    """Give all erasures of a store, oldest first."""
    done = {value["number"]: value for value in records.every(folder, DONE)}
    begun = sorted(records.every(folder, ERASURES), key=lambda value: value["number"])
    return [_read(value, done.get(value["number"])) for value in begun]


def _read(value: dict[str, Any], done: dict[str, Any] | None) -> Erasure:
    lines = frozenset((done or {}).get("lines", ()))
    sets = {"hashes": frozenset(value["hashes"]), "lines": lines}
    return Erasure(**{**value, **sets}, is_done=done is not None)


def erased(folder: Folder, row: str) -> Erasure | None:
    """Give the erasure that took a row away; None where none did."""
    return next((one for one in erasures(folder) if one.holds(row)), None)


def refuse(folder: Folder, row: str) -> None:
    """Refuse to speak of a row that was erased.

    Raises:
        StoreError: It was; says when, by whom and why.
    """
    if (told := erased(folder, row)) is not None:
        raise StoreError(f"row {row} was erased, nothing else is kept of it ({told.sentence})")


def without_erased(folder: Folder, rows: pa.Table) -> pa.Table:
    """Leave out rows that were erased, as a source that still holds them delivers them again."""
    known = erasures(folder)
    if not known:
        return rows
    keep = [not any(one.holds(row) for one in known) for row in rows["id"].to_pylist()]
    return rows.filter(pa.array(keep, pa.bool_()))


def lines_without_erased(folder: Folder, lines: Sequence[str]) -> list[str]:
    """Leave out quarantined records that were erased."""
    known = erasures(folder)
    return [t for t in lines if not any(hashed(one.salt, t) in one.lines for one in known)]


def keep_alias(folder: Folder, name: str, version: str) -> None:
    """Let what a commit would now call a version lead to it."""
    folder.put_new(f"{_ALIASES}/{name}", canonical_json({"version": version}))


def known_as(folder: Folder, name: str) -> str:
    """Give the version that a name leads to; the name itself where no erasure said otherwise."""
    path = f"{_ALIASES}/{name}"
    data = folder.get(path)
    return name if data is None else str(parsed_json(data, path)["version"])
