"""How often does the verdict err, and what does it see? The probe bank, over many base sets.

Each replicate draws from banking77 (train and test pooled) a base set of 15 rows a class, 10 % of
the labels moved at random, and 1,000 other rows as test rows; five paired seeds, margin one point,
item part clustered by class. Seven changes with a known answer are measured on it.

    python benchmarks/probe_bank.py [--cache DIR] [--data DIR] [--replicates 100]

Only embeddings are cached: a fit costs hundredths of a second. Exit code 1 if a rate is outside its
bound. The bounds are those of the measurements that the procedure was chosen on.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from verdict_honesty import SEEDS, Bench, arguments, open_bench

from curator.impact.statistics import crossed, interval, p_value, verdict
from finetune.embed import embed
from finetune.keys import canonical_order, slot_keys, text_key
from finetune.probe import fit_probe, predict_probe
from finetune.spec import default_spec

PER_CLASS = 15
TEST_ROWS = 1_000
MARGIN = 0.01
NOTHING = ("drop1", "copies1", "two_drops")
POWER = {"fix3": 0.74, "fix10": 0.99, "half": 0.92}


def main() -> int:
    options = arguments(__doc__.splitlines()[0])
    options.add_argument("--replicates", type=int, default=100)
    args = options.parse_args()
    bench = open_bench(args.data / "banking77", args.cache)
    if bench is None:
        return 0
    pool = Pool(bench)
    measured = [pool.replicate(np.random.default_rng([4, i])) for i in range(args.replicates)]
    met = [summary(name, [m[name] for m in measured]) for name in (*NOTHING, *POWER)]
    print(f"\n{pool.fits} fits, {time.process_time():.0f} CPU s in all")
    return 0 if all(met) else 1


class Pool:
    """All rows of the corpus, mapped once; draws replicates from them."""

    def __init__(self, bench: Bench) -> None:
        self.texts = [*bench.texts, *bench.test_texts]
        self.classes = bench.classes
        vectors = embed(self.texts, bench.encoder, cache=bench.cache)
        self.mapped = bench.projection.apply(vectors)
        named = np.array([*bench.labels, *bench.test_labels], dtype=object)
        self.truth = np.searchsorted(np.array(bench.classes, dtype=object), named)
        self.keys = [text_key(text) for text in self.texts]
        self.spec = default_spec("probe", rows=PER_CLASS * len(self.classes))
        self.fits = 0

    def replicate(self, rng: np.random.Generator) -> dict[str, tuple[float, float, str]]:
        """Measure every change on a fresh base set: effect, p-value, verdict."""
        base, test = self.draw(rng)
        n = len(base)
        noisy = self.truth.copy()
        wrong = rng.permutation(base)[: n // 10]
        noisy[wrong] = (noisy[wrong] + rng.integers(1, len(self.classes), len(wrong))) % len(
            self.classes
        )
        changes = {
            "drop1": (base, left_after(base, rng.permutation(base)[: n // 100])),
            "copies1": (base, np.concatenate([base, rng.permutation(base)[: n // 100]])),
            "two_drops": tuple(left_after(base, rng.permutation(base)[: n // 10]) for _ in "ab"),
            "fix3": (base, left_after(base, wrong[: 3 * n // 100])),
            "fix10": (base, left_after(base, wrong)),
            "half": (base, left_after(base, rng.permutation(base)[: n // 2])),
        }
        before = self.correct(base, noisy, test)
        found = {}
        for name, (first, second) in changes.items():
            old = before if first is base else self.correct(first, noisy, test)
            estimate = crossed(self.correct(second, noisy, test) - old, self.truth[test])
            low, high = interval(estimate)
            word = verdict(low, high, MARGIN)
            found[name] = (estimate.effect, p_value(estimate), word)
        return found

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Give base and test rows, as positions; no row is in both."""
        order = rng.permutation(len(self.texts))
        of_class = [order[self.truth[order] == k][:PER_CLASS] for k in range(len(self.classes))]
        base = np.concatenate(of_class)
        return base, left_after(order, base)[:TEST_ROWS]

    def correct(self, rows: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Give 1.0 where a test row is predicted right, shape (s, m); copies share one weight."""
        _, places, counts = np.unique(rows, return_inverse=True, return_counts=True)
        weights = 1.0 / counts[places]
        keys = [self.keys[i] for i in rows]
        names = [self.classes[labels[i]] for i in rows]
        order = canonical_order(keys, names, weights)
        slots = slot_keys([keys[i] for i in order])
        right = []
        for seed in range(SEEDS):
            head = fit_probe(
                self.mapped[rows[order]],
                labels[rows[order]],
                weights[order],
                slots,
                classes=self.classes,
                spec=self.spec,
                seed=seed,
            )
            predicted = predict_probe(self.mapped[test], head).argmax(axis=1)
            right.append(predicted == self.truth[test])
        self.fits += SEEDS
        return np.array(right, dtype=np.float64)


def left_after(rows: np.ndarray, gone: np.ndarray) -> np.ndarray:
    return rows[~np.isin(rows, gone)]


def summary(name: str, measured: list[tuple[float, float, str]]) -> bool:
    effects = np.array([one[0] for one in measured])
    words = [one[2] for one in measured]
    counts = {word: words.count(word) for word in sorted(set(words))}
    called = sum(word in {"better", "worse"} for word in words) / len(words)
    rejected = sum(one[1] < 0.05 for one in measured) / len(words)
    if name in NOTHING:
        met, bound = called <= 0.05, "<= 5 %"
    else:
        right = "worse" if name == "half" else "better"
        wrong_sign = sum(word in {"better", "worse"} and word != right for word in words)
        met = called >= POWER[name] and wrong_sign <= 0.01 * len(words)
        bound = f">= {POWER[name]:.0%}, wrong sign {wrong_sign}"
    print(
        f"{name:10s} effect {100 * effects.mean():+.2f} (sd {100 * effects.std():.2f}) points; "
        f"called {called:.1%} (bound {bound}) {'ok' if met else 'NOT MET'}; "
        f"interval excludes 0: {rejected:.1%}; {counts}"
    )
    return met


if __name__ == "__main__":
    sys.exit(main())
