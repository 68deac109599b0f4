r"""csv and tsv: one record at a time, so that one broken record costs one record.

The one idea: the csv module reads *through* an iterator that remembers which physical lines the
current record took. So the line where a record begins is known, and where quoting breaks (a quote
that never closes would swallow the rest of the file) the first line alone is bad and reading goes
on at the next. Quoting is strict (RFC 4180): `"a"b` is bad, never silently `ab`. Blank lines are no
records; an empty cell is the empty string; zero bytes in a cell are kept (`clean` takes them out).
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from .address import Place
from .encoding import broken_at, detect_encoding, line_end, open_text
from .errors import SourceError
from .records import (
    Options,
    Record,
    header_names,
    report_bad,
    require_columns,
    to_batches,
    too_long,
)

DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_LINES = 200
# A record is followed this many times its allowed size before its quote counts as never closed.
_PATIENCE = 16


def read_delimited(place: Place, options: Options) -> Iterator[pa.RecordBatch]:
    """Read a csv or tsv file; every cell is a string.

    Raises:
        SourceError: The file is empty or has no records, two columns share a name, or a column
            of `strings` is not there.
    """
    encoding = options.encoding or detect_encoding(place).name
    delimiter = options.delimiter or sniff_delimiter(place, encoding)
    with open_text(place, encoding, newline=line_end(place, encoding)) as stream:
        lines = _Lines(stream, limit=_PATIENCE * options.max_record_bytes)
        parsed = _parse(lines, delimiter, place)
        names = _header(parsed, place)
        require_columns(names, options.strings, where=place.address)
        parsed = _without_swallowed(parsed, lines, len(names), delimiter)
        yield from to_batches(names, _records(parsed, names, place, options))


def sniff_delimiter(place: Place, encoding: str) -> str:
    """Tell the delimiter of a csv or tsv file: the one that gives the evenest rows.

    Returns:
        One of , ; tab |; the comma (in .tsv files the tab) where there is only one column.
    """
    return delimiter_scores(place, encoding)[0][0]


def delimiter_scores(place: Place, encoding: str) -> list[tuple[str, float]]:
    """Rate each delimiter that the header holds, best first.

    Returns:
        Pairs of delimiter and share of the first rows (0..1) that have as many cells as the
        header; never empty.
    """
    with open_text(place, encoding, newline=line_end(place, encoding)) as stream:
        sample = "".join(stream.readline(1 << 16) for _ in range(_SNIFFED_LINES))
    usual = "\t" if place.suffix == ".tsv" else ","
    rated = []
    for delimiter in sorted(DELIMITERS, key=lambda d: d != usual):
        rows = _lenient_rows(sample, delimiter)
        width = len(rows[0]) if rows else 0
        if width > 1:
            even = sum(len(row) == width for row in rows) / len(rows)
            rated.append((delimiter, even, width))
    rated.sort(key=lambda item: (-item[1], -item[2]))
    return [(delimiter, even) for delimiter, even, _ in rated] or [(usual, 1.0)]


def _lenient_rows(sample: str, delimiter: str) -> list[list[str]]:
    _allow_long_fields(len(sample))
    rows: list[list[str]] = []
    with contextlib.suppress(csv.Error):  # what was read until then is the sample
        rows.extend(row for row in csv.reader(io.StringIO(sample), delimiter=delimiter) if row)
    return rows


def _allow_long_fields(chars: int) -> None:
    # The limit is the csv module's own global; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), chars))


class _Lines:
    """The physical lines of a file, with a memory of those that the current record took."""

    def __init__(self, stream: io.TextIOBase, *, limit: int) -> None:
        self._stream, self._limit = stream, limit
        self._again: deque[str] = deque()
        self._chars = 0
        self.taken: list[str] = []
        self.first = 1  # number of the first line taken, from 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._stream.readline(self._limit)
        if not line:
            raise StopIteration
        self.taken.append(line)
        self._chars += len(line)
        if len(line) == self._limit and line[-1] not in "\r\n":
            self._skip_line()
            raise csv.Error(f"the line is longer than {self._limit:,} characters")
        if self._chars > self._limit:
            raise csv.Error(f"no closing quote within {self._limit:,} characters")
        return line

    def _skip_line(self) -> None:
        while (rest := self._stream.readline(self._limit)) and rest[-1] not in "\r\n":
            pass

    def begin(self) -> None:
        """Forget the lines of the record before."""
        self.first += len(self.taken)
        self.taken, self._chars = [], 0

    def give_back(self) -> None:
        """Keep only the first line taken; the others will be read again."""
        self._again.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]


@dataclass(frozen=True, slots=True)
class _Parsed:
    line: int
    raw: str
    lines: int
    cells: list[str]
    fault: str | None


def _parse(lines: _Lines, delimiter: str, place: Place) -> Iterator[_Parsed]:
    _allow_long_fields(lines._limit)  # noqa: SLF001 - the class is this module's own
    try:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    except TypeError as error:
        raise SourceError(
            f"{place.address}: delimiter {delimiter!r} is not one character; "
            f"write for example ';' or \"\\t\""
        ) from error
    while True:
        lines.begin()
        cells: list[str] = []
        fault = None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = _quoting(error, len(lines.taken))
            lines.give_back()
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
        if cells or fault:
            yield _Parsed(lines.first, "".join(lines.taken), len(lines.taken), cells, fault)


def _without_swallowed(
    parsed: Iterator[_Parsed], lines: _Lines, width: int, delimiter: str
) -> Iterator[_Parsed]:
    """Give back lines that a stray quote swallowed up to another quote further down.

    Such a record is ragged, and most of the lines within it are whole records by themselves,
    which lines of a text with paragraphs are not.
    """
    for record in parsed:
        ragged = record.lines > 1 and not record.fault and len(record.cells) != width
        if ragged and _are_records(lines.taken[1:], width, delimiter):
            lines.give_back()
            fault = (
                f"broken quoting: the quote that opens here swallows {record.lines - 1} more lines"
            )
            yield _Parsed(record.line, lines.taken[0], 1, [], fault)
        else:
            yield record


def _are_records(lines: list[str], width: int, delimiter: str) -> bool:
    some = lines[:_SNIFFED_LINES]
    rows = _lenient_rows("".join(some), delimiter)
    return 2 * sum(len(row) == width for row in rows) > len(some)


def _quoting(error: csv.Error, lines: int) -> str:
    text = str(error)
    if text == "unexpected end of data" or text.startswith("no closing"):
        return "broken quoting: a quote that opens here is never closed"
    if "new-line character" in text:
        return "a carriage return stands in an unquoted cell; expected it within quotes"
    if text.startswith("the line"):
        return f"too long: {text}"
    later = f" (the quote that opens here ran over {lines} lines)" if lines > 1 else ""
    return f"broken quoting: {text}; expected a quote within a cell to be doubled{later}"


def _header(parsed: Iterator[_Parsed], place: Place) -> list[str]:
    first = next(parsed, None)
    if first is None:
        raise SourceError(f"{place.address}: the file is empty; expected a header and records")
    fault = first.fault or broken_at(first.raw)
    if fault:
        raise SourceError(
            f"{place.address}:{first.line}: the header cannot be read: {fault}; "
            f"mend it, or name the encoding or delimiter"
        )
    return header_names([cell.removeprefix("\ufeff") for cell in first.cells], where=place.address)


def _records(
    parsed: Iterator[_Parsed], names: list[str], place: Place, options: Options
) -> Iterator[Record]:
    number = -1
    for number, record in enumerate(parsed):
        fault = record.fault or _fault(record, names, options)
        if fault:
            report_bad(options, place.address, number, record.line, fault, record.raw)
        else:
            yield Record(number, record.line, record.cells)
    if number < 0:
        raise SourceError(
            f"{place.address}: the file has a header ({', '.join(names)}) but no records"
        )


def _fault(record: _Parsed, names: list[str], options: Options) -> str | None:
    if broken := broken_at(record.raw):
        encoding = options.encoding or "the file's encoding"
        return f"broken text: {broken} is not valid in {encoding}"
    size = len(record.raw.encode())
    if size > options.max_record_bytes:
        return too_long(size, options, lines=record.lines)
    if len(record.cells) != len(names):
        span = f" over {record.lines} lines" if record.lines > 1 else ""
        return (
            f"ragged row: {len(record.cells)} cells{span}, expected {len(names)} "
            f"({', '.join(names[:8])}{', ...' if len(names) > 8 else ''})"  # noqa: PLR2004
        )
    return None
