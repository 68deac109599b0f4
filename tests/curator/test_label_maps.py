"""A label map: what it changes, what it leaves alone, and what two maps have in common."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator import schema
from curator.errors import RecipeError, StepError
from curator.impact.design import Side, shared_test_rows
from curator.label_maps import benchmark_name, map_labels, mapped, shared_labels
from curator.recipe import loads

MAP = "  - map_labels: {{rename: {{topic00: first}}, merge: {{middle: [topic01, topic02]}}}}\n"
A_B = {"rename": {}, "merge": {"c": ["a", "b"]}, "split": {}}
SPLIT = {"rename": {}, "merge": {}, "split": {"old": ["n1", "n2"]}}


def table(*labelled):
    records = [
        {"id": str(i), "group": str(i), "text": "x", "label": label, "split": split,
         "weight": 1.0, "step": "import"}
        for i, (label, split) in enumerate(labelled)
    ]  # fmt: skip
    return pa.Table.from_pylist(records, schema=schema.ROW_SCHEMA)


def recipe(body, tmp_path):
    text = f"sources: [{{from: a.csv}}]\nsteps:\n  - map_labels: {body}\n"
    return loads(text, "r.yaml", base=tmp_path)


@pytest.fixture
def mapped_run(finished_copy, curator):
    """A finished corpus, run again with a label map before its other steps."""
    finished_copy.swap("  - clean\n", MAP.format() + "  - clean\n")
    said = curator(finished_copy.folder, "run", "recipe.yaml", "--no-measure", "--json")
    assert said.code == 0, said.err
    return finished_copy


def test_a_map_relabels_training_rows_by_decisions(mapped_run, curator):
    counts = curator(mapped_run.folder, "diff", "main~6", "main~5", "--json").json()["counts"]

    assert {"relabelled": {"label renamed": 11, "labels merged": 13}} == counts


def test_test_rows_stay_raw_and_the_version_names_its_benchmark(mapped_run, curator):
    shown = curator(mapped_run.folder, "show", "main", "--json").json()
    before = curator(mapped_run.folder, "show", "main~6", "--json").json()

    assert before["lock"] == shown["lock"]
    assert {"topic00", "topic01", "topic02"} <= {
        c["label"] for c in shown["classes"] if c["split"] == "test"
    }
    (made,) = [t for t in shown["transforms"] if t["step"] == "map_labels"]
    assert made["benchmark"].startswith("labels-")


def test_export_applies_the_map_to_test_labels(mapped_run, curator, tmp_path):
    curator(mapped_run.folder, "export", "main", "--out", tmp_path / "out")

    labels = set(pq.read_table(tmp_path / "out" / "test.parquet")["label"].to_pylist())
    assert {"first", "middle"} <= labels
    assert not {"topic00", "topic01", "topic02"} & labels


def test_a_comparison_across_a_map_uses_the_labels_both_share(corpus, curator):
    made = corpus(classes=40, train=3, test=3)  # the merged class holds 5 % of the test rows
    made.swap("  - clean\n", MAP.format() + "  - clean\n")
    assert 0 == curator(made.folder, "run", "recipe.yaml", "--no-measure").code
    said = curator(made.folder, "measure", "main~6", "main~5", "--tier", "probe", "--json")

    assert 0 == said.code, said.err
    impact = said.json()
    assert impact["effect"] is not None, impact["sentence"]
    assert "scored on the 39 labels both sides share" in impact["sentence"]
    assert "class middle" in {s["name"] for s in impact["slices"]}


def test_a_rebuild_replays_the_map_and_the_report_is_written(mapped_run, curator):
    assert 0 == curator(mapped_run.folder, "rebuild", "main").code
    assert 0 == curator(mapped_run.folder, "report", "main", "--out", "r.html").code


def test_a_split_keeps_the_label_flags_the_rows_and_says_so(corpus, curator):
    made = corpus().swap("  - clean\n", "  - map_labels: {split: {topic01: [x, y]}}\n")
    made.swap("  - augment: {with: [keyboard], keep_label: 0}\n", "")
    said = curator(made.folder, "run", "recipe.yaml", "--no-measure")

    assert said.code == 0, said.err
    assert "rows keep their label until an annotator chooses 'x' or 'y'" in said.err
    span = curator(made.folder, "rows", "main~4..main", "--issue", "label_split", "--json").json()
    assert {"topic01"} == {row["label"] for row in span}
    assert {"doubt"} == {row["action"] for row in span}


def test_label_texts_are_added_under_the_mapped_label(corpus, curator):
    made = corpus().swap("  - clean\n", MAP.format() + "  - clean\n")
    made.swap("{with: [keyboard], keep_label: 0}", "{with: [label_text], keep_label: 0}")
    made.swap("split: train}", "split: train}").say(
        made.recipe.read_text("utf-8") + "labels: {from: labels.yaml}\n"
    )
    (made.folder / "labels.yaml").write_text(
        "topic00: {definition: about the first}\ntopic01: {definition: about one}\n"
        "topic02: {definition: about two}\n"
    )
    said = curator(made.folder, "run", "recipe.yaml", "--no-measure")

    assert said.code == 0, said.err
    rows = curator(made.folder, "rows", "main", "--where", "step = 'augment'", "--json").json()
    assert {"first", "middle"} == {row["label"] for row in rows}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{}", "maps nothing"),
        ("{rename: {a: b, b: a}}", "a chain or a cycle"),
        ("{rename: {a: b}, merge: {c: [b, d]}}", "a chain or a cycle"),
        ("{split: {a: [b, c]}, rename: {c: d}}", "a chain or a cycle"),
        ("{rename: {a: a}}", "renamed to itself"),
        ("{rename: {a: b}, split: {a: [c, d]}}", "label 'a' is mapped 2 times"),
        ("{merge: {a: [a]}}", "'a' merges no other label"),
        ("{split: {a: [b]}}", "name two or more"),
        ("{renam: {a: b}}", "Did you mean 'rename'?"),
        ("{rename: [a, b]}", "expected a mapping of text to text"),
    ],
)
def test_a_map_that_cannot_be_is_refused_with_its_line(body, told, tmp_path):
    with pytest.raises(RecipeError, match=r"r\.yaml:3") as fault:
        recipe(body, tmp_path)

    assert told in str(fault.value)


def test_labels_of_a_map_are_text_as_they_are_spelt(tmp_path):
    (step,) = recipe("{rename: {no: 57, true: 1.10}}", tmp_path).steps

    assert {"no": "57", "true": "1.10"} == step.options["rename"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rename": {"crad": "x"}}, "no row has the label 'crad'. Did you mean 'card'?"),
        ({"rename": {"card": "loan"}}, "write merge: {loan: [loan, card]}"),
        ({"merge": {"loan": ("card", "tax")}}, "write merge: {loan: [loan, card, tax]}"),
        ({"merge": {"x": ("card", "loan", "tax")}}, "would merge all 3 classes into 'x'"),
    ],
)
def test_a_map_that_does_not_fit_the_rows_is_refused(options, told):
    rows = table(("card", "train"), ("loan", "train"), ("tax", "train"), ("tax", "test"))

    with pytest.raises(StepError) as fault:
        map_labels(rows, **options)

    assert told in str(fault.value)


def test_a_map_finds_no_test_row():
    found = map_labels(table(("a", "train"), ("b", "train"), ("a", "test")), rename={"a": "c"})

    assert ["0"] == found["row_id"].to_pylist()


def test_a_map_serves_labels_and_leaves_those_to_be_split():
    served = mapped(pa.array(["a", "b", "old", "z"]), merge={"c": ("a", "b")}, split={"old": "xy"})

    assert ["c", "c", "old", "z"] == served.to_pylist()


def test_a_benchmark_is_named_by_its_map_unless_it_has_a_name():
    assert benchmark_name(A_B) == benchmark_name(json.loads(json.dumps(A_B)))
    assert benchmark_name(A_B) != benchmark_name(SPLIT)
    assert "v2" == benchmark_name(A_B | {"benchmark": "v2"})


def test_a_merge_on_one_side_is_scored_merged_on_both():
    shared = shared_labels(["a", "b", "z"], ((), ["a", "b", "z"]), ([A_B], ["c", "z"]))

    assert {"a": "c", "b": "c", "z": "z"} == shared.raw
    assert {"a": "c", "b": "c", "z": "z"} == dict(shared.before)
    assert "c" == shared.after["c"]
    assert "scored on the 2 labels both sides share ('c' for a, b)" == shared.note


def test_crosswise_merges_share_their_union():
    other = {"rename": {}, "merge": {"d": ["b", "z"]}, "split": {}}

    shared = shared_labels("abz", ([A_B], ["c", "z"]), ([other], ["a", "d"]))

    assert {"a + d"} == set(shared.raw.values())


def test_labels_split_later_are_scored_as_the_one_they_came_from():
    shared = shared_labels(["old", "z"], ((), ["old", "z"]), ([SPLIT], ["n1", "n2", "z"]))

    assert {"n1": "old", "n2": "old"} == {k: shared.after[k] for k in ("n1", "n2")}


def test_maps_in_a_row_are_composed():
    later = {"rename": {"c": "e"}, "merge": {}, "split": {}}

    assert "e" == shared_labels("ab", ((), "ab"), ([A_B, later], ["e"])).before["a"]


def test_without_maps_the_labels_are_those_of_the_rows():
    rows = table(("a", "train"), ("b", "train"), ("a", "test"), ("b", "test"))

    found = shared_test_rows(Side("v1", rows, ()), Side("v2", rows, ()))

    assert ("a", "b") == found.labels
    assert found.shared is None
