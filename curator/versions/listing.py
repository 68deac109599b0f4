"""Versions as `log` lists them: with the names, the time and the person of the branch entries.

The one idea: a version says nothing of time and people, as these are no part of what it means; the
first branch entry that named it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from curator.versions.manifest import Version

if TYPE_CHECKING:
    from curator.versions.store import Store


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A version as `log` shows it.

    created: when a branch first pointed at it, ISO 8601 UTC; None when none ever did.
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
