"""Verbs for annotators: rows to Label Studio, their answers back, verdicts as a version."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from curator import show
from curator.errors import StoreError
from curator.session import Json, Ref, print_json, progress, seen_values, store_here

if TYPE_CHECKING:
    from curator.annotating_site import Server

TOKEN = "LABEL_STUDIO_API_KEY"  # noqa: S105 - the name of a variable

annotate = typer.Typer(
    no_args_is_help=True,
    help=f"Let annotators judge doubtful rows in Label Studio (token in {TOKEN}).",
)

Url = Annotated[
    str,
    typer.Option(envvar="LABEL_STUDIO_URL", help="Address of Label Studio, with its path if any."),
]
Project = Annotated[
    str | None, typer.Option(help="Title or number of the project; else the one pushed to.")
]
Consensus = Annotated[
    Literal["auto", "crowdlab", "majority"],
    typer.Option(help="auto: CROWDLAB where rows of single labels have several answers."),
]
HERE = "http://127.0.0.1:8080"


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    app.add_typer(annotate, name="annotate")


def _server(url: str) -> Server:
    """Give the server, with the token of the environment.

    Raises:
        StoreError: There is no token.
    """
    from curator.annotating_site import Server

    token = os.environ.get(TOKEN, "")
    if not token:
        raise StoreError(
            f"there is no token in the environment variable {TOKEN}; copy yours from Account & "
            "Settings of Label Studio (legacy or personal access token)"
        )
    return Server(url, token)


@annotate.command()
def push(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    ref: Ref = "main",
    budget: Annotated[int, typer.Option(min=1, help="Tasks the project is to hold in all.")] = 100,
    project: Annotated[
        str | None, typer.Option(help="Title or number; made where there is none.")
    ] = None,
    url: Url = HERE,
    overlap: Annotated[int, typer.Option(min=1, help="Annotators per task.")] = 1,
    blind: Annotated[
        float, typer.Option(min=0.1, max=1, help="Share of tasks without suggestion.")
    ] = 0.1,
    known: Annotated[
        float, typer.Option(min=0.05, max=0.5, help="Share of tasks whose answer is known.")
    ] = 0.05,
    language: Annotated[
        str | None, typer.Option(help="Of the page: en or zh; else the corpus's own.")
    ] = None,
    findings: Annotated[
        Path | None, typer.Option(help="Doubts from `check --findings`; else checks are run.")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Ask only rows of this SQL expression over their columns.")
    ] = None,
    influence: Annotated[
        Path | None, typer.Option(help="File with row_id and influence on the model.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Take labels, egress and examples from this recipe.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Tasks per request.")] = 250,
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a request of a killed push.")
    ] = 60.0,
    put_back: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--put-back", help="Replace a configuration changed by hand.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Give the rows most worth an annotator's minute to a project, each of them once."""
    from curator.annotating_campaign import PushPlan
    from curator.annotating_campaign import push as push_rows
    from curator.annotating_ranking import Shares

    plan = PushPlan(
        budget=budget, shares=Shares(blind, known), overlap=overlap, batch=batch, settle_s=settle,
        language=language, findings=findings, where=where, influence=influence, recipe=recipe,
        put_back=put_back, dry_run=dry_run,
    )  # fmt: skip
    done = push_rows(store_here(), ref, _server(url), project, plan, progress=progress())
    if as_json:
        print_json(done.as_dict())
        return
    tasks = done.tasks
    planned = sum(done.planned.values())
    verb = f"{planned:,} tasks would be made" if dry_run else f"{tasks.created:,} tasks made"
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in done.planned.items())
    typer.echo(f"{done.title} (project {done.project or 'new'}): {verb}, {tasks.unchanged:,} there")
    if planned:
        typer.echo(f"{kinds}; {done.flagged:,} are likelier wrong than right by the models")
    for name in ("updated", "adopted", "repaired", "deleted"):
        if count := getattr(tasks, name):
            typer.echo(f"{name}: {count:,}")
    _notes(done.notes)


@annotate.command()
def pull(
    project: Project = None,
    url: Url = HERE,
    sweep: Annotated[bool, typer.Option("--sweep", help="Also look for deleted tasks.")] = False,  # noqa: FBT002
    names: Annotated[
        Literal["email", "number"], typer.Option(help="What stands for an annotator.")
    ] = "email",
    recipe: Annotated[Path | None, typer.Option(help="Take egress from this recipe.")] = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Read what annotators did since the last pull; each event is kept once, and for good."""
    from curator.annotate import pull as pull_events
    from curator.annotating_site import egress_of

    store = store_here()
    allowed = egress_of(store, recipe)
    done = pull_events(store, _server(url), project, names=names, sweep=sweep, egress=allowed)
    if as_json:
        print_json(done.as_dict())
        return
    told = ", ".join(f"{n:,} {kind}" for kind, n in done.pulled.counts().items()) or "nothing new"
    typer.echo(f"{done.title} (project {done.project}): {told}; {done.total:,} events in all")
    _notes(done.notes)


@annotate.command()
def decide(
    project: Project = None,
    min_answers: Annotated[int, typer.Option(min=1, help="Rows with fewer answers stay open.")] = 1,
    branch: Annotated[str, typer.Option("--branch", help="Where the verdicts go.")] = "reviews",
    merge: Annotated[bool, typer.Option("--merge", help="Merge them into main too.")] = False,  # noqa: FBT002
    consensus: Consensus = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Write conflicts (csv, xlsx, jsonl, parquet).")
    ] = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Turn answers into verdicts and a version; exit code 1 where some are held as conflicts."""
    from curator.annotate import decide_reviews
    from curator.annotating_review import weigh

    store = store_here()
    together = weigh(
        store, project, how=consensus, min_answers=min_answers, branch=branch, progress=progress()
    )
    done = decide_reviews(
        store, project, verdicts=together.verdicts, branch=branch, into="main" if merge else None
    )
    if out is not None:
        show.write(done.conflicts, out)
    if as_json:
        print_json(seen_values({**done.as_dict(), "consensus": together.method}))
    else:
        told = ", ".join(f"{n:,} {kind}" for kind, n in done.counts.items()) or "no answers yet"
        typer.echo(f"verdicts ({together.method}): {told}")
        changed = ", ".join(f"{n:,} {action}" for action, n in done.changes.items())
        at = f"{branch} is at {done.version.short}: " if done.version else "nothing was changed"
        typer.echo(at + changed)
        if done.merged is not None:
            typer.echo(f"main is at {done.merged.short}")
        _notes(done.notes)
        if done.conflicts.num_rows and out is None:
            show.conflicts(done.conflicts)
    if held := done.conflicts.num_rows:
        typer.echo(f"{held:,} verdicts are held, as their rows changed or left", err=True)
        raise typer.Exit(1)


@annotate.command()
def status(
    project: Project = None,
    events: Annotated[
        Path | None, typer.Option(help="Write all events (csv, xlsx, jsonl, parquet).")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(help="Write the answers that count, likewise.")
    ] = None,
    opinions: Annotated[
        Path | None, typer.Option(help="Write the rows that want one more opinion, likewise.")
    ] = None,
    consensus: Consensus = "majority",
    measured: Annotated[
        str | None,
        typer.Option(metavar="A..B", help="Points an annotator hour of this measured change."),
    ] = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Say how far the annotators are, how they agree, and what is left; asks no server."""
    from dataclasses import asdict

    from curator.annotating_review import brought
    from curator.annotating_status import events_table, status_of

    store = store_here()
    found = status_of(store, project, how=consensus, progress=progress())
    gains = brought(store, measured, project) if measured is not None else []
    if opinions is not None:
        show.write(found.review.wanted, opinions)
    if events is not None:
        show.write(events_table(store, project), events)
    if answers is not None:
        show.write(found.answers, answers)
    if as_json:
        print_json(found.as_dict() | {"brought": [asdict(one) for one in gains]})
        return
    for line in (*found.lines(), *(one.sentence() for one in gains)):
        typer.echo(line)


@annotate.command()
def serve(
    project: Project = None,
    url: Url = HERE,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On this machine; 0: a free one.")
    ] = 9090,
    recipe: Annotated[Path | None, typer.Option(help="Take egress from this recipe.")] = None,
) -> None:
    """Be the ML backend of a project, on this machine only; pull whenever somebody answered."""
    from curator.annotate import pull as pull_events
    from curator.annotating_serve import Backend, server_of
    from curator.annotating_site import egress_of

    store, site = store_here(), _server(url)
    allowed = egress_of(store, recipe)

    def pull() -> str:
        done = pull_events(store, site, project, egress=allowed)
        told = ", ".join(f"{n:,} {kind}" for kind, n in done.pulled.counts().items())
        return f"pulled: {told or 'nothing new'}"

    backend = Backend(store, project, pull=pull, say=lambda line: typer.echo(line, err=True))
    server = server_of(backend, port)
    host, at = server.server_address[:2]
    typer.echo(f"listening on http://{host!s}:{at}; name it as the model of the project", err=True)
    backend.start()
    try:
        server.serve_forever()
    finally:
        server.server_close()
        backend.stop()


def _notes(notes: Any) -> None:
    for note in notes:
        typer.echo(f"note: {note}")
