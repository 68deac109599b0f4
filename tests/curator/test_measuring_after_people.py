"""A version that people made has no recipe of its own: the run before it says how to measure."""

import csv

import pytest


@pytest.fixture
def edited(finished_copy, curator):
    """A corpus in which a person has changed a label, merged into main."""
    folder = finished_copy.folder

    def call(*arguments, code=0):
        said = curator(folder, *arguments)
        assert code == said.code, said.out + said.err
        return said

    call("edits", "export", "label = 'topic03'", "--to", "csv", "--out", "sheet.csv")
    with (folder / "sheet.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0]["label"] = "topic04"
    with (folder / "sheet.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    call("edits", "apply", "sheet.csv", "--by", "ann", "--reason", "read again")
    call("merge", "reviews")
    return call


def test_a_merge_by_people_is_measured_by_the_spec_of_the_run_before_it(edited):
    said = edited("measure", "main~1", "main", "--json")
    named = edited("measure", "main~1", "main", "--recipe", "recipe.yaml", "--json")

    assert "the spec is that of the run that made" in said.err
    assert "the spec is that of the run" not in named.err
    assert named.json()["effect"] == said.json()["effect"]
