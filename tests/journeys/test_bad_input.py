"""What a user gets wrong: a message that says where, what and what to do; nothing half-written."""

from __future__ import annotations

import json
import time

import pytest


def versions(made):
    """List what of a version stands in the store; the quarantine may be there."""
    store = made.folder / ".curator"
    return [p for p in store.rglob("*") if p.is_file() and p.parts[-2] in ("main", "objects")]


def quarantine(made):
    """Read the quarantine file, the only one there is."""
    (path,) = (made.folder / ".curator" / "quarantine").iterdir()
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def refused(curator):
    """Run a corpus that must be refused: exit 1, one error, no traceback, no version."""

    def call(made, *arguments):
        said = curator(made.folder, "run", "recipe.yaml", *arguments)
        assert 1 == said.code, said.out + said.err
        assert "Traceback" not in said.err
        assert "" == said.out
        assert [] == versions(made)
        return said.err.removeprefix("error: ")

    return call


@pytest.fixture
def accepted(curator):
    """Run a corpus whose faults are bearable: exit 0; gives the run as JSON and its progress."""

    def call(made, *arguments):
        said = curator(made.folder, "run", "recipe.yaml", "--json", *arguments)
        assert 0 == said.code, said.err
        return said.json(), said.err

    return call


# Recipes


def test_all_faults_of_a_recipe_are_told_at_once_with_line_and_nearest_name(corpus, refused):
    made = corpus()
    made.swap("language:", "languag:").swap("split: test", "splt: test").swap("- leaks", "- leeks")
    made.swap("min_class_rows", "min_clas_rows").swap("tiers: [probe]", "tiers: [prob]")
    made.swap("with: [keyboard]", "with: [keybord]").swap("report.html", "report.pdf")

    told = refused(made).splitlines()

    assert "7 faults in the recipe" == told[0]
    for line, found, nearest in [
        (2, "languag", "language"), (5, "splt", "split"), (9, "leeks", "leaks"),
        (10, "min_clas_rows", "min_class_rows"), (12, "prob", "probe"),
    ]:  # fmt: skip
        (message,) = (m for m in told if f"'{found}'" in m)
        assert message.startswith(f"recipe.yaml:{line}: ")
        assert message.endswith(f"Did you mean '{nearest}'?")
    assert any("there is no augmenter 'keybord'" in m and ":11: " in m for m in told)
    assert "recipe.yaml:13: report: found 'report.pdf', expected a file name ending in .html" in (
        told
    )


def test_yaml_that_is_none_is_told_with_its_line(corpus, refused):
    made = corpus().swap("steps:", "steps: [")

    assert refused(made).startswith("recipe.yaml:")


def test_a_key_twice_names_both_lines(corpus, refused):
    made = corpus().swap("report:", "language: zh\nreport:")

    assert "recipe.yaml:13: key 'language' stands twice, first in line 2\n" == refused(made)


# Sources


def test_a_missing_file_is_named_with_what_is_there(corpus, refused):
    made = corpus()
    (made.folder / "train.csv").unlink()

    told = refused(made)

    assert f"file:train.csv: no file 'train.csv' in {made.folder} (it holds " in told
    assert "test.csv" in told


def test_a_wrong_column_names_the_columns_there_are(corpus, refused):
    made = corpus().swap("split: train}", "split: train, columns: {label: lable}}")

    assert (
        "file:train.csv (columns.label) has no column 'lable'; it takes ['label', 'text']. "
        "Did you mean 'label'?\n"
    ) == refused(made)


def test_a_wrong_text_column_names_the_columns_there_are(corpus, refused):
    made = corpus().swap("split: train}", "split: train, columns: {text: txt}}")

    assert (
        "file:train.csv: no column 'txt'; the columns are ['text', 'label']; did you mean 'text'?\n"
    ) == refused(made)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "file:train.csv: the file is empty; expected records\n"),
        ("text,label\n", "file:train.csv: the file has a header (text, label) but no records\n"),
    ],
    ids=["nothing", "header"],
)
def test_an_empty_file_is_told(corpus, refused, content, message):
    made = corpus()
    (made.folder / "train.csv").write_text(content)

    assert message == refused(made)


def test_a_label_in_test_that_training_never_has_is_placed(corpus, refused):
    made = corpus()
    made.test[3]["label"] = "topic0"
    made.write()

    assert (
        "file:test.csv:5: label 'topic0' stands in test but never in training. Did you mean "
        "'topic02'? Mend the label, or add training rows for it\n"
    ) == refused(made).replace("topic00'?", "topic02'?").replace("topic01'?", "topic02'?")


def test_an_undeclared_label_is_placed_with_the_nearest(corpus, refused):
    made = corpus().swap("steps:", "labels: [topic00, topic01, topic2]\nsteps:")

    told = refused(made)

    assert "label 'topic02' is not declared in labels (3 are). Did you mean 'topic2'?" in told
    assert told.startswith("file:t")


def test_duplicate_keys_name_both_places(corpus, refused):
    made = corpus(keyed=True)
    made.train[7]["ticket"] = made.train[3]["ticket"]
    made.write()

    told = refused(made)

    assert "a key stands more than once: file:train.csv:5 (" in told
    assert " and file:train.csv:9 (" in told
    assert "Name key columns (`id:`) that tell the records apart" in told


def test_a_split_that_is_none_is_placed(corpus, refused):
    made = corpus()
    made.train = [{**row, "part": "train"} for row in made.train]
    made.train[4]["part"] = "traning"
    made.write().swap("split: train}", "columns: {split: part}}")

    assert "file:train.csv: record 4: split 'traning' is not one of ['train'," in refused(made)


# Single bad records

BROKEN = {
    "broken UTF-8": (b"bad \xff bytes,topic00", "broken text: byte 0xff after 'bad '"),
    "ragged": (b"one,two,three", "ragged row: 3 cells, expected 2 (text, label)"),
    "10 MB": (b"a b " * 2_600_000 + b",topic00", "too long: 10,400,00"),
}


@pytest.mark.parametrize(("line", "reason"), BROKEN.values(), ids=list(BROKEN))
def test_one_bad_record_goes_to_quarantine_and_the_run_goes_on(corpus, accepted, line, reason):
    made = corpus(train=60)
    path = made.folder / "train.csv"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:3], line, *lines[3:]]))

    said, progress = accepted(made, "--no-measure")

    assert 1 == said["quarantined"]
    (record,) = quarantine(made)
    assert ("file:train.csv", 4, 2) == (record["source"], record["line"], record["record"])
    assert record["reason"].startswith(reason)
    assert len(record["raw"]) <= 500
    assert f"import  1 record set aside -> {said['quarantine']}" in progress
    assert made.folder.joinpath(said["quarantine"]).exists()
    assert 60 * 3 + 7 + 15 == said["versions"][0]["rows"]


def test_wrong_types_and_missing_values_are_set_aside_with_their_reasons(corpus, accepted):
    made = corpus(train=100, classes=4).swap("file:train.csv", "file:train.jsonl")
    records = [dict(row) for row in made.train]
    records[4]["text"], records[9]["label"], records[11]["text"] = 17, None, None
    path = made.folder / "train.jsonl"
    path.write_text("\n".join(map(json.dumps, records)), "utf-8")

    said, _ = accepted(made, "--no-measure")

    assert 3 == said["quarantined"]
    assert {
        4: "wrong type: 'text' is a number, expected a string",
        9: "there is no label",
        11: "wrong type: 'text' is null, expected a string",
    } == {r["record"]: r["reason"] for r in quarantine(made)}


def test_the_same_bad_records_are_quarantined_once(corpus, accepted):
    made = corpus(train=60)
    with (made.folder / "train.csv").open("a") as file:
        file.write("one,two,three\n")

    accepted(made, "--no-measure")
    accepted(made, "--no-measure")

    assert 1 == len(quarantine(made))


def test_more_bad_records_than_allowed_stop_the_run_with_the_quarantine_written(corpus, refused):
    made = corpus()
    with (made.folder / "train.csv").open("a") as file:
        file.write("one,two,three\nfour,five,six\n")

    told = refused(made)

    assert (
        "2 of 60 records (3.3%) could not be read; max_bad_share allows 1.0%. The first: "
        "file:train.csv:45: ragged row: 3 cells, expected 2 (text, label). Mend the source, or "
        "raise max_bad_share in the recipe\n"
    ) == told
    assert 2 == len(quarantine(made))


def test_max_bad_share_may_be_raised(corpus, accepted):
    made = corpus().swap("report:", "max_bad_share: 0.05\nreport:")
    with (made.folder / "train.csv").open("a") as file:
        file.write("one,two,three\nfour,five,six\n")

    said, _ = accepted(made, "--no-measure")

    assert 2 == said["quarantined"]


# Models


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("package:no_such_thing/model", "no package 'no_such_thing' is installed"),
        ("./no/model", "there is no folder './no/model' in "),
        ("file:no/model", "file:no/model: the folder "),
        ("no-such/model", "a model of the hub is named hf:no-such/model"),
        ("hf:no-such/model", "hf:no-such/model: "),
    ],
    ids=["package", "folder", "address", "bare name", "hub"],
)
def test_a_model_that_is_not_there_is_told_before_any_work(corpus, refused, model, message):
    made = corpus().swap("model: tfidf", f'model: "{model}"')
    started = time.monotonic()

    told = refused(made)

    assert told.startswith("measure.model: ")
    assert message in told
    assert time.monotonic() - started < 20


def test_a_folder_without_a_model_says_what_it_lacks(corpus, refused):
    made = corpus().swap("model: tfidf", "model: empty")
    (made.folder / "empty").mkdir()

    assert "config.json" in refused(made)


def test_a_tier_that_the_model_cannot_carry_is_not_measurable_and_says_why(corpus, accepted):
    made = corpus().swap("tiers: [probe]", "tiers: [top-layers]")

    said, progress = accepted(made)

    assert {"not_measurable"} == {impact["verdict"] for impact in said["impacts"]}
    assert {None} == {impact["mde"] for impact in said["impacts"]}
    assert "top-layers trains the layers of an encoder" in progress


# Corpora that are lawful and odd


def test_a_class_absent_from_test_is_a_warning(corpus, accepted):
    made = corpus()
    made.test = [row for row in made.test if row["label"] != "topic02"]
    made.write()

    said, _ = accepted(made, "--no-measure")

    assert ["1 of 3 classes have no test row, so nothing can be said about them: topic02"] == said[
        "warnings"
    ]


def test_a_declared_label_without_rows_is_a_warning(corpus, accepted):
    made = corpus().swap("steps:", "labels: [topic00, topic01, topic02, topic99]\nsteps:")

    said, _ = accepted(made, "--no-measure")

    assert ["1 declared labels have no training row: ['topic99']"] == said["warnings"]


def test_twenty_test_rows_are_too_few_and_the_answer_says_why(corpus, accepted):
    said, _ = accepted(corpus(classes=4, test=5))

    assert {"not_measurable"} == {impact["verdict"] for impact in said["impacts"]}
    assert (
        "Not measurable: the 20 test rows fall into groups worth"
        in (said["impacts"][0]["sentence"])
    )


def test_under_twenty_test_rows_nothing_is_promised_beforehand(corpus, accepted):
    said, progress = accepted(corpus(classes=3, test=5))

    assert "15 test rows; a verdict needs at least 20" in said["impacts"][0]["sentence"]
    assert "test    probe: no verdict can rest on 15 rows" in progress
    assert "the smallest effect these rows can show" not in progress


def test_a_single_class_has_no_label_errors_and_the_step_says_so(corpus, curator):
    made = corpus(classes=1, train=30, test=30, plants=False)

    said = curator(made.folder, "run", "recipe.yaml")

    assert 1 == said.code
    assert "warning all training rows are labelled 'topic00': there is nothing to tell" in said.err
    assert (
        "error: step 'label_errors' needs training rows of two classes; all are labelled "
        "'topic00': take the step out of the recipe, or bring rows of another class\n"
    ) in said.err


def test_a_single_class_without_that_step_runs_and_is_not_measurable(corpus, accepted):
    made = corpus(classes=1, train=30, test=30, plants=False)
    made.swap("  - label_errors: {min_class_rows: 3}\n", "")

    said, _ = accepted(made)

    assert {"identical", "not_measurable"} == {i["verdict"] for i in said["impacts"]}


def test_rows_that_are_all_the_same_stop_at_the_step_that_needs_more(corpus, curator):
    made = corpus(plants=False)
    for row in (*made.train, *made.test):
        row["text"] = "the same words"
    made.write()

    said = curator(made.folder, "run", "recipe.yaml")

    assert 1 == said.code
    assert "step 'leaks' would leave no training row; loosen its options" in said.err


def test_rows_that_are_all_the_same_cannot_give_a_test_split(corpus, refused):
    made = corpus(plants=False, test=0)
    for row in made.train:
        row["text"] = "the same words"
    made.write().swap('  - {from: "file:test.csv", split: test}\n', "").swap(", split: train", "")

    told = refused(made)

    assert "36 rows in 1 groups of near-duplicates cannot give a test split of 20%" in told
    assert "bring a test file (`split: test`), or change `split.test`" in told


# Places that cannot be written


def test_a_store_that_is_a_file_is_told(corpus, curator):
    made = corpus()
    (made.folder / ".curator").write_text("not a folder")

    said = curator(made.folder, "run", "recipe.yaml")

    assert (1, "error: .curator: a file stands where the store's folder should be\n") == (
        said.code, said.err,
    )  # fmt: skip
    assert "not a folder" == (made.folder / ".curator").read_text()


def test_a_report_that_cannot_be_written_keeps_the_versions(corpus, curator):
    made = corpus().swap("report.html", "file/report.html")
    (made.folder / "file").write_text("in the way")

    said = curator(made.folder, "run", "recipe.yaml", "--no-measure")

    assert 1 == said.code
    assert "report.html: cannot write the report" in said.err
    assert "Traceback" not in said.err
    assert 6 == len(curator(made.folder, "log", "--json").json())
