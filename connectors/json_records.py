"""json and jsonl: an array of objects, or one object a line; the content says which.

The one idea: each record is decoded alone. In JSON lines a broken line costs itself; in an array an
element that is too long, no object or of a wrong type costs itself, while broken syntax ends the
file with an error, because nobody can tell where the next element begins. The file is read twice:
once for the names of all keys, so that every batch has the same columns.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from json import JSONDecoder

import pyarrow as pa

from .address import Place
from .encoding import broken_at, detect_encoding, open_text
from .errors import SourceError
from .records import (
    Options,
    Record,
    cell_text,
    own_names,
    report_bad,
    require_columns,
    to_batches,
    too_long,
)

_WHITE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class _Element:
    line: int
    raw: str
    value: dict[str, object] | None
    fault: str | None


def read_json(place: Place, options: Options) -> Iterator[pa.RecordBatch]:
    """Read a file of JSON objects; values become text by the rule of `records.py`.

    Raises:
        SourceError: The file is empty or has no records, an array's syntax is broken, or a column
            of `strings` is in no record.
    """
    encoding = options.encoding or detect_encoding(place).name
    keys = _keys(place, encoding, options)
    require_columns(keys, options.strings, where=place.address)
    names = own_names(keys, where=place.address)
    yield from to_batches(names, _records(place, encoding, keys, options))


def _keys(place: Place, encoding: str, options: Options) -> list[str]:
    names: dict[str, None] = {}
    empty = True
    for element in _elements(place, encoding, options):
        empty = False
        names.update(dict.fromkeys(element.value or ()))
    if empty:
        raise SourceError(f"{place.address}: no records; expected JSON objects")
    return list(names)


def _records(place: Place, encoding: str, keys: list[str], options: Options) -> Iterator[Record]:
    for number, element in enumerate(_elements(place, encoding, options)):
        fault = element.fault or _wrong_type(element.value or {}, options)
        cells = [] if fault else [cell_text((element.value or {}).get(key)) for key in keys]
        fault = fault or next(filter(None, (broken_at(c) for c in cells if c)), None)
        if fault:
            report_bad(options, place.address, number, element.line, fault, element.raw)
        else:
            yield Record(number, element.line, cells)


def _wrong_type(value: dict[str, object], options: Options) -> str | None:
    for name in options.strings:
        if not isinstance(value.get(name), str):
            found = _type_name(value[name]) if name in value else "missing"
            return f"wrong type: {name!r} is {found}, expected a string"
    return None


def _type_name(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"


def _elements(place: Place, encoding: str, options: Options) -> Iterator[_Element]:
    with open_text(place, encoding, newline="\n") as stream:
        head = stream.read(1)
        while head and head in _WHITE + "\ufeff":
            head = stream.read(1)
        is_array = head == "["
    with open_text(place, encoding, newline="\n") as stream:
        yield from (_array if is_array else _lines)(stream, place, options)


def _lines(stream: io.TextIOBase, place: Place, options: Options) -> Iterator[_Element]:
    limit = options.max_record_bytes + 2
    number = 0
    while line := stream.readline(limit):
        number += 1
        size = len(line)
        while line[-1] != "\n" and size >= limit and (rest := stream.readline(limit)):
            size += len(rest)
            if rest[-1] == "\n":
                break
        line = line.removeprefix("\ufeff")
        if not line.strip(_WHITE):
            continue
        if number == 1 and line.strip(_WHITE) == "{":
            raise SourceError(
                f"{place.address}: one JSON object over several lines; expected an array of "
                f"objects, or one object a line"
            )
        yield _decode(number, line, size, options)


def _decode(number: int, line: str, chars: int, options: Options) -> _Element:
    raw = line.rstrip(_WHITE)
    size = len(raw.encode("utf-8", "surrogatepass")) if chars == len(line) else chars
    if size > options.max_record_bytes:
        return _Element(number, raw, None, too_long(size, options))
    if broken := broken_at(raw):
        return _Element(number, raw, None, f"broken text: {broken} is not valid here")
    try:
        value = json.loads(raw, object_pairs_hook=_no_key_twice)
    except (ValueError, RecursionError) as error:
        return _Element(number, raw, None, _syntax(error))
    return _object(number, raw, value)


def _object(line: int, raw: str, value: object) -> _Element:
    if isinstance(value, dict):
        return _Element(line, raw, value, None)
    return _Element(line, raw, None, f"wrong type: {_type_name(value)}, expected an object")


def _syntax(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "not JSON: nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at character {error.pos + 1}"
    return f"not JSON: {error}"


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} stands twice in one object")
    return value


def _array(stream: io.TextIOBase, place: Place, options: Options) -> Iterator[_Element]:
    text = stream.read()
    decode = JSONDecoder(object_pairs_hook=_no_key_twice).raw_decode
    at = _skip_white(text, text.index("[") + 1)
    line, counted = 1, 0
    if text[at : at + 1] == "]":
        return
    while True:
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = decode(text, at)
        except (ValueError, RecursionError) as error:
            raise _broken_array(place, text, at, error) from error
        raw = text[at:end]
        size = len(raw.encode("utf-8", "surrogatepass"))
        if size > options.max_record_bytes:
            yield _Element(line, raw, None, too_long(size, options))
        elif broken := broken_at(raw):
            yield _Element(line, raw, None, f"broken text: {broken} is not valid here")
        else:
            yield _object(line, raw, value)
        at = _skip_white(text, end)
        if text[at : at + 1] == "]":
            return
        if text[at : at + 1] != ",":
            raise _broken_array(place, text, at, ValueError("expected ',' or ']'"))
        at = _skip_white(text, at + 1)


def _broken_array(place: Place, text: str, at: int, error: Exception) -> SourceError:
    at = error.pos if isinstance(error, json.JSONDecodeError) else at
    reason = error.msg if isinstance(error, json.JSONDecodeError) else error
    reason = "nested too deeply" if isinstance(error, RecursionError) else reason
    return SourceError(
        f"{place.address}:{text.count(chr(10), 0, at) + 1}: the JSON array breaks here: {reason}; "
        f"mend it, or write one object a line (.jsonl), where a broken line costs only itself"
    )


def _skip_white(text: str, at: int) -> int:
    while at < len(text) and text[at] in _WHITE:
        at += 1
    return at
