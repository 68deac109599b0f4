"""Files of one token a line, sentences parted by empty lines: CoNLL's, with tags in BIO.

The one idea: the first column is the token, the last its tag. A sentence is a record with a list of
tokens and a list of tags; what stands between them stays in lists of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from .address import Place
from .encoding import detect_encoding, open_text
from .errors import SourceError
from .records import Options, Record, report_bad, to_batches

_MIN_COLUMNS = 2
COLUMNS = ("tokens", "tags")


def read_conll(place: Place, options: Options) -> Iterator[pa.RecordBatch]:
    """Read sentences; columns `tokens` and `tags` are JSON lists, `column_2` ... what is between.

    Lines that begin with `# ` or `-DOCSTART-` belong to no sentence.

    Raises:
        SourceError: The file has no sentence.
    """
    sentences = list(_sentences(place, options))
    if not sentences:
        raise SourceError(f"{place.address}: no sentences; expected a token and a tag a line")
    width = len(sentences[0][2][0])
    names = ["tokens", *(f"column_{i}" for i in range(2, width)), "tags"]
    yield from to_batches(names, _records(sentences, width, place, options))


def _records(
    sentences: list[tuple[int, int, list[list[str]]]], width: int, place: Place, options: Options
) -> Iterator[Record]:
    for number, line, rows in sentences:
        odd = next((i for i, row in enumerate(rows) if len(row) != width), None)
        if odd is not None or width < _MIN_COLUMNS:
            found = len(rows[odd or 0])
            reason = (
                f"line {line + (odd or 0)} has {found} columns, expected {max(width, _MIN_COLUMNS)}"
            )
            report_bad(options, place.address, number, line, reason, _raw(rows))
            continue
        columns = [
            json.dumps(list(column), ensure_ascii=False) for column in zip(*rows, strict=True)
        ]
        yield Record(number, line, columns)


def _raw(rows: list[list[str]]) -> str:
    return "\n".join(" ".join(row) for row in rows)


def _sentences(place: Place, options: Options) -> Iterator[tuple[int, int, list[list[str]]]]:
    encoding = options.encoding or detect_encoding(place).name
    number, start = 0, 0
    rows: list[list[str]] = []
    with open_text(place, encoding, newline="\n") as stream:
        for line, text in enumerate(stream, 1):
            told = text.strip("\r\n\ufeff")
            if not told.strip() or told.startswith("-DOCSTART-"):
                if rows:
                    yield number, start, rows
                    number, rows = number + 1, []
            elif rows or not told.startswith("# "):
                start = start if rows else line
                rows.append(told.split("\t") if "\t" in told else told.split())
    if rows:
        yield number, start, rows


def write_conll(sentences: Iterable[Sequence[list[str]]], path: Path) -> None:
    """Write sentences of tokens and tags, a tab between the two, an empty line after each.

    Raises:
        SourceError: A token holds a tab or a line end, so no line could hold it.
    """
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for number, (tokens, tags) in enumerate(sentences, 1):
            if broken := next((t for t in tokens if not t or set(t) & set("\t\r\n")), None):
                raise SourceError(f"sentence {number}: token {broken!r} cannot stand in a line")
            lines: list[Any] = [f"{t}\t{tag}\n" for t, tag in zip(tokens, tags, strict=True)]
            stream.write("".join([*lines, "\n"]))
