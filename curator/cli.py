"""The command line: it reads arguments, calls one function, prints what came back.

`--json` goes to stdout, progress to stderr. Exit codes: 0 fine, 1 a fault the user can mend,
2 wrong usage, 3 a gate said no, 4 a gate could not tell, 130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from curator import show
from curator.commands import (
    annotating,
    calibrating,
    checks,
    history,
    judging,
    measuring,
    models,
    people,
    testsets,
)
from curator.commands import store as store_verbs
from curator.errors import CuratorError
from curator.session import (
    Json,
    Ref,
    Session,
    cache_here,
    new_store,
    print_json,
    progress,
    seen,
    seen_values,
    store_here,
    store_or_none,
)

# Typer brings click along under its own name or not, release by release; this is its base error.
ClickException: Any = typer.BadParameter.__mro__[2]

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Curate text corpora in versions and measure what each data change did to the model.",
)

StoreOption = Annotated[
    str, typer.Option("--store", help="Version store: a folder, or s3://, gs://, az://bucket/path.")
]
ShownHow = Literal["masked", "none", "full"]
RecipePath = Annotated[Path, typer.Argument(help="Recipe file (YAML).")]


@app.callback()
def _options(
    store: StoreOption = ".curator",
    cache: Annotated[
        Path | None, typer.Option(help="Local folder for caches; else beside the store.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")] = False,
    examples: Annotated[
        ShownHow | None,
        typer.Option(help="How texts are shown: personal data masked (default), none, or full."),
    ] = None,
) -> None:
    Session.store = store
    Session.cache = cache
    Session.quiet = quiet
    Session.examples = examples


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="csv, tsv, json, jsonl, parquet or xlsx file.")],
    out: Annotated[Path, typer.Option("--out", help="Recipe to write.")] = Path("recipe.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a recipe that exists.")] = False,
) -> None:
    """Look at a file and write a runnable, commented recipe."""
    from curator.init import draft

    if out.exists() and not force:
        raise CuratorError(f"{out}: there is a recipe already; --force replaces it")
    made = draft(file, folder=out.resolve().parent)
    if sys.stdin.isatty() and any(q.options for q in made.questions):
        answers = {q.about: show.ask(q) for q in made.questions if q.options}
        made = draft(file, folder=out.resolve().parent, answers=answers)
    out.write_text(made.recipe, "utf-8")
    show.draft(made, out)


@app.command()
def run(
    recipe: RecipePath,
    only: Annotated[str | None, typer.Option(help="Run this step alone, on the import.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    measure: Annotated[bool, typer.Option(help="Train and compare after the steps.")] = True,
    put_back: Annotated[
        list[str] | None,
        typer.Option("--put-back", help="A step that `revert` took out, to run all the same."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a recipe: import, steps, measurement, report. What is done already is not done again."""
    from curator.recipe import load

    loaded = load(recipe)
    if plan:
        from curator.plan import plan as make_plan

        store = store_or_none()
        planned = make_plan(loaded, store, cache=cache_here())
        print_json(planned) if as_json else show.plan(planned)
        return
    from curator.reporting import report_of_run
    from curator.running import run as run_recipe

    told = progress()
    store = new_store()
    result = run_recipe(
        loaded, store, only=only, measure=measure, put_back=put_back or (), progress=told
    )
    path = report_of_run(result, store) if loaded.report and not only else None
    if as_json:
        print_json(result.as_dict() | {"report": str(path) if path else None})
    else:
        show.run(result, path, Session.store)


@app.command()
def log(
    ref: Ref = "main",
    every: Annotated[
        bool, typer.Option("--all", help="Every version a branch or tag ever led to.")
    ] = False,
    as_graph: Annotated[
        bool, typer.Option("--graph", help="Draw branches and merges; --all draws every one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List versions, newest first."""
    from curator.query import every_entry

    store = store_here()
    listed = show.log_entries(every_entry(store) if every else store.log(ref))
    if as_json:
        print_json(listed)
    elif as_graph:
        from curator.graph import graph

        typer.echo("\n".join(graph(listed)))
    else:
        show.log(listed)


@app.command(name="show")
def show_version(ref: Ref = "main", as_json: Json = False) -> None:
    """Show one version: its step, options, rows by split and class, lock and transforms."""
    from curator.query import class_counts

    store = store_here()
    version = store.version(ref)
    facts = show.version_facts(store, version, class_counts(store, version))
    print_json(facts) if as_json else show.version(facts)


@app.command()
def rows(
    wanted: Annotated[str, typer.Argument(help="A version, or a span A..B of changes.")] = "main",
    step: Annotated[str | None, typer.Option(help="Only rows this step touched.")] = None,
    issue: Annotated[str | None, typer.Option(help="Only rows with this issue type.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action (spans).")] = None,
    where: Annotated[str | None, typer.Option(help="SQL expression over the columns.")] = None,
    limit: Annotated[int, typer.Option(help="Rows on the terminal; 0 for all.")] = 20,
    out: Annotated[Path | None, typer.Option(help="Write csv, xlsx, jsonl or parquet.")] = None,
    as_json: Json = False,
) -> None:
    """List rows: what a version holds, or what changed from A to B, with reason and partner."""
    from curator.query import rows_of

    table = rows_of(store_here(), wanted, step=step, issue=issue, action=action, where=where)
    if out is not None:
        show.write(table, out)
    elif as_json:
        print_json(seen_values(show.plain_rows(seen(table))))
    else:
        show.rows(table, limit)


@app.command()
def diff(
    a: Ref,
    b: Ref,
    rows_to: Annotated[Path | None, typer.Option("--rows", help="Parquet file to write.")] = None,
    recipe: Annotated[
        bool, typer.Option("--recipe", help="Compare what made them, and rows by cause.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Count what differs from version A to version B, by operation and reason."""
    store = store_here()
    if recipe:
        from curator.recipe_diff import recipe_diff

        made = recipe_diff(store, a, b)
        if rows_to is not None:
            show.write(made.rows, rows_to)
        print_json(made.as_dict()) if as_json else show.recipe_diff(made.as_dict())
        return
    table = store.diff(a, b)
    if rows_to is not None:
        import connectors

        connectors.write(table, rows_to, to="parquet")
    counts = show.diff_counts(table)
    print_json({"counts": counts}) if as_json else show.diff(counts, a, b)


@app.command()
def why(
    row: Annotated[str, typer.Argument(help="Row id, or the first digits of it.")],
    as_json: Json = False,
) -> None:
    """Tell everything that ever happened to one row."""
    from curator.versions import describe, erased, to_json

    store = store_here()
    if (gone := erased(store.folder, row)) is not None:
        told = f"row {row} was erased, nothing else is kept of it ({gone.sentence})"
        print_json({"row_id": row, "erased": gone.sentence}) if as_json else typer.echo(told)
        return
    history = seen_values(store.why(row))
    print_json(to_json(history)) if as_json else typer.echo(describe(history))


@app.command()
def branch(
    name: Annotated[str | None, typer.Argument(help="Name of a new branch.")] = None,
    ref: Annotated[str, typer.Argument(help="Where it starts.")] = "main",
) -> None:
    """List branches, or start one at a version."""
    store = store_here()
    if name is not None:
        store.branch(name, ref)
    for known, version in sorted(store.branches().items()):
        typer.echo(f"{version[:12]}  {known}")


@app.command()
def tag(
    name: Annotated[str | None, typer.Argument(help="Name of a new tag.")] = None,
    ref: Annotated[str, typer.Argument(help="The version it names.")] = "main",
) -> None:
    """List tags, or name a version for good."""
    store = store_here()
    if name is not None:
        store.tag(name, ref)
    for known, version in sorted(store.tags().items()):
        typer.echo(f"{version[:12]}  {known}")


@app.command()
def restore(
    ref: Ref,
    to: Annotated[str, typer.Option("--branch", help="The branch to move.")] = "main",
) -> None:
    """Make an earlier version the head of a branch again; nothing is rewritten."""
    version = store_here().restore(ref, branch=to)
    typer.echo(f"{to} is at {version.id[:12]} (step {version.step.name}, {version.rows:,} rows)")


@app.command()
def measure(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    a: Ref,
    b: Ref,
    tier: Annotated[str | None, typer.Option(help="probe, top-layers or all-layers.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="Take the spec from this recipe.")] = None,
    scores: measuring.ScoreFiles = None,
    train_with: measuring.TrainWith = None,
    seeds: measuring.Seeds = None,
    time_limit: measuring.TimeLimit = None,
    files: measuring.Files = "jsonl",
    cross_validate: measuring.Folds = None,
    kind_of_change: Annotated[
        bool, typer.Option(help="Also claim it of this kind of change, other rows chosen.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what the change from version A to version B did to the model, with its error bar."""
    if cross_validate is not None:
        judging.explore(a, b, cross_validate, tier or "probe", recipe, as_json)
        return
    if kind_of_change:
        measuring.wider(
            a, b, tier=tier, recipe=recipe, trains=scores or train_with, as_json=as_json
        )
        return
    from curator.gating import measure as measure_change
    from curator.trainers import outside

    by = outside(scores, train_with, seeds=seeds, time_limit_s=time_limit, files=files)
    impact = measure_change(
        store_here(), a, b, tier=tier, recipe=recipe, by=by, progress=progress()
    ).as_dict()
    print_json(impact) if as_json else show.impact(impact)


@app.command()
def export(
    ref: Ref,
    to: Annotated[
        str,
        typer.Option(
            help="parquet, jsonl, csv, xlsx, hf; by task alpaca, sharegpt, messages, conll, spacy."
        ),
    ] = "parquet",
    out: Annotated[Path, typer.Option(help="Folder; gets one file per split.")] = Path("export"),
) -> None:
    """Write the rows of a version for other programs, after checking its test lock."""
    from curator.exporting import export as write_export

    written = write_export(store_here(), ref, to=to, out=out, progress=progress())
    for path, count in written.items():
        typer.echo(f"{count:,} rows -> {path}")


@app.command()
def report(
    a: Annotated[str, typer.Argument(help="Version to report on, or the first of two.")] = "main",
    b: Annotated[str | None, typer.Argument(help="The second version.")] = None,
    out: Annotated[Path, typer.Option(help="HTML file; its JSON twin lies beside it.")] = Path(
        "report.html"
    ),
) -> None:
    """Write the report of a version's history as one HTML file with a JSON twin."""
    from curator.reporting import report_of_versions

    path = report_of_versions(store_here(), a, b, out=out, progress=progress())
    typer.echo(f"report -> {path}")


@app.command()
def steps(as_json: Json = False) -> None:
    """List the steps that exist, with their options."""
    from curator.registry import describe_steps

    described = describe_steps()
    print_json(described) if as_json else show.steps(described)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is installed, what is missing, and which package brings it."""
    from curator.doctor import examine

    found = examine()
    print_json(found) if as_json else show.doctor(found)


checks.register(app)


store_verbs.register(app)


history.register(app)


people.register(app)


annotating.register(app)
calibrating.register(app)
testsets.register(app)


measuring.register(app)
models.register(app)
judging.register(app)


def main() -> None:
    """Run the command line; faults a user can mend are printed without a traceback."""
    from curator.foreign import KNOWN, explain

    try:
        code = app(prog_name="curator", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except ClickException as fault:
        fault.show()
        raise SystemExit(fault.exit_code) from None
    except KNOWN as fault:
        typer.echo(f"error: {explain(fault)}", err=True)
        raise SystemExit(1) from None
    if code == INTERRUPTED:  # by us, or by typer, which makes Ctrl-C a plain exit code
        typer.echo("interrupted; finished steps are kept, run again to go on", err=True)
    raise SystemExit(code if isinstance(code, int) else 0)
