"""Rules turn findings into decisions: the one place that changes rows.

Where several findings meet on one row a drop wins over all; edits of the text compose in the
order of the findings. What lost stands in the reason. Test rows are never touched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from curator import schema

Action = Literal["keep", "drop", "edit"]

REASONS = {
    "unicode": "broken characters repaired",
    "html": "markup removed",
    "whitespace": "white space tidied",
    "empty": "empty text",
    "too_short": "too short",
    "exact_duplicate": "exact duplicate",
    "near_duplicate": "near-duplicate",
    "leak": "near-duplicate of a frozen row",
    "label": "suspected label error",
    "augmented_copy": "copy of a row that is there",
    "augmented_leak": "near-duplicate of a frozen row",
    "augmented_label": "label no longer true",
}
"""What a decision calls the reason that an issue type gives, in a reader's words."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with flagged findings.

    actions: Action per issue type; an issue type that is absent is kept.
    protected: Row ids that are kept although flagged, with the reason.
    """

    actions: Mapping[str, Action]
    protected: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """The rows after a rule, and every decision that led there."""

    rows: pa.Table
    decisions: pa.Table


def decide(rows: pa.Table, findings: pa.Table, rule: Rule, *, step: str) -> Decided:
    """Apply a rule to findings.

    Args:
        rows: Row table, sorted by id.
        findings: Findings about these rows, in the order in which edits compose.
        rule: What to do.
        step: Name of the step, which every changed row then carries.

    Returns:
        The rows left, edited where the rule says so, and one decision per row that was changed
        or protected.
    """
    frozen = set(rows.filter(pc.equal(rows["split"], "test"))["id"].to_pylist())
    flagged = findings.filter(findings["flagged"]).to_pylist()
    by_row: dict[str, list[dict[str, Any]]] = {}
    for finding in flagged:
        if finding["row_id"] not in frozen and rule.actions.get(finding["issue_type"]):
            by_row.setdefault(finding["row_id"], []).append(finding)
    texts = _texts_of(rows, set(by_row))
    records = [_decision(texts[i], found, rule, step=step) for i, found in sorted(by_row.items())]
    changing = [record for record in records if record is not None]
    return Decided(_apply(rows, changing, step), schema.decisions(changing))


def _texts_of(rows: pa.Table, ids: set[str]) -> dict[str, str]:
    some = rows.filter(pc.is_in(rows["id"], pa.array(sorted(ids), pa.string())))
    return dict(zip(some["id"].to_pylist(), some["text"].to_pylist(), strict=True))


def _decision(
    text: str, found: Sequence[dict[str, Any]], rule: Rule, *, step: str
) -> dict[str, object] | None:
    row_id = found[0]["row_id"]
    drops = [f for f in found if rule.actions[f["issue_type"]] == "drop"]
    edits = [f for f in found if rule.actions[f["issue_type"]] == "edit"]
    common: dict[str, object] = {"row_id": row_id, "step": step, "by": "rule"}
    if drops and row_id in rule.protected:
        why = f"{REASONS[drops[0]['issue_type']]}, kept: {rule.protected[row_id]}"
        return {**common, "action": "keep", "reason": why, **_evidence(drops[0])}
    if drops:
        return {**common, "action": "drop", "reason": _named(drops), **_evidence(drops[0])}
    if edits and edits[-1]["suggestion"] != text:
        change = {"before": text, "after": edits[-1]["suggestion"]}
        as_json = {k: json.dumps({"text": v}, ensure_ascii=False) for k, v in change.items()}
        return {**common, "action": "edit", "reason": _named(edits), **as_json} | {
            "issue_type": edits[-1]["issue_type"]
        }
    return None


def _named(found: Sequence[dict[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(REASONS.get(f["issue_type"], f["issue_type"]) for f in found))


def _evidence(finding: dict[str, Any]) -> dict[str, object]:
    return {name: finding[name] for name in ("issue_type", "score", "partner_id")}


def _apply(rows: pa.Table, records: Sequence[dict[str, object]], step: str) -> pa.Table:
    dropped = pa.array([r["row_id"] for r in records if r["action"] == "drop"], pa.string())
    left = rows.filter(pc.invert(pc.is_in(rows["id"], dropped)))
    edits = {str(r["row_id"]): str(r["after"]) for r in records if r["action"] == "edit"}
    if not edits:
        return left
    ids, texts = left["id"].to_pylist(), left["text"].to_pylist()
    steps = left["step"].to_pylist()
    for position, row_id in enumerate(ids):
        if row_id in edits:
            texts[position] = json.loads(edits[row_id])["text"]
            steps[position] = step
    for name, values in (("text", texts), ("step", steps)):
        place = left.column_names.index(name)
        left = left.set_column(place, schema.ROW_SCHEMA.field(name), [values])
    return left


def added(rows: pa.Table, *, step: str) -> pa.Table:
    """Record rows that a step adds; `source` names the augmenter that made each."""
    names = [rows[name].to_pylist() for name in ("id", "parent", "source")]
    return schema.decisions(
        {
            "row_id": row_id,
            "action": "add",
            "step": step,
            "reason": f"made by {augmenter}",
            "by": "rule",
            "partner_id": parent,
        }
        for row_id, parent, augmenter in zip(*names, strict=True)
    )


def rejected(findings: pa.Table, candidates: pa.Table, *, step: str) -> pa.Table:
    """Record augmented rows that a filter refused: they never became rows, but have a history."""
    names = [candidates[name].to_pylist() for name in ("id", "text", "label")]
    content = {i: {"text": text, "label": label} for i, text, label in zip(*names, strict=True)}
    return schema.decisions(
        {
            "row_id": finding["row_id"],
            "action": "reject",
            "step": step,
            "reason": REASONS.get(finding["issue_type"], finding["issue_type"]),
            "by": "rule",
            **_evidence(finding),
            "after": json.dumps(content[finding["row_id"]], ensure_ascii=False),
        }
        for finding in findings.to_pylist()
    )
