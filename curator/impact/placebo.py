"""Was it worth choosing these rows? A drop beside random drops of as many rows of the same classes.

The one idea: a random drop costs data as the real one does, so against it only the choice counts.
If the choice is no better than chance, all twenty drops are alike and the real one is the best of
them once in twenty times: an exact test that needs no variance. It says whether a detector is any
good, not whether dropping helped; a good detector may cost more rows than its errors did.

Source: a permutation test (Fisher 1935), the rank of one among exchangeable ones. Measured on 202
    base sets: 2.8 % called where the dropped rows held as many errors as the rest (nominal 5 %),
    36, 86 and 100 % where they held two, three and five times as many.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

import finetune
from curator.context import Context
from curator.impact.design import Ready, right_answers
from curator.impact.statistics import IntArray

PLACEBOS = 19
ENOUGH = 0.05
SEED = 0  # of training: one seed, the same for the real drop and for every placebo
DRAWS = 17  # seed of the draws

Answer = Literal["yes", "no", "not asked"]


@dataclass(frozen=True, slots=True)
class Placebo:
    """What random drops of the same classes and size did, beside the real one.

    better_than_random: yes where p is at most .05, else no.
    p: Share of the drops, the real one among them, that scored at least as well, 0..1.
    gain: Score of the real drop minus the mean of the placebos, a fraction.
    rows: Rows that were dropped.
    """

    better_than_random: Answer
    p: float | None
    gain: float | None
    rows: int
    placebos: int
    cost_cpu_s: float
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)


def only_drops(ready: Ready) -> bool:
    """Say whether the change only takes training rows away."""
    before, after = ready.before.seen_by_model(), ready.after.seen_by_model()
    untouched = ready.test.before == ready.test.after
    return untouched and not after - before and bool(before - after)


def placebo(ready: Ready, context: Context) -> Placebo:
    """Compare a drop with random drops of as many rows of the same classes.

    Args:
        ready: A change that only drops rows, on the probe.
        context: Features and caches.

    Raises:
        finetune.FitError: A fit failed.
    """
    before = ready.before.training()
    gone = ready.before.seen_by_model() - ready.after.seen_by_model()
    counts = Counter(label for (_, label, _), n in gone.items() for _ in range(n))
    real, cost = _score(ready, ready.after.training(), context)
    scores = []
    for draw in range(PLACEBOS):
        kept = _without(before.labels, counts, np.random.default_rng([DRAWS, draw]))
        score, seconds = _score(ready, _rows(before, kept), context)
        scores.append(score)
        cost += seconds
    p = (1 + sum(score >= real for score in scores)) / (1 + PLACEBOS)
    return _said(p, real - float(np.mean(scores)), counts.total(), cost)


def _score(ready: Ready, training: finetune.Training, context: Context) -> tuple[float, float]:
    right, seconds = right_answers(ready, training, context, seed=SEED)
    return float(right[ready.fresh].mean()), seconds


def _without(labels: tuple[str, ...], counts: Counter[str], rng: np.random.Generator) -> IntArray:
    """Draw the rows that stay, in order, when so many of each class leave at random."""
    named = np.asarray(labels, dtype=object)
    gone = [
        rng.permutation(np.flatnonzero(named == label))[:n] for label, n in sorted(counts.items())
    ]
    return np.setdiff1d(np.arange(len(labels)), np.concatenate(gone))


def _rows(training: finetune.Training, kept: IntArray) -> finetune.Training:
    return finetune.Training(
        tuple(training.texts[i] for i in kept),
        tuple(training.labels[i] for i in kept),
        training.weights[kept],
    )


def _said(p: float, gain: float, rows: int, cost: float) -> Placebo:
    answer: Answer = "yes" if p <= ENOUGH else "no"
    shown = "better" if answer == "yes" else "not shown to be better"
    sentence = (
        f"Screen (probe): dropping these {rows:,} rows is {shown} than dropping as many of the "
        f"same classes at random ({100 * gain:+.1f} points against the mean of {PLACEBOS} such "
        f"drops, p = {p:.2f})."
    )
    return Placebo(answer, p, gain, rows, PLACEBOS, cost, sentence)
