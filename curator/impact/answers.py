"""Read a file of answers (row id, seed, prediction or score), and say all that is wrong with it.

The one idea: an answer that is missing, doubled, of another row or not a number would move a
verdict without a trace; so every fault is counted, with its first places, and nothing is guessed.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import connectors
from curator.errors import MeasureError
from curator.impact.outside import Asked, Kind, Scores

SHOWN = 3
COLUMNS = ("id", "seed", "prediction", "score")


@dataclass(slots=True)
class _Faults:
    """Faults by kind: how often, and where first."""

    counts: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, place: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        places = self.places.setdefault(kind, [])
        if len(places) < SHOWN:
            places.append(place)

    def sentences(self) -> list[str]:
        return [
            f"{count:,} {kind}: {', '.join(self.places[kind])}"
            + (f", and {count - SHOWN:,} more" if count > SHOWN else "")
            for kind, count in self.counts.items()
        ]


def read_answers(path: Path, asked: Asked, *, seed: int | None = None) -> Scores:
    """Read the answers of one version from a Parquet, jsonl or csv file.

    Args:
        path: The file; its columns are `id`, `seed`, and `prediction` (a label) or `score`
            (a number in 0..1). Others are left alone.
        asked: Rows and labels it may speak of.
        seed: The seed of every row where the file is of one run; it then needs no column for it.

    Returns:
        The answers on the rows that are compared.

    Raises:
        MeasureError: Anything is wrong; every fault is told, with its count and first places.
        connectors.SourceError: The file cannot be read at all.
    """
    faults = _Faults()
    records = list(_records(path, faults))
    if not records:
        told = "; ".join(["holds no answer", *faults.sentences()])
        raise MeasureError(f"{path}: {told}")
    kind = _kind(path, records[0][1], seed)
    by_seed: dict[int, dict[str, str | float]] = {}
    for place, record in records:
        _take(place, record, kind, asked, seed, by_seed, faults)
    _find_missing(by_seed, asked, faults)
    if faults.counts:
        told = "".join(f"\n  {sentence}" for sentence in faults.sentences())
        raise MeasureError(f"{path}: these answers cannot be compared:{told}")
    wanted = set(asked.needed)
    kept = {s: {i: v for i, v in told.items() if i in wanted} for s, told in by_seed.items()}
    return Scores(kind, kept)


def _records(path: Path, faults: _Faults) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each record with its place in the file."""

    def bad(record: connectors.BadRecord) -> None:
        where = f"line {record.line}" if record.line else f"record {record.record + 1}"
        faults.add("records that cannot be read", f"{where} ({record.reason})")

    for batch in connectors.read(str(path.resolve()), base=Path.cwd(), on_bad=bad):
        for record in batch.to_pylist():
            line, number = record.pop("source_line"), record.pop("source_row")
            yield (f"line {line}" if line else f"record {number + 1}"), record


def _kind(path: Path, record: Mapping[str, Any], seed: int | None) -> Kind:
    needed = ["id"] if seed is not None else ["id", "seed"]
    missing = [name for name in needed if name not in record]
    answers = [name for name in ("prediction", "score") if name in record]
    if missing or len(answers) != 1:
        what = f"no column {missing[0]!r}" if missing else (
            "both a prediction and a score" if answers else "neither a prediction nor a score"
        )  # fmt: skip
        near = [
            f"{name!r} for {match[0]!r}"
            for name in record
            if name not in COLUMNS and (match := difflib.get_close_matches(name, COLUMNS, n=1))
        ]
        raise MeasureError(
            f"{path}: has {what}, only columns {sorted(record)}; expected {needed} and one of "
            "prediction (a label) and score (a number in 0..1)"
            + (f". Is {', '.join(near)}?" if near else "")
        )
    return "prediction" if answers == ["prediction"] else "score"


def _take(
    place: str,
    record: Mapping[str, Any],
    kind: Kind,
    asked: Asked,
    seed: int | None,
    by_seed: dict[int, dict[str, str | float]],
    faults: _Faults,
) -> None:
    row_id = record["id"]
    at = _seed(record.get("seed", seed))
    if at is None or (seed is not None and at != seed):
        expected = "a whole number" if seed is None else str(seed)
        faults.add(f"seeds that are not {expected}", f"{place} ({record.get('seed')!r})")
        return
    if row_id not in asked.ids:
        faults.add("ids of no test row", f"{place} ({row_id!r})")
        return
    answers = by_seed.setdefault(at, {})
    if row_id in answers:
        faults.add("rows answered twice under one seed", f"{place} (id {row_id}, seed {at})")
        return
    value, fault = _answer(record[kind], kind, asked)
    if fault:
        faults.add(fault, f"{place} ({record[kind]!r})")
    answers[row_id] = value


def _seed(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _answer(value: Any, kind: Kind, asked: Asked) -> tuple[str | float, str]:
    """Give an answer, and what is wrong with it; an empty text where nothing is."""
    if kind == "prediction":
        if value is None or isinstance(value, float | bool):
            return "", "predictions that are no text"
        return str(value), "" if str(value) in asked.labels else (
            f"predictions that are no label (labels are {_some(asked.labels)}; an answer that is "
            "none of them can be given as a score of 0)"
        )
    try:
        number = math.nan if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        return 0.0, "scores that are NaN or no number"
    return number, "" if 0 <= number <= 1 else "scores outside 0..1"


def _some(labels: frozenset[str]) -> str:
    known = sorted(labels)
    return ", ".join(map(repr, known[:SHOWN])) + (
        f" and {len(known) - SHOWN:,} more" if len(known) > SHOWN else ""
    )


def _find_missing(by_seed: Mapping[int, Mapping[str, Any]], asked: Asked, faults: _Faults) -> None:
    for seed in sorted(by_seed):
        for row_id in asked.needed:
            if row_id not in by_seed[seed]:
                faults.add("test rows without an answer", f"id {row_id} under seed {seed}")
