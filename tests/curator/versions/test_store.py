import errno
import json
import os
import threading

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from curator import schema
from curator.errors import LockError, RowError, StoreError
from curator.versions import open_store
from curator.versions.local import LocalFolder
from curator.versions.objects import object_path, put_object

both = pytest.mark.parametrize("place", ["disk", "s3"], indirect=True)

COLUMNS = [*schema.ROW_SCHEMA.names]


def files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


@both
def test_rows_come_back_sorted_by_id(store, commit, rows_of):
    version = commit(rows_of({"id": "b", "text": "2"}, {"id": "a", "text": "1", "note": "mine"}))

    assert ["a", "b"] == store.rows(version)["id"].to_pylist()
    assert [*COLUMNS, "note"] == store.rows("main").column_names
    assert (2, {"train": 2, "validation": 0, "test": 0}) == (version.rows, version.splits)


def test_the_manifest_is_found_under_the_version_id_and_says_what_a_version_is(
    store, commit, rows_of, tmp_path
):
    version = commit(
        rows_of({"id": "a", "text": "1"}), options={"near": 0.8}, transforms=[{"fix": ["html"]}]
    )
    manifest = json.loads((tmp_path / "store" / object_path(version.id)).read_bytes())

    assert {
        "parents": [],
        "task": "classification",
        "schema": [[f.name, str(f.type), f.nullable] for f in schema.ROW_SCHEMA],
        "step": "import",
        "options": {"near": 0.8},
        "step_version": 1,
        "content": schema.content_digest(store.rows(version)),
        "decisions": schema.decisions_digest(schema.decisions([])),
        "test_lock": None,
        "transforms": [{"fix": ["html"]}],
    } == manifest


def test_options_enter_the_id(commit, rows_of):
    rows = rows_of({"id": "a", "text": "1"})

    assert commit(rows, options={"near": 0.8}).id != commit(rows, options={"near": 0.9}).id


def test_committing_again_writes_nothing(commit, rows_of, tmp_path):
    rows = rows_of({"id": "a", "text": "1"}, {"id": "b", "text": "2", "split": "test"})
    first = commit(rows)
    before = files(tmp_path)

    assert first == commit(rows)
    assert before == files(tmp_path)


def test_a_branch_moves_only_when_its_head_is_another_version(store, commit, rows_of, changed):
    rows = rows_of({"id": "a", "text": "1"}, {"id": "b", "text": "2"})
    first = commit(rows)
    commit(changed(rows, {}, drop=["b"]), on=first, decided=[{"row_id": "b", "action": "drop"}])
    commit(rows)

    assert [1, 2, 3] == [entry.number for entry in store.entries()]
    assert first == store.head()


def test_a_commit_without_a_branch_moves_none(store, commit, rows_of):
    version = commit(rows_of({"id": "a", "text": "1"}), branch=None)

    assert {} == store.branches()
    assert version == store.version(version.id[:9])


@both
def test_a_small_edit_writes_a_small_part_and_a_vector(store, commit, rows_of, changed):
    rows = rows_of(*({"id": f"r{i:03}", "text": f"text {i}"} for i in range(300)))
    first = commit(rows)
    edited = changed(rows, {"r007": {"text": "seven"}}, drop=["r100"])
    decided = [{"row_id": "r007", "action": "edit"}, {"row_id": "r100", "action": "drop"}]
    second = commit(edited, on=first, step="fix", decided=decided)
    base, small = store.layout(second).parts

    assert store.layout(first).parts[0].object == base.object
    assert (300, 1) == (base.rows, small.rows)
    assert small.deleted is None
    assert [7, 100] == pq.read_table(pa.BufferReader(store.folder.get(object_path(base.deleted))))[
        "position"
    ].to_pylist()
    assert edited.equals(store.rows(second))
    assert rows.equals(store.rows(first))


@both
def test_provenance_is_kept_though_it_enters_no_digest(store, commit, rows_of, changed):
    rows = rows_of({"id": "a", "text": "1"}, {"id": "b", "text": "2"})
    first = commit(rows)
    moved = changed(rows, {"a": {"step": "seen"}})
    second = commit(moved, on=first, step="seen")

    assert moved.equals(store.rows(second))
    assert first.content == second.content


def test_a_step_that_adds_a_user_column_is_stored_whole(store, commit, rows_of):
    first = commit(rows_of({"id": "a", "text": "1"}))
    rows = rows_of({"id": "a", "text": "1", "topic": "x"})
    second = commit(rows, on=first, step="topic", decided=[{"row_id": "a", "action": "edit"}])

    assert rows.equals(store.rows(second))


@both
def test_a_version_may_have_no_rows(store, commit, rows_of):
    first = commit(rows_of({"id": "a", "text": "1"}))
    empty = commit(rows_of(), on=first, decided=[{"row_id": "a", "action": "drop"}])

    assert rows_of().equals(store.rows(empty))
    assert 0 == empty.rows


@both
def test_user_columns_of_many_types_come_back_as_they_were(store, commit, rows_of):
    rows = rows_of({"id": "a", "text": "1"}, {"id": "b", "text": "2"})
    for name, values in {
        "score": pa.array([0.5, float("nan")]),
        "tags": pa.array([["x"], None], pa.list_(pa.string())),
        "who": pa.array([{"n": 1}, {"n": 2}]),
        "day": pa.array([1, 2], pa.date32()),
        "nothing": pa.nulls(2),
        "kind": pa.array(["k", "l"]),
    }.items():
        rows = rows.append_column(name, values)
    index = rows.column_names.index("kind")
    coded = rows.set_column(index, "kind", rows["kind"].dictionary_encode())
    version = commit(coded)
    dropped = commit(rows.slice(1), on=version, decided=[{"row_id": "a", "action": "drop"}])

    assert rows.schema == store.rows(version).schema
    assert str(rows.to_pylist()) == str(store.rows(version).to_pylist())
    assert 1 == store.rows(dropped).num_rows


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: r.drop_columns(["label", "step"]), r"rows lack the columns \['label', 'step'\]"),
        (
            lambda r: r.set_column(5, "weight", pa.array([1.0, 1.0])),
            "column 'weight' has type double, expected float",
        ),
        (
            lambda r: r.set_column(2, "text", pa.array(["x", None])),
            r"column 'text' is null in 1 row\(s\)",
        ),
        (
            lambda r: r.set_column(0, "id", pa.array(["a", "a"])),
            "ids stand on more than one row: a$",
        ),
        (
            lambda r: r.set_column(4, "split", pa.array(["train", "dev"])),
            r"splits \['dev'\] are unknown",
        ),
        (
            lambda r: r.set_column(5, "weight", pa.array([1.0, float("inf")], pa.float32())),
            "weights must be finite and not negative; they are not in b",
        ),
        (lambda r: r.append_column("text", r["text"]), r"columns \['text'\] stand twice"),
    ],
)
def test_rows_that_break_the_contract_are_refused(store, commit, rows_of, spoil, message):
    with pytest.raises(RowError, match=message):
        commit(spoil(rows_of({"id": "a", "text": "1"}, {"id": "b", "text": "2"})))
    assert {} == store.branches()


def test_a_findings_table_of_another_shape_is_refused(store, rows_of, commit):
    with pytest.raises(StoreError, match=r"findings have columns \['row_id'\], expected"):
        store.commit(
            "main",
            rows_of({"id": "a", "text": "1"}),
            parents=(),
            task="classification",
            step=commit(rows_of({"id": "a", "text": "1"})).step,
            decisions=schema.decisions([]),
            findings=pa.table({"row_id": ["a"]}),
        )


@pytest.mark.parametrize(
    ("cells", "drop", "decided", "message"),
    [
        ({}, ["a"], [], r"1 row\(s\) changed without a 'drop': a"),
        ({"a": {"text": "x"}}, [], [], r"1 row\(s\) changed without a 'edit': a"),
        ({"a": {"label": "x"}}, [], [("a", "edit")], r"without a 'relabel': a"),
        ({"a": {"weight": 0.5}}, [], [("a", "edit")], r"'edit' decision\(s\) changed nothing: a"),
        ({}, [], [("b", "drop")], r"1 'drop' decision\(s\) changed nothing: b"),
        ({}, [], [("z", "add")], r"1 'add' decision\(s\) changed nothing: z"),
    ],
)
def test_rows_changed_are_the_decisions_exactly(
    store, commit, rows_of, changed, cells, drop, decided, message
):
    rows = rows_of({"id": "a", "text": "1"}, {"id": "b", "text": "2"})
    first = commit(rows)
    said = [{"row_id": row, "action": action} for row, action in decided]

    with pytest.raises(StoreError, match=f"disagree.*{message}"):
        commit(changed(rows, cells, drop=drop), on=first, step="fix", decided=said)
    assert first == store.head()


def test_many_offending_rows_are_counted(commit, rows_of):
    first = commit(rows_of(*({"id": f"r{i}", "text": "x"} for i in range(9))))

    with pytest.raises(StoreError, match=r"9 row\(s\) .*: r0, r1, r2, r3, r4 and 4 more"):
        commit(rows_of(), on=first)


def test_keeping_and_rejecting_change_no_row(commit, rows_of):
    rows = rows_of({"id": "a", "text": "1"})
    kept = [{"row_id": "a", "action": "keep"}, {"row_id": "new", "action": "reject"}]

    assert 1 == commit(rows, on=commit(rows), step="thin", decided=kept).rows


@pytest.mark.parametrize(
    ("cells", "drop", "message"),
    [
        ({"t": {"text": "2!"}}, [], "changed: t"),
        ({"t": {"label": "b"}}, [], "changed: t"),
        ({}, ["t"], "missing: t"),
        ({"a": {"split": "test"}}, [], "not in the lock: a"),
    ],
)
def test_a_step_that_touches_a_test_row_is_refused(
    store, commit, rows_of, changed, cells, drop, message
):
    rows = rows_of({"id": "a", "text": "1"}, {"id": "t", "text": "2", "split": "test"})
    first = commit(rows)

    with pytest.raises(LockError, match=rf"step 'fix' would change frozen test rows \({message}\)"):
        commit(changed(rows, cells, drop=drop), on=first, step="fix")
    assert first == store.head()


def test_an_altered_object_is_named_with_the_versions_it_belongs_to(story, tmp_path):
    store, versions = story
    part = store.layout(versions[0]).parts[0].object
    path = tmp_path / "store" / object_path(part)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(
        StoreError, match=rf"{part}: this object was altered .* 5 version\(s\): "
    ) as e:
        store.rows("main")
    assert all(version.short in str(e.value) for version in versions)


def test_an_altered_manifest_is_found(story, tmp_path):
    store, versions = story
    path = tmp_path / "store" / object_path(versions[1].id)
    path.write_bytes(path.read_bytes().replace(b'"clean"', b'"clear"'))

    with pytest.raises(StoreError, match=f"{versions[1].id}: this object was altered"):
        store.version(versions[1].id)


def test_a_missing_layout_is_named(story, tmp_path):
    store, versions = story
    (tmp_path / "store/layouts" / versions[0].id / "0001").unlink()

    with pytest.raises(StoreError, match=f"layouts/{versions[0].id}: missing"):
        store.rows(versions[0])


def forged(store, version, *, text):
    """Write a part with another text of the test row, properly, and a layout that names it."""
    folder = LocalFolder(store.folder.root)
    rows = store.rows(version).to_pylist()
    false = [{**r, "text": text} if r["id"] == "t0" else r for r in rows]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(false, schema=store.rows(version).schema), sink)
    name = put_object(folder, sink.getvalue().to_pybytes())
    path = store.folder.root / "layouts" / version.id / "0001"
    layout = json.loads(path.read_bytes())
    layout["parts"] = [{"object": name, "rows": len(rows), "deleted": None}]
    path.write_text(json.dumps(layout))


@both
def test_a_whole_store_holds_its_locks(story):
    store, versions = story

    for version in versions:
        store.check_lock(version)


def test_one_character_of_a_test_row_edited_under_a_forged_layout_breaks_the_lock(story):
    store, versions = story
    for version in versions:
        forged(store, version, text="is my card lose")

    with pytest.raises(LockError, match=rf"version {versions[2].short}: .* \(changed: t0\)"):
        store.check_lock(versions[2])


def test_a_broken_lock_stops_the_next_commit(story, commit):
    store, versions = story
    forged(store, versions[4], text="is my card lose")

    with pytest.raises(LockError, match=r"not those that were frozen \(changed: t0\)"):
        commit(store.rows(versions[4]), on=versions[4], step="next")


def test_a_forged_layout_of_other_rows_is_found_when_read(story, tmp_path):
    store, versions = story
    path = tmp_path / "store/layouts" / versions[4].id / "0001"
    layout = json.loads(path.read_bytes())
    layout["parts"].pop()
    path.write_text(json.dumps(layout))

    with pytest.raises(StoreError, match=r"its parts hold 4 rows .* expected 5 rows"):
        store.rows(versions[4])


def test_a_full_disk_at_any_write_leaves_the_head_and_the_next_commit_goes_on(
    story, commit, monkeypatch
):
    store, versions = story
    rows, gone = store.rows("main"), [{"row_id": "r0", "action": "drop"}]
    less = rows.filter(pc.not_equal(rows["id"], "r0"))
    for room in range(5):
        left = iter([True] * room)

        def write(handle, data, left=left, real=os.write):
            if next(left, False):
                return real(handle, data)
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write)
            with pytest.raises(StoreError, match="no space left on the disk"):
                commit(less, on="main", step="thin", decided=gone)
        assert versions[4] == store.head()
    assert less.equals(store.rows(commit(less, on="main", step="thin", decided=gone)))


def test_of_two_writers_at_the_same_time_exactly_one_wins(story, commit, tmp_path):
    store, versions = story
    rows = store.rows("main")
    start, told = threading.Barrier(2), []

    def write(row):
        session = open_store(tmp_path / "store", create=False)
        gone = [{"row_id": row, "action": "drop"}]
        less = rows.filter(pc.not_equal(rows["id"], row))
        start.wait()
        try:
            commit(less, on=versions[4], step="thin", decided=gone, store=session)
        except StoreError as fault:
            told.append(str(fault))

    threads = [threading.Thread(target=write, args=(row,)) for row in ("r0", "r2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(told)
    assert "while this run was at work" in told[0]
    assert 6 == len(store.entries())
    assert 4 == store.head().rows


@both
def test_findings_and_decisions_come_back(story):
    store, versions = story

    assert ["r0", "r2", "r3"] == store.findings(versions[3])["row_id"].to_pylist()
    assert ["weight", "relabel"] == store.decisions(versions[3])["action"].to_pylist()
    assert schema.DECISION_SCHEMA == store.decisions(versions[3]).schema


def test_a_store_is_not_made_unless_asked(tmp_path):
    with pytest.raises(StoreError, match="there is no store here; `curator run RECIPE` makes one"):
        open_store(tmp_path / "none", create=False)


@pytest.mark.usefixtures("store")
def test_a_store_of_a_newer_curator_is_refused(tmp_path):
    (tmp_path / "store/FORMAT").write_text("2\n")

    with pytest.raises(StoreError, match=r"has format 2, made by a newer Curator; .* up to 1"):
        open_store(tmp_path / "store", create=True)


@pytest.mark.usefixtures("store")
def test_a_format_that_is_no_number_is_said(tmp_path):
    (tmp_path / "store/FORMAT").write_text("new\n")

    with pytest.raises(StoreError, match="says 'new', expected a number"):
        open_store(tmp_path / "store", create=False)


@pytest.mark.usefixtures("story")
def test_a_store_that_lost_its_format_is_not_taken_for_an_empty_folder(tmp_path):
    (tmp_path / "store/FORMAT").unlink()

    with pytest.raises(StoreError, match="FORMAT: missing; put a file there that says 1"):
        open_store(tmp_path / "store", create=True)


def test_a_file_where_the_store_should_be_is_said(tmp_path):
    (tmp_path / "store").write_text("")

    with pytest.raises(StoreError, match="a file stands where the store's folder should be"):
        open_store(tmp_path / "store", create=True)
