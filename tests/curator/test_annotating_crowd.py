"""Several annotators and a model: who outweighs whom, and what stays open."""

import numpy as np
import pyarrow as pa
import pytest

from curator.annotating_consensus import ANSWER_SCHEMA, consensus
from curator.annotating_crowd import Beliefs, come_together, opinions_wanted
from curator.confident import crowd_consensus
from curator.errors import StepError

CLASSES = [f"c{k:02}" for k in range(12)]


def answer(row, who, value, *, control="open", decision="other"):
    return {
        "row_id": row, "task": 7, "annotator": who, "decision": decision, "value": value,
        "at": "2026-01-01", "lead_time": 9.0, "accepted": False, "control": control,
        "given": "c00", "suggested": None, "content": "h", "input": "i",
    }  # fmt: skip


def table(*answers):
    return pa.Table.from_pylist(list(answers), schema=ANSWER_SCHEMA)


def crowd_scene(seed, errors, n=240, model=0.8):
    """Rows with a truth, people who err this often, and a model that is right this often."""
    draw = np.random.default_rng(seed)
    k = len(CLASSES)
    truth = draw.integers(0, k, n)

    def said(error):
        return np.where(draw.random(n) < error, draw.integers(0, k, n), truth)

    probabilities = np.full((n, k), 0.4 / k)
    probabilities[np.arange(n), said(1 - model)] += 0.6
    rows = [f"r{i:05}" for i in range(n)]
    answers = [
        answer(row, f"p{p}", CLASSES[label])
        for p, error in enumerate(errors)
        for row, label in zip(rows, said(error), strict=True)
    ]
    return table(*answers), Beliefs(rows, CLASSES, probabilities), [CLASSES[t] for t in truth]


def right(verdicts, truth):
    return float(
        np.mean([v == t for v, t in zip(verdicts["value"].to_pylist(), truth, strict=True)])
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_careless_people_do_not_outvote_a_careful_one_and_the_model(seed):
    answers, beliefs, truth = crowd_scene(seed, (0.05, 0.45, 0.45))
    found = come_together(answers, beliefs)

    assert "crowdlab" == found.method
    assert right(consensus(answers), truth) < right(found.verdicts, truth)
    assert max(found.quality, key=found.quality.get) == "p0"


@pytest.mark.parametrize("errors", [(0.2, 0.2), (0.05, 0.4, 0.4)], ids=["two", "three"])
def test_where_people_disagree_a_verdict_is_right_nine_times_in_ten_and_the_rest_is_open(errors):
    answers, beliefs, truth = crowd_scene(4, errors, n=600)
    found = come_together(answers, beliefs).verdicts.to_pylist()
    contested = [
        (v["value"], t) for v, t in zip(found, truth, strict=True) if v["votes"] < v["answers"]
    ]
    settled = [value == t for value, t in contested if value is not None]

    assert 50 < len(settled) < len(contested)
    assert 0.9 < np.mean(settled)


def test_a_label_that_nobody_gave_is_never_a_verdict():
    answers, beliefs, _ = crowd_scene(5, (0.6, 0.6, 0.6), model=0.99)
    given = {}
    for one in answers.to_pylist():
        given.setdefault(one["row_id"], set()).add(one["value"])
    found = come_together(answers, beliefs).verdicts.to_pylist()

    assert all(v["value"] is None or v["value"] in given[v["row_id"]] for v in found)
    assert any(v["verdict"] == "open" for v in found)


def test_the_only_answer_to_a_row_stands_and_says_how_sure_it_is():
    answers, beliefs, _ = crowd_scene(6, (0.1, 0.1))
    alone = answer("r99999", "p0", "c05")
    rows = [*beliefs.rows, "r99999"]
    doubting = np.vstack([beliefs.probabilities, np.eye(12)[[3]]])
    more = pa.concat_tables([answers, table(alone)])
    found = come_together(more, Beliefs(rows, CLASSES, doubting)).verdicts.to_pylist()[-1]

    assert ("label", "c05", 1) == (found["verdict"], found["value"], found["votes"])
    assert found["confidence"] < 0.8


def test_drop_and_ambiguous_are_votes_like_others():
    answers, beliefs, _ = crowd_scene(7, (0.1, 0.1))
    dropped = [answer("r99998", p, None, decision="drop") for p in ("p0", "p1")]
    split = [answer("r99999", "p0", None, decision="drop"), answer("r99999", "p1", "c01")]
    more = pa.concat_tables([answers, table(*dropped, *split)])
    rows = [*beliefs.rows, "r99998", "r99999"]
    wide = Beliefs(rows, CLASSES, np.vstack([beliefs.probabilities, np.full((2, 12), 1 / 12)]))
    found = {v["row_id"]: v for v in come_together(more, wide).verdicts.to_pylist()}

    assert "drop" == found["r99998"]["verdict"]
    assert "open" == found["r99999"]["verdict"]


def test_a_label_the_model_never_saw_can_win():
    answers, beliefs, _ = crowd_scene(8, (0.1, 0.1, 0.1))
    agreed = [answer("r99999", f"p{p}", "brand new") for p in range(3)]
    rows = [*beliefs.rows, "r99999"]
    wide = Beliefs(rows, CLASSES, np.vstack([beliefs.probabilities, np.full((1, 12), 1 / 12)]))
    found = come_together(pa.concat_tables([answers, table(*agreed)]), wide).verdicts.to_pylist()

    assert "brand new" == found[-1]["value"]


def test_without_a_second_answer_or_without_a_model_the_majority_decides():
    one = table(answer("r1", "p0", "c01"))
    beliefs = Beliefs(["r1"], CLASSES, np.full((1, 12), 1 / 12))

    assert "majority" == come_together(one, beliefs).method
    assert consensus(one).equals(come_together(one, None).verdicts)
    with pytest.raises(StepError, match="no row was answered by two"):
        crowd_consensus(np.array([[0, -1], [-1, 1]]), np.full((2, 2), 0.5))


def test_an_even_tie_of_people_and_model_is_weighed_alike_each_time():
    answers = np.array([[0, 1], [1, 2], [2, 0], [0, 1]])
    flat = np.full((4, 3), 1 / 3)
    np.random.seed(1)  # noqa: NPY002 - what must not matter
    first = crowd_consensus(answers, flat)
    np.random.seed(2)  # noqa: NPY002

    assert first.own.tolist() == crowd_consensus(answers, flat).own.tolist()


def test_rows_that_want_another_opinion_come_in_the_order_of_their_want():
    answers, beliefs, truth = crowd_scene(9, (0.25, 0.25), n=300, model=0.6)
    found = come_together(answers, beliefs)
    wanted = opinions_wanted(found, answers)

    kinds = wanted["why"].to_pylist()
    assert sorted(kinds) == kinds
    assert {"1 open", "2 contested"} <= set(kinds)
    asked = set(wanted["row_id"].to_pylist())
    wrong = {
        v["row_id"] for v, t in zip(found.verdicts.to_pylist(), truth, strict=True)
        if v["value"] != t
    }  # fmt: skip
    assert len(asked & wrong) / len(asked) > 1.5 * len(wrong) / 300  # denser than in the whole
    alone = table(answer("r1", "p", "c01"))
    assert 0 == opinions_wanted(come_together(alone, None), alone).num_rows


def test_classes_that_nobody_named_leave_stdout_to_the_json_that_is_printed_there(capsys):
    answers, beliefs, _ = crowd_scene(3, (0.1, 0.1), n=8)
    come_together(answers, beliefs)

    assert ("", "") == tuple(capsys.readouterr())
