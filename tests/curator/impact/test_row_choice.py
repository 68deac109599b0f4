"""What the choice of rows adds inside a touched class: found where it is, and taken off noise."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curator import schema
from curator.context import Context
from curator.impact.claim import Measurement, claim
from curator.impact.design import Ready, Side, finish, prepare
from curator.impact.row_choice import (
    DRAWS,
    SEEDS,
    RowChoice,
    what_a_row_moves,
    widened,
    with_row_choice,
)
from curator.impact.statistics import crossed, interval
from curator.impact.touched import Part
from curator.recipe import MeasureSpec


def drawn(rng, row_sd, noise_sd, *, held, classes=2, draws=DRAWS):
    """Draws that leave a fifth of the rows out, each row moving the class by row_sd."""
    few = round(0.2 * held)
    real = rng.normal(0, row_sd * np.sqrt(few), (draws, 1, classes))
    return (
        real + rng.normal(0, noise_sd, (draws, SEEDS, classes)),
        [few] * classes,
        [held] * classes,
    )


@pytest.mark.parametrize("noise_sd", [0.0, 0.03])
def test_what_a_row_moves_is_found_under_the_noise_of_training(noise_sd):
    rng = np.random.default_rng(0)

    found = [what_a_row_moves(*drawn(rng, 0.02, noise_sd, held=15)).of(6, 15) for _ in range(400)]

    assert 0.02 * np.sqrt(6) == pytest.approx(np.sqrt(np.mean(found)), rel=0.08)


def test_a_row_of_a_larger_class_moves_it_less():
    choice = RowChoice(0.09, 14)

    assert choice.of(6, 15) == pytest.approx(4 * choice.of(6, 30))
    assert choice.of(3, 15) == pytest.approx(choice.of(6, 15) / 2)


def test_classes_of_fewer_than_three_rows_teach_nothing():
    moved = np.zeros((DRAWS, SEEDS, 2))

    assert what_a_row_moves(moved, [1, 1], [2, 1]) is None
    assert DRAWS - 1 == what_a_row_moves(moved, [1, 3], [2, 15]).df


def test_a_random_exchange_of_rows_is_called_no_more_often_than_stated():
    """2,000 do-nothing exchanges of three rows for three inside one class of fifteen, no more."""
    rng = np.random.default_rng(1)
    called = {"plain": 0, "wide": 0}
    for _ in range(2000):
        true = rng.normal(0, 0.04 * np.sqrt(6))
        answers = true + rng.normal(0, 0.02, (8, 1)) + rng.normal(0, 0.25, (8, 39))
        part = Part("a", 39, crossed(answers, np.arange(39)))
        wide = widened(part, what_a_row_moves(*drawn(rng, 0.04, 0.03, held=15)), 6, 15)
        for name, one in (("plain", part), ("wide", wide)):
            low, high = interval(one.estimate)
            called[name] += low > 0 or high < 0

    assert called["plain"] > 0.25 * 2000
    assert called["wide"] <= 0.07 * 2000


def test_a_class_with_too_few_test_rows_stays_as_it_is():
    part = Part("a", 3, None)

    assert part == widened(part, RowChoice(0.1, 7), 6, 15)


def text_of(topic, number):
    draw = random.Random(f"{topic} {number}")
    words = random.Random(topic).sample(
        [a + b + c for a in "bdgkmt" for b in "aeiou" for c in "lnrs"], 12
    )
    return " ".join([*draw.sample(words, 4), f"no{draw.randrange(10**6)}"])


def ready_without(gone, cache):
    """Make a change ready that drops so many of the twelve rows of one class of twenty."""
    records = []
    for k in range(20):
        topic, twin = f"topic{k:02d}", f"topic{k // 2:02d}"
        records += [(text_of(twin, f"{topic} {i}"), topic, "train") for i in range(12)]
        records += [(text_of(twin, f"{topic} {100 + i}"), topic, "test") for i in range(24)]
    n = len(records)
    ids = [f"{i:05d}" for i in range(n)]
    texts, labels, splits = map(list, zip(*records, strict=True))
    rows = pa.table(
        {
            "id": ids, "group": ids, "text": texts, "label": labels, "split": splits,
            "weight": [1.0] * n, "source": ["main"] * n, "source_row": list(range(n)),
            "parent": [None] * n, "step": ["import"] * n,
        },
        schema=schema.ROW_SCHEMA,
    )  # fmt: skip
    kept = pa.array([i >= gone for i in range(n)])
    context = Context(cache=cache, root=rows, model_name="tfidf", language="en", base=Path())
    sides = Side("a" * 64, rows, ()), Side("b" * 64, rows.filter(kept), ())
    ready = prepare(*sides, tier="probe", spec=MeasureSpec(), context=context)
    assert isinstance(ready, Ready)
    return ready, context


def test_a_class_that_is_about_to_be_called_pays_for_the_choice_of_its_rows(tmp_path):
    """Topics are twins: one that is gone loses all its test rows to the other."""
    ready, context = ready_without(12, tmp_path)
    found = finish(ready, context, seeds=range(8))

    wide = with_row_choice(found, ready, context)

    assert found.fits + DRAWS * SEEDS == wide.fits
    assert ["topic00"] == [part.name for part in wide.touched]
    for before, after in zip(found.touched, wide.touched, strict=True):
        assert before.estimate.effect == after.estimate.effect
        assert before.estimate.variance <= after.estimate.variance
        assert after.row_choice == pytest.approx(
            np.sqrt(after.estimate.variance - before.estimate.variance), abs=1e-9
        )
    assert wide == Measurement.from_dict(wide.as_dict())
    assert "choice of as many rows of these classes" in claim(wide).touched.sentence or not any(
        one.verdict in {"better", "worse"} for one in claim(wide).touched.classes
    )


def test_a_class_that_nobody_would_call_trains_nothing_more(tmp_path):
    ready, context = ready_without(1, tmp_path)
    found = finish(ready, context, seeds=range(3))

    assert found is with_row_choice(found, ready, context)
