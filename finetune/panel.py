"""Four classifiers of different kinds, asked about rows they never saw, and what they say as one.

The one idea: a label that a logistic regression, a ridge regression, naive Bayes and the nearest
neighbours all contradict is seldom right, and rows on which one of them is blind the others see.
All four leave the row's whole group out. Rows are put in the order of their content first, so the
order in which they came changes no bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from .bayes import bayes_probabilities
from .crossfit import CrossFit, floored
from .keys import KEY_BYTES, FloatArray, IntArray
from .logistic import blas_threads
from .neighbours import neighbour_probabilities
from .probe import check_finite
from .ridge import ridge_probabilities
from .tfidf import Terms

SHARES = {"logistic": 0.3, "ridge": 0.3, "bayes": 0.1, "neighbours": 0.3}
"""Weight of each in the geometric mean. Naive Bayes has little: it goes blind where the labels came
from a model of its own kind (average precision .58 where the others have .70)."""


@dataclass(frozen=True, slots=True)
class Panel:
    """What the four say, each of shape (n, k), float32, rows sum to 1, in the order of the rows.

    together: Weighted geometric mean of the four.
    """

    logistic: FloatArray
    ridge: FloatArray
    bayes: FloatArray
    neighbours: FloatArray
    together: FloatArray


def ask_panel(
    fit: CrossFit,
    features: FloatArray,
    terms: Terms,
    labels: IntArray,
    groups: Sequence[str],
    *,
    neighbours: int = 20,
) -> Panel:
    """Ask all four about each row, its group left out.

    Args:
        fit: The logistic regression of these rows, as `crossfit` gives it, and its folds.
        features: Unit-length vectors, shape (n, d): of an encoder, or reduced TF-IDF.
        terms: What the words say.
        labels: Class per row, shape (n,), 0..k-1.
        groups: Group per row; the fit kept them whole.
        neighbours: Nearest rows that vote.

    Raises:
        FitError: A feature is not finite.
    """
    check_finite(features)
    classes = fit.probabilities.shape[1]
    order = _order(features, terms, labels, groups)
    y, folds, named = labels[order], fit.folds[order], [groups[i] for i in order]
    vectors = features[order]
    with blas_threads(1):
        both = np.hstack([vectors, terms.reduced[order]])
        ridge = ridge_probabilities(both, y, named, classes=classes)
        bayes = bayes_probabilities(terms.weights[order], y, folds, classes=classes)
        near = neighbour_probabilities(vectors, y, named, classes=classes, neighbours=neighbours)
    back = np.argsort(order)
    ridge, bayes, near = (floored(part[back]) for part in (ridge, bayes, near))
    together = _together((fit.probabilities, ridge, bayes, near))
    return Panel(fit.probabilities, ridge, bayes, near, together)


def _order(features: FloatArray, terms: Terms, labels: IntArray, groups: Sequence[str]) -> IntArray:
    """Sort rows by what they are; rows alike in all of it may change places unnoticed."""
    keys = []
    for i, (label, group) in enumerate(zip(labels.tolist(), groups, strict=True)):
        said = features[i].tobytes() + terms.reduced[i].tobytes()
        keys.append((blake2b(said, digest_size=KEY_BYTES).digest(), label, group))
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def _together(parts: Sequence[FloatArray]) -> FloatArray:
    """Give the weighted geometric mean of probabilities, made to sum to 1."""
    mean = np.zeros_like(parts[0])
    for part, share in zip(parts, SHARES.values(), strict=True):
        mean += np.float32(share) * np.log(part)
    mean -= mean.max(axis=1, keepdims=True)
    np.exp(mean, out=mean)
    mean /= mean.sum(axis=1, keepdims=True)
    return mean
