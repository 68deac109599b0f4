"""The annotation round trip on its way back: answers to events, verdicts, and a version of its own.

The one idea: rows left with the hash of what they said, so what comes back is compared with the row
as it is now. A verdict about a row that changed meanwhile is held and listed, never applied; all
others become decisions of the people who gave them, on a branch that is merged like any other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import connectors
from curator import schema
from curator.annotating_consensus import (
    DROP,
    RELABEL,
    answers_of,
    consensus,
    rating_findings,
    verdict_findings,
)
from curator.annotating_figures import hours_of
from curator.annotating_forms import Form, asked_hash, form_of
from curator.annotating_log import Log, State, current_answers, keep_project, known_projects
from curator.annotating_pages import is_untouched, labels_in
from curator.annotating_pull import Names, Pulled
from curator.annotating_pull import pull as pull_events
from curator.annotating_site import Server, check_host, find_project, site_of
from curator.decide import Action, Rule, decide
from curator.editing import BRANCH, MAIN, branch_start
from curator.errors import ConflictError, StoreError
from curator.tasks import task_named
from curator.versions.differences import cells_json
from curator.versions.manifest import StepRecord, Version
from curator.versions.merging import CONFLICT_SCHEMA, merge
from curator.versions.store import Store

STEP, STEP_VERSION = "annotations", 1


@dataclass(frozen=True, slots=True)
class PullDone:
    """What a pull brought: events of each kind, and what a person should know."""

    project: int
    title: str
    pulled: Pulled
    total: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "project": self.project, "title": self.title, "new": self.pulled.counts(),
            "events": self.total, "foreign": self.pulled.foreign, "notes": list(self.notes),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of the verdicts.

    version: What was committed; None where nothing was to be changed.
    merged: The version of main that holds it; None where it was not merged.
    counts: Verdicts by kind; changes: changed rows by action.
    conflicts: CONFLICT_SCHEMA: verdicts about rows that changed or left, not applied.
    """

    version: Version | None
    merged: Version | None
    branch: str
    counts: Mapping[str, int]
    changes: Mapping[str, int]
    conflicts: pa.Table
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "version": self.version.id if self.version else None,
            "merged": self.merged.id if self.merged else None,
            "branch": self.branch,
            "verdicts": dict(self.counts),
            "changes": dict(self.changes),
            "conflicts": self.conflicts.to_pylist(),
            "notes": list(self.notes),
        }


def pull(
    store: Store,
    server: Server,
    project: str | None,
    *,
    names: Names = "email",
    sweep: bool = False,
    egress: Sequence[str] = (),
) -> PullDone:
    """Read what annotators did since the last pull, and keep each of it once.

    Args:
        store: Keeps the events.
        server: Where from.
        project: Title or number; None: the only one this store pushed to.
        names: What stands for an annotator in events and history.
        sweep: Also look for deleted tasks, which takes a look at every task.
        egress: Hosts that may be asked, besides this machine.

    Raises:
        StoreError: No such project, or another pull is at work.
        connectors.StudioError: The server cannot be reached or refuses.
    """
    title = project or str(_only_project(store)["title"])
    with connectors.Studio(server.url, server.token) as studio:
        check_host(studio, egress)
        found = _found(store, studio, title)
        site = site_of(store, studio, found)
        keep_project(store, site.log.key, studio.url, found)
        labels = site.state.labels or labels_in(found.config)
        form = form_of(_task_here(store))
        told = pull_events(site, form=form, labels=labels, names=names, sweep=sweep)
    notes = []
    if not is_untouched(found.config):
        notes.append("the labelling configuration was changed by hand since it was pushed")
    if told.foreign:
        notes.append(f"{told.foreign:,} changed tasks were not pushed from here; left alone")
    notes += [
        f"task {e['task']}, annotation {e['annotation']} by {e['annotator']}: {e['fault']}"
        for e in told.events
        if e["kind"] == "invalid"
    ]
    return PullDone(found.id, found.title, told, len(site.state.events), tuple(notes))


def _found(store: Store, studio: connectors.Studio, title: str) -> connectors.StudioProject:
    """Find a project that was pushed to.

    Raises:
        StoreError: It is no longer there; says what of it is safe.
    """
    try:
        found = find_project(studio, title)
    except (connectors.StudioError, StoreError) as fault:
        known = [p for p in known_projects(store) if title in (p["title"], str(p["project"]))]
        if not known or getattr(fault, "is_unsure", False) or not _is_gone(fault):
            raise
        kept = len(Log(store, known[-1]["key"]).fold().events)
        raise StoreError(
            f"project {title!r} is no longer on {studio.url}, or this user may not see it; the "
            f"{kept:,} events pulled before are safe, and `curator annotate decide` takes them"
        ) from fault
    assert found is not None
    return found


def _is_gone(fault: Exception) -> bool:
    return isinstance(fault, StoreError) or bool(getattr(fault, "is_gone", False))


def _task_here(store: Store) -> str:
    """Name the task of the corpus; all versions of a store are of one."""
    return store.head().task


def _only_project(store: Store) -> dict[str, Any]:
    known = known_projects(store)
    if not known:
        raise StoreError("nothing was pushed from this store yet: `curator annotate push`")
    titles = sorted({p["title"] for p in known})
    if len(titles) > 1:
        raise StoreError(f"this store pushed to {titles}; name one with --project")
    return known[-1]


def state_of(store: Store, project: str | None = None) -> State:
    """Give what is known of a project without asking the server.

    Raises:
        StoreError: None of this title or number was pushed to from here.
    """
    if project is None:
        return Log(store, _only_project(store)["key"]).fold()
    known = [p for p in known_projects(store) if project in (p["title"], str(p["project"]))]
    if not known:
        titles = sorted({p["title"] for p in known_projects(store)})
        raise StoreError(f"no project {project!r} was pushed to from here; there are {titles}")
    return Log(store, known[-1]["key"]).fold()


def answers(store: Store, project: str | None = None) -> pa.Table:
    """Give the answers that count, ANSWER_SCHEMA: what any consensus starts from."""
    return answers_of(current_answers(state_of(store, project)))


def decide_reviews(
    store: Store,
    project: str | None = None,
    *,
    verdicts: pa.Table | None = None,
    min_answers: int = 1,
    branch: str = BRANCH,
    into: str | None = None,
) -> Decided:
    """Turn answers into verdicts, and verdicts into a version on a branch of their own.

    Args:
        store: Holds the events.
        project: Title or number; None: the only one.
        verdicts: VERDICT_SCHEMA of another consensus; None: the majority, or the only answer.
        min_answers: Rows with fewer stay open.
        branch: Where the verdicts go.
        into: Branch to merge them into, where nothing is in conflict; None: not merged.

    Raises:
        StoreError: Nothing was pushed from here, or another writer moved the branch.
    """
    given = answers(store, project)
    base, notes = branch_start(store, branch)
    form = form_of(base.task)
    if verdicts is None:
        verdicts = consensus(given, min_answers=min_answers, combine=form.combine)
    rows = store.rows(base)
    settled, conflicts, now = _settled(verdicts, rows, form)
    findings = pa.concat_tables([verdict_findings(settled, now), rating_findings(given, now)])
    change: Action = "relabel" if task_named(base.task).relabelled else "edit"
    rule = Rule({RELABEL: change, DROP: "drop"})
    made = decide(rows, findings, rule, step=STEP)
    decisions = _by_people(made.decisions, settled)
    counts = Counter(verdicts["verdict"].to_pylist())
    changes = Counter(decisions["action"].to_pylist())
    version = None
    if decisions.num_rows:
        version = _commit(store, branch, base, made.rows, decisions, findings, given)
    merged = None
    if into is not None and branch in store.branches():
        merged, more = _merged(store, branch, into)
        conflicts = pa.concat_tables([conflicts, more])
    elif version is not None:
        notes.append(f"`curator merge {branch}` brings them into {MAIN}")
    return Decided(version, merged, branch, dict(sorted(counts.items())),
                   dict(sorted(changes.items())), conflicts, tuple(notes))  # fmt: skip


def _settled(
    verdicts: pa.Table, rows: pa.Table, form: Form
) -> tuple[pa.Table, pa.Table, dict[str, str]]:
    """Part the verdicts that may be applied from those about rows that changed or left.

    Returns:
        Verdicts whose value is what their row is to say; CONFLICT_SCHEMA; what rows say now.
    """
    wanted = pc.is_in(rows["id"], verdicts["row_id"].combine_chunks())
    here = rows.filter(pc.and_(wanted, pc.equal(rows["split"], "train")))
    found = {row["id"]: row for row in here.to_pylist()}
    keep: list[dict[str, Any]] = []
    held, now = [], {}
    for verdict in verdicts.to_pylist():
        row = found.get(verdict["row_id"])
        if verdict["verdict"] == "open" or (row is None and verdict["verdict"] == "drop"):
            continue
        if row is None or not _is_about(verdict, row, form):
            held.append(_conflict(verdict, row, form))
            continue
        now[row["id"]] = _suggestion(form.taught(row), row, form)
        value = verdict["value"]
        keep.append(verdict | {"value": value and _suggestion(value, row, form)})
    return (
        pa.Table.from_pylist(keep, schema=verdicts.schema),
        pa.Table.from_pylist(held, schema=CONFLICT_SCHEMA),
        now,
    )


def _is_about(verdict: Mapping[str, Any], row: Mapping[str, Any], form: Form) -> bool:
    """Tell whether a row still says what people were asked about, or what they answered."""
    if asked_hash(form, row) != verdict["input"]:
        return False
    value = verdict["value"]
    if value is not None and form.cells(value, row) is None:
        return False
    able = (verdict["given"], None if value is None else form.same(value))
    return form.taught(row) in able or row["step"] == STEP


def _suggestion(value: str, row: Mapping[str, Any], form: Form) -> str:
    """Write an answer as the suggestion of a finding."""
    if form.task in ("classification", "multilabel"):
        return value
    return json.dumps(form.cells(value, row), ensure_ascii=False)


def _conflict(
    verdict: Mapping[str, Any], row: Mapping[str, Any] | None, form: Form
) -> dict[str, Any]:
    said = {form.column: verdict["value"]} if verdict["value"] is not None else None
    now = None if row is None else form.taught(row)
    return {
        "row_id": verdict["row_id"],
        "column": "(row)" if now is None or said is None else form.column,
        "base": cells_json({form.column: verdict["given"]}),
        "ours": None if now is None else cells_json({form.column: now}),
        "theirs": None if said is None else cells_json(said),
        "ours_reason": "the row left meanwhile" if now is None else "the row changed meanwhile",
        "ours_by": None,
        "theirs_reason": f"annotators' verdict: {verdict['verdict']}",
        "theirs_by": verdict["annotators"],
    }


def _by_people(decisions: pa.Table, verdicts: pa.Table) -> pa.Table:
    """Say of each decision who stands behind it."""
    who = dict(zip(verdicts["row_id"].to_pylist(), verdicts["annotators"].to_pylist(), strict=True))
    names = pa.array([who[row] for row in decisions["row_id"].to_pylist()], pa.string())
    place = decisions.column_names.index("by")
    return decisions.set_column(place, schema.DECISION_SCHEMA.field("by"), names)


def _commit(
    store: Store,
    branch: str,
    base: Version,
    rows: pa.Table,
    decisions: pa.Table,
    findings: pa.Table,
    given: pa.Table,
) -> Version:
    dropped = decisions.filter(pc.equal(decisions["action"], "drop"))["row_id"].to_pylist()
    touched = pa.array(sorted(set(decisions["row_id"].to_pylist()) - set(dropped)), pa.string())
    return store.commit_changes(
        branch,
        rows.filter(pc.is_in(rows["id"], touched)),
        dropped=dropped,
        parent=base,
        step=StepRecord(STEP, {}, STEP_VERSION),
        decisions=decisions,
        findings=findings,
        note={"answers": given.num_rows, "hours": round(hours_of(given), 4)},
    )


def _merged(store: Store, branch: str, into: str) -> tuple[Version | None, pa.Table]:
    """Merge the verdicts, unless both sides changed the same cells."""
    try:
        return merge(store, branch, into=into), CONFLICT_SCHEMA.empty_table()
    except ConflictError as stopped:
        return None, stopped.conflicts
