"""What was answered, row by row, kept small beside each measurement, to be scored again.

The one idea: a comparison is its predictions; with these at hand other right answers need no model.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curator.impact.statistics import BoolArray, FloatArray, IntArray

AnyInts = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Kept:
    """The predictions of one measurement.

    names: Every label that was predicted or right, as called among the test rows.
    ids: Of the m test rows.
    wanted: Right answers then, as numbers of names, shape (m,).
    before, after: Predictions, as numbers of names, shape (s, m).
    groups: Group of each test row, shape (m,).
    fresh: Which have no near-duplicate in training, shape (m,).
    """

    names: tuple[str, ...]
    ids: tuple[str, ...]
    wanted: AnyInts
    before: AnyInts
    after: AnyInts
    groups: IntArray
    fresh: BoolArray

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values; arrays as compressed text."""
        return {
            "names": list(self.names), "ids": list(self.ids), "seeds": len(self.before),
            **{name: _packed(getattr(self, name)) for name in _ARRAYS},
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Kept:
        """Read it back from `as_dict`."""
        arrays = {name: _unpacked(values[name]) for name in _ARRAYS}
        shape = (values["seeds"], len(values["ids"]))
        return cls(
            tuple(values["names"]), tuple(values["ids"]), arrays["wanted"],
            arrays["before"].reshape(shape), arrays["after"].reshape(shape),
            arrays["groups"].astype(np.int64), arrays["fresh"].astype(bool),
        )  # fmt: skip

    def differences(self, labels: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Score both sides under these right answers: 1 where right, else 0, shape (s, m) each."""
        named = np.array(self.names, dtype=object)
        wanted = np.array(labels, dtype=object)
        one, other = (np.equal(named[told], wanted) for told in (self.before, self.after))
        return one.astype(np.float64), other.astype(np.float64)


_ARRAYS = ("wanted", "before", "after", "groups", "fresh")


def _packed(array: Any) -> str:
    return base64.b64encode(zlib.compress(array.astype("<i4").tobytes(), 9)).decode("ascii")


def _unpacked(text: str) -> Any:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<i4")
