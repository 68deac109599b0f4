"""The command line's questions, asked from Python: tables in, tables out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import connectors
from curator.checking import Checked
from curator.checking import check as check_address
from curator.masking import Examples, Shown
from curator.query import rows_of
from curator.recipe import Recipe, from_mapping
from curator.versions import History, Store, describe

Frame = Literal["pyarrow", "pandas", "polars", "datasets"]


def rows(store: Store, wanted: str = "main", *, frame: Frame = "pyarrow", **filters: str) -> Any:
    """Give the rows of a version, or of a span A..B of changes, as the frame of your choice.

    Args:
        store: Holds the versions.
        wanted: A version, branch or tag; or A..B.
        frame: pyarrow, pandas, polars or datasets.
        filters: step, issue, action, where; see `curator rows --help`.

    Returns:
        One record per row, sorted by id (a version), or per change (a span), as that frame.

    Raises:
        StoreError: No such version, or a bad filter.
        connectors.SourceError: No such kind of frame.
    """
    return connectors.as_frame(rows_of(store, wanted, **filters), frame)


def why(store: Store, row: str, *, examples: Examples = "masked") -> str:
    """Tell everything that ever happened to a row, in sentences.

    Args:
        store: Holds the versions.
        row: Row id, or the first digits of it.
        examples: How texts are shown: masked (no personal data), none or full.

    Returns:
        From file and record to the last decision, a line each.

    Raises:
        StoreError: No row is called so.
    """
    history: History = Shown(examples).values(store.why(row))
    return describe(history)


def check(
    data: Any,
    *,
    text: str = "text",
    label: str = "label",
    language: str | None = None,
    recipe: Recipe | None = None,
    cache: Path | str = ".curator",
) -> Checked:
    """Run all checks on a frame or a file; nothing is changed.

    Args:
        data: pandas, polars, pyarrow or datasets object, a list of dicts, or an address.
        text: Column of the text.
        label: Column of the label; it may be absent.
        language: Of the texts, such as en or zh; chooses the features.
        recipe: Step options and model.
        cache: Folder whose `cache/` holds embeddings.

    Returns:
        The findings as a table, with a summary and what makes `--fail-on` fail.

    Raises:
        CuratorError: A column that is not there.
    """
    if recipe is None and not isinstance(data, str):
        source = {"from": data, "columns": {"text": text, "label": label}}
        recipe = from_mapping({"sources": [source], "language": language})
    return check_address(
        data, store=None, cache=Path(cache) / "cache", recipe=recipe, text=text, label=label
    )
