"""Verbs for what people decide about rows: edits in a spreadsheet, and taking rows out for good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from curator import show
from curator.session import Json, print_json, seen_values, store_here

Out = Annotated[Path | None, typer.Option(help="Write csv, xlsx, jsonl or parquet.")]
By = Annotated[str, typer.Option("--by", help="Who decided; stands in the history.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; stands in the history.")]

edits = typer.Typer(
    no_args_is_help=True, help="Let people edit rows in a spreadsheet, and take it back."
)


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    app.add_typer(edits, name="edits")
    app.command()(erase)


@edits.command()
def export(
    query: Annotated[
        str, typer.Argument(help="Version, span A..B, or SQL expression over the rows of main.")
    ] = "main",
    to: Annotated[
        Literal["xlsx", "csv"] | None, typer.Option(help="Else as --out ends, or xlsx.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; else edits.xlsx.")] = None,
    step: Annotated[str | None, typer.Option(help="Only rows this step touched.")] = None,
    issue: Annotated[str | None, typer.Option(help="Only rows with this issue type.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action (spans).")] = None,
    where: Annotated[str | None, typer.Option(help="SQL expression over the columns.")] = None,
    as_json: Json = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Write rows to a file that people edit; only id and base_hash must stay as they are."""
    from curator.editing import export_edits

    to = to or ("csv" if out is not None and out.suffix.lower() == ".csv" else "xlsx")
    path = out or Path(f"edits.{to}")
    made = export_edits(
        store_here(), query, out=path, to=to, step=step, issue=issue, action=action, where=where
    )
    if as_json:
        print_json({"path": str(made.path), "rows": made.rows, "notes": list(made.notes)})
        return
    typer.echo(f"{made.rows:,} rows -> {made.path}")
    for note in made.notes:
        typer.echo(f"note: {note}")


@edits.command()
def apply(
    file: Annotated[Path, typer.Argument(help="File of `edits export`, saved as csv or xlsx.")],
    by: By,
    reason: Reason,
    branch: Annotated[str, typer.Option("--branch", help="Where the edits go.")] = "reviews",
    new_label: Annotated[
        list[str] | None, typer.Option(help="Allow a label that no row has yet.")
    ] = None,
    out: Out = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Put changed cells onto a branch, as decisions of a person; exit code 1 where some clash."""
    from curator.editing import apply_edits

    done = apply_edits(
        store_here(), file, by=by, reason=reason, branch=branch, new_labels=new_label or ()
    )
    if out is not None:
        show.write(done.conflicts, out)
    if as_json:
        print_json(seen_values(done.as_dict()))
    else:
        at = f"{branch} is at {done.version.short}: " if done.version else "nothing was changed"
        told = ", ".join(f"{n:,} {action}" for action, n in sorted(done.counts.items()))
        typer.echo(at + told)
        for note in done.notes:
            typer.echo(f"note: {note}")
        if done.conflicts.num_rows:
            show.conflicts(done.conflicts)
    if clashing := done.conflicts.num_rows:
        typer.echo(
            f"{clashing:,} cells were not applied, as their rows changed after the export; export "
            "them again and decide anew",
            err=True,
        )
        raise typer.Exit(1)


def erase(
    rows: Annotated[list[str], typer.Argument(help="Row ids, or the first digits of them.")],
    by: Annotated[str, typer.Option("--by", help="Who asked for it; is kept.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; is kept, so quote no text.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Take rows and all made from them out of every version, record and cache, for good."""
    from curator.erasing import erase_rows

    done = erase_rows(store_here(), rows, by=by, reason=reason, dry_run=dry_run)
    if as_json:
        print_json(seen_values(done.as_dict()))
        return
    found = done.erased
    verb = "would be erased" if dry_run else "erased"
    typer.echo(
        f"{verb}: {len(found.rows):,} rows and {len(found.children):,} made from them; "
        f"{found.versions:,} versions have a new layout, {found.objects:,} objects are written "
        f"anew, {found.lines:,} quarantined records and {done.caches:,} cache files go"
    )
    if not dry_run and found.number is not None:
        typer.echo(f"ids of versions stay; `curator verify` names the digests of erasure "
                   f"{found.number}")  # fmt: skip
    for path in done.outside:
        typer.echo(f"may hold them, yours to clear: {path}")
    for note in done.notes:
        typer.echo(f"note: {note}")
