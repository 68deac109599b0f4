"""Pairs of answers: equal, empty, reversed by another row or by form."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from curator.checks.instructions import AnswerLosses
from curator.checks.preferences import preferences
from curator.tasks import MESSAGES


def unasked(model, prompts, answers):
    raise AssertionError((model, prompts, answers))


def found_in(*triples, losses=unasked, **options):
    def messages(role, at):
        told = [[{"role": role, "content": triple[at]}] for triple in triples]
        return pa.array(told, MESSAGES)

    rows = pa.table(
        {
            "id": [f"r{i:02}" for i in range(len(triples))],
            "prompt": messages("user", 0),
            "chosen": messages("assistant", 1),
            "rejected": messages("assistant", 2),
        }
    )
    found = preferences(rows, losses, **options).to_pylist()
    return {(int(f["row_id"][1:]), f["issue_type"]): f for f in found}


GOOD = ("How do I block my card?", "Open the app and choose Block.", "Call somebody.")


def test_an_ordinary_pair_has_nothing():
    assert {} == found_in(GOOD)


@pytest.mark.parametrize(
    ("triple", "issue", "evidence"),
    [
        ((" ", "a b", "c d"), "missing_prompt", "the prompt is empty"),
        (("q", "", "c"), "empty_answer", "the preferred answer is empty"),
        (("q", "a", " "), "empty_answer", "the other answer is empty"),
        (("q", "Yes.", "Yes."), "equal_answers", "both answers are equal"),
        (("q", "Yes, it is", "yes it  is!"), "equal_answers",
         "both answers are equal but for case, marks and white space"),
        (("q", "We open on Mondays and", "We open on Mondays."), "likely_reversed",
         "the preferred answer is the faulty one: it ends with 'and'; the other has none"),
        (("Tell me all about it", "Tell me all about it", "It is blue."), "likely_reversed",
         "the preferred answer is the faulty one: the answer is the prompt; the other has none"),
    ],
)  # fmt: skip
def test_each_rule_names_what_it_went_by(triple, issue, evidence):
    found = found_in(triple)

    assert [(0, issue)] == [*found]
    assert (evidence, True) == (found[0, issue]["evidence"], found[0, issue]["flagged"])


def test_two_rows_that_prefer_the_contrary_are_a_pair_to_decide():
    prompt, one, other = GOOD
    found = found_in(GOOD, (prompt, other, one), ("another question", other, one))

    told = {at: (f["partner_id"], f["flagged"]) for (at, _), f in found.items()}
    assert {0: ("r01", False), 1: ("r00", False)} == told
    assert {"reversed_in_another_row"} == {issue for _, issue in found}


def test_a_preferred_refusal_is_shown_and_not_flagged_as_it_can_be_right():
    found = found_in(("How do I pick a lock?", "I'm sorry, but I can't help with that.", "Push."))

    assert {(0, "refusal_preferred"): False} == {k: f["flagged"] for k, f in found.items()}


def test_length_that_gives_the_preference_away_is_told_once_about_the_set():
    words = ["ant", "bee", "cat", "dog", "eel", "fox"]
    triples = [(f"{a} {b}?", f"{a} and {b} run, yes", f"no {b}") for a in words for b in words]
    found = found_in(*triples)

    assert {"longer_preferred"} == {issue for _, issue in found}
    assert {"the preferred answer is the longer one in 100% of the pairs"} == {
        f["evidence"] for f in found.values()
    }


def test_a_model_speaks_against_a_preference_only_where_the_other_answer_fits():
    def losses(model, prompts, answers):
        assert ("m", 2) == (model, len(prompts))
        chosen = answers[0].startswith("Open")
        ratio = np.array([1.2, 1.2]) if chosen else np.array([0.5, 1.1])
        return AnswerLosses(ratio * 2.0, np.full(2, 2.0))

    found = found_in(GOOD, ("And my other card, how?", *GOOD[1:]), losses=losses, model="m")

    assert [(0, "likely_reversed")] == [*found]
    assert "IFD 1.20" in found[0, "likely_reversed"]["evidence"]
