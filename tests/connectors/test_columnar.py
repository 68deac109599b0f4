"""parquet: declared types are kept, and leave no trace of the library that wrote them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors import SourceError


def test_declared_types_are_kept_and_spellings_of_text_become_one(read_all, tmp_path):
    table = pa.table(
        {
            "text": pa.array(["a", "b"], pa.large_string()),
            "label": pa.array(["x", "y"]).dictionary_encode(),
            "n": pa.array([1, None], pa.int32()),
            "tags": pa.array([["p"], []], pa.large_list(pa.string())),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    out = read_all("a.parquet", strings=["text", "label"])

    assert table.to_pylist() == out.rows
    assert [pa.string(), pa.string(), pa.int32(), pa.list_(pa.string())] == out.table.schema.types[
        :4
    ]
    assert [0, 1] == out.numbers
    assert [None, None] == out.lines


def test_a_null_a_broken_and_an_overlong_text_are_set_aside(read_all, tmp_path):
    broken = pa.array([b"caf\xe9"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 1, broken.buffers())
    texts = pa.concat_arrays([pa.array(["a", None]), text, pa.array(["x" * 2000, "b"])])
    pq.write_table(pa.table({"text": texts, "n": range(5)}), tmp_path / "a.parquet")
    out = read_all("a.parquet", strings=["text"], max_record_bytes=1000)

    assert [{"text": "a", "n": 0}, {"text": "b", "n": 4}] == out.rows
    assert [0, 4] == out.numbers
    assert [
        (1, "wrong type: 'text' is null, expected a string"),
        (2, "broken text: byte 0xe9 in 'text'"),
        (3, "too long: 2,000 bytes, expected at most 1,000 (max_record_bytes)"),
    ] == [(bad.record, bad.reason) for bad in out.bad]
    assert "caf\\xe9\t2" == out.bad[1].raw


def test_a_text_column_that_is_declared_a_number_is_refused(read_all, tmp_path):
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")

    with pytest.raises(SourceError, match="column 'text' holds int64, expected strings"):
        read_all("a.parquet", strings=["text"])


def test_no_records_and_a_false_file_say_so(read_all, tmp_path):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")

    with pytest.raises(SourceError, match=r"has columns \(text\) but no records"):
        read_all("a.parquet")
    with pytest.raises(SourceError, match="is not a readable parquet file"):
        read_all("a.parquet", "text,label\n")
