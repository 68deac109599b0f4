"""Verbs about the store itself: is it whole, and what may be cleared away."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from curator.errors import CuratorError
from curator.session import Json, print_json, progress, store_here

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    app.command()(verify)
    app.command()(gc)


def verify(as_json: Json = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Hash every row, object and name again; exit code 1 and a list of faults if one is wrong."""
    from curator.versions.verify import verify as verify_store

    store = store_here()
    found = verify_store(store, say=progress().say)
    if as_json:
        print_json(found.as_dict())
    else:
        for fault in found.faults:
            typer.echo(f"{fault.where}: {fault.what}")
        typer.echo(
            f"{found.versions:,} versions, {found.rows:,} rows, {found.objects:,} objects "
            f"({size(found.bytes)}) hashed again: "
            + (f"{len(found.faults)} faults" if found.faults else "all is as committed")
        )
        for one in found.superseded:
            told = ", ".join(
                f"{name} {str(was)[:12]} by {str(now)[:12]}"
                for name, (was, now) in one.digests.items()
            )
            typer.echo(f"version {one.version[:12]}: erasure {one.erasure} superseded {told}")
        if found.unreachable:
            typer.echo(f"{found.unreachable:,} objects belong to no version; see `curator gc`")
    if found.faults:
        raise typer.Exit(1)


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,  # noqa: FBT002
    grace: Annotated[
        str, typer.Option(help="Keep what is younger than this, such as 30m, 12h or 7d.")
    ] = "1d",
    break_lease: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--break-lease", help="First end the leases of others, whose processes have ended."
        ),
    ] = False,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Remove what no branch, tag or version leads to; never while another process writes."""
    from curator.versions.gc import collect
    from curator.versions.leases import break_all

    store = store_here()
    for told in break_all(store.folder) if break_lease and not dry_run else ():
        typer.echo(f"ended the lease of {told.who} ({told.work})", err=True)
    age_s = seconds(grace)
    planned = collect(store, grace_s=age_s, dry_run=True)
    if not as_json:
        _tell(planned)
    done = planned if dry_run else collect(store, grace_s=age_s)
    if as_json:
        print_json(done.as_dict())
    elif not dry_run:
        typer.echo(f"removed {len(done.removed):,} names, {size(done.bytes)}")


def _tell(planned: Any) -> None:
    for kind, (count, bytes_) in planned.counts().items():
        typer.echo(f"{count:>8,}  {size(bytes_):>10}  {kind} that nothing leads to")
    if planned.young:
        typer.echo(f"{len(planned.young):>8,}  kept, as they are younger than the grace period")
    if not planned.removed:
        typer.echo("nothing to remove")


def seconds(duration: str) -> float:
    """Read a duration such as 30m, 12h or 7d.

    Raises:
        CuratorError: It is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", duration.strip())
    if found is None:
        raise CuratorError(
            f"--grace {duration!r}: write a number and s, m, h or d, such as 30m, 12h or 7d"
        )
    return float(found[1]) * _UNITS[found[2]]


def size(count: int) -> str:
    """Write a number of bytes for people."""
    steps = ("B", "kB", "MB", "GB", "TB")
    power = min(max(0, len(str(count)) - 1) // 3, len(steps) - 1)
    return f"{count} B" if power == 0 else f"{count / 1000**power:.1f} {steps[power]}"
