"""What an annotation means, for tasks whose answer is more than one label.

The one idea: the server checks nothing, so an annotation is an answer only if it could have been
given on the page as pushed; else it is said in words what is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curator.annotating_pages import Answer, chosen_in
from curator.schema import hash_fields
from curator.tasks import sorted_spans, span_fault

Result = Sequence[Mapping[str, Any]]
Read = Answer | str
"""An answer, or what is wrong with an annotation."""

ANSWER = "assistant"
"""The role whose last message is judged."""

SIDE = "side:"
RATINGS = ("1", "2", "3", "4", "5")


@dataclass(frozen=True, slots=True)
class Shown:
    """What an annotator was shown.

    given, suggested: As kept with the task; seen: the suggestion where it was shown, else None.
    labels: Keys of all labels that the configuration held; text: the text that spans count in.
    """

    row_id: str
    given: str
    suggested: str | None
    seen: str | None
    labels: frozenset[str]
    text: str = ""


def side_of(*said: str) -> str:
    """Name one side of a pair, or one answer, by what it says; the text itself goes nowhere."""
    return SIDE + hash_fields(*said)[:16]


def sides(row_id: str, one: str, other: str) -> tuple[str, str]:
    """Give both sides of a pair as a page shows them, A and B: by lot, the same for everybody."""
    first, second = sorted((one, other), key=lambda side: hash_fields("side", row_id, side))
    return first, second


def _decision(result: Result, decisions: Sequence[str]) -> str | None:
    found = chosen_in(result, "decision")
    return found[0] if len(found) == 1 and found[0] in decisions else None


def _undecided(result: Result, decisions: Sequence[str]) -> str:
    return f"expected one decision of {list(decisions)}, found {chosen_in(result, 'decision')}"


def read_labels(result: Result, shown: Shown) -> Read:
    """Read which labels hold."""
    known = ("keep", "suggested", "other", "none", "ambiguous", "drop")
    decision = _decision(result, known)
    if decision is None:
        return _undecided(result, known)
    if decision == "suggested" and shown.seen is None:
        return "takes a suggestion where none was shown"
    if decision == "none":
        return Answer(decision, "[]")
    if decision != "other":
        return Answer(decision, {"keep": shown.given, "suggested": shown.seen}.get(decision))
    chosen = sorted(set(chosen_in(result, "label")))
    if not chosen or not shown.labels.issuperset(chosen):
        return f"expected labels of the configuration, found {chosen}"
    return Answer(decision, json.dumps(chosen, ensure_ascii=False))


def read_spans(result: Result, shown: Shown) -> Read:
    """Read which spans are marked; none is an answer too."""
    known = ("marked", "ambiguous", "drop")
    decision = _decision(result, known)
    if decision is None:
        return _undecided(result, known)
    if decision != "marked":
        return Answer(decision, None)
    spans = []
    for part in result:
        if part.get("from_name") == "label":
            found = _span(part.get("value") or {}, shown)
            if isinstance(found, str):
                return found
            if found not in spans:
                spans.append(found)
    if fault := span_fault(shown.text, spans):
        return fault
    told = [[s["start"], s["end"], s["label"]] for s in sorted_spans(spans)]
    return Answer(decision, json.dumps(told, ensure_ascii=False))


def _span(value: Mapping[str, Any], shown: Shown) -> dict[str, Any] | str:
    labels = list(value.get("labels") or ())
    if len(labels) != 1 or labels[0] not in shown.labels:
        return f"expected one label of the configuration for a span, found {labels}"
    start, end = value.get("start"), value.get("end")
    if not isinstance(start, int) or not isinstance(end, int):
        return f"a span has no whole numbers for its start and end, but {start!r} and {end!r}"
    start, end = _code_points(shown.text, start, end, value.get("text"))
    return {"start": start, "end": end, "label": labels[0]}


def _code_points(text: str, start: int, end: int, words: object) -> tuple[int, int]:
    """Give the ends of a span in code points.

    The server's page counts code points, as seen in a browser; other programs that write to it may
    count UTF-16 units. Where the words that the span says it covers fit only these, they are taken.
    """
    if not isinstance(words, str) or text[start:end] == words:
        return start, end
    units = text.encode("utf-16-le", "surrogatepass")
    before, inside = units[: 2 * start], units[2 * start : 2 * end]
    if inside.decode("utf-16-le", "replace") != words:
        return start, end
    head = len(before.decode("utf-16-le", "replace"))
    return head, head + len(words)


def read_instruction(result: Result, shown: Shown) -> Read:
    """Read how good an answer is, and what it should have been."""
    known = ("keep", "rewrite", "ambiguous", "drop")
    decision = _decision(result, known)
    if decision is None:
        return _undecided(result, known)
    rated = chosen_in(result, "rating")
    if len(rated) > 1 or not set(rated) <= set(RATINGS):
        return f"expected one rating of {list(RATINGS)}, found {rated}"
    rating = int(rated[0]) if rated else None
    if decision != "rewrite":
        return Answer(decision, shown.given if decision == "keep" else None, rating)
    return _rewrite(result, shown, rating)


def _rewrite(result: Result, shown: Shown, rating: int | None) -> Read:
    texts = [
        str(text)
        for part in result
        if part.get("from_name") == "rewrite"
        for text in (part.get("value") or {}).get("text") or ()
    ]
    if len(texts) != 1 or not texts[0].strip():
        return f"expected one rewritten answer, found {len(texts)}"
    if side_of(texts[0]) == shown.given:
        return Answer("keep", shown.given, rating)
    return Answer("rewrite", json.dumps({"response": texts[0]}, ensure_ascii=False), rating)


def read_preference(result: Result, shown: Shown) -> Read:
    """Read which of two answers is the better one."""
    known = ("a_much", "a", "same", "b", "b_much", "bad")
    decision = _decision(result, known)
    if decision is None:
        return _undecided(result, known)
    if decision == "same":
        return Answer("ambiguous", None)
    if decision == "bad":
        return Answer("drop", None)
    if shown.suggested is None:
        return "the task does not say which two answers it showed"
    first, second = sides(shown.row_id, shown.given, shown.suggested)
    return Answer(decision, first if decision[0] == "a" else second)
