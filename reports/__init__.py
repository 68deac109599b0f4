"""Finished facts to one self-contained HTML file and its JSON twin."""

from __future__ import annotations

from .facts import ReportError as ReportError
from .page import render as render
from .page import twin as twin
from .page import write as write
