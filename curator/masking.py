"""How people are shown texts of the corpus: masked, not at all, or in full.

The one idea: every screen, report, log, push and prompt asks `shown` for a text before it shows
it, so one policy (`examples:` of the recipe, `--examples` on the command line) holds everywhere.
Data files (exports, edits, the store itself) are the data and are not touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import pyarrow as pa

from curator.checks.personal import replaced
from curator.identifiers import personal_spans

Examples = Literal["masked", "none", "full"]
EXAMPLES: tuple[Examples, ...] = get_args(Examples)

WITHHELD = "(not shown)"
TEXT_COLUMNS = ("text", "prompt", "chosen", "rejected", "messages", "suggestion", "partner_text",
                "before", "after", "base", "ours", "theirs", "decided_on", "decided", "now",
                "evidence", "stored")  # fmt: skip
"""Columns of tables we show that hold a text of the corpus, or a piece of one."""

_LONG = 2_000


def shown(text: str | None, examples: Examples) -> str | None:
    """Give a text as people may see it.

    Args:
        text: A text of the corpus, or JSON cells with one; None stays None.
        examples: masked (personal data is replaced by its kind), none or full.

    >>> shown("write to bob@site.example", "masked")
    'write to [EMAIL]'
    """
    if text is None or examples == "full" or text == "":
        return text
    if examples == "none":
        return WITHHELD
    return _masked(text) if len(text) <= _LONG else replaced(text, personal_spans(text), None)


@lru_cache(maxsize=8_192)
def _masked(text: str) -> str:
    return replaced(text, personal_spans(text), None)


def shown_table(
    table: pa.Table, examples: Examples, columns: Sequence[str] = TEXT_COLUMNS
) -> pa.Table:
    """Give a table whose text columns are as people may see them; other columns stay."""
    if examples == "full":
        return table
    for name in columns:
        if name in table.column_names and pa.types.is_string(table.schema.field(name).type):
            texts = [shown(text, examples) for text in table[name].to_pylist()]
            place = table.column_names.index(name)
            table = table.set_column(place, name, pa.array(texts, pa.string()))
    return table


def shown_values(value: Any, examples: Examples, names: Sequence[str] = TEXT_COLUMNS) -> Any:
    """Give JSON values whose texts under these names are as people may see them."""
    if examples == "full":
        return value
    if isinstance(value, Mapping):
        return {
            key: shown(item, examples)
            if key in names and isinstance(item, str)
            else shown_values(item, examples, names)
            for key, item in value.items()
        }
    return (
        [shown_values(item, examples, names) for item in value]
        if isinstance(value, list)
        else value
    )
