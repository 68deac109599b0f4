"""Verbs that judge a change: gate, and the options by which anybody's trainer is measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curator import show
from curator.errors import AlphaSpentError, MeasureError
from curator.session import Json, Ref, print_json, progress, store_here

if TYPE_CHECKING:
    from curator.impact.gate import Limits

ScoreFiles = Annotated[
    tuple[Path, Path] | None,
    typer.Option(
        metavar="A_FILE B_FILE",
        help="Answers of your own models: id, seed, and prediction or score (parquet, jsonl, csv).",
    ),
]
TrainWith = Annotated[
    str | None,
    typer.Option(
        metavar="COMMAND",
        help="Train with this, such as 'python train.py {train} {test} {seed} {out}'.",
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(help="Paired seeds of --train-with; else 3, 5 or 8, as it takes (a gate: 5)."),
]
TimeLimit = Annotated[
    float | None, typer.Option(help="Seconds one run of --train-with may take; else no limit.")
]
Folds = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="Screen on K parts of the training rows instead (see explore): no test row is spent.",
    ),
]
Files = Annotated[str, typer.Option(help="Files of --train-with: jsonl, csv or parquet.")]

_HUNDRED = 100
_CANNOT_TELL = 4


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    app.command()(gate)
    app.command()(alpha)


def wider(
    a: str, b: str, *, tier: str | None, recipe: Path | None, trains: object, as_json: bool
) -> None:
    """Claim of this change, and of this kind of change."""
    from curator.kinds import measured_as_kind

    if trains:
        raise MeasureError(
            "--kind-of-change trains on parts of the rows, so it goes with our own tiers only; "
            "leave out --train-with and --scores"
        )
    found = measured_as_kind(store_here(), a, b, tier=tier, recipe=recipe, progress=progress())
    if as_json:
        print_json(found)
        return
    show.impact(found)
    if found["kind_of_change"]:
        show.say(found["kind_of_change"]["sentence"])


def gate(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    a: Ref,
    b: Ref,
    margin: Annotated[
        float | None, typer.Option(help="Largest loss that does not matter, in points (1 = 1 %).")
    ] = None,
    tier: Annotated[str | None, typer.Option(help="probe, top-layers or all-layers.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="Take the spec from this recipe.")] = None,
    protect: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS=POINTS", help="This class may lose this much at most."),
    ] = None,
    no_class_loses: Annotated[
        float | None, typer.Option(help="Points that every class may lose at most.")
    ] = None,
    scores: ScoreFiles = None,
    train_with: TrainWith = None,
    seeds: Seeds = None,
    time_limit: TimeLimit = None,
    files: Files = "jsonl",
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit file for CI.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write a summary for a pull request.")
    ] = None,
    as_json: Json = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Let B take the place of A if it is shown not worse: exit code 0; 3 no, 4 cannot tell."""
    from curator.gating import Rules
    from curator.gating import gate as judge_change
    from curator.impact import gate_pages
    from curator.trainers import outside

    limits = _limits(protect or [], no_class_loses)
    rules = Rules(None if margin is None else _share("--margin", margin), limits)
    by = outside(scores, train_with, seeds=seeds, time_limit_s=time_limit, files=files)
    try:
        found = judge_change(
            store_here(), a, b, rules=rules, tier=tier, recipe=recipe, by=by, progress=progress()
        )
    except AlphaSpentError as spent:
        typer.echo(f"Error: {spent}", err=True)
        raise typer.Exit(_CANNOT_TELL) from spent
    for path, page in ((junit, gate_pages.junit), (markdown, gate_pages.markdown)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page(found), "utf-8")
    print_json(found.as_dict()) if as_json else show.gate(found.as_dict())
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def alpha(
    version: Annotated[str, typer.Argument(help="Version whose test rows are asked about.")] = (
        "main"
    ),
    declare: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Declare, before the first look: explore, split, lord, saffron or final.",
        ),
    ] = None,
    comparisons: Annotated[
        int | None, typer.Option(help="Comparisons that share alpha, with --declare split.")
    ] = None,
    total: Annotated[
        float, typer.Option(help="Alpha of all comparisons together, in per cent.")
    ] = 5.0,
    as_json: Json = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Say what the test rows of a version may still be asked, or declare it once."""
    from curator.declared import Declared
    from curator.impact import budget
    from curator.impact.ledger import uses

    store = store_here()
    lock = store.version(version).lock
    if lock is None:
        raise MeasureError(f"version {version} has no test row, so there is no alpha to declare")
    if declare is not None:
        wanted = Declared(declare, total / _HUNDRED, comparisons)  # type: ignore[arg-type]
        budget.declare(store, lock, wanted)
    facts = budget.facts(store, lock)
    if as_json:
        print_json(facts)
        return
    show.say(f"test rows {lock[:12]}: {uses(store, lock).sentence()}")
    show.say(budget.left(store, lock) or "nothing is declared: steps of a run share 5 % (Holm)")


def _limits(protect: list[str], every: float | None) -> Limits:
    from curator.impact.gate import Limits

    named = {}
    for one in protect:
        name, sign, points = one.rpartition("=")
        try:
            value = float(points)
        except ValueError:
            value, sign = 0.0, ""
        if not sign or not name:
            raise MeasureError(
                f"--protect {one!r}: expected CLASS=POINTS, such as --protect refund=5"
            )
        named[name] = _share(f"--protect {name}", value)
    return Limits(None if every is None else _share("--no-class-loses", every), named)


def _share(option: str, points: float) -> float:
    """Read points as a fraction.

    Raises:
        MeasureError: They are not above 0 and below 100.
    """
    if not 0 < points < _HUNDRED:
        raise MeasureError(f"{option} {points:g}: expected points above 0 and below 100")
    return points / _HUNDRED
