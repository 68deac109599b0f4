"""Verbs about base models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from curator import show
from curator.session import Json, new_store, print_json, progress, store_here

_RECIPES = {".yaml", ".yml"}

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


@models.command()
def compare(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE_OR_VERSION",
            help="A recipe, run without measuring; or a version id, branch or tag.",
        ),
    ],
    models: Annotated[
        str,
        typer.Option(
            help="Models, by commas: folders, package:DISTRIBUTION/FOLDER, hf:owner/name, tfidf. "
            "The first is what the others are compared with."
        ),
    ],
    methods: Annotated[
        str, typer.Option(help="Methods above the probe, by commas; else the recipe's.")
    ] = "",
    tiers: Annotated[
        str, typer.Option(help="probe, top-layers, all-layers, by commas; else the recipe's.")
    ] = "",
    as_json: Json = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Compare base models and methods on your data, with the verdicts of a change."""
    from curator.choosing import compare_models

    recipe = Path(what) if Path(what).suffix in _RECIPES else None
    store, ref = (store_here(), what) if recipe is None else (new_store(), "")
    if recipe is not None:
        from curator.recipe import load
        from curator.running import run

        ref = run(load(recipe), store, measure=False, progress=progress()).head.id
    found = compare_models(
        store, ref, models=_split(models), methods=_split(methods), tiers=_split(tiers),
        recipe=recipe, progress=progress(),
    )  # fmt: skip
    print_json(found) if as_json else _show(found)


def _split(told: str) -> list[str]:
    return [part.strip() for part in told.split(",") if part.strip()]


def _show(found: dict[str, Any]) -> None:
    judged = {one["candidate"]: one for one in found["comparisons"]}
    records = []
    for one in found["candidates"]:
        verdict = judged.get(one["candidate"])
        against = (
            (verdict["verdict"], _points(verdict["effect"]),
             f"{_points(verdict['low'])} to {_points(verdict['high'])}")
            if verdict else ("reference", "", "")
        )  # fmt: skip
        weights = "" if one["parameters"] is None else f"{one['parameters'] / 1e6:.1f} M"
        records.append((
            one["candidate"], f"{100 * one['score']:.1f}", *against, len(one["seeds"]),
            f"{one['cpu_s_per_fit']:.2f}", f"{one['cpu_s_per_1000_rows']:.2f}", weights,
            f"{one['mb']:.1f}",
        ))  # fmt: skip
    columns = ("candidate", "accuracy", "verdict", "points", "interval", "seeds", "CPU s a fit",
               "a 1,000 rows", "parameters", "MB")  # fmt: skip
    show.table(columns, records)
    for one in found["comparisons"]:
        show.say(one["sentence"])
        if one["what_would_decide"]:
            show.say(one["what_would_decide"])
    for one in found["left_out"]:
        show.say(f"left out: {one['candidate']}: {one['reason']}")


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
