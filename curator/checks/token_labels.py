"""Spans that a tagger which never saw the text contradicts, and spans that cannot be as they stand.

The one idea: the score of a text is that of its most doubtful word, as one wrong tag makes it
wrong. P(wrong) of a word orders texts better than plain probabilities do, but is not sure enough to
change spans by itself: there is nothing to relabel here, only texts to look at.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.believing import LabelNoise, doubt_labels
from curator.confident import (
    FloatArray,
    IntArray,
    confident_joint,
    count_wrong_labels,
    token_quality,
)
from curator.reading import shown
from curator.schema import user_columns

CHECK = "token_labels"
ISSUES = ("label", "tag_fault", "span_boundary", "split_span", "surface_conflict")
FLAGGED_FROM = 0.5
_SHOWN = 3
_TAG = re.compile(r"O|[BIESLU]-.+")
_INSIDE = ("I", "E", "L")
_FEWEST = 5  # times that a form is a span, under which where it is none says nothing
_RARE = 0.2
_WORD = re.compile(r"\w")
_UNSPACED = re.compile("[一-鿿㐀-䶿぀-ヿ฀-๿຀-໿ក-៿က-႟]")


class Tagged(Protocol):
    """The words of texts, their given tags and out-of-fold probabilities; see the tagger."""

    @property
    def owner(self) -> IntArray: ...  # noqa: D102 - text of each word, shape (w,)
    @property
    def starts(self) -> IntArray: ...  # noqa: D102 - first character, shape (w,)
    @property
    def ends(self) -> IntArray: ...  # noqa: D102 - the one after the last, shape (w,)
    @property
    def given(self) -> IntArray: ...  # noqa: D102 - index into tags, shape (w,)
    @property
    def tags(self) -> tuple[str, ...]: ...  # noqa: D102 - k of them
    @property
    def probabilities(self) -> FloatArray: ...  # noqa: D102 - shape (w, k)


def token_labels(rows: pa.Table, tagged: Tagged) -> pa.Table:
    """Say of each training text how doubtful its spans are, and find spans that cannot be right.

    Args:
        rows: Rows of task tokens, sorted by id.
        tagged: The words of the training texts, in their order.

    Returns:
        label, one per training row: score and p_wrong of its most doubtful word; the evidence names
        up to three doubtful spans; flagged from p_wrong .5 on. tag_fault: a tag that breaks its
        scheme, where the tags were kept. span_boundary: a span that begins or ends in a word, or
        with white space. Not flagged: split_span (two spans of one label side by side) and
        surface_conflict (the same words with another label, or with none, nearly everywhere else).

    Source: Wang and Mueller 2022 (cleanlab's token scores); the posterior over tags as in
        `label_errors`.
    """
    found = [*_doubted(rows, tagged), *_tag_faults(rows), *_edges(rows), *_conflicts(rows)]
    order = {row_id: i for i, row_id in enumerate(rows["id"].to_pylist())}
    found.sort(key=lambda f: (order[f["row_id"]], ISSUES.index(f["issue_type"])))
    return schema.findings({"check": CHECK, **one} for one in found)


def word_odds(given: IntArray, probabilities: FloatArray, noise: LabelNoise) -> FloatArray:
    """Give the log-odds that the tag of each word is wrong, shape (w,)."""
    each = np.arange(len(given))
    logs = np.log(probabilities.astype(np.float64)) / noise.temperature
    logs += np.log(np.maximum(noise.matrix[given].astype(np.float64), 1e-12))
    own = logs[each, given]
    logs[each, given] = -np.inf
    top = logs.max(axis=1)
    return np.asarray(top + np.log(np.exp(logs - top[:, None]).sum(axis=1)) - own)


def _doubted(rows: pa.Table, tagged: Tagged) -> Iterator[dict[str, Any]]:
    train = rows.filter(pc.equal(rows["split"], "train"))
    ids, texts = train["id"].to_pylist(), train["text"].to_pylist()
    if not len(tagged.given):
        return
    beliefs = np.maximum(tagged.probabilities, np.float32(1e-9))
    joint = confident_joint(tagged.given, beliefs)
    counted = count_wrong_labels(tagged.given, beliefs)
    doubts = doubt_labels(tagged.given, beliefs, joint, wrong_labels=counted)
    odds = word_odds(tagged.given, beliefs, doubts.noise)
    quality = token_quality(tagged.owner, tagged.given, beliefs, len(ids))
    ends = np.searchsorted(tagged.owner, np.arange(len(ids) + 1))
    for at, (row_id, text) in enumerate(zip(ids, texts, strict=True)):
        words = np.arange(ends[at], ends[at + 1])
        if not len(words):
            continue
        worst = words[np.argsort(-odds[words], kind="stable")]
        p_wrong = float(doubts.p_wrong[worst[0]])
        said = [_about(tagged, text, int(w), beliefs, doubts) for w in worst[:_SHOWN]
                if w == worst[0] or doubts.p_wrong[w] >= FLAGGED_FROM]  # fmt: skip
        yield {
            "row_id": row_id,
            "issue_type": "label",
            "score": float(odds[worst[0]]),
            "suggestion": _suggested(tagged, text, worst, doubts),
            "evidence": f"{'; '.join(said)}; cleanlab: score {_share(quality[at])}",
            "flagged": p_wrong >= FLAGGED_FROM,
            "p_wrong": p_wrong,
        }


def _about(tagged: Tagged, text: str, word: int, beliefs: FloatArray, doubts: Any) -> str:
    start, end = int(tagged.starts[word]), int(tagged.ends[word])
    own, other = tagged.given[word], doubts.suggested[word]
    return (
        f"{text[start:end]!r} ({start}-{end}) is {tagged.tags[own]}, out-of-fold "
        f"{tagged.tags[other]} {_share(beliefs[word, other])}, given {_share(beliefs[word, own])}, "
        f"P(wrong) {_share(doubts.p_wrong[word])}"
    )


def _suggested(tagged: Tagged, text: str, worst: IntArray, doubts: Any) -> str:
    """Name the tags that the doubted words may have, for a reader."""
    some = [w for w in worst[:_SHOWN] if w == worst[0] or doubts.p_wrong[w] >= FLAGGED_FROM]
    return ", ".join(
        f"{text[tagged.starts[w] : tagged.ends[w]]}: {tagged.tags[doubts.suggested[w]]}"
        for w in sorted(some)
    )


def tag_faults(tags: Sequence[str]) -> list[str]:
    """Say of each tag that breaks its scheme (BIO, BIOES, BILOU) how it does.

    >>> tag_faults(["O", "I-PER", "B-LOC", "I-PER"])
    ['tag 2 is I-PER after O', 'tag 4 is I-PER after B-LOC']
    """
    found, before = [], "O"
    for number, tag in enumerate(tags, 1):
        letter, _, label = tag.partition("-")
        goes_on = before[:1] in ("B", "I") and before.partition("-")[2] == label
        if letter in _INSIDE and not goes_on:
            found.append(f"tag {number} is {tag} after {before}")
        before = tag
    return found


def _tag_faults(rows: pa.Table) -> Iterator[dict[str, Any]]:
    for name in user_columns(rows):
        if not pa.types.is_list(rows[name].type) or rows[name].type.value_type != pa.string():
            continue
        columns = rows[name].to_pylist()
        told = [tag for tags in columns for tag in tags or () if tag is not None]
        if not told or not all(_TAG.fullmatch(tag) for tag in told):
            continue
        for row_id, tags in zip(rows["id"].to_pylist(), columns, strict=True):
            if faults := tag_faults([tag or "O" for tag in tags or ()]):
                said = ", ".join(faults[:_SHOWN]) + (", ..." if len(faults) > _SHOWN else "")
                yield _finding(row_id, "tag_fault", f"{name}: {said}", len(faults))


def _edges(rows: pa.Table) -> Iterator[dict[str, Any]]:
    columns = (rows[name].to_pylist() for name in ("id", "text", "spans"))
    for row_id, text, spans in zip(*columns, strict=True):
        faults = [fault for span in spans if (fault := edge_fault(text, span))]
        if faults:
            yield _finding(row_id, "span_boundary", "; ".join(faults[:_SHOWN]), len(faults))
        sides = [
            f"{text[a['start'] : a['end']]!r} and {text[b['start'] : b['end']]!r} are two spans of "
            f"{a['label']} side by side"
            for a, b in itertools.pairwise(spans)
            if a["label"] == b["label"] and a["end"] <= b["start"]
            and not text[a["end"] : b["start"]].strip()
        ]  # fmt: skip
        if sides:
            said = "; ".join(sides[:_SHOWN])
            yield _finding(row_id, "split_span", said, len(sides), flagged=False)


def edge_fault(text: str, span: Mapping[str, Any]) -> str | None:
    """Say how a span begins or ends where no word does; None where both edges are good."""
    start, end = span["start"], span["end"]
    words = text[start:end]
    named = f"{words!r} ({start}-{end}, {span['label']})"
    if words != words.strip():
        return f"{named} has white space at its edge"
    if _in_word(text, start) or _in_word(text, end):
        return f"{named} {'begins' if _in_word(text, start) else 'ends'} inside a word"
    return None


def _in_word(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    joined = bool(_WORD.match(before) and _WORD.match(after))
    return joined and not (_UNSPACED.match(before) or _UNSPACED.match(after))


def _conflicts(rows: pa.Table) -> Iterator[dict[str, Any]]:
    """Find words that carry another label, or none, than nearly everywhere else."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    columns = [rows[name].to_pylist() for name in ("id", "text", "spans")]
    for _, text, spans in zip(*columns, strict=True):
        for span in spans:
            counts[_form(text, span)][span["label"]] += 1
    bare = _unmarked(columns, counts)
    for row_id, text, spans in zip(*columns, strict=True):
        said = [
            f"{text[s['start'] : s['end']]!r} is {s['label']} here, "
            f"{_others(counts[_form(text, s)], s['label'])} elsewhere"
            for s in spans
            if counts[_form(text, s)][s["label"]] * 2 <= counts[_form(text, s)].total()
        ]
        said += [
            f"{shown(form)} is no span here, {_others(counts[form], None)} elsewhere"
            for form in bare.get(row_id, ())
        ]
        if said:
            told = "; ".join(said[:_SHOWN])
            yield _finding(row_id, "surface_conflict", told, len(said), flagged=False)


def _form(text: str, span: Mapping[str, Any]) -> str:
    return " ".join(text[span["start"] : span["end"]].split())


def _others(labels: Counter[str], own: str | None) -> str:
    told = [f"{label} {n} times" for label, n in labels.most_common(_SHOWN) if label != own]
    return ", ".join(told)


def _unmarked(
    columns: Sequence[Sequence[Any]], counts: Mapping[str, Counter[str]]
) -> dict[str, list[str]]:
    """Find where a form that is nearly always a span is none: {row id: forms}."""
    often = [f for f, labels in counts.items() if labels.total() >= _FEWEST and len(f) > 1]
    if not often:
        return {}
    pattern = re.compile("|".join(re.escape(f) for f in sorted(often, key=lambda f: (-len(f), f))))
    places: dict[str, list[str]] = defaultdict(list)
    for row_id, text, spans in zip(*columns, strict=True):
        for match in pattern.finditer(text):
            start, end = match.span()
            free = not any(s["start"] < end and start < s["end"] for s in spans)
            if free and not _in_word(text, start) and not _in_word(text, end):
                places[match.group()].append(row_id)
    found: dict[str, list[str]] = defaultdict(list)
    for form, ids in places.items():
        if len(ids) <= _RARE * (counts[form].total() + len(ids)):
            for row_id in dict.fromkeys(ids):
                found[row_id].append(form)
    return found


def _finding(
    row_id: str, issue: str, said: str, count: int, *, flagged: bool = True
) -> dict[str, Any]:
    return {"row_id": row_id, "issue_type": issue, "score": float(count), "evidence": said,
            "flagged": flagged}  # fmt: skip


def _share(probability: float) -> str:
    return f"{probability:.2f}".removeprefix("0")
