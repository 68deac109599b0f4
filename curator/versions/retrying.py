"""A lost race made good: what a step changed, put onto what the winner left.

The one idea: two steps that touch no common row, not even as the partner or parent of one, give the
same rows in either order. Then the loser's change is committed again on the new head; else a person
or a new run must decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from curator.errors import MovedError, StoreError
from curator.schema import CHANGING_ACTIONS
from curator.versions import refs
from curator.versions.laws import named
from curator.versions.manifest import Version
from curator.versions.objects import Folder
from curator.versions.parts import one_sided

if TYPE_CHECKING:
    from curator.versions.store import Store


def moved_error(folder: Folder, branch: str, version: str) -> MovedError:
    """Say that a branch was moved by another writer, and where to."""
    head = refs.latest(folder, branch)
    where = f"{head.version[:12]} by {head.author} at {head.time}" if head else "nothing"
    return MovedError(
        f"branch {branch!r} was moved to {where} (step {head.step if head else ''!r}) while "
        f"this run was at work, so it was not moved to {version[:12]}. Nothing is lost: run "
        "again, which starts from the new head and reuses all that was computed",
        branch=branch,
        version=version,
    )


def replay(store: Store, mine: Version, onto: Version, branch: str) -> Version:
    """Commit the change of a version again, on another version that shares its parent's history.

    Args:
        store: The store.
        mine: The version whose step is put onto the other.
        onto: The version to change.
        branch: The branch to move to the result.

    Raises:
        MovedError: The branch moved once more.
        StoreError: Both touch the same rows, or they have no common history; says what to do.
    """
    again = "run again, which starts from the new head and reuses all that was computed"
    if not mine.parents:
        raise StoreError(f"branch {branch!r} was moved while an import was at work: {again}")
    parent = store.version(mine.parents[0])
    past = {version.id for version in store.ancestry(parent)}
    between = [version for version in store.ancestry(onto) if version.id not in past]
    if parent.id not in {v.id for v in store.ancestry(onto)} or onto.columns != mine.columns:
        raise StoreError(
            f"branch {branch!r} now goes another way than version {parent.short}, which step "
            f"{mine.step.name!r} started from: {again}"
        )
    changed, dropped = _difference(store, parent, mine)
    theirs, their_dropped = _difference(store, parent, onto)
    ours, others = ({*c["id"].to_pylist(), *d} for c, d in ((changed, dropped),
                                                          (theirs, their_dropped)))  # fmt: skip
    both = ours & (others | _named(store, between, theirs)) | others & _named(
        store, [mine], changed
    )
    if both:
        raise StoreError(
            f"step {mine.step.name!r} and what moved branch {branch!r} meanwhile concern the same "
            f"{len(both)} row(s) ({named(both)}), so neither may be put onto the other: {again}"
        )
    return store.commit_changes(
        branch,
        changed,
        dropped=sorted(dropped),
        parent=onto,
        step=mine.step,
        decisions=store.decisions(mine),
        findings=store.findings(mine),
        transforms=_transforms(parent, mine, onto),
    )


def _difference(store: Store, a: Version, b: Version) -> tuple[pa.Table, set[str]]:
    """Give the rows of b that a has not so, and the ids of a that b has not."""
    left, right = one_sided(store.folder, store.layout(a), store.layout(b))
    changed = pa.concat_tables(right) if right else store.rows(b).slice(0, 0)
    before = {row for table in left for row in table["id"].to_pylist()}
    return changed, before - set(changed["id"].to_pylist())


def _named(store: Store, versions: list[Version], changed: pa.Table) -> set[str]:
    """Give the rows that a change rests on: partners of its decisions, parents of its rows."""
    found = {row for row in changed["parent"].to_pylist() if row is not None}
    for version in versions:
        made = store.decisions(version)
        made = made.filter(pc.is_in(made["action"], pa.array(CHANGING_ACTIONS)))
        found |= {row for row in made["partner_id"].to_pylist() if row is not None}
    return found


def _transforms(parent: Version, mine: Version, onto: Version) -> list[dict[str, Any]]:
    known = len(parent.transforms)
    own = mine.transforms[known:] if mine.transforms[:known] == parent.transforms else ()
    return [*onto.transforms, *(t for t in own if t not in onto.transforms)]
