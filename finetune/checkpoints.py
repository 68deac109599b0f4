"""Where a fit stands, on disk, whole or not at all: a kill costs seconds and changes no bit.

The one idea: a step depends on the trained numbers, the optimiser's two moments and the step's
number, and on nothing else. These are written to one file, which replaces the one before it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from .errors import FitError
from .keys import FloatArray
from .shards import write_whole

CHECKPOINT_S = 20.0
"""Wall seconds between two checkpoints, and so the most that a kill costs."""


@dataclass(slots=True)
class Course:
    """How far a fit is; the loop changes it.

    step: steps done. row_losses: shape (epochs, n), float32. best: of the epoch with the least
    validation loss; empty without validation. stopped: whether patience is out.
    """

    step: int
    row_losses: FloatArray
    epochs: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, FloatArray] = field(default_factory=dict)
    stopped: bool = False

    @classmethod
    def start(cls, epochs: int, rows: int) -> Course:
        """Give the course of a fit that has not begun."""
        return cls(0, np.full((epochs, rows), np.nan, dtype=np.float32))


@dataclass(slots=True)
class Checkpoint:
    """The one file of a fit; None for a fit that is not to be kept.

    every_s: wall seconds between two writes; 0 for each step.
    """

    path: Path | None
    every_s: float = CHECKPOINT_S
    _last: float = field(default_factory=time.monotonic)

    def keep(self, course: Course, parameters: dict[str, Any], optimiser: Any) -> None:
        """Write where the fit stands, where enough time has gone.

        Raises:
            FitError: The disk is full.
        """
        if self.path is None or time.monotonic() - self._last < self.every_s:
            return
        arrays: dict[str, Any] = {f"best/{name}": value for name, value in course.best.items()}
        for name, value in parameters.items():
            arrays[f"value/{name}"] = value.detach().cpu().numpy()
            for part, moment in optimiser.state.get(value, {}).items():
                arrays[f"{part}/{name}"] = moment.detach().cpu().numpy()
        told = {"step": course.step, "epochs": course.epochs, "stopped": course.stopped}
        arrays["course"] = np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)
        arrays["row_losses"] = course.row_losses
        write_whole(self.path, lambda file: np.savez(file, **arrays))
        self._last = time.monotonic()

    def restore(self, course: Course, parameters: dict[str, Any], optimiser: Any) -> int:
        """Put a fit back to where it stood.

        Returns:
            The steps that are done; 0 where nothing was kept.

        Raises:
            FitError: The file is damaged.
        """
        if self.path is None or not self.path.exists():
            return 0
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            told = json.loads(arrays["course"].tobytes())
            _put_back(arrays, parameters, optimiser)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise FitError(
                f"{self.path}: this checkpoint is damaged ({error}); delete it, the fit will start "
                "from its beginning"
            ) from error
        course.step, course.epochs, course.stopped = told["step"], told["epochs"], told["stopped"]
        course.row_losses[:] = arrays["row_losses"]
        course.best = {n[5:]: value for n, value in arrays.items() if n.startswith("best/")}
        return course.step

    def remove(self) -> None:
        """Delete the file: the fit is done."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _put_back(arrays: dict[str, Any], parameters: dict[str, Any], optimiser: Any) -> None:
    import torch

    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(torch.from_numpy(arrays[f"value/{name}"]))
            if f"step/{name}" not in arrays:
                continue  # it had no gradient yet
            moments = ("exp_avg", "exp_avg_sq")
            optimiser.state[value] = {"step": torch.tensor(arrays[f"step/{name}"])} | {
                part: torch.from_numpy(arrays[f"{part}/{name}"]).to(value.device)
                for part in moments
            }
            # A batch without rows still moves by the moments, which takes a gradient of 0.
            value.grad = torch.zeros_like(value)
