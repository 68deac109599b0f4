"""What a fit was: enough to judge it, repeat it, and look into its mistakes without training again.

The one idea: everything downstream (slices, comparison, doubts, cards) reads this and the arrays
beside it in the fit's file. No text stands in it, only keys of texts.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .answers import classes_of, nested_left_out
from .embed import Encoder, Features, library_version
from .spec import FitSpec
from .stored import Stored, fit_path, read_fit
from .tiers import Fit, Training

LIBRARIES = ("numpy", "scikit-learn", "torch", "transformers", "peft")
KILO = 1024


def run_record(
    train: Training, spec: FitSpec, model: Features, fit: Fit, cpu_s: float, *, seed: int, key: str
) -> dict[str, Any]:
    """Write down what a fit was.

    Returns:
        JSON values: key, seed, spec and its hash, model (name, revision and, of a folder, content,
        kind, pooling, prefix, remote code), libraries, environment (Python, system, processor,
        device, threads), rows, classes (of tokens: tags, and nested_left_out, the number of spans
        inside others, which one tag a word cannot say), epochs (per epoch its losses and rate),
        resumed (the step a killed fit went on from), cpu_s (of this process, so without what a
        kill lost) and peak_bytes (most memory the process has held so far; on a GPU also
        gpu_peak_bytes).
    """
    return {
        "key": key,
        "seed": seed,
        "spec": {**asdict(spec), "targets": list(spec.targets)},
        "spec_hash": spec.key(),
        "model": _model(model),
        "libraries": {name: library_version(name) for name in LIBRARIES},
        "environment": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "numerics": model.numerics,
            "threads": spec.threads,
        },
        "rows": len(train.texts),
        "classes": list(classes_of(train.labels, spec.task)),
        **nested_left_out(train.labels, spec.task),
        "epochs": list(fit.epochs),
        "resumed": fit.resumed,
        "cpu_s": cpu_s,
        **_peaks(model),
    }


def read_record(cache: Path, key: str) -> Stored | None:
    """Give a stored fit by its key: record, learnt state, scores by text key, and row arrays.

    Args:
        cache: Folder of all caches.
        key: As in `FitResult.key`.

    Returns:
        None where the cache has no such fit.
    """
    return read_fit(fit_path(cache, key))


def _model(model: Features) -> dict[str, Any]:
    told: dict[str, Any] = {"name": model.name, "revision": model.revision}
    if isinstance(model, Encoder):
        folder = model.folder
        told |= {
            "content": folder.content, "kind": folder.kind, "pooling": folder.pooling,
            "prefix": model.prefix, "remote_code": folder.remote_code,
        }  # fmt: skip
    return told


def _peaks(model: Features) -> dict[str, int]:
    found: dict[str, int] = {}
    if os.name != "nt":
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # Kilobytes everywhere but on a Mac.
        found["peak_bytes"] = most if sys.platform == "darwin" else most * KILO
    if isinstance(model, Encoder) and model.device == "cuda":
        import torch

        found["gpu_peak_bytes"] = int(torch.cuda.max_memory_allocated())
    return found
