"""What a stored version needs to be done again: its step as a recipe would say it, and the context.

The one idea: a version names its step, options and code version, and its run kept the rest (model,
language, label texts), so that a step can be replayed without the recipe it came from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curator.about import RunAbout, find_about
from curator.comparing import root_of
from curator.context import Context
from curator.errors import StoreError
from curator.labels import Label
from curator.progress import SILENT, Progress
from curator.recipe import StepSpec
from curator.registry import STEPS, bind_step
from curator.versions.manifest import Version
from curator.versions.store import Store


def kind_of(name: str) -> str | None:
    """Give the kind of a recipe's step by its name; None for other steps, such as a merge.

    >>> kind_of("duplicates-2")
    'duplicates'
    >>> kind_of("merge")
    """
    kind = re.sub(r"-\d+$", "", name)
    return next((k for k in (name, kind) if k in STEPS or k == "augment"), None)


def spec_of(version: Version) -> StepSpec | None:
    """Give the step of a version as its recipe stated it; None where no recipe did.

    Raises:
        StoreError: This release no longer takes its options.
    """
    kind = kind_of(version.step.name)
    if kind is None:
        return None
    options, faults = bind_step(kind, _as_written(version.step.options))
    if faults:
        raise StoreError(
            f"version {version.short}: step {version.step.name!r} was made with options that this "
            f"release does not take: {'; '.join(message for _, message in faults)}"
        )
    return StepSpec(kind, options)


def _as_written(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give stored options as a recipe writes them: an augmenter is a key over its own options."""
    chosen = [
        {entry["augmenter"]: {k: v for k, v in entry.items() if k != "augmenter"}}
        for entry in options.get("with", ())
    ]
    return {**options, "with": chosen} if chosen else dict(options)


def run_of(store: Store, version: Version) -> RunAbout:
    """Find the run that made a version, or the nearest version before it.

    Raises:
        StoreError: No run is known.
    """
    for before in store.ancestry(version):
        if (about := find_about(store, before.id)) is not None:
            return about
    raise StoreError(
        f"no run is known that made version {version.short} or one before it, so its model, "
        "language and label texts are not known and no step can be replayed"
    )


def context_of(
    store: Store, version: Version, about: RunAbout, *, cache: Path, progress: Progress = SILENT
) -> Context:
    """Give the context in which the steps before a version ran."""
    return Context(
        cache=cache,
        root=store.rows(root_of(store, version)),
        model_name=about.measure.model if about.measure else None,
        language=about.language,
        base=about.base,
        progress=progress,
    )


def labels_of(about: RunAbout) -> dict[str, Label]:
    """Give what a run knew about the labels, as far as a step may ask for it."""
    return {
        key: Label(key, definition=texts[0] if texts else None)
        for key, texts in about.label_texts.items()
    }


def first_parent_line(store: Store, version: Version) -> list[Version]:
    """Give a version and its first parents, oldest first: the import, then step by step."""
    line = [version]
    while line[-1].parents:
        line.append(store.version(line[-1].parents[0]))
    return line[::-1]


def model_notes(store: Store) -> dict[str, dict[str, str]]:
    """Give the model each version rested on, by version id, where it was recorded."""
    found = {}
    for branch in store.branches():
        for entry in store.entries(branch):
            if model := entry.note.get("model"):
                found[entry.version] = dict(model)
    for done in store.records("steps"):
        if model := done.get("model"):
            found.setdefault(done["version"], dict(model))
    return found
