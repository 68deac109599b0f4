"""What is kept of each row of a part beside the store: its hash, and how its id begins.

The one idea: a version's digest is made of the hashes of its rows, and a child shares most rows
with its parent. As parts never change, the hashes of their rows do not either: they are a cache,
which may be deleted and is made again from the part. Likewise a test lock that was checked against
a layout holds for it for ever, as every object is checked against its name when it is read. Parts
are sorted by id, so eight bytes of each id tell where a row lies, without decoding the part.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curator.schema import record_hashes
from curator.versions.objects import Folder
from curator.versions.parts import Layout, Part, dead_positions, get_table

Records = npt.NDArray[np.uint8]
Starts = npt.NDArray[np.uint64]
IntArray = npt.NDArray[np.int64]

_WIDTH = 16
_PAIR = 2
_START = 8
_SEAL = 32


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of the rows of a part, dead ones included, in part order.

    records: hashes as `schema.record_hashes` gives them, shape (n, 16).
    starts: the first bytes of each id as a number, ascending, shape (n,).
    """

    records: Records
    starts: Starts

    def fits(self, rows: pa.Table, records: Records) -> bool:
        """Tell whether this is what the rows of a part give, whose hashes were made anew."""
        starts = starts_of(rows["id"].combine_chunks())
        return np.array_equal(self.records, records) and np.array_equal(self.starts, starts)


def places(starts: Starts, ids: pa.Array) -> tuple[IntArray, IntArray]:
    """Give where rows with these ids may lie: no place that holds one is left out.

    Args:
        starts: What `starts_of` gives of the ids of a part, which are sorted.
        ids: What to look for.

    Returns:
        Positions in ids, and of each a position in the part whose id begins alike; an id may have
        several, and none of them need hold it.
    """
    wanted = starts_of(ids)
    first = np.searchsorted(starts, wanted, side="left")
    counts = np.searchsorted(starts, wanted, side="right") - first
    which = np.repeat(np.arange(len(ids)), counts)
    within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return which, np.repeat(first, counts) + within


def starts_of(ids: pa.Array) -> Starts:
    """Give the first eight bytes of each id as a number; they stand in the order of the ids."""
    texts = ids.cast(pa.large_binary())
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset :][: len(texts) + 1]
    letters = np.frombuffer(data if data is not None else b"", np.uint8)
    starts = np.zeros((len(texts), _START), np.uint8)
    for place in range(_START):  # a shorter id is filled up with zeros
        there = np.flatnonzero(np.diff(ends) > place)
        starts[there, place] = letters[ends[:-1][there] + place]
    return starts.view(">u8").ravel().astype(np.uint64)


def kept_of(rows: pa.Table, records: Records) -> Kept:
    """Give what is to be kept of the rows of a part, sorted by id, and of their hashes."""
    return Kept(records, starts_of(rows["id"].combine_chunks()))


class RowHashes:
    """What is kept of the rows of parts: hashes, and how their ids begin."""

    def __init__(self, folder: Folder, cache: Path) -> None:
        self.folder, self._top = folder, cache

    def of(self, part: Part) -> Kept:
        """Give what is kept of a part; where nothing is, it is made from the part.

        Raises:
            StoreError: The part is missing or altered.
        """
        known = self.kept(part.object)
        if known is not None and len(known.records) == part.rows:
            return known
        rows = get_table(self.folder, part.object)
        made = kept_of(rows, record_hashes(rows))
        self.keep(part.object, made)
        return made

    def kept(self, name: str) -> Kept | None:
        """Give what is kept of a part; None where nothing is, or its seal is broken."""
        try:
            data = memoryview(self.path(name).read_bytes())
        except OSError:
            return None
        body, seal = data[:-_SEAL], data[-_SEAL:]
        if len(body) % (_WIDTH + _START) or _seal(name, body) != seal:
            return None
        rows = len(body) // (_WIDTH + _START)
        records = np.frombuffer(body, np.uint8, rows * _WIDTH).reshape(-1, _WIDTH)
        return Kept(records, np.frombuffer(body, np.uint64, offset=rows * _WIDTH))

    def keep(self, name: str, made: Kept) -> None:
        """Keep the hashes of the rows of a part and the starts of their ids."""
        body = memoryview(made.records.tobytes() + made.starts.tobytes())
        _write(self.path(name), b"".join((body, _seal(name, body))))

    def path(self, name: str) -> Path:
        """Give the file for a part; it may not exist."""
        return self._top / "hashes" / name

    def forget_all_but(self, names: Collection[str]) -> None:
        """Delete what is kept for parts that are not among these."""
        with suppress(OSError):
            for path in self.path("").iterdir():
                if path.name not in names:
                    path.unlink(missing_ok=True)

    def live(
        self,
        layout: Layout,
        gone: dict[str, IntArray] | None = None,
        known: dict[str, Kept] | None = None,
        new: Records | None = None,
    ) -> Records:
        """Give the hashes of the live rows of a version, part by part; shape (n, 16).

        Args:
            layout: Of the version.
            gone: Positions to leave out besides the dead ones, by name of the part.
            known: What is kept of parts, by name, where it was read already.
            new: Hashes of rows in no part yet, to stand at the end, shape (m, 16).
        """
        dead = [self._dead(part, gone or {}) for part in layout.parts]
        lengths = [part.rows - int(d.sum()) for part, d in zip(layout.parts, dead, strict=True)]
        more = np.empty((0, _WIDTH), np.uint8) if new is None else new
        found = np.empty((sum(lengths) + len(more), _PAIR), np.uint64)
        start = 0
        for part, gone_here, length in zip(layout.parts, dead, lengths, strict=True):
            kept = (known or {}).get(part.object) or self.of(part)
            # As two numbers each: three times as fast as byte by byte. `clip` writes in place.
            np.take(
                kept.records.view(np.uint64),
                np.flatnonzero(~gone_here),
                axis=0,
                out=found[start : start + length],
                mode="clip",
            )
            start += length
        found[start:] = np.ascontiguousarray(more).view(np.uint64)
        return found.view(np.uint8)

    def _dead(self, part: Part, gone: dict[str, IntArray]) -> npt.NDArray[np.bool_]:
        dead = np.zeros(part.rows, np.bool_)
        dead[dead_positions(self.folder, part)] = True
        dead[gone.get(part.object, [])] = True
        return dead

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


def _seal(name: str, body: memoryview) -> bytes:
    total = hashlib.sha256(name.encode())
    total.update(body)
    return total.digest()


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError:  # a cache that cannot be written costs time, nothing else
        temporary.unlink(missing_ok=True)
