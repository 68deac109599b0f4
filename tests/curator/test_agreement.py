"""Agreement against values that were published, and votes of every task."""

import numpy as np
import pytest

from curator.agreement import (
    MISSING,
    Agreement,
    alpha_of,
    codes_of,
    cohen_kappa,
    cohen_of,
    fleiss_kappa,
    fleiss_of,
    krippendorff_alpha,
)
from curator.errors import StepError
from curator.voting import Vote, vote_labels, vote_one, vote_ratings, vote_spans

# Krippendorff 2011, section C: four observers, twelve units, missing answers.
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
UNITS = [list(unit) for unit in zip(*OBSERVERS, strict=True)]

# Ten subjects, fourteen raters, five categories: the worked example of Fleiss' kappa, .210.
SUBJECTS = np.array([
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
])  # fmt: skip


def pairs(table):
    """Two people's codes from a table of counts."""
    cells = [(i, j) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    return np.array(cells)


def test_cohens_kappa_is_that_of_cohens_own_table():
    codes = pairs([[88, 10, 2], [14, 40, 6], [18, 10, 12]])  # Cohen 1968: .492

    assert 0.492 == pytest.approx(cohen_kappa(codes[:, 0], codes[:, 1]), abs=5e-4)


def test_fleiss_kappa_is_that_of_the_worked_example():
    assert 0.210 == pytest.approx(fleiss_kappa(SUBJECTS), abs=5e-4)


@pytest.mark.parametrize(
    ("level", "expected"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_krippendorffs_alpha_is_that_of_his_own_paper(level, expected):
    codes, values = codes_of(UNITS)

    assert [1, 2, 3, 4, 5] == values
    assert expected == pytest.approx(krippendorff_alpha(codes, level=level), abs=5e-4)


def test_an_interval_holds_the_value_and_covers_the_truth_about_as_often_as_it_says():
    draw = np.random.default_rng(5)
    truth = draw.integers(0, 4, 20_000)
    noisy = lambda: np.where(draw.random(len(truth)) < 0.2, draw.integers(0, 4, len(truth)), truth)  # noqa: E731
    everyone = np.stack([noisy(), noisy()], axis=1)
    whole = krippendorff_alpha(everyone)
    found = [alpha_of(everyone[k * 100 : (k + 1) * 100]) for k in range(60)]

    assert all(one.low <= one.value <= one.high for one in found)
    held = sum(one.low <= whole <= one.high for one in found)
    assert 51 <= held  # 95 % of 60 is 57; under 51 happens once in 300 such tests


def test_coefficients_with_intervals_are_the_plain_ones():
    codes = pairs([[20, 5], [10, 15]])
    found = cohen_of(codes)

    assert 0.4 == pytest.approx(found.value)
    assert (50, 2) == (found.units, found.raters)
    assert found.low < 0.4 < found.high
    fleiss = fleiss_of(codes)
    counts = np.stack([(codes == k).sum(axis=1) for k in (0, 1)], axis=1)
    assert fleiss_kappa(counts) == fleiss.value


def test_agreement_of_all_on_one_answer_is_no_number_and_on_several_is_one():
    same = np.zeros((5, 2), dtype=np.int64)

    assert Agreement(None, None, None, 5, 2) == alpha_of(same)
    assert cohen_kappa(same[:, 0], same[:, 1]) is None
    assert 1.0 == alpha_of(np.array([[0, 0], [1, 1], [0, 0], [1, 1]])).value


def test_answers_that_meet_nobody_are_no_agreement():
    alone = np.array([[0, MISSING], [MISSING, 1]])

    assert Agreement(None, None, None, 0, 0) == alpha_of(alone)
    assert fleiss_of(alone) is None
    assert krippendorff_alpha(np.empty((0, 2), dtype=np.int64)) is None


def test_fleiss_kappa_refuses_rows_of_unequally_many_answers():
    with pytest.raises(StepError, match=r"found \[2, 3\]: use Krippendorff's alpha"):
        fleiss_kappa(np.array([[2, 0], [1, 2]]))


def test_ratings_are_put_in_the_order_of_their_size_not_of_their_digits():
    assert [2, 10] == codes_of([[10, 2], [2, 10]])[1]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (vote_one(["a", "b", "a"]), Vote("a", 2 / 3)),
        (vote_one(["b", "a"]), Vote(None, 0.5, ("a", "b"))),
        (vote_labels([["x", "y"], ["x"], ["x", "z"]]), Vote(("x",), 2 / 3)),
        (vote_labels([["x"], []]), Vote((), 0.5, ("x",))),
        (vote_labels([[], []]), Vote((), 1.0)),
        (vote_spans([[(10, 12, "P"), (2, 5, "P")], [(2, 5, "P"), (10, 12, "P")], [(2, 5, "Q")]]),
         Vote(((2, 5, "P"), (10, 12, "P")), 2 / 3)),
        (vote_ratings([1, 5, 4, 4]), Vote(4, 0.75)),
    ],
    ids=["most", "tie", "labels", "half", "none", "spans", "ratings"],
)  # fmt: skip
def test_a_vote_is_what_more_than_half_say(found, expected):
    assert expected == found


def test_nobody_has_no_vote():
    with pytest.raises(StepError, match="nobody answered"):
        vote_one([])
