"""What may be claimed of a measurement, and what never."""

from __future__ import annotations

import numpy as np
import pytest

from curator.impact.claim import Measurement, claim, claim_together
from curator.impact.statistics import crossed

BLANK = {
    "before": "a" * 64, "after": "b" * 64, "tier": "probe", "spec": "s", "metric": "accuracy",
    "identical": False, "reason": None, "estimate": None, "seeds": (0, 1, 2, 3, 4),
    "test_rows": 400, "margin": 0.01, "before_score": 0.8, "after_score": 0.8, "slices": (),
    "cost_cpu_s": 1.0, "fits": 10, "model": "m",
}  # fmt: skip


def measured(effect, *, spread=0.3, seed=0, **other):
    draw = np.random.default_rng(seed)
    differences = np.clip(np.round(draw.normal(effect, spread, (5, 400))), -1, 1)
    estimate = crossed(differences, np.arange(400) // 10)
    return Measurement(**{**BLANK, "estimate": estimate, **other})


@pytest.mark.parametrize("seed", range(20))
def test_no_verdict_disagrees_with_its_own_interval(seed):
    effect = np.random.default_rng(seed).normal(0, 0.2)
    found = claim(measured(effect, seed=seed))

    expected = {
        "better": found.low > 0,
        "worse": found.high < 0,
        "equivalent": -0.01 <= found.low <= found.high <= 0.01,
        "undecided": found.low <= 0 <= found.high or not (found.low > 0 or found.high < 0),
    }
    assert expected[found.verdict]
    assert found.low <= found.effect <= found.high


def test_many_claims_together_are_each_held_to_more():
    alone = claim(measured(0.1))
    together = claim_together([measured(0.1), measured(0.0, seed=1), measured(0.0, seed=2)])

    assert 3 == together[0].claims
    assert together[0].alpha < alone.alpha
    assert together[0].high - together[0].low > alone.high - alone.low


def test_what_was_not_run_takes_no_part_in_the_correction():
    same = Measurement(**{**BLANK, "identical": True})

    found = claim_together([measured(0.1), same])

    assert 1 == found[0].claims
    assert "identical" == found[1].verdict
    assert (0.0, 0.0, 0.0) == (found[1].effect, found[1].low, found[1].high)


def test_the_not_measurable_claims_no_effect_and_no_smallest_one():
    found = claim(Measurement(**{**BLANK, "reason": "no encoder for zh"}))

    assert "not_measurable" == found.verdict
    assert [None] * 4 == [found.effect, found.low, found.high, found.mde]
    assert "Not measurable: no encoder for zh." == found.sentence


def test_a_sentence_says_what_it_is_about():
    found = claim(measured(0.3))

    assert "better" == found.verdict
    assert found.sentence.startswith("Better: accuracy +")
    assert found.sentence.endswith(
        "on this training set, with this spec (probe, m), 5 paired seeds and 400 frozen test rows."
    )


def test_the_undecided_says_what_would_decide():
    found = claim(measured(0.0, spread=0.6))

    assert "undecided" == found.verdict
    assert found.next
    assert "cannot be relied on to show here" in found.sentence


def test_a_measurement_goes_to_json_and_back():
    import json

    one = measured(0.1)

    assert one == Measurement.from_dict(json.loads(json.dumps(one.as_dict())))


@pytest.mark.parametrize(("effect", "word"), [(0.02, "Better"), (-0.02, "Worse")])
def test_a_certain_sign_is_told_where_the_effect_is_smaller_than_matters(effect, word):
    differences = np.zeros((5, 2000))
    differences[:, :: round(1 / abs(effect))] = np.sign(effect)
    drift = measured(0.0, margin=0.05, estimate=crossed(differences, np.arange(2000) % 40))

    found = claim(drift)

    assert "equivalent" == found.verdict
    assert found.sentence.startswith(f"{word}, by less than matters (equivalent): any effect is")
