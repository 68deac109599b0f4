"""Merge a branch into another, row by row and cell by cell, from their nearest common ancestor.

The one idea: a merge is a step like any other. Its decisions are exactly what it changed on the
branch that takes it in, each with the reason and the person it had on the branch it came from; and
where both branches changed one cell to different values nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.errors import ConflictError, LockError, StoreError
from curator.schema import CHANGING_ACTIONS, DECISION_SCHEMA
from curator.tasks import action_of, task_named
from curator.versions import freeze
from curator.versions.changes import compare
from curator.versions.differences import cells_json, operations
from curator.versions.manifest import StepRecord, Version
from curator.versions.threeway import WHOLE_ROW, Clash, Side, Together, aligned, three_way

if TYPE_CHECKING:
    from curator.versions.store import Store

Rule = Literal["ours", "theirs", "newest-human"]
RULES: tuple[Rule, ...] = ("ours", "theirs", "newest-human")

MERGE = "merge"
MERGE_VERSION = 1
MACHINE = "rule"
"""Who a decision is by when no person took it."""

CONFLICT_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("base", pa.string()),
        pa.field("ours", pa.string()),
        pa.field("theirs", pa.string()),
        pa.field("ours_reason", pa.string()),
        pa.field("ours_by", pa.string()),
        pa.field("theirs_reason", pa.string()),
        pa.field("theirs_by", pa.string()),
    ]
)
"""One cell that both sides changed. base, ours and theirs are JSON objects, null where that side
has no such row; column is `(row)` where one side dropped the row and the other changed it."""

_UNTOLD = "in no step between"


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge would do.

    ours: the version that takes it in; theirs: the one that is merged; bases: their nearest common
        ancestors.
    rows: the task's columns and the user's; decisions: changes from ours, exactly.
    transforms: serving transforms of both sides.
    conflicts: CONFLICT_SCHEMA, sorted by row and column: what is open.
    settled: how many conflicts the rule settled.
    """

    ours: Version
    theirs: Version
    bases: tuple[Version, ...]
    rows: pa.Table
    decisions: pa.Table
    transforms: tuple[dict[str, Any], ...]
    conflicts: pa.Table
    settled: int

    @property
    def is_needed(self) -> bool:
        """Whether theirs holds anything that ours does not descend from."""
        return self.theirs.id not in {base.id for base in self.bases}


def common_ancestors(store: Store, a: Version | str, b: Version | str) -> tuple[Version, ...]:
    """Give the nearest common ancestors of two versions, newest first; a version is its own.

    Returns:
        Those that are no ancestor of another one; several where branches were merged crosswise.
    """
    shared = {version.id for version in store.ancestry(a)}
    best: list[Version] = []
    passed: set[str] = set()
    for version in store.ancestry(b):  # children first, so a version is passed before it is met
        if version.id in passed:
            passed |= set(version.parents)
        elif version.id in shared:
            best.append(version)
            passed |= set(version.parents)
    return tuple(best)


def plan_merge(
    store: Store,
    source: Version | str,
    *,
    into: Version | str = "main",
    rule: Rule | None = None,
) -> Merge:
    """Work out a merge without committing it.

    Args:
        store: Holds both.
        source: Branch, tag or version to merge.
        into: Branch or version that takes it in.
        rule: How conflicts are settled: ours, theirs, or newest-human (a person's decision wins
            over the machine's, the newer person's over the older's); None leaves them open.

    Raises:
        LockError: The two have different frozen test rows.
        StoreError: One is not there, they have no common ancestor, or a column has two types or
            was taken away by one side. A column that one side added is null in the other's rows.
    """
    if rule is not None and rule not in RULES:
        raise StoreError(f"merge rule {rule!r} is not one of {list(RULES)}")
    ours, theirs = store.version(into), store.version(source)
    name, here = _name(source), _name(into)
    bases = common_ancestors(store, ours, theirs)
    _check(store, ours, theirs, bases, into=here, source=name)
    sides = _Sides(store, ours, theirs)
    before = store.rows(ours)
    if theirs.id in {base.id for base in bases}:
        together = Together(before, (), ())
    else:
        ours_rows, theirs_rows, *base_rows = aligned(
            [before, store.rows(theirs), *(store.rows(base) for base in bases)]
        )
        together = three_way(
            base_rows, ours_rows, theirs_rows, lambda clash: sides.settle(clash, rule)
        )
    decisions = _decisions(before, together, sides, name=name, rule=rule)
    conflicts = pa.Table.from_pylist(
        [sides.conflict(clash) for clash in _ordered(together.open)], schema=CONFLICT_SCHEMA
    )
    transforms = _transforms(ours.transforms, theirs.transforms)
    return Merge(
        ours, theirs, bases, together.rows, decisions, transforms, conflicts, len(together.settled)
    )


def merge(
    store: Store, source: Version | str, *, into: str = "main", rule: Rule | None = None
) -> Version:
    """Merge a branch, tag or version into a branch.

    Returns:
        A version with two parents, whose decisions are relative to the first; the head as it is
        where it descends from the source already.

    Raises:
        ConflictError: Both sides changed the same cells and no rule settles it; nothing changed.
        LockError: The two have different frozen test rows.
        StoreError: One is not there, they have no common ancestor, or another writer was first.
    """
    store.head(into)  # a tag or version takes nothing in
    made = plan_merge(store, source, into=into, rule=rule)
    name = _name(source)
    if made.conflicts.num_rows:
        raise ConflictError(_refusal(made, name, into, rule), made.conflicts)
    if not made.is_needed:
        return made.ours
    return store.commit(
        into,
        made.rows,
        parents=(made.ours, made.theirs),
        task=made.ours.task,
        step=StepRecord(MERGE, {"from": name, "rule": rule}, MERGE_VERSION),
        decisions=made.decisions,
        findings=schema.findings([]),
        transforms=made.transforms,
        note={"merged": name, "settled": made.settled},
    )


def _name(ref: Version | str) -> str:
    return ref if isinstance(ref, str) else ref.short


def _refusal(made: Merge, source: str, into: str, rule: Rule | None) -> str:
    count = made.conflicts.num_rows
    rows = pc.count_distinct(made.conflicts["row_id"]).as_py()
    cells = f"{count} cell{'s' if count > 1 else ''} of {rows} row{'s' if rows > 1 else ''}"
    advice = (
        "state a rule (--rule ours, theirs or newest-human)"
        if rule is None
        else f"the rule {rule} does not settle them; state ours or theirs"
    )
    return (
        f"{source} cannot be merged into {into} as it is: both changed {cells} to different "
        f"values. Nothing was changed; {advice}, or change the rows on one side and merge again"
    )


def _check(
    store: Store,
    ours: Version,
    theirs: Version,
    bases: Sequence[Version],
    *,
    into: str,
    source: str,
) -> None:
    if not bases:
        raise StoreError(
            f"{into} ({ours.short}) and {source} ({theirs.short}) have no common ancestor: they "
            "come from different imports, so it cannot be told which side changed a row. Run the "
            "recipe of one on the import of the other, then merge"
        )
    if ours.task != theirs.task:
        raise StoreError(f"{into} has task {ours.task!r}, {source} has {theirs.task!r}")
    _check_columns(ours, theirs, bases, into=into, source=source)
    if ours.lock != theirs.lock:
        locked = [
            freeze.locked_rows(store.rows(side), task_named(side.task)) for side in (ours, theirs)
        ]
        raise LockError(
            f"{into} and {source} have different frozen test rows "
            f"({freeze.locks_apart(*locked)}), so they cannot be merged: a merge changes no test "
            "row"
        )


# For decisions that do not tell what they changed; those of this release do.
_ACTIONS = {"label": "relabel", "labels": "relabel", "weight": "weight"}


def _check_columns(
    ours: Version, theirs: Version, bases: Sequence[Version], *, into: str, source: str
) -> None:
    """Check that a column which is not on both sides was added by one of them."""
    here, there = ({name: kind for name, kind, _ in side.columns} for side in (ours, theirs))
    apart = sorted(name for name in here.keys() & there.keys() if here[name] != there[name])
    if apart:
        told = ", ".join(f"{name}: {here[name]} and {there[name]}" for name in apart)
        raise StoreError(
            f"{into} and {source} have columns of one name and two types ({told}); give them one "
            "type on one side first"
        )
    gone = {name for base in bases for name, _, _ in base.columns} & (here.keys() ^ there.keys())
    if gone:
        side = into if gone - here.keys() else source
        raise StoreError(
            f"{side} took the columns {sorted(gone)} away, which its common ancestor with the "
            "other has; whether their values are to go cannot be told row by row. Take them away "
            "on the other side too, or put them back, then merge"
        )


@dataclass(frozen=True, slots=True)
class _Said:
    """A decision on a row, with where and when it was taken."""

    made: dict[str, Any]
    time: str | None
    by_merge: bool

    @property
    def is_human(self) -> bool:
        return bool(self.made["by"] != MACHINE)

    def concerns(self, column: str) -> bool:
        action = self.made["action"]
        if column == WHOLE_ROW or action in ("add", "drop"):
            return True
        told = {name for side in ("before", "after") for name in _object(self.made[side])}
        return column in told if told else _ACTIONS.get(column, "edit") == action


class _Sides:
    """Who said what on each side since the two parted."""

    def __init__(self, store: Store, ours: Version, theirs: Version) -> None:
        lines = [store.ancestry(side) for side in (ours, theirs)]
        known = [{version.id for version in line} for line in lines]
        times = {name: entry.time for name, entry in store.first_entries().items()}
        self._said: dict[Side, dict[str, list[_Said]]] = {
            "ours": _said(store, lines[0], known[1], times),
            "theirs": _said(store, lines[1], known[0], times),
        }

    def told(self, side: Side, row: str, column: str = WHOLE_ROW) -> list[_Said]:
        """Give the decisions of a side on a cell, oldest first."""
        every = self._said[side].get(row, [])
        # A merge repeats what its second parent's line says itself.
        first_hand = [said for said in every if not said.by_merge] or every
        return [said for said in first_hand if said.concerns(column)]

    def last(self, side: Side, clash: Clash) -> _Said | None:
        """Give the decision that made a side read as it does."""
        told = self.told(side, clash.row_id, clash.column)
        return told[-1] if told else None

    def settle(self, clash: Clash, rule: Rule | None) -> Side | None:
        """Settle a clash by a rule; None where the rule does not tell."""
        if rule != "newest-human":
            return rule
        ours, theirs = self.last("ours", clash), self.last("theirs", clash)
        human = [bool(said and said.is_human) for said in (ours, theirs)]
        if human[0] != human[1]:
            return "ours" if human[0] else "theirs"
        times = [said.time if said and said.is_human else None for said in (ours, theirs)]
        if times[0] is None or times[1] is None or times[0] == times[1]:
            return None
        return "ours" if times[0] > times[1] else "theirs"

    def conflict(self, clash: Clash) -> dict[str, Any]:
        """Write a clash as a row of CONFLICT_SCHEMA."""
        record: dict[str, Any] = {"row_id": clash.row_id, "column": clash.column}
        for name, cells in (("base", clash.base), ("ours", clash.ours), ("theirs", clash.theirs)):
            record[name] = None if cells is None else cells_json(cells)
        both: tuple[Side, Side] = ("ours", "theirs")
        for side in both:
            said = self.last(side, clash)
            record[f"{side}_reason"] = said.made["reason"] if said else None
            record[f"{side}_by"] = said.made["by"] if said else None
        return record


def _said(
    store: Store, line: Sequence[Version], known: set[str], times: Mapping[str, str]
) -> dict[str, list[_Said]]:
    own = [(times.get(v.id), v) for v in reversed(line) if v.id not in known]
    found: dict[str, list[_Said]] = {}
    for time, version in own:
        made = store.decisions(version)
        changing = made.filter(pc.is_in(made["action"], pa.array(CHANGING_ACTIONS)))
        for record in changing.to_pylist():
            said = _Said(record, time, by_merge=len(version.parents) > 1)
            found.setdefault(record["row_id"], []).append(said)
    return found


def _decisions(
    before: pa.Table, together: Together, sides: _Sides, *, name: str, rule: Rule | None
) -> pa.Table:
    """Say what the merge did to our rows, each with the reason it had on their side."""
    settled: dict[str, list[tuple[Clash, Side]]] = {}
    for clash, side in together.settled:
        settled.setdefault(clash.row_id, []).append((clash, side))
    changes = compare(before, together.rows)
    records = []
    for row, action, was, now in operations(before, together.rows, changes):
        told = sides.told("theirs", row)
        speaking = [said for said in told if said.made["action"] == action] or told
        origin = speaking[-1].made if speaking else dict.fromkeys(DECISION_SCHEMA.names)
        theirs = [clash for clash, side in settled.get(row, ()) if side == "theirs"]
        against = [clash for clash in theirs if _is_of(clash, action, before.column_names)]
        reason = f"merged from {name}{_against(against, sides, rule)}: "
        records.append(
            {
                **{n: origin[n] for n in ("issue_type", "score", "partner_id")},
                "row_id": row, "action": action, "step": MERGE,
                "reason": reason + str(origin["reason"] or _UNTOLD),
                "by": origin["by"] or MACHINE, "before": was, "after": now,
            }
        )  # fmt: skip
    kept = [(clash, side) for clash, side in together.settled if side == "ours"]
    records += [_kept(clash, sides, name, rule) for clash, _ in kept]
    return schema.decisions(sorted(records, key=lambda r: (r["row_id"], r["action"], r["reason"])))


def _is_of(clash: Clash, action: str, names: Sequence[str]) -> bool:
    if clash.column == WHOLE_ROW:
        return True
    return action_of(clash.column, names) == action


def _against(clashes: Iterable[Clash], sides: _Sides, rule: Rule | None) -> str:
    lost = [said.made["reason"] for c in clashes if (said := sides.last("ours", c))]
    return f" (rule {rule}, against ours: {'; '.join(dict.fromkeys(lost))})" if lost else ""


def _kept(clash: Clash, sides: _Sides, name: str, rule: Rule | None) -> dict[str, Any]:
    theirs, ours = sides.last("theirs", clash), sides.last("ours", clash)
    what = "the row" if clash.column == WHOLE_ROW else f"its {clash.column}"
    lost = theirs.made["reason"] if theirs else _UNTOLD
    by = ours.made["by"] if ours else MACHINE
    reason = f"{what} kept as it is by rule {rule}, against {name}: {lost}"
    return {"row_id": clash.row_id, "action": "keep", "step": MERGE, "reason": reason, "by": by}


def _transforms(
    ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any], ...]:
    return (*ours, *(transform for transform in theirs if transform not in ours))


def _ordered(clashes: Iterable[Clash]) -> list[Clash]:
    return sorted(clashes, key=lambda clash: (clash.row_id, clash.column))


def _object(text: str | None) -> dict[str, Any]:
    return {} if text is None else dict(json.loads(text))
