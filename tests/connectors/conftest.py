"""One builder for the readers' tests: a file in view of the assert, what came out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from connectors import BadRecord, read


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of a file: rows without their places, the places, the bad records."""

    table: pa.Table
    bad: list[BadRecord]

    @property
    def rows(self) -> list[dict[str, object]]:
        return self.table.drop_columns(["source_row", "source_line"]).to_pylist()

    @property
    def lines(self) -> list[int | None]:
        return self.table["source_line"].to_pylist()

    @property
    def numbers(self) -> list[int]:
        return self.table["source_row"].to_pylist()


@pytest.fixture
def read_all(tmp_path: Path) -> Callable[..., Outcome]:
    """Write bytes or text to a file of this name and read it."""

    def build(name: str, content: str | bytes | None = None, **options: object) -> Outcome:
        if content is not None:
            data = content.encode() if isinstance(content, str) else content
            (tmp_path / name).write_bytes(data)
        bad: list[BadRecord] = []
        batches = list(read(f"file:{name}", base=tmp_path, on_bad=bad.append, **options))
        assert len({batch.schema for batch in batches}) <= 1
        return Outcome(pa.Table.from_batches(batches), bad)

    return build
