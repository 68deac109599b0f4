"""Why a row is as it is: everything that ever happened to it, oldest first.

The one idea: nothing is recorded for this question alone. Imports hold the row, each version holds
what its step found and decided, branches hold every version they ever pointed at; `why` only reads
them along the line of versions that leads to where the row stands, or last stood.
"""

from __future__ import annotations

import difflib
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from curator.errors import StoreError
from curator.schema import PROVENANCE
from curator.tasks import action_of, said_in, taught_in
from curator.versions.listing import after, in_time
from curator.versions.lookup import Reader, find_rows, rows_with
from curator.versions.manifest import Version
from curator.versions.parts import Layout
from curator.versions.refs import HEADS, names

if TYPE_CHECKING:
    from curator.versions.store import Store

EventKind = Literal[
    "imported", "redelivered", "withdrawn",
    "added", "dropped", "edited", "relabelled", "weighted", "kept", "flagged", "rejected",
]  # fmt: skip
Where = Literal["present", "dropped", "withdrawn", "rejected", "elsewhere"]

_KINDS: dict[str, EventKind] = {
    "add": "added",
    "drop": "dropped",
    "edit": "edited",
    "relabel": "relabelled",
    "weight": "weighted",
    "keep": "kept",
    "reject": "rejected",
}
_UNDONE = ("drop", "keep")  # a suggestion was not followed; elsewhere the change itself says it
CHANGES: tuple[EventKind, ...] = ("added", "dropped", "edited", "relabelled", "weighted")
"""Kinds of event in which a step changed the row."""

_OURS = {"id", "group", "weight", "source", "source_row", "parent", "step"}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a row.

    version: the version it happened in; time: when a branch first pointed there, ISO 8601 UTC.
    step: the step that did it, `import` for a delivery; reason, by: as decided.
    score, issue_type, evidence, suggestion: of the finding behind it; higher scores are more
        suspicious.
    partner_id, partner_text: the row it was compared with, as it read then.
    before, after: the columns that changed.
    source, source_row: where a delivery held it; the first record is 0.
    """

    kind: EventKind
    version: str
    time: str | None
    step: str
    reason: str | None = None
    by: str | None = None
    score: float | None = None
    issue_type: str | None = None
    evidence: str | None = None
    suggestion: str | None = None
    partner_id: str | None = None
    partner_text: str | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    source: str | None = None
    source_row: int | None = None


@dataclass(frozen=True, slots=True)
class Child:
    """A row that was made from the row: its id, the step that made it, whether it stands now."""

    row_id: str
    step: str
    present: bool


@dataclass(frozen=True, slots=True)
class State:
    """Where a row stands, seen from a branch.

    where: present in the branch's head, dropped by a step, withdrawn by the source, rejected before
        it became a row, or elsewhere: only in versions the head does not descend from.
    branch, version: the branch and its head; line: the version whose history is told, which is the
        head unless the row never came there; line_branch: the branch that line is from.
    text, label, split, weight: now, or as they last were; None for a candidate that left none. The
        label is what the row teaches: an answer, spans or a list of labels in other tasks.
    task: whose row it is.
    """

    where: Where
    branch: str
    version: str
    line: str
    line_branch: str
    text: str | None
    label: str | None
    split: str | None
    weight: float | None
    task: str = "classification"


@dataclass(frozen=True, slots=True)
class History:
    """The whole history of a row.

    source, source_row: address and record number (the first is 0) it was first imported from; None
        for a row made by a step.
    parent, parent_text: the row it was made from; augmenter: what made it, where recorded.
    events: oldest first; steps: the steps that ran since it came in, oldest first.
    children: rows made from it; kept_over: rows that were dropped with it as their partner.
    """

    row_id: str
    source: str | None
    source_row: int | None
    parent: str | None
    parent_text: str | None
    augmenter: str | None
    events: tuple[Event, ...]
    steps: tuple[str, ...]
    state: State
    children: tuple[Child, ...]
    kept_over: tuple[str, ...]


def to_json(history: History) -> dict[str, Any]:
    """Give a history as plain JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(history), default=str))
    return plain


def why(store: Store, row: str, *, branch: str | None = None) -> History:
    """Tell the whole history of a row, seen from a branch.

    Args:
        store: The store.
        row: Id of a row, or a prefix that only one row has.
        branch: The branch to look from; by default main, or where there is none the branch that
            moved last (the state names it).

    Raises:
        StoreError: No row was ever called so (names the nearest), several start so, or there is no
            such branch.
    """
    return _Teller(store, branch).tell(row)


class _Teller:
    """What one `why` has read, so that nothing is read twice."""

    def __init__(self, store: Store, branch: str | None) -> None:
        self.store = store
        self.moves = sorted(
            ((e, name) for name in names(store.folder, HEADS) for e in store.entries(name)),
            key=lambda move: (move[0].time, move[1], move[0].number),
        )
        if not self.moves:
            raise StoreError("this store holds no version yet: `curator run RECIPE` makes some")
        known = {name for _, name in self.moves}
        fallback = "main" if "main" in known else self.moves[-1][1]
        self.branch = fallback if branch is None else branch
        self.head = store.head(self.branch)
        self.times = {v: e.time for v, e in store.first_entries().items()}
        self._lines: dict[str, list[Version]] = {}
        self._versions: dict[str, Version] = {}
        self._made: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._reader = Reader(store.folder)
        self._layouts: dict[str, Layout] = {}

    def line(self, version: str) -> list[Version]:
        """Give a version and all before it, oldest first, on all branches merged into it."""
        if version not in self._lines:
            line = self.store.ancestry(version, known=self._versions)
            self._lines[version] = in_time(line[::-1], self.times)
        return self._lines[version]

    def layout(self, version: str) -> Layout:
        """Give the layout of a version."""
        if version not in self._layouts:
            self._layouts[version] = self.store.layout(version)
        return self._layouts[version]

    def find(self, version: str, rows: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Find rows of a version by id; absent ones are left out."""
        return find_rows(self._reader, self.layout(version), rows)

    def decisions(self, version: str) -> pa.Table:
        """Read what the step of a version decided."""
        return self._reader.file(self.layout(version).decisions).read()

    def every(self) -> dict[str, Version]:
        """Give every version that a branch or tag ever led to."""
        tips = [*(entry.version for entry, _ in self.moves), *self.store.tags().values()]
        found: dict[str, Version] = {}
        for tip in reversed(tips):  # the newest lead to most of the others
            if tip not in found:
                found |= {version.id: version for version in self.line(tip)}
        return found

    def tell(self, row: str) -> History:
        bringers = self._bringers(row)
        if not bringers:
            row = self._completed(row)
            bringers = self._bringers(row)
        line, line_branch = self._line_with(bringers)
        origin = next(v for v in line if v.id in bringers)
        first = self.find(origin.id, [row]).get(row, {})
        events = tuple(self._events(row, line, origin, line_branch))
        last = self._last(row, line) or _candidate(events)
        state = self._state(row, line, line_branch, events, last)
        parent = first.get("parent") or last.get("parent")
        return History(
            row_id=row,
            source=events[0].source,
            source_row=events[0].source_row,
            parent=parent,
            parent_text=self._text(origin, parent),
            augmenter=first.get("augmenter") or last.get("augmenter"),
            events=events,
            steps=tuple(v.step.name for v in after(origin, line)),
            state=state,
            children=tuple(self._children(row, line)),
            kept_over=tuple(dict.fromkeys(self._kept_over(row, line))),
        )

    def _bringers(self, row: str) -> set[str]:
        """Find the versions that brought a row: imports that hold it, steps that made it."""
        found = set()
        for version in self.every().values():
            if not version.parents:
                if self.find(version.id, [row]):
                    found.add(version.id)
            elif any(d["action"] in ("add", "reject") for d in self._decided(version, row)):
                found.add(version.id)
        return found

    def _decided(self, version: Version, row: str) -> list[dict[str, Any]]:
        if (version.id, row) not in self._made:
            file = self._reader.file(self.layout(version.id).decisions)
            self._made[version.id, row] = rows_with(file, "row_id", row).to_pylist()
        return self._made[version.id, row]

    def _line_with(self, bringers: set[str]) -> tuple[list[Version], str]:
        line = self.line(self.head.id)
        if any(v.id in bringers for v in line):
            return line, self.branch
        for entry, name in reversed(self.moves):
            line = self.line(entry.version)
            if any(v.id in bringers for v in line):
                return line, name
        tip = next(t for t in self.store.tags().values() if bringers & {v.id for v in self.line(t)})
        return self.line(tip), self.branch

    def _events(
        self, row: str, line: list[Version], origin: Version, line_branch: str
    ) -> Iterator[Event]:
        deliveries = self._deliveries(line_branch)
        roots = [v for v in line if not v.parents]
        at = min((i for i, d in enumerate(deliveries) if d in roots), default=0)
        yield from self._delivered(row, [*deliveries[:at], *roots])
        for version in line:
            if version.parents:
                yield from self._stepped(row, version)
        later = [d for d in self._deliveries(self.branch)[at + 1 :] if d not in roots]
        if not origin.parents and line[-1].id != self.head.id and line_branch == self.branch:
            gone = (d for d in later if not self.find(d.id, [row]))
            yield from (self._event("withdrawn", d) for d in list(gone)[:1])

    def _deliveries(self, branch: str) -> list[Version]:
        """Give the import versions a branch ever led to, in the order it did."""
        found: dict[str, Version] = {}
        for entry, name in self.moves:
            if name == branch:
                found |= {v.id: v for v in self.line(entry.version) if not v.parents}
        return list(found.values())

    def _delivered(self, row: str, deliveries: Sequence[Version]) -> Iterator[Event]:
        last: dict[str, Any] | None = None
        for version in deliveries:
            now = self.find(version.id, [row]).get(row)
            if now is None and last is not None:
                yield self._event("withdrawn", version)
            elif now is not None and last is None:
                yield self._event("imported", version, **_place(now))
            elif now is not None and last is not None:
                names = sorted(n for n in {*now, *last} - _OURS if now.get(n) != last.get(n))
                before, after = ({n: side.get(n) for n in names} or None for side in (last, now))
                yield self._event("redelivered", version, before=before, after=after, **_place(now))
            last = now or last

    def _stepped(self, row: str, version: Version) -> Iterator[Event]:
        decided = self._decided(version, row)
        found = rows_with(self._reader.file(self.layout(version.id).findings), "row_id", row)
        doubts = found.filter(found["flagged"]).to_pylist()
        for made in decided:
            of_it = (d for d in doubts if d["issue_type"] == made["issue_type"])
            behind: dict[str, Any] = next(of_it, {})
            yield self._event(
                _KINDS.get(made["action"], "kept"),
                version,
                step=made["step"],
                reason=made["reason"],
                by=made["by"],
                score=made["score"],
                issue_type=made["issue_type"],
                evidence=behind.get("evidence"),
                suggestion=behind.get("suggestion") if made["action"] in _UNDONE else None,
                partner_id=made["partner_id"],
                partner_text=self._text(version, made["partner_id"]),
                **self._sides(row, version, made),
            )
        settled = {made["issue_type"] for made in decided}
        for doubt in doubts:
            if doubt["issue_type"] not in settled:
                yield self._event(
                    "flagged",
                    version,
                    reason=doubt["evidence"],
                    by=doubt["check"],
                    score=doubt["score"],
                    issue_type=doubt["issue_type"],
                    suggestion=doubt["suggestion"],
                    partner_id=doubt["partner_id"],
                    partner_text=self._text(version, doubt["partner_id"]),
                )

    def _sides(self, row: str, version: Version, made: dict[str, Any]) -> dict[str, Any]:
        """Give what a decision says of before and after, or else what the stored rows show."""
        told = {side: _cells(made[side]) for side in ("before", "after")}
        if any(told.values()) or made["action"] not in ("edit", "relabel", "weight"):
            return told
        stored = [self.find(v, [row]).get(row, {}) for v in (version.parents[0], version.id)]
        names = [
            name
            for name in dict.fromkeys([*stored[0], *stored[1]])
            if stored[0].get(name) != stored[1].get(name)
            and name not in PROVENANCE
            and action_of(name, [*stored[0], *stored[1]]) == made["action"]
        ]
        sides = ({name: cells.get(name) for name in names} for cells in stored)
        return dict(zip(("before", "after"), sides, strict=True))

    def _event(self, kind: EventKind, version: Version, **facts: Any) -> Event:
        told = {"step": version.step.name, **facts}
        return Event(kind=kind, version=version.id, time=self.times.get(version.id), **told)

    def _text(self, version: Version, row: str | None) -> str | None:
        """Give the text of a row as a step saw it: before the step, else after it."""
        if row is None:
            return None
        for where in (*version.parents[:1], version.id):
            if found := self.find(where, [row]):
                return said_in(found[row])
        return None

    def _last(self, row: str, line: list[Version]) -> dict[str, Any]:
        for version in reversed(line):
            if found := self.find(version.id, [row]):
                return found[row]
        return {}

    def _state(
        self,
        row: str,
        line: list[Version],
        line_branch: str,
        events: tuple[Event, ...],
        last: dict[str, Any],
    ) -> State:
        return State(
            where=self._where(row, line, events),
            branch=self.branch,
            version=self.head.id,
            line=line[-1].id,
            line_branch=line_branch,
            text=said_in(last),
            label=taught_in(last),
            split=last.get("split"),
            weight=last.get("weight"),
            task=self.head.task,
        )

    def _where(self, row: str, line: list[Version], events: tuple[Event, ...]) -> Where:
        if self.find(self.head.id, [row]):
            return "present"
        kinds = {event.kind for event in events}
        if events[-1].kind == "withdrawn":
            return "withdrawn"
        if line[-1].id != self.head.id:
            return "elsewhere"
        return "rejected" if "rejected" in kinds and "added" not in kinds else "dropped"

    def _children(self, row: str, line: list[Version]) -> Iterator[Child]:
        stored = {part.object for version in line for part in self.layout(version.id).parts}
        made: dict[str, str] = {}
        for name in sorted(stored):
            file = self._reader.file(name)
            of_row = pc.equal(file.read(columns=["parent"])["parent"], row)
            if pc.any(of_row).as_py():
                ids = file.read(columns=["id"])["id"]
                made |= dict.fromkeys(ids.filter(of_row).to_pylist(), "")
        for version in line if made else ():
            added = self.decisions(version.id)
            added = added.filter(pc.equal(added["action"], "add")).select(["row_id", "step"])
            for d in added.to_pylist():  # the first one made it, a merge only brought it along
                if made.get(d["row_id"]) == "":
                    made[d["row_id"]] = d["step"]
        present = self.find(line[-1].id, list(made))
        yield from (Child(child, step, child in present) for child, step in sorted(made.items()))

    def _kept_over(self, row: str, line: list[Version]) -> Iterator[str]:
        for version in line:
            file = self._reader.file(self.layout(version.id).decisions)
            partners = file.read(columns=["partner_id"])["partner_id"]
            if not pc.any(pc.equal(partners, row)).as_py():
                continue
            made = self.decisions(version.id)
            here = pc.and_(pc.equal(made["partner_id"], row), pc.equal(made["action"], "drop"))
            yield from made["row_id"].filter(pc.fill_null(here, False)).to_pylist()  # noqa: FBT003 - the fill value

    def _completed(self, start: str) -> str:
        """Give the one id that starts so."""
        every = sorted(self._every_id())
        at = bisect_left(every, start)
        found = []
        while start and at < len(every) and every[at].startswith(start):
            found.append(every[at])
            at += 1
        if len(found) == 1:
            return found[0]
        if found:
            shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if found[5:] else "")
            raise StoreError(f"{len(found)} rows have an id that starts with {start!r}: {shown}")
        raise StoreError(
            f"no row was ever called {start!r}, on any branch; the nearest ids are "
            f"{', '.join(_nearest(start, every)) or 'none'}; a key of your own is found by "
            "`curator rows main --where \"COLUMN = 'KEY'\"`"
        )

    def _every_id(self) -> set[str]:
        stored, ids = set(), set()
        for version in self.every().values():
            stored |= {part.object for part in self.layout(version.id).parts}
            ids |= set(self.decisions(version.id)["row_id"].to_pylist())
        for name in stored:
            ids |= set(self._reader.file(name).read(columns=["id"])["id"].to_pylist())
        return ids


def _place(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("source", "source_row")}


def _cells(text: str | None) -> dict[str, Any] | None:
    return None if text is None else dict(json.loads(text))


def _candidate(events: Iterable[Event]) -> dict[str, Any]:
    """Give what a refused candidate said of itself, where its decision recorded it."""
    said: dict[str, Any] = {}
    for event in events:
        said |= event.after or event.before or {}
    return said


def _nearest(name: str, every: Sequence[str]) -> list[str]:
    """Give the three most alike of the ids that share the longest start or end with a name."""
    ends = sorted(row[::-1] for row in every)
    at, back = bisect_left(every, name), bisect_left(ends, name[::-1])
    near = {*every[max(0, at - 3) : at + 3], *(e[::-1] for e in ends[max(0, back - 3) : back + 3])}
    return difflib.get_close_matches(name, sorted(near), n=3, cutoff=0.0)
