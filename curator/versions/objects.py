"""Named bytes that are written once: the four functions that carry the whole store.

The one idea: nothing is ever written in place. Bytes go to a temporary name, reach the disk, and
only then get their real name by a hard link, which fails when the name is taken. So a reader never
sees half a file, a killed writer leaves nothing but a temporary name, and "create unless it exists"
is the compare-and-swap that branches are built on. An object is named by the sha256 of its bytes,
and every read of one checks that.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curator.errors import StoreError

_TEMPORARY = ".tmp-"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
# What file systems answer to link() when they have none: FAT says EPERM, others ENOTSUP or ENOSYS.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Folder:
    """A local folder of immutable files, each known by a name such as `refs/tags/first`."""

    __slots__ = ("root",)

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_new(self, name: str, data: bytes) -> bool:
        """Write bytes under a name that is not taken, all or nothing and onto the disk.

        Args:
            name: Path inside the folder, parts separated by `/`.
            data: The whole content.

        Returns:
            True when written; False when the name exists, whose bytes then stay as they are.

        Raises:
            StoreError: The disk is full, the folder may not be written, or its file system has no
                hard links.
        """
        path = self.root / name
        with _as_store_error(path):
            _make_folder(path.parent)
            return _write_once(path, data)

    def get(self, name: str) -> bytes | None:
        """Read the bytes under a name; None when there is none.

        Raises:
            StoreError: The file may not be read.
        """
        path = self.root / name
        with _as_store_error(path):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def list(self, prefix: str) -> tuple[str, ...]:
        """Name everything below a folder such as `refs/heads`, at any depth, sorted.

        Raises:
            StoreError: The folder may not be read.
        """
        top = self.root / prefix
        names = []
        with _as_store_error(top):
            for folder, _, files in os.walk(top, onerror=_raise_unless_missing):
                here = Path(folder).relative_to(self.root).as_posix()
                names += [f"{here}/{file}" for file in files if not file.startswith(_TEMPORARY)]
        return tuple(sorted(names))

    def delete(self, name: str) -> None:
        """Remove the bytes under a name; a name that does not exist is fine.

        Raises:
            StoreError: The file may not be removed.
        """
        path = self.root / name
        with _as_store_error(path):
            path.unlink(missing_ok=True)


def _raise_unless_missing(fault: OSError) -> None:
    if not isinstance(fault, FileNotFoundError):
        raise fault


def _write_once(path: Path, data: bytes) -> bool:
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        try:
            _write_all(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        won = _link(temporary, path)
        # Also when another writer won: we go on to build on a name that must outlast a power cut.
        _sync_folder(path.parent)
        return won
    finally:
        temporary.unlink(missing_ok=True)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _link(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as fault:
        if fault.errno in _NO_LINKS:
            raise StoreError(
                f"{path.parent}: this file system has no hard links ({fault.strerror}), without "
                "which two writers could overwrite each other; put the store on a local disk "
                "(ext4, xfs, btrfs, apfs, ntfs) with --store DIR"
            ) from fault
        raise
    return True


def _make_folder(folder: Path) -> None:
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        _sync_folder(new.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _as_store_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        if fault.errno in _NO_SPACE:
            raise StoreError(
                f"{path}: no space left on the disk; nothing is half-written and every committed "
                "version is whole: free some space and run again"
            ) from fault
        if fault.errno in _NOT_ALLOWED:
            raise StoreError(
                f"{path}: no permission ({fault.strerror}); give this user the right to read and "
                "write the store's folder, or name another one with --store DIR"
            ) from fault
        raise StoreError(f"{path}: {fault.strerror or fault}") from fault


def canonical_json(value: Any) -> bytes:
    """Write a JSON value in its one form: sorted keys, no spaces, UTF-8 as it is, no NaN."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8", "surrogatepass")


def parsed_json(data: bytes, name: str) -> dict[str, Any]:
    """Read a JSON object that the store wrote under a name.

    Raises:
        StoreError: The bytes are no JSON object.
    """
    try:
        value = json.loads(data.decode("utf-8", "surrogatepass"))
    except ValueError as fault:
        raise StoreError(
            f"{name}: not readable as JSON ({fault}); it was altered by hand or cut short by "
            "another program: put it back from a backup"
        ) from fault
    if not isinstance(value, dict):
        raise StoreError(f"{name}: holds a JSON {type(value).__name__}, expected an object")
    return value


def object_path(name: str) -> str:
    """Give the place of an object: 256 folders keep each one short."""
    return f"objects/{name[:2]}/{name}"


def put_object(folder: Folder, data: bytes) -> str:
    """Store bytes under the sha256 of themselves; 64 hexadecimal digits.

    Raises:
        StoreError: The bytes cannot be written, or the object is there and was altered.
    """
    name = hashlib.sha256(data).hexdigest()
    if not folder.put_new(object_path(name), data):
        get_object(folder, name)
    return name


def get_object(folder: Folder, name: str) -> bytes:
    """Read an object and check that its bytes are those it was named by.

    Raises:
        StoreError: It is missing or altered; says which versions need it.
    """
    data = folder.get(object_path(name))
    if data is None:
        raise StoreError(f"{object_path(name)}: this object is missing. {_affected(folder, name)}")
    found = hashlib.sha256(data).hexdigest()
    if found != name:
        raise StoreError(
            f"{object_path(name)}: this object was altered after it was written (its bytes hash "
            f"to {found[:12]}, its name says {name[:12]}). {_affected(folder, name)}"
        )
    return data


def _affected(folder: Folder, name: str) -> str:
    users = {
        layout.split("/")[1]
        for layout in folder.list("layouts")
        if name in layout or name.encode() in (folder.get(layout) or b"")
    }
    if not users:
        return "No version needs it: it can be deleted"
    return (
        f"It belongs to {len(users)} version(s): {', '.join(sorted(u[:12] for u in users))}; "
        "every other version can still be read. Put the file back from a backup or from another "
        "copy of this store"
    )
