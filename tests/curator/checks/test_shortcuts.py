from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from curator.checks.shortcuts import shortcuts

WORDS = (
    "lost", "card", "stolen", "bank", "phone", "account", "transfer", "money", "fee",
    "rate", "limit", "code",
)  # fmt: skip


def table(records):
    texts, labels = zip(*records, strict=True)
    n = len(texts)
    return pa.table({"id": [f"r{i}" for i in range(n)], "group": [f"g{i}" for i in range(n)],
                     "text": texts, "label": labels, "split": ["train"] * n})  # fmt: skip


def plain(n=60, classes=3, *, seed=0):
    draw = np.random.default_rng(seed)
    return [(" ".join(draw.choice(WORDS, 6)), f"class {i % classes}") for i in range(n)]


def found(records):
    return [(f["issue_type"], f["evidence"]) for f in shortcuts(table(records)).to_pylist()]


@pytest.mark.parametrize("seed", range(5))
def test_labels_that_have_nothing_to_do_with_the_words_give_no_shortcut(seed):
    assert [] == found(plain(seed=seed))


def test_a_token_that_only_one_class_has_is_a_shortcut_told_once_by_three_rows():
    marked = [(f"{t} kzz" if k == "class 1" else t, k) for t, k in plain()]

    told = shortcuts(table(marked))

    said = "the word 'kzz': in 100% of class 'class 1', in 0.0% of the others; "
    assert [said + "a model may learn that in its place"] == told["evidence"].unique().to_pylist()
    assert ["r1", "r4", "r7"] == told["row_id"].to_pylist()
    assert [True] * 3 == told["flagged"].to_pylist()


def test_copies_of_one_row_are_one_witness():
    records = plain(12, 2) + [("kzz here", "class 0")] * 40
    rows = table(records)
    groups = [f"g{min(i, 12)}" for i in range(52)]

    told = shortcuts(rows.set_column(1, "group", pa.array(groups)))

    assert not any("kzz" in said for said in told["evidence"].to_pylist())


def test_no_share_elsewhere_is_told_of_classes_whose_texts_are_all_in_both():
    texts = ["😀🎉🔥"[i % 3] * (1 + i % 4) for i in range(60)]
    rows = table([(text, "ab"[i % 2]) for i, text in enumerate(texts)])

    told = shortcuts(rows.set_column(1, "group", pa.array(texts)))

    assert [] == told["evidence"].to_pylist()


def test_a_word_of_the_labels_own_name_is_its_subject_and_not_flagged():
    marked = [(f"{t} visa" if k == "class 1" else t, k.replace("1", "visa")) for t, k in plain()]

    told = shortcuts(table(marked))

    assert "its own name, so likely its subject" in told["evidence"][0].as_py()
    assert not any(told["flagged"].to_pylist())


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda t: f"{t} https://a.example/x", "a link"),
        (lambda t: f"[A] {t}", "brackets at the start"),
        (lambda t: f" {t}", "white space at an end"),
        (lambda t: t.upper(), "only capitals"),
        (lambda t: f"{t} 77", "a digit"),
        (lambda t: " ".join([t] * 4), "at least"),
    ],
)
def test_an_outward_property_of_one_class_is_a_shortcut(change, name):
    marked = [(change(t) if k == "class 1" else t, k) for t, k in plain()]

    assert any(said.startswith(name) for kind, said in found(marked) if kind == "shortcut")


@pytest.mark.parametrize(
    ("text", "label", "is_told"),
    [
        ("why? label: lost_card", "lost_card", True),
        ("why? intent = 'refund'", "refund", True),
        ("问题 标签：挂失", "挂失", True),
        ("this is card_arrival again", "card_arrival", True),
        ("I want a refund", "refund", False),
        ("what is the category: food", "refund", False),
        ("label: refunds are late", "refund", False),
    ],
)
def test_a_label_stands_in_the_text(text, label, is_told):
    told = found([(text, label), *plain(10, 2)])

    assert is_told == any(kind == "label_in_text" for kind, _ in told)


def test_one_class_has_no_shortcut_but_may_state_its_label():
    assert ["label_in_text"] == [kind for kind, _ in found([("label: x", "x"), ("so", "x")])]
