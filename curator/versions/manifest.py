"""What a version is: a few facts whose sha256 is the version's id.

The one idea: an id says what a version *means* (its parents, the step that made it, the digests of
its rows and decisions), never how it lies on the disk. Parquet bytes differ between writers and
releases, so which parts hold the rows stands in a layout, outside the id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curator.errors import StoreError
from curator.versions.objects import canonical_json, parsed_json


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The step that made a version.

    name: as in the recipe, such as `duplicates`; an import has the name `import`.
    options: what it was called with, JSON values.
    version: the step's own number, raised when its output changes.
    """

    name: str
    options: dict[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class Version:
    """An immutable committed set of rows.

    id: sha256 of the facts below up to `columns`, 64 hexadecimal digits.
    parents: ids of the versions it was made from; empty for an import.
    task: name of its task.
    step: the step that made it.
    content: digest of its rows; decisions: digest of the step's decisions.
    lock: hash of its frozen test rows; None where it has none.
    transforms: serving transforms for the raw test rows, oldest first.
    columns: (name, Arrow type, nullable) of each column, in table order.
    rows: number of rows; splits: the same by split.
    superseded: number of the erasure since which content, decisions and lock are other ones than
        those the id was made from; None where none was needed.
    """

    id: str
    parents: tuple[str, ...]
    task: str
    step: StepRecord
    content: str
    decisions: str
    lock: str | None
    transforms: tuple[dict[str, Any], ...]
    columns: tuple[tuple[str, str, bool], ...]
    rows: int
    splits: dict[str, int]
    superseded: int | None = None

    @property
    def short(self) -> str:
        """The first twelve digits of the id, for people."""
        return self.id[:12]


def columns_of(schema: pa.Schema) -> tuple[tuple[str, str, bool], ...]:
    """Write an Arrow schema as (name, type, nullable) of each column."""
    return tuple((field.name, str(field.type), field.nullable) for field in schema)


def manifest(
    *,
    parents: Sequence[str],
    task: str,
    columns: Sequence[tuple[str, str, bool]],
    step: StepRecord,
    content: str,
    decisions: str,
    lock: str | None,
    transforms: Sequence[dict[str, Any]],
) -> bytes:
    """Write the facts of a version; the sha256 of these bytes is its id.

    Raises:
        StoreError: Options or transforms hold something that is not a JSON value.
    """
    facts = {
        "parents": list(parents),
        "task": task,
        "schema": [list(column) for column in columns],
        "step": step.name,
        "options": step.options,
        "step_version": step.version,
        "content": content,
        "decisions": decisions,
        "test_lock": lock,
        "transforms": list(transforms),
    }
    try:
        return canonical_json(facts)
    except (TypeError, ValueError) as fault:
        raise StoreError(
            f"step {step.name!r}: its options and transforms must be plain JSON values "
            f"(text, numbers, true, false, null, lists, objects): {fault}"
        ) from fault


def version_of(
    data: bytes,
    *,
    rows: int,
    splits: dict[str, int],
    superseded: Mapping[str, Any] | None = None,
) -> Version:
    """Read a version from its manifest and the counts of its layout.

    Args:
        data: The manifest.
        rows: Live rows.
        splits: The same by split.
        superseded: Digests that an erasure put in the place of those of the manifest.

    Raises:
        StoreError: The bytes are no manifest this release understands.
    """
    name = hashlib.sha256(data).hexdigest()
    facts = parsed_json(data, f"manifest {name[:12]}") | dict(superseded or {})
    try:
        return Version(
            id=name,
            parents=tuple(facts["parents"]),
            task=facts["task"],
            step=StepRecord(facts["step"], facts["options"], facts["step_version"]),
            content=facts["content"],
            decisions=facts["decisions"],
            lock=facts["test_lock"],
            transforms=tuple(facts["transforms"]),
            columns=tuple((n, t, b) for n, t, b in facts["schema"]),
            rows=rows,
            splits=splits,
            superseded=facts.get("erasure"),
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise StoreError(
            f"object {name[:12]} is not the manifest of a version (lacks or garbles {fault})"
        ) from fault
