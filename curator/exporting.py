"""A version for other programs: one file per split, the test lock checked first.

Test rows leave as a model meets them, under the version's serving transforms, like the training
rows beside them; `raw=True` keeps them as they were delivered.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

import connectors
from curator import schema
from curator.context import served
from curator.errors import StoreError
from curator.forms import FORMS, check_form, in_form
from curator.progress import SILENT, Progress
from curator.versions.manifest import Version
from curator.versions.store import Store
from curator.versions.superseding import lock_notes

FORMATS = ("parquet", "jsonl", "csv", "xlsx", "hf", *FORMS)


def export(
    store: Store, ref: str, *, to: str, out: Path, raw: bool = False, progress: Progress = SILENT
) -> dict[Path, int]:
    """Write the rows of a version.

    Args:
        store: Holds the version.
        ref: Version, branch or tag.
        to: parquet, jsonl, csv, xlsx, hf (a folder that `datasets.load_from_disk` opens); for some
            tasks alpaca, sharegpt, messages, conll or spacy.
        out: Folder; gets one file (or folder) per split.
        raw: Leave test rows as they were delivered.
        progress: Told where an erasure left other rows than were committed.

    Returns:
        Rows by path written.

    Raises:
        StoreError: Unknown version or format, or rows that the format cannot hold.
        LockError: The test rows are not what the lock says; nothing is written.
    """
    if to not in FORMATS:
        raise StoreError(f"--to {to!r} is not one of {list(FORMATS)}")
    version = store.version(ref)
    if to in FORMS:
        check_form(to, version.task)
    store.check_lock(version)
    for note in lock_notes(version):
        progress.say(f"export  {note}")
    rows = store.rows(version)
    ready = rows if raw else served(rows, version.transforms)
    ready = in_form(ready, to) if to in FORMS else ready
    written: dict[Path, int] = {}
    kind: Any = to
    out.mkdir(parents=True, exist_ok=True)
    for split in schema.SPLITS:
        part = ready.filter(pc.equal(ready["split"], split))
        if part.num_rows:
            path = out / (split if to == "hf" else f"{split}.{FORMS.get(to, to)}")
            part = part.drop_columns("split") if to in FORMS else part
            connectors.write(part, path, to=FORMS.get(to, kind))
            written[path] = part.num_rows
    keep_place(store, version, out, f"export ({to})")
    return written


def keep_place(store: Store, version: Version, out: Path, kind: str) -> None:
    """Note where rows of a version went, so that an erasure can name the place.

    Args:
        store: Holds the version.
        version: Whose rows they are.
        out: File or folder.
        kind: What it is, in words.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    place = str(out.resolve())
    about = {"kind": kind, "path": place, "version": version.id, "time": now}
    # Who may only read the store may export, and cannot erase.
    with suppress(StoreError):
        # Keyed without the time: the same rows to the same place are noted once.
        store.record("exports", schema.hash_fields(place, version.id, kind), about)
