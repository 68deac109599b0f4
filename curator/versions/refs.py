"""Branches and tags: names for versions, as files that are only ever created.

The one idea: a branch is a log of numbered entries, and creating the next number is the
compare-and-swap. Two writers cannot both create entry 7, so one wins and the other is told; and as
no entry is ever overwritten, every state a branch was in can be restored.
"""

from __future__ import annotations

import difflib
import functools
import getpass
import platform
import re
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from curator.errors import StoreError
from curator.versions.objects import Folder, canonical_json, parsed_json
from curator.versions.objects import names as names_below

HEADS, TAGS = "refs/heads", "refs/tags"

_NAME = re.compile(r"\w[\w.-]{0,99}")
_HEX = re.compile(r"[0-9a-f]{6,64}")
# What can change a result between machines; recorded with each entry, part of no id.
_LIBRARIES = (
    "corpus-curator", "cleanlab", "datasets", "ftfy", "nlpaug", "numpy", "pandas", "peft", "polars",
    "pyarrow", "scikit-learn", "scipy", "torch", "transformers",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RefEntry:
    """One entry of a branch's log: where it pointed, since when, and who moved it there.

    number: 1, 2, 3, ...; time: ISO 8601, UTC; step: what moved the branch.
    environment: Python, platform and library versions; note: what the caller added.
    token: random, so that a writer knows its own entry from that of another.
    """

    number: int
    version: str
    time: str
    author: str
    step: str
    environment: dict[str, Any]
    note: dict[str, Any]
    token: str = ""


def is_name(name: str) -> bool:
    """Tell whether this may be the name of a branch or tag at all."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def check_name(name: str, noun: str) -> None:
    """Check the name of a new branch or tag.

    Raises:
        StoreError: It holds other characters than letters, digits, `_`, `-` and `.`, or reads like
            a version id.
    """
    if not is_name(name):
        raise StoreError(
            f"{noun} name {name!r}: a name starts with a letter, digit or _, and has up to 100 "
            "letters, digits, _, - and single dots, no other characters"
        )
    if _HEX.fullmatch(name):
        raise StoreError(f"{noun} name {name!r} reads like a version id; choose another one")


def names(folder: Folder, kind: str) -> tuple[str, ...]:
    """Name the branches (kind `refs/heads`) or tags (kind `refs/tags`), sorted."""
    depth = len(kind.split("/"))
    return tuple(sorted({path.split("/")[depth] for path in names_below(folder, kind)}))


def numbers(folder: Folder, branch: str) -> list[int]:
    """Give the entry numbers of a branch, ascending; empty where there is no such branch."""
    top = f"{HEADS}/{branch}"
    # A file browser may leave files of its own; whatever has no number is no entry.
    found = [path.removeprefix(f"{top}/") for path in names_below(folder, top)]
    return sorted(int(name) for name in found if re.fullmatch(r"\d{8}", name))


def entries(folder: Folder, branch: str) -> list[RefEntry]:
    """Read the whole log of a branch, oldest first; empty where there is no such branch.

    Raises:
        StoreError: An entry is missing in between or unreadable.
    """
    return [entry(folder, branch, number) for number in _complete(folder, branch)]


def latest(folder: Folder, branch: str) -> RefEntry | None:
    """Read the newest entry of a branch; None where there is no such branch.

    Raises:
        StoreError: An entry is missing in between, or the newest is unreadable.
    """
    known = _complete(folder, branch)
    return entry(folder, branch, known[-1]) if known else None


def newest(folder: Folder, branch: str) -> RefEntry:
    """Read the newest entry of a branch that is there, also where earlier ones are missing."""
    return entry(folder, branch, max(numbers(folder, branch)))


def _complete(folder: Folder, branch: str) -> list[int]:
    known = numbers(folder, branch)
    if known and known != list(range(1, known[-1] + 1)):
        missing = sorted(set(range(1, known[-1] + 1)) - set(known))
        last = entry(folder, branch, known[-1])
        raise StoreError(
            f"{HEADS}/{branch}: entries {missing} of {known[-1]} are missing, so the history of "
            "this branch has a gap; put the files back from a backup. Nothing else is lost: "
            f"without one, `curator branch NAME {last.version}` starts a branch at its newest "
            f"version, and then the folder {HEADS}/{branch} can be removed"
        )
    return known


def entry(folder: Folder, branch: str, number: int) -> RefEntry:
    """Read one entry of a branch.

    Raises:
        StoreError: It is missing or unreadable.
    """
    name = _entry_name(branch, number)
    data = folder.get(name)
    if data is None:
        raise StoreError(f"{name}: missing; put the file back from a backup")
    facts = parsed_json(data, name)
    try:
        return RefEntry(number=number, **facts)
    except TypeError as fault:
        raise StoreError(f"{name}: not an entry of a branch ({fault})") from fault


def _entry_name(branch: str, number: int) -> str:
    return f"{HEADS}/{branch}/{number:08d}"


def new_entry(number: int, version: str, author: str, step: str, note: dict[str, Any]) -> RefEntry:
    """Make the entry that moves a branch to a version, here and now."""
    token = secrets.token_hex(8)
    return RefEntry(number, version, now(), author, step, environment(), note, token)


def append(folder: Folder, branch: str, entry: RefEntry) -> bool:
    """Create the next entry of a branch; False when another writer was first.

    Raises:
        StoreError: The note is not plain JSON, or the store cannot be written.
    """
    facts = asdict(entry)
    del facts["number"]
    try:
        data = canonical_json(facts)
    except (TypeError, ValueError) as fault:
        raise StoreError(f"the note of branch {branch!r} is not plain JSON: {fault}") from fault
    return _create(folder, _entry_name(branch, entry.number), data)


def read_tag(folder: Folder, name: str) -> str | None:
    """Give the version a tag names; None where there is no such tag."""
    path = f"{TAGS}/{name}"
    data = folder.get(path)
    if data is None:
        return None
    version = parsed_json(data, path).get("version")
    if not isinstance(version, str):
        raise StoreError(f"{path}: names no version; put the file back from a backup")
    return version


def tag_time(folder: Folder, name: str) -> str:
    """Say when a tag was made, ISO 8601 UTC; an empty text where it does not say so."""
    data = folder.get(f"{TAGS}/{name}")
    return "" if data is None else str(parsed_json(data, f"{TAGS}/{name}").get("time", ""))


def create_tag(folder: Folder, name: str, version: str, author: str) -> bool:
    """Create a tag; False when the name is taken."""
    token = secrets.token_hex(8)
    facts = {"version": version, "time": now(), "author": author, "token": token}
    return _create(folder, f"{TAGS}/{name}", canonical_json(facts))


def _create(folder: Folder, name: str, data: bytes) -> bool:
    """Create a name; True also where it was us who took it, by a try whose answer was lost."""
    return folder.put_new(name, data) or folder.get(name) == data


def nearest(name: str, known: Iterable[str]) -> str:
    """End a message on an unknown name: `; did you mean 'x'?` where one is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else "."


def now() -> str:
    """Give the time as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def user() -> str:
    """Name the person this process runs for, as the system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        return "unknown"


@functools.cache
def environment() -> dict[str, Any]:
    """Give Python, platform and library versions of this process."""
    libraries: dict[str, str | None] = {}
    for name in _LIBRARIES:
        try:
            libraries[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            libraries[name] = None
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": libraries,
    }
