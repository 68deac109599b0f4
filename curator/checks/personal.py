"""Personal data in texts: found, and hidden behind a placeholder or a surrogate.

The one idea: a finding says kind and place, never the value; what hides a training row is a text
fix like any other, so the same function also serves test rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from curator.errors import StepError
from curator.identifiers import KINDS, Found, Kind, apart, personal_spans
from curator.schema import findings
from curator.spans import narrow
from curator.surrogates import own_surrogates, surrogate
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
        rows: Rows with id and text; any split (test rows are hidden when served, never dropped).
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
        personal_KIND, score 1; the evidence gives places in code points (`email at 5..21`), the
        suggestion is the text with everything found hidden, null where rows are dropped.

    Raises:
        StepError: A pattern runs away, or a key or model is not there.
    """
    hide = _Hide(kinds, action, regions, own, model, key_id)
    ids, texts = rows["id"].to_pylist(), rows["text"].to_pylist()
    return findings(_records(ids, texts, hide, outside))


@dataclass(frozen=True, slots=True)
class _Hide:
    """The options of the check, together."""

    kinds: Sequence[str]
    action: Hiding
    regions: Sequence[str]
    own: Mapping[str, str]
    model: str | None
    key_id: str | None


def _records(
    ids: Sequence[str], texts: Sequence[str | None], hide: _Hide, outside: Outside
) -> Iterator[dict[str, object]]:
    key = outside.key(hide.key_id) if hide.action == "surrogate" else None
    for row_id, text, found in zip(ids, texts, _found(ids, texts, hide, outside), strict=True):
        if not found or text is None:
            continue
        suggestion = None if hide.action == "drop" else replaced(text, found, key)
        for kind in dict.fromkeys(sorted((one.kind for one in found), key=_rank)):
            places = ", ".join(f"{one.start}..{one.end}" for one in found if one.kind == kind)
            yield {
                "row_id": row_id,
                "check": "personal_data",
                "issue_type": ISSUE + kind,
                "score": 1.0,
                "suggestion": suggestion,
                "evidence": f"{kind} at {places}",
            }


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
