"""Random numbers that belong to content: what a row draws depends on what it says, never on where.

The one idea: a draw is a hash of (seed, epoch, key of the row), so a row that leaves takes only its
own draws along; every other row keeps its batch, its order and its noise. No generator has a state,
and none is global.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.int64]
KeyArray = NDArray[np.uint64]

KEY_BYTES = 16


def text_key(text: str) -> bytes:
    """Hash one text to 16 bytes.

    Source: BLAKE2b (RFC 7693).
    """
    data = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=KEY_BYTES).digest()


def hash_parts(*parts: str) -> str:
    """Hash strings to 32 hexadecimal digits; length prefixes keep them apart."""
    total = hashlib.blake2b(digest_size=KEY_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()


def canonical_order(keys: Sequence[bytes], labels: Sequence[str], weights: FloatArray) -> list[int]:
    """Give the positions of the rows sorted by content, so that a reshuffle changes nothing."""
    return sorted(range(len(keys)), key=lambda i: (keys[i], labels[i], float(weights[i])))


def slot_keys(keys: Sequence[bytes]) -> KeyArray:
    """Key each row by (text, occurrence number among equal texts).

    Args:
        keys: Text keys in canonical order, so equal texts stand together; n of them.

    Returns:
        One 64-bit key per row, shape (n,), same order.
    """
    first = np.frombuffer(b"".join(k[:8] for k in keys), dtype="<u8").astype(np.uint64)
    numbers = np.zeros(len(keys), dtype=np.uint64)
    for i in range(1, len(keys)):
        if keys[i] == keys[i - 1]:
            numbers[i] = numbers[i - 1] + np.uint64(1)
    return mix(first, numbers)


def mix(keys: KeyArray, *salts: int | KeyArray) -> KeyArray:
    """Hash 64-bit keys with salts (seed, epoch, ...) to new 64-bit keys of the same shape.

    Source: Steele, Lea and Flood 2014, SplitMix64 (its finaliser).
    """
    state = keys.astype(np.uint64)
    with np.errstate(over="ignore"):
        for salt in (np.uint64(0), *salts):
            whole = salt if isinstance(salt, np.ndarray) else np.uint64(int(salt) % 2**64)
            state = _finalise(state ^ _finalise(whole + np.uint64(0x9E3779B97F4A7C15)))
    return state


def _finalise(state: KeyArray | np.uint64) -> KeyArray:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)), dtype=np.uint64)


def uniform(keys: KeyArray, *salts: int | KeyArray) -> NDArray[np.float64]:
    """Draw one number in [0, 1) per key."""
    return (mix(keys, *salts) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normals(names: Sequence[str], count: int, *, seed: int) -> FloatArray:
    """Draw count standard normal numbers per name, shape (len(names), count), float32.

    A name's numbers depend on the name and the seed alone, so a new name shifts none of the others.

    Source: Box and Muller 1958.
    """
    first = np.array([int.from_bytes(text_key(n)[:8], "little") for n in names], dtype=np.uint64)
    grid = np.arange(count, dtype=np.uint64)[None, :]
    radius = np.sqrt(-2.0 * np.log1p(-uniform(first[:, None], seed, grid, 1)))
    angle = 2.0 * np.pi * uniform(first[:, None], seed, grid, 2)
    return np.asarray(radius * np.cos(angle), dtype=np.float32)
