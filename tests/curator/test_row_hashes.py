"""The hashes of a whole table are those of its rows one by one, whatever the columns hold."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator import schema

KINDS = {
    "text": (pa.string(), st.text(max_size=8)),
    "large": (pa.large_string(), st.text(max_size=8)),
    "bytes": (pa.binary(), st.binary(max_size=8)),
    "float32": (pa.float32(), st.floats(width=32)),
    "float64": (pa.float64(), st.floats()),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "uint8": (pa.uint8(), st.integers(0, 255)),
    "bool": (pa.bool_(), st.booleans()),
    "list": (pa.list_(pa.string()), st.lists(st.none() | st.text(max_size=3), max_size=3)),
    "date": (pa.date32(), st.dates()),
    "null": (pa.null(), st.none()),
}


def one_by_one(rows):
    own = sorted(schema.user_columns(rows))
    contract = [n for n in schema.ROW_SCHEMA.names if n not in schema.PROVENANCE]
    names = len(own).to_bytes(8, "little") + "\0".join(own).encode()
    told = []
    for row in rows.to_pylist():
        found = schema.hash_fields(*(row[name] for name in (*contract, *own)))
        told.append(schema.hash_fields(names, found) if own else found)
    return told


def rows_with(column, values):
    made = [
        {"id": f"r{i}", "group": "g", "text": "t", "label": "a", "split": "train", "weight": 0.5,
         "source": None, "source_row": i, "parent": None, "step": "import"}
        for i in range(len(values))
    ]  # fmt: skip
    return pa.Table.from_pylist(made, schema=schema.ROW_SCHEMA).append_column("own", column)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_table_is_hashed_as_its_rows_are(kind, data):
    type_, values = KINDS[kind]
    column = data.draw(st.lists(st.none() | values, max_size=5))
    rows = rows_with(pa.array(column, type_), column)
    told = one_by_one(rows)

    assert told == schema.row_hashes(rows)
    assert told[1:] == schema.row_hashes(rows.slice(1))
    digest = hashlib.sha256("".join(sorted(map(schema.hash_fields, told))).encode()).hexdigest()
    assert digest == schema.content_digest(rows)


def test_rows_without_columns_of_their_own_hash_as_ever():
    rows = rows_with(pa.nulls(3), [1, 2, 3]).drop_columns("own")

    assert one_by_one(rows) == schema.row_hashes(rows)


def test_the_digest_of_no_rows_is_that_of_no_bytes():
    assert hashlib.sha256(b"").hexdigest() == schema.content_digest(schema.ROW_SCHEMA.empty_table())


def test_records_that_begin_alike_are_sorted_by_their_end():
    records = np.zeros((3, 16), np.uint8)
    records[:, 15] = (2, 0, 1)
    expected = b"".join(bytes(15) + bytes([end]) for end in (0, 1, 2)).hex().encode()

    assert hashlib.sha256(expected).hexdigest() == schema.digest_of(records)
