"""What the answers say about the people and about the page: agreement, quality, time, anchoring.

The one idea: every figure is folded from the table of answers and has an interval, so it can stand
before stakeholders as it stands before annotators.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import pyarrow as pa

from curator.agreement import MISSING, Agreement, alpha_of, codes_of, cohen_of, fleiss_of

Z = 1.96
IDLE_FACTOR, IDLE_LEAST_S = 5.0, 60.0
"""A lead time counts up to five times the person's median one, and a minute always: beyond that
somebody was away from the page, which Label Studio does not see."""

MIN_PAIR_ROWS = 10
"""Pairs of people with fewer rows in common are not shown: their kappa would say nothing."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of a count, with its 95 % interval (Wilson), 0..1; null where nothing was counted."""

    count: int
    of: int
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One share minus another, with its 95 % interval (Newcombe); null where one has no count."""

    effect: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Person:
    """How good and how fast one annotator is.

    hours: By lead times, each capped (IDLE_FACTOR); idle: answers whose time was capped.
    known_right: Known answers right; with_others: answers equal to what the most of the others
        said of the same row (ties of the others left out).
    quality: What CROWDLAB takes them to be right, 0..1; None where it was not asked.
    """

    name: str
    answers: int
    hours: float
    per_hour: float | None
    idle: int
    known_right: Share
    with_others: Share
    quality: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What the answers say.

    alpha: Krippendorff's, nominal; fleiss: Fleiss' kappa where rows have equally many answers;
        pairs: Cohen's kappa of two people with MIN_PAIR_ROWS rows or more in common.
    ratings: Krippendorff's alpha of ratings, ordinal; None where the task has none.
    shown, hidden: answers equal to the suggestion where it was shown, and where it was not.
    anchoring: shown - hidden: what showing the suggestion does.
    wrong: blind answers that contradict the given label.
    repairs: Wrong labels to expect among the rows asked, (expected, low, high), from blind
        answers alone; None without them.
    """

    people: tuple[Person, ...]
    alpha: Agreement
    fleiss: Agreement | None
    pairs: tuple[tuple[str, str, Agreement], ...]
    ratings: Agreement | None
    shown: Share
    hidden: Share
    anchoring: Difference
    wrong: Share
    repairs: tuple[float, float, float] | None
    hours: float

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        made = asdict(self)
        made["pairs"] = [{"people": [a, b], **asdict(agreement)} for a, b, agreement in self.pairs]
        made["repairs"] = list(self.repairs) if self.repairs else None
        return made

    def lines(self, names: Mapping[str, str] | None = None) -> Iterator[str]:
        """Say agreement, anchoring and the repairs to expect, in lines for people.

        Args:
            names: What to call each annotator; None: by their own name.
        """
        called = names or {one.name: one.name for one in self.people}
        if self.alpha.value is not None:
            yield f"agreement beyond chance: Krippendorff's alpha {_in_words(self.alpha)}"
        if self.fleiss is not None and self.fleiss.value is not None:
            yield f"  Fleiss' kappa {_in_words(self.fleiss)}"
        for one, other, kappa in self.pairs:
            yield f"  {called[one]} and {called[other]}: Cohen's kappa {_in_words(kappa)}"
        if self.ratings is not None:
            yield f"  ratings: Krippendorff's alpha (ordinal) {_in_words(self.ratings)}"
        if (led := self.anchoring).effect is not None:
            yield (
                f"anchoring (taken where shown minus where hidden): {led.effect:+.0%} "
                f"[{led.low:+.0%}, {led.high:+.0%}]"
            )
        if self.repairs is not None:
            most = "{:.0f} [{:.0f}, {:.0f}]".format(*self.repairs)
            yield f"wrong labels among the rows asked, by blind answers: {most}"


def _in_words(found: Agreement) -> str:
    if found.value is None:
        return f"cannot be told: all of {found.units:,} rows have one answer"
    span = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"{found.value:.2f}{span} of {found.units:,} rows"


def share_of(flags: Sequence[bool]) -> Share:
    """Give the share of flags that are set, with its interval.

    Source: Wilson 1927.
    """
    count, n = sum(flags), len(flags)
    if not n:
        return Share(0, 0, None, None, None)
    p, z2 = count / n, Z**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * (p * (1 - p) / n + z2 / (4 * n * n)) ** 0.5 / (1 + z2 / n)
    return Share(count, n, p, max(0.0, middle - half), min(1.0, middle + half))


def difference_of(one: Share, other: Share) -> Difference:
    """Give one share minus another of other answers, with its interval.

    Source: Newcombe 1998, Interval estimation for the difference between independent proportions
        (method 10).
    """
    if (
        one.share is None or one.low is None or one.high is None
        or other.share is None or other.low is None or other.high is None
    ):  # fmt: skip
        return Difference(None, None, None)
    effect = one.share - other.share
    below = ((one.share - one.low) ** 2 + (other.high - other.share) ** 2) ** 0.5
    above = ((one.high - one.share) ** 2 + (other.share - other.low) ** 2) ** 0.5
    return Difference(effect, effect - below, effect + above)


def figures(
    answers: pa.Table, *, asked: int, quality: Mapping[str, float] | None = None
) -> Figures:
    """Fold the answers into what they say.

    Args:
        answers: ANSWER_SCHEMA.
        asked: Tasks that are no known answers: what a repair is expected among.
        quality: Of each annotator, by CROWDLAB.
    """
    listed = answers.to_pylist()
    free = [a for a in listed if a["control"] in ("open", "blind")]
    people = sorted({a["annotator"] for a in listed})
    codes, _ = codes_of(_by_unit(free, people, _said))
    shown = share_of([_is_suggested(a) for a in listed if a["control"] == "open"])
    hidden = share_of([_is_suggested(a) for a in listed if a["control"] == "blind"])
    wrong = share_of([a["value"] != a["given"] for a in listed
                      if a["control"] == "blind" and a["decision"] != "ambiguous"])  # fmt: skip
    seconds = counted_seconds(listed)
    return Figures(
        people=tuple(_person(name, listed, seconds, quality or {}) for name in people),
        alpha=alpha_of(codes),
        fleiss=fleiss_of(codes),
        pairs=tuple(_pairs(people, codes)),
        ratings=_ratings(free, people),
        shown=shown,
        hidden=hidden,
        anchoring=difference_of(shown, hidden),
        wrong=wrong,
        repairs=_repairs(wrong, asked),
        hours=sum(seconds) / 3600,
    )


def _repairs(wrong: Share, asked: int) -> tuple[float, float, float] | None:
    if wrong.share is None or wrong.low is None or wrong.high is None:
        return None
    return wrong.share * asked, wrong.low * asked, wrong.high * asked


def _said(answer: Mapping[str, Any]) -> Any:
    """Give an answer as one thing that others may say too; a decision is none of the labels."""
    if answer["value"] is None:
        return f"({answer['decision']})"
    return f"= {answer['value']}"


def _by_unit(answers: Sequence[Mapping[str, Any]], people: Sequence[str], said: Any) -> list[Any]:
    place = {name: n for n, name in enumerate(people)}
    units: dict[str, list[Any]] = {}
    for answer in answers:
        units.setdefault(answer["row_id"], [None] * len(people))
        units[answer["row_id"]][place[answer["annotator"]]] = said(answer)
    return [units[row] for row in sorted(units)]


def _ratings(answers: Sequence[Mapping[str, Any]], people: Sequence[str]) -> Agreement | None:
    rated = [a for a in answers if a.get("rating") is not None]
    if not rated:
        return None
    codes, _ = codes_of(_by_unit(rated, people, lambda a: a["rating"]))
    return alpha_of(codes, level="ordinal")


def _pairs(people: Sequence[str], codes: Any) -> Any:
    for (a, one), (b, other) in itertools.combinations(enumerate(people), 2):
        both = codes[:, [a, b]]
        if ((both != MISSING).all(axis=1)).sum() >= MIN_PAIR_ROWS:
            yield one, other, cohen_of(both)


def _is_suggested(answer: Mapping[str, Any]) -> bool:
    return answer["value"] is not None and answer["value"] == answer["suggested"]


def counted_seconds(answers: Sequence[Mapping[str, Any]]) -> list[float]:
    """Give the working time of each answer: its lead time, capped; 0 where none was told."""
    caps = {}
    for person in {a["annotator"] for a in answers}:
        told = [a["lead_time"] for a in answers if a["annotator"] == person and a["lead_time"]]
        caps[person] = max(IDLE_LEAST_S, IDLE_FACTOR * median(told)) if told else 0.0
    return [min(a["lead_time"] or 0.0, caps[a["annotator"]]) for a in answers]


def hours_of(answers: pa.Table) -> float:
    """Give the working time of all answers, in hours."""
    return sum(counted_seconds(answers.to_pylist())) / 3600


def _person(
    name: str,
    listed: Sequence[Mapping[str, Any]],
    seconds: Sequence[float],
    quality: Mapping[str, float],
) -> Person:
    own = [(a, s) for a, s in zip(listed, seconds, strict=True) if a["annotator"] == name]
    hours = sum(s for _, s in own) / 3600
    return Person(
        name=name,
        answers=len(own),
        hours=hours,
        per_hour=len(own) / hours if hours else None,
        idle=sum((a["lead_time"] or 0.0) > s for a, s in own),
        known_right=share_of([a["value"] == known_answer(a) for a, _ in own if known_answer(a)]),
        with_others=share_of(list(_with_others(name, listed))),
        quality=quality.get(name),
    )


def known_answer(answer: Mapping[str, Any]) -> str | None:
    """Give the right answer of a control whose answer is known; None of other tasks."""
    right = {"known": answer["given"], "swapped": answer["suggested"]}
    found: str | None = right.get(answer["control"])
    return found


def _with_others(name: str, listed: Sequence[Mapping[str, Any]]) -> Any:
    """Tell for each row that others answered too whether this person says what they say."""
    by_row: dict[str, dict[str, Any]] = {}
    for answer in listed:
        if answer["control"] in ("open", "blind"):
            by_row.setdefault(answer["row_id"], {})[answer["annotator"]] = _said(answer)
    for said in by_row.values():
        if name in said and len(said) > 1:
            votes = Counter(v for who, v in said.items() if who != name).most_common()
            if len(votes) == 1 or votes[0][1] > votes[1][1]:
                yield said[name] == votes[0][0]
