"""Verbs about base models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curator.session import Json, print_json

models = typer.Typer(no_args_is_help=True, help="Look at base models before they are trained.")


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    app.add_typer(models, name="models")


@models.command()
def doctor(
    model: Annotated[
        str, typer.Argument(help="Folder, package:DISTRIBUTION/FOLDER or hf:owner/name.")
    ],
    rows: Annotated[int, typer.Option(min=1, help="Training rows to estimate costs for.")] = 1000,
    targets: Annotated[
        list[str] | None, typer.Option("--target", help="Layer that gets an adapter; repeat it.")
    ] = None,
    as_json: Json = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Load a model, train two steps, say what can be trained in it and what it would cost."""
    from curator.models import examine_model, told

    found = examine_model(model, base=Path.cwd(), rows=rows, targets=tuple(targets or ()))
    if as_json:
        print_json(found)
    else:
        typer.echo("\n".join(told(found)))
