"""A user's own words and patterns: dictionaries of any size, and regular expressions that end.

The one idea: a dictionary is a set of texts with an index of its first two characters, so a text is
read once, whether ten terms are sought or a hundred thousand. A term of a script with spaces is
found as a word of its own, a Chinese one anywhere; case and width of letters do not matter.

A dictionary travels inside the options of its step (packed), so a version explains itself and test
rows can be served on any machine.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from curator.errors import StepError
from curator.spans import narrow

PACKED = "packed:"
MAX_PATTERN_CHARS = 2000
_SECONDS = 2.0
_CHARS_PER_SECOND = 500_000  # so long texts get more time than short ones
_HEAD = 2


@dataclass(frozen=True, slots=True)
class Terms:
    """A dictionary: lengths of the terms by their first characters, and the terms themselves."""

    lengths: Mapping[str, tuple[int, ...]]
    terms: frozenset[str]


def terms_of(words: Iterable[str]) -> Terms:
    """Make a dictionary; blank words are none, words of one spelling are one."""
    terms = frozenset(folded(word.strip()) for word in words if word.strip())
    lengths: dict[str, set[int]] = {}
    for term in terms:
        lengths.setdefault(term[:_HEAD], set()).add(len(term))
    return Terms({k: tuple(sorted(v, reverse=True)) for k, v in lengths.items()}, terms)


def term_spans(text: str, terms: Terms) -> Iterator[tuple[int, int]]:
    """Find terms in a text, the longest at each place, not overlapping.

    >>> list(term_spans("Ask Anna Lee or 李雷吧", terms_of(["anna", "anna lee", "李雷", "l"])))
    [(4, 12), (16, 18)]
    """
    plain = folded(text)
    at = 0
    while at < len(plain):
        end = _term_at(plain, at, terms)
        if end:
            yield at, end
        at = end or at + 1


def _term_at(plain: str, at: int, terms: Terms) -> int:
    """Give where the longest term that starts here ends; 0 where none does."""
    if at and _joined(plain[at - 1], plain[at]):
        return 0
    for head in (plain[at : at + _HEAD], plain[at]):
        for length in terms.lengths.get(head, ()):
            end = at + length
            inside = end < len(plain) and _joined(plain[end - 1], plain[end])
            if not inside and plain[at:end] in terms.terms:
                return end
    return 0


def _joined(one: str, other: str) -> bool:
    """Whether two neighbours belong to one word; Chinese has no words to be cut."""
    return one.isalnum() and other.isalnum() and one < "\u2e80" and other < "\u2e80"


def folded(text: str) -> str:
    """Give a text in plain small letters; same length, so places stay places."""
    small = narrow(text).lower()
    if len(small) == len(text):
        return small
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in narrow(text))


def packed(words: Iterable[str]) -> str:
    """Write a dictionary as one text for the options of a step; the order of words is lost."""
    lines = "\n".join(sorted({word.strip() for word in words if word.strip()}))
    return PACKED + base64.b85encode(zlib.compress(lines.encode(), 9)).decode()


@lru_cache(maxsize=16)
def unpacked(said: str) -> Terms:
    """Read a dictionary from the options of a step."""
    return terms_of(zlib.decompress(base64.b85decode(said[len(PACKED) :])).decode().splitlines())


def pattern_fault(pattern: str) -> str | None:
    """Say why a regular expression cannot be used, or None where it can."""
    import regex

    if len(pattern) > MAX_PATTERN_CHARS:
        return f"is {len(pattern):,} characters long; {MAX_PATTERN_CHARS:,} are the limit"
    try:
        compiled = regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError, MemoryError) as fault:
        return f"does not compile: {fault}"
    return "matches the empty text, so it would match everywhere" if compiled.match("") else None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    import regex

    return regex.compile(pattern)


def pattern_spans(text: str, pattern: str, *, name: str, row: str) -> list[tuple[int, int]]:
    """Find what a regular expression matches in a text.

    Args:
        text: Any text.
        pattern: A regular expression without a fault.
        name: What the user calls it.
        row: Names the row, for the message.

    Raises:
        StepError: It ran past its time, which grows with the text: it backtracks without end.
    """
    allowed = _SECONDS + len(text) / _CHARS_PER_SECOND
    try:
        found = _compiled(pattern).finditer(text, timeout=allowed)
        return [match.span() for match in found if match.end() > match.start()]
    except TimeoutError as fault:
        raise StepError(
            f"step 'personal_data': pattern {name!r} ran longer than {allowed:.0f} s on row {row} "
            f"({len(text):,} characters), so it backtracks without end; make repeated parts of it "
            "exclude one another, for example (a+)+ -> a+, or use a possessive a++"
        ) from fault
