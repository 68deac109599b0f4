"""Compute a version's steps anew and name each row that falls on another side of a threshold.

The one idea: results may not depend on the machine's workers, on batch sizes or on a cache, so a
recheck starts every step from stored rows and an empty cache and compares what comes out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curator import schema
from curator.context import Context, served
from curator.errors import StoreError
from curator.execute import Outcome, execute, findings_of, model_of, ruled, step_version
from curator.labels import Label
from curator.progress import SILENT, Progress
from curator.rebuilding import (
    PARTED_SCHEMA,
    Rebuilt,
    StepRebuilt,
    as_json,
    decisions_apart,
    parted,
    rebuilt_alone,
    rows_apart,
    verdict,
)
from curator.recipe import StepSpec
from curator.replaying import context_of, labels_of, model_notes, run_of, spec_of
from curator.tasks import task_of
from curator.versions import plan_merge
from curator.versions.manifest import Version
from curator.versions.merging import MERGE
from curator.versions.store import Store

ROW_WISE = ("clean",)
"""Kinds of steps whose check looks at one row at a time, so that rows may come in batches."""

# A score may move by a bit between machines; what was done and why may not.
DECIDED = ("reason", "before", "after", "partner_id")


def recheck(
    store: Store,
    ref: Version | str,
    *,
    workers: int = 1,
    batch_size: int | None = None,
    progress: Progress = SILENT,
) -> Rebuilt:
    """Compute every step of a version anew and list the rows that fall out otherwise.

    Args:
        store: The store.
        ref: Version, branch or tag.
        workers: Batches a model works on side by side, and threads of a fit.
        batch_size: Texts that are embedded, and rows that are cleaned, at a time; None: all.
        progress: Told what happens.

    Returns:
        Each version on the way. Every step starts from the stored rows of its parent and an empty
        cache, so each is judged on its own.

    Raises:
        StoreError: Something stored is missing or altered, or no run of the version is known.
    """
    if workers < 1 or (batch_size is not None and batch_size < 1):
        raise StoreError("--workers and --batch-size are whole numbers from 1")
    target = store.version(ref)
    line = store.ancestry(target)[::-1]
    recorded = model_notes(store)
    steps: list[StepRebuilt] = []
    apart: list[dict[str, Any]] = []
    store.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.cache, prefix="recheck-") as cache:
        checker = _Checker(store, Path(cache), workers, batch_size, progress)
        for version in line:
            made, here = checker.check(version, recorded.get(version.id))
            progress.say(f"recheck {made.step}: {made.rows:,} rows, {verdict(made)}")
            steps.append(made)
            apart += here
    return Rebuilt(target.id, tuple(steps), pa.Table.from_pylist(apart, schema=PARTED_SCHEMA))


@dataclass(slots=True)
class _Checker:
    """Computes steps anew with one context per import, in a cache of its own."""

    store: Store
    cache: Path
    workers: int
    batch_size: int | None
    progress: Progress
    context: Context | None = None
    labels: Mapping[str, Label] | None = None

    def check(
        self, version: Version, model: dict[str, str] | None
    ) -> tuple[StepRebuilt, list[dict[str, Any]]]:
        """Compute one version anew."""
        store = self.store
        if version.parents and version.step.name == MERGE:
            return self._merged(version)
        spec = spec_of(version) if version.parents else None
        if spec is None:
            before = store.rows(version.parents[0]) if version.parents else None
            made, _, apart = rebuilt_alone(store, version, before)
            return made, apart
        parent = store.version(version.parents[0])
        context = self._context(version)
        with _threads(self.workers, context, spec):
            outcome = self._computed(spec, version.step.name, parent, context)
        moved, by, apart = _findings_apart(version, store.findings(version), outcome.findings)
        apart += decisions_apart(version, store.decisions(version), outcome.decisions, told=DECIDED)
        if not apart and schema.content_digest(outcome.rows) != version.content:
            apart += rows_apart(version, store.rows(version), outcome.rows)
        made = StepRebuilt(
            version.id, version.step.name, "computed", outcome.rows.num_rows, not apart,
            moved=moved, by=by, notes=_notes(version, spec, model, model_of(spec, context)),
        )  # fmt: skip
        return made, apart

    def _context(self, version: Version) -> Context:
        if self.context is None:
            about = run_of(self.store, version)
            self.context = context_of(
                self.store, version, about, cache=self.cache, progress=self.progress
            )
            self.labels = labels_of(about)
        return self.context

    def _computed(self, spec: StepSpec, name: str, parent: Version, context: Context) -> Outcome:
        rows, transforms = self.store.rows(parent), parent.transforms
        size = self.batch_size
        if size is not None and model_of(spec, context) is not None:
            texts = task_of(rows).input_text(served(rows, transforms)).to_pylist()
            for start in range(0, len(texts), size):  # later asked for by the step itself
                context.embed(texts[start : start + size])
        if size is None or spec.kind not in ROW_WISE:
            return execute(
                spec, name, rows, context, transforms=transforms, labels=self.labels or {}
            )
        shown = served(rows, transforms)
        parts = [
            findings_of(spec.kind, spec.options, shown.slice(start, size), context)
            for start in range(0, shown.num_rows, size)
        ]
        findings = pa.concat_tables([schema.findings([]), *parts])
        decided = ruled(spec, name, rows, findings)
        return Outcome(decided.rows, decided.decisions, findings, transforms)

    def _merged(self, version: Version) -> tuple[StepRebuilt, list[dict[str, Any]]]:
        """Join both parents of a merge again."""
        ours, theirs = version.parents[0], version.parents[1]
        options = version.step.options
        again = plan_merge(self.store, theirs, into=ours, rule=options.get("rule"))
        same = schema.content_digest(again.rows) == version.content
        apart = [] if same else rows_apart(version, self.store.rows(version), again.rows)
        made = StepRebuilt(version.id, version.step.name, "merged", again.rows.num_rows, same)
        return made, apart


@contextmanager
def _threads(workers: int, context: Context, spec: StepSpec) -> Iterator[None]:
    """Limit the threads that models may use; libraries must be loaded to be limited."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if model_of(spec, context) is not None:
        context.embed([""])
    with threadpool_limits(workers):
        yield


def _notes(
    version: Version, spec: StepSpec, then: dict[str, str] | None, now: dict[str, str] | None
) -> tuple[str, ...]:
    notes = []
    if (code := step_version(spec.kind)) != version.step.version:
        notes.append(f"made by version {version.step.version} of the step's code, now {code}")
    if then is not None and now is not None:
        notes += [
            f"model {name} then {then[name]}, now {now[name]}"
            for name in ("name", "revision", "numerics")
            if then.get(name) != now[name]
        ]
    return tuple(notes)


def _findings_apart(
    version: Version, stored: pa.Table, now: pa.Table
) -> tuple[int, float, list[dict[str, Any]]]:
    """Give how many scores moved, the furthest move, and the rows that cross a threshold."""
    old, new = _by_doubt(stored), _by_doubt(now)
    moved, by = 0, 0.0
    apart = []
    for key in sorted({*old, *new}):
        was, here = old.get(key), new.get(key)
        if (was or {}).get("flagged", False) != (here or {}).get("flagged", False):
            apart.append(parted(version, key[0], key[1], _doubt(was), _doubt(here)))
        elif was and here and was["score"] != here["score"]:
            moved += 1
            if was["score"] is not None and here["score"] is not None:
                by = max(by, abs(was["score"] - here["score"]))
    return moved, by, apart


def _by_doubt(findings: pa.Table) -> dict[tuple[str, str], dict[str, Any]]:
    return {(f["row_id"], f["issue_type"]): f for f in findings.to_pylist()}


def _doubt(finding: dict[str, Any] | None) -> str | None:
    if finding is None:
        return None
    return as_json(
        {name: finding[name] for name in ("flagged", "score", "suggestion", "partner_id")}
    )
