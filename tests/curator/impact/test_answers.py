"""A file of answers is taken whole or not at all, and every fault is counted with its places."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

import connectors
from curator.errors import MeasureError
from curator.impact.answers import read_answers
from curator.impact.outside import Asked

ASKED = Asked(frozenset("abcd"), ("a", "b", "c"), frozenset({"yes", "no", "57"}))


def answers(seeds=(0, 1), ids="abc", value="yes", name="prediction"):
    return [{"id": i, "seed": s, name: value} for s in seeds for i in ids]


def written(path, records):
    """Write records as jsonl, or as the ending of the name says."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    else:
        connectors.write(pa.Table.from_pylist(records), path, to=path.suffix[1:])
    return path


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize(("name", "value"), [("prediction", "57"), ("score", 0.25)])
def test_every_format_says_the_same(tmp_path, ending, name, value):
    path = written(tmp_path / f"a.{ending}", answers(name=name, value=value))

    found = read_answers(path, ASKED)

    assert (name, (0, 1)) == (found.kind, found.seeds)
    assert {"a": value, "b": value, "c": value} == found.by_seed[1]


def test_a_whole_number_is_a_label_as_it_is_spelt(tmp_path):
    path = written(tmp_path / "a.jsonl", answers(value=57))

    assert "57" == read_answers(path, ASKED).by_seed[0]["a"]


def test_test_rows_that_are_not_compared_are_left_out(tmp_path):
    path = written(tmp_path / "a.jsonl", answers(ids="abcd"))

    assert set("abc") == read_answers(path, ASKED).by_seed[0].keys()


def test_the_digest_is_of_what_was_answered_not_of_the_file(tmp_path):
    one = read_answers(written(tmp_path / "a.jsonl", answers()), ASKED)
    other = read_answers(written(tmp_path / "b.csv", answers()[::-1]), ASKED)
    third = read_answers(written(tmp_path / "c.csv", answers(value="no")), ASKED)

    assert one.digest() == other.digest() != third.digest()


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ([*answers(), {"id": "zz", "seed": 1, "prediction": "yes"}],
         "1 ids of no test row: line 7 ('zz')"),
        (answers()[:-2],
         "2 test rows without an answer: id b under seed 1, id c under seed 1"),
        ([*answers(), answers()[0]],
         "1 rows answered twice under one seed: line 7 (id a, seed 0)"),
        (answers(value="maybe"), (
         "6 predictions that are no label (labels are '57', 'no', 'yes'; an answer that is none "
         "of them can be given as a score of 0): line 1 ('maybe'), line 2 ('maybe'), "
         "line 3 ('maybe'), and 3 more")),
        (answers(value=None), "6 predictions that are no text: line 1 (None)"),
        (answers(seeds=("first",)), "3 seeds that are not a whole number: line 1 ('first')"),
        (answers(seeds=(0.5,)), "3 seeds that are not a whole number: line 1 ('0.5')"),
        (answers(name="score", value=float("nan")), "6 scores that are NaN or no number: line 1"),
        (answers(name="score", value="good"), "6 scores that are NaN or no number: line 1 ('good'"),
        (answers(name="score", value=7), "6 scores outside 0..1: line 1 ('7')"),
    ],
    ids=["unknown id", "missing", "doubled", "unknown label", "null",
         "seed word", "seed half", "NaN", "score word", "score of 7"],
)  # fmt: skip
def test_each_fault_is_told_with_its_count_and_first_places(tmp_path, records, told):
    path = written(tmp_path / "a.jsonl", records)

    with pytest.raises(MeasureError) as caught:
        read_answers(path, ASKED)

    assert str(caught.value).startswith(f"{path}: these answers cannot be compared:\n  ")
    assert told in str(caught.value)


def test_faults_of_several_kinds_are_told_together(tmp_path):
    records = [*answers(value="maybe")[:5], {"id": "zz", "seed": 0, "prediction": "yes"}]

    with pytest.raises(MeasureError) as caught:
        read_answers(written(tmp_path / "a.jsonl", records), ASKED)

    assert 3 == str(caught.value).count("\n  ")


def test_nan_of_a_parquet_file_is_found_too(tmp_path):
    table = pa.table({"id": list("abc"), "seed": [0, 0, 0], "score": np.array([0.1, np.nan, 0.2])})
    connectors.write(table, tmp_path / "a.parquet", to="parquet")

    with pytest.raises(MeasureError, match=r"1 scores that are NaN or no number: record 2 \(nan\)"):
        read_answers(tmp_path / "a.parquet", ASKED)


def test_a_line_that_is_no_json_is_told_with_its_number(tmp_path):
    path = written(tmp_path / "a.jsonl", answers())
    path.write_text(path.read_text() + "{oops\n")

    with pytest.raises(MeasureError, match=r"1 records that cannot be read: line 7 \("):
        read_answers(path, ASKED)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"id": "a", "prediction": "yes"}, "has no column 'seed', only columns"),
        ({"id": "a", "seed": 0, "predicted": "yes"}, "Is 'predicted' for 'prediction'?"),
        ({"id": "a", "seed": 0, "prediction": "yes", "score": 1}, "both a prediction and a score"),
    ],
    ids=["no seed", "misspelt", "both"],
)
def test_missing_columns_are_told_with_the_nearest(tmp_path, record, told):
    with pytest.raises(MeasureError) as caught:
        read_answers(written(tmp_path / "a.jsonl", [record]), ASKED)

    assert told in str(caught.value)
    assert "expected ['id', 'seed'] and one of prediction" in str(caught.value)


def test_an_empty_file_is_no_answer(tmp_path):
    with pytest.raises(connectors.SourceError, match="the file is empty"):
        read_answers(written(tmp_path / "a.jsonl", []), ASKED)


def test_a_file_of_one_run_needs_no_seed_but_may_not_have_another(tmp_path):
    bare = [{"id": i, "prediction": "no"} for i in "abc"]
    found = read_answers(written(tmp_path / "a.jsonl", bare), ASKED, seed=4)

    assert (4,) == found.seeds
    with pytest.raises(MeasureError, match=r"6 seeds that are not 4: line 1 \('0'\)"):
        read_answers(written(tmp_path / "b.jsonl", answers()), ASKED, seed=4)
