"""The one error of this package: a fit, a model or a spec the user can mend."""

from __future__ import annotations


class FitError(Exception):
    """A model or a fit cannot be had as asked; the message says what was found and what to do."""
