"""Label sets against planted noise: rows found, labels named, promises kept."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from curator import schema
from curator.checks.label_sets import doubt_sets, floor_set_flags, label_sets, set_notes
from curator.decide import decide
from curator.errors import StepError
from curator.suspects import Calibrated, drop_suspects, keep_suspects, suspect_notes
from curator.tasks import task_named
from finetune import crossfit_sets

NAMES = ("card", "fee", "loan", "pin")


def table(sets, *, split="train"):
    n = len(sets)
    columns = {
        "id": [f"a{i:04d}" for i in range(n)],
        "group": [f"a{i:04d}" for i in range(n)],
        "text": [f"text {i}" for i in range(n)],
        "labels": [sorted(labels) for labels in sets],
        "split": [split] * n,
        "weight": [1.0] * n,
        "step": ["import"] * n,
    }
    kind = task_named("multilabel").schema
    arrays = [pa.array(columns.get(f.name, [None] * n), f.type) for f in kind]
    return pa.table(arrays, schema=kind)


def scene(seed, n=600, share=0.1):
    """Vectors that are sums of label directions, labels of which some rows gained or lost one."""
    draw = np.random.default_rng(seed)
    directions = draw.normal(size=(len(NAMES), 24))
    truth = draw.random((n, len(NAMES))) < 0.35
    vectors = truth @ directions + draw.normal(size=(n, 24)) * 0.9
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    given = truth.copy()
    wrong = draw.random(n) < share
    given[np.flatnonzero(wrong), draw.integers(0, len(NAMES), wrong.sum())] ^= True
    groups = [f"a{i:04d}" for i in range(n)]
    found = crossfit_sets(vectors.astype(np.float32), given, groups, seed=0)
    return given, truth, wrong, found


def sets_of(given):
    return [[NAMES[k] for k in np.flatnonzero(row)] for row in given]


def average_precision(wrong, scores):
    hits = wrong[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


@pytest.mark.parametrize("seed", [11, 12])
def test_planted_errors_are_ranked_above_cleanlabs_score_and_flags_mean_what_they_say(seed):
    from curator.confident import label_set_quality

    given, truth, wrong, probabilities = scene(seed)
    found = label_sets(table(sets_of(given)), probabilities, NAMES)
    ours = average_precision(wrong, found["score"].to_numpy())
    theirs = average_precision(wrong, 1 - label_set_quality(given, probabilities))

    assert ours > 3 * wrong.mean()
    assert ours > theirs - 0.01
    rate = pc.mean(found["p_wrong"]).as_py()
    assert abs(rate - wrong.mean()) < 0.06
    sure = [f for f in found.to_pylist() if f["p_fix"] > 0.9]
    right = [
        set(json.loads(f["suggestion"]))
        == {NAMES[k] for k in np.flatnonzero(truth[int(f["row_id"][1:])])}
        for f in sure
    ]
    assert sure
    assert np.mean(right) > 0.8


def test_the_suggestion_turns_the_doubted_labels_and_the_evidence_says_which_way():
    given = np.array([[True, False]] * 50 + [[False, True]] * 50)
    probabilities = np.where(given, 0.97, 0.03).astype(np.float32)
    given[0], given[99] = [True, True], [False, False]
    rows = table([["x", "y"]] + [["x"]] * 49 + [["y"]] * 49 + [[]])
    found = label_sets(rows, probabilities, ("x", "y")).to_pylist()

    assert ['["x"]', '["y"]'] == [found[i]["suggestion"] for i in (0, 99)]
    assert [True, True, False] == [found[i]["flagged"] for i in (0, 99, 50)]
    assert "; remove y " in found[0]["evidence"]
    assert "; add y " in found[99]["evidence"]
    assert "cleanlab: issue" in found[0]["evidence"]
    told = set_notes(rows, label_sets(rows, probabilities, ("x", "y")))
    assert told[0].endswith("most doubted: 'y' is missing in 1 row; 'y' is too many in 1 row")


def test_folds_and_neighbours_never_see_the_groups_own_copies():
    draw = np.random.default_rng(5)
    base = draw.normal(size=(60, 8)).astype(np.float32)
    vectors = np.repeat(base / np.linalg.norm(base, axis=1, keepdims=True), 3, axis=0)
    targets = np.repeat(draw.random((60, 2)) < 0.5, 3, axis=0)
    grouped = crossfit_sets(vectors, targets, [f"g{i // 3}" for i in range(180)], seed=0)
    alone = crossfit_sets(vectors, targets, [f"g{i}" for i in range(180)], seed=0)

    assert ((grouped > 0.5) == targets).mean() < 0.7
    assert 0.8 < ((alone > 0.5) == targets).mean()


def test_the_order_of_the_rows_changes_no_bit():
    given, _, _, _ = scene(3, n=120)
    vectors = np.random.default_rng(3).normal(size=(120, 8)).astype(np.float32)
    names = [f"g{i}" for i in range(120)]
    order = np.random.default_rng(4).permutation(120)
    there = crossfit_sets(vectors, given, names, seed=0)
    mixed = crossfit_sets(vectors[order], given[order], [names[i] for i in order], seed=0)

    assert np.array_equal(there[order], mixed)


def test_a_row_goes_only_if_all_its_labels_can_spare_it():
    sets = [("a",)] * 3 + [("a", "b"), ("b",), ("b",)]
    flags = floor_set_flags(sets, np.ones(6, dtype=bool), np.arange(6.0), min_class_rows=2)

    assert [False, True, True, False, False, True] == flags.tolist()


def test_doubted_sets_are_kept_unless_the_recipe_asks():
    given, _, _, probabilities = scene(21)
    rows = table(sets_of(given))
    found = label_sets(rows, probabilities, NAMES)
    kept, dropped = (
        decide(rows, found, keep_suspects(rows, found, **asked), step="label_sets").rows.num_rows
        for asked in ({}, {"action": "drop", "min_class_rows": 0})
    )

    assert rows.num_rows == kept
    assert dropped < kept


def test_relabelling_writes_the_new_list_and_asks_for_a_review():
    given, _, _, probabilities = scene(21)
    rows = table(sets_of(given))
    found = label_sets(rows, probabilities, NAMES)
    with pytest.raises(StepError, match="nobody has checked that P"):
        drop_suspects(rows, found, action="relabel", min_p_fix=0.9)
    review = Calibrated(reviewed=200, right=200)
    rule = drop_suspects(
        rows, found, action="relabel", min_p_fix=0.9, min_class_rows=0, calibrated=review
    )
    done = decide(rows, found, rule, step="label_sets")
    changed = [d for d in done.decisions.to_pylist() if d["action"] == "relabel"]

    assert changed
    at = done.rows["id"].to_pylist().index(changed[0]["row_id"])
    assert json.loads(changed[0]["after"])["labels"] == done.rows["labels"][at].as_py()
    told = suspect_notes(rows, found, done.decisions)
    assert any("get a wrong label" in sentence for sentence in told)


def test_a_label_that_all_rows_have_or_none_lacks_is_not_doubted():
    given = np.ones((40, 2), dtype=bool)
    given[:20, 1] = False
    probabilities = np.where(given, 0.9, 0.1)
    probabilities[0, 0] = 0.01

    assert 0 == doubt_sets(given, probabilities).wrong[:, 0].max()


def test_bad_shapes_and_empty_tables_are_told():
    with pytest.raises(StepError, match=r"expected \(2, 1\)"):
        label_sets(table([["a"], ["a"]]), np.zeros((2, 2)), ("a",))
    assert 0 == label_sets(table([["a"]], split="test"), np.zeros((0, 0)), ()).num_rows
    assert schema.FINDING_SCHEMA == label_sets(table([]), np.zeros((0, 0)), ()).schema
