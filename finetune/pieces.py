"""Texts to words with their places, long texts to overlapping windows, spans to tags and back.

The one idea: a window is a text of its own, so tokens and activations of it are cached like those
of any text. Each word is decided by one window, the one whose edges are farthest, and by its first
token there; its place is counted in code points of the whole text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .embed import Encoder
from .errors import FitError
from .keys import KEY_BYTES, IntArray, text_key

Span = tuple[int, int, str]
"""A labelled part of a text: first code point, the one after the last, label."""

OUTSIDE = "O"
IGNORED = -100
"""Target of tokens that decide nothing: special ones, later parts of a word, words of others."""

OVERLAP = 4
"""One part in so many of a window is seen by the next one too; each decides half of it."""

SLACK = 2
"""Tokens left free in a window: cut out of its text, a word may get one token more."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word in a window: its first token's place there, and its code points in the whole text."""

    token: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A window of a text, and the words that it decides."""

    text: str
    key: bytes
    words: tuple[Word, ...]

    def word_keys(self) -> list[bytes]:
        """Name each of its words, for what is kept of them."""
        return [
            hashlib.blake2b(
                self.key + word.token.to_bytes(4, "little"), digest_size=KEY_BYTES
            ).digest()
            for word in self.words
        ]


def pieces_of(texts: Iterable[str], encoder: Encoder) -> list[tuple[Piece, ...]]:
    """Cut texts into the windows that an encoder can read; most texts are one.

    Raises:
        FitError: The tokenizer does not tell places, or max_tokens has room for no word.
    """
    if not getattr(encoder.tokenizer, "is_fast", False):
        raise FitError(
            f"{encoder.name}: its tokenizer does not tell where a token stands in the text; the "
            "tokens task needs one with a tokenizer.json"
        )
    return [tuple(_windows(text, encoder)) for text in texts]


def _windows(text: str, encoder: Encoder) -> Iterable[Piece]:
    words = _words(text, encoder, special=False)
    prefix = len(encoder.tokenizer(encoder.prefix, add_special_tokens=False)["input_ids"])
    room = encoder.max_tokens - encoder.tokenizer.num_special_tokens_to_add() - prefix
    ends = [word.token for word in words[1:]]
    total = _count(text, encoder)
    if total <= room:
        yield _piece(text, 0, (0, len(text) + 1), encoder)
        return
    if room - SLACK < 1:
        raise FitError(
            f"{encoder.name}: max_tokens is {encoder.max_tokens}, of which {room} are left for "
            "words; raise max_tokens"
        )
    size, first = room - SLACK, 0
    starts = [word.token for word in words]
    stops = [*ends, total]
    owned = 0  # the code point from which on words are undecided
    while True:
        last = first
        while last + 1 < len(words) and stops[last + 1] - starts[first] <= size:
            last += 1
        done = last + 1 == len(words)
        back = last
        while not done and back > first and stops[last] - starts[back] < size // OVERLAP:
            back -= 1
        border = len(text) + 1 if done else words[(back + last + 1) // 2].start
        border = max(border, words[first].end)
        yield _piece(text[words[first].start : words[last].end], words[first].start,
                     (owned, border), encoder)  # fmt: skip
        if done:
            return
        owned = border
        first = back if back > first else last + 1


def _piece(text: str, offset: int, own: tuple[int, int], encoder: Encoder) -> Piece:
    words = tuple(
        Word(w.token, w.start + offset, w.end + offset)
        for w in _words(text, encoder, special=True)
        if own[0] <= w.start + offset < own[1]
    )
    return Piece(text, text_key(text), words)


def _count(text: str, encoder: Encoder) -> int:
    return len(encoder.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _words(text: str, encoder: Encoder, *, special: bool) -> list[Word]:
    """Find the words as the model's own tokenizer cuts them, and at signs within them."""
    skip = len(encoder.prefix) if special else 0
    limits = {"truncation": True, "max_length": encoder.max_tokens} if special else {}
    found = encoder.tokenizer(
        (encoder.prefix + text) if special else text,
        add_special_tokens=special, return_offsets_mapping=True, verbose=False, **limits,
    )  # fmt: skip
    words: list[Word] = []
    before: int | None = None
    for token, ((start, end), word) in enumerate(
        zip(found["offset_mapping"], found.word_ids(), strict=True)
    ):
        start, end = start - skip, end - skip  # noqa: PLW2901 - counted from the text's start
        while 0 <= start < end and text[start].isspace():
            start += 1  # noqa: PLW2901 - byte-level tokens hold the space before them
        if word is None or start < 0 or end <= start:
            continue
        last = words[-1] if words else None
        if last and word == before and last.end == start and _joined(text, start):
            words[-1] = Word(last.token, last.start, end)
        else:
            words.append(Word(token, start, end))
        before = word
    return words


def _joined(text: str, at: int) -> bool:
    return text[at - 1].isalnum() and text[at].isalnum()


def tag_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Give the tags of these labels, sorted: O, and B- and I- of each."""
    return tuple(sorted([OUTSIDE, *(f"{part}-{label}" for label in set(labels) for part in "BI")]))


def outermost(spans: Sequence[Span]) -> list[Span]:
    """Give the spans that lie in no other one: what one tag a word can say."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: (s[0], -s[1], s[2])):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept


def tags_of(words: Sequence[Word], spans: Sequence[Span]) -> list[str]:
    """Give the tag of each word; a word that a span touches belongs to the outermost.

    >>> tags_of([Word(1, 0, 3), Word(2, 4, 7), Word(3, 8, 11)], [(0, 7, "P")])
    ['B-P', 'I-P', 'O']
    """
    tags = [OUTSIDE] * len(words)
    for start, end, label in outermost(spans):
        inside = [i for i, w in enumerate(words) if w.start < end and w.end > start]
        for i in inside:
            tags[i] = f"{'B' if i == inside[0] else 'I'}-{label}"
    return tags


def spans_of(words: Sequence[Word], tags: Sequence[str]) -> list[Span]:
    """Read spans off the words of a whole text; a part without a beginning begins one.

    >>> spans_of([Word(1, 0, 3), Word(2, 4, 7), Word(3, 8, 11)], ["B-P", "I-P", "I-Q"])
    [(0, 7, 'P'), (8, 11, 'Q')]
    """
    found: list[Span] = []
    label = ""
    for word, tag in zip(words, tags, strict=True):
        part, _, name = tag.partition("-")
        if part == "I" and name == label:
            found[-1] = (found[-1][0], word.end, name)
        elif part != OUTSIDE:
            found.append((word.start, word.end, name))
        label = name
    return found


def padded_targets(
    cut: Sequence[Sequence[Piece]], spans: Sequence[Sequence[Span]], number: Mapping[str, int]
) -> IntArray:
    """Give the tag of each token, IGNORED where none is decided.

    Args:
        cut: The windows of each text; n of them in all.
        spans: Of each text.
        number: Of each tag.

    Returns:
        Shape (n, tokens up to the last one that decides).
    """
    pieces = [piece for own in cut for piece in own]
    width = 1 + max((w.token for piece in pieces for w in piece.words), default=0)
    found = np.full((len(pieces), width), IGNORED, dtype=np.int64)
    row = 0
    for own, told in zip(cut, spans, strict=True):
        tags = iter(tags_of([word for piece in own for word in piece.words], told))
        for piece in own:
            for word in piece.words:
                found[row, word.token] = number[next(tags)]
            row += 1
    return found
