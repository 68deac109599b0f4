"""What people found: how far a review is, how far its people agree, and what P(wrong) is worth.

The one idea: stakeholders read the same figures as annotators, but no names: an annotator is a
letter here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewerFacts:
    """One annotator, by a letter.

    answers, hours: how many, in how much counted time.
    per_hour: answers an hour; None where no time is known.
    known_right, known_low, known_high: share of known answers right, 0..1, and its interval; None
        where none was asked. known_of: how many were asked.
    others, others_low, others_high: share of answers that say what most others say; likewise.
    """

    name: str
    answers: int
    hours: float
    per_hour: float | None
    known_right: float | None
    known_low: float | None
    known_high: float | None
    known_of: int
    others: float | None
    others_low: float | None
    others_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFacts:
    """How far the annotators of one project are.

    project: its title.
    tasks, answered, left, wanted: tasks given out, with an answer, without one, and rows that want
        one more opinion.
    hours: counted time of all answers.
    sentences: agreement, anchoring and the wrong labels to expect, each with its interval.
    people: one entry per annotator.
    command: shows the same with names.
    """

    project: str
    tasks: int
    answered: int
    left: int
    wanted: int
    hours: float
    sentences: tuple[str, ...]
    people: tuple[ReviewerFacts, ...]
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BinFacts:
    """What blind verdicts say of the rows in one bin of P(wrong).

    rows, judged, wrong: how many it holds, were judged, and proved wrong.
    promised: mean P(wrong), 0..1; share, low, high: found, with its exact interval, None where
        nobody judged.
    """

    name: str
    rows: int
    judged: int
    wrong: int
    promised: float
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityFacts:
    """Whether P(wrong) means what it says, by blind verdicts on rows drawn by lot.

    bins: from the least doubted rows to those a relabel would change.
    sentences: the total, the proof of a relabel and the recalibration, in words.
    command: shows the table again.
    """

    bins: tuple[BinFacts, ...]
    sentences: tuple[str, ...]
    command: str
