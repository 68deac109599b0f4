"""Data frames in memory, in and out: pandas, polars, pyarrow, datasets, a list of dicts.

The one idea: which library a frame belongs to is told from its type's module, so nothing is
imported that the caller has not imported already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import pyarrow as pa

from .columnar import number_batches, plain_batch
from .errors import BadRecord, SourceError
from .records import (
    BATCH_RECORDS,
    RESERVED,
    Options,
    Record,
    cell_text,
    own_names,
    to_batches,
)

FrameKind = Literal["pandas", "polars", "pyarrow", "datasets"]
FRAME_KINDS: tuple[FrameKind, ...] = get_args(FrameKind)
_WHERE = "the data frame"


def frame_batches(frame: object) -> Iterator[pa.RecordBatch]:
    """Read a data frame as a source.

    Args:
        frame: A pandas or polars DataFrame, a pyarrow Table or RecordBatch, a datasets.Dataset
            (class numbers become class names), or a list of dicts (read as JSON records are).

    Returns:
        Batches of at most 10,000 records with the frame's columns, `source_row` int64 (0-based)
        and `source_line` (all null). The index of a pandas frame is left out.

    Raises:
        SourceError: It is none of these, it is empty, or a column cannot become an Arrow column.
    """
    if isinstance(frame, list):
        yield from _dict_batches(frame)
        return
    options = Options((), _refuse, max_record_bytes=2**31 - 1)
    batches = list(arrow_batches(frame))
    if sum(batch.num_rows for batch in batches) == 0:
        raise SourceError(f"{_WHERE} has no records")
    yield from number_batches(map(plain_batch, batches), _WHERE, options)


def _refuse(bad: BadRecord) -> None:
    raise SourceError(f"{_WHERE}: record {bad.record}: {bad.reason}")


def arrow_batches(frame: Any) -> Iterator[pa.RecordBatch]:
    """Give a frame as Arrow batches of at most 10,000 rows, types as the frame has them.

    Raises:
        SourceError: It is no frame that is known here, or a column has no one type.
    """
    match type(frame).__module__.split(".")[0]:
        case "pyarrow" if isinstance(frame, pa.RecordBatch):
            table = pa.Table.from_batches([frame])
        case "pyarrow" if isinstance(frame, pa.Table):
            table = frame
        case "polars" if hasattr(frame, "to_arrow"):
            table = frame.to_arrow()
        case "pandas" if hasattr(frame, "columns"):
            table = _from_pandas(frame)
        case "datasets" if hasattr(frame, "with_format"):
            yield from _dataset_batches(frame)
            return
        case _:
            raise SourceError(
                f"a {type(frame).__name__} is not a source; expected a DataFrame of pandas or "
                f"polars, a pyarrow.Table, a datasets.Dataset, a list of dicts, or an address"
            )
    yield from table.combine_chunks().to_batches(max_chunksize=BATCH_RECORDS)


def _from_pandas(frame: Any) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise SourceError(
            f"{_WHERE}: {error}; give each column one type, for example with astype(str)"
        ) from error


def _dataset_batches(frame: Any) -> Iterator[pa.RecordBatch]:
    names = {
        name: pa.array(feature.names, pa.string())
        for name, feature in frame.features.items()
        if hasattr(feature, "int2str")
    }
    for part in frame.with_format("arrow").iter(BATCH_RECORDS):
        table = part
        for name, classes in names.items():
            at = table.column_names.index(name)
            numbers = table[name].combine_chunks()
            # -1 is how a data set writes "no label"
            known = pa.array([i if i is not None and i >= 0 else None for i in numbers.to_pylist()])
            table = table.set_column(at, name, classes.take(known.cast(pa.int64())))
        yield from table.combine_chunks().to_batches()


def _dict_batches(records: Sequence[object]) -> Iterator[pa.RecordBatch]:
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise SourceError(
                f"{_WHERE}: record {number} is a {type(record).__name__}, expected a dict"
            )
    keys = list(dict.fromkeys(key for record in records for key in record))  # type: ignore[attr-defined]
    if not keys:
        raise SourceError(f"{_WHERE} has no records")
    yield from to_batches(
        own_names(list(map(str, keys)), where=_WHERE),
        (
            Record(i, None, [cell_text(record.get(key)) for key in keys])  # type: ignore[attr-defined]
            for i, record in enumerate(records)
        ),
    )


def as_frame(table: pa.Table, kind: FrameKind) -> Any:
    """Give a table as a frame of the wanted library.

    Args:
        table: Any table.
        kind: pandas, polars, pyarrow or datasets.

    Raises:
        SourceError: The kind is none of these.
    """
    match kind:
        case "pyarrow":
            return table
        case "pandas":
            return table.to_pandas()
        case "polars":
            import polars as pl

            return pl.from_arrow(table)
        case "datasets":
            import datasets

            return datasets.Dataset(table)
    raise SourceError(f"frames are of kind {', '.join(FRAME_KINDS)}, not {kind!r}")


def without_places(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Give a batch that was read without the columns that say where its records stood."""
    return batch.select([name for name in batch.schema.names if name not in RESERVED])
