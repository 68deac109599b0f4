"""Objects of a remote store, kept on the local disk so that each is fetched once.

The one idea: an object never changes, so a copy of it is as good as the original once its hash is
checked. Only whole objects are answered from here; whether a name exists, and a range of bytes, is
always asked of the store itself.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from pathlib import Path

from curator.versions.objects import Folder, Stored

LIMIT_BYTES = 8 << 30
"""How many bytes of objects are kept on the disk."""


class KeptFolder:
    """A folder whose objects are kept locally.

    source: the folder itself.
    """

    __slots__ = ("_top", "source")

    def __init__(self, source: Folder, cache: Path) -> None:
        self.source, self._top = source, cache / "objects"

    @property
    def address(self) -> str:
        """What a person calls the folder itself."""
        return self.source.address

    def put_new(self, name: str, data: bytes) -> bool:
        """Write to the folder; an object is also kept."""
        won = self.source.put_new(name, data)
        if won and name.startswith("objects/"):
            self._keep(name, data)
        return won

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes | None:
        """Read from the folder, a whole object from the local copy where its hash is right."""
        if start or length is not None or not name.startswith("objects/"):
            return self.source.get(name, start, length)
        with suppress(OSError):
            data = self._path(name).read_bytes()
            if hashlib.sha256(data).hexdigest() == name.rpartition("/")[2]:
                return data
        fetched = self.source.get(name)
        if fetched is not None:
            self._keep(name, fetched)
        return fetched

    def replace(self, name: str, data: bytes) -> None:
        """Put other bytes under a name; a local copy is forgotten."""
        self.source.replace(name, data)
        with suppress(OSError):
            self._path(name).unlink(missing_ok=True)

    def list(self, prefix: str) -> tuple[Stored, ...]:
        """List the folder."""
        return self.source.list(prefix)

    def delete(self, name: str) -> None:
        """Remove a name from the folder, and its local copy."""
        self.source.delete(name)
        with suppress(OSError):
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._top / name.rpartition("/")[2]

    def _keep(self, name: str, data: bytes) -> None:
        path = self._path(name)
        temporary = path.with_name(f".tmp-{secrets.token_hex(8)}")
        with suppress(OSError):  # a copy that cannot be kept costs time, nothing else
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(path)

    def shrink(self, limit_bytes: int = LIMIT_BYTES) -> None:
        """Delete the oldest copies until they fit into a limit."""
        with suppress(OSError):
            files = [(f.stat().st_mtime, f.stat().st_size, f) for f in self._top.iterdir()]
            room = limit_bytes
            for _, size, file in sorted(files, reverse=True):
                room -= size
                if room < 0:
                    file.unlink(missing_ok=True)
