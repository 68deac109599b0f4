"""Do the cheap explanations of a verdict say what training would? Numbers 8 and 9 of the list.

banking77, base sets of 15 rows a class, 3,000 other rows as test rows. *Ridge influence*: a row
left out against a refit; the sum over a random tenth of the rows against removing it; the sums over
12 sources (two of them with half of their labels wrong and ten alike, or all graded) against what
each source is worth to the probe under 8 seeds, and how well that can be known at all. *Shapley*: a
chain of four steps (drop copies, drop suspects, add rows of which 15 % are wrong, drop the
hardest), decisions frozen, all 16 companies under 4 seeds.

    python benchmarks/attribution_bank.py [--cache DIR] [--data DIR] [--replicates 20]

About 3 CPU seconds a replicate. Exit code 1 if a number is outside its bound.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from bank import (
    Arrays,
    Corpus,
    Heads,
    Rows,
    arguments,
    banked,
    left_after,
    line,
    moved_labels,
    plain,
)
from scipy import stats

from curator.impact.influence import PENALTY, ridge_influence
from curator.impact.sequence import MOST_SEEDS
from curator.impact.shapley import companies, share_out
from finetune.crossfit import crossfit

PER_CLASS = 15
TEST_ROWS = 3_000
DESIGNS = {
    "two dirty": (0.5, 0.5, *[0.05] * 10),
    "graded": (0.5, 0.4, *[0.02 * i for i in range(10)]),
}
"""Share of wrong labels in each of 12 sources."""

REFITS = 20
GROUPS = 40
COPIES, ADDED = 154, 250
STEPS = ("drop copies", "drop suspects", "add rows", "drop hardest")
SEEDS = 4


def main() -> int:
    options = arguments(__doc__.splitlines()[0])
    options.add_argument("--replicates", type=int, default=20)
    _, found = banked(options, "attribution", PER_CLASS, replicate)
    return 0 if not found or summary(found) else 1


def replicate(pool: Corpus, heads: Heads, number: int) -> Arrays:
    rng = np.random.default_rng([95, number])
    order, k = rng.permutation(len(pool.texts)), len(pool.classes)
    base = np.concatenate([order[pool.truth[order] == c][:PER_CLASS] for c in range(k)])
    rest = left_after(order, base)
    test, spare = rest[:TEST_ROWS], rest[TEST_ROWS:]
    base = rng.permutation(base)
    return influences(pool, heads, base, test, rng) | chain(pool, heads, base, test, spare, rng)


class Ridge:
    """The same regression by plain refits, in the precision asked for; rivals held.

    Args:
        x: Training rows, last column 1. t: Test rows.
    """

    def __init__(
        self, x: np.ndarray, labels: np.ndarray, t: np.ndarray, wanted: np.ndarray, k: int
    ) -> None:
        self.x, self.y, self.t, self.wanted = x, np.eye(k, dtype=x.dtype)[labels], t, wanted
        scores = t @ self.slopes(np.arange(len(x)))
        scores[np.arange(len(t)), wanted] = -np.inf
        self.rivals = scores.argmax(axis=1)

    def slopes(self, rows: np.ndarray) -> np.ndarray:
        """Fit some of the rows, shape (d, k)."""
        x = self.x[rows]
        penalty = np.eye(x.shape[1], dtype=x.dtype) * x.dtype.type(PENALTY)
        return np.linalg.solve(x.T @ x + penalty, x.T @ self.y[rows])

    def margin(self, rows: np.ndarray) -> float:
        """Give the mean margin over the test rows of a fit on some rows."""
        scores, m = (self.t @ self.slopes(rows)).astype(np.float64), np.arange(len(self.t))
        return float((scores[m, self.wanted] - scores[m, self.rivals]).mean())


def influences(
    pool: Corpus, heads: Heads, base: np.ndarray, test: np.ndarray, rng: np.random.Generator
) -> Arrays:
    """Number 8: rows, groups and sources, told by the closed form and by training."""
    n, k = len(base), len(pool.classes)
    labels, _ = with_sources(pool, base, DESIGNS["two dirty"], rng)
    x, t = heads.mapped[base], heads.mapped[test]
    told = ridge_influence(x, labels[base], np.ones(n), t, pool.truth[test], classes=k)
    exact = Ridge(x.astype(np.float64), labels[base], t.astype(np.float64), pool.truth[test], k)
    everyone, whole = np.arange(n), exact.margin(np.arange(n))
    some = rng.permutation(n)[:REFITS]
    refits = np.array([whole - exact.margin(np.delete(everyone, i)) for i in some])
    groups = [rng.permutation(n)[: n // 10] for _ in range(GROUPS)]
    found = {
        "margin": np.array([told.margin, whole]),
        "loo": np.stack([told.rows[some], refits]),
        "groups": np.array(
            [[told.rows[g].sum(), whole - exact.margin(np.delete(everyone, g))] for g in groups]
        ),
    }
    for name, shares in DESIGNS.items():
        found[name] = sources(pool, heads, base, test, with_sources(pool, base, shares, rng))
    return found


def with_sources(
    pool: Corpus, base: np.ndarray, shares: tuple[float, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Deal the rows to sources and move a share of each one's labels; labels, and the sources."""
    source = np.arange(len(base)) % len(shares)
    wrong = []
    for one, share in enumerate(shares):
        rows = rng.permutation(base[source == one])
        wrong.append(rows[: round(share * len(rows))])
    return moved_labels(pool.truth, np.concatenate(wrong), len(pool.classes), rng), source


def sources(
    pool: Corpus,
    heads: Heads,
    base: np.ndarray,
    test: np.ndarray,
    given: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Give per source its summed influence, and what it is worth to the probe on either half.

    The halves are the test rows of even and of odd place: how well they agree is how well the
    probe's own answer can be known.
    """
    labels, source = given
    n, k = len(base), len(pool.classes)
    wanted = pool.truth[test]
    told = ridge_influence(
        heads.mapped[base], labels[base], np.ones(n), heads.mapped[test], wanted, classes=k
    )

    def halves(rows: np.ndarray) -> np.ndarray:
        kept = plain(rows, labels)
        right = np.mean([heads.right(kept, test, s) for s in range(MOST_SEEDS)], axis=0)
        return np.array([right[::2].mean(), right[1::2].mean()])

    whole = halves(base)
    worth = [whole - halves(base[source != one]) for one in range(source.max() + 1)]
    sums = np.bincount(source, weights=told.rows)
    return np.column_stack([sums, worth])


def chain(
    pool: Corpus,
    heads: Heads,
    base: np.ndarray,
    test: np.ndarray,
    spare: np.ndarray,
    rng: np.random.Generator,
) -> Arrays:
    """Number 9: share a chain of four steps out; decisions are taken once, as it runs."""
    k, first = len(pool.classes), base[: len(base) // 2 + len(base) % 2]
    raw = np.concatenate([first, rng.permutation(first)[:COPIES]])
    more = rng.permutation(spare)[:ADDED]
    labels = moved_labels(pool.truth, rng.permutation(first)[: round(0.12 * len(first))], k, rng)
    labels = moved_labels(labels, rng.permutation(more)[: round(0.15 * ADDED)], k, rng)
    doubt = beliefs(pool, first, labels)
    suspect = first[doubt.argmax(axis=1) != labels[first]]
    later = np.concatenate([left_after(first, suspect), more])
    own = beliefs(pool, later, labels)[np.arange(len(later)), labels[later]]
    hard = later[np.argsort(own, kind="stable")][: len(later) // 10]

    def company(number: int) -> Rows:
        rows = np.unique(raw) if number & 1 else raw
        rows = left_after(rows, suspect) if number & 2 else rows
        rows = np.concatenate([rows, more]) if number & 4 else rows
        return plain(left_after(rows, hard) if number & 8 else rows, labels)

    begun = time.process_time()
    scores = {
        number: np.array(
            [heads.right(company(number), test, s) for s in range(SEEDS)], dtype=np.float64
        )
        for number in companies(len(STEPS))
    }
    shares = share_out(scores, pool.truth[test], steps=len(STEPS))
    spent = time.process_time() - begun
    ways = (shares.waterfall, shares.leave_one_out, shares.shapley or ())
    return {
        "shares": np.array([[one.effect for one in way] for way in ways]),
        "total": np.array(shares.total.effect),
        "spent": np.array(spent),
    }


def beliefs(pool: Corpus, at: np.ndarray, labels: np.ndarray) -> np.ndarray:
    alone = [f"{i}" for i in at]
    k = len(pool.classes)
    return crossfit(pool.vectors[at], labels[at], alone, classes=k, seed=0).probabilities


def summary(found: list[Arrays]) -> bool:
    margins = max(abs(a["margin"][0] - a["margin"][1]) for a in found)
    worst = max(np.abs(a["loo"][0] / a["loo"][1] - 1).max() for a in found)
    r = min(np.corrcoef(a["groups"].T)[0, 1] for a in found)
    slope = np.mean([np.polyfit(*a["groups"].T, 1)[0] for a in found])
    gap = max(abs(a["shares"][way].sum() - a["total"]) for a in found for way in (0, 2))
    spent = max(float(a["spent"]) for a in found)
    shares = 100 * np.mean([a["shares"] for a in found], axis=0)
    for name, way in zip(("waterfall", "leave one out", "Shapley"), shares, strict=True):
        told = ", ".join(f"{step} {one:+.2f}" for step, one in zip(STEPS, way, strict=True))
        print(f"  {name:14s} {told}; sum {way.sum():+.2f}")
    print(
        f"  total {100 * np.mean([a['total'] for a in found]):+.2f}; margins agree to {margins:.0e}"
    )
    return all(
        [
            line("a row left out v a refit, worst", f"{worst:.1e} relative", "8. <= 1e-8",
                 met=bool(worst <= 1e-8)),
            line("a tenth, summed v removed, least r", f"{r:.4f}, slope {slope:.2f}",
                 "8. >= .99", met=bool(r >= 0.99)),
            *[ranked(name, [a[name] for a in found]) for name in DESIGNS],
            line("Shapley sums to the total", f"{gap:.1e}", "9. <= 1e-9", met=bool(gap <= 1e-9)),
            line("16 companies x 4 seeds", f"{spent:.1f} CPU s at most", "9. <= 5",
                 met=bool(spent <= 5)),
        ]
    )  # fmt: skip


def ranked(name: str, found: list[np.ndarray]) -> bool:
    """Compare the ranks of 12 sources, mean over base sets."""
    told = np.mean([stats.spearmanr(a[:, 0], a[:, 1:].mean(axis=1))[0] for a in found])
    most = np.mean([stats.spearmanr(a[:, 1], a[:, 2])[0] for a in found])
    # Spearman 1904 and Brown 1910: what two halves agree in, both together can be known better.
    whole = 2 * most / (1 + most)
    text = f"{told:.2f}; halves of the probe's own answer {most:.2f}, so at most {whole**0.5:.2f}"
    return line(f"12 sources, ranks, {name}", text, "8. >= .8", met=bool(told >= 0.8))


if __name__ == "__main__":
    sys.exit(main())
