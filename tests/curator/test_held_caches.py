import os
from pathlib import Path

import pyarrow as pa
import pytest

from curator.context import Context, hold_caches
from curator.errors import MeasureError
from curator.progress import Progress


class Lines(list):
    """A stream that keeps what is written."""

    def write(self, text):
        self.append(text)

    def flush(self):
        """Do nothing: nothing is held back."""


@pytest.fixture
def old_fit(tmp_path):
    path = tmp_path / "fits" / "a.npz"
    path.parent.mkdir()
    path.write_bytes(b"x" * 2_000_000)
    os.utime(path, (0, 0))
    return path


def context(cache, lines):
    return Context(
        cache=cache, root=pa.table({}), model_name="tfidf", language=None, base=Path(),
        progress=Progress(stream=lines),
    )  # fmt: skip


def test_a_run_says_what_it_removed_to_hold_the_size_that_was_stated(
    old_fit, tmp_path, monkeypatch
):
    monkeypatch.setenv("CURATOR_CACHE_GB", "0.001")
    lines = Lines()
    hold_caches(context(tmp_path, lines))

    assert not old_fit.exists()
    assert lines[0] == "cache   cache over 0.001 GB: removed 1 files of fits (2 MB)"


def test_within_twenty_gigabytes_nothing_goes_and_nothing_is_said(old_fit, tmp_path, monkeypatch):
    monkeypatch.delenv("CURATOR_CACHE_GB", raising=False)
    lines = Lines()
    hold_caches(context(tmp_path, lines))

    assert old_fit.exists()
    assert lines == []


def test_a_size_that_is_no_number_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CURATOR_CACHE_GB", "lots")

    with pytest.raises(MeasureError, match="CURATOR_CACHE_GB='lots': expected a number"):
        hold_caches(context(tmp_path, Lines()))
