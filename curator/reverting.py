"""Take one step out of a branch's history by replaying the steps that came after it.

The one idea: a revert is the run that the recipe would have made without the step. Steps of the
recipe are executed again with their recorded options; what people did (edits, reviews, merges) is
put on again cell by cell, and a decision whose row reads otherwise now is listed, not forced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from curator import schema
from curator.about import find_about, keep_about
from curator.context import Context
from curator.errors import StoreError
from curator.execute import execute, model_of, step_version
from curator.labels import Label
from curator.options import unknown_name
from curator.progress import SILENT, Progress
from curator.putting import LOST_SCHEMA, by_row, lost_row
from curator.replaying import (
    context_of,
    first_parent_line,
    kind_of,
    labels_of,
    model_notes,
    run_of,
    spec_of,
)
from curator.versions.changes import compare
from curator.versions.differences import DIFF_SCHEMA, OPS, operations
from curator.versions.manifest import StepRecord, Version
from curator.versions.store import Store
from curator.versions.threeway import three_way


@dataclass(frozen=True, slots=True)
class Reverted:
    """What taking a step out did, or would do.

    step: the step taken out; branch: the branch it was taken out of.
    before: its head so far; version: the head without the step, None in a preview.
    changes: DIFF_SCHEMA from `before`: added rows come back, dropped rows go.
    lost: LOST_SCHEMA: decisions that no longer apply.
    replayed: names of the later steps; notes: sentences a person should read.
    """

    step: str
    branch: str
    before: Version
    version: Version | None
    changes: pa.Table
    lost: pa.Table
    replayed: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values; rows by operation and reason."""
        counts: dict[str, dict[str, int]] = {}
        told = [self.changes[name].to_pylist() for name in ("op", "reason")]
        for op, reason in zip(*told, strict=True):
            of_op = counts.setdefault(op, {})
            of_op[reason] = of_op.get(reason, 0) + 1
        return {
            "reverted": self.step,
            "branch": self.branch,
            "before": self.before.id,
            "version": self.version.id if self.version else None,
            "replayed": list(self.replayed),
            "counts": counts,
            "lost": self.lost.to_pylist(),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class _Done:
    """A later step, done again: what a commit needs, and what it could not do."""

    origin: Version
    rows: pa.Table
    decisions: pa.Table
    findings: pa.Table
    transforms: tuple[Mapping[str, Any], ...]
    step: StepRecord
    note: dict[str, Any]
    lost: tuple[dict[str, Any], ...] = ()


def revert(
    store: Store,
    step: str,
    *,
    branch: str = "main",
    preview: bool = False,
    progress: Progress = SILENT,
) -> Reverted:
    """Make a version of a branch's head without one of its steps.

    Args:
        store: The store.
        step: Name of the step, or the version it made where several steps are called so.
        branch: The branch that moves to the new version, in one entry of its log.
        preview: Work everything out, commit nothing.
        progress: Told what happens.

    Returns:
        The rows that come back, go or change, and the decisions that no longer apply.

    Raises:
        StoreError: There is no such step or branch, or a later step cannot be replayed.
        StepError: A later step cannot run on the rows without the step.
    """
    head = store.head(branch)
    line = first_parent_line(store, head)
    target = _target(line, step, branch)
    later = line[line.index(target) + 1 :]
    parent = store.version(target.parents[0])
    last, rows = parent, store.rows(parent)
    decided: list[pa.Table] = []
    lost: list[dict[str, Any]] = []
    made: list[Version] = []
    notes: list[str] = []
    for done in _replay(store, later, parent, rows, progress=progress):
        progress.say(f"replay  {done.step.name}: {done.rows.num_rows:,} rows")
        rows = done.rows
        decided.append(done.decisions)
        lost += done.lost
        notes += done.note["notes"]
        if not preview:
            told = {"lost": len(lost), "made": [version.id for version in made], **_told(target)}
            last = _commit(store, done, last, to=branch if done.origin is head else None, told=told)
            made.append(last)
    if not preview and not later:
        last = store.restore(parent, branch=branch, note=_told(target))
    if not preview:
        _keep_run(store, head, parent, made)
    return Reverted(
        step=target.step.name,
        branch=branch,
        before=head,
        version=None if preview else last,
        changes=_changes(store, [target, *later], rows, decided, target.step.name),
        lost=pa.Table.from_pylist(lost, schema=LOST_SCHEMA),
        replayed=tuple(version.step.name for version in later),
        notes=tuple(dict.fromkeys(notes)),
    )


def _told(target: Version) -> dict[str, Any]:
    """Give what the branch's entry says of the step that was taken out; `run` asks it."""
    return {"reverted": target.step.name, "reverted_version": target.id}


def _target(line: Sequence[Version], step: str, branch: str) -> Version:
    steps = line[1:]
    found = [version for version in steps if version.step.name == step]
    if not found and step == line[0].step.name:
        raise StoreError(
            f"step {step!r} brought the rows of {branch} and cannot be reverted; change the "
            "sources of the recipe and run it again"
        )
    if not found and len(step) >= 6:  # noqa: PLR2004 - the shortest prefix of a version id
        found = [version for version in steps if version.id.startswith(step.lower())]
    if len(found) > 1:
        named = ", ".join(f"{version.short} ({version.step.name})" for version in found)
        raise StoreError(
            f"{len(found)} steps of {branch} are called {step!r}; name the version one of them "
            f"made: {named}"
        )
    if not found:
        known = list(dict.fromkeys(version.step.name for version in steps))
        raise StoreError(unknown_name(f"branch {branch!r}", "step", step, known))
    return found[0]


def _replay(
    store: Store,
    later: Sequence[Version],
    parent: Version,
    rows: pa.Table,
    *,
    progress: Progress,
) -> Iterator[_Done]:
    """Do the later steps again, oldest first, each on the rows the one before it gave."""
    transforms: tuple[Mapping[str, Any], ...] = parent.transforms
    recorded = model_notes(store)
    context: Context | None = None
    labels: dict[str, Label] = {}
    if any(kind_of(version.step.name) for version in later):
        about = run_of(store, later[-1])
        cache = store.cache
        context = context_of(store, parent, about, cache=cache, progress=progress)
        labels = labels_of(about)
    for origin in later:
        if context is not None and kind_of(origin.step.name):
            done = _executed(origin, rows, transforms, context, labels)
            done.note["notes"] += _moved(origin, done.note["model"], recorded)
        else:
            done = _put_on_again(store, origin, rows, transforms)
        yield done
        rows, transforms = done.rows, done.transforms


def _executed(
    origin: Version,
    rows: pa.Table,
    transforms: tuple[Mapping[str, Any], ...],
    context: Context,
    labels: Mapping[str, Label],
) -> _Done:
    spec = spec_of(origin)
    assert spec is not None
    name = origin.step.name
    outcome = execute(spec, name, rows, context, transforms=transforms, labels=labels)
    now = step_version(spec.kind)
    notes = list(outcome.notes)
    if now != origin.step.version:
        notes.append(
            f"step {name!r} was made by version {origin.step.version} of its code and is replayed "
            f"by version {now}"
        )
    return _Done(
        origin, outcome.rows, outcome.decisions, outcome.findings, outcome.transforms,
        StepRecord(name, origin.step.options, now),
        {"notes": notes, "model": model_of(spec, context)},
    )  # fmt: skip


def _moved(
    origin: Version, model: dict[str, str] | None, recorded: Mapping[str, dict[str, str]]
) -> list[str]:
    before = recorded.get(origin.id)
    if model is None or before is None or before["revision"] == model["revision"]:
        return []
    told = (
        f"step {origin.step.name!r} rested on model {before['name']} of revision "
        f"{before['revision'][:12]} and is replayed with {model['name']} of revision "
        f"{model['revision'][:12]}"
    )
    return [told]


def _put_on_again(
    store: Store, origin: Version, rows: pa.Table, transforms: tuple[Mapping[str, Any], ...]
) -> _Done:
    """Put on again what a step changed that no recipe made: edits, reviews, a merge."""
    before = store.version(origin.parents[0])
    told = by_row(store.decisions(origin))
    together = three_way([store.rows(before)], rows, store.rows(origin), lambda _: None)
    decisions = []
    for row, action, was, now in operations(rows, together.rows, compare(rows, together.rows)):
        every = told.get(row, [])
        origin_of = ([d for d in every if d["action"] == action] or every or [{}])[-1]
        reason = origin_of.get("reason") or "put on again"
        facts = {"step": origin.step.name, "reason": reason, "by": "rule", **origin_of}
        decisions.append({**facts, "row_id": row, "action": action, "before": was, "after": now})
    own = [t for t in origin.transforms if t not in before.transforms]
    return _Done(
        origin, together.rows, schema.decisions(decisions), schema.findings([]),
        (*transforms, *(t for t in own if t not in transforms)), origin.step,
        {"notes": [], "model": None},
        tuple(lost_row(clash, origin, told) for clash in together.open),
    )  # fmt: skip


def _commit(
    store: Store, done: _Done, parent: Version, *, to: str | None, told: dict[str, Any]
) -> Version:
    return store.commit(
        to,
        done.rows,
        parents=(parent, *done.origin.parents[1:]),
        task=done.origin.task,
        step=done.step,
        decisions=done.decisions,
        findings=done.findings,
        transforms=[dict(transform) for transform in done.transforms],
        note={**done.note, **told},
    )


def _keep_run(store: Store, head: Version, parent: Version, made: Sequence[Version]) -> None:
    """Keep what the new versions are about: the old run, less the step."""
    about = find_about(store, head.id)
    if about is None:
        return
    past = {version.id for version in store.ancestry(parent)}
    kept = [step for step in about.steps if step[2] in past]
    new = [(v.step.name, kind_of(v.step.name) or v.step.name, v.id, ()) for v in made]
    now = datetime.now(UTC).isoformat()
    keep_about(store, replace(about, steps=(*kept, *new), kept_at=now))


def _changes(
    store: Store, old: Sequence[Version], rows: pa.Table, decided: Sequence[pa.Table], reverted: str
) -> pa.Table:
    """Say what differs from the old head, each row with the decision that made the difference."""
    before = store.rows(old[-1])
    was = by_row(pa.concat_tables([store.decisions(version) for version in old]))
    now = by_row(pa.concat_tables([schema.decisions([]), *decided]))
    undone = {"add": "drop", "drop": "add"}
    records = []
    for row, action, old_cells, new_cells in operations(before, rows, compare(before, rows)):
        fresh = [d for d in now.get(row, ()) if d["action"] == action]
        gone = [d for d in was.get(row, ()) if d["action"] == undone.get(action, action)]
        reasons = [f"{d['step']}: {d['reason']}" for d in fresh]
        reasons = reasons or [f"no longer: {d['step']}: {d['reason']}" for d in gone]
        steps = [d["step"] for d in fresh or gone]
        records.append(
            {
                "id": row, "op": OPS[action],
                "reason": "; ".join(dict.fromkeys(reasons)) or f"without {reverted}",
                "step": " + ".join(dict.fromkeys(steps)) or None,
                "before": old_cells, "after": new_cells,
            }
        )  # fmt: skip
    return pa.Table.from_pylist(sorted(records, key=lambda r: (r["id"], r["op"])),
                                schema=DIFF_SCHEMA)  # fmt: skip
