"""The influence of a row on the ridge margin is that of a refit without it."""

from __future__ import annotations

import numpy as np
import pytest

from curator.impact.influence import PENALTY, ridge_influence

CLASSES, D = 4, 9


def corpus(rows, *, seed, noise=0.0):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(0, 1, (CLASSES, D - 1))
    labels = rng.integers(0, CLASSES, rows)
    features = np.ones((rows, D), dtype=np.float32)
    features[:, :-1] = centres[labels] + rng.normal(0, 1.0, (rows, D - 1))
    wrong = rng.random(rows) < noise
    given = np.where(wrong, (labels + 1) % CLASSES, labels)
    return features, given, wrong


def margin_by_refit(features, labels, weights, test, wanted, rivals):
    x, goal = features.astype(float), np.eye(CLASSES)[labels]
    gram = (x * weights[:, None]).T @ x + PENALTY * np.eye(D)
    scores = test.astype(float) @ np.linalg.solve(gram, (x * weights[:, None]).T @ goal)
    at = np.arange(len(test))
    return scores, float((scores[at, wanted] - scores[at, rivals]).mean())


@pytest.fixture
def fitted():
    features, labels, wrong = corpus(120, seed=1, noise=0.2)
    test, wanted, _ = corpus(200, seed=2)
    weights = np.random.default_rng(3).uniform(0.2, 1, 120).astype(np.float32)
    found = ridge_influence(features, labels, weights, test, wanted, classes=CLASSES)
    scores, _ = margin_by_refit(features, labels, weights, test, wanted, wanted)
    scores[np.arange(200), wanted] = -np.inf
    return features, labels, weights, test, wanted, scores.argmax(axis=1), wrong, found


def test_leaving_a_row_out_equals_a_refit_without_it(fitted):
    features, labels, weights, test, wanted, rivals, _, found = fitted
    _, full = margin_by_refit(features, labels, weights, test, wanted, rivals)

    assert full == pytest.approx(found.margin, rel=1e-9)
    for row in range(0, 120, 7):
        kept = np.arange(120) != row
        _, without = margin_by_refit(
            features[kept], labels[kept], weights[kept], test, wanted, rivals
        )
        assert full - without == pytest.approx(found.rows[row], rel=1e-4, abs=1e-9)


def test_wrong_rows_lower_the_margin_and_right_ones_raise_it(fitted):
    *_, wrong, found = fitted

    assert found.rows[wrong].mean() < 0 < found.rows[~wrong].mean()


def test_the_sum_over_a_tenth_of_the_rows_ranks_as_removing_them_together_does(fitted):
    features, labels, weights, test, wanted, rivals, _, found = fitted
    rng = np.random.default_rng(5)
    summed, removed = [], []
    for _ in range(30):
        gone = rng.permutation(120)[:12]
        kept = np.setdiff1d(np.arange(120), gone)
        _, without = margin_by_refit(
            features[kept], labels[kept], weights[kept], test, wanted, rivals
        )
        summed.append(found.rows[gone].sum())
        removed.append(found.margin - without)

    assert np.corrcoef(summed, removed)[0, 1] > 0.97
