"""Which augmented rows may stay, and what stands in the way of the others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from augmenters import keyboard, label_text
from curator.errors import StepError
from curator.filters import Belief, bare, candidate_rows, filter_augmented
from curator.schema import FINDING_SCHEMA, ROW_SCHEMA, augmented_id


def table(*records):
    """Rows from (id, text, label, split, parent)."""
    names = ("id", "text", "label", "split", "parent")
    filled = [
        {"group": r[0], "weight": 1.0, "step": "import", **dict(zip(names, r, strict=True))}
        for r in records
    ]
    return pa.Table.from_pylist(filled, schema=ROW_SCHEMA)


ROWS = table(
    ("r1", "Where is my new card?", "arrival", "train", None),
    ("r2", "The exchange rate looks wrong to me", "rate", "train", None),
    ("t1", "My top up was reverted for no reason at all", "top_up", "test", None),
    ("v1", "Please close my account before next Monday", "close", "validation", None),
)


def one(text, *, label="arrival", parent="r1", belief=None, **options):
    """The one finding on one candidate, or None where it may stay."""
    candidates = table(("c1", text, label, "train", parent))
    result = filter_augmented(candidates, ROWS, belief, **options)
    records = result.findings.to_pylist()

    assert result.findings.schema == FINDING_SCHEMA
    assert bool(result.keep[0]) == (not records)
    return records[0] if records else None


def test_a_changed_row_may_stay():
    assert one("Where is my nwe crad?") is None


@pytest.mark.parametrize(
    "text",
    [
        "Where is my new card?",
        "where is MY new card",
        "Where, is my new card?!",
        "Ｗhere is my  new card",
    ],
)
def test_a_row_that_says_what_its_parent_says_is_a_copy(text):
    found = one(text)

    assert {
        "row_id": "c1",
        "issue_type": "augmented_copy",
        "score": 1.0,
        "suggestion": None,
        "partner_id": "r1",
        "evidence": "equal to its parent",
        "check": "augmented",
        "flagged": True,
        "p_wrong": None,
        "p_fix": None,
    } == found


def test_a_row_that_says_what_another_training_row_says_is_a_copy():
    found = one("the exchange rate looks wrong to me!")

    assert ("augmented_copy", "r2") == (found["issue_type"], found["partner_id"])
    assert found["evidence"] == "equal to a training row with another label (rate)"


def test_a_label_text_that_a_training_row_says_already_is_a_copy():
    found = one("Where is my new card", parent=None)

    assert ("augmented_copy", "r1") == (found["issue_type"], found["partner_id"])
    assert found["evidence"] == "equal to a training row"


@pytest.mark.parametrize(
    ("text", "partner", "score"),
    [
        ("my top up was reverted for no reason, at all!", "t1", 1.0),
        ("My  top up was reverted for no reason at all", "t1", 1.0),
        ("My top up was reverted for no reason at al", "t1", None),
        ("Please close my account before next Mondey", "v1", None),
    ],
)
def test_a_row_that_is_near_a_held_out_row_is_a_leak(text, partner, score):
    found = one(text)

    assert ("augmented_leak", partner) == (found["issue_type"], found["partner_id"])
    assert score in (found["score"], None)
    assert 0.8 <= found["score"] <= 1


def test_a_row_far_from_every_held_out_row_is_no_leak():
    assert one("My top up was quick and for a good reason") is None


def test_entities_do_not_hide_a_leak():
    rows = table(("t1", "salt &amp; pepper on my card", "x", "test", None))
    result = filter_augmented(
        table(("c1", "salt & pepper on my card", "x", "train", None)), rows, None
    )

    assert ["t1"] == result.findings["partner_id"].to_pylist()


def test_each_of_several_equal_rows_near_a_held_out_row_is_a_leak():
    text = "My top up was reverted for no reason at al"
    candidates = table(("c1", text, "a", "train", "r1"), ("c2", text, "a", "train", "r2"))
    result = filter_augmented(candidates, ROWS, None)

    assert ["augmented_leak"] * 2 == result.findings["issue_type"].to_pylist()


def test_the_nearest_held_out_row_is_the_partner():
    rows = table(
        ("t1", "my card payment was declined in the big shop", "x", "test", None),
        ("t2", "my card payment was declined in the big shops", "x", "test", None),
    )
    candidate = table(
        ("c1", "my card payment was declined in the big shops!!!", "x", "train", None)
    )

    assert ["t2"] == filter_augmented(candidate, rows, None).findings["partner_id"].to_pylist()


def test_a_label_believed_half_as_much_as_on_the_parent_stays():
    assert one("Where is my thing?", belief=Belief(np.array([0.4]), np.array([0.8]))) is None


def test_a_label_believed_less_than_that_is_refused_with_both_probabilities():
    found = one("Where is my thing?", belief=Belief(np.array([0.2]), np.array([0.8])))

    assert found["issue_type"] == "augmented_label"
    assert found["score"] == pytest.approx(0.75)
    assert found["evidence"] == "its label has probability 0.20, on the parent 0.80"
    assert found["partner_id"] == "r1"


def test_a_row_without_a_parent_needs_no_belief():
    nothing = Belief(np.array([np.nan]), np.array([np.nan]))

    assert one("card arrival", parent=None, belief=nothing) is None


def test_without_a_model_the_notes_say_that_labels_were_not_checked():
    candidates = table(("c1", "new text here", "a", "train", "r1"))

    assert filter_augmented(candidates, ROWS, None).notes == (
        "labels of augmented rows were not checked: no model's probabilities were given",
    )
    known = Belief(np.array([1.0]), np.array([1.0]))
    assert filter_augmented(candidates, ROWS, known).notes == ()


def test_of_equal_augmented_rows_the_smallest_id_stays():
    candidates = table(
        ("c2", "brand new text", "a", "train", "r1"), ("c1", "Brand new text!", "a", "train", "r2")
    )
    result = filter_augmented(candidates, ROWS, None)

    assert [False, True] == result.keep.tolist()
    assert [("c2", "c1")] == [(f["row_id"], f["partner_id"]) for f in result.findings.to_pylist()]


def test_equal_augmented_rows_with_different_labels_all_go():
    candidates = table(
        ("c1", "card problem", "a", "train", None), ("c2", "card-problem", "a", "train", None)
    )
    candidates = candidates.set_column(
        2, ROW_SCHEMA.field("text"), [["card problem", "Card problem."]]
    )
    candidates = candidates.set_column(3, ROW_SCHEMA.field("label"), [["x", "y"]])
    result = filter_augmented(candidates, ROWS, None)

    assert [False, False] == result.keep.tolist()
    assert [
        ("c1", "c2", "equal to another augmented row with another label (y)"),
        ("c2", "c1", "equal to another augmented row with another label (x)"),
    ] == [(f["row_id"], f["partner_id"], f["evidence"]) for f in result.findings.to_pylist()]


def test_a_refused_row_does_not_stand_in_the_way_of_an_equal_one():
    candidates = table(
        ("c1", "brand new text", "a", "train", "r1"), ("c2", "brand new text", "a", "train", "r2")
    )
    result = filter_augmented(candidates, ROWS, Belief(np.array([0.1, 0.9]), np.array([0.9, 0.9])))

    assert [False, True] == result.keep.tolist()


def test_texts_of_signs_alone_are_told_apart():
    candidates = table(("c1", "?!", "a", "train", None), ("c2", "...", "b", "train", None))

    assert [True, True] == filter_augmented(candidates, ROWS, None).keep.tolist()


def test_the_order_of_the_candidates_does_not_matter():
    candidates = table(
        ("c1", "brand new text", "a", "train", "r1"),
        ("c2", "brand new text", "a", "train", "r2"),
        ("c3", "Where is my new card", "arrival", "train", "r1"),
        ("c4", "My top up was reverted for no reason at al", "a", "train", "r1"),
        ("c5", "something else", "a", "train", "r1"),
    )
    order = [4, 2, 0, 3, 1]
    one_way = filter_augmented(candidates, ROWS, None)
    other = filter_augmented(candidates.take(order), ROWS.take([3, 1, 0, 2]), None)

    assert one_way.findings.equals(other.findings)
    assert one_way.keep[order].tolist() == other.keep.tolist()


def test_no_candidates_give_no_findings():
    result = filter_augmented(table(), ROWS, None)

    assert (0, 0, ()) == (len(result.keep), result.findings.num_rows, result.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"near": 0.3}, "near is 0.3; expected 0.5 to 1"),
        ({"keep_label": 1.5}, "keep_label is 1.5; expected 0 to 1"),
        (
            {"belief": Belief(np.zeros(2), np.zeros(1))},
            r"1 candidates, but probabilities of shape \(2,\) for them and \(1,\)",
        ),
    ],
)
def test_an_option_out_of_its_range_is_refused(options, message):
    with pytest.raises(StepError, match=message):
        one("text", **options)


def test_augmented_rows_get_ids_from_their_lineage_and_join_the_row_table():
    made = keyboard(ROWS.filter(pa.compute.equal(ROWS["split"], "train")), seed=4)
    rows = candidate_rows(made.rows, made.lineage, step="augment")

    assert rows.schema.names == ROW_SCHEMA.names
    assert (
        sorted(
            augmented_id(parent, "keyboard", 1, '{"share":0.1}', 4, 0) for parent in ("r1", "r2")
        )
        == rows["id"].to_pylist()
    )
    assert ["augment"] * 2 == rows["step"].to_pylist()
    assert 6 == pa.concat_tables([ROWS, rows]).num_rows


def test_a_label_text_is_its_own_group():
    made = label_text({}, ROWS.filter(pa.compute.equal(ROWS["split"], "train")), seed=0)
    rows = candidate_rows(made.rows, made.lineage, step="augment")

    assert rows["id"].to_pylist() == rows["group"].to_pylist()
    assert rows.cast(ROW_SCHEMA).num_rows == 2


def test_the_same_augmenter_twice_is_refused():
    made = keyboard(ROWS.slice(0, 2), seed=4)
    twice = pa.concat_tables([made.rows] * 2), pa.concat_tables([made.lineage] * 2)
    with pytest.raises(StepError, match="2 augmented rows have the lineage of another one"):
        candidate_rows(*twice, step="augment")


@pytest.mark.parametrize(
    ("text", "said"),
    [("  Où est MA carte?! ", "où est ma carte"), ("退款，200元。", "退款200元"), ("!", "!")],
)
def test_bare_text_forgets_case_punctuation_and_spacing(text, said):
    assert bare(text) == said
