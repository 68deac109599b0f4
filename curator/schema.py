"""The row contract: which columns a row has, its identity, and the hashes everything else rests on.

The one idea: a row is known by what it *says*, never by where it stood. Three hashes do three jobs:
`content_hash` (input and label: the test lock, label conflicts), `row_hash` (every column that
belongs to the row: digests, diffs, edits) and the id (for life). File names, record numbers and the
order of rows enter none of them.
"""

from __future__ import annotations

import binascii
import hashlib
import itertools
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curator.tasks import TASKS, Task, task_of

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

# Where a row came from and what touched it last: facts about a row, not the row itself.
PROVENANCE = ("source", "source_row", "step")

Field = str | bytes | int | float | bool | None | Sequence["Field"] | Mapping[str, "Field"]


ROW_SCHEMA = TASKS["classification"].schema
"""Contract columns of a classification row; `Task.schema` has those of each task.

The user's own columns follow them.
"""

FINDING_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("issue_type", pa.string(), nullable=False),
        pa.field("score", pa.float64()),
        pa.field("suggestion", pa.string()),
        pa.field("partner_id", pa.string()),
        pa.field("evidence", pa.string()),
        pa.field("check", pa.string(), nullable=False),
        pa.field("flagged", pa.bool_(), nullable=False),
        pa.field("p_wrong", pa.float64()),
        pa.field("p_fix", pa.float64()),
    ]
)
"""A doubt about one row. A higher score is more suspicious; `flagged` is the check's own call.

p_wrong is the probability that something is wrong, p_fix that the suggestion is right, both 0..1;
null where a check gives none.
"""

DECISION_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("step", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("by", pa.string(), nullable=False),
        pa.field("before", pa.string()),
        pa.field("after", pa.string()),
        pa.field("issue_type", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("partner_id", pa.string()),
    ]
)
"""What was done to one row and why; before and after are JSON objects of the changed columns.

Actions that change rows: drop, edit, relabel, weight, add. Actions that do not: keep (a flagged row
that a floor protected), reject (an augmented row that a filter refused; its id never became a row).
"""

CHANGING_ACTIONS = ("drop", "edit", "relabel", "weight", "add")


def hash_fields(*fields: Field) -> str:
    """Hash typed fields to 32 hexadecimal digits; no two different field lists share their bytes.

    Source: BLAKE2b (RFC 7693) over type-tagged, length-prefixed fields.
    """
    return hashlib.blake2b(b"".join(map(_tagged, fields)), digest_size=16).hexdigest()


def _tagged(value: Field) -> bytes:
    match value:
        case None:
            tag, data = b"n", b""
        case bool():
            tag, data = b"?", bytes([value])
        case str():
            tag, data = b"s", value.encode("utf-8", "surrogatepass")
        case bytes():
            tag, data = b"b", value
        case int():
            tag, data = b"i", str(value).encode()
        case float():
            tag, data = b"d", struct.pack("<d", value)
        case Mapping():
            tag, data = b"m", b"".join(_tagged(k) + _tagged(value[k]) for k in sorted(value))
        case Sequence():
            tag, data = b"l", b"".join(map(_tagged, value))
        case _:  # dates, decimals and the like of a user's own columns: their plain text form
            tag, data = b"x", str(value).encode()
    return tag + struct.pack("<Q", len(data)) + data


def user_columns(rows: pa.Table) -> list[str]:
    """Name the columns that are the user's own, in table order."""
    contract = task_of(rows).schema.names
    return [name for name in rows.column_names if name not in contract]


# Messages are built this many rows at a time, so that they stay small beside the table.
_SLICE = 65_536
_HEX = b"s" + struct.pack("<Q", 32)


def _hash_rows(rows: pa.Table, columns: Sequence[str]) -> Iterator[bytes]:
    """Give the 16 bytes of `hash_fields` over these columns of each row, in row order."""
    for start in range(0, rows.num_rows, _SLICE):
        part = rows.slice(start, _SLICE)
        pieces = [piece for name in columns for piece in _tagged_column(part[name])]
        joined = pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.large_binary()))
        yield from _hashed(joined)


def _hashed(messages: pa.LargeBinaryArray) -> Iterator[bytes]:
    _, offsets, data = messages.buffers()
    ends = np.frombuffer(offsets, np.int64)[messages.offset :][: len(messages) + 1].tolist()
    view = memoryview(data if data is not None else b"")
    blake2b = hashlib.blake2b
    for start, end in itertools.pairwise(ends):
        yield blake2b(view[start:end], digest_size=16).digest()


def _tagged_column(column: pa.ChunkedArray) -> list[pa.LargeBinaryArray]:
    """Give what `_tagged` makes of each value of a column, as arrays to be joined element-wise."""
    values, kind = column.combine_chunks(), column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _prefixed(b"s", values, values.cast(pa.large_binary()))
    if pa.types.is_integer(kind):
        digits = values.cast(pa.string()).cast(pa.large_binary())
        return _prefixed(b"i", values, digits)
    if kind in (pa.float32(), pa.float64()):
        wide = pc.fill_null(values.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False)
        return _prefixed(b"d", values, _fixed(wide.astype("<f8").view(np.uint8).reshape(-1, 8)))
    told = [_tagged(value) for value in values.to_pylist()]
    return [pa.array(told, pa.large_binary())]


def _prefixed(tag: bytes, values: pa.Array, data: pa.Array) -> list[pa.LargeBinaryArray]:
    """Give tag and length of each value, and its bytes; a null is tagged as one and has none."""
    length = pc.fill_null(pc.binary_length(data), 0).to_numpy(zero_copy_only=False)
    prefix = np.empty((len(values), 9), np.uint8)
    prefix[:, 0] = tag[0]
    if values.null_count:
        null = values.is_null().to_numpy(zero_copy_only=False)
        prefix[null, 0] = b"n"[0]
        length = np.where(null, 0, length)
        data = pc.if_else(pa.array(~null), data, pa.scalar(b"", pa.large_binary()))
    prefix[:, 1:] = length.astype("<u8").view(np.uint8).reshape(-1, 8)
    return [_fixed(prefix), data]


def _fixed(rows: npt.NDArray[np.uint8]) -> pa.LargeBinaryArray:
    """Make binary values of one length from bytes, shape (n, length)."""
    n, length = rows.shape
    offsets = np.arange(n + 1, dtype=np.int64) * length
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), n, buffers)


def content_hashes(rows: pa.Table, task: Task) -> list[str]:
    """Hash input and label of each row, in row order; 32 hexadecimal digits each."""
    return [h.hex() for h in _hash_rows(rows, task.columns)]


def row_hashes(rows: pa.Table) -> list[str]:
    """Hash all that belongs to each row (every column but its provenance), in row order."""
    own = sorted(user_columns(rows))
    contract = [n for n in task_of(rows).schema.names if n not in PROVENANCE]
    names = struct.pack("<Q", len(own)) + "\0".join(own).encode()
    hashes = _hash_rows(rows, (*contract, *own))
    if not own:
        return [h.hex() for h in hashes]
    start = _tagged(names) + _HEX
    return [hashlib.blake2b(start + h.hex().encode(), digest_size=16).hexdigest() for h in hashes]


def record_hashes(rows: pa.Table) -> npt.NDArray[np.uint8]:
    """Hash each row as a record of `content_digest`, in row order; bytes, shape (n, 16)."""
    blake2b, head = hashlib.blake2b, _HEX
    records = [blake2b(head + h.encode(), digest_size=16).digest() for h in row_hashes(rows)]
    return np.frombuffer(b"".join(records), np.uint8).reshape(-1, 16)


def digest_of(records: npt.NDArray[np.uint8]) -> str:
    """Hash a multiset of record hashes to 64 hexadecimal digits; their order does not matter.

    Args:
        records: Bytes, shape (n, 16).
    """
    whole = np.ascontiguousarray(records)
    high = whole.view(">u8")[:, 0].astype(np.uint64)
    order = np.argsort(high)
    ranked = high[order]
    if (ranked[1:] == ranked[:-1]).any():  # as good as never: the first half almost always decides
        order = np.lexsort((whole.view(">u8")[:, 1].astype(np.uint64), high))
    pairs = whole.view(np.uint64)  # two numbers a record are moved faster than 16 bytes
    total = hashlib.sha256()
    for start in range(0, len(order), _SLICE):
        total.update(binascii.hexlify(pairs.take(order[start : start + _SLICE], axis=0).data))
    return total.hexdigest()


def test_lock(rows: pa.Table, task: Task) -> str | None:
    """Hash the test rows of a table, sorted by id: the lock; None where there is no test row."""
    test = rows.filter(pc.equal(rows["split"], "test"))
    if test.num_rows == 0:
        return None
    return digest(zip(test["id"].to_pylist(), content_hashes(test, task), strict=True))


def digest(records: Iterable[Sequence[Field]]) -> str:
    """Hash a multiset of records to 64 hexadecimal digits; their order does not matter."""
    return hashlib.sha256("".join(sorted(hash_fields(*r) for r in records)).encode()).hexdigest()


def content_digest(rows: pa.Table) -> str:
    """Hash a whole table of rows, whatever their order; 64 hexadecimal digits."""
    return digest_of(record_hashes(rows))


def decisions_digest(decisions: pa.Table) -> str:
    """Hash a whole table of decisions, whatever their order; 64 hexadecimal digits."""
    records = b"".join(_hash_rows(decisions, DECISION_SCHEMA.names))
    return digest_of(np.frombuffer(records, np.uint8).reshape(-1, 16))


def occurrences(keys: Sequence[str], ranks: Sequence[str]) -> list[int]:
    """Number equal keys 0, 1, ... by their rank, so that the order of the rows does not matter."""
    order = sorted(range(len(keys)), key=lambda i: (keys[i], ranks[i]))
    numbers = [0] * len(keys)
    for here, before in zip(order[1:], order, strict=False):
        numbers[here] = numbers[before] + 1 if keys[here] == keys[before] else 0
    return numbers


def augmented_id(
    parent: str | None, augmenter: str, version: int, options: Field, seed: int, copy: int
) -> str:
    """Give the id of a row made by an augmenter; 32 hexadecimal digits."""
    return hash_fields(parent, augmenter, version, options, seed, copy)


def findings(records: Iterable[dict[str, object]]) -> pa.Table:
    """Make a findings table from dicts; absent columns are null, `flagged` defaults to True."""
    filled = [{"flagged": True, **record} for record in records]
    return pa.Table.from_pylist(filled, schema=FINDING_SCHEMA)


def lifted_findings(stored: pa.Table) -> pa.Table:
    """Give findings of an earlier release the columns that came later, null; else as they are."""
    for field in FINDING_SCHEMA:
        if field.name not in stored.column_names:
            stored = stored.append_column(field, pa.nulls(stored.num_rows, field.type))
    return stored


def decisions(records: Iterable[dict[str, object]]) -> pa.Table:
    """Make a decisions table from dicts; absent columns are null."""
    return pa.Table.from_pylist(list(records), schema=DECISION_SCHEMA)


def sort_rows(rows: pa.Table) -> pa.Table:
    """Put rows in their canonical order, by id; every stage sees them so."""
    return rows.sort_by("id")
