"""Does the verdict on real fine-tunes call a change that does nothing? The A/A bank, top-layers.

Each pair stands alone: a random class of banking77 and the 11 nearest to it, 15 rows of each, 15 %
of the labels moved at random (180 rows), 600 other rows of these classes as test rows, and seeds
of its own. A third of the pairs drops 2 % of the rows at random, a third exchanges 2 % for copies
of other rows, a third compares two random 10 % drops. The shipped spec (LoRA in the top two layers,
head started from a regression), the shipped groups, looks and margin.

Beside it stands what one run against one run calls (McNemar's test at 5 %), under two seeds, as
it is mostly done, and under one.

    python benchmarks/finetune_bank.py [--cache DIR] [--data DIR] [--pairs 150] [--seconds S]

About 15 CPU seconds a pair. Fits are cached, raw differences are kept under `banks/` of the cache:
a killed run goes on. Exit code 1 if the bank is whole and a rate outside its bound.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from bank import (
    MARGIN,
    Arrays,
    Corpus,
    Walk,
    arguments,
    banking,
    ends,
    left_after,
    line,
    mcnemar,
    moved_labels,
    open_minilm,
    planned,
    small,
    told,
    walk,
    words_of,
)

from curator.impact.groups import item_groups
from curator.impact.sequence import MOST_SEEDS
from finetune import Training, fit_scores
from finetune.embed import Encoder
from finetune.spec import default_spec

KINDS = ("drop 2 %", "copies for 2 %", "two 10 % drops")
NEAR_CLASSES = 12
PER_CLASS = 15
WRONG = 0.15
TEST_ROWS = 600
UPPER = 0.10


def main() -> int:
    options = arguments(__doc__.splitlines()[0], seconds=6_000)
    options.add_argument("--pairs", type=int, default=150)
    args = options.parse_args()
    encoder = open_minilm()
    pool = banking(args.data, encoder, args.cache) if encoder else None
    if encoder is None or pool is None:
        return 0

    def make(number: int) -> Arrays:
        return pair(number, pool, encoder, args.cache)

    folder = args.cache / "banks" / "aa-top-layers"
    found = list(planned(folder, args.pairs, make, seconds=args.seconds, enough=has_seeds))
    return 0 if summary(found, args.pairs) else 1


def pair(number: int, pool: Corpus, encoder: Encoder, cache: Path) -> Arrays:
    """Measure one do-nothing change on a base set of its own, seeds as far as the looks ask."""
    rng = np.random.default_rng([21, number])
    base, test, classes = draw(pool, rng)
    local = np.searchsorted(classes, pool.truth)
    wrong = rng.permutation(base)[: round(WRONG * len(base))]
    labels = moved_labels(local, wrong, NEAR_CLASSES, rng)
    names = np.array([pool.classes[k] for k in classes])
    first, second = changed(KINDS[number % len(KINDS)], base, rng)
    groups = item_groups(list(names[local[test]]), pool.vectors[test], seed=0)
    known: dict[int, list[np.ndarray]] = {0: [], 1: []}

    def right(side: int, rows: np.ndarray, count: int) -> np.ndarray:
        """Train under further seeds until there are so many; say what they get right."""
        seeds = range(MOST_SEEDS * number + len(known[side]), MOST_SEEDS * number + count)
        train = Training(tuple(pool.texts[rows]), tuple(names[labels[rows]]), np.ones(len(rows)))
        results = fit_scores(
            train, list(pool.texts[test]), classes=tuple(sorted(names)),
            spec=default_spec("top-layers", rows=len(base)), seeds=seeds, model=encoder,
            projection=None, cache=cache,
        )  # fmt: skip
        wanted = np.searchsorted(np.sort(names), names[local[test]])
        known[side] += [r.probabilities.argmax(axis=1) == wanted for r in results]
        return np.array(known[side], dtype=np.float64)

    def differences(count: int) -> np.ndarray:
        return right(1, second, count) - right(0, first, count)

    walk(differences, groups.groups)
    return {
        "before": small(np.array(known[0])), "after": small(np.array(known[1])),
        "groups": groups.groups.astype(np.int16), "kind": np.array(number % len(KINDS)),
    }  # fmt: skip


def draw(pool: Corpus, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give base rows, test rows and the classes: a random one and those nearest to it."""
    centres = np.array([pool.vectors[pool.truth == k].mean(0) for k in range(len(pool.classes))])
    anchor = rng.integers(len(pool.classes))
    distance = np.linalg.norm(centres - centres[anchor], axis=1)
    classes = np.sort(np.argsort(distance, kind="stable")[:NEAR_CLASSES])
    order = rng.permutation(np.flatnonzero(np.isin(pool.truth, classes)))
    base = np.concatenate([order[pool.truth[order] == k][:PER_CLASS] for k in classes])
    return base, left_after(order, base)[:TEST_ROWS], classes


def changed(kind: str, base: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Give both sides of a change that does nothing in kind."""
    n = len(base)
    few = max(1, round(0.02 * n))
    if kind == "two 10 % drops":
        first, second = (left_after(base, rng.permutation(base)[: n // 10]) for _ in "ab")
        return first, second
    kept = left_after(base, rng.permutation(base)[:few])
    copies = rng.permutation(kept)[:few] if kind == "copies for 2 %" else kept[:0]
    return base, np.concatenate([kept, copies])


def has_seeds(arrays: Arrays) -> bool:
    """Say whether the looks, which may have changed, ask for no more seeds than are stored."""
    try:
        again(arrays)
    except LookupError:
        return False
    return True


def again(arrays: Arrays) -> Walk:
    """Walk over the looks once more, on stored differences."""
    whole = arrays["after"].astype(np.float64) - arrays["before"]

    def stored(seeds: int) -> np.ndarray:
        if seeds > len(whole):
            raise LookupError(f"{len(whole)} seeds are stored, a look asks for {seeds}")
        return whole[:seeds]

    return walk(stored, arrays["groups"].astype(np.int64), margin=MARGIN)


def summary(found: list[Arrays], count: int) -> bool:
    """Print the rates, and what one run against one run would have called."""
    walks = [again(arrays) for arrays in found]
    kinds = [KINDS[int(arrays["kind"])] for arrays in found]
    for kind in KINDS:
        own = [one for one, name in zip(walks, kinds, strict=True) if name == kind]
        seeds = np.mean([one.estimate.seeds for one in own]) if own else 0.0
        print(f"  {kind}: {words_of(own)}; mean seeds {seeds:.1f}")
    called = sum(one.called for one in walks)
    whole = len(found) == count
    upper = ends(called, len(found))[1] if found else 1.0
    met = line(
        "do nothing, called better or worse", told(called, len(found)),
        f"<= 5 %, upper end <= {UPPER:.0%}, {count} pairs",
        met=(called <= 0.05 * count and upper <= UPPER) if whole else None,
    )  # fmt: skip
    certain = sum(one.low > 0 or one.high < 0 for one in walks)
    line("equality not asked, at that look", told(certain, len(found)), "shown only", met=None)
    one_run(found)
    return met


def one_run(found: list[Arrays]) -> None:
    """Say what McNemar's test calls on one run a side, and how far seeds alone move a score."""
    other = sum(mcnemar(a["before"][0], a["after"][1]) < 0.05 for a in found)
    same = sum(mcnemar(a["before"][0], a["after"][0]) < 0.05 for a in found)
    line("one run v one run, other seed", told(other, len(found)), "shown only", met=None)
    line("one run v one run, same seed", told(same, len(found)), "shown only", met=None)
    paired = [(a["after"].astype(float) - a["before"]).mean(1).var(ddof=1) for a in found]
    alone = [a[side].mean(1).var(ddof=1) for a in found for side in ("before", "after")]
    ratio = np.mean(paired) / (2 * np.mean(alone))
    print(f"  variance over seeds of a difference, paired by unpaired: {ratio:.2f}")


if __name__ == "__main__":
    sys.exit(main())
