"""The verb `check`: everything that is doubtful about a file or a version, on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from curator import show
from curator.session import Json, Session, cache_here, print_json, progress, store_or_none

SCREEN_LINES = 40
"""Lines of one screen; examples of what matters least are left out first."""

_WIDE = 118
_TEXT_CHARS = 60


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(check)


def check(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    wanted: Annotated[str, typer.Argument(help="A file or address, or a version.")],
    recipe: Annotated[Path | None, typer.Option(help="Take columns and options from it.")] = None,
    against: Annotated[
        str | None, typer.Option(help="Look for drift from this file or version.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="One row per scored row.")] = False,  # noqa: FBT002
    findings: Annotated[Path | None, typer.Option(help="Write the findings (Parquet).")] = None,
    text: Annotated[str | None, typer.Option(help="Text column of a file.")] = None,
    label: Annotated[str | None, typer.Option(help="Label column of a file.")] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(help="ISSUE, ISSUE:COUNT or ISSUE:SHARE that makes the exit code 3."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Examples of every issue.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Run all checks; change nothing."""
    from curator.checking import check as run_checks
    from curator.checking import refuse_unknown

    refuse_unknown(fail_on or (), recipe)
    found = run_checks(
        wanted, store=store_or_none(), cache=cache_here(), recipe=recipe, against=against,
        every=every, text=text, label=label, examples=Session.examples,
        progress=progress(),
    )  # fmt: skip
    if findings is not None:
        import connectors

        connectors.write(found.table, findings, to="parquet")
    summary = found.summary()
    print_json(summary) if as_json else _show(summary, full=full)
    if broken := found.broken(fail_on or ()):
        told = ", ".join(one.sentence(n, found.rows.num_rows) for one, n in broken)
        typer.echo(f"--fail-on says no: {told}", err=True)
        raise typer.Exit(3)


def _show(summary: Mapping[str, Any], *, full: bool) -> None:
    """Print one screen: each issue in a line, the worst first; examples while there is room."""
    screen = show.console()
    issues = summary["issues"]
    lines = [*summary["notes"], f"{summary['rows']:,} rows, {len(issues)} kinds of doubt"]
    room = SCREEN_LINES - len(lines) - len(issues) - 2
    left_out = 0
    for issue in issues:
        lines += [""] * full + [_headline(issue)]
        shown = [_example(one, issue["about"]) for one in issue["examples"]]
        if full or len(shown) <= room:
            lines += shown
            room -= len(shown)
        else:
            left_out += 1
    if left_out:
        lines.append(f"examples of {left_out} kinds are left out: --full shows them")
    if not issues:
        lines.append("nothing is doubtful")
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)


def _headline(issue: Mapping[str, Any]) -> str:
    if issue["about"] == "the set":
        return f"{issue['issue_type']}: {issue['count']:,} about the whole set ({issue['harm']})"
    noun = "row" if issue["count"] == 1 else "rows"
    share = f"{issue['share']:.1%}" if issue["share"] >= 0.001 else "under 0.1%"  # noqa: PLR2004
    return f"{issue['issue_type']}: {issue['count']:,} {noun}, {share} ({issue['harm']})"


def _example(one: Mapping[str, Any], about: str) -> str:
    text = " ".join((one["text"] or "")[: 4 * _TEXT_CHARS].split())
    text = text if len(text) <= _TEXT_CHARS else text[: _TEXT_CHARS - 1] + "…"
    row_id, evidence = one["row_id"][: show.SHORT], one["evidence"] or ""
    if about == "the set":
        return f"  {evidence}, such as {row_id}"
    line = f"  {row_id}  {text}  | {evidence}"
    return line if len(line) <= _WIDE else line[: _WIDE - 1] + "…"
