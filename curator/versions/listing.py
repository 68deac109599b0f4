"""Versions as `log` lists them: with the names, the time and the person of the branch entries.

The one idea: a version says nothing of time and people, as these are no part of what it means; the
first branch entry that named it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curator.versions.manifest import Version
from curator.versions.refs import RefEntry

if TYPE_CHECKING:
    from curator.versions.store import Store


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A version as `log` shows it.

    created: when a branch first pointed at it or at what was made along with it, ISO 8601 UTC; None
        when none ever did.
    author: who moved the branch there.
    tags, branches: names that point at it now.
    """

    version: str
    parents: tuple[str, ...]
    step: str
    rows: int
    created: str | None
    author: str | None
    tags: tuple[str, ...]
    branches: tuple[str, ...]


def ancestry(
    read: Callable[[str], Version], start: Version, known: dict[str, Version]
) -> list[Version]:
    """Give a version and all before it, newest first: no version stands before a child.

    Args:
        read: Reads a version by its id.
        start: The version.
        known: Versions by id that need not be read; those that are read are added.
    """
    seen: set[str] = set()
    order: list[Version] = []
    stack = [(start, False)]
    while stack:  # depth first, a version after all its parents
        version, done = stack.pop()
        if done:
            order.append(version)
        elif version.id not in seen:
            seen.add(version.id)
            stack.append((version, True))
            before = [parent for parent in version.parents if parent not in seen]
            known.update((parent, read(parent)) for parent in before if parent not in known)
            stack += [(known[parent], False) for parent in before]
    return order[::-1]


def log(store: Store, ref: Version | str) -> list[LogEntry]:
    """Give a version and all before it, newest first.

    Raises:
        StoreError: There is no such version, or the log of a branch has a gap.
    """
    first = store.first_entries()
    branches, tags = store.branches(), store.tags()
    return [
        LogEntry(
            version=version.id,
            parents=version.parents,
            step=version.step.name,
            rows=version.rows,
            created=first[version.id].time if version.id in first else None,
            author=first[version.id].author if version.id in first else None,
            tags=tuple(name for name, at in tags.items() if at == version.id),
            branches=tuple(name for name, at in branches.items() if at == version.id),
        )
        for version in store.ancestry(ref)
    ]


def first_entries(store: Store) -> dict[str, RefEntry]:
    """Give for each version the first entry of any branch that pointed at it.

    Versions that were made in one go with the last of them are dated by the entry of that one.
    """
    found: dict[str, RefEntry] = {}
    for name in store.branches():
        for entry in store.entries(name):
            for version in (entry.version, *entry.note.get("made", ())):
                known = found.get(version)
                if known is None or entry.time < known.time:
                    found[version] = entry
    return found


def in_time(line: Sequence[Version], times: Mapping[str, str]) -> list[Version]:
    """Put versions in the order of their times, none before a parent of its own.

    Args:
        line: Versions, each after its parents.
        times: When a branch first pointed at a version; one without a time goes with its parents.
    """
    at: dict[str, tuple[str, int]] = {}
    for number, version in enumerate(line):
        parents = [at[p][0] for p in version.parents if p in at]
        at[version.id] = (max([times.get(version.id, ""), *parents]), number)
    return sorted(line, key=lambda version: at[version.id])


def after(origin: Version, line: Iterable[Version]) -> Iterator[Version]:
    """Give the versions of a line that descend from one of it."""
    seen = {origin.id}
    for version in line:
        if seen & set(version.parents):
            seen.add(version.id)
            yield version
