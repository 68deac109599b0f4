"""Finished facts to one self-contained HTML file and its JSON twin."""

from .facts import (
    WHOLE_CHAIN,
    ActionFacts,
    ClassFacts,
    CommandFacts,
    CorpusFacts,
    ExampleFacts,
    ImpactFacts,
    IssueFacts,
    LockFacts,
    NextStep,
    ReportError,
    RunFacts,
    SliceFacts,
    SourceFacts,
    StepFacts,
    VersionFacts,
)
from .page import render, twin, write
from .quality import describe, fitness

__all__ = [
    "WHOLE_CHAIN",
    "ActionFacts",
    "ClassFacts",
    "CommandFacts",
    "CorpusFacts",
    "ExampleFacts",
    "ImpactFacts",
    "IssueFacts",
    "LockFacts",
    "NextStep",
    "ReportError",
    "RunFacts",
    "SliceFacts",
    "SourceFacts",
    "StepFacts",
    "VersionFacts",
    "describe",
    "fitness",
    "render",
    "twin",
    "write",
]
