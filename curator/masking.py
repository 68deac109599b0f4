"""How people are shown texts of the corpus: masked, not at all, or in full.

The one idea: every screen, report, log, push and prompt asks `shown` for a text before it shows
it, so one policy (`examples:` of the recipe, `--examples` on the command line) holds everywhere.
Data files (exports, edits, the store itself) are the data and are not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache
from typing import Any, Literal, get_args

import pyarrow as pa

from curator.checks.personal import own_spans, replaced
from curator.identifiers import apart, personal_spans

Examples = Literal["masked", "none", "full"]
EXAMPLES: tuple[Examples, ...] = get_args(Examples)

WITHHELD = "(not shown)"
TEXT_COLUMNS = (
    "text", "prompt", "chosen", "rejected", "messages", "content", "suggestion", "evidence",
    "partner_text", "parent_text", "before", "after", "base", "ours", "theirs", "decided_on",
    "decided", "now", "stored",
)  # fmt: skip
"""Columns of tables we show that hold a text of the corpus, or a piece of one."""

_LONG = 2_000


@dataclass(frozen=True, slots=True)
class Shown:
    """Texts as people may see them.

    examples: masked: personal data is replaced by its kind; none: nothing of it; full: as it is.
    own: The user's own kinds, as `own_kinds` gives them; masked like the others.
    """

    examples: Examples = "masked"
    own: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, text: str | None) -> str | None:
        """Give a text, or JSON cells with one; None stays None."""
        if not text or self.examples == "full":
            return text
        if self.examples == "none":
            return WITHHELD
        if self.own or len(text) > _LONG:
            return _hidden(text, self.own)
        return _masked(text)

    def table(self, table: pa.Table, columns: Sequence[str] = TEXT_COLUMNS) -> pa.Table:
        """Give a table whose text columns may be seen; other columns stay."""
        if self.examples == "full":
            return table
        for name in columns:
            if name in table.column_names and pa.types.is_string(table.schema.field(name).type):
                texts = [self(text) for text in table[name].to_pylist()]
                place = table.column_names.index(name)
                table = table.set_column(place, name, pa.array(texts, pa.string()))
        return table

    def values(self, value: Any, names: Sequence[str] = TEXT_COLUMNS) -> Any:
        """Give JSON values or records whose texts under these names may be seen."""
        if self.examples == "full":
            return value
        if is_dataclass(value) and not isinstance(value, type):
            parts = {one.name: getattr(value, one.name) for one in fields(value)}
            return replace(value, **self.values(parts, names))
        if isinstance(value, Mapping):
            return {
                key: self(item) if key in names and isinstance(item, str)
                else self.values(item, names)
                for key, item in value.items()
            }  # fmt: skip
        if isinstance(value, list | tuple):
            return type(value)(self.values(item, names) for item in value)
        return value


def shown(text: str | None, examples: Examples) -> str | None:
    """Give a text as people may see it.

    Args:
        text: A text of the corpus, or JSON cells with one; None stays None.
        examples: masked (personal data is replaced by its kind), none or full.

    >>> shown("write to bob@site.example", "masked")
    'write to [EMAIL]'
    """
    return Shown(examples)(text)


def own_kinds(options: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Gather a user's own kinds of personal data from the options of steps."""
    return {name: said for one in options for name, said in dict(one.get("own") or {}).items()}


@lru_cache(maxsize=8_192)
def _masked(text: str) -> str:
    return _hidden(text, {})


def _hidden(text: str, own: Mapping[str, str]) -> str:
    found = [*own_spans(text, own, row="on the screen"), *personal_spans(text)]
    return replaced(text, apart(found), None)
