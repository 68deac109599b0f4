"""All checks on a file or a version, nothing changed: findings, counted and ranked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import finetune
from curator.about import find_about
from curator.checks.drift import version_drift
from curator.checks.label_errors import kin_note, noise_notes
from curator.comparing import root_of
from curator.context import Context, served
from curator.errors import CuratorError, StepError, StoreError
from curator.execute import findings_of
from curator.importing import import_rows
from curator.init import draft
from curator.issues import ABOUT_THE_SET, HARMS, Limit, check_known, harm_of, limit, ranked
from curator.labels import load_labels, parents_of
from curator.masking import Examples, Shown, own_kinds
from curator.options import bind
from curator.own_checks import installed_checks
from curator.progress import SILENT, Progress
from curator.recipe import Recipe, from_mapping, load, loads
from curator.registry import OWN, STEPS, bind_step
from curator.tasks import task_of
from curator.versions.store import Store

EXAMPLES = 3
ALWAYS_SHOWN = (
    "label_conflict", "answers_differ", "refusal", "answer_length", "refusal_preferred",
    "reversed_in_another_row", "longer_preferred", "surface_conflict", "split_span",
)  # fmt: skip
"""Not flagged, as people have to say which row is wrong, or whether it is meant."""

LABEL_COLUMNS = ("p_wrong", "p_fix")
NEED_LABELS = {
    "label_errors": "label errors were",
    "shortcuts": "shortcuts to the label were",
}
"""Checks that ask nothing of rows without labels, and what to say then."""

ONE_TASK = frozenset({"label_sets", "token_labels", "instructions", "preferences"})
"""Checks of what only one task has: rows of the others are not said to lack them."""

ACROSS_SPLITS = frozenset({"leaks", "semantic_duplicates"})
"""Checks that compare training rows with test rows; the others take all rows of a file."""

TAKEN_OVER = frozenset({("multilabel", "label_errors"), ("tokens", "label_errors")})
"""Where such a check does the work of a general one."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What all checks found.

    table: The findings with split, source and source_row beside them; p_wrong and p_fix, last, are
        null but for label findings. One row per flagged row and issue, or per scored row and
        issue.
    doubts: What the summary counts: flagged findings, and label conflicts, of which nobody can
        say yet which of the two labels is wrong.
    rows: The rows that were checked.
    notes: What was assumed and what could not be checked.
    seen: How texts are shown in the summary.
    """

    table: pa.Table
    doubts: pa.Table
    rows: pa.Table
    notes: tuple[str, ...]
    seen: Shown

    def summary(self) -> dict[str, Any]:
        """Count doubts per issue type, what matters most first, with three examples each.

        A doubt about the whole set counts once, however many rows carry it.
        """
        by_type: dict[str, list[dict[str, Any]]] = {}
        for finding in self.doubts.to_pylist():
            by_type.setdefault(finding["issue_type"], []).append(finding)
        counts = {issue: _count(issue, found) for issue, found in by_type.items()}
        texts = self._texts({f["row_id"] for found in by_type.values() for f in _first(found)})
        issues = [
            {
                "issue_type": issue,
                "harm": HARMS[harm_of(issue)],
                "about": "the set" if issue in ABOUT_THE_SET else "rows",
                "count": counts[issue],
                "share": None
                if issue in ABOUT_THE_SET
                else counts[issue] / max(1, self.rows.num_rows),
                "examples": [self._example(f, texts) for f in _first(by_type[issue])],
            }
            for issue in ranked(counts)
        ]
        return {"rows": self.rows.num_rows, "issues": issues, "notes": list(self.notes)}

    def _texts(self, ids: set[str]) -> dict[str, str]:
        some = self.rows.filter(pc.is_in(self.rows["id"], pa.array(sorted(ids), pa.string())))
        told = task_of(some).input_text(some).to_pylist()
        return dict(zip(some["id"].to_pylist(), told, strict=True))

    def _example(self, finding: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
        """Give one example as people may see it."""
        said = {
            "text": texts[finding["row_id"]],
            "evidence": finding["evidence"],
            "suggestion": finding["suggestion"],
        }
        told = {name: self.seen(value) for name, value in said.items()}
        return {"row_id": finding["row_id"], "score": finding["score"], **told}

    def failing(self, limits: Sequence[str]) -> dict[str, int]:
        """Count the doubts of the issue types that break a limit.

        Args:
            limits: ISSUE, ISSUE:COUNT or ISSUE:SHARE; no from that many on.

        Raises:
            CuratorError: A limit that cannot be read, or an issue type that no check gives.
        """
        return {one.issue_type: count for one, count in self.broken(limits)}

    def broken(self, limits: Sequence[str]) -> list[tuple[Limit, int]]:
        """Give the limits that are broken, and how many doubts there are."""
        asked = [limit(one) for one in limits]
        found = pc.unique(self.doubts["issue_type"]).to_pylist()
        check_known(asked, found)
        counts = {i["issue_type"]: i["count"] for i in self.summary()["issues"]}
        told = ((one, counts.get(one.issue_type, 0)) for one in asked)
        return [(one, n) for one, n in told if n and one.broken_by(n, self.rows.num_rows)]


def _count(issue: str, found: Sequence[Mapping[str, Any]]) -> int:
    """Count sentences about the set, or rows."""
    column = "evidence" if issue in ABOUT_THE_SET else "row_id"
    return len({f[column] for f in found})


def _first(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the most suspicious findings, of each sentence about the set the first."""
    best = sorted(found, key=_most_suspicious)
    if best[0]["issue_type"] in ABOUT_THE_SET:
        best = list({f["evidence"]: f for f in reversed(best)}.values())[::-1]
    return best[:EXAMPLES]


def _most_suspicious(finding: Mapping[str, Any]) -> tuple[float, str]:
    return -(finding["score"] or 0.0), finding["row_id"]


def refuse_unknown(limits: Sequence[str], recipe: Path | None) -> None:
    """Refuse limits that cannot be read or broken, before any work is done.

    Where own checks are asked, whose issue types are not known yet, names are looked at afterwards.

    Raises:
        CuratorError: A limit that cannot be read, or an issue type that no check gives.
    """
    asked = [limit(one) for one in limits]
    own = recipe is not None and any(step.kind == OWN for step in load(recipe).steps)
    if not own and not installed_checks():
        check_known(asked, ())


def check(  # noqa: PLR0913 - each is an option of the command line
    wanted: str,
    *,
    store: Store | None,
    cache: Path,
    recipe: Path | Recipe | None = None,
    against: str | None = None,
    every: bool = False,
    text: str | None = None,
    label: str | None = None,
    examples: Examples | None = None,
    progress: Progress = SILENT,
) -> Checked:
    """Run all checks on a file, an address or a version.

    Args:
        wanted: A file or address; or a version, branch or tag of the store.
        store: The store, where there is one.
        cache: Folder for what can be computed again.
        recipe: Gives columns and step options; without, defaults and guesses, which are said.
        against: A file or version whose training rows these are compared with, for drift.
        every: One row per scored row and issue; else per flagged row and issue.
        text: Text column of a file.
        label: Label column of a file.
        examples: How texts are shown: masked, none or full; by default as the recipe says.
        progress: Told what happens.

    Raises:
        CuratorError: Neither a file nor a version, or a column that is not there.
    """
    loaded = load(recipe) if isinstance(recipe, Path) else recipe
    notes: list[str] = []
    rows, context = _asked(wanted, store, loaded, (text, label), cache, notes, progress)
    if not pc.any(pc.not_equal(rows["split"], "train")).as_py():
        notes.append("no row is said to be a test row, so leaks were not looked for")
    whole = rows if store is not None and _is_version(store, wanted) else _as_training(rows)
    tables = [
        _findings(kind, options, rows if kind in ACROSS_SPLITS else whole, context, notes)
        for kind, options in _wanted(loaded, notes)
    ]
    if against is not None:
        tables.append(_drifted(against, store, loaded, (text, label), cache, whole, context, notes))
    found = pa.concat_tables([t for t in tables if t is not None])
    doubts = found.filter(
        pc.or_(found["flagged"], pc.is_in(found["issue_type"], pa.array(ALWAYS_SHOWN)))
    )
    listed = found if every else found.filter(found["flagged"])
    how = examples or (loaded.examples if loaded else "masked")
    seen = Shown(how, own_kinds(step.options for step in loaded.steps) if loaded else {})
    return Checked(_joined(listed, rows), doubts, rows, tuple(notes), seen)


def _asked(
    wanted: str,
    store: Store | None,
    recipe: Recipe | None,
    columns: tuple[str | None, str | None],
    cache: Path,
    notes: list[str],
    progress: Progress,
) -> tuple[pa.Table, Context]:
    if store is not None and _is_version(store, wanted):
        return _of_version(store, wanted, recipe, progress)
    return _of_source(wanted, recipe, *columns, cache, notes, progress)


def _wanted(recipe: Recipe | None, notes: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give each check with its options: the recipe's, else the defaults; then the user's own."""
    for kind, step in STEPS.items():
        if step.is_check:
            told = [s.options for s in recipe.steps if s.kind == kind] if recipe else []
            yield kind, told[0] if told else bind(f"step {kind!r}", step.options(), {})[0]
    own = [s.options for s in recipe.steps if s.kind == OWN] if recipe else []
    yield from ((OWN, options) for options in own)
    for name in installed_checks():
        if name not in [options["use"] for options in own]:
            options, faults = bind_step(OWN, {"use": name}, base=Path())
            if faults:
                notes.append(f"installed check {name!r} could not be run: {faults[0][1]}")
            else:
                yield OWN, options


def _drifted(
    against: str,
    store: Store | None,
    recipe: Recipe | None,
    columns: tuple[str | None, str | None],
    cache: Path,
    rows: pa.Table,
    context: Context,
    notes: list[str],
) -> pa.Table | None:
    """Compare training rows with those of another version, or all rows with those of a file."""
    before, _ = _asked(against, store, recipe, columns, cache, notes, context.progress)
    if store is None or not _is_version(store, against):
        before = _as_training(before)
    if task_of(before).name != task_of(rows).name:
        raise CuratorError(
            f"--against {against!r}: its rows are of task {task_of(before).name}, the others of "
            f"{task_of(rows).name}"
        )
    one, other = (t.filter(pc.equal(t["split"], "train")) for t in (before, rows))
    try:
        vectors = [context.embeddings(side).astype(np.float64) for side in (one, other)]
    except finetune.FitError as fault:
        notes.append(f"drift against {against!r} could not be looked for: {fault}")
        return None
    return version_drift(one, other, vectors[0], vectors[1])


def _is_version(store: Store, name: str) -> bool:
    try:
        store.version(name)
    except StoreError:
        return False
    return True


def _of_version(
    store: Store, name: str, recipe: Recipe | None, progress: Progress
) -> tuple[pa.Table, Context]:
    version = store.version(name)
    about = find_about(store, version.id)
    measure = recipe.measure if recipe else (about.measure if about else None)
    context = Context(
        cache=store.cache,
        root=store.rows(root_of(store, version)),
        model_name=measure.model if measure else None,
        language=recipe.language if recipe else (about.language if about else None),
        base=recipe.base if recipe else (about.base if about else Path()),
        progress=progress,
        tree=_tree(recipe),
    )
    return served(store.rows(version), version.transforms), context


def _tree(recipe: Recipe | None) -> dict[str, str]:
    """Give what stands above each label, where the recipe names a labels file."""
    return parents_of(load_labels(recipe.labels, base=recipe.base)) if recipe else {}


def _of_source(
    address: str,
    recipe: Recipe | None,
    text: str | None,
    label: str | None,
    cache: Path,
    notes: list[str],
    progress: Progress,
) -> tuple[pa.Table, Context]:
    asked = recipe or _guessed(address, text, label, notes)
    first = asked.sources[0]
    columns = {**first.columns, **{k: v for k, v in (("text", text), ("label", label)) if v}}
    source = replace(first, address=address, columns=columns, split=None)
    base = Path.cwd() if recipe else asked.base
    whole = replace(asked, sources=(source,), base=base, max_bad_share=1.0)
    imported = import_rows(whole, for_check=True)
    if imported.bad:
        first_bad = imported.bad[0]
        notes.append(
            f"{len(imported.bad)} records could not be read, the first: "
            f"{first_bad.source}:{first_bad.line}: {first_bad.reason}"
        )
    notes += imported.warnings
    context = Context(
        cache=cache,
        root=_as_training(imported.rows),
        model_name=asked.measure.model if asked.measure else None,
        language=asked.language,
        base=asked.base,
        progress=progress,
        tree=_tree(recipe),
    )
    return imported.rows, context


def _as_training(rows: pa.Table) -> pa.Table:
    """Call every row a training row: in a file that is looked at, test rows are doubted too."""
    at = rows.column_names.index("split")
    return rows.set_column(at, rows.schema.field(at), pa.array(["train"] * rows.num_rows))


def _guessed(address: str, text: str | None, label: str | None, notes: list[str]) -> Recipe:
    """Take columns from what `init` makes of the file, and say what was taken."""
    if ":" in address and not address.startswith("file:"):
        columns = {"text": text or "text", "label": label or "label"}
        return from_mapping({"sources": [{"from": address, "columns": columns}]})
    path = Path(address.removeprefix("file:"))
    if not path.exists():
        raise CuratorError(
            f"{address!r} is neither a file in {Path.cwd()} nor a version, branch or tag of the "
            "store (`curator log --all` lists versions)"
        )
    answers = {k: v for k, v in (("text", text), ("label", label)) if v}
    made = draft(path, folder=Path.cwd(), answers=answers)
    recipe = loads(made.recipe, path.name, base=Path.cwd())
    taken = recipe.sources[0].columns
    notes.append(
        f"columns taken: {', '.join(f'{role} {name!r}' for role, name in taken.items())}, language "
        f"{recipe.language}; --text, --label or --recipe say otherwise"
    )
    notes += [f"open: {question.text}" for question in made.questions]
    return recipe


def _findings(
    kind: str, options: Mapping[str, Any], rows: pa.Table, context: Context, notes: list[str]
) -> pa.Table | None:
    name = options["use"] if kind == OWN else kind
    if kind in NEED_LABELS and not task_of(rows).labels(rows) - {""}:
        notes.append(f"there are no labels, so {NEED_LABELS[kind]} not looked for")
        return None
    if kind in NEED_LABELS and "label" in rows.column_names:
        rows = _labelled(rows, NEED_LABELS[kind], notes)
    if (task := task_of(rows).name) not in STEPS[kind].tasks:
        if (task, kind) in TAKEN_OVER or kind in ONE_TASK:
            return None
        known = ", ".join(STEPS[kind].tasks)
        notes.append(f"{name} was not run: it does not know the task {task} yet, only {known}")
        return None
    try:
        found = findings_of(kind, options, rows, context)
    except (finetune.FitError, StepError) as fault:
        if kind == OWN:
            raise
        notes.append(f"{name} could not be run: {fault}")
        return None
    if kind == "label_errors":
        notes.append(f"label errors: out-of-fold probabilities from {context.model_note()}")
        notes += (*noise_notes(rows, found), *kin_note(rows, found, context.tree))
    return found


def _labelled(rows: pa.Table, what: str, notes: list[str]) -> pa.Table:
    """Keep the rows that have a label, as no label is no class of its own."""
    some = rows.filter(pc.not_equal(rows["label"], ""))
    if without := rows.num_rows - some.num_rows:
        verb = "row has" if without == 1 else "rows have"
        notes.append(
            f"{without:,} {verb} no label, so {what} looked for among the other {some.num_rows:,}"
        )
    return some


def _joined(findings: pa.Table, rows: pa.Table) -> pa.Table:
    """Put split, source and record number beside each finding."""
    ids = rows["id"].combine_chunks()
    places = pc.index_in(findings["row_id"].combine_chunks(), ids)
    table = findings
    for name in ("split", "source", "source_row"):
        table = table.append_column(rows.schema.field(name), rows[name].take(places))
    own = [n for n in findings.column_names if n not in LABEL_COLUMNS]
    return table.select([*own, "split", "source", "source_row", *LABEL_COLUMNS])
