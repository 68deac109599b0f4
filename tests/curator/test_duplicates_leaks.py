import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.checks.duplicates import duplicates
from curator.checks.leaks import leaks
from curator.errors import RecipeError
from curator.near import near_pairs, normalise
from curator.schema import FINDING_SCHEMA

CARD = "where is my new card today please"


def rows_of(*records):
    columns = zip(*records, strict=True) if records else [[]] * 4
    names = ("id", "text", "label", "split")
    return pa.table(
        {n: pa.array(c, pa.string()) for n, c in zip(names, columns, strict=True)}
    ).sort_by("id")


def pairs_of(rows, sides=None):
    return near_pairs(rows["text"], threshold=0.7, shingles="char-3", sides=sides)


def duplicates_in(*records, near=0.8):
    rows = rows_of(*records)
    return duplicates(rows, pairs_of(rows), near=near).to_pylist()


def leaks_in(*records, near=0.8):
    rows = rows_of(*records)
    found = leaks(rows, pairs_of(rows), near=near)
    sides = np.array([split != "train" for split in rows["split"].to_pylist()], np.bool_)

    assert found == leaks(rows, pairs_of(rows, sides), near=near)
    return found.to_pylist()


def columns(found, *names):
    return [tuple(f[name] for name in names) for f in found]


def jaccard(a, b):
    one, other = ({t[i : i + 3] for i in range(len(t) - 2)} or {t} for t in (a, b))
    return len(one & other) / len(one | other)


def test_of_same_texts_the_smallest_id_stays():
    found = duplicates_in(
        ("a", "Where is it?", "x", "train"),
        ("b", "where  IS it?", "x", "train"),
        ("c", "Where is it?", "x", "train"),
        ("d", "unlike the others", "x", "train"),
    )
    expected = [
        ("b", "a", 1.0, "same text as a kept row but for case, spaces, width or entities"),
        ("c", "a", 1.0, "same text as a kept row"),
    ]

    assert expected == columns(found, "row_id", "partner_id", "score", "evidence")
    assert {("exact_duplicate", True, "duplicates")} == set(
        columns(found, "issue_type", "flagged", "check")
    )


def test_of_near_texts_the_longest_stays():
    found = duplicates_in(
        ("a", CARD, "x", "train"), ("b", CARD + "!", "x", "train"), ("c", "hello", "x", "train")
    )
    score = jaccard(CARD, CARD + "!")

    expected = [("a", "near_duplicate", "b", score, "near copy of a kept row (Jaccard 0.97)")]
    assert expected == columns(found, "row_id", "issue_type", "partner_id", "score", "evidence")


def test_rows_of_one_dropped_text_all_name_the_kept_near_row():
    found = duplicates_in(
        ("a", CARD, "x", "train"), ("b", CARD + "!", "x", "train"), ("c", CARD, "x", "train")
    )

    expected = [("a", "near_duplicate", "b"), ("c", "near_duplicate", "b")]
    assert expected == columns(found, "row_id", "issue_type", "partner_id")


def test_a_chain_of_small_changes_keeps_both_ends():
    chain = ["abcdefghijklmnopqrst" + "uvwxyz"[:i] for i in (6, 4, 2, 0)]
    found = duplicates_in(*((f"r{i}", text, "x", "train") for i, text in enumerate(chain)))

    assert jaccard(chain[0], chain[3]) < 0.8
    assert columns(found, "row_id", "partner_id") == [("r1", "r0"), ("r2", "r3")]


def test_a_duplicate_is_at_the_threshold_or_above():
    score = jaccard(CARD, CARD + "!")
    records = [("a", CARD, "x", "train"), ("b", CARD + "!", "x", "train")]

    assert [f["row_id"] for f in duplicates_in(*records, near=score)] == ["a"]
    assert duplicates_in(*records, near=score + 1e-9) == []


@pytest.mark.parametrize("split", ["test", "validation"])
def test_only_training_rows_are_flagged_or_kept_for_others(split):
    found = duplicates_in(
        ("a", CARD, "x", split),
        ("b", CARD, "x", split),
        ("c", CARD, "x", "train"),
        ("d", CARD, "x", "train"),
    )

    assert columns(found, "row_id", "partner_id") == [("d", "c")]


def test_same_and_near_texts_with_another_label_are_conflicts_on_both_rows():
    found = duplicates_in(
        ("a", CARD, "x", "train"),
        ("b", CARD.upper(), "y", "train"),
        ("c", CARD + "!", "z", "test"),
    )
    expected = [
        ("a", "b", "same text, 'x' here, 'y' in a train row"),
        ("b", "a", "same text, 'y' here, 'x' in a train row"),
        ("c", "a", "near text (Jaccard 0.97), 'z' here, 'x' in a train row"),
    ]

    assert expected == columns(found, "row_id", "partner_id", "evidence")
    assert {("label_conflict", False)} == set(columns(found, "issue_type", "flagged"))


def test_a_row_with_another_label_is_no_reason_to_drop():
    found = duplicates_in(
        ("a", CARD + "!!", "y", "train"),
        ("b", CARD + "!", "x", "train"),
        ("c", CARD, "x", "train"),
    )
    dropped = [f for f in found if f["flagged"]]

    assert columns(dropped, "row_id", "issue_type", "partner_id") == [("c", "near_duplicate", "b")]
    assert {"a", "b", "c"} == {f["row_id"] for f in found if not f["flagged"]}


def test_a_training_row_near_a_test_row_is_a_leak_whatever_its_label():
    found = leaks_in(
        ("a", CARD, "x", "train"),
        ("b", CARD.upper(), "y", "train"),
        ("c", CARD + "!", "x", "train"),
        ("d", "nothing alike", "x", "train"),
        ("t", CARD, "x", "test"),
    )
    expected = [
        ("a", "t", "same text as a test row, same label"),
        ("b", "t", "same text as a test row, labels differ: 'y' here, 'x' there"),
        ("c", "t", "near copy of a test row (Jaccard 0.97), same label"),
    ]

    assert expected == columns(found, "row_id", "partner_id", "evidence")
    assert {("leak", True, "leaks")} == set(columns(found, "issue_type", "flagged", "check"))
    assert [1.0, 1.0, jaccard(CARD, CARD + "!")] == [f["score"] for f in found]


def test_the_partner_of_a_leak_is_the_nearest_test_row_then_the_smallest_id():
    found = leaks_in(
        ("a", CARD, "x", "train"),
        ("t1", CARD + "!", "x", "test"),
        ("t3", CARD, "x", "test"),
        ("t2", CARD, "x", "test"),
    )

    assert columns(found, "row_id", "partner_id", "score") == [("a", "t2", 1.0)]


def test_validation_rows_are_leaked_too_but_a_test_row_comes_first():
    found = leaks_in(
        ("a", CARD, "x", "train"),
        ("b", "send all my money abroad", "x", "train"),
        ("t", CARD + "!", "x", "test"),
        ("v1", CARD, "x", "validation"),
        ("v2", "Send all my money abroad", "x", "validation"),
    )
    expected = [
        ("a", "t", "near copy of a test row (Jaccard 0.97), same label"),
        ("b", "v2", "same text as a validation row, same label"),
    ]

    assert expected == columns(found, "row_id", "partner_id", "evidence")


def test_a_leak_is_seen_through_a_training_row_of_the_same_text():
    """Near pairs link first rows only; here the first row of the text is another training row."""
    found = leaks_in(
        ("a", CARD, "x", "train"), ("b", CARD, "x", "train"), ("t", CARD + "!", "x", "test")
    )

    assert columns(found, "row_id", "partner_id") == [("a", "t"), ("b", "t")]


@pytest.mark.parametrize("check", [duplicates, leaks])
def test_an_empty_table_has_no_findings(check):
    found = check(rows_of(), pairs_of(rows_of()))

    assert (found.num_rows, found.schema) == (0, FINDING_SCHEMA)


@pytest.mark.parametrize("check", [duplicates, leaks])
@pytest.mark.parametrize("near", [0.69, 1.1])
def test_a_likeness_that_pairs_are_not_made_for_is_refused(check, near):
    with pytest.raises(RecipeError, match=rf"{check.__name__}: near is {near}; expected 0.7..1"):
        check(rows_of(), pairs_of(rows_of()), near=near)


@pytest.mark.parametrize("text", ["same", "", "😀", "שלום", "?"])
def test_of_five_thousand_same_rows_one_stays(text):
    records = [(f"{i:04}", text, "x", "train") for i in range(5000)]
    found = duplicates_in(*records)

    assert len(found) == 4999
    assert {"0000"} == {f["partner_id"] for f in found}
    assert len(leaks_in(*records, ("z", text, "x", "test"))) == 5000


def test_five_thousand_labels_on_one_text_stay_linear():
    found = duplicates_in(*((f"{i:04}", "same", f"l{i}", "train") for i in range(5000)))

    assert len(found) == 5000
    assert (found[0]["partner_id"], found[-1]["partner_id"]) == ("0001", "0000")


WORDS = st.lists(
    st.sampled_from(["card", "lost", "my", "new", "!", "卡丢了"]), min_size=1, max_size=7
)
RECORDS = st.lists(
    st.tuples(
        WORDS.map(" ".join), st.sampled_from("xy"), st.sampled_from(["train", "train", "test"])
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=150)
@given(RECORDS, st.sampled_from([0.7, 0.8, 1.0]))
def test_each_dropped_row_has_a_direct_partner_that_stays(records, near):
    rows = rows_of(*((f"{i:02}", *record) for i, record in enumerate(records)))
    found = duplicates(rows, pairs_of(rows), near=near).to_pylist()
    by_id = {row["id"]: row for row in rows.to_pylist()}
    plain = dict(zip(by_id, normalise(rows["text"]).to_pylist(), strict=True))
    dropped = {f["row_id"] for f in found if f["flagged"]}

    assert len(dropped) == sum(f["flagged"] for f in found)
    for f in found:
        row, partner = by_id[f["row_id"]], by_id[f["partner_id"]]
        a, b = plain[f["row_id"]], plain[f["partner_id"]]
        assert f["score"] == jaccard(a, b) >= near
        assert f["flagged"] == (row["label"] == partner["label"])
        if f["flagged"]:
            assert (row["split"], partner["split"]) == ("train", "train")
            assert f["partner_id"] not in dropped
            assert (f["issue_type"] == "exact_duplicate") == (a == b)
    kept = [i for i, row in by_id.items() if row["split"] == "train" and i not in dropped]
    same = {(plain[i], by_id[i]["label"]) for i in kept}
    assert len(same) == len(kept)


@settings(deadline=None, max_examples=100)
@given(RECORDS, st.integers(0, 9))
def test_findings_do_not_depend_on_which_row_came_first(records, seed):
    named = [(f"{i:02}", *record) for i, record in enumerate(records)]
    shuffled = random.Random(seed).sample(named, len(named))
    rows = rows_of(*named)
    mixed = pa.Table.from_pylist(
        [dict(zip(rows.column_names, r, strict=True)) for r in shuffled], schema=rows.schema
    )

    for check in (duplicates, leaks):
        expected = check(rows, pairs_of(rows)).sort_by("row_id")
        assert expected == check(mixed, pairs_of(mixed)).sort_by("row_id")


@settings(deadline=None, max_examples=100)
@given(RECORDS)
def test_every_training_row_near_a_test_row_is_a_leak(records):
    named = [(f"{i:02}", *record) for i, record in enumerate(records)]
    found = {f["row_id"]: f["score"] for f in leaks_in(*named, near=0.8)}
    plain = normalise([text for _, text, _, _ in named]).to_pylist()
    tested = {t for t, (_, _, _, split) in zip(plain, named, strict=True) if split == "test"}
    expected = {}
    for text, (row_id, _, _, split) in zip(plain, named, strict=True):
        score = max((jaccard(text, t) for t in tested), default=0)
        if split == "train" and score >= 0.8:
            expected[row_id] = score

    assert found.items() <= expected.items()
    assert {i for i, score in expected.items() if score > 0.9} <= set(found)
