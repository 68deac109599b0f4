"""json and jsonl: one crafted file per rule."""

from __future__ import annotations

import json

import pytest

from connectors import SourceError

RECORDS = [
    {"text": "a", "label": "x", "n": 1},
    {"text": "b", "label": "y", "n": 2.5, "deep": {"k": [1, "é"]}},
    {"label": "z", "text": "c", "n": None, "flag": True},
]
ROWS = [
    {"text": "a", "label": "x", "n": "1", "deep": None, "flag": None},
    {"text": "b", "label": "y", "n": "2.5", "deep": '{"k": [1, "é"]}', "flag": None},
    {"text": "c", "label": "z", "n": None, "deep": None, "flag": "true"},
]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize(
    "content",
    [
        "\n".join(map(json.dumps, RECORDS)),
        json.dumps(RECORDS),
        "\ufeff \n" + json.dumps(RECORDS, indent=2),
    ],
    ids=["lines", "array", "indented array with a mark"],
)
def test_an_array_and_lines_read_the_same_whatever_the_ending(read_all, name, content):
    assert ROWS == read_all(name, content).rows


def test_the_line_of_a_record_in_an_indented_array_is_where_it_begins(read_all):
    assert [2, 7, 18] == read_all("a.json", json.dumps(RECORDS, indent=2)).lines


def test_each_kind_of_bad_line_is_set_aside_with_its_reason(read_all):
    lines = [
        b'{"text": "fine", "label": "x"}',
        b'{"text": "cut',
        b"[1, 2]",
        b'{"text": 5, "label": "x"}',
        b'{"text": null, "label": "x"}',
        b'{"label": "x"}',
        b'{"text": "caf\xe9", "label": "x"}',
        b'{"text": "a", "text": "b", "label": "x"}',
        b'{"text": "\\ud83d", "label": "x"}',
        b'{"text": "' + b"x" * 2000 + b'", "label": "x"}',
        b"",
        b'{"text": "' + "还好".encode() + b'", "label": "x"}',
    ]
    out = read_all("a.jsonl", b"\n".join(lines), strings=["text"], max_record_bytes=1000)

    assert ["fine", "还好"] == out.table["text"].to_pylist()
    assert [1, 12] == out.lines
    assert [0, 10] == out.numbers
    assert [
        (2, "not JSON: Unterminated string starting at at character 10"),
        (3, "wrong type: a list, expected an object"),
        (4, "wrong type: 'text' is a number, expected a string"),
        (5, "wrong type: 'text' is null, expected a string"),
        (6, "wrong type: 'text' is missing, expected a string"),
        (7, 'broken text: byte 0xe9 after \'{"text": "caf\' is not valid here'),
        (8, "not JSON: key 'text' stands twice in one object"),
        (9, "half a surrogate pair U+D83D after ''"),
        (10, "too long: 2,027 bytes, expected at most 1,000 (max_record_bytes)"),
    ] == [(bad.line, bad.reason) for bad in out.bad]


def test_a_line_of_ten_megabytes_is_set_aside(read_all):
    huge = json.dumps({"text": "x" * 10_000_000})
    out = read_all("a.jsonl", f'{{"text": "a"}}\n{huge}\n{{"text": "b"}}\n')

    assert ["a", "b"] == out.table["text"].to_pylist()
    assert [1, 3] == out.lines
    assert out.bad[0].reason.startswith("too long: 10,000,0")
    assert 500 == len(out.bad[0].raw)


def test_an_element_of_ten_megabytes_and_one_that_is_no_object_are_set_aside(read_all):
    out = read_all(
        "a.json", json.dumps([{"text": "a"}, {"text": "x" * 10_000_000}, 7, {"text": "b"}])
    )

    assert ["a", "b"] == out.table["text"].to_pylist()
    assert "wrong type: a number, expected an object" == out.bad[1].reason


def test_broken_syntax_in_an_array_names_the_line_and_the_way_out(read_all):
    with pytest.raises(SourceError, match=r"a.json:3: the JSON array breaks here: .*\.jsonl"):
        read_all("a.json", '[\n{"text": "a"},\n{"text" "b"}\n]')
    with pytest.raises(SourceError, match="expected ',' or ']'"):
        read_all("a.json", '[{"text": "a"}')


def test_nesting_without_end_is_no_crash(read_all):
    out = read_all("a.jsonl", '{"text": "a"}\n' + "[" * 100_000 + "\n")

    assert "not JSON: nested too deeply" == out.bad[0].reason


@pytest.mark.parametrize("content", ["[]", "[ ]", "\n\n {}"[:2] + "[\n]"])
def test_an_array_without_records_says_so(read_all, content):
    with pytest.raises(SourceError, match="no records; expected JSON objects"):
        read_all("a.json", content)


def test_one_object_around_the_records_is_explained(read_all):
    with pytest.raises(SourceError, match="one JSON object over several lines; expected an array"):
        read_all("a.json", json.dumps({"data": RECORDS}, indent=1))


def test_a_column_that_no_record_has_is_refused(read_all):
    with pytest.raises(SourceError, match=r"no column 'sentence'; the columns are"):
        read_all("a.jsonl", json.dumps(RECORDS[0]), strings=["sentence"])


def test_a_key_that_first_comes_late_is_a_column_of_every_batch(read_all):
    lines = [json.dumps({"text": f"t{i}"}) for i in range(12_000)]
    out = read_all("a.jsonl", "\n".join([*lines, '{"text": "last", "late": 1}']))

    assert 12_000 == out.table["late"].null_count
    assert "1" == out.table["late"][-1].as_py()


def test_a_file_split_into_three_parts_gives_the_same_values(read_all):
    whole = read_all("whole.jsonl", "\n".join(map(json.dumps, RECORDS))).rows
    parts = [read_all(f"{i}.jsonl", json.dumps(r)).rows[0] for i, r in enumerate(RECORDS)]

    assert whole == [{name: part.get(name) for name in ROWS[0]} for part in parts]


def test_a_chinese_file_in_gb18030_is_detected(read_all):
    lines = [{"sentence": "我收到货了，可以退款吗"}, {"sentence": "什么时候发货"}]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)

    assert lines == read_all("a.json", text.encode("gb18030")).rows


def test_a_key_with_the_name_of_a_place_keeps_its_values_under_another_name(read_all):
    out = read_all("a.jsonl", '{"text": "a", "source_line": 9}')

    assert [{"text": "a", "orig_source_line": "9"}] == out.rows
    assert [1] == out.lines
