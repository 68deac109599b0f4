from __future__ import annotations

import pytest

from curator.errors import StoreError
from curator.query import every_entry, line_between, rows_of
from curator.versions import open_store


@pytest.fixture
def store(finished):
    return open_store(finished.folder / ".curator", create=False)


def test_a_span_without_an_end_goes_to_main(store):
    assert rows_of(store, "main~5..").equals(rows_of(store, "main~5..main"))


def test_a_span_of_one_version_lists_nothing_in_the_same_columns(store):
    assert rows_of(store, "main..main").schema == rows_of(store, "main~5..main").schema
    assert 0 == rows_of(store, "main..main").num_rows


def test_an_issue_of_a_version_lists_the_rows_its_step_doubted_and_still_holds(store):
    held = rows_of(store, "main~3", issue="label_conflict")

    assert 2 == held.num_rows
    assert {"evidence", "partner_id", "flagged"} <= set(held.column_names)


def test_the_line_between_two_versions_is_oldest_first(store):
    a, b = store.version("main~3"), store.version("main")

    assert ["leaks", "label_errors", "augment"] == [v.step.name for v in line_between(store, a, b)]
    with pytest.raises(StoreError, match="does not descend from"):
        line_between(store, b, a)


def test_every_entry_is_listed_once(store):
    entries = [entry.version for entry in every_entry(store)]

    assert len(entries) == len(set(entries)) == 6
