"""The verb `testset`: a test set that can show what it is for, labelled by two people, frozen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curator import show
from curator.errors import CuratorError
from curator.session import Json, print_json, store_here

if TYPE_CHECKING:
    from curator.testsets import Plan, Standing
    from curator.versions import Store

_HUNDRED = 100


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("testset")(label_anew)


def label_anew(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    ref: Annotated[str, typer.Argument(help="Version whose training rows are the pool.")] = "main",
    name: Annotated[str, typer.Option(help="Of the benchmark.")] = "benchmark",
    detect: Annotated[
        float | None, typer.Option(help="Smallest effect to show, as a fraction: draws the set.")
    ] = None,
    tier: Annotated[str, typer.Option(help="Of the measurements it is for.")] = "probe",
    seeds: Annotated[int, typer.Option(min=2, help="Paired seeds of such a measurement.")] = 8,
    seed: Annotated[int, typer.Option(help="Of the lot.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the sheets that are to be filled in next.")
    ] = None,
    apply: Annotated[Path | None, typer.Option(help="Take a person's sheet (with --by).")] = None,
    adjudicate: Annotated[
        Path | None, typer.Option(help="Take the sheet of disputed rows (with --by).")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who filled the sheet in.")] = None,
    findings: Annotated[
        Path | None, typer.Option(help="Write the rows for `annotate push --overlap 2`.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Take the answers pulled from this project.")
    ] = None,
    freeze: Annotated[bool, typer.Option("--freeze", help="Freeze it, for good.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Draw, label twice, adjudicate and freeze a test set that shows an effect of a given size."""
    from curator.testsets import draw, findings_for, plan_of, standing, take_studio

    store = store_here()
    plan = plan_of(store, name)
    if detect is not None:
        plan = draw(store, ref, name, effect=detect, tier=tier, seeds=seeds, seed=seed)
    if plan is None:
        raise CuratorError(
            f"no test set {name!r} was drawn yet: say the smallest effect it is to show, such as "
            "--detect 0.01"
        )
    _take(store, plan, apply, by, decides=False)
    _take(store, plan, adjudicate, by, decides=True)
    if project is not None:
        typer.echo(f"{take_studio(store, plan, project):,} labels taken from {project}", err=True)
    if findings is not None:
        show.write(findings_for(plan), findings)
    written = _sheets(store, plan, out)
    if freeze:
        _freeze(store, plan)
    found = standing(store, plan)
    if as_json:
        print_json(found.as_dict() | {"sheets": written})
        return
    _show(found, drawn=detect is not None)


def _take(store: Store, plan: Plan, file: Path | None, by: str | None, *, decides: bool) -> None:
    from curator.testsets import take_sheet

    if file is None:
        return
    if not by:
        raise CuratorError(f"{file}: say who filled it in with --by; two people are to answer")
    count = take_sheet(store, plan, file, by=by, decides=decides)
    typer.echo(f"{count:,} labels by {by} taken from {file}", err=True)


def _sheets(store: Store, plan: Plan, out: Path | None) -> list[str]:
    from curator.testsets import sheets

    if out is None:
        return []
    written = [str(path) for path in sheets(store, plan, out)]
    typer.echo("to be filled in: " + (", ".join(written) or "nothing, all is settled"), err=True)
    return written


def _freeze(store: Store, plan: Plan) -> None:
    from curator.testsets import lock

    for part, version in lock(store, plan).items():
        tag = f"{plan.name}-{part}"
        typer.echo(
            f"{tag}: {version.rows:,} test rows, version {version.short}; "
            f"`curator export {tag} --to jsonl --out {tag}` writes {tag}/test.jsonl",
            err=True,
        )


def _show(found: Standing, *, drawn: bool) -> None:
    from curator.testsets import falling, sizes

    plan, settled = found.plan, found.settled
    parts = ", ".join(f"{n:,} {part}" for part, n in sizes(plan, plan.parts).items())
    typer.echo(f"test set {plan.name}: {len(plan.parts):,} rows of version {plan.version[:12]} "
               f"({parts})")  # fmt: skip
    if drawn:
        lines = [(f"{n:,}", _points(effect)) for n, effect in falling(plan)]
        show.table(("labels", "smallest visible effect"), lines)
    typer.echo(
        f"{len(settled.labels):,} settled, {len(settled.disputed):,} disputed, "
        f"{len(settled.unclear):,} unclear, {len(settled.waiting):,} lack an answer"
    )
    typer.echo(
        f"confirm shows {_points(found.visible[0])} now, {_points(found.visible[1])} when done "
        f"({plan.tier}, {plan.seeds} seeds, 80 % power)"
    )
    if (kappa := found.agreement).value is not None:
        span = "" if kappa.low is None else f" [{kappa.low:.2f}, {kappa.high:.2f}]"
        typer.echo(f"two people's agreement beyond chance: kappa {kappa.value:.2f}{span}")
    if found.wrong is not None:
        wrong, of, low, high = found.wrong
        typer.echo(
            f"given labels wrong: {wrong:,} of {of:,} settled ({low:.1%} to {high:.1%}): the noise "
            "of the corpus, as the rows were drawn by lot"
        )


def _points(effect: float | None) -> str:
    return "nothing" if effect is None else f"{_HUNDRED * effect:.2f} points"
