import numpy as np
import pytest

from finetune.losses import class_weights, row_losses
from finetune.spec import STRENGTHS

DRAW = np.random.default_rng(0)
LOGITS = DRAW.normal(size=(6, 4)).astype(np.float32) * 3
TARGETS = np.array([0, 1, 2, 3, 0, 2])
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
GIVEN = PROBABILITIES[np.arange(6), TARGETS]


def losses(loss, strength, logits=LOGITS, targets=TARGETS):
    import torch

    tensor = torch.tensor(logits, requires_grad=True)
    found = row_losses(tensor, torch.tensor(targets), loss=loss, strength=strength)
    found.sum().backward()
    return found.detach().numpy(), tensor.grad.numpy()


def by_formula(loss, strength):
    plain = -np.log(GIVEN)
    return {
        "cross-entropy": lambda: plain,
        "smoothed": lambda: (1 - strength) * plain - strength * np.log(PROBABILITIES).mean(axis=1),
        "focal": lambda: (1 - GIVEN) ** strength * plain,
        "gce": lambda: (1 - GIVEN**strength) / strength,
        # -sum over classes of p log(one-hot), log(0) taken as -4, beside the plain one.
        "sce": lambda: strength * plain + 4.0 * (PROBABILITIES.sum(axis=1) - GIVEN),
    }[loss]()


@pytest.mark.parametrize("loss", ["cross-entropy", *STRENGTHS])
def test_each_loss_is_its_papers_formula_row_by_row(loss):
    strength = STRENGTHS.get(loss)

    assert losses(loss, strength)[0] == pytest.approx(by_formula(loss, strength), rel=1e-5)


def test_gce_at_one_is_the_absolute_error_and_near_zero_the_cross_entropy():
    assert losses("gce", 1.0)[0] == pytest.approx(1 - GIVEN, abs=1e-6)
    assert losses("gce", 1e-4)[0] == pytest.approx(-np.log(GIVEN), rel=1e-2)


@pytest.mark.parametrize("loss", ["cross-entropy", *STRENGTHS])
def test_a_label_of_no_probability_has_a_finite_loss_and_slope(loss):
    logits = np.array([[200.0, -200.0]], dtype=np.float32)
    found, slope = losses(loss, STRENGTHS.get(loss), logits, np.array([1]))

    assert np.isfinite(found).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("loss", ["gce", "sce"])
def test_a_robust_loss_punishes_a_wrong_label_less_than_cross_entropy_does(loss):
    logits = np.array([[6.0, -6.0], [0.5, 0.0]], dtype=np.float32)
    targets = np.array([1, 1])
    plain = losses("cross-entropy", None, logits, targets)[1]
    robust = losses(loss, STRENGTHS[loss], logits, targets)[1]

    assert abs(robust[0]).max() / abs(robust[1]).max() < abs(plain[0]).max() / abs(plain[1]).max()


def test_balanced_classes_weigh_the_same_and_the_whole_weighs_what_it_did():
    targets, weights = np.array([0, 0, 0, 1, 2, 2]), np.array([1.0, 1, 2, 1, 0.5, 0.5])
    found = class_weights(targets, weights, kind="balanced")

    assert np.bincount(targets, weights=found) == pytest.approx([2.0, 2.0, 2.0])
    assert found[2] == pytest.approx(2 * found[0])
    assert class_weights(targets, weights, kind="none") is weights


def test_a_class_of_weightless_rows_stays_weightless():
    found = class_weights(np.array([0, 1, 2]), np.array([1.0, 0.0, 3.0]), kind="balanced")

    assert found == pytest.approx([2.0, 0.0, 2.0])
