"""Dialogues, spans and tags in the forms of the field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import connectors
from connectors import RecordError

ASKED = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}]


@pytest.mark.parametrize(
    "value",
    [
        ASKED,
        [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes?"}],
        '[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}]',
        [{"role": "user", "content": [{"type": "text", "text": "hi"}]}, ASKED[1]],
    ],
    ids=["openai", "sharegpt", "json", "parts"],
)
def test_dialogues_of_every_form_are_the_same_messages(value):
    assert ASKED == connectors.read_messages(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("hello", "expected a list of messages"),
        ([], "there is no message"),
        ([{"content": "x"}], "message 1 has no role"),
        ([{"role": "user"}], "message 1 has no content"),
        ([{"role": "user", "content": 5}], "content is '5', expected text"),
    ],
)
def test_what_is_no_dialogue_says_what_was_found(value, message):
    with pytest.raises(RecordError, match=message):
        connectors.read_messages(value)


def test_alpaca_goes_in_and_comes_out_with_system_and_history():
    record = {
        "prompt": "and now?",
        "response": "bye",
        "system": "be kind",
        "history": '[["a", "b"]]',
    }

    messages = connectors.read_exchange(record)

    assert ["system", "user", "assistant", "user", "assistant"] == [m["role"] for m in messages]
    told = {"instruction": "and now?", "input": "", "output": "bye", "system": "be kind"}
    assert {**told, "history": [["a", "b"]]} == connectors.as_alpaca(messages)


def test_a_prompt_that_begins_with_a_bracket_is_text():
    messages = connectors.read_exchange({"prompt": "[1, 2] and what next?", "response": "[3]"})

    assert ["[1, 2] and what next?", "[3]"] == [m["content"] for m in messages]


def test_a_preference_without_prompt_takes_the_common_turns():
    one, other = ([*ASKED, {"role": "user", "content": "so"}, {"role": "assistant", "content": c}]
                  for c in ("good", "bad"))  # fmt: skip

    prompt, chosen, rejected = connectors.read_preference({"chosen": one, "rejected": other})

    assert ([*ASKED, one[2]], "good", "bad") == (
        prompt,
        chosen[0]["content"],
        rejected[0]["content"],
    )


def test_a_span_whose_text_is_not_there_is_refused():
    with pytest.raises(RecordError, match="says 'Bob', but 'Bo ' stands there"):
        connectors.read_spans([{"start": 2, "end": 5, "label": "P", "text": "Bob"}], "😀 Bo b")


@pytest.mark.parametrize(
    ("tags", "spans", "faults"),
    [
        (["B-P", "I-P", "O"], [(0, 3, "P")], 0),
        (["I-P", "I-P", "O"], [(0, 3, "P")], 1),
        (["B-P", "B-P", "I-Q"], [(0, 1, "P"), (2, 3, "P"), (4, 5, "Q")], 1),
        (["B-P", "L-P", "U-Q"], [(0, 3, "P"), (4, 5, "Q")], 0),
    ],
)
def test_tags_become_spans_and_a_broken_one_begins_a_span(tags, spans, faults):
    text, places = connectors.joined(["a", "b", "c"])

    found, told = connectors.read_tags(tags, places)

    assert "a b c" == text
    assert spans == [(s["start"], s["end"], s["label"]) for s in found]
    assert faults == len(told)


def test_chinese_tokens_join_without_spaces():
    assert "我爱 New York 吗" == connectors.joined(["我", "爱", "New", "York", "吗"])[0]


@given(st.lists(st.sampled_from(["O", "B-P", "B-Q"]), max_size=12))
def test_tags_to_spans_and_back_is_the_same(tags):
    _, places = connectors.joined(["w"] * len(tags))
    spans, faults = connectors.read_tags(tags, places)

    assert (tags, []) == connectors.as_tags(spans, places)
    assert [] == faults


def test_a_span_within_another_is_told_as_lost():
    _, places = connectors.joined(["a", "b"])
    spans = [{"start": 0, "end": 3, "label": "P"}, {"start": 0, "end": 1, "label": "Q"}]

    assert (["B-P", "I-P"], ["the span 0-1 (Q) lies within another"]) == connectors.as_tags(
        spans, places
    )


def test_a_conll_file_is_read_sentence_by_sentence_and_odd_ones_are_told(tmp_path):
    text = "-DOCSTART- O\n\nEU B-ORG\nrejects O\n\nBob\n\nLee NNP B-PER\n"
    (tmp_path / "a.conll").write_text(text, "utf-8")
    bad = []

    (batch,) = connectors.read("file:a.conll", base=tmp_path, on_bad=bad.append)

    assert ['["EU", "rejects"]'] == batch["tokens"].to_pylist()
    assert ["line 6 has 1 columns, expected 2", "line 8 has 3 columns, expected 2"] == [
        b.reason for b in bad
    ]
