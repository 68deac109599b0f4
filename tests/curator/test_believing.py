import numpy as np
import pytest

from curator.believing import LEAST_ANCHORED, doubt_labels, noise_matrix
from curator.confident import confident_joint, count_wrong_labels, flag_labels, self_confidence


def scene(n=2000, *, k=5, rate=0.1, sure=0.9, seed=0):
    """Labels moved to the next class at a rate, and calibrated beliefs about the true class."""
    rng = np.random.default_rng(seed)
    looks = rng.integers(0, k, n)
    beliefs = np.full((n, k), (1 - sure) / (k - 1))
    beliefs[np.arange(n), looks] = sure
    truth = np.array([rng.choice(k, p=row) for row in beliefs])
    wrong = rng.random(n) < rate
    given = np.where(wrong, (truth + 1) % k, truth)
    return given, truth, beliefs


def doubts(given, beliefs, count=None):
    joint = confident_joint(given, beliefs)
    counted = count_wrong_labels(given, beliefs) if count is None else count
    return doubt_labels(given, beliefs, joint, wrong_labels=counted)


def test_the_mean_of_p_wrong_is_the_counted_rate():
    given, _, beliefs = scene()
    found = doubts(given, beliefs, 250)

    assert "anchored" == found.noise.how
    assert 0.125 == pytest.approx(found.p_wrong.mean(), abs=1e-3)
    assert 0.125 == pytest.approx(found.noise.counted)


def test_p_wrong_says_how_often_a_label_is_wrong_and_p_fix_how_often_the_fix_is_right():
    given, truth, beliefs = scene(6000, rate=0.15, sure=0.96)
    found = doubts(given, beliefs, 900)
    high = found.p_wrong >= 0.5

    assert (given != truth)[high].mean() == pytest.approx(found.p_wrong[high].mean(), abs=0.1)
    right = found.suggested == truth
    assert right[high].mean() == pytest.approx(found.p_fix[high].mean(), abs=0.1)
    assert (found.p_fix <= found.p_wrong).all()
    assert (found.suggested != given).all()


def test_the_noise_matrix_knows_which_class_is_taken_for_which():
    given, _, beliefs = scene(sure=0.96)
    matrix = doubts(given, beliefs).noise.matrix

    assert matrix.sum(axis=0) == pytest.approx(np.ones(5), abs=1e-5)
    off = matrix - np.diag(np.diag(matrix))
    assert [1, 2, 3, 4, 0] == off.argmax(axis=0).tolist()


def test_a_matrix_of_few_rows_is_mostly_the_prior():
    labels = np.array([0, 0, 0, 1, 2, 2])
    matrix = noise_matrix(np.zeros((3, 3)), labels, rate=0.2)

    assert [0.8, 0.8, 0.8] == pytest.approx(np.diag(matrix).tolist(), abs=1e-6)
    assert matrix[0, 1] > matrix[2, 1] > 0


def test_a_rate_that_the_models_do_not_support_gives_way_to_a_fitted_one():
    given, truth, beliefs = scene(rate=0.05, sure=0.97)
    found = doubts(given, beliefs, 1500)

    assert "em" == found.noise.how
    assert (given != truth).mean() == pytest.approx(found.noise.rate, abs=0.08)
    assert 0.75 == found.noise.counted


def test_nothing_counted_still_leaves_every_probability_a_number():
    given, _, beliefs = scene(40, rate=0)
    found = doubts(given, beliefs, 0)

    assert np.isfinite(found.p_wrong).all()
    assert LEAST_ANCHORED >= found.p_wrong.mean() >= 0


def test_the_order_of_rows_does_not_matter_for_the_doubts():
    given, _, beliefs = scene()
    order = np.random.default_rng(3).permutation(len(given))
    one, two = doubts(given, beliefs), doubts(given[order], beliefs[order])

    assert one.p_wrong[order] == pytest.approx(two.p_wrong, abs=1e-5)
    assert one.suggested[order].tolist() == two.suggested.tolist()


def test_labels_that_are_all_alike_and_rows_that_are_all_alike_are_handled():
    same = np.full((50, 3), 1 / 3)
    for given in (np.zeros(50, dtype=np.int64), np.arange(50) % 3):
        found = doubts(given, same)
        assert np.isfinite(found.p_wrong).all()
        assert ((found.p_wrong >= 0) & (found.p_wrong <= 1)).all()


def test_five_thousand_classes_of_one_row_are_handled():
    k = 5000
    given = np.arange(k + 200) % k
    beliefs = np.full((len(given), k), 0.3 / (k - 1), dtype=np.float32)
    beliefs[np.arange(len(given)), given] = 0.7
    joint = np.diag(np.bincount(given, minlength=k))
    found = doubt_labels(given, beliefs, joint, wrong_labels=40)

    assert np.isfinite(found.p_wrong).all()


def test_cleanlabs_score_is_the_probability_of_the_given_label():
    from cleanlab.rank import get_label_quality_scores

    given, _, beliefs = scene(100)

    assert get_label_quality_scores(given, beliefs).tolist() == (
        self_confidence(given, beliefs).tolist()
    )


def test_cleanlab_itself_takes_a_class_that_has_one_row():
    given, _, beliefs = scene(200, k=4)
    given[given == 3] = 2
    given[0] = 3

    assert (4, 4) == confident_joint(given, beliefs).shape
    assert not flag_labels(given, beliefs)[0]
