from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from curator.errors import MeasureError
from curator.impact.statistics import (
    Estimate,
    crossed,
    holm_levels,
    interval,
    p_value,
    slice_effects,
    verdict,
)

GROUPS_OF_TWO = np.array([0, 0, 1, 1, 2, 2])


@st.composite
def measurements(draw):
    """Differences of a score, (s, m), and a group for each test row."""
    s = draw(st.integers(2, 6))
    m = draw(st.integers(2, 30))
    differences = draw(arrays(np.float64, (s, m), elements=st.sampled_from([-1.0, 0.0, 0.0, 1.0])))
    groups = np.array([draw(st.integers(0, 5)) for _ in range(m - 1)] + [6])
    return differences, groups


def literal_estimate(differences, groups):
    """The formulas of the estimator, one loop per sum."""
    n, m = differences.shape
    names = sorted(set(groups.tolist()))
    members = {k: [i for i in range(m) if groups[i] == k] for k in names}
    count = len(names)
    r = [sum(differences[s]) / m for s in range(n)]
    g = sum(r) / n
    v_i = 0.0
    v_e = 0.0
    for k in names:
        left = m - len(members[k])
        mean_over_s = [sum(differences[s][i] for s in range(n)) / n for i in members[k]]
        v_i += (sum(mean_over_s) - len(members[k]) * g) ** 2 / left**2
        group_sums = [sum(differences[s][i] for i in members[k]) for s in range(n)]
        for s in range(n):
            moved = group_sums[s] - sum(group_sums) / n - len(members[k]) * (r[s] - g)
            v_e += moved**2 / left**2
    v_i *= (count - 1) / count
    v_e *= (count - 1) / count / (n - 1) / n
    v_s = sum((x - g) ** 2 for x in r) / (n - 1) / n
    v = max(v_i + v_s - v_e, v_i, v_s)
    effective = m**2 / sum(len(members[k]) ** 2 for k in names)
    below = v_i**2 / (effective - 1) + v_s**2 / (n - 1)
    df = max(v**2 / below, n - 1) if below > 0 else n - 1
    return g, v, df, v_i, v_s, v_e


@given(measurements())
def test_the_estimator_is_the_formula_written_out_with_loops(measurement):
    differences, groups = measurement
    effect, variance, df, item, seed, residual = literal_estimate(differences, groups)

    estimate = crossed(differences, groups)

    found = (estimate.effect, estimate.item, estimate.seed, estimate.residual, estimate.variance)
    assert (effect, item, seed, residual, variance) == pytest.approx(found, abs=1e-12)
    if variance > 1e-12:
        assert df == pytest.approx(estimate.df, rel=1e-6)


def test_equal_groups_give_the_degrees_of_freedom_of_their_number():
    differences = np.array([[1.0, 0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0, 0]])

    estimate = crossed(differences, GROUPS_OF_TWO)

    assert estimate.effective_groups == pytest.approx(3)
    assert estimate.df == pytest.approx(2)  # no seed part: groups - 1


def test_unequal_groups_count_for_less_than_their_number():
    lopsided = crossed(np.eye(2, 20), np.array([0] * 17 + [1, 2, 3]))

    assert lopsided.effective_groups == pytest.approx(400 / (17**2 + 3))


@given(measurements(), st.sampled_from([0.01, 0.05, 0.2]), st.floats(1e-4, 0.3))
def test_no_verdict_ever_disagrees_with_its_interval(measurement, alpha, margin):
    low, high = interval(crossed(*measurement), alpha)
    word = verdict(low, high, margin)

    assert low <= high
    assert (word == "equivalent") == (-margin < low and high < margin)
    assert (word in {"better", "worse"}) == (word != "equivalent" and (low > 0 or high < 0))
    assert word != "better" or low > 0
    assert word != "worse" or high < 0


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(1e-6, 1))
def test_the_verdict_of_a_mirrored_interval_is_mirrored(a, b, margin):
    mirror = {"better": "worse", "worse": "better"}
    low, high = sorted((a, b))
    word = verdict(low, high, margin)

    assert mirror.get(word, word) == verdict(-high, -low, margin)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.011, 0.04, "better"),
        (-0.04, -0.011, "worse"),
        (-0.005, 0.005, "equivalent"),
        (0.001, 0.009, "equivalent"),
        (-0.009, -0.001, "equivalent"),
        (0.001, 0.01, "better"),
        (-0.02, 0.03, "undecided"),
        (0.0, 0.03, "undecided"),
        (math.nan, math.nan, "undecided"),
    ],
)
def test_a_verdict_asks_for_equivalence_first(low, high, expected):
    assert expected == verdict(low, high, margin=0.01)


@given(measurements(), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_p_value_is_below_alpha_exactly_where_the_interval_excludes_zero(measurement, alpha):
    estimate = crossed(*measurement)
    low, high = interval(estimate, alpha)
    p = p_value(estimate)
    if abs(p - alpha) > 1e-9:
        assert (p < alpha) == (low > 0 or high < 0)


def holm_rejections(p_values, alpha):
    """Holm's step-down as in the textbook: a flag per claim."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    rejected = [False] * len(p_values)
    for i, claim in enumerate(order):
        if p_values[claim] >= alpha / (len(p_values) - i):
            break
        rejected[claim] = True
    return rejected


ESTIMATES = st.builds(
    lambda effect, sd, df: Estimate(effect, sd**2, df, sd**2, 0.0, 0.0, 5, 500, 77, 77.0),
    st.floats(-0.1, 0.1),
    st.floats(0.001, 0.05),
    st.floats(4, 80),
)


@given(st.lists(ESTIMATES, min_size=1, max_size=8), st.data())
def test_each_interval_at_its_own_level_agrees_with_holm(estimates, data):
    repeats = data.draw(st.lists(st.sampled_from(estimates), max_size=3))
    estimates = [*estimates, *repeats]  # ties
    p_values = [p_value(e) for e in estimates]
    levels = holm_levels(p_values)

    excluded = []
    for estimate, level in zip(estimates, levels, strict=True):
        low, high = interval(estimate, level)
        excluded.append(low > 0 or high < 0)

    close = any(abs(p - 0.05 / k) < 1e-9 for p in p_values for k in range(1, len(p_values) + 1))
    assert close or holm_rejections(p_values, 0.05) == excluded


def test_holm_levels_step_down_and_stop_at_the_first_failure():
    assert [0.0125, 0.05 / 3, 0.025, 0.025] == holm_levels([0.001, 0.01, 0.2, 0.9])
    assert [0.05 / 3] * 3 == holm_levels([0.9, 0.02, 0.03])
    assert [0.05] == holm_levels([0.04])
    assert [] == holm_levels([])


def test_tied_claims_get_the_same_level_in_any_order():
    levels = holm_levels([0.004, 0.9, 0.004])

    assert levels[0] == levels[2] == pytest.approx(0.05 / 3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.randoms())
def test_holm_levels_follow_their_claims_when_these_are_shuffled(p_values, random):
    order = list(range(len(p_values)))
    random.shuffle(order)
    levels = holm_levels(p_values)

    assert [levels[i] for i in order] == holm_levels([p_values[i] for i in order])


def test_holm_refuses_a_p_value_that_is_none():
    with pytest.raises(ValueError, match="p-values must lie in"):
        holm_levels([0.1, math.nan])


def test_no_difference_at_all_is_an_effect_of_zero_without_noise():
    estimate = crossed(np.zeros((5, 6)), GROUPS_OF_TWO)

    assert (0.0, 0.0, 1.0) == (estimate.effect, estimate.variance, p_value(estimate))


@pytest.mark.parametrize(
    ("rows", "margin", "word"),
    [
        (6, 0.01, "undecided"),
        (400, 0.01, "equivalent"),
        (300, 0.01, "undecided"),
        (3000, 0.01, "equivalent"),
    ],
)
def test_rows_that_never_flip_show_no_more_than_so_many_rows_can(rows, margin, word):
    still = crossed(np.zeros((5, rows)), np.arange(rows))

    low, high = interval(still)
    chance_of_no_flip = (1 - high) ** rows

    assert pytest.approx(0.025) == chance_of_no_flip
    assert -high == low
    assert word == verdict(low, high, margin)


def test_an_interval_excludes_zero_exactly_where_its_p_value_is_below_alpha_also_by_few_rows():
    for share in (0.1, 0.3, 0.6, 0.9):
        flips = np.tile((np.arange(40) < share * 40).astype(float), (5, 1))
        estimate = crossed(flips, np.arange(40) % 20)
        for alpha in (0.2, 0.05, 0.01, 1e-4):
            assert (p_value(estimate) < alpha) == (interval(estimate, alpha)[0] > 0)


def test_a_difference_that_never_varies_is_certain():
    estimate = crossed(np.ones((5, 6)), GROUPS_OF_TWO)

    assert 0 < interval(estimate)[0]
    assert 0.0 == p_value(estimate)


def test_the_order_of_rows_and_seeds_and_the_names_of_groups_do_not_matter():
    rng = np.random.default_rng(3)
    differences = rng.integers(-1, 2, (5, 40)).astype(float)
    groups = rng.integers(0, 8, 40)
    order = rng.permutation(40)
    shuffled = crossed(differences[::-1, order], 100 - 7 * groups[order])

    expected = crossed(differences, groups)
    assert expected.effect == pytest.approx(shuffled.effect)
    assert expected.variance == pytest.approx(shuffled.variance)
    assert expected.df == pytest.approx(shuffled.df)


@pytest.mark.parametrize(
    ("shape", "groups", "message"),
    [
        ((1, 6), GROUPS_OF_TWO, "1 paired seed"),
        ((3, 6), np.zeros(6, dtype=np.int64), "all test rows are in one group"),
        ((3, 5), GROUPS_OF_TWO, r"\(3, 5\) and groups \(6,\)"),
    ],
    ids=["one seed", "one group", "shapes"],
)
def test_what_cannot_be_estimated_is_refused_in_words(shape, groups, message):
    with pytest.raises(MeasureError, match=message):
        crossed(np.zeros(shape), groups)


def null_differences(rng, *, seeds, groups, per_group, seed_sd, group_sd, row_sd, residual_sd):
    """Differences with mean zero whose rows move together inside a group."""
    m = groups * per_group
    return (
        rng.normal(0, seed_sd, (seeds, 1))
        + np.repeat(rng.normal(0, group_sd, groups), per_group)
        + rng.normal(0, row_sd, m)
        + rng.normal(0, residual_sd, (seeds, m))
    )


@pytest.mark.parametrize(
    "parts",
    [
        {"seed_sd": 0.005, "group_sd": 0.02, "row_sd": 0.10, "residual_sd": 0.35},
        {"seed_sd": 0.02, "group_sd": 0.0, "row_sd": 0.10, "residual_sd": 0.35},
        {"seed_sd": 0.0, "group_sd": 0.08, "row_sd": 0.10, "residual_sd": 0.10},
    ],
    ids=["mixed", "seeds dominate", "groups dominate"],
)
def test_null_data_are_called_about_as_often_as_alpha_says(parts):
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(40), 8)
    calls = 0
    for _ in range(600):
        differences = null_differences(rng, seeds=5, groups=40, per_group=8, **parts)
        calls += p_value(crossed(differences, groups)) < 0.05

    # 5 % of 600 is 30 with a standard error of 5.3; Satterthwaite at 5 seeds may reach 5.8 %.
    assert 6 <= calls <= 51


def test_rows_that_flip_together_fool_the_unclustered_estimator():
    rng = np.random.default_rng(5)
    naive = 0
    for _ in range(200):
        differences = null_differences(
            rng, seeds=5, groups=40, per_group=8,
            seed_sd=0.0, group_sd=0.08, row_sd=0.10, residual_sd=0.10,
        )  # fmt: skip
        naive += p_value(crossed(differences, np.arange(320))) < 0.05

    assert naive > 40  # 20 %, where clustering keeps 5 %


def test_intervals_cover_the_true_effect():
    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(30), 10)
    covered = 0
    for _ in range(400):
        differences = 0.03 + null_differences(
            rng, seeds=5, groups=30, per_group=10,
            seed_sd=0.01, group_sd=0.02, row_sd=0.2, residual_sd=0.4,
        )  # fmt: skip
        low, high = interval(crossed(differences, groups))
        covered += low <= 0.03 <= high

    assert 365 <= covered  # 95 % is 380, standard error 4.4


def test_a_slice_that_is_starved_is_found_under_a_gain_overall():
    rng = np.random.default_rng(2)
    names = np.repeat([f"class_{i:02d}" for i in range(20)], 30)
    differences = rng.choice([-1.0, 0.0, 1.0], (5, 600), p=[0.02, 0.9, 0.08])
    differences[:, names == "class_07"] = rng.choice([-1.0, 0.0], (5, 30), p=[0.5, 0.5])

    slices = slice_effects(differences, names.tolist())

    assert "class_07" == slices[0].name
    assert ["class_07"] == [s.name for s in slices if s.harmed]
    assert 30 == slices[0].rows
    assert slices[0].low < slices[0].effect < slices[0].high < 0
    assert 20 == len(slices)


def test_a_small_slice_is_listed_with_its_effect_but_without_a_claim():
    names = ["big"] * 25 + ["small"] * 19
    slices = slice_effects(-np.ones((3, 44)), names)

    assert ["big", "small"] == [s.name for s in slices]
    assert (19, -1.0, None, None, None, False) == (
        slices[1].rows, slices[1].effect, slices[1].low, slices[1].high,
        slices[1].p_harm, slices[1].harmed,
    )  # fmt: skip


def test_nothing_changed_harms_no_slice():
    slices = slice_effects(np.zeros((5, 60)), ["a"] * 30 + ["b"] * 30)

    assert [False, False] == [s.harmed for s in slices]


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_slices_called_harmed_are_those_of_benjamini_and_hochberg(seed):
    rng = np.random.default_rng(seed)
    names = np.repeat(list("abcdef"), 25)
    shift = np.repeat(rng.uniform(-0.3, 0.1, 6), 25)
    differences = (rng.random((4, 150)) < 0.1) * 1.0 - (rng.random((4, 150)) < 0.1 - shift) * 1.0

    slices = slice_effects(differences, names.tolist())

    adjusted = stats.false_discovery_control([s.p_harm for s in slices])
    assert [bool(q <= 0.05) for q in adjusted] == [s.harmed for s in slices]


def without_each_group(differences, groups):
    """Leave each group out in turn: the jackknife, by its definition."""
    names = np.unique(groups)
    left = np.array([differences[:, groups != name].mean() for name in names])
    return (len(names) - 1) / len(names) * np.square(left - differences.mean()).sum()


@pytest.mark.parametrize("sizes", [[5] * 8, [3, 4, 20, 6, 9], [40, 1, 1, 1]], ids=str)
def test_the_item_part_is_what_leaving_each_group_out_moves(sizes):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    differences = np.random.default_rng(0).normal(0, 1, (4, len(groups)))

    assert without_each_group(differences, groups) == pytest.approx(
        crossed(differences, groups).item, rel=1e-12
    )


def test_a_third_of_the_rows_in_one_group_makes_no_more_false_calls_than_stated():
    """1,000 do-nothing changes on 25 groups that move together, one of them a third of the rows.

    The plain sum of squares over groups calls 5.4 % of 4,000 such, half of them more than equal
    groups of the same number; standard error here .7 points.
    """
    rng = np.random.default_rng(3)
    sizes = np.r_[np.full(24, 40), 480]
    groups = np.repeat(np.arange(25), sizes)

    def called():
        moved = rng.normal(0, 0.03, 25)[groups] + rng.normal(0, 0.25, (3, len(groups)))
        low, high = interval(crossed(moved, groups))
        return low > 0 or high < 0

    assert sum(called() for _ in range(1000)) <= 60
