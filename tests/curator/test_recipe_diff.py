"""A row that differs has a cause in the recipe, or is flagged."""

import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from curator import schema
from curator.recipe import load
from curator.recipe_diff import recipe_diff
from curator.running import run
from curator.versions import StepRecord, open_store


@pytest.fixture
def ran(finished, tmp_path):
    """A copy of a corpus whose recipe has run; run again into its store with a changed recipe."""
    folder = tmp_path / "c"
    shutil.copytree(finished.folder, folder)

    def again(*swaps, branch="other"):
        text = finished.recipe.read_text("utf-8")
        for old, new in swaps:
            assert old in text
            text = text.replace(old, new)
        (folder / "recipe.yaml").write_text(text, "utf-8")
        store = open_store(folder / ".curator", create=False)
        if "first" not in store.tags():
            store.tag("first", "main")
        result = run(load(folder / "recipe.yaml"), store, measure=False)
        store.branch(branch, result.head)
        return store

    again.folder = folder
    return again


def told(found):
    return [(d.what, d.step, d.name, d.a, d.b) for d in found.differences]


def test_an_option_that_differs_is_named_and_explains_its_rows(ran):
    store = ran(("- duplicates\n", "- duplicates: {near: 1.0}\n"))
    found = recipe_diff(store, "first", "other")

    assert [("option", "duplicates", "near", 0.8, 1.0)] == told(found)
    causes = found.as_dict()["causes"]
    assert {"near-duplicate"} == {c["reason"] for c in causes if c["step"] == "duplicates"}
    assert {"a"} == {c["side"] for c in causes if c["step"] == "duplicates"}
    assert 0 == found.as_dict()["flagged"]
    assert found.rows.num_rows > 0


def test_a_step_that_only_one_side_has_is_named(ran):
    store = ran(("  - duplicates\n", ""))
    found = recipe_diff(store, "first", "other")

    assert [("step", "duplicates", "in the recipe", {"guard": True, "near": 0.8}, None)] == told(
        found
    )
    assert 0 == found.flagged.num_rows


def test_steps_in_another_order_are_said(ran):
    store = ran(("  - duplicates\n  - leaks\n", "  - leaks\n  - duplicates\n"))

    assert [("order", "leaks")] == [d[:2] for d in told(recipe_diff(store, "first", "other"))]


def test_another_model_is_said_at_each_step_that_asks_one(ran, monkeypatch):
    monkeypatch.setattr("finetune.TfidfModel.numerics", property(lambda _: "another library"))
    found = recipe_diff(ran(), "first", "other")

    assert {("model", "label_errors", "numerics"), ("model", "augment", "numerics")} >= {
        d[:3] for d in told(found)
    }


def test_a_source_that_delivers_other_rows_explains_them(ran):
    with (ran.folder / "train.csv").open("a", encoding="utf-8") as file:
        file.write("a text of its own that nobody said before,topic00\n")
    found = recipe_diff(ran(), "first", "other")

    assert ("source", "import", "delivered rows") in {d[:3] for d in told(found)}
    added = [r for r in found.rows.to_pylist() if r["reason"] == "delivered otherwise"]
    assert ["added"] == [r["op"] for r in added]
    assert 0 == found.flagged.num_rows


def test_a_row_change_without_a_recipe_change_is_flagged(ran):
    store = ran()
    parent = store.version("first~1")
    version = store.version("first")
    rows = store.rows(parent)
    gone = rows.filter(pc.equal(rows["split"], "train"))["id"].to_pylist()[0]
    made = {"row_id": gone, "action": "drop", "step": "augment", "reason": "by chance",
            "by": "rule"}  # fmt: skip
    store.commit(
        "drifted", rows.filter(pc.not_equal(rows["id"], gone)), parents=(parent,),
        task="classification", step=version.step, decisions=schema.decisions([made]),
        findings=schema.findings([]), transforms=version.transforms,
        note={"model": store.first_entries()[version.id].note["model"]},
    )  # fmt: skip
    found = recipe_diff(store, "first", "drifted")

    assert () == found.differences
    assert found.rows.num_rows == found.flagged.num_rows > 1
    told_of = {r["id"]: r["reason"] for r in found.flagged.to_pylist()}
    assert "by chance" == told_of[gone]


def test_what_people_did_on_one_side_is_a_step_of_that_side(ran):
    store = ran()
    head = store.head("other")
    rows = store.rows(head)
    records = rows.to_pylist()
    row = next(r for r in records if r["split"] == "train")
    row["weight"] = 0.5
    made = {"row_id": row["id"], "action": "weight", "step": "edits", "reason": "read it",
            "by": "ann"}  # fmt: skip
    store.commit(
        "other", pa.Table.from_pylist(records, schema=rows.schema), parents=(head,),
        task="classification", step=StepRecord("edits", {}, 1),
        decisions=schema.decisions([made]), findings=schema.findings([]),
        transforms=head.transforms,
    )  # fmt: skip
    found = recipe_diff(store, "first", "other")

    assert [("step", "edits", "in the recipe", None, {})] == told(found)
    assert [(row["id"], "weighted", "edits", "b", "read it", True)] == [
        (r["id"], r["op"], r["step"], r["side"], r["reason"], r["explained"])
        for r in found.rows.to_pylist()
    ]


def test_a_version_beside_itself_differs_in_nothing(ran):
    found = recipe_diff(ran(), "first", "other")

    assert ((), 0) == (found.differences, found.rows.num_rows)
