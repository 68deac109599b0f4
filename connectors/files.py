"""Files by their format: csv, tsv, json, jsonl, parquet, xlsx, conll, wherever they lie.

The one idea: an address gives a place, a place's ending (or the `format` option) gives a reader,
and every reader gives the same thing: batches of the user's columns with each record's place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from .address import Place, resolve, zip_entries
from .columnar import read_parquet
from .conll import read_conll
from .delimited import read_delimited
from .errors import SourceError, closest
from .json_records import read_json
from .records import Options
from .sheets import read_sheet

FORMATS = {
    "csv": read_delimited,
    "tsv": read_delimited,
    "json": read_json,
    "jsonl": read_json,
    "parquet": read_parquet,
    "xlsx": read_sheet,
    "conll": read_conll,
}
SUFFIXES = {f".{name}": name for name in FORMATS} | {
    ".ndjson": "jsonl", ".iob": "conll", ".bio": "conll", ".iob2": "conll",
}  # fmt: skip
_ADVICE = {
    ".xls": "save it as .xlsx or .csv",
    ".ods": "save it as .xlsx or .csv",
    ".gz": "unpack it",
    ".bz2": "unpack it",
    ".xz": "unpack it",
    ".zst": "unpack it",
    ".txt": "if it has columns, name their format with format: csv or tsv",
}


def read_file(address: str, base: Path, options: Options) -> Iterator[pa.RecordBatch]:
    """Read a file of this machine, an installed package or a zip.

    Raises:
        SourceError: The file is not there or cannot be read as what it is.
    """
    place = resolve(address, base=base)
    return FORMATS[format_of(place, options.format)](place, options)


def format_of(place: Place, wanted: str | None = None) -> str:
    """Name the format of a file: the one wanted, or the one its ending stands for.

    Raises:
        SourceError: The format or the ending is unknown, or it is a zip without an entry.
    """
    if wanted is not None:
        if wanted not in FORMATS:
            raise SourceError(
                f"{place.address}: format {wanted!r} is not one of {list(FORMATS)}"
                f"{closest(wanted, FORMATS)}"
            )
        return wanted
    if place.suffix in SUFFIXES or place.path.is_dir():
        return SUFFIXES.get(place.suffix, "csv")  # opening a folder says what it holds
    if place.suffix == ".zip":
        names = zip_entries(place.path, address=place.address)
        example = names[0] if names else "NAME"
        raise SourceError(
            f"{place.address}: is a zip of {names[:8]}; "
            f"name an entry, as {place.address}!/{example}"
        )
    advice = _ADVICE.get(place.suffix, "name it with format:")
    raise SourceError(
        f"{place.address}: {place.suffix or 'a name without an ending'} is not a format Curator "
        f"reads; expected one of {', '.join(SUFFIXES)}; {advice}"
    )
