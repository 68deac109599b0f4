from __future__ import annotations

import pytest

from curator.errors import RecipeError
from curator.recipe import MeasureSpec, from_mapping, load, loads

SOURCES = "sources:\n  - from: file:a.csv\n"


def read(text, folder="."):
    from pathlib import Path

    return loads(text, "r.yaml", base=Path(folder))


def faults(text):
    with pytest.raises(RecipeError) as raised:
        read(text)
    return str(raised.value).splitlines()


def test_the_shortest_recipe_has_sensible_defaults():
    recipe = read(SOURCES)

    assert "classification" == recipe.task
    assert {"text": "text", "label": "label"} == recipe.sources[0].columns
    assert 0.01 == recipe.max_bad_share
    assert MeasureSpec() == recipe.measure
    assert None is recipe.report


def test_labels_stay_text_as_they_were_spelt():
    recipe = read(SOURCES + "labels: [no, 57, 1.10, 'null', on]\n")

    assert ("no", "57", "1.10", "null", "on") == recipe.labels.keys


def test_a_step_may_be_a_bare_name_or_a_mapping():
    recipe = read(SOURCES + "steps:\n  - clean\n  - leaks: {near: 0.9}\n  - duplicates:\n")

    assert ["clean", "leaks", "duplicates"] == [step.kind for step in recipe.steps]
    assert 0.9 == recipe.steps[1].options["near"]
    assert [4, 5, 6] == [step.line for step in recipe.steps]


def test_measure_false_switches_it_off():
    assert None is read(SOURCES + "measure: false\n").measure


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: []\n", "r.yaml:1: sources: expected a list such as `- from: file:train.csv`"),
        ("sources: []\n", "r.yaml:1: sources: expected a list"),
        ("sources:\n  - split: train\n", "r.yaml:2: a source needs `from:`"),
        (
            "task: tokens\n" + SOURCES + "steps: [label_errors]\n",
            "r.yaml:4: step 'label_errors' does not know the task 'tokens' yet; it knows",
        ),
        (SOURCES + "task: clasification\n", "task 'clasification' is not one of"),
        (SOURCES + "egress: ['https://x']\n", "egress: found 'https://x', expected a host"),
        (SOURCES + "max_bad_share: 2\n", "r.yaml:3: max_bad_share: found '2', expected a number"),
        (SOURCES + "max_bad_share: yes\n", "max_bad_share: found 'yes', expected a number in"),
        (SOURCES + "split: {test: 20}\n", "split.test: found '20', expected a number in 0..1"),
        (SOURCES + "split: {seed: one}\n", "split.seed: found 'one', expected a whole number"),
        (SOURCES + "steps: clean\n", "steps: expected a list such as `- clean: {fix: [html]}`"),
        (SOURCES + "steps:\n  - {clean: {}, leaks: {}}\n", "a step is one name with its options"),
        (SOURCES + "steps:\n  - clean: 3\n", "step 'clean': expected a mapping of options"),
        (SOURCES + "steps:\n  - leaks: {near: high}\n", "option 'near': found 'high', expected"),
        (SOURCES + "steps:\n  - clean: {fix: [htm]}\n", "Did you mean 'html'?"),
        (SOURCES + "measure: {metric: f1}\n", "metric has no value 'f1'; it takes ['accuracy']"),
        (SOURCES + "measure: tfidf\n", "measure: expected a mapping with keys from"),
        (SOURCES + "report: out.pdf\n", "expected a file name ending in .html"),
        ("- just\n- a list\n", "the recipe: expected a mapping with keys from"),
    ],
)
def test_a_fault_says_where_what_and_what_was_expected(text, message):
    assert message in "\n".join(faults(text))


def test_faults_stand_in_the_order_of_their_lines():
    told = faults(SOURCES + "steps:\n  - leeks\n  - cleen\nreprot: x.html\n")

    assert "3 faults in the recipe" == told[0]
    assert [4, 5, 6] == [int(line.split(":")[1]) for line in told[1:]]


def test_a_recipe_that_is_a_folder_or_no_utf_8_is_told(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("name: caf\xe9".encode("latin-1"))

    with pytest.raises(RecipeError, match="cannot be read as UTF-8 text"):
        load(tmp_path)
    with pytest.raises(RecipeError, match="cannot be read as UTF-8 text"):
        load(tmp_path / "latin.yaml")


def test_a_byte_order_mark_of_windows_does_no_harm(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + b"name: x\n" + SOURCES.encode())

    assert "x" == load(path).name


def test_python_values_make_the_same_recipe_as_yaml():
    values = {"sources": [{"from": "file:a.csv"}], "steps": [{"leaks": {"near": 0.9}}]}

    assert read(SOURCES + "steps:\n  - leaks: {near: 0.9}\n").steps[0].options == (
        from_mapping(values).steps[0].options
    )


def test_a_fault_in_python_values_has_no_line():
    with pytest.raises(RecipeError, match=r"1 fault in the recipe\nthe recipe has no key 'stepps'"):
        from_mapping({"sources": [{"from": "file:a.csv"}], "stepps": []})
