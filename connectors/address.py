"""Addresses: one string says where rows come from, whatever kind of place that is.

The one idea: `scheme:path!/entry` becomes a `Place` (a path on this machine and, inside a zip,
the name of an entry), and from there on nobody asks how it was found. Schemes: `file:` (or a bare
path), `package:` (a file that an installed package brought) and `hf:` (a data set of the Hugging
Face hub).
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from .errors import SourceError, closest
from .packaged import packaged_path

SCHEMES = ("file", "package", "hf")
PLANNED_SCHEMES = ("sql", "s3", "gs", "az", "http", "https")
SHOWN_NAMES = 8


@dataclass(frozen=True, slots=True)
class Address:
    """An address taken apart.

    given: as the user wrote it.
    scheme: one of SCHEMES.
    path: what follows the scheme, without the part after `!/`.
    entry: the name inside a zip, or None.
    """

    given: str
    scheme: str
    path: str
    entry: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """A file on this machine, or an entry of a zip on it.

    address: as the user wrote it; every message and every row's `source` names it so.
    path: the file itself.
    entry: the name inside the zip `path`, or None.
    """

    address: str
    path: Path
    entry: str | None = None

    @property
    def suffix(self) -> str:
        """The ending of the file's name, lower case, with its dot."""
        return Path(self.entry or self.path.name).suffix.lower()


def parse_address(address: str) -> Address:
    """Take an address apart.

    Args:
        address: `scheme:path`, `scheme:path!/entry`, or a bare path.

    Raises:
        SourceError: The scheme is unknown or not there yet, or there is no path.
    """
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", address)
    scheme = match[1].lower() if match else "file"
    if scheme in PLANNED_SCHEMES:
        raise SourceError(
            f"{address}: {scheme}: sources are not there yet; "
            f"save the data as a file and name it as file:PATH"
        )
    if scheme not in SCHEMES:
        raise SourceError(
            f"{address}: {scheme}: is not a kind of source; there are "
            f"{', '.join(f'{s}:' for s in SCHEMES)}{closest(scheme, SCHEMES)}"
        )
    rest = address[match.end() :] if match else address
    path, bang, entry = rest.partition("!/")
    if not path:
        raise SourceError(f"{address!r}: there is no path in this address; write {scheme}:PATH")
    return Address(address, scheme, path, entry if bang else None)


def resolve(address: str, *, base: Path) -> Place:
    """Find the file that an address names.

    Args:
        address: `file:` or `package:` address, or a bare path.
        base: Folder that relative paths start from.

    Raises:
        SourceError: Nothing is there; the nearest name is suggested.
    """
    parsed = parse_address(address)
    if parsed.scheme == "hf":
        raise SourceError(f"{address}: a data set of the hub is no file on this machine")
    if parsed.scheme == "package":
        path = packaged_path(parsed.path, address=address)
    else:
        path = base / Path(parsed.path).expanduser()
    _must_exist(path, address)
    if parsed.entry is not None:
        _must_hold(path, parsed.entry, address)
    return Place(address, path, parsed.entry)


def locate(address: str, *, base: Path) -> Path:
    """Find a file or folder that an address names, such as a model's folder.

    Raises:
        SourceError: Nothing is there, or the address leads into a zip.
    """
    place = resolve(address, base=base)
    if place.entry is not None:
        raise SourceError(f"{address}: is inside a zip; unpack it and name the folder")
    return place.path


def open_bytes(place: Place) -> BinaryIO:
    """Open a place for reading; the caller closes it.

    Raises:
        SourceError: It is a folder or a zip without an entry, or it cannot be read.
    """
    path = place.path
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir() if p.is_file())
        raise SourceError(f"{place.address}: is a folder; name one file in it ({_some(names)})")
    try:
        if place.entry is None:
            return path.open("rb")
        with zipfile.ZipFile(path) as archive:  # the entry keeps the file open by itself
            return cast("BinaryIO", archive.open(place.entry))
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise SourceError(f"{place.address}: cannot be opened: {error}") from error


def zip_entries(path: Path, *, address: str) -> list[str]:
    """Name the files inside a zip, sorted.

    Raises:
        SourceError: It is not a zip that can be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return sorted(i.filename for i in archive.infolist() if not i.is_dir())
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceError(f"{address}: {path.name} is not a readable zip: {error}") from error


def _must_exist(path: Path, address: str) -> None:
    if path.exists():
        return
    folder = path.parent
    if not folder.is_dir():
        raise SourceError(f"{address}: the folder {folder} does not exist")
    names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    near = closest(path.name, names)
    raise SourceError(f"{address}: no file {path.name!r} in {folder} ({_some(names)}){near}")


def _must_hold(path: Path, entry: str, address: str) -> None:
    names = zip_entries(path, address=address)
    if entry not in names:
        raise SourceError(
            f"{address}: no entry {entry!r} in {path.name} ({_some(names)}){closest(entry, names)}"
        )


def _some(names: list[str]) -> str:
    if not names:
        return "it is empty"
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f"it holds {', '.join(names[:SHOWN_NAMES])}{more}"
