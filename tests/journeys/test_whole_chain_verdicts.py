"""What a run always says beside its steps: the whole chain, and what came since the last tag."""

from __future__ import annotations

import pytest

RECIPE = """\
name: tiny
language: en
sources:
  - {from: "file:train.csv", split: train}
  - {from: "file:test.csv", split: test}
steps: [%s]
measure: {model: tfidf, tiers: [probe]}
"""


@pytest.fixture
def made(corpus):
    return corpus(classes=24, train=4, test=4)


def impacts(curator, made, steps):
    said = curator(made.say(RECIPE % steps).folder, "run", "recipe.yaml", "--json")
    assert 0 == said.code, said.err
    return {one["step"]: one for one in said.json()["impacts"]}


def test_a_run_of_one_step_has_a_verdict_of_the_whole_chain_too(curator, made):
    found = impacts(curator, made, "clean")

    assert ["clean", "whole chain"] == list(found)
    assert found["clean"]["after"] == found["whole chain"]["after"]


def test_what_came_since_the_last_tag_is_judged_beside_the_chain(curator, made):
    impacts(curator, made, "clean")
    assert 0 == curator(made.folder, "tag", "v1", "main").code
    tagged = curator(made.folder, "log", "--json").json()[0]["version"]

    found = impacts(curator, made, "clean, duplicates, leaks")

    assert ["clean", "duplicates", "leaks", "whole chain", "since tag v1"] == list(found)
    assert tagged == found["since tag v1"]["before"]
    assert found["whole chain"]["after"] == found["since tag v1"]["after"]


def test_a_tag_on_the_head_is_the_release_now_measured_and_not_the_last_one(curator, made):
    impacts(curator, made, "clean, duplicates")
    assert 0 == curator(made.folder, "tag", "v1", "main").code

    assert ["clean", "duplicates", "whole chain"] == list(
        impacts(curator, made, "clean, duplicates")
    )
