"""Builders of small row tables, and a store with a short, full history."""

from __future__ import annotations

import os

import pyarrow as pa
import pytest

from curator import schema
from curator.versions import StepRecord, open_store


def build_rows(*records, source="file:train.csv"):
    """Make rows from dicts with at least id and text; the rest has plain defaults."""
    filled = [
        {
            "group": record["id"],
            "label": "a",
            "split": "train",
            "weight": 1.0,
            "source": source,
            "source_row": number,
            "parent": None,
            "step": "import",
            **record,
        }
        for number, record in enumerate(records)
    ]
    own = sorted({name for record in filled for name in record} - set(schema.ROW_SCHEMA.names))
    fields = [*schema.ROW_SCHEMA, *(pa.field(name, pa.string()) for name in own)]
    return pa.Table.from_pylist(filled, schema=pa.schema(fields))


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """No test here cuts the power, and fsync takes four fifths of their time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def rows_of():
    return build_rows


@pytest.fixture
def store(place):
    return open_store(place, create=True, author="kim")


@pytest.fixture
def commit(store):
    def commit_to(rows, *, on=None, step="import", decided=(), found=(), branch="main", **more):
        made = [{"step": step, "by": "rule", "reason": "because", **d} for d in decided]
        return more.pop("store", store).commit(
            branch,
            rows,
            parents=() if on is None else (on,),
            task="classification",
            step=StepRecord(step, more.pop("options", {}), 1),
            decisions=schema.decisions(made),
            findings=schema.findings({"check": step, **f} for f in found),
            **more,
        )

    return commit_to


@pytest.fixture
def changed():
    """Change cells of a table of rows: changed(rows, {"id": {"label": "b"}})."""

    def with_cells(rows, cells, *, drop=()):
        records = [{**r, **cells.get(r["id"], {})} for r in rows.to_pylist() if r["id"] not in drop]
        return pa.Table.from_pylist(records, schema=rows.schema)

    return with_cells


@pytest.fixture
def story(store, commit, rows_of, changed):
    """Five imported rows, then a step each that edits, drops, relabels, weights and augments."""
    rows = rows_of(
        {"id": "r0", "text": "where is my card", "label": "arrival"},
        {"id": "r1", "text": "where is my card?", "label": "arrival"},
        {"id": "r2", "text": "top &amp; up", "label": "top_up"},
        {"id": "r3", "text": "my card is lost", "label": "top_up"},
        {"id": "t0", "text": "is my card lost", "label": "lost", "split": "test"},
    )
    imported = commit(rows)
    rows = changed(rows, {"r2": {"text": "top & up", "step": "clean"}})
    clean = commit(
        rows,
        on=imported,
        step="clean",
        decided=[
            {
                "row_id": "r2",
                "action": "edit",
                "reason": "HTML entities",
                "issue_type": "html",
                "before": '{"text":"top &amp; up"}',
                "after": '{"text":"top & up"}',
            }
        ],
        found=[{"row_id": "r2", "issue_type": "html", "suggestion": "top & up"}],
    )
    rows = changed(rows, {}, drop=["r1"])
    duplicates = commit(
        rows,
        on=clean,
        step="duplicates",
        decided=[
            {
                "row_id": "r1",
                "action": "drop",
                "reason": "near-duplicate",
                "issue_type": "near_duplicate",
                "score": 0.951,
                "partner_id": "r0",
            }
        ],
        found=[
            {
                "row_id": "r1",
                "issue_type": "near_duplicate",
                "score": 0.951,
                "partner_id": "r0",
            }
        ],
    )
    rows = changed(
        rows,
        {
            "r3": {"label": "lost", "step": "label_errors"},
            "r2": {"weight": 0.5, "step": "label_errors"},
        },
    )
    labels = commit(
        rows,
        on=duplicates,
        step="label_errors",
        decided=[
            {
                "row_id": "r3",
                "action": "relabel",
                "reason": "label contradicted",
                "issue_type": "label",
                "score": 2.5,
                "before": '{"label":"top_up"}',
                "after": '{"label":"lost"}',
            },
            {"row_id": "r2", "action": "weight", "reason": "in doubt", "by": "ann"},
        ],
        found=[
            {"row_id": "r3", "issue_type": "label", "score": 2.5, "suggestion": "lost"},
            {"row_id": "r0", "issue_type": "label", "score": 0.25, "suggestion": "lost"},
            {"row_id": "r2", "issue_type": "label", "score": -1.0, "flagged": False},
        ],
    )
    new = rows_of(
        {
            "id": "x0",
            "group": "r3",
            "text": "my crad is lost",
            "label": "lost",
            "source": None,
            "source_row": None,
            "parent": "r3",
            "step": "augment",
        }
    )
    augment = commit(
        pa.concat_tables([rows, new]),
        on=labels,
        step="augment",
        decided=[
            {"row_id": "x0", "action": "add", "reason": "keyboard typo, copy 0"},
            {
                "row_id": "x1",
                "action": "reject",
                "reason": "near-duplicate of a test row",
                "score": 0.9,
                "partner_id": "t0",
                "after": '{"text":"is my crad lost","label":"lost","parent":"r3"}',
            },
        ],
    )
    return store, [imported, clean, duplicates, labels, augment]
