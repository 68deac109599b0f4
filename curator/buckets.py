"""Which texts are worth comparing: those that share a band of their MinHash sketches.

The one idea: look at many proposals, keep few. Proposals come bucket by bucket in blocks of bounded
size and are thinned at once by the sizes of the two sets and by their sketches, so memory follows
what is kept. A bucket too full to try all its pairs lets its first texts (the longest ones, which
are also what `duplicates` keeps first) meet all the others, and is counted.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from curator.shingles import PERMUTATIONS, PLANES, IntArray, KeyArray, Sketches

BoolArray = npt.NDArray[np.bool_]

# Sketch agreement scatters by .043 around a Jaccard of .7: this slack is four deviations, which one
# pair of 30,000 at exactly the threshold falls short of.
_SKETCH_SLACK = 0.175
_BY_CHANCE = 1 / 2**PLANES
_BUCKET_PAIRS = 128 * 127 // 2  # a bucket with up to 128 texts tries all its pairs
_HUBS = 8
_BLOCK_PAIRS = 1 << 16
_FRESH_PAIRS = 1 << 21


def candidates(sketches: Sketches, threshold: float, held: BoolArray) -> tuple[KeyArray, int]:
    """Give the pairs of texts worth an exact count.

    Args:
        sketches: Sketches of n different texts, the longest first.
        threshold: Jaccard wanted, in 0.5..1.
        held: Which texts each of two sides has, shape (2, n); only pairs across the sides are
            given. All True for any pair.

    Returns:
        Each pair u < v as u * n + v, ascending, and the number of buckets capped.
    """
    n = np.uint64(len(sketches.sizes))
    kept = np.empty(0, np.uint64)
    fresh: list[KeyArray] = []
    waiting = capped = 0
    sides = None if held.all() else held
    for keys in sketches.band_keys:
        for u, v, over in _bucket_pairs(keys, sides):
            capped += over
            passed = _likely(sketches, u, v, threshold)
            fresh.append(u[passed].astype(np.uint64) * n + v[passed].astype(np.uint64))
            waiting += len(fresh[-1])
            if waiting > max(_FRESH_PAIRS, len(kept)):  # a pair shows up in many bands
                kept, fresh, waiting = np.unique(np.concatenate([kept, *fresh])), [], 0
    return np.unique(np.concatenate([kept, *fresh])), capped


def _ranked(keys: KeyArray) -> tuple[KeyArray, IntArray]:
    """Put the texts in the order of their keys, equal keys in the order of the texts.

    The place of a text is packed into the lowest bits of its key and the numbers are sorted, which
    is ten times faster than a stable sort of places. The key is the shorter for it: of a million
    texts one pair in 30 runs meets that has no equal key, and like all pairs it is counted exactly.
    """
    bits = np.uint64(max(len(keys) - 1, 1).bit_length())
    mask = (np.uint64(1) << bits) - np.uint64(1)
    packed = np.sort((keys & ~mask) | np.arange(len(keys), dtype=np.uint64))
    return packed & ~mask, (packed & mask).astype(np.int64)


def _bucket_pairs(
    keys: KeyArray, held: BoolArray | None
) -> Iterator[tuple[IntArray, IntArray, int]]:
    """Yield blocks of pairs u < v of texts with equal keys, and the number of buckets capped."""
    ranked, order = _ranked(keys)
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])[: len(ranked)])
    sizes = np.diff(np.append(starts, len(ranked)))
    large = sizes * (sizes - 1) // 2 > _BUCKET_PAIRS
    for start, size in zip(starts[large].tolist(), sizes[large].tolist(), strict=True):
        yield from _large_bucket(order[start : start + size], held)
    small = np.repeat(~large, sizes)
    left_in_bucket = np.repeat(starts + sizes, sizes) - np.arange(len(ranked))
    places = np.flatnonzero(small & (left_in_bucket > 1))
    step = 1
    while len(places):
        for block in _blocks(places):
            yield *_crossing(order[block], order[block + step], held), 0
        step += 1
        places = places[left_in_bucket[places] > step]


def _blocks(array: IntArray) -> Iterator[IntArray]:
    for low in range(0, len(array), _BLOCK_PAIRS):
        yield array[low : low + _BLOCK_PAIRS]


def _crossing(u: IntArray, v: IntArray, held: BoolArray | None) -> tuple[IntArray, IntArray]:
    if held is None:
        return u, v
    crosses = (held[0, u] & held[1, v]) | (held[1, u] & held[0, v])
    return u[crosses], v[crosses]


def _large_bucket(
    members: IntArray, held: BoolArray | None
) -> Iterator[tuple[IntArray, IntArray, int]]:
    """Yield the pairs of one bucket too large for all: its hubs with all, neighbours in order."""
    ones, others = (members if held is None else members[held[side, members]] for side in (0, 1))
    over = int(len(ones) * len(others) > 2 * _BUCKET_PAIRS)
    if over:
        yield *_crossing(members[:-1], members[1:], held), over
        products = [(ones[:_HUBS], others), (others[:_HUBS], ones)]
    else:
        products = [(ones, others)]
    for some, many in products:
        rows = max(_BLOCK_PAIRS // max(len(many), 1), 1)
        for low in range(0, len(some), rows):
            part = some[low : low + rows]
            one, other = np.repeat(part, len(many)), np.tile(many, len(part))
            u, v = np.minimum(one, other), np.maximum(one, other)
            yield u[u != v], v[u != v], 0


def _likely(sketches: Sketches, u: IntArray, v: IntArray, threshold: float) -> BoolArray:
    """Tell which pairs may reach the threshold, by the sizes of their sets and their sketches."""
    one, other = sketches.sizes.take(u), sketches.sizes.take(v)
    # A Jaccard is never above the ratio of the sizes.
    likely: BoolArray = np.minimum(one, other) >= threshold * np.maximum(one, other)
    u, v = u[likely], v[likely]
    unlike = sketches.planes.take(u, axis=0) ^ sketches.planes.take(v, axis=0)
    for plane in range(1, PLANES):
        unlike[:, :2] |= unlike[:, 2 * plane : 2 * plane + 2]
    counts = np.bitwise_count(unlike[:, :2])
    agreeing = PERMUTATIONS - (counts[:, 0] + counts[:, 1]).astype(np.int64)
    wanted = threshold - _SKETCH_SLACK
    enough: BoolArray = agreeing >= (wanted + (1 - wanted) * _BY_CHANCE) * PERMUTATIONS
    likely[likely] = enough
    return likely
