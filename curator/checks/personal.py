"""Personal data in texts: found, and hidden behind a placeholder or a surrogate.

The one idea: a finding says kind and place, never the value; what hides a training row is a text
fix like any other, so the same function also serves test rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from curator.errors import StepError
from curator.identifiers import KINDS, Found, Kind, apart, personal_spans
from curator.rewriting import rewritten, suggestion_of, texts_of
from curator.schema import findings
from curator.spans import narrow
from curator.surrogates import own_surrogates, surrogate
from curator.tasks import task_of
from curator.terms import PACKED, pattern_spans, term_spans, unpacked

Hiding = Literal["mask", "surrogate", "drop"]
ISSUE = "personal_"


@dataclass(frozen=True, slots=True)
class Outside:
    """What the check asks of the machine, and only where an option needs it.

    key: Gives the secret key of surrogates; takes the fingerprint it must have.
    entities: Gives names and addresses by a spaCy model; takes its name and the texts.
    """

    key: Callable[[str | None], bytes]
    entities: Callable[[str, Sequence[str]], list[list[Found]]]


def personal_data(
    rows: pa.Table,
    outside: Outside,
    *,
    kinds: Sequence[Kind] = KINDS,
    action: Hiding = "mask",
    regions: Sequence[str] = ("CN", "US", "GB"),
    own: Mapping[str, str] = {},
    model: str | None = None,
    key_id: str | None = None,
) -> pa.Table:
    """Find personal data: e-mail, phones, cards, ids, secrets, names, addresses, your own terms.

    Args:
        rows: Rows of any task; any split (test rows are hidden when served, never dropped).
        outside: Gives key and model where an option asks for them.
        kinds: What to look for.
        action: mask puts [EMAIL] in its place, surrogate a made-up value of the same shape, the
            same for the same value (needs a key: see the guide), drop drops the row.
        regions: Countries whose phone numbers are told without a country code, as [CN, US].
        own: Your own kinds by name: a regular expression, or a file with one term a line, as
            {ticket: "T-[0-9]{6}", staff: "file:staff.txt"}.
        model: spaCy pipeline that adds names and addresses: an installed package or a folder;
            without one only those that a text announces are told ("my name is ...").
        key_id: Fingerprint of the surrogate key; filled in, not to be written.

    Returns:
        One finding per row and kind, in row order, then KINDS, then your own kinds. Issue type
        personal_KIND, score 1; the evidence gives places in code points (`email at 5..21`; of
        messages `email at 5..21 of text 2`), the suggestion is the text with everything found
        hidden (a JSON object of the changed cells where spans or messages are concerned), null
        where rows are dropped. Issue type span_edit: a text that stays as it is, as a span in it
        could not be moved along; its personal data is told, unflagged.

    Raises:
        StepError: A pattern runs away, or a key or model is not there.
    """
    hide = _Hide(kinds, action, regions, own, model, key_id)
    texts, owners = texts_of(rows)
    key = outside.key(hide.key_id) if action == "surrogate" else None
    ids = [rows["id"][at].as_py() for at in owners.tolist()]
    found = list(_found(ids, texts.to_pylist(), hide, outside))
    by_row: dict[int, list[tuple[int, list[Found]]]] = {}
    for at, owner in enumerate(owners.tolist()):
        by_row.setdefault(owner, []).append((at, found[at]))
    here = {at for at, some in by_row.items() if any(one for _, one in some)}
    if action == "drop":
        said, unedited = dict.fromkeys(here), set[int]()
    else:
        said, unedited = _suggestions(rows, sorted(here), texts, found, key)
    return findings(
        record
        for at in sorted(here)
        for record in _records(rows["id"][at].as_py(), by_row[at], said.get(at), at in unedited)
    )


@dataclass(frozen=True, slots=True)
class _Hide:
    """The options of the check, together."""

    kinds: Sequence[str]
    action: Hiding
    regions: Sequence[str]
    own: Mapping[str, str]
    model: str | None
    key_id: str | None


def _suggestions(
    rows: pa.Table, here: list[int], texts: pa.Array, found: list[list[Found]], key: bytes | None
) -> tuple[dict[int, str | None], set[int]]:
    """Give what rows with personal data should read, and which cannot be edited under a span."""
    if task_of(rows).is_plain_text:
        said = {at: replaced(texts[at].as_py(), found[at], key) for at in here}
        return dict(said), set()
    known = dict(zip(texts.to_pylist(), found, strict=True))
    # A span may cover a value that only its sentence told to be one: a name behind "Dear Ms".
    for text, some in list(known.items()):
        for one in some:
            value = text[one.start : one.end]
            known.setdefault(value, [Found(0, len(value), one.kind)])

    def fix(some: pa.Array) -> pa.Array:
        hidden = [text and replaced(text, _inside(text, known), key) for text in some.to_pylist()]
        return pa.array(hidden, pa.string())

    few = rows.take(pa.array(here, pa.int64()))
    made = rewritten(few, fix)
    unedited = {here[at] for at in np.flatnonzero(made.unedited).tolist()}
    whole = {at: suggestion_of(few, made.rows, n) for n, at in enumerate(here)}
    return {at: None if at in unedited else said for at, said in whole.items()}, unedited


def _inside(text: str, known: Mapping[str, list[Found]]) -> list[Found]:
    """Give what was found in a text; of other words of a span, what they are by themselves."""
    return known[text] if text in known else personal_spans(text)


def _records(
    row_id: str,
    found: Sequence[tuple[int, list[Found]]],
    suggestion: str | None,
    unedited: bool,  # noqa: FBT001
) -> Iterator[dict[str, object]]:
    common = {"row_id": row_id, "check": "personal_data"}
    all_kinds = (one.kind for _, some in found for one in some)
    for kind in dict.fromkeys(sorted(all_kinds, key=_rank)):
        places = ", ".join(
            f"{one.start}..{one.end}" + (f" of text {n}" if len(found) > 1 else "")
            for n, (_, some) in enumerate(found, 1)
            for one in some
            if one.kind == kind
        )
        yield {
            **common,
            "issue_type": ISSUE + kind,
            "score": 1.0,
            "suggestion": suggestion,
            "evidence": f"{kind} at {places}",
            "flagged": not unedited,
        }
    if unedited:
        told = "personal data crosses a span that cannot be moved along; nothing was changed"
        yield {**common, "issue_type": "span_edit", "evidence": told}


def _rank(kind: str) -> tuple[int, str]:
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), kind)


def _found(
    ids: Sequence[str], texts: Sequence[str | None], hide: _Hide, outside: Outside
) -> Iterator[list[Found]]:
    by_model: Sequence[list[Found]] = [[] for _ in texts]
    if hide.model is not None:
        by_model = outside.entities(hide.model, [text or "" for text in texts])
    for row_id, text, named in zip(ids, texts, by_model, strict=True):
        if text is None:
            yield []
            continue
        wanted = [one for one in named if one.kind in hide.kinds]
        own = own_spans(text, hide.own, row=row_id)
        told = personal_spans(text, kinds=hide.kinds, regions=hide.regions)
        made = [Found(start, end, "surrogate") for start, end in own_surrogates(narrow(text))]
        yield [one for one in apart([*made, *own, *told, *wanted]) if one.kind != "surrogate"]


def own_spans(text: str, own: Mapping[str, str], *, row: str) -> Iterator[Found]:
    """Find a user's own kinds in a text; `row` names it where a pattern runs away."""
    for name, said in sorted(own.items()):
        if said.startswith(PACKED):
            places = list(term_spans(text, unpacked(said)))
        else:
            places = pattern_spans(text, said, name=name, row=row)
        yield from (Found(start, end, name) for start, end in places)


def replaced(text: str, found: Sequence[Found], key: bytes | None) -> str:
    """Give a text with everything found hidden.

    Args:
        text: Any text.
        found: In order, not overlapping.
        key: Of the surrogates; None puts placeholders.
    """
    parts: list[str] = []
    at = 0
    for one in found:
        said = narrow(text[one.start : one.end])
        new = f"[{one.kind.upper()}]" if key is None else surrogate(one.kind, said, key)
        parts += [text[at : one.start], new]
        at = one.end
    return "".join([*parts, text[at:]])


def hidden_texts(
    texts: pa.Array | pa.ChunkedArray,
    outside: Outside,
    *,
    kinds: Sequence[Kind] = KINDS,
    action: Hiding = "mask",
    regions: Sequence[str] = ("CN", "US", "GB"),
    own: Mapping[str, str] = {},
    model: str | None = None,
    key_id: str | None = None,
) -> pa.Array:
    """Hide personal data in texts as `personal_data` suggests it.

    Returns:
        String array, shape (n,), same order.

    Raises:
        StepError: A pattern runs away, a key or model is not there, or the action is drop.
    """
    if action == "drop":
        raise StepError("step 'personal_data': rows that are dropped have no text to serve")
    hide = _Hide(kinds, action, regions, own, model, key_id)
    said = texts.to_pylist()
    key = outside.key(key_id) if action == "surrogate" else None
    names = [f"at position {at}" for at in range(len(said))]
    both = zip(said, _found(names, said, hide, outside), strict=True)
    return pa.array([text and replaced(text, found, key) for text, found in both], pa.string())
