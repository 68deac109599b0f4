"""xlsx: a sheet reads as its csv export would."""

from __future__ import annotations

import datetime as dt

import pytest
from openpyxl import Workbook

from connectors import SourceError


@pytest.fixture
def book(tmp_path):
    """Write sheets of rows to a.xlsx."""

    def build(**sheets):
        workbook = Workbook()
        workbook.remove(workbook.active)
        for name, rows in sheets.items():
            sheet = workbook.create_sheet(name)
            for row in rows:
                sheet.append(row)
        workbook.save(tmp_path / "a.xlsx")

    return build


def test_cells_read_as_a_csv_export_would_give_them(book, read_all):
    day, moment = dt.date(2024, 12, 24), dt.datetime(2024, 12, 24, 8, 30)  # noqa: DTZ001
    book(data=[["text", "n", "", "when"], ["a", 57, 0.5, day], ["b", 2.0, True, moment], ["c"]])

    assert [
        {"text": "a", "n": "57", "column_3": "0.5", "when": "2024-12-24"},
        {"text": "b", "n": "2", "column_3": "true", "when": "2024-12-24 08:30:00"},
        {"text": "c", "n": "", "column_3": "", "when": ""},
    ] == read_all("a.xlsx").rows


def test_the_row_of_the_sheet_is_given_and_empty_rows_are_no_records(book, read_all):
    book(data=[["text"], [None], ["a"], [None], ["b"]])
    out = read_all("a.xlsx")

    assert [3, 5] == out.lines
    assert [0, 1] == out.numbers


def test_two_filled_sheets_are_never_guessed_at(book, read_all):
    book(train=[["text"], ["a"]], test=[["text"], ["b"]], notes=[])

    with pytest.raises(SourceError, match=r"2 sheets are filled \(train, test\); name one with"):
        read_all("a.xlsx")
    assert [{"text": "b"}] == read_all("a.xlsx", sheet="test").rows
    with pytest.raises(SourceError, match=r"no sheet 'tests'; .* did you mean 'test'\?"):
        read_all("a.xlsx", sheet="tests")


def test_one_filled_sheet_among_empty_ones_is_read(book, read_all):
    book(empty=[], data=[["text"], ["a"]])

    assert [{"text": "a"}] == read_all("a.xlsx").rows


def test_a_row_wider_than_the_header_and_an_error_cell_are_set_aside(book, read_all):
    book(data=[["text", "label"], ["a", "x", "more"], ["#N/A", "x"], ["b", "y"]])
    out = read_all("a.xlsx")

    assert [{"text": "b", "label": "y"}] == out.rows
    assert [
        (2, "ragged row: 3 cells, expected 2 (text, label)"),
        (3, "wrong type: cell A3 holds the error #N/A"),
    ] == [(bad.line, bad.reason) for bad in out.bad]


def test_an_empty_sheet_a_header_alone_and_a_false_workbook_say_so(book, read_all):
    book(data=[])
    with pytest.raises(SourceError, match="the sheet is empty"):
        read_all("a.xlsx")
    book(data=[["text", "label"]])
    with pytest.raises(SourceError, match=r"has a header \(text, label\) but no records"):
        read_all("a.xlsx")
    with pytest.raises(SourceError, match=r"is not a readable xlsx workbook .* save it as .xlsx"):
        read_all("a.xlsx", "text,label\na,x\n")
    with pytest.raises(SourceError, match="the file is empty; expected a workbook"):
        read_all("a.xlsx", b"")
