"""The verb `calibrate`: people judge a sample blind, and the screen says what P(wrong) is worth."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curator import show
from curator.session import Json, Ref, print_json, progress, seen, store_here

if TYPE_CHECKING:
    from curator.calibrating import Calibration, Question
    from curator.reliability import Bin, Verdict
    from curator.versions import Store

_KEYS = {"1": "a", "2": "b", "3": "neither", "4": "unclear"}


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(calibrate)


def calibrate(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    ref: Ref,
    rows: Annotated[int, typer.Option(min=0, help="Rows over the bins of P(wrong).")] = 100,
    fixes: Annotated[
        int, typer.Option(min=0, help="Rows of those that a relabel would change.")
    ] = 150,
    min_p_fix: Annotated[
        float, typer.Option(min=0.5, max=1, help="P(fix) from which a relabel would change them.")
    ] = 0.98,
    seed: Annotated[int, typer.Option(help="Of the lot.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Write the open rows as a sheet (csv, xlsx).")
    ] = None,
    apply: Annotated[Path | None, typer.Option(help="Take the verdicts of such a sheet.")] = None,
    findings: Annotated[
        Path | None, typer.Option(help="Write the sample for `annotate push --blind 1`.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Take the blind answers pulled from this project.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who judges; else the store's author.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Says the model where no run has ended yet.")
    ] = None,
    table: Annotated[bool, typer.Option("--table", help="Only show what is known.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Let people judge a sample blind; say what P(wrong) and P(fix) are worth, and recalibrate."""
    from curator.calibrating import calibration, keep_verdicts, read_sheet, studio_verdicts

    store = store_here()
    asked = partial(
        calibration, store, ref, rows=rows, fixes=fixes, min_p_fix=min_p_fix, seed=seed,
        recipe=recipe, progress=progress(),
    )  # fmt: skip
    made = asked()
    if _written(made, out, findings):
        return
    who = by or store.author
    if apply is not None:
        keep_verdicts(store, made.version, read_sheet(made, apply), who)
    elif project is not None:
        keep_verdicts(store, made.version, studio_verdicts(store, made, project), who)
    elif not table and not as_json:
        _ask(store, made, who)
    made = asked()
    if as_json:
        print_json(_facts(made))
        return
    _show(made)


def _written(made: Calibration, out: Path | None, findings: Path | None) -> bool:
    from curator.calibrating import sample_findings, sheet_of

    if findings is not None:
        show.write(sample_findings(made), findings)
    if out is not None:
        show.write(seen(sheet_of(made)), out)
    return out is not None or findings is not None


def _ask(store: Store, made: Calibration, by: str) -> None:
    """Ask about row after row; each verdict is kept at once, q ends it."""
    from curator.calibrating import keep_verdicts

    drawn = {one.row_id: one for one in made.sample.rows}
    asked = list(made.open())
    for number, question in enumerate(asked, start=1):
        verdict = _verdict(drawn, question, f"{number} of {len(asked)}")
        if verdict is None:
            return
        keep_verdicts(store, made.version, {question.row_id: verdict}, by)


def _verdict(drawn: dict[str, Any], question: Question, place: str) -> Verdict | None:
    from curator.calibrating import verdict_of

    text = seen_text(question.text)
    typer.echo(f"\n{place}\n  {text}\n  1 {question.first}\n  2 {question.second}")
    while True:
        key = _key("  3 neither   4 cannot be told   q stop: ")
        if key in ("q", "\x03", "\x04"):
            return None
        if key in _KEYS:
            return verdict_of(drawn[question.row_id], question, _KEYS[key])
        typer.echo(f"  {key!r} is no key; expected 1, 2, 3, 4 or q")


def seen_text(text: str) -> str:
    """Give a text as this call may show it."""
    from curator.session import seen_values

    return str(seen_values({"text": text})["text"])


def _key(prompt: str) -> str:
    """Read one key of a terminal; one line of anything else, whose end is q."""
    typer.echo(prompt, nl=False)
    if sys.stdin.isatty():
        key = typer.getchar()
        typer.echo(key)
        return key
    line = sys.stdin.readline()
    return line.strip() if line else "q"


def _facts(made: Calibration) -> dict[str, Any]:
    from curator.calibrating import counted

    judged = [made.verdicts[o.row_id] for o in made.sample.rows if o.row_id in made.verdicts]
    return {
        "version": made.version.id,
        "drawn": len(made.sample.rows),
        "judged": len(judged),
        "verdicts": counted(judged),
        **made.found().as_dict(),
    }


def _show(made: Calibration) -> None:
    from curator.calibrating import evidence_lines

    found, facts = made.found(), _facts(made)
    typer.echo(f"{facts['judged']:,} of {facts['drawn']:,} drawn rows are judged")
    columns = ("rows of", "in all", "judged", "wrong", "promised", "found", "95 % interval", "")
    show.table(columns, [_line(one) for one in found.bins])
    for line in evidence_lines(found):
        typer.echo(line)


def _line(one: Bin) -> tuple[str, ...]:
    counts = (one.name, f"{one.rows:,}", f"{one.judged:,}", f"{one.wrong:,}", f"{one.promised:.3f}")
    if one.share is None or one.low is None or one.high is None:
        return (*counts, "-", "-", "")
    said = "" if one.kept else "too low" if one.promised < one.low else "too high"
    return (*counts, f"{one.share:.3f}", f"{one.low:.3f} to {one.high:.3f}", said)
