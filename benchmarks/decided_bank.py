"""Of changes as people make them, how many does the verdict decide, and is it right?

Forty changes, fixed here before any was run: diffuse, of two classes, of a slice, augmentation (all
on banking77, base sets of 15 rows a class with 10 % wrong labels), and Chinese (DataCLUE CIC, 3,000
of its own noisy rows). Each has a base set of its own and 1,000, 2,000 or 3,000 test rows (CIC:
2,000); probe tier, shipped looks, margin and groups. A change is decided if it is called better,
worse or equivalent, or one of the classes it touched is called. The reference trains 40 other seeds
and asks other rows (banking77: all that are left; CIC: its 2,000 development rows).

    python benchmarks/decided_bank.py [--cache DIR] [--data DIR] [--seconds S]

About 3 CPU seconds a change. Exit code 1 if the bank is whole and a number outside its bound.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from bank import (
    ALPHA,
    CALLED,
    Arrays,
    Corpus,
    Heads,
    Rows,
    arguments,
    banking,
    corpus,
    line,
    open_minilm,
    planned,
    read_cic,
    told,
)
from changes import CHANGES, chinese_scene, english_scene
from probe_bank import is_done

from curator.impact.groups import item_groups
from curator.impact.planning import default_margin
from curator.impact.sequence import LOOKS, MOST_SEEDS
from curator.impact.statistics import crossed, interval, verdict
from curator.impact.touched import claim_touched, class_parts, touched_classes
from finetune.embed import Encoder
from finetune.tfidf import fit_tfidf

PER_CLASS = 15
CIC_BASE = 3_000
SIZES = (1_000, 2_000, 3_000)
REFERENCE_SEEDS = range(100, 140)
DECIDED, RIGHT = 0.60, 0.98


@dataclass(frozen=True, slots=True)
class Judged:
    """A change: its verdict, its reference, and the claims that were right and wrong."""

    kind: str
    name: str
    word: str
    effect: float
    reference: float
    classes: int
    right: int
    wrong: int

    @property
    def decided(self) -> bool:
        """Whether anything was shown."""
        return self.word != "undecided" or self.classes > 0


def main() -> int:
    args = arguments(__doc__.splitlines()[0]).parse_args()
    encoder = open_minilm()
    pool = banking(args.data, encoder, args.cache) if encoder else None
    cic = [read_cic(args.data, n) for n in ("train.json", "test_public.json", "dev.json")]
    if encoder is None or pool is None or not all(cic):
        return 0
    shops = chinese_corpus(cic)
    make = partial(measure, pool, encoder, shops, args.cache)
    folder = args.cache / "banks" / "decided"
    found = list(planned(folder, len(CHANGES), make, seconds=args.seconds))
    return 0 if not found or summary([judge(a) for a in found]) else 1


def chinese_corpus(parts: list) -> tuple[Corpus, list[int]]:
    """Give all of CIC's rows, training first, and where test and development rows begin."""
    model = fit_tfidf(parts[0][0])
    texts = [t for part in parts for t in part[0]]
    names = [n for part in parts for n in part[1]]
    starts = [len(parts[0][0]), len(parts[0][0]) + len(parts[1][0])]
    return corpus(texts, names, model.transform(texts)), starts


def measure(
    pool: Corpus, encoder: Encoder, shops: tuple[Corpus, list[int]], cache: Path, number: int
) -> Arrays:
    """Train both sides of a change under 8 seeds for the verdict and 40 for the reference."""
    kind, _, make = CHANGES[number]
    rng = np.random.default_rng([61, number])
    if kind == "Chinese":
        scene = chinese_scene(*shops, rng, rows=CIC_BASE)
    else:
        rows = SIZES[number % len(SIZES)]
        scene = english_scene(pool, encoder, cache, rng, per_class=PER_CLASS, test_rows=rows)
    before, after = make(scene)
    heads = Heads(scene.corpus(), rows=len(before.at), fitted_on=len(scene.pool.texts))
    test, others = scene.test, scene.others

    def right(rows: Rows, on: np.ndarray, seeds: range) -> np.ndarray:
        return np.array([heads.right(rows, on, s) for s in seeds], dtype=np.float64)

    seeds = range(MOST_SEEDS)
    d = right(after, test, seeds) - right(before, test, seeds)
    far = (right(after, others, REFERENCE_SEEDS) - right(before, others, REFERENCE_SEEDS)).mean(0)
    truth, k = scene.pool.truth, len(scene.pool.classes)
    names = [scene.pool.classes[c] for c in truth[test]]
    inside = np.bincount(truth[others], weights=far, minlength=k)
    return {
        "d": d.astype(np.int8), "truth": truth[test].astype(np.uint8), "number": np.array(number),
        "groups": item_groups(names, scene.pool.vectors[test], seed=0).groups.astype(np.uint8),
        "touched": np.array(sorted(map(int, touched(before, after)))),
        "reference": np.array(far.mean()),
        "inside": inside / np.maximum(1, np.bincount(truth[others], minlength=k)),
    }  # fmt: skip


def touched(before: Rows, after: Rows) -> frozenset[str]:
    """Name the classes that a change touched, as numbers."""
    seen = [
        Counter(zip(map(str, r.at), map(str, r.labels), r.weights.tolist(), strict=True))
        for r in (before, after)
    ]
    return touched_classes(*seen)


def judge(arrays: Arrays) -> Judged:
    """Walk over the looks; compare every call with the reference."""
    d, labels = arrays["d"].astype(np.float64), [str(c) for c in arrays["truth"]]
    groups, margin = arrays["groups"].astype(np.int64), default_margin(len(labels))
    names = [str(c) for c in arrays["touched"]]
    for seeds, share in LOOKS:  # noqa: B007 - the last one is used below
        whole = crossed(d[:seeds], groups)
        parts = class_parts(d[:seeds], labels, names)
        if is_done(whole, parts, margin):
            break
    word = verdict(*interval(whole, ALPHA * share), margin)
    claims = claim_touched(parts, None, alpha=ALPHA, share=share, margin=margin).classes
    called = [c for c in claims if c.verdict in CALLED]
    truths = [(c.effect or 0.0) * arrays["inside"][int(c.name)] > 0 for c in called]
    reference = float(arrays["reference"])
    if word in CALLED:
        truths.append(whole.effect * reference > 0)
    elif word == "equivalent":
        truths.append(abs(reference) < margin)
    kind, name, _ = CHANGES[int(arrays["number"])]
    good = sum(truths)
    return Judged(kind, name, word, whole.effect, reference, len(called), good, len(truths) - good)


def summary(found: list[Judged]) -> bool:
    for one in found:
        print(
            f"  {one.kind:13s} {one.name:34s} {one.word:10s} {100 * one.effect:+6.2f}, reference "
            f"{100 * one.reference:+6.2f}; classes called {one.classes}; claims wrong {one.wrong}"
        )
    n, whole = len(found), len(found) == len(CHANGES)
    for kind in dict.fromkeys(one.kind for one in found):
        own = [one.decided for one in found if one.kind == kind]
        line(kind, told(sum(own), len(own)), "shown only", met=None)
    decided = sum(one.decided for one in found)
    by_whole = sum(one.word != "undecided" for one in found)
    line("decided by the whole alone", told(by_whole, n), "shown only", met=None)
    claims = sum(one.right + one.wrong for one in found)
    right = sum(one.right for one in found)
    return all(
        [
            line("decided", told(decided, n), f"{len(CHANGES)} changes, >= {DECIDED:.0%}",
                 met=decided >= DECIDED * n if whole else None),
            line("claims with the right sign", told(right, claims), f">= {RIGHT:.0%}",
                 met=right >= RIGHT * claims if whole else None),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
