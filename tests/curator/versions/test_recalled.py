"""Small edits and rows by id: what is kept beside the store tells where a row is, and is proved."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest

from curator import schema
from curator.versions import StepRecord, open_store
from curator.versions.hashes import Kept, places, starts_of
from curator.versions.objects import object_path

TWINS = ("deadbeef0", "deadbeef1", "deadbeef2")


@pytest.fixture
def edited(store, commit, rows_of, changed):
    """Commit three rows, then edit one by its change alone: edited(before) gives store and ids."""
    rows = rows_of(*({"id": name, "text": f"text of {name}", "label": "a"} for name in TWINS))
    imported = commit(rows)
    after = changed(rows, {TWINS[1]: {"text": "mended", "label": "b", "step": "clean"}})
    step = StepRecord("clean", {}, 1)

    def edit(before):
        cells = {"text": before, "label": "a"}
        made = [
            {"row_id": TWINS[1], "action": action, "step": "clean", "reason": "r", "by": "rule",
             "before": json.dumps({name: cells[name]})}
            for action, name in (("edit", "text"), ("relabel", "label"))
        ]  # fmt: skip
        facts = {"step": step, "decisions": schema.decisions(made)}
        facts["findings"] = schema.findings([])
        version = store.commit_changes("main", after.slice(1, 1), parent=imported, **facts)
        whole = store.commit(None, after, parents=(imported,), task="classification", **facts)
        return version, whole

    return imported, edit


def test_an_edit_whose_decisions_say_what_was_there_reads_no_part(store, edited):
    imported, edit = edited
    (part,) = store.layout(imported).parts
    path = store.folder.root / object_path(part.object)
    moved = path.rename(path.with_suffix(".away"))

    with pytest.raises(Exception, match="this object is missing"):
        edit("text of deadbeef1")  # the second commit, of all rows, reads it
    head = store.head()
    moved.rename(path)

    assert head.id == edit("text of deadbeef1")[1].id
    assert "mended" == store.rows(head)["text"][1].as_py()


@pytest.mark.parametrize("said", ["something else", None, 7], ids=["wrong", "null", "a number"])
def test_a_decision_that_does_not_tell_what_was_there_is_not_believed(store, edited, said):
    version, whole = edited[1](said)

    assert version.id == whole.id
    assert ["text of deadbeef0", "mended", "text of deadbeef2"] == store.rows(version)[
        "text"
    ].to_pylist()


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "no cache"])
def test_ids_that_begin_alike_are_told_apart(store, edited, cached):
    imported, _ = edited
    if not cached:
        shutil.rmtree(store.cache)
    again = open_store(store.address, create=False)

    assert {TWINS[2]} == set(again.find(imported, [TWINS[2], "deadbeef3", "deadbee"]))


def test_what_is_kept_of_another_part_is_not_believed(store, edited):
    imported, _ = edited
    (part,) = store.layout(imported).parts
    kept = store.hashes.kept(part.object)
    store.hashes.keep("0" * 64, kept)
    store.hashes.path("0" * 64).rename(store.hashes.path(part.object))

    assert store.hashes.kept(part.object) is None
    assert set(TWINS) == set(store.find(imported, TWINS))


def test_starts_stand_in_the_order_of_ids_of_any_length():
    ids = pa.array(["", "a", "a\x00", "ab", "abcdefgh", "abcdefghi", "b", "é", "日本"])
    starts = starts_of(ids)

    assert list(starts) == sorted(starts)
    assert list(starts[2:]) == list(starts_of(ids.slice(2)))


def test_places_leave_out_none_that_may_hold_an_id():
    starts = starts_of(pa.array(["aaaaaaaa0", "aaaaaaaa1", "b"]))
    which, at = places(starts, pa.array(["b", "c", "aaaaaaaa9"]))

    assert ([0, 2, 2], [2, 0, 1]) == (which.tolist(), at.tolist())


def test_nothing_kept_is_no_row():
    kept = Kept(np.empty((0, 16), np.uint8), np.empty(0, np.uint64))

    assert [0, 0] == [len(found) for found in places(kept.starts, pa.array(["a"]))]
