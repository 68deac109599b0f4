"""What differs between the recipes of two versions, and which rows that explains.

The one idea: walk both histories step by step. Rows may differ only from the first place on where
something that was *stated* differs (an option, a source, code, a model); a step that changed rows
before that place has no cause in the recipe, and is flagged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.about import find_about
from curator.replaying import first_parent_line, model_notes
from curator.versions.changes import compare
from curator.versions.differences import NO_STEP, OPS, operations
from curator.versions.manifest import Version
from curator.versions.refs import RefEntry
from curator.versions.store import Store

What = Literal["source", "step", "order", "option", "code", "model", "environment"]

CAUSE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("op", pa.string(), nullable=False),
        pa.field("step", pa.string()),
        pa.field("side", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("explained", pa.bool_(), nullable=False),
        pa.field("before", pa.string()),
        pa.field("after", pa.string()),
    ]
)
"""One row that differs. side: a, b or both, whose step changed it; explained: whether something in
the recipe differs at that step or before it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is stated otherwise.

    what: source, step (only one side has it), order, option, code, model or environment.
    step: the step concerned; name: the option, library or fact; a, b: as each side states it.
    """

    what: What
    step: str
    name: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class RecipeDiff:
    """How the recipes of two versions differ, and the rows.

    differences: in the order of the steps; environment last, which alone explains no row.
    rows: CAUSE_SCHEMA, sorted by id.
    """

    a: Version
    b: Version
    differences: tuple[Difference, ...]
    rows: pa.Table

    @property
    def flagged(self) -> pa.Table:
        """Rows that differ although nothing stated differs at their step or before it."""
        return self.rows.filter(pc.invert(self.rows["explained"]))

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values; rows counted by step, side, operation and reason."""
        names = ["step", "side", "op", "reason", "explained"]
        counted = self.rows.group_by(names, use_threads=False).aggregate([([], "count_all")])
        causes = counted.rename_columns([*names, "rows"]).to_pylist()
        return {
            "a": self.a.id,
            "b": self.b.id,
            "differences": [
                {name: getattr(d, name) for name in d.__slots__} for d in self.differences
            ],
            "causes": causes,
            "flagged": self.flagged.num_rows,
        }


def recipe_diff(store: Store, a: Version | str, b: Version | str) -> RecipeDiff:
    """Compare what two versions were made by, then their rows by cause.

    Args:
        store: Holds both.
        a: Version, branch or tag.
        b: Another one.

    Raises:
        StoreError: One is not there, or an object is missing or altered.
    """
    old, new = store.version(a), store.version(b)
    lines = [first_parent_line(store, version) for version in (old, new)]
    stated = [*_sources(store, *lines), *_steps(store, *lines)]
    first = _first(stated, *lines)
    return RecipeDiff(
        old, new, (*stated, *_environments(store, *lines)), _rows(store, old, new, lines, first)
    )


def _sources(store: Store, a: Sequence[Version], b: Sequence[Version]) -> list[Difference]:
    first, other = a[0], b[0]
    name = other.step.name
    found = _options("source", name, first.step.options, other.step.options)
    if first.step.version != other.step.version:
        found.append(Difference("code", name, "version", first.step.version, other.step.version))
    if first.content != other.content:
        facts = [f"{v.rows:,} rows, content {v.content[:12]}" for v in (first, other)]
        found.append(Difference("source", name, "delivered rows", *facts))
    runs = [find_about(store, line[-1].id) for line in (a, b)]
    if runs[0] and runs[1]:
        told = [[f"{s.address} ({s.records:,} records)" for s in r.sources] for r in runs if r]
        if told[0] != told[1]:
            found.append(Difference("source", name, "addresses", *told))
    return found


def _steps(store: Store, a: Sequence[Version], b: Sequence[Version]) -> list[Difference]:
    models = model_notes(store)
    sides = [dict(zip(_names(line), line, strict=True)) for line in (a, b)]
    for side, line in zip(sides, (a, b), strict=True):
        del side[_names(line)[0]]
    names = [list(side) for side in sides]
    found = []
    for name in dict.fromkeys([*names[1], *names[0]]):
        one, other = (side.get(name) for side in sides)
        if one is None or other is None:
            options = [v.step.options if v else None for v in (one, other)]
            found.append(Difference("step", name, "in the recipe", *options))
            continue
        found += _options("option", name, one.step.options, other.step.options)
        if one.step.version != other.step.version:
            found.append(Difference("code", name, "version", one.step.version, other.step.version))
        found += _models(name, models.get(one.id), models.get(other.id))
    shared = [[name for name in side if name in sides[0] and name in sides[1]] for side in names]
    if shared[0] != shared[1]:
        moved = next(y for x, y in zip(*shared, strict=True) if x != y)
        found.append(Difference("order", moved, "steps", *shared))
    return found


def _options(what: What, step: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    return [
        Difference(what, step, name, a.get(name), b.get(name))
        for name in dict.fromkeys([*a, *b])
        if a.get(name) != b.get(name)
    ]


def _models(
    step: str, a: Mapping[str, str] | None, b: Mapping[str, str] | None
) -> list[Difference]:
    if a is None and b is None:
        return []
    if a is None or b is None:  # recorded on one side only: cannot be told apart
        told = [side["revision"] if side else "not recorded" for side in (a, b)]
        return [Difference("model", step, "revision", *told)]
    return _options("model", step, a, b)


def _environments(store: Store, a: Sequence[Version], b: Sequence[Version]) -> list[Difference]:
    """Compare Python, platform and libraries, step by step, each difference named once."""
    entries = store.first_entries()
    found: dict[str, Difference] = {}
    for one, other in zip_longest(a, b, fillvalue=None):
        if one is None or other is None or one.id == other.id:
            continue
        sides = [_environment(entries.get(version.id)) for version in (one, other)]
        if all(sides):
            for difference in _options("environment", other.step.name, *sides):
                found.setdefault(difference.name, difference)
    return list(found.values())


def _environment(entry: RefEntry | None) -> dict[str, Any]:
    if entry is None:
        return {}
    facts = {"python": entry.environment["python"], "platform": entry.environment["platform"]}
    return {**facts, **entry.environment["libraries"]}


def _names(line: Sequence[Version]) -> list[str]:
    """Name the steps of a line; a name that stands twice gets a number, as `edits (2)`."""
    seen: dict[str, int] = {}
    names = []
    for version in line:
        name = version.step.name
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _first(
    stated: Sequence[Difference], a: Sequence[Version], b: Sequence[Version]
) -> tuple[int, int]:
    """Give for each side the place in its line from which on rows may differ."""
    # A source that delivers the same rows from another place explains none.
    alike = a[0].content == b[0].content
    named = {d.step for d in stated if not (alike and d.what == "source")}
    places = []
    for line in (a, b):
        at = [i for i, name in enumerate(_names(line)) if name in named]
        places.append(min(at, default=len(line)))
    # A step that only one side has lets the other side's rows differ from that place on too.
    earliest = min(places)
    return min(places[0], earliest), min(places[1], earliest)


def _rows(
    store: Store,
    old: Version,
    new: Version,
    lines: Sequence[Sequence[Version]],
    first: tuple[int, int],
) -> pa.Table:
    before, after = store.rows(old), store.rows(new)
    known = [{version.id for version in store.ancestry(version)} for version in (old, new)]
    told = {}
    for side, name in enumerate("ab"):
        own = [v for v in store.ancestry((old, new)[side]) if v.id not in known[1 - side]]
        places = {version.id: i for i, version in enumerate(lines[side])}
        told[name] = _decided(store, own[::-1], places, first[side])
    records = []
    for row, action, was, now in sorted(
        operations(before, after, compare(before, after)), key=lambda op: op[:2]
    ):
        here, there = (told[name].get(row, []) for name in "ab")
        # What both sides did alike is no cause of a difference.
        apart = [("a", said) for said in here if said not in there]
        apart += [("b", said) for said in there if said not in here]
        speaking = apart or [("a", said) for said in here] + [("b", said) for said in there]
        records.append(_cause(row, action, was, now, speaking, sourced=first == (0, 0)))
    return pa.Table.from_pylist(records, schema=CAUSE_SCHEMA)


@dataclass(frozen=True, slots=True)
class _Said:
    step: str
    reason: str
    after: str | None
    explained: bool


def _decided(
    store: Store, own: Sequence[Version], places: Mapping[str, int], first: int
) -> dict[str, list[_Said]]:
    found: dict[str, list[_Said]] = {}
    for version in own:
        # A version off the first-parent line came by a merge, which is stated on the line.
        explained = places.get(version.id, first) >= first
        made = store.decisions(version)
        changing = pc.is_in(made["action"], pa.array(schema.CHANGING_ACTIONS))
        for decision in made.filter(changing).to_pylist():
            said = _Said(decision["step"], decision["reason"], decision["after"], explained)
            found.setdefault(decision["row_id"], []).append(said)
    return found


def _cause(
    row: str,
    action: str,
    was: str | None,
    now: str | None,
    speaking: Sequence[tuple[str, _Said]],
    *,
    sourced: bool,
) -> dict[str, Any]:
    sides = sorted({name for name, _ in speaking})
    steps = list(dict.fromkeys(said.step for _, said in speaking))
    reasons = list(dict.fromkeys(said.reason for _, said in speaking))
    return {
        "id": row,
        "op": OPS[action],
        "step": " + ".join(steps) or ("import" if sourced else None),
        "side": "both" if len(sides) != 1 else sides[0],
        "reason": "; ".join(reasons) or ("delivered otherwise" if sourced else NO_STEP),
        "explained": all(said.explained for _, said in speaking) if speaking else sourced,
        "before": was,
        "after": now,
    }
