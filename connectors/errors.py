"""What can go wrong with a source, in two kinds: the whole source, or one record of it.

The one idea: a source that cannot be used raises `SourceError` and nothing is read; a single record
that cannot be read is handed to the caller as a `BadRecord`, and the good ones go on.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

RAW_CHARS = 500


class SourceError(Exception):
    """A source cannot be read or written; the message says where, what was found, what to do."""


class RecordError(Exception):
    """A value of one record is not of the form it should have; the message says what was found."""


@dataclass(frozen=True, slots=True)
class BadRecord:
    r"""One record that could not be read.

    source: the address, as the caller wrote it.
    line: 1-based line (or sheet row) where the record begins; None where a source has no lines.
    record: 0-based number of the record in its source, the header not counted.
    reason: what was found and what was expected.
    raw: the beginning of the record, at most 500 characters; a byte that is no text is \xNN.
    """

    source: str
    line: int | None
    record: int
    reason: str
    raw: str


def excerpt(raw: str) -> str:
    """Give the beginning of a raw record, safe to write to any file; at most 500 characters."""
    text = "".join(map(_visible, raw[:RAW_CHARS])) if _broken(raw[:RAW_CHARS]) else raw
    return text[:RAW_CHARS]


def _broken(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)


def _visible(char: str) -> str:
    if "\udc00" <= char <= "\udcff":  # a byte that the decoder marked, see encoding.py
        return f"\\x{ord(char) - 0xDC00:02x}"
    return f"\\u{ord(char):04x}" if "\ud800" <= char <= "\udfff" else char


def closest(name: str, known: Iterable[str]) -> str:
    """Give the end of a sentence that suggests the known name nearest to a misspelt one.

    >>> closest("trian.csv", ["train.csv", "test.csv"])
    "; did you mean 'train.csv'?"
    >>> closest("zzz", ["train.csv"])
    ''
    """
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {match[0]!r}?" if match else ""
