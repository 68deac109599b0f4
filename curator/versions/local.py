"""The store on a local disk: a writer that reaches the disk before it says so.

The one idea: bytes go to a temporary name, are synced, and only then get their real name by a hard
link, which fails when the name is taken. So a reader never sees half a file, a killed writer leaves
nothing but a temporary name, and the link is the compare-and-swap.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from curator.errors import StoreError
from curator.versions.objects import Stored

_TEMPORARY = ".tmp-"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
# What file systems answer to link() when they have none: FAT says EPERM, others ENOTSUP or ENOSYS.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class LocalFolder:
    """A local folder of immutable files, each known by a name such as `refs/tags/first`."""

    __slots__ = ("root",)

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def address(self) -> str:
        """The path of this folder."""
        return str(self.root)

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

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes | None:
        """Read the bytes under a name, or length bytes from start; None when there is none.

        Raises:
            StoreError: The file may not be read.
        """
        path = self.root / name
        with _as_store_error(path):
            try:
                with path.open("rb", buffering=0) as file:
                    if not start and length is None:
                        return file.readall()
                    file.seek(start)
                    return file.readall() if length is None else _read(file.fileno(), length)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def replace(self, name: str, data: bytes) -> None:
        """Put other bytes under a name, all or nothing and onto the disk: for erasure alone.

        Raises:
            StoreError: As `put_new`.
        """
        path = self.root / name
        with _as_store_error(path):
            _make_folder(path.parent)
            temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}")
            try:
                _write_synced(temporary, data)
                temporary.replace(path)
                _sync_folder(path.parent)
            finally:
                temporary.unlink(missing_ok=True)

    def list(self, prefix: str) -> tuple[Stored, ...]:
        """List everything below a folder such as `refs/heads`, at any depth, sorted by name.

        Raises:
            StoreError: The folder may not be read.
        """
        top = self.root / prefix
        with _as_store_error(top):
            return tuple(sorted(self._below(top, temporary=False), key=_name))

    def unfinished(self) -> tuple[Stored, ...]:
        """List the temporary files that killed writers left, and those being written just now."""
        with _as_store_error(self.root):
            return tuple(sorted(self._below(self.root, temporary=True), key=_name))

    def _below(self, top: Path, *, temporary: bool) -> Iterator[Stored]:
        for folder, _, files in os.walk(top, onerror=_raise_unless_missing):
            here = Path(folder)
            for file in files:
                if file.startswith(_TEMPORARY) != temporary:
                    continue
                try:
                    facts = (here / file).stat()
                except FileNotFoundError:  # deleted by another process meanwhile
                    continue
                name = (here / file).relative_to(self.root).as_posix()
                yield Stored(name, facts.st_size, facts.st_mtime)

    def delete(self, name: str) -> None:
        """Remove the bytes under a name; a name that does not exist is fine.

        Raises:
            StoreError: The file may not be removed.
        """
        path = self.root / name
        with _as_store_error(path):
            path.unlink(missing_ok=True)


def _name(stored: Stored) -> str:
    return stored.name


def _read(handle: int, length: int) -> bytes:
    pieces = []
    while length and (piece := os.read(handle, length)):
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _raise_unless_missing(fault: OSError) -> None:
    if not isinstance(fault, FileNotFoundError):
        raise fault


def _write_once(path: Path, data: bytes) -> bool:
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}")
    try:
        _write_synced(temporary, data)
        won = _link(temporary, path)
        # Also when another writer won: we go on to build on a name that must outlast a power cut.
        _sync_folder(path.parent)
        return won
    finally:
        temporary.unlink(missing_ok=True)


def _write_synced(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        _write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)


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
        if fault.errno == errno.EFBIG:
            raise StoreError(
                f"{path}: larger than this process may write (see `ulimit -f`); nothing is "
                "half-written and every committed version is whole: raise the limit and run again"
            ) from fault
        if fault.errno in _NOT_ALLOWED:
            raise StoreError(
                f"{path}: no permission ({fault.strerror}); give this user the right to read and "
                "write the store's folder, or name another one with --store DIR"
            ) from fault
        raise StoreError(f"{path}: {fault.strerror or fault}") from fault
