"""Rows to augmented rows, each with its parent, augmenter, copy and seed.

An augmenter sees training rows only, drops nothing and gives no ids: `lineage` says what it
returns.
"""

from .characters import VERSION as KEYBOARD_VERSION
from .characters import keyboard
from .errors import AugmentError
from .label_texts import VERSION as LABEL_TEXT_VERSION
from .label_texts import label_text
from .lineage import FAILURE_SCHEMA, LINEAGE_SCHEMA, Augmented, Augmenter
from .words import VERSION as SYNONYM_VERSION
from .words import synonym

_ENGLISH = frozenset({"en"})

AUGMENTERS: dict[str, Augmenter] = {
    "label_text": Augmenter(label_text, version=LABEL_TEXT_VERSION, kind="label_text"),
    "synonym": Augmenter(synonym, version=SYNONYM_VERSION, kind="text", languages=_ENGLISH),
    "keyboard": Augmenter(keyboard, version=KEYBOARD_VERSION, kind="text", languages=_ENGLISH),
}

__all__ = [
    "AUGMENTERS",
    "FAILURE_SCHEMA",
    "LINEAGE_SCHEMA",
    "AugmentError",
    "Augmented",
    "Augmenter",
    "keyboard",
    "label_text",
    "synonym",
]
