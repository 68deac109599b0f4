"""What no check may choke on: each text check on each kind of bad rows."""

from __future__ import annotations

import time
from itertools import cycle, islice

import numpy as np
import pyarrow as pa
import pytest

from curator.checks.composition import composition
from curator.checks.drift import drift
from curator.checks.language import language
from curator.checks.outliers import outliers
from curator.checks.quality import quality
from curator.checks.shortcuts import shortcuts
from curator.checks.text import clean
from curator.schema import FINDING_SCHEMA

CHECKS = {
    "clean": clean, "quality": quality, "language": language, "shortcuts": shortcuts,
    "outliers": outliers, "composition": composition, "drift": drift,
}  # fmt: skip
WITH_EMBEDDINGS = ("outliers", "composition", "drift")
TEXTS = {
    "none at all": [],
    "one": ["one"],
    "empty": ["", "", ""],
    "emoji": ["😀", "👩‍👩‍👧", "🇩🇪", "❤️"],
    "right to left": ["مرحبا أين بطاقتي من فضلك", "איפה הכרטיס שלי בבקשה", "\u202eabc\u202c"],
    "broken": ["Ã¢â‚¬â„¢ Ã©tÃ©", "caf\xe9 \ufffd", "\x00\x01", "ä½ å¥½"],
    "numbers": ["1", "2.5", "-3e9", "１２３"],
    "identical": ["the same text"] * 60,
    "marks": ["\u0301\u0301", "\u200b\u200d", "\ufeff", "\n\n\n", "\t"],
    "beyond the basic plane": ["𠀀𠀁𠀂" * 30, "𝒜𝒷𝒸"],
    "brackets": ["{" * 60 + "}" * 60, "[" * 200, "\\begin{", "(((", "](" * 50],
}


def table(texts, labels=("a", "b"), splits=("train", "train", "test")):
    n = len(texts)
    return pa.table({
        "id": pa.array([f"r{i:07}" for i in range(n)], pa.string()),
        "group": pa.array([f"g{i:07}" for i in range(n)], pa.string()),
        "text": pa.array(texts, pa.string()),
        "label": pa.array(islice(cycle(labels), n), pa.string()),
        "split": pa.array(islice(cycle(splits), n), pa.string()),
        "source": pa.array(["file"] * n, pa.string()),
        "source_row": pa.array(range(n), pa.int64()),
    })  # fmt: skip


def asked(name, rows):
    vectors = np.random.default_rng(0).normal(size=(rows.num_rows, 4)).astype(np.float32)
    found = CHECKS[name](rows, vectors) if name in WITH_EMBEDDINGS else CHECKS[name](rows)
    assert FINDING_SCHEMA.equals(found.schema)
    assert set(found["row_id"].to_pylist()) <= set(rows["id"].to_pylist())
    assert np.isfinite(found["score"].drop_null().to_numpy(zero_copy_only=False)).all()
    return found


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_bad_texts_are_no_fault(name, texts):
    rows = table(texts)

    assert asked(name, rows).equals(asked(name, rows))


LONG = {
    "words": "word " * 2_000_000,
    "Chinese": "我的卡" * 1_100_000,
    "one word": "x" * 10_000_000,
    "lines": "a\n" * 5_000_000,
    "brackets": "{}" * 5_000_000,
}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("kind", LONG)
def test_a_text_of_ten_megabytes_does_not_hang(name, kind):
    began = time.process_time()

    asked(name, table([LONG[kind], "my card is lost", "my card is gone"]))

    assert time.process_time() - began < 15


@pytest.mark.parametrize("name", CHECKS)
def test_five_thousand_classes_of_one_row(name):
    texts = [f"text about subject {i} and no other" for i in range(5_000)]
    rows = table(texts, labels=[f"class {i}" for i in range(5_000)], splits=["train"])

    found = asked(name, rows)

    if name == "composition":
        assert 5_000 == sum(t == "rare_class" for t in found["issue_type"].to_pylist())


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("labels", [[""], [None], ["a", None, "b"]])
def test_rows_without_labels_are_checked_as_well(name, labels):
    asked(name, table(["my card", "is lost", "since monday"] * 20, labels=labels))


@pytest.mark.parametrize("name", CHECKS)
def test_only_test_rows_are_checked_as_well(name):
    asked(name, table(["my card", "is lost", "since monday"] * 20, splits=["test"]))
