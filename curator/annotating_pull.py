"""Annotations from a Label Studio project as events: what is new, changed, or gone since last time.

The one idea: the server's own clock says what changed, and a map of what was seen says what of that
is new. Events and the place read up to are written together, so a pull that is killed or repeated
gives each event once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import connectors
from curator.annotating_answers import Shown
from curator.annotating_forms import Form
from curator.annotating_log import GONE, Asked, Site, State
from curator.annotating_pages import Answer
from curator.annotating_push import asked_of
from curator.schema import hash_fields

Names = Literal["email", "number"]
FIELDS = (
    "id", "meta", "updated_at", "annotations", "result", "completed_by", "lead_time",
    "was_cancelled", "parent_prediction", "created_at", "total_annotations",
)  # fmt: skip
OVERLAP = timedelta(seconds=5)
"""A task is marked as changed a moment after its annotation is: this much is read again."""
EDITED = timedelta(seconds=1)
"""An annotation that was changed this long after it was made was edited; on making both differ by
microseconds."""


@dataclass(slots=True)
class Pulled:
    """What a pull brought.

    events: New ones, oldest first; foreign: changed tasks that were not pushed by this tool;
    read: tasks that were read.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    foreign: int = 0
    read: int = 0

    def counts(self) -> dict[str, int]:
        """Count the events by kind."""
        kinds = [event["kind"] for event in self.events]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}


def pull(
    site: Site,
    *,
    form: Form,
    labels: frozenset[str],
    names: Names = "email",
    sweep: bool = False,
) -> Pulled:
    """Read what changed since the last pull and keep it.

    Args:
        site: The project.
        form: How its task is asked.
        labels: Keys of all labels that the configuration held.
        names: What stands for an annotator: the e-mail address, or the user's number alone.
        sweep: Also look for tasks that were deleted; they leave no trace otherwise.
    """
    told = Pulled()
    state = site.state
    if not state.asked:
        _take_missing(site, labels)
    tasks = list(_changed(site, (*FIELDS, "data") if form.needs_text else FIELDS))
    told.read = len(tasks)
    rows = state.row_of()
    reading = _Reading(site.log.key, state, form, labels)
    for task in tasks:
        asked = _asked_in(state, rows, task, labels)
        if asked is None:
            told.foreign += 1
            continue
        reading.take(asked, task)
    gone = sorted(rows.keys() - _numbers(site)) if sweep else []
    told.events = sorted(reading.events, key=lambda e: (e["updated_at"], e["annotation"]))
    told.events += [_gone(site.log.key, state.asked[rows[number]]) for number in gone]
    _name(site.studio, told.events, names)
    watermark = max((task["updated_at"] for task in tasks), default=None)
    if told.events or (watermark and watermark != state.watermark):
        site.keep(
            "pulled", events=told.events, seen=reading.seen, unseen=reading.unseen,
            watermark=max(filter(None, (watermark, state.watermark)), default=None),
        )  # fmt: skip
    return told


def _asked_in(
    state: State, rows: Mapping[int, str], task: Mapping[str, Any], labels: frozenset[str]
) -> Asked | None:
    """Give what was asked by a task: one we pushed, or another machine's task about such a row."""
    if task["id"] in rows:
        return state.asked[rows[task["id"]]]
    asked = asked_of(task.get("meta") or {}, task["id"], sorted(labels))
    return asked if asked is not None and asked.row_id in state.asked else None


def _take_missing(site: Site, labels: frozenset[str]) -> None:
    """Learn from the server which tasks are ours, where the log was lost."""
    found = [
        asked
        for task in site.studio.tasks(site.project, ("id", "meta"))
        if (asked := asked_of(task.get("meta") or {}, task["id"], sorted(labels))) is not None
    ]
    if found:
        site.keep("adopted", rows=[asked.as_dict() for asked in found])


def _changed(site: Site, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
    watermark = site.state.watermark
    if watermark is not None:
        since = connectors.studio_time(datetime.fromisoformat(watermark) - OVERLAP)
        filters = [("tasks:updated_at", "greater", "Datetime", since)]
        yield from site.studio.tasks(site.project, fields, filters)
        return
    # The first time only what has answers is read: the rest takes minutes and says nothing.
    passed = set()
    for name in ("tasks:total_annotations", "tasks:cancelled_annotations"):
        for task in site.studio.tasks(site.project, fields, [(name, "greater", "Number", 0)]):
            if task["id"] not in passed:
                passed.add(task["id"])
                yield task


def _numbers(site: Site) -> set[int]:
    return {task["id"] for task in site.studio.tasks(site.project, ("id",))}


class _Reading:
    """Tasks as they stand, against what was seen of them."""

    def __init__(self, key: str, state: State, form: Form, labels: frozenset[str]) -> None:
        self.key, self.state, self.form, self.labels = key, state, form, labels
        self.events: list[dict[str, Any]] = []
        self.seen: list[tuple[int, int, str, str]] = []
        self.unseen: list[int] = []
        self._of_task: dict[int, list[int]] = {}
        for one in state.seen.values():
            self._of_task.setdefault(one.task, []).append(one.id)

    def take(self, asked: Asked, task: Mapping[str, Any]) -> None:
        """Note what is new of a task."""
        there = {found["id"]: found for found in task.get("annotations") or ()}
        for number in self._of_task.get(task["id"], ()):
            before = self.state.seen[number]
            if number not in there or there[number]["created_at"] != before.created:
                self._retract(asked, number, task["updated_at"])
        for number, found in sorted(there.items()):
            known = self.state.seen.get(number)
            facts = (found["created_at"], found["updated_at"])
            if known is not None and (known.created, known.updated) == facts:
                continue
            text = str((task.get("data") or {}).get("text"))
            self.events.append(self._event(asked, found, text))
            self.seen.append((number, task["id"], *facts))

    def _retract(self, asked: Asked, number: int, when: str) -> None:
        before = self.state.seen[number]
        self.unseen.append(number)
        last = next(
            e for e in reversed(self.state.events)
            if (e["annotation"], e["created_at"]) == (number, before.created)
        )  # fmt: skip
        event = {**last, "kind": "retracted", "updated_at": when, "fault": None}
        event["id"] = hash_fields(self.key, number, before.created, "retracted")
        self.events.append({**event, **_of(asked)})

    def _event(self, asked: Asked, found: Mapping[str, Any], text: str) -> dict[str, Any]:
        result = found.get("result") or []
        seen = None if asked.control == "blind" else asked.suggested
        shown = Shown(asked.row_id, asked.given, asked.suggested, seen, self.labels, text)
        read = self.form.read(result, shown)
        answer = read if isinstance(read, Answer) else None
        kind, fault = _kind(found, read)
        created, updated = found["created_at"], found["updated_at"]
        return {
            "id": hash_fields(self.key, found["id"], created, updated, kind),
            "kind": kind,
            "annotation": found["id"],
            "annotator": found["completed_by"],
            "created_at": created,
            "updated_at": updated,
            "lead_time": found.get("lead_time"),
            "accepted": answer is not None and _accepts(answer, seen),
            "decision": answer.decision if answer else None,
            "value": answer.label if answer else None,
            "rating": answer.rating if answer else None,
            "fault": fault,
            "result": result if fault else [],
            **_of(asked),
        }


def _accepts(answer: Answer, seen: str | None) -> bool:
    """Tell whether a suggestion was taken, or marks left as they were."""
    taken = answer.decision == "marked" and answer.label is not None and answer.label == seen
    return answer.decision == "suggested" or taken


def _of(asked: Asked) -> dict[str, Any]:
    return {
        "row_id": asked.row_id, "task": asked.task, "control": asked.control,
        "given": asked.given, "suggested": asked.suggested, "content": asked.content,
        "input": asked.input, "version": asked.version,
    }  # fmt: skip


def _kind(found: Mapping[str, Any], read: Answer | str) -> tuple[str, str | None]:
    """Give the kind of an event, and what is wrong with an invalid one."""
    if found.get("was_cancelled"):
        return "skipped", None
    if not found.get("result"):
        return "empty", None
    if isinstance(read, str):
        return "invalid", read
    created, updated = (datetime.fromisoformat(found[n]) for n in ("created_at", "updated_at"))
    return ("edited" if updated - created > EDITED else "created"), None


def _gone(key: str, asked: Asked) -> dict[str, Any]:
    return {
        "id": hash_fields(key, asked.task, asked.row_id, GONE), "kind": GONE, "annotation": None,
        "annotator": None, "created_at": None, "updated_at": datetime.now(UTC).isoformat(),
        "lead_time": None, "accepted": False, "decision": None, "value": None, "rating": None,
        "fault": None,
        "result": [], **_of(asked),
    }  # fmt: skip


def _name(studio: connectors.Studio, events: Sequence[dict[str, Any]], names: Names) -> None:
    """Put names in the place of user numbers."""
    if not any(isinstance(event["annotator"], int) for event in events):
        return
    known = studio.users() if names == "email" else {}
    for event in events:
        number = event["annotator"]
        if isinstance(number, int):
            event["annotator"] = known.get(number, f"user {number}")
