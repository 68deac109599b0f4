"""What was pushed to annotators and what came back: an append-only log per project, in the store.

The one idea: entries are numbered and create-only, so an event and the place up to which the server
was read are kept together or not at all, and of two writers one is told that it was second. All
state is this log, folded. Where the log is lost, the server's own tasks say nearly all of it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import connectors
from curator.annotating_ranking import Control
from curator.errors import StoreError
from curator.schema import hash_fields
from curator.versions.store import Store

PROJECTS = "annotation-projects"
GONE = "task_deleted"
"""Kind of the event that says that a task is no longer on the server."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A row as it was given to annotators.

    task: Number of the task on the server; None while it is not known.
    given, suggested: Keys of the labels as shown, or for a blind control what was not shown.
    content: content hash of the row then; input: hash of its text alone.
    version: The version it was pushed from.
    """

    row_id: str
    control: Control
    given: str
    suggested: str | None
    content: str
    input: str
    version: str
    priority: float
    task: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Annotated:
    """One annotation as it was last seen: enough to tell whether it is new, changed or gone."""

    id: int
    task: int
    created: str
    updated: str


@dataclass(slots=True)
class State:
    """What the log says.

    asked: Rows on the server, by row id; unsure: rows of requests whose end is not known.
    gone: Row ids whose tasks somebody deleted.
    seen: Annotations by their number.
    events: All events, oldest first; watermark: the server's time up to which they were read.
    last: Number of the last entry; sent: when the last request went out, seconds since 1970.
    labels: Keys of all labels that the configuration had.
    """

    asked: dict[str, Asked] = field(default_factory=dict)
    unsure: dict[str, Asked] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    seen: dict[int, Annotated] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    watermark: str | None = None
    last: int = 0
    sent: float = 0.0
    labels: frozenset[str] = frozenset()

    def row_of(self) -> dict[int, str]:
        """Give the row id of each task."""
        return {a.task: row for row, a in self.asked.items() if a.task is not None}


class Log:
    """The log of one project of a server."""

    def __init__(self, store: Store, key: str) -> None:
        self.store, self.key = store, key
        self.kind = f"annotation-{key}"

    def fold(self) -> State:
        """Read the whole log."""
        state = State()
        for entry in sorted(self.store.records(self.kind), key=lambda e: e["number"]):
            _fold(state, entry)
        return state

    def append(self, state: State, kind: str, **values: Any) -> None:
        """Add an entry after the last one that was read, and fold it in.

        Raises:
            StoreError: Another process wrote there first.
        """
        number = state.last + 1
        now = datetime.now(UTC)
        entry = {
            "number": number, "kind": kind, "author": self.store.author, "at": now.timestamp(),
            **values,
        }  # fmt: skip
        if not self.store.record(self.kind, f"{number:08d}", entry):
            raise StoreError(
                f"another process pushes to or pulls from project {self.key} at this moment; "
                "nothing is lost or doubled: run again when it is done"
            )
        _fold(state, entry)


@dataclass(frozen=True, slots=True)
class Site:
    """A project as one command works with it.

    studio: The server; project: number of the project there; log and state: they go on.
    """

    studio: connectors.Studio
    project: int
    log: Log
    state: State

    def keep(self, kind: str, **values: Any) -> None:
        """Add an entry to the log."""
        self.log.append(self.state, kind, **values)


def _fold(state: State, entry: Mapping[str, Any]) -> None:
    state.last = entry["number"]
    rows = [Asked(**row) for row in entry.get("rows", ())]
    if entry["kind"] == "sending":
        state.unsure |= {row.row_id: row for row in rows}
        state.sent = entry["at"]
    elif entry["kind"] in ("sent", "adopted"):
        state.asked |= {row.row_id: row for row in rows}
        for row in rows:
            state.unsure.pop(row.row_id, None)
            state.gone.discard(row.row_id)
    elif entry["kind"] == "not-sent":
        for row_id in entry["row_ids"]:
            state.unsure.pop(row_id, None)
    elif entry["kind"] == "gone":
        _forget(state, entry["row_ids"])
    elif entry["kind"] == "labels":
        state.labels = frozenset(entry["labels"])
    elif entry["kind"] == "pulled":
        _take_events(state, entry)


def _forget(state: State, row_ids: Sequence[str]) -> None:
    state.gone |= set(row_ids)
    for row_id in row_ids:
        state.asked.pop(row_id, None)


def _take_events(state: State, entry: Mapping[str, Any]) -> None:
    state.events += entry["events"]
    for number, task, created, updated in entry["seen"]:
        state.seen[number] = Annotated(number, task, created, updated)
    for number in entry["unseen"]:
        state.seen.pop(number, None)
    state.watermark = entry["watermark"] or state.watermark
    _forget(state, [e["row_id"] for e in entry["events"] if e["kind"] == GONE])


def keep_labels(site: Site, labels: Sequence[str]) -> None:
    """Remember which labels the configuration has."""
    if site.state.labels != frozenset(labels):
        site.keep("labels", labels=list(labels))


def key_of(created: str, number: int) -> str:
    """Name a project for good: its address may change, and a server gives numbers out again."""
    return hash_fields(created, number)[:16]


def keep_project(store: Store, key: str, url: str, found: connectors.StudioProject) -> None:
    """Remember that a project exists, so that it is known when its server is not asked."""
    facts = {"url": url, "project": found.id, "title": found.title, "created": found.created}
    store.record(PROJECTS, key, {"key": key, **facts})


def known_projects(store: Store) -> list[dict[str, Any]]:
    """Give the projects that this store pushed to, the oldest first."""
    return sorted(store.records(PROJECTS), key=lambda p: (p["created"], p["key"]))


def current_answers(state: State) -> Iterator[dict[str, Any]]:
    """Give the event that holds of each annotation, oldest first; no retracted ones."""
    latest: dict[tuple[Any, Any], dict[str, Any]] = {}
    for event in state.events:
        if event["annotation"] is not None:
            place = (event["annotation"], event["created_at"])
            latest.pop(place, None)
            latest[place] = event
    yield from (event for event in latest.values() if event["kind"] != "retracted")
