"""verify: any byte altered under any name is found, and the rows named where that can be."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator.versions import open_store
from curator.versions.hashes import Kept
from curator.versions.objects import names, object_path, put_object
from curator.versions.verify import verify

both = pytest.mark.parametrize("place", ["disk", "s3"], indirect=True)


def replaced(store, name, data):
    """Put other bytes under a name, as somebody with the right to write could."""
    folder = getattr(store.folder, "source", store.folder)
    folder.delete(name)
    folder.put_new(name, data)


def parquet(table):
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def forge(store, version, cells=None, **other):
    """Rewrite a version's rows or another object and its layout, so that all names fit."""
    name = f"layouts/{version.id}/0001"
    layout = json.loads(store.folder.get(name))
    if cells is not None:
        rows = store.rows(version)
        made = [{**r, **cells.get(r["id"], {})} for r in rows.to_pylist()]
        part = put_object(store.folder, parquet(pa.Table.from_pylist(made, schema=rows.schema)))
        layout["parts"] = [{"object": part, "rows": len(made), "deleted": None}]
    replaced(store, name, json.dumps(layout | other).encode())


def told(store):
    found = verify(open_store(store.address, create=False, cache=store.cache))
    faults = {}
    for f in found.faults:
        place = (f.where, f.version and f.version[:12], f.rows)
        faults[place] = f"{faults[place]}; {f.what}" if place in faults else f.what
    return faults


@both
def test_a_whole_store_has_no_fault_and_everything_was_looked_at(story):
    store, _ = story
    store.record("impacts", "a..b", {"effect": 0.1})
    found = verify(store)

    assert () == found.faults
    assert (5, 0) == (found.versions, found.unreachable)
    assert len(names(store.folder, "objects")) == found.objects
    assert sum(s.bytes for s in store.folder.list("objects")) == found.bytes


@both
def test_an_edit_of_text_alone_under_a_layout_that_fits_is_found_and_the_row_named(story):
    store, versions = story
    forge(store, versions[2], {"r3": {"text": "my card is last"}})
    (where,) = told(store)

    assert (f"version {versions[2].short}", versions[2].short, ("r3",)) == where
    assert "some were altered after the commit: r3" in told(store)[where]


def test_the_rows_of_an_altered_import_are_named_by_its_children(story):
    store, versions = story
    forge(store, versions[0], {"r1": {"label": "top_up"}, "r3": {"weight": 2.0}})

    assert [("r1", "r3")] == [rows for _, _, rows in told(store)]


def test_an_edited_test_row_is_named_by_the_lock_even_if_every_version_was_forged(story):
    store, versions = story
    for version in versions:
        forge(store, version, {"t0": {"text": "is my card lose"}})
    faults = told(store)

    assert {v.short for v in versions} == {version for _, version, _ in faults}
    assert {("t0",)} == {rows for _, _, rows in faults}
    assert any(
        "its frozen test rows were altered (changed: t0)" in what for what in faults.values()
    )


def test_rows_that_nothing_whole_stands_beside_cannot_be_named_and_that_is_said(story):
    store, versions = story
    for version in versions:
        forge(store, version, {"r3": {"weight": 3.0}})

    assert all("which ones cannot be told" in what for what in told(store).values())
    assert 5 == len(told(store))


def test_a_decision_altered_under_a_layout_that_fits_is_found(story):
    store, versions = story
    made = store.decisions(versions[2])
    false = made.set_column(3, made.schema.field("reason"), pa.array(["a lie"]))
    forge(store, versions[2], decisions=put_object(store.folder, parquet(false)))

    assert ["its decisions were altered: they do not hash to the digest in its manifest"] == [
        *told(store).values()
    ]


@both
def test_an_altered_object_is_named_with_every_version_that_needs_it(story):
    store, versions = story
    part = store.layout(versions[0]).parts[0].object
    replaced(store, object_path(part), store.folder.get(object_path(part)) + b" ")
    faults = told(store)

    assert "was altered" in faults[object_path(part), versions[0].short, ()]
    needs = {v for where, v, _ in faults if where.startswith("version")}
    assert {v.short for v in versions if part in str(store.layout(v))} == needs


@both
@pytest.mark.parametrize("which", ["part", "deleted", "decisions", "findings", "manifest"])
def test_a_missing_object_is_named(story, which):
    store, versions = story
    layout = store.layout(versions[2])
    name = {
        "part": layout.parts[0].object,
        "deleted": next(p.deleted for p in layout.parts if p.deleted),
        "decisions": layout.decisions,
        "findings": layout.findings,
        "manifest": versions[2].id,
    }[which]
    store.folder.delete(object_path(name))
    faults = told(store)

    assert any(
        where == object_path(name) and "is missing" in w for (where, *_), w in faults.items()
    )
    assert any(version == versions[2].short for _, version, _ in faults)


def test_a_manifest_that_names_a_part_which_is_not_there_is_found(story):
    store, versions = story
    part = {"object": "ab" * 32, "rows": 5, "deleted": None}
    forge(store, versions[1], parts=[part])

    assert f"objects/ab/{'ab' * 32}" in {where for where, *_ in told(store)}


def test_a_gap_in_a_branch_an_unreadable_entry_and_a_tag_of_nothing_are_found(story):
    store, _ = story
    store.folder.delete("refs/heads/main/00000002")
    replaced(store, "refs/heads/main/00000004", b"{}")
    store.folder.put_new("refs/tags/nowhere", json.dumps({"version": "cd" * 32}).encode())
    faults = {where: what for (where, *_), what in told(store).items()}

    assert "entries [2] of 5 are missing from its log" == faults["refs/heads/main"]
    assert "not an entry of a branch" in faults["refs/heads/main/00000004"]
    assert f"names version {'cd' * 6}, which cannot be read" == faults["refs/tags/nowhere"]


def test_a_missing_layout_and_one_of_other_rows_are_found(story):
    store, versions = story
    store.folder.delete(f"layouts/{versions[0].id}/0001")
    layout = json.loads(store.folder.get(f"layouts/{versions[4].id}/0001"))
    forge(store, versions[4], rows=9, splits=layout["splits"] | {"train": 8})
    faults = told(store)

    assert any(where == f"layouts/{versions[0].id}" for where, *_ in faults)
    assert any("its layout says {'test': 1, 'train': 8}" in what for what in faults.values())


def test_rows_brought_back_by_another_deletion_vector_are_found(story):
    store, versions = story
    layout = json.loads(store.folder.get(f"layouts/{versions[2].id}/0001"))
    for part in layout["parts"]:
        part["deleted"] = None
    forge(store, versions[2], parts=layout["parts"])

    assert any("ids stand on two live rows: r2" in what for what in told(store).values())


def test_a_damaged_lock_record_and_a_damaged_record_are_found(story):
    store, versions = story
    store.record("impacts", "a..b", {"effect": 0.1})
    (record,) = names(store.folder, "records/impacts")
    replaced(store, record, b"[]")
    replaced(store, f"locks/{versions[0].lock}", b"other")
    places = {where for where, *_ in told(store)}

    assert {record, f"locks/{versions[0].lock}"} == places


def test_a_cache_of_row_hashes_that_does_not_fit_is_found(story):
    store, versions = story
    part = store.layout(versions[0]).parts[0]
    records, starts = np.zeros((part.rows, 16), np.uint8), np.zeros(part.rows, np.uint64)
    store.hashes.keep(part.object, Kept(records, starts))

    assert [str(store.hashes.path(part.object))] == [where for where, *_ in told(store)]


def test_a_local_copy_does_not_hide_what_is_wrong_at_the_server(s3):
    store = open_store(s3.new_address(), create=True)
    name = put_object(store.folder, b"bytes")
    replaced(store, object_path(name), b"other")
    store.folder.put_new(f"layouts/{name}/0001", b"{}")

    assert store.folder.get(object_path(name)) == b"bytes"
    assert "was altered" in told(store)[object_path(name), name[:12], ()]
