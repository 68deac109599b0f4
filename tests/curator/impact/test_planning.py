from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.errors import MeasureError
from curator.impact.planning import (
    PLANNED,
    default_margin,
    noise,
    planned_effect,
    smallest_effect,
    what_would_decide,
)
from curator.impact.statistics import Estimate, crossed, interval, verdict

ROWS = (200, 500, 1000, 2000, 5000)
# Measured table: smallest effect with 80 % power at 5 % two-sided, in points, per tier and seeds.
TABLE = {
    ("probe", 3): (6.5, 4.2, 3.1, 2.4, 1.9),
    ("probe", 5): (4.2, 2.7, 2.0, 1.5, 1.1),
    ("probe", 8): (3.3, 2.2, 1.6, 1.2, 0.9),
    ("top-layers", 3): (7.5, 5.1, 4.0, 3.4, 3.0),
    ("top-layers", 5): (5.7, 3.8, 2.9, 2.3, 1.9),
    ("top-layers", 8): (5.0, 3.3, 2.4, 1.9, 1.5),
    ("top-layers", 16): (4.5, 2.9, 2.1, 1.6, 1.1),
}


@pytest.mark.parametrize(("tier", "seeds"), TABLE)
def test_the_plan_reproduces_the_measured_table(tier, seeds):
    planned = [100 * planned_effect(tier, rows=rows, seeds=seeds) for rows in ROWS]

    assert TABLE[tier, seeds] == pytest.approx(planned, abs=0.065)


def test_the_plan_for_two_seeds_is_as_bad_as_measured():
    planned = [100 * planned_effect("probe", rows=rows, seeds=2) for rows in ROWS]

    assert (15.3, 10.2, 7.7, 6.2, 5.1) == pytest.approx(planned, rel=0.015)


@given(st.sampled_from(sorted(PLANNED)), st.integers(20, 5000), st.integers(3, 16))
def test_more_rows_and_more_seeds_never_make_the_visible_effect_larger(tier, rows, seeds):
    effect = planned_effect(tier, rows=rows, seeds=seeds)

    assert effect > planned_effect(tier, rows=2 * rows, seeds=seeds)
    assert effect >= planned_effect(tier, rows=rows, seeds=seeds + 1)
    assert effect < planned_effect(tier, rows=rows, seeds=seeds, alpha=0.01)


def test_a_plan_says_what_is_wrong_with_its_question():
    with pytest.raises(MeasureError, match=r"tier 'prob' is not one of .*'probe'"):
        planned_effect("prob", rows=100, seeds=5)
    with pytest.raises(MeasureError, match="100 test rows and 1 seeds: expected at least 2"):
        planned_effect("probe", rows=100, seeds=1)


def test_the_margin_is_one_point_or_what_so_few_rows_can_carry():
    assert 0.01 == default_margin(3000)
    assert 0.01 == default_margin(600)
    assert 0.06 == default_margin(100)


@pytest.mark.parametrize("rows", [20, 100, 300, 600, 5000])
def test_the_default_margin_is_one_that_unmoved_rows_can_carry_at_the_first_look(rows):
    still = crossed(np.zeros((3, rows)), np.arange(rows))

    assert "equivalent" == verdict(*interval(still, alpha=0.005), default_margin(rows))


def simulated(*, seed_sd=0.0, item_sd=0.1, residual_sd=0.35, seeds=5, rows=400, effect=0.0):
    rng = np.random.default_rng(1)
    differences = (
        effect
        + rng.normal(0, seed_sd, (seeds, 1))
        + rng.normal(0, item_sd, rows)
        + rng.normal(0, residual_sd, (seeds, rows))
    )
    return crossed(differences, np.arange(rows))


def test_the_noise_that_was_put_in_is_the_noise_that_is_found():
    found = noise(simulated(seed_sd=0.05, item_sd=0.3, residual_sd=0.4, seeds=40, rows=4000))

    assert (0.05, 0.3, 0.4) == pytest.approx((found.seed, found.item, found.residual), rel=0.25)


def test_afterwards_the_smallest_effect_is_near_the_planned_one_for_such_noise():
    estimate = simulated(seed_sd=0.005, rows=1000)

    assert planned_effect("probe", rows=1000, seeds=5) == pytest.approx(
        smallest_effect(estimate), rel=0.3
    )


def test_where_nothing_varied_no_less_than_the_rule_of_three_leaves_open_is_visible():
    still = crossed(np.zeros((5, 50)), np.arange(50))

    assert pytest.approx(1 - 0.025 ** (1 / 50)) == smallest_effect(still)


def test_a_noisy_test_set_asks_for_test_rows_not_for_seeds():
    sentence = what_would_decide(simulated(item_sd=0.6, residual_sd=0.1), margin=0.01)

    assert "test rows like these (now 400)" in sentence
    assert "more seeds alone would not do, the test set is too small" in sentence


def test_noisy_training_asks_for_seeds_not_for_rows():
    estimate = simulated(seed_sd=0.03, item_sd=0.02, residual_sd=0.02, seeds=5, rows=2000)
    sentence = what_would_decide(estimate, margin=0.02)

    assert re.search(r"\d+ seeds \(now 5\)", sentence)
    assert "more test rows alone would not do" in sentence


def test_either_may_do_where_the_rest_is_noise_of_single_runs():
    sentence = what_would_decide(simulated(item_sd=0.1, residual_sd=0.5), margin=0.03)

    assert re.search(r"about [\d,]+ test rows like these \(now 400\) or \d+ seeds", sentence)


def test_both_are_asked_for_where_neither_would_do_alone():
    estimate = simulated(seed_sd=0.04, item_sd=0.6, residual_sd=0.1)
    sentence = what_would_decide(estimate, margin=0.02)

    asked = re.search(r"both about ([\d,]+) test rows like these and (\d+) seeds", sentence)
    assert asked
    assert int(asked[1].replace(",", "")) > 400
    assert 5 < int(asked[2]) <= 64


def test_what_cannot_be_decided_is_called_so():
    estimate = simulated(seed_sd=0.3, item_sd=0.6)
    sentence = what_would_decide(estimate, margin=0.0005)

    assert "no measurement of this kind will decide it" in sentence


def test_what_is_decided_needs_nothing_more():
    estimate = simulated(effect=0.5)

    assert "Nothing more is needed: this is decided (better)." == what_would_decide(estimate, 0.01)


@given(
    st.floats(-0.03, 0.03),
    st.floats(0, 0.02),
    st.floats(0, 0.02),
    st.integers(2, 8),
    st.integers(20, 3000),
)
def test_there_is_always_a_sentence_and_its_rows_are_more_than_those_at_hand(
    effect, item_sd, seed_sd, seeds, rows
):
    item, seed = item_sd**2, seed_sd**2
    residual = min(item, seed) / 2
    variance = max(item + seed - residual, item, seed)
    estimate = Estimate(effect, variance, seeds + 3.0, item, seed, residual, seeds, rows, 20, 18.5)
    sentence = what_would_decide(estimate, 0.01)

    assert sentence.endswith(".")
    asked = re.search(r"about ([\d,]+) test rows", sentence)
    if asked:
        assert int(asked[1].replace(",", "")) >= rows
