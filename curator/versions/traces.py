"""The traces of rows in a store: their ids, what they said, and tables and words without them.

The one idea: a row stands in more than its table. Decisions and findings name it as a partner and
quote it, groups bear its id, a reason may repeat its text; each is mended, and what speaks of other
rows stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curator.tasks import MESSAGES, TASKS, contents
from curator.versions.superseding import hashed

GONE = "[erased]"
_LEAST_CHARS = 12
"""Shorter texts are not looked for within other words: "yes" stands everywhere."""
_WORD = re.compile(rf"\w{{{_LEAST_CHARS},}}")
"""What may be an id within other words: these are 32 digits long."""
REWORDED = ("unicode", "html", "whitespace")
"""Findings whose suggestion was the text reworded."""
_SAYING = tuple(dict.fromkeys(name for task in TASKS.values() for name in task.columns
                              if task.schema.field(name).type in (pa.string(), MESSAGES)
                              and name != "label"))  # fmt: skip
_PARTNER = re.compile(r"( here, ).*( in a \w+ row)$", re.DOTALL)
"""What the evidence of a conflict says the other row teaches."""
_MARKS = {
    "rows": {"id", "group", "split", "parent"},
    "decisions": {"row_id", "action", "before", "after"},
    "findings": {"row_id", "issue_type", "evidence"},
}


@dataclass(slots=True)
class Traces:
    """What is to be found no more.

    ids: of rows and refused candidates; texts: what they said; salt: of their pseudonyms.
    """

    ids: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    salt: str = ""

    def rewritten(self, table: pa.Table) -> pa.Table | None:
        """Give a table without the rows; None where nothing of them stands in it."""
        kind = kind_of(table)
        if kind is None:
            return None
        key = "id" if kind == "rows" else "row_id"
        gone = pa.array(sorted(self.ids), pa.string())
        made = table.filter(pc.invert(pc.is_in(table[key], gone)))
        if kind == "findings":
            made = self._unquoted(made)
        made = self._renamed(made, "group" if kind == "rows" else "partner_id")
        if kind != "rows":
            free = ("evidence",) if kind == "findings" else ("reason",)
            for name in free:
                made = self._mended(made, name)
        if kind == "decisions":
            made = without_orphans(made)
        return None if made.equals(table) else made.combine_chunks()

    def _renamed(self, table: pa.Table, name: str) -> pa.Table:
        """Put pseudonyms for erased ids; a near-duplicate group so stays one group."""
        values = table[name].to_pylist()
        if not self.ids.intersection(values):
            return table
        new = [hashed(self.salt, v) if v in self.ids else v for v in values]
        return _with(table, name, new)

    def _unquoted(self, table: pa.Table) -> pa.Table:
        """Take what a row taught out of the evidence of those that it contradicted."""
        partners, said = table["partner_id"].to_pylist(), table["evidence"].to_pylist()
        new = [
            _PARTNER.sub(rf"\1{GONE}\2", words) if words and row in self.ids else words
            for row, words in zip(partners, said, strict=True)
        ]
        return table if new == said else _with(table, "evidence", new)

    def _mended(self, table: pa.Table, name: str) -> pa.Table:
        values = table[name].to_pylist()
        known = {value: self.without(value) for value in {*values} - {None}}
        if all(old == new for old, new in known.items()):
            return table
        return _with(table, name, [None if v is None else known[v] for v in values])

    def without(self, text: str) -> str:
        """Take what the rows said, and their ids, out of words."""
        for word in sorted(self.texts, key=len, reverse=True):
            if len(word) >= _LEAST_CHARS:
                for form in _forms(word):
                    text = text.replace(form, GONE)
        return _WORD.sub(lambda word: GONE if word[0] in self.ids else word[0], text)

    def speaks(self, line: str) -> bool:
        """Tell whether a quarantined record, of which 500 characters are kept, holds a text."""
        try:
            raw = str(json.loads(line).get("raw", ""))
        except (ValueError, AttributeError):
            raw = line
        plain = raw.replace('""', '"')
        return any(
            any(form in plain for form in _forms(text[:200]))
            if len(text) >= _LEAST_CHARS
            else text == plain.strip()
            for text in self.texts
        )

    def mended_json(self, value: Any) -> Any:
        """Take what the rows said, and their ids, out of every text of a JSON value."""
        if isinstance(value, str):
            return self.without(value)
        if isinstance(value, list):
            return [self.mended_json(item) for item in value]
        if isinstance(value, dict):
            return {key: self.mended_json(item) for key, item in value.items()}
        return value


def kind_of(table: pa.Table) -> str | None:
    """Tell what a stored table is; None for a deletion vector or another's table."""
    columns = set(table.column_names)  # of any release
    return next((kind for kind, marks in _MARKS.items() if columns >= marks), None)


def candidates(decisions: pa.Table) -> dict[str, str]:
    """Give by refused candidate the row it was made from, where its decision says so."""
    found = {}
    refused = decisions.filter(pc.equal(decisions["action"], "reject"))
    for row, after in zip(refused["row_id"].to_pylist(), refused["after"].to_pylist(), strict=True):
        parent = json.loads(after or "{}").get("parent")
        if parent:
            found[row] = parent
    return found


def without_orphans(decisions: pa.Table) -> pa.Table:
    """Blank refused candidates of releases that kept no parent: they may be made from the rows."""
    after = decisions["after"].to_pylist()
    refused = [action == "reject" for action in decisions["action"].to_pylist()]
    orphans = [
        no and text is not None and "parent" not in json.loads(text)
        for no, text in zip(refused, after, strict=True)
    ]
    if not any(orphans):
        return decisions
    left = [None if gone else text for gone, text in zip(orphans, after, strict=True)]
    return _with(decisions, "after", left)


def quoted(table: pa.Table, ids: set[str]) -> Iterator[str]:
    """Give the texts that decisions or findings on these rows quote."""
    some = table.filter(pc.is_in(table["row_id"], pa.array(sorted(ids), pa.string())))
    for record in some.to_pylist():
        for name in ("before", "after"):
            yield from said_in_cells(json.loads(record.get(name) or "{}"))
        yield from _suggested(record.get("suggestion") or "", record.get("issue_type"))


def said_in_cells(cells: Mapping[str, Any]) -> Iterator[str]:
    """Give what cells of a row of any task say: its text, or each message and all of its user's."""
    for name in _SAYING:
        said = cells.get(name)
        if isinstance(said, str):
            yield said
        elif said:
            yield from (message["content"] for message in said)
            yield contents(said, "user")
            yield contents(said)


def _suggested(suggestion: str, issue_type: str | None) -> Iterator[str]:
    """Give the texts of a suggested rewording: cells as JSON, or of earlier releases the text."""
    try:
        cells = json.loads(suggestion)
    except ValueError:
        cells = None
    if isinstance(cells, dict):
        yield from said_in_cells(cells)
    elif suggestion and issue_type in REWORDED:
        yield suggestion


def descendants(rows: set[str], parents: Mapping[str, str]) -> set[str]:
    """Give what was made from rows, and from that, and so on.

    Args:
        rows: Ids.
        parents: By row the row it was made from.
    """
    children: dict[str, list[str]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    found, left = set[str](), list(rows)
    while left:
        for child in children.get(left.pop(), ()):
            if child not in found and child not in rows:
                found.add(child)
                left.append(child)
    return found


def _with(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = table.column_names.index(name)
    made = pa.array(values, table.schema.field(name).type)
    return table.set_column(place, table.schema.field(name), made)


def _forms(text: str) -> tuple[str, ...]:
    """Give a text as it is and as JSON writes it."""
    escaped = (json.dumps(text, ensure_ascii=plain)[1:-1] for plain in (False, True))
    return tuple(dict.fromkeys((text, *escaped)))
