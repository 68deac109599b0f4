"""One crafted dialogue per rule, and as many that must stay unflagged."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from curator.checks.answers import broken_off, closes_answers, copied_share, refusal_in
from curator.checks.instructions import AnswerLosses, instructions
from curator.errors import StepError
from curator.near import choose_shingles, near_pairs
from curator.tasks import MESSAGES, task_named


def dialogue(*turns):
    """Messages of user and assistant by turns, or (role, content)."""
    roles = ("user", "assistant")
    told = [(roles[i % 2], t) if isinstance(t, str) else t for i, t in enumerate(turns)]
    return [{"role": role, "content": content} for role, content in told]


def rows_of(*dialogues):
    return pa.table(
        {
            "id": [f"r{i}" for i in range(len(dialogues))],
            "messages": pa.array(list(dialogues), MESSAGES),
        }
    )


def unasked(model, prompts, answers):
    raise AssertionError((model, prompts, answers))


def issues(*dialogues, losses=unasked, **options):
    rows = rows_of(*dialogues)
    texts = task_named("instruction").input_text(rows)
    pairs = near_pairs(texts, threshold=0.7, shingles=choose_shingles(texts))
    found = instructions(rows, pairs, losses, **options).to_pylist()
    return {(int(f["row_id"][1:]), f["issue_type"]): f for f in found}


def test_ordinary_dialogues_have_nothing():
    fine = [
        dialogue("What is the capital of France?", "Paris."),
        dialogue("Fill in: I ___ home", "went"),
        dialogue(("system", "Be short."), ("user", "Hi, who are you?"), ("assistant", "A helper")),
        dialogue("What time is it?", "", ("tool", "12:00"), "Noon."),
        dialogue("Translate: good morning to all of you", "大家早上好，很高兴见到你们。"),
        dialogue("我的银行卡丢了怎么办？", "请立即拨打客服电话挂失。"),
        dialogue("I cannot stand this weather. Why?", "I cannot say it better: it rains all day."),
    ]  # fmt: skip

    assert {} == issues(*fine)


@pytest.mark.parametrize(
    ("messages", "issue", "evidence"),
    [
        (dialogue("Is anybody there?"), "missing_turn", "no turn of the assistant"),
        (dialogue(("assistant", "Hello!")), "missing_turn", "no turn of the user"),
        (dialogue("a", "b", "c"), "missing_turn", "the last turn of the user has no answer"),
        (dialogue("Who is it?", " \n"), "empty_turn", "empty: turn 2 (assistant)"),
        (dialogue(("user", "a"), ("user", "b"), ("assistant", "c")), "role_order",
         "turns 1 and 2 are both of the user"),
        (dialogue("a", "b", ("system", "c")), "role_order",
         "turn 3 is of the system, which speaks first or not at all"),
        (dialogue(("human", "a"), ("assistant", "b")), "role_order",
         "turn 1 is of the role 'human'; expected one of system, user, assistant, tool"),
        (dialogue(("tool", "a"), ("user", "a"), ("assistant", "b")), "role_order",
         "turn 1 is of a tool that the assistant did not ask"),
        (dialogue("Say it", "We open at nine and close at"), "truncated_answer", None),
        (dialogue("Say it", "We open at nine on Mondays, and"), "truncated_answer",
         "ends with 'and'"),
        (dialogue("列出文件", "您需要携带身份证、居住证明，以及"), "truncated_answer",
         "ends with '以及'"),
        (dialogue("Code?", "```python\nprint(1)\n"), "truncated_answer",
         "a block of code is not closed"),
        (dialogue("Tell me all about cats", "Tell me all about cats!"), "copied_prompt",
         "the answer is the prompt"),
        (dialogue("Help me", "I'm sorry, but I can't help with that."), "refusal",
         'says "I\'m sorry, but I can\'t"'),
        (dialogue("Help me", "As an AI language model, I cannot feel."), "refusal",
         "says 'As an AI language model, I cannot'"),
        (dialogue("帮帮我", "抱歉，我无法回答这个问题。"), "refusal", "says '抱歉，我无法'"),
        (dialogue("Please tell me which documents I need to open an account.",
                  "您需要携带身份证和居住证明到柜台办理开户手续。"), "answer_language",
         "the prompt is en, the answer zh"),
    ],
)  # fmt: skip
def test_each_rule_names_what_it_went_by(messages, issue, evidence):
    found = issues(messages)
    if evidence is None:
        assert {} == found
    else:
        assert evidence == found[0, issue]["evidence"]
        assert (issue != "refusal") == found[0, issue]["flagged"]


def test_a_refusal_late_in_an_answer_is_quoted_speech_or_a_hedge():
    assert refusal_in("word " * 60 + "I'm sorry, but I can't help.") is None
    assert refusal_in("You can't pay there.") is None


def test_a_missing_full_stop_counts_only_where_the_others_have_one():
    closed = "The river was wide and slow, and none of the boats along it had moved. " * 3
    opened = closed + "And then we all went down to the ferry that comes twice daily"

    assert closes_answers([closed] * 10)
    assert not closes_answers([closed] * 9)
    assert not closes_answers([closed] * 10 + [opened] * 5)
    assert broken_off(opened, closes=False) is None
    assert "its last sentence has no end" in broken_off(opened, closes=True)
    listed = closed + "\n- a list item that is rather long and has no full stop"
    assert broken_off(listed, closes=True) is None


def test_an_answer_that_quotes_a_long_prompt_does_not_copy_it():
    text = "The river that we crossed in the morning was wide and slow, and none of the boats moved"

    assert copied_share(f"Shorten this: {text} since winter came over the hills", text)[0] < 0.9
    assert (0.5, "the answer begins with the whole prompt") == copied_share(
        "one two three four five", "one two three four five six seven eight nine ten"
    )


def test_prompts_alike_with_other_answers_are_a_pair_and_no_verdict():
    same = "How do I reset the password of my account?"
    found = issues(dialogue(same, "Open the app, choose Security."), dialogue(same + "?", "Never."))

    assert {(0, "answers_differ"), (1, "answers_differ")} == {*found}
    assert ("r1", False) == tuple(found[0, "answers_differ"][k] for k in ("partner_id", "flagged"))


def test_prompts_that_differ_in_an_amount_may_have_other_answers():
    asked = "What is the fee for a transfer of {} dollars to another country?"
    found = issues(
        dialogue(asked.format(100), "Two dollars."), dialogue(asked.format(900), "Nine!")
    )

    assert {} == found


def test_a_length_far_from_the_others_is_shown():
    said = "an answer of some length "
    usual = [dialogue(f"question number {i}?", said * (2 + i % 3)) for i in range(60)]
    found = issues(*usual, dialogue("question number 99?", "ha " * 4000), max_alike=0)

    assert [(60, "answer_length")] == [*found]
    assert "times longer than usual here" in found[60, "answer_length"]["evidence"]


def test_a_causal_model_finds_answers_to_other_questions_and_scrambled_ones():
    def losses(model, prompts, answers):
        assert ("m", 22, 22) == (model, len(prompts), len(answers))
        alone = np.full(22, 3.0)
        given = alone * 0.5
        given[1], alone[2], given[2], given[3], alone[3] = 3.6, 9.0, 8.0, np.nan, np.nan
        return AnswerLosses(given, alone)

    turns = [dialogue(f"{c * 9} how?", f"{c * 8} so.") for c in "abcdefghijklmnopqrstuv"]
    found = issues(*turns, losses=losses, model="m", max_deviations=1e9)
    told = {k: f["evidence"] for k, f in found.items() if k[1].startswith("answer_")}

    assert {
        (1, "answer_unrelated"): "IFD 1.20: loss 3.60 with its prompt, 3.00 without",
        (2, "answer_garbled"): "loss 9.00 a token, 3.00 in the middle of all answers",
    } == told


def test_a_share_outside_its_range_is_refused():
    with pytest.raises(StepError, match=r"max_copied is 2; expected 0 to 1"):
        issues(dialogue("a", "b"), max_copied=2)
