"""Alpha that a recipe declares: said before, kept to, and refused when it is spent."""

from __future__ import annotations

import json

import pytest

RECIPE = """\
name: tiny
language: en
sources:
  - {from: "file:train.csv", split: train}
  - {from: "file:test.csv", split: test}
steps: [clean, duplicates, leaks]
measure: {model: tfidf, tiers: [probe], alpha: %s}
"""


@pytest.fixture
def made(corpus):
    return corpus(classes=24, train=6, test=4)


def run(curator, made, alpha):
    said = curator(made.say(RECIPE % alpha).folder, "run", "recipe.yaml", "--json")
    assert 0 == said.code, said.err
    return said, {one["step"]: one for one in said.json()["impacts"]}


def test_each_comparison_of_a_run_has_the_declared_level_and_no_holm(curator, made):
    _, found = run(curator, made, "{comparisons: 10}")

    levels = {one["alpha_over_looks"] for one in found.values() if one["verdict"] != "identical"}
    assert {0.005} == levels
    assert "comparison 1 of 10, at a declared level of 0.50 %" in found["whole chain"]["sentence"]

    facts = curator(made.folder, "alpha", "--json").json()
    charged = [one for one in found.values() if one["verdict"] != "identical"]
    assert len(charged) == len(facts["comparisons"]) == len(facts["ended"])
    assert facts["test_uses"]["alpha"] <= 2 * 0.005 * len(charged) + 1e-12


def test_a_plan_says_what_will_be_charged_what_can_be_seen_and_the_cost(curator, made):
    made.say(RECIPE % "{comparisons: 10}")

    notes = " ".join(
        json.loads(curator(made.folder, "run", "recipe.yaml", "--plan", "--json").out)["notes"]
    )

    assert "alpha: declared by this run: 10 comparisons at 0.50 % each (5.00 % in all)" in notes
    assert "opens up to 4 comparisons that are new, the whole chain first" in notes
    assert "(each comparison at the declared 0.50 %, up to 8 seeds)" in notes
    assert "cost: about " in notes


def test_a_plan_without_a_declaration_says_what_holm_shares(curator, made):
    made.say(RECIPE.replace(", alpha: %s", ""))

    said = curator(made.folder, "run", "recipe.yaml", "--plan", "--json")

    assert "up to 10.00 % will be charged per tier" in " ".join(said.json()["notes"])


def test_a_run_that_asks_for_more_than_is_left_keeps_the_whole_chain_and_says_so(curator, made):
    said, found = run(curator, made, "{comparisons: 1}")

    assert "not_measurable" != found["whole chain"]["verdict"]
    refused = [one for one in found.values() if one["verdict"] == "not_measurable"]
    assert refused
    assert "all 1 comparison declared for test rows" in refused[0]["sentence"]
    assert "1 of 1 used, 0 left" in said.err


def test_measure_and_gate_refuse_when_it_is_spent_and_what_was_measured_is_free(curator, made):
    run(curator, made, "{comparisons: 1}")

    again = curator(made.folder, "measure", "main~3", "main")
    spent = curator(made.folder, "measure", "main~2", "main")
    gate = curator(made.folder, "gate", "main~2", "main")

    assert (0, 1, 4) == (again.code, spent.code, gate.code)
    assert "so no alpha is left; ask `curator explore`, or bring new test rows" in spent.err
    assert "so no alpha is left" in gate.err


def test_locked_rows_open_for_a_tagged_release_and_for_nothing_else(curator, made):
    run(curator, made, "{rule: final}")

    untagged = curator(made.folder, "measure", "main~3", "main")
    scores = curator(made.folder, "scores", "main")
    assert 0 == curator(made.folder, "tag", "v1", "main").code
    opened = curator(made.folder, "measure", "main~3", "main", "--json")

    assert (1, 1, 0) == (untagged.code, scores.code, opened.code)
    assert "tag the version that is to be released first" in untagged.err
    assert "are locked (final)" in scores.err
    assert "locked test rows, opened for release v1" in opened.json()["sentence"]


def test_a_declaration_after_the_first_look_is_refused(curator, made):
    curator(made.say(RECIPE.replace(", alpha: %s", "")).folder, "run", "recipe.yaml")

    said = curator(made.folder, "alpha", "main", "--declare", "split", "--comparisons", "5")

    assert 1 == said.code
    assert "shares of alpha are declared before the first look" in said.err


def test_a_recipe_that_declares_nonsense_is_told_the_line(curator, made):
    said = curator(made.say(RECIPE % "{rule: lord, comparisons: 3}").folder, "run", "recipe.yaml")

    assert 1 == said.code
    assert "recipe.yaml:7: measure.alpha: comparisons go with the rule split" in said.err
