"""What each task asks of an annotator: a row as a question, and an answer as the row's new cells.

The one idea: an answer is a short text, the same for all who mean the same: a label, a list of
labels or spans, which of two answers is preferred, a rewritten answer. So people can be counted,
whatever the task, and only here is it known which cells of a row an answer changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curator import annotating_layouts as layouts
from curator.annotating_answers import (
    ANSWER,
    Read,
    Shown,
    read_instruction,
    read_labels,
    read_preference,
    read_spans,
    side_of,
    sides,
)
from curator.annotating_pages import DECISIONS, LabelText, Page, config, read_answer, task_data
from curator.errors import StoreError
from curator.schema import Field, hash_fields
from curator.tasks import sorted_spans, span_fault
from curator.voting import vote_labels, vote_one, vote_spans

Row = Mapping[str, Any]
"""The task's own cells of one row."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a task is asked.

    task: Its name; column: the one a verdict changes, as conflicts name it.
    decisions: Keys of the answers that the page offers.
    config: The labelling configuration: labels, language -> XML.
    data: What a task carries: page, cells of the row as shown, labels, language -> JSON values.
    read: An annotation -> answer, or what is wrong with it.
    taught: What a row teaches, as an answer would say it.
    asked: What is asked about: an answer holds as long as this is the same.
    cells: An answer about a row -> its cells; None where the answer is not about this row.
    same: An answer that changes nothing but words, as `taught` would say it afterwards.
    proposed: The suggestion of a finding -> answer; None where it is none.
    spoiled: A wrong answer close to a right one, for known answers; None where there is none.
    combine: Answers of several people -> the answer of the most (None: open), share behind it.
    shows_given, shows_near: Whether the page tells what the row teaches; and its nearest rows.
    needs_text: Whether an answer is about the very characters shown, so that none may be masked.
    """

    task: str
    column: str
    decisions: tuple[str, ...]
    config: Callable[[Sequence[LabelText], str | None], str]
    data: Callable[[Page, Row, Mapping[str, LabelText], str | None], dict[str, Any]]
    read: Callable[[Sequence[Mapping[str, Any]], Shown], Read]
    taught: Callable[[Row], str]
    asked: Callable[[Row], Sequence[Field]]
    cells: Callable[[str, Row], dict[str, Any] | None]
    proposed: Callable[[str, Row], str | None]
    spoiled: Callable[[str], str | None]
    combine: Callable[[Sequence[str]], tuple[str | None, float]]
    same: Callable[[str], str] = str
    has_label: bool = True
    shows_given: bool = True
    shows_near: bool = False
    needs_text: bool = False


def form_of(task: str) -> Form:
    """Give the form of a task.

    Raises:
        StoreError: It has none.
    """
    if task not in FORMS:
        raise StoreError(
            f"annotate: task {task!r} has nothing that annotators could settle; there are pages "
            f"for {sorted(FORMS)}"
        )
    return FORMS[task]


def asked_hash(form: Form, row: Row) -> str:
    """Hash what an answer about a row rests on."""
    return hash_fields(*form.asked(row))


def prediction_of(task: str, control: str, suggested: str | None) -> list[dict[str, Any]]:
    """Give what is ticked or marked beforehand: spans alone, as editing them is the work."""
    if task != "tokens" or control == "blind" or suggested is None:
        return []
    return [
        {
            "id": f"span{number}", "from_name": "label", "to_name": "text", "type": "labels",
            "value": {"start": start, "end": end, "labels": [label]},
        }
        for number, (start, end, label) in enumerate(json.loads(suggested))
    ]  # fmt: skip


def missing_in(found: str, form: Form, wanted: str) -> list[str]:
    """Name what a configuration that was changed by hand no longer has, of what answers need."""
    return sorted(layouts.keys_in(wanted, form.decisions) - layouts.keys_in(found, form.decisions))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(row: Row) -> Sequence[Field]:
    return (str(row["text"]),)


# One label


def _label_data(
    page: Page, row: Row, labels: Mapping[str, LabelText], language: str | None
) -> dict[str, Any]:
    del row
    return task_data(page, labels, language)


def _read_label(result: Sequence[Mapping[str, Any]], shown: Shown) -> Read:
    return read_answer(result, given=shown.given, suggested=shown.seen, labels=shown.labels)


def _most(values: Sequence[str]) -> tuple[str | None, float]:
    vote = vote_one(values)
    return (None if vote.value is None else str(vote.value)), vote.share


# Several labels


def _labels(value: str) -> list[str]:
    return list(json.loads(value))


def _proposed_labels(suggestion: str, row: Row) -> str | None:
    del row
    found = _loaded(suggestion)
    if isinstance(found, Mapping):
        found = found.get("labels")
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        return None
    return _json(sorted(set(found)))


def _fewer(value: str) -> str | None:
    """Leave the first one out: a fault such as people make."""
    found = json.loads(value)
    return _json(found[1:]) if found else None


def _voted_labels(values: Sequence[str]) -> tuple[str | None, float]:
    vote = vote_labels([_labels(value) for value in values])
    return (None if vote.open else _json(list(vote.value))), vote.share  # type: ignore[call-overload]


# Spans


def _triples(spans: Sequence[Mapping[str, Any]]) -> str:
    return _json([[s["start"], s["end"], s["label"]] for s in sorted_spans(spans)])


def _spans(value: str) -> list[dict[str, Any]]:
    return [{"start": s, "end": e, "label": label} for s, e, label in json.loads(value)]


def _proposed_spans(suggestion: str, row: Row) -> str | None:
    found = _loaded(suggestion)
    if isinstance(found, Mapping):
        found = found.get("spans")
    try:
        spans = [
            dict(one) if isinstance(one, Mapping) else dict(zip(("start", "end", "label"), one,
                                                                strict=True))
            for one in found or ()
        ]  # fmt: skip
        fault = span_fault(str(row["text"]), spans)
        return None if fault or found is None else _triples(spans)
    except (KeyError, TypeError, ValueError):
        return None


def _voted_spans(values: Sequence[str]) -> tuple[str | None, float]:
    vote = vote_spans([[(s, e, label) for s, e, label in json.loads(v)] for v in values])
    spans = [{"start": s, "end": e, "label": label} for s, e, label in vote.value]  # type: ignore[attr-defined]
    longest = "x" * max((span["end"] for span in spans), default=0)
    if vote.open or span_fault(longest, spans):
        return None, vote.share
    return _triples(spans), vote.share


# Instructions


def _answer_at(row: Row) -> int | None:
    """Give the place of the answer that is judged: the last of the assistant."""
    places = [n for n, m in enumerate(row["messages"]) if m["role"] == ANSWER]
    return places[-1] if places else None


def _without_answer(row: Row) -> Sequence[Field]:
    at = _answer_at(row)
    said = [[m["role"], m["content"]] for m in row["messages"]]
    return [part for n, part in enumerate(said) if n != at]


def _answer_hash(row: Row) -> str:
    at = _answer_at(row)
    return "" if at is None else side_of(row["messages"][at]["content"])


def _rewritten(value: str, row: Row) -> dict[str, Any] | None:
    messages, at = [dict(m) for m in row["messages"]], _answer_at(row)
    if at is None:
        return None
    if value.startswith("{"):
        messages[at]["content"] = json.loads(value)["response"]
    elif value != _answer_hash(row):
        return None
    return {"messages": messages}


def _said_after(value: str) -> str:
    return side_of(json.loads(value)["response"]) if value.startswith("{") else value


def _dialogue_data(
    page: Page, row: Row, labels: Mapping[str, LabelText], language: str | None
) -> dict[str, Any]:
    del labels, language
    at = _answer_at(row)
    before = row["messages"][:at]
    return {
        "row_id": page.row_id,
        "text": "\n".join(f"[{m['role']}] {m['content']}" for m in before) or " ",
        "response": row["messages"][at]["content"] if at is not None else " ",
        "reason": page.why or " ",
        "priority": page.priority,
    }


# Preferences


def _pair(row: Row) -> tuple[str, str]:
    return _whole(row["chosen"]), _whole(row["rejected"])


def _whole(messages: Sequence[Mapping[str, Any]]) -> str:
    """Hash all that one side says; both sides of a pair are told apart by it."""
    return side_of(*(part for m in messages for part in (m["role"], m["content"])))


def _pair_asked(row: Row) -> Sequence[Field]:
    return [[[m["role"], m["content"]] for m in row["prompt"]], sorted(_pair(row))]


def _preferred(value: str, row: Row) -> dict[str, Any] | None:
    chosen, rejected = _pair(row)
    if value not in (chosen, rejected):
        return None
    sides_now = (row["chosen"], row["rejected"])
    first, second = sides_now if value == chosen else sides_now[::-1]
    return {"chosen": first, "rejected": second}


def _pair_data(
    page: Page, row: Row, labels: Mapping[str, LabelText], language: str | None
) -> dict[str, Any]:
    """Show both sides in an order drawn by lot, so that nobody sees which one was preferred."""
    del labels, language
    # The sides are told apart by what they say in the corpus, not by what is shown of it.
    first, _ = sides(page.row_id, page.given, page.suggested or "")
    told = {page.given: row["chosen"], page.suggested: row["rejected"]}
    if page.is_swapped:
        told = {page.given: row["rejected"], page.suggested: row["chosen"]}
    other = next(key for key in told if key != first) if len(told) > 1 else first
    return {
        "row_id": page.row_id,
        "text": layouts.dialogue(row["prompt"]),
        "a": layouts.dialogue(told[first]),
        "b": layouts.dialogue(told[other]),
        "priority": page.priority,
    }


def _no_proposal(suggestion: str, row: Row) -> str | None:
    del suggestion, row
    return None


def _other_side(suggestion: str, row: Row) -> str | None:
    del suggestion
    return _pair(row)[1]


def _none(value: str) -> str | None:
    del value
    return None


def _loaded(suggestion: str) -> Any:
    try:
        return json.loads(suggestion)
    except ValueError:
        return None


FORMS: dict[str, Form] = {
    form.task: form
    for form in (
        Form(
            "classification", "label", DECISIONS, config, _label_data, _read_label,
            taught=lambda row: str(row["label"]), asked=_text,
            cells=lambda value, row: {"label": value} if row else None,
            proposed=lambda suggestion, row: suggestion if row else None,
            spoiled=_none, combine=_most, shows_near=True,
        ),
        Form(
            "multilabel", "labels", layouts.SET_DECISIONS, layouts.set_config, layouts.set_data,
            read_labels,
            taught=lambda row: _json(list(row["labels"])), asked=_text,
            cells=lambda value, row: {"labels": _labels(value)} if row else None,
            proposed=_proposed_labels, spoiled=_fewer, combine=_voted_labels, shows_near=True,
        ),
        Form(
            "tokens", "spans", layouts.SPAN_DECISIONS, layouts.span_config, layouts.span_data,
            read_spans,
            taught=lambda row: _triples(row["spans"]), asked=_text,
            cells=lambda value, row: {"spans": _spans(value)} if row else None,
            proposed=_proposed_spans, spoiled=_fewer, combine=_voted_spans, needs_text=True,
        ),
        Form(
            "instruction", "messages", layouts.ANSWER_DECISIONS, layouts.answer_config,
            _dialogue_data, read_instruction,
            taught=_answer_hash, asked=_without_answer, cells=_rewritten,
            proposed=_no_proposal, spoiled=_none, combine=_most, same=_said_after,
            has_label=False, needs_text=True,
        ),
        Form(
            "preference", "chosen", layouts.PAIR_DECISIONS, layouts.pair_config, _pair_data,
            read_preference,
            taught=lambda row: _pair(row)[0], asked=_pair_asked, cells=_preferred,
            proposed=_other_side, spoiled=_none, combine=_most,
            has_label=False, shows_given=False,
        ),
    )
}  # fmt: skip
"""How each task is asked; a corpus of plain text has no page."""
