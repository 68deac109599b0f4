"""Cells of a spreadsheet against the values they were written from.

The one idea: a person's change is what differs from the value as it was exported, and a spreadsheet
program changes cells too: line ends, the digits of a number, 1-2 into a date. What says the same is
no change; what only a program would write is refused, with words.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

_MONTHS = {name: number for number, name in enumerate(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
)}  # fmt: skip
_WORD = r"(?P<month>[A-Za-z]{3,9})"
_DATES = [
    re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T]00:00(?::00)?)?"),
    re.compile(r"(\d{1,4})[/.](\d{1,2})[/.](\d{1,4})(?: 0{1,2}:00(?::00)?)?"),
    re.compile(rf"(\d{{1,2}})[-. /]{_WORD}(?:[-. /](\d{{2,4}}))?"),
    re.compile(rf"{_WORD}[-. /](\d{{1,4}})"),
]
_LIKE_A_DATE = [
    re.compile(r"(\d{1,4})\s?[-/.]\s?(\d{1,4})(?:\s?[-/.]\s?(\d{1,4}))?"),
    re.compile(rf"{_WORD}[-. /]?(\d{{1,4}})"),
    re.compile(rf"(\d{{1,4}})[-. /]?{_WORD}"),
]
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_DAY_ZERO = date(1899, 12, 30)  # what spreadsheets count days from
_EXACT_DIGITS = 15  # a spreadsheet keeps no more of a number
_CENTURY = 100


def is_editable(kind: pa.DataType) -> bool:
    """Tell whether a column of this type can be changed in a spreadsheet."""
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return bool(texts or numbers or pa.types.is_boolean(kind))


def spelt(value: Any, kind: pa.DataType) -> str:
    """Write a value as the text of a cell; null is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if pa.types.is_float32(kind):
        return str(np.float32(value))  # its own shortest digits
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def says_the_same(cell: str, base: Any, kind: pa.DataType) -> bool:
    """Tell whether a cell says what its value said when it was exported."""
    before = spelt(base, kind)
    if _lines(cell) == _lines(before):
        return True
    if isinstance(base, bool):
        return cell.strip().lower() == before
    if isinstance(base, int | float):
        found = _float(cell)
        return found is not None and bool(np.isclose(found, float(base), rtol=1e-6, atol=0))
    return False


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def value_of(cell: str, kind: pa.DataType) -> Any:
    """Read a cell as a value of a column; empty is null.

    Raises:
        ValueError: It is none; says what was expected.
    """
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _lines(cell) or None
    told = cell.strip()
    if not told:
        return None
    if pa.types.is_boolean(kind):
        if told.lower() not in ("true", "false"):
            raise ValueError(f"found {cell!r}, expected true or false")
        return told.lower() == "true"
    number = _float(told)
    if number is None or not math.isfinite(number):
        raise ValueError(f"found {cell!r}, expected a number such as 0.5")
    if pa.types.is_integer(kind):
        if not number.is_integer():
            raise ValueError(f"found {cell!r}, expected a whole number")
        return int(told) if told.lstrip("+-").isdecimal() else int(number)
    return number


def list_of(cell: str, known: set[str] | None) -> list[Any]:
    """Read a cell of labels, spans or messages, which is a list in JSON.

    Args:
        cell: What stands there.
        known: Labels that may be given, where it is a set of labels.

    Raises:
        ValueError: It is no list, or a label does not exist.
    """
    try:
        value = json.loads(cell)
    except ValueError as fault:
        raise ValueError(f"found {cell[:60]!r}, expected JSON as exported: {fault}") from fault
    if not isinstance(value, list):
        raise ValueError(f"found {cell[:60]!r}, expected a list in JSON")  # noqa: TRY004
    if known is None:
        return value
    if unknown := sorted(str(label) for label in value if label not in known):
        near = difflib.get_close_matches(unknown[0], sorted(known), n=1, cutoff=0.5)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        allow = f"Mend it, or allow it with --new-label {unknown[0]!r}"
        raise ValueError(f"label {unknown[0]!r} does not exist.{meant} {allow}")
    return sorted(value)


def _float(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


def rewritten(cell: str, base: Any) -> str | None:
    """Say what a spreadsheet program made of a text; None where a person changed it.

    >>> rewritten("2024-01-02", "1-2")
    'a date'
    >>> rewritten("7", "007")
    'a number'
    >>> rewritten("1-3", "1-2")
    """
    if not isinstance(base, str) or not cell.strip() or cell == base:
        return None
    if (was := _like_a_date(base)) and any(_covers(parts, was) for parts in _dates(cell)):
        return "a date"
    if _is_other_number(cell.strip(), base.strip()):
        return "a number"
    return None


def _is_other_number(cell: str, base: str) -> bool:
    now, was = _float(cell), _float(base)
    if now is None or was is None or cell == base:
        return False
    digits = sum(char.isdecimal() for char in base)
    return now == was or (digits > _EXACT_DIGITS and math.isclose(now, was, rel_tol=1e-5))


def _like_a_date(text: str) -> list[int]:
    for pattern in _LIKE_A_DATE:
        if (found := pattern.fullmatch(text.strip())) and (parts := _parts(found)):
            return parts
    return []


def _dates(cell: str) -> list[list[int]]:
    told = cell.strip()
    found = [parts for p in _DATES if (m := p.fullmatch(told)) and (parts := _parts(m))]
    if re.fullmatch(r"\d{5}(?:\.0)?", told):
        day = _DAY_ZERO + timedelta(days=int(told[:5]))
        found.append([day.year, day.month, day.day])
    return found


def _parts(found: re.Match[str]) -> list[int]:
    """Give the numbers of a date, a month's name as its number; none where the word is no month."""
    words = [group for group in found.groups() if group is not None]
    parts = [int(w) if w.isdecimal() else _MONTHS.get(w[:3].lower(), 0) for w in words]
    return [] if 0 in parts else parts


def _covers(day: list[int], parts: list[int]) -> bool:
    left = [*day]
    for part in parts:
        match = next((n for n in left if part in (n, n % _CENTURY)), None)
        if match is None:
            return False
        left.remove(match)
    return True
