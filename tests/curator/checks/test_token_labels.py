"""Spans against planted errors, and the faults of form that need no model."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from curator.checks.token_labels import edge_fault, tag_faults, token_labels
from curator.confident import token_quality
from curator.tasks import sorted_spans, task_named
from finetune import FitError, crossfit_tags

NAMES = {
    "PER": ("Ann", "Bob", "Carla", "Dev", "Erik", "Fay", "Gita", "Hugo", "Ines", "Jon"),
    "LOC": ("Paris", "Rome", "Oslo", "Lagos", "Quito", "Lima", "Cairo", "Leeds"),
    "ORG": ("Acme", "Globex", "Initech", "Umbrella", "Hooli"),
}
TEMPLATES = (
    ("", "PER", " called from ", "LOC", " about the card"),
    ("the ", "ORG", " office in ", "LOC", " is closed"),
    ("please ask ", "PER", " at ", "ORG", ""),
    ("nobody was there today",),
    ("", "PER", " lives in ", "LOC", ""),
)


def sentence(draw, number):
    text, spans = "", []
    for part in draw.choice(TEMPLATES):
        if part in NAMES:
            word = draw.choice(NAMES[part])
            spans.append({"start": len(text), "end": len(text) + len(word), "label": part})
            text += word
        else:
            text += part
    return f"{text} ({number})", spans


def corpus(seed, n=300, share=0.1):
    """Sentences of which some had a span dropped or its label changed."""
    draw = random.Random(seed)
    rows, wrong = [], []
    for number in range(n):
        text, spans = sentence(draw, number)
        bad = bool(spans) and draw.random() < share
        if bad:
            span = draw.choice(spans)
            if draw.random() < 0.5:
                spans.remove(span)
            else:
                span["label"] = draw.choice([x for x in NAMES if x != span["label"]])
        rows.append((text, spans))
        wrong.append(bad)
    return rows, np.array(wrong)


def table(rows, **own):
    n = len(rows)
    columns = {
        "id": [f"a{i:04d}" for i in range(n)],
        "group": [f"a{i:04d}" for i in range(n)],
        "text": [text for text, _ in rows],
        "spans": [sorted_spans(spans) for _, spans in rows],
        "split": ["train"] * n,
        "weight": [1.0] * n,
        "step": ["import"] * n,
    }
    kind = task_named("tokens").schema
    made = pa.table([pa.array(columns.get(f.name, [None] * n), f.type) for f in kind], schema=kind)
    for name, values in own.items():
        made = made.append_column(name, pa.array(values))
    return made


def tagged(rows):
    texts, spans = zip(*rows, strict=True)
    return crossfit_tags(texts, spans, [f"g{i}" for i in range(len(rows))], seed=0)


def found_in(rows, **own):
    return token_labels(table(rows, **own), tagged(rows)).to_pylist()


def average_precision(wrong, scores):
    hits = wrong[np.argsort(-np.asarray(scores), kind="stable")]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


@pytest.mark.parametrize("seed", [31, 32])
def test_planted_errors_are_ranked_first_and_no_worse_than_by_cleanlabs_score(seed):
    rows, wrong = corpus(seed)
    words = tagged(rows)
    labels = [f for f in found_in(rows) if f["issue_type"] == "label"]
    ours = average_precision(wrong, [f["score"] for f in labels])
    quality = token_quality(words.owner, words.given, words.probabilities, len(rows))
    theirs = average_precision(wrong, 1 - quality)

    assert 300 == len(labels)
    assert ours > 5 * wrong.mean()
    assert ours > theirs - 0.02


def test_the_evidence_names_the_word_its_place_and_the_other_tag():
    rows, _ = corpus(33, share=0)
    rows[0] = ("Ann lives in Oslo", [{"start": 0, "end": 3, "label": "PER"}])
    labels = [f for f in found_in(rows) if f["issue_type"] == "label"]
    first = max(labels, key=lambda f: f["score"])

    assert "a0000" == first["row_id"]
    assert first["evidence"].startswith("'Oslo' (13-17) is O, out-of-fold B-LOC ")
    assert first["suggestion"] == "Oslo: B-LOC"


def test_the_same_words_with_another_label_or_none_are_shown_and_not_flagged():
    rows, _ = corpus(34, share=0)
    rows[0] = ("Ann lives in Oslo", [{"start": 0, "end": 3, "label": "ORG"}])
    told = {f["issue_type"]: f for f in found_in(rows) if f["row_id"] == "a0000"}
    conflict = told["surface_conflict"]

    assert not conflict["flagged"]
    assert "'Ann' is ORG here, PER " in conflict["evidence"]
    assert "'Oslo' is no span here, LOC " in conflict["evidence"]


def test_tags_that_break_their_scheme_are_named_where_the_tags_were_kept():
    rows, _ = corpus(35, n=30, share=0)
    tags = [["O"] for _ in rows]
    tags[3] = ["O", "I-PER", "B-LOC", "L-PER", "B-ORG", "E-ORG"]
    found = [f for f in found_in(rows, tags=tags) if f["issue_type"] == "tag_fault"]

    assert [("a0003", "tags: tag 2 is I-PER after O, tag 4 is L-PER after B-LOC")] == [
        (f["row_id"], f["evidence"]) for f in found
    ]
    assert [] == tag_faults(["B-PER", "I-PER", "L-PER", "U-LOC", "O"])


def test_edges_in_words_and_white_space_are_found_but_not_in_chinese():
    text = "Ann Lee of Leeds"

    assert "ends inside a word" in edge_fault(text, {"start": 0, "end": 5, "label": "PER"})
    assert "begins inside a word" in edge_fault(text, {"start": 1, "end": 3, "label": "PER"})
    assert "has white space" in edge_fault(text, {"start": 3, "end": 7, "label": "PER"})
    assert edge_fault(text, {"start": 0, "end": 7, "label": "PER"}) is None
    assert edge_fault("我住北京市", {"start": 2, "end": 4, "label": "LOC"}) is None


def test_two_spans_of_one_label_side_by_side_are_shown():
    rows, _ = corpus(36, n=30, share=0)
    spans = [{"start": a, "end": b, "label": "PER"} for a, b in ((0, 3), (4, 7))]
    rows[0] = ("Ann Lee called", spans)
    found = [f for f in found_in(rows) if f["issue_type"] == "split_span"]

    assert ["'Ann' and 'Lee' are two spans of PER side by side"] == [f["evidence"] for f in found]


def test_the_order_of_the_texts_changes_no_bit_and_folds_keep_groups_together():
    rows, _ = corpus(37, n=60)
    texts, spans = zip(*rows, strict=True)
    groups = [f"g{i // 2}" for i in range(60)]
    there = crossfit_tags(texts, spans, groups, seed=0)
    back = crossfit_tags(texts[::-1], spans[::-1], groups[::-1], seed=0)
    starts = np.searchsorted(there.owner, range(61))
    ends = np.searchsorted(back.owner, range(61))
    pieces = [there.probabilities[a:b] for a, b in pairwise(starts)]
    mirrored = [back.probabilities[a:b] for a, b in pairwise(ends)][::-1]

    assert all(np.array_equal(a, b) for a, b in zip(pieces, mirrored, strict=True))


def test_texts_without_a_span_or_with_too_few_groups_are_refused():
    with pytest.raises(FitError, match="no span in these rows"):
        crossfit_tags(["a"] * 9, [[]] * 9, list("abcdefghi"), seed=0)
    with pytest.raises(FitError, match="cannot fill 5 folds"):
        crossfit_tags(["a"], [[]], ["g"], seed=0)
