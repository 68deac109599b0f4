"""The store of immutable versions: content-addressed Parquet behind four functions."""

from curator.versions.differences import DIFF_SCHEMA, Redelivery, diff, diff_counts, redelivery
from curator.versions.history import Child, Event, History, State, to_json, why
from curator.versions.listing import LogEntry
from curator.versions.manifest import StepRecord, Version
from curator.versions.merging import Merge, merge, plan_merge
from curator.versions.opening import cache_of, is_store, open_store
from curator.versions.sentences import describe
from curator.versions.store import Store
from curator.versions.superseding import erased

__all__ = [
    "DIFF_SCHEMA",
    "Child",
    "Event",
    "History",
    "LogEntry",
    "Merge",
    "Redelivery",
    "State",
    "StepRecord",
    "Store",
    "Version",
    "cache_of",
    "describe",
    "diff",
    "diff_counts",
    "erased",
    "is_store",
    "merge",
    "open_store",
    "plan_merge",
    "redelivery",
    "to_json",
    "why",
]
