"""What may be asked about a version: its doubted rows, their nearest rows, and what labels mean.

The one idea: everything an annotator reads is gathered here once, from the checks and the labels
file, so that the pages themselves are plain text put together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import connectors
from curator import schema
from curator.annotating_pages import LabelText, words_for
from curator.annotating_ranking import Doubt
from curator.context import Context
from curator.errors import StoreError
from curator.execute import findings_of
from curator.labels import Label
from curator.options import bind
from curator.registry import STEPS
from curator.tasks import Task

CONFLICT = "label_conflict"
LABEL = "label"
ONE_OF_TWO = 0.5
"""P(wrong) of a row whose text has another label elsewhere: one of the two is wrong."""
NEAREST = 5
EXAMPLES = 2
_BLOCK_ROWS = 256


@dataclass(frozen=True, slots=True)
class Material:
    """What may be asked about a version.

    doubts: One per training row that a check said something about.
    conflicts: Label of the row with an equal text, by row id.
    texts, labels: What training rows read and teach, by id; content: content hashes; inputs:
        hashes of the text alone.
    """

    doubts: tuple[Doubt, ...]
    conflicts: Mapping[str, str]
    texts: Mapping[str, str]
    labels: Mapping[str, str]
    content: Mapping[str, str]
    inputs: Mapping[str, str]


def material_of(
    rows: pa.Table,
    findings: pa.Table,
    *,
    task: Task,
    influence: Mapping[str, float],
) -> Material:
    """Gather what the findings say about training rows.

    Args:
        rows: All rows of a version.
        findings: FINDING_SCHEMA; label findings and label conflicts count.
        task: Which columns a row has.
        influence: What a row does to the model, relative to an average one; absent: 1.
    """
    train = rows.filter(pc.equal(rows["split"], "train"))
    ids = train["id"].to_pylist()
    labels = dict(zip(ids, task.target_text(train).to_pylist(), strict=True))
    groups = dict(zip(ids, train["group"].to_pylist(), strict=True))
    told: dict[str, dict[str, Any]] = {}
    conflicts: dict[str, str] = {}
    for finding in findings.to_pylist():
        row_id, partner = finding["row_id"], finding["partner_id"]
        if row_id not in labels:
            continue
        if finding["issue_type"] == LABEL and finding["p_wrong"] is not None:
            told[row_id] = {"p": finding["p_wrong"], "suggested": finding["suggestion"]}
        elif finding["issue_type"] == CONFLICT and partner in labels:
            for one, other in ((row_id, partner), (partner, row_id)):
                conflicts[one] = labels[other]
    for row_id, other in conflicts.items():
        known = told.setdefault(row_id, {"p": 0.0, "suggested": other})
        known["p"] = max(known["p"], ONE_OF_TWO)
    doubts = tuple(
        Doubt(
            row_id=row_id,
            group=groups[row_id],
            given=labels[row_id],
            suggested=known["suggested"],
            p_wrong=float(known["p"]),
            influence=influence.get(row_id, 1.0),
        )
        for row_id, known in sorted(told.items())
    )
    texts = dict(zip(ids, task.input_text(train).to_pylist(), strict=True))
    content = dict(zip(ids, schema.content_hashes(train, task), strict=True))
    return Material(doubts, conflicts, texts, labels, content, input_hashes(train, task))


def input_hashes(rows: pa.Table, task: Task) -> dict[str, str]:
    """Hash what a model reads of each row, by row id."""
    records = rows.select(["id", *task.inputs]).to_pylist()
    return {r["id"]: schema.hash_fields(*(r[name] for name in task.inputs)) for r in records}


def found_now(rows: pa.Table, context: Context) -> pa.Table:
    """Run the checks whose findings people can settle: label errors and label conflicts."""
    options, _ = bind("step 'duplicates'", STEPS["duplicates"].options(), {})
    tables = [
        findings_of("label_errors", {}, rows, context),
        findings_of("duplicates", options, rows, context),
    ]
    return pa.concat_tables(tables)


def findings_in(file: Path) -> pa.Table:
    """Read findings from a file that `check` wrote.

    Raises:
        StoreError: It has no column that says which row is in doubt, or how.
        connectors.SourceError: It cannot be read.
    """
    records = _records(file)
    needed = ("row_id", "issue_type", "p_wrong", "suggestion")
    missing = [n for n in needed if records and n not in records[0]]
    if missing or not records:
        raise StoreError(
            f"{file}: expected the findings that `curator check --findings` writes; "
            + (f"columns {missing} are missing" if missing else "it holds none")
        )
    named = [{n: record.get(n) for n in schema.FINDING_SCHEMA.names} for record in records]
    for record in named:
        record["check"] = record["check"] or "file"
        record["flagged"] = str(record["flagged"]).lower() != "false"
        for number in ("score", "p_wrong", "p_fix"):
            said = record[number]
            record[number] = None if said is None or said == "" else float(said)
    return schema.findings(named)


def influence_in(file: Path) -> dict[str, float]:
    """Read how much each row does to the model: columns row_id and influence, any scale.

    Returns:
        Relative to the mean of those that help or harm; what does nothing is worth nothing.

    Raises:
        StoreError: It has not these columns, or a value is no number.
    """
    records = _records(file)
    try:
        found = {str(r["row_id"]): abs(float(r["influence"])) for r in records}
    except (KeyError, TypeError, ValueError) as fault:
        raise StoreError(
            f"{file}: expected columns row_id and influence, a number in each line ({fault})"
        ) from fault
    mean = sum(found.values()) / max(1, sum(value > 0 for value in found.values()))
    return {row: value / mean for row, value in found.items()} if mean else {}


def _records(file: Path) -> list[dict[str, Any]]:
    bad: list[connectors.BadRecord] = []
    batches = list(connectors.read(str(file.resolve()), base=Path.cwd(), on_bad=bad.append))
    if bad:
        raise StoreError(f"{file}:{bad[0].line}: {bad[0].reason}")
    return [record for batch in batches for record in batch.to_pylist()]


def nearest_rows(
    material: Material, wanted: Sequence[str], context: Context
) -> dict[str, tuple[tuple[str, float, str], ...]]:
    """Find the training rows nearest to some of them: (label, cosine, text), the nearest first.

    A row with an equal text is none: it says nothing of what texts like this one are labelled.
    """
    ids = sorted(material.texts)
    texts = np.array([material.texts[i] for i in ids], dtype=object)
    place = {row_id: n for n, row_id in enumerate(ids)}
    vectors = context.embed(texts.tolist())
    found = {}
    for start in range(0, len(wanted), _BLOCK_ROWS):
        some = wanted[start : start + _BLOCK_ROWS]
        likeness = vectors[[place[i] for i in some]] @ vectors.T
        for row_id, line in zip(some, likeness, strict=True):
            scores = np.where(texts == material.texts[row_id], -np.inf, line)
            order = np.argsort(-scores, kind="stable")[:NEAREST]
            found[row_id] = tuple(
                (material.labels[ids[n]], float(np.clip(line[n], 0.0, 1.0)), str(texts[n]))
                for n in order
                if np.isfinite(scores[n])
            )
    return found


def label_texts(
    labels: Iterable[str], known: Mapping[str, Label], language: str | None
) -> dict[str, LabelText]:
    """Give what annotators read of each label, in their language, by key and sorted by it."""
    say = words_for(language)
    made = {}
    for key in sorted({*labels, *known}):
        label = known.get(key) or Label(key)
        lines = [label.definition] if label.definition else []
        lines += [say["examples"].format(text=text) for text in label.examples[:EXAMPLES]]
        lines += [
            say["contrast"].format(name=known[other].name_in(language), text=text)
            for other, text in label.contrasts.items()
            if other in known
        ]
        made[key] = LabelText(key, label.name_in(language), "\n".join(lines))
    return made
