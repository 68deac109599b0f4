"""Scores of predictions, held against the well-known library."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as known

from curator.impact.kept import Kept
from curator.impact.metrics import (
    accuracy,
    best_temperature,
    bootstrapped,
    calibration_error,
    confusions,
    cooled,
    macro_f1,
)


def answers(rows=400, seeds=3, k=8, right=0.7):
    rng = np.random.default_rng(4)
    wanted = rng.integers(0, k, rows)
    told = np.where(rng.random((seeds, rows)) < right, wanted, rng.integers(0, k, (seeds, rows)))
    return wanted, told, np.arange(rows) % 40


def test_accuracy_and_macro_f1_are_those_of_scikit_learn():
    wanted, told, _ = answers()

    assert known.accuracy_score(wanted, told[0]) == pytest.approx(accuracy(wanted, told[0], 8))
    assert known.f1_score(wanted, told[0], average="macro") == pytest.approx(
        macro_f1(wanted, told[0], 8)
    )


def test_a_class_that_neither_side_names_does_not_count_in_macro_f1():
    wanted, told = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])

    assert macro_f1(wanted, told, 2) == macro_f1(wanted, told, 9)


def test_the_bootstrap_holds_the_score_and_narrows_with_more_rows():
    narrow, wide = (
        bootstrapped(macro_f1, *answers(rows), classes=8, seed=1) for rows in (1600, 200)
    )

    for one in (narrow, wide):
        assert one.low <= one.value <= one.high
    assert narrow.high - narrow.low < wide.high - wide.low


def test_calibration_is_perfect_where_confidence_is_the_share_of_right_answers():
    right = np.arange(1000) < 700

    assert 0 == pytest.approx(calibration_error(np.full(1000, 0.7), right), abs=1e-9)
    assert 0.3 == pytest.approx(calibration_error(np.full(1000, 1.0), right))


def test_the_temperature_that_was_put_on_is_found_again():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.ones(5), 4000)
    wanted = np.array([rng.choice(5, p=p) for p in honest])

    assert 2.0 == pytest.approx(best_temperature(cooled(honest, 0.5), wanted), rel=0.1)


def test_confusions_are_counted_per_seed_and_the_right_answers_are_none():
    wanted = np.array([0, 0, 1, 2])
    told = np.array([[1, 1, 1, 2], [1, 0, 1, 0]])

    assert [(0, 1, 1.5), (2, 0, 0.5)] == confusions(wanted, told)


def test_predictions_come_back_from_the_store_as_they_were():
    wanted, told, groups = answers()
    kept = Kept(
        tuple("abcdefgh"), tuple(map(str, range(400))), wanted, told, told[::-1], groups,
        groups > 3,
    )  # fmt: skip

    back = Kept.from_dict(kept.as_dict())

    labels = [kept.names[k] for k in wanted]
    for one, other in zip(kept.differences(labels), back.differences(labels), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(kept.fresh, back.fresh)
