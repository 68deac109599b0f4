"""What identity rests on: what records say, never where they stood."""

from __future__ import annotations

import pyarrow as pa
import pytest

from curator.errors import RowError
from curator.importing import import_rows
from curator.recipe import from_mapping


def recipe(*frames, **options):
    sources = [
        {"from": pa.Table.from_pylist(frame), "columns": options.get("columns", {}),
         **{k: options[k] for k in ("id", "name") if k in options}}
        for frame in frames
    ]  # fmt: skip
    rest = {k: v for k, v in options.items() if k not in ("id", "name", "columns")}
    return from_mapping({"sources": sources, "split": {"test": 0.4}, **rest})


def imported(*frames, **options):
    return import_rows(recipe(*frames, **options))


WORDS = ("river", "stone", "cloud", "amber", "tiger", "maple", "ocean", "piano", "queen", "raven")
RECORDS = [
    {"text": f"{word} {word[::-1]} {number}", "label": "ab"[number % 2], "ticket": number}
    for number, word in enumerate(WORDS)
]


def ids(rows, key="text"):
    return dict(zip(rows[key].to_pylist(), rows["id"].to_pylist(), strict=True))


def test_parts_order_and_user_columns_do_not_enter_an_id():
    whole = imported(RECORDS)
    parts = imported(RECORDS[7:], RECORDS[3:7][::-1], RECORDS[:3])
    fewer = imported([{k: r[k] for k in ("text", "label")} for r in RECORDS])

    assert ids(whole.rows) == ids(parts.rows) == ids(fewer.rows)
    assert whole.rows["split"].equals(parts.rows["split"])
    assert whole.options == parts.options


def test_a_label_does_not_enter_an_id():
    other = [{**record, "label": "ba"[i % 2]} for i, record in enumerate(RECORDS)]

    assert ids(imported(RECORDS).rows) == ids(imported(other).rows)


def test_a_name_of_the_source_does():
    one, other = imported(RECORDS), imported(RECORDS, name="second")

    assert not set(ids(one.rows).values()) & set(ids(other.rows).values())


def test_with_a_key_the_text_does_not_enter():
    other = [{**record, "text": f"{record['text']} edited"} for record in RECORDS]

    assert ids(imported(RECORDS, id=["ticket"]).rows, "ticket") == ids(
        imported(other, id=["ticket"]).rows, "ticket"
    )


def test_equal_texts_are_told_apart_by_all_they_say_whatever_their_order():
    twins = [*RECORDS, {**RECORDS[0], "ticket": 90}, {**RECORDS[0], "ticket": 91}]

    assert ids(imported(twins).rows, "ticket") == ids(imported(twins[::-1]).rows, "ticket")
    assert len(twins) == len(set(imported(twins).rows["id"].to_pylist()))


def test_of_equal_texts_the_test_row_keeps_its_id_whatever_the_other_is_labelled():
    records = [{**record, "part": "test" if i < 4 else "train"} for i, record in enumerate(RECORDS)]
    found = set()
    for label in "ab":
        copy = {**records[0], "part": "train", "label": label, "ticket": 99}
        rows = imported([*records, copy], columns={"split": "part"}).rows
        found.add(ids(rows, "ticket")[0])

    assert 1 == len(found)


def test_a_key_twice_names_both_records():
    with pytest.raises(RowError, match=r"a key stands more than once: frame:0 \('river .*frame:1"):
        imported([RECORDS[0], {**RECORDS[1], "ticket": 0}, *RECORDS[2:]], id=["ticket"])


def test_near_texts_share_a_group_and_groups_stay_when_rows_join():
    long = "a rather long sentence about nothing in particular that somebody wrote"
    records = [*RECORDS, {"text": long, "label": "a", "ticket": 50}]
    first = imported(records).rows
    more = [*records, {"text": long + "!", "label": "a", "ticket": 51}]

    second = import_rows(recipe(more), previous=first).rows

    group = dict(zip(second["ticket"].to_pylist(), second["group"].to_pylist(), strict=True))
    before = dict(zip(first["ticket"].to_pylist(), first["group"].to_pylist(), strict=True))
    assert group[51] == group[50] == before[50]
    assert before == {k: v for k, v in group.items() if k != 51}


def test_a_users_group_joins_what_belongs_together():
    records = [{**record, "patient": f"p{i % 3}"} for i, record in enumerate(RECORDS)]

    rows = imported(records, columns={"group": "patient"}).rows

    assert 3 == len(set(rows["group"].to_pylist()))
    assert "patient" in rows.column_names


def test_a_users_column_of_a_contract_name_is_kept_under_another():
    rows = imported([{**record, "weight": "heavy"} for record in RECORDS]).rows

    assert {"heavy"} == set(rows["orig_weight"].to_pylist())
    assert {1.0} == set(rows["weight"].to_pylist())


def test_labels_that_look_like_numbers_or_booleans_are_text():
    records = [{**record, "label": [57, 1][i % 2]} for i, record in enumerate(RECORDS)]

    assert {"57", "1"} == set(imported(records).rows["label"].to_pylist())


def test_labels_are_trimmed():
    records = [{**record, "label": f" {record['label']} "} for record in RECORDS]

    assert {"a", "b"} == set(imported(records).rows["label"].to_pylist())


def test_dev_is_validation():
    parts = ["train", "dev", "test"]
    records = [{**r, "part": parts[i // 2 % 3]} for i, r in enumerate(RECORDS)]

    rows = imported(records, columns={"split": "part"}).rows

    assert {"train", "validation", "test"} == set(rows["split"].to_pylist())
