"""A first look at a file: what it is, what its columns hold, and what is doubtful about it.

The one idea: facts only. The whole file is read once and each column is described; what the columns
*mean* (text, label, key) is for `curator.init` to guess.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from .address import Place, resolve
from .delimited import delimiter_scores
from .encoding import detect_encoding
from .errors import BadRecord
from .files import FORMATS, format_of
from .frames import without_places
from .records import Options
from .sheets import filled_sheets

_KINDS = {
    "integer": re.compile(r"[+-]?\d{1,18}"),
    "number": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"),
    "boolean": re.compile(r"(?i:true|false)"),
    "day": re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?"),
    "nested": re.compile(r"(?s:\{.*\}|\[.*\])"),
}
_SAMPLES = 5
_KEPT_BAD = 20
_HEADER_CHARS = 60
_SURE = 0.9


@dataclass(frozen=True, slots=True)
class Column:
    """What one column holds.

    name: as in the header.
    kind: integer, number, boolean, day, nested, text or empty; what every filled cell is.
    filled: share of the records whose cell is neither null nor empty, in 0..1.
    distinct: number of different filled values.
    longest: characters of the longest value; mean_chars: of an average filled one.
    samples: the first few different values.
    """

    name: str
    kind: str
    filled: float
    distinct: int
    longest: int
    mean_chars: float
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file is.

    address: as it was asked for.
    format: csv, tsv, json, jsonl, parquet or xlsx.
    encoding, delimiter, sheet: as found or given; None where the format has none.
    sheets: the filled sheets of a workbook.
    rows: number of readable records; bad: of unreadable ones, with the first 20 in bad_records.
    first: the first five records as column -> value.
    table: all readable records (the user's columns only).
    doubts: sentences about what is uncertain.
    """

    address: str
    format: str
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    sheets: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: int
    bad: int
    bad_records: tuple[BadRecord, ...]
    first: tuple[dict[str, object], ...]
    table: pa.Table
    doubts: tuple[str, ...]


def inspect(
    path: Path | str,
    *,
    base: Path | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
) -> Inspection:
    """Look at a file as a whole.

    Args:
        path: A path or a `file:` or `package:` address.
        base: Folder that relative paths start from; by default the working folder.
        encoding: Given instead of detected.
        delimiter: Given instead of detected.
        sheet: Of a workbook; by default the first filled one, and a doubt says so.

    Raises:
        SourceError: The file cannot be read, has no records, or its format is not known.
    """
    address = str(path) if isinstance(path, str) else f"file:{path}"
    place = resolve(address, base=base or Path())
    form = format_of(place)
    doubts: list[str] = []
    if form in ("csv", "tsv", "json", "jsonl") and encoding is None:
        found = detect_encoding(place)
        encoding = found.name
        doubts += [found.doubt] if found.doubt else []
    if form in ("csv", "tsv") and delimiter is None:
        delimiter = _delimiter(place, encoding or "utf-8", doubts)
    sheets = tuple(filled_sheets(place)) if form == "xlsx" else ()
    if len(sheets) > 1 and sheet is None:
        doubts.append(f"{len(sheets)} sheets are filled: {', '.join(sheets)}; {sheets[0]} was read")
    sheet = sheet or (sheets[0] if sheets else None)
    bad: list[BadRecord] = []
    options = Options((), bad.append, form, encoding, delimiter, sheet)
    batches = [without_places(batch) for batch in FORMATS[form](place, options)]
    table = pa.Table.from_batches(batches) if batches else pa.table({})
    doubts += _bad_doubts(bad, table.num_rows)
    if form in ("csv", "tsv", "xlsx"):
        doubts += _header_doubts(table.column_names)
    return Inspection(
        address=address,
        format=form,
        encoding=encoding,
        delimiter=delimiter,
        sheet=sheet,
        sheets=sheets,
        columns=tuple(describe(name, table[name]) for name in table.column_names),
        rows=table.num_rows,
        bad=len(bad),
        bad_records=tuple(bad[:_KEPT_BAD]),
        first=tuple(table.slice(0, 5).to_pylist()),
        table=table,
        doubts=tuple(doubts),
    )


def _delimiter(place: Place, encoding: str, doubts: list[str]) -> str:
    rated = delimiter_scores(place, encoding)
    if len(rated) > 1 and rated[1][1] >= _SURE * rated[0][1]:
        doubts.append(
            f"the delimiter could be {rated[0][0]!r} or {rated[1][0]!r}; {rated[0][0]!r} was read"
        )
    return rated[0][0]


def _bad_doubts(bad: Sequence[BadRecord], good: int) -> list[str]:
    if not bad:
        return []
    first = bad[0]
    where = f"line {first.line}" if first.line is not None else f"record {first.record}"
    count = f"{len(bad)} of {good + len(bad)} records cannot be read"
    return [f"{count}; the first, {where}: {first.reason}"]


def _header_doubts(names: Sequence[str]) -> list[str]:
    odd = [name for name in names if len(name) > _HEADER_CHARS or _KINDS["number"].fullmatch(name)]
    if not odd:
        return []
    return [f"the first line looks like data, not like column names: {odd[0][:_HEADER_CHARS]!r}"]


def describe(name: str, column: pa.ChunkedArray) -> Column:
    """Describe one column; typed columns are described by their values' text."""
    if pa.types.is_nested(column.type):
        texts = pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())
    else:
        texts = column.cast(pa.string()) if not pa.types.is_binary(column.type) else column
    filled = texts.filter(pc.fill_null(pc.greater(pc.binary_length(texts), 0), fill_value=False))
    if len(filled) == 0:
        return Column(name, "empty", 0.0, 0, 0, 0.0, ())
    values = pc.unique(filled)
    chars = pc.utf8_length(filled) if pa.types.is_string(filled.type) else pc.binary_length(filled)
    return Column(
        name=name,
        kind="nested" if pa.types.is_nested(column.type) else _kind(values.to_pylist()),
        filled=len(filled) / max(len(column), 1),
        distinct=len(values),
        longest=pc.max(chars).as_py(),
        mean_chars=pc.mean(chars).as_py(),
        samples=tuple(str(value) for value in values.slice(0, _SAMPLES).to_pylist()),
    )


def _kind(values: Sequence[object]) -> str:
    for kind, pattern in _KINDS.items():
        if all(pattern.fullmatch(str(value)) for value in values):
            return kind
    return "text"
