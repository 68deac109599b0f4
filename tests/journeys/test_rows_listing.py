"""`curator rows`: rows, not counts, filtered, to the terminal and to files."""

from __future__ import annotations

import json

import polars as pl
import pytest

SPAN = "main~5..main"
COLUMNS = [
    "id", "action", "reason", "step", "issue_type", "score", "label", "text", "suggestion",
    "partner_id", "partner_text", "evidence", "before", "after", "split", "source", "source_row",
]  # fmt: skip


@pytest.fixture
def listed(curator, finished):
    """List rows as JSON: `listed("--step", "clean")`."""

    def call(*arguments):
        return curator(finished.folder, "rows", SPAN, *arguments, "--json").json()

    return call


def test_a_span_lists_every_row_with_reason_and_partner(listed):
    rows = listed()

    assert COLUMNS == list(rows[0])
    assert 1 + 1 + 2 + 1 + 1 + 146 + 2 == len(rows)
    leak = next(row for row in rows if row["issue_type"] == "leak")
    assert "near-duplicate of a frozen row" == leak["reason"]
    assert leak["text"] == leak["partner_text"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--step", "duplicates"), 4),
        (("--step", "duplicates", "--action", "drop"), 2),
        (("--issue", "near_duplicate"), 1),
        (("--action", "add"), 146),
        (("--where", "label = 'topic00' and action = 'drop'"), 4),
        (("--where", "score > 2"), 1),
        (("--where", "text like '%<b>%' or before like '%<b>%'"), 1),
        (("--issue", "unicode"), 0),
    ],
)
def test_filters_narrow_the_list(listed, arguments, expected):
    assert expected == len(listed(*arguments))


def test_the_counts_of_rows_and_diff_agree(curator, finished, listed):
    counts = curator(finished.folder, "diff", "main~5", "main", "--json").json()["counts"]

    assert sum(counts["dropped"].values()) == len(listed("--action", "drop"))
    assert sum(counts["added"].values()) == len(listed("--action", "add"))
    assert sum(counts["edited"].values()) == len(listed("--action", "edit"))


def test_rows_go_to_every_kind_of_file(curator, finished, tmp_path, listed):
    read = {
        "csv": pl.read_csv,
        "parquet": pl.read_parquet,
        "jsonl": pl.read_ndjson,
        "xlsx": _sheet,
    }
    expected = [row["id"] for row in listed("--action", "drop")]

    for ending, reader in read.items():
        out = tmp_path / f"rows.{ending}"
        said = curator(finished.folder, "rows", SPAN, "--action", "drop", "--out", out)
        assert (0, f"5 rows -> {out}\n") == (said.code, said.err)
        assert expected == reader(out)["id"].to_list()


def _sheet(path):
    import openpyxl

    header, *rows = openpyxl.load_workbook(path).active.iter_rows(values_only=True)
    return pl.DataFrame(rows, schema=list(header), orient="row")


def test_the_terminal_shows_some_and_says_how_many_more(curator, finished):
    said = curator(finished.folder, "rows", SPAN, "--limit", "3")

    assert "... and 151 more: --limit 0 shows all, --out FILE.csv writes them" in said.out
    assert "154 rows" in said.out


def test_a_version_lists_what_it_holds(curator, finished):
    said = curator(finished.folder, "rows", "main~5", "--where", "split = 'test'", "--json")

    assert 96 == len(json.loads(said.out))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SPAN, "--where", "scor > 2"), "--where 'scor > 2': unable to find column \"scor\""),
        ((SPAN, "--where", "score >"), "--where 'score >': unable to parse 'score >'"),
        ((SPAN, "--where", "score"), "--where 'score': "),
        ((SPAN, "--where", "text > 2"), "--where 'text > 2': "),
        ((SPAN, "--step", "leeks"), "no step 'leeks'"),
        ((SPAN, "--issue", "lable"), "Did you mean 'label'?"),
        ((SPAN, "--action", "droped"), "Did you mean 'drop'?"),
        (("main", "--action", "drop"), "the rows of one version have no action; ask a span"),
        (("main..main~5",), "does not descend from"),
        ((SPAN, "--out", "rows.txt"), "rows.txt: the name must end in one of ['csv', 'xlsx',"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(curator, finished, arguments, message):
    said = curator(finished.folder, "rows", *arguments)

    assert 1 == said.code
    assert message in said.err
    assert "Traceback" not in said.err


def test_a_bad_expression_names_the_columns_there_are(curator, finished):
    said = curator(finished.folder, "rows", SPAN, "--where", "scor > 2")

    assert "write an SQL expression over ['id', 'action', 'reason'," in said.err
    assert "such as \"label = 'x' and score > 2\"" in said.err
    assert 1 == said.err.count("\n")
