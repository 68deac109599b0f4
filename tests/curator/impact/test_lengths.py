"""A change of size is called only where equal updates and equal epochs agree."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curator import schema
from curator.context import Context
from curator.impact.claim import Measurement, claim, standings
from curator.impact.design import Ready, Side, finish, prepare
from curator.impact.lengths import resized, with_equal_epochs
from curator.impact.sequence import LOOKS
from curator.impact.statistics import crossed
from curator.recipe import MeasureSpec

CLASSES = [f"topic{k:02d}" for k in range(20)]


def text_of(topic, number):
    draw = random.Random(f"{topic} {number}")
    words = random.Random(topic).sample(
        [a + b + c for a in "bdgkmt" for b in "aeiou" for c in "lnrs"], 12
    )
    return " ".join([*draw.sample(words, 5), f"no{draw.randrange(10**6)}"])


def ready_without(wrong, cache):
    """Make a change ready that drops this many wrong rows of each class of twelve."""
    records = []
    for k, topic in enumerate(CLASSES):
        records += [
            (text_of(topic, i), CLASSES[(k + 1 + i) % 20] if i < 4 else topic, "train")
            for i in range(12)
        ]
        records += [(text_of(topic, 100 + i), topic, "test") for i in range(8)]
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
    kept = pa.array([i % 20 >= wrong for i in range(n)])
    context = Context(cache=cache, root=rows, model_name="tfidf", language="en", base=Path())
    sides = Side("a" * 64, rows, ()), Side("b" * 64, rows.filter(kept), ())
    ready = prepare(*sides, tier="probe", spec=MeasureSpec(), context=context)
    assert isinstance(ready, Ready)
    return ready, context


def test_a_change_of_size_that_would_be_called_is_measured_at_equal_epochs_too(tmp_path):
    ready, context = ready_without(4, tmp_path)
    found = finish(ready, context, seeds=range(3))

    both = with_equal_epochs(found, ready, context)

    assert resized(ready)
    assert (6, 12) == (found.fits, both.fits)
    assert both.epochs.effect > 0
    assert both.epochs.effect != both.estimate.effect
    impact = claim(both)
    assert "better" == impact.verdict
    assert "at equal updates and at equal epochs" in impact.sentence
    assert impact.as_dict()["equal_epochs"]["low"] >= impact.low
    assert both == Measurement.from_dict(both.as_dict())


def test_a_change_that_nobody_would_call_or_that_keeps_the_size_has_no_second_arm(tmp_path):
    ready, context = ready_without(4, tmp_path)
    few = replace(ready, after=Side("b" * 64, ready.before.rows.slice(2), ()))
    assert not resized(few)

    found = finish(ready, context, seeds=range(3))
    still = replace(found, estimate=crossed(np.zeros((3, 160)), np.arange(160) % 20))
    assert still == with_equal_epochs(still, ready, context)


@pytest.mark.parametrize(
    ("shift", "word"), [(0.2, "better"), (0.0, "undecided"), (-0.2, "undecided")]
)
def test_both_arms_must_agree_and_the_interval_shown_holds_both(tmp_path, shift, word):
    rng = np.random.default_rng(0)
    groups = np.arange(800) % 40
    up = crossed(rng.normal(0.2, 0.3, (3, 800)), groups)
    arm = crossed(rng.normal(shift, 0.3, (3, 800)), groups)
    ready, _ = ready_without(4, tmp_path)
    found = replace(ready.blank, plan=LOOKS, seeds=(0, 1, 2), estimate=up, epochs=arm)

    impact = claim(found)

    assert word == impact.verdict
    assert (impact.low > 0) == (word == "better")
    assert impact.low <= impact.effect <= impact.high
    if shift < 0:
        assert "the effect is one of training length" in impact.next
    assert ("decided" if word == "better" else "open") == standings([found])[0] or shift == 0.0
