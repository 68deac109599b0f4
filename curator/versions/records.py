"""Small JSON values kept once under a key: measured impacts, uses of a test lock.

The one idea: what was found out about versions is as immutable as they are; a second writer of the
same key learns that it was second.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

from curator.errors import StoreError
from curator.versions.objects import Folder, canonical_json, names, parsed_json
from curator.versions.refs import check_name

# Common file systems end a name at 255 bytes.
_LONGEST_NAME = 200


def put(folder: Folder, kind: str, key: str, value: dict[str, Any]) -> bool:
    """Keep a JSON value under a key, once.

    Args:
        folder: The store.
        kind: What it is, such as `impacts`; a folder of the store.
        key: Any text, unique within its kind.
        value: JSON values.

    Returns:
        True when kept; False when the key was taken, whose value then stays.

    Raises:
        StoreError: The value is not plain JSON, or the store cannot be written.
    """
    try:
        data = canonical_json({"key": key, "value": value})
    except (TypeError, ValueError) as fault:
        raise StoreError(f"record {kind}/{key}: its value is not plain JSON: {fault}") from fault
    return folder.put_new(_path(kind, key), data)


def get(folder: Folder, kind: str, key: str) -> dict[str, Any] | None:
    """Give the value under a key; None where there is none."""
    path = _path(kind, key)
    data = folder.get(path)
    return None if data is None else _value(data, path)


def every(folder: Folder, kind: str) -> list[dict[str, Any]]:
    """Give all values of a kind, in the order of their places."""
    paths = names(folder, _top(kind))
    return [read(folder, path) for path in paths]


def read(folder: Folder, path: str) -> dict[str, Any]:
    """Give the value of the record at a place.

    Raises:
        StoreError: There is none, or it cannot be read.
    """
    return _value(folder.get(path) or b"", path)


def _top(kind: str) -> str:
    check_name(kind, "record kind")
    return f"records/{kind}"


def _path(kind: str, key: str) -> str:
    name = quote(key, safe="")
    if not name or len(name) > _LONGEST_NAME or name.startswith("."):
        name = f"sha256-{hashlib.sha256(key.encode()).hexdigest()}"
    return f"{_top(kind)}/{name}"


def _value(data: bytes, path: str) -> dict[str, Any]:
    value = parsed_json(data, path).get("value")
    if not isinstance(value, dict):
        raise StoreError(f"{path}: holds no record; put the file back from a backup")
    return value
