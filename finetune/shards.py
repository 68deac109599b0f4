"""A cache of rows of numbers by content key: files that are written once, whole, and never changed.

The one idea: a shard is two files, values first and index last, each renamed into place, and a
reader believes the index only. So kill -9 loses the texts in flight and nothing else, two writers
never meet in one file, and deleting the folder costs time, nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np

from .bounds import touch
from .errors import FitError
from .keys import KEY_BYTES, FloatArray, IntArray, hash_parts

SHARD_TEXTS = 512
"""Most texts a shard holds, and so the most that a kill can cost."""


def write_whole(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that it is there whole or not at all, whatever kills the process.

    Raises:
        FitError: The disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".part-{uuid4().hex}")
        try:
            with part.open("xb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FitError(
            f"{path}: the cache cannot be written ({error.strerror or error}); "
            "free some space or name another store"
        ) from error


class Shards:
    """What a folder of shards holds: for each key some rows of `width` numbers.

    A key has one row (an embedding) or one per token (activations). Rows are read from disk when
    asked for; only keys and places are held in memory, and no file stays open.

    Args:
        folder: Where the shards lie; it need not exist yet.
        width: Numbers per row.
        dtype: float32, float16 to halve the files, or int32 for token ids.

    Raises:
        FitError: A shard is damaged.
    """

    def __init__(self, folder: Path, *, width: int, dtype: type[np.number[Any]]) -> None:
        self.folder = folder
        self.width = width
        self.dtype = np.dtype(dtype)
        self._places: dict[bytes, tuple[int, int, int]] = {}
        self._files: list[Path] = []
        for index in sorted(folder.glob("*.index.npz")):
            self._open(index)

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def _open(self, index: Path) -> None:
        try:
            with np.load(index, allow_pickle=False) as stored:
                keys, lengths = stored["keys"], stored["lengths"]
            values = index.with_name(index.name.removesuffix(".index.npz") + ".values")
            held, due = values.stat().st_size, int(lengths.sum()) * self._row_bytes
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise self._damaged(index, str(error)) from error
        if held != due:
            raise self._damaged(values, f"it has {held} bytes, expected {due}")
        touch(index)  # it counts as used, see `bounds`
        shard = len(self._files)
        self._files.append(values)
        ends = np.cumsum(lengths)
        for key, end, length in zip(keys, ends.tolist(), lengths.tolist(), strict=True):
            self._places[key.tobytes()] = (shard, end - length, end)

    @property
    def _row_bytes(self) -> int:
        return self.width * self.dtype.itemsize

    def _damaged(self, file: Path, why: str) -> FitError:
        return FitError(
            f"{file}: this cached shard is damaged ({why}); delete the folder {self.folder}, "
            "it will be computed again"
        )

    def append(self, keys: Sequence[bytes], parts: Sequence[FloatArray]) -> None:
        """Write one shard: for each key its rows, shape (rows, width). At most SHARD_TEXTS keys."""
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        values = np.concatenate(parts).astype(self.dtype, copy=False)
        packed = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, KEY_BYTES)
        name = hash_parts(*(key.hex() for key in keys))
        data = np.ascontiguousarray(values).tobytes()
        write_whole(self.folder / f"{name}.values", lambda file: file.write(data))
        index = self.folder / f"{name}.index.npz"
        write_whole(index, lambda file: np.savez(file, keys=packed, lengths=lengths))
        self._open(index)

    def rows(self, key: bytes) -> FloatArray:
        """Give the rows of one key, shape (rows, width), as they lie on disk."""
        shard, start, end = self._places[key]
        count, offset = (end - start) * self.width, start * self._row_bytes
        flat = np.fromfile(self._files[shard], dtype=self.dtype, count=count, offset=offset)
        return flat.reshape(-1, self.width)

    def lengths(self, keys: Sequence[bytes]) -> IntArray:
        """Give the number of rows of each key, shape (len(keys),)."""
        spans = (self._places[key] for key in keys)
        return np.array([end - start for _, start, end in spans], dtype=np.int64)

    def gather(self, keys: Sequence[bytes]) -> FloatArray:
        """Give the one row of each key, shape (len(keys), width), in the order asked for."""
        found = np.empty((len(keys), self.width), dtype=self.dtype)
        places = np.array([self._places[key][:2] for key in keys], dtype=np.int64).reshape(-1, 2)
        for shard in np.unique(places[:, 0]):
            wanted = places[:, 0] == shard
            held = np.fromfile(self._files[shard], dtype=self.dtype).reshape(-1, self.width)
            found[wanted] = held[places[wanted, 1]]
        return found
