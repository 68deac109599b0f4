"""A drop beside random drops: the choice of rows counts, not their number."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curator import schema
from curator.context import Context
from curator.impact.design import Ready, Side, prepare
from curator.impact.placebo import PLACEBOS, kind_of_change, placebo
from curator.recipe import MeasureSpec

CLASSES = [f"topic{k:02d}" for k in range(20)]


def text_of(topic, number):
    draw = random.Random(f"{topic} {number}")
    words = random.Random(topic).sample(
        [a + b + c for a in "bdgkmt" for b in "aeiou" for c in "lnrs"], 12
    )
    return " ".join([*draw.sample(words, 5), f"no{draw.randrange(10**6)}"])


def table(records):
    """Give rows from (text, label, split)."""
    n = len(records)
    ids = [f"{i:05d}" for i in range(n)]
    texts, labels, splits = map(list, zip(*records, strict=True))
    return pa.table(
        {
            "id": ids, "group": ids, "text": texts, "label": labels, "split": splits,
            "weight": [1.0] * n, "source": ["main"] * n, "source_row": list(range(n)),
            "parent": [None] * n, "step": ["import"] * n,
        },
        schema=schema.ROW_SCHEMA,
    )  # fmt: skip


@pytest.fixture
def noisy():
    """240 training rows, a quarter with the label of another class, and 160 test rows."""
    records, wrong = [], []
    for k, topic in enumerate(CLASSES):
        for i in range(12):
            given = CLASSES[(k + 1 + i) % len(CLASSES)] if i < 3 else topic
            wrong.append(i < 3)
            records.append((text_of(topic, i), given, "train"))
    for topic in CLASSES:
        records += [(text_of(topic, 100 + i), topic, "test") for i in range(8)]
        wrong += [False] * 8
    return table(records), np.array(wrong)


def made_ready(rows, kept, cache):
    context = Context(cache=cache, root=rows, model_name="tfidf", language="en", base=Path())
    sides = Side("a" * 64, rows, ()), Side("b" * 64, rows.filter(pa.array(kept)), ())
    ready = prepare(*sides, tier="probe", spec=MeasureSpec(), context=context)
    assert isinstance(ready, Ready)
    return ready, context


def test_dropping_the_wrong_rows_is_better_than_dropping_as_many_at_random(noisy, tmp_path):
    rows, wrong = noisy
    ready, context = made_ready(rows, ~wrong, tmp_path)

    found = placebo(ready, context)

    assert ("yes", 0.05) == (found.better_than_random, pytest.approx(found.p))
    assert found.gain > 0.03
    assert (60, PLACEBOS) == (found.rows, found.placebos)
    assert found.sentence.startswith("Screen (probe): dropping these 60 rows is better than")
    assert 20 == context.counters.fits


def test_dropping_right_rows_of_these_classes_is_not_and_is_the_same_again(noisy, tmp_path):
    rows, wrong = noisy
    right = np.flatnonzero(~wrong & (np.array(rows["split"].to_pylist()) == "train"))
    kept = np.ones(len(wrong), dtype=bool)
    kept[right[::3]] = False
    ready, context = made_ready(rows, kept, tmp_path)

    found = placebo(ready, context)

    assert "no" == found.better_than_random
    assert found.p > 0.5
    assert "is not shown to be better than" in found.sentence
    again = placebo(ready, context)
    assert (found.p, found.gain) == (again.p, again.gain)
    assert 20 == context.counters.fits


def test_only_a_change_that_drops_and_does_nothing_else_has_a_placebo(noisy, tmp_path):
    rows, wrong = noisy
    ready, _ = made_ready(rows, ~wrong, tmp_path)
    back = Ready(
        ready.after, ready.before, ready.test, ready.fit, ready.classes, ready.groups,
        ready.fresh, ready.blank,
    )  # fmt: skip

    assert "drop" == kind_of_change(ready)
    assert kind_of_change(back) is None


def changed_ready(rows, after, cache):
    context = Context(cache=cache, root=rows, model_name="tfidf", language="en", base=Path())
    sides = Side("a" * 64, rows, ()), Side("b" * 64, after, ())
    ready = prepare(*sides, tier="probe", spec=MeasureSpec(), context=context)
    assert isinstance(ready, Ready)
    return ready, context


def put(rows, name, values):
    place = rows.column_names.index(name)
    return rows.set_column(place, schema.ROW_SCHEMA.field(name), pa.array(values, rows[name].type))


def right_labels(rows):
    """Give each training row the class its text is of; twelve rows of each stand in order."""
    train = [CLASSES[i // 12] for i in range(12 * len(CLASSES))]
    return train + rows["label"].to_pylist()[len(train) :]


def test_repairing_wrong_labels_is_better_than_relabelling_random_rows_alike(noisy, tmp_path):
    rows, wrong = noisy
    ready, context = changed_ready(rows, put(rows, "label", right_labels(rows)), tmp_path)

    found = placebo(ready, context)

    assert ("relabel", "yes", int(wrong.sum())) == (
        found.kind,
        found.better_than_random,
        found.rows,
    )
    assert "relabelling as many random rows in the same way" in found.sentence


@pytest.mark.parametrize(("picked", "answer"), [("wrong", "yes"), ("right", "no")])
def test_low_weights_are_worth_something_on_wrong_rows_only(noisy, tmp_path, picked, answer):
    rows, wrong = noisy
    at = wrong if picked == "wrong" else np.roll(wrong, 5) & ~wrong
    weights = [0.05 if low else 1.0 for low in at]
    ready, context = changed_ready(rows, put(rows, "weight", weights), tmp_path)

    found = placebo(ready, context)

    assert ("weight", answer) == (found.kind, found.better_than_random)


def children(rows, text):
    """Add one augmented row per tenth training row."""
    parents = rows.slice(0, 240).take(list(range(0, 240, 10)))
    made = put(parents, "parent", parents["id"].to_pylist())
    made = put(made, "id", [f"child{i}" for i in range(24)])
    texts = [text(old, i) for i, old in enumerate(parents["text"].to_pylist())]
    return pa.concat_tables([rows, put(made, "text", texts)])


def test_augmented_rows_that_are_copies_are_no_better_than_copies(noisy, tmp_path):
    rows, _ = noisy
    ready, context = changed_ready(rows, children(rows, lambda old, _: old), tmp_path)

    found = placebo(ready, context)

    assert ("augment", "no", 0.0) == (found.kind, found.better_than_random, found.gain)
    assert "plain copies of the same parents" in found.sentence


def test_added_rows_without_a_parent_edits_and_mixed_changes_have_no_placebo(noisy, tmp_path):
    rows, wrong = noisy
    orphans = children(rows, lambda old, i: f"{old} {i}")
    orphans = put(orphans, "parent", [None] * orphans.num_rows)
    edited = put(rows, "text", [f"{t} indeed" if w else t for t, w in
                                zip(rows["text"].to_pylist(), wrong, strict=True)])  # fmt: skip
    mixed = put(rows, "label", right_labels(rows)).filter(pa.array(~wrong | (wrong.cumsum() > 5)))

    for after in (orphans, edited, mixed):
        ready, _ = changed_ready(rows, after, tmp_path)
        assert kind_of_change(ready) is None
