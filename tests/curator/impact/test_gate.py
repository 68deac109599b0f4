"""What a gate says of a measurement, and how often it may be wrong."""

from __future__ import annotations

from math import sqrt
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from curator.errors import MeasureError
from curator.impact.claim import Measurement, claim
from curator.impact.design import slices_of
from curator.impact.gate import Limits, bounds, judge
from curator.impact.gate_pages import junit, markdown
from curator.impact.statistics import crossed

BLANK = {
    "before": "a" * 64, "after": "b" * 64, "tier": "probe", "spec": "s", "metric": "accuracy",
    "identical": False, "reason": None, "estimate": None, "seeds": (0, 1, 2, 3, 4),
    "test_rows": 600, "margin": 0.02, "before_score": 0.8, "after_score": 0.8, "slices": (),
    "cost_cpu_s": 1.0, "fits": 10, "model": "m",
}  # fmt: skip


def flips(draw, shares, *, seeds=5):
    """Draw differences per seed and row: row i falls by one with chance -share, else rises."""
    chance = draw.random((seeds, len(shares)))
    return np.where(chance < np.abs(shares), np.sign(shares), 0.0)


def measured(differences, classes, **other):
    """Make the measurement of differences (s, m); classes name the class of each row."""
    groups = np.unique(np.asarray(classes), return_inverse=True)[1].astype(np.int64)
    fresh = np.ones(len(classes), dtype=bool)
    return Measurement(**{
        **BLANK,
        "estimate": crossed(differences, groups),
        "test_rows": len(classes),
        "slices": tuple(slices_of(differences, list(classes), fresh)),
        **other,
    })  # fmt: skip


def even(classes=20, rows=30):
    return [f"c{k:02}" for k in range(classes) for _ in range(rows)]


def change(share, *, classes=20, rows=30, seed=0, **other):
    """Measure a change that moves every class by the same share."""
    names = even(classes, rows)
    shares = np.full(len(names), share)
    return measured(flips(np.random.default_rng(seed), shares), names, **other)


@pytest.mark.parametrize(
    ("share", "outcome", "code", "told"),
    [
        (0.0, "not_worse", 0, "Not worse: accuracy +0.0 points, at least -0.5 (95% one-sided"),
        (0.1, "not_worse", 0, "Not worse: accuracy +"),
        (-0.1, "worse", 3, "Worse: accuracy -"),
    ],
)
def test_the_three_outcomes_have_their_sentence_and_exit_code(share, outcome, code, told):
    found = judge(change(share))

    assert (outcome, code) == (found.outcome, found.exit_code)
    assert found.sentence.startswith(told)
    assert "; the margin is 2.0 points; 600 test rows, 5 paired seeds, " in found.sentence


def test_what_is_neither_is_not_shown_and_both_bounds_are_told():
    found = judge(change(-0.01, rows=3, margin=0.01))

    assert ("not_shown", 4) == (found.outcome, found.exit_code)
    assert found.low < -0.01 < 0 <= found.high
    assert "which may be as low as -" in found.sentence
    assert "or as high as +" in found.sentence


def test_a_loss_shown_to_be_smaller_than_the_margin_passes_though_its_sign_is_certain():
    found = judge(change(-0.1), margin=0.2)

    assert found.high < 0
    assert "not_worse" == found.outcome


@pytest.mark.parametrize("seed", range(20))
def test_a_gate_never_contradicts_the_verdict_of_the_same_measurement(seed):
    """One-sided at .05 it may decide where the two-sided verdict does not, never against it."""
    draw = np.random.default_rng(seed)
    m = change(draw.normal(0, 0.05), seed=seed)

    allowed = {
        "better": {"not_worse"}, "equivalent": {"not_worse"}, "worse": {"worse"},
        "undecided": {"not_worse", "worse", "not_shown"},
    }  # fmt: skip
    assert judge(m).outcome in allowed[claim(m).verdict]


@pytest.mark.parametrize("truth", [-0.02, 0.0], ids=["a loss of the margin", "no loss"])
def test_each_wrong_answer_is_given_in_at_most_a_twentieth_of_all_cases(truth):
    """400 draws; the rate has a standard error of 1.1 points."""
    wrong = "not_worse" if truth else "worse"
    draw = np.random.default_rng(7)
    names = even(20, 10)
    told = []
    for _ in range(400):
        rows = np.clip(draw.normal(truth, 0.25, len(names)), -1, 1)  # the rows are drawn too
        seeds = draw.normal(0, 0.1, (5, len(names)))
        differences = rows + seeds
        groups = np.repeat(np.arange(20), 10)
        blank = {**BLANK, "estimate": crossed(differences, groups), "test_rows": len(names)}
        told.append(judge(Measurement(**blank)).outcome)

    assert told.count(wrong) / 400 <= 0.075


def test_rows_that_all_agree_carry_a_bound_no_nearer_than_the_rule_of_three():
    low, high = bounds(0.0, 0.0, 4.0, 300, 0.05)

    assert pytest.approx(-3 / 300, rel=0.01) == low
    assert low == -high


def test_identical_inputs_pass_and_what_is_not_measurable_could_not_be_told():
    same = judge(Measurement(**{**BLANK, "identical": True}), limits=Limits(every=0.05))
    blind = judge(Measurement(**{**BLANK, "reason": "the test rows all have one label"}))

    assert (0, ()) == (same.exit_code, same.classes)
    assert "nothing was run; the margin is 2.0 points." in same.sentence
    assert 4 == blind.exit_code
    assert "Not shown: the test rows all have one label; the margin is" in blind.sentence
    assert None is blind.low


def hurt(loss, *, rows=40):
    """One class of twenty falls, the others rise a little: the whole hides it."""
    names = even(20, rows)
    shares = np.array([-loss if name == "c03" else 0.05 for name in names])
    return measured(flips(np.random.default_rng(1), shares), names, margin=0.05)


def test_a_class_that_falls_fails_the_gate_though_the_whole_does_not():
    found = judge(hurt(0.6), limits=Limits(every=0.1))

    assert ("not_worse", "worse", 3) == (found.whole, found.outcome, found.exit_code)
    assert ("c03", "lost") == (found.classes[0].name, found.classes[0].outcome)
    assert found.classes[0].high < -0.1
    assert {"kept"} == {one.outcome for one in found.classes[1:]}
    assert (
        "Of 20 classes: 1 shown to lose more than allowed (c03); "
        "19 shown to lose no more than allowed." in found.sentence
    )


def test_a_loss_is_claimed_only_where_holm_claims_it():
    """Beside nineteen others a class must fall further than it must alone."""
    alone = judge(hurt(0.3, rows=20), limits=Limits(named={"c03": 0.1})).classes[0]
    among = judge(hurt(0.3, rows=20), limits=Limits(every=0.1)).classes[0]

    assert alone.high < among.high
    assert alone.low == among.low


def test_classes_of_too_few_rows_are_listed_as_not_protected():
    names = [*even(20, 30), *["rare"] * 19]
    draw = np.random.default_rng(0)
    m = measured(flips(draw, np.full(len(names), 0.05)), names)

    found = judge(m, limits=Limits(every=0.2), classes=["rare", "unseen", "c00"])

    assert 0 == found.exit_code
    open_ = [(c.name, c.rows, c.low) for c in found.classes if c.outcome == "not_protected"]
    assert [("rare", 19, None), ("unseen", 0, None)] == sorted(open_)
    assert "2 not protected (under 20 test rows)" in found.sentence


@pytest.mark.parametrize("name", ["rare", "unseen"])
def test_a_class_asked_for_by_name_is_not_passed_over(name):
    names = [*even(20, 30), *["rare"] * 19]
    m = measured(flips(np.random.default_rng(0), np.full(len(names), 0.05)), names)

    found = judge(m, limits=Limits(named={name: 0.5}), classes=["rare", "unseen"])

    assert ("not_worse", "not_shown", 4) == (found.whole, found.outcome, found.exit_code)


def test_a_protection_that_can_protect_no_class_is_no_pass():
    assert 4 == judge(change(0.1, classes=40, rows=10), limits=Limits(every=0.5)).exit_code


def test_twenty_rows_that_all_agree_do_not_show_that_a_class_loses_under_five_points():
    found = judge(change(0.0, rows=20), limits=Limits(every=0.05))

    assert {"not_shown"} == {one.outcome for one in found.classes}
    assert pytest.approx(1 - 0.05 ** (1 / 20)) == -found.classes[0].low


def test_an_unknown_class_is_told_with_the_nearest():
    with pytest.raises(MeasureError, match=r"no class 'c033' among .*Did you mean 'c03'\?"):
        judge(change(0.0), limits=Limits(named={"c033": 0.1}))


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.0])
def test_a_margin_is_above_nothing_and_below_everything(margin):
    with pytest.raises(MeasureError, match="expected more than 0, below 100"):
        judge(change(0.0), margin=margin)


def test_the_summary_for_a_pull_request_says_what_the_sentence_says():
    found = judge(hurt(0.6), limits=Limits(named={"c03": 0.1}))

    page = markdown(found)

    assert page.startswith("## Curator gate: worse\n\nNot worse: accuracy +")
    assert "| margin | 5.0 points |\n| test rows | 800 |\n| paired seeds | 5 |\n" in page
    assert "| c03 | 40 | -" in page
    assert page.endswith(" | 10.0 | **lost** |\n")


def test_a_class_may_be_called_anything():
    names = [name if name != "c03" else "a|b <i>\x01*" for name in even(20, 30)]
    m = measured(np.zeros((5, 600)), names)
    found = judge(m, limits=Limits(every=0.05))

    assert r"| a\|b \<i\>" in markdown(found)
    assert "a|b <i>*" in {case.get("name") for case in ET.fromstring(junit(found))}


def test_junit_counts_what_is_shown_as_failure_and_what_is_not_as_skipped():
    names = [*even(20, 40), *["rare"] * 5]
    shares = np.array([-0.6 if name == "c03" else 0.05 for name in names])
    m = measured(flips(np.random.default_rng(1), shares), names, margin=0.05)

    suite = ET.fromstring(junit(judge(m, limits=Limits(every=0.1))))

    counts = [suite.get(name) for name in ("tests", "failures", "skipped", "errors")]
    assert ["22", "1", "1", "0"] == counts
    by_name = {case.get("name"): [child.tag for child in case] for case in suite}
    assert [] == by_name["accuracy"]
    assert ["failure"] == by_name["c03"]
    assert ["skipped"] == by_name["rare"]


def test_the_bounds_are_those_of_two_one_sided_tests():
    from scipy import stats

    m = change(-0.03)
    e = m.estimate
    found = judge(m)

    half = stats.t.isf(0.05, e.df) * sqrt(e.variance)
    assert pytest.approx((e.effect - half, e.effect + half)) == (found.low, found.high)
