"""gc: what nothing leads to goes when it is old, in an order that can be stopped anywhere."""

import os
import time

import pytest

from curator.errors import StoreError
from curator.versions import open_store
from curator.versions.gc import collect
from curator.versions.leases import Lease
from curator.versions.objects import names, object_path
from curator.versions.verify import verify

both = pytest.mark.parametrize("place", ["disk", "s3"], indirect=True)


@pytest.fixture
def with_garbage(story, commit, changed):
    """A story, and a version that no branch leads to."""
    store, versions = story
    rows = changed(store.rows("main"), {}, drop=["r0"])
    lost = commit(
        rows, on=versions[4], step="thin", branch=None, decided=[{"row_id": "r0", "action": "drop"}]
    )
    return store, versions, lost


@both
def test_nothing_that_a_name_leads_to_is_removed(story):
    store, versions = story
    store.tag("first", versions[0])
    before = names(store.folder, "")

    assert () == collect(store, grace_s=0).removed
    assert set(before) == set(names(store.folder, ""))


@both
def test_a_dry_run_counts_and_removes_nothing(with_garbage):
    store, _, lost = with_garbage
    before = names(store.folder, "objects")
    planned = collect(store, grace_s=0, dry_run=True)

    assert {"versions", "layouts", "objects"} == set(planned.counts())
    assert (1, len(store.folder.get(object_path(lost.id)))) == planned.counts()["versions"]
    assert planned.bytes == sum(size for _, size in planned.counts().values())
    assert before == names(store.folder, "objects")


@both
def test_what_nothing_leads_to_goes_and_the_rest_is_whole(with_garbage):
    store, versions, lost = with_garbage
    done = collect(store, grace_s=0)
    again = open_store(store.address, create=False, cache=store.cache)

    assert done.removed
    with pytest.raises(StoreError, match="no version, branch or tag is called"):
        again.version(lost.id)
    found = verify(again)
    assert ((), 0) == (found.faults, found.unreachable)
    assert versions[4] == again.head()
    assert () == collect(again, grace_s=0).removed


@both
def test_what_is_younger_than_the_grace_period_stays(with_garbage):
    store, _, lost = with_garbage
    done = collect(store)

    assert () == done.removed
    assert done.young
    assert lost == store.version(lost.id)


def test_an_old_object_that_a_young_version_uses_stays(with_garbage):
    store, _, lost = with_garbage
    old = time.time() - 100_000
    for name in names(store.folder, "objects"):
        os.utime(store.folder.root / name, (old, old))

    assert () == collect(store).removed
    assert 4 == store.rows(lost).num_rows


def test_each_state_a_branch_was_in_stays(with_garbage):
    store, versions, _ = with_garbage
    store.restore(versions[1])
    collect(store, grace_s=0)

    assert [v.rows for v in versions] == [store.rows(v).num_rows for v in versions]


def test_a_version_that_a_finished_step_names_stays(with_garbage):
    store, _, lost = with_garbage
    store.record("steps", "key", {"version": lost.id, "notes": []})

    assert () == collect(store, grace_s=0).removed


@both
def test_nothing_is_removed_while_a_writer_is_at_work(with_garbage):
    store, _, lost = with_garbage
    with Lease(store.folder, "write"):
        with pytest.raises(StoreError, match=r"1 other\(s\) are at work"):
            collect(store, grace_s=0)
        assert collect(store, grace_s=0, dry_run=True).removed

    assert lost == store.version(lost.id)


def test_what_killed_writers_left_goes(story):
    store, _ = story
    left = store.folder.root / "objects/ab/.tmp-1-left"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")

    assert [("temporary files", 4)] == [
        (g.kind, g.stored.bytes) for g in collect(store, grace_s=0).removed
    ]
    assert not left.exists()


def test_row_hashes_of_parts_that_went_go_too(with_garbage):
    store, _, _ = with_garbage
    collect(store, grace_s=0)
    parts = {name.rpartition("/")[2] for name in names(store.folder, "objects")}

    assert {path.name for path in (store.cache / "hashes").iterdir()} <= parts


@pytest.mark.parametrize("gone", ["layout", "manifest"])
def test_nothing_is_removed_when_it_cannot_be_told_what_is_needed(with_garbage, gone):
    store, versions, _ = with_garbage
    name = object_path(versions[2].id) if gone == "manifest" else f"layouts/{versions[2].id}/0001"
    store.folder.delete(name)
    before = names(store.folder, "objects")

    with pytest.raises(StoreError, match="missing"):
        collect(store, grace_s=0)
    assert before == names(store.folder, "objects")


@both
@pytest.mark.parametrize("stop_after", range(4))
def test_stopped_anywhere_the_store_is_whole_and_the_same_commit_can_be_made_again(
    with_garbage, commit, changed, stop_after, monkeypatch
):
    store, versions, lost = with_garbage
    real, left = store.folder.delete, iter(range(stop_after))

    def delete(name):
        if not name.startswith("leases"):
            next(left)
        real(name)

    monkeypatch.setattr(type(store.folder), "delete", lambda _, name: delete(name))
    with pytest.raises((StopIteration, RuntimeError)):
        collect(store, grace_s=0)
    monkeypatch.undo()

    assert () == verify(store).faults
    rows = changed(store.rows("main"), {}, drop=["r0"])
    again = commit(rows, on=versions[4], step="thin", decided=[{"row_id": "r0", "action": "drop"}])
    assert lost == again == store.head()
    assert rows.equals(store.rows("main"))
    assert () == verify(store).faults


def test_a_negative_grace_period_is_refused(store):
    with pytest.raises(StoreError, match="it is 0 or more"):
        collect(store, grace_s=-1)
