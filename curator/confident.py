"""What we take from cleanlab: which labels it would call wrong, and how many it thinks are.

The one idea: confident learning counts, per pair of classes, the rows whose probability for another
class is as high as that class usually gets; it needs nothing but labels and out-of-sample
probabilities. This is cleanlab's only home here, so that its version and its corner cases are known
in one place.
"""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curator.errors import StepError

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def flag_labels(labels: IntArray, probabilities: FloatArray) -> BoolArray:
    """Say which labels cleanlab would call wrong.

    Args:
        labels: Given class per row, shape (n,), values 0..k-1; classes may be absent.
        probabilities: Out-of-sample class probabilities, shape (n, k), rows sum to 1.

    Returns:
        A flag per row, shape (n,). Where all rows have one label, or there is one class only,
        nothing can be told apart and nothing is flagged; nor is the only row of a class.

    Raises:
        StepError: Shapes disagree, a label is outside 0..k-1, or a probability is not a number.

    Source: Northcutt, Jiang and Chuang 2021, Confident Learning; cleanlab's default filter
        (prune_by_noise_rate), which is also the label check of its Datalab.
    """
    checked = _checked(labels, probabilities)
    if len(np.unique(labels)) <= 1:
        return np.zeros(len(labels), dtype=np.bool_)
    from cleanlab.filter import find_label_issues  # 1.8 s to load

    with warnings.catch_warnings():
        # It warns of classes with at most one row, whose label it never flags: said above.
        warnings.filterwarnings("ignore", message="May not flag all label issues in class")
        # One job: several start processes, and give the same flags.
        found = find_label_issues(labels, checked, filter_by="prune_by_noise_rate", n_jobs=1)
    return np.asarray(found, dtype=np.bool_)


def count_wrong_labels(labels: IntArray, probabilities: FloatArray) -> int:
    """Estimate how many labels are wrong.

    It is a count from the confident joint, not the number of flags: the two differ a little.

    Args:
        labels: Given class per row, shape (n,), values 0..k-1.
        probabilities: Out-of-sample class probabilities, shape (n, k), rows sum to 1.

    Returns:
        The estimate, 0..n; 0 where all rows have one label.

    Raises:
        StepError: As `flag_labels`.

    Source: Northcutt, Jiang and Chuang 2021; cleanlab's num_label_issues.
    """
    checked = _checked(labels, probabilities)
    if len(np.unique(labels)) <= 1:
        return 0
    from cleanlab.count import num_label_issues

    return int(num_label_issues(labels, checked))


def confident_joint(labels: IntArray, probabilities: FloatArray) -> IntArray:
    """Count rows by given class and the class they confidently belong to.

    Args:
        labels: Given class per row, shape (n,), values 0..k-1; classes may be absent.
        probabilities: Out-of-sample class probabilities, shape (n, k), rows sum to 1.

    Returns:
        Counts, shape (k, k), given class by row; scaled such that they sum to n, and each row to
        the rows of that class.

    Raises:
        StepError: As `flag_labels`.

    Source: Northcutt, Jiang and Chuang 2021; cleanlab's compute_confident_joint.
    """
    checked = _checked(labels, probabilities)
    if len(np.unique(labels)) <= 1:
        sizes = np.bincount(labels, minlength=probabilities.shape[1])
        return np.asarray(np.diag(sizes), dtype=np.int64)
    from cleanlab.count import compute_confident_joint

    return np.asarray(compute_confident_joint(labels, checked), dtype=np.int64)


def self_confidence(labels: IntArray, probabilities: FloatArray) -> FloatArray:
    """Give cleanlab's own score: the probability of the given label; lower is more suspicious.

    Args:
        labels: Given class per row, shape (n,), values 0..k-1.
        probabilities: Out-of-sample class probabilities, shape (n, k).

    Returns:
        The column `label_score` of cleanlab's Datalab, shape (n,), 0..1.

    Raises:
        StepError: As `flag_labels`.
    """
    return np.asarray(_checked(labels, probabilities)[np.arange(len(labels)), labels])


@dataclass(frozen=True, slots=True)
class Crowd:
    """What several people and a model come to together.

    own: How good each person's answer is, shape (n, m), 0..1; NaN where there is none. It orders
        the answers to a row, and understates how often they are right.
    person: How good each person is taken to be, shape (m,), 0..1.
    worth: How little one more answer would bring, shape (n,): the lowest first.
    """

    own: FloatArray
    person: FloatArray
    worth: FloatArray


def crowd_consensus(answers: IntArray, probabilities: FloatArray) -> Crowd:
    """Weigh several people's answers and a model's by how well they agree (CROWDLAB).

    Args:
        answers: Class that each person gave, shape (n, m), values 0..k-1, -1 for none; each row
            and each column has one, and a row two or more.
        probabilities: Out-of-sample class probabilities, shape (n, k), rows sum to 1.

    Raises:
        StepError: Nobody's answer meets another's: then there is nothing to weigh.

    Source: Goh, Tkachenko and Mueller 2022, CROWDLAB; Goh and Mueller 2023, ActiveLab (worth).
    """
    given = answers >= 0
    if answers.ndim != 1 + 1 or not (given.sum(axis=1) > 1).any():
        raise StepError(
            "CROWDLAB weighs people against each other, but no row was answered by two; "
            "take the majority"
        )
    from cleanlab.multiannotator import (
        get_active_learning_scores,
        get_label_quality_multiannotator,
    )

    labels = np.where(given, answers, np.nan)
    # Where the model likes two classes equally, cleanlab draws lots from numpy's global generator.
    # A trillionth apart, they are never equal, and the same answers give the same consensus.
    checked = probabilities.astype(np.float64) - 1e-12 * np.arange(probabilities.shape[1])
    # It prints cautions about classes that nobody named, which is no news here, to stdout.
    with warnings.catch_warnings(), contextlib.redirect_stdout(None):
        # It warns where no two people agree on any row: then the model decides, with low quality.
        warnings.filterwarnings("ignore", message="Annotators do not agree on any example")
        found = get_label_quality_multiannotator(labels, checked, verbose=False)
        worth, _ = get_active_learning_scores(labels, checked)
    people = found["annotator_stats"].sort_index()
    return Crowd(
        own=found["detailed_label_quality"].to_numpy(),
        person=people["annotator_quality"].to_numpy(),
        worth=np.asarray(worth),
    )


def flag_label_sets(given: BoolArray, probabilities: FloatArray) -> BoolArray:
    """Say which rows of several labels cleanlab would call wrong, shape (n,).

    Args:
        given: Whether a row has a label, shape (n, k).
        probabilities: Out-of-sample probability of each label, shape (n, k).

    Source: Thyagarajan et al. 2023; cleanlab's multi-label filter, as its Datalab asks it.
    """
    from cleanlab.multilabel_classification.filter import find_label_issues

    # A label that all rows have, or none, has no errors to find, and cleanlab cannot count them.
    some = given.any(axis=0) & ~given.all(axis=0)
    if not some.any():
        return np.zeros(len(given), dtype=np.bool_)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="May not flag all label issues in class")
        found = find_label_issues(
            _listed(given[:, some]), probabilities[:, some].astype(np.float64), n_jobs=1
        )
    return np.asarray(found, dtype=np.bool_)


def label_set_quality(given: BoolArray, probabilities: FloatArray) -> FloatArray:
    """Give cleanlab's own score of each label set, shape (n,), 0..1; lower is more suspicious.

    Args:
        given: Whether a row has a label, shape (n, k).
        probabilities: Out-of-sample probability of each label, shape (n, k).
    """
    from cleanlab.multilabel_classification import get_label_quality_scores

    scores = get_label_quality_scores(_listed(given), probabilities.astype(np.float64))
    return np.asarray(scores)


def token_quality(
    owner: IntArray, given: IntArray, probabilities: FloatArray, texts: int
) -> FloatArray:
    """Give cleanlab's own score of each text: that of its worst word, shape (n,), 0..1.

    Args:
        owner: Text of each word, shape (w,), in ascending order.
        given: Tag of each word, shape (w,).
        probabilities: Out-of-sample tag probabilities, shape (w, k).
        texts: Number n of texts; one without a word has score 1.

    Source: Wang and Mueller 2022; cleanlab's token_classification, method min.
    """
    from cleanlab.token_classification.rank import get_label_quality_scores

    found = np.ones(texts)
    some, first = np.unique(owner, return_index=True)
    if len(some):
        labels = [part.tolist() for part in np.split(given, first[1:])]
        chances = np.split(probabilities.astype(np.float64), first[1:])
        found[some] = get_label_quality_scores(labels, chances)[0]
    return found


def _listed(given: BoolArray) -> list[list[int]]:
    return [np.flatnonzero(row).tolist() for row in given]


def _checked(labels: IntArray, probabilities: FloatArray) -> npt.NDArray[np.float64]:
    """Give the probabilities in double precision, or say what is wrong with them."""
    if labels.ndim != 1 or probabilities.shape[:1] != labels.shape or probabilities.ndim != 1 + 1:
        raise StepError(
            f"labels have shape {labels.shape} and probabilities {probabilities.shape}; "
            "expected (n,) and (n, k), one row of probabilities per label"
        )
    bad = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if len(bad):
        raise StepError(
            f"probabilities of {len(bad)} of {len(labels)} rows are not numbers, first in row "
            f"{bad[0]}; the model that made them did not converge: fit it again"
        )
    outside = np.flatnonzero((labels < 0) | (labels >= probabilities.shape[1]))
    if len(outside):
        raise StepError(
            f"row {outside[0]} has class {labels[outside[0]]}, but there are probabilities for "
            f"{probabilities.shape[1]} classes, 0..{probabilities.shape[1] - 1}"
        )
    return probabilities.astype(np.float64)
