"""csv and tsv: one crafted file per rule; the reason is asserted, not only the verdict."""

from __future__ import annotations

import pytest

from connectors import SourceError


def test_a_quoted_cell_over_several_lines_is_one_record_that_begins_on_its_first_line(read_all):
    out = read_all("a.csv", 'text,label\n"one\ntwo, three",x\nlast,y\n')

    assert [
        {"text": "one\ntwo, three", "label": "x"},
        {"text": "last", "label": "y"},
    ] == out.rows
    assert [2, 4] == out.lines
    assert [0, 1] == out.numbers


def test_a_ragged_row_is_set_aside_with_its_line_and_raw_text(read_all):
    out = read_all("a.csv", "text,label\na,x\nb,x,extra\nc\nd,y\n")

    assert [0, 3] == out.numbers
    assert [
        ("file:a.csv", 3, 1, "ragged row: 3 cells, expected 2 (text, label)", "b,x,extra\n"),
        ("file:a.csv", 4, 2, "ragged row: 1 cells, expected 2 (text, label)", "c\n"),
    ] == [(b.source, b.line, b.record, b.reason, b.raw) for b in out.bad]


def test_a_broken_byte_spoils_its_own_line_only(read_all):
    out = read_all("a.csv", b"text,label\ngr\xc3\xbcn,x\ncaf\xe9,x\nrot,y\n")

    assert ["grün", "rot"] == out.table["text"].to_pylist()
    assert 1 == len(out.bad)
    assert "broken text: byte 0xe9 after 'caf' is not valid in" in out.bad[0].reason
    assert "caf\\xe9,x\n" == out.bad[0].raw
    assert 3 == out.bad[0].line


def test_a_row_of_ten_megabytes_is_set_aside_and_the_rest_goes_on(read_all):
    huge = "x" * 10_000_000
    out = read_all("a.csv", f'text,label\na,x\n"{huge}\n{huge[:9]}",y\nb,y\n')

    assert ["a", "b"] == out.table["text"].to_pylist()
    assert [2, 5] == out.lines
    assert (
        "too long: 10,000,015 bytes over 2 lines, expected at most 1,000,000 (max_record_bytes)"
        == out.bad[0].reason
    )
    assert 500 == len(out.bad[0].raw)


def test_a_line_too_long_to_hold_is_skipped_without_reading_it_whole(read_all):
    out = read_all("a.csv", "text,label\n" + "x" * 50_000 + ",a\nb,y\n", max_record_bytes=1000)

    assert ["b"] == out.table["text"].to_pylist()
    assert "too long: the line is longer than 16,000 characters" == out.bad[0].reason
    assert [3] == out.lines


def test_a_cell_beyond_the_csv_modules_own_limit_is_read(read_all):
    long = "y" * 500_000
    assert [long] == read_all("a.csv", f"text,label\n{long},a\n").table["text"].to_pylist()


def test_a_quote_that_never_closes_costs_one_line_not_the_rest_of_the_file(read_all):
    out = read_all("a.csv", 'text,label\na,x\n"stray,x\nb,y\nc,y\n')

    assert ["a", "b", "c"] == out.table["text"].to_pylist()
    assert [2, 4, 5] == out.lines
    assert "broken quoting: a quote that opens here is never closed" == out.bad[0].reason
    assert (3, '"stray,x\n') == (out.bad[0].line, out.bad[0].raw)


def test_a_stray_quote_that_meets_another_one_gives_the_lines_between_back(read_all):
    out = read_all("a.csv", 'text,label\na,x\n"stray,x\nb,y\nc,y\nd,a 5"\ne,z\n')

    assert ["a", "b", "c", "d", "e"] == out.table["text"].to_pylist()
    assert [0, 2, 3, 4, 5] == out.numbers
    assert [2, 4, 5, 6, 7] == out.lines
    assert "broken quoting: the quote that opens here swallows 3 more lines" == out.bad[0].reason


def test_a_ragged_text_of_several_lines_is_one_bad_record(read_all):
    out = read_all("a.csv", 'text,label\n"one\ntwo\nthree, four",x,extra\nb,y\n')

    assert ["b"] == out.table["text"].to_pylist()
    assert "ragged row: 3 cells over 3 lines, expected 2 (text, label)" == out.bad[0].reason


def test_text_after_a_closing_quote_is_bad_never_silently_joined(read_all):
    out = read_all("a.csv", 'text,label\n"He said "hi" to me",x\nb,y\n')

    assert ["b"] == out.table["text"].to_pylist()
    assert "expected a quote within a cell to be doubled" in out.bad[0].reason


def test_an_apostrophe_or_an_inch_mark_within_a_cell_is_plain_text(read_all):
    assert ['a 5" disk'] == read_all("a.csv", 'text,label\na 5" disk,x\n').table["text"].to_pylist()


def test_zero_bytes_are_kept_for_the_clean_step(read_all):
    assert ["a\0b"] == read_all("a.csv", b"text,label\na\0b,x\n").table["text"].to_pylist()


def test_blank_lines_are_no_records_but_count_as_lines(read_all):
    out = read_all("a.csv", "text,label\n\na,x\n\n\nb,y\n\n")

    assert [3, 6] == out.lines
    assert [0, 1] == out.numbers


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
def test_every_kind_of_line_end_reads_the_same(read_all, end):
    out = read_all("a.csv", end.join(["text,label", "a,x", '"b, c",y', ""]))

    assert [{"text": "a", "label": "x"}, {"text": "b, c", "label": "y"}] == out.rows
    assert [2, 3] == out.lines


def test_a_file_without_a_last_line_end_reads_whole(read_all):
    assert ["a", "b"] == read_all("a.csv", "text,label\na,x\nb,y").table["text"].to_pylist()


@pytest.mark.parametrize(
    "delimiter", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"]
)
def test_the_delimiter_is_told_from_the_rows(read_all, delimiter):
    rows = [("text", "label"), ("one, two; three", "x"), ("four", "y")]
    content = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)

    assert ["one, two; three", "four"] == read_all("a.csv", content).table["text"].to_pylist()


def test_commas_in_the_text_do_not_outvote_the_semicolons(read_all):
    out = read_all("a.csv", "text;label\nHello, you, there;x\nNo, thanks;y\n")

    assert ["Hello, you, there", "No, thanks"] == out.table["text"].to_pylist()


def test_a_given_delimiter_is_obeyed_and_a_wrong_one_refused(read_all):
    assert ["text;label"] == read_all(
        "a.csv", "text;label\na;x\n", delimiter=","
    ).table.column_names[:1]
    with pytest.raises(SourceError, match="delimiter ',,' is not one character"):
        read_all("a.csv", "text,label\na,x\n", delimiter=",,")


def test_an_empty_column_name_becomes_its_number(read_all):
    assert ["column_1", "text"] == read_all("a.tsv", "\ttext\n7\ta\n").table.column_names[:2]


def test_two_columns_of_one_name_are_refused(read_all):
    with pytest.raises(SourceError, match=r"'text' stands twice \(columns 1 and 3\)"):
        read_all("a.csv", "text,label,text\na,x,b\n")


def test_a_column_with_the_name_of_a_place_keeps_its_values_under_another_name(read_all):
    assert [{"text": "a", "orig_source_row": "7"}] == read_all(
        "a.csv", "text,source_row\na,7\n"
    ).rows


def test_an_empty_file_says_so(read_all):
    with pytest.raises(SourceError, match=r"file:a.csv: the file is empty; expected records"):
        read_all("a.csv", b"")
    with pytest.raises(SourceError, match="the file is empty"):
        read_all("a.csv", b"\xef\xbb\xbf\n")


def test_a_header_alone_says_so(read_all):
    with pytest.raises(SourceError, match=r"has a header \(text, label\) but no records"):
        read_all("a.csv", "text,label\n")


def test_a_header_that_is_no_text_says_so(read_all):
    with pytest.raises(SourceError, match=r"a.csv:1: the header cannot be read: byte 0xe9"):
        read_all("a.csv", b"t\xe9xt,label\na,x\n")


def test_a_wanted_column_that_is_missing_names_the_nearest(read_all):
    with pytest.raises(SourceError, match=r"no column 'txt'; .*did you mean 'text'\?"):
        read_all("a.csv", "text,label\na,x\n", strings=["txt"])


def test_more_records_than_a_batch_holds_keep_their_numbers(read_all):
    out = read_all("a.csv", "text\n" + "".join(f"t{i}\n" for i in range(25_000)))

    assert list(range(25_000)) == out.numbers
    assert list(range(2, 25_002)) == out.lines


def test_a_file_split_into_three_parts_gives_the_same_values(read_all):
    header = "text,score,note"
    rows = ["a,1,", "b,2.5,x", "c,,3", "d,nan,true", "e,007,null", "f,1e3,"]
    whole = read_all("whole.csv", "\n".join([header, *rows])).rows
    parts = [read_all(f"{i}.csv", "\n".join([header, *rows[i : i + 2]])).rows for i in (0, 2, 4)]

    assert whole == [row for part in parts for row in part]
