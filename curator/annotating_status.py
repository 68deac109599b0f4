"""How far annotators are: progress, throughput, agreement, and whether suggestions lead them.

The one idea: what is shown here is folded from the events alone, so it costs no request, and each
share comes with its interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from curator.annotate import state_of
from curator.annotating_consensus import answers_of, consensus
from curator.annotating_figures import Share, counted_seconds, known_answer, share_of
from curator.annotating_forms import form_of
from curator.annotating_log import State, current_answers
from curator.annotating_review import How, Review, review_of
from curator.progress import SILENT, Progress
from curator.versions.store import Store

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Annotator:
    """One annotator: answers, skips, hours and answers an hour by lead time, known answers right.

    accepted: suggestions taken, of those shown.
    """

    name: str
    answers: int
    skipped: int
    invalid: int
    hours: float
    per_hour: float | None
    known_right: Share
    accepted: Share


@dataclass(frozen=True, slots=True)
class Status:
    """How far a project is.

    tasks: by control kind; answered: tasks with an answer; left: without one; events: by kind.
    verdicts: by kind; agreed: rows of two or more answers on which all agree.
    with_suggestion, without: answers equal to the suggestion where it was shown, and where it was
        hidden: their difference is what showing it does.
    wrong: blind answers that contradict the given label: how wrong the pushed rows are.
    """

    tasks: dict[str, int]
    answered: int
    left: int
    events: dict[str, int]
    verdicts: dict[str, int]
    agreed: Share
    with_suggestion: Share
    without: Share
    wrong: Share
    hours: float
    annotators: tuple[Annotator, ...]
    answers: pa.Table
    review: Review

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        names = [n for n in self.__slots__ if n not in ("answers", "annotators", "review")]
        values = {n: getattr(self, n) for n in names}
        plain = {k: asdict(v) if isinstance(v, Share) else v for k, v in values.items()}
        more = self.review.figures.as_dict()
        return plain | {
            "annotators": [asdict(one) for one in self.annotators],
            "agreement": {n: more[n] for n in ("alpha", "fleiss", "pairs", "ratings")},
            "anchoring": more["anchoring"],
            "repairs": more["repairs"],
            "people": more["people"],
            "consensus": self.review.together.method,
            "wanted": self.review.wanted.num_rows,
        }

    def lines(self) -> Iterator[str]:
        """Say it in lines for people."""
        total = self.answered + self.left
        yield f"{self.answered:,} of {total:,} tasks answered, {self.left:,} left"
        yield "tasks: " + (_listed(self.tasks) or "none")
        yield "events: " + (_listed(self.events) or "none yet; `curator annotate pull`")
        if self.verdicts:
            yield "verdicts so far: " + _listed(self.verdicts)
        yield f"all agree: {_said(self.agreed, 'rows of two or more answers')}"
        yield f"suggestion taken where shown: {_said(self.with_suggestion, 'answers')}"
        yield f"same answer where hidden:     {_said(self.without, 'answers')}"
        yield f"given label wrong (blind):    {_said(self.wrong, 'answers')}"
        yield from self.review.figures.lines()
        if wanted := self.review.wanted.num_rows:
            yield f"{wanted:,} rows want one more opinion: --opinions FILE lists them"
        yield f"time: {self.hours:.2f} hours by lead time, capped where nobody can have worked"
        for one in self.annotators:
            pace = "" if one.per_hour is None else f", {one.per_hour:.0f} an hour"
            yield (
                f"  {one.name}: {one.answers:,} answers{pace}, {one.skipped:,} skipped, "
                f"{one.invalid:,} not understood; known answers right: "
                f"{_said(one.known_right, 'asked')}"
            )


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {kind}" for kind, n in counts.items())


def _said(share: Share, what: str) -> str:
    if share.share is None:
        return f"no {what} yet"
    return f"{share.share:.0%} [{share.low:.0%}, {share.high:.0%}] of {share.of:,} {what}"


def status_of(
    store: Store, project: str | None = None, *, how: How = "majority", progress: Progress = SILENT
) -> Status:
    """Say how far a project is, by what was pulled.

    Args:
        store: Holds the events.
        project: Title or number; None: the only one.
        how: By which consensus; crowdlab and auto may fit the models of the run.
        progress: Told what happens.

    Raises:
        StoreError: Nothing was pushed from here to such a project.
    """
    state = state_of(store, project)
    answers = answers_of(current_answers(state))
    listed = answers.to_pylist()
    by_row: dict[str, list[dict[str, Any]]] = {}
    for answer in listed:
        by_row.setdefault(answer["row_id"], []).append(answer)
    several = [found for found in by_row.values() if len(found) > 1]
    combine = form_of(store.head().task).combine
    answered = sum(row in by_row for row in state.asked)
    return Status(
        tasks=_counted(asked.control for asked in state.asked.values()),
        answered=answered,
        left=len(state.asked) - answered,
        events=_counted(event["kind"] for event in state.events),
        verdicts=_counted(consensus(answers, combine=combine)["verdict"].to_pylist()),
        agreed=share_of([len({(a["decision"] == "drop", a["value"]) for a in found}) == 1
                         for found in several]),
        with_suggestion=share_of([_is_suggested(a) for a in listed if a["control"] == "open"]),
        without=share_of([_is_suggested(a) for a in listed if a["control"] == "blind"]),
        wrong=share_of([a["value"] != a["given"] for a in listed
                        if a["control"] == "blind" and a["decision"] != "ambiguous"]),
        hours=_hours(listed),
        annotators=tuple(_annotators(state, listed)),
        answers=answers,
        review=review_of(store, project, how=how, progress=progress),
    )  # fmt: skip


def _counted(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _is_suggested(answer: dict[str, Any]) -> bool:
    return answer["value"] is not None and answer["value"] == answer["suggested"]


def _hours(answers: Sequence[dict[str, Any]]) -> float:
    return sum(counted_seconds(answers)) / _HOUR_S


def _annotators(state: State, listed: Sequence[dict[str, Any]]) -> Iterator[Annotator]:
    now = list(current_answers(state))
    for name in sorted({str(event["annotator"]) for event in now}):
        own = [a for a in listed if a["annotator"] == name]
        kinds = Counter(e["kind"] for e in now if str(e["annotator"]) == name)
        hours = _hours(own)
        yield Annotator(
            name=name,
            answers=len(own),
            skipped=kinds["skipped"],
            invalid=kinds["invalid"] + kinds["empty"],
            hours=hours,
            per_hour=len(own) / hours if hours else None,
            known_right=share_of([a["value"] == known_answer(a) for a in own if known_answer(a)]),
            accepted=share_of([_is_suggested(a) for a in own if a["control"] == "open"]),
        )


def events_table(store: Store, project: str | None = None) -> pa.Table:
    """Give all events of a project, oldest first, without the raw results."""
    events = state_of(store, project).events
    names = [n for n in (events[0] if events else {}) if n != "result"]
    columns = {n: [None if e[n] is None else str(e[n]) for e in events] for n in names}
    return pa.table(columns) if names else pa.table({"id": pa.array([], pa.string())})
