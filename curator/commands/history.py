"""Verbs that change or prove a history: merge, revert, rebuild."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import typer

from curator import show
from curator.errors import ConflictError
from curator.session import Json, Ref, print_json, progress, seen, seen_values, store_here

RuleName = Literal["ours", "theirs", "newest-human"]
Out = Annotated[Path | None, typer.Option(help="Write csv, xlsx, jsonl or parquet.")]
Into = Annotated[str, typer.Option("--into", help="The branch that takes it in.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    app.command()(merge)
    app.command()(revert)
    app.command()(rebuild)


def merge(
    source: Annotated[str, typer.Argument(metavar="BRANCH", help="Branch, tag or version.")],
    into: Into = "main",
    rule: Annotated[
        RuleName | None, typer.Option(help="How conflicts are settled; without one they stop it.")
    ] = None,
    out: Out = None,
    as_json: Json = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Merge a branch into another, row by row; conflicts are listed and stop the merge."""
    from curator.versions import merge as merge_branch

    store = store_here()
    before = store.head(into)
    try:
        made = merge_branch(store, source, into=into, rule=rule)
    except ConflictError as stopped:
        _tell_conflicts(stopped, out, as_json=as_json)
        raise typer.Exit(1) from None
    counts = show.diff_counts(store.diff(before, made))
    if as_json:
        print_json(
            {"version": made.id, "parents": list(made.parents), "counts": counts, "conflicts": []}
        )
    elif made.id == before.id:
        typer.echo(f"{into} holds all of {source} already: {made.short}")
    else:
        typer.echo(f"{into} is at {made.short}: {source} merged, {made.rows:,} rows")
        show.counts(counts)


def _tell_conflicts(stopped: ConflictError, out: Path | None, *, as_json: bool) -> None:
    conflicts: pa.Table = stopped.conflicts
    if out is not None:
        show.write(conflicts, out)
    if as_json:
        print_json({"version": None, "conflicts": seen(conflicts).to_pylist()})
    elif out is None:
        show.conflicts(conflicts)
    typer.echo(f"error: {stopped}", err=True)


def revert(
    step: Annotated[str, typer.Argument(help="Name of the step, or the version it made.")],
    branch: Annotated[str, typer.Option("--branch", help="Take it out of this branch.")] = "main",
    preview: Annotated[bool, typer.Option("--preview", help="Only say what would change.")] = False,  # noqa: FBT002
    out: Out = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Make a version without one step: later steps are replayed, human decisions put on again."""
    from curator.reverting import revert as revert_step

    done = revert_step(store_here(), step, branch=branch, preview=preview, progress=progress())
    if out is not None:
        show.write(done.changes, out)
    found = done.as_dict()
    if as_json:
        print_json(seen_values(found))
        return
    head = f"would leave {branch}" if done.version is None else f"{branch} is at"
    at = "" if done.version is None else f" {done.version.short}"
    typer.echo(f"{head}{at} without {done.step}; replayed: {', '.join(done.replayed) or 'nothing'}")
    show.counts(found["counts"])
    for note in done.notes:
        typer.echo(f"note: {note}")
    if done.lost.num_rows:
        typer.echo(f"{done.lost.num_rows:,} decisions no longer apply:")
        show.lost(done.lost)


def rebuild(
    ref: Ref = "main",
    again: Annotated[  # noqa: FBT002
        bool, typer.Option("--recheck", help="Compute every check and augmenter anew.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Batches side by side (--recheck).")] = 1,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Texts at a time; else all (--recheck).")
    ] = None,
    out: Out = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Make a version again from its import and compare; exit code 1 where the two part."""
    store = store_here()
    if again:
        from curator.rechecking import recheck

        made = recheck(store, ref, workers=workers, batch_size=batch_size, progress=progress())
    else:
        from curator.rebuilding import rebuild as rebuild_stored

        made = rebuild_stored(store, ref, progress=progress())
    if out is not None:
        show.write(made.parted, out)
    found: dict[str, Any] = made.as_dict()
    print_json(seen_values(found)) if as_json else show.rebuilt(found)
    if not made.matches:
        raise typer.Exit(1)
