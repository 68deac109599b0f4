"""Write the report of a run, or of versions that a run left, as HTML with a JSON twin."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import reports
from curator.about import RunAbout, find_about
from curator.annotating_report import with_people
from curator.attributing import attribution_known
from curator.comparing import root_of
from curator.context import Context
from curator.errors import StoreError
from curator.exporting import keep_place
from curator.facts import Step, gather
from curator.impact.claim import Impact, Measurement, claim
from curator.impact.measure import measure_chain
from curator.impact.outside import TIER
from curator.progress import SILENT, Progress
from curator.query import line_between
from curator.running import RunResult
from curator.versions.manifest import Version
from curator.versions.store import Store

DEFAULT_STORE = ".curator"


def report_of_run(result: RunResult, store: Store, *, out: Path | None = None) -> Path:
    """Write the report of a finished run.

    Args:
        result: The run.
        store: Holds its versions.
        out: HTML file; None takes the recipe's `report:`, relative to the recipe.

    Returns:
        The HTML file; the JSON twin lies beside it.
    """
    path = out or result.recipe.base / (result.recipe.report or "report.html")
    steps = [Step(s.name, s.kind, s.version, s.notes) for s in result.steps]
    _write(store, steps, result.about, result.impacts, path)
    return path


def report_of_versions(
    store: Store, a: str, b: str | None, *, out: Path, progress: Progress = SILENT
) -> Path:
    """Write the report of a version's whole history, or of what lies between two versions.

    Measurements that were made are found again; missing ones are made.

    Args:
        store: Holds the versions.
        a: The version, or the first of two.
        b: The second of two, a descendant of the first.
        out: HTML file; the JSON twin lies beside it.
        progress: Told what happens.

    Raises:
        StoreError: No run is known that made the versions.
    """
    last = store.version(b or a)
    first = store.version(a) if b else root_of(store, last)
    about = find_about(store, last.id)
    if about is None:
        raise StoreError(f"no run is known that made version {last.id[:12]}; run its recipe again")
    chain = [first, *line_between(store, first, last)]
    kinds = {version: (kind, notes) for _, kind, version, notes in about.steps}
    steps = [_step(version, kinds) for version in chain]
    impacts: list[tuple[str, Impact]] = []
    if about.measure is not None and last.lock and len(chain) > 1:
        context = Context(
            cache=store.cache,
            root=store.rows(root_of(store, first)),
            model_name=about.measure.model,
            language=about.language,
            base=about.base,
            progress=progress,
        )
        named = [(s.name, s.version) for s in steps]
        impacts = list(measure_chain(store, named, about.measure, context, progress=progress))
    _write(store, steps, about, impacts, out)
    return out


def _step(version: Version, kinds: dict[str, tuple[str, tuple[str, ...]]]) -> Step:
    kind, notes = kinds.get(version.id, (version.step.name.rpartition("-")[0], ()))
    return Step(version.step.name, kind or version.step.name, version, notes)


def _write(
    store: Store,
    steps: Sequence[Step],
    about: RunAbout,
    impacts: Sequence[tuple[str, Impact]],
    path: Path,
) -> None:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    cli = cli_of(store)
    told = [*impacts, *outside_impacts(store, steps)]
    shares = attribution_known(store, steps[-1].version.id)
    facts = gather(store, steps, about, told, created=created, cli=cli, attribution=shares)
    facts = with_people(facts, store, [step.version for step in steps], cli=cli)
    reports.write(facts, path)
    keep_place(store, steps[-1].version, path, "report")


def outside_impacts(store: Store, steps: Sequence[Step]) -> list[tuple[str, Impact]]:
    """Give what outside trainers were measured to make of these changes, most seeds each."""
    names = {(a.version.id, b.version.id): b.name for a, b in itertools.pairwise(steps)}
    names.setdefault((steps[0].version.id, steps[-1].version.id), reports.WHOLE_CHAIN)
    latest: dict[tuple[str, str, str], Measurement] = {}
    for values in store.records("impacts"):
        found = Measurement.from_dict(values)
        at = (found.before, found.after, found.spec)
        if found.tier != TIER or at[:2] not in names:
            continue
        if at not in latest or len(found.seeds) > len(latest[at].seeds):
            latest[at] = found
    return [(names[at[:2]], claim(found)) for at, found in sorted(latest.items())]


def cli_of(store: Store) -> str:
    """Say how the command line is called for this store, from the folder it was opened in."""
    where = store.address
    return "curator" if where == DEFAULT_STORE else f"curator --store {shlex.quote(where)}"
