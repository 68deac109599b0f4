"""A row's history in plain sentences, as one would answer a colleague.

The one idea: first where the row stands now, then what happened, oldest first, each sentence with
the step, the version, the date and the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curator.versions.history import CHANGES, Child, Event, History, State

# A text longer than this is cut in a sentence, which then says how long it is.
_SHOWN_CHARS = 200
_TAUGHT = {
    "tokens": "with the spans",
    "instruction": "answered",
    "preference": "with the answers, the preferred one first,",
}
"""How a sentence says what a row teaches; of labels it says that the row is labelled."""
_SIDES = {"train": "training", "validation": "validation", "test": "test"}


def describe(history: History) -> str:
    """Tell a row's history, one sentence or two to a line."""
    lines = [_standing(history)]
    lines += [_happened(event, history) for event in history.events]
    lines += _untouched(history)
    if history.kept_over:
        lines.append(
            f"It was kept when {_count(len(history.kept_over), 'other row')} "
            f"{_were(history.kept_over)} dropped: {', '.join(history.kept_over)}."
        )
    if history.children:
        made = ", ".join(_child(child, history.state) for child in history.children)
        lines.append(
            f"{_count(len(history.children), 'row')} {_were(history.children)} made from it: "
            f"{made}."
        )
    return "\n".join(lines)


def _standing(history: History) -> str:
    state = history.state
    there = f"{state.branch} (version {state.version[:12]})"
    word = _TAUGHT.get(state.task, "labelled")
    taught = "" if state.text and not state.label else f", {word} {_quote(state.label)}"
    reads = _quote(state.text) + taught
    row = f"Row {history.row_id}"
    match state.where:
        case "present":
            side = _SIDES.get(state.split or "", state.split)
            return f"{row} is in {there} as a {side} row: {reads}, weight {_number(state.weight)}."
        case "dropped":
            last = next((e for e in reversed(history.events) if e.kind == "dropped"), None)
            by = f": step '{last.step}' dropped it{_on(last)}" if last else ""
            return f"{row} is no longer in {there}{by}. It last read {reads}."
        case "withdrawn":
            return f"{row} is no longer in {there}: its source withdrew it. It last read {reads}."
        case "rejected":
            text = f" It read {reads}." if state.text else ""
            return f"{row} never entered {there}: it was a candidate that was refused.{text}"
    earlier = (
        f"an earlier state of {state.branch}"
        if state.line_branch == state.branch
        else f"branch {state.line_branch}"
    )
    return (
        f"{row} is not in {there}. Its history is that of {earlier}, version {state.line[:12]}; "
        f"there it last read {reads}."
    )


def _happened(event: Event, history: History) -> str:
    place = f"in version {event.version[:12]}{_on(event)}"
    if event.kind in ("imported", "redelivered", "withdrawn"):
        return _delivered(event, place)
    if event.kind == "added":
        origin = "from no other row"
        if history.parent:
            origin = f"from row {history.parent}{_reading(history.parent_text)}"
        tool = f" with {history.augmenter}" if history.augmenter else ""
        return f"Step '{event.step}' made it{tool} {place}, {origin}{_because(event, None)}"
    verbs = {
        "dropped": "dropped it",
        "kept": "flagged it and kept it",
        "flagged": f"flagged it as {_quote(event.issue_type)} and kept it",
        "rejected": "refused it",
    }
    verb = verbs.get(event.kind) or f"changed its {_changed(event)}"
    return f"Step '{event.step}' {verb} {place}{_because(event, event.partner_id)}"


def _delivered(event: Event, place: str) -> str:
    if event.kind == "withdrawn":
        return f"The delivery imported {place} no longer has it."
    record = f"as record {event.source_row} of {event.source} (the first record is 0), {place}"
    if event.kind == "imported":
        return f"It came in {record}."
    change = f"with its {_changed(event)}" if event.before else "unchanged"
    return f"Its source delivered it again {record}, {change}."


def _because(event: Event, partner: str | None) -> str:
    score = f"score {event.score:.2f}" if event.score is not None else ""
    hint = f"suggestion {_quote(event.suggestion)}" if event.suggestion else ""
    facts = ", ".join(fact for fact in (score, hint) if fact)
    facts = "; ".join(fact for fact in (event.evidence, facts) if fact)
    reason = f": {event.reason}" if event.reason else ""
    text = f"{reason} ({facts})" if facts else reason
    if partner:
        text += f". It was compared with row {partner}{_reading(event.partner_text)}"
    by = f" Decided by {event.by}." if event.by and event.kind != "flagged" else ""
    return f"{text}.{by}"


def _changed(event: Event) -> str:
    before, after = event.before or {}, event.after or {}
    names = [n for n in dict.fromkeys([*before, *after]) if before.get(n) != after.get(n)]
    told = [
        f"{name} from {_quote(before.get(name))} to {_quote(after.get(name))}" for name in names
    ]
    return " and its ".join(told) or "content"


def _untouched(history: History) -> list[str]:
    touched = any(e.kind in CHANGES and e.kind != "added" for e in history.events)
    if touched or history.state.where != "present" or not history.steps:
        return []
    names = ", ".join(history.steps)
    if len(history.steps) == 1:
        return [f"1 step has run since ({names}); it did not change it."]
    return [f"{len(history.steps)} steps have run since ({names}); none of them changed it."]


def _child(child: Child, state: State) -> str:
    where = f"in {state.branch}" if child.present else "since dropped"
    return f"{child.row_id} by step '{child.step}' ({where})"


def _reading(text: str | None) -> str:
    return f", which reads {_quote(text)}" if text is not None else ""


def _on(event: Event) -> str:
    return f" on {event.time[:10]}" if event.time else ""


def _quote(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return _number(value)
    if value is None:
        return "nothing"
    text = str(value)
    if len(text) > _SHOWN_CHARS:
        return f"“{text[:_SHOWN_CHARS]}…” ({len(text):,} characters)"
    return f"“{text}”"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _were(things: Sequence[Any]) -> str:
    return "was" if len(things) == 1 else "were"
