from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from curator.checks.outliers import outliers
from curator.checks.surprise import bits_per_character

WORDS = (
    "lost", "card", "stolen", "bank", "phone", "account", "transfer", "money", "fee",
    "rate", "limit", "code", "app",
)  # fmt: skip


def corpus(n=120, *, seed=0):
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, 7)) for _ in range(n)]


def table(texts, *, groups=None, labels=None, splits=None):
    n = len(texts)
    return pa.table({
        "id": [f"r{i:03}" for i in range(n)], "group": groups or [f"g{i:03}" for i in range(n)],
        "text": texts, "label": labels or ["a"] * n, "split": splits or ["train"] * n,
    })  # fmt: skip


def near(n, d=8, *, seed=0):
    """Give unit vectors that all point nearly the same way."""
    draw = np.random.default_rng(seed)
    made = np.eye(d)[0] + 0.1 * draw.normal(size=(n, d))
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def flagged(rows, vectors, **options):
    found = outliers(rows, vectors, **options)
    return {
        (f["row_id"], f["issue_type"]): f["evidence"] for f in found.to_pylist() if f["flagged"]
    }


def test_every_row_is_scored_and_ordinary_ones_are_not_flagged():
    rows = table(corpus())

    found = outliers(rows, near(120))

    assert 4 * 120 == found.num_rows
    assert 0 == sum(found["flagged"].to_pylist())


def test_a_length_is_odd_within_its_class():
    texts = [*corpus(60), *[" ".join([t] * 20) for t in corpus(60, seed=1)]]
    rows = table(texts, labels=["short"] * 60 + ["long"] * 60)
    swapped = table(texts, labels=["long", *["short"] * 59, *["long"] * 60])

    assert not any(kind == "odd_length" for _, kind in flagged(rows, near(120)))
    told = flagged(swapped, near(120))
    assert "typical of its class" in told["r000", "odd_length"]
    assert ("r000", "odd_words") in told


def test_noise_is_surprising_and_does_not_vouch_for_itself():
    texts = [*corpus(), "zqx jjv wqk ppz xvv qqj zzk"]
    alone = table(texts)

    assert ("r120", "surprising") in flagged(alone, near(121))


def test_copies_of_one_group_do_not_vouch_for_each_other():
    noise = "zqx jjv wqk ppz xvv qqj zzk"
    texts = pl.Series([*corpus(100), *[noise] * 20])
    fitted = np.ones(120, dtype=bool)
    apart = [f"g{i}" for i in range(120)]
    one = [*apart[:100], *["copies"] * 20]

    vouched = bits_per_character(texts, apart, fitted=fitted)
    held_out = bits_per_character(texts, one, fitted=fitted)

    assert vouched[100] < 2
    assert held_out[100] > 5
    assert vouched[:100] == pytest.approx(held_out[:100], abs=0.2)


def test_the_model_of_characters_does_not_depend_on_the_order_of_rows():
    texts, groups = corpus(50), [f"g{i % 20}" for i in range(50)]
    order = np.random.default_rng(3).permutation(50)

    one = bits_per_character(pl.Series(texts), groups, fitted=np.ones(50, dtype=bool))
    other = bits_per_character(
        pl.Series([texts[i] for i in order]), [groups[i] for i in order],
        fitted=np.ones(50, dtype=bool),
    )  # fmt: skip

    assert one[order] == pytest.approx(other)


def test_a_row_far_from_all_others_is_an_outlier_and_a_test_row_out_of_domain():
    vectors = near(120)
    vectors[[3, 100]] = np.eye(8)[[5, 6]]
    rows = table(corpus(), splits=["train"] * 90 + ["test"] * 30)

    told = flagged(rows, vectors)

    assert {("r003", "outlier"), ("r100", "out_of_domain")} == {
        key for key in told if key[1] in ("outlier", "out_of_domain")
    }
    assert "typical" in told["r003", "outlier"]


def test_two_copies_of_one_group_are_no_neighbours():
    vectors = near(120)
    vectors[[3, 4]] = np.eye(8)[5]
    groups = [f"g{i}" for i in range(120)]
    groups[4] = groups[3]

    told = flagged(table(corpus(), groups=groups), vectors, neighbours=1)

    assert {("r003", "outlier"), ("r004", "outlier")} <= set(told)


def test_the_rows_that_distances_refer_to_are_bounded_and_the_same_in_any_order():
    vectors, order = near(120), np.random.default_rng(1).permutation(120)
    rows = table(corpus())

    one = outliers(rows, vectors, reference_rows=30)
    other = outliers(rows.take(pa.array(order)), vectors[order], reference_rows=30)

    def scores(found):
        return {f["row_id"]: f["score"] for f in found.to_pylist() if f["issue_type"] == "outlier"}

    assert scores(one) == pytest.approx(scores(other))
