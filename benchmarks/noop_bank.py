"""What does a chain of forty useless proposals claim to have won? Number 12 of the list.

Each replicate starts from a base set of banking77 (15 rows a class, 10 % wrong labels) and 500 test
rows. Forty times a random 2 % drop of what is left is proposed: nothing in kind. The gate takes a
proposal if the shipped looks call it better at the ledger's share alpha_i = .05 / (i (i + 1)); its
greedy rival takes every one whose score of one run rises. What they claim stands beside what
3,000 rows that nobody looked at say.

    python benchmarks/noop_bank.py [--cache DIR] [--data DIR] [--replicates 30] [--seconds S]

About 4 CPU seconds a replicate. Exit code 1 if the number is outside its bound.
"""

from __future__ import annotations

import sys

import numpy as np
from bank import (
    ALPHA,
    Arrays,
    Corpus,
    Heads,
    arguments,
    banked,
    left_after,
    line,
    moved_labels,
    plain,
)

from curator.impact.planning import default_margin
from curator.impact.sequence import LOOKS, MOST_SEEDS, standing
from curator.impact.statistics import crossed, interval, verdict

PROPOSALS = 40
PER_CLASS = 15
TEST_ROWS, FRESH_ROWS = 500, 3_000
SHARE = 0.02
BOUND = 0.001


def main() -> int:
    options = arguments(__doc__.splitlines()[0])
    options.add_argument("--replicates", type=int, default=30)
    args, found = banked(options, "noop", PER_CLASS, replicate)
    return 0 if not found or summary(found, args.replicates) else 1


def replicate(pool: Corpus, heads: Heads, number: int) -> Arrays:
    """Walk forty proposals by the gate, and forty of the same kind greedily."""
    rng = np.random.default_rng([51, number])
    order, k = rng.permutation(len(pool.texts)), len(pool.classes)
    base = np.concatenate([order[pool.truth[order] == c][:PER_CLASS] for c in range(k)])
    rest = left_after(order, base)
    test, fresh = rest[:TEST_ROWS], rest[TEST_ROWS : TEST_ROWS + FRESH_ROWS]
    noisy = moved_labels(pool.truth, rng.permutation(base)[: len(base) // 10], k, rng)

    def right(rows: np.ndarray, on: np.ndarray, seed: int) -> np.ndarray:
        return heads.right(plain(rows, noisy), on, seed).astype(np.float64)

    gated = gate(base, test, pool.truth[test], right, rng)
    greedy, claimed, taken = base, 0.0, 0
    for _ in range(PROPOSALS):
        proposal = dropped(greedy, rng)
        gain = right(proposal, test, 0).mean() - right(greedy, test, 0).mean()
        if gain > 0:
            greedy, claimed, taken = proposal, claimed + gain, taken + 1
    before = true_score(base, fresh, right)
    return {
        "gate": np.array([*gated[1:], true_score(gated[0], fresh, right) - before]),
        "greedy": np.array([claimed, taken, true_score(greedy, fresh, right) - before]),
    }


def gate(base, test, groups, right, rng) -> tuple[np.ndarray, float, int]:  # noqa: ANN001
    """Give the rows in the end, the gain claimed, and the proposals taken."""
    current, claimed, taken = base, 0.0, 0
    before: list[np.ndarray] = []
    for i in range(1, PROPOSALS + 1):
        proposal, after = dropped(current, rng), []
        for seeds, share in LOOKS:  # noqa: B007 - the last one is used below
            before += [right(current, test, s) for s in range(len(before), seeds)]
            after += [right(proposal, test, s) for s in range(len(after), seeds)]
            estimate = crossed(np.array(after) - np.array(before[:seeds]), groups)
            alpha, margin = ALPHA / (i * (i + 1)), default_margin(len(test))
            if standing(estimate, margin=margin, alpha=alpha, plan=LOOKS) != "open":
                break
        if verdict(*interval(estimate, alpha * share), margin) == "better":
            current, before = proposal, after
            claimed, taken = claimed + estimate.effect, taken + 1
    return current, claimed, taken


def dropped(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return left_after(rows, rng.permutation(rows)[: round(SHARE * len(rows))])


def true_score(rows, fresh, right) -> float:  # noqa: ANN001
    return float(np.mean([right(rows, fresh, s).mean() for s in range(MOST_SEEDS)]))


def summary(found: list[Arrays], count: int) -> bool:
    for name in ("gate", "greedy"):
        values = np.array([a[name] for a in found])
        claimed, taken, true = values.mean(axis=0)
        error = values[:, 0].std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        text = (
            f"claimed {100 * claimed:+.2f} +- {196 * error:.2f} points, {taken:.2f} of "
            f"{PROPOSALS} taken, on fresh rows {100 * true:+.2f}"
        )
        if name == "greedy":
            line("greedy", text, "shown only", met=None)
        else:
            ok = claimed <= BOUND
            met = line("gate with ledger", text, f"12. claimed <= {100 * BOUND:.1f} points",
                       met=ok if len(found) == count else None)  # fmt: skip
    return met


if __name__ == "__main__":
    sys.exit(main())
