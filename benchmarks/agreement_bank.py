"""Does the cheap tier say what the dear one would? Verdicts of three tiers on the same changes.

One base set of 12 confusable classes of banking77 (168 rows, 15 % wrong labels), 400 other rows as
test rows, 22 changes fixed before any was run. One look at three paired seeds, at the plain 5 %, on
adapters in the top two layers and on adapters in all layers: how many verdicts agree, and whether
two ever contradict each other. The probe's effects are ranked against those of the top layers
(number 10 of the list).

    python benchmarks/agreement_bank.py [--cache DIR] [--data DIR] [--seconds S]

About 20 CPU seconds a change. Fits are cached: a killed run goes on. Exit code 1 if the bank is
whole and a number outside its bound.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from bank import (
    Arrays,
    Corpus,
    Heads,
    Rows,
    Walk,
    arguments,
    banking,
    left_after,
    line,
    moved_labels,
    open_minilm,
    planned,
    told,
    walk,
)
from changes import (
    Pair,
    Scene,
    add_clean,
    augmented,
    confuse_two,
    drop_random,
    feed_two,
    merge_into_one,
    more_wrong,
    remove_wrong,
    repair_wrong,
    scrambled,
    starve_two,
    typed,
    without,
)
from finetune_bank import draw
from scipy import stats

from augmenters import synonym
from curator.impact.groups import item_groups
from curator.impact.planning import default_margin
from curator.impact.sequence import MOST_SEEDS
from finetune import Training, fit_scores
from finetune.crossfit import crossfit
from finetune.embed import Encoder, embed
from finetune.spec import default_spec

PER_CLASS = 14
WRONG = 0.15
TEST_ROWS = 400
SEEDS = 3
ONE_LOOK = ((SEEDS, 1.0),)
TIERS = ("top-layers", "all-layers")
RIDGE = 0.1
RANKS = 0.85


def hardest(share: float, scene: Scene) -> Pair:
    """Drop the rows whose own label an out-of-fold model finds least likely."""
    found = beliefs(scene)
    own = found[np.arange(len(scene.base)), scene.labels[scene.base]]
    return without(scene, scene.base[np.argsort(own, kind="stable")][: round(share * len(own))])


def suspects(scene: Scene) -> Pair:
    """Drop every row that an out-of-fold model would have labelled otherwise."""
    other = beliefs(scene).argmax(axis=1) != scene.labels[scene.base]
    return without(scene, scene.base[other])


def beliefs(scene: Scene) -> np.ndarray:
    at, k = scene.base, len(scene.pool.classes)
    alone = [f"{i}" for i in at]
    fit = crossfit(scene.pool.vectors[at], scene.labels[at], alone, classes=k, seed=0)
    return fit.probabilities


def nearest_dropped(share: float, scene: Scene) -> Pair:
    """Drop the rows that stand nearest to another one, as a crude near-duplicate filter."""
    near = scene.pool.vectors[scene.base] @ scene.pool.vectors[scene.base].T
    np.fill_diagonal(near, -1)
    order = np.argsort(-near.max(axis=1), kind="stable")
    return without(scene, scene.base[order][: round(share * len(order))])


CHANGES: tuple[tuple[str, Callable[[Scene], Pair]], ...] = (
    ("drop a random 2 %", partial(drop_random, 0.02)),
    ("drop another random 2 %", partial(drop_random, 0.02)),
    ("drop a random 15 %", partial(drop_random, 0.15)),
    ("drop a random half", partial(drop_random, 0.5)),
    ("remove a third of the wrong rows", partial(remove_wrong, 1 / 3)),
    ("remove all wrong rows", partial(remove_wrong, 1.0)),
    ("repair half of the wrong rows", partial(repair_wrong, 0.5)),
    ("repair all wrong rows", partial(repair_wrong, 1.0)),
    ("drop suspects, crudely", suspects),
    ("drop the hardest 15 %", partial(hardest, 0.15)),
    ("drop the nearest 20 %", partial(nearest_dropped, 0.2)),
    ("10 % more wrong labels", partial(more_wrong, 0.1)),
    ("20 % more wrong labels", partial(more_wrong, 0.2)),
    ("starve two of 80 %", partial(starve_two, 0.8)),
    ("confuse two on 40 %", partial(confuse_two, 0.4)),
    ("melt one into its neighbour", merge_into_one),
    ("add half of clean rows", partial(add_clean, 0.5)),
    ("add 72 clean rows", partial(add_clean, 72 / 168)),
    ("30 more rows for two", partial(feed_two, 30)),
    ("typos at weight 1", partial(augmented, partial(typed, weight=1.0))),
    ("synonyms at weight 1",
     partial(augmented, lambda rows: synonym(rows, seed=0, share=0.2, weight=1.0).rows)),
    ("scrambled, a quarter mislabelled", scrambled),
)  # fmt: skip


def main() -> int:
    args = arguments(__doc__.splitlines()[0]).parse_args()
    encoder = open_minilm()
    pool = banking(args.data, encoder, args.cache) if encoder else None
    if encoder is None or pool is None:
        return 0
    make = partial(measure, pool, encoder, args.cache)
    folder = args.cache / "banks" / "agreement"
    found = list(planned(folder, len(CHANGES), make, seconds=args.seconds))
    return 0 if not found or summary(found) else 1


def measure(pool: Corpus, encoder: Encoder, cache: Path, number: int) -> Arrays:
    """Measure one change on every tier."""
    scene = base_set(pool, encoder, cache, np.random.default_rng([72, number]))
    before, after = CHANGES[number][1](scene)
    corpus = scene.corpus()
    names = [corpus.classes[c] for c in corpus.truth[scene.test]]
    groups = item_groups(names, corpus.vectors[scene.test], seed=0).groups
    found: Arrays = {"groups": groups.astype(np.uint8), "number": np.array(number)}
    for tier in TIERS:
        found[tier] = tuned(corpus, scene.test, (before, after), tier, encoder, cache)
    heads = Heads(corpus, rows=len(scene.base), fitted_on=len(scene.pool.texts))
    seeds = range(MOST_SEEDS)
    one, two = (np.array([heads.right(x, scene.test, s) for s in seeds]) for x in (before, after))
    ridges = [brier(corpus, x, scene.test) for x in (before, after)]
    effect = two.mean(dtype=float) - one.mean(dtype=float)
    return found | {"probe": np.array(effect), "ridge": np.array(ridges[0] - ridges[1])}


def base_set(pool: Corpus, encoder: Encoder, cache: Path, rng: np.random.Generator) -> Scene:
    """Draw the one base set; `rng` is what the change itself draws from."""
    fixed = np.random.default_rng(71)
    _, _, classes = draw(pool, fixed)
    inside = np.flatnonzero(np.isin(pool.truth, classes))
    local = Corpus(
        pool.texts[inside],
        np.searchsorted(classes, pool.truth[inside]),
        tuple(pool.classes[c] for c in classes),
        pool.vectors[inside],
    )
    order = fixed.permutation(len(inside))
    base = np.concatenate([order[local.truth[order] == c][:PER_CLASS] for c in range(len(classes))])
    rest = left_after(order, base)
    wrong = fixed.permutation(base)[: round(WRONG * len(base))]
    labels = moved_labels(local.truth, wrong, len(classes), fixed)
    test, spare = rest[:TEST_ROWS], rest[TEST_ROWS:]
    return Scene(local, rng, base, labels, wrong, test, spare[:0], spare,
                 lambda texts: embed(texts, encoder, cache=cache))  # fmt: skip


def tuned(
    corpus: Corpus,
    test: np.ndarray,
    pair: tuple[Rows, Rows],
    tier: str,
    encoder: Encoder,
    cache: Path,
) -> np.ndarray:
    """Give the differences of one tier, shape (s, m)."""
    spec = default_spec(tier, rows=PER_CLASS * len(corpus.classes))
    classes = np.array(corpus.classes, dtype=object)

    def right(rows: Rows) -> np.ndarray:
        train = Training(tuple(corpus.texts[rows.at]), tuple(classes[rows.labels]), rows.weights)
        results = fit_scores(
            train, list(corpus.texts[test]), classes=corpus.classes, spec=spec,
            seeds=range(SEEDS), model=encoder, projection=None, cache=cache,
        )  # fmt: skip
        found = [r.probabilities.argmax(axis=1) == corpus.truth[test] for r in results]
        return np.array(found, dtype=np.int8)

    return right(pair[1]) - right(pair[0])


def brier(corpus: Corpus, rows: Rows, test: np.ndarray) -> float:
    """Give the Brier score of a ridge regression on class indicators."""
    k = len(corpus.classes)
    x = np.hstack([corpus.vectors[rows.at], np.ones((len(rows.at), 1))]).astype(np.float64)
    y, w = np.eye(k)[rows.labels], rows.weights[:, None]
    slopes = np.linalg.solve(x.T @ (w * x) + RIDGE * np.eye(x.shape[1]), x.T @ (w * y))
    asked = np.hstack([corpus.vectors[test], np.ones((len(test), 1))])
    return float(np.square(asked @ slopes - np.eye(k)[corpus.truth[test]]).sum(axis=1).mean())


def again(arrays: Arrays, tier: str) -> Walk:
    d = arrays[tier].astype(np.float64)
    groups, margin = arrays["groups"].astype(np.int64), default_margin(TEST_ROWS)
    return walk(lambda seeds: d[:seeds], groups, margin=margin, plan=ONE_LOOK)


def summary(found: list[Arrays]) -> bool:
    n, whole = len(found), len(found) == len(CHANGES)
    same = against = both = 0
    rows = []
    for arrays in found:
        top, every = (again(arrays, tier) for tier in TIERS)
        same += top.word == every.word
        both += top.called and every.called
        against += top.called and every.called and top.word != every.word
        effects = [arrays[t].mean(dtype=float) for t in TIERS]
        rows.append([*effects, float(arrays["probe"]), float(arrays["ridge"])])
        told_here = ", ".join(
            f"{tier} {one.word} {100 * one.estimate.effect:+.2f}"
            for tier, one in zip(TIERS, (top, every), strict=True)
        )
        print(
            f"  {CHANGES[int(arrays['number'])][0]:34s} {told_here}, probe {100 * rows[-1][2]:+.2f}"
        )
    line("verdicts that agree", told(same, n), "shown, on >= 20 changes", met=None)
    met = [line("verdicts that contradict", f"{against} of {both} called by both", "0",
                met=against == 0 if whole else None)]  # fmt: skip
    if n > 2:
        ranks = np.array(rows)
        head, ridge, tiers = (stats.spearmanr(ranks[:, 0], ranks[:, i])[0] for i in (2, 3, 1))
        ok = max(head, ridge) >= RANKS
        met.append(
            line("rank correlation with top-layers", f"probe {head:.2f}, ridge Brier {ridge:.2f}",
                 f"10. one >= {RANKS}", met=ok if whole else None)
        )  # fmt: skip
        line("top-layers with all-layers", f"{tiers:.2f}", "shown only", met=None)
    return all(met)


if __name__ == "__main__":
    sys.exit(main())
