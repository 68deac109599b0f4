"""Many writers on one branch: nothing lost, nothing doubled, losers told, or put right by retry."""

import itertools
import multiprocessing
import threading

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from curator import schema
from curator.errors import LockError, MovedError, StoreError
from curator.versions import StepRecord, open_store
from curator.versions.verify import verify

both = pytest.mark.parametrize("place", ["disk", "s3"], indirect=True)
WRITERS, EACH = 6, 2


def drop(store, row, *, retry, branch="main", partner=None):
    """Commit a step that drops one row, from the head as this session sees it."""
    parent = store.head(branch)
    made = {"row_id": row, "action": "drop", "step": "thin", "reason": "why", "by": "rule"}
    rows = store.rows(parent)
    try:
        return store.commit(
            branch,
            rows.filter(pc.not_equal(rows["id"], row)),
            parents=(parent,),
            task="classification",
            step=StepRecord("thin", {"row": row}, 1),
            decisions=schema.decisions([made | {"partner_id": partner}]),
            findings=schema.findings([]),
        )
    except MovedError as moved:
        if not retry:
            raise
        return store.retry(moved, attempts=50)


def write(address, writer, cache):
    """Drop some rows of our own, one after another, whoever else writes."""
    store = open_store(address, create=False, author=f"writer {writer}", cache=cache)
    for number in range(EACH):
        drop(store, f"w{writer}-{number}", retry=True)


@pytest.fixture
def many(store, commit, rows_of):
    """A store whose rows belong to six writers, and one to nobody."""
    rows = [{"id": f"w{w}-{n}", "text": f"{w} {n}"} for w in range(WRITERS) for n in range(EACH)]
    commit(rows_of(*rows, {"id": "z", "text": "stays"}, {"id": "t", "text": "t", "split": "test"}))
    return store


def check_that_all_came(store):
    again = open_store(store.address, create=False)
    entries = again.entries()
    versions = [again.version(entry.version) for entry in entries]

    assert list(range(1, WRITERS * EACH + 2)) == [entry.number for entry in entries]
    assert ["t", "z"] == again.rows("main")["id"].to_pylist()
    assert all(v.parents == (p.id,) for p, v in itertools.pairwise(versions))
    assert {f"writer {w}" for w in range(WRITERS)} < {entry.author for entry in entries}
    for writer in range(WRITERS):
        assert "dropped" == again.why(f"w{writer}-0").state.where
    assert () == verify(again).faults


def test_six_processes_that_race_on_a_disk_lose_and_double_nothing(many):
    start = multiprocessing.get_context("spawn")
    started = [
        start.Process(target=write, args=(many.address, w, many.cache)) for w in range(WRITERS)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()

    assert [0] * WRITERS == [process.exitcode for process in started]
    check_that_all_came(many)


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_six_threads_that_race_on_s3_lose_and_double_nothing(many):
    faults = []

    def run(writer):
        try:
            write(many.address, writer, many.cache)
        except BaseException as fault:
            faults.append(fault)
            raise

    started = [threading.Thread(target=run, args=(w,)) for w in range(WRITERS)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()

    assert [] == faults
    check_that_all_came(many)


@both
def test_the_loser_is_told_who_won_and_its_version_stays(many):
    other = open_store(many.address, create=False, author="ann")
    won = drop(other, "w0-0", retry=False)

    with pytest.raises(MovedError, match=rf"moved to {won.short} by ann at .* run again") as told:
        drop(many, "w1-0", retry=False) if many.head() != won else commit_behind(many)
    assert won == many.head()
    assert 13 == many.version(told.value.version).rows


def commit_behind(store):
    """Commit onto the version before the head, as a session does that did not look again."""
    parent = store.version(store.entries()[0].version)
    rows = store.rows(parent)
    return store.commit(
        "main", rows.filter(pc.not_equal(rows["id"], "w1-0")), parents=(parent,),
        task="classification", step=StepRecord("thin", {}, 1),
        decisions=schema.decisions(
            [{"row_id": "w1-0", "action": "drop", "step": "thin", "reason": "why", "by": "rule",
              "partner_id": "z"}]
        ),
        findings=schema.findings([{"row_id": "z", "issue_type": "x", "check": "thin"}]),
        transforms=[{"fix": "html"}],
    )  # fmt: skip


@both
def test_a_lost_change_is_put_onto_the_winner_with_all_that_belongs_to_it(many):
    drop(open_store(many.address, create=False), "w0-0", retry=False)
    with pytest.raises(MovedError) as moved:
        commit_behind(many)
    made = many.retry(moved.value)

    assert made == many.head()
    assert (12, ({"fix": "html"},)) == (made.rows, made.transforms)
    assert "z" == many.decisions(made)["partner_id"][0].as_py()
    assert ["z"] == many.findings(made)["row_id"].to_pylist()
    assert {"w0-0", "w1-0"}.isdisjoint(many.rows(made)["id"].to_pylist())


@pytest.mark.parametrize("row", ["w1-0", "z"], ids=["the row itself", "the partner it rests on"])
def test_changes_of_common_rows_are_not_put_onto_each_other(many, row):
    drop(open_store(many.address, create=False), row, retry=False)
    with pytest.raises(MovedError) as moved:
        commit_behind(many)

    with pytest.raises(StoreError, match=rf"concern the same 1 row\(s\) \({row}\).*run again"):
        many.retry(moved.value)
    assert 2 == len(many.entries())


def test_a_row_that_rests_on_one_we_dropped_is_in_common_too(many):
    drop(open_store(many.address, create=False), "z", retry=False, partner="w1-0")
    with pytest.raises(MovedError) as moved:
        commit_behind(many)

    with pytest.raises(StoreError, match=r"concern the same 2 row\(s\) \(w1-0, z\)"):
        many.retry(moved.value)


def test_an_import_and_a_branch_that_went_another_way_are_not_retried(many, commit, rows_of):
    fresh = rows_of({"id": "n", "text": "n"})
    commit(fresh, store=open_store(many.address, create=False))
    with pytest.raises(MovedError) as moved:
        commit_behind(many)
    with pytest.raises(StoreError, match="now goes another way than version"):
        many.retry(moved.value)

    with pytest.raises(MovedError) as moved:
        commit(rows_of({"id": "m", "text": "m"}), store=many)
    with pytest.raises(StoreError, match="was moved while an import was at work: run again"):
        many.retry(moved.value)


def change(store, changed, dropped, actions):
    return store.commit_changes(
        None, changed, dropped=dropped, parent="main", **facts_of(actions)
    )  # fmt: skip


def facts_of(actions):
    made = {"step": "change", "reason": "r", "by": "rule"}
    return {
        "step": StepRecord("change", {}, 1),
        "findings": schema.findings([]),
        "decisions": schema.decisions({**made, "row_id": r, "action": a} for r, a in actions),
    }


@both
def test_changes_alone_make_the_same_version_as_all_rows(many, rows_of, changed):
    actions = [("w0-0", "edit"), ("z", "drop"), ("new", "add")]
    edited = changed(many.rows("main"), {"w0-0": {"text": "other"}})
    new = rows_of({"id": "new", "text": "new"})
    first = edited.filter(pc.equal(edited["id"], "w0-0"))
    small = change(many, pa.concat_tables([new, first]), ["z"], actions)
    rest = edited.filter(pc.not_equal(edited["id"], "z"))
    big = many.commit(
        None, pa.concat_tables([rest, new]), parents=("main",), task="classification",
        **facts_of(actions),
    )  # fmt: skip

    assert small == big
    assert (14, 13) == (small.rows, small.splits["train"])
    assert pa.concat_tables([rest, new]).sort_by("id").equals(many.rows(small))
    assert () == verify(many).faults


def test_changes_of_a_frozen_test_row_are_refused(many, changed):
    edited = changed(many.rows("main"), {"t": {"text": "other"}})

    with pytest.raises(LockError, match=r"would change frozen test rows \(changed: t\)"):
        change(many, edited.filter(pc.equal(edited["id"], "t")), [], [("t", "edit")])
    with pytest.raises(LockError, match=r"would change frozen test rows \(missing: t\)"):
        change(many, edited.slice(0, 0), ["t"], [("t", "drop")])


def test_changes_alone_are_held_to_the_law_of_decisions(many, changed):
    edited = changed(many.rows("main"), {"w0-0": {"text": "other"}})

    with pytest.raises(StoreError, match="1 row\\(s\\) changed without a 'edit': w0-0"):
        change(many, edited, [], [])


@pytest.mark.parametrize(
    ("dropped", "told"),
    [(["gone"], "rows to drop are not in the parent: gone"), (["w0-0"], "dropped and changed at")],
)
def test_changes_that_cannot_be_are_refused(many, dropped, told):
    with pytest.raises(StoreError, match=told):
        many.commit_changes(
            None,
            many.rows("main").filter(pc.equal(many.rows("main")["id"], "w0-0")),
            dropped=dropped,
            parent="main",
            step=StepRecord("x", {}, 1),
            decisions=schema.decisions([]),
            findings=schema.findings([]),
        )


def test_changed_rows_have_the_columns_of_the_version(many, rows_of):
    with pytest.raises(StoreError, match="a step that changes columns commits all rows"):
        many.commit_changes(
            None,
            rows_of({"id": "n", "text": "n", "own": "x"}),
            parent="main",
            step=StepRecord("x", {}, 1),
            decisions=schema.decisions([]),
            findings=schema.findings([]),
        )
