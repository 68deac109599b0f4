"""The faults a user can mend, whoever raises them, and how they are put into words."""

from __future__ import annotations

import errno

from augmenters import AugmentError
from connectors import SourceError
from curator.errors import CuratorError
from finetune import FitError
from reports import ReportError

KNOWN = (CuratorError, SourceError, AugmentError, FitError, ReportError, OSError, MemoryError)

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some room and run again, finished steps are kept",
    errno.EACCES: "permission is denied; choose a folder you may write to",
    errno.EROFS: "the file system is read-only; choose a folder you may write to",
    errno.ENOENT: "there is no such file or folder",
}


def explain(fault: BaseException) -> str:
    """Say what went wrong and what to do."""
    if isinstance(fault, MemoryError):
        return "out of memory; measure the probe tier only, or split the corpus, and run again"
    if isinstance(fault, OSError):
        where = f"{fault.filename}: " if fault.filename else ""
        return where + _ADVICE.get(fault.errno or 0, str(fault))
    return str(fault)
