"""Spans in texts as the field writes them: offsets, entity lists, tags on tokens; and back.

The one idea: a span is (start, end, label) over the code points of a text, the end exclusive. Tags
on tokens (BIO, IOB, BIOES, BILOU) become spans over the joined tokens; a tag that breaks its scheme
begins a span, as the field's scorer reads it, and is told as a fault, not dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .chats import decoded
from .errors import RecordError

Span = dict[str, Any]

_START_KEYS = ("start", "start_offset", "start_char", "begin")
_END_KEYS = ("end", "end_offset", "end_char", "stop")
_LABEL_KEYS = ("label", "entity_group", "entity", "type", "tag", "labels")
_TRIPLE = 3
_BEGINS, _INSIDE, _ENDS = "BSU", "IEL", "ESLU"
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_TOKEN = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]|\w+|[^\w\s]")


def read_spans(value: object, text: str) -> list[Span]:
    """Read the spans of a text: objects with start, end and label, or triples; perhaps as JSON.

    Raises:
        RecordError: They cannot be read, or an object's own `text` is not what stands there.
    """
    found = decoded(value)
    if found == "":
        return []
    if isinstance(found, Mapping) and "entities" in found:  # spaCy's older training data
        found = found["entities"]
    if not isinstance(found, list):
        raise RecordError(f"found {str(found)[:60]!r}, expected a list of spans")
    spans = [_span(number, item) for number, item in enumerate(found, 1)]
    for span, item in zip(spans, found, strict=True):
        said = item.get("text") if isinstance(item, Mapping) else None
        there = text[span["start"] : span["end"]]
        if isinstance(said, str) and said != there:
            raise RecordError(
                f"the span {span['start']}-{span['end']} says {said[:40]!r}, but {there[:40]!r} "
                "stands there; offsets must count Unicode code points, the end exclusive"
            )
    return spans


def _span(number: int, item: object) -> Span:
    if isinstance(item, Mapping):
        start, end, label = (
            next((item[k] for k in keys if item.get(k) is not None), None)
            for keys in (_START_KEYS, _END_KEYS, _LABEL_KEYS)
        )
        label = label[0] if isinstance(label, list) and len(label) == 1 else label
    elif isinstance(item, list | tuple) and len(item) >= _TRIPLE:
        start, end, label = item[:_TRIPLE]
    else:
        raise RecordError(f"span {number} is {str(item)[:60]!r}, expected start, end and label")
    for name, offset in (("start", start), ("end", end)):
        if not isinstance(offset, int) or isinstance(offset, bool):
            raise RecordError(f"span {number}: {name} is {offset!r}, expected a whole number")
    if label is None or isinstance(label, list | Mapping):
        raise RecordError(f"span {number} has label {label!r}, expected a text")
    return {"start": start, "end": end, "label": str(label)}


def joined(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Join tokens to a text, by a space except between Chinese characters; gives their places."""
    text, places = "", []
    for token in tokens:
        tight = not text or not token or (_WIDE.match(text[-1]) and _WIDE.match(token[0]))
        text += token if tight else f" {token}"
        places.append((len(text) - len(token), len(text)))
    return text, places


def placed(tokens: Sequence[str], text: str) -> list[tuple[int, int]]:
    """Find tokens in a text, one after the other.

    Raises:
        RecordError: A token is not there.
    """
    places, at = [], 0
    for number, token in enumerate(tokens, 1):
        start = text.find(token, at)
        if start < 0:
            raise RecordError(f"token {number}, {token!r}, does not stand in the text after {at}")
        at = start + len(token)
        places.append((start, at))
    return places


def read_tags(
    tags: Sequence[str], places: Sequence[tuple[int, int]]
) -> tuple[list[Span], list[str]]:
    """Read tags on tokens as spans.

    Args:
        tags: One a token: O, or a letter of BIO, IOB, BIOES or BILOU, a hyphen and a label.
        places: Start and end of each token in its text.

    Returns:
        The spans, and a sentence for each tag that breaks its scheme.

    Raises:
        RecordError: There are not as many tags as tokens, or a tag is none of these.
    """
    if len(tags) != len(places):
        raise RecordError(f"there are {len(places)} tokens and {len(tags)} tags")
    spans: list[Span] = []
    faults = []
    open_: str | None = None
    for number, (tag, (start, end)) in enumerate(zip(tags, places, strict=True), 1):
        letter, label = _parted(number, tag)
        if letter == "O":
            open_ = None
            continue
        goes_on = letter in _INSIDE and open_ == label
        if goes_on:
            spans[-1]["end"] = end
        else:
            if letter in _INSIDE:
                before = "O" if open_ is None else open_
                faults.append(f"tag {number} is {tag} after {before}: read as a beginning")
            spans.append({"start": start, "end": end, "label": label})
        open_ = None if letter in _ENDS else label
    return spans, faults


def _parted(number: int, tag: object) -> tuple[str, str]:
    if not isinstance(tag, str):
        raise RecordError(
            f"tag {number} is {tag!r}, expected a text such as B-PER; numbers need their names"
        )
    if tag in ("O", ""):
        return "O", ""
    letter, mark, label = tag.partition("-")
    if letter not in (*_BEGINS, *_INSIDE) or not mark or not label:
        raise RecordError(f"tag {number} is {tag!r}, expected O or one such as B-PER or I-PER")
    return letter, label


def tokens_of(text: str) -> list[tuple[int, int]]:
    """Find words, marks and single Chinese characters: tokens where a text brings none."""
    return [found.span() for found in _TOKEN.finditer(text)]


def as_tags(
    spans: Sequence[Mapping[str, Any]], places: Sequence[tuple[int, int]]
) -> tuple[list[str], list[str]]:
    """Write spans as BIO tags on tokens, the longest span where they nest.

    Returns:
        The tags, and a sentence for each span that tags cannot say: one inside another, or one
        that does not begin and end with a token.
    """
    tags = ["O"] * len(places)
    lost = []
    for span in sorted(spans, key=lambda s: (s["start"], -s["end"], s["label"])):
        here = [i for i, (start, end) in enumerate(places)
                if start < span["end"] and end > span["start"]]  # fmt: skip
        name = f"{span['start']}-{span['end']} ({span['label']})"
        if not here or (places[here[0]][0], places[here[-1]][1]) != (span["start"], span["end"]):
            lost.append(f"the span {name} does not begin and end with a token")
        elif any(tags[i] != "O" for i in here):
            lost.append(f"the span {name} lies within another")
        else:
            for i in here:
                tags[i] = f"{'B' if i == here[0] else 'I'}-{span['label']}"
    return tags, lost
