"""Scores of predictions, and where they go wrong: accuracy, F1, calibration, confusions.

The one idea: a score is a function of predictions and right answers, both as numbers 0..k-1, so it
can be asked of any seed, any resample and any slice; its interval resamples seeds and groups of
test rows together, as they move together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curator.impact.statistics import FloatArray, IntArray

BINS = 15
RESAMPLES = 500
COOLEST, HOTTEST = 0.05, 20.0
GOLDEN = (5**0.5 - 1) / 2
STEPS = 40

AnyInts = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Scored:
    """A score with its 95 % interval, 0..1."""

    value: float
    low: float
    high: float


def accuracy(wanted: AnyInts, told: AnyInts, classes: int) -> float:
    """Give the share of right answers; for one label a row micro-F1 is the same number."""
    del classes
    return float(np.mean(wanted == told))


def macro_f1(wanted: AnyInts, told: AnyInts, classes: int) -> float:
    """Give the mean F1 of the classes that occur among the right answers or the predictions."""
    right = np.bincount(wanted[wanted == told], minlength=classes)
    both = np.bincount(wanted, minlength=classes) + np.bincount(told, minlength=classes)
    there = both > 0
    return float(np.mean(2 * right[there] / both[there]))


def bootstrapped(
    score: Callable[[AnyInts, AnyInts, int], float],
    wanted: AnyInts,
    told: AnyInts,
    groups: IntArray,
    *,
    classes: int,
    seed: int,
) -> Scored:
    """Give a score, mean over seeds, with an interval over seeds and groups of test rows.

    Args:
        score: Of right answers, predictions and the number of classes.
        wanted: Right answers, shape (m,).
        told: Predictions per seed, shape (s, m).
        groups: Group of each test row, shape (m,); whole groups are drawn, with replacement.
        classes: Number k of classes.
        seed: Of the draws.

    Source: Owen 2007, the pigeonhole bootstrap (two ways at once).
    """
    rng = np.random.default_rng(seed)
    value = float(np.mean([score(wanted, one, classes) for one in told]))
    rows_of = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    drawn = np.empty(RESAMPLES)
    for at in range(RESAMPLES):
        chosen = rng.integers(0, len(rows_of), len(rows_of))
        rows = np.concatenate([rows_of[g] for g in chosen])
        seeds = rng.integers(0, len(told), len(told))
        drawn[at] = np.mean([score(wanted[rows], told[s][rows], classes) for s in seeds])
    low, high = np.quantile(drawn, [0.025, 0.975])
    # Resampled classes are fewer than all, so the quantiles may sit beside the value: hold it.
    return Scored(value, min(float(low), value), max(float(high), value))


def calibration_error(probabilities: FloatArray, right: npt.NDArray[np.bool_]) -> float:
    """Give how far confidence and share of right answers part, mean over equally wide bins, 0..1.

    Args:
        probabilities: Confidence in the predicted class, shape (m,).
        right: Whether the prediction is right, shape (m,).

    Source: Naeini, Cooper and Hauskrecht 2015 (ECE), 15 bins.
    """
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    size = np.bincount(bins, minlength=BINS)
    gap = np.bincount(bins, weights=probabilities - right, minlength=BINS)
    return float(np.abs(gap[size > 0]).sum() / len(probabilities))


def cooled(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Give probabilities (n, k) at another temperature; 1 leaves them as they are."""
    scores = np.log(np.maximum(probabilities, 1e-12)) / temperature
    scores -= scores.max(axis=1, keepdims=True)
    raised = np.exp(scores)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def best_temperature(probabilities: FloatArray, wanted: AnyInts) -> float:
    """Find the temperature under which the right answers of held-out rows are likeliest.

    Source: Guo et al. 2017, On calibration of modern neural networks.
    """

    def loss(log_temperature: float) -> float:
        told = cooled(probabilities, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(told[np.arange(len(told)), wanted], 1e-12)).mean())

    low, high = np.log(COOLEST), np.log(HOTTEST)
    for _ in range(STEPS):
        inner, outer = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if loss(inner) <= loss(outer):
            high = outer
        else:
            low = inner
    return float(np.exp((low + high) / 2))


def confusions(wanted: AnyInts, told: AnyInts) -> list[tuple[int, int, float]]:
    """List (right class, predicted class, mean number of rows per seed), the most frequent first.

    Args:
        wanted: Right answers, shape (m,).
        told: Predictions per seed, shape (s, m).
    """
    k = int(max(wanted.max(), told.max())) + 1
    pairs = np.bincount((wanted[None, :] * k + told).ravel(), minlength=k * k).astype(float)
    pairs[:: k + 1] = 0
    order = np.argsort(-pairs, kind="stable")
    return [(int(at // k), int(at % k), float(pairs[at] / len(told))) for at in order if pairs[at]]
