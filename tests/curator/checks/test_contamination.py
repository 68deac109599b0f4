"""Benchmarks that stand in training rows: told by runs of words, counted word by word."""

import json
import random
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.benchmarks import benchmark_items
from curator.checks.contamination import Item, contaminated
from curator.errors import RecipeError, StepError
from curator.tasks import TASKS

QUESTION = (
    "a train leaves the station at noon and goes north at sixty miles an hour while a bird flies "
    "south at twenty; when do they meet"
)
CHINESE = "小明家里一共有三十五只鸡和兔子它们一共有九十四只脚请问鸡和兔子各有多少只"
FAR = "nothing of what is written in here has anything to do with any test that there ever was"


def table(*texts, splits=None):
    count = len(texts)
    return pa.table({
        "id": [f"r{i:05}" for i in range(count)],
        "text": pa.array(texts, pa.string()),
        "label": ["x"] * count,
        "split": splits or ["train"] * count,
    })  # fmt: skip


def asking(*texts):
    return lambda _addresses, _columns: [
        Item("file:bench.csv", at, "question", text) for at, text in enumerate(texts)
    ]


def found_in(rows, *items, **options):
    found = contaminated(rows, asking(*items), against=("file:bench.csv",), **options)
    return [(f["row_id"], f["score"], f["evidence"]) for f in found.to_pylist()]


def test_a_row_that_holds_a_benchmark_question_names_file_record_and_length():
    rows = table(FAR, f"Please help me: {QUESTION.upper()}?? Thanks.")

    place = "file:bench.csv, record 1, column 'question' (100% of it)"
    assert found_in(rows, "some other question of the benchmark", QUESTION) == [
        ("r00001", 1.0, f"26 words in a row stand in {place}"),
    ]


def test_thirteen_words_in_a_row_are_a_contamination_and_twelve_are_not():
    words = QUESTION.split()
    rows = table("so " + " ".join(words[:12]) + " it", "so " + " ".join(words[:13]) + " it")

    assert ["r00001"] == [f[0] for f in found_in(rows, QUESTION)]
    assert ["r00000", "r00001"] == [f[0] for f in found_in(rows, QUESTION, ngram=8)]
    assert [] == found_in(rows, QUESTION, min_share=0.6)
    assert [13 / 26] == [f[1] for f in found_in(rows, QUESTION)]


def test_in_chinese_characters_are_counted():
    rows = table(f"老师说，{CHINESE[:14]}。然后呢", f"老师说，{CHINESE[:10]}。然后呢")
    [(row, _, evidence)] = found_in(rows, CHINESE)

    assert "r00000" == row
    assert evidence.startswith("14 words in a row")


def test_punctuation_case_and_width_do_not_hide_a_question():
    said = "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in QUESTION)

    assert ["r00000"] == [f[0] for f in found_in(table(said.replace(" ", ",  ")), QUESTION)]


def test_short_items_are_looked_for_as_a_whole():
    item = "what is the capital city of that country"
    rows = table(f"{FAR} {item} {FAR}", "what is the capital city of that", item + "?", "yes")

    assert ["r00000", "r00002"] == [f[0] for f in found_in(rows, item, "yes", near=0.9)]


def test_items_under_eight_words_are_found_as_copies_only():
    item = "where is the Eiffel tower"
    rows = table(f"{FAR} {item} {FAR}", "Where is the Eiffel  tower", "where is the eiffel tower?")

    assert ["r00001", "r00002"] == [f[0] for f in found_in(rows, item)]
    assert "near copy (Jaccard 0.96) of file:bench.csv, record 0" in found_in(rows, item)[1][2]


def test_only_training_rows_are_doubted():
    rows = table(QUESTION, QUESTION, QUESTION, splits=["test", "validation", "train"])

    assert ["r00002"] == [f[0] for f in found_in(rows, QUESTION)]


def test_of_many_items_with_one_preamble_the_one_that_stands_in_the_row_is_named():
    preamble = "the following are multiple choice questions with answers about the history of art"
    items = [f"{preamble} who made picture number {n} of that great hall" for n in range(50)]
    [(_, share, evidence)] = found_in(table("so: " + items[37] + " ?"), *items)

    assert 1.0 == share
    assert "record 37," in evidence


def test_answers_of_dialogues_are_read_too():
    messages = [[{"role": "user", "content": "hello"}, {"role": "assistant", "content": QUESTION}]]
    fields = [TASKS["instruction"].schema.field(n) for n in ("id", "messages", "split")]
    columns = {"id": ["r00000"], "messages": messages, "split": ["train"]}
    rows = pa.table(columns, pa.schema(fields))

    assert ["r00000"] == [f[0] for f in found_in(rows, QUESTION)]


def longest_run(one, other):
    return max(
        (n for n in range(len(one) + 1) for i in range(len(one) - n + 1)
         if any(one[i : i + n] == other[j : j + n] for j in range(len(other) - n + 1))),
        default=0,
    )  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 9999))
def test_runs_are_found_exactly_where_comparing_all_words_finds_them(seed):
    draw = random.Random(seed)
    vocabulary = [f"w{n}" for n in range(40)]
    item = draw.choices(vocabulary, k=20)
    texts = []
    for _ in range(8):
        at, length = draw.randrange(15), draw.randint(0, 12)
        texts.append(draw.choices(vocabulary, k=9) + item[at : at + length] + ["end"])
    expected = [f"r{i:05}" for i, text in enumerate(texts) if longest_run(text, item) >= 8]

    assert expected == [
        f[0] for f in found_in(table(*map(" ".join, texts)), " ".join(item), ngram=8, near=1.0)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ngram": 2}, "ngram is 2; expected 3 or more"),
        ({"min_share": 1.5}, "min_share is 1.5; expected 0..1"),
        ({"near": 0.3}, "near is 0.3; expected 0.7..1"),
    ],
)
def test_an_option_out_of_range_is_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        found_in(table(FAR), QUESTION, **options)


BAD = {
    "empty": ["", " "],
    "emoji": ["😀" * 20, "👩‍👩‍👧" * 9],
    "right to left": ["أين بطاقتي من فضلك " * 5],
    "broken": ["Ã¢â‚¬â„¢ \x00 \ufffd"],
    "ten megabytes": ["word " * 2_000_000],
    "identical": ["the same text of quite some words that stands here again and again"] * 5_000,
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_texts_are_no_fault_on_either_side(kind):
    began = time.process_time()
    found = found_in(table(*BAD[kind]), *(text[:50_000] for text in BAD[kind][:3]), QUESTION)

    assert time.process_time() - began < 20
    assert np.isfinite([f[1] for f in found]).all()
    if kind == "identical":
        assert 5_000 == len(found)


def test_files_are_read_by_address_and_columns(tmp_path):
    lines = [{"question": QUESTION, "answer": "at one"}, {"question": "why", "answer": ""}]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")

    read = benchmark_items(["file:b.jsonl"], [], base=tmp_path)
    assert {(0, "question"), (0, "answer"), (1, "question")} == {(i.record, i.column) for i in read}
    read = benchmark_items(["file:b.jsonl"], ["answer"], base=tmp_path)
    assert ["at one"] == [i.text for i in read]
    with pytest.raises(StepError, match=r"there is no text column 'label'; it has \['question'"):
        benchmark_items(["file:b.jsonl"], ["label"], base=tmp_path)


def test_a_recipe_drops_what_a_benchmark_holds_and_another_benchmark_is_another_step(
    corpus, curator
):
    made = corpus(classes=3)
    made.swap("  - leaks\n", "  - decontaminate: {against: [file:bench.csv]}\n")
    made.swap("  - label_errors: {min_class_rows: 3}\n", "")
    made.swap("  - augment: {with: [keyboard], keep_label: 0}\n", "")
    made.swap("measure: {model: tfidf, tiers: [probe]}", "measure: false")
    said = curator(made.folder, "run", "recipe.yaml")
    assert 1 == said.code
    assert "decontaminate: against 'file:bench.csv'" in said.err

    (made.folder / "bench.csv").write_text("question\n" + made.train[4]["text"] + "\n", "utf-8")
    first = curator(made.folder, "run", "recipe.yaml", "--json").json()
    (made.folder / "bench.csv").write_text("question\nwhat else is there to be asked\n", "utf-8")
    second = curator(made.folder, "run", "recipe.yaml", "--json").json()

    assert 1 == first["versions"][-2]["rows"] - first["versions"][-1]["rows"]
    assert 0 == second["versions"][-2]["rows"] - second["versions"][-1]["rows"]
    assert not second["versions"][-1]["cached"]
