"""A source delivered again is matched with what came before; frozen test rows stay frozen."""

from __future__ import annotations

import random

import pytest

NEW_TEXT = "a text that stood in no delivery before"


def edited(made):
    """Deliver again: shuffled, one text edited, one row withdrawn, one relabelled, one new."""
    random.Random(4).shuffle(made.train)
    made.train[0]["text"] = "edited beyond any recognition since the last delivery"
    made.train[1]["label"] = "topic00" if made.train[1]["label"] != "topic00" else "topic01"
    made.train.pop()
    extra = {"ticket": "N1"} if "ticket" in made.train[0] else {}
    made.train.append({**extra, "text": NEW_TEXT, "label": "topic01"})
    return made.write()


@pytest.fixture
def run(curator):
    """Run a corpus without measuring; gives the run as JSON and its progress."""

    def call(made, *arguments):
        said = curator(made.folder, "run", "recipe.yaml", "--no-measure", "--json", *arguments)
        assert 0 == said.code, said.err
        return said.json(), said.err

    return call


def test_with_key_columns_every_kind_of_change_is_told_apart(corpus, run):
    made = corpus(classes=4, plants=False, keyed=True)
    run(made)

    said, progress = run(edited(made))

    assert {"new": 1, "withdrawn": 1, "relabelled": 1, "changed": 1, "same": 65} == (
        said["redelivery"]
    )
    assert "1 new, 1 withdrawn, 1 relabelled, 1 changed, 65 same" in progress
    assert "Ids come from the content" not in progress


def test_without_key_columns_an_edited_text_is_withdrawn_and_new_and_this_is_said(corpus, run):
    made = corpus(classes=4, plants=False)
    run(made)

    said, progress = run(edited(made))

    assert {"new": 2, "withdrawn": 2, "relabelled": 1, "changed": 0, "same": 65} == (
        said["redelivery"]
    )
    assert (
        "import  Ids come from the content, as no key columns are named: an edited text counts as "
        "one row withdrawn and one new\n"
    ) in progress


def test_a_shuffled_delivery_is_the_same_version(corpus, run):
    made = corpus(classes=4)
    first, _ = run(made)
    random.Random(7).shuffle(made.train)
    random.Random(8).shuffle(made.test)

    second, _ = run(made.write())

    assert [v["version"] for v in first["versions"]] == [v["version"] for v in second["versions"]]
    assert all(v["cached"] for v in second["versions"])
    assert {} == second["redelivery"]


def test_relabelling_a_training_copy_of_a_test_row_leaves_the_lock_alone(corpus, run):
    """They share a text, and so all of their id but its last part."""
    made = corpus(classes=4)
    first, _ = run(made)
    copy = next(row for row in made.train if row["text"] == made.test[0]["text"])

    locks = set()
    for label in ("topic01", "topic02", "topic03"):
        copy["label"] = label
        again, _ = run(made.write())
        locks.add(again["lock"])

    assert {first["lock"]} == locks


def test_a_delivery_without_some_test_rows_says_that_the_lock_changed(corpus, run):
    made = corpus(classes=4)
    first, _ = run(made)
    del made.test[:2]

    second, told = run(made.write())

    assert first["lock"] != second["lock"]
    assert "warning the delivery changed the frozen test rows (2 gone, 0 new" in told


def test_a_made_test_split_stays_frozen_and_new_rows_train(corpus, run, curator):
    made = corpus(classes=4, train=30, test=0, plants=False)
    made.swap('  - {from: "file:test.csv", split: test}\n', "").swap(", split: train", "")
    first, told = run(made)
    assert "import  no source brings test rows: 20% were set apart by class and near-" in told
    before = curator(made.folder, "rows", "main~5", "--where", "split = 'test'", "--json").json()

    random.Random(1).shuffle(made.train)
    made.train += [{"text": f"{NEW_TEXT} {i}", "label": "topic01"} for i in range(12)]
    second, told = run(made.write())

    assert "those set apart at the first delivery stay frozen, new rows train" in told
    assert first["lock"] == second["lock"]
    after = curator(made.folder, "rows", "main~5", "--where", "split = 'test'", "--json").json()
    assert {row["id"] for row in before} == {row["id"] for row in after}
    new = curator(made.folder, "rows", "main~5", "--where", f"text like '{NEW_TEXT}%'", "--json")
    assert ["train"] * 12 == [row["split"] for row in new.json()]


def test_a_new_copy_of_a_test_row_trains_and_the_leak_step_takes_it_out(corpus, run, curator):
    made = corpus(classes=4, train=30, test=0, plants=False)
    made.swap('  - {from: "file:test.csv", split: test}\n', "").swap(", split: train", "")
    run(made)
    (test, *_) = curator(made.folder, "rows", "--where", "split = 'test'", "--json").json()

    made.train.append({"text": test["text"] + "!", "label": test["label"]})
    _said, _ = run(made.write())

    (gone,) = curator(made.folder, "rows", "main~5..main", "--issue", "leak", "--json").json()
    assert ("drop", test["id"]) == (gone["action"], gone["partner_id"])


def test_another_corpus_is_not_taken_for_a_delivery(corpus, run):
    made = corpus(classes=4, plants=False)
    run(made)
    for number, row in enumerate((*made.train, *made.test)):
        row["text"] = f"{row['text'][::-1]} {number}"

    said, progress = run(made.write())

    assert {} == said["redelivery"]
    assert "against the last delivery" not in progress


def test_the_smallest_visible_effect_is_said_before_anything_is_trained(corpus, curator):
    made = corpus(classes=24, train=3, test=3, plants=False)

    told = curator(made.folder, "run", "recipe.yaml").err.splitlines()

    said = next(i for i, line in enumerate(told) if "the smallest effect these rows can" in line)
    first_fit = next(i for i, line in enumerate(told) if "cross-fitting" in line)
    assert said < first_fit
    assert "72 frozen rows" in told[said - 1]
    assert "not used yet" in told[said - 1]


def test_one_step_may_run_alone_on_a_branch_of_its_own(corpus, run, curator):
    made = corpus()
    whole, _ = run(made)

    alone, _ = run(made, "--only", "leaks")

    assert ["import", "leaks"] == [v["step"] for v in alone["versions"]]
    assert whole["versions"][0]["version"] == alone["versions"][0]["version"]
    listed = curator(made.folder, "branch").out
    assert f"{whole['versions'][-1]['version'][:12]}  main\n" in listed
    assert f"{alone['versions'][-1]['version'][:12]}  only-leaks\n" in listed


def test_a_step_that_the_recipe_lacks_cannot_run_alone(corpus, curator):
    said = curator(corpus().folder, "run", "recipe.yaml", "--only", "leeks")

    assert 1 == said.code
    assert "the recipe has no step 'leeks'" in said.err
    assert "Did you mean 'leaks'?" in said.err


def test_a_change_of_step_three_leaves_one_and_two_as_they_are(corpus, run):
    made = corpus()
    first, _ = run(made)

    second, _ = run(made.swap("- leaks", "- leaks: {near: 0.9}"))

    before, after = ([v["version"] for v in said["versions"]] for said in (first, second))
    assert before[:3] == after[:3]
    assert not set(before[3:]) & set(after[3:])
    assert [True, True, True, False, False, False] == [v["cached"] for v in second["versions"]]


def test_the_plan_tells_what_is_done_and_what_is_new(corpus, run, curator):
    made = corpus()
    run(made)
    made.swap("- leaks", "- leaks: {near: 0.9}")
    store = sorted((made.folder / ".curator").rglob("*"))

    planned = curator(made.folder, "run", "recipe.yaml", "--plan", "--json").json()

    assert ["read again", "done", "done", "new", "new", "new"] == [
        step["state"] for step in planned["steps"]
    ]
    assert store == sorted((made.folder / ".curator").rglob("*"))


def test_going_back_to_an_earlier_recipe_moves_the_branch_and_writes_no_version(
    corpus, run, curator
):
    made = corpus()
    first, _ = run(made)
    run(made.swap("- leaks", "- leaks: {near: 0.9}"))

    again, _ = run(made.swap("- leaks: {near: 0.9}", "- leaks"))

    assert first["versions"][-1]["version"] == again["versions"][-1]["version"]
    shown = curator(made.folder, "show", "main", "--json").json()
    assert first["versions"][-1]["version"] == shown["version"]
