"""A sample over P(wrong), exact intervals, and a recalibration that must prove itself."""

import json

import numpy as np
import pytest

from curator.reliability import (
    EDGES,
    Sample,
    draw_sample,
    exact_interval,
    name_of,
    recalibrate,
    recalibrated,
    reliability,
)


def drawn(p_wrong, rows=120, fixes=40, min_p_fix=0.85, seed=0):
    findings = [
        {"row_id": f"r{i:05}", "suggestion": "b", "p_wrong": float(p), "p_fix": float(p),
         "flagged": p >= 0.5}
        for i, p in enumerate(p_wrong)
    ]  # fmt: skip
    given = {f["row_id"]: "a" for f in findings}
    return draw_sample(findings, given, rows=rows, fixes=fixes, min_p_fix=min_p_fix, seed=seed)


def skewed(seed=0, n=4000):
    """P(wrong) as they are met: most near 0, some near 1."""
    return np.random.default_rng(seed).beta(0.15, 1.2, n)


@pytest.mark.parametrize(
    ("count", "of", "expected"),
    [(0, 10, (0.0, 0.3085)), (5, 10, (0.1871, 0.8129)), (10, 10, (0.6915, 1.0)),
     (1, 20, (0.0013, 0.2487))],
)  # fmt: skip
def test_the_exact_interval_is_that_of_the_tables(count, of, expected):
    assert pytest.approx(expected, abs=5e-5) == exact_interval(count, of)


def test_every_bin_is_drawn_from_low_ones_too_and_the_fixes_by_themselves():
    sample = drawn(skewed())
    counts = {}
    for one in sample.rows:
        counts[one.bin] = counts.get(one.bin, 0) + 1

    assert {0, 1, 2, 3, 4, 5, 6} == counts.keys()
    assert [20] * 6 == [counts[b] for b in range(6)]
    assert 40 == counts[6]
    assert all(one.is_fix == (one.p_fix >= 0.85) for one in sample.rows)
    assert 4000 == sum(sample.sizes.values())


def test_a_bin_that_is_too_small_leaves_its_share_to_the_others():
    sample = drawn(np.r_[np.full(3, 0.2), np.full(500, 0.01), np.full(500, 0.05)], rows=101)

    assert 101 == len(sample.rows)
    assert 3 == sum(one.bin == 2 for one in sample.rows)


def test_a_larger_sample_holds_the_smaller_one_and_stays_itself():
    small, large = drawn(skewed(), rows=60), drawn(skewed(), rows=240)

    assert {o.row_id for o in small.rows} <= {o.row_id for o in large.rows}
    assert large == drawn(skewed(), rows=240)
    kept = json.loads(json.dumps(large.as_dict(), sort_keys=True))
    assert large == Sample.from_dict(kept)
    assert "P(fix) >= 0.85" == reliability(Sample.from_dict(kept), {}).bins[-1].name
    assert {o.row_id for o in large.rows} != {
        o.row_id for o in drawn(skewed(), rows=240, seed=1).rows
    }


def judged(sample, truth, seed=1):
    """Verdicts by lot: wrong as often as `truth` of P(wrong) says, and then always the fix."""
    draw = np.random.default_rng(seed)
    return {
        o.row_id: "suggested" if draw.random() < truth(o.p_wrong) else "given" for o in sample.rows
    }


def test_intervals_hold_a_true_promise_and_expose_a_false_one():
    sample = drawn(skewed(), rows=600, fixes=100)
    fair = reliability(sample, judged(sample, lambda p: p))
    vain = reliability(sample, judged(sample, lambda p: p / 3))

    assert sum(one.kept for one in fair.bins) >= 6  # of seven, each right in 95 of 100
    assert fair.error < 0.05 < vain.error
    assert [False, False, False] == [one.kept for one in vain.bins[-3:]]
    assert fair.wrong_rows == pytest.approx(fair.promised_rows, rel=0.25)
    assert vain.wrong_rows < 0.6 * vain.promised_rows


def test_a_bin_without_a_verdict_has_no_share_and_the_total_is_not_guessed():
    sample = drawn(skewed())
    found = reliability(sample, {})

    assert {None} == {one.share for one in found.bins} | {one.kept for one in found.bins}
    assert found.wrong_rows is None
    assert not found.relabel_allowed
    assert found.recalibration is None


def test_what_nobody_can_tell_is_no_error_and_no_right_fix():
    sample = drawn(skewed(), fixes=40)
    verdicts = {o.row_id: "suggested" if o.is_fix else "given" for o in sample.rows}
    some = next(o.row_id for o in sample.rows if o.is_fix)
    found = reliability(sample, verdicts | {some: "unclear"})

    assert (40, 39) == (found.fix_reviewed, found.fix_right)
    assert (39, 1) == (found.bins[-1].judged, found.bins[-1].unclear)


@pytest.mark.parametrize(
    ("fixes", "wrong", "allowed"),
    [(149, 0, True), (148, 0, False), (236, 1, True), (149, 1, False)],
)
def test_a_relabel_needs_the_lower_bound_above_the_rule(fixes, wrong, allowed):
    sample = drawn(np.full(400, 0.999), rows=0, fixes=fixes, min_p_fix=0.98)
    verdicts = {o.row_id: "given" if n < wrong else "suggested" for n, o in enumerate(sample.rows)}

    assert allowed == reliability(sample, verdicts).relabel_allowed


@pytest.mark.parametrize("seed", range(4))
def test_a_recalibration_mends_a_distorted_promise(seed):
    draw = np.random.default_rng(seed)
    p = draw.beta(0.4, 0.6, 250)
    true = recalibrated(p, 0.5, -0.8)
    found = recalibrate(p, draw.random(250) < true)

    assert found.helps
    before = np.abs(p - true).mean()
    assert np.abs(recalibrated(p, found.slope, found.intercept) - true).mean() < before / 2


def test_a_recalibration_of_a_true_promise_is_seldom_called_a_help():
    helped = 0
    for seed in range(40):
        draw = np.random.default_rng(100 + seed)
        p = draw.beta(0.4, 0.6, 100)
        helped += recalibrate(p, draw.random(100) < p).helps

    assert helped <= 5  # 5 % promised; over 5 of 40 happens once in a hundred such tests


def test_too_few_or_one_sided_verdicts_fit_nothing():
    p = np.linspace(0.1, 0.9, 30)

    assert recalibrate(p[:19], p[:19] > 0.3) is None
    assert recalibrate(p, p > 2) is None


def test_bins_have_names_a_reader_understands():
    assert "P(wrong) 0.02 to 0.1" == name_of(1, 0.98)
    assert "P(fix) >= 0.98" == name_of(len(EDGES) - 1, 0.98)
