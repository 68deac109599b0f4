"""Records to Arrow batches, and the one rule of types that all text formats share.

The rule: **a cell becomes text by itself, whatever stands in other cells.** A string stays as it
is; a number, true or false becomes its JSON text (57, 0.5, true); a nested list or object becomes
JSON text; null and a missing key are null (csv and xlsx know no null: their empty cells are empty
strings). So the same values delivered as csv, xlsx or json are the same, and a file split into
parts gives the rows of the whole: a type guessed from a column would change with the rows that
happen to share the file. Parquet files and data frames *declare* types, and keep them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from .errors import BadRecord, SourceError, closest, excerpt

BATCH_RECORDS = 10_000
RESERVED = ("source_row", "source_line")


@dataclass(frozen=True, slots=True)
class Options:
    """How to read a source; the keyword arguments of `connectors.read`.

    strings: columns that must hold strings.
    on_bad: called with each record that could not be read.
    format: csv, tsv, json, jsonl, parquet or xlsx; None goes by the file's ending.
    encoding, delimiter, sheet: None is detected.
    max_record_bytes: a longer record (as UTF-8) is bad.
    """

    strings: tuple[str, ...]
    on_bad: Callable[[BadRecord], None]
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    max_record_bytes: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was read.

    number: 0-based number in its source, bad records counted.
    line: 1-based line or sheet row where it begins, or None.
    cells: one per column, in the order of the columns.
    """

    number: int
    line: int | None
    cells: Sequence[str | None]


def cell_text(value: object) -> str | None:
    """Give a JSON value as text, by the rule above.

    >>> [cell_text(v) for v in ("no", 57, 0.5, True, None, {"a": [1]})]
    ['no', '57', '0.5', 'true', None, '{"a": [1]}']
    """
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def header_names(cells: Sequence[str | None], *, where: str) -> list[str]:
    """Name the columns of a header; an empty name becomes `column_N`, N counted from 1.

    Raises:
        SourceError: A name stands twice.
    """
    return own_names([cell or f"column_{i}" for i, cell in enumerate(cells, start=1)], where=where)


def own_names(names: Sequence[str], *, where: str) -> list[str]:
    """Name the user's columns; `source_row` and `source_line` become `orig_...`.

    Those two are what the reader itself says about a record, and a file that Curator exported
    has them too.

    Raises:
        SourceError: A name stands twice.
    """
    own = [f"orig_{name}" if name in RESERVED else name for name in names]
    counts = Counter(own)
    if len(counts) < len(own):
        name = next(name for name in own if counts[name] > 1)
        places = [str(i) for i, other in enumerate(own, start=1) if other == name]
        raise SourceError(
            f"{where}: column name {name!r} stands twice (columns {' and '.join(places)}); "
            f"give each column a name of its own"
        )
    return own


def require_columns(names: Sequence[str], wanted: Iterable[str], *, where: str) -> None:
    """Check that a source has the columns that must hold strings.

    Raises:
        SourceError: A column is not there; the nearest name is suggested.
    """
    for name in wanted:
        if name not in names:
            raise SourceError(
                f"{where}: no column {name!r}; the columns are {list(names)}{closest(name, names)}"
            )


def report_bad(
    options: Options, source: str, record: int, line: int | None, reason: str, raw: str
) -> None:
    """Hand a bad record to the caller, its raw text cut to an excerpt."""
    options.on_bad(BadRecord(source, line, record, reason, excerpt(raw)))


def too_long(size: int, options: Options, *, lines: int = 1) -> str:
    """Say that a record is too long; size in bytes."""
    span = f" over {lines} lines" if lines > 1 else ""
    return (
        f"too long: {size:,} bytes{span}, "
        f"expected at most {options.max_record_bytes:,} (max_record_bytes)"
    )


def to_batches(
    names: Sequence[str], records: Iterable[Record], *, size: int = BATCH_RECORDS
) -> Iterator[pa.RecordBatch]:
    """Gather records into batches of text columns, `source_row` and `source_line`.

    Where no record is good there is one empty batch, so that the columns are known.
    """
    held: list[Record] = []
    full = 0
    for record in records:
        held.append(record)
        if len(held) == size:
            yield _batch(names, held)
            full, held = full + 1, []
    if held or not full:
        yield _batch(names, held)


def _batch(names: Sequence[str], records: Sequence[Record]) -> pa.RecordBatch:
    columns = zip(*(r.cells for r in records), strict=True) if records else [()] * len(names)
    arrays = [pa.array(column, pa.string()) for column in columns]
    arrays.append(pa.array([r.number for r in records], pa.int64()))
    arrays.append(pa.array([r.line for r in records], pa.int64()))
    fields = [pa.field(name, pa.string()) for name in names]
    fields += [pa.field(name, pa.int64()) for name in RESERVED]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
