from __future__ import annotations

import pyarrow as pa
import pytest

import curator
from curator.checking import check
from curator.errors import CuratorError
from curator.issues import check_known, limit
from curator.recipe import from_mapping


def checked(records, tmp_path, **options):
    return curator.check(pa.Table.from_pylist(records), cache=tmp_path, **options)


WORDS = ["river", "stone", "cloud", "amber", "tiger", "maple", "ocean", "piano", "queen", "raven"]
RECORDS = [{"text": f"{w} and {w}", "label": "ab"[i % 2]} for i, w in enumerate(WORDS)]


def test_only_what_is_flagged_is_listed_and_conflicts_are_counted(tmp_path):
    found = checked([*RECORDS, {**RECORDS[0], "label": "b"}, RECORDS[1]], tmp_path)

    assert found.table["flagged"].unique().to_pylist() in ([True], [])
    assert "label_conflict" not in found.table["issue_type"].to_pylist()
    counts = {issue["issue_type"]: issue["count"] for issue in found.summary()["issues"]}
    assert 2 == counts["label_conflict"]
    assert 1 == counts["exact_duplicate"]
    assert {"label_conflict": 2} == found.failing(["label_conflict", "leak"])


def test_every_scored_row_is_listed_on_request(tmp_path):
    recipe = from_mapping({"sources": [{"from": pa.Table.from_pylist(RECORDS)}], "language": "en",
                           "measure": {"model": "tfidf"}})  # fmt: skip

    found = check(recipe.sources[0].address, store=None, cache=tmp_path, recipe=recipe, every=True)

    labels = [t for t in found.table["issue_type"].to_pylist() if t == "label"]
    assert len(RECORDS) == len(labels)


def test_without_labels_all_else_is_looked_for_and_this_is_said(tmp_path):
    records = [{"text": r["text"]} for r in RECORDS] + [{"text": RECORDS[0]["text"]}]

    found = checked(records, tmp_path)

    assert ["exact_duplicate"] == found.table["issue_type"].to_pylist()
    assert "there are no labels, so label errors were not looked for" in found.notes


def test_records_without_a_label_among_others_are_checked_and_not_taken_for_a_class(tmp_path):
    texts = [f"{w} and {v}" for w in WORDS for v in WORDS[:4]]
    records = [{"text": t, "label": "ab"[t[0] > "o"]} for t in texts]
    some = [{**r, "label": None} if i % 5 == 0 else r for i, r in enumerate(records)]

    found = checked(some, tmp_path)

    assert "8 rows have no label, so label errors were looked for among the other 32" in found.notes
    assert not any("given  " in said for said in found.table["evidence"].to_pylist())


def test_one_class_cannot_have_label_errors_and_this_is_said(tmp_path):
    found = checked([{**r, "label": "a"} for r in RECORDS], tmp_path)

    assert any("label_errors could not be run" in note for note in found.notes)


def test_leaks_of_a_file_with_a_split_column_are_found_and_its_test_rows_are_doubted_too(tmp_path):
    texts = [f"why is the {w} of my card not here yet today" for w in WORDS]
    lines = [f"{t},{'ab'[i % 2]},{'train' if i < 7 else 'test'}" for i, t in enumerate(texts)]
    lines += [f"{texts[9]},b,train", "test@example.org wrote to me,a,test"]
    path = tmp_path / "tickets.csv"
    path.write_text("\n".join(["text,label,split", *lines]), encoding="utf-8")

    found = check(str(path), store=None, cache=tmp_path / "cache")

    counts = {issue["issue_type"]: issue["count"] for issue in found.summary()["issues"]}
    assert 1 == counts["leak"]
    assert 1 == counts["personal_email"]
    assert {"leak": 1} == found.failing(["leak"])
    assert not any("test row" in note for note in found.notes)


def test_a_file_without_test_rows_says_that_no_leak_was_looked_for(tmp_path):
    found = checked(RECORDS, tmp_path)

    assert "no row is said to be a test row, so leaks were not looked for" in found.notes


def test_what_is_neither_file_nor_version_is_told(tmp_path):
    with pytest.raises(CuratorError, match=r"'nothing' is neither a file in .* nor a version"):
        check("nothing", store=None, cache=tmp_path)


def test_an_unknown_issue_type_gets_the_nearest():
    with pytest.raises(CuratorError, match=r"no issue type 'leeks'.* Did you mean 'leak'\?"):
        check_known([limit("leak"), limit("leeks")], ())
