"""Texts to features: one vector of unit length per text, the same bits alone and in company.

The one idea: a batch always has one of a few fixed shapes (a length bucket, filled up with blank
rows), and is computed by one thread, so nothing about a text's neighbours can reach its bits.
Several batches run side by side; how many does not change a bit either. A vector is computed once
per text and model revision, and kept in append-only shards.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .device import choose_device, this_machine
from .errors import FitError
from .folders import ModelFolder, open_folder
from .keys import FloatArray, text_key
from .shards import SHARD_TEXTS, Shards

LENGTHS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Token counts that a batch may have, up to max_tokens; a text goes to the least that holds it."""

MAX_TOKENS = 128
LEAST_TOKENS = 3
"""One token of text between the two special ones."""

BATCH_TOKENS = 512
"""Tokens in a batch, all rows together: a lone short text costs 0.1 CPU seconds at this size."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long job is.

    stage: what is being done, for example "embed".
    done, total: pieces of work, cached ones included.
    cached: how many of those done were found in the cache.
    """

    stage: str
    done: int
    total: int
    cached: int


Report = Callable[[Progress], None]


class Features(Protocol):
    """What turns texts into vectors: an encoder or a fitted TF-IDF.

    revision: hash of all that its vectors depend on but the machine.
    numerics: library, device and threads, which may change the last bits.
    """

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def revision(self) -> str:
        """32 hexadecimal digits."""
        ...

    @property
    def numerics(self) -> str:
        """Enters cache keys and fit keys."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers per vector."""
        ...

    def transform(self, texts: Sequence[str]) -> FloatArray:
        """Give the vectors of the texts, shape (n, d), float32, unit length or zero."""
        ...


def embed(
    texts: Sequence[str], features: Features, *, cache: Path, progress: Report | None = None
) -> FloatArray:
    """Give one vector per text, computing only those that the cache does not hold.

    Args:
        texts: n texts; equal texts are computed once.
        features: The encoder or TF-IDF model.
        cache: Folder of all caches; vectors go to `embeddings/` in it, at least every 512 texts.
        progress: Called after the cache was read and after each shard, with counts of distinct
            texts: `cached` were found, `done` - `cached` computed.

    Returns:
        Vectors of unit length (or zero), shape (n, d), float32, in the order of the texts.

    Raises:
        FitError: The model cannot be loaded, a cached shard is damaged, or the disk is full.
    """
    keys = [text_key(text) for text in texts]
    shards = Shards(_folder(cache, features), width=features.dimensions, dtype=np.float32)
    distinct = dict(zip(keys, texts, strict=True))
    missing = [(key, text) for key, text in distinct.items() if key not in shards]
    cached = len(distinct) - len(missing)
    report = progress or (lambda _: None)
    report(Progress("embed", cached, len(distinct), cached))
    # Longest first: texts of like length share batches, and the time left is never underestimated.
    missing.sort(key=lambda pair: (-len(pair[1]), pair[0]))
    for start in range(0, len(missing), SHARD_TEXTS):
        part = missing[start : start + SHARD_TEXTS]
        vectors = features.transform([text for _, text in part])
        shards.append([key for key, _ in part], list(vectors[:, None, :]))
        report(Progress("embed", cached + start + len(part), len(distinct), cached))
    return shards.gather(keys)


def count_missing(texts: Sequence[str], features: Features, *, cache: Path) -> int:
    """Count the distinct texts that `embed` would have to compute."""
    shards = Shards(_folder(cache, features), width=features.dimensions, dtype=np.float32)
    return sum(text_key(text) not in shards for text in set(texts))


def _folder(cache: Path, features: Features) -> Path:
    numerics = text_key(features.numerics).hex()[:8]
    return cache / "embeddings" / f"{features.revision[:24]}-{numerics}"


def batch_rows(length: int, tokens: int = BATCH_TOKENS) -> int:
    """Give the number of rows that a batch of this length always has."""
    return max(4, tokens // length)


class Encoder:
    """A text model from a local folder; its weights are loaded at the first text to compute.

    Args:
        folder: A checked transformers folder.
        max_tokens: Longer texts are cut here, special tokens included.
        prefix: Put before every text, as some models were trained to see.
    """

    def __init__(self, folder: ModelFolder, *, max_tokens: int, prefix: str = "") -> None:
        self.folder = folder
        self.max_tokens = max_tokens
        self.prefix = prefix
        self._model: Any = None
        self._tokenizer: Any = None

    @property
    def name(self) -> str:
        """The folder's name, for people."""
        return self.folder.name

    @property
    def revision(self) -> str:
        """Hash of weights, config, tokenizer, pooling, prefix, max_tokens; 32 hex digits."""
        return self.folder.revision(self.max_tokens, self.prefix)

    @property
    def dimensions(self) -> int:
        """Numbers per vector."""
        return self.folder.dimensions

    @property
    def numerics(self) -> str:
        """Library, device and threads per batch, as they enter cache keys."""
        return f"torch {library_version('torch')}, {self.device}, 1 thread a batch"

    @property
    def lengths(self) -> tuple[int, ...]:
        """Token counts that a batch may have, ascending; the last is max_tokens."""
        return (*(length for length in LENGTHS if length < self.max_tokens), self.max_tokens)

    @property
    def device(self) -> str:
        """`cuda` where there is such a device, else `cpu`."""
        return choose_device(this_machine())

    @property
    def model(self) -> Any:
        """The transformers model, in evaluation mode, float32, without gradients."""
        if self._model is None:
            self._model = self.folder.load_model().to(self.device)
        return self._model

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""
        if self._tokenizer is None:
            self._tokenizer = self.folder.load_tokenizer()
        return self._tokenizer

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Give the token ids of each text, special tokens included, cut at max_tokens."""
        if not texts:
            return []
        given = [self.prefix + text for text in texts] if self.prefix else list(texts)
        encoded = self.tokenizer(given, truncation=True, max_length=self.max_tokens)["input_ids"]
        # A causal model's tokenizer adds nothing, so an empty text would have no token to pool.
        return [list(ids) or [self.tokenizer.eos_token_id or 0] for ids in encoded]

    def transform(self, texts: Sequence[str]) -> FloatArray:
        """Give the vector of each text, shape (n, d), float32, unit length; nothing is cached."""
        found = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for rows, vectors in map_batches(self, self.tokens(texts), self._pooled):
            found[rows] = vectors[: len(rows)]
        return found

    def _pooled(self, ids: Any, mask: Any) -> FloatArray:
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return np.asarray(pool(hidden, mask, pooling=self.folder.pooling).cpu().numpy())


def open_encoder(
    folder: Path | str,
    *,
    max_tokens: int | None = None,
    download: bool = False,
    pooling: str | None = None,
    prefix: str = "",
    remote_code: str | None = None,
) -> Encoder:
    """Open an encoder from a transformers folder, or `hf:owner/name` from the hub's local cache.

    Nothing is loaded yet but the files' hashes.

    Args:
        folder: A folder with config.json, weights and tokenizer; or `hf:owner/name`.
        max_tokens: Longer texts are cut here; None for 128, or what the model takes.
        download: Whether a hub name that is not on this machine may be fetched.
        pooling: mean, cls or last (token); None for what the folder says, else mean.
        prefix: Put before every text.
        remote_code: Hash of the folder's own code, to allow that it runs; else it does not.

    Raises:
        FitError: The folder is missing or incomplete (which file), or the hub is out of reach.
    """
    opened = open_folder(folder, download=download, pooling=pooling, remote_code=remote_code)
    most = min(opened.max_positions, LENGTHS[-1])
    if max_tokens is None:
        max_tokens = min(MAX_TOKENS, most)
    if not LEAST_TOKENS <= max_tokens <= most:
        raise FitError(
            f"{opened.name}: max_tokens is {max_tokens}; this model takes {LEAST_TOKENS} to {most}"
        )
    return Encoder(opened, max_tokens=max_tokens, prefix=prefix)


def pool(hidden: Any, mask: Any, *, pooling: str) -> Any:
    """Pool token vectors (b, t, d) to one vector of unit length per row, shape (b, d)."""
    import torch

    if pooling == "cls":
        pooled = hidden[:, 0]
    elif pooling == "last":
        pooled = hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1) - 1]
    else:
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1)
    return torch.nn.functional.normalize(pooled, dim=1)


def map_batches(
    encoder: Encoder, tokens: Sequence[Sequence[int]], compute: Callable[[Any, Any], Any]
) -> Iterator[tuple[list[int], Any]]:
    """Run compute(ids, mask) on fixed-shape batches, several side by side, one thread each.

    Args:
        encoder: Gives device and blank rows.
        tokens: Token ids per text.
        compute: Takes ids and mask, shape (b, t) int64, and gives something per row.

    Yields:
        The positions of the texts of a batch, and what compute gave (blank rows come last).
    """
    batches = fixed_batches([len(t) for t in tokens], encoder.lengths)
    encoder.model  # noqa: B018 - load before threads ask for it

    def work(batch: tuple[int, list[int]]) -> tuple[list[int], Any]:
        import torch

        length, rows = batch
        ids, mask = _padded([tokens[i] for i in rows], length)
        with torch.inference_mode():
            return rows, compute(
                torch.from_numpy(ids).to(encoder.device), torch.from_numpy(mask).to(encoder.device)
            )

    with single_threads() as pool_map:
        yield from pool_map(work, batches)


def fixed_batches(
    counts: Sequence[int], lengths: Sequence[int], *, tokens: int = BATCH_TOKENS
) -> list[tuple[int, list[int]]]:
    """Deal texts to batches by token count: (length, positions), longest first.

    Args:
        counts: Tokens of each text.
        lengths: Token counts that a batch may have, ascending.
        tokens: In a batch, all rows together.
    """
    by_length: dict[int, list[int]] = {}
    for i, count in enumerate(counts):
        by_length.setdefault(lengths[bisect_left(lengths, count)], []).append(i)
    return [
        (length, rows[start : start + batch_rows(length, tokens)])
        for length, rows in sorted(by_length.items(), reverse=True)
        for start in range(0, len(rows), batch_rows(length, tokens))
    ]


def _padded(rows: Sequence[Sequence[int]], length: int) -> tuple[Any, Any]:
    ids = np.zeros((batch_rows(length), length), dtype=np.int64)
    mask = np.zeros_like(ids)
    mask[:, 0] = 1  # a blank row still needs one token to pool
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


@contextmanager
def single_threads() -> Iterator[Any]:
    """Give an ordered map over worker threads that each compute with one thread.

    As many work side by side as torch would use threads (OMP_NUM_THREADS limits both).
    """
    from concurrent.futures import ThreadPoolExecutor

    import torch

    threads = torch.get_num_threads()
    workers = max(1, min(threads, os.cpu_count() or 1))
    executor = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield executor.map
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)


def library_version(distribution: str) -> str:
    """Give the installed version of a distribution, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"
