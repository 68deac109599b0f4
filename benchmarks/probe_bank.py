"""How often does the verdict err, and what does it see? The probe bank, over many base sets.

Each replicate draws from banking77 (train and test pooled) a base set of 15 rows a class, 10 % of
the labels moved at random, and other rows as test rows; looks at 3, 5 and 8 paired seeds, margin
one point, item part clustered by class. Six changes with a known answer are measured on 1,000 test
rows, and as many that touch a few classes only on 3,000, where a class has about 39.

    python benchmarks/probe_bank.py [--cache DIR] [--data DIR] [--replicates 100]

Only embeddings are cached: a fit costs hundredths of a second. Exit code 1 if a rate is outside its
bound. The bounds are those of the measurements that the procedure was chosen on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from verdict_honesty import Bench, arguments, open_bench

from curator.impact.sequence import LOOKS, standing
from curator.impact.statistics import Estimate, crossed, interval, p_value, verdict
from curator.impact.touched import claim_touched, class_parts
from finetune.embed import embed
from finetune.keys import canonical_order, slot_keys, text_key
from finetune.probe import fit_probe, predict_probe
from finetune.spec import default_spec

PER_CLASS = 15
TEST_ROWS = 1_000
MANY_ROWS = 3_000
MARGIN = 0.01
ALPHA = 0.05
CALLED = {"better", "worse"}
NOTHING = ("drop1", "copies1", "two_drops")
POWER = {"fix3": 0.74, "fix10": 0.99, "half": 0.92}
FEW_NOTHING = ("few_drop2", "few_two_drops2", "few_two_drops4")
FEW_POWER = {"starve2": 0.8, "feed2": 0.8, "starve4": 0.8, "feed4": 0.8}


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
    few = (*FEW_NOTHING, *FEW_POWER)
    met += [few_summary(name, [m[name] for m in measured]) for name in few]
    print(f"\n{pool.fits} fits, {time.process_time():.0f} CPU s in all")
    return 0 if all(met) else 1


@dataclass(frozen=True, slots=True)
class Found:
    """One change on one base set: its last look, and the classes it touched.

    p: p-value at 5 seeds, no looks, for comparison.
    parts: Of each touched class its verdict and effect.
    """

    estimate: Estimate
    word: str
    p: float
    parts: tuple[tuple[str, float], ...] = ()

    @property
    def called(self) -> bool:
        """Whether the change was called better or worse."""
        return self.word in CALLED


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

    def replicate(self, rng: np.random.Generator) -> dict[str, Found]:
        """Measure every change on a fresh base set."""
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
        right = self.scorer(noisy, test)
        found = {name: self.walk(right, *pair, test[:TEST_ROWS]) for name, pair in changes.items()}
        few = np.random.default_rng(rng.integers(2**32))
        for name, (pair, touched) in self.few_changes(base, noisy, few).items():
            found[name] = self.walk(right, *pair, test, touched=touched)
        return found

    def few_changes(
        self, base: np.ndarray, noisy: np.ndarray, rng: np.random.Generator
    ) -> dict[str, tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
        """Make changes that touch two or four classes: both sides, and these classes."""
        four = rng.permutation(len(self.classes))[:4]
        two = four[:2]

        def without(classes: np.ndarray, share: float) -> np.ndarray:
            gone = []
            for k in classes:
                rows = rng.permutation(base[noisy[base] == k])
                gone.append(rows[: round(share * len(rows))])
            return left_after(base, np.concatenate(gone))

        starved2, starved4 = without(two, 0.85), without(four, 0.85)
        return {
            "few_drop2": ((base, without(two, 0.07)), two),
            "few_two_drops2": ((without(two, 0.2), without(two, 0.2)), two),
            "few_two_drops4": ((without(four, 0.2), without(four, 0.2)), four),
            "starve2": ((base, starved2), two),
            "feed2": ((starved2, base), two),
            "starve4": ((base, starved4), four),
            "feed4": ((starved4, base), four),
        }

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Give base and test rows, as positions; no row is in both."""
        order = rng.permutation(len(self.texts))
        of_class = [order[self.truth[order] == k][:PER_CLASS] for k in range(len(self.classes))]
        base = np.concatenate(of_class)
        return base, left_after(order, base)[:MANY_ROWS]

    def walk(
        self,
        right: Callable[[np.ndarray, int], np.ndarray],
        first: np.ndarray,
        second: np.ndarray,
        test: np.ndarray,
        *,
        touched: np.ndarray | None = None,
    ) -> Found:
        """Look at 3, 5 and 8 seeds until the claim is done with."""
        m, groups = len(test), self.truth[test]
        five = crossed(self.differences(right, first, second, 5)[:, :m], groups)
        for seeds, share in LOOKS:  # noqa: B007 - the last one is used below
            differences = self.differences(right, first, second, seeds)[:, :m]
            estimate = crossed(differences, groups)
            if standing(estimate, margin=MARGIN, alpha=ALPHA, plan=LOOKS) != "open":
                break
        word = verdict(*interval(estimate, ALPHA * share), MARGIN)
        parts: tuple[tuple[str, float], ...] = ()
        if touched is not None:
            of_class = class_parts(differences, [str(k) for k in groups], map(str, touched))
            claims = claim_touched(of_class, None, alpha=ALPHA, share=share, margin=MARGIN)
            parts = tuple((c.verdict, c.effect or 0.0) for c in claims.classes)
        return Found(estimate, word, p_value(five), parts)

    def differences(
        self,
        right: Callable[[np.ndarray, int], np.ndarray],
        first: np.ndarray,
        second: np.ndarray,
        seeds: int,
    ) -> np.ndarray:
        """Give the score of the second set minus that of the first, shape (s, m)."""
        return np.array([right(second, s) - right(first, s) for s in range(seeds)])

    def scorer(
        self, labels: np.ndarray, test: np.ndarray
    ) -> Callable[[np.ndarray, int], np.ndarray]:
        """Give what trains on some rows under a seed and says which test rows it gets right."""
        known: dict[tuple[bytes, int], np.ndarray] = {}

        def right(rows: np.ndarray, seed: int) -> np.ndarray:
            key = (np.sort(rows).tobytes(), seed)
            if key not in known:
                known[key] = self.correct(rows, labels, test, seed)
            return known[key]

        return right

    def correct(
        self, rows: np.ndarray, labels: np.ndarray, test: np.ndarray, seed: int
    ) -> np.ndarray:
        """Give 1.0 where a test row is predicted right, shape (m,); copies share one weight."""
        _, places, counts = np.unique(rows, return_inverse=True, return_counts=True)
        weights = 1.0 / counts[places]
        keys = [self.keys[i] for i in rows]
        names = [self.classes[labels[i]] for i in rows]
        order = canonical_order(keys, names, weights)
        head = fit_probe(
            self.mapped[rows[order]],
            labels[rows[order]],
            weights[order],
            slot_keys([keys[i] for i in order]),
            classes=self.classes,
            spec=self.spec,
            seed=seed,
        )
        self.fits += 1
        predicted = predict_probe(self.mapped[test], head).argmax(axis=1)
        return np.asarray(predicted == self.truth[test], dtype=np.float64)


def left_after(rows: np.ndarray, gone: np.ndarray) -> np.ndarray:
    return rows[~np.isin(rows, gone)]


def summary(name: str, measured: list[Found]) -> bool:
    effects = np.array([one.estimate.effect for one in measured])
    words = [one.word for one in measured]
    counts = {word: words.count(word) for word in sorted(set(words))}
    called = sum(one.called for one in measured)
    seeds = np.mean([one.estimate.seeds for one in measured])
    rejected = sum(one.p < ALPHA for one in measured) / len(words)
    if name in NOTHING:
        met, bound = called <= 0.05 * len(words), "<= 5 %"
    else:
        right = "worse" if name == "half" else "better"
        wrong_sign = sum(word in CALLED and word != right for word in words)
        met = called >= POWER[name] * len(words) and wrong_sign <= 0.01 * len(words)
        bound = f">= {POWER[name]:.0%}, wrong sign {wrong_sign}"
    print(
        f"{name:14s} effect {100 * effects.mean():+.2f} (sd {100 * effects.std():.2f}) points; "
        f"called {told(called, len(words))} (bound {bound}) {'ok' if met else 'NOT MET'}; "
        f"mean seeds {seeds:.1f}; 5 seeds, no looks, interval excludes 0: {rejected:.1%}; {counts}"
    )
    return met


def few_summary(name: str, measured: list[Found]) -> bool:
    """Sum up a change of few classes: was any called, and of the true ones how many."""
    n = len(measured)
    words = [word for one in measured for word, _ in one.parts]
    effects = np.array([effect for one in measured for _, effect in one.parts])
    some = sum(any(word in CALLED for word, _ in one.parts) for one in measured)
    seeds = np.mean([one.estimate.seeds for one in measured])
    whole = sum(one.called for one in measured)
    if name in FEW_NOTHING:
        met, bound = some <= 0.05 * n, "<= 5 %"
    else:
        wrong = words.count("worse" if name.startswith("feed") else "better")
        met = some >= FEW_POWER[name] * n and wrong <= 0.01 * len(words)
        bound = f">= {FEW_POWER[name]:.0%}, classes of wrong sign {wrong}"
    print(
        f"{name:14s} effect inside {100 * effects.mean():+.1f} (sd {100 * effects.std():.1f}) "
        f"points; a class called in {told(some, n)} (bound {bound}) {'ok' if met else 'NOT MET'}; "
        f"classes called {sum(word in CALLED for word in words)} of {len(words)}; the whole called "
        f"{whole}; mean seeds {seeds:.1f}"
    )
    return met


def told(count: int, n: int) -> str:
    """Write a rate with its 95 % interval (Clopper and Pearson 1934)."""
    low = stats.beta.ppf(0.025, count, n - count + 1) if count else 0.0
    high = stats.beta.ppf(0.975, count + 1, n - count) if count < n else 1.0
    return f"{count} of {n} ({low:.0%} to {high:.0%})"


if __name__ == "__main__":
    sys.exit(main())
