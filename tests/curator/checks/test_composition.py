from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from curator.checks.composition import composition


def table(labels, *, groups=None):
    n = len(labels)
    return pa.table({
        "id": [f"r{i}" for i in range(n)], "group": groups or [f"g{i}" for i in range(n)],
        "text": [f"text {i}" for i in range(n)], "label": labels, "split": ["train"] * n,
        "source": ["file.csv"] * n, "source_row": list(range(n)),
    })  # fmt: skip


def vectors(n, *, seed=0):
    made = np.random.default_rng(seed).normal(size=(n, 4))
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def found(labels, **options):
    told = composition(table(labels), vectors(len(labels)), **options).to_pylist()
    return [(f["row_id"], f["issue_type"], f["evidence"]) for f in told]


def test_a_class_far_under_the_mean_is_rare_and_carried_by_its_rows():
    labels = ["a", "b"] * 50 + ["c"] * 3
    order = np.random.default_rng(0).permutation(103)

    told = found([labels[i] for i in order])

    assert 3 == len(told)
    assert {"rare_class"} == {issue for _, issue, _ in told}
    assert "class 'c' has 3 training rows, a mean class 34" == told[0][2]


def test_even_classes_in_a_mixed_order_are_fine():
    draw = np.random.default_rng(1)

    assert [] == found(draw.choice(["a", "b", "c"], 300).tolist())


@pytest.mark.parametrize("seed", range(5))
def test_a_shuffled_file_has_no_order(seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(["a", "b", "c", "d"], 50)).tolist()

    assert [] == found(labels)


def test_a_file_sorted_by_class_has_an_order_told_once():
    told = found(np.repeat(["a", "b", "c", "d"], 50).tolist())

    assert {"order"} == {issue for _, issue, _ in told}
    assert 1 == len({said for *_, said in told})
    assert told[0][2].startswith("file.csv: neighbours have a mean share of equal labels of 0.98")


def test_a_file_sorted_by_subject_without_labels_has_an_order():
    rows = table([""] * 200)
    angle = np.linspace(0, 3, 200)
    told = composition(rows, np.stack([np.cos(angle), np.sin(angle)], axis=1))

    assert {"order"} == set(told["issue_type"].to_pylist())
    assert "mean cosine of 1.00" in told["evidence"][0].as_py()


def test_copies_side_by_side_are_no_order():
    labels = np.repeat(np.random.default_rng(0).permutation(100) % 4, 2).astype(str).tolist()
    groups = np.repeat(np.arange(100), 2).astype(str).tolist()

    told = composition(table(labels, groups=groups), vectors(200))

    assert [] == told["issue_type"].to_pylist()
