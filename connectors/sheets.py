"""xlsx: a sheet reads as its csv export would, so that both give the same rows.

The one idea: cells are text (a number without its empty fraction, a day as 2024-12-24, true and
false in lower case), an empty cell is the empty string, a wholly empty row is no record, and the
first row is the header. A workbook with several filled sheets is never guessed at.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from .address import Place, open_bytes
from .errors import SourceError, closest
from .records import (
    Options,
    Record,
    header_names,
    report_bad,
    require_columns,
    to_batches,
    too_long,
)


def read_sheet(place: Place, options: Options) -> Iterator[pa.RecordBatch]:
    """Read one sheet of an xlsx workbook; every cell is a string.

    Raises:
        SourceError: It is no workbook, the sheet is not there or empty, or several are filled
            and none is named.
    """
    book = _open(place)
    try:
        rows = _filled_rows(book[_choose(book, place, options.sheet)])
        first = next(rows, None)
        if first is None:
            raise SourceError(f"{place.address}: the sheet is empty; expected a header and records")
        names = header_names(_trim(first[1]), where=place.address)
        require_columns(names, options.strings, where=place.address)
        yield from to_batches(names, _records(rows, names, place, options))
    finally:
        book.close()


def filled_sheets(place: Place) -> list[str]:
    """Name the sheets that hold anything, in the workbook's order.

    Raises:
        SourceError: It is no workbook.
    """
    book = _open(place)
    try:
        return _filled(book)
    finally:
        book.close()


def _filled(book: Any) -> list[str]:
    return [s.title for s in book.worksheets if next(_filled_rows(s), None) is not None]


def _open(place: Place) -> Any:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    with open_bytes(place) as stream:
        content = io.BytesIO(stream.read())
    if not content.getvalue():
        raise SourceError(f"{place.address}: the file is empty; expected a workbook")
    try:
        return load_workbook(content, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise SourceError(
            f"{place.address}: is not a readable xlsx workbook ({error}); "
            f"open it in a spreadsheet program and save it as .xlsx or .csv"
        ) from error


def _choose(book: Any, place: Place, sheet: str | None) -> str:
    names = [s.title for s in book.worksheets]
    if sheet is not None:
        if sheet not in names:
            raise SourceError(
                f"{place.address}: no sheet {sheet!r}; there are {names}{closest(sheet, names)}"
            )
        return sheet
    filled = _filled(book)
    if len(filled) > 1:
        raise SourceError(
            f"{place.address}: {len(filled)} sheets are filled ({', '.join(filled)}); "
            f"name one with sheet:"
        )
    return filled[0] if filled else str(names[0])


def _filled_rows(sheet: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    sheet.reset_dimensions()  # some programs write a wrong size, which would cut rows off
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        if any(cell.value is not None for cell in cells):
            yield number, cells


def _trim(cells: Sequence[Any]) -> list[str]:
    texts = [_text(cell.value) for cell in cells]
    while texts and not texts[-1]:
        texts.pop()
    return texts


def _records(
    rows: Iterator[tuple[int, tuple[Any, ...]]],
    names: list[str],
    place: Place,
    options: Options,
) -> Iterator[Record]:
    number = -1
    for number, (line, cells) in enumerate(rows):
        texts = _trim(cells)
        error = next((c for c in cells if c.data_type == "e"), None)
        size = sum(len(text.encode()) for text in texts)
        fault = None
        if error is not None:
            fault = f"wrong type: cell {error.coordinate} holds the error {error.value}"
        elif len(texts) > len(names):
            fault = f"ragged row: {len(texts)} cells, expected {len(names)} ({', '.join(names)})"
        elif size > options.max_record_bytes:
            fault = too_long(size, options)
        if fault:
            report_bad(options, place.address, number, line, fault, "\t".join(texts))
        else:
            yield Record(number, line, texts + [""] * (len(names) - len(texts)))
    if number < 0:
        raise SourceError(
            f"{place.address}: the sheet has a header ({', '.join(names)}) but no records"
        )


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case dt.datetime() if value.time() == dt.time():
            return value.date().isoformat()
        case dt.datetime():
            return value.isoformat(" ")
        case _:
            return str(value)
