"""Does the verdict see real label errors? DataCLUE CIC: 10,000 noisy Chinese rows, 2,000 test rows.

Number 11 of the acceptance list. The label check ranks the training rows by models that never saw
them (TF-IDF features, no test row is looked at); the first 500 and 1,500 are dropped, as many rows
are dropped at random, and random 1 % drops do nothing. Probe tier, shipped looks, margin, groups.

    python benchmarks/cic_bank.py [--data DIR] [--draws 10]

About two CPU minutes. Exit code 1 if a number is outside its bound.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from bank import (
    Corpus,
    Heads,
    Walk,
    arguments,
    corpus,
    left_after,
    line,
    plain,
    read_cic,
    told,
    walk,
)

from curator.checks.label_errors import log_margins
from curator.impact.groups import item_groups
from curator.impact.planning import default_margin
from curator.near import choose_shingles, near_groups, near_pairs
from finetune.crossfit import crossfit
from finetune.panel import ask_panel
from finetune.tfidf import fit_tfidf

FEW, MANY = 500, 1_500
GAIN = 0.03
SOON = 5


def main() -> int:
    options = arguments(__doc__.splitlines()[0])
    options.add_argument("--draws", type=int, default=10)
    args = options.parse_args()
    train, test = read_cic(args.data, "train.json"), read_cic(args.data, "test_public.json")
    if train is None or test is None:
        return 0
    model = fit_tfidf(train[0])
    texts = [*train[0], *test[0]]
    chinese = corpus(texts, [*train[1], *test[1]], model.transform(texts))
    terms = model.terms_of(train[0], reduced=False)
    order = suspects(chinese, terms, len(train[0]))
    print(f"ranked {len(order):,} rows, {time.process_time():.0f} CPU s so far")
    bench = Bench(chinese, len(train[0]))
    met = [*detected(bench, order, args.draws), random_drops(bench, args.draws)]
    print(f"{bench.heads.fits} fits, {time.process_time():.0f} CPU s in all")
    return 0 if all(met) else 1


def suspects(chinese: Corpus, terms: object, n: int) -> np.ndarray:
    """Rank the training rows, the most suspicious first, as the label check does."""
    texts, targets, vectors = list(chinese.texts[:n]), chinese.truth[:n], chinese.vectors[:n]
    pairs = near_pairs(texts, threshold=0.7, shingles=choose_shingles(texts))
    groups = near_groups([f"{i:06d}" for i in range(n)], pairs)
    fit = crossfit(vectors, targets, groups, classes=len(chinese.classes), seed=0)
    beliefs = ask_panel(fit, vectors, terms, targets, groups).together
    margins, _ = log_margins(targets, np.maximum(beliefs, np.float32(1e-12)))
    return np.argsort(-margins, kind="stable")


class Bench:
    """All training rows, the test rows and their groups; each fit is made once.

    Args:
        chinese: Training rows, then test rows.
        n: Number of training rows.
    """

    def __init__(self, chinese: Corpus, n: int) -> None:
        self.truth, self.everyone = chinese.truth, np.arange(n)
        self.test = np.arange(n, len(chinese.texts))
        names = [chinese.classes[c] for c in chinese.truth[n:]]
        self.groups = item_groups(names, chinese.vectors[n:], seed=0).groups
        self.margin = default_margin(len(self.test))
        self.heads = Heads(chinese, rows=n)
        self.known: dict[tuple[bytes, int], np.ndarray] = {}

    def right(self, rows: np.ndarray, seed: int) -> np.ndarray:
        """Give 1.0 where a test row is predicted right."""
        key = (np.sort(rows).tobytes(), seed)
        if key not in self.known:
            found = self.heads.right(plain(rows, self.truth), self.test, seed)
            self.known[key] = found.astype(np.float64)
        return self.known[key]

    def judge(self, before: np.ndarray, after: np.ndarray) -> Walk:
        """Walk over the looks."""
        return walk(self.differences(before, after), self.groups, margin=self.margin)

    def differences(self, before: np.ndarray, after: np.ndarray) -> Callable[[int], np.ndarray]:
        """Give what shows the differences of so many seeds."""
        return lambda count: np.array(
            [self.right(after, s) - self.right(before, s) for s in range(count)]
        )


def detected(bench: Bench, order: np.ndarray, draws: int) -> list[bool]:
    """Drop suspects, and as many rows at random."""
    everyone, met = bench.everyone, []
    few = bench.judge(everyone, left_after(everyone, order[:FEW]))
    met.append(
        line(f"drop {FEW} suspects", shown(few), f"better within {SOON} seeds",
             met=few.word == "better" and few.estimate.seeds <= SOON)
    )  # fmt: skip
    many = left_after(everyone, order[:MANY])
    line(f"drop {MANY} suspects", shown(bench.judge(everyone, many)), "shown only", met=None)
    gains = []
    for draw in range(draws):
        rng = np.random.default_rng([41, draw])
        random = left_after(everyone, rng.permutation(everyone)[:MANY])
        found = bench.judge(random, many)
        gains.append(found.estimate.effect)
        if draw == 0:
            line("  v as many at random, first draw", shown(found), "shown only", met=None)
            line(f"drop {MANY} at random", shown(bench.judge(everyone, random)), "shown only",
                 met=None)  # fmt: skip
    text = f"mean {100 * np.mean(gains):+.2f}, least {100 * min(gains):+.2f} of {draws} draws"
    met.append(line(f"{MANY} suspects v random, points", text, f">= {100 * GAIN:.0f} in each",
                    met=min(gains) >= GAIN))  # fmt: skip
    return met


def random_drops(bench: Bench, draws: int) -> bool:
    """Drop 1 % at random, several times: neither better nor worse."""
    walks = []
    for draw in range(draws):
        rng = np.random.default_rng([42, draw])
        everyone = bench.everyone
        kept = left_after(everyone, rng.permutation(everyone)[: len(everyone) // 100])
        walks.append(bench.judge(everyone, kept))
    called = sum(one.called for one in walks)
    seeds = np.mean([one.estimate.seeds for one in walks])
    text = f"called {told(called, draws)}; first {shown(walks[0])}; mean seeds {seeds:.1f}"
    return line("drop a random 1 %", text, "none called", met=called == 0)


def shown(found: Walk) -> str:
    effect, low, high = (100 * x for x in (found.estimate.effect, found.low, found.high))
    return f"{found.word} {effect:+.2f} [{low:+.2f}, {high:+.2f}], {found.estimate.seeds} seeds"


if __name__ == "__main__":
    sys.exit(main())
