"""Effects confined to a few classes: found where they are known beforehand, and only then."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from curator.impact.claim import Measurement, claim, claim_together, standings
from curator.impact.sequence import LOOKS
from curator.impact.statistics import crossed, verdict
from curator.impact.touched import (
    claim_touched,
    class_parts,
    rest_part,
    touched_classes,
    whole_is_blind,
)

CLASSES, ROWS = 77, 3000
LABELS = [f"c{i % CLASSES:02d}" for i in range(ROWS)]
GROUPS = np.arange(ROWS) % CLASSES


def drawn(draw, *, moved=(), effect=0.0, seeds=3, flips=0.04):
    """Give differences of scores, (s, m): rows that flip with training, and a lasting effect."""
    rng = np.random.default_rng(draw)
    noise = rng.choice([-1.0, 0.0, 1.0], (seeds, ROWS), p=[flips / 2, 1 - flips, flips / 2])
    lasting = np.isin(np.array(LABELS), list(moved)) & (rng.random(ROWS) < abs(effect))
    noise[:, lasting] = np.sign(effect)
    return noise


def measured(differences, touched):
    return Measurement(
        before="a" * 64, after="b" * 64, tier="probe", spec="s", metric="accuracy",
        identical=False, reason=None, estimate=crossed(differences, GROUPS),
        seeds=tuple(range(len(differences))), test_rows=ROWS, margin=0.01, before_score=0.8,
        after_score=0.8, slices=(), cost_cpu_s=1.0, fits=6, model="m", plan=LOOKS,
        touched=class_parts(differences, LABELS, touched),
        rest=rest_part(differences, LABELS, touched, GROUPS),
    )  # fmt: skip


def test_the_touched_classes_are_those_of_rows_on_one_side_only():
    before = Counter({("a", "x", 1.0): 2, ("b", "y", 1.0): 1, ("c", "z", 1.0): 1})
    after = Counter({("a", "x", 1.0): 1, ("b", "w", 1.0): 1, ("c", "z", 1.0): 1})

    assert {"x", "y", "w"} == touched_classes(before, after)
    assert frozenset() == touched_classes(before, before)
    assert {"z"} == touched_classes(before, Counter({**before, ("c", "z", 1.0): 2}))
    assert {"X", "y", "w"} == touched_classes(before, after, names=({"x": "X"}, {}))


@pytest.mark.parametrize("sign", [1, -1], ids=["gain", "loss"])
@pytest.mark.parametrize("count", [2, 4])
def test_thirty_points_in_a_few_classes_are_found_though_the_whole_never_shows_them(count, sign):
    moved = LABELS[:count]
    words = {1: "better", -1: "worse"}
    found, whole, safe = 0, 0, 0
    for draw in range(40):
        rows = drawn(draw, moved=moved, effect=sign * 0.3, flips=0.01, seeds=5)
        seen = claim(measured(rows, moved))
        called = [c for c in seen.touched.classes if c.verdict == words[sign]]
        found += len(called) == count
        whole += seen.verdict in words.values()
        safe += "not_worse" == seen.touched.rest.outcome

    assert found >= 28
    assert safe >= 28
    assert whole <= 2


def test_untouched_in_truth_the_few_classes_are_called_in_one_of_twenty_at_most():
    called = 0
    for draw in range(300):
        parts = class_parts(drawn(draw), LABELS, LABELS[:4])
        family = claim_touched(parts, None, alpha=0.05, share=1.0, margin=0.01)
        called += any(c.verdict in {"better", "worse"} for c in family.classes)

    assert called <= stats.binom.ppf(0.999, 300, 0.05)


def test_the_whole_is_blind_to_two_classes_of_77_and_not_to_twenty():
    differences = drawn(1)
    whole = crossed(differences, GROUPS)

    assert whole_is_blind(whole, class_parts(differences, LABELS, LABELS[:2]), alpha=0.025)
    assert not whole_is_blind(whole, class_parts(differences, LABELS, LABELS[:20]), alpha=0.025)
    assert not whole_is_blind(whole, class_parts(differences, LABELS, LABELS[:77]), alpha=0.025)


def test_few_touched_classes_keep_the_looks_going_where_the_whole_would_stop():
    shaky = drawn(5, flips=0.004)
    rows = np.array(LABELS) == LABELS[0]
    shaky[:, rows] = 0
    shaky[:, np.flatnonzero(rows)[:6]] = 1  # 15 points: likely, not yet shown at the first look
    with_it = measured(shaky, LABELS[:1])
    without = measured(shaky, ())

    assert ["decided"] == standings([without])
    assert ["open"] == standings([with_it])


families = st.tuples(
    st.integers(0, 99), st.integers(1, 6), st.floats(-0.4, 0.4), st.floats(0.001, 0.05)
)


@given(families, st.sampled_from([w for _, w in LOOKS]))
def test_no_class_is_called_against_its_interval_nor_the_rest(family, share):
    draw, count, effect, margin = family
    touched = LABELS[:count]
    differences = drawn(draw, moved=touched[:1], effect=effect)
    rest = rest_part(differences, LABELS, touched, GROUPS)
    said = claim_touched(
        class_parts(differences, LABELS, touched), rest, alpha=0.05, share=share, margin=margin
    )

    for one in said.classes:
        assert verdict(one.low, one.high, margin) == one.verdict
        assert one.low <= one.effect <= one.high
        assert 0.05 * share / count - 1e-12 <= one.alpha <= 0.05 * share + 1e-12
    assert ("not_worse" == said.rest.outcome) == (said.rest.low > -margin)
    assert "worse" != said.rest.outcome or said.rest.high < 0


def test_a_class_with_few_test_rows_is_listed_without_a_claim():
    differences = np.zeros((3, 30))
    labels = ["rare"] * 5 + ["other"] * 25

    parts = class_parts(differences, labels, {"rare", "absent"})
    said = claim_touched(parts, None, alpha=0.05, share=1.0, margin=0.01)

    assert [("rare", 5, "not_measurable")] == [(c.name, c.rows, c.verdict) for c in said.classes]
    assert "1, of which 0 have test rows enough" in said.sentence


def test_steps_judged_together_share_the_level_of_their_touched_classes_evenly():
    one = measured(drawn(1), LABELS[:2])
    alone, together = claim(one), claim_together([one, one])[0]

    assert 0.05 == alone.touched.alpha
    assert 0.025 == together.touched.alpha


def test_what_is_known_of_touched_classes_goes_to_json_and_back():
    one = measured(drawn(1), LABELS[:2])
    said = json.loads(json.dumps(claim(one).as_dict()))

    assert one == Measurement.from_dict(json.loads(json.dumps(one.as_dict())))
    assert {"alpha", "classes", "rest", "sentence"} == set(said["touched"])
    assert said["touched"]["sentence"].startswith("Classes the change touched: 2, of which 2")
