"""All checks on a file or a version, nothing changed: findings, counted and ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import finetune
from curator.about import find_about
from curator.checks.label_errors import noise_notes
from curator.comparing import root_of
from curator.context import Context, served
from curator.errors import CuratorError, StoreError
from curator.execute import findings_of
from curator.importing import import_rows
from curator.init import draft
from curator.options import bind, unknown_name
from curator.progress import SILENT, Progress
from curator.recipe import Recipe, from_mapping, load, loads
from curator.registry import STEPS
from curator.versions.store import Store

EXAMPLES = 3
ALWAYS_SHOWN = ("label_conflict",)
LABEL_COLUMNS = ("p_wrong", "p_fix")


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
    """

    table: pa.Table
    doubts: pa.Table
    rows: pa.Table
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Count rows in doubt per issue type, the most frequent first, with examples."""
        text = dict(zip(self.rows["id"].to_pylist(), self.rows["text"].to_pylist(), strict=True))
        by_type: dict[str, list[dict[str, Any]]] = {}
        for finding in self.doubts.to_pylist():
            by_type.setdefault(finding["issue_type"], []).append(finding)
        issues = [
            {
                "issue_type": issue_type,
                "count": len({f["row_id"] for f in found}),
                "share": len({f["row_id"] for f in found}) / max(1, self.rows.num_rows),
                "examples": [
                    {"row_id": f["row_id"], "score": f["score"], "text": text[f["row_id"]],
                     "evidence": f["evidence"], "suggestion": f["suggestion"]}
                    for f in sorted(found, key=_most_suspicious)[:EXAMPLES]
                ],
            }
            for issue_type, found in by_type.items()
        ]  # fmt: skip
        issues.sort(key=lambda issue: (-issue["count"], issue["issue_type"]))
        return {"rows": self.rows.num_rows, "issues": issues, "notes": list(self.notes)}

    def failing(self, types: Sequence[str]) -> dict[str, int]:
        """Count rows in doubt, of the issue types that should fail a gate."""
        counts = {i["issue_type"]: i["count"] for i in self.summary()["issues"]}
        return {t: counts[t] for t in types if counts.get(t)}


ISSUE_TYPES = (
    "unicode", "html", "whitespace", "empty", "too_short", "exact_duplicate", "near_duplicate",
    "label_conflict", "leak", "label",
)  # fmt: skip


def known_issues(types: Sequence[str]) -> Sequence[str]:
    """Give issue types back if checks know them all.

    Raises:
        CuratorError: One that no check gives.
    """
    for unknown in sorted(set(types) - set(ISSUE_TYPES)):
        raise CuratorError(unknown_name("--fail-on: a check", "issue type", unknown, ISSUE_TYPES))
    return types


def _most_suspicious(finding: Mapping[str, Any]) -> tuple[float, str]:
    return -(finding["score"] or 0.0), finding["row_id"]


def check(
    wanted: str,
    *,
    store: Store | None,
    cache: Path,
    recipe: Path | Recipe | None = None,
    every: bool = False,
    text: str | None = None,
    label: str | None = None,
    progress: Progress = SILENT,
) -> Checked:
    """Run all checks on a file, an address or a version.

    Args:
        wanted: A file or address; or a version, branch or tag of the store.
        store: The store, where there is one.
        cache: Folder for what can be computed again.
        recipe: Gives columns and step options; without, defaults and guesses, which are said.
        every: One row per scored row and issue; else per flagged row and issue.
        text: Text column of a file.
        label: Label column of a file.
        progress: Told what happens.

    Raises:
        CuratorError: Neither a file nor a version, or a column that is not there.
    """
    loaded = load(recipe) if isinstance(recipe, Path) else recipe
    notes: list[str] = []
    if store is not None and _is_version(store, wanted):
        rows, context = _of_version(store, wanted, loaded, progress)
    else:
        rows, context = _of_source(wanted, loaded, text, label, cache, notes, progress)
    tables = [
        _findings(kind, loaded, rows, context, notes)
        for kind, step in STEPS.items()
        if step.is_check
    ]
    found = pa.concat_tables([t for t in tables if t is not None])
    doubts = found.filter(
        pc.or_(found["flagged"], pc.is_in(found["issue_type"], pa.array(ALWAYS_SHOWN)))
    )
    listed = found if every else found.filter(found["flagged"])
    return Checked(_joined(listed, rows), doubts, rows, tuple(notes))


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
    )
    return served(store.rows(version), version.transforms), context


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
    columns.pop("split", None)
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
        root=imported.rows,
        model_name=asked.measure.model if asked.measure else None,
        language=asked.language,
        base=asked.base,
        progress=progress,
    )
    return imported.rows, context


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
        f"columns taken: text {taken['text']!r}, label {taken['label']!r}, language "
        f"{recipe.language}; --text, --label or --recipe say otherwise"
    )
    notes += [f"open: {question.text}" for question in made.questions]
    return recipe


def _findings(
    kind: str, recipe: Recipe | None, rows: pa.Table, context: Context, notes: list[str]
) -> pa.Table | None:
    options = next((s.options for s in recipe.steps if s.kind == kind), None) if recipe else None
    if options is None:
        options, _ = bind(f"step {kind!r}", STEPS[kind].options(), {})
    if "probabilities" in STEPS[kind].needs() and not any(rows["label"].to_pylist()):
        notes.append("there are no labels, so label errors were not looked for")
        return None
    try:
        found = findings_of(kind, options, rows, context)
    except finetune.FitError as fault:
        notes.append(f"{kind} could not be run: {fault}")
        return None
    if kind == "label_errors":
        notes.append(f"label errors: out-of-fold probabilities from {context.model_note()}")
        notes += noise_notes(rows, found)
    return found


def _joined(findings: pa.Table, rows: pa.Table) -> pa.Table:
    """Put split, source and record number beside each finding."""
    ids = rows["id"].combine_chunks()
    places = pc.index_in(findings["row_id"].combine_chunks(), ids)
    table = findings
    for name in ("split", "source", "source_row"):
        table = table.append_column(rows.schema.field(name), rows[name].take(places))
    own = [n for n in findings.column_names if n not in LABEL_COLUMNS]
    return table.select([*own, "split", "source", "source_row", *LABEL_COLUMNS])
