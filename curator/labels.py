"""What is known about the labels beyond their keys: names, definitions, aliases.

A labels file is YAML (`key: {name: ..., definition: ..., aliases: [...]}`, or a list of such
mappings with `key:`), or any tabular file whose columns the recipe names.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import connectors
from curator.errors import RecipeError
from curator.recipe import LabelsSpec
from curator.yaml_nodes import parse


@dataclass(frozen=True, slots=True)
class Label:
    """One label: its key as rows carry it, and what a reader should know of it.

    names: Its name by language, where the file gives several; name is the first of them.
    examples: Texts that have it; parent: key of the label above it.
    contrasts: What sets it apart from a label that it is taken for, by that label's key.
    """

    key: str
    name: str | None = None
    definition: str | None = None
    aliases: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    parent: str | None = None
    contrasts: Mapping[str, str] = field(default_factory=dict)

    def name_in(self, language: str | None) -> str:
        """Give its name for readers of a language, else any name, else its key."""
        return self.names.get((language or "").split("-")[0]) or self.name or self.key

    @property
    def texts(self) -> tuple[str, ...]:
        """What may stand for the label in training: its definition, else its name."""
        return tuple(t for t in (self.definition or self.name,) if t)


def load_labels(spec: LabelsSpec | None, *, base: Path) -> dict[str, Label]:
    """Read what a recipe says about labels; empty where it says nothing.

    Raises:
        RecipeError: The file has no key column, or a key twice.
    """
    if spec is None:
        return {}
    if spec.address is None:
        return {key: Label(key) for key in spec.keys}
    if spec.address.endswith((".yaml", ".yml")):
        return _unique(_from_yaml(connectors.locate(spec.address, base=base)), spec.address)
    return _unique(_from_table(spec, base), spec.address)


def _unique(labels: Iterable[Label], where: str) -> dict[str, Label]:
    found: dict[str, Label] = {}
    for label in labels:
        if label.key in found:
            raise RecipeError(f"{where}: label {label.key!r} stands twice")
        found[label.key] = label
    tree = parents_of(found)
    for key in found:
        above: list[str] = [key]
        while (parent := tree.get(above[-1])) is not None:
            if parent in above:
                raise RecipeError(f"{where}: labels are above each other: {' < '.join(above)}")
            above.append(parent)
    return found


def parents_of(labels: Mapping[str, Label]) -> dict[str, str]:
    """Give the label, or the name of the branch, above each label that has one."""
    return {key: str(label.parent) for key, label in labels.items() if label.parent is not None}


def _from_yaml(path: Path) -> Iterable[Label]:
    document = parse(path.read_text("utf-8-sig"), path.name).text()
    if isinstance(document, Mapping):
        document = [{"key": key, **(body or {})} for key, body in document.items()]
    for entry in document:
        if not isinstance(entry, Mapping) or "key" not in entry:
            raise RecipeError(f"{path.name}: expected label mappings with `key:`, found {entry!r}")
        name = entry.get("name")
        names = dict(name) if isinstance(name, Mapping) else {}
        yield Label(
            key=entry["key"],
            name=next(iter(names.values()), None) if names or isinstance(name, Mapping) else name,
            definition=entry.get("definition"),
            aliases=tuple(entry.get("aliases") or ()),
            names=names,
            examples=tuple(entry.get("examples") or ()),
            parent=entry.get("parent"),
            contrasts=dict(entry.get("contrasts") or {}),
        )


def _from_table(spec: LabelsSpec, base: Path) -> Iterable[Label]:
    columns = dict(spec.columns) or {part: part for part in ("key", "name", "definition", "parent")}
    bad: list[connectors.BadRecord] = []
    batches = connectors.read(
        str(spec.address), base=base, on_bad=bad.append, **dict[str, Any](spec.reading)
    )
    for batch in batches:
        for record in batch.to_pylist():
            if record.get(columns["key"]) is None:
                raise RecipeError(
                    f"{spec.address}: record {record['source_row']} has no {columns['key']!r}; "
                    f"its columns are {sorted(record)}"
                )
            name, definition, parent = (
                _text(record, columns.get(part)) for part in ("name", "definition", "parent")
            )
            yield Label(str(record[columns["key"]]), name, definition, parent=parent or None)
    if bad:
        raise RecipeError(f"{bad[0].source}:{bad[0].line}: {bad[0].reason}")


def _text(record: Mapping[str, Any], column: str | None) -> str | None:
    value = record.get(column) if column else None
    return None if value is None else str(value)


def nearest(label: str, known: Mapping[str, Label] | Sequence[str]) -> str:
    """Say which known label is meant, by key or alias; "" where nothing is near."""
    aliases = {
        alias: entry.key
        for entry in (known.values() if isinstance(known, Mapping) else ())
        for alias in (*entry.aliases, *((entry.name,) if entry.name else ()))
    }
    near = difflib.get_close_matches(label, [*known, *aliases], n=1, cutoff=0.5)
    return f" Did you mean {aliases.get(near[0], near[0])!r}?" if near else ""
