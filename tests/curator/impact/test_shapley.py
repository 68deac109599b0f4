"""Sharing a chain's effect out among its steps."""

from __future__ import annotations

import numpy as np
import pytest

from curator.impact.shapley import companies, share_out

GROUPS = np.arange(400) % 40


def scores_of(worth, steps, *, rows=400, seeds=4, noise=0.0):
    """Score every company by a function of the set of its steps, equal on a share of the rows."""
    rng = np.random.default_rng(7)
    return {
        company: worth({j for j in range(steps) if company >> j & 1})
        + rng.normal(0, noise, (seeds, rows))
        for company in companies(steps)
    }


def test_up_to_six_steps_every_company_is_asked_beyond_only_the_two_ends():
    assert list(range(16)) == companies(4)
    assert 64 == len(companies(6))
    assert 2 * 7 == len(companies(7))


@pytest.mark.parametrize("steps", [1, 2, 4, 6])
def test_waterfall_and_shapley_sum_to_the_total(steps):
    rng = np.random.default_rng(3)
    scores = {company: rng.random((4, 400)) for company in companies(steps)}

    shares = share_out(scores, GROUPS, steps=steps)

    for told in (shares.waterfall, shares.shapley):
        assert shares.total.effect == pytest.approx(sum(s.effect for s in told), abs=1e-9)


def test_shapley_halves_what_two_steps_bring_only_together_and_the_waterfall_gives_it_to_the_last():
    both = scores_of(lambda chosen: 0.2 * (chosen == {0, 1}), 2)

    shares = share_out(both, GROUPS, steps=2)

    assert [0.1, 0.1] == pytest.approx([s.effect for s in shares.shapley])
    assert [0.0, 0.2] == pytest.approx([s.effect for s in shares.waterfall])
    assert [0.2, 0.2] == pytest.approx([s.effect for s in shares.leave_one_out])


def test_a_step_that_does_nothing_has_no_share_and_is_not_separable():
    noisy = scores_of(lambda chosen: 0.3 * (0 in chosen), 3, noise=0.2)

    shares = share_out(noisy, GROUPS, steps=3)

    assert [True, False, False] == [s.separable for s in shares.shapley]
    assert all(s.low <= s.effect <= s.high for s in shares.shapley)


def test_with_seven_steps_there_is_no_shapley_value_and_it_is_not_guessed():
    shares = share_out(scores_of(lambda chosen: 0.01 * len(chosen), 7), GROUPS, steps=7)

    assert shares.shapley is None
    assert [0.01] * 7 == pytest.approx([s.effect for s in shares.leave_one_out])
