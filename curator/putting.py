"""Decisions of people put onto other rows than they were taken on, cell by cell.

The one idea: a decision is about what a person read. It stands where its cell reads so still, and
over what a step of a recipe says now about the same text, as people go before machines; else it is
listed with what was decided and what stands there, and nothing is forced.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.comparing import root_of
from curator.label_maps import label_maps, renamed
from curator.tasks import task_named
from curator.versions import lookup
from curator.versions.changes import compare
from curator.versions.differences import operations
from curator.versions.manifest import Version
from curator.versions.merging import MACHINE
from curator.versions.store import Store
from curator.versions.threeway import WHOLE_ROW, Clash, Side, aligned, three_way

REVIEWS = "reviews"
"""The branch of people's decisions, and the name of the step that puts them on."""

LOST_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("step", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("by", pa.string()),
        pa.field("decided_on", pa.string()),
        pa.field("decided", pa.string()),
        pa.field("now", pa.string()),
    ]
)
"""A decision that does not apply. decided_on: what it was taken on; decided: what it said; now:
what stands there instead; JSON objects, null where there is no such row."""

Decision = dict[str, Any]


@dataclass(slots=True)
class Putting:
    """Rows onto which the changes of versions are put, one version after another."""

    store: Store
    onto: Version
    rows: pa.Table = field(init=False)
    transforms: list[Mapping[str, Any]] = field(init=False)
    lost: list[dict[str, Any]] = field(default_factory=list)
    _told: dict[str, list[Decision]] = field(default_factory=dict)
    _spoken: set[tuple[str, str]] = field(default_factory=set)
    _roots: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = self.store.rows(self.onto)
        self.transforms = list(self.onto.transforms)

    def on(self, origin: Version, *, people_only: bool) -> None:
        """Put on what a version changed of its first parent, or only what people decided of it."""
        before = self.store.version(origin.parents[0])
        made = by_row(self.store.decisions(origin), people_only=people_only)
        self._refuse_frozen(made, origin)
        base, theirs = (self._find(version, made) for version in (before, origin))
        if people_only:
            theirs = _only_decided(base, theirs, made)
        base, theirs = self._known_columns(base, theirs, made, origin)
        base, theirs = self._in_labels_of_now(base, theirs, before, made, origin)
        self.rows, base, theirs = aligned([self.rows, base, theirs])
        ids = pa.array(sorted(made), pa.string())
        concerned = pc.is_in(self.rows["id"], ids)
        ours = self.rows.filter(concerned)
        together = three_way([base], ours, theirs, _Settling(self, origin, before, base, ours))
        pieces = [self.rows.filter(pc.invert(concerned)), together.rows]
        for row, action, was, now in operations(ours, together.rows, compare(ours, together.rows)):
            self._tell(row, action, was, now, made.get(row, []))
        self.rows = schema.sort_rows(pa.concat_tables(pieces)).combine_chunks()
        self.lost += [lost_row(clash, origin, made) for clash in together.open]
        if not people_only:
            own = [t for t in origin.transforms if t not in before.transforms]
            self.transforms += [t for t in own if t not in self.transforms]

    def _find(self, version: Version, made: Mapping[str, Any]) -> pa.Table:
        ids = pa.array(sorted(made), pa.string())
        return lookup.find_live(self.store.hashes, self.store.layout(version), ids).rows

    def _tell(
        self, row: str, action: str, was: str | None, now: str | None, made: Sequence[Decision]
    ) -> None:
        same = [d for d in made if d["action"] == action] or list(made)
        self._told.setdefault(row, []).append({**same[-1], "action": action})
        columns = {*json.loads(was or "{}"), *json.loads(now or "{}")}
        self._spoken |= {(row, column) for column in (*columns, WHOLE_ROW)}

    def _refuse_frozen(self, made: dict[str, list[Decision]], origin: Version) -> None:
        """List decisions on rows that are test rows now, which nothing may change."""
        ids = pa.array(sorted(made), pa.string())
        frozen = pc.and_(pc.equal(self.rows["split"], "test"), pc.is_in(self.rows["id"], ids))
        for row in self.rows["id"].filter(frozen).to_pylist():
            for decision in made.pop(row):
                self._lose(decision, origin, "split", {"split": "test"})

    def _lose(self, decision: Decision, origin: Version, column: str, now: Any) -> None:
        self.lost.append(
            {
                "row_id": decision["row_id"], "column": column, "step": origin.step.name,
                "reason": decision["reason"], "by": decision["by"],
                "decided_on": decision["before"], "decided": decision["after"], "now": _json(now),
            }
        )  # fmt: skip

    def _known_columns(
        self, base: pa.Table, theirs: pa.Table, made: Mapping[str, list[Decision]], origin: Version
    ) -> tuple[pa.Table, pa.Table]:
        """Leave columns out that the sources no longer have; decisions on them are listed."""
        gone = set(base.column_names) - set(self.rows.column_names)
        for decision in (d for every in made.values() for d in every):
            for column in sorted(gone & json.loads(decision["after"] or "{}").keys()):
                self._lose(decision, origin, column, None)
        tables = [t.drop_columns(sorted(gone & set(t.column_names))) for t in (base, theirs)]
        return tables[0], tables[1]

    def _in_labels_of_now(
        self,
        base: pa.Table,
        theirs: pa.Table,
        before: Version,
        made: Mapping[str, list[Decision]],
        origin: Version,
    ) -> tuple[pa.Table, pa.Table]:
        """Give labels as the label maps of now name them."""
        then, now = label_maps(before.transforms), label_maps(self.onto.transforms)
        if then == now or "label" not in self.rows.column_names:
            return base, theirs
        if now[: len(then)] == then:
            maps = now[len(then) :]
            return _relabelled(base, maps), _relabelled(theirs, maps)
        for decision in (d for every in made.values() for d in every):
            if decision["action"] == "relabel":  # in the words of a map that is no longer there
                self._lose(decision, origin, "label", None)
        return base.drop_columns("label"), theirs.drop_columns("label")

    def is_of_machine(self, clash: Clash, origin: Version) -> bool:
        """Tell whether a cell reads otherwise by a step of the recipe, not by people or sources."""
        if (clash.row_id, clash.column) in self._spoken:
            return False
        if clash.column == WHOLE_ROW:
            return True
        cells = [self._imported(v, clash.row_id).get(clash.column) for v in (origin, self.onto)]
        return bool(cells[0] == cells[1])

    def _imported(self, version: Version, row: str) -> dict[str, Any]:
        root = root_of(self.store, version)
        found = self._roots.setdefault(root.id, {})
        if row not in found:
            found[row] = self.store.find(root, [row]).get(row, {})
        return dict(found[row])

    def decisions(self) -> pa.Table:
        """Give what was done to the rows as decisions, each with the person and the reason."""
        before, _ = aligned([self.store.rows(self.onto), self.rows])
        records = []
        for row, action, was, now in operations(before, self.rows, compare(before, self.rows)):
            told = self._told[row]
            origin = ([d for d in told if d["action"] == action] or told)[-1]
            facts = {n: origin[n] for n in ("issue_type", "score", "partner_id", "reason", "by")}
            records.append({**facts, "row_id": row, "action": action, "step": REVIEWS,
                            "before": was, "after": now})  # fmt: skip
        for lost in self.lost:
            reason = f"does not apply any more ({lost['column']}): {lost['reason']}"
            records.append({"row_id": lost["row_id"], "action": "keep", "step": REVIEWS,
                            "reason": reason, "by": lost["by"] or MACHINE})  # fmt: skip
        return schema.decisions(records)


@dataclass(frozen=True, slots=True)
class _Settling:
    """People over machine: a decision stands if only the recipe changed its cell since.

    The text must read as the person read it, as the decision was about that text.
    """

    put: Putting
    origin: Version
    before: Version
    base: pa.Table
    ours: pa.Table

    def __call__(self, clash: Clash) -> Side | None:
        inputs = task_named(self.before.task).inputs
        if clash.base is None or clash.ours is None or clash.column in inputs:
            return None
        if clash.theirs is None and set(clash.ours) & set(inputs):
            return None
        texts = [self._cells(rows, clash.row_id, inputs) for rows in (self.base, self.ours)]
        if texts[0] != texts[1] or not self.put.is_of_machine(clash, self.before):
            return None
        return "theirs"

    @staticmethod
    def _cells(rows: pa.Table, row: str, names: Sequence[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            rows.filter(pc.equal(rows["id"], row)).select(names).to_pylist()
        )
        return found


def _only_decided(base: pa.Table, theirs: pa.Table, made: Mapping[str, list[Decision]]) -> pa.Table:
    """Give the base's rows with the cells that decisions name as theirs has them."""
    old, new = ({row["id"]: row for row in rows.to_pylist()} for rows in (base, theirs))
    records = []
    for row, decisions in made.items():
        actions = {decision["action"] for decision in decisions}
        if row not in new or "drop" in actions:
            continue
        named = {n for d in decisions for n in json.loads(d["after"] or "{}")} | {"step"}
        whole = row not in old or any(d["after"] is None for d in decisions)
        records.append(new[row] if whole else old[row] | {n: new[row].get(n) for n in named})
    return pa.Table.from_pylist(records, schema=theirs.schema)


def _relabelled(rows: pa.Table, maps: Sequence[Mapping[str, Any]]) -> pa.Table:
    at = rows.schema.get_field_index("label")
    labels = [renamed(label, maps) for label in rows["label"].to_pylist()]
    return rows.set_column(at, rows.schema.field(at), pa.array(labels, pa.string()))


def by_row(decisions: pa.Table, *, people_only: bool = False) -> dict[str, list[Decision]]:
    """Give the decisions that changed a row, by row; perhaps only those people took."""
    found: dict[str, list[Decision]] = {}
    for made in decisions.to_pylist():
        is_wanted = not people_only or made["by"] != MACHINE
        if made["action"] in schema.CHANGING_ACTIONS and is_wanted:
            found.setdefault(made["row_id"], []).append(made)
    return found


def lost_row(
    clash: Clash, origin: Version, told: Mapping[str, Sequence[Decision]]
) -> dict[str, Any]:
    """Write a clash as a row of LOST_SCHEMA: what was decided, on what, and what stands there."""
    every = told.get(clash.row_id, [])
    of_cell = [d for d in every if d["after"] and clash.column in json.loads(d["after"])]
    made = (of_cell or every or [{}])[-1]
    sides = {"decided_on": clash.base, "decided": clash.theirs, "now": clash.ours}
    return {
        "row_id": clash.row_id,
        "column": clash.column,
        "step": origin.step.name,
        "reason": made.get("reason"),
        "by": made.get("by"),
        **{name: _json(cells) for name, cells in sides.items()},
    }


def _json(cells: dict[str, Any] | None) -> str | None:
    if cells is None:
        return None
    return json.dumps(cells, ensure_ascii=False, sort_keys=True, default=str)
