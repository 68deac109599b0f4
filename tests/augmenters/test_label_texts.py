"""One row per class, from its definition or its name."""

from __future__ import annotations

import pyarrow as pa
import pytest

from augmenters import AugmentError, label_text
from augmenters.label_texts import name_as_text


def test_a_name_becomes_words(make_rows):
    rows = make_rows(["one"], labels=["Refund_not-showing_up"])

    assert label_text({}, rows, seed=0).rows["text"].to_pylist() == ["Refund not showing up"]


def test_a_definition_takes_the_place_of_the_name(make_rows):
    rows = make_rows(["一", "二"], labels=["57", "16"])
    labels = {"57": ["买家咨询返现金额"], "16": "买家表示收件信息不需要修改了"}
    made = label_text(labels, rows, seed=0).rows

    assert dict(zip(made["label"].to_pylist(), made["text"].to_pylist(), strict=True)) == {
        "57": "买家咨询返现金额",
        "16": "买家表示收件信息不需要修改了",
    }


def test_the_weight_is_three_where_a_class_has_up_to_ten_rows(make_rows):
    labels = ["few"] * 10 + ["many"] * 11
    made = label_text({}, make_rows(["text"] * 21, labels=labels), seed=0).rows

    assert [("few", 3.0), ("many", 1.0)] == list(
        zip(made["label"].to_pylist(), made["weight"].to_pylist(), strict=True)
    )


def test_several_definitions_share_the_weight_of_their_class(make_rows):
    rows = make_rows(["one"], labels=["a"])
    made = label_text({"a": ["second", "first", "first"]}, rows, seed=0).rows

    assert [("first", 1.5), ("second", 1.5)] == list(
        zip(made["text"].to_pylist(), made["weight"].to_pylist(), strict=True)
    )


def test_a_label_text_has_no_parent_and_no_values_of_the_users_columns(make_rows):
    rows = make_rows(["one"], labels=["lost_card"])
    made = label_text({}, rows, seed=0)

    assert [
        {
            "group": None,
            "text": "lost card",
            "label": "lost_card",
            "split": "train",
            "weight": 3.0,
            "source": None,
            "source_row": None,
            "parent": None,
            "channel": None,
        }
    ] == made.rows.to_pylist()
    assert made.lineage.to_pylist() == [
        {
            "parent": None,
            "augmenter": "label_text",
            "augmenter_version": 1,
            "options": '{"label":"lost_card","text":"lost card"}',
            "seed": 0,
            "copy": 0,
        }
    ]


def test_neither_seed_nor_order_matters(make_rows):
    rows = make_rows(["x"] * 3, labels=["b", "a", "c"])
    one, two = label_text({}, rows, seed=0), label_text({}, rows.take([2, 0, 1]), seed=99)

    assert one.rows.equals(two.rows)
    assert one.lineage.equals(two.lineage)


def test_classes_without_a_training_row_get_their_text_and_are_named(make_rows):
    made = label_text({"new_one": None, "a": None}, make_rows(["x"], labels=["a"]), seed=0)

    assert made.rows["text"].to_pylist() == ["a", "new one"]
    note = "1 of 2 classes have no training row; their label text is all a model will learn them"

    assert (f"{note} from: 'new_one'",) == made.notes


def test_no_class_without_rows_leaves_no_note(make_rows):
    assert label_text({}, make_rows(["x"]), seed=0).notes == ()


def test_numbers_as_labels_without_definitions_ask_for_definitions(make_rows):
    rows = make_rows(["x"] * 3, labels=["57", "16", "named"])
    with pytest.raises(AugmentError) as caught:
        label_text({"16": []}, rows, seed=0)

    assert "2 of 3 labels have no definition and a name without a letter ('16', '57')" in str(
        caught.value
    )
    assert "give their definitions" in str(caught.value)


def test_a_blank_definition_is_refused(make_rows):
    with pytest.raises(AugmentError, match="label 'a': a definition is blank"):
        label_text({"a": ["fine", " "]}, make_rows(["x"], labels=["a"]), seed=0)


def test_rows_outside_training_are_refused(make_rows):
    with pytest.raises(AugmentError, match="1 of 1 rows are not training rows"):
        label_text({}, make_rows(["x"], split="test"), seed=0)


def test_no_rows_and_no_labels_make_no_rows(make_rows):
    assert label_text({}, make_rows([]), seed=0).rows.num_rows == 0


def test_label_texts_join_the_rows_they_were_made_from(make_rows):
    rows = make_rows(["x"])
    made = label_text({}, rows, seed=0).rows
    base = rows.drop_columns(["id", "step"])

    assert pa.concat_tables([base, made], promote_options="permissive").num_rows == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a__b", "a b"),
        ("-x-", "x"),
        ("Wrong amount of cash", "Wrong amount of cash"),
        ("退款", "退款"),
    ],
)
def test_names_read_as_words(name, text):
    assert name_as_text(name) == text
