"""Looks and stopping: no verdict against its interval, no alpha spent twice, no seed in vain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from curator.errors import MeasureError
from curator.impact.claim import Measurement, claim, claim_together, standings
from curator.impact.planning import planned_effect
from curator.impact.sequence import (
    LOOKS,
    chance_to_decide,
    extended,
    sequential_p,
    share_at,
    standing,
    visible_at_last_look,
)
from curator.impact.statistics import crossed, interval, verdict

ROWS, GROUPS = 400, 40
SEEDS_AT = [seeds for seeds, _ in LOOKS]
BLANK = {
    "before": "a" * 64, "after": "b" * 64, "tier": "probe", "spec": "s", "metric": "accuracy",
    "identical": False, "reason": None, "estimate": None, "seeds": (), "test_rows": ROWS,
    "margin": 0.01, "before_score": 0.8, "after_score": 0.8, "slices": (), "cost_cpu_s": 1.0,
    "fits": 6, "model": "m", "plan": LOOKS,
}  # fmt: skip


def differences(*, effect, spread=0.02, seed_sd=0.002, draw=0):
    """Give group means of eight seeds, each group's rows alike, shape (8, m)."""
    rng = np.random.default_rng(draw)
    groups = effect + rng.normal(0, spread, GROUPS)
    seeds = rng.normal(0, seed_sd, (8, 1)) + rng.normal(0, 4 * seed_sd, (8, GROUPS))
    return np.repeat(groups + seeds, ROWS // GROUPS, axis=1)


def at_look(values, seeds, **other):
    estimate = crossed(values[:seeds], np.arange(ROWS) // (ROWS // GROUPS))
    return Measurement(
        **{**BLANK, "estimate": estimate, "seeds": tuple(range(seeds)), "fits": 2 * seeds, **other}
    )


def test_the_shares_of_the_looks_are_the_planned_ones_and_sum_to_the_whole():
    assert [(3, 0.005), (5, 0.01), (8, 0.035)] == [(n, pytest.approx(0.05 * w)) for n, w in LOOKS]
    assert 1 == pytest.approx(sum(share for _, share in LOOKS))
    assert 1.0 == share_at((), 5)


def test_a_look_that_was_not_planned_has_no_share():
    with pytest.raises(MeasureError, match=r"4 paired seeds are not a look of the plan, .*3, 5, 8"):
        share_at(LOOKS, 4)


families = st.lists(
    st.tuples(
        st.sampled_from(SEEDS_AT),
        st.floats(-0.05, 0.05),
        st.floats(0, 0.1),
        st.floats(0, 0.02),
        st.integers(0, 99),
    ),
    min_size=1,
    max_size=7,
)


@settings(deadline=None)
@given(families, st.floats(0.002, 0.05))
def test_no_verdict_of_a_family_at_any_look_disagrees_with_its_interval(drawn, margin):
    family = [
        at_look(
            differences(effect=effect, spread=spread, seed_sd=seed_sd, draw=draw),
            seeds,
            margin=margin,
        )
        for seeds, effect, spread, seed_sd, draw in drawn
    ]

    for m, found in zip(family, claim_together(family), strict=True):
        assert verdict(found.low, found.high, margin) == found.verdict
        assert found.budget * dict(LOOKS)[len(m.seeds)] == pytest.approx(found.alpha)
        assert found.budget <= 0.05 + 1e-12
        assert found.budget >= 0.05 / len(family) - 1e-12
        assert (found.stopped == "decided") == (found.verdict != "undecided")
        assert (len(m.seeds) == 8) or found.stopped != "last look"
        assert found.low <= found.effect <= found.high


@given(st.floats(0, 1), st.sampled_from([w for _, w in LOOKS]), st.floats(1e-4, 0.05))
def test_a_p_value_over_its_share_rejects_where_the_look_does_at_its_share(p, share, level):
    if not np.isclose(p, level * share):
        assert (sequential_p(p, share) < level) == (p < level * share)


def stopped_at(values):
    """Walk the looks as the design does, for a claim on its own; give the last one."""
    for seeds in SEEDS_AT:
        found = claim(at_look(values, seeds))
        if found.stopped != "open":
            return found
    raise AssertionError("the last look is never open")


def test_looking_three_times_calls_no_more_nothing_than_one_look_may():
    called = 0
    for draw in range(400):
        values = differences(effect=0.0, spread=0.03, draw=draw)
        for seeds, share in LOOKS:  # noqa: B007 - the last one is used below
            estimate = crossed(values[:seeds], np.arange(ROWS) // 10)
            if standing(estimate, margin=0.01, alpha=0.05, plan=LOOKS) != "open":
                break
        called += verdict(*interval(estimate, 0.05 * share), 0.01) in {"better", "worse"}

    assert called <= stats.binom.ppf(0.999, 400, 0.05)


def test_a_family_of_nothing_is_called_once_in_twenty_at_most_whatever_the_looks():
    called = 0
    for run in range(60):
        values = [differences(effect=0.0, spread=0.03, draw=1000 * run + i) for i in range(4)]
        family = [at_look(v, 3) for v in values]
        while "open" in (now := standings(family)):
            family = [
                at_look(v, SEEDS_AT[SEEDS_AT.index(len(m.seeds)) + 1]) if at == "open" else m
                for v, m, at in zip(values, family, now, strict=True)
            ]
        words = [c.verdict for c in claim_together(family)]
        called += "better" in words or "worse" in words

    assert called <= stats.binom.ppf(0.999, 60, 0.05)


def test_a_large_effect_is_called_at_the_first_look_and_a_hopeless_one_stops_there():
    large = stopped_at(differences(effect=0.1))
    nothing = stopped_at(differences(effect=0.0, spread=0.06, draw=3))

    assert ("better", 3) == (large.verdict, len(large.measurement.seeds))
    assert ("undecided", "hopeless", 3) == (
        nothing.verdict, nothing.stopped, len(nothing.measurement.seeds),
    )  # fmt: skip
    assert "the chance that more seeds would decide is under 10 %" in nothing.sentence


def test_the_interval_is_written_with_the_level_of_its_look():
    found = claim(at_look(differences(effect=0.1), 3))

    assert "99.5 % interval" in found.sentence
    assert 0.005 == pytest.approx(found.alpha)
    assert [True, False, False] == [look["used"] for look in found.as_dict()["looks"]]


def test_noise_of_seeds_keeps_a_claim_open_and_noise_of_rows_does_not():
    shaky = crossed(
        differences(effect=0.05, spread=0.001, seed_sd=0.02, draw=1)[:3], np.arange(ROWS) // 10
    )
    lopsided = crossed(
        differences(effect=0.02, spread=0.1, seed_sd=0.0001, draw=1)[:3], np.arange(ROWS) // 10
    )

    assert "open" == standing(shaky, margin=0.01, alpha=0.05, plan=LOOKS)
    assert "hopeless" == standing(lopsided, margin=0.01, alpha=0.05, plan=LOOKS)


@given(st.floats(-0.05, 0.05), st.floats(0.001, 0.1), st.floats(0.0001, 0.02), st.integers(0, 99))
def test_more_seeds_of_the_same_noise_never_widen_what_is_expected(effect, spread, seed_sd, draw):
    now = crossed(
        differences(effect=effect, spread=spread, seed_sd=seed_sd, draw=draw)[:3],
        np.arange(ROWS) // 10,
    )
    later = extended(now, 8)

    assert later.variance <= now.variance * (1 + 1e-12)
    assert later.effect == now.effect
    assert 0 <= chance_to_decide(now, margin=0.01, alpha=0.05, plan=LOOKS) <= 1
    assert extended(now, 3).variance == pytest.approx(now.variance)


def test_the_chance_to_decide_is_what_simulated_further_seeds_show():
    """Given three seeds, the predicted share of decisions at the last look alone comes true."""
    last = ((3, 0.1), (8, 0.7))
    predicted, happened = [], []
    for draw in range(200):
        values = differences(effect=0.012, spread=0.015, seed_sd=0.006, draw=draw)
        first = at_look(values, 3).estimate
        predicted.append(chance_to_decide(first, margin=0.002, alpha=0.05, plan=last))
        found = claim(at_look(values, 8, margin=0.002))
        happened.append(found.verdict != "undecided")

    assert np.mean(happened) == pytest.approx(np.mean(predicted), abs=0.1)


def test_what_can_be_seen_is_told_for_the_last_look():
    assert planned_effect("probe", rows=1000, seeds=8, alpha=0.0175) == pytest.approx(
        visible_at_last_look("probe", rows=1000, claims=2)
    )


def test_a_measurement_with_looks_goes_to_json_and_back():
    import json

    one = at_look(differences(effect=0.01), 5)

    assert one == Measurement.from_dict(json.loads(json.dumps(one.as_dict())))
