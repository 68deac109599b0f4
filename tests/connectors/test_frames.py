"""Data frames in and out."""

from __future__ import annotations

import datasets
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from connectors import FRAME_KINDS, SourceError, as_frame, frame_batches

COLUMNS = {"text": ["a", "b", None], "n": [1, 2, 3]}


def rows(frame):
    table = pa.Table.from_batches(list(frame_batches(frame)))
    assert list(range(table.num_rows)) == table["source_row"].to_pylist()
    assert table.num_rows == table["source_line"].null_count
    return table.drop_columns(["source_row", "source_line"])


@pytest.mark.parametrize(
    "make",
    [pa.table, pd.DataFrame, pl.DataFrame, datasets.Dataset.from_dict, pa.RecordBatch.from_pydict],
    ids=["pyarrow", "pandas", "polars", "datasets", "batch"],
)
def test_every_kind_of_frame_gives_the_same_table(make):
    assert pa.table(COLUMNS).equals(rows(make(COLUMNS)))


@pytest.mark.parametrize("kind", FRAME_KINDS)
def test_a_table_goes_out_as_a_frame_and_comes_back(kind):
    table = pa.table(COLUMNS)

    assert table.equals(rows(as_frame(table, kind)))


def test_an_unknown_kind_of_frame_is_refused():
    with pytest.raises(SourceError, match="frames are of kind pandas, polars, pyarrow, datasets"):
        as_frame(pa.table(COLUMNS), "dask")


def test_a_list_of_dicts_reads_as_json_records_do():
    assert [
        {"text": "a", "n": "1", "more": None},
        {"text": "b", "n": None, "more": '["x"]'},
    ] == rows([{"text": "a", "n": 1}, {"text": "b", "more": ["x"]}]).to_pylist()


def test_class_numbers_of_a_data_set_become_class_names_and_its_order_counts():
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    frame = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, -1]}, features)

    assert [
        {"text": "c", "label": None},
        {"text": "a", "label": "no"},
    ] == rows(frame.select([2, 0])).to_pylist()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (7, "a int is not a source; expected a DataFrame of pandas or polars"),
        ([], "the data frame has no records"),
        ([{"text": "a"}, 7], "record 1 is a int, expected a dict"),
        (pa.table({"text": pa.array([], pa.string())}), "the data frame has no records"),
        (pd.DataFrame({"text": ["a", 1]}), "give each column one type"),
        (pa.table([[1], [2]], names=["a", "a"]), "column name 'a' stands twice"),
    ],
    ids=["number", "empty list", "mixed list", "empty table", "mixed column", "two names alike"],
)
def test_what_is_no_source_says_why(frame, message):
    with pytest.raises(SourceError, match=message):
        list(frame_batches(frame))
