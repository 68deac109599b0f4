"""What people did, put onto what a recipe made: the last step of a run.

The one idea: a run makes its chain anew from the recipe, and the work of people is in no recipe. So
whatever stands on the branch that no recipe's step made (edits, merges), and what people decided on
the branch `reviews`, is put on again row by row and cell by cell. A decision stands where its cell
reads as it read then, and over what a step of the recipe says now about the same text; one whose
row is gone or reads otherwise is listed and kept in the row's history. The result depends on the
chain and on these decisions alone, not on the way that led there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curator import schema
from curator.errors import MovedError, StoreError
from curator.options import plain
from curator.putting import LOST_SCHEMA, REVIEWS, Putting
from curator.recipe import StepSpec
from curator.replaying import first_parent_line, kind_of
from curator.versions.manifest import StepRecord, Version
from curator.versions.store import Store

REVIEWS_VERSION = 1
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Ended:
    """Where a run left its branch.

    version: the head: the end of the recipe's chain, or what people did on top of it.
    people: how many changes of people it holds beyond the chain.
    lost: LOST_SCHEMA: their decisions that do not apply.
    """

    version: Version
    people: int
    lost: pa.Table

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "version": self.version.id,
            "changes": self.people,
            "conflicts": self.lost.to_pylist(),
        }


def is_of_recipe(version: Version) -> bool:
    """Tell whether a version is an import or was made by a kind of step that recipes have."""
    return not version.parents or kind_of(version.step.name) is not None


def people_on(store: Store, branch: str) -> list[Version]:
    """Give the versions on a branch that no recipe's step made, oldest first."""
    if branch not in store.branches():
        return []
    line = first_parent_line(store, store.head(branch))
    return [version for version in line if not is_of_recipe(version)]


def kept_by_a_run(store: Store, branch: str) -> list[Version]:
    """Give what people did that a run of a recipe puts on top of its chain, as first committed."""
    if branch not in store.branches():
        return []
    mains = _origins(store, people_on(store, branch), "main", "reviews")
    held = {version.id for version in mains}
    ours = [v for v in _reviews(store, branch, store.head(branch), mains) if v.id not in held]
    return [*mains, *ours]


def refuse_reverted(
    store: Store, branch: str, steps: Sequence[tuple[str, StepSpec]], put_back: Sequence[str]
) -> None:
    """Refuse to run a step that a person took out of the branch, unless it is to be put back.

    Raises:
        StoreError: The recipe has such a step, options and all; says what to do.
    """
    if branch not in store.branches():
        return
    wanted = {name: plain(step.options) for name, step in steps}
    for reverted, entry in _reverted(store, branch):
        name = reverted.step.name
        if name in put_back or wanted.get(name) != plain(reverted.step.options):
            continue
        raise StoreError(
            f"step {name!r} was taken out of {branch} by `revert` ({entry.author}, {entry.time}), "
            "and this recipe still has it, so a run would undo that. Take the step out of the "
            f"recipe or change its options; or put it back: curator run RECIPE --put-back {name}. "
            "Nothing was run"
        )


def _reverted(store: Store, branch: str) -> list[tuple[Version, Any]]:
    """Give the versions that were reverted on a branch and are not on it again, and when."""
    found: dict[str, tuple[Version, Any]] = {}
    for entry in store.entries(branch):
        taken = entry.note.get("reverted_version")
        if taken is not None:
            found[taken] = (store.version(taken), entry)
        elif found:
            line = first_parent_line(store, store.version(entry.version))
            known = {(v.step.name, json.dumps(plain(v.step.options))) for v in line}
            ids = {version.id for version in line}
            for one, (version, _) in list(found.items()):
                same = (version.step.name, json.dumps(plain(version.step.options)))
                if one in ids or (is_of_recipe(version) and same in known):
                    del found[one]
    return list(found.values())


def end_run(
    store: Store,
    branch: str,
    end: Version,
    *,
    reviews: bool = True,
    made: Sequence[str] = (),
) -> Ended:
    """Move a branch to the end of a recipe's chain, with what people did on top.

    Args:
        store: The store.
        branch: The branch of the run.
        end: The last version the recipe made.
        reviews: Whether what people decided on the branch `reviews` is put on too.
        made: Versions the run committed without moving the branch, to be dated by its entry.

    Returns:
        The head, and the decisions that do not apply.

    Raises:
        MovedError: Another run moved the branch to a chain of its own.
        StoreError: A version that is needed cannot be read.
    """
    for _ in range(ATTEMPTS):
        try:
            return _end(store, branch, end, reviews=reviews, made=made)
        except MovedError as moved:
            last = moved
            if not store.catch_up(branch, onto=end):
                raise
    raise last


def _end(store: Store, branch: str, end: Version, *, reviews: bool, made: Sequence[str]) -> Ended:
    head = store.head(branch) if branch in store.branches() else end
    tip, mains = _standing(store, end, head)
    decided = _reviews(store, branch, tip, mains) if reviews else []
    if not mains and not decided:
        if tip.id != head.id or made:
            store.restore(tip, branch=branch, note={"by": "run", "made": list(made)})
        above = people_between(store, end, tip)
        return Ended(tip, above, LOST_SCHEMA.empty_table())
    put = Putting(store, tip)
    for origin in mains:
        put.on(origin, people_only=False)
    for origin in decided:
        put.on(origin, people_only=True)
    also = list(mains)
    if decided:
        also.append(store.head(REVIEWS))
    version = store.commit(
        branch,
        put.rows,
        parents=(tip, *_farthest(store, also, tip)),
        task=tip.task,
        step=StepRecord(
            REVIEWS, {"main": [v.id for v in mains], "reviews": [v.id for v in decided]},
            REVIEWS_VERSION,
        ),
        decisions=put.decisions(),
        findings=schema.findings([]),
        transforms=[dict(transform) for transform in put.transforms],
        note={"by": "run", "made": list(made), "lost": len(put.lost)},
    )  # fmt: skip
    lost = pa.Table.from_pylist(put.lost, schema=LOST_SCHEMA)
    return Ended(version, people_between(store, end, tip) + len(mains) + len(decided), lost)


def people_between(store: Store, end: Version, tip: Version) -> int:
    """Count the versions between the end of a chain and one on top of it."""
    line = [version.id for version in first_parent_line(store, tip)]
    return len(line) - 1 - line.index(end.id)


def _standing(store: Store, end: Version, head: Version) -> tuple[Version, list[Version]]:
    """Give the version to put people's work on, and what of it that version does not hold yet.

    Where the head is the chain's end with nothing but people's work on top, it all stays as it is,
    but for the step this module made itself: that is made anew.
    """
    line = first_parent_line(store, head)
    at = next((n for n, version in enumerate(line) if version.id == end.id), None)
    if at is None or any(is_of_recipe(version) for version in line[at + 1 :]):
        return end, _origins(store, [v for v in line if not is_of_recipe(v)], "main")
    kept = line
    while kept[-1].step.name == REVIEWS and kept[-1].id != end.id:
        kept = kept[:-1]
    return kept[-1], _origins(store, line[len(kept) :], "main")


def _origins(store: Store, line: Iterable[Version], *lists: str) -> list[Version]:
    """Give versions as they were first committed: those this module made name what they hold."""
    found: dict[str, Version] = {}
    for version in line:
        if version.step.name == REVIEWS:
            ids = [one for name in lists for one in version.step.options.get(name, ())]
            found |= {one: store.version(one) for one in ids}
        else:
            found[version.id] = version
    return list(found.values())


def _reviews(store: Store, branch: str, tip: Version, mains: Sequence[Version]) -> list[Version]:
    """Give the versions of `reviews` whose decisions neither the tip nor the others hold."""
    if branch == REVIEWS or REVIEWS not in store.branches():
        return []
    held = {version.id for version in store.ancestry(tip)}
    for origin in mains:
        held |= _carried(store, origin)
    for reverted, _ in _reverted(store, branch):
        held |= _carried(store, reverted)
    line = [v for v in first_parent_line(store, store.head(REVIEWS)) if not is_of_recipe(v)]
    every = _origins(store, line, "main", "reviews")
    return [version for version in every if version.id not in held]


def _carried(store: Store, version: Version) -> set[str]:
    """Give the versions whose changes a version holds and its first parent does not."""
    before = {v.id for v in store.ancestry(version.parents[0])}
    own = {v.id for v in store.ancestry(version)} - before
    return own | {v.id for v in _origins(store, [version], "main", "reviews")}


def _farthest(store: Store, versions: Sequence[Version], tip: Version) -> list[Version]:
    """Give the versions that are before no other of them, nor before the tip."""
    found: list[Version] = []
    held = {version.id for version in store.ancestry(tip)}
    for version in reversed(versions):
        if version.id not in held:
            found.append(version)
            held |= {before.id for before in store.ancestry(version)}
    return found
