"""What tasks ask of annotators, without a server: answers as short texts, and cells of them."""

import json

import pytest

from curator.annotating_answers import Shown, side_of, sides
from curator.annotating_forms import FORMS, asked_hash, form_of, missing_in, prediction_of
from curator.annotating_pages import LabelText, is_untouched, labels_in
from curator.errors import StoreError

LABELS = [LabelText("a", "A"), LabelText("b", "B")]


def chose(control, *keys):
    return {"from_name": control, "value": {"choices": list(keys)}}


def said(role, content):
    return {"role": role, "content": content}


PAIR = {"prompt": [said("user", "p")], "chosen": [said("assistant", "x")],
        "rejected": [said("assistant", "y")]}  # fmt: skip
TALK = {"messages": [said("user", "q"), said("assistant", "first"), said("assistant", "old")]}


@pytest.mark.parametrize("task", FORMS)
def test_a_page_of_any_task_knows_its_labels_and_what_a_hand_took_away(task):
    form = form_of(task)
    made = form.config(LABELS, "zh")

    assert is_untouched(made)
    assert (frozenset("ab") if form.has_label else frozenset()) <= labels_in(made)
    assert [] == missing_in(made, form, made)
    assert ["decision 'drop'"] == missing_in(made.replace('"drop"', '"x"'), form, made) or (
        task == "preference"
    )


def test_a_corpus_has_no_form():
    with pytest.raises(StoreError, match="nothing that annotators could settle"):
        form_of("corpus")


@pytest.mark.parametrize(("start", "end"), [(3, 6), (5, 8)])
def test_a_span_is_read_in_code_points_or_in_utf16_units_where_only_they_fit(start, end):
    mark = {"start": start, "end": end, "text": "Ann", "labels": ["a"]}
    result = [{"from_name": "label", "value": mark}, chose("decision", "marked")]
    shown = Shown("r", "[]", None, None, frozenset("ab"), "😀😀 Ann and Bob")

    assert '[[3, 6, "a"]]' == FORMS["tokens"].read(result, shown).label


def test_marks_of_a_blind_task_are_not_shown():
    assert [] == prediction_of("tokens", "blind", '[[0, 3, "a"]]')
    assert 1 == len(prediction_of("tokens", "open", '[[0, 3, "a"]]'))
    assert [] == prediction_of("multilabel", "open", '["a"]')


def test_a_preference_names_its_side_by_what_it_says_so_it_is_applied_once():
    form = FORMS["preference"]
    better = side_of("assistant", "y")
    turned = PAIR | form.cells(better, PAIR)

    assert ("y", "x") == (turned["chosen"][0]["content"], turned["rejected"][0]["content"])
    assert turned == turned | form.cells(better, turned)
    assert asked_hash(form, PAIR) == asked_hash(form, turned)
    assert form.cells(side_of("assistant", "z"), PAIR) is None
    assert sides("r", "one", "two") == sides("r", "two", "one")


def test_a_rewrite_replaces_the_last_answer_alone():
    form = FORMS["instruction"]
    value = json.dumps({"response": "new"})
    after = TALK | form.cells(value, TALK)

    assert ["q", "first", "new"] == [m["content"] for m in after["messages"]]
    assert form.same(value) == form.taught(after)
    assert asked_hash(form, TALK) == asked_hash(form, after)
    assert TALK == form.cells(form.taught(TALK), TALK)


def test_parts_are_voted_one_by_one_and_a_half_leaves_the_row_open():
    sets, spans = FORMS["multilabel"].combine, FORMS["tokens"].combine

    assert '["a"]' == sets(['["a", "b"]', '["a"]', '["a"]'])[0]
    assert sets(['["a", "b"]', '["a"]'])[0] is None
    assert "[]" == sets(["[]", "[]", '["b"]'])[0]
    assert '[[0, 3, "a"]]' == spans(['[[0, 3, "a"]]', '[[0, 3, "a"], [2, 5, "b"]]', "[]"])[0]
    crossing = '[[0, 3, "a"], [2, 5, "b"]]'
    assert spans([crossing, crossing])[0] is None
