"""A fit as it lies in the cache: what was learnt, what it said of which text, and its record.

The one idea: one file per fit, under its key, written whole. Texts stand in it by their keys only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .bounds import touch
from .errors import FitError
from .keys import KEY_BYTES, FloatArray
from .shards import write_whole


@dataclass(frozen=True, slots=True)
class Stored:
    """A fit.

    state: trained tensors by name. scores: probabilities by text key, each of shape (k,).
    rows: arrays about the training rows; `keys` and `targets` in canonical order, `row_losses` per
    epoch and row, `held` and `held_logits` of validation rows; empty for the probe.
    record: what was done, as JSON values; empty for fits of the first release.
    """

    state: dict[str, FloatArray]
    scores: dict[bytes, FloatArray]
    cpu_s: float
    rows: dict[str, NDArray[Any]] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)


def fit_path(cache: Path, key: str) -> Path:
    """Say where a fit lies."""
    return cache / "fits" / f"{key}.npz"


def write_fit(path: Path, stored: Stored, classes: tuple[str, ...]) -> None:
    """Write a fit, whole or not at all.

    Raises:
        FitError: The disk is full.
    """
    keys = np.frombuffer(b"".join(stored.scores), dtype=np.uint8).reshape(-1, KEY_BYTES)
    scores = np.array(list(stored.scores.values()), dtype=np.float32).reshape(-1, len(classes))
    arrays: dict[str, Any] = {f"state/{name}": value for name, value in stored.state.items()}
    arrays |= {f"rows/{name}": value for name, value in stored.rows.items()}
    arrays |= {"keys": keys, "scores": scores, "cpu_s": np.float64(stored.cpu_s)}
    arrays |= {"classes": _packed(classes), "record": _packed(stored.record)}
    write_whole(path, lambda file: np.savez(file, **arrays))


def read_fit(path: Path, classes: tuple[str, ...] | None = None) -> Stored | None:
    """Read a fit, and mark it as used now; None where there is none.

    Args:
        path: As `fit_path` gives it.
        classes: That it must have; None for any.

    Raises:
        FitError: It is damaged, or has other classes.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            if classes is not None and tuple(json.loads(file["classes"].tobytes())) != classes:
                raise _damaged(path, "it has other classes")
            scores = dict(zip((k.tobytes() for k in file["keys"]), file["scores"], strict=True))
            record = json.loads(file["record"].tobytes()) if "record" in file.files else {}
            found = Stored(
                _under(file, "state/"), scores, float(file["cpu_s"]), _under(file, "rows/"), record
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise _damaged(path, str(error)) from error
    touch(path)
    return found


def _under(file: Any, prefix: str) -> dict[str, Any]:
    return {n.removeprefix(prefix): file[n] for n in file.files if n.startswith(prefix)}


def _packed(value: Any) -> NDArray[Any]:
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def _damaged(path: Path, why: str) -> FitError:
    return FitError(
        f"{path}: this cached fit is damaged ({why}); delete it, it will be fitted again"
    )
