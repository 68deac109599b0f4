"""Blind verdicts about a version's label findings: drawn, judged by anyone, kept, read as proof.

The one idea: who judges sees the text and two labels in an order by lot, and not which of them is
the given one. Verdicts are kept row by row as they come, so a judge may stop at any time, and a
sheet, the terminal and Label Studio may take turns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.compute as pc

import connectors
from curator.annotate import answers
from curator.comparing import root_of
from curator.context import Context, served
from curator.errors import StoreError
from curator.execute import findings_of
from curator.progress import SILENT, Progress
from curator.recipe import load
from curator.reliability import Drawn, Reliability, Sample, Verdict, draw_sample, reliability
from curator.replaying import context_of, run_of
from curator.schema import findings as findings_table
from curator.schema import hash_fields
from curator.versions.manifest import Version
from curator.versions.store import Store

SAMPLES, JUDGED = "calibration-samples", "calibration-verdicts"
ROWS, FIXES, MIN_P_FIX = 100, 150, 0.98
KEYS = {"a": "first label", "b": "second label", "neither": "both are wrong",
        "unclear": "cannot be told"}  # fmt: skip
_SPAN = 5


@dataclass(frozen=True, slots=True)
class Question:
    """One row as a judge sees it: two labels, in an order by lot."""

    row_id: str
    text: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """A sample of a version and what is known about it."""

    version: Version
    sample: Sample
    verdicts: Mapping[str, Verdict]
    texts: Mapping[str, str]
    labels: frozenset[str]

    def found(self) -> Reliability:
        """Compare promise and verdicts."""
        return reliability(self.sample, self.verdicts)

    def open(self) -> Iterator[Question]:
        """Give the rows that nobody judged yet, in the order of the lot."""
        for one in self.sample.rows:
            if one.row_id not in self.verdicts:
                yield self.question(one)

    def question(self, one: Drawn) -> Question:
        """Put a row to a judge."""
        pair = sorted((one.given, one.suggested), key=lambda n: hash_fields("side", one.row_id, n))
        return Question(one.row_id, self.texts[one.row_id], pair[0], pair[1])


def calibration(
    store: Store,
    ref: str,
    *,
    rows: int = ROWS,
    fixes: int = FIXES,
    min_p_fix: float = MIN_P_FIX,
    seed: int = 0,
    recipe: Path | None = None,
    progress: Progress = SILENT,
) -> Calibration:
    """Draw the sample of a version, or find the one drawn before, with all verdicts so far.

    Args:
        store: Holds the version; keeps the sample and the verdicts.
        ref: The version whose label findings are to be tried: as they are before any rule acts.
        rows: Rows over the bins of P(wrong).
        fixes: Rows of those that a relabel would change.
        min_p_fix: From this P(fix) a relabel would change a row.
        seed: Of the lot.
        recipe: Says model and language where no run that ended made the version.
        progress: Told what happens.

    Raises:
        StoreError: Neither a recipe nor such a run is there, or the task has no label findings.
    """
    version = store.version(ref)
    if version.task != "classification":
        raise StoreError(
            f"calibrate: version {version.short} is of task {version.task!r}; P(wrong) is there "
            "for classification only"
        )
    table = served(store.rows(version), version.transforms)
    train = table.filter(pc.equal(table["split"], "train"))
    given = dict(zip(train["id"].to_pylist(), train["label"].to_pylist(), strict=True))
    context = _context(store, version, recipe, progress)
    key = hash_fields(version.id, context.model_name, rows, fixes, min_p_fix, seed)
    kept = store.recorded(SAMPLES, key)
    if kept is None:
        found = findings_of("label_errors", {}, table, context).to_pylist()
        sample = draw_sample(found, given, rows=rows, fixes=fixes, min_p_fix=min_p_fix, seed=seed)
        store.record(SAMPLES, key, {"version": version.id, **sample.as_dict()})
        kept = store.recorded(SAMPLES, key) or {}
    texts = dict(zip(train["id"].to_pylist(), train["text"].to_pylist(), strict=True))
    values = {name: value for name, value in kept.items() if name != "version"}
    return Calibration(
        version, Sample.from_dict(values), verdicts_of(store, version), texts,
        frozenset(given.values()),
    )  # fmt: skip


def _context(store: Store, version: Version, recipe: Path | None, progress: Progress) -> Context:
    if recipe is None:
        about = run_of(store, version)
        return context_of(store, version, about, cache=store.cache, progress=progress)
    said = load(recipe)
    return Context(
        cache=store.cache,
        root=store.rows(root_of(store, version)),
        model_name=said.measure.model if said.measure else None,
        language=said.language,
        base=said.base,
        progress=progress,
    )


def verdicts_of(store: Store, version: Version) -> dict[str, Verdict]:
    """Give the last verdict about each row of a version."""
    kept = [k for k in store.records(JUDGED) if k["version"] == version.id]
    return {
        row: verdict
        for one in sorted(kept, key=lambda k: k["number"])
        for row, verdict in one["verdicts"].items()
    }


def keep_verdicts(store: Store, version: Version, verdicts: Mapping[str, Verdict], by: str) -> None:
    """Keep verdicts for good; a later one about the same row counts."""
    if not verdicts:
        return
    number = sum(k["version"] == version.id for k in store.records(JUDGED)) + 1
    told = {"version": version.id, "by": by, "verdicts": dict(sorted(verdicts.items()))}
    while not store.record(JUDGED, f"{version.id}-{number:06d}", {"number": number, **told}):
        number += 1  # somebody else judges too


def verdict_of(one: Drawn, question: Question, said: str) -> Verdict | None:
    """Read a verdict: a, b, neither, unclear, or a label; None where nothing was said.

    Raises:
        ValueError: It is none of these.
    """
    word = said.strip()
    if not word:
        return None
    sides = {"a": question.first, "b": question.second}
    label = sides.get(word.lower(), word)
    if label == one.given:
        return "given"
    if label == one.suggested:
        return "suggested"
    if word.lower() == "neither":
        return "other"
    if word.lower() == "unclear":
        return "unclear"
    raise ValueError(word)


def sheet_of(made: Calibration) -> pa.Table:
    """Give the rows that nobody judged yet as a sheet: id, text, a, b, verdict (empty)."""
    asked = list(made.open())
    return pa.table(
        {
            "id": pa.array([q.row_id for q in asked], pa.string()),
            "text": pa.array([q.text for q in asked], pa.string()),
            "a": pa.array([q.first for q in asked], pa.string()),
            "b": pa.array([q.second for q in asked], pa.string()),
            "verdict": pa.array([""] * len(asked), pa.string()),
        }
    )


def read_sheet(made: Calibration, file: Path) -> dict[str, Verdict]:
    """Read the verdicts of a sheet; lines without one are left for later.

    Raises:
        StoreError: A line is not about the sample, or says what cannot be read; all such lines
            are named, and nothing is taken.
        connectors.SourceError: The file cannot be read.
    """
    drawn = {one.row_id: one for one in made.sample.rows}
    found: dict[str, Verdict] = {}
    faults = []
    for line, record in enumerate(_records(file), start=2):
        row, said = str(record.get("id")), str(record.get("verdict") or "")
        if row not in drawn:
            faults.append(f"line {line}: row {row} is not in the sample; give the same --rows, "
                          "--fixes and --min-p-fix as when it was written")  # fmt: skip
            continue
        one = drawn[row]
        try:
            verdict = _verdict(made, one, said)
        except ValueError:
            faults.append(f"line {line}: {said!r} is no verdict; expected a, b, neither, unclear, "
                          "or the key of a label")  # fmt: skip
            continue
        if verdict is not None:
            found[row] = verdict
    if faults:
        more = f"; and {len(faults) - _SPAN} more lines" if len(faults) > _SPAN else ""
        raise StoreError(f"{file}: {'; '.join(faults[:_SPAN])}{more}. Nothing was taken")
    return found


def _verdict(made: Calibration, one: Drawn, said: str) -> Verdict | None:
    if said.strip() in made.labels - {one.given, one.suggested}:
        return "other"
    return verdict_of(one, made.question(one), said)


def _records(file: Path) -> list[dict[str, Any]]:
    bad: list[connectors.BadRecord] = []
    batches = list(connectors.read(str(file.resolve()), base=Path.cwd(), on_bad=bad.append))
    if bad:
        raise StoreError(f"{file}:{bad[0].line}: {bad[0].reason}. Nothing was taken")
    records = [record for batch in batches for record in batch.to_pylist()]
    if records and not {"id", "verdict"} <= records[0].keys():
        raise StoreError(
            f"{file}: expected the columns id and verdict of a sheet that `curator calibrate "
            f"--out` writes; found {sorted(records[0])}"
        )
    return records


def sample_findings(made: Calibration) -> pa.Table:
    """Give the sample as findings, for `annotate push --findings FILE --blind 1`."""
    return findings_table(
        {
            "row_id": one.row_id, "issue_type": "label", "check": "calibrate", "score": one.p_wrong,
            "suggestion": one.suggested, "p_wrong": one.p_wrong, "p_fix": one.p_fix,
        }
        for one in made.sample.rows
    )  # fmt: skip


def studio_verdicts(store: Store, made: Calibration, project: str) -> dict[str, Verdict]:
    """Take what annotators said of the sample's rows on blind tasks; others had a suggestion.

    Where several answered a row, they must agree, or it is unclear.
    """
    drawn = {one.row_id: one for one in made.sample.rows}
    said: dict[str, set[Verdict]] = {}
    for answer in answers(store, project).to_pylist():
        one = drawn.get(answer["row_id"])
        if one is not None and answer["control"] == "blind":
            said.setdefault(one.row_id, set()).add(_answered(one, answer))
    return {row: next(iter(v)) if len(v) == 1 else "unclear" for row, v in said.items()}


def _answered(one: Drawn, answer: Mapping[str, Any]) -> Verdict:
    if answer["decision"] == "ambiguous":
        return "unclear"
    named: dict[str, Verdict] = {one.given: "given", one.suggested: "suggested"}
    return named.get(answer["value"] or "", "other")


def counted(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Count verdicts by kind, in the order of the type."""
    return {kind: list(verdicts).count(kind) for kind in get_args(Verdict)}


def evidence_lines(found: Reliability) -> list[str]:
    """Say in words what verdicts show, and what a recipe may rest on."""
    told = []
    if found.wrong_rows is not None:
        told.append(
            f"wrong labels in all: {found.wrong_rows:,.0f} by the verdicts, "
            f"{found.promised_rows:,.0f} by P(wrong); mean distance {found.error or 0.0:.3f}"
        )
    if found.fix_promised is None:
        told.append(f"no row has P(fix) >= {found.min_p_fix:g}, so a relabel would change none")
    else:
        verb = "allowed" if found.relabel_allowed else "refused"
        told.append(
            f"relabel from P(fix) {found.min_p_fix:g}: the suggestion is right in "
            f"{found.fix_right:,} of {found.fix_reviewed:,} rows, so in at least "
            f"{found.fix_low:.3f} of them (95 % sure): {verb}"
        )
    if (again := found.recalibration) is not None:
        told.append(
            f"recalibration (slope {again.slope:.2f}, intercept {again.intercept:+.2f}): log loss "
            f"{again.before:.3f} -> {again.after:.3f} on held-out verdicts, "
            + ("it helps" if again.helps else "not shown to help, so not part of the evidence")
        )
    pairs = ", ".join(f"{name}: {value}" for name, value in found.evidence().items())
    told.append(f"for the recipe: label_errors: {{calibrated: {{{pairs}}}}}")
    return told
