"""A data subject's request: rows leave the store and its caches, and what lies outside is listed.

The one idea: the store can be cleared, the world cannot. So an erasure says which files it knows of
that hold the rows, and which it cannot know of.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curator.errors import StoreError
from curator.versions.erasure import Erased, erase
from curator.versions.store import Store

INDEX = ".index.npz"
REFITTED = ("crossfit", "models", "pairs")
"""Caches made from all rows of a version; without the rows nothing asks for them again."""


SPELT = ("activations", "tokens")
"""Caches of numbers, one or more per word, from which a text can be read again; all of them go."""


@dataclass(frozen=True, slots=True)
class Report:
    """What an erasure did, and what is left to a person.

    caches: cache files removed; outside: files and folders known to hold rows of the store.
    """

    erased: Erased
    dry_run: bool
    caches: int
    outside: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values; texts are in none."""
        done = self.erased
        return {
            "dry_run": self.dry_run,
            "erasure": done.number,
            "rows": list(done.rows),
            "children": list(done.children),
            "twins": list(done.twins),
            "versions": done.versions,
            "objects": done.objects,
            "quarantined": done.lines,
            "caches": self.caches,
            "outside": list(self.outside),
            "notes": list(self.notes),
        }


def erase_rows(
    store: Store, rows: Iterable[str], *, by: str, reason: str, dry_run: bool = False
) -> Report:
    """Erase rows and all that was made from them: versions, records, quarantine and caches.

    Args:
        store: The store.
        rows: Ids, or the first digits of them.
        by: Who asked for it.
        reason: Why; it stays in the store, so it must not say what was erased.
        dry_run: Only count.

    Raises:
        StoreError: No row is called so, nobody or no reason is named, another process is at work,
            or the store cannot be written.
    """
    asked = list(rows)
    for option, value in (("--by", by), ("--reason", reason)):
        if not value.strip():
            raise StoreError(f"{option} is empty: say who asked for the erasure, and why")
    if not asked:
        raise StoreError("no row was named; `curator rows` lists ids")
    done = erase(store, asked, by=by, reason=reason, dry_run=dry_run)
    stale = dict.fromkeys(_stale_caches(store.cache, done.texts))
    for path in () if dry_run else stale:
        path.unlink(missing_ok=True)
    return Report(done, dry_run, len(stale), tuple(_outside(store)), tuple(_notes(store, done)))


def _stale_caches(cache: Path, texts: Iterable[str]) -> Iterator[Path]:
    """Find cache files that hold a text or its numbers, or rest on rows that are gone."""
    wanted = [text.encode("utf-8", "surrogatepass") for text in texts]
    # What a cache of numbers knows a text by: a shard of vectors goes with the key it holds.
    keys = [hashlib.blake2b(text, digest_size=16).digest() for text in wanted]
    for path in sorted(p for p in cache.rglob("*") if p.is_file()):
        kind = path.relative_to(cache).parts[0]
        if kind == "objects":
            continue  # local copies of a remote store's objects went with these
        if kind in (*REFITTED, *SPELT) or any(_holds(data, wanted) for data in _contents(path)):
            yield path
        elif path.name.endswith(INDEX) and any(_holds(data, keys) for data in _contents(path)):
            yield from (path, path.with_name(path.name.removesuffix(INDEX) + ".values"))


def _holds(data: bytes, wanted: Iterable[bytes]) -> bool:
    return any(text in data for text in wanted)


def _contents(path: Path) -> Iterator[bytes]:
    """Give the bytes of a file, and those of its entries where it is an archive."""
    data = path.read_bytes()
    yield data
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def _outside(store: Store) -> Iterator[str]:
    known = sorted(store.records("exports"), key=lambda value: value["time"])
    for path, value in {value["path"]: value for value in known}.items():
        there = "" if Path(path).exists() else ", not there any more on this machine"
        yield f"{path} ({value['kind']} of {value['version'][:12]}, {value['time'][:10]}{there})"


def _notes(store: Store, done: Erased) -> Iterator[str]:
    yield from done.notes
    if done.twins:
        named = " ".join(done.twins[:5]) + (" ..." if done.twins[5:] else "")
        yield (
            f"{len(done.twins)} other row(s) say the same and stay; to erase them too: "
            f"curator erase {named} --by ... --reason ..."
        )
    if "://" in store.address:
        yield (
            "other machines may hold copies of objects in their caches, and the bucket may keep "
            "former versions: delete both there"
        )
    yield (
        "not known to this store: files written by --out, --rows and --findings, models trained "
        "on the rows, backups, and the sources themselves; a run leaves erased rows out, but "
        "take them out of the source as well"
    )
