"""Rows in the forms that other programs train from: Alpaca, ShareGPT, messages, CoNLL, spaCy.

The one idea: a form that cannot say what a row says is refused with the row's name; nothing is
left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

import connectors
from curator.errors import StoreError
from curator.tasks import task_of

Record = dict[str, Any]

FORMS: dict[str, Any] = {
    "alpaca": "jsonl", "sharegpt": "jsonl", "messages": "jsonl", "spacy": "jsonl", "conll": "conll",
}  # fmt: skip
"""The forms, and in which kind of file each is written."""


def check_form(form: str, task: str) -> None:
    """Check that a form knows the rows of a task.

    Raises:
        StoreError: It does not; names those that do.
    """
    if (task, form) not in _WRITERS:
        known = [name for of, name in _WRITERS if of == task]
        told = f"; there are {known}" if known else ""
        raise StoreError(f"--to {form}: no form of that name for rows of the task {task!r}{told}")


def in_form(rows: pa.Table, form: str) -> pa.Table:
    """Give rows as records of a form, with their split, in row order.

    Raises:
        StoreError: A row says what the form cannot say; names the first.
    """
    write = _WRITERS[task_of(rows).name, form]
    names = [*task_of(rows).columns, *(n for n in ("tokens",) if n in rows.column_names)]
    records: list[Record] = []
    faults: list[str] = []
    for row_id, split, row in zip(
        rows["id"].to_pylist(),
        rows["split"].to_pylist(),
        rows.select(names).to_pylist(),
        strict=True,
    ):
        try:
            records.append({"id": row_id, "split": split, **write(row)})
        except connectors.RecordError as fault:
            faults.append(f"row {row_id}: {fault}")
    if faults:
        raise StoreError(
            f"--to {form}: {len(faults):,} of {rows.num_rows:,} rows cannot be written so, and "
            f"nothing was; the first: {faults[0]}"
        )
    keys = dict.fromkeys(key for record in records for key in record)
    return pa.table({key: [record.get(key) for record in records] for key in keys})


def _alpaca(row: Mapping[str, Any]) -> Record:
    return connectors.as_alpaca(row["messages"])


def _sharegpt(row: Mapping[str, Any]) -> Record:
    return connectors.as_sharegpt(row["messages"])


def _messages(row: Mapping[str, Any]) -> Record:
    return {"messages": row["messages"]}


def _preference(row: Mapping[str, Any]) -> Record:
    return {name: row[name] for name in ("prompt", "chosen", "rejected")}


def _spacy(row: Mapping[str, Any]) -> Record:
    return {"text": row["text"], "spans": row["spans"]}


def _conll(row: Mapping[str, Any]) -> Record:
    text = row["text"]
    given = connectors.decoded(row.get("tokens"))
    places = (
        connectors.placed([str(t) for t in given], text)
        if isinstance(given, list)
        else connectors.tokens_of(text)
    )
    tags, lost = connectors.as_tags(row["spans"], places)
    if lost:
        raise connectors.RecordError(lost[0])
    return {"tokens": [text[start:end] for start, end in places], "tags": tags}


_WRITERS: dict[tuple[str, str], Callable[[Mapping[str, Any]], Record]] = {
    ("instruction", "alpaca"): _alpaca,
    ("instruction", "sharegpt"): _sharegpt,
    ("instruction", "messages"): _messages,
    ("preference", "messages"): _preference,
    ("tokens", "spacy"): _spacy,
    ("tokens", "conll"): _conll,
}
