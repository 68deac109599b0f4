"""Texts as sets of hashed shingles, and the MinHash sketches of those sets.

The one idea: a text is the set of its short runs of characters or words, each run one number. All
hashing is our own (splitmix64 over code points, whole chunks of text at a time), so a sketch never
changes with a library's release, the order of the texts, the size of a chunk or the threads.

A text shorter than one shingle (an empty one too) is a set of one: the whole text. Sets forget
repetition, so "!!!" and "!!!!" are equal sets without being the same text.

Source: Broder 1997, On the resemblance and containment of documents; Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, chapter 3 (bands).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html.entities import html5
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Shingles = Literal["char-2", "char-3", "word-5"]
IntArray = npt.NDArray[np.int64]
KeyArray = npt.NDArray[np.uint64]

SIZES: dict[Shingles, int] = {"char-2": 2, "char-3": 3, "word-5": 5}
ENTITY = r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"

_ENTITY_RE = re.compile(ENTITY)
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
_LONG_TEXT_CHARS = 200  # word shingles need some 40 words for one changed word to leave them near
_UNSPACED_SHARE = 0.05

# 21 bands of 6 rows find 99.8 % of pairs at Jaccard .8 and 93 % at .7, the lowest anyone asks for.
BANDS, BAND_ROWS = 21, 6
PERMUTATIONS = BANDS * BAND_ROWS
PLANES = 4  # lowest bits kept of each minimum: two minima that differ agree in one of 16

CHUNK_CHARS = 120_000  # the arrays of one chunk stay in a core's cache
_CHUNK_TEXTS = 1 << 16
# A sorted key is a text's place in its chunk (16 bits) over the shingle's hash (48 bits): two
# texts of 1,000 shingles share a false one once in 300 million pairs.
_HASH_BITS = np.uint64(48)
_HASH_MASK = np.uint64((1 << 48) - 1)
_BASE = np.uint64(0x9E3779B97F4A7C15)


def unescape(text: str) -> str:
    """Give the text with its HTML entities as characters, escaped once or more often.

    Only entities that end in a semicolon count, so `?a=1&copy=2` stays as it is.

    >>> unescape("Tom &amp;amp; Co. isn&#039;t &lt;3 AT&T")
    "Tom & Co. isn't <3 AT&T"
    """
    while (plain := _ENTITY_RE.sub(_character, text)) != text:
        text = plain
    return text


def _character(entity: re.Match[str]) -> str:
    found = entity.group()
    return html.unescape(found) if found[1] == "#" else html5.get(found[1:], found)


def change_where(
    texts: pl.Series, mask: pl.Series, change: Callable[[pl.Series], pl.Series]
) -> pl.Series:
    """Give the texts with those under the mask changed; the change sees only them."""
    at = mask.arg_true()
    return texts.clone().scatter(at, change(texts.gather(at))) if len(at) else texts


def normalise(texts: Sequence[str] | pa.Array | pa.ChunkedArray) -> pa.Array:
    """Give the form in which two texts count as the same one.

    Entities become characters, compatibility forms (full width and the like) plain ones, white
    space single spaces with none at the ends, letters lower case.

    Args:
        texts: n texts as they are, none null.

    Returns:
        String array, shape (n,), same order.
    """
    plain = pl.Series("text", texts, dtype=pl.String)
    plain = change_where(plain, plain.str.contains(ENTITY), _unescape_all)
    # NFKC leaves ASCII alone and is the dearest step: 23 times cheaper on the other rows only.
    wide = plain.str.len_bytes() != plain.str.len_chars()
    plain = change_where(plain, wide, lambda some: some.str.normalize("NFKC"))
    plain = plain.str.replace_all(r"\s{2,}|[^\S ]+", " ").str.strip_chars().str.to_lowercase()
    return plain.to_arrow().cast(pa.string())


def _unescape_all(texts: pl.Series) -> pl.Series:
    return pl.Series([unescape(text) for text in texts], dtype=pl.String)


def choose_shingles(texts: Sequence[str] | pa.Array | pa.ChunkedArray) -> Shingles:
    """Choose the shingles that suit the texts: 5 words for long spaced ones, else 3 characters.

    Args:
        texts: The texts of a corpus, as they are.

    Returns:
        `word-5` where the median normalised text has at least 200 characters and at most one in
        twenty is written in a script without spaces between words; else `char-3`.
    """
    plain = pl.Series("text", normalise(texts), dtype=pl.String)
    lengths = plain.str.len_chars()
    if len(plain) == 0 or float(np.median(lengths.to_numpy())) < _LONG_TEXT_CHARS:
        return "char-3"
    unspaced = plain.str.count_matches(_UNSPACED) > 0.3 * lengths  # names in Han do not count
    return "word-5" if unspaced.sum() <= _UNSPACED_SHARE * len(plain) else "char-3"


@dataclass(frozen=True, slots=True)
class Sketches:
    """What is kept of n texts to find those near each other; about 240 bytes a text.

    band_keys: shape (BANDS, n); texts that share one are worth comparing.
    planes: shape (n, 2 * PLANES); the lowest bits of all minima, bit by bit, two words for each.
    sizes: different shingles of each text, shape (n,), at least 1.
    """

    band_keys: KeyArray
    planes: KeyArray
    sizes: npt.NDArray[np.int32]


Allocate = Callable[[tuple[int, ...], type[np.uint64]], KeyArray]
"""Makes room for an array of this shape, in memory or in a file."""


def sketch(
    texts: pl.Series,
    shingles: Shingles,
    *,
    threads: int,
    chunk_chars: int,
    allocate: Allocate = np.empty,
) -> Sketches:
    """Sketch n normalised texts, chunk by chunk; the chunks and threads leave no trace."""
    n = len(texts)
    made = Sketches(
        allocate((BANDS, n), np.uint64),
        allocate((n, 2 * PLANES), np.uint64),
        np.empty(n, np.int32),
    )

    def fill(bounds: tuple[int, int]) -> None:
        low, high = bounds
        starts, hashes = _chunk_sets(texts[low:high], SIZES[shingles], words=shingles[0] == "w")
        made.sizes[low:high] = np.diff(starts)
        minima = _minima(hashes, starts[:-1])
        made.planes[low:high] = _planes(minima)
        made.band_keys[:, low:high] = _band_keys(minima)

    chunks = _chunks(texts, chunk_chars)
    if threads == 1:
        for bounds in chunks:
            fill(bounds)
    else:  # numpy lets go of the interpreter in nearly all of the work
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, chunks))
    return made


def shingle_sets(texts: pl.Series, shingles: Shingles) -> tuple[IntArray, IntArray]:
    """Give the shingle sets of m normalised texts.

    Returns:
        starts: where the set of each text begins, shape (m + 1,).
        hashes: the sets one after the other, each ascending, in 0..2**48.
    """
    starts: list[IntArray] = [np.zeros(1, np.int64)]
    hashes: list[KeyArray] = [np.empty(0, np.uint64)]
    for low, high in _chunks(texts, CHUNK_CHARS):
        begin, keys = _chunk_sets(texts[low:high], SIZES[shingles], words=shingles[0] == "w")
        starts.append(begin[1:] + starts[-1][-1])
        hashes.append(keys)
    return np.concatenate(starts), np.concatenate(hashes).astype(np.int64)


def _chunks(texts: pl.Series, chunk_chars: int) -> Iterator[tuple[int, int]]:
    ends = np.cumsum(texts.str.len_chars().to_numpy().astype(np.int64))
    low = 0
    while low < len(texts):
        before = ends[low - 1] if low else 0
        high = int(np.searchsorted(ends, before + chunk_chars, side="right"))
        high = max(low + 1, min(high, low + _CHUNK_TEXTS))
        yield low, high
        low = high


def _chunk_sets(texts: pl.Series, size: int, *, words: bool) -> tuple[IntArray, KeyArray]:
    """Give starts, shape (m + 1,), and the 48-bit hashes of each text's set, ascending."""
    tokens, lengths = _word_tokens(texts) if words else _character_tokens(texts)
    counts = np.maximum(lengths - size + 1, 0)
    runs = _mix(grams(tokens, lengths, size))
    short = np.flatnonzero(lengths < size)
    owners = np.concatenate([np.repeat(np.arange(len(lengths)), counts), short])
    hashes = np.concatenate([runs, _whole(tokens, lengths, short, size)])
    keys = np.sort((owners.astype(np.uint64) << _HASH_BITS) | (hashes >> np.uint64(16)))
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    sizes = np.bincount((keys >> _HASH_BITS).astype(np.int64), minlength=len(lengths))
    return np.concatenate([[0], np.cumsum(sizes)]), keys & _HASH_MASK


def _code_points(text: str) -> KeyArray:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64)


def _character_tokens(texts: pl.Series) -> tuple[KeyArray, IntArray]:
    lengths = texts.str.len_chars().to_numpy().astype(np.int64)
    return _mix(_code_points(texts.str.join("").item())), lengths


def _word_tokens(texts: pl.Series) -> tuple[KeyArray, IntArray]:
    """Give one number a word and the words per text; normalised texts part them by one space."""
    points = _code_points(texts.str.join(" ").item())
    letters = points != np.uint64(ord(" "))
    first = letters.copy()
    first[1:] &= ~letters[:-1]
    starts = np.flatnonzero(first[letters])
    spread = np.arange(int(letters.sum())) - np.repeat(
        starts, np.diff(np.append(starts, int(letters.sum())))
    )
    powers = np.cumprod(np.full(int(spread.max(initial=0)) + 1, _BASE))
    terms = _mix(points[letters]) * powers[spread]
    words = np.add.reduceat(terms, starts) if len(starts) else terms
    return _mix(words), _word_counts(texts)


def _word_counts(texts: pl.Series) -> IntArray:
    counts = texts.str.count_matches(" ", literal=True) + (texts.str.len_bytes() > 0)
    return counts.to_numpy().astype(np.int64)


def grams(tokens: KeyArray, lengths: IntArray, size: int) -> KeyArray:
    """Hash every run of `size` tokens that lies within one text, in order."""
    places = max(len(tokens) - size + 1, 0)
    rolling = tokens[:places].copy()
    for step in range(1, size):
        rolling = rolling * _BASE + tokens[step : step + places]
    inside = np.ones(places, np.bool_)
    ends = np.cumsum(lengths)
    for back in range(1, size):
        last = ends[lengths >= back] - back
        inside[last[last < places]] = False
    return rolling[inside]


def _whole(tokens: KeyArray, lengths: IntArray, short: IntArray, size: int) -> KeyArray:
    """Hash each text too short for one shingle as a whole; its length tells it from shingles."""
    begin = np.cumsum(lengths) - lengths
    hashes = np.zeros(len(short), np.uint64)
    for step in range(size - 1):
        longer = lengths[short] > step
        hashes[longer] = hashes[longer] * _BASE + tokens[begin[short[longer]] + step]
    return _mix(hashes ^ _mix(lengths[short].astype(np.uint64) + np.uint64(1)))


def _mix(values: KeyArray) -> KeyArray:
    """Scatter 64-bit numbers one to one.

    Source: Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators.
    """
    mixed = values + _BASE
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


_FACTORS = _mix(np.arange(PERMUTATIONS, dtype=np.uint64)) | np.uint64(1)
_SHIFTS = _mix(np.arange(PERMUTATIONS, 2 * PERMUTATIONS, dtype=np.uint64))


def _minima(hashes: KeyArray, starts: IntArray) -> npt.NDArray[np.uint32]:
    """Give the smallest permuted hash of each set, shape (PERMUTATIONS, m)."""
    minima = np.empty((PERMUTATIONS, len(starts)), np.uint32)
    permuted = np.empty_like(hashes)
    for row, factor, shift in zip(minima, _FACTORS, _SHIFTS, strict=True):
        np.multiply(hashes, factor, out=permuted)
        np.add(permuted, shift, out=permuted)
        # The upper half is the good one; taking it after the minimum halves the time.
        row[:] = np.minimum.reduceat(permuted, starts) >> np.uint64(32)
    return minima


def _planes(minima: npt.NDArray[np.uint32]) -> KeyArray:
    """Lay the lowest bits of all minima side by side: shape (m, 2 * PLANES)."""
    words = np.zeros((minima.shape[1], PLANES, 16), np.uint8)
    for plane in range(PLANES):
        bits = (minima >> np.uint32(plane)).astype(np.uint8) & 1
        words[:, plane] = np.packbits(bits, axis=0).T
    return words.reshape(len(words), -1).view(np.uint64)


def _band_keys(minima: npt.NDArray[np.uint32]) -> KeyArray:
    rows = minima.reshape(BANDS, BAND_ROWS, -1).astype(np.uint64)
    keys: KeyArray = np.zeros((BANDS, rows.shape[2]), np.uint64)
    for step in range(BAND_ROWS):
        keys = _mix(keys * _BASE + rows[:, step])
    return keys
