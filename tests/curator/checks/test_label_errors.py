from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator import schema
from curator.checks.label_errors import (
    cleanlab_columns,
    confused_classes,
    floor_flags,
    kin_note,
    kinship,
    label_errors,
    log_margins,
    noise_notes,
    noise_rate,
)
from curator.confident import count_wrong_labels, flag_labels
from curator.errors import StepError

CLASSES = ("card_arrival", "lost_card", "top_up")


def table(labels, *, splits=None):
    """Row table with ids a0000, a0001, ... in the order of the labels."""
    n = len(labels)
    return pa.table(
        {
            "id": [f"a{i:04d}" for i in range(n)],
            "group": [f"a{i:04d}" for i in range(n)],
            "text": [f"text {i}" for i in range(n)],
            "label": list(labels),
            "split": splits or ["train"] * n,
            "weight": pa.array([1.0] * n, pa.float32()),
            "source": ["main"] * n,
            "source_row": pa.array(range(n), pa.int64()),
            "parent": pa.array([None] * n, pa.string()),
            "step": ["import"] * n,
        },
        schema=schema.ROW_SCHEMA,
    )


def noisy(n=300, *, wrong=15, k=3, seed=0):
    """Sure probabilities, and labels of which the first `wrong` are moved to the next class."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % k
    probabilities = rng.dirichlet(np.ones(k), n) * 0.3 + 0.7 * np.eye(k)[truth]
    labels = truth.copy()
    labels[:wrong] = (labels[:wrong] + 1) % k
    return labels, truth, probabilities


def errors(rows, probabilities, classes):
    """Findings where all models say what the logistic regression says."""
    return label_errors(rows, probabilities, probabilities, classes)


def test_a_contradicted_label_is_flagged_with_the_models_class_and_both_probabilities():
    labels, _, probabilities = noisy()
    probabilities[0] = [0.71, 0.04, 0.25]
    labels[0] = 1
    found = errors(table([CLASSES[y] for y in labels]), probabilities, CLASSES).to_pylist()[0]

    expected = {
        "row_id": "a0000",
        "issue_type": "label",
        "suggestion": "card_arrival",
        "partner_id": None,
        "check": "label_errors",
        "flagged": True,
    }
    assert np.log(0.71 / 0.04) == pytest.approx(found.pop("score"))
    p_wrong, p_fix, evidence = (found.pop(name) for name in ("p_wrong", "p_fix", "evidence"))
    assert 1 >= p_wrong >= p_fix > 0.5
    said = "out-of-fold: card_arrival .71, given lost_card .04; cleanlab: issue, score .04"
    assert f"P(wrong) {p_wrong:.2f}; ".replace("0.", ".") + said == evidence
    assert expected == found


def test_every_training_row_gets_one_finding_and_no_other_row_does():
    labels, _, probabilities = noisy()
    splits = (["train", "test", "validation"] * 100)[:300]
    train = [i for i in range(300) if splits[i] == "train"]
    rows = table([CLASSES[y] for y in labels], splits=splits)

    found = errors(rows, probabilities[train], CLASSES)

    assert found.schema == schema.FINDING_SCHEMA
    assert [f"a{i:04d}" for i in train] == found["row_id"].to_pylist()


def test_wrong_labels_score_above_right_ones_and_most_are_flagged():
    labels, truth, probabilities = noisy()
    found = errors(table([CLASSES[y] for y in labels]), probabilities, CLASSES)
    scores = found["score"].to_numpy()

    assert scores[:15].min() > 0 > scores[15:].max()
    assert [CLASSES[y] for y in truth[:15]] == found["suggestion"].to_pylist()[:15]
    flags = found["flagged"].to_numpy(zero_copy_only=False)
    assert flags[:15].sum() >= 10
    assert 0 == flags[15:].sum()


def test_flags_are_those_of_cleanlab_itself():
    from cleanlab.filter import find_label_issues

    labels, _, probabilities = noisy(wrong=40, seed=4)

    assert find_label_issues(labels, probabilities).tolist() == (
        flag_labels(labels, probabilities).tolist()
    )


def test_the_estimated_number_of_errors_is_near_the_true_one():
    labels, _, probabilities = noisy(wrong=30)

    assert 30 == pytest.approx(count_wrong_labels(labels, probabilities), rel=0.2)


def test_a_class_without_training_rows_is_no_obstacle():
    labels, _, probabilities = noisy()
    names = [("card_arrival", "lost_card", "card_arrival")[y] for y in labels]
    found = errors(table(names), probabilities, CLASSES)

    assert 300 == found.num_rows
    assert "top_up" in found["suggestion"].to_pylist()


def test_one_class_only_is_said_in_words_and_flags_nothing():
    found = errors(table(["spam"] * 3), np.ones((3, 1)), ["spam"]).to_pylist()

    assert [False] * 3 == [f["flagged"] for f in found]
    assert [None] * 3 == [f["score"] for f in found]
    assert "spam is the only class, so no label can be doubted" == found[0]["evidence"]


def test_labels_that_are_all_equal_cannot_be_doubted():
    _, _, probabilities = noisy(30)
    found = errors(table(["top_up"] * 30), probabilities, CLASSES)

    assert not any(found["flagged"].to_pylist())
    assert 30 == found["p_wrong"].null_count
    assert 0 == count_wrong_labels(np.full(30, 2), probabilities)


def test_the_only_row_of_a_class_is_as_likely_wrong_as_any_and_says_why():
    labels, _, probabilities = noisy()
    names = [CLASSES[y % 2] for y in labels]
    names[7] = "top_up"
    found = errors(table(names), probabilities, CLASSES)
    lonely = found.to_pylist()[7]

    assert (
        "top_up has no row outside this row's group, so no model could know it"
        == (lonely["evidence"])
    )
    assert not lonely["flagged"]
    assert lonely["p_wrong"] < 0.5
    assert "no model could know" not in found["evidence"][8].as_py()


def test_the_mean_of_p_wrong_is_the_noise_rate_and_the_confused_classes_are_counted():
    labels, _, probabilities = noisy(wrong=45)
    rows = table([CLASSES[y] for y in labels])
    found = errors(rows, probabilities, CLASSES)
    pairs = confused_classes(rows, found).to_pylist()

    assert 45 / 300 == pytest.approx(noise_rate(found), abs=0.03)
    expected = {("lost_card", "card_arrival"), ("top_up", "lost_card"), ("card_arrival", "top_up")}
    assert expected == {(p["given"], p["suggested"]) for p in pairs}
    assert 15 == pytest.approx(pairs[0]["expected"], abs=3)
    (told,) = noise_notes(rows, found)
    assert "of 300 labels are wrong by estimate; most confused: '" in told


def test_confusions_of_no_whole_row_are_not_named():
    labels, _, probabilities = noisy(wrong=45)
    rows = table([CLASSES[y] for y in labels])
    found = errors(rows, probabilities, CLASSES)
    scarce = pa.array([0.001] * found.num_rows)
    found = found.set_column(found.column_names.index("p_fix"), "p_fix", scarce)

    (told,) = noise_notes(rows, found)

    assert told.endswith(" of 300 labels are wrong by estimate")


def test_no_scored_label_has_no_noise_rate():
    assert noise_rate(schema.findings([])) is None
    assert () == noise_notes(table([]), schema.findings([]))


def test_cleanlabs_own_columns_are_those_of_its_datalab():
    from cleanlab.rank import get_label_quality_scores

    labels, _, probabilities = noisy(wrong=40, seed=4)
    found = cleanlab_columns(table([CLASSES[y] for y in labels]), probabilities, CLASSES)

    names = ["row_id", "is_label_issue", "label_score", "given_label", "predicted_label"]
    assert names == found.column_names
    assert flag_labels(labels, probabilities).tolist() == found["is_label_issue"].to_pylist()
    scores = get_label_quality_scores(labels, probabilities)
    assert scores.tolist() == found["label_score"].to_pylist()


def test_beliefs_rank_and_probabilities_are_cleanlabs():
    labels, _, probabilities = noisy()
    rows = table([CLASSES[y] for y in labels])
    found = label_errors(rows, np.full((300, 3), 1 / 3), probabilities, CLASSES)

    assert log_margins(labels, probabilities)[0].tolist() == (
        pytest.approx(found["score"].to_pylist(), rel=1e-5)
    )
    assert "cleanlab: no issue, score .33" in found["evidence"][0].as_py()


def test_probabilities_of_exactly_zero_and_one_give_finite_scores():
    probabilities = np.tile(np.eye(3), (10, 1))
    labels = np.arange(30) % 3
    labels[0] = 1
    found = errors(table([CLASSES[y] for y in labels]), probabilities, CLASSES)

    assert np.isfinite(found["score"].to_numpy()).all()
    assert "; out-of-fold: card_arrival 1.00, given lost_card .00" in found["evidence"][0].as_py()


def test_single_precision_probabilities_are_taken():
    labels, _, probabilities = noisy()
    rows = table([CLASSES[y] for y in labels])

    assert (
        errors(rows, probabilities, CLASSES)["flagged"].to_pylist()
        == errors(rows, probabilities.astype(np.float32), CLASSES)["flagged"].to_pylist()
    )


def test_no_training_row_gives_no_finding():
    rows = table(["top_up"], splits=["test"])

    assert 0 == errors(rows, np.zeros((0, 3)), CLASSES).num_rows


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        (["top_up"] * 3, np.ones((2, 3)) / 3, r"shape \(2, 3\); expected \(3, 3\)"),
        (["top_up", "refund"], np.ones((2, 3)) / 3, "row a0001 has label 'refund'"),
        (
            ["top_up", "lost_card"],
            np.full((2, 3), np.nan),
            "2 of 2 rows are not numbers, first in row 0",
        ),
    ],
    ids=["wrong shape", "unknown label", "not a number"],
)
def test_inputs_that_do_not_fit_are_named(labels, probabilities, message):
    with pytest.raises(StepError, match=message):
        errors(table(labels), probabilities, CLASSES)


def test_a_class_number_outside_the_probabilities_is_named():
    with pytest.raises(StepError, match=r"row 1 has class 3, .* 3 classes, 0\.\.2"):
        flag_labels(np.array([0, 3]), np.ones((2, 3)) / 3)


def test_the_log_margin_compares_with_the_best_other_class_not_with_the_best():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    scores, others = log_margins(np.array([0, 0]), probabilities)

    assert [np.log(0.2 / 0.7), np.log(7)] == pytest.approx(scores.tolist())
    assert [1, 2] == others.tolist()


def test_the_floor_drops_the_most_suspicious_rows_first():
    labels = ["big"] * 25 + ["small"] * 10
    flagged = np.array([True] * 10 + [False] * 15 + [True] * 10)
    scores = np.arange(35, dtype=float)

    dropped = floor_flags(labels, flagged, scores, min_class_rows=20)

    assert [5, 6, 7, 8, 9] == np.flatnonzero(dropped).tolist()


def test_equal_scores_are_dropped_in_row_order():
    dropped = floor_flags(["a"] * 4, np.ones(4, dtype=bool), np.ones(4), min_class_rows=2)

    assert [True, True, False, False] == dropped.tolist()


def test_a_floor_of_no_rows_and_a_table_of_no_rows_are_fine():
    assert [] == floor_flags([], np.zeros(0, dtype=bool), np.zeros(0)).tolist()
    assert [True] == floor_flags(
        ["a"], np.ones(1, dtype=bool), np.ones(1), min_class_rows=0
    ).tolist()


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(-5, 5)), min_size=1, max_size=60
    ),
    st.integers(0, 25),
)
def test_no_class_falls_under_the_floor_and_only_flagged_rows_go(rows, floor):
    labels = [row[0] for row in rows]
    flagged = np.array([row[1] for row in rows])
    scores = np.array([row[2] for row in rows])
    dropped = floor_flags(labels, flagged, scores, min_class_rows=floor)

    assert not (dropped & ~flagged).any()
    for name in set(labels):
        mine = np.array([label == name for label in labels])
        left = int((mine & ~dropped).sum())
        assert left >= min(floor, int(mine.sum()))
        if (mine & flagged & ~dropped).any():
            assert left == max(floor, int((mine & ~flagged).sum())) or left <= floor
            worst_kept = scores[mine & flagged & ~dropped].max()
            assert not dropped[mine].any() or scores[mine & dropped].min() >= worst_kept


TREE = {"card_arrival": "cards", "lost_card": "cards", "top_up": "money"}


def test_the_evidence_says_how_the_two_classes_are_kin_where_a_tree_is_known():
    labels, _, probabilities = noisy(wrong=30)
    rows = table([CLASSES[y] for y in labels])
    found = label_errors(rows, probabilities, probabilities, CLASSES, TREE).to_pylist()
    plain = errors(rows, probabilities, CLASSES).to_pylist()

    kin = {(rows["label"][i].as_py(), f["suggestion"]): f["evidence"].rpartition("; ")[2]
           for i, f in enumerate(found[:30])}  # fmt: skip
    assert "siblings under cards" == kin["lost_card", "card_arrival"]
    assert "across branches: money and cards" == kin["top_up", "lost_card"]
    assert [f["evidence"] for f in plain] == [f["evidence"].rpartition("; ")[0] for f in found]


def test_confusions_are_counted_by_kinship_and_no_tree_says_nothing():
    labels, _, probabilities = noisy(wrong=30)
    rows = table([CLASSES[y] for y in labels])
    found = label_errors(rows, probabilities, probabilities, CLASSES)
    (told,) = kin_note(rows, found, TREE)

    assert told.startswith("confusions by the tree of labels: about ")
    assert "across branches, about " in told
    assert told.endswith(" siblings")
    assert () == kin_note(rows, found, {})


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("a1", "a2", "siblings under a"),
        ("a1", "a", "one above the other: a1 and a"),
        ("a11", "a2", "in one branch: a"),
        ("a1", "b1", "across branches: a and b"),
        ("a1", "x", "across branches: a and x"),
        ("x", "y", ""),
    ],
)
def test_kinship_in_a_tree_of_several_levels(one, other, said):
    tree = {"a1": "a", "a2": "a", "a11": "a1", "b1": "b"}

    assert said == kinship(one, other, tree)
