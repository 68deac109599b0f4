"""Rows that say the same in other words, found by vectors that the tests make by hand."""

import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.checks import semantic
from curator.checks.semantic import greedy, semantic_duplicates
from curator.errors import RecipeError
from curator.near import near_pairs

A, B = "how do i get my money back", "can somebody tell me the way to a refund"
C, D = "where can i see the code", "what is the place of the pin"


def turned(*degrees):
    """Give unit vectors in a plane, one per angle."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def found_in(texts, vectors, labels=None, splits=None, **options):
    rows = pa.table({
        "id": [f"r{i:05}" for i in range(len(texts))],
        "text": pa.array(texts, pa.string()),
        "label": labels or ["x"] * len(texts),
        "split": splits or ["train"] * len(texts),
    })  # fmt: skip
    pairs = near_pairs(rows["text"], threshold=0.7, shingles="char-3")
    found = semantic_duplicates(rows, pairs, vectors, **options)
    names = ("row_id", "issue_type", "partner_id", "flagged")
    return [tuple(f[name] for name in names) for f in found.to_pylist()]


def test_of_two_rows_of_one_meaning_the_longer_text_stays():
    assert [("r00000", "semantic_duplicate", "r00001", True)] == found_in([A, B], turned(0, 10))
    assert [] == found_in([A, B], turned(0, 10), min_cosine=0.99)


def test_rows_of_two_labels_are_no_duplicates():
    assert [] == found_in([A, B], turned(0, 10), labels=["x", "y"])


def test_rows_without_a_label_repeat_each_other_and_no_labelled_row():
    found = found_in([A, B, C + D], turned(0, 10, 5), labels=[None, None, "x"])

    assert [("r00000", "semantic_duplicate", "r00001", True)] == found


def test_a_cluster_has_one_kept_row_and_every_other_names_it():
    texts = [A, B, C + " that you sent to me and that i lost"]
    found = found_in(texts, turned(0, 5, 10))

    assert [("r00000", "r00002"), ("r00001", "r00002")] == [(f[0], f[2]) for f in found]


def test_a_chain_of_small_turns_keeps_both_ends():
    texts = [A * 4, B * 2, C + C, D]
    found = found_in(texts, turned(0, 15, 30, 45), min_cosine=0.95)

    assert [("r00001", "r00000"), ("r00003", "r00002")] == [(f[0], f[2]) for f in found]


def test_what_is_near_by_its_letters_is_left_to_the_other_checks():
    assert [] == found_in([A, A + "!"], turned(0, 1))
    assert [] == found_in([A, A.upper()], turned(0, 1))
    assert [] == found_in([A, A + "!"], turned(0, 1), splits=["train", "test"])


@pytest.mark.parametrize(("one", "other"), [("it costs $5", "you pay 6 dollars"), (C, "not " + D)])
def test_rows_that_differ_in_one_fact_stay_although_the_model_sees_no_difference(one, other):
    assert ["near_but_different"] == [f[1] for f in found_in([one, other], turned(0, 1))]
    found = found_in([one, other], turned(0, 1), guard=False)
    assert ["semantic_duplicate"] == [f[1] for f in found]


def test_a_row_that_the_guard_parts_from_the_nearest_kept_row_may_repeat_another():
    texts = ["the long text about it costs $6", "i paid 5 dollars for that", "5 USD are gone"]
    found = found_in(texts, turned(0, 10, 2), min_cosine=0.9)

    assert ("r00002", "semantic_duplicate", "r00001", True) in found


def test_training_rows_like_test_rows_are_leaks_whatever_their_label():
    splits = ["train", "test", "validation", "train"]
    found = found_in([A, B, C, D], turned(0, 10, 0, 80), labels=list("xyxx"), splits=splits)

    assert [("r00000", "semantic_leak", "r00001", True)] == found
    splits = ["train", "train", "validation", "train"]
    found = found_in([A, B, C, D], turned(0, 60, 0, 80), splits=splits)
    assert [("r00000", "semantic_leak", "r00002", True)] == found


@pytest.mark.parametrize("least", [0.4, 1.1])
def test_a_cosine_out_of_range_is_refused(least):
    with pytest.raises(RecipeError, match=rf"min_cosine is {least}; expected 0.5..1"):
        found_in([A, B], turned(0, 1), min_cosine=least)


def plain_greedy(vectors, least):
    kept, matches = [], []
    exact = vectors.astype(np.float64)
    for at in range(len(vectors)):
        offers = sorted((-min(float(exact[at] @ exact[k]), 1.0), k) for k in kept)
        offers = [o for o in offers if -o[0] >= least]
        if offers:
            matches.append((at, offers[0][1]))
        else:
            kept.append(at)
    return matches


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 999), st.sampled_from([3, 7, 512]), st.sampled_from([2, 50, 8192]))
def test_blocks_of_any_size_give_what_comparing_all_gives(seed, block, kept_block):
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(60, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(semantic, "_BLOCK", block)
        patch.setattr(semantic, "_KEPT_BLOCK", kept_block)
        found = [(m.unit, m.partner) for m in greedy(vectors, 0.8, lambda *_: False)]

    assert plain_greedy(vectors, 0.8) == found


def test_eight_thousand_rows_of_one_vector_are_no_quadratic_work():
    vectors = np.tile(turned(0), (8_000, 1))
    began = time.process_time()
    found = list(greedy(vectors, 0.95, lambda *_: False))

    assert 7_999 == len(found)
    assert {0} == {m.partner for m in found}
    assert time.process_time() - began < 10


def test_rows_that_the_guard_parts_one_by_one_are_compared_with_few():
    asked = []

    def parted(one, other):
        asked.append((one, other))
        return True

    assert all(m.parted for m in greedy(np.tile(turned(0), (3_000, 1)), 0.95, parted))
    assert len(asked) <= 3_000 * 32
