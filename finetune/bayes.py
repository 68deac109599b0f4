"""Multinomial naive Bayes on sparse n-gram weights, out of fold.

The one idea: it counts and never optimises, so no single mislabelled row can bend it, and what it
errs on is not what a fitted boundary errs on. Only n-grams that a class has are stored, so 5,000
classes cost no more than the texts hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .keys import FloatArray, IntArray
from .probe import softmax

SMOOTHING = 0.05
ROWS = 2048  # rows whose scores of all classes are dense at a time


def bayes_probabilities(
    weights: Any, labels: IntArray, folds: IntArray, *, classes: int
) -> FloatArray:
    """Predict each row by a naive Bayes fitted on the other folds.

    Args:
        weights: n-gram weights of the texts, sparse by row, shape (n, terms), not negative.
        labels: Class per row, shape (n,), 0..classes-1.
        folds: Fold per row, shape (n,), 0..f-1.
        classes: Number k of classes.

    Returns:
        Probabilities, shape (n, k), float32, rows sum to 1; a class without a row on the training
        side has next to none.

    Source: scikit-learn's MultinomialNB, alpha 0.05, of which this is the sparse form.
    """
    found = np.full((len(labels), classes), 1 / classes, dtype=np.float32)
    for fold in range(int(folds.max(initial=0)) + 1):
        rows, kept = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if not len(rows) or not len(kept):
            continue
        lifts, base, prior = _fit(weights[kept], labels[kept], classes)
        for start in range(0, len(rows), ROWS):
            here = rows[start : start + ROWS]
            scores = (weights[here] @ lifts).toarray()
            mass = np.asarray(weights[here].sum(axis=1)).reshape(-1, 1)
            scores += mass * base + prior
            found[here] = softmax(scores.astype(np.float32))
    return found


def _fit(weights: Any, labels: IntArray, classes: int) -> tuple[Any, FloatArray, FloatArray]:
    """Give log-likelihoods in three parts.

    Returns:
        What an n-gram adds in a class that has it, sparse, shape (terms, k); what any n-gram adds,
        shape (k,); the log-prior, shape (k,).
    """
    sums = _one_hot(labels, classes, like=weights).T @ weights
    totals = np.asarray(sums.sum(axis=1), dtype=np.float64).ravel()
    base = np.log(SMOOTHING) - np.log(totals + SMOOTHING * weights.shape[1])
    sums.data = np.log1p(sums.data / np.float32(SMOOTHING))
    sizes = np.bincount(labels, minlength=classes)
    prior = np.log(np.maximum(sizes, SMOOTHING / classes) / len(labels))
    return sums.T.tocsr(), base.astype(np.float32), prior.astype(np.float32)


def _one_hot(labels: IntArray, classes: int, *, like: Any) -> Any:
    """Give one 1 per row, shape (n, k), in the sparse type of another matrix."""
    n = len(labels)
    ones = np.ones(n, dtype=like.dtype)
    return type(like)((ones, labels, np.arange(n + 1)), shape=(n, classes))
