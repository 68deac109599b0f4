"""One answer from several, for every task: labels one by one, spans by vote, ratings by median.

The one idea: a vote is a share of the people who were asked about this very thing. What has no
majority is open, never decided by the order in which people answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from curator.errors import StepError

MAJORITY = 0.5

Span = tuple[int, int, str]
"""start, end (exclusive, code points), label."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What the most say.

    value: The answer; None where it is open.
    share: Share of the people behind it (the least of its parts where it has several), 0..1.
    open: Parts of it on which exactly half are for it, which are left out of `value`.
    """

    value: object
    share: float
    open: tuple[object, ...] = ()


def vote_one(answers: Sequence[Hashable]) -> Vote:
    """Give the answer of the most; a tie is open."""
    _check(answers)
    ranked = Counter(answers).most_common()
    value, most = ranked[0]
    tied = tuple(one for one, count in ranked if count == most)
    if len(tied) > 1:
        return Vote(None, most / len(answers), tuple(sorted(tied, key=str)))
    return Vote(value, most / len(answers))


def vote_labels(answers: Sequence[Sequence[str]]) -> Vote:
    """Vote on each label by itself: it is in where more than half of the people gave it.

    Args:
        answers: The labels that each person gave a row; none is an answer too.

    Returns:
        value: the labels, sorted.
    """
    value, share, split = _parts([set(one) for one in answers])
    return Vote(tuple(value), share, tuple(split))


def vote_spans(answers: Sequence[Sequence[Span]]) -> Vote:
    """Vote on each span by itself: start, end and label must be the same to count together.

    Args:
        answers: The spans that each person marked; none is an answer too.

    Returns:
        value: the spans, sorted. Two that cross may both be in; nesting is for the task to judge.
    """
    value, share, split = _parts([set(one) for one in answers])
    return Vote(tuple(value), share, tuple(split))


def vote_ratings(answers: Sequence[float]) -> Vote:
    """Give the median rating, the lower of the two middle ones of an even number.

    Returns:
        share: of people no further than one step from it.
    """
    _check(answers)
    middle = median_low(answers)
    near = sum(abs(one - middle) <= 1 for one in answers)
    return Vote(middle, near / len(answers))


def _parts(answers: Sequence[set[Any]]) -> tuple[list[Any], float, list[Any]]:
    _check(answers)
    n = len(answers)
    counts = Counter(part for one in answers for part in one)
    inside = sorted(part for part, count in counts.items() if count / n > MAJORITY)
    split = sorted(part for part, count in counts.items() if count / n == MAJORITY)
    agreed = [max(count, n - count) / n for count in counts.values()]
    return inside, min(agreed, default=1.0), split


def _check(answers: Sequence[object]) -> None:
    if not answers:
        raise StepError("nobody answered about this row, so there is nothing to vote on")
