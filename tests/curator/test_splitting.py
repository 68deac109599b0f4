from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.errors import RowError
from curator.splitting import make_test_split

corpora = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), min_size=20, max_size=80)


def split(rows, **options):
    labels, groups = [(r[0],) for r in rows], [f"g{r[1]}" for r in rows]
    known = options.pop("known", [None] * len(rows))
    return make_test_split(
        labels, groups, share=options.get("share", 0.2), seed=options.get("seed", 0), known=known
    )


@given(corpora)
def test_no_group_stands_on_both_sides_and_no_class_leaves_training(rows):
    try:
        made = split(rows)
    except RowError:
        return

    sides = {}
    for (_, group), side in zip(rows, made, strict=True):
        assert side == sides.setdefault(group, side)
    trained = {label for (label, _), side in zip(rows, made, strict=True) if side == "train"}
    assert {label for label, _ in rows} == trained
    totals, tested = Counter(r[0] for r in rows), Counter()
    tested.update(r[0] for r, side in zip(rows, made, strict=True) if side == "test")
    assert all(tested[label] <= 0.2 * n + 0.5 for label, n in totals.items())


@given(corpora, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows, draw):
    order = list(range(len(rows)))
    draw.shuffle(order)
    try:
        made = split(rows)
    except RowError:
        return

    again = split([rows[i] for i in order])

    assert [made[i] for i in order] == again


def test_singletons_give_each_class_its_share():
    rows = [("ab"[i % 2], i) for i in range(200)]

    made = split(rows)

    assert {"a": 20, "b": 20} == Counter(
        label for (label, _), side in zip(rows, made, strict=True) if side == "test"
    )


def test_another_seed_gives_another_split():
    rows = [("ab"[i % 2], i) for i in range(100)]

    assert split(rows, seed=0) != split(rows, seed=1)


def test_what_is_known_is_frozen_and_new_rows_train():
    assert ["test", "train", "train"] == split(
        [("a", 1), ("b", 2), ("a", 3)], known=["test", "train", None]
    )


@pytest.mark.parametrize("share", [0.0, 0.001])
def test_a_share_that_leaves_test_empty_is_told(share):
    rows = [("a", 1), ("a", 2), ("b", 3), ("b", 4)]

    with pytest.raises(RowError, match=r"4 rows in 4 groups .* cannot give a test split of 0%"):
        split(rows, share=share)
