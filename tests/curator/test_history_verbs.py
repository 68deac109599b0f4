"""merge, revert, rebuild, log --graph and diff --recipe, from the command line."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator import schema
from curator.versions import StepRecord, open_store


@pytest.fixture
def told(finished_copy, curator):
    """Call the command line in a copy of a finished corpus; a failing call fails the test."""

    def call(*arguments, code=0):
        said = curator(finished_copy.folder, *arguments)
        assert code == said.code, said.err
        return said

    return call


@pytest.fixture
def relabel(finished_copy):
    """Relabel the first training row on a branch; gives its id."""

    def commit(branch, label, by):
        store = open_store(finished_copy.folder / ".curator", create=False)
        head = store.head(branch)
        records = store.rows(head).to_pylist()
        row = next(r for r in records if r["split"] == "train")
        made = {"row_id": row["id"], "action": "relabel", "step": "edits", "by": by,
                "reason": f"{by} says so", "before": json.dumps({"label": row["label"]}),
                "after": json.dumps({"label": label})}  # fmt: skip
        row["label"] = label
        rows = pa.Table.from_pylist(records, schema=store.rows(head).schema)
        store.commit(
            branch, rows, parents=(head,), task=head.task, step=StepRecord("edits", {}, 1),
            decisions=schema.decisions([made]), findings=schema.findings([]),
            transforms=head.transforms,
        )  # fmt: skip
        return row["id"]

    return commit


def test_a_merge_is_committed_counted_and_drawn(told, relabel):
    told("branch", "reviews")
    relabel("reviews", "topic09", "ann")
    said = told("merge", "reviews")

    assert "reviews merged" in said.out
    assert "merged from reviews: ann says so" in said.out
    drawn = told("log", "--graph").out.splitlines()
    assert drawn[0].startswith("* ")
    assert "merge" in drawn[0]
    assert "(main)" in drawn[0]
    assert "|\\" == drawn[1]
    assert any("(reviews)" in line for line in drawn)
    assert "holds all of reviews already" in told("merge", "reviews").out


def test_a_conflict_is_a_table_of_both_sides_and_exit_code_one(told, relabel, finished_copy):
    told("branch", "reviews")
    row = relabel("reviews", "topic09", "ann")
    relabel("main", "topic08", "bo")
    said = told("merge", "reviews", "--out", "conflicts.parquet", "--json", code=1)

    assert "error: reviews cannot be merged into main as it is" in said.err
    conflict = said.json()["conflicts"][0]
    assert [row, "label", "ann says so", "bo"] == [
        conflict[n] for n in ("row_id", "column", "theirs_reason", "ours_by")
    ]
    assert said.json()["conflicts"] == pq.read_table(
        finished_copy.folder / "conflicts.parquet"
    ).to_pylist()  # fmt: skip
    assert "topic09" in told("merge", "reviews", code=1).out
    assert [] == told("merge", "reviews", "--rule", "newest-human", "--json").json()["conflicts"]


def test_a_rule_that_does_not_exist_is_wrong_usage(told):
    said = told("merge", "main", "--rule", "mine", code=2)

    assert "'ours', 'theirs', 'newest-human'" in said.err


def test_a_revert_is_previewed_then_done(told):
    before = told("log", "--json").json()[0]["version"]
    seen = told("revert", "duplicates", "--preview", "--json").json()

    assert (None, before) == (seen["version"], seen["before"])
    assert before == told("log", "--json").json()[0]["version"]
    said = told("revert", "duplicates")
    assert "without duplicates; replayed: leaks, label_errors, augment" in said.out
    assert "no longer: duplicates: exact duplicate" in said.out
    assert "duplicates" not in [e["step"] for e in told("log", "--json").json()]


def test_a_decision_that_no_longer_applies_is_listed(told, relabel):
    told("revert", "augment")
    row = relabel("main", "topic09", "ann")
    relabel("main", "topic08", "bo")
    first = told("log", "--json").json()[1]["version"]
    said = told("revert", first[:12])

    assert "1 decisions no longer apply" in said.out
    assert row[:12] in said.out
    assert "bo says so" in said.out


def test_a_rebuild_says_how_each_version_came_out(told):
    said = told("rebuild", "main")

    assert 6 == said.out.count("as stored")
    found = told("rebuild", "main", "--json").json()
    assert [True, []] == [found["matches"], found["parted"]]


def test_a_rebuild_that_parts_ends_with_code_one_and_names_the_row(told, finished_copy):
    store = open_store(finished_copy.folder / ".curator", create=False)
    head = store.head()
    records = store.rows(head).to_pylist()
    row = next(r for r in records if r["split"] == "train")
    row["weight"] = 0.5
    made = {"row_id": row["id"], "action": "weight", "step": "edits", "by": "ann", "reason": "so",
            "after": '{"weight":0.75}'}  # fmt: skip
    store.commit(
        "main", pa.Table.from_pylist(records, schema=store.rows(head).schema), parents=(head,),
        task=head.task, step=StepRecord("edits", {}, 1), decisions=schema.decisions([made]),
        findings=schema.findings([]), transforms=head.transforms,
    )  # fmt: skip
    said = told("rebuild", "main", "--out", "parted.csv", code=1)

    assert "PARTED" in said.out
    assert row["id"] in said.out
    assert row["id"] in (finished_copy.folder / "parted.csv").read_text("utf-8")


def test_a_recheck_takes_workers_and_a_batch_size(told):
    found = told(
        "rebuild", "main", "--recheck", "--workers", "2", "--batch-size", "5", "--json"
    ).json()

    assert found["matches"]
    assert "computed" == found["steps"][-1]["how"]


def test_the_recipes_of_two_versions_are_compared(told, finished_copy):
    told("tag", "before")
    finished_copy.swap("- duplicates\n", "- duplicates: {near: 1.0}\n")
    told("run", "recipe.yaml", "--no-measure")
    found = told("diff", "before", "main", "--recipe", "--json").json()

    assert [("option", "duplicates", "near", 0.8, 1.0)] == [
        tuple(d.values()) for d in found["differences"]
    ]
    assert 0 == found["flagged"]
    said = told("diff", "before", "main", "--recipe", "--rows", "rows.parquet")
    assert "option" in said.out
    assert pq.read_table(finished_copy.folder / "rows.parquet").num_rows
