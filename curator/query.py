"""Rows, not counts: what a version holds, or what changed between two, with reason and partner.

A span `A..B` lists every row that a step between A and B changed, protected, refused or only
doubted; a version lists its rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from curator.decide import REASONS
from curator.errors import StoreError
from curator.issues import NEVER_FLAGGED
from curator.options import unknown_name
from curator.tasks import task_of
from curator.versions.listing import LogEntry
from curator.versions.manifest import Version
from curator.versions.store import Store

CHANGED = {
    "id": pl.String, "action": pl.String, "reason": pl.String, "step": pl.String,
    "issue_type": pl.String, "score": pl.Float64, "label": pl.String, "text": pl.String,
    "suggestion": pl.String, "partner_id": pl.String, "partner_text": pl.String,
    "evidence": pl.String, "before": pl.String, "after": pl.String, "split": pl.String,
    "source": pl.String, "source_row": pl.Int64,
}  # fmt: skip
"""Columns of a span's rows. action: drop, edit, relabel, weight, add, keep, reject, or doubt."""

DOUBT = "doubt"
ACTIONS = ("drop", "edit", "relabel", "weight", "add", "keep", "reject", DOUBT)
ISSUE_TYPES = (*REASONS, *NEVER_FLAGGED)


def rows_of(
    store: Store,
    wanted: str,
    *,
    step: str | None = None,
    issue: str | None = None,
    action: str | None = None,
    where: str | None = None,
) -> pa.Table:
    """List rows of a version or of a span.

    Args:
        store: Holds the versions.
        wanted: A version, branch or tag; or a span A..B.
        step: Only rows that this step touched.
        issue: Only rows with this issue type.
        action: Only rows with this action (spans).
        where: SQL expression over the columns, such as "label = 'x' and score > 2".

    Returns:
        The rows; columns of a span as in `CHANGED`, of a version as its schema.

    Raises:
        StoreError: No such version, B does not descend from A, or a bad expression.
    """
    first, dots, last = wanted.partition("..")
    b = store.version((last or "main") if dots else wanted)
    line = line_between(store, store.version(first), b) if dots else store.ancestry(b)
    frame = _changed(store, line) if dots else _held(store, b, issue)
    known = {"step": [v.step.name for v in line], "action": ACTIONS, "issue_type": ISSUE_TYPES}
    for name, value in (("step", step), ("action", action), ("issue_type", issue)):
        if value is not None:
            frame = _only(frame, name, value, known[name])
    if where:
        frame = _filtered(frame, where)
    return frame.to_arrow().cast(pa.schema(
        [pa.field(f.name, pa.string() if pa.types.is_large_string(f.type) or
                  f.type == pa.string_view() else f.type) for f in frame.to_arrow().schema]
    ))  # fmt: skip


def _only(frame: pl.DataFrame, column: str, value: str, known: Sequence[str]) -> pl.DataFrame:
    """Keep the rows that say so in a column; a name that nothing has is not an empty answer."""
    if column not in frame.columns:
        raise StoreError(
            f"the rows of one version have no {column}; ask a span for it: curator rows A..B"
        )
    kept = frame.filter(pl.col(column).str.split(", ").list.contains(value))
    if not kept.height and value not in known:
        raise StoreError(unknown_name("what is listed", column, value, known))
    return kept


def _filtered(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    try:
        return frame.filter(pl.sql_expr(where))
    except pl.exceptions.PolarsError as fault:
        what = str(fault).partition("\n")[0].partition("; valid columns")[0]
        raise StoreError(
            f"--where {where!r}: {what}; write an SQL expression over {frame.columns}, "
            "such as \"label = 'x' and score > 2\""
        ) from fault


def _held(store: Store, version: Version, issue: str | None) -> pl.DataFrame:
    """Give the rows a version holds; with an issue, those its own step doubted, and how."""
    rows = pl.DataFrame(store.rows(version))
    if issue is None:
        return rows
    findings = pl.DataFrame(store.findings(version)).rename({"row_id": "id"})
    return rows.join(findings.drop("check"), on="id", how="inner").sort("score", descending=True)


def line_between(store: Store, a: Version, b: Version) -> list[Version]:
    """Give the versions after a up to b, oldest first.

    Raises:
        StoreError: b does not descend from a.
    """
    line: list[Version] = []
    at = b
    while at.id != a.id:
        line.append(at)
        if not at.parents:
            raise StoreError(
                f"{b.id[:12]} does not descend from {a.id[:12]}; `curator diff` compares any two"
            )
        at = store.version(at.parents[0])
    return line[::-1]


def _changed(store: Store, line: Sequence[Version]) -> pl.DataFrame:
    """List every row that the steps of these versions touched or doubted."""
    records = [record for version in line for record in _touched(store, version)]
    frame = pl.from_dicts(records, schema=CHANGED)
    return frame.sort(
        ["step", "action", "score", "id"], descending=[False, False, True, False],
        maintain_order=True, nulls_last=True,
    )  # fmt: skip


def _touched(store: Store, version: Version) -> Iterator[dict[str, Any]]:
    parent = store.version(version.parents[0])
    known = {r["id"]: r for table in (store.rows(version), store.rows(parent))
             for r in as_told(table).to_pylist()}  # fmt: skip
    doubts: dict[str, list[dict[str, Any]]] = {}
    for finding in store.findings(version).to_pylist():
        if finding["flagged"] or finding["issue_type"] in NEVER_FLAGGED:
            doubts.setdefault(finding["row_id"], []).append(finding)
    for decision in store.decisions(version).to_pylist():
        yield _record(decision, doubts.pop(decision["row_id"], []), known)
    for row_id, found in doubts.items():
        only = {"row_id": row_id, "action": DOUBT, "step": version.step.name}
        yield _record(only | {"score": found[0]["score"]}, found, known)


def as_told(rows: pa.Table) -> pa.Table:
    """Give rows of any task with `text` and `label` as their input and what they teach."""
    task = task_of(rows)
    columns = {"id": rows["id"], "text": task.input_text(rows), "label": task.target_text(rows)}
    return pa.table({**columns, **{n: rows[n] for n in ("split", "source", "source_row")}})


def _record(
    decision: dict[str, Any], doubts: list[dict[str, Any]], known: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Join a decision with the findings about its row; one record per row and step."""
    row_id = decision["row_id"]
    made = json.loads(decision.get("after") or "{}") if row_id not in known else {}
    row = known.get(row_id, made)
    types = dict.fromkeys([*(f["issue_type"] for f in doubts), decision.get("issue_type")])
    last = doubts[-1] if doubts else {}
    partner = decision.get("partner_id") or last.get("partner_id")
    return {
        "id": row_id,
        "issue_type": ", ".join(t for t in types if t) or None,
        "suggestion": last.get("suggestion"),
        "partner_id": partner,
        "partner_text": known.get(partner, {}).get("text") if partner else None,
        "evidence": last.get("evidence"),
        **{name: decision.get(name) for name in ("action", "step", "score", "before", "after")},
        "reason": decision.get("reason") or last.get("evidence"),
        **{name: row.get(name) for name in ("label", "text", "split", "source", "source_row")},
    }


def every_entry(store: Store) -> list[LogEntry]:
    """List every version that a branch or tag ever led to, newest first; no branch forgets one."""
    tips = [e.version for name in store.branches() for e in reversed(store.entries(name))]
    found: dict[str, LogEntry] = {}
    for tip in (*tips, *store.tags().values()):
        if tip not in found:
            found |= {e.version: e for e in store.log(tip) if e.version not in found}
    return sorted(found.values(), key=lambda e: e.created or "", reverse=True)


def class_counts(store: Store, version: Version) -> pa.Table:
    """Count rows by label and split."""
    rows = store.rows(version)
    sets = task_of(rows).label_sets(rows)
    splits = rows["split"].to_pylist()
    told = [(label, split) for here, split in zip(sets, splits, strict=True) for label in here]
    kinds = pa.schema([("label", pa.string()), ("split", pa.string()), ("id", pa.int64())])
    each = pa.Table.from_pylist([{"label": a, "split": b, "id": 1} for a, b in told], schema=kinds)
    counts = each.group_by(["label", "split"]).aggregate([("id", "count")])
    return counts.rename_columns(["label", "split", "rows"]).sort_by(
        [("split", "ascending"), ("rows", "descending"), ("label", "ascending")]
    )
