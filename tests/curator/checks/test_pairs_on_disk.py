"""Sketches in a file give the pairs that sketches in memory give."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from curator import context
from curator.context import Context


def rows_of(count):
    texts = [
        f"my parcel number {i % 61} has still not arrived at number {i % 7}" for i in range(count)
    ]
    split = ["train"] * count
    return pa.table({"id": [f"r{i:05}" for i in range(count)], "text": texts, "split": split})


def pairs_in(folder, rows):
    made = Context(cache=folder, root=rows, model_name="tfidf", language="en", base=Path())
    return made.pairs(rows)


def test_many_rows_are_sketched_in_a_file_of_the_cache_that_is_gone_afterwards(
    tmp_path, monkeypatch
):
    rows = rows_of(800)
    expected = pairs_in(tmp_path / "memory", rows)
    monkeypatch.setattr(context, "ROWS_ON_DISK", 1)
    places = []
    mapped = np.memmap
    monkeypatch.setattr(np, "memmap", lambda *a, **k: places.append(k["shape"]) or mapped(*a, **k))
    found = pairs_in(tmp_path / "disk", rows)

    assert 2 == len(places)
    assert len(expected.left) > 400
    for column in ("left", "right", "jaccard"):
        np.testing.assert_array_equal(getattr(expected, column), getattr(found, column))
    assert ["pairs"] == [path.name for path in (tmp_path / "disk").iterdir()]
