"""What may be asked about a version: its doubted rows, their nearest rows, and what labels mean.

The one idea: everything an annotator reads is gathered here once, from the checks and the labels
file, so that the pages themselves are plain text put together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import connectors
from curator import schema
from curator.annotating_forms import Form, Row, asked_hash
from curator.annotating_pages import LabelText, words_for
from curator.annotating_ranking import Doubt
from curator.context import Context
from curator.errors import StoreError
from curator.execute import findings_of
from curator.issues import ABOUT_THE_SET
from curator.labels import Label
from curator.options import bind
from curator.registry import STEPS
from curator.tasks import task_named

CONFLICT = "label_conflict"
LABEL = "label"
LABELLED = "classification"
ONE_OF_TWO = 0.5
"""P(wrong) of a row whose text has another label elsewhere, as one of the two is wrong; and, by
convention, of a row that a check flags without a probability, or that is asked by name."""
NEAREST = 5
EXAMPLES = 2
_BLOCK_ROWS = 256


@dataclass(frozen=True, slots=True)
class Material:
    """What may be asked about a version.

    doubts: One per training row that a check said something about, or that may be a known answer.
    conflicts: What the row with an equal text teaches, by row id; why: what checks said of a row.
    cells, texts: The task's own cells of training rows, and the text likeness is judged by, by id.
    labels: What rows teach, as an answer would say it; classes: keys of all labels.
    content: content hashes; inputs: hashes of what is asked about.
    """

    doubts: tuple[Doubt, ...]
    conflicts: Mapping[str, str]
    why: Mapping[str, str]
    cells: Mapping[str, Row]
    texts: Mapping[str, str]
    labels: Mapping[str, str]
    classes: frozenset[str]
    content: Mapping[str, str]
    inputs: Mapping[str, str]


def material_of(
    rows: pa.Table,
    findings: pa.Table,
    *,
    form: Form,
    influence: Mapping[str, float],
    wanted: frozenset[str] | None = None,
) -> Material:
    """Gather what the findings say about training rows.

    Args:
        rows: All rows of a version.
        findings: FINDING_SCHEMA. Of classification, label findings and label conflicts count; of
            other tasks, whatever is flagged and about a row.
        form: How the task is asked.
        influence: What a row does to the model, relative to an average one; absent: 1.
        wanted: Ids of the only rows to be asked, each of them likelier so than not; None: by doubt.
    """
    task = task_named(form.task)
    train = rows.filter(pc.equal(rows["split"], "train"))
    ids = train["id"].to_pylist()
    cells = dict(zip(ids, train.select(list(task.columns)).to_pylist(), strict=True))
    labels = {row_id: form.taught(row) for row_id, row in cells.items()}
    told, conflicts = _told(findings, form, cells, labels)
    for row_id in wanted or ():
        if row_id in labels:
            known = told.setdefault(row_id, _Told(_default(form, labels[row_id], cells[row_id])))
            known.p = max(known.p, ONE_OF_TWO)
    if form.task != LABELLED and findings.num_rows:
        _add_sure(told, form, labels, cells)
    groups = dict(zip(ids, train["group"].to_pylist(), strict=True))
    doubts = tuple(
        Doubt(
            row_id=row_id,
            group=groups[row_id],
            given=labels[row_id],
            suggested=known.suggested,
            p_wrong=known.p,
            influence=influence.get(row_id, 1.0),
            is_wanted=wanted is None or row_id in wanted,
        )
        for row_id, known in sorted(told.items())
        if labels[row_id]  # a dialogue without an answer has nothing to judge
    )
    return Material(
        doubts=doubts,
        conflicts=conflicts,
        why={row_id: "; ".join(known.why) for row_id, known in told.items()},
        cells=cells,
        texts=dict(zip(ids, task.input_text(train).to_pylist(), strict=True)),
        labels=labels,
        classes=frozenset(task.labels(train)) if form.has_label else frozenset(),
        content=dict(zip(ids, schema.content_hashes(train, task), strict=True)),
        inputs={row_id: asked_hash(form, row) for row_id, row in cells.items()},
    )


@dataclass(slots=True)
class _Told:
    """What was said of a row: a suggestion, P(wrong), and in whose words."""

    suggested: str | None
    p: float = 0.0
    why: list[str] = field(default_factory=list)


def _told(
    findings: pa.Table, form: Form, cells: Mapping[str, Row], labels: Mapping[str, str]
) -> tuple[dict[str, _Told], dict[str, str]]:
    told: dict[str, _Told] = {}
    conflicts: dict[str, str] = {}
    for finding in findings.to_pylist():
        row_id, partner = finding["row_id"], finding["partner_id"]
        if row_id not in labels:
            continue
        if finding["issue_type"] == CONFLICT and partner in labels:
            conflicts |= {row_id: labels[partner], partner: labels[row_id]}
        elif form.task != LABELLED:
            _take(told, finding, form, cells[row_id], labels[row_id])
        elif finding["issue_type"] == LABEL and finding["p_wrong"] is not None:
            told[row_id] = _Told(finding["suggestion"], float(finding["p_wrong"]))
    for row_id, other in conflicts.items():
        known = told.setdefault(row_id, _Told(other))
        known.p = max(known.p, ONE_OF_TWO)
    return told, conflicts


def _take(
    told: dict[str, _Told], finding: Mapping[str, Any], form: Form, row: Row, given: str
) -> None:
    """Add a flagged finding to what is said of a row; doubts of their own kinds add up."""
    if not finding["flagged"] or finding["issue_type"] in ABOUT_THE_SET:
        return
    known = told.setdefault(finding["row_id"], _Told(_default(form, given, row)))
    p = ONE_OF_TWO if finding["p_wrong"] is None else float(finding["p_wrong"])
    known.p = 1 - (1 - known.p) * (1 - p)
    known.why.append(": ".join(filter(None, (finding["issue_type"], finding["evidence"]))))
    made = form.proposed(finding["suggestion"], row) if finding["suggestion"] else None
    if made is not None and made != given:
        known.suggested = made


def _default(form: Form, given: str, row: Row) -> str | None:
    """Give what is shown where no check suggests anything: spans as they are, the other side."""
    return form.proposed("", row) or (given if form.task == "tokens" else None)


def _add_sure(
    told: dict[str, _Told], form: Form, labels: Mapping[str, str], cells: Mapping[str, Row]
) -> None:
    """Add the rows that no check flagged: known answers are drawn from them."""
    for row_id, given in labels.items():
        if row_id not in told:
            wrong = form.spoiled(given) or form.proposed("", cells[row_id])
            if wrong is not None:
                told[row_id] = _Told(wrong)


def found_now(rows: pa.Table, context: Context, task: str) -> pa.Table:
    """Run the checks whose findings people can settle.

    Of classification label errors and label conflicts; else the checks made for this task alone.
    """
    options, _ = bind("step 'duplicates'", STEPS["duplicates"].options(), {})
    if task == LABELLED:
        tables = [
            findings_of("label_errors", {}, rows, context),
            findings_of("duplicates", options, rows, context),
        ]
        return pa.concat_tables(tables)
    own = [name for name, kind in STEPS.items() if kind.is_check and kind.tasks == (task,)]
    tables = [
        findings_of(name, bind(f"step {name!r}", STEPS[name].options(), {})[0], rows, context)
        for name in own
    ]
    return pa.concat_tables([schema.FINDING_SCHEMA.empty_table(), *tables])


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
