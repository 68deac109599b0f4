import json
import platform
import shutil

import pytest

from curator.errors import StoreError
from curator.versions import open_store

both = pytest.mark.parametrize("place", ["disk", "s3"], indirect=True)


@pytest.fixture
def two(commit, rows_of, changed):
    rows = rows_of({"id": "r0", "text": "x"}, {"id": "r1", "text": "y"})
    first = commit(rows)
    decided = [{"row_id": "r1", "action": "drop"}]
    return first, commit(changed(rows, {}, drop=["r1"]), on=first, step="thin", decided=decided)


@both
def test_a_branch_keeps_every_version_it_pointed_at(store, two):
    first, second = two

    assert [(1, first.id), (2, second.id)] == [(e.number, e.version) for e in store.entries()]
    assert second == store.head()


@pytest.mark.usefixtures("two")
def test_an_entry_says_when_by_whom_and_in_which_environment(store):
    entry = store.entries()[1]

    assert ("kim", "thin") == (entry.author, entry.step)
    assert entry.time.endswith("+00:00")
    assert platform.python_version() == entry.environment["python"]
    assert {"platform", "libraries", "python"} == set(entry.environment)
    assert entry.environment["libraries"]["pyarrow"]


def test_a_note_stands_in_the_entry(store, commit, rows_of):
    commit(rows_of({"id": "r0", "text": "x"}), note={"recipe": "drugs"})

    assert {"recipe": "drugs"} == store.entries()[0].note


@both
def test_a_version_is_found_by_id_prefix_branch_tag_and_steps_back(store, two):
    first, second = two
    store.tag("first", "main~1")
    store.branch("try", first)

    for name in (first.id, first.id[:8], "first", "try", "main~1", f"{second.id[:10]}~1"):
        assert first == store.version(name)
    assert {"first": first.id} == store.tags()
    assert {"main": second.id, "try": first.id} == store.branches()


@both
@pytest.mark.usefixtures("two")
def test_an_unknown_name_is_answered_with_the_nearest(store):
    store.tag("v1", "main")

    with pytest.raises(StoreError, match=r"called 'mian'; did you mean 'main'\? Branches"):
        store.version("mian")
    with pytest.raises(StoreError, match=r"called 'ffffff'\. Branches: main; tags: v1;"):
        store.version("ffffff")
    with pytest.raises(StoreError, match=r"no branch is called 'man'; did you mean 'main'\?"):
        store.head("man")


@pytest.mark.usefixtures("two")
def test_going_back_too_far_is_said(store):
    with pytest.raises(StoreError, match=r"'main~2': main has only 1 version\(s\) before it"):
        store.version("main~2")
    with pytest.raises(StoreError, match="after ~ comes a number"):
        store.version("main~x")


@both
def test_a_tag_never_moves(store, two):
    first, _ = two
    store.tag("v1", first)

    with pytest.raises(StoreError, match=f"tag 'v1' exists, for version {first.short}"):
        store.tag("v1", "main")
    assert first == store.version("v1")


@both
@pytest.mark.usefixtures("two")
def test_a_branch_is_not_made_twice(store):
    store.branch("try", "main")

    with pytest.raises(StoreError, match="branch 'try' exists"):
        store.branch("try", "main~1")


@pytest.mark.usefixtures("two")
def test_a_tag_and_a_branch_do_not_share_a_name(store):
    store.tag("v1", "main")

    with pytest.raises(StoreError, match="a branch has this name"):
        store.tag("main", "main")
    with pytest.raises(StoreError, match="a tag has this name"):
        store.branch("v1", "main")


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("name", ["", "a/b", "../x", "a..b", "a~1", ".x", "a b", "x" * 101])
def test_a_name_that_is_no_name_is_refused(store, name):
    with pytest.raises(StoreError, match="a name starts with a letter"):
        store.tag(name, "main")


@pytest.mark.usefixtures("two")
def test_a_name_that_reads_like_an_id_is_refused(store):
    with pytest.raises(StoreError, match="'facade' reads like a version id"):
        store.branch("facade", "main")


@pytest.mark.usefixtures("two")
def test_a_name_may_be_chinese(store):
    store.branch("标注", "main")

    assert store.head("main") == store.version("标注")


@both
def test_restore_adds_an_entry_and_rewrites_none(store, two):
    first, second = two
    store.restore(first)

    assert [first.id, second.id, first.id] == [e.version for e in store.entries()]
    assert {"from": second.id} == store.entries()[2].note
    assert first == store.head()


@pytest.mark.usefixtures("two")
def test_restoring_the_head_does_nothing(store):
    store.restore("main")

    assert 2 == len(store.entries())


def test_a_gap_in_a_branch_is_said_with_what_is_not_lost(store, two, tmp_path):
    _, second = two
    (tmp_path / "store/refs/heads/main/00000001").unlink()

    with pytest.raises(StoreError, match=rf"entries \[1\] of 2.*curator branch NAME {second.id}"):
        store.head()
    again = open_store(tmp_path / "store", create=False)
    again.branch("rescued", second.id)
    assert second == again.head("rescued")
    assert {"main": second.id, "rescued": second.id} == again.branches()
    shutil.rmtree(tmp_path / "store/refs/heads/main")
    assert [second.id] == [
        v.id for v in open_store(again.address, create=False).ancestry("rescued")
    ][:1]


@pytest.mark.usefixtures("two")
def test_an_entry_cut_short_is_said(store, tmp_path):
    path = tmp_path / "store/refs/heads/main/00000002"
    path.write_bytes(path.read_bytes()[:20])

    with pytest.raises(StoreError, match="main/00000002: not readable as JSON"):
        store.head()


@pytest.mark.usefixtures("two")
def test_an_entry_of_another_shape_is_said(store, tmp_path):
    (tmp_path / "store/refs/heads/main/00000002").write_text(json.dumps({"version": "x"}))

    with pytest.raises(StoreError, match="not an entry of a branch"):
        store.head()


@pytest.mark.usefixtures("two")
def test_a_file_a_desktop_left_is_no_entry(store, tmp_path):
    (tmp_path / "store/refs/heads/main/.DS_Store").write_bytes(b"")

    assert 2 == len(store.entries())


def test_of_two_writers_one_wins_and_the_other_is_told(store, two, tmp_path, commit, rows_of):
    _, second = two
    other = open_store(tmp_path / "store", create=False, author="lee")
    gone = [{"row_id": "r0", "action": "drop"}]
    edit = [{"row_id": "r0", "action": "edit"}]
    won = commit(rows_of(), on=second, step="empty", decided=gone)

    with pytest.raises(
        StoreError,
        match=rf"branch 'main' was moved to {won.short} by kim at .* \(step 'empty'\) while .* run "
        "again",
    ):
        commit(rows_of({"id": "r0", "text": "z"}), on=second, step="fix", decided=edit, store=other)
    assert won == store.head()
    assert 3 == len(store.entries())


def test_two_writers_of_the_same_version_agree(store, two, tmp_path, commit, rows_of):
    _, second = two
    other = open_store(tmp_path / "store", create=False)
    gone = [{"row_id": "r0", "action": "drop"}]
    won = commit(rows_of(), on=second, step="empty", decided=gone)

    assert won == commit(rows_of(), on=second, step="empty", decided=gone, store=other)
    assert 3 == len(store.entries())


@both
def test_the_log_is_newest_first_with_names(store, two):
    first, second = two
    store.tag("v1", first)
    newest, oldest = store.log()

    assert (second.id, (first.id,), "thin", 1) == (
        newest.version,
        newest.parents,
        newest.step,
        newest.rows,
    )
    assert (("main",), ()) == (newest.branches, newest.tags)
    assert (("v1",), "kim") == (oldest.tags, oldest.author)
    assert store.entries()[0].time == oldest.created


@both
def test_records_are_kept_once_and_listed(store):
    assert store.record("impacts", "a/b..c|probe", {"effect": 0.5})
    assert not store.record("impacts", "a/b..c|probe", {"effect": 0.7})
    store.record("impacts", "z" * 300, {"effect": 0.1})

    assert {"effect": 0.5} == store.recorded("impacts", "a/b..c|probe")
    assert store.recorded("impacts", "other") is None
    assert [{"effect": 0.5}, {"effect": 0.1}] == store.records("impacts")
    assert [] == store.records("locks")


def test_a_record_that_is_no_json_is_refused(store):
    with pytest.raises(StoreError, match="record impacts/k: its value is not plain JSON"):
        store.record("impacts", "k", {"effect": float("nan")})
    with pytest.raises(StoreError, match=r"record kind name '\.\./x'"):
        store.record("../x", "k", {})
