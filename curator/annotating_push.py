"""Rows to a Label Studio project, each once: look what is there, send what is not, count it.

The one idea: the server has no "insert unless there", loses predictions without a word and may
carry out a request whose sender is long dead. So every push begins with what the server holds, an
intent is written down before a request and waited out after a crash, and what came back is counted.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import connectors
from curator.annotating_answers import SIDE
from curator.annotating_log import Asked, Site, State
from curator.annotating_ranking import control_of, hint_of, label_of, mark_of
from curator.errors import StoreError
from curator.progress import SILENT, Progress

FIELDS = (
    "id", "meta", "total_predictions", "total_annotations", "cancelled_annotations",
    "draft_exists",
)  # fmt: skip
SETTLE_S = 60.0
"""How long a request of a killed push may still be carried out: the server retries for so long."""
_POLL_S = 1.0
_SAY_EVERY_S = 15.0

Marks = Sequence[Mapping[str, Any]]
"""Results of a prediction: what a page has marked beforehand."""


@dataclass(frozen=True, slots=True)
class Task:
    """A row to be asked: what is remembered of it, the data of its page, and marks on it."""

    asked: Asked
    data: Mapping[str, Any]
    marks: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A task on the server: predictions it has, and whether a person has begun with it."""

    id: int
    meta: Mapping[str, Any]
    predictions: int
    is_touched: bool


@dataclass(slots=True)
class Pushed:
    """What a push came to, in tasks.

    created: made now; unchanged: were there; updated: untouched ones whose row changed; held:
        likewise, but somebody has begun with them; adopted: found on the server and not in the log.
    repaired: got the prediction back that the server had lost; deleted: doubles nobody had touched.
    doubles: row ids with several tasks that people have answered; foreign: tasks of others.
    strange: tasks of ours about rows that the version does not hold.
    gone: tasks that somebody deleted and that stay so; requests: imports sent.
    waited_s: how long a request of a push that was cut short was waited for, seconds.
    """

    created: int = 0
    unchanged: int = 0
    updated: int = 0
    held: int = 0
    adopted: int = 0
    repaired: int = 0
    deleted: int = 0
    doubles: list[str] = field(default_factory=list)
    foreign: int = 0
    strange: int = 0
    gone: int = 0
    requests: int = 0
    waited_s: float = 0.0


@contextmanager
def one_pusher(folder: Path, key: str) -> Iterator[None]:
    """Hold the lock of a project; it falls with the process, however that ends.

    Raises:
        StoreError: Another push to this project is at work on this machine.
    """
    path = folder / "annotation" / f"{key}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            raise StoreError(
                "another push to this project is at work; two at once could double tasks: wait for "
                "it, or end it"
            ) from fault
        yield


def meta_of(asked: Asked) -> dict[str, Any]:
    """Give what a task carries so that it can be known again, without giving controls away."""
    # A side of a preference is no secret: nobody sees which of the two was preferred.
    is_shown = asked.control != "blind" or str(asked.suggested).startswith(SIDE)
    return {
        "row_id": asked.row_id,
        "version": asked.version,
        "content": asked.content,
        "input": asked.input,
        "given": asked.given,
        "suggested": asked.suggested if is_shown else None,
        "mark": mark_of(asked.row_id, asked.control),
        "hint": hint_of(asked.row_id, asked.suggested),
        "priority": asked.priority,
    }


def asked_of(meta: Mapping[str, Any], task: int, labels: Sequence[str]) -> Asked | None:
    """Read back what a task carries; None where it is none of ours."""
    if not isinstance(meta.get("row_id"), str) or "mark" not in meta:
        return None
    row_id = meta["row_id"]
    control = control_of(row_id, str(meta["mark"]))
    able = [*labels, str(meta.get("given"))]
    hidden = label_of(row_id, str(meta.get("hint")), able) if control == "blind" else None
    return Asked(
        row_id=row_id,
        control=control,
        given=str(meta.get("given")),
        suggested=meta.get("suggested") or hidden,
        content=str(meta.get("content")),
        input=str(meta.get("input")),
        version=str(meta.get("version")),
        priority=float(meta.get("priority") or 0.0),
        task=task,
    )


def reconcile(
    site: Site,
    *,
    labels: Sequence[str],
    settle_s: float = SETTLE_S,
    progress: Progress = SILENT,
) -> tuple[dict[str, Found], Pushed]:
    """Bring the log and the server together before anything is sent.

    Args:
        site: The project.
        labels: Keys of all labels, to read back what blind tasks hide.
        settle_s: How long after it was sent a request is given to be carried out, seconds.
        progress: Told when a request is waited for.

    Returns:
        The task of each row, and what was mended.
    """
    start = time.monotonic()
    held, foreign = _settled(site, settle_s, progress)
    told = Pushed(foreign=foreign, waited_s=round(time.monotonic() - start, 1))
    found = {row: _only(site.studio, row, tasks, told) for row, tasks in held.items()}
    lost = {row for row, asked in site.state.asked.items() if row not in found}
    if lost:
        site.keep("gone", row_ids=sorted(lost))
    told.adopted, told.gone = _adopt(site, found, labels), len(site.state.gone)
    return found, told


def _settled(site: Site, settle_s: float, progress: Progress) -> tuple[dict[str, list[Found]], int]:
    """List tasks once the end of every request that was sent is known."""
    held, foreign = _list(site)
    said = None
    while missing := sorted(site.state.unsure.keys() - held.keys()):
        left = site.state.sent + settle_s - time.time()
        if left <= 0:
            site.keep("not-sent", row_ids=missing)
            break
        if said is None or said - left >= _SAY_EVERY_S:
            said = left
            progress.say(
                f"  the last push was cut short, and the server may still make {len(missing):,} of "
                f"its tasks: waiting {left:.0f} s more at most (--settle says how long)"
            )
        time.sleep(min(_POLL_S, left))
        held, foreign = _list(site)
    return held, foreign


def _adopt(site: Site, found: Mapping[str, Found], labels: Sequence[str]) -> int:
    """Take tasks into the log that it does not know, or knows by another number; gives how many."""
    new = [
        asked
        for row, one in found.items()
        if _task_of(site.state, row) != one.id
        and (asked := asked_of(one.meta, one.id, labels)) is not None
    ]
    if new:
        site.keep("adopted", rows=[asked.as_dict() for asked in new])
    return len(new)


def sweep_doubles(
    site: Site, before: Mapping[str, Found], told: Pushed, *, labels: Sequence[str]
) -> None:
    """Undo what a push from another machine doubled in the meantime.

    Whoever pushes later sees both tasks of a row, and all choose the same one to stay: one that
    people began with, else the older one. Nothing with answers is deleted.

    Args:
        site: The project.
        before: What was there when this push began.
        told: Counts; go on.
        labels: Keys of all labels.
    """
    if not told.created:
        return
    last = max((one.id for one in before.values()), default=0)
    held, _ = _list(site, [("tasks:id", "greater", "Number", last)])
    doubled = {row: tasks for row, tasks in held.items() if len(tasks) > 1 or row in before}
    found = {
        row: _only(site.studio, row, [*tasks, *([before[row]] if row in before else [])], told)
        for row, tasks in doubled.items()
    }
    _adopt(site, found, labels)


def _task_of(state: State, row: str) -> int | None:
    return state.asked[row].task if row in state.asked else None


def _list(
    site: Site, filters: Sequence[tuple[str, str, str, Any]] = ()
) -> tuple[dict[str, list[Found]], int]:
    held: dict[str, list[Found]] = {}
    foreign = 0
    for task in site.studio.tasks(site.project, FIELDS, filters):
        meta = task.get("meta") or {}
        if asked_of(meta, task["id"], ()) is None:
            foreign += 1
            continue
        one = Found(task["id"], meta, task.get("total_predictions") or 0, _is_touched(task))
        held.setdefault(meta["row_id"], []).append(one)
    return held, foreign


def _is_touched(task: Mapping[str, Any]) -> bool:
    return any(task.get(name) for name in FIELDS[3:])


def _is_begun(studio: connectors.Studio, number: int) -> bool:
    """Tell whether a task has an answer, a skip or a draft at this moment."""
    try:
        task = studio.task(number)
    except connectors.StudioError as fault:
        if fault.is_gone:  # the other machine was faster
            return False
        raise
    return bool(task.get("annotations") or task.get("drafts"))


def _only(studio: connectors.Studio, row: str, tasks: Sequence[Found], told: Pushed) -> Found:
    """Keep one task of a row, the one that people began with; delete others nobody has touched."""
    first, *rest = sorted(tasks, key=lambda one: (not one.is_touched, one.id))
    for one in rest:
        # Looked at again: a person may have begun with it since the tasks were listed.
        if one.is_touched or _is_begun(studio, one.id):
            told.doubles.append(row)
        else:
            studio.delete_task(one.id)
            told.deleted += 1
    return first


def send(
    site: Site,
    tasks: Sequence[Task],
    told: Pushed,
    *,
    model_version: str,
    batch: int,
    progress: Progress = SILENT,
) -> None:
    """Send new tasks, most worth first, as the plain queue of the server goes by number.

    Args:
        site: The project.
        tasks: Tasks that are not there.
        told: Counts; go on.
        model_version: What the scores are listed under.
        batch: Tasks per request; another writer waits for as long as one takes.
        progress: Told after each request.
    """
    ordered = sorted(tasks, key=lambda one: (-one.asked.priority, one.asked.row_id))
    tick = progress.ticker("pushing")
    for start in range(0, len(ordered), batch):
        part = ordered[start : start + batch]
        _send_part(site, part, told, model_version)
        tick(min(start + batch, len(ordered)), len(ordered))


def _send_part(site: Site, part: Sequence[Task], told: Pushed, model_version: str) -> None:
    site.keep("sending", rows=[one.asked.as_dict() for one in part])
    bodies = [
        {
            "data": dict(one.data),
            "meta": meta_of(one.asked),
            "predictions": [_prediction(one.asked, one.marks, model_version)],
        }
        for one in part
    ]
    try:
        sent = site.studio.import_tasks(site.project, bodies)
    except connectors.StudioError as fault:
        if not fault.is_unsure:
            site.keep("not-sent", row_ids=[one.asked.row_id for one in part])
        raise
    told.requests += 1
    made = [replace(one.asked, task=number) for one, number in zip(part, sent.tasks, strict=True)]
    site.keep("sent", rows=[asked.as_dict() for asked in made])
    told.created += len(made)
    if sent.predictions != len(made):
        there = _without_prediction(site, [a.task for a in made if a.task])
        pairs = zip(made, part, strict=True)
        lost = [(asked, one.marks) for asked, one in pairs if asked.task in there]
        repair(site, lost, told, model_version)


def _prediction(asked: Asked, marks: Marks, model_version: str) -> dict[str, Any]:
    """Give a score that orders the queue; it ticks nothing, and marks spans alone."""
    return {"result": list(marks), "score": asked.priority, "model_version": model_version}


def _without_prediction(site: Site, numbers: Sequence[int]) -> set[int]:
    """Name those of some tasks, just made, that have no prediction."""
    filters = [
        ("tasks:total_predictions", "equal", "Number", 0),
        ("tasks:id", "greater", "Number", min(numbers) - 1),
    ]
    lost = {task["id"] for task in site.studio.tasks(site.project, ("id",), filters)}
    return lost & set(numbers)


def repair(
    site: Site, rows: Sequence[tuple[Asked, Marks]], told: Pushed, model_version: str
) -> None:
    """Give tasks the predictions that the server lost.

    Raises:
        StoreError: It lost them again.
    """
    if not rows:
        return
    bodies = [{"task": a.task, **_prediction(a, marks, model_version)} for a, marks in rows]
    kept = site.studio.add_predictions(site.project, bodies)
    if kept != len(rows):
        raise StoreError(
            f"project {site.project}: of {len(rows)} predictions that the server had lost it took "
            f"{kept}; nothing else is missing: push again when fewer people write to it"
        )
    told.repaired += kept


def refresh(
    site: Site,
    tasks: Sequence[Task],
    found: Mapping[str, Found],
    told: Pushed,
) -> None:
    """Give tasks whose row changed its new text, unless somebody has begun with them."""
    for one in tasks:
        there = found[one.asked.row_id]
        if there.is_touched:
            told.held += 1
            continue
        site.studio.change_task(there.id, data=dict(one.data), meta=meta_of(one.asked))
        site.keep("adopted", rows=[replace(one.asked, task=there.id).as_dict()])
        told.updated += 1
