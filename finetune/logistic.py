"""Multinomial logistic regression, solved to the end: for cross-fit and for a head's first values.

The one idea: the optimum of a convex loss has no seed, so what rests on it is a function of the
rows alone. Rows are sorted by content before the solver sees them, so their order is none of its
business either.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from .errors import FitError
from .keys import FloatArray, IntArray

MAX_ITER = 2000
TOLERANCE = 1e-3  # 31 steps instead of 66 on banking77, the log-loss differs by 0.002 (.536, .534)
ABSENT = -100.0
"""Bias of a class without training rows: its probability underflows to 0."""


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Hold numpy's linear algebra to this many threads; other counts may change the last bits."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=threads):
        yield


def with_bias(features: FloatArray) -> FloatArray:
    """Append a column of ones, shape (n, d + 1), float32."""
    ones = np.ones((len(features), 1), dtype=np.float32)
    return np.concatenate([features.astype(np.float32, copy=False), ones], axis=1)


def fit_logistic(
    features: FloatArray,
    targets: IntArray,
    weights: FloatArray | None = None,
    *,
    classes: int,
    c: float = 10.0,
) -> FloatArray:
    """Fit a linear softmax head.

    Args:
        features: Shape (n, d), finite.
        targets: Class per row, shape (n,), 0..classes-1; at least two occur.
        weights: Weight per row, shape (n,); None for all 1.
        classes: Number k of classes; those without a row get bias ABSENT and no slope.
        c: Inverse strength of the squared penalty.

    Returns:
        The head for features with a bias column last, shape (d + 1, k), float32.

    Raises:
        FitError: Only one class occurs, or the solver did not converge.

    Source: scikit-learn's LogisticRegression, solver lbfgs.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    present = np.unique(targets)
    if len(present) <= 1:
        raise FitError(
            f"a classifier needs rows of two classes; all {len(targets)} training rows are of "
            f"class number {present.tolist()}"
        )
    order = sorted(range(len(targets)), key=lambda i: (features[i].tobytes(), int(targets[i])))
    model = LogisticRegression(C=c, max_iter=MAX_ITER, tol=TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        # Many classes of few rows are classes all the same.
        warnings.filterwarnings("ignore", message="The number of unique classes is greater than")
        try:
            model.fit(
                features[order].astype(np.float64),
                targets[order],
                sample_weight=None if weights is None else weights[order].astype(np.float64),
            )
        except ConvergenceWarning as error:
            raise FitError(
                f"the logistic regression did not converge in {MAX_ITER} steps on "
                f"{len(targets)} rows; are the features of unit length?"
            ) from error
    return _head(model.coef_, model.intercept_, present, classes)


def fit_logistics(
    features: FloatArray, targets: FloatArray, weights: FloatArray, *, c: float = 10.0
) -> FloatArray:
    """Fit a yes or no for each label; a label of all rows or of none gets its bias alone.

    Args:
        features: Shape (n, d), finite.
        targets: 1 where a label holds, shape (n, k).
        weights: Weight per row, shape (n,).
        c: Inverse strength of the squared penalty.

    Returns:
        The head for features with a bias column last, shape (d + 1, k), float32.
    """
    head = np.zeros((features.shape[1] + 1, targets.shape[1]), dtype=np.float32)
    for k, held in enumerate((targets > 0).T):
        if held.all() or not held.any():
            # As sure as one row more of the other kind allows.
            head[-1, k] = np.log(len(held) + 1.0) * (1 if held.all() else -1)
            continue
        both = fit_logistic(features, held.astype(np.int64), weights, classes=2, c=c)
        head[:, k] = both[:, 1] - both[:, 0]
    return head


def only_class(dimensions: int, present: int, classes: int) -> FloatArray:
    """Give the head that knows one class alone, shape (dimensions + 1, classes), float32."""
    head = np.zeros((dimensions + 1, classes), dtype=np.float32)
    head[-1] = ABSENT
    head[-1, present] = 0.0
    return head


def _head(coef: FloatArray, bias: FloatArray, present: IntArray, classes: int) -> FloatArray:
    if len(coef) == 1:  # the solver keeps one row for two classes
        coef, bias = np.concatenate([-coef, coef]) / 2, np.concatenate([-bias, bias]) / 2
    head = np.zeros((coef.shape[1] + 1, classes), dtype=np.float32)
    head[-1] = ABSENT
    head[:-1, present] = coef.T
    head[-1, present] = bias
    return head
