"""The review as a whole: verdicts weighed with the models, what people are like, what it brought.

The one idea: all of it is computed from what was pulled; no server is asked. The models are those
of the run, cross-fitted on the version as it stands, so none of them has seen the row it votes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from curator.annotate import answers, state_of
from curator.annotating_consensus import consensus
from curator.annotating_crowd import Beliefs, Together, come_together, opinions_wanted
from curator.annotating_figures import Figures, figures, hours_of
from curator.annotating_forms import form_of
from curator.editing import BRANCH, branch_start
from curator.errors import StoreError
from curator.impact.claim import Measurement, claim
from curator.progress import SILENT, Progress
from curator.replaying import context_of, run_of
from curator.versions.manifest import Version
from curator.versions.store import Store

How = Literal["auto", "crowdlab", "majority"]


def weigh(
    store: Store,
    project: str | None = None,
    *,
    how: How = "auto",
    min_answers: int = 1,
    branch: str = BRANCH,
    progress: Progress = SILENT,
) -> Together:
    """Give the verdicts of a project's answers.

    Args:
        store: Holds the events.
        project: Title or number; None: the only one.
        how: crowdlab; majority; or auto: crowdlab where rows of single labels have several
            answers, else majority.
        min_answers: Rows with fewer stay open.
        branch: Where the verdicts will go; says which version the models are fitted on.
        progress: Told what happens.

    Raises:
        StoreError: Nothing was pushed from here, or CROWDLAB was asked for and cannot be had.
    """
    given = answers(store, project)
    base, _ = branch_start(store, branch)
    several = given.num_rows > len(pc.unique(given["row_id"]))
    if how != "majority" and base.task == "classification" and several:
        return come_together(given, _beliefs(store, base, progress), min_answers=min_answers)
    if how == "crowdlab":
        raise StoreError(
            "CROWDLAB weighs people who answered the same rows of a classification; here "
            + ("no row has two answers" if base.task == "classification" else
               f"the task is {base.task!r}")
            + ": take --consensus majority"
        )  # fmt: skip
    combine = form_of(base.task).combine if base.task != "classification" else None
    verdicts = consensus(given, min_answers=min_answers, combine=combine)
    return Together(verdicts, "majority", {}, {})


def _beliefs(store: Store, base: Version, progress: Progress) -> Beliefs:
    context = context_of(store, base, run_of(store, base), cache=store.cache, progress=progress)
    rows = store.rows(base)
    train = rows.filter(pc.equal(rows["split"], "train"))
    return Beliefs(train["id"].to_pylist(), context.classes(rows), context.probabilities(rows))


@dataclass(frozen=True, slots=True)
class Review:
    """What there is to say of a review: figures, verdicts, and who is to be asked again."""

    figures: Figures
    together: Together
    wanted: pa.Table


def review_of(
    store: Store, project: str | None = None, *, how: How = "majority", progress: Progress = SILENT
) -> Review:
    """Say what the answers of a project show.

    Args:
        store: Holds the events.
        project: Title or number; None: the only one.
        how: majority costs nothing; crowdlab or auto may fit the models.
        progress: Told what happens.
    """
    given = answers(store, project)
    together = weigh(store, project, how=how, progress=progress)
    state = state_of(store, project)
    asked = sum(one.control in ("open", "blind") for one in state.asked.values())
    return Review(
        figures(given, asked=asked, quality=together.quality),
        together,
        opinions_wanted(together, given),
    )


@dataclass(frozen=True, slots=True)
class Brought:
    """What a measured change brought for an hour of annotators' work, in points (1 = 1 %).

    effect, low, high: Of the change; per_hour and its ends: divided by the hours.
    """

    tier: str
    verdict: str
    hours: float
    effect: float
    low: float
    high: float

    def sentence(self) -> str:
        """Say it in a line."""
        each = [value / self.hours for value in (self.effect, self.low, self.high)]
        return (
            f"the review brought {self.effect:+.2f} points [{self.low:+.2f}, {self.high:+.2f}] "
            f"({self.verdict}, {self.tier}) in {self.hours:.2f} annotator hours: {each[0]:+.2f} "
            f"points an hour [{each[1]:+.2f}, {each[2]:+.2f}]"
        )


def brought(store: Store, span: str, project: str | None = None) -> list[Brought]:
    """Give the points gained per annotator hour of a change that was measured.

    Args:
        store: Holds measurement and events.
        span: `A..B`: before and after the review.
        project: Title or number; None: the only one.

    Raises:
        StoreError: It is no span, it has no measured effect, or nobody's time is known.
    """
    first, dots, last = span.partition("..")
    if not dots or not first or not last:
        raise StoreError(f"{span!r} is no span; expected A..B, before and after the review")
    before, after = store.version(first), store.version(last)
    hours = hours_of(answers(store, project))
    if not hours:
        raise StoreError("no answer has a lead time, so points per hour cannot be told")
    found = [m for m in _measured(store) if (m.before, m.after) == (before.id, after.id)]
    if not found:
        raise StoreError(
            f"{before.short}..{after.short} was not measured yet: `curator measure {first} {last}`"
        )
    latest = {m.tier: m for m in sorted(found, key=lambda m: len(m.seeds))}
    told = [made for _, m in sorted(latest.items()) if (made := _brought(m, hours)) is not None]
    if not told:
        why = "; ".join(f"{tier}: {claim(m).sentence}" for tier, m in sorted(latest.items()))
        raise StoreError(
            f"{before.short}..{after.short} was measured, but no effect could be told: {why}"
        )
    return told


def _measured(store: Store) -> Sequence[Measurement]:
    return [Measurement.from_dict(values) for values in store.records("impacts")]


def _brought(measured: Measurement, hours: float) -> Brought | None:
    made: Any = claim(measured)
    if made.effect is None:
        return None
    return Brought(
        measured.tier, made.verdict, hours, 100 * made.effect, 100 * made.low, 100 * made.high
    )
