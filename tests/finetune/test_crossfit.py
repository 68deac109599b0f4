import numpy as np
import pytest

from finetune.crossfit import FLOOR, crossfit, fold_of, predict_children
from finetune.errors import FitError

GROUPS = [f"g{i // 2}" for i in range(120)]


def test_a_rows_fold_does_not_change_when_other_rows_leave():
    whole = fold_of(GROUPS, folds=5, seed=1)

    assert whole[40:].tolist() == fold_of(GROUPS[40:], folds=5, seed=1).tolist()
    assert set(range(5)) == set(whole.tolist())


def test_a_group_is_never_split_and_its_rows_are_judged_by_a_model_without_it(blobs):
    features, targets = blobs
    fit = crossfit(features, targets, GROUPS, classes=4, seed=0)

    assert all(fit.folds[i] == fit.folds[i + 1] for i in range(0, 120, 2))
    poisoned = targets.copy()
    poisoned[:2] = 3
    again = crossfit(features, poisoned, GROUPS, classes=4, seed=0)
    assert fit.probabilities[:2].tobytes() == again.probabilities[:2].tobytes()


def test_rows_sum_to_one_and_the_right_class_usually_wins(blobs):
    found = crossfit(*blobs, GROUPS, classes=4, seed=0).probabilities

    assert found.sum(axis=1) == pytest.approx(np.ones(120), abs=1e-6)
    assert (found.argmax(1) == blobs[1]).mean() > 0.7


def test_the_order_of_the_rows_does_not_change_a_bit(blobs):
    features, targets = blobs
    order = np.random.default_rng(0).permutation(120)
    one = crossfit(features, targets, GROUPS, classes=4, seed=0).probabilities
    two = crossfit(
        features[order], targets[order], [GROUPS[i] for i in order], classes=4, seed=0
    ).probabilities

    assert one[order].tobytes() == two.tobytes()


def test_a_class_that_a_training_side_lacks_gets_the_floor_and_never_nan(blobs):
    features, targets = blobs
    lonely = targets.copy()
    lonely[lonely == 3] = 2
    lonely[118:] = 3
    found = crossfit(features, lonely, GROUPS, classes=5, seed=0).probabilities

    assert np.isfinite(found).all()
    assert found[:, 4] == pytest.approx(np.full(120, FLOOR), rel=0.01)
    assert found[118, 3] == pytest.approx(FLOOR, rel=0.01)


def test_two_classes_work_as_many_do(blobs):
    features, targets = blobs
    found = crossfit(features, targets // 2, GROUPS, classes=2, seed=0).probabilities

    assert (found.argmax(1) == targets // 2).mean() > 0.7


def test_children_are_predicted_by_the_model_that_left_their_parent_out(blobs):
    features, targets = blobs
    fit = crossfit(features, targets, GROUPS, classes=4, seed=0)
    found = predict_children(fit, features[[3, 77]], np.array([3, 77]))

    assert fit.probabilities[[3, 77]].tobytes() == found.tobytes()
    other = next(i for i in range(120) if fit.folds[i] != fit.folds[3])
    assert found[0].tobytes() != predict_children(fit, features[[3]], np.array([other])).tobytes()


@pytest.mark.parametrize(
    ("groups", "targets", "message"),
    [
        (["g"] * 120, [0, 1] * 60, "cannot fill 5 folds"),
        (GROUPS, [1] * 120, "without fold 0: a classifier needs rows of two classes"),
        (GROUPS, [9] * 120, "expected 0..3"),
        (GROUPS[:9], [0, 1] * 60, "one of each per row"),
    ],
    ids=["one group", "one class", "unknown class", "lengths"],
)
def test_what_cannot_be_fitted_is_an_error_that_says_why(blobs, groups, targets, message):
    with pytest.raises(FitError, match=message):
        crossfit(blobs[0], np.array(targets), groups, classes=4, seed=0)


def test_a_feature_that_is_not_finite_is_named_by_its_position(blobs):
    broken = blobs[0].copy()
    broken[7] = np.inf

    with pytest.raises(FitError, match="first at position 7"):
        crossfit(broken, blobs[1], GROUPS, classes=4, seed=0)
