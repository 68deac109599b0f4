"""Laws of merging: three tables become one without losing, doubling or inventing a cell."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curator import schema
from curator.errors import ConflictError
from curator.reverting import revert
from curator.versions import StepRecord, merge, open_store
from curator.versions.changes import compare
from curator.versions.differences import operations
from curator.versions.threeway import three_way

lawful = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FATES = ("keep", "keep", "drop", "relabel", "edit", "weight", "both")


def row(number, **cells):
    return {
        "id": f"r{number}", "group": f"r{number}", "text": f"text {number}", "label": "a",
        "split": "train", "weight": 1.0, "source": "file:a.csv", "source_row": number,
        "parent": None, "step": "import", **cells,
    }  # fmt: skip


def table(records):
    return pa.Table.from_pylist(sorted(records, key=lambda r: r["id"]), schema=schema.ROW_SCHEMA)


BASE = table([*(row(n) for n in range(6)), row(9, split="test")])


@st.composite
def sides(draw, rows=range(6), side="x"):
    """What one branch made of the base, touching only some rows."""
    made = []
    for record in BASE.to_pylist():
        number = int(record["id"][1:])
        fate = draw(st.sampled_from(FATES)) if number in rows else "keep"
        value = draw(st.sampled_from("bc"))
        cells = {
            "relabel": {"label": value}, "edit": {"text": value}, "weight": {"weight": 0.5},
            "both": {"label": value, "text": value},
        }.get(fate, {})  # fmt: skip
        if fate != "drop":
            made.append({**record, **cells})
    new = draw(st.sets(st.integers(0, 2), max_size=2))
    made += [row(n, id=f"{side}{n}", text=f"new {side}{n}") for n in new]
    return table(made)


@pytest.fixture
def new_store(tmp_path):
    return lambda: open_store(Path(tempfile.mkdtemp(dir=tmp_path)), create=True, author="kim")


def commit(store, rows, parent=None, branch="main", step="step"):
    before = rows if parent is None else store.rows(parent)
    decided = [
        {"row_id": i, "action": a, "step": step, "reason": "why", "by": "rule"}
        for i, a, _, _ in operations(before, rows, compare(before, rows))
    ]
    return store.commit(
        branch, rows, parents=() if parent is None else (parent,), task="classification",
        step=StepRecord("import" if parent is None else step, {}, 1),
        decisions=schema.decisions(decided), findings=schema.findings([]),
    )  # fmt: skip


def parted(store, ours, theirs):
    """A store in which main and other parted from the base."""
    base = commit(store, BASE)
    store.branch("other", base)
    commit(store, ours, base)
    commit(store, theirs, base, "other", "their step")
    return store


@lawful
@given(sides(range(3), "x"), sides(range(3, 6), "y"))
def test_edits_of_different_rows_merge_the_same_either_way(new_store, ours, theirs):
    one = parted(new_store(), ours, theirs)
    other = parted(new_store(), ours, theirs)

    merge(one, "other", into="main")
    merge(other, "main", into="other")
    assert one.head("main").content == other.head("other").content


@lawful
@given(sides(), sides(range(6), "y"))
def test_conflicts_are_the_same_either_way(ours, theirs):
    here = three_way([BASE], ours, theirs, lambda _: None)
    there = three_way([BASE], theirs, ours, lambda _: None)

    assert sorted((c.row_id, c.column) for c in here.open) == sorted(
        (c.row_id, c.column) for c in there.open
    )


@lawful
@given(sides())
def test_a_branch_merged_into_itself_stays_as_it_is(new_store, ours):
    store = new_store()
    head = commit(store, ours, commit(store, BASE))
    store.branch("same", head)

    assert head == merge(store, "same")
    alone = three_way([BASE], ours, ours, lambda _: None)
    assert (schema.content_digest(ours), ()) == (schema.content_digest(alone.rows), alone.open)


@lawful
@given(sides())
def test_what_only_one_side_changed_is_that_side(ours):
    for mine, yours in ((ours, BASE), (BASE, ours)):
        together = three_way([BASE], mine, yours, lambda _: None)
        assert (schema.content_digest(ours), ()) == (
            schema.content_digest(together.rows),
            together.open,
        )


@lawful
@given(sides(), sides(range(6), "y"), st.sampled_from([None, "ours", "theirs"]))
def test_a_merge_is_its_first_parent_less_dropped_plus_added(new_store, ours, theirs, rule):
    store = parted(new_store(), ours, theirs)
    try:
        merged = merge(store, "other", rule=rule)
    except ConflictError:
        assert rule is None
        return
    by_action = {action: set() for action in schema.CHANGING_ACTIONS}
    for made in store.decisions(merged).to_pylist():
        if made["action"] in by_action:
            by_action[made["action"]].add(made["row_id"])
    before, after = set(ours["id"].to_pylist()), set(store.rows(merged)["id"].to_pylist())

    assert after == before - by_action["drop"] | by_action["add"]
    assert by_action["drop"] <= before
    assert not by_action["add"] & before


@lawful
@given(sides(), sides(range(6), "y"))
def test_every_cell_of_a_merge_stands_on_one_of_its_sides(ours, theirs):
    together = three_way([BASE], ours, theirs, lambda _: "theirs")
    said = {}
    for side in (ours, theirs):
        for record in side.to_pylist():
            for name, value in record.items():
                said.setdefault((record["id"], name), set()).add(value)

    for record in together.rows.to_pylist():
        assert all(value in said[record["id"], name] for name, value in record.items())


@lawful
@given(sides())
def test_the_last_step_taken_out_gives_what_its_parent_holds(new_store, ours):
    store = new_store()
    base = commit(store, BASE)
    commit(store, ours, base)

    assert base.content == revert(store, "step").version.content


@lawful
@given(sides(range(3), "x"), sides(range(3, 6), "y"))
def test_a_step_taken_out_leaves_a_later_one_on_other_rows_as_if_alone(new_store, ours, theirs):
    store = new_store()
    first = commit(store, ours, commit(store, BASE), step="first")
    together = three_way([BASE], ours, theirs, lambda _: None).rows
    commit(store, together, first, step="second")
    done = revert(store, "first")

    assert schema.content_digest(theirs) == done.version.content
    assert 0 == done.lost.num_rows
