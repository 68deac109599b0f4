"""A labels file with branches: read, refused in a ring, told by check and run."""

from __future__ import annotations

import pytest

from curator.errors import RecipeError
from curator.labels import load_labels, parents_of
from curator.recipe import LabelsSpec


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.yaml", "lost: {parent: cards}\nfee: {parent: money}\nother: {}\n"),
        ("labels.csv", "key,name,definition,parent\nlost,,,cards\nfee,,,money\nother,,,\n"),
    ],
)
def test_the_parent_of_a_label_is_read_from_yaml_and_from_tables(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")

    labels = load_labels(LabelsSpec(address=name), base=tmp_path)

    assert {"lost": "cards", "fee": "money"} == parents_of(labels)


def test_labels_that_are_above_each_other_are_refused_with_the_ring(tmp_path):
    (tmp_path / "l.yaml").write_text("a: {parent: b}\nb: {parent: a}\n", encoding="utf-8")

    with pytest.raises(RecipeError, match=r"l\.yaml: labels are above each other: a < b"):
        load_labels(LabelsSpec(address="l.yaml"), base=tmp_path)


def test_check_and_run_tell_siblings_from_branches(corpus, curator):
    made = corpus(classes=4, train=30, plants=False)
    for i in range(0, 120, 12):
        made.train[i]["label"], made.train[i + 1]["label"] = "topic01", "topic03"
    tree = "topic00: {parent: left}\ntopic01: {parent: left}\ntopic02: {parent: right}\n"
    (made.folder / "labels.yaml").write_text(tree + "topic03: {parent: right}\n", "utf-8")
    made.write().swap("steps:", "labels: labels.yaml\nsteps:")
    made.swap("  - augment: {with: [keyboard], keep_label: 0}\n", "")
    made.swap("measure: {model: tfidf, tiers: [probe]}", "measure: false")
    ran = curator(made.folder, "run", "recipe.yaml")
    checked = curator(made.folder, "check", "train.csv", "--recipe", "recipe.yaml", "--json")

    assert (0, 0) == (ran.code, checked.code), ran.err + checked.err
    assert "confusions by the tree of labels: about " in ran.err
    said = [n for n in checked.json()["notes"] if n.startswith("confusions")]
    assert "siblings" in said[0]
    assert "across branches" in said[0]
    (label,) = [i for i in checked.json()["issues"] if i["issue_type"] == "label"]
    assert any("siblings under left" in e["evidence"] for e in label["examples"])
