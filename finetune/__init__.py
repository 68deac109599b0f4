"""A table and a spec to features, models and scores. Knows no versions, so it favours none."""

from .errors import FitError
from .spec import FitSpec

__all__ = ["FitError", "FitSpec"]
