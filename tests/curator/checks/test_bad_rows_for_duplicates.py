"""What the checks for duplicates and leaks may not choke on."""

import time

import numpy as np
import pyarrow as pa
import pytest

from curator.checks.duplicates import duplicates
from curator.checks.leaks import leaks
from curator.checks.semantic import semantic_duplicates
from curator.near import choose_shingles, near_pairs
from curator.schema import FINDING_SCHEMA

TEXTS = {
    "none at all": [],
    "one": ["one"],
    "empty": ["", "", " "],
    "emoji": ["😀", "👩‍👩‍👧", "🇩🇪", "❤️", "😀"],
    "right to left": ["مرحبا أين بطاقتي من فضلك", "איפה הכרטיס שלי בבקשה", "\u202eabc\u202c"] * 2,
    "broken": ["Ã¢â‚¬â„¢ Ã©tÃ©", "caf\xe9 \ufffd", "\x00\x01", "ä½ å¥½", "cafÃ© \ufffd"],
    "numbers": ["1", "2.5", "-3e9", "１２３", "123"],
    "marks": ["\u0301\u0301", "\u200b\u200d", "\ufeff", "\n\n\n", "\t"],
    "beyond the basic plane": ["𠀀𠀁𠀂" * 30, "𝒜𝒷𝒸", "𠀀𠀁𠀂" * 29],
    "brackets": ["{" * 60 + "}" * 60, "[" * 200, "\\begin{", "(((", "[" * 199],
    "entities": ["&amp;" * 50, "&" * 50, "&#x41;&#0;&#1114112;", "&lt;b&gt;"],
    "nan": ["None", "nan", "null", "NaN", "none"],
}
LONG = {
    "words": "word " * 200_000,
    "Chinese": "我的卡" * 300_000,
    "one word": "abcdefghij" * 100_000,
    "amounts": "it costs $5 and " * 60_000,
}
CHECKS = ("duplicates", "leaks", "semantic_duplicates")


def table(texts, labels=("a", "b"), splits=("train", "train", "test")):
    count = len(texts)
    return pa.table({
        "id": pa.array([f"r{i:07}" for i in range(count)], pa.string()),
        "text": pa.array(texts, pa.string()),
        "label": pa.array([labels[i % len(labels)] for i in range(count)], pa.string()),
        "split": pa.array([splits[i % len(splits)] for i in range(count)], pa.string()),
    })  # fmt: skip


def asked(name, rows, vectors=None, shingles=None):
    shingles = shingles or choose_shingles(rows["text"])
    pairs = near_pairs(rows["text"], threshold=0.7, shingles=shingles)
    if name == "semantic_duplicates":
        if vectors is None:
            vectors = np.eye(max(rows.num_rows, 1), 8, dtype=np.float32)[: rows.num_rows]
        found = semantic_duplicates(rows, pairs, vectors)
    else:
        found = {"duplicates": duplicates, "leaks": leaks}[name](rows, pairs)
    assert FINDING_SCHEMA.equals(found.schema)
    ids = set(rows["id"].to_pylist())
    assert set(found["row_id"].to_pylist()) | set(found["partner_id"].to_pylist()) <= ids
    assert np.isfinite(found["score"].to_numpy(zero_copy_only=False)).all()
    return found


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("kind", TEXTS)
def test_bad_texts_are_no_fault(name, kind):
    rows = table(TEXTS[kind])

    assert asked(name, rows).equals(asked(name, rows))


@pytest.mark.parametrize("kind", LONG)
def test_two_near_texts_of_a_megabyte_do_not_hang(kind):
    texts = [LONG[kind] + "of it", LONG[kind] + "of it.", "my card is lost"]
    began = time.process_time()
    found = asked("duplicates", table(texts, ["a"], ["train"]), shingles="char-3")

    assert {"r0000000"} == set(found["row_id"].to_pylist())
    assert time.process_time() - began < 12


def test_a_text_of_ten_megabytes_does_not_hang():
    began = time.process_time()
    asked("duplicates", table(["word " * 2_000_000, "my card is lost", "my card is gone"]))

    assert time.process_time() - began < 20


@pytest.mark.parametrize("name", CHECKS)
def test_five_thousand_classes_of_one_row(name):
    texts = [f"text about subject {i * 7919 % 5000} and no other" for i in range(5_000)]
    began = time.process_time()
    asked(name, table(texts, labels=[f"class {i}" for i in range(5_000)], splits=["train"]))

    assert time.process_time() - began < 20


@pytest.mark.parametrize("name", CHECKS)
def test_twenty_thousand_rows_of_one_text_stay_linear(name):
    rows = table(["the same text"] * 20_000, labels=["a"], splits=["train", "train", "test"])
    vectors = np.tile(np.eye(1, 4, dtype=np.float32), (20_000, 1))
    began = time.process_time()
    found = asked(name, rows, vectors)

    expected = {"duplicates": 13_333, "leaks": 13_334, "semantic_duplicates": 0}
    assert expected[name] == found.num_rows
    assert time.process_time() - began < 15


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("labels", [[None], ["a", None], [None, "a", "b"]])
def test_rows_without_a_label_are_no_fault(name, labels):
    texts = ["my card", "is lost", "since monday", "my card!"] * 20
    vectors = np.tile(np.eye(4, dtype=np.float32), (20, 1))

    asked(name, table(texts, labels), vectors)


def test_rows_without_a_test_row_have_no_leaks():
    assert 0 == asked("leaks", table(["my card", "my card"] * 20, splits=["train"])).num_rows
