"""Writing: all or nothing, and what is written reads back as it was."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import datasets
import openpyxl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import SourceError, read, write

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TABLE = pa.table({"text": ["a", "b, c"], "n": [1, None], "tags": [["p"], None]})
LAW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def back(path: Path) -> list[dict[str, object]]:
    bad = []
    batches = list(read(str(path.name), base=path.parent, on_bad=bad.append))
    assert [] == bad
    return pa.Table.from_batches(batches).drop_columns(["source_row", "source_line"]).to_pylist()


@LAW
@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
def test_written_csv_reads_back(tmp_path, rows):
    records = [{"text": text, "label": label} for text, label in rows]
    write(pa.Table.from_pylist(records), tmp_path / "a.csv", to="csv")

    assert records == back(tmp_path / "a.csv")


@LAW
@given(rows=st.lists(st.tuples(TEXTS, st.none() | TEXTS), min_size=1, max_size=8))
def test_written_jsonl_reads_back_with_its_nulls(tmp_path, rows):
    records = [{"text": text, "label": label} for text, label in rows]
    schema = pa.schema({"text": pa.string(), "label": pa.string()})
    write(pa.Table.from_pylist(records, schema=schema), tmp_path / "a.jsonl", to="jsonl")

    assert records == back(tmp_path / "a.jsonl")


@LAW
@given(
    rows=st.lists(
        st.tuples(TEXTS, st.none() | st.integers(-(2**62), 2**62), st.lists(TEXTS, max_size=2)),
        min_size=1,
        max_size=8,
    )
)
def test_written_parquet_reads_back_with_its_types(tmp_path, rows):
    schema = pa.schema({"text": pa.string(), "n": pa.int64(), "tags": pa.list_(pa.string())})
    records = [dict(zip(schema.names, row, strict=True)) for row in rows]
    write(pa.Table.from_pylist(records, schema=schema), tmp_path / "a.parquet", to="parquet")

    assert records == back(tmp_path / "a.parquet")


def test_written_xlsx_reads_back_as_text_and_a_formula_stays_text(tmp_path):
    table = pa.table(
        {"text": ["=1+1", "b\nc", "@x"], "n": [1, None, 2.5], "ok": [True, False, None]}
    )
    write(table, tmp_path / "a.xlsx", to="xlsx")

    assert [
        {"text": "=1+1", "n": "1", "ok": "true"},
        {"text": "b\nc", "n": "", "ok": "false"},
        {"text": "@x", "n": "2.5", "ok": ""},
    ] == back(tmp_path / "a.xlsx")
    cell = openpyxl.load_workbook(tmp_path / "a.xlsx")["rows"]["A2"]
    assert ("s", "=1+1") == (cell.data_type, cell.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x" * 32_768, "row 1, column 'text': 32,768 characters do not fit an xlsx cell"),
        (
            "a\0b",
            "row 1, column 'text': a control character cannot stand in an xlsx cell; run the clean",
        ),
    ],
    ids=["too long", "control character"],
)
def test_a_text_that_does_not_fit_a_sheet_is_refused_and_nothing_is_written(
    tmp_path, text, message
):
    with pytest.raises(SourceError, match=message):
        write(pa.table({"text": [text]}), tmp_path / "a.xlsx", to="xlsx")
    assert [] == list(tmp_path.iterdir())


def test_a_written_folder_opens_in_datasets_and_is_replaced_whole(tmp_path):
    write(TABLE, tmp_path / "out", to="hf")
    write(TABLE.slice(0, 1), tmp_path / "out", to="hf")

    assert TABLE.slice(0, 1).to_pylist() == datasets.load_from_disk(str(tmp_path / "out")).to_list()
    assert ["out"] == [path.name for path in tmp_path.iterdir()]


def test_a_folder_that_is_not_ours_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"x")

    with pytest.raises(SourceError, match="is there already and is no folder of datasets"):
        write(TABLE, tmp_path / "photos", to="hf")
    with pytest.raises(SourceError, match="is a folder; name a file"):
        write(TABLE, tmp_path / "photos", to="csv")
    assert (tmp_path / "photos" / "me.jpg").exists()


@pytest.mark.parametrize("to", ["parquet", "jsonl", "csv"])
def test_an_earlier_file_is_replaced_and_nothing_else_is_left(tmp_path, to):
    path = tmp_path / "deep" / f"a.{to}"
    write(TABLE, path, to=to)
    write(TABLE.slice(1), path, to=to)

    assert 1 == len(back(path))
    assert [path] == list(path.parent.iterdir())


FULL = """
import resource, sys, signal
from pathlib import Path
import pyarrow as pa
from connectors import SourceError, write
table = pa.table({"text": [str(i) * 40 for i in range(20_000)]})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    write(table, Path(sys.argv[1]), to=sys.argv[2])
except SourceError as error:
    print(error)
"""


@pytest.mark.parametrize("to", ["parquet", "csv", "jsonl"])
def test_a_disk_without_space_leaves_the_earlier_file_as_it_was(tmp_path, to):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / f"a.{to}"
    path.write_text("the earlier file")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL, str(path), to],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert "cannot be written: " in done.stdout, done.stderr
    assert "File too large" in done.stdout
    assert "the earlier file" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("x")

    with pytest.raises(SourceError, match=r"file/a.csv: cannot be written: "):
        write(TABLE, tmp_path / "file" / "a.csv", to="csv")
    with pytest.raises(SourceError, match=r"cannot write 'cvs'; .*did you mean 'csv'\?"):
        write(TABLE, tmp_path / "a.csv", to="cvs")
