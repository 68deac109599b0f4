"""What the personal-data check asks of the machine: the key of surrogates, and a spaCy model.

The one idea: nothing stands in for what is missing. A key that is not there, is too short or can be
read by others stops the step, and so does a model; the message says what to do.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from curator.checks.personal import Hiding, Outside, hidden_texts
from curator.errors import StepError
from curator.identifiers import KINDS, Found, Kind
from curator.surrogates import key_fingerprint
from curator.terms import PACKED, packed, pattern_fault

FILE = "file:"
KEY = "CURATOR_SURROGATE_KEY"
KEY_FILE = "CURATOR_SURROGATE_KEY_FILE"
BESIDE = ".curator.key"
_LEAST_KEY = 16
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ENTITIES = {
    "PERSON": "name", "PER": "name", "FAC": "address", "ADDRESS": "address",
}  # fmt: skip


def surrogate_key(key_id: str | None = None) -> bytes:
    """Give the key of surrogates from the environment, or from its file beside the store.

    Args:
        key_id: Fingerprint it must have; None takes any.

    Raises:
        StepError: There is none, it is too short, others can read it, or it is another one.
    """
    key = os.environ.get(KEY, "").encode() or _key_in_file()
    if len(key) < _LEAST_KEY:
        raise StepError(
            f"the key of surrogates has {len(key)} bytes, expected at least {_LEAST_KEY}; make one "
            f"with: openssl rand -hex 32 > {BESIDE} && chmod 600 {BESIDE}"
        )
    found = key_fingerprint(key)
    if key_id is not None and found != key_id:
        raise StepError(
            f"these surrogates were made with the key {key_id}, the one at hand is {found}; "
            f"bring the first one, in {KEY} or in the file that {KEY_FILE} names"
        )
    return key


def _key_in_file() -> bytes:
    path = Path(os.environ.get(KEY_FILE) or BESIDE)
    if not path.exists():
        raise StepError(
            f"action surrogate needs a key: set {KEY}, or keep one in {path} (or in the file that "
            f"{KEY_FILE} names); make one with: openssl rand -hex 32 > {path} && chmod 600 {path}"
        )
    if path.stat().st_mode & _OTHERS:
        raise StepError(f"{path}: other users can read the key; close it with: chmod 600 {path}")
    return path.read_bytes().strip()


def named_entities(model: str, texts: Sequence[str]) -> list[list[Found]]:
    """Find names and addresses by a spaCy pipeline, per text.

    Raises:
        StepError: spaCy or the pipeline is not there, or it names no entities.
    """
    nlp = _pipeline(model)
    return [
        [
            Found(entity.start_char, entity.end_char, _ENTITIES[entity.label_])
            for entity in document.ents
            if entity.label_ in _ENTITIES
        ]
        for document in nlp.pipe(texts)
    ]


@lru_cache(maxsize=2)
def _pipeline(model: str) -> Any:
    try:
        import spacy
    except ImportError as fault:
        raise StepError(
            f"step 'personal_data', option 'model': {model!r} needs spaCy, which is not installed: "
            "pip install 'corpus-curator[names]'; without the option names and addresses are told "
            "only where a text announces them"
        ) from fault
    try:
        nlp = spacy.load(model)
    except OSError as fault:
        raise StepError(
            f"step 'personal_data', option 'model': there is no spaCy pipeline {model!r}, neither "
            "as an installed package nor as a folder; take one from the spaCy project itself "
            "(packages of such names on the public index are not theirs)"
        ) from fault
    if "ner" not in nlp.pipe_names and "entity_ruler" not in nlp.pipe_names:
        raise StepError(
            f"step 'personal_data', option 'model': {model!r} names no entities; it has "
            f"{nlp.pipe_names}, expected ner"
        )
    return nlp


OUTSIDE = Outside(key=surrogate_key, entities=named_entities)


def hidden(
    texts: pa.Array | pa.ChunkedArray,
    *,
    kinds: Sequence[Kind] = KINDS,
    action: Hiding = "mask",
    regions: Sequence[str] = ("CN", "US", "GB"),
    own: Mapping[str, str] = {},
    model: str | None = None,
    key_id: str | None = None,
) -> pa.Array:
    """Hide personal data in texts, as test rows are served."""
    return hidden_texts(
        texts, OUTSIDE, kinds=kinds, action=action, regions=regions, own=own, model=model,
        key_id=key_id,
    )  # fmt: skip


def personal_faults(options: dict[str, Any], base: Path | None) -> list[tuple[str | None, str]]:
    """Check the options of `personal_data`; fill in dictionaries and the fingerprint of the key.

    Args:
        options: Of the step, changed in place.
        base: Folder that paths are relative to; the working folder by default.

    Returns:
        Faults: (option, message).
    """
    told = [("own", fault) for fault in _own_faults(options, base or Path())]
    if options["action"] == "surrogate":
        try:
            options["key_id"] = key_fingerprint(surrogate_key(options["key_id"]))
        except StepError as fault:
            told.append(("action", str(fault)))
    return [(option, f"step 'personal_data': {fault}") for option, fault in told]


def _own_faults(options: dict[str, Any], base: Path) -> Iterator[str]:
    read = dict(options["own"])
    for name, said in options["own"].items():
        if not name.isidentifier() or not name.isascii() or name in KINDS:
            yield (
                f"{name!r} cannot name a kind of your own; expected letters, digits and _, and "
                f"none of {list(KINDS)}"
            )
        elif said.startswith(FILE):
            try:
                read[name] = _dictionary(name, base / said.removeprefix(FILE))
            except StepError as fault:
                yield str(fault)
        elif not said.startswith(PACKED) and (wrong := pattern_fault(said)):
            yield f"pattern {name!r} {wrong}"
    options["own"] = read


def _dictionary(name: str, path: Path) -> str:
    try:
        terms = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise StepError(
            f"dictionary {name!r}: {path} cannot be read as UTF-8 text with "
            f"one term a line: {fault}"
        ) from fault
    if not any(term.strip() for term in terms):
        raise StepError(f"dictionary {name!r}: {path} has no terms")
    return packed(terms)
