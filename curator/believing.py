"""From what models believe to the probability that a given label is wrong.

The one idea: out-of-sample probabilities say which class looks likeliest, not how often labels like
this one are wrong. A noise matrix P(given | true) says that. Two ways to it, both without a human:
*anchored* takes the shape of cleanlab's confident joint and the rate that cleanlab counts, and
sharpens the probabilities (one temperature) until P(wrong) has that rate as its mean. Where that
takes more sharpening than any model deserves, the rate is not supported, and a noise layer fitted
by *EM* stands in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]
How = Literal["anchored", "em", "unsupported"]

PSEUDO_ROWS = 20.0
"""Rows per true class that speak for the shared rate and for errors in the shares of classes."""

LEAST_ANCHORED = 0.3
"""Under this temperature the counted rate is not supported: EM. Of seven sets one fell below."""

ANCHORED_TEMPERATURES = (0.1, 0.15, 0.22, 0.33, 0.5, 0.75, 1.1, 1.6)
"""Between the first two neighbours of these where the mean of P(wrong) falls to the rate."""

MOST_CLASSES = 1000
"""A noise layer of more classes has millions of cells and but a few rows for each: not fitted."""

EM_TEMPERATURES = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.3)
EM_TRIALS, EM_ROUNDS = 6, 30
BLOCK_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """How labels go wrong.

    rate: Share of labels that are wrong, 0..1: the mean of P(wrong).
    counted: What cleanlab counted, 0..1.
    how: anchored (at the counted rate), em (fitted by likelihood), or unsupported (the models do
        not bear the counted rate out, and there are too many classes for a fit: held at
        LEAST_ANCHORED).
    temperature: Exponent 1 / temperature sharpens the probabilities.
    matrix: P(given | true), shape (k, k), float32, row = given, columns sum to 1.
    """

    rate: float
    counted: float
    how: How
    temperature: float
    matrix: FloatArray


@dataclass(frozen=True, slots=True)
class Doubts:
    """What can be said of each given label, in the order of the rows.

    p_wrong: Probability that the label is wrong, shape (n,), 0..1.
    suggested: Likeliest other class, shape (n,).
    p_fix: Probability that the suggested class is the right one, shape (n,), 0..p_wrong.
    """

    p_wrong: FloatArray
    suggested: IntArray
    p_fix: FloatArray
    noise: LabelNoise


def doubt_labels(
    labels: IntArray, beliefs: FloatArray, joint: IntArray | FloatArray, *, wrong_labels: int
) -> Doubts:
    """Give P(wrong), the likeliest other class and P(that fix is right) for each row.

    Args:
        labels: Given class per row, shape (n,), values 0..k-1, n >= 1.
        beliefs: Out-of-sample class probabilities, shape (n, k), k >= 2, all above 0.
        joint: Confident joint: rows counted by given class (row) and true class (column), (k, k).
        wrong_labels: How many labels are thought wrong, 0..n.

    Returns:
        The doubts; the mean of P(wrong) is the counted rate where the models support it.

    Source: Northcutt, Jiang and Chuang 2021 (confident joint); Goldberger and Ben-Reuven 2017 (the
        noise layer). Anchoring and its bound: measured on seven noise sets and 372 audited rows.
    """
    n = len(labels)
    # Nothing counted is not nothing there: half a row is as far as a count can tell.
    rate = min(max(wrong_labels, 0.5) / n, 0.9)
    scene = _Scene(np.log(beliefs), labels)
    matrix = noise_matrix(joint, labels, rate=rate)
    temperature = _anchored(scene, matrix, rate)
    how: How = "anchored"
    if temperature < LEAST_ANCHORED and beliefs.shape[1] > MOST_CLASSES:
        how, temperature = "unsupported", LEAST_ANCHORED
    elif temperature < LEAST_ANCHORED:
        how = "em"
        matrix, temperature = _noise_layer(scene, rate)
    p_wrong, suggested, p_fix = scene.posterior(matrix, temperature)
    noise = LabelNoise(float(p_wrong.mean()), wrong_labels / n, how, temperature, matrix)
    return Doubts(p_wrong, suggested, p_fix, noise)


def noise_matrix(joint: IntArray | FloatArray, labels: IntArray, *, rate: float) -> FloatArray:
    """Turn a confident joint into P(given | true) at a rate of wrong labels.

    Args:
        joint: Counts by given class (row) and true class (column), shape (k, k).
        labels: Given class per row, shape (n,).
        rate: Share of wrong labels, above 0 and below 1.

    Returns:
        Shape (k, k), float32, row = given, columns sum to 1. Each true class has PSEUDO_ROWS rows
        more, kept at the rate and else spread over the other classes by their shares.
    """
    counts = joint.astype(np.float64)
    right = np.diag(counts).copy()
    np.fill_diagonal(counts, 0.0)
    apart, total = counts.sum(), len(labels)
    if apart > 0:
        counts *= rate * total / apart
    kept = right * ((1 - rate) * total / max(right.sum(), 1.0))
    np.fill_diagonal(counts, kept)
    return _shrunk(counts, _shares(labels, len(joint)), rate)


def _shares(labels: IntArray, classes: int) -> FloatArray:
    """Give the share of each class among the given labels, never quite 0."""
    sizes = np.bincount(labels, minlength=classes) + 1.0 / classes
    return np.asarray(sizes / sizes.sum())


def _shrunk(counts: FloatArray, shares: FloatArray, rate: float) -> FloatArray:
    """Add the pseudo-rows and make columns sum to 1."""
    matrix = (PSEUDO_ROWS * rate * shares)[:, None] / (1 - shares)[None, :]
    np.fill_diagonal(matrix, PSEUDO_ROWS * (1 - rate))
    matrix += counts
    matrix /= matrix.sum(axis=0)
    return matrix.astype(np.float32)


def _anchored(scene: _Scene, matrix: FloatArray, rate: float) -> float:
    """Find the sharpest temperature at which the mean of P(wrong) comes down to the rate.

    Returns:
        The first of ANCHORED_TEMPERATURES if it is at or under the rate even there, the last if it
        never is.
    """
    from scipy.optimize import brentq

    def excess(temperature: float) -> float:
        return scene.mean_wrong(matrix, temperature) - rate

    sharper = ANCHORED_TEMPERATURES[0]
    if excess(sharper) <= 0:
        return sharper
    for blunter in ANCHORED_TEMPERATURES[1:]:
        if excess(blunter) <= 0:
            return float(brentq(excess, sharper, blunter, xtol=1e-4))
        sharper = blunter
    return sharper


def _noise_layer(scene: _Scene, rate: float) -> tuple[FloatArray, float]:
    """Fit a noise matrix by EM at each temperature; give the likeliest of them."""
    shares = _shares(scene.labels, scene.logs.shape[1])
    start = _shrunk(np.zeros((len(shares), len(shares))), shares, rate)
    best = (-np.inf, EM_TEMPERATURES[0], start)
    for temperature in EM_TEMPERATURES:
        matrix, likelihood = start, -np.inf
        for _ in range(EM_TRIALS):
            matrix, likelihood = _em_round(scene, matrix, temperature, shares)
        start = matrix
        if likelihood > best[0]:
            best = (likelihood, temperature, matrix)
    _, temperature, matrix = best
    for _ in range(EM_ROUNDS):
        matrix, _ = _em_round(scene, matrix, temperature, shares)
    return matrix, temperature


def _em_round(
    scene: _Scene, matrix: FloatArray, temperature: float, shares: FloatArray
) -> tuple[FloatArray, float]:
    counts, likelihood = scene.expected(matrix, temperature)
    rate = 1 - np.trace(counts) / counts.sum()
    return _shrunk(counts, shares, float(np.clip(rate, 1e-4, 0.9))), likelihood


class _Scene:
    """The rows as blocks of one shape, sorted by given class; holds what does not change."""

    def __init__(self, logs: FloatArray, labels: IntArray) -> None:
        self.order = np.argsort(labels, kind="stable")
        self.labels = labels[self.order]
        self.logs = logs[self.order].astype(np.float32, copy=False)
        self.logs -= self.logs.max(axis=1, keepdims=True)
        self.norms: dict[float, float] = {}

    def mean_wrong(self, matrix: FloatArray, temperature: float) -> float:
        """Give the mean of P(wrong)."""
        total = 0.0
        for rows, mass in self._blocks(matrix, temperature):
            own = mass[np.arange(len(mass)), self.labels[rows]]
            total += float((1 - own / mass.sum(axis=1)).sum(dtype=np.float64))
        return total / len(self.labels)

    def expected(self, matrix: FloatArray, temperature: float) -> tuple[FloatArray, float]:
        """Give expected counts by given and true class, shape (k, k), and the log-likelihood."""
        counts = np.zeros(matrix.shape)
        likelihood = 0.0
        for rows, mass in self._blocks(matrix, temperature):
            sums = mass.sum(axis=1, keepdims=True)
            likelihood += float(np.log(sums).sum(dtype=np.float64))
            named, starts = np.unique(self.labels[rows], return_index=True)
            counts[named] += np.add.reduceat(mass / sums, starts, axis=0)
        return counts, likelihood - self._log_norms(temperature)

    def posterior(
        self, matrix: FloatArray, temperature: float
    ) -> tuple[FloatArray, IntArray, FloatArray]:
        """Give P(wrong), the likeliest other class and its probability, in the rows' own order."""
        wrong, fix = np.empty(len(self.labels)), np.empty(len(self.labels))
        suggested = np.empty(len(self.labels), dtype=np.int64)
        for rows, mass in self._blocks(matrix, temperature):
            shares = mass / mass.sum(axis=1, keepdims=True)
            each, here = np.arange(len(mass)), self.order[rows]
            shares[each, self.labels[rows]] = 0.0
            wrong[here] = shares.sum(axis=1, dtype=np.float64)
            shares[each, self.labels[rows]] = -1.0
            suggested[here] = best = shares.argmax(axis=1)
            fix[here] = shares[each, best]
        np.clip(wrong, 0.0, 1.0, out=wrong)
        return wrong, suggested, np.minimum(fix, wrong)

    def _blocks(self, matrix: FloatArray, temperature: float) -> Iterator[tuple[slice, FloatArray]]:
        """Give P(true | text) x P(given | true) of each row, up to a factor per row."""
        step = max(1, BLOCK_CELLS // self.logs.shape[1])
        for start in range(0, len(self.labels), step):
            rows = slice(start, start + step)
            mass = np.exp(self.logs[rows] / np.float32(temperature))
            mass *= matrix[self.labels[rows]]
            yield rows, mass

    def _log_norms(self, temperature: float) -> float:
        """Give what of the likelihood depends on the temperature alone."""
        if temperature not in self.norms:
            step = max(1, BLOCK_CELLS // self.logs.shape[1])
            self.norms[temperature] = sum(
                float(np.log(np.exp(part / np.float32(temperature)).sum(axis=1)).sum())
                for part in (
                    self.logs[start : start + step] for start in range(0, len(self.logs), step)
                )
            )
        return self.norms[temperature]
