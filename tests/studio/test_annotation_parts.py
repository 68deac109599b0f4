"""What the round trip is made of, without a server: pages, answers, choice, consensus."""

from collections import Counter

import pytest

from curator.annotating_consensus import ANSWER_SCHEMA, answers_of, consensus, verdict_findings
from curator.annotating_pages import (
    Answer,
    LabelText,
    Page,
    config,
    is_untouched,
    labels_in,
    missing_of,
    read_answer,
    task_data,
)
from curator.annotating_ranking import (
    CONTROLS,
    Doubt,
    Shares,
    choose,
    control_of,
    hint_of,
    label_of,
    mark_of,
    most_worth,
)

LABELS = [LabelText("a&b", 'A & "b"', "what it is"), LabelText("c", "C"), LabelText("d", "C")]


def part(control, *choices):
    return {"from_name": control, "value": {"choices": list(choices)}}


def test_a_configuration_knows_whether_a_hand_has_touched_it():
    made = config(LABELS, "en")

    assert is_untouched(made)
    assert not is_untouched(made.replace("Ambiguous", "Hm"))
    assert not is_untouched("<View/>")
    assert {"a&b", "c", "d"} == labels_in(made)
    assert [] == missing_of(made, LABELS)
    assert ["label 'c'"] == missing_of(made.replace('alias="c"', 'alias="x"'), LABELS)


def test_labels_of_one_name_are_told_apart_on_the_page():
    made = config(LABELS, "en")

    assert 'value="C (c)"' in made
    assert 'value="C (d)"' in made


def test_a_page_speaks_the_language_of_the_annotators():
    assert "保留原标签" in config(LABELS, "zh-Hans")
    assert "Keep the given label" in config(LABELS, "fr")


@pytest.mark.parametrize(
    ("result", "suggested", "expected"),
    [
        ([part("decision", "keep")], "c", Answer("keep", "a&b")),
        ([part("decision", "suggested")], "c", Answer("suggested", "c")),
        ([part("decision", "suggested")], None, "takes a suggestion where none was shown"),
        ([part("decision", "other"), part("label", "c")], "d", Answer("other", "c")),
        ([part("decision", "other")], "d", "expected one label of the configuration, found []"),
        ([part("decision", "other"), part("label", "z")], "d", "expected one label of the conf"),
        ([part("decision", "drop"), part("label", "c")], "d", Answer("drop", None)),
        ([part("decision", "keep", "drop")], "c", "expected one decision"),
        ([part("nonsense", "keep")], "c", "expected one decision"),
        ([{"from_name": "decision", "value": None}], "c", "expected one decision"),
    ],
)
def test_an_answer_is_read_or_said_to_be_none(result, suggested, expected):
    found = read_answer(
        result, given="a&b", suggested=suggested, labels=frozenset({"a&b", "c", "d"})
    )

    assert found == expected or (isinstance(found, str) and found.startswith(str(expected)))


def test_a_blind_page_shows_no_suggestion_and_no_neighbours():
    near = (("c", 0.9, "a near text"),)
    labels = {label.key: label for label in LABELS}
    page = Page("r", "text", "a&b", None, near, 1.0)
    data = task_data(page, labels, "en")

    assert "a near text" not in str(data)
    assert "C" not in data["suggested"]


def doubts(count, **values):
    return [Doubt(f"r{n:03}", f"g{n:03}", "a", "b", 1 - n / count, **values) for n in range(count)]


def test_the_likeliest_wrong_rows_come_first_but_not_two_of_one_group():
    rows = [Doubt("r1", "g", "a", "b", 0.9), Doubt("r2", "g", "a", "b", 0.89),
            Doubt("r3", "h", "a", "c", 0.6)]  # fmt: skip

    assert ["r1", "r3", "r2"] == [d.row_id for d, _ in most_worth(rows, 3)]


def test_a_row_that_does_more_to_the_model_is_worth_more():
    rows = [Doubt("r1", "g", "a", "b", 0.9), Doubt("r2", "h", "c", "b", 0.5, influence=3.0)]

    assert "r2" == most_worth(rows, 1)[0][0].row_id


def test_a_row_without_doubt_or_influence_is_not_asked():
    rows = [Doubt("r1", "g", "a", "b", 0.0), Doubt("r2", "h", "c", "b", 0.5, influence=0.0)]

    assert [] == most_worth(rows, 2)


@pytest.mark.parametrize("budget", [7, 20, 63, 200, 500])
def test_a_budget_is_kept_with_its_shares_of_controls(budget):
    chosen = choose(doubts(300), budget, shares=Shares(), asked={})
    kinds = Counter(one.control for one in chosen)

    assert min(budget, 299) == len(chosen) or budget > 280
    assert kinds["blind"] >= min(0.1 * budget, 25)
    assert kinds["known"] + kinds["swapped"] >= min(0.05 * budget, 15)
    assert len({one.doubt.row_id for one in chosen}) == len(chosen)


@pytest.mark.parametrize("done", [0, 1, 17, 39, 40])
def test_a_choice_that_was_cut_short_is_ended_by_the_same_call(done):
    whole = choose(doubts(300), 40, shares=Shares(), asked={})
    held = {one.doubt.row_id: one.control for one in whole[:done]}
    rest = choose(doubts(300), 40, shares=Shares(), asked=held)

    assert whole[done:] == rest


def test_marks_tell_us_and_nobody_else_what_a_task_is():
    assert list(CONTROLS) == [control_of("r", mark_of("r", one)) for one in CONTROLS]
    assert "open" == control_of("r", "nonsense")
    assert "b" == label_of("r", hint_of("r", "b"), ["a", "b"])
    assert mark_of("r", "blind") != mark_of("s", "blind")


def event(row, annotator, decision, value, at="1", kind="created", control="open"):
    return {
        "row_id": row, "task": 1, "annotator": annotator, "decision": decision, "value": value,
        "updated_at": at, "lead_time": 5.0, "accepted": False, "control": control, "kind": kind,
        "given": "a", "suggested": "b", "content": "x", "input": "y",
    }  # fmt: skip


def test_the_majority_decides_and_a_tie_stays_open():
    found = answers_of([
        event("r1", "ann", "keep", "a"), event("r1", "bob", "other", "a"),
        event("r1", "eve", "suggested", "b"), event("r2", "ann", "keep", "a"),
        event("r2", "bob", "drop", None), event("r3", "ann", "drop", None),
        event("r4", "ann", "keep", "a", control="known"),
        event("r5", "ann", None, None, kind="skipped"),
    ])  # fmt: skip
    verdicts = consensus(found)

    assert ANSWER_SCHEMA == found.schema
    assert [("r1", "label", "a", 2, 3), ("r2", "open", None, 1, 2), ("r3", "drop", None, 1, 1)] == [
        (v["row_id"], v["verdict"], v["value"], v["votes"], v["answers"])
        for v in verdicts.to_pylist()
    ]
    assert {"open"} == set(consensus(found, min_answers=4)["verdict"].to_pylist())
    findings = verdict_findings(verdicts, {"r1": "a", "r3": "a"}).to_pylist()
    assert [("r1", "review", False), ("r3", "review_drop", True)] == [
        (f["row_id"], f["issue_type"], f["flagged"]) for f in findings
    ]
