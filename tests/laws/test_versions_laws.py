"""Laws of the version store, on rows of any text and steps of any kind."""

import json
import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curator import schema
from curator.versions import StepRecord, diff, open_store
from curator.versions.verify import verify

IMPORT, STEP = StepRecord("import", {}, 1), StepRecord("step", {"seed": 1}, 1)
FIELDS = [
    *schema.ROW_SCHEMA,
    pa.field("score", pa.float64()),
    pa.field("tags", pa.list_(pa.string())),
]

lawful = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
texts = st.text(max_size=12)
ids = st.text("abc0", min_size=1, max_size=3)
cells = st.fixed_dictionaries(
    {
        "group": texts,
        "text": texts,
        "label": st.sampled_from(["a", "b", "是"]),
        "split": st.sampled_from(["train", "train", "test"]),
        "weight": st.sampled_from([0.0, 0.5, 1.0]),
        "source": st.none() | texts,
        "source_row": st.none() | st.integers(0, 9),
        "parent": st.none() | ids,
        "step": st.sampled_from(["import", "clean"]),
        "score": st.none() | st.floats(),
        "tags": st.none() | st.lists(texts, max_size=2),
    }
)
corpora = st.dictionaries(ids, cells, max_size=8)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def new_store(tmp_path):
    return lambda: open_store(Path(tempfile.mkdtemp(dir=tmp_path)), create=True)


@st.composite
def steps(draw):
    """A corpus and what one step makes of it: test rows stay, all else may change."""
    before = draw(corpora)
    after = {}
    for row, cell in before.items():
        fate = "keep" if cell["split"] == "test" else draw(st.sampled_from(["keep", "drop", "new"]))
        if fate == "new":
            after[row] = {**draw(cells), "split": cell["split"]}
        elif fate == "keep":
            after[row] = cell
    for row, cell in draw(corpora).items():
        if row not in before:
            after[row] = {**cell, "split": "train"}
    return before, after


def table(corpus, order=None):
    records = [{"id": row, **cell} for row, cell in sorted(corpus.items())]
    if order is not None:
        order.shuffle(records)
    return pa.Table.from_pylist(records, schema=pa.schema(FIELDS))


def decisions(before, after):
    """What a step that decides honestly says it did."""
    old, new = (
        dict(zip(c, schema.row_hashes(table(c)), strict=True)) for c in map(sort, (before, after))
    )
    made = [(row, "drop") for row in old if row not in new]
    made += [(row, "add") for row in new if row not in old]
    for row in old:
        if row in new and old[row] != new[row]:
            was, now = before[row], after[row]
            made += [(row, "relabel")] if was["label"] != now["label"] else []
            made += [(row, "weight")] if was["weight"] != now["weight"] else []
            rest = {"label": "a", "weight": 1.0}
            if schema.row_hashes(table({row: {**was, **rest}})) != schema.row_hashes(
                table({row: {**now, **rest}})
            ):
                made.append((row, "edit"))
    return schema.decisions(
        {"row_id": r, "action": a, "step": "step", "reason": "why", "by": "rule"} for r, a in made
    )


def sort(corpus):
    return dict(sorted(corpus.items()))


def commit(store, rows, step=IMPORT, parents=(), decided=None):
    return store.commit(
        "main",
        rows,
        parents=parents,
        task="classification",
        step=step,
        decisions=schema.decisions([]) if decided is None else decided,
        findings=schema.findings([]),
    )


def plain(rows):
    """Rows as text, so that not-a-number equals itself."""
    return json.dumps(rows.to_pylist())


@lawful
@given(corpora)
def test_what_is_committed_is_what_is_read(new_store, corpus):
    store = new_store()

    assert plain(table(corpus)) == plain(store.rows(commit(store, table(corpus))))


@lawful
@given(corpora, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_enter_the_id(new_store, corpus, order):
    ordered, shuffled = table(corpus), table(corpus, order)

    assert commit(new_store(), ordered).id == commit(new_store(), shuffled).id


@lawful
@given(steps())
def test_a_child_is_its_parent_less_dropped_plus_added_with_its_decisions(new_store, step):
    before, after = step
    store = new_store()
    decided = decisions(before, after)
    parent = commit(store, table(before))
    child = commit(store, table(after), STEP, [parent], decided)
    by_action = {a: set() for a in schema.CHANGING_ACTIONS}
    for made in decided.to_pylist():
        by_action[made["action"]].add(made["row_id"])

    assert plain(table(after)) == plain(store.rows(child))
    assert plain(table(before)) == plain(store.rows(parent))
    assert set(after) == set(before) - by_action["drop"] | by_action["add"]
    store.check_lock(child)


@lawful
@given(steps())
def test_a_diff_applied_to_the_old_rows_gives_the_new(new_store, step):
    before, after = step
    store = new_store()
    parent = commit(store, table(before))
    child = commit(store, table(after), STEP, [parent], decisions(before, after))
    found = {row: {"text": c["text"], "label": c["label"]} for row, c in before.items()}
    for change in diff(store, parent, child).to_pylist():
        if change["op"] == "dropped":
            assert json.loads(change["before"]) == found.pop(change["id"])
            continue
        now = json.loads(change["after"])
        assert ("why", "step") == (change["reason"], change["step"])
        found.setdefault(change["id"], {}).update(
            {n: v for n, v in now.items() if n in ("text", "label")}
        )

    assert {row: {"text": c["text"], "label": c["label"]} for row, c in after.items()} == found


@lawful
@given(steps())
def test_every_row_that_ever_entered_has_a_history(new_store, step):
    before, after = step
    store = new_store()
    parent = commit(store, table(before))
    commit(store, table(after), STEP, [parent], decisions(before, after))

    for row in {*before, *after}:
        history = store.why(row)
        assert (row in after) == (history.state.where == "present")
        assert ("imported" if row in before else "added") == history.events[0].kind


@settings(lawful, max_examples=6)
@given(steps())
def test_the_laws_hold_on_an_object_store_too(s3, tmp_path, step):
    before, after = step
    store = open_store(s3.new_address(), create=True, cache=Path(tempfile.mkdtemp(dir=tmp_path)))
    parent = commit(store, table(before))
    child = commit(store, table(after), STEP, [parent], decisions(before, after))
    again = open_store(store.address, create=False, cache=Path(tempfile.mkdtemp(dir=tmp_path)))

    assert plain(table(before)) == plain(again.rows(parent))
    assert plain(table(after)) == plain(again.rows(child))
    assert () == verify(again).faults
