"""A test set labelled anew by two people: drawn, answered on sheets, settled, frozen under a name.

The one idea: plan and answers are kept as they come, row by row, and the set is frozen once, as one
version of test rows per part. A recipe then takes a part as its test source, and its step `leaks`
takes the near-duplicates (the drawn rows themselves too) out of training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import connectors
from curator import schema
from curator.agreement import Agreement, codes_of, cohen_of
from curator.annotate import answers as studio_answers
from curator.context import served
from curator.errors import StoreError
from curator.reliability import exact_interval
from curator.schema import hash_fields
from curator.testset_plan import (
    PARTS,
    SEEDS,
    SHARES,
    UNCLEAR,
    Candidate,
    Part,
    Settled,
    draw_rows,
    rows_for,
    settle,
    total_for,
    visible_effect,
)
from curator.versions.manifest import StepRecord, Version
from curator.versions.store import Store

PLANS, ANSWERS = "testset-plans", "testset-answers"
PART = "benchmark_part"
STEP, STEP_VERSION = "benchmark", 1
_SPAN = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What was drawn under a name.

    version: Where from; effect: what confirm and final are each to show; parts: by row id.
    """

    name: str
    version: str
    tier: str
    seeds: int
    effect: float
    parts: Mapping[str, Part]


def plan_of(store: Store, name: str) -> Plan | None:
    """Give the plan of this name; None where none was drawn."""
    kept = store.recorded(PLANS, name)
    return Plan(**kept) if kept else None


def draw(
    store: Store,
    ref: str,
    name: str,
    *,
    effect: float,
    tier: str = "probe",
    seeds: int = SEEDS,
    seed: int = 0,
) -> Plan:
    """Draw a test set from the training rows of a version, under a name; once.

    Args:
        store: Holds the version; keeps the plan.
        ref: The version.
        name: Of the benchmark.
        effect: Smallest effect that it is to show, a fraction.
        tier: Of the measurements it is meant for.
        seeds: Of such a measurement.
        seed: Of the lot.

    Raises:
        StoreError: The name is taken by another plan, or the task has no single label.
        MeasureError: No such set can be drawn.
    """
    version = store.version(ref)
    if version.task != "classification":
        raise StoreError(f"testset: version {version.short} is of task {version.task!r}; a test "
                         "set is labelled anew for classification only")  # fmt: skip
    rows = store.rows(version)
    train = rows.filter(pc.equal(rows["split"], "train"))
    columns = (train[n].to_pylist() for n in ("id", "group", "label", "parent"))
    pool = [Candidate(i, g, k) for i, g, k, parent in zip(*columns, strict=True) if parent is None]
    total = total_for(rows_for(tier, effect, seeds=seeds))
    plan = Plan(name, version.id, tier, seeds, effect, draw_rows(pool, total, seed=seed))
    values = {n: getattr(plan, n) for n in plan.__slots__}
    if not store.record(PLANS, name, values) and plan_of(store, name) != plan:
        raise StoreError(
            f"a test set {name!r} was drawn before, from version "
            f"{store.recorded(PLANS, name)['version'][:12]} or for another effect; "  # type: ignore[index]
            "take another --name"
        )
    return plan


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a test set is.

    agreement: Cohen's kappa of the first two people, before anybody decided.
    visible: Smallest effect that confirm shows with the rows settled now, and with all, fractions.
    wrong: (given labels found wrong, of so many settled, low, high): the corpus's label noise.
    """

    plan: Plan
    settled: Settled
    people: tuple[str, ...]
    agreement: Agreement
    visible: tuple[float | None, float | None]
    wrong: tuple[int, int, float, float] | None

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "name": self.plan.name, "drawn": len(self.plan.parts), "tier": self.plan.tier,
            "effect": self.plan.effect, "settled": len(self.settled.labels),
            "disputed": len(self.settled.disputed), "unclear": len(self.settled.unclear),
            "waiting": len(self.settled.waiting), "people": list(self.people),
            "kappa": [self.agreement.value, self.agreement.low, self.agreement.high],
            "visible_now": self.visible[0], "visible_when_done": self.visible[1],
            "given_wrong": list(self.wrong) if self.wrong else None,
        }  # fmt: skip


def standing(store: Store, plan: Plan) -> Standing:
    """Say how far a test set is."""
    answers, decided = _said(store, plan.name)
    settled = settle(list(plan.parts), answers, decided)
    pairs = [list(said.values())[:2] for said in answers.values() if len(said) > 1]
    codes, _ = codes_of(pairs)
    confirm = [row for row, part in plan.parts.items() if part == "confirm"]
    now = sum(row in settled.labels for row in confirm)
    sizes = (now, len(confirm) - sum(row in settled.unclear for row in confirm))
    seen = tuple(visible_effect(plan.tier, n, seeds=plan.seeds) for n in sizes)
    given = _given(store, plan)
    wrong = sum(given[row] != label for row, label in settled.labels.items())
    n = len(settled.labels)
    people = sorted({who for said in answers.values() for who in said})
    return Standing(
        plan, settled, tuple(people), cohen_of(codes.reshape(len(pairs), 2)),
        (seen[0], seen[1]), (wrong, n, *exact_interval(wrong, n)) if n else None,
    )  # fmt: skip


def _given(store: Store, plan: Plan) -> dict[str, str]:
    rows = store.rows(plan.version)
    return dict(zip(rows["id"].to_pylist(), rows["label"].to_pylist(), strict=True))


def _said(store: Store, name: str) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Give answers by row and person, and what was decided; of each the last."""
    answers: dict[str, dict[str, str]] = {}
    decided: dict[str, str] = {}
    kept = [k for k in store.records(ANSWERS) if k["name"] == name]
    for one in sorted(kept, key=lambda k: k["number"]):
        for row, label in one["labels"].items():
            if one["decides"]:
                decided[row] = label
            else:
                answers.setdefault(row, {})[one["by"]] = label
    return answers, decided


def sheets(store: Store, plan: Plan, folder: Path) -> list[Path]:
    """Write what is to be answered next: a sheet per person, then one of the disputed rows.

    Returns:
        NAME-1.csv and NAME-2.csv (id, text, label) as long as two answers are missing, each in an
        order of its own; else NAME-disputed.csv with both answers; nothing where all is settled.
    """
    found = standing(store, plan).settled
    rows = served(store.rows(plan.version), store.version(plan.version).transforms)
    texts = dict(zip(rows["id"].to_pylist(), rows["text"].to_pylist(), strict=True))
    folder.mkdir(parents=True, exist_ok=True)
    if found.waiting:
        return [_sheet(plan, texts, folder, person) for person in ("1", "2")]
    if not found.disputed:
        return []
    answers, _ = _said(store, plan.name)
    records = []
    for row in sorted(found.disputed, key=lambda r: hash_fields("sheet", r)):
        pair = sorted(list(answers[row].values())[:2], key=lambda n: hash_fields("side", row, n))
        records.append({"id": row, "text": texts[row], "a": pair[0], "b": pair[1], "label": ""})
    return [_write(records, folder / f"{plan.name}-disputed.csv")]


def _sheet(plan: Plan, texts: Mapping[str, str], folder: Path, person: str) -> Path:
    order = sorted(plan.parts, key=lambda row: hash_fields("sheet", person, row))
    records = [{"id": row, "text": texts[row], "label": ""} for row in order]
    return _write(records, folder / f"{plan.name}-{person}.csv")


def _write(records: list[dict[str, str]], path: Path) -> Path:
    connectors.write(pa.Table.from_pylist(records), path, to="csv")
    return path


def take_sheet(store: Store, plan: Plan, file: Path, *, by: str, decides: bool = False) -> int:
    """Take the labels of a sheet; empty ones are left for later.

    Args:
        store: Keeps them.
        plan: What was drawn.
        file: The sheet.
        by: Who answered.
        decides: It settles disputed rows; else it is one of the two people's.

    Returns:
        How many labels were taken.

    Raises:
        StoreError: A line names no row of the set or no label; nothing is taken then.
    """
    known = set(_given(store, plan).values())
    found, faults = {}, []
    for line, record in enumerate(_records(file), start=2):
        row, label = str(record["id"]), str(record["label"] or "").strip()
        if decides and label in ("a", "b") and label not in known:
            label = str(record[label])
        if row not in plan.parts:
            faults.append(f"line {line}: row {row} is not in test set {plan.name!r}")
        elif label and label not in known and label != UNCLEAR:
            faults.append(f"line {line}: {label!r} is no label of the corpus, nor {UNCLEAR!r}")
        elif label:
            found[row] = label
    if faults:
        more = f"; and {len(faults) - _SPAN} more lines" if len(faults) > _SPAN else ""
        raise StoreError(f"{file}: {'; '.join(faults[:_SPAN])}{more}. Nothing was taken")
    _keep(store, plan, found, by=by, decides=decides)
    return len(found)


def _keep(store: Store, plan: Plan, labels: Mapping[str, str], *, by: str, decides: bool) -> None:
    number = sum(k["name"] == plan.name for k in store.records(ANSWERS)) + 1
    told = {"name": plan.name, "by": by, "decides": decides, "labels": dict(sorted(labels.items()))}
    while not store.record(ANSWERS, f"{plan.name}-{number:06d}", {"number": number, **told}):
        number += 1  # the other person was quicker


def take_studio(store: Store, plan: Plan, project: str) -> int:
    """Take what annotators answered in a project that was pulled; gives how many labels."""
    found: dict[str, dict[str, str]] = {}
    for answer in studio_answers(store, project).to_pylist():
        if answer["row_id"] in plan.parts:
            label = answer["value"] if answer["value"] is not None else UNCLEAR
            found.setdefault(answer["annotator"], {})[answer["row_id"]] = label
    for person, labels in sorted(found.items()):
        _keep(store, plan, labels, by=person, decides=False)
    return sum(map(len, found.values()))


def _records(file: Path) -> list[dict[str, Any]]:
    bad: list[connectors.BadRecord] = []
    batches = list(connectors.read(str(file.resolve()), base=Path.cwd(), on_bad=bad.append))
    if bad:
        raise StoreError(f"{file}:{bad[0].line}: {bad[0].reason}. Nothing was taken")
    records = [record for batch in batches for record in batch.to_pylist()]
    if records and not {"id", "label"} <= records[0].keys():
        raise StoreError(f"{file}: expected the columns id and label of a sheet that `curator "
                         f"testset --out` writes; found {sorted(records[0])}")  # fmt: skip
    return records


def findings_for(plan: Plan) -> pa.Table:
    """Give the drawn rows as findings, for `annotate push --findings FILE --overlap 2`."""
    return schema.findings(
        {"row_id": row, "issue_type": "label", "check": "testset", "score": 1.0, "p_wrong": 1.0}
        for row in sorted(plan.parts)
    )


def lock(store: Store, plan: Plan) -> dict[Part, Version]:
    """Freeze the settled rows: a version of test rows per part, tagged NAME-PART, for good.

    Raises:
        StoreError: Rows are still open, or the name is taken by a set with other labels.
    """
    found = standing(store, plan).settled
    if left := len(found.waiting) + len(found.disputed):
        raise StoreError(
            f"test set {plan.name!r}: {len(found.waiting):,} rows lack an answer and "
            f"{len(found.disputed):,} are disputed; a frozen set does not grow, so answer these "
            f"{left:,} first (`curator testset --name {plan.name} --out FOLDER`)"
        )
    rows = store.rows(plan.version)
    return {part: _lock_part(store, plan, rows, found, part) for part in PARTS}


def _lock_part(store: Store, plan: Plan, rows: pa.Table, found: Settled, part: Part) -> Version:
    ids = sorted(row for row, p in plan.parts.items() if p == part and row in found.labels)
    made = rows.filter(pc.is_in(rows["id"], pa.array(ids, pa.string()))).sort_by("id")
    made = _with(made, "label", pa.array([found.labels[i] for i in ids], pa.string()))
    made = _with(made, "split", pa.array(["test"] * len(ids), pa.string()))
    made = _with(made, "step", pa.array([STEP] * len(ids), pa.string()))
    made = made.append_column(PART, pa.array([part] * len(ids), pa.string()))
    tag = f"{plan.name}-{part}"
    options = {"name": plan.name, "part": part, "from": plan.version, "effect": plan.effect}
    version = store.commit(
        None, made, parents=(), task="classification",
        step=StepRecord(STEP, options, STEP_VERSION),
        decisions=schema.decisions([]), findings=schema.findings([]),
    )  # fmt: skip
    known = store.tags().get(tag)
    if known is None:
        store.tag(tag, version)
    elif known != version.id:
        raise StoreError(
            f"{tag} is frozen already with other labels (version {known[:12]}); labels that were "
            "corrected later make a new test set: take another --name"
        )
    return version


def _with(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), rows.schema.field(name), values)


def sizes(plan: Plan, rows: Iterable[str]) -> dict[Part, int]:
    """Count rows by part."""
    parts = [plan.parts[row] for row in rows]
    return {part: parts.count(part) for part in PARTS}


def falling(plan: Plan) -> list[tuple[int, float | None]]:
    """Give the smallest effect that confirm shows as labels come in: (labels in all, effect)."""
    total = len(plan.parts)
    steps = sorted({int(total * share) for share in np.linspace(0.1, 1.0, 10)})
    confirm = SHARES["confirm"]
    return [(n, visible_effect(plan.tier, int(n * confirm), seeds=plan.seeds)) for n in steps]
