"""Rules turn findings into decisions: the one place that changes rows.

Where several findings meet on one row a drop wins over all; edits of the text compose in the
order of the findings, of several new labels the one that is likeliest right is taken, and weights
multiply. Test rows are never touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.rewriting import suggested
from curator.tasks import task_of

Action = Literal["keep", "drop", "edit", "relabel", "weight"]

REASONS = {
    "span_edit": "a span would be lost",
    "unicode": "broken characters repaired",
    "html": "markup removed",
    "whitespace": "white space tidied",
    "empty": "empty text",
    "too_short": "too short",
    "exact_duplicate": "exact duplicate",
    "near_duplicate": "near-duplicate",
    "leak": "near-duplicate of a frozen row",
    "contamination": "stands in a benchmark",
    "semantic_duplicate": "same meaning as a kept row",
    "semantic_leak": "same meaning as a frozen row",
    "label": "suspected label error",
    "label_rename": "label renamed",
    "label_merge": "labels merged",
    "label_split": "label to be split by annotators",
    "broken_encoding": "broken encoding",
    "markup": "markup that is not HTML",
    "boilerplate": "boilerplate",
    "repetition": "repeats itself",
    "unlike_prose": "unlike prose",
    "near_empty": "says nothing",
    "keyboard_noise": "keyboard noise",
    "language": "in another language",
    "mixed_language": "in several languages",
    "unknown_language": "language unknown",
    "odd_length": "odd length",
    "odd_words": "odd number of words",
    "surprising": "surprising characters",
    "outlier": "unlike the other rows",
    "out_of_domain": "unlike the training rows",
    "label_in_text": "label stands in the text",
    "shortcut": "shortcut to the label",
    "rare_class": "rare class",
    "order": "order that is not chance",
    "domain_drift": "drift of the subject",
    "word_drift": "drift of words",
    "length_drift": "drift of length",
    "language_drift": "drift of language",
    "label_drift": "drift of labels",
    "tag_fault": "tags break their scheme",
    "span_boundary": "a span's edge is in a word",
    "split_span": "two spans side by side",
    "surface_conflict": "labelled otherwise elsewhere",
    "missing_turn": "a turn is missing",
    "empty_turn": "a turn is empty",
    "role_order": "turns out of order",
    "truncated_answer": "answer breaks off",
    "copied_prompt": "answer copies its prompt",
    "refusal": "refuses to answer",
    "answer_language": "answer in another language",
    "answer_length": "odd length of the answer",
    "answers_differ": "same prompt, other answer",
    "answer_unrelated": "answer does not fit its prompt",
    "answer_garbled": "answer no model expects",
    "missing_prompt": "prompt is empty",
    "empty_answer": "an answer is empty",
    "equal_answers": "both answers are equal",
    "reversed_in_another_row": "another row prefers the other answer",
    "likely_reversed": "the preferred answer is the faulty one",
    "refusal_preferred": "prefers a refusal",
    "longer_preferred": "length gives the preference away",
    "personal_secret": "secret hidden",
    "personal_email": "e-mail address hidden",
    "personal_iban": "IBAN hidden",
    "personal_cn_id": "resident id hidden",
    "personal_card": "card number hidden",
    "personal_phone": "phone number hidden",
    "personal_ip": "IP address hidden",
    "personal_passport": "passport number hidden",
    "personal_address": "address hidden",
    "personal_name": "name hidden",
    "review": "annotators' verdict",
    "review_drop": "annotators' verdict: drop",
    "review_ambiguous": "annotators cannot tell",
    "augmented_copy": "copy of a row that is there",
    "augmented_leak": "near-duplicate of a frozen row",
    "augmented_label": "label no longer true",
}
"""What a decision calls the reason that an issue type gives, in a reader's words."""

WEIGHED = "weighed by how likely its label is right"


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with findings.

    actions: Action per issue type; an issue type that is absent is kept.
    protected: Row ids that are neither dropped nor relabelled although flagged, with the reason.
    weights: Row ids that an issue type of action weight multiplies, by what; flagged or not.
    """

    actions: Mapping[str, Action]
    protected: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)


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
        The rows left, changed where the rule says so, and one decision per row and column that
        was changed, or per row that was dropped or protected.
    """
    frozen = set(rows.filter(pc.equal(rows["split"], "test"))["id"].to_pylist())
    weighed = pa.array(list(rule.weights), pa.string())
    acted_on = pc.or_(findings["flagged"], pc.is_in(findings["row_id"], weighed))
    by_row: dict[str, list[dict[str, Any]]] = {}
    for finding in findings.filter(acted_on).to_pylist():
        if finding["row_id"] not in frozen and _acts(rule, finding):
            by_row.setdefault(finding["row_id"], []).append(finding)
    told = _cells_of(rows, set(by_row))
    records = [
        record
        for i, found in sorted(by_row.items())
        for record in _decisions(told[i], found, rule, step=step)
    ]
    return Decided(_apply(rows, records, step), schema.decisions(records))


def _acts(rule: Rule, finding: Mapping[str, Any]) -> bool:
    action = rule.actions.get(finding["issue_type"])
    if action == "weight":
        return finding["row_id"] in rule.weights
    return action is not None and bool(finding["flagged"])


def _cells_of(rows: pa.Table, ids: set[str]) -> dict[str, dict[str, Any]]:
    some = rows.filter(pc.is_in(rows["id"], pa.array(sorted(ids), pa.string())))
    names = ["id", *task_of(rows).columns, "weight"]
    return {row["id"]: row for row in some.select(names).to_pylist()}


def _decisions(
    row: Mapping[str, Any], found: Sequence[dict[str, Any]], rule: Rule, *, step: str
) -> Iterator[dict[str, object]]:
    row_id = found[0]["row_id"]
    drops, edits, labels, weights = (
        [f for f in found if rule.actions[f["issue_type"]] == action]
        for action in ("drop", "edit", "relabel", "weight")
    )
    common: dict[str, object] = {"row_id": row_id, "step": step, "by": "rule"}
    if (drops or labels) and row_id in rule.protected:
        spared = (drops or labels)[0]
        why = f"{REASONS[spared['issue_type']]}, kept: {rule.protected[row_id]}"
        yield {**common, "action": "keep", "reason": why, **_evidence(spared)}
        return
    if drops:
        yield {**common, "action": "drop", "reason": _named(drops), **_evidence(drops[0])}
        return
    if edits and (change := _edited(row, edits[-1]["suggestion"])):
        issue = {"issue_type": edits[-1]["issue_type"]}
        yield {**common, "action": "edit", "reason": _named(edits), **change, **issue}
    if labels:
        best = max(labels, key=_likely_right)
        if change := _relabelled(row, best["suggestion"]):
            evidence = {name: best[name] for name in ("issue_type", "score")}
            yield {**common, "action": "relabel", "reason": _named([best]), **change, **evidence}
    # The shortest digits that are this float32 again: JSON and column say the same number.
    weight = float(str(np.float32(row["weight"] * rule.weights.get(row_id, 1.0))))
    if weights and np.float32(weight) != np.float32(row["weight"]):
        change = _change({"weight": float(str(np.float32(row["weight"])))}, {"weight": weight})
        evidence = {name: weights[0][name] for name in ("issue_type", "score")}
        yield {**common, "action": "weight", "reason": WEIGHED, **change, **evidence}


def _likely_right(finding: Mapping[str, Any]) -> float:
    likely = finding["p_fix"] if finding["p_fix"] is not None else finding["score"]
    return float(likely or 0.0)


def _edited(row: Mapping[str, Any], suggestion: str) -> dict[str, str]:
    return _change(row, suggested(task_of(list(row)), suggestion))


def _relabelled(row: Mapping[str, Any], suggestion: str) -> dict[str, str]:
    """Give the new label, or the new labels as they stand in a JSON list."""
    task = task_of(list(row))
    (column,) = task.relabelled
    value = suggestion if task.is_single_label else json.loads(suggestion)
    return _change(row, {column: value})


def _change(row: Mapping[str, Any], cells: Mapping[str, Any]) -> dict[str, str]:
    """Write the cells that change, before and after; empty where none does."""
    names = [name for name, value in cells.items() if value != row[name]]
    if not names:
        return {}
    sides = {"before": {n: row[n] for n in names}, "after": {n: cells[n] for n in names}}
    return {k: json.dumps(v, ensure_ascii=False) for k, v in sides.items()}


def _named(found: Sequence[dict[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(REASONS.get(f["issue_type"], f["issue_type"]) for f in found))


def _evidence(finding: dict[str, Any]) -> dict[str, object]:
    return {name: finding[name] for name in ("issue_type", "score", "partner_id")}


def _apply(rows: pa.Table, records: Sequence[dict[str, object]], step: str) -> pa.Table:
    dropped = pa.array([r["row_id"] for r in records if r["action"] == "drop"], pa.string())
    left = rows.filter(pc.invert(pc.is_in(rows["id"], dropped)))
    changes: dict[str, dict[str, Any]] = {}
    for record in records:
        if record["action"] in ("edit", "relabel", "weight"):
            changes.setdefault(str(record["row_id"]), {}).update(json.loads(str(record["after"])))
    if not changes:
        return left
    named = {"step", *(name for cells in changes.values() for name in cells)}
    contract = task_of(left).schema
    columns = {name: left[name].to_pylist() for name in contract.names if name in named}
    for position, row_id in enumerate(left["id"].to_pylist()):
        if row_id in changes:
            for name, value in {**changes[row_id], "step": step}.items():
                columns[name][position] = value
    for name, values in columns.items():
        place = left.column_names.index(name)
        kind = contract.field(name)
        left = left.set_column(place, kind, pa.array(values, kind.type))
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
    told = candidates.select(["id", *task_of(candidates).columns, "parent"]).to_pylist()
    content = {row.pop("id"): row for row in told}
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
