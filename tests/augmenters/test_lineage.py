"""An augmented row depends on its parent, the seed and the copy, and on nothing else."""

from __future__ import annotations

import random
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import pyarrow as pa
import pytest

from augmenters import AUGMENTERS, FAILURE_SCHEMA, LINEAGE_SCHEMA, AugmentError, keyboard
from augmenters.lineage import row_seed, seeded

TEXTS = [f"sentence number {i} about cards transfers payments and refunds" for i in range(24)]


def together(made):
    """One sorted table of rows and lineage."""
    table = made.rows
    for name in ("augmenter", "options", "seed", "copy"):
        table = table.append_column(f"_{name}", made.lineage[name])
    return table.sort_by([("parent", "ascending"), ("_copy", "ascending")]).combine_chunks()


def parts(rows, size):
    return [rows.slice(at, size) for at in range(0, rows.num_rows, size)]


def test_shuffled_rows_give_the_same_bytes(make_rows):
    rows = make_rows(TEXTS)
    order = np.random.default_rng(7).permutation(rows.num_rows)

    assert keyboard(rows, seed=1).rows.equals(keyboard(rows.take(pa.array(order)), seed=1).rows)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batches_of_any_size_give_the_same_rows(make_rows, size):
    rows = make_rows(TEXTS)
    pieces = [together(keyboard(part, seed=1, copies=2)) for part in parts(rows, size)]

    assert together(keyboard(rows, seed=1, copies=2)).equals(
        pa.concat_tables(pieces).combine_chunks()
    )


def test_a_subset_gives_its_own_part_of_the_rows(make_rows):
    rows = make_rows(TEXTS)
    some = rows.take([3, 17, 5])
    whole = together(keyboard(rows, seed=1))
    wanted = whole.filter(pa.compute.is_in(whole["parent"], some["id"].combine_chunks()))

    assert wanted.combine_chunks().equals(together(keyboard(some, seed=1)))


def test_two_processes_give_the_same_rows(make_rows):
    rows = make_rows(TEXTS)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        halves = [together(made) for made in pool.map(partial(keyboard, seed=1), parts(rows, 12))]

    assert together(keyboard(rows, seed=1)).equals(pa.concat_tables(halves).combine_chunks())


def test_another_seed_and_another_copy_give_other_texts(make_rows):
    rows = make_rows(TEXTS)
    first = keyboard(rows, seed=1, copies=2).rows["text"].to_pylist()

    assert len(set(first)) == len(first)
    assert set(first).isdisjoint(keyboard(rows, seed=2).rows["text"].to_pylist())


def test_the_seed_of_a_row_is_fixed_for_ever():
    assert row_seed(0, "keyboard", "r000", 0) == 6159564122120119095
    assert row_seed(1, "a", "bc", 0) != row_seed(1, "ab", "c", 0)


def test_the_global_generators_are_left_exactly_as_they_were(make_rows):
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002 - the global one is what is tested
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002

    keyboard(make_rows(TEXTS), seed=1)

    assert before == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002


def test_the_global_generators_are_put_back_after_a_fault():
    before = random.getstate()
    with pytest.raises(ZeroDivisionError), seeded(3):
        _ = random.random() / 0

    assert before == random.getstate()


def test_an_augmented_row_carries_its_parents_columns(make_rows):
    rows = make_rows(["where is my missing payment"], weight=0.5)
    made = keyboard(rows, seed=9)
    row = made.rows.to_pylist()[0]
    text = row.pop("text")

    assert {
        "group": "g000",
        "label": "card_arrival",
        "split": "train",
        "weight": pytest.approx(0.15),
        "source": "main",
        "source_row": 0,
        "parent": "r000",
        "channel": "chat",
    } == row
    assert text != "where is my missing payment"
    assert made.lineage.schema == LINEAGE_SCHEMA
    assert made.lineage.to_pylist() == [
        {
            "parent": "r000",
            "augmenter": "keyboard",
            "augmenter_version": AUGMENTERS["keyboard"].version,
            "options": '{"share":0.1}',
            "seed": 9,
            "copy": 0,
        }
    ]


ROBUST = {
    "empty": ("", "no text"),
    "spaces": ("   ", "no text"),
    "none": (None, "no text"),
    "character": ("a", "no Latin word of 4 letters or more"),
    "signs": ("?!", "no Latin words"),
    "emoji": ("👍🏽🇨🇳", "no Latin words"),
    "chinese": ("那我收到货之后您再给我退200元？", "no Latin words"),
    "accents": ("ééééé", "the text came out unchanged"),
}


def test_each_row_without_a_copy_is_reported_with_its_reason(make_rows):
    rows = make_rows([text for text, _ in ROBUST.values()])
    made = keyboard(rows, seed=0)

    assert made.rows.num_rows == 0
    assert made.failures.schema == FAILURE_SCHEMA
    assert [reason for _, reason in ROBUST.values()] == made.failures["reason"].to_pylist()
    assert rows["id"].to_pylist() == made.failures["row_id"].to_pylist()


def test_white_space_and_emoji_around_changed_words_stay(make_rows):
    text = " \thello\n\nthere 👍🏽  friends \u3000"
    new = keyboard(make_rows([text]), seed=0, share=1.0).rows["text"][0].as_py()

    assert new.startswith(" \t")
    assert new.endswith(" \u3000")
    assert "\n\n" in new
    assert " 👍🏽  " in new


def test_a_long_text_is_changed_along_its_whole_length(make_rows):
    words = ["sentence"] * 2_000
    new = keyboard(make_rows([" ".join(words)]), seed=0).rows["text"][0].as_py().split()

    assert sum(a != b for a, b in zip(words, new, strict=True)) == 200


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_row_outside_training_is_refused(make_rows, split):
    rows = pa.concat_tables([make_rows(["a training row"]), make_rows(["another"], split=split)])
    with pytest.raises(AugmentError, match="1 of 2 rows are not training rows") as caught:
        keyboard(rows, seed=0)

    assert f"{{'{split}': 1}}" in str(caught.value)


def test_a_missing_column_is_named(make_rows):
    with pytest.raises(AugmentError, match=r"the rows have no column \['label'\]"):
        keyboard(make_rows(["text"]).drop_columns(["label"]), seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 0.0}, "share is 0.0; expected 0 < share <= 1"),
        ({"share": 1.1}, "share is 1.1"),
        ({"copies": 0}, "copies is 0; expected 1 to 100"),
        ({"weight": 0.0}, "weight is 0.0; expected a number above 0"),
        ({"weight": float("nan")}, "weight is nan"),
    ],
)
def test_an_option_out_of_its_range_is_refused(make_rows, options, message):
    with pytest.raises(AugmentError, match=message):
        keyboard(make_rows(["some text"]), seed=0, **options)


def test_importing_the_augmenters_loads_nothing_heavy():
    heavy = "nlpaug nltk torch transformers pandas sklearn"
    code = f"import sys, augmenters; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_the_registry_names_functions_after_themselves():
    assert {name: a.function.__name__ for name, a in AUGMENTERS.items()} == {
        "label_text": "label_text",
        "synonym": "synonym",
        "keyboard": "keyboard",
    }
    assert all(isinstance(a.version, int) for a in AUGMENTERS.values())


def test_the_output_of_keyboard_version_1_is_fixed(make_rows):
    rows = make_rows(["I am still waiting on my card?", "Where is my REFUND of $12.50"])
    texts = keyboard(rows, seed=0).rows["text"].to_pylist()

    assert AUGMENTERS["keyboard"].version == 1
    assert texts == ["I am still aqitijg on my card?", "Where is my DEFUJD of $12.50"]
