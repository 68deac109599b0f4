"""The frozen test rows: what a lock was made from, and who broke it.

The one idea: beside each lock stand the ids and content hashes it was made from. Their own digest
is the lock, so the record proves itself, and a broken lock can name its rows even when the parts
and layouts of every version were forged.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curator.errors import LockError
from curator.schema import content_hashes, digest
from curator.tasks import Task
from curator.versions.laws import named
from curator.versions.objects import Folder
from curator.versions.parts import Layout, get_table, in_memory, live_positions, parquet_bytes

LOCK_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("content", pa.string(), nullable=False),
    ]
)
"""The test rows a lock was made from: id and content hash; their digest is the lock."""


def locked_rows(rows: pa.Table, task: Task) -> pa.Table:
    """Give id and content hash of the test rows, sorted by id."""
    test = rows.filter(pc.equal(rows["split"], "test")).sort_by("id")
    content = pa.array(content_hashes(test, task), pa.string())
    return pa.table([test["id"], content], schema=LOCK_SCHEMA)


def stored_locked(folder: Folder, layout: Layout, task: Task) -> pa.Table:
    """Give id and content hash of the test rows as a layout stores them, sorted by id.

    Raises:
        StoreError: An object is missing or altered.
    """
    columns = ["id", "split", *task.columns]
    found = []
    for part in layout.parts:
        rows = get_table(folder, part.object, columns)
        live = live_positions(folder, part)
        found.append(locked_rows(rows if len(live) == part.rows else rows.take(live), task))
    return pa.concat_tables(found).sort_by("id")


def lock_of(locked: pa.Table) -> str | None:
    """Give the lock of such a table, as `schema.test_lock` does for rows; None without rows."""
    if locked.num_rows == 0:
        return None
    return digest(zip(locked["id"].to_pylist(), locked["content"].to_pylist(), strict=True))


def locks_apart(expected: pa.Table, found: pa.Table) -> str:
    """Say which test rows differ between two tables of locked rows."""
    want, have = (
        dict(zip(t["id"].to_pylist(), t["content"].to_pylist(), strict=True))
        for t in (expected, found)
    )
    differing = {
        "changed": [i for i in want if i in have and want[i] != have[i]],
        "missing": [i for i in want if i not in have],
        "not in the lock": [i for i in have if i not in want],
    }
    return "; ".join(f"{what}: {named(ids)}" for what, ids in differing.items() if ids)


def check_same_lock(step: str, parent: pa.Table, child: pa.Table) -> None:
    """Check law 3 at commit: the child's test rows are the parent's.

    Raises:
        LockError: They are not; names the rows.
    """
    if apart := locks_apart(parent, child):
        raise LockError(
            f"step {step!r} would change frozen test rows ({apart}); nothing was committed. "
            "No step may edit, relabel, add or drop a test row: test rows come with an import"
        )


def write_record(folder: Folder, locked: pa.Table) -> None:
    """Keep what a lock was made from, where it is not kept yet."""
    lock = lock_of(locked)
    if lock is not None and folder.get(f"locks/{lock}") is None:
        folder.put_new(f"locks/{lock}", parquet_bytes(locked))


def read_record(folder: Folder, lock: str | None) -> pa.Table | None:
    """Give what a lock was made from; None where the record is missing or not the true one."""
    if lock is None:
        return LOCK_SCHEMA.empty_table()
    data = folder.get(f"locks/{lock}")
    if data is None:
        return None
    try:
        record = pq.read_table(in_memory(data))
    except pa.ArrowException:
        return None
    return record if record.schema == LOCK_SCHEMA and lock_of(record) == lock else None


def check_stored(folder: Folder, version: str, lock: str | None, stored: pa.Table) -> None:
    """Check the test rows as a version stores them against its lock.

    Args:
        folder: The store.
        version: Short id of the version, for the message.
        lock: The lock in its manifest.
        stored: Its stored test rows as `locked_rows` gives them.

    Raises:
        LockError: They are not the rows the lock was made from; names them.
    """
    if lock_of(stored) == lock:
        return
    record = read_record(folder, lock)
    apart = "the record of the lock is damaged too, so the rows cannot be named"
    if record is not None:
        apart = locks_apart(record, stored)
    raise LockError(
        f"version {version}: its stored test rows are not those that were frozen ({apart}). "
        "The store was altered after the commit; nothing may be measured or exported from this "
        "version until its files are put back from a backup or another copy"
    )
