"""The errors a user can mend, as one tree; the command line prints them without a traceback.

    CuratorError
    ├── RecipeError     a recipe or an option is wrong; lists every fault found, with its line
    ├── RowError        imported rows break the row contract (duplicate keys, unknown labels)
    ├── StoreError      the version store cannot be read or written as asked
    │   ├── LockError   the frozen test rows are not what the lock says
    │   ├── MovedError  another writer moved the branch first; nothing is lost
    │   └── ConflictError  two sides changed the same cells; carries them as a table
    ├── StepError       a step cannot run on these rows
    └── MeasureError    a measurement was asked for that cannot be made
        └── AlphaSpentError  the test rows may not be asked again

The leaves have roots of their own: `connectors.SourceError`, `augmenters.AugmentError`,
`finetune.FitError` and `reports.ReportError`.
"""

from __future__ import annotations

from typing import Any


class CuratorError(Exception):
    """A fault the user can mend; the message says where, what was found and what to do."""


class RecipeError(CuratorError):
    """A recipe or an option is wrong."""


class RowError(CuratorError):
    """Imported rows break the row contract."""


class StoreError(CuratorError):
    """The version store cannot be read or written as asked."""


class LockError(StoreError):
    """The frozen test rows are not what the lock says."""


class MovedError(StoreError):
    """Another writer moved the branch first; what was committed stays readable by its id.

    branch: the branch that was not moved; version: id of the version it was not moved to.
    """

    def __init__(self, message: str, *, branch: str, version: str) -> None:
        super().__init__(message)
        self.branch, self.version = branch, version


class ConflictError(StoreError):
    """Two sides changed the same cells to different values.

    conflicts: A table with one row per cell: what each side says, why, and by whom.
    """

    def __init__(self, message: str, conflicts: Any) -> None:
        super().__init__(message)
        self.conflicts = conflicts


class StepError(CuratorError):
    """A step cannot run on these rows."""


class MeasureError(CuratorError):
    """A measurement was asked for that cannot be made."""


class AlphaSpentError(MeasureError):
    """What was declared of the test rows leaves nothing for this comparison."""
