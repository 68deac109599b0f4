from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from curator.checks.drift import drift, version_drift

WORDS = (
    "lost", "card", "stolen", "bank", "phone", "account", "transfer", "money", "fee",
    "rate", "limit", "code",
)  # fmt: skip


def table(texts, labels, splits, groups=None):
    n = len(texts)
    return pa.table({"id": [f"r{i}" for i in range(n)], "text": texts, "label": labels,
                     "group": groups or [f"g{i}" for i in range(n)], "split": splits})  # fmt: skip


def corpus(n=240, *, seed=0):
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(WORDS, draw.integers(4, 9))) for _ in range(n)]
    splits = np.where(draw.random(n) < 0.3, "test", "train").tolist()
    vectors = draw.normal(size=(n, 6))
    return texts, draw.choice(["a", "b"], n).tolist(), splits, vectors


def issues(found):
    return {f["issue_type"]: f["evidence"] for f in found.to_pylist() if f["flagged"]}


@pytest.mark.parametrize("seed", range(8))
def test_splits_drawn_by_chance_do_not_drift(seed):
    texts, labels, splits, vectors = corpus(seed=seed)

    assert {} == issues(drift(table(texts, labels, splits), vectors))


def test_each_view_tells_its_own_drift():
    texts, labels, splits, vectors = corpus()
    test = [s == "test" for s in splits]
    moved = vectors + np.outer(test, [2, 0, 0, 0, 0, 0])
    longer = [f"{t} {t} {t}" if k else t for t, k in zip(texts, test, strict=True)]
    marked = [f"{t} please" if k else t for t, k in zip(texts, test, strict=True)]
    chinese = ["我的银行卡丢了" if k and i % 2 else t
               for i, (t, k) in enumerate(zip(texts, test, strict=True))]  # fmt: skip
    other = ["a" if k else label for label, k in zip(labels, test, strict=True)]

    assert {"domain_drift"} == set(issues(drift(table(texts, labels, splits), moved)))
    assert {"length_drift"} <= set(issues(drift(table(longer, labels, splits), vectors)))
    assert {"word_drift", "length_drift"} >= set(
        issues(drift(table(marked, labels, splits), vectors))
    )
    assert (
        "'please' stands in 100% against 0%"
        in issues(drift(table(marked, labels, splits), vectors))["word_drift"]
    )
    assert {"language_drift", "length_drift", "word_drift"} >= set(
        issues(drift(table(chinese, labels, splits), vectors))
    )
    assert {"label_drift"} == set(issues(drift(table(texts, other, splits), vectors)))


def test_a_drift_is_carried_by_three_rows_of_the_other_split_with_its_numbers():
    texts, labels, splits, vectors = corpus()
    moved = vectors + np.outer([s == "test" for s in splits], [2, 0, 0, 0, 0, 0])

    found = drift(table(texts, labels, splits), moved).to_pylist()

    assert 3 == len(found)
    assert all("test" == splits[int(f["row_id"][1:])] for f in found)
    assert "test against train: a classifier tells them apart" in found[0]["evidence"]
    assert "chance reaches 0.5" in found[0]["evidence"]


def test_copies_are_one_witness():
    texts, labels, splits, vectors = corpus(60)
    groups = [f"g{i}" for i in range(60)]
    copied = 80  # one test row, eighty times: no drift, though half of the test rows
    at = splits.index("test")
    rows = table([*texts, *["zzz yyy"] * copied], [*labels, *["a"] * copied],
                 [*splits, *["test"] * copied], [*groups, *[groups[at]] * copied])  # fmt: skip
    wide = np.concatenate([vectors, np.tile(vectors[at], (copied, 1))])

    assert {} == issues(drift(rows, wide))


def test_too_few_groups_claim_nothing_and_say_so():
    texts, labels, splits, vectors = corpus(40)

    found = drift(table(texts, labels, splits), vectors + 5).to_pylist()

    assert [False] == [f["flagged"] for f in found]
    assert "20 are needed to tell a drift" in found[0]["evidence"]


def test_without_another_split_there_is_nothing_to_compare():
    texts, labels, _, vectors = corpus(40)

    assert 0 == drift(table(texts, labels, ["train"] * 40), vectors).num_rows


def test_two_versions_are_compared_by_their_training_rows():
    texts, labels, _, vectors = corpus()
    before = table(texts, labels, ["train"] * 240)
    after = table([f"{t} please" for t in texts], labels, ["train"] * 240)

    assert {} == issues(version_drift(before, before, vectors, vectors))
    assert "word_drift" in issues(version_drift(before, after, vectors, vectors))
