"""Merge, revert and rebuild on spans and on dialogues: cells that are lists, not words."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from curator import schema
from curator.attributing import attribution
from curator.curving import learning_curve
from curator.errors import ConflictError, MeasureError
from curator.exploring import explore
from curator.gating import Rules, gate
from curator.rebuilding import rebuild
from curator.recipe import from_mapping
from curator.reverting import revert
from curator.running import run
from curator.scoring import scores
from curator.versions import StepRecord, describe, merge, open_store
from curator.versions.changes import compare
from curator.versions.differences import operations
from curator.versions.verify import verify

NAMES = ("Ann", "Bob", "Cem", "Dora", "Eva", "Finn", "Gus", "Hal")


def turn(role, content):
    return {"role": role, "content": content}


def named(number):
    text = f"{NAMES[number]} asked  for item {number * 7919} of shelf {number}"
    return {"text": text, "spans": [{"start": 0, "end": len(NAMES[number]), "label": "PER"}]}


def told(number):
    asked = f"What does  item {number * 7919} weigh, asks {NAMES[number]}?"
    return {"messages": [turn("user", asked), turn("assistant", f"It weighs {number} grams")]}


MADE = {"tokens": named, "instruction": told}
CELLS = {
    "tokens": (
        "spans",
        [{"start": 0, "end": 3, "label": "NAME"}],
        [{"start": 0, "end": 3, "label": "PERSON"}],
    ),
    "instruction": (
        "messages",
        [turn("user", "Say it again"), turn("assistant", "It weighs nothing")],
        [turn("user", "Say it again"), turn("assistant", "It weighs a lot")],
    ),
}


@pytest.fixture(params=MADE)
def task(request):
    return request.param


@pytest.fixture
def store(task, tmp_path):
    """A store whose recipe tidied every row."""
    records = [MADE[task](number) for number in range(len(NAMES))]
    sources = [{"from": records[2:], "split": "train"}, {"from": records[:2], "split": "test"}]
    steps = [{"clean": {}}, {"duplicates": {}}]
    recipe = {"name": "r", "task": task, "sources": sources, "measure": False, "steps": steps}
    made = open_store(tmp_path / "store", create=True, author="kim")
    run(from_mapping(recipe), made)
    return made


def ids(store):
    rows = store.rows("main")
    return rows.filter(pa.array([s == "train" for s in rows["split"].to_pylist()]))[
        "id"
    ].to_pylist()


def decide(store, row, cells, branch, by="ann"):
    """Change cells of one row on a branch, as a person does."""
    if branch not in store.branches():
        store.branch(branch, "main")
    store = open_store(store.address, create=False, author="kim")
    head = store.head(branch)
    before = store.rows(head)
    records = [{**r, **cells} if r["id"] == row else r for r in before.to_pylist()]
    after = pa.Table.from_pylist(records, schema=before.schema)
    made = [
        {"row_id": i, "action": a, "step": "edits", "reason": "read again", "by": by,
         "before": was, "after": now}
        for i, a, was, now in operations(before, after, compare(before, after))
    ]  # fmt: skip
    return store.commit(
        branch, after, parents=(head,), task=head.task, step=StepRecord("edits", {"n": row}, 1),
        decisions=schema.decisions(made), findings=schema.findings([]),
    )  # fmt: skip


def cell(store, row, name, ref="main"):
    return store.find(ref, [row])[row][name]


def test_rows_that_each_side_changed_meet_and_come_out_again(store, task):
    name, ours, theirs = CELLS[task]
    first, second = ids(store)[:2]
    store.branch("side", "main")
    decide(store, first, {name: ours}, "main")
    decide(store, second, {name: theirs}, "side")
    merge(open_store(store.address, create=False), "side")
    store = open_store(store.address, create=False)

    assert [ours, theirs] == [cell(store, row, name) for row in (first, second)]
    assert rebuild(store, "main").matches
    assert () == verify(store).faults


def test_two_values_of_one_cell_are_a_conflict_until_a_rule_settles_it(store, task):
    name, ours, theirs = CELLS[task]
    row = ids(store)[0]
    store.branch("side", "main")
    decide(store, row, {name: ours}, "main")
    decide(store, row, {name: theirs}, "side")
    store = open_store(store.address, create=False)

    with pytest.raises(ConflictError) as refused:
        merge(store, "side")
    assert [row] == refused.value.conflicts["row_id"].to_pylist()
    merge(store, "side", rule="theirs")
    assert theirs == cell(store, row, name)


def test_a_step_is_taken_out_and_what_people_did_is_put_on_again(store, task):
    name, ours, _ = CELLS[task]
    first, second = ids(store)[:2]
    before = cell(store, second, name, "main~2")
    decide(store, first, {name: ours}, "main")
    store = open_store(store.address, create=False)
    made = revert(store, "clean")

    assert before == cell(store, second, name)
    assert "edited" in made.changes["op"].to_pylist()
    # Spans stand as they did; the words of a dialogue were tidied when the person read them.
    lost = {"tokens": [], "instruction": [first]}[task]
    assert lost == made.lost["row_id"].to_pylist()
    assert (ours == cell(store, first, name)) is (not lost)
    assert rebuild(store, "main").matches


def test_why_uses_the_word_of_the_task(store, task):
    said = describe(store.why(ids(store)[0])).splitlines()[0]
    word = {"tokens": ", with the spans “[[", "instruction": "?”, answered “It weighs"}[task]

    assert word in said
    assert "labelled" not in json.dumps(said)


@pytest.mark.parametrize("look", [
    lambda store: scores(store, "main"),
    lambda store: attribution(store, "main"),
    lambda store: learning_curve(store, "main"),
    lambda store: explore(store, "main~1", "main"),
], ids=["scores", "attribution", "learning-curve", "explore"])  # fmt: skip
def test_a_look_at_scores_that_are_not_measured_names_the_task(store, task, look):
    with pytest.raises(MeasureError, match=rf"is of task '{task}', and this is there for clas"):
        look(store)


def test_a_gate_without_classes_answers_and_does_not_stop(store):
    assert () == gate(store, "main~1", "main", rules=Rules(margin=0.1)).classes


@pytest.mark.parametrize("extra", [(), ("--json",)], ids=["table", "json"])
def test_rows_of_dialogues_show_their_text_with_personal_data_masked(curator, tmp_path, extra):
    asked = [turn("user", "Write to bob@corp.example"), turn("assistant", "Sent")]
    sources = [{"from": [{"messages": asked}], "split": "train"}]
    sources.append({"from": [told(1)], "split": "test"})
    recipe = {"name": "r", "task": "instruction", "sources": sources, "measure": False}
    run(from_mapping(recipe), open_store(tmp_path / ".curator", create=True, author="kim"))

    said = curator(tmp_path, "rows", "main", *extra)

    assert 0 == said.code
    assert "Write to [EMAIL]" in said.out
    assert "bob@" not in said.out


def test_a_store_whose_first_run_failed_says_what_makes_a_version(curator, tmp_path):
    open_store(tmp_path / ".curator", create=True, author="kim")

    said = curator(tmp_path, "log")

    assert 1 == said.code
    assert "this store holds none yet; `curator run RECIPE` makes some" in said.err


def test_rows_with_several_labels_show_them(curator, tmp_path):
    sources = [
        {"from": [{"text": "the fee for my card", "labels": ["card", "fee"]}], "split": "train"},
        {"from": [{"text": "where is it", "labels": ["card"]}], "split": "test"},
    ]
    recipe = {"name": "r", "task": "multilabel", "sources": sources, "measure": False}
    run(from_mapping(recipe), open_store(tmp_path / ".curator", create=True, author="kim"))

    assert "['card', 'fee']" in curator(tmp_path, "rows", "main").out
