"""What an erasure does inside a store, on a disk and on a real S3 server."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator import schema
from curator.errors import StoreError
from curator.versions import erased, open_store
from curator.versions.erasure import erase
from curator.versions.leases import Lease
from curator.versions.superseding import known_as
from curator.versions.traces import Traces, descendants
from curator.versions.verify import verify

BOTH = pytest.mark.parametrize("place", ["disk", "s3"], indirect=True)


def holding(store, *words):
    """Name what holds one of these words, decompressed; names count too."""
    found = set()
    for stored in store.folder.list(""):
        data = store.folder.get(stored.name)
        if data[:4] == b"PAR1":
            rows = pq.read_table(pa.BufferReader(data)).to_pylist()
            data = json.dumps(rows, ensure_ascii=False, default=str).encode()
        if any(w.encode() in data or w in stored.name for w in words):
            found.add(stored.name)
    for path in store.cache.rglob("*"):
        if path.is_file() and any(w.encode() in path.read_bytes() for w in words):
            found.add(str(path))
    return found


def gone(store, *rows):
    return erase(store, rows, by="ann", reason="asked for")


@BOTH
def test_a_row_its_children_and_refused_candidates_leave_every_version(place, story):
    store, versions = story
    done = gone(store, "r3")

    assert (("r3",), ("x0", "x1")) == (done.rows, done.children)
    fresh = open_store(place, create=False)
    assert () == verify(fresh).faults
    assert set() == holding(fresh, "my card is lost", "my crad is lost", "is my crad lost")
    assert set() == holding(fresh, '"r3"', '"x0"', '"x1"')
    assert [v.id for v in versions] == [fresh.version(v.id).id for v in versions]
    assert ["r0", "r2", "t0"] == fresh.rows("main")["id"].to_pylist()
    assert "asked for" in erased(fresh.folder, "x1").sentence
    assert erased(fresh.folder, "r0") is None


def test_rows_that_name_it_as_a_partner_keep_their_history(story):
    store, versions = story
    gone(store, "r0")

    (dropped,) = store.decisions(versions[2]).to_pylist()
    assert "r1" == dropped["row_id"]
    assert "r0" != dropped["partner_id"]
    assert 32 == len(dropped["partner_id"])
    assert "dropped" in {event.kind for event in store.why("r1").events}
    with pytest.raises(StoreError, match="row r0 was erased"):
        store.why("r0")


def test_a_group_named_after_it_stays_one_group_in_every_version(story, commit, rows_of):
    store, _ = story
    made = commit(rows_of({"id": "a", "group": "a", "text": "one text of a pair"},
                          {"id": "b", "group": "a", "text": "other text of a pair"},
                          {"id": "c", "group": "a", "text": "third of the group"}),
                  branch="pairs")  # fmt: skip
    gone(store, "a")

    groups = store.rows(made.id)["group"].to_pylist()
    assert 1 == len(set(groups))
    assert "a" not in groups


def test_what_a_commit_would_now_call_a_version_leads_to_it(story, commit):
    store, versions = story
    gone(store, "r1")
    now = store.version(versions[0].id)

    again = commit(store.rows(now), branch=None)

    assert versions[0].id == again.id
    assert now.content != versions[0].content
    assert known_as(store.folder, "0" * 64) == "0" * 64


def test_a_new_version_stands_on_an_erased_one(story, commit, changed):
    store, _ = story
    gone(store, "r0")
    head = store.head("main")
    rows = changed(store.rows(head), {"r2": {"label": "lost", "step": "s"}})
    commit(rows, on=head, step="s", decided=[{"row_id": "r2", "action": "relabel"}])

    assert () == verify(store).faults


def test_the_only_row_of_a_version_leaves_it_empty_and_whole(store, commit, rows_of):
    made = commit(rows_of({"id": "a", "text": "all that there is"}))
    gone(store, "a")

    assert 0 == store.rows(made.id).num_rows
    assert () == verify(store).faults


def test_deletion_vectors_move_with_their_rows(store, commit, rows_of):
    many = rows_of(*({"id": f"r{i:02}", "text": f"a text of number {i}"} for i in range(30)))
    first = commit(many)
    left = many.filter(pa.array([i not in (3, 17, 29) for i in range(30)]))
    dropped = [{"row_id": f"r{i:02}", "action": "drop"} for i in (3, 17, 29)]
    second = commit(left, on=first, step="s", decided=dropped)
    gone(store, "r02", "r17", "r28")

    expected = [f"r{i:02}" for i in range(30) if i not in (2, 17, 28)]
    assert expected == store.rows(first.id)["id"].to_pylist()
    assert [i for i in expected if i not in ("r03", "r29")] == store.rows(second.id)[
        "id"
    ].to_pylist()
    assert () == verify(store).faults


def test_all_test_rows_may_go_and_then_there_is_no_lock(story):
    store, versions = story
    gone(store, "t0")

    now = store.version(versions[-1].id)
    assert now.lock is None
    assert () == store.folder.list("locks")
    store.check_lock(now)
    digests = verify(store).superseded[0].digests
    assert (versions[0].lock, None) == digests["test_lock"]


def test_words_that_quote_it_are_mended(store, commit, rows_of, changed):
    rows = rows_of({"id": "a", "text": "the secret words of a"}, {"id": "b", "text": "another"})
    first = commit(rows)
    reason = 'it says "the secret words of a" too'
    commit(changed(rows, {"b": {"label": "z"}}), on=first, step="s",
           decided=[{"row_id": "b", "action": "relabel", "reason": reason}],
           note={"why": [reason]})  # fmt: skip
    gone(store, "a")

    (made,) = store.decisions("main").to_pylist()
    assert 'it says "[erased]" too' == made["reason"]
    assert ['it says "[erased]" too'] == store.entries("main")[-1].note["why"]
    assert () == verify(store).faults


def test_leftovers_of_killed_writers_go_too(store, commit, rows_of):
    commit(rows_of({"id": "a", "text": "the secret words of a"}))
    sink = io.BytesIO()
    left = rows_of({"id": "a", "text": "the secret words of a"}, {"id": "b", "text": "b"})
    pq.write_table(left, sink)
    name = "objects/ab/.tmp-1-left"
    (store.folder.root / name).parent.mkdir(exist_ok=True)
    (store.folder.root / name).write_bytes(sink.getvalue())
    (store.folder.root / "refs/.DS_Store").write_bytes(b"\0\0not ours")
    gone(store, "a")

    assert not (store.folder.root / name).exists()
    assert set() == holding(store, "the secret words of a")


def test_candidates_of_a_release_that_kept_no_parent_lose_their_text(store, commit, rows_of):
    rows = rows_of({"id": "a", "text": "the secret words of a"}, {"id": "b", "text": "another"})
    first = commit(rows)
    refused = {"row_id": "x", "action": "reject", "after": '{"text":"teh secret"}'}
    commit(rows, on=first, step="augment", decided=[refused])
    gone(store, "a")

    assert [None] == store.decisions("main")["after"].to_pylist()


def test_nothing_is_erased_while_another_writes(story):
    store, _ = story

    with Lease(store.folder, "write"), pytest.raises(StoreError, match=r"other.* at work"):
        gone(store, "r0")
    assert "r0" in store.rows("main")["id"].to_pylist()


def test_an_unknown_start_of_several_ids_is_refused(story):
    with pytest.raises(StoreError, match="4 rows have an id that starts with 'r'"):
        gone(story[0], "r")


def test_children_of_children_are_found():
    assert {"b", "c", "d"} == descendants({"a"}, {"b": "a", "c": "b", "d": "b", "e": "z"})


def test_words_of_everyday_length_are_left_alone():
    traces = Traces(ids={"row-1"}, texts={"card", "a card that was lost"})

    assert "my card" == traces.without("my card")
    assert "so: [erased]!" == traces.without("so: a card that was lost!")


def test_an_id_is_mended_as_a_word_and_never_within_one():
    row = "0123456789abcdef0123456789abcdef"
    traces = Traces(ids={row})

    assert "like [erased], not f" + row == traces.without(f"like {row}, not f{row}")


def test_findings_of_other_rows_keep_what_they_say_of_these():
    table = schema.findings(
        [{"row_id": "b", "issue_type": "leak", "check": "c", "partner_id": "a", "score": 0.5},
         {"row_id": "a", "issue_type": "leak", "check": "c"}]
    )  # fmt: skip
    (left,) = Traces(ids={"a"}, salt="s").rewritten(table).to_pylist()

    assert ("b", 0.5) == (left["row_id"], left["score"])
    assert left["partner_id"] not in ("a", None)


def test_a_deletion_vector_is_no_trace():
    assert Traces(ids={"a"}).rewritten(pa.table({"position": [1]})) is None
