"""Small tables of rows, in view of the assert that uses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("label", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("source_row", pa.int64()),
        pa.field("parent", pa.string()),
        pa.field("step", pa.string(), nullable=False),
        pa.field("channel", pa.string()),
    ]
)

MakeRows = Callable[..., pa.Table]


@pytest.fixture
def make_rows() -> MakeRows:
    """Build training rows with one user column from texts."""

    def build(
        texts: Sequence[str | None],
        *,
        labels: Sequence[str] | None = None,
        split: str = "train",
        weight: float = 1.0,
    ) -> pa.Table:
        records = [
            {
                "id": f"r{i:03d}",
                "group": f"g{i:03d}",
                "text": text,
                "label": labels[i] if labels else "card_arrival",
                "split": split,
                "weight": weight,
                "source": "main",
                "source_row": i,
                "step": "import",
                "channel": "chat",
            }
            for i, text in enumerate(texts)
        ]
        return pa.Table.from_pylist(records, schema=SCHEMA)

    return build


@pytest.fixture
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"{DATA}: not found beside the checkout")
    return DATA
