"""Texts of rows through a function, whatever the task: spans move along, messages one by one.

The one idea: a fix knows texts only. Here its result goes back into the rows: into the text, into
each message, and where spans lie in the text they are moved with it, or the row stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curator.tasks import MESSAGES, SPANS, Task, sorted_spans, span_fault, task_of

Fixer = Callable[[pa.Array], pa.Array]
BoolArray = npt.NDArray[np.bool_]

# An alignment costs the product of the two lengths; longer changed stretches stay unedited.
_ALIGNED_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Rows after a fix, and those it could not be applied to.

    rows: n rows, same order; unedited: shape (n,), rows whose text would have changed under a span
        that could not be moved along, so that they stayed as they were.
    """

    rows: pa.Table
    unedited: BoolArray


def rewritten(rows: pa.Table, fix: Fixer) -> Rewritten:
    """Put all texts of rows through a fix.

    Args:
        rows: n rows of any task.
        fix: n texts -> n texts.
    """
    task = task_of(rows)
    unedited = np.zeros(rows.num_rows, np.bool_)
    if task.is_plain_text:
        return Rewritten(_with(rows, task, {"text": fix(_whole(rows, "text"))}), unedited)
    if "spans" in task.targets:
        return _with_spans(rows, task, fix)
    columns = {name: _messages(_whole(rows, name), fix) for name in task.columns}
    return Rewritten(_with(rows, task, columns), unedited)


def _whole(rows: pa.Table, name: str) -> pa.Array:
    column = rows[name].combine_chunks()
    return column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)


def _with(rows: pa.Table, task: Task, columns: Mapping[str, pa.Array]) -> pa.Table:
    for name, values in columns.items():
        place = rows.column_names.index(name)
        rows = rows.set_column(place, task.schema.field(name), values)
    return rows


def _messages(column: pa.Array, fix: Fixer) -> pa.Array:
    flat = pc.list_flatten(column)
    fixed = fix(flat.field("content"))
    ends = np.cumsum([0, *pc.list_value_length(column).to_pylist()])
    said = pa.StructArray.from_arrays(
        [flat.field("role"), fixed.cast(pa.string())], fields=list(MESSAGES.value_type)
    )
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), said, type=MESSAGES)


def _with_spans(rows: pa.Table, task: Task, fix: Fixer) -> Rewritten:
    before = _whole(rows, "text")
    after = fix(before)
    texts, spans = after.to_pylist(), _whole(rows, "spans").to_pylist()
    unedited = np.zeros(rows.num_rows, np.bool_)
    touched = pc.not_equal(before, after).to_numpy(zero_copy_only=False)
    for at in np.flatnonzero(touched).tolist():
        old = before[at].as_py()
        moved = moved_spans(old, texts[at], spans[at], fix)
        if moved is None:
            texts[at], unedited[at] = old, True
        else:
            spans[at] = moved
    columns = {"text": pa.array(texts, pa.string()), "spans": pa.array(spans, SPANS)}
    return Rewritten(_with(rows, task, columns), unedited)


def moved_spans(
    before: str, after: str, spans: Sequence[Mapping[str, Any]], fix: Fixer
) -> list[dict[str, Any]] | None:
    """Move spans from a text to its fixed form; None where one cannot be followed.

    A span is followed when what it covers afterwards is what the fix makes of what it covered.

    >>> import pyarrow as pa
    >>> def tidy(texts):
    ...     return pa.array([" ".join(t.as_py().split()) for t in texts])
    >>> moved_spans("call  Bob Lee", "call Bob Lee", [{"start": 6, "end": 13, "label": "P"}], tidy)
    [{'start': 5, 'end': 12, 'label': 'P'}]
    """
    if not spans:
        return []
    blocks = _blocks(before, after)
    if blocks is None:
        return None
    covered = pa.array([before[s["start"] : s["end"]] for s in spans], pa.string())
    wanted = fix(covered).to_pylist()
    moved = []
    for span, words in zip(spans, wanted, strict=True):
        start, end = _moved(span["start"], span["end"], blocks)
        if start >= end or after[start:end] != words:
            return None
        moved.append({"start": start, "end": end, "label": span["label"]})
    return None if span_fault(after, moved) else sorted_spans(moved)


_Block = tuple[int, int, int, int]


def _blocks(before: str, after: str) -> list[_Block] | None:
    """Align two texts: the stretches that differ, as (start, end) in the one and in the other."""
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if max(len(old), len(new)) > _ALIGNED_CHARS:
        return None
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [
        (i1 + head, i2 + head, j1 + head, j2 + head)
        for tag, i1, i2, j1, j2 in codes
        if tag != "equal"
    ]


def _moved(start: int, end: int, blocks: Sequence[_Block]) -> tuple[int, int]:
    """Follow both ends of a span; what goes at an end goes out of the span."""
    shift_start = shift_end = 0
    new_start: int | None = None
    new_end: int | None = None
    for i1, i2, j1, j2 in blocks:
        if i2 <= start:
            shift_start = j2 - i2
        elif i1 <= start < i2:  # the span begins in what changed
            new_start = j1 if j2 - j1 else j2
        if i2 < end or (i2 == end and i1 < i2):
            shift_end = j2 - i2
        elif i1 < end < i2:  # it ends there
            new_end = j1
    return (
        start + shift_start if new_start is None else new_start,
        end + shift_end if new_end is None else new_end,
    )


def cells_of(rows: pa.Table, at: int) -> dict[str, Any]:
    """Give the task's own cells of one row."""
    return {name: rows[name][at].as_py() for name in task_of(rows).columns}


def suggestion_of(before: pa.Table, after: pa.Table, at: int) -> str:
    """Write what a row should read as the suggestion of a finding.

    The text where nothing else changes with it; else a JSON object of the cells that change.
    """
    if task_of(after).is_plain_text:
        return str(after["text"][at].as_py())
    old, new = cells_of(before, at), cells_of(after, at)
    return json.dumps({k: v for k, v in new.items() if v != old[k]}, ensure_ascii=False)


def suggested(task: Task, suggestion: str) -> dict[str, Any]:
    """Read the cells that an edit's suggestion changes."""
    if task.is_plain_text:
        return {"text": suggestion}
    return dict(json.loads(suggestion))


def texts_of(rows: pa.Table) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Give every text of rows, and which row each belongs to: the text, or all messages."""
    task = task_of(rows)
    if "text" in task.inputs:
        return _whole(rows, "text"), np.arange(rows.num_rows)
    parts, owners = [], []
    for name in task.columns:
        column = _whole(rows, name)
        parts.append(pc.list_flatten(column).field("content"))
        counts = pc.list_value_length(column).to_numpy(zero_copy_only=False)
        owners.append(np.repeat(np.arange(rows.num_rows), counts))
    return pa.concat_arrays(parts), np.concatenate(owners)
