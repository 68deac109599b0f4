"""The files a benchmark is read from, for `decontaminate`: their texts, and a hash of all of them.

The one idea: the hash stands in the step's options, so a benchmark that grew is another step, and
a recipe that names a file that is not there fails when it is read, not an hour later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

import connectors
from curator.checks.contamination import Item
from curator.errors import StepError
from curator.schema import hash_fields

_PLACES = ("source_row", "source_line")


def benchmark_items(
    addresses: Sequence[str], columns: Sequence[str], *, base: Path
) -> tuple[Item, ...]:
    """Read the texts of benchmarks.

    Args:
        addresses: Files or package addresses.
        columns: Text columns; none: all of text.
        base: Folder that paths are relative to.

    Raises:
        StepError: A file cannot be read, has a record that cannot, or has no such column.
    """
    return tuple(item for address in addresses for item in _items(address, columns, base))


def _items(address: str, columns: Sequence[str], base: Path) -> Iterator[Item]:
    bad: list[connectors.BadRecord] = []
    told = 0
    try:
        for batch in connectors.read(address, base=base, on_bad=bad.append):
            for name in _text_columns(address, batch, columns):
                records, texts = batch["source_row"].to_pylist(), batch[name].to_pylist()
                for record, text in zip(records, texts, strict=True):
                    if text:
                        told += 1
                        yield Item(address, record, name, text)
    except connectors.SourceError as fault:
        raise StepError(f"decontaminate: against {address!r}: {fault}") from fault
    if bad:
        raise StepError(
            f"decontaminate: against {address!r}: {len(bad)} records cannot be read, the first: "
            f"line {bad[0].line}: {bad[0].reason}; a benchmark has to be read whole, mend the file"
        )
    if not told:
        raise StepError(f"decontaminate: against {address!r}: there is no text in it")


def _text_columns(address: str, batch: pa.RecordBatch, wanted: Sequence[str]) -> list[str]:
    own = [field.name for field in batch.schema if field.name not in _PLACES]
    texts = [n for n in own if pa.types.is_string(batch.schema.field(n).type)]
    for name in wanted:
        if name not in texts:
            raise StepError(
                f"decontaminate: against {address!r}: there is no text column {name!r}; it has "
                f"{texts}"
            )
    return list(wanted) or texts


def benchmark_faults(options: dict[str, Any], base: Path | None) -> list[tuple[str | None, str]]:
    """Read the benchmarks of a step, and fill in the hash of their texts.

    Args:
        options: Of the step, changed in place.
        base: Folder of the recipe; None where a stored step is read back.

    Returns:
        Faults: (option, message).
    """
    if base is None:
        return []
    if not options["against"]:
        wanted = "step 'decontaminate' needs `against:`, as `against: [file:benchmark.jsonl]`"
        return [("against", wanted)]
    try:
        items = benchmark_items(options["against"], options["columns"], base=base)
    except StepError as fault:
        return [("against", f"step {fault}")]
    told = (field for i in items for field in (i.address, i.record, i.column, i.text))
    options["content"] = hash_fields(*told)
    return []
