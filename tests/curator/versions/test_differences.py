import json

import pyarrow as pa
import pytest

from curator.versions import DIFF_SCHEMA, diff, diff_counts, redelivery
from curator.versions.objects import object_path

both = pytest.mark.parametrize("place", ["disk", "s3"], indirect=True)


def told(changes):
    return [tuple(row.values()) for row in changes.to_pylist()]


@both
def test_each_change_stands_with_its_reason_step_and_cells(story):
    store, versions = story

    assert DIFF_SCHEMA == store.diff(versions[0], "main").schema
    assert [
        ("r1", "dropped", "near-duplicate", "duplicates",
         '{"label":"arrival","text":"where is my card?"}', None),
        ("r2", "edited", "HTML entities", "clean",
         '{"text":"top &amp; up"}', '{"text":"top & up"}'),
        ("r2", "weighted", "in doubt", "label_errors", '{"weight":1.0}', '{"weight":0.5}'),
        ("r3", "relabelled", "label contradicted", "label_errors",
         '{"label":"top_up"}', '{"label":"lost"}'),
        ("x0", "added", "keyboard typo, copy 0", "augment",
         None, '{"label":"lost","text":"my crad is lost"}'),
    ] == told(store.diff(versions[0], "main"))  # fmt: skip


def test_the_counts_of_a_diff_are_by_op_and_reason(story):
    store, versions = story

    assert {
        "added": {"keyboard typo, copy 0": 1},
        "relabelled": {"label contradicted": 1},
        "weighted": {"in doubt": 1},
    } == diff_counts(store.diff(versions[2], "main"))


def test_a_version_does_not_differ_from_itself(story):
    store, _ = story

    assert [] == told(store.diff("main", "main"))
    assert {} == diff_counts(store.diff("main", "main"))


def test_backwards_no_step_leads_and_the_reason_says_so(story):
    store, versions = story

    assert [
        ("r2", "edited", "in no step between", None,
         '{"text":"top & up"}', '{"text":"top &amp; up"}'),
    ] == told(store.diff(versions[1], versions[0]))  # fmt: skip


@both
def test_versions_of_two_imports_differ_in_no_step(story, commit, rows_of):
    store, versions = story
    other = commit(rows_of({"id": "r0", "text": "where is my card", "label": "b"}), branch="other")

    reasons = {row["reason"] for row in store.diff(versions[0], other).to_pylist()}
    assert {"in no step between"} == reasons
    assert ["relabelled"] == [
        r["op"] for r in store.diff(versions[0], other).to_pylist() if r["id"] == "r0"
    ]


def test_several_steps_on_one_column_are_joined(commit, rows_of, changed, store):
    rows = rows_of({"id": "a", "text": "1"})
    first = commit(rows)
    edit = {"row_id": "a", "action": "edit"}
    once, twice = (changed(rows, {"a": {"text": text}}) for text in ("2", "3"))
    second = commit(once, on=first, step="clean", decided=[{**edit, "reason": "html"}])
    third = commit(twice, on=second, step="mask", decided=[{**edit, "reason": "a name"}])

    assert [
        ("a", "edited", "html; a name", "clean + mask", '{"text":"1"}', '{"text":"3"}')
    ] == told(diff(store, first, third))


@both
def test_a_row_dropped_and_brought_back_edited_tells_both_steps(commit, rows_of, changed, store):
    rows = rows_of({"id": "a", "text": "1"})
    first = commit(rows)
    gone = commit(rows_of(), on=first, step="thin", decided=[{"row_id": "a", "action": "drop"}])
    back = commit(
        changed(rows, {"a": {"text": "2"}}),
        on=gone,
        step="reviews",
        decided=[{"row_id": "a", "action": "add", "reason": "a person wants it"}],
    )

    assert [
        ("a", "edited", "because; a person wants it", "thin + reviews",
         '{"text":"1"}', '{"text":"2"}')
    ] == told(diff(store, first, back))  # fmt: skip


def test_only_parts_that_differ_are_read(story, tmp_path):
    store, versions = story
    fifth = store.layout("main").parts
    shared = next(p for p in store.layout(versions[3]).parts if p in fifth)
    (tmp_path / "store" / object_path(shared.object)).unlink()

    assert ["x0"] == store.diff(versions[3], "main")["id"].to_pylist()


def test_a_change_of_a_user_column_is_an_edit(commit, rows_of, store):
    rows = rows_of({"id": "a", "text": "1", "topic": "x"})
    first = commit(rows)
    second = commit(
        rows_of({"id": "a", "text": "1", "topic": None}),
        on=first,
        decided=[{"row_id": "a", "action": "edit"}],
    )

    assert [('{"topic":"x"}', '{"topic":null}')] == [
        row[4:] for row in told(diff(store, first, second))
    ]


@pytest.fixture
def delivered(rows_of):
    old = rows_of(
        {"id": "1", "text": "same", "topic": "x"},
        {"id": "2", "text": "gone", "topic": "x"},
        {"id": "3", "text": "label", "topic": "x"},
        {"id": "4", "text": "text", "topic": "x"},
        {"id": "5", "text": "both", "topic": "x"},
    )
    new = rows_of(
        {"id": "6", "text": "new", "topic": "x"},
        {"id": "5", "text": "both!", "label": "b", "topic": "x"},
        {"id": "4", "text": "text!", "topic": "x"},
        {"id": "3", "text": "label", "label": "b", "topic": "x"},
        {"id": "1", "text": "same", "topic": "x", "group": "other"},
        source="file:later.csv",
    )
    return old, new


def test_a_redelivery_is_matched_by_id(delivered):
    found = redelivery(*delivered, keyed=True)

    assert {"new": 1, "withdrawn": 1, "relabelled": 1, "changed": 2, "same": 1} == found.counts
    assert ["same", "withdrawn", "relabelled", "changed", "changed", "new"] == found.rows[
        "status"
    ].to_pylist()
    assert ('{"label":"a","text":"both"}', '{"label":"b","text":"both!"}') == told(found.rows)[4][
        2:
    ]
    assert found.note == ""


def test_without_key_columns_a_redelivery_says_what_it_cannot_tell(delivered):
    assert (
        "an edited text counts as one row withdrawn and one new"
        in redelivery(*delivered, keyed=False).note
    )


def test_a_redelivery_of_the_same_rows_changes_nothing(delivered):
    old, _ = delivered
    shuffled = old.take(pa.array([4, 2, 0, 1, 3]))

    assert {"same": 5} == {
        k: v for k, v in redelivery(old, shuffled, keyed=True).counts.items() if v
    }


def test_weights_and_dates_read_as_people_write_them(commit, rows_of, store):
    rows = rows_of({"id": "a", "text": "1"})
    rows = rows.append_column("day", pa.array([1], pa.date32()))
    first = commit(rows)
    second = commit(
        rows.set_column(10, "day", pa.array([2], pa.date32())).set_column(
            5, rows.schema.field("weight"), pa.array([0.3], pa.float32())
        ),
        on=first,
        decided=[{"row_id": "a", "action": a} for a in ("edit", "weight")],
    )

    assert [{"day": "1970-01-03"}, {"weight": 0.3}] == [
        json.loads(row[5]) for row in told(diff(store, first, second))
    ]
