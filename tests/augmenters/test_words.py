"""Synonyms from Debian's WordNet, offline and careful."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from augmenters import AUGMENTERS, AugmentError, synonym
from augmenters.wordnet import open_dictionary, open_reader, wordnet_folder


@pytest.fixture
def wordnet():
    folder = wordnet_folder()
    if not Path(folder).is_dir():
        pytest.skip(f"{folder}: not found; install the Debian package wordnet-base")
    return folder


@pytest.fixture
def dictionary(wordnet):
    return open_dictionary(wordnet, "first")


def test_a_missing_wordnet_names_the_package_to_install(make_rows, tmp_path, monkeypatch):
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    with pytest.raises(AugmentError) as caught:
        synonym(make_rows(["some text"]), seed=0)

    assert "holds no complete WordNet (missing: cntlist.rev, index.noun, index.verb, ...)" in str(
        caught.value
    )
    assert "install the Debian package wordnet-base" in str(caught.value)


def test_an_unknown_choice_of_senses_is_refused(make_rows):
    with pytest.raises(AugmentError, match="senses is 'all'; expected 'first' or 'any'"):
        synonym(make_rows(["some text"]), seed=0, senses="all")


@pytest.mark.wordnet
def test_irregular_forms_are_known(wordnet):
    reader = open_reader(wordnet, os.getpid())

    assert reader.morphy("went", "v") == "go"
    assert reader.morphy("children", "n") == "child"


@pytest.mark.wordnet
@pytest.mark.parametrize(
    ("word", "pos", "synonyms"),
    [
        ("card", "n", []),  # any sense: bill of fare
        ("arrive", "v", ["come"]),  # any sense: make it
        ("arrived", "v", []),  # comed is no word
        ("purchased", "v", []),  # bought is not a regular form
        ("connects", "v", ["links"]),
        ("went", "v", []),
        ("zzzz", "n", []),
    ],
)
def test_synonyms_are_single_words_of_the_first_sense_that_keep_the_ending(
    dictionary, word, pos, synonyms
):
    assert dictionary.predict(word, pos) == synonyms


@pytest.mark.wordnet
def test_function_words_negations_and_names_are_left_alone(dictionary):
    words = ["I", "can", "not", "have", "it", "in", "my", "US", "Wallet"]

    assert {tag for _, tag in dictionary.pos_tag(words)} == {"DT"}


@pytest.mark.wordnet
def test_the_word_before_tells_a_verb_from_a_noun(dictionary):
    assert dictionary._guess("change", "to") == "v"
    assert dictionary._guess("change", "the") == "n"


@pytest.mark.wordnet
@pytest.mark.usefixtures("wordnet")
def test_the_output_of_version_1_is_fixed(make_rows):
    rows = make_rows(
        [
            "How do I connect the new card?",
            "My refund of $12.50 is wrong",
            "Show me the app, please",
        ]
    )
    texts = synonym(rows, seed=0).rows["text"].to_pylist()

    assert AUGMENTERS["synonym"].version == 1
    assert texts == [
        "How do I tie the new card?",
        "My refund of $12.50 is incorrect",
        "Demonstrate me the app, please",
    ]


@pytest.mark.wordnet
@pytest.mark.usefixtures("wordnet")
def test_any_sense_is_there_for_who_asks(make_rows):
    rows = make_rows(["card"])
    first, other = synonym(rows, seed=0), synonym(rows, seed=0, senses="any")

    assert first.failures["reason"].to_pylist() == ["no word it could change"]
    assert other.lineage["options"].to_pylist() == ['{"senses":"any","share":0.1}']
    assert other.rows["text"][0].as_py() != "card"


@pytest.mark.wordnet
@pytest.mark.usefixtures("wordnet")
@pytest.mark.parametrize("text", ["", "  ", None, "a", "?!", "👍🏽", "退200元？"])
def test_a_row_without_english_words_is_reported(make_rows, text):
    made = synonym(make_rows([text]), seed=0)

    assert (0, 1) == (made.rows.num_rows, made.failures.num_rows)


@pytest.mark.data
@pytest.mark.wordnet
@pytest.mark.usefixtures("wordnet")
def test_some_of_a_hundred_real_rows_change_and_all_are_accounted_for(make_rows, data):
    with (data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)][:10_000:100]
    made = synonym(make_rows(texts), seed=0)

    assert made.rows.num_rows + made.failures.num_rows == 100
    assert made.rows.num_rows > 50
