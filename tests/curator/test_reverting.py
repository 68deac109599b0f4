"""A revert is the run that the recipe would have made without the step."""

import json
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from curator import schema
from curator.errors import StoreError
from curator.reverting import revert
from curator.versions import StepRecord, merge, open_store
from curator.versions.changes import compare
from curator.versions.differences import operations


@pytest.fixture
def store(finished, tmp_path):
    """A copy of the store of a corpus whose recipe has run."""
    shutil.copytree(finished.folder / ".curator", tmp_path / "store")
    return open_store(tmp_path / "store", create=False, author="kim")


def edit(store, cells, *, branch="main", by="ann", step="edits", drop=()):
    """Change cells as a person would: edit(store, {"id": {"label": "b"}})."""
    head = store.head(branch)
    before = store.rows(head)
    records = [{**r, **cells.get(r["id"], {})} for r in before.to_pylist() if r["id"] not in drop]
    after = pa.Table.from_pylist(records, schema=before.schema)
    decided = [
        {"row_id": i, "action": a, "step": step, "reason": "read it", "by": by,
         "before": was, "after": now}
        for i, a, was, now in operations(before, after, compare(before, after))
    ]  # fmt: skip
    return store.commit(
        branch, after, parents=(head,), task=head.task, step=StepRecord(step, {}, 1),
        decisions=schema.decisions(decided), findings=schema.findings([]),
        transforms=head.transforms,
    )  # fmt: skip


def dropped_by(store, step):
    """Ids that a step of main dropped."""
    version = next(v for v in store.ancestry("main") if v.step.name == step)
    made = store.decisions(version)
    return made.filter(pc.equal(made["action"], "drop"))["row_id"].to_pylist()


def training(store):
    """Ids of main's training rows."""
    rows = store.rows("main")
    return rows.filter(pc.equal(rows["split"], "train"))["id"].to_pylist()


def texts(store, ref):
    rows = store.rows(ref)
    return dict(zip(rows["id"].to_pylist(), rows["text"].to_pylist(), strict=True))


def test_a_step_in_the_middle_is_taken_out_and_the_later_ones_replayed(store, finished, tmp_path):
    before = store.head()
    gone = dropped_by(store, "duplicates")
    done = revert(store, "duplicates")
    without = finished.recipe.read_text("utf-8").replace("  - duplicates\n", "")
    (tmp_path / "recipe.yaml").write_text(without, "utf-8")
    for name in ("train.csv", "test.csv"):
        shutil.copy(finished.folder / name, tmp_path / name)

    assert store.head() == done.version
    assert before == done.before
    assert ("leaks", "label_errors", "augment") == done.replayed
    assert set(gone) <= set(texts(store, "main"))
    assert ["import", "clean", "leaks", "label_errors", "augment"] == [
        v.step.name for v in reversed(store.ancestry("main"))
    ]
    assert before in [store.version(e.version) for e in store.entries()]
    fresh = run_apart(tmp_path)
    assert fresh.head().id == done.version.id


def run_apart(folder):
    """Run a recipe into a store of its own."""
    from curator.recipe import load
    from curator.running import run

    store = open_store(folder / "apart", create=True)
    run(load(folder / "recipe.yaml"), store, measure=False)
    return store


def test_the_last_step_taken_out_gives_its_parent(store):
    parent = store.version("main~1")

    assert parent == revert(store, "augment").version
    assert parent == store.head()


def test_a_preview_says_what_would_come_back_and_commits_nothing(store):
    before = store.entries()
    gone = dropped_by(store, "duplicates")
    seen = revert(store, "duplicates", preview=True)
    reasons = {r["id"]: r["reason"] for r in seen.changes.to_pylist() if r["op"] == "added"}

    assert before == store.entries()
    assert seen.version is None
    assert all(reasons[row].startswith("no longer: duplicates: ") for row in gone)
    done = revert(store, "duplicates")
    assert seen.changes.equals(done.changes)


def test_a_changed_row_says_which_decision_is_gone(store):
    cleaned = next(v for v in store.ancestry("main") if v.step.name == "clean")
    edited = store.decisions(cleaned).to_pylist()
    row = next(d["row_id"] for d in edited if d["action"] == "edit")
    told = {r["id"]: r for r in revert(store, "clean", preview=True).changes.to_pylist()}

    assert "edited" == told[row]["op"]
    assert "no longer: clean: markup removed" == told[row]["reason"]
    assert "<b>" in json.loads(told[row]["after"])["text"]


def test_decisions_of_people_are_put_on_again_and_those_that_no_longer_apply_are_listed(store):
    cleaned = next(v for v in store.ancestry("main") if v.step.name == "clean")
    made = store.decisions(cleaned).to_pylist()
    row = next(d["row_id"] for d in made if d["action"] == "edit")
    other = next(i for i in training(store) if i != row)
    edit(store, {row: {"text": "said otherwise"}, other: {"weight": 0.5}})
    done = revert(store, "clean")
    lost = done.lost.to_pylist()

    assert "said otherwise" != texts(store, "main")[row]
    assert [(row, "text", "edits", "ann", "read it")] == [
        (x["row_id"], x["column"], x["step"], x["by"], x["reason"]) for x in lost
    ]
    assert "<b>" in json.loads(lost[0]["now"])["text"]
    assert "said otherwise" == json.loads(lost[0]["decided"])["text"]
    assert [(other, "weight", "ann")] == [
        (d["row_id"], d["action"], d["by"]) for d in store.decisions("main").to_pylist()
    ]


def test_a_merge_after_the_step_keeps_its_second_parent(store):
    store.branch("reviews", "main")
    row = training(store)[0]
    edit(store, {row: {"weight": 0.25}}, branch="reviews")
    merge(store, "reviews")
    reviews = store.head("reviews")
    done = revert(store, "duplicates")

    assert reviews.id == done.version.parents[1]
    assert "merge" == done.version.step.name
    made = store.decisions("main").to_pylist()
    assert [(row, "weight", "ann", "merged from reviews: read it")] == [
        (d["row_id"], d["action"], d["by"], d["reason"]) for d in made
    ]
    assert done.version == merge(store, "reviews")


def test_a_reverted_head_can_be_reverted_again(store):
    cleaned = store.version("main~4")
    revert(store, "duplicates")
    revert(store, "leaks")

    assert cleaned == store.version("main~2")
    assert ["import", "clean", "label_errors", "augment"] == [
        v.step.name for v in reversed(store.ancestry("main"))
    ]


def test_a_merge_itself_can_be_taken_out(store):
    before = store.head()
    store.branch("reviews", "main")
    edit(store, {training(store)[0]: {"weight": 0.25}}, branch="reviews")
    merge(store, "reviews")

    assert before.content == revert(store, "merge").version.content


def test_an_unknown_step_is_answered_with_the_nearest(store):
    with pytest.raises(StoreError, match=r"branch 'main' has no step 'duplicate'.*'duplicates'\?"):
        revert(store, "duplicate")


def test_the_import_cannot_be_taken_out(store):
    with pytest.raises(StoreError, match="step 'import' brought the rows of main and cannot be"):
        revert(store, "import")


def test_two_steps_of_one_name_are_told_apart_by_version(store):
    one, two = training(store)[:2]
    first = edit(store, {one: {"weight": 0.5}})
    second = edit(store, {two: {"weight": 0.5}})

    with pytest.raises(StoreError, match="2 steps of main are called 'edits'") as caught:
        revert(store, "edits")
    assert first.short in str(caught.value)
    assert second.short in str(caught.value)
    done = revert(store, first.short)
    weights = dict(zip(*(store.rows("main")[n].to_pylist() for n in ("id", "weight")), strict=True))
    assert (1.0, 0.5) == (weights[one], weights[two])
    assert 0 == done.lost.num_rows


def test_a_store_without_its_run_says_why_nothing_can_be_replayed(store):
    shutil.rmtree(store.folder.root / "records" / "runs")

    with pytest.raises(StoreError, match="no run is known that made version"):
        revert(store, "duplicates")
    assert store.version("main~1") == revert(store, "augment").version
