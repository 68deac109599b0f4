from __future__ import annotations

import numpy as np
import pytest

from curator.impact.groups import effective_number, item_groups


def blobs(rows, *, centres, seed=0):
    """Points around well separated centres, the rows dealt to them in turn."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(0, 10, (centres, 8))
    return middles[np.arange(rows) % centres] + rng.normal(0, 0.1, (rows, 8))


def test_many_even_classes_are_the_groups():
    labels = [f"intent_{i % 77}" for i in range(770)]
    groups = item_groups(labels, blobs(770, centres=5), seed=0)

    assert ("classes", None) == (groups.by, groups.unusable)
    assert 77 == pytest.approx(groups.effective)
    assert [10] * 77 == np.bincount(groups.groups).tolist()


def test_few_classes_give_way_to_clusters_of_the_texts():
    labels = [str(i % 3) for i in range(900)]
    groups = item_groups(labels, blobs(900, centres=40), seed=0)

    assert ("clusters", None) == (groups.by, groups.unusable)
    assert 40 == len(np.unique(groups.groups))
    assert 15 < groups.effective <= 40


def test_one_class_over_five_percent_gives_way_to_clusters():
    labels = ["big"] * 60 + [f"intent_{i % 70}" for i in range(940)]
    groups = item_groups(labels, blobs(1000, centres=40), seed=0)

    assert "clusters" == groups.by


def test_there_is_one_cluster_per_fifteen_rows_at_most():
    groups = item_groups(["a", "b"] * 150, blobs(300, centres=60), seed=0)

    assert 20 == len(np.unique(groups.groups))


def test_too_few_test_rows_are_refused_with_the_number():
    groups = item_groups(["a", "b"] * 9, blobs(18, centres=3), seed=0)

    assert "18 test rows; a verdict needs at least 20" in groups.unusable


def test_too_few_effective_groups_are_refused_with_what_to_do():
    groups = item_groups(["a", "b"] * 50, blobs(100, centres=30), seed=0)

    assert "100 test rows" in groups.unusable
    assert "add test rows" in groups.unusable


def test_texts_that_are_all_alike_are_one_group_and_refused():
    groups = item_groups(["a", "b"] * 200, np.ones((400, 8)), seed=0)

    assert [0] == np.unique(groups.groups).tolist()
    assert "worth 1.0 equal ones" in groups.unusable


def test_the_same_seed_gives_the_same_clusters():
    embeddings = np.random.default_rng(0).normal(size=(400, 8))
    first, again = (item_groups(["a", "b"] * 200, embeddings, seed=4).groups for _ in range(2))

    assert first.tolist() == again.tolist()


def test_the_effective_number_is_the_count_of_equal_groups_and_less_for_unequal_ones():
    assert 4 == effective_number(np.array([0, 1, 2, 3]))
    assert 100 / (81 + 1) == effective_number(np.array([0] * 9 + [1]))
    assert 0 == effective_number(np.array([], dtype=np.int64))
