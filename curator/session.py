"""What the options before the verb said, and the few things every verb does with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curator.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

    from curator.masking import Examples, Shown
    from curator.versions import Store

Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
Ref = Annotated[str, typer.Argument(help="Version id (6 digits or more), branch or tag.")]


class Session:
    """One call of the command line.

    store: Folder of the version store, or its address in an object store.
    cache: Folder for what can be computed or fetched again; None where the store decides.
    quiet: No progress on stderr.
    examples: How texts are shown; None where the call left it open.
    """

    store = ".curator"
    cache: Path | None = None
    quiet = False
    examples: Examples | None = None


def progress() -> Progress:
    """Give what long verbs tell their progress to."""
    return Progress(quiet=Session.quiet)


def store_here() -> Store:
    """Open the store of this call, which must exist."""
    from curator.versions import open_store

    return open_store(Session.store, create=False, cache=Session.cache)


def new_store() -> Store:
    """Open the store of this call, made where there is none."""
    from curator.versions import open_store

    return open_store(Session.store, create=True, cache=Session.cache)


def cache_here() -> Path:
    """Give the folder for the caches of this call."""
    from curator.versions import cache_of

    return cache_of(Session.store) if Session.cache is None else Session.cache


def store_or_none() -> Store | None:
    """Open the store of this call where there is one."""
    from curator.versions import is_store

    return store_here() if is_store(Session.store) else None


def _shown() -> Shown:
    """Say how this call shows texts: masked, the own kinds of the store's steps too."""
    from curator.masking import Shown, own_kinds

    examples = Session.examples or "masked"
    store = store_or_none() if examples == "masked" else None
    if store is None:
        return Shown(examples)
    heads = sorted(set(store.branches().values()))
    line = {v.id: v for head in heads for v in store.ancestry(store.version(head))}
    return Shown(examples, own_kinds(v.step.options for v in line.values()))


def seen(table: pa.Table) -> pa.Table:
    """Give a table as this call may show it: personal data masked unless it said otherwise."""
    return _shown().table(table)


def seen_values(value: Any) -> Any:
    """Give JSON values or records as this call may show them."""
    return _shown().values(value)


def print_json(value: Any) -> None:
    """Write JSON to stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
