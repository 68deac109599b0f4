"""Caches held to a size: what was used longest ago goes first, and what this run used never goes.

The one idea: a file's time is when it was last used, so age needs no book of its own. A shard's two
files go together, index first: a reader believes the index only.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

KINDS = ("tokens", "embeddings", "activations", "fits", "checkpoints")
"""Folders of the cache that are held to a size; all of them can be made again."""

CACHE_BYTES = 20_000_000_000
"""20 GB: activations of a million short texts, at 12.5 MB per 1,000 of MiniLM's."""

OTHERS_S = 3600.0
"""What was used in the last hour may be another process's, and stays too."""

STARTED = time.time()


@dataclass(frozen=True, slots=True)
class Evicted:
    """What was removed: files and their bytes, by kind; and the bytes that are left."""

    files: dict[str, int]
    bytes: dict[str, int]
    left: int

    def sentence(self, limit: int) -> str:
        """Say it in one line; empty where nothing went and all is within the limit."""
        told = ", ".join(
            f"{self.files[kind]:,} files of {kind} ({self.bytes[kind] / 1e6:,.0f} MB)"
            for kind in self.files
        )
        over = self.left > limit
        if not told and not over:
            return ""
        why = f"cache over {limit / 1e9:g} GB"
        kept = f"; {self.left / 1e9:.1f} GB are left, as this run or the last hour used them"
        return f"{why}: removed {told or 'nothing'}" + (kept if over else "")


def bound_caches(cache: Path, *, limit: int = CACHE_BYTES, since: float = STARTED) -> Evicted:
    """Remove what was used longest ago until the caches of models fit the limit.

    Args:
        cache: Folder of all caches.
        limit: Bytes they may take together.
        since: Files used from this time on, seconds since 1970, are never removed; by default the
            start of this process, or an hour ago where that is earlier.
    """
    spared = min(since, time.time() - OTHERS_S)
    held = _files(cache)
    left = sum(size for _, size, _, _ in held)
    files: dict[str, int] = {}
    bytes_: dict[str, int] = {}
    for used, size, kind, paths in sorted(held):
        if left <= limit or used >= spared:
            break
        for path in paths:
            path.unlink(missing_ok=True)
        left -= size
        files[kind] = files.get(kind, 0) + len(paths)
        bytes_[kind] = bytes_.get(kind, 0) + size
    return Evicted(files, bytes_, left)


def touch(path: Path) -> None:
    """Mark a file as used now; a read-only cache stays as it is."""
    try:
        os.utime(path)
    except OSError:
        return


def _files(cache: Path) -> list[tuple[float, int, str, tuple[Path, ...]]]:
    """List (last use, bytes, kind, files that go together, the index first)."""
    found: list[tuple[float, int, str, tuple[Path, ...]]] = []
    for kind in KINDS:
        for path in sorted((cache / kind).rglob("*")):
            if not path.is_file() or path.suffix == ".values":
                continue
            values = path.with_name(path.name.removesuffix(".index.npz") + ".values")
            paths = (path, values) if values != path and values.exists() else (path,)
            used = max(one.stat().st_mtime for one in paths)
            found.append((used, sum(one.stat().st_size for one in paths), kind, paths))
    return found
