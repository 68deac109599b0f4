"""The guard of `duplicates`: texts that differ in one fact are two facts."""

import time

import pyarrow as pa
import pytest

from curator.checks.duplicates import duplicates, guard_notes
from curator.checks.leaks import leaks
from curator.near import near_pairs
from curator.tasks import TASKS

LONG = "please tell me what to do because the parcel that i ordered for my mother "


def table(*texts, labels=None, splits=None):
    n = len(texts)
    return pa.table({
        "id": [f"r{i:05}" for i in range(n)],
        "text": pa.array(texts, pa.string()),
        "label": labels or ["x"] * n,
        "split": splits or ["train"] * n,
    })  # fmt: skip


def found_in(rows, **options):
    texts = rows["text"]
    pairs = near_pairs(texts, threshold=0.7, shingles="char-3")
    return duplicates(rows, pairs, near=0.7, **options)


def told(found, *names):
    return [tuple(f[name] for name in names) for f in found.to_pylist()]


DIFFERENT = {
    "amount": (LONG + "costs $12.50 in the shop", LONG + "costs $13.50 in the shop"),
    "dose": (LONG + "says take 5 mg a day", LONG + "says take 50 mg a day"),
    "date": (LONG + "came on 6 May 2024", LONG + "came on 7 May 2024"),
    "negation": (LONG + "has arrived today", LONG + "has not arrived today"),
    "name": (LONG + "is stuck in Austria now", LONG + "is stuck in Ireland now"),
    "amount, Chinese": (
        "请问一下我昨天在你们店里买的那件红色的衣服为什么多收了我25元钱呢",
        "请问一下我昨天在你们店里买的那件红色的衣服为什么多收了我35元钱呢",
    ),
    "negation, Chinese": (
        "你好请问一下我昨天在你们店里买的那件红色衣服今天已经收到货了谢谢",
        "你好请问一下我昨天在你们店里买的那件红色衣服今天没有收到货了谢谢",
    ),
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_texts_that_differ_in_one_fact_both_stay_and_it_is_said(kind):
    rows = table(*DIFFERENT[kind])
    found = found_in(rows)

    assert [("near_but_different", False)] == told(found, "issue_type", "flagged")
    assert {found["row_id"][0].as_py(), found["partner_id"][0].as_py()} == {"r00000", "r00001"}
    assert f", but another fact: {kind.partition(',')[0]} " in found["evidence"][0].as_py()
    assert 0.7 <= found["score"][0].as_py() < 1


@pytest.mark.parametrize("kind", DIFFERENT)
def test_without_the_guard_one_of_them_goes(kind):
    found = found_in(table(*DIFFERENT[kind]), guard=False)

    assert [("near_duplicate", True)] == told(found, "issue_type", "flagged")


@pytest.mark.parametrize("kind", DIFFERENT)
def test_a_training_row_that_differs_from_a_test_row_in_one_fact_is_still_a_leak(kind):
    rows = table(*DIFFERENT[kind], splits=["train", "test"])
    pairs = near_pairs(rows["text"], threshold=0.7, shingles="char-3")

    assert ["leak"] == leaks(rows, pairs, near=0.7)["issue_type"].to_pylist()


@pytest.mark.parametrize("kind", DIFFERENT)
def test_texts_of_two_facts_with_two_labels_are_no_conflict(kind):
    rows = table(*DIFFERENT[kind], labels=["x", "y"])

    assert 0 == found_in(rows).num_rows
    assert ["label_conflict"] * 2 == found_in(rows, guard=False)["issue_type"].to_pylist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LONG + "costs $12.50 in the shop", LONG + "costs 12.5 dollars in the shop!"),
        (LONG + "has arrived", LONG + "has arrived!!"),
        (LONG + "is from Austria", LONG + "is from austria."),
        (LONG + "costs &#36;12.50 now", LONG + "costs $12.50 now!"),
    ],
)
def test_the_same_fact_in_another_spelling_is_a_duplicate(one, other):
    found = found_in(table(one, other))

    assert [("near_duplicate", True)] == told(found, "issue_type", "flagged")


def test_a_dropped_row_says_the_same_as_its_partner_and_not_as_the_nearest_row():
    rows = table(LONG + "costs $5", LONG + "costs $6", LONG + "costs $6!!!!")
    found = found_in(rows).sort_by("issue_type")

    assert [
        ("near_but_different", "r00000", "r00002"),
        ("near_duplicate", "r00001", "r00002"),
    ] == told(found, "issue_type", "row_id", "partner_id")


def test_a_name_that_the_corpus_writes_with_a_capital_is_one_in_small_letters_too():
    learn = [
        f"we went to {city} in {n} days" for city in ("Vienna", "Dublin") for n in "abcdefghijkl"
    ]
    rows = table(*learn, LONG + "is in vienna", LONG + "is in dublin")
    found = found_in(rows)

    assert {("near_but_different", False)} == {
        (f["issue_type"], f["flagged"]) for f in found.to_pylist() if f["row_id"] >= "r00024"
    }


def test_what_the_guard_kept_is_said_by_kind():
    rows = table(*DIFFERENT["dose"], *DIFFERENT["date"], *DIFFERENT["negation, Chinese"])
    found = found_in(rows)

    [said] = guard_notes(found)
    assert said == (
        "3 rows near to a kept row stay, because they say something else (date 1, dose 1, "
        "negation 1); guard: false drops them"
    )
    assert () == guard_notes(found_in(rows, guard=False))


def test_prompts_of_dialogues_are_guarded_like_texts():
    told_ = [LONG + "costs $5", LONG + "costs $6"]
    messages = [
        [{"role": "user", "content": text}, {"role": "assistant", "content": "fine"}]
        for text in told_
    ]
    schema = pa.schema([TASKS["instruction"].schema.field(n) for n in ("id", "messages", "split")])
    rows = pa.table({"id": ["a", "b"], "messages": messages, "split": ["train"] * 2}, schema)
    pairs = near_pairs(told_, threshold=0.7, shingles="char-3")

    assert ["near_but_different"] == duplicates(rows, pairs)["issue_type"].to_pylist()


def test_five_thousand_templates_of_one_number_are_kept_in_linear_time():
    rows = table(*(LONG + f"has number {n}" for n in range(5_000)))
    began = time.process_time()
    found = found_in(rows)

    assert time.process_time() - began < 8
    assert {"near_but_different"} == set(found["issue_type"].to_pylist())
    assert not any(found["flagged"].to_pylist())
