"""A first look at a file: facts and doubts."""

from __future__ import annotations

import pyarrow as pa
from openpyxl import Workbook

from connectors import inspect, write


def test_a_chinese_spreadsheet_export_is_described(tmp_path):
    rows = "".join(f"T{i};这是第{i}个问题吗;{'售后' if i % 2 else '物流'}\n" for i in range(10))
    path = tmp_path / "导出.csv"
    path.write_bytes(f"工单;问题;类别\n{rows}".encode("gb18030"))
    found = inspect(path)

    assert ("csv", "gb18030", ";") == (found.format, found.encoding, found.delimiter)
    assert (10, 0, ()) == (found.rows, found.bad, found.doubts)
    assert {"工单": "T0", "问题": "这是第0个问题吗", "类别": "物流"} == found.first[0]
    assert 5 == len(found.first)
    assert [("工单", 10), ("问题", 10), ("类别", 2)] == [
        (c.name, c.distinct) for c in found.columns
    ]
    assert 8 == found.columns[1].longest
    assert ("物流", "售后") == found.columns[2].samples


def test_each_column_has_the_kind_that_all_its_cells_have(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"i": 1, "f": 1, "b": true, "d": "2024-01-05", "o": {"a": 1}, "t": "x", "e": null}\n'
        '{"i": 2, "f": 2.5, "b": false, "d": "2024-01-06", "o": [], "t": "7", "e": ""}\n'
    )
    kinds = {column.name: column.kind for column in inspect(tmp_path / "a.jsonl").columns}

    assert {
        "i": "integer", "f": "number", "b": "boolean", "d": "day",
        "o": "nested", "t": "text", "e": "empty",
    } == kinds  # fmt: skip


def test_typed_columns_are_described_too(tmp_path):
    table = pa.table({"n": [1, 2, 2, None], "l": [["a"], ["b"], None, []]})
    write(table, tmp_path / "a.parquet", to="parquet")
    number, nested = inspect(tmp_path / "a.parquet").columns

    assert ("integer", 0.75, 2) == (number.kind, number.filled, number.distinct)
    assert "nested" == nested.kind


def test_two_sheets_two_delimiters_bad_rows_and_a_headerless_file_are_doubts(tmp_path):
    book = Workbook()
    book.active.append(["text"])
    book.active.append(["a"])
    book.create_sheet("More").append(["text"])
    book.save(tmp_path / "a.xlsx")
    (tmp_path / "b.csv").write_text("a;b,c\n1;2,3\n4;5,6\n")
    (tmp_path / "c.csv").write_text("text,label\na,x\nb\n")
    (tmp_path / "d.csv").write_text("Hello there,1\nBye,2\n")

    doubts = {name: inspect(tmp_path / name).doubts for name in ("a.xlsx", "b.csv", "d.csv")}

    assert ("2 sheets are filled: Sheet, More; Sheet was read",) == doubts["a.xlsx"]
    assert ("the delimiter could be ',' or ';'; ',' was read",) == doubts["b.csv"]
    assert ("the first line looks like data, not like column names: '1'",) == doubts["d.csv"]
    found = inspect(tmp_path / "c.csv")
    assert (1, 1, 3) == (found.rows, found.bad, found.bad_records[0].line)
    assert found.doubts[0].startswith("1 of 2 records cannot be read; the first, line 3: ragged")
