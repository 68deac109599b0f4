"""A version can be made again from what is stored, and computed anew in any company."""

import json
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from curator import execute, schema
from curator.decide import decide
from curator.errors import StoreError
from curator.rebuilding import apply_decisions, rebuild
from curator.rechecking import recheck
from curator.versions import StepRecord, merge, open_store

STEPS = ["import", "clean", "duplicates", "leaks", "label_errors", "augment"]


@pytest.fixture
def store(finished, tmp_path):
    """A copy of the store of a corpus whose recipe has run."""
    shutil.copytree(finished.folder / ".curator", tmp_path / "store")
    return open_store(tmp_path / "store", create=False, author="kim")


def weigh(store, branch, number, weight, after='{"weight":%s}'):
    """Weigh the n-th training row on a branch, as a person would."""
    head = store.head(branch)
    rows = store.rows(head)
    records = rows.to_pylist()
    train = [r for r in records if r["split"] == "train"]
    train[number]["weight"] = weight
    decided = {"row_id": train[number]["id"], "action": "weight", "step": "edits", "by": "ann",
               "reason": "read it", "after": after and after % weight}  # fmt: skip
    return store.commit(
        branch, pa.Table.from_pylist(records, schema=rows.schema), parents=(head,),
        task=head.task, step=StepRecord("edits", {}, 1), decisions=schema.decisions([decided]),
        findings=schema.findings([]), transforms=head.transforms,
    )  # fmt: skip


def test_every_version_of_a_run_comes_out_as_stored_without_a_model(store, monkeypatch):
    monkeypatch.setattr("curator.context.Context.model", property(lambda _: pytest.fail("asked")))
    made = rebuild(store, "main")

    assert made.matches
    assert store.head().id == made.version
    assert STEPS == [step.step for step in made.steps]
    assert ["import", *["findings"] * 4, "decisions"] == [step.how for step in made.steps]
    assert 0 == made.parted.num_rows
    added = pc.sum(pc.equal(store.decisions("main")["action"], "add")).as_py()
    assert added == made.steps[-1].taken


def test_edits_and_merges_come_out_as_stored(store):
    store.branch("reviews", "main")
    weigh(store, "reviews", 0, 0.5)
    weigh(store, "main", 1, 0.25)
    merge(store, "reviews")
    made = rebuild(store, "main")

    assert made.matches
    assert [("edits", 0), ("edits", 0), ("merge", 0)] == [
        (step.step, step.taken) for step in made.steps[-3:]
    ]


def test_a_decision_without_its_cells_is_taken_as_stored_and_counted(store):
    weigh(store, "main", 0, 0.5, after=None)
    made = rebuild(store, "main")

    assert made.matches
    assert 1 == made.steps[-1].taken


def test_a_history_that_does_not_explain_its_rows_is_found_with_step_and_row(store):
    weigh(store, "main", 0, 0.5, after='{"weight":0.75}%.0s')
    made = rebuild(store, "main")
    told = made.parted.to_pylist()

    assert not made.matches
    assert ["edits"] == [step.step for step in made.steps if not step.matches]
    assert [("edits", "row: weight", '{"weight":0.5}', '{"weight":0.75}')] == [
        (t["step"], t["what"], t["stored"], t["now"]) for t in told
    ]


def test_a_rule_that_decides_otherwise_than_it_did_is_found(store, monkeypatch):
    def lenient(rows, findings, rule, *, step):
        few = findings if step != "duplicates" else findings.slice(0, 0)
        return decide(rows, few, rule, step=step)

    monkeypatch.setattr(execute, "decide", lenient)
    made = rebuild(store, "main")

    assert ["duplicates"] == [step.step for step in made.steps if not step.matches]
    assert {"decision drop", "row: add"} == set(made.parted["what"].to_pylist())


def test_a_step_of_another_code_version_is_replayed_by_its_decisions(store, monkeypatch):
    monkeypatch.setattr("curator.rebuilding.step_version", lambda _: 99)
    made = rebuild(store, "main")

    assert made.matches
    assert {"import", "decisions"} == {step.how for step in made.steps}
    assert "version 1 of the step's code, here is version 99" in made.steps[1].notes[0]


@pytest.mark.parametrize(("workers", "batch_size"), [(1, None), (2, 7)])
def test_a_recheck_finds_the_same_on_more_workers_and_in_other_batches(store, workers, batch_size):
    made = recheck(store, "main", workers=workers, batch_size=batch_size)

    assert made.matches, made.parted.to_pylist()
    assert ["import", *["computed"] * 5] == [step.how for step in made.steps]
    assert [0.0] * 6 == [step.by for step in made.steps]
    assert not list((store.folder.root / "cache").glob("recheck-*"))


def test_a_recheck_joins_the_parents_of_a_merge_again(store):
    store.branch("reviews", "main")
    weigh(store, "reviews", 0, 0.5)
    weigh(store, "main", 1, 0.25)
    merge(store, "reviews")
    made = recheck(store, "main")

    assert made.matches
    assert "merged" == made.steps[-1].how


def test_a_recheck_names_the_rows_that_cross_a_threshold_and_their_step(store, monkeypatch):
    known = {f["row_id"]: f for f in store.findings("main~1").to_pylist() if f["flagged"]}
    row = min(known)
    real = execute.findings_of

    def nudged(kind, options, rows, context):
        found = real(kind, options, rows, context)
        if kind != "label_errors":
            return found
        told = [{**f, "score": f["score"] + 1e-9, "flagged": f["flagged"] and f["row_id"] != row}
                for f in found.to_pylist()]  # fmt: skip
        return schema.findings(told)

    monkeypatch.setattr(execute, "findings_of", nudged)
    made = recheck(store, "main")
    apart = [t for t in made.parted.to_pylist() if t["what"] == "label"]

    assert ["label_errors"] == [step.step for step in made.steps if not step.matches]
    assert [(row, True, False)] == [
        (t["row_id"], json.loads(t["stored"])["flagged"], json.loads(t["now"])["flagged"])
        for t in apart
    ]
    step = next(s for s in made.steps if s.step == "label_errors")
    assert 0 < step.by < 1e-8
    assert step.moved > 0


def test_another_model_revision_is_said(store, monkeypatch):
    real = execute.model_of

    def other(spec, context):
        model = real(spec, context)
        return model and {**model, "revision": "another"}

    monkeypatch.setattr("curator.rechecking.model_of", other)
    notes = [note for step in recheck(store, "main").steps for note in step.notes]

    assert 2 == len(notes)
    assert all(note.endswith("now another") for note in notes)


def test_workers_and_batch_size_are_whole_numbers_from_one(store):
    with pytest.raises(StoreError, match="--workers and --batch-size are whole numbers from 1"):
        recheck(store, "main", workers=0)


def test_cells_that_json_does_not_keep_are_taken_as_stored():
    def table(day):
        row = {"id": "a", "group": "a", "text": "t", "label": "b", "split": "train",
               "weight": 1.0, "step": "import"}  # fmt: skip
        base = pa.Table.from_pylist([row], schema=schema.ROW_SCHEMA)
        return base.append_column("day", pa.array([day], pa.timestamp("s")))

    told = {"row_id": "a", "action": "edit", "step": "s", "reason": "r", "by": "ann",
            "after": '{"day":"1970-01-01 00:00:02"}'}  # fmt: skip
    rows, taken = apply_decisions(table(1), schema.decisions([told]), lambda _: table(2))

    assert (table(2), 1) == (rows, taken)
