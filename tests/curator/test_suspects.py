import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from curator import schema
from curator.decide import WEIGHED, Rule, decide
from curator.errors import StepError
from curator.suspects import Calibrated, drop_suspects, suspect_faults, suspect_notes

REVIEWED = Calibrated(reviewed=200, right=200)


def scene(*p_wrong, weight=1.0, split="train"):
    """Rows r0, r1, ... of class a whose best other class is b; P(fix) is just under P(wrong)."""
    ids = [f"r{i}" for i in range(len(p_wrong))]
    rows = pa.Table.from_pylist(
        [
            {"id": i, "group": i, "text": i, "label": "a", "split": split, "weight": weight,
             "step": "import"}
            for i in ids
        ],
        schema=schema.ROW_SCHEMA,
    )  # fmt: skip
    findings = schema.findings(
        {"row_id": i, "issue_type": "label", "check": "label_errors", "score": p, "p_wrong": p,
         "p_fix": p - 0.001, "suggestion": "b", "flagged": p >= 0.5}
        for i, p in zip(ids, p_wrong, strict=True)
    )  # fmt: skip
    return rows, findings


def done(rows, findings, **options):
    rule = drop_suspects(rows, findings, **{"min_class_rows": 0, **options})
    return decide(rows, findings, rule, step="label_errors")


def told(decided):
    return [(d["row_id"], d["action"], d["reason"]) for d in decided.decisions.to_pylist()]


def test_by_default_rows_that_are_likelier_wrong_than_right_are_dropped():
    decided = done(*scene(0.9, 0.49, 0.5))

    assert ["r1"] == decided.rows["id"].to_pylist()
    assert [("r0", "drop"), ("r2", "drop")] == [t[:2] for t in told(decided)]


def test_a_class_keeps_twenty_rows_and_loses_the_most_suspicious_first():
    rows, findings = scene(*np.linspace(0.51, 0.99, 22))
    decided = decide(rows, findings, drop_suspects(rows, findings), step="label_errors")

    assert 20 == decided.rows.num_rows
    assert not {"r20", "r21"} & set(decided.rows["id"].to_pylist())
    assert "suspected label error, kept: its class would fall under 20 rows" == told(decided)[0][2]


def test_a_higher_threshold_keeps_the_rest_and_says_why():
    decided = done(*scene(0.95, 0.7), min_p_wrong=0.9)

    assert ["r1"] == decided.rows["id"].to_pylist()
    assert "suspected label error, kept: its P(wrong) is under 0.9" == told(decided)[1][2]


def test_keep_changes_nothing():
    rows, findings = scene(0.95)

    assert rows.equals(done(rows, findings, action="keep").rows)
    assert rows.equals(done(rows, findings, action="annotate").rows)


def test_weights_are_multiplied_by_how_likely_the_label_is_right_flagged_or_not():
    rows, findings = scene(0.93, 0.2, 0.001, 0.999, weight=0.5)
    decided = done(rows, findings, action="weight")

    assert [0.035, 0.4, 0.5, 0.025] == pytest.approx(decided.rows["weight"].to_pylist())
    assert ["label_errors", "label_errors", "import", "label_errors"] == (
        decided.rows["step"].to_pylist()
    )
    assert [(i, "weight", WEIGHED) for i in ("r0", "r1", "r3")] == told(decided)
    first = decided.decisions.to_pylist()[0]
    assert {"weight": 0.5} == json.loads(first["before"])
    assert {"weight": 0.035} == json.loads(first["after"])
    assert schema.ROW_SCHEMA == decided.rows.schema


def test_the_floor_of_a_weight_may_be_nothing_or_everything():
    assert [0.0] == done(*scene(1.0), action="weight", min_weight=0).rows["weight"].to_pylist()
    assert 0 == done(*scene(1.0), action="weight", min_weight=1).decisions.num_rows


def test_a_test_row_is_neither_weighed_nor_relabelled():
    for action in ("weight", "relabel"):
        rows, findings = scene(0.999, split="test")
        assert rows.equals(done(rows, findings, action=action, calibrated=REVIEWED).rows)


def test_relabel_on_a_probability_that_nobody_checked_is_refused_with_the_expected_mistakes():
    with pytest.raises(StepError) as refused:
        done(*scene(*[0.991] * 30, 0.6), action="relabel")

    assert "relabel would change 30 labels; by the models' own P(fix) about 0.3 of them" in (
        str(refused.value)
    )
    assert "nobody has checked that P(fix)" in str(refused.value)


@pytest.mark.parametrize(
    ("reviewed", "right", "message"),
    [
        (100, 99, r"found 99 of 100 right, which shows a share of at least 0\.953"),
        (100, 0, r"at least 0\.000"),
        (10, 11, "says 11 of 10 rows were right"),
    ],
)
def test_a_review_that_does_not_bear_the_promise_out_is_refused(reviewed, right, message):
    with pytest.raises(StepError, match=message):
        done(*scene(0.999), action="relabel", calibrated=Calibrated(reviewed, right))


def test_relabel_after_a_review_changes_the_labels_that_are_sure_and_leaves_the_rest():
    decided = done(*scene(0.995, 0.9, 0.1), action="relabel", calibrated=REVIEWED)

    assert ["b", "a", "a"] == decided.rows["label"].to_pylist()
    assert [("r0", "relabel", "suspected label error"),
            ("r1", "keep", "suspected label error, kept: its P(fix) is under 0.98")] == (
        told(decided)
    )  # fmt: skip
    assert {"label": "b"} == json.loads(decided.decisions["after"][0].as_py())


def test_nothing_to_relabel_needs_no_review():
    assert "keep" == done(*scene(0.6), action="relabel").decisions["action"][0].as_py()


def test_a_hundred_and_forty_nine_rows_without_a_mistake_prove_98_percent():
    assert Calibrated(148, 148).lowest_share() < 0.98 <= Calibrated(149, 149).lowest_share()


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("drop", "drops 2 rows; by their P(wrong) about 0 of them have a right label"),
        ("weight", "weighs 3 rows down, together by 2 rows; by P(wrong) about 0 rows' worth"),
        ("relabel", "relabels 1 rows; by their P(fix) about 0 of them get a wrong label"),
    ],
)
def test_the_mistakes_to_expect_are_said(action, said):
    rows, findings = scene(0.995, 0.8, 0.2)
    decided = done(rows, findings, action=action, calibrated=REVIEWED)
    notes = suspect_notes(rows, findings, decided.decisions)

    assert notes[0].startswith("label errors: 66.5% of 3 labels are wrong by estimate")
    assert said in notes[1]


def test_options_out_of_range_are_named():
    assert [("min_p_fix", "min_p_fix is 0.2; expected 0.5 to 1")] == suspect_faults(
        {"min_p_fix": 0.2, "min_weight": 0.0}
    )
    with pytest.raises(StepError, match=r"min_p_wrong is 0\.1; expected 0.5 to 1"):
        done(*scene(0.9), min_p_wrong=0.1)


def test_of_two_new_labels_the_one_with_the_higher_p_fix_is_taken():
    rows, findings = scene(0.999)
    other = {"row_id": "r0", "issue_type": "label", "check": "x", "p_fix": 0.5, "score": 9.0,
             "suggestion": "c"}  # fmt: skip
    both = pa.concat_tables([findings, schema.findings([other])])
    decided = decide(rows, both, Rule({"label": "relabel"}), step="label_errors")

    assert ["b"] == decided.rows["label"].to_pylist()
    assert pc.all(pc.equal(decided.decisions["action"], "relabel")).as_py()
