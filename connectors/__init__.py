"""The world to rows, rows to the world: addresses, foreign formats, quarantine.

The one idea: `read` turns any address into batches of the user's columns plus each record's place,
and hands every record it cannot read to `on_bad`; it knows formats, and nothing about curating.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from .address import locate, parse_address
from .chats import (
    as_alpaca,
    as_sharegpt,
    decoded,
    read_exchange,
    read_messages,
    read_preference,
    with_system,
)
from .chats import has_more as has_more_than_messages
from .errors import BadRecord, RecordError, SourceError
from .files import FORMATS, read_file
from .formats import WRITERS, write
from .frames import FRAME_KINDS, as_frame, frame_batches
from .hub import read_hub
from .inspect import Column, Inspection, inspect
from .label_studio import SentTasks, Studio, StudioError, StudioProject, studio_time
from .records import Options
from .tagged import as_tags, joined, placed, read_spans, read_tags, tokens_of

__all__ = [
    "FORMATS",
    "FRAME_KINDS",
    "READERS",
    "WRITERS",
    "BadRecord",
    "Column",
    "Inspection",
    "RecordError",
    "SentTasks",
    "SourceError",
    "Studio",
    "StudioError",
    "StudioProject",
    "as_alpaca",
    "as_frame",
    "as_sharegpt",
    "as_tags",
    "decoded",
    "frame_batches",
    "has_more_than_messages",
    "inspect",
    "joined",
    "locate",
    "placed",
    "read",
    "read_exchange",
    "read_messages",
    "read_preference",
    "read_spans",
    "read_tags",
    "studio_time",
    "tokens_of",
    "with_system",
    "write",
]

READERS = {"file": read_file, "package": read_file, "hf": read_hub}
"""Who reads the addresses of each scheme."""


def read(  # noqa: PLR0913 - the last five are what a recipe's source may say
    address: str,
    *,
    base: Path,
    on_bad: Callable[[BadRecord], None],
    strings: Sequence[str] = (),
    format: str | None = None,  # noqa: A002 - the word of the recipe
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    max_record_bytes: int = 1_000_000,
) -> Iterator[pa.RecordBatch]:
    """Read records from an address, batch by batch.

    Args:
        address: `file:PATH` (or a bare path), `package:NAME/PATH`, either with `!/ENTRY` for a
            file in a zip, or `hf:NAME#SPLIT`.
        base: Folder that relative paths start from.
        on_bad: Called with each record that cannot be read; the others go on.
        strings: Columns whose cells must be strings; a record where one is not is bad.
        format: csv, tsv, json, jsonl, parquet or xlsx; by default the file's ending says.
        encoding: Of a text file; by default detected (UTF-8, UTF-16, GB18030).
        delimiter: Of a csv or tsv file; by default detected.
        sheet: Of an xlsx file; needed where several are filled.
        max_record_bytes: A record longer than this, as UTF-8, is bad.

    Returns:
        Batches of at most 10,000 records, all with the same columns: the user's own (text, but
        parquet and hub columns keep their declared types; see `connectors/records.py`),
        `source_row` int64 (0-based record number, the header not counted, bad records counted)
        and `source_line` int64 (1-based line or sheet row where the record begins, else null).
        A user's column of one of these two names becomes `orig_...`, an empty name `column_N`.

    Raises:
        SourceError: The source cannot be read at all (some faults show at the first batch).
    """
    options = Options(tuple(strings), on_bad, format, encoding, delimiter, sheet, max_record_bytes)
    return READERS[parse_address(address).scheme](address, base, options)
