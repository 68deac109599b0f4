"""`import curator` from Python: its names, their docstrings, and frames in and out."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import warnings

import pyarrow as pa
import pytest

import curator

NAMES = [
    "CuratorError",
    "check",
    "compare",
    "draft",
    "export",
    "from_mapping",
    "load",
    "open_store",
    "rows",
    "run",
    "why",
]
FUNCTIONS = [name for name in NAMES if name != "CuratorError"]
RECORDS = [
    {"title": title, "intent": intent, "stars": stars}
    for stars, (title, intent) in enumerate(
        [
            ("where is my new card", "card"),
            ("a letter came without plastic inside", "card"),
            ("how long until delivery please", "card"),
            ("track the envelope you posted", "card"),
            ("我的付款在哪里", "no"),
            ("为什么转账被拒绝了", "no"),
            ("退款还没有到账", "no"),
            ("余额显示不正确怎么办", "no"),
        ]
    )
]


def test_the_public_names_are_these():
    assert sorted(curator.__all__) == NAMES == dir(curator)


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(AttributeError, match=r"curator has no 'rum'; it has .*'run'"):
        curator.rum  # noqa: B018 - to look it up is the test


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_says_what_it_takes_gives_and_refuses(name):
    function = getattr(curator, name)
    text = inspect.getdoc(function)
    undocumented = [
        parameter
        for parameter in inspect.signature(function).parameters
        if f"{parameter}:" not in text
    ]

    assert [] == undocumented
    assert [] == [part for part in ("Args:", "Returns:", "Raises:") if part not in text]


@pytest.mark.parametrize("first", ["curator.reporting", "curator.cli", "curator.python"])
def test_a_public_name_stays_a_function_whatever_is_imported_first(first):
    code = (
        f"import curator, {first}\n"
        "for _ in range(2):\n"
        "    for name in curator.__all__:\n"
        "        assert callable(getattr(curator, name)), name\n"
    )

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def make_pandas(records):
    return pytest.importorskip("pandas").DataFrame(records)


def make_polars(records):
    return pytest.importorskip("polars").DataFrame(records)


def make_datasets(records):
    return pytest.importorskip("datasets").Dataset.from_list(records)


MAKERS = {
    "pandas": make_pandas,
    "polars": make_polars,
    "pyarrow": pa.Table.from_pylist,
    "datasets": make_datasets,
    "a list of dicts": list,
}
READERS = {
    "pandas": lambda frame: frame.to_dict("records"),
    "polars": lambda frame: frame.to_dicts(),
    "pyarrow": lambda frame: frame.to_pylist(),
    "datasets": lambda frame: frame.to_list(),
}


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Import one frame into a store: imported(frame) -> store."""
    monkeypatch.setattr(os, "fsync", lambda _: None)

    def run(frame, name="store"):
        columns = {"text": "title", "label": "intent"}
        recipe = curator.from_mapping(
            {"sources": [{"from": frame, "columns": columns, "split": "train"}], "measure": False},
            base=tmp_path,
        )
        store = curator.open_store(tmp_path / name, create=True)
        curator.run(recipe, store)
        return store

    return run


@pytest.mark.parametrize("kind", MAKERS)
def test_a_frame_is_a_source_and_its_rows_come_back_as_any_frame(kind, imported):
    """A frame's types stay; a list of dicts reads as JSON records do, whose values are text."""
    store = imported(MAKERS[kind](RECORDS))
    own = str if kind == "a list of dicts" else int
    delivered = sorted((r["title"], r["intent"], own(r["stars"])) for r in RECORDS)

    for back, records_of in READERS.items():
        frame = curator.rows(store, frame=back)

        assert back == type(frame).__module__.split(".")[0]
        assert delivered == sorted((r["text"], r["label"], r["stars"]) for r in records_of(frame))


def test_the_kind_of_frame_enters_no_id(imported):
    ids = {
        kind: curator.rows(imported(make(RECORDS), kind))["id"].to_pylist()
        for kind, make in MAKERS.items()
    }

    assert {tuple(ids["pyarrow"])} == set(map(tuple, ids.values()))


def test_an_unknown_kind_of_frame_names_those_there_are(imported):
    store = imported(list(RECORDS))

    with pytest.raises(Exception, match="of kind pandas, polars, pyarrow, datasets, not 'spark'"):
        curator.rows(store, frame="spark")


def test_what_is_no_frame_is_refused_with_what_is(imported):
    with pytest.raises(Exception, match="is not a source; expected a DataFrame of pandas"):
        imported(object())


def test_why_answers_for_every_row_that_came_in_by_a_frame(imported):
    store = imported(list(RECORDS))

    for row in curator.rows(store)["id"].to_pylist():
        assert "frame" in curator.why(store, row)


def test_the_checks_of_a_frame_change_nothing_and_name_their_rows(tmp_path):
    frame = make_pandas([*RECORDS, RECORDS[0]])
    before = frame.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = curator.check(frame, text="title", label="intent", language="zh", cache=tmp_path)

    assert before.equals(frame)
    assert "exact_duplicate" in set(found.table["issue_type"].to_pylist())
