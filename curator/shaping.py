"""The columns of a source become the columns of a task, value by value.

The one idea: a value that is not of the form its task asks for sets its record aside with a reason;
what can be read in two ways is not guessed. Each task names the roles a recipe's `columns:` may
give; which of them are asked for by default stands here too.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import connectors
from connectors import RecordError
from curator.tasks import TASKS, Task, sorted_spans

ROLES: dict[str, tuple[str, ...]] = {
    "classification": ("text", "label"),
    "multilabel": ("text", "labels"),
    "tokens": ("text", "spans", "tokens", "tags"),
    "instruction": ("messages", "prompt", "input", "response", "system", "history"),
    "preference": ("prompt", "chosen", "rejected", "system"),
    "corpus": ("text",),
}
"""Which columns of a source a recipe may name for each task, besides `split` and `group`."""

_TARGETS = {"label": "", "labels": "[]", "spans": "[]"}
"""What a row teaches where a file that is only looked at has no such column."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """A source's records in the columns of their task.

    columns: by contract column, n values each; null where there is a fault.
    stages: faults by record, None where there is none, shape (n,); a record is set aside for the
        first stage that finds one.
    used: columns of the source that need not be kept beside them.
    notes: sentences by kind, each with the records (0-based) it is about.
    """

    columns: Mapping[str, pa.Array | pa.ChunkedArray]
    stages: Sequence[Sequence[str | None]]
    used: frozenset[str]
    notes: Mapping[str, Sequence[int]] = field(default_factory=dict)


def asked_columns(task: str, named: Mapping[str, str]) -> dict[str, str]:
    """Give the columns a source of this task must have: those named, and the task's usual ones.

    Args:
        task: Its name.
        named: Role -> column, as the recipe has it.
    """
    usual: tuple[str, ...] = ROLES[task][:2]
    match task:
        case "tokens" if "tokens" in named or "tags" in named:
            usual = ("tokens", "tags")
        case "instruction" if named.keys() & {"prompt", "response"}:
            usual = ("prompt", "response")
        case "instruction":
            usual = ("messages",)
        case "preference":
            usual = ("chosen", "rejected")
    return {**{role: role for role in usual}, **named}


def shape(
    task: Task,
    table: pa.Table,
    columns: Mapping[str, str],
    *,
    separator: str | None,
    labelled: bool,
) -> Shaped:
    """Give the records of a source in the columns of their task.

    Args:
        task: What they are rows of.
        table: As read; the columns that are named are there.
        columns: Role -> column, from `asked_columns`.
        separator: Between the labels in a text cell; None: such cells are lists in JSON.
        labelled: A label is asked for; without, an absent one reads as none.
    """
    if not labelled:
        table, columns = _with_targets(task, table, columns)
    used = frozenset(columns[role] for role in columns if role in ROLES[task.name])
    match task.name:
        case "classification":
            return _classified(table, columns, used, labelled=labelled)
        case "corpus":
            text = as_text(table[columns["text"]])
            return Shaped({"text": text}, [_masked(pc.is_null(text), "there is no text")], used)
        case "multilabel":
            read: Callable[..., dict[str, Any]] = _labels_reader(separator)
        case "tokens":
            return _tagged(table, columns, used)
        case "instruction":
            read = _dialogue
        case _:
            read = _preference
    return _read_each(task, table, columns, used, read)


def _with_targets(
    task: Task, table: pa.Table, columns: Mapping[str, str]
) -> tuple[pa.Table, dict[str, str]]:
    made = dict(columns)
    for role, empty in _TARGETS.items():
        if role in task.targets and role in made and made[role] not in table.column_names:
            made[role] = f"(no {role})"
            table = table.append_column(made[role], pa.array([empty] * table.num_rows))
    return table, made


def _classified(
    table: pa.Table, columns: Mapping[str, str], used: frozenset[str], *, labelled: bool
) -> Shaped:
    text = as_text(table[columns["text"]])
    label = pc.fill_null(pc.utf8_trim_whitespace(as_text(table[columns["label"]])), "")
    no_label = pc.equal(label, "")
    stages = [_masked(pc.is_null(text), "there is no text")]
    stages += [_masked(no_label, "there is no label")] * labelled
    return Shaped({"text": text, "label": label}, stages, used)


def _masked(mask: pa.ChunkedArray, reason: str) -> list[str | None]:
    return [reason if bad else None for bad in mask.to_pylist()]


def _read_each(
    task: Task,
    table: pa.Table,
    columns: Mapping[str, str],
    used: frozenset[str],
    read: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> Shaped:
    """Read record by record; a fault in one costs that one only."""
    roles = [role for role in columns if role in ROLES[task.name]]
    values = [table[columns[role]].to_pylist() for role in roles]
    rows: list[dict[str, Any]] = []
    faults: list[str | None] = []
    for record in zip(*values, strict=True):
        row, fault = _one(task, dict(zip(roles, record, strict=True)), read)
        rows.append(row)
        faults.append(fault)
    made = {
        name: pa.array([row.get(name) for row in rows], task.schema.field(name).type)
        for name in task.columns
    }
    if "messages" in columns and any(map(connectors.has_more_than_messages, values[0])):
        used -= {columns["messages"]}  # tool calls and the like stay, as they came
    return Shaped(made, [faults], used)


def _one(
    task: Task, parts: Mapping[str, Any], read: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> tuple[dict[str, Any], str | None]:
    try:
        row = read(parts)
    except RecordError as error:
        return {}, str(error)
    fault = task.value_fault(row) if task.value_fault else None
    return ({} if fault else row), fault


def _text_of(parts: Mapping[str, Any]) -> str:
    if parts["text"] is None:
        raise RecordError("there is no text")
    return _spelt(parts["text"]) or ""


def _labels_reader(separator: str | None) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def read(parts: Mapping[str, Any]) -> dict[str, Any]:
        return {"text": _text_of(parts), "labels": read_labels(parts["labels"], separator)}

    return read


def read_labels(value: object, separator: str | None) -> list[str]:
    """Read a set of labels: a list, a list as JSON or Python text, or text with a separator.

    Raises:
        RecordError: It is none, or a label is empty or stands twice.
    """
    if value is None:
        raise RecordError("there are no labels; an empty list or cell says that none holds")
    found = _listed(value, separator) if isinstance(value, str) else value
    if not isinstance(found, list | tuple):
        raise RecordError(f"found {value!r}, expected a list of labels")
    labels = [(_spelt(label) or "").strip() for label in found]
    if "" in labels:
        raise RecordError(f"labels {labels} hold an empty one")
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise RecordError(f"label {twice[0]!r} stands twice")
    return sorted(labels)


def _listed(cell: str, separator: str | None) -> object:
    told = cell.strip()
    if not told:
        return []
    if separator is not None:
        return told.split(separator)
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(told)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list | tuple | set):
            return sorted(found, key=str) if isinstance(found, set) else found
    raise RecordError(
        f'found {cell[:60]!r}, expected a list such as ["a", "b"]; where the labels of a cell '
        "are parted by a character, name it with separator: in the source"
    )


def _tagged(table: pa.Table, columns: Mapping[str, str], used: frozenset[str]) -> Shaped:
    """Read spans, or tags on tokens; tokens and tags stay among the user's own columns."""
    notes: dict[str, list[int]] = {}
    number = iter(range(table.num_rows))

    def read(parts: Mapping[str, Any]) -> dict[str, Any]:
        at = next(number)
        if "tags" not in parts:
            text = _text_of(parts)
            if parts["spans"] is None:
                raise RecordError("there are no spans; an empty list or cell says that none holds")
            return {
                "text": text,
                "spans": sorted_spans(connectors.read_spans(parts["spans"], text)),
            }
        tokens, tags = (_strings(parts[role], role) for role in ("tokens", "tags"))
        if parts.get("text") is None:
            text, places = connectors.joined(tokens)
        else:
            text, places = parts["text"], connectors.placed(tokens, parts["text"])
        spans, faults = connectors.read_tags(tags, places)
        if faults:
            notes.setdefault(f"tags that break their scheme: {faults[0]}", []).append(at)
        return {"text": text, "spans": sorted_spans(spans)}

    shaped = _read_each(TASKS["tokens"], table, columns, used, read)
    kept = used - {columns[role] for role in ("tokens", "tags") if role in columns}
    return Shaped(shaped.columns, shaped.stages, kept, notes)


def _strings(value: object, role: str) -> list[str]:
    found = connectors.decoded(value)
    if not isinstance(found, list):
        raise RecordError(f"{role}: found {str(value)[:60]!r}, expected a list")
    if role == "tags" and any(isinstance(tag, int) for tag in found):
        raise RecordError(
            f"tags are numbers ({found[:4]}), expected texts such as B-PER; give them their names "
            "first (a datasets.Dataset with class names can be read as it is)"
        )
    return ["" if item is None else str(item) for item in found]


def _dialogue(parts: Mapping[str, Any]) -> dict[str, Any]:
    if "messages" not in parts:
        return {"messages": connectors.read_exchange(parts)}
    if parts["messages"] is None:
        raise RecordError("there are no messages")
    messages = connectors.read_messages(parts["messages"])
    return {"messages": connectors.with_system(messages, parts.get("system"))}


def _preference(parts: Mapping[str, Any]) -> dict[str, Any]:
    prompt, chosen, rejected = connectors.read_preference(parts)
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give a column as text, each value by itself; null stays null."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.string())
    return pa.chunked_array([pa.array([_spelt(v) for v in column.to_pylist()], pa.string())])


def _spelt(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
