"""The two ways an augmenter says no: to the user, and to one row."""

from __future__ import annotations


class AugmentError(Exception):
    """A fault the user can mend; the message says where, what was found and what to do."""


class RowRefusedError(Exception):
    """One row cannot be augmented; its message becomes the reason in the failures table."""
