"""The hash of each row of each part, kept beside the store so that a row is hashed only once.

The one idea: a version's digest is made of the hashes of its rows, and a child shares most rows
with its parent. As parts never change, the hashes of their rows do not either: they are a cache,
which may be deleted and is made again from the part. Likewise a test lock that was checked against
a layout holds for it for ever, as every object is checked against its name when it is read.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from curator.schema import record_hashes
from curator.versions.objects import Folder
from curator.versions.parts import Layout, Part, dead_positions, get_table

Records = npt.NDArray[np.uint8]

_WIDTH = 16
_SEAL = 32


class RowHashes:
    """Hashes of the rows of parts, as `schema.record_hashes` gives them."""

    def __init__(self, folder: Folder, cache: Path) -> None:
        self._folder, self._top = folder, cache

    def of(self, part: Part) -> Records:
        """Give the hashes of all rows of a part, dead ones included, in part order; shape (n, 16).

        Raises:
            StoreError: The part is missing or altered.
        """
        known = self.kept(part.object)
        if known is not None and len(known) == part.rows:
            return known
        made = record_hashes(get_table(self._folder, part.object))
        self.keep(part.object, made)
        return made

    def kept(self, name: str) -> Records | None:
        """Give what is kept for a part; None where nothing is, or its seal is broken."""
        try:
            data = self.path(name).read_bytes()
        except OSError:
            return None
        body, seal = data[:-_SEAL], data[-_SEAL:]
        if len(body) % _WIDTH or hashlib.sha256(name.encode() + body).digest() != seal:
            return None
        return np.frombuffer(body, np.uint8).reshape(-1, _WIDTH)

    def keep(self, name: str, records: Records) -> None:
        """Keep the hashes of a part."""
        body = records.tobytes()
        _write(self.path(name), body + hashlib.sha256(name.encode() + body).digest())

    def path(self, name: str) -> Path:
        """Give the file for a part; it may not exist."""
        return self._top / "hashes" / name

    def forget_all_but(self, names: Collection[str]) -> None:
        """Delete what is kept for parts that are not among these."""
        with suppress(OSError):
            for path in self.path("").iterdir():
                if path.name not in names:
                    path.unlink(missing_ok=True)

    def live(self, layout: Layout, gone: dict[str, npt.NDArray[np.int64]] | None = None) -> Records:
        """Give the hashes of the live rows of a version, part by part; shape (n, 16).

        Args:
            layout: Of the version.
            gone: Positions to leave out besides the dead ones, by name of the part.
        """
        found: list[Records] = [np.empty((0, _WIDTH), np.uint8)]
        for part in layout.parts:
            alive = np.ones(part.rows, np.bool_)
            alive[dead_positions(self._folder, part)] = False
            if gone is not None and part.object in gone:
                alive[gone[part.object]] = False
            records = self.of(part)
            found.append(records if alive.all() else records[alive])
        return np.concatenate(found)

    def holds_lock(self, layout: Layout, lock: str | None) -> bool:
        """Tell whether the test rows of this layout were checked against this lock before."""
        return lock is None or self._lock_path(layout, lock).exists()

    def keep_lock(self, layout: Layout, lock: str | None) -> None:
        """Note that the test rows of this layout are those of this lock."""
        if lock is not None:
            _write(self._lock_path(layout, lock), b"")

    def _lock_path(self, layout: Layout, lock: str) -> Path:
        name = hashlib.sha256(layout.to_bytes() + lock.encode()).hexdigest()
        return self._top / "locks" / name


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError:  # a cache that cannot be written costs time, nothing else
        temporary.unlink(missing_ok=True)
