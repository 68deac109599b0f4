"""What a run was about, kept beside the versions it made: recipe, sources, spec, warnings.

None of it enters a version id; a later comparison or report finds it by any version of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curator import schema
from curator.importing import Imported
from curator.masking import Examples
from curator.recipe import MeasureSpec, Recipe
from curator.versions.manifest import Version
from curator.versions.store import Store


@dataclass(frozen=True, slots=True)
class SourceAbout:
    """What one source gave: address as written, split asked for, records read and set aside."""

    address: str
    split: str | None
    records: int
    bad: int


@dataclass(frozen=True, slots=True)
class RunAbout:
    """What a run was about.

    steps: (name, kind, version id, notes), the import first.
    label_texts: What may stand for a label in training, by label.
    kept_at: When this was written, ISO 8601 UTC.
    examples: How its reports show texts.
    """

    name: str
    task: str
    language: str | None
    recipe_text: str
    sources: tuple[SourceAbout, ...]
    warnings: tuple[str, ...]
    labels: tuple[str, ...]
    label_texts: Mapping[str, list[str]]
    split_made: bool
    quarantine: str | None
    measure: MeasureSpec | None
    base: Path
    steps: tuple[tuple[str, str, str, tuple[str, ...]], ...]
    kept_at: str
    examples: Examples = "masked"


def about_run(
    recipe: Recipe,
    imported: Imported,
    steps: Sequence[tuple[str, str, Version, tuple[str, ...]]],
    quarantine: str | None,
) -> RunAbout:
    """Say what a run was about."""
    return RunAbout(
        name=recipe.name,
        task=recipe.task,
        language=recipe.language,
        recipe_text=recipe.text,
        sources=_sources(recipe, imported),
        warnings=imported.warnings,
        labels=tuple(sorted(imported.labels)),
        label_texts={key: list(label.texts) for key, label in sorted(imported.labels.items())},
        split_made=imported.split_made,
        quarantine=quarantine,
        measure=recipe.measure,
        base=recipe.base,
        steps=tuple((name, kind, version.id, notes) for name, kind, version, notes in steps),
        kept_at=datetime.now(UTC).isoformat(),
        examples=recipe.examples,
    )


def _sources(recipe: Recipe, imported: Imported) -> tuple[SourceAbout, ...]:
    good: dict[str, int] = {}
    for address in imported.rows["source"].to_pylist():
        good[address] = good.get(address, 0) + 1
    bad: dict[str, int] = {}
    for record in imported.bad:
        bad[record.source] = bad.get(record.source, 0) + 1
    asked = {s.address if isinstance(s.address, str) else "frame": s.split for s in recipe.sources}
    return tuple(
        SourceAbout(a, split, good.get(a, 0) + bad.get(a, 0), bad.get(a, 0))
        for a, split in asked.items()
    )


def keep_about(store: Store, about: RunAbout) -> None:
    """Keep what a run was about, unless the last one of its head says the same."""
    last = find_about(store, about.steps[-1][2])
    if last is not None and _same(last, about):
        return
    values = asdict(about) | {"base": str(about.base)}
    store.record("runs", schema.hash_fields(about.kept_at, about.steps[-1][2]), values)


def _same(one: RunAbout, other: RunAbout) -> bool:
    plain = [asdict(x) | {"kept_at": "", "base": str(x.base)} for x in (one, other)]
    return plain[0] == plain[1]


def find_about(store: Store, version: str) -> RunAbout | None:
    """Find what the last run that made or passed a version was about; None where none did."""
    runs = [r for r in store.records("runs") if version in {s[2] for s in r["steps"]}]
    return _read(max(runs, key=lambda r: r["kept_at"])) if runs else None


def _read(values: Mapping[str, Any]) -> RunAbout:
    parts = {"label_texts": {}, **values}  # runs of the first release kept no label texts
    parts["sources"] = tuple(SourceAbout(**s) for s in parts["sources"])
    parts["steps"] = tuple((n, k, v, tuple(notes)) for n, k, v, notes in parts["steps"])
    if parts["measure"] is not None:
        tiers = tuple(parts["measure"]["tiers"])
        parts["measure"] = MeasureSpec(**{**parts["measure"], "tiers": tiers})
    for name in ("warnings", "labels"):
        parts[name] = tuple(parts[name])
    parts["base"] = Path(parts["base"])
    return RunAbout(**parts)
