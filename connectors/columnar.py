"""Arrow tables as sources: parquet files and data frames, whose columns declare their types.

The one idea: what is declared is kept (numbers stay numbers), but the many spellings of one type
(dictionary, large and view strings) become one, so that the library that wrote a table leaves no
trace in its rows.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from .address import Place, open_bytes
from .errors import SourceError
from .records import (
    BATCH_RECORDS,
    RESERVED,
    Options,
    own_names,
    report_bad,
    require_columns,
    too_long,
)


def read_parquet(place: Place, options: Options) -> Iterator[pa.RecordBatch]:
    """Read a parquet file; columns keep the types it declares.

    Raises:
        SourceError: It is no parquet file or has no records, or a column of `strings` is not
            there or not declared as text.
    """
    import pyarrow.parquet as pq

    with open_bytes(place) as stream:
        source = stream if place.entry is None else io.BytesIO(stream.read())
        try:
            file = pq.ParquetFile(source)
            names = file.schema_arrow.names
            _check_schema(file.schema_arrow, place, options)
            if file.metadata.num_rows == 0:
                raise SourceError(
                    f"{place.address}: the file has columns ({', '.join(names)}) but no records"
                )
            batches = file.iter_batches(BATCH_RECORDS)
            yield from number_batches(map(plain_batch, batches), place.address, options)
        except pa.ArrowException as error:
            raise SourceError(
                f"{place.address}: is not a readable parquet file ({error}); was it copied whole?"
            ) from error


def _check_schema(schema: pa.Schema, place: Place, options: Options) -> None:
    own_names(schema.names, where=place.address)
    require_columns(schema.names, options.strings, where=place.address)
    for name in options.strings:
        found = plain_type(schema.field(name).type)
        if found not in (pa.string(), pa.null()):
            raise SourceError(
                f"{place.address}: column {name!r} holds {found}, expected strings; "
                f"write it as text"
            )


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Give the one type that stands for all spellings of a type."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        return pa.list_(plain_type(kind.value_type))
    return kind


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Give a batch with every column in its plain type, without metadata."""
    columns = [column.cast(plain_type(column.type)) for column in batch.columns]
    fields = [
        pa.field(name, column.type)
        for name, column in zip(batch.schema.names, columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def number_batches(
    batches: Iterable[pa.RecordBatch], source: str, options: Options
) -> Iterator[pa.RecordBatch]:
    """Add `source_row` and `source_line` to batches; bad records go to `on_bad`."""
    start = 0
    for batch in batches:
        rows = pa.array(range(start, start + batch.num_rows), pa.int64())
        start += batch.num_rows
        faults = _faults(batch, options)
        for at, reason in sorted(faults.items()):
            report_bad(options, source, rows[at].as_py(), None, reason, _raw(batch, at))
        names = [*own_names(batch.schema.names, where=source), *RESERVED]
        lines = pa.nulls(batch.num_rows, pa.int64())
        numbered = pa.RecordBatch.from_arrays([*batch.columns, rows, lines], names=names)
        if faults:
            numbered = numbered.filter(pa.array(i not in faults for i in range(batch.num_rows)))
        yield numbered


def _faults(batch: pa.RecordBatch, options: Options) -> dict[int, str]:
    faults: dict[int, str] = {}
    sizes = pa.array([0] * batch.num_rows, pa.int64())
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name in options.strings:
            nulls = pc.indices_nonzero(column.is_null()).to_pylist()
            faults |= dict.fromkeys(nulls, f"wrong type: {name!r} is null, expected a string")
        if pa.types.is_string(column.type):
            faults |= _broken_strings(name, column)
            lengths = pc.fill_null(pc.binary_length(column), 0).cast(pa.int64())
            sizes = pc.add(sizes, lengths)
    for at in pc.indices_nonzero(pc.greater(sizes, options.max_record_bytes)).to_pylist():
        faults[at] = too_long(sizes[at].as_py(), options)
    return faults


def _broken_strings(name: str, column: pa.Array) -> dict[int, str]:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        broken = {}
        for at, value in enumerate(column.cast(pa.binary()).to_pylist()):
            try:
                (value or b"").decode()
            except UnicodeDecodeError as error:
                broken[at] = f"broken text: byte 0x{value[error.start]:02x} in {name!r}"
        return broken
    return {}


def _raw(batch: pa.RecordBatch, at: int) -> str:
    cells = []
    for column in batch.columns:
        kind = pa.binary() if pa.types.is_string(column.type) else column.type
        value = column[at].cast(kind).as_py()
        text = (
            value[:500].decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        )
        cells.append("" if text is None else str(text))
    return "\t".join(cells)
