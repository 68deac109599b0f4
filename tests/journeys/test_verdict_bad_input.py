"""What cannot carry a verdict is said in words, and nothing is claimed of it."""

from __future__ import annotations

import pytest

VERBS = ("scores", "learning-curve", "attribution")


def run(curator, made):
    said = curator(made.folder, "run", "recipe.yaml", "--json")
    assert 0 == said.code, said.err
    return said.json()


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ("macro_f1", "no verdict rests on it yet: at item level 10 to 12 % of do-nothing changes"),
        ("span_f1", "it is of spans, and these rows have labels; take accuracy"),
        ("accurcy", "Did you mean 'accuracy'?"),
    ],
)
def test_a_metric_that_carries_no_verdict_is_refused_with_its_reason(
    corpus, curator, metric, reason
):
    made = corpus()
    made.swap("tiers: [probe]}", f"tiers: [probe], metric: {metric}}}")

    said = curator(made.folder, "run", "recipe.yaml")

    assert 1 == said.code
    assert reason in said.err


def test_test_rows_that_all_stand_in_training_can_carry_nothing(corpus, curator):
    made = corpus(classes=24, train=4, test=4, plants=False)
    made.test = [dict(row) for row in made.train]
    made.swap("  - leaks\n", "").write()

    found = run(curator, made)["impacts"]

    told = {one["sentence"] for one in found if one["verdict"] == "not_measurable"}
    assert any("only 0 test rows" in one and "no near-duplicate in training" in one for one in told)
    assert {"identical", "not_measurable"} >= {one["verdict"] for one in found}


@pytest.mark.parametrize("verb", VERBS)
def test_too_few_test_rows_stop_every_verb_that_would_show_a_number(corpus, curator, verb):
    made = corpus(classes=4, test=5, train=24)
    run(curator, made)

    said = curator(made.folder, verb, "main")

    assert 1 == said.code
    assert "the 20 test rows fall into groups worth" in said.err


@pytest.mark.parametrize("verb", VERBS)
def test_test_rows_of_one_label_stop_every_verb_that_would_show_a_number(corpus, curator, verb):
    made = corpus(classes=24, train=4, test=30, plants=False)
    made.test = [row for row in made.test if row["label"] == "topic00"]
    run(curator, made.write())

    said = curator(made.folder, verb, "main")

    assert 1 == said.code
    assert "the test rows all have one label, 'topic00'; nothing can be told" in said.err


def test_versions_whose_test_rows_differ_are_compared_on_what_they_share_or_not_at_all(
    corpus, curator
):
    made = corpus(classes=24, train=4, test=4, plants=False)
    run(curator, made)
    assert 0 == curator(made.folder, "tag", "one", "main").code
    for row in made.test:
        row["text"] += " quite another row of test"
    run(curator, made.write())

    said = curator(made.folder, "measure", "one", "main")

    assert 1 == said.code
    assert "share no test row, so nothing can be compared" in said.err


def test_a_curve_of_too_few_training_rows_is_refused(corpus, curator):
    made = corpus(classes=24, train=3, test=5, plants=False)
    run(curator, made)

    said = curator(made.folder, "learning-curve", "main~5")

    assert 1 == said.code
    assert "training rows; a curve needs at least 80" in said.err


def test_exploring_on_too_few_unchanged_rows_says_so(corpus, curator):
    made = corpus(classes=3, train=6, test=5, plants=False)
    run(curator, made)

    said = curator(made.folder, "explore", "main~1", "main")

    assert 1 == said.code
    assert "--explore" not in said.err
    assert "of the training rows both versions share" in said.err
