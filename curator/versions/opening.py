"""From an address to a store: a path, or a prefix in a bucket of S3, Google or Azure.

The one idea: the address is the only thing that differs. Caches are local in any case: beside a
store on the disk, in the user's cache folder for a remote one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from curator.errors import StoreError
from curator.versions import refs
from curator.versions.kept import KeptFolder
from curator.versions.local import LocalFolder
from curator.versions.objects import Folder
from curator.versions.remote import RemoteFolder, is_remote
from curator.versions.store import Store

FORMAT = 1
"""The store format this release writes and reads."""

_FORMAT_FILE = "FORMAT"
_CONTENTS = ("objects", "layouts", "refs")


def open_store(
    address: Path | str, *, create: bool, author: str | None = None, cache: Path | None = None
) -> Store:
    """Open the store at an address, for one session of work.

    Args:
        address: The store's folder, or `s3://bucket/path`, `gs://bucket/path` or
            `az://container/path`, with keys from the environment.
        create: Make the store where there is none.
        author: Who its commits are by; by default the system's user.
        cache: Local folder for what can be computed or fetched again; by default as `cache_of`.

    Returns:
        The store; it holds nothing open, so it needs no closing.

    Raises:
        StoreError: There is no store, a newer Curator made it, or the folder cannot be used.
    """
    kept = cache_of(address) if cache is None else cache
    folder = _folder(address, kept)
    found = folder.get(_FORMAT_FILE)
    if found is None:
        if any(folder.list(name) for name in _CONTENTS):
            raise StoreError(
                f"{folder.address}/{_FORMAT_FILE}: missing; put a file there that says {FORMAT}"
            )
        if not create:
            raise StoreError(
                f"{folder.address}: there is no store here; `curator run RECIPE` makes one"
            )
        folder.put_new(_FORMAT_FILE, f"{FORMAT}\n".encode())
        found = folder.get(_FORMAT_FILE) or b""
    _check_format(folder.address, found.decode("utf-8", "replace").strip())
    return Store(folder, refs.user() if author is None else author, kept)


def is_store(address: Path | str) -> bool:
    """Tell whether there is a store at an address.

    Raises:
        StoreError: The address cannot be looked at.
    """
    return _folder(address, cache_of(address)).get(_FORMAT_FILE) is not None


def cache_of(address: Path | str) -> Path:
    """Give the local folder for the caches of a store: beside it, or the user's if it is remote."""
    if not is_remote(str(address)):
        return Path(address) / "cache"
    told = RemoteFolder(str(address)).address
    name = hashlib.sha256(told.encode()).hexdigest()[:16]
    return Path.home() / ".cache" / "corpus-curator" / name


def _folder(address: Path | str, cache: Path) -> Folder:
    if is_remote(str(address)):
        kept = KeptFolder(RemoteFolder(str(address)), cache)
        kept.shrink()
        return kept
    path = Path(address)
    if path.exists() and not path.is_dir():
        raise StoreError(f"{path}: a file stands where the store's folder should be")
    return LocalFolder(path)


def _check_format(address: str, found: str) -> None:
    if not found.isdecimal():
        raise StoreError(f"{address}/{_FORMAT_FILE}: says {found[:40]!r}, expected a number such "
                         "as 1")  # fmt: skip
    if int(found) > FORMAT:
        raise StoreError(
            f"{address}: this store has format {found}, made by a newer Curator; this one reads up "
            f"to {FORMAT}. Upgrade with `pip install --upgrade corpus-curator`"
        )
