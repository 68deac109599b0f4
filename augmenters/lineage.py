"""What an augmented row carries, and how its chance is drawn from the row and nothing else.

The one idea: an augmenter gives rows *without* an id, and beside them their lineage: parent,
augmenter, its version, its options, seed and copy. An id is a hash of exactly these six, and
hashing belongs to the row contract, so the caller computes it; nothing here knows how.

Chance is seeded per row from (seed, augmenter, row id, copy), so the result does not depend on the
order of the rows, on batches, shards or processes, nor on which other rows there are.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .errors import AugmentError, RowRefusedError

LINEAGE_SCHEMA = pa.schema(
    [
        pa.field("parent", pa.string()),
        pa.field("augmenter", pa.string(), nullable=False),
        pa.field("augmenter_version", pa.int32(), nullable=False),
        pa.field("options", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("copy", pa.int16(), nullable=False),
    ]
)
"""Where each augmented row came from, in the order of the rows; `options` is canonical JSON."""

FAILURE_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("copy", pa.int16(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""A row that got no augmented row, and why."""

NEEDED = ("id", "group", "text", "label", "split", "weight", "source", "source_row", "parent")
SET_BY_CALLER = ("id", "step")
MAX_COPIES = 100


@dataclass(frozen=True, slots=True)
class Augmented:
    """What an augmenter made.

    rows: the columns of the rows that came in (the user's own too) without id and step; sorted by
        parent and copy. `group` is null where `parent` is: such a row is its own group.
    lineage: LINEAGE_SCHEMA, one row per row of `rows`, in the same order.
    failures: FAILURE_SCHEMA, sorted by row id and copy.
    notes: sentences a person should read.
    """

    rows: pa.Table
    lineage: pa.Table
    failures: pa.Table
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Augmenter:
    """An entry of the registry.

    function: `function(rows, *, seed, ...) -> Augmented`; a label text also takes the labels first.
    version: raised whenever the output for a given input changes; enters the ids of its rows.
    kind: made from a row's text, or from the label alone.
    languages: ISO 639-1 codes it has an effect on; empty means any.
    """

    function: Callable[..., Augmented]
    version: int
    kind: Literal["text", "label_text"]
    languages: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Maker:
    """Who makes rows, with the options that decide about their text and the caller's seed."""

    name: str
    version: int
    options: Mapping[str, object]
    seed: int


def row_seed(seed: int, augmenter: str, row_id: str, copy: int) -> int:
    """Give the 64-bit seed of one augmented row.

    Source: BLAKE2b (RFC 7693) over length-prefixed fields.
    """
    fields = [field.encode() for field in (str(seed), augmenter, row_id, str(copy))]
    data = b"".join(len(field).to_bytes(8, "little") + field for field in fields)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


# nlpaug draws from the global generators, which belong to the whole process.
_GLOBAL_CHANCE = threading.Lock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of `random` and numpy, and put them back exactly as they were."""
    with _GLOBAL_CHANCE:
        state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - nlpaug's
        try:
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002 - likewise
            yield
        finally:
            random.setstate(state)
            np.random.set_state(numpy_state)  # noqa: NPY002 - likewise


def check_training_rows(rows: pa.Table, augmenter: str) -> None:
    """Refuse anything but training rows.

    Raises:
        AugmentError: A contract column is missing, or a row is not in the training split.
    """
    missing = [name for name in NEEDED if name not in rows.column_names]
    if missing:
        raise AugmentError(
            f"augmenter {augmenter!r}: the rows have no column {missing}; "
            f"they have {rows.column_names}"
        )
    others = rows.filter(pc.not_equal(rows["split"], "train"))
    if others.num_rows:
        counts = dict(Counter(others["split"].to_pylist()))
        raise AugmentError(
            f"augmenter {augmenter!r}: {others.num_rows} of {rows.num_rows} rows are not training "
            f"rows ({counts}, first: {others['id'][0].as_py()}); test and validation rows are "
            "never augmented: give it the rows with split 'train' only"
        )


def check_share(share: float, augmenter: str) -> None:
    """Refuse a share of words outside (0, 1].

    Raises:
        AugmentError: The share is not a share.
    """
    if not 0 < share <= 1:
        raise AugmentError(f"augmenter {augmenter!r}: share is {share}; expected 0 < share <= 1")


def augment_each(
    rows: pa.Table,
    change: Callable[[str], str],
    maker: Maker,
    *,
    copies: int,
    weight: float,
) -> Augmented:
    """Make `copies` augmented rows of each row with one function from text to text.

    Args:
        rows: Training rows (the row contract), in any order.
        change: Gives the new text; raises RowRefusedError with the reason if it cannot. Runs with
            the global generators seeded for this row and copy.
        maker: Name, version, options and seed for the lineage.
        copies: Augmented rows per row, 1 to 100.
        weight: Factor on the parent's weight, above 0.

    Returns:
        The rows made; those that failed or came out unchanged are in `failures`.

    Raises:
        AugmentError: A row is not a training row, or an option is out of its range.
    """
    check_training_rows(rows, maker.name)
    if not 1 <= copies <= MAX_COPIES:
        raise AugmentError(
            f"augmenter {maker.name!r}: copies is {copies}; expected 1 to {MAX_COPIES}"
        )
    check_weight(weight, maker.name)
    rows = rows.sort_by("id")
    made: list[tuple[int, int, str]] = []
    failures: list[dict[str, object]] = []
    pairs = zip(rows["id"].to_pylist(), rows["text"].to_pylist(), strict=True)
    for position, (row_id, text) in enumerate(pairs):
        for copy in range(copies):
            try:
                new = _changed(text, change, row_seed(maker.seed, maker.name, row_id, copy))
            except RowRefusedError as refused:
                failures.append({"row_id": row_id, "copy": copy, "reason": str(refused)})
            else:
                made.append((position, copy, new))
    return Augmented(
        rows=_children(rows, made, weight),
        lineage=_lineage(rows, made, maker),
        failures=pa.Table.from_pylist(failures, schema=FAILURE_SCHEMA),
    )


def check_weight(weight: float, augmenter: str) -> None:
    """Refuse a weight that is not a positive, finite number.

    Raises:
        AugmentError: The weight is 0, negative or not finite.
    """
    if not (weight > 0 and np.isfinite(weight)):
        raise AugmentError(
            f"augmenter {augmenter!r}: weight is {weight}; expected a number above 0"
        )


def _changed(text: str | None, change: Callable[[str], str], seed: int) -> str:
    if not text or text.isspace():
        raise RowRefusedError("no text")
    with seeded(seed):
        new = change(text)
    if new == text:
        raise RowRefusedError("the text came out unchanged")
    return new


def _children(rows: pa.Table, made: list[tuple[int, int, str]], weight: float) -> pa.Table:
    parents = rows.take(pa.array([position for position, _, _ in made], pa.int64()))
    changed = {
        "text": pa.array([text for _, _, text in made], pa.string()),
        "weight": pc.multiply(parents["weight"], pa.scalar(weight, pa.float32())),
        "parent": parents["id"],
    }
    for name, values in changed.items():
        at = rows.column_names.index(name)
        parents = parents.set_column(at, rows.schema.field(name), values)
    return parents.drop_columns([name for name in SET_BY_CALLER if name in rows.column_names])


def _lineage(rows: pa.Table, made: list[tuple[int, int, str]], maker: Maker) -> pa.Table:
    ids = rows["id"].to_pylist()
    fixed = {
        "augmenter": maker.name,
        "augmenter_version": maker.version,
        "options": canonical(maker.options),
        "seed": maker.seed,
    }
    return pa.Table.from_pylist(
        [{"parent": ids[position], "copy": copy, **fixed} for position, copy, _ in made],
        schema=LINEAGE_SCHEMA,
    )


def canonical(options: Mapping[str, object]) -> str:
    """Write options as JSON that is the same for equal options."""
    return json.dumps(options, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
