"""Rows to files: parquet, jsonl, csv, xlsx and a `datasets` folder.

The one idea: all or nothing. The file is written under a temporary name beside its place, flushed
to the disk, and renamed; whoever looks sees the old file or the new one, never half of one.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa

from .conll import write_conll
from .errors import SourceError, closest
from .records import cell_text

WriteFormat = Literal["parquet", "jsonl", "csv", "xlsx", "hf", "conll"]
_XLSX_ROWS = 1_048_576  # Excel's own limits
_XLSX_CELL_CHARS = 32_767


def write(table: pa.Table, path: Path, *, to: WriteFormat) -> None:
    """Write a table to a file, replacing an earlier one in one stroke.

    In csv and xlsx nested values are JSON text and null is an empty cell; jsonl and the others
    keep null and nested values.

    Args:
        table: Any table.
        path: The file (for `hf`, the folder) to write; missing folders above it are made.
        to: parquet, jsonl, csv (UTF-8, comma, header), xlsx or hf (a folder that
            `datasets.load_from_disk` opens), or conll (columns `tokens` and `tags`).

    Raises:
        SourceError: The format is unknown, a value does not fit it, the disk is full, or the
            place cannot be written; an earlier file is left as it was.
    """
    if to not in WRITERS:
        raise SourceError(
            f"cannot write {to!r}; expected one of {list(WRITERS)}{closest(to, WRITERS)}"
        )
    _must_be_replaceable(path, to)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[to](table, part)
        _flush(part)
        _replace(part, path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path}: cannot be written: {_reason(error)}") from error
    finally:
        _remove(part)


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{text}; nothing was changed there. Free some space, or choose another place"


def _must_be_replaceable(path: Path, to: str) -> None:
    if to != "hf" and path.is_dir():
        raise SourceError(f"{path}: is a folder; name a file, as {path / f'rows.{to}'}")
    if to == "hf" and path.exists():
        ours = path.is_dir() and (path / "dataset_info.json").exists()
        if not ours and not (path.is_dir() and not any(path.iterdir())):
            raise SourceError(
                f"{path}: is there already and is no folder of datasets; name another folder"
            )


def _flush(part: Path) -> None:
    for file in part.rglob("*") if part.is_dir() else [part]:
        if file.is_file():
            with file.open("rb+") as stream:
                os.fsync(stream.fileno())


def _replace(part: Path, path: Path) -> None:
    if not path.is_dir():
        part.replace(path)
        return
    old = part.with_suffix(".old")  # a folder that holds files cannot be renamed over
    path.rename(old)
    try:
        part.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old)


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part)
    elif part.exists():
        part.unlink()


def _write_parquet(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd")


def _write_jsonl(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for row in _rows(table):
            record = dict(zip(table.column_names, row, strict=True))
            stream.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")


def _write_csv(table: pa.Table, path: Path) -> None:
    # RFC 4180 line ends; with them the csv module also quotes a lone carriage return.
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(table.column_names)
        writer.writerows([_cell(value) for value in row] for row in _rows(table))


def _cell(value: object) -> str | None:
    return (
        str(value)
        if value is not None and not isinstance(value, list | dict | bool)
        else cell_text(value)
    )


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    for batch in table.to_batches(max_chunksize=10_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _write_xlsx(table: pa.Table, path: Path) -> None:
    from openpyxl import Workbook

    _must_fit_a_sheet(table)
    book = Workbook(write_only=True)
    sheet = book.create_sheet("rows")
    for row in ([*table.column_names], *_rows(table)):
        sheet.append([_sheet_cell(sheet, value) for value in row])
    book.save(path)


def _must_fit_a_sheet(table: pa.Table) -> None:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if table.num_rows >= _XLSX_ROWS:
        raise SourceError(
            f"{table.num_rows:,} rows do not fit one xlsx sheet ({_XLSX_ROWS - 1:,}); "
            f"write parquet, jsonl or csv"
        )
    for number, row in enumerate(_rows(table), start=1):
        for name, value in zip(table.column_names, row, strict=True):
            text = _cell(value) or ""
            if len(text) > _XLSX_CELL_CHARS:  # openpyxl would cut it without a word
                raise SourceError(
                    f"row {number}, column {name!r}: {len(text):,} characters do not fit an xlsx "
                    f"cell ({_XLSX_CELL_CHARS:,}); write parquet, jsonl or csv"
                )
            if ILLEGAL_CHARACTERS_RE.search(text):
                raise SourceError(
                    f"row {number}, column {name!r}: a control character cannot stand in an xlsx "
                    f"cell; run the clean step first, or write parquet, jsonl or csv"
                )


def _sheet_cell(sheet: Any, value: object) -> Any:
    from openpyxl.cell import WriteOnlyCell

    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    cell = WriteOnlyCell(sheet, value=_cell(value))
    cell.data_type = "s"  # a text that begins with = is no formula
    return cell


def _write_hf(table: pa.Table, path: Path) -> None:
    import datasets

    datasets.Dataset(table).save_to_disk(str(path))


def _write_conll(table: pa.Table, path: Path) -> None:
    if not {"tokens", "tags"} <= set(table.column_names):
        raise SourceError(f"conll needs columns tokens and tags; there are {table.column_names}")
    write_conll(_rows(table.select(["tokens", "tags"])), path)


WRITERS = {
    "parquet": _write_parquet,
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "xlsx": _write_xlsx,
    "hf": _write_hf,
    "conll": _write_conll,
}
assert tuple(WRITERS) == get_args(WriteFormat)
