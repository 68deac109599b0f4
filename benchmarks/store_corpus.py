"""A made corpus and its small steps, the same for every side of the store benchmarks.

The one idea: what cannot be compressed in a real corpus is not to be compressed here. Ids are 32
random hexadecimal digits, texts are 6 to 18 words drawn by Zipf's law from 20,000, source rows
stand in no order. A step edits one word in 1 % of the training rows, drops 1 % of them, or adds
5 %, in turn; its decisions say what a real step's say, before and after included.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curator import schema

TURNS = (("edit", 0.01), ("drop", 0.01), ("add", 0.05))
WORDS, LABELS = 20_000, 77


def hexadecimal(draw: np.random.Generator, count: int) -> pa.Array:
    """Draw ids: 32 hexadecimal digits each."""
    data = draw.bytes(16 * count).hex().encode()
    offsets = np.arange(0, 32 * (count + 1), 32, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data))


def vocabulary() -> pa.Array:
    """Make words of 2 to 9 letters, the same each time."""
    draw = np.random.default_rng(7)
    letters = np.array(list("eeeetttaaooiinnsshhrrdlucmfwygpbvk"))
    return pa.array(["".join(draw.choice(letters, n)) for n in draw.integers(2, 10, WORDS)])


def words(draw: np.random.Generator, count: int) -> pa.Array:
    """Draw words; a few are used very often, as in a language."""
    # Zipf's law: the chance of a word is 1 by its rank, so the rank is a power of even chances.
    rank = np.floor(WORDS ** draw.random(count)).astype(np.int64) - 1
    return vocabulary().take(pa.array(rank))


def texts(draw: np.random.Generator, count: int) -> pa.Array:
    """Draw texts of 6 to 18 words."""
    lengths = draw.integers(6, 19, count)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(ends), words(draw, int(ends[-1])))
    return pc.binary_join(lists, " ")


def corpus(count: int, *, seed: int, parents: pa.Array | None = None) -> pa.Table:
    """Make rows, sorted by id: imported ones, a tenth of them test, or training rows with parents.

    Args:
        count: How many.
        seed: The same seed makes the same rows.
        parents: Rows they were made from, shape (count,); None: they are imported.
    """
    draw = np.random.default_rng(seed)
    ids = hexadecimal(draw, count)
    ids = ids.take(pc.sort_indices(ids))
    labels = pa.array([f"class_{number:02d}" for number in range(LABELS)])
    test = draw.random(count) < (0.1 if parents is None else 0.0)
    none = pa.nulls(count, pa.string())
    columns = {
        "id": ids,
        "group": ids if parents is None else parents,
        "text": texts(draw, count),
        "label": labels.take(pa.array(draw.integers(0, LABELS, count))),
        "split": pa.array(np.where(test, "test", "train").tolist()),
        "weight": pa.array(np.ones(count, np.float32)),
        "source": pa.array(np.full(count, "file:corpus.csv" if parents is None else "made")),
        "source_row": pa.array(draw.permutation(count)),
        "parent": none if parents is None else parents,
        "step": pa.array(np.full(count, "import" if parents is None else "add")),
    }
    arrays = [columns[field.name].cast(field.type) for field in schema.ROW_SCHEMA]
    return pa.table(arrays, schema=schema.ROW_SCHEMA)


@dataclass(frozen=True, slots=True)
class Change:
    """One step: rows in their new state, rows as they were before, ids of those that go."""

    number: int
    kind: str
    changed: pa.Table
    before: pa.Table
    dropped: pa.Array

    def apply(self, rows: pa.Table) -> pa.Table:
        """Give all rows after the step, sorted by id."""
        gone = pa.concat_arrays([self.changed["id"].combine_chunks(), self.dropped])
        kept = rows.filter(pc.invert(pc.is_in(rows["id"], value_set=gone)))
        return pa.concat_tables([kept, self.changed]).sort_by("id").combine_chunks()

    def decisions(self) -> pa.Table:
        """Give the decisions, as a real step writes them."""
        before = {row["id"]: row for row in self.before.to_pylist()}
        rows = self.before if self.kind == "drop" else self.changed
        return schema.decisions(self._decision(row, before) for row in rows.to_pylist())

    def _decision(
        self, row: dict[str, Any], before: dict[str, dict[str, Any]]
    ) -> dict[str, object]:
        made: dict[str, object] = {
            "row_id": row["id"], "action": self.kind, "step": f"{self.kind}_{self.number}",
            "reason": {"edit": "unicode repaired", "drop": "near duplicate"}.get(self.kind, "made"),
            "by": "rule",
        }  # fmt: skip
        if self.kind == "add":
            return {**made, "partner_id": row["parent"]}
        if self.kind == "drop":
            return {**made, "issue_type": "near_duplicate", "score": 0.9}
        sides = (("before", before[row["id"]]), ("after", row))
        return {**made, **{side: json.dumps({"text": cells["text"]}) for side, cells in sides}}

    def save(self, folder: Path) -> None:
        """Write the step where another process can read it."""
        pq.write_table(self.changed, folder / f"{self.number}-changed.parquet")
        pq.write_table(self.before, folder / f"{self.number}-before.parquet")
        pq.write_table(pa.table({"id": self.dropped}), folder / f"{self.number}-dropped.parquet")


def saved(folder: Path, number: int) -> Change:
    """Read a step that `save` wrote."""
    tables = [pq.read_table(folder / f"{number}-{name}.parquet") for name in ("changed", "before")]
    dropped = pq.read_table(folder / f"{number}-dropped.parquet")["id"].combine_chunks()
    return Change(number, kind_of(number), tables[0], tables[1], dropped)


def kind_of(number: int) -> str:
    """Give what the step of this number does; the first is 1."""
    return TURNS[(number - 1) % len(TURNS)][0]


def change(rows: pa.Table, number: int) -> Change:
    """Make the next step of a version.

    Args:
        rows: All rows of the version.
        number: Of the step; the first is 1.
    """
    draw = np.random.default_rng(1000 + number)
    kind, share = TURNS[(number - 1) % len(TURNS)]
    training = np.flatnonzero(pc.equal(rows["split"], "train").to_numpy())
    count = round(share * rows.num_rows)
    picked = rows.take(pa.array(np.sort(draw.choice(training, count, replace=False))))
    nothing, no_ids = rows.slice(0, 0), pa.array([], pa.string())
    if kind == "drop":
        return Change(number, kind, nothing, picked, picked["id"].combine_chunks())
    if kind == "add":
        new = corpus(count, seed=2000 + number, parents=picked["id"].combine_chunks())
        return Change(number, kind, new, nothing, no_ids)
    return Change(number, kind, edited(picked, number, draw), picked, no_ids)


def edited(rows: pa.Table, number: int, draw: np.random.Generator) -> pa.Table:
    """Give rows with one word of each text changed."""
    new = words(draw, rows.num_rows)
    text = pc.binary_join_element_wise(
        pc.replace_substring_regex(rows["text"], r"^\S+ ", ""), new, " "
    )
    step = pa.array([f"edit_{number}"] * rows.num_rows)
    rows = rows.set_column(2, schema.ROW_SCHEMA.field("text"), text)
    return rows.set_column(rows.num_columns - 1, schema.ROW_SCHEMA.field("step"), step)
