"""A learning curve is drawn on to twice the data by what the parts show, and no further."""

from __future__ import annotations

import numpy as np
import pytest

from curator.impact.curve import FURTHEST, PARTS, curve


def drawn(floor, slope, rate, *, draws=5, noise=0.0):
    sizes = np.array(PARTS)
    clean = 1 - (floor + slope * sizes**-rate)
    return clean + np.random.default_rng(0).normal(0, noise, (draws, len(PARTS)))


@pytest.mark.parametrize(("floor", "slope", "rate"), [(0.05, 0.2, 0.5), (0.0, 0.3, 0.3)])
def test_a_power_law_is_found_again_at_twice_the_data(floor, slope, rate):
    points = curve(drawn(floor, slope, rate), 1000, item_se=0.01)

    assert 2000 == points[-1].rows
    assert 1 - (floor + slope * FURTHEST**-rate) == pytest.approx(points[-1].score, abs=0.002)


def test_the_band_is_wider_where_the_draws_part_and_beyond_the_data():
    still, noisy = (curve(drawn(0.05, 0.2, 0.5, noise=n), 1000, item_se=0.01) for n in (0, 0.02))

    width = [one[-1].high - one[-1].low for one in (still, noisy)]
    assert width[0] < width[1]


def test_a_curve_that_falls_is_drawn_on_level_and_promises_nothing():
    falling = np.tile(np.linspace(0.8, 0.7, len(PARTS)), (5, 1))

    points = curve(falling, 1000, item_se=0.0)

    assert 0.7 == pytest.approx(points[-1].score, abs=0.001)


def test_what_is_learned_to_the_end_stays_so():
    done = np.tile([0.5, 0.8, 0.99, 1.0, 1.0], (5, 1))

    assert 1.0 == curve(done, 1000, item_se=0.0)[-1].score
