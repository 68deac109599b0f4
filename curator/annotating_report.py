"""What people found, for the report: the same figures as `annotate status`, but nobody's name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from string import ascii_uppercase

import reports
from curator.annotating_log import known_projects
from curator.annotating_status import Status, status_of
from curator.calibrating import JUDGED, SAMPLES, evidence_lines, verdicts_of
from curator.reliability import Sample, reliability
from curator.versions.manifest import Version
from curator.versions.store import Store

_LETTERS = len(ascii_uppercase)


def with_people(
    facts: reports.RunFacts, store: Store, chain: Iterable[Version], *, cli: str
) -> reports.RunFacts:
    """Give the facts of a run together with what people found about its versions."""
    return replace(
        facts,
        reviews=tuple(_reviews(store, cli)),
        reliability=_reliability(store, list(chain), cli),
    )


def _reviews(store: Store, cli: str) -> Iterator[reports.ReviewFacts]:
    for project in known_projects(store):
        found = status_of(store, str(project["title"]))
        names = {one.name: _letter(n) for n, one in enumerate(found.review.figures.people)}
        yield reports.ReviewFacts(
            project=str(project["title"]),
            tasks=found.answered + found.left,
            answered=found.answered,
            left=found.left,
            wanted=found.review.wanted.num_rows,
            hours=found.hours,
            sentences=tuple(found.review.figures.lines(names)),
            people=tuple(_people(found, names)),
            command=f"{cli} annotate status --project {project['project']}",
        )


def _letter(number: int) -> str:
    """Name an annotator without naming them: A, B, ... Z, A2, B2, ..."""
    turn = number // _LETTERS
    return ascii_uppercase[number % _LETTERS] + (str(turn + 1) if turn else "")


def _people(found: Status, names: dict[str, str]) -> Iterator[reports.ReviewerFacts]:
    for one in found.review.figures.people:
        known, others = one.known_right, one.with_others
        yield reports.ReviewerFacts(
            name=names[one.name], answers=one.answers, hours=one.hours, per_hour=one.per_hour,
            known_right=known.share, known_low=known.low, known_high=known.high, known_of=known.of,
            others=others.share, others_low=others.low, others_high=others.high,
        )  # fmt: skip


def _reliability(store: Store, chain: list[Version], cli: str) -> reports.ReliabilityFacts | None:
    """Give the largest judged sample of the chain's versions; None where nobody judged."""
    judged = {one["version"] for one in store.records(JUDGED)}
    mine = {version.id: version for version in chain if version.id in judged}
    kept = [one for one in store.records(SAMPLES) if one["version"] in mine]
    if not kept:
        return None
    values = max(kept, key=lambda one: len(one["rows"]))
    version = mine[values["version"]]
    sample = Sample.from_dict({n: v for n, v in values.items() if n != "version"})
    found = reliability(sample, verdicts_of(store, version))
    return reports.ReliabilityFacts(
        bins=tuple(
            reports.BinFacts(
                name=one.name, rows=one.rows, judged=one.judged, wrong=one.wrong,
                promised=one.promised, share=one.share, low=one.low, high=one.high,
            )
            for one in found.bins
        ),
        sentences=tuple(evidence_lines(found)),
        command=f"{cli} calibrate {version.short} --table",
    )  # fmt: skip
