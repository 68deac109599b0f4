"""Named bytes that are written once: the four functions that carry the whole store.

The one idea: nothing is ever written in place (an erasure alone may, as that is its purpose), so
"create unless it exists" is all that a store needs: it is the compare-and-swap that branches are
built on. A local disk (`local.py`) and an object store (`remote.py`) offer the same functions, and
nothing above them knows which it has. An object is named by the sha256 of its bytes, and every read
of one checks that.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

from curator.errors import StoreError


@dataclass(frozen=True, slots=True)
class Stored:
    """What a folder says of one of its names.

    bytes: its size; modified: when it was written, seconds since 1970 by the folder's own clock.
    """

    name: str
    bytes: int
    modified: float


class Folder(Protocol):
    """Immutable bytes, each known by a name such as `refs/tags/first`: put_new, get, list, delete.

    address: what a person calls it: a path, or such as `s3://bucket/path`.
    """

    @property
    def address(self) -> str:
        """What a person calls this folder."""

    def put_new(self, name: str, data: bytes) -> bool:
        """Write bytes under a name that is not taken, all or nothing and to stay.

        Returns:
            True when written; False when the name exists, whose bytes then stay as they are.

        Raises:
            StoreError: It cannot be written; says why and what to do.
        """

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes | None:
        """Read the bytes under a name, or length bytes from start; None when there is none.

        Raises:
            StoreError: It cannot be read; says why and what to do.
        """

    def replace(self, name: str, data: bytes) -> None:
        """Put other bytes under a name, all or nothing: for erasure, and for nothing else.

        Raises:
            StoreError: It cannot be written; then the former bytes stay.
        """

    def list(self, prefix: str) -> tuple[Stored, ...]:
        """List everything below a folder such as `refs/heads`, at any depth, sorted by name.

        The prefix `""` lists all; half-written bytes of killed writers are never listed.

        Raises:
            StoreError: It cannot be listed.
        """

    def delete(self, name: str) -> None:
        """Remove the bytes under a name; a name that does not exist is fine.

        Raises:
            StoreError: It cannot be removed.
        """


def names(folder: Folder, prefix: str) -> tuple[str, ...]:
    """Name everything below a folder, sorted."""
    return tuple(stored.name for stored in folder.list(prefix))


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
        for layout in names(folder, "layouts")
        if name in layout or name.encode() in (folder.get(layout) or b"")
    }
    if not users:
        return "No version needs it: it can be deleted"
    return (
        f"It belongs to {len(users)} version(s): {', '.join(sorted(u[:12] for u in users))}; "
        "every other version can still be read. Put the file back from a backup or from another "
        "copy of this store"
    )
