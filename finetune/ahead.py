"""Many fits at once: worker processes fill the fit cache before anybody asks for a score.

The one idea: a fit is found by its content, so whoever trains it does not matter. Workers are plain
child processes with a job file, not a pool that imports the caller's script again; each computes
with one thread, so a fit has the same bits as one made alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .answers import TOKENS, answer_labels, as_answer
from .embed import Encoder, Progress, Report, embed, open_encoder
from .errors import FitError
from .fits import fit_key, fit_revision, fit_scores
from .inputs import activations, inputs_of
from .spec import FitSpec
from .tiers import Training, asked_of


@dataclass(frozen=True, slots=True)
class FitJob:
    """A training set and the texts its models will be asked to score."""

    train: Training
    test_texts: tuple[str, ...]


def fit_ahead(
    jobs: Sequence[FitJob],
    *,
    spec: FitSpec,
    seeds: Sequence[int],
    encoder: Encoder,
    cache: Path,
    workers: int | None = None,
    progress: Report | None = None,
) -> int:
    """Train what the fit cache lacks, several fits side by side.

    Args:
        jobs: Training sets; equal ones are trained once.
        spec: Of a tier above the probe.
        seeds: One fit per job and seed.
        encoder: From a local folder, on the processor; on a GPU nothing is done here.
        cache: Folder of all caches.
        workers: Processes; by default one per two fits, at most one per core.
        progress: Called per finished fit with stage "fit", and for features before.

    Returns:
        Fits made; 0 where fewer than two were missing, or nothing would be gained.

    Raises:
        FitError: A worker failed; its message.
    """
    revision = fit_revision(spec, encoder, None)
    missing: dict[str, tuple[int, int]] = {}
    for number, job in enumerate(jobs):
        for seed in seeds:
            key = fit_key(job.train, spec, seed, revision)
            if not (cache / "fits" / f"{key}.npz").exists():
                missing.setdefault(key, (number, seed))
    count = min(workers or os.cpu_count() or 1, len(missing) // 2)
    if count <= 1 or encoder.device != "cpu":
        return 0
    texts = sorted({t for job in jobs for t in (*job.train.texts, *job.test_texts)})
    if spec.task == TOKENS:  # a worker reads windows, and starts heads from the states of words
        texts = asked_of(texts, spec.task, encoder).texts
        activations(texts, encoder, layers=0, cache=cache, progress=progress)
    else:
        embed(texts, encoder, cache=cache, progress=progress)
    inputs_of(texts, encoder, spec, cache=cache, progress=progress)
    shares = [list(missing.values())[start::count] for start in range(count)]
    with _started(jobs, shares, spec, encoder, cache) as processes:
        _watch(processes, len(missing), progress)
    return len(missing)


@contextmanager
def _started(
    jobs: Sequence[FitJob],
    shares: Sequence[Sequence[tuple[int, int]]],
    spec: FitSpec,
    encoder: Encoder,
    cache: Path,
) -> Iterator[list[subprocess.Popen[str]]]:
    """Start one process per share; none outlives the block."""
    processes: list[subprocess.Popen[str]] = []
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number, share in enumerate(shares):
                path = Path(folder) / f"{number}.json"
                path.write_text(json.dumps(_written(jobs, share, spec, encoder, cache)))
                command = [sys.executable, "-m", "finetune.ahead", str(path)]
                processes.append(
                    subprocess.Popen(  # noqa: S603 - our own module
                        command,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        text=True,
                        env={**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join(sys.path)},
                    )
                )
            yield processes
        finally:
            for process in processes:
                process.kill()
                process.wait()
                if process.stdout:
                    process.stdout.close()


def _written(
    jobs: Sequence[FitJob],
    share: Sequence[tuple[int, int]],
    spec: FitSpec,
    encoder: Encoder,
    cache: Path,
) -> dict[str, Any]:
    used = sorted({number for number, _ in share})
    return {
        "folder": str(encoder.folder.path),
        "model": {
            "max_tokens": encoder.max_tokens,
            "prefix": encoder.prefix,
            "pooling": encoder.folder.pooling,
            "remote_code": encoder.folder.remote_code,
        },
        "cache": str(cache.resolve()),
        "spec": asdict(spec),
        "jobs": {
            str(n): {
                "texts": jobs[n].train.texts,
                "labels": jobs[n].train.labels,
                "weights": [float(w) for w in jobs[n].train.weights],
                "groups": jobs[n].train.groups,
                "test": jobs[n].test_texts,
            }
            for n in used
        },
        "fits": list(share),
    }


def _watch(processes: Sequence[subprocess.Popen[str]], total: int, progress: Report | None) -> None:
    """Read a line per finished fit from all workers; raise what a worker says went wrong."""
    import selectors

    done = 0
    with selectors.DefaultSelector() as ready:
        for process in processes:
            ready.register(process.stdout, selectors.EVENT_READ, process)  # type: ignore[arg-type]
        said: dict[int, list[str]] = {process.pid: [] for process in processes}
        while ready.get_map():
            for key, _ in ready.select():
                line = key.fileobj.readline()  # type: ignore[union-attr]
                if not line:
                    ready.unregister(key.fileobj)
                elif line.startswith("fit "):
                    done += 1
                    if progress:
                        progress(Progress("fit", done, total, 0))
                else:
                    said[key.data.pid].append(line)
    for process in processes:
        if process.wait() != 0:
            raise FitError("".join(said[process.pid][-20:]).strip() or "a worker was killed")


def _work(path: Path) -> None:
    """Do the fits of a job file, one line on stdout for each."""
    values = json.loads(path.read_text())
    spec = FitSpec(**{**values["spec"], "targets": tuple(values["spec"]["targets"])})
    encoder = open_encoder(Path(values["folder"]), **values["model"])
    for number, seed in values["fits"]:
        job = values["jobs"][str(number)]
        groups = tuple(job["groups"]) if job["groups"] else None
        train = Training(
            tuple(job["texts"]),
            tuple(map(as_answer, job["labels"])),
            np.array(job["weights"]),
            groups,
        )
        fit_scores(
            train, job["test"], classes=answer_labels(train.labels, spec.task), spec=spec,
            seeds=[seed], model=encoder, projection=None, cache=Path(values["cache"]),
        )  # fmt: skip
        sys.stdout.write(f"fit {number} {seed}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    try:
        _work(Path(sys.argv[1]))
    except FitError as fault:
        raise SystemExit(str(fault)) from fault
