"""Protected spans: what two near-equal texts may not differ in."""

import time

import pytest

from curator.spans import KINDS, facts_of, names_in, protected, texts_differ

CHANGED = {
    "amount": [
        ("I was charged $12.50 for it", "I was charged $12.55 for it"),
        ("付了３００元的手续费", "付了３０００元的手续费"),
        ("转了两百块给他", "转了三百块给他"),
    ],
    "dose": [
        ("take 5 mg in the morning", "take 50 mg in the morning"),
        ("take two tablets at night", "take three tablets at night"),
        ("take it once daily", "take it twice daily"),
        ("每次吃两片", "每次吃三片"),
    ],
    "quantity": [("it took 3 days", "it took 13 days"), ("等了两个小时", "等了三个小时")],
    "date": [
        ("paid on 6 May 2024", "paid on 7 May 2024"),
        ("due 2024-05-06", "due 2024-06-06"),
        ("it came on Monday", "it came on Tuesday"),
        ("5月6日下的单", "5月8日下的单"),
    ],
    "time": [("open until 15:00", "open until 15:30"), ("下午3点到", "下午5点到")],
    "id": [
        ("order AB-1234 is late", "order AB-1243 is late"),
        ("单号1234567890", "单号1234567980"),
    ],
    "number": [("error 404 again", "error 403 again")],
    "negation": [
        ("my card works abroad", "my card doesn’t work abroad"),
        ("I can get cash", "I cannot get cash"),
        ("not charged but ordered", "charged but not ordered"),
        ("已经收到货了", "没有收到货了"),
        ("不能退货", "能退货"),
    ],
    "name": [
        ("I paid with Visa", "I paid with Amex"),
        ("the ATM ate it", "the POS ate it"),
        ("my iPhone broke", "my iPad broke"),
        ("在北京办卡", "在上海办卡"),
        ("转到工商银行", "转到建设银行"),
        ("张先生的快递", "李先生的快递"),
    ],
    "placeholder": [("hello {{name}}", "hello {{card}}")],
    "url": [("see https://a.example/x", "see https://a.example/y")],
    "email": [("mail to a@b.example", "mail to c@b.example")],
}
SAME = [
    ("I was charged $12.50 twice", "I was charged 12.5 dollars twice"),
    ("付了￥１，２００", "付了1200元"),
    ("paid on 6 May 2024", "paid on May 6, 2024"),
    ("due 2024-05-06", "due 2024/5/6"),
    ("take two tablets", "take 2 tablets"),
    ("买了二十五件", "买了25件"),
    ("Why can't I top up?", "Why cannot I top up"),
    ("my card does not work", "My card doesn't work!"),
    ("没有收到货", "没收到货"),
    ("I paid with Visa", "i paid with visa"),
    ("MY CARD IS LOST", "My card is lost"),
    ("这个不错", "这个很好"),
    ("why have I not got my card", "why have I not gotten my card"),
    ("I don't recognize it", "I don't recognise it"),
    ("where is a Visa ATM", "where are Visa ATMs"),
    ("it was paid twice", "it was paid two times"),
    ("taken without permission", "taken without my permission"),
    ("", "  "),
]


@pytest.mark.parametrize(
    ("kind", "one", "other"), [(k, *pair) for k, pairs in CHANGED.items() for pair in pairs]
)
def test_texts_that_differ_in_one_protected_thing_are_told_apart(kind, one, other):
    assert texts_differ(one, other).kind == kind
    assert texts_differ(other, one).kind == kind


def test_every_kind_has_a_pair_that_differs_in_it():
    assert set(KINDS) == set(CHANGED)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_the_same_facts_do_not_differ(one, other):
    assert texts_differ(one, other) is None


def test_a_difference_says_where_and_never_what():
    said = str(texts_differ("pay $12.50", "pay $13.50"))
    assert said == "amount at 4..10, in the other at 4..10"


def test_a_fact_that_only_one_text_has_is_a_difference_too():
    assert str(texts_differ("pay now", "pay $5 now")) == "amount in the other at 4..6"


def test_a_name_that_opens_a_sentence_is_told_once_the_corpus_taught_it():
    corpus = ["the Tylenol helped", "and Tylenol again", "then Tylenol, too", "the pain"]
    names = names_in(corpus)
    assert names == {"tylenol"}
    assert texts_differ("Tylenol helped", "Aspirin helped") is None
    assert texts_differ("Tylenol helped", "Aspirin helped", names=names).kind == "name"


def test_a_word_written_both_ways_is_no_name():
    assert names_in(["my Card", "my Card", "my Card", "my card"]) == frozenset()


def test_spans_are_in_order_and_do_not_overlap():
    text = "On 6 May Dr Smith gave 5 mg, not 50 mg, for $12 at Boots 不要 13800138000 {{x}}"
    spans = protected(text, names=frozenset({"boots", "smith"}))
    ends = [0, *(span.end for span in spans)]
    assert all(span.start >= end for span, end in zip(spans, ends, strict=False))
    assert [s.value for s in spans if s.kind == "dose"] == ["5 mg", "50 mg"]


@pytest.mark.parametrize("piece", ["7", "a1-", "１２,", "$", "不", "no ", "A", "1 ", "{", "九"])
def test_no_long_text_of_one_kind_costs_the_square_of_its_length(piece):
    start = time.process_time()
    facts_of(piece * (60_000 // len(piece)))
    assert time.process_time() - start < 5  # linear: under half a second; quadratic: minutes
