"""What each task's rows look like and say: the one place that knows columns by task.

The one idea: every other stage asks the `Task`. It says which columns a row has, and gives what the
stages work on as plain arrays: the text that near-duplicates are told by, what the row teaches, its
labels. So a stage that was written for one task works for all, or says which tasks it knows.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curator.errors import RecipeError, RowError

# Lists bear the name that Parquet gives their elements, so a type reads the same once stored.
MESSAGES = pa.list_(
    pa.field(
        "element", pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())])
    )
)
LABELS = pa.list_(pa.field("element", pa.string()))
SPANS = pa.list_(
    pa.field(
        "element",
        pa.struct(
            [
                pa.field("start", pa.int64()),
                pa.field("end", pa.int64()),
                pa.field("label", pa.string()),
            ]
        ),
    )
)

_TYPES = {
    "text": pa.string(), "label": pa.string(), "labels": LABELS, "spans": SPANS,
    "messages": MESSAGES, "prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES,
}  # fmt: skip
_HEAD = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("group", pa.string(), nullable=False),
]
_TAIL = [
    pa.field("split", pa.string(), nullable=False),
    pa.field("weight", pa.float32(), nullable=False),
    pa.field("source", pa.string()),
    pa.field("source_row", pa.int64()),
    pa.field("parent", pa.string()),
    pa.field("step", pa.string(), nullable=False),
]


@dataclass(frozen=True, slots=True)
class Task:
    """Which columns a task's rows carry, and what they say.

    name: as written in a recipe.
    inputs: columns a model reads; with the source's name they make the id.
    targets: columns a model learns; empty where the input is all there is.
    has_label: rows carry labels out of a known set: classes, label sets, kinds of span.
    relabelled: columns whose change is a `relabel`; other columns are changed by `edit`.
    input_of, target_of, labels_of: one row, as a mapping of its columns, to text and labels.
    value_fault: what of a row breaks the contract although its types are right; None: nothing can.
    """

    name: str
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    has_label: bool
    relabelled: tuple[str, ...]
    input_of: Callable[[Mapping[str, Any]], str]
    target_of: Callable[[Mapping[str, Any]], str]
    labels_of: Callable[[Mapping[str, Any]], tuple[str, ...]]
    value_fault: Callable[[Mapping[str, Any]], str | None] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The task's own columns, inputs first."""
        return (*self.inputs, *self.targets)

    @property
    def schema(self) -> pa.Schema:
        """All contract columns of a row of this task, in their order."""
        own = [pa.field(name, _TYPES[name], nullable=False) for name in self.columns]
        return pa.schema([*_HEAD, *own, *_TAIL])

    @property
    def is_single_label(self) -> bool:
        """Whether each row has one label out of a set: a class."""
        return self.targets == ("label",)

    @property
    def is_plain_text(self) -> bool:
        """Whether the text of a row can change without anything else: no spans, no messages."""
        return self.inputs == ("text",) and "spans" not in self.targets

    def input_text(self, rows: pa.Table) -> pa.Array:
        """Give the text that likeness is judged by, one string a row, in row order.

        The text; the turns of the user (the whole dialogue where the user has none); the prompt.
        """
        if self.inputs == ("text",):
            return rows["text"].combine_chunks()
        return pa.array(self._each(rows, self.inputs, self.input_of), pa.string())

    def target_text(self, rows: pa.Table) -> pa.Array:
        """Give what each row teaches as one string; equal strings teach the same.

        The label; labels or spans as JSON (a span by its words); answers; "" for a corpus.
        """
        if self.targets == ("label",):
            return rows["label"].combine_chunks()
        return pa.array(self._each(rows, self.columns, self.target_of), pa.string())

    def shown(self, taught: str) -> str:
        """Quote what a row teaches, as `target_text` gives it; long answers are cut."""
        glance = 60
        if self.is_single_label or len(taught) <= glance:
            return repr(taught)
        return f"{taught[:glance]!r}..."

    def label_sets(self, rows: pa.Table) -> list[tuple[str, ...]]:
        """Give the labels of each row, sorted and unique; () where it has none."""
        if not self.has_label:
            return [()] * rows.num_rows
        return self._each(rows, self.targets, self.labels_of)

    def labels(self, rows: pa.Table) -> set[str]:
        """Give all labels that stand on any of these rows."""
        return set().union(*self.label_sets(rows))

    def action_of(self, column: str) -> str:
        """Name the action that changes a column: relabel, weight or edit."""
        if column in self.relabelled:
            return "relabel"
        return "weight" if column == "weight" else "edit"

    @staticmethod
    def _each(
        rows: pa.Table, names: Sequence[str], function: Callable[[Mapping[str, Any]], Any]
    ) -> list[Any]:
        return [function(row) for row in rows.select(list(names)).to_pylist()]


def contents(messages: Sequence[Mapping[str, str]], role: str | None = None) -> str:
    """Join what is said in messages, or what one role says, line by line."""
    return "\n".join(m["content"] for m in messages if role is None or m["role"] == role)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(row: Mapping[str, Any]) -> str:
    return str(row["text"])


def _asked(row: Mapping[str, Any]) -> str:
    return contents(row["messages"], "user") or contents(row["messages"])


def _answered(row: Mapping[str, Any]) -> str:
    return contents(row["messages"], "assistant")


def _prompted(row: Mapping[str, Any]) -> str:
    return contents(row["prompt"])


def _preferred(row: Mapping[str, Any]) -> str:
    return _json([contents(row["chosen"]), contents(row["rejected"])])


def _label(row: Mapping[str, Any]) -> str:
    return str(row["label"])


def _one_label(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (str(row["label"]),)


def _label_list(row: Mapping[str, Any]) -> str:
    return _json(list(row["labels"]))


def _label_set(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(set(row["labels"])))


def _named_spans(row: Mapping[str, Any]) -> str:
    return _json([[row["text"][s["start"] : s["end"]], s["label"]] for s in row["spans"]])


def _span_labels(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted({span["label"] for span in row["spans"]}))


def _nothing(row: Mapping[str, Any]) -> str:
    del row
    return ""


def _no_labels(row: Mapping[str, Any]) -> tuple[str, ...]:
    del row
    return ()


def said_in(row: Mapping[str, Any]) -> str | None:
    """Give the input text of one row, whatever its task; None where the row is not there."""
    return task_of(list(row)).input_of(row) if row else None


def taught_in(row: Mapping[str, Any]) -> str | None:
    """Give what one row teaches, whatever its task; None where it teaches nothing."""
    return (task_of(list(row)).target_of(row) or None) if row else None


def action_of(column: str, names: Sequence[str]) -> str:
    """Name the action that changes a column of a table with these columns."""
    return task_of(names).action_of(column)


def span_fault(text: str, spans: Sequence[Mapping[str, Any]]) -> str | None:
    """Say what is wrong with the spans of a text; None where nothing is.

    Spans count Unicode code points, the end exclusive. They may nest; they may not cross, and no
    span may stand twice.
    """
    for span in spans:
        start, end, label = span["start"], span["end"], span["label"]
        if start is None or end is None or not label:
            return f"the span {start}-{end} ({label}) lacks a start, an end or a label"
        if not 0 <= start < end:
            return f"the span {start}-{end} ({label}) is empty or begins before the text"
        if end > len(text):
            return (
                f"the span {start}-{end} ({label}) ends beyond the text, which has {len(text)} "
                "characters; offsets count Unicode code points, the end exclusive"
            )
    return _crossing(sorted_spans(spans))


def _crossing(spans: Sequence[Mapping[str, Any]]) -> str | None:
    for before, span in itertools.pairwise(spans):
        if span == before:
            return f"the span {_told(span)} stands twice"
    open_: list[Mapping[str, Any]] = []
    for span in sorted(spans, key=lambda s: (s["start"], -s["end"])):
        open_ = [other for other in open_ if other["end"] > span["start"]]
        for other in open_:
            if other["end"] < span["end"]:
                return f"the spans {_told(other)} and {_told(span)} cross; spans may only nest"
        open_.append(span)
    return None


def _told(span: Mapping[str, Any]) -> str:
    return f"{span['start']}-{span['end']} ({span['label']})"


def sorted_spans(spans: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Put spans in their canonical order: by start, end, label."""
    plain = [{"start": s["start"], "end": s["end"], "label": s["label"]} for s in spans]
    return sorted(plain, key=lambda s: (s["start"], s["end"], s["label"]))


def messages_fault(name: str, messages: Sequence[Mapping[str, Any]]) -> str | None:
    """Say what is wrong with a list of messages; None where nothing is."""
    if not messages:
        return f"{name} holds no message"
    for number, message in enumerate(messages, 1):
        if message is None or not message["role"] or message["content"] is None:
            return f"message {number} of {name} lacks a role or content"
    return None


def _labels_fault(row: Mapping[str, Any]) -> str | None:
    labels = row["labels"]
    if any(not label for label in labels):
        return f"labels {labels} hold an empty one"
    return None if labels == sorted(set(labels)) else f"labels {labels} are not sorted and unique"


def _spans_fault(row: Mapping[str, Any]) -> str | None:
    if fault := span_fault(row["text"], row["spans"]):
        return fault
    return None if row["spans"] == sorted_spans(row["spans"]) else "the spans are not sorted"


def _dialogue_fault(row: Mapping[str, Any]) -> str | None:
    return messages_fault("messages", row["messages"])


def _preference_fault(row: Mapping[str, Any]) -> str | None:
    faults = (messages_fault(name, row[name]) for name in ("prompt", "chosen", "rejected"))
    return next(filter(None, faults), None)


TASKS = {
    task.name: task
    for task in (
        Task("classification", ("text",), ("label",), has_label=True, relabelled=("label",),
             input_of=_text, target_of=_label, labels_of=_one_label),
        Task("multilabel", ("text",), ("labels",), has_label=True, relabelled=("labels",),
             input_of=_text, target_of=_label_list, labels_of=_label_set,
             value_fault=_labels_fault),
        Task("tokens", ("text",), ("spans",), has_label=True, relabelled=(),
             input_of=_text, target_of=_named_spans, labels_of=_span_labels,
             value_fault=_spans_fault),
        Task("instruction", ("messages",), (), has_label=False, relabelled=(),
             input_of=_asked, target_of=_answered, labels_of=_no_labels,
             value_fault=_dialogue_fault),
        Task("preference", ("prompt",), ("chosen", "rejected"), has_label=False, relabelled=(),
             input_of=_prompted, target_of=_preferred, labels_of=_no_labels,
             value_fault=_preference_fault),
        Task("corpus", ("text",), (), has_label=False, relabelled=(),
             input_of=_text, target_of=_nothing, labels_of=_no_labels),
    )
}  # fmt: skip

CONTRACT_NAMES = frozenset(name for task in TASKS.values() for name in task.schema.names)
"""Names that a user's own column may not bear, as they mean something in one task or another."""


def reserved_names(task: Task) -> frozenset[str]:
    """Name what a user's own column may not be called.

    A classification row may have columns of the user's such as `labels`: it always has a `label`,
    which tells it apart. Everywhere else no contract name of any task is free.
    """
    return frozenset(task.schema.names) if task.name == "classification" else CONTRACT_NAMES


def task_named(name: str) -> Task:
    """Give the task of this name.

    Raises:
        RecipeError: There is no such task.
    """
    if name in TASKS:
        return TASKS[name]
    raise RecipeError(f"task {name!r} is not one of {list(TASKS)}")


# The first column here that a table has tells its task.
_TELLING = {
    "label": "classification", "labels": "multilabel", "spans": "tokens",
    "messages": "instruction", "chosen": "preference", "text": "corpus",
}  # fmt: skip


def task_of(rows: pa.Table | Sequence[str]) -> Task:
    """Give the task of a table of rows, or of its column names, told by the contract columns.

    Raises:
        RowError: It has the columns of no task.
    """
    names = rows.column_names if isinstance(rows, pa.Table) else list(rows)
    for column, task in _TELLING.items():
        if column in names:
            return TASKS[task]
    raise RowError(f"rows with columns {names} are of no task; expected one of {list(_TELLING)}")
