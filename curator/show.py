"""How results look on a terminal; every count names the command that lists its rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from curator.errors import CuratorError
from curator.session import seen, seen_values

if TYPE_CHECKING:
    from curator.init import Draft
    from curator.recipe_text import Question
    from curator.running import RunResult
    from curator.versions.listing import LogEntry
    from curator.versions.manifest import Version
    from curator.versions.store import Store

SHORT = 12
WIDE = 120
LONGEST_CELL = 100


def console() -> Console:
    """Give the console for stdout."""
    # A file or a pipe has no width; 80 columns would break the tables.
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def say(sentence: str) -> None:
    """Show a sentence."""
    console().print(sentence, markup=False)


def table(columns: Sequence[str], records: Iterable[Sequence[Any]], *, title: str = "") -> None:
    """Show a table."""
    console().print(_table(columns, records, title))


def _table(columns: Sequence[str], records: Iterable[Sequence[Any]], title: str = "") -> Table:
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for record in records:
        table.add_row(*(_cell(value) for value in record))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    text = text.replace("[", r"\[")
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Give a table as JSON values."""
    return [
        {k: v if isinstance(v, str | int | float | bool | list | None) else str(v)
         for k, v in record.items()}
        for record in table.to_pylist()
    ]  # fmt: skip


def ask(question: Question) -> str:
    """Ask one question on the terminal, with what the recipe would do as the default."""
    import typer

    names = [name or "none" for name in question.options]
    typer.echo(f"{question.text} [{' / '.join(names)}]", err=True)
    answer = typer.prompt("answer", default=question.chosen or "none", err=True)
    return "" if answer == "none" else str(answer)


def draft(made: Draft, out: Path) -> None:
    """Show what `init` saw and what is open."""
    screen = console()
    columns = list(made.rows[0]) if made.rows else []
    cells = [[{"text": str(row.get(c) or "")} for c in columns] for row in made.rows]
    told = [[cell["text"] for cell in row] for row in seen_values(cells)]
    screen.print(_table(columns, told))
    for question in made.questions:
        screen.print(f"? {question.text}", markup=False)
    screen.print(f"recipe -> {out}; look at it, then: curator run {out}", markup=False)


def plan(planned: Mapping[str, Any]) -> None:
    """Show a plan."""
    screen = console()
    columns = ("step", "state", "rows", "embeddings", "fits", "fits_cached", "cpu_s")
    screen.print(_table(columns, [[s.get(c) for c in columns] for s in planned["steps"]]))
    for sentence in planned["notes"]:
        screen.print(sentence, markup=False)


def run(result: RunResult, report: Path | None, store: str) -> None:
    """Show a finished run."""
    screen = console()
    screen.print(
        _table(
            ("step", "version", "rows", "train", "test", "state"),
            [
                (s.name, s.version.id[:SHORT], s.version.rows, s.version.splits.get("train", 0),
                 s.version.splits.get("test", 0), "done before" if s.cached else "new")
                for s in result.steps
            ],
        )
    )  # fmt: skip
    if result.impacts:
        screen.print()
        screen.print(_impacts(result))
    screen.print(f"\nwork: {result.context.counters.sentence()}", markup=False)
    if result.quarantine:
        bad = len(result.imported.bad)
        screen.print(f"{bad} records could not be read -> {result.quarantine}", markup=False)
    flag = "" if store == ".curator" else f"--store {store} "
    first, last = result.steps[0].version.id[:SHORT], result.head.id[:SHORT]
    screen.print(f"what changed, row by row: curator {flag}rows {first}..{last}", markup=False)
    if report:
        screen.print(f"report -> {report}", markup=False)


def _impacts(result: RunResult) -> Table:
    columns = ("change", "tier", "verdict", "effect", "interval", "visible from", "test rows")
    records = []
    for step, impact in result.impacts:
        m = impact.measurement
        measured = m.estimate is not None and impact.low is not None and impact.high is not None
        span = f"{_points(impact.low)} to {_points(impact.high)}" if measured else ""
        records.append(
            (step, m.tier, impact.verdict, _points(impact.effect) if measured else "", span,
             _points(impact.mde), m.test_rows)
        )  # fmt: skip
    return _table(columns, records, title="points of accuracy, after minus before")


def _points(share: float | None) -> str:
    return "" if share is None else f"{share * 100:+.1f}"


def log_entries(entries: Iterable[LogEntry]) -> list[dict[str, Any]]:
    """Give log entries under the names scripts rely on."""
    return [
        {"version": e.version, "parents": list(e.parents), "step": e.step, "rows": e.rows,
         "created": e.created, "tags": list(e.tags), "branches": list(e.branches)}
        for e in entries
    ]  # fmt: skip


def log(entries: Sequence[Mapping[str, Any]]) -> None:
    """Show the history, newest first."""
    console().print(
        _table(
            ("version", "step", "rows", "created", "names"),
            [
                (e["version"][:SHORT], e["step"], e["rows"], e["created"],
                 " ".join([*e["branches"], *e["tags"]]))
                for e in entries
            ],
        )
    )  # fmt: skip


def version_facts(store: Store, shown: Version, classes: pa.Table) -> dict[str, Any]:
    """Gather what `show` says of a version."""
    from curator.impact.ledger import uses

    return {
        "version": shown.id,
        "parents": list(shown.parents),
        "task": shown.task,
        "step": shown.step.name,
        "options": shown.step.options,
        "step_version": shown.step.version,
        "rows": shown.rows,
        "splits": dict(shown.splits),
        "classes": plain_rows(classes),
        "lock": shown.lock,
        "test_uses": uses(store, shown.lock).as_dict() if shown.lock else None,
        "transforms": [dict(t) for t in shown.transforms],
        "tags": [name for name, v in store.tags().items() if v == shown.id],
        "branches": [name for name, v in store.branches().items() if v == shown.id],
    }


def version(facts: Mapping[str, Any]) -> None:
    """Show one version."""
    screen = console()
    for name in ("version", "parents", "task", "step", "options", "rows", "splits", "lock",
                 "transforms", "branches", "tags"):  # fmt: skip
        screen.print(f"{name:<11} {facts[name]}", markup=False)
    if facts["test_uses"]:
        screen.print(f"{'test rows':<11} {_uses(facts['test_uses'])}", markup=False)
    records = [(c["split"], c["label"], c["rows"]) for c in facts["classes"]]
    screen.print(_table(("split", "label", "rows"), records))


def _uses(used: Mapping[str, Any]) -> str:
    from curator.impact.ledger import Uses

    return Uses(**used).sentence()


def rows(table: pa.Table, limit: int) -> None:
    """Show rows, the first ones, and say how many more there are."""
    screen = console()
    wanted = ("id", "action", "reason", "split", "label", "labels", "score", "text", "suggestion",
              "partner_text", "before", "after")  # fmt: skip
    head = seen(_with_text(table.slice(0, limit) if limit else table))
    columns = [c for c in wanted if c in head.column_names]
    columns = [c for c in columns if head[c].null_count < head.num_rows or c == "id"]
    records = []
    for record in head.to_pylist():
        cells = [record[c] for c in columns]
        records.append([str(cells[0])[:SHORT], *cells[1:]])
    screen.print(_table(columns, records))
    if limit and table.num_rows > limit:
        more = table.num_rows - limit
        screen.print(f"... and {more:,} more: --limit 0 shows all, --out FILE.csv writes them",
                     markup=False)  # fmt: skip
    screen.print(f"{table.num_rows:,} rows", markup=False)


def _with_text(rows: pa.Table) -> pa.Table:
    """Give rows of dialogues and preferences their input as `text`; others have one."""
    if "text" in rows.column_names:
        return rows
    from curator.tasks import task_of

    return rows.append_column("text", task_of(rows).input_text(rows))


def diff_counts(table: pa.Table) -> dict[str, dict[str, int]]:
    """Count a diff by operation and reason."""
    counts: dict[str, dict[str, int]] = {}
    for op, reason in zip(table["op"].to_pylist(), table["reason"].to_pylist(), strict=True):
        of_op = counts.setdefault(op, {})
        of_op[reason] = of_op.get(reason, 0) + 1
    return counts


def counts(found: Mapping[str, Mapping[str, int]]) -> None:
    """Show rows counted by operation and reason."""
    records = [(op, reason, n) for op, reasons in found.items() for reason, n in reasons.items()]
    console().print(_table(("operation", "reason", "rows"), records))


def conflicts(table: pa.Table) -> None:
    """Show the cells that both sides of a merge changed, each with who says so and why."""
    records = []
    for row in seen(table).to_pylist():
        base, ours, theirs = (
            _said(row[side], row["column"]) for side in ("base", "ours", "theirs")
        )
        told = [f"{row[f'{side}_by']}: {row[f'{side}_reason']}" for side in ("ours", "theirs")]
        cells = (row["row_id"][:SHORT], row["column"], base)
        records.append((*cells, f"{ours} ({told[0]})", f"{theirs} ({told[1]})"))
    console().print(_table(("row", "column", "before", "ours", "theirs"), records))


def lost(table: pa.Table) -> None:
    """Show the decisions that no longer apply, with what stands there now."""
    records = []
    for row in seen(table).to_pylist():
        sides = [_said(row[side], row["column"]) for side in ("decided_on", "decided", "now")]
        told = f"{row['by']}: {row['reason']}"
        records.append((row["row_id"][:SHORT], row["step"], row["column"], told, *sides))
    columns = ("row", "step", "column", "decision", "from", "to", "now reads")
    console().print(_table(columns, records))


def _said(cells: str | None, column: str) -> str:
    """Give the value of a cell; of a whole row its JSON, or that there is none."""
    if cells is None:
        return "no such row"
    values = json.loads(cells)
    return str(values[column]) if column in values else cells


def write(table: pa.Table, out: Path) -> None:
    """Write a table to csv, xlsx, jsonl or parquet, by the ending of its name."""
    import connectors

    known = ("csv", "xlsx", "jsonl", "parquet")
    suffix: Any = out.suffix.lstrip(".").lower()
    if suffix not in known:
        raise CuratorError(f"{out}: the name must end in one of {list(known)}")
    connectors.write(table, out, to=suffix)
    Console(stderr=True, highlight=False).print(f"{table.num_rows:,} rows -> {out}", markup=False)


def recipe_diff(found: Mapping[str, Any]) -> None:
    """Show what differs between two recipes, and the rows by cause."""
    screen = console()
    records = [(d["what"], d["step"], d["name"], d["a"], d["b"]) for d in found["differences"]]
    screen.print(_table(("what", "step", "name", "a", "b"), records))
    if not records:
        screen.print("nothing that was stated differs")
    causes = [
        (
            c["step"],
            c["side"],
            c["op"],
            c["reason"],
            c["rows"],
            "" if c["explained"] else "NO CAUSE",
        )
        for c in found["causes"]
    ]
    screen.print(_table(("step", "side", "operation", "reason", "rows", ""), causes))
    if found["flagged"]:
        screen.print(
            f"{found['flagged']:,} rows differ although nothing differs in the recipe at their "
            "step or before it; see the environment above, and `curator rebuild VERSION --recheck`",
            markup=False,
        )


def rebuilt(found: Mapping[str, Any]) -> None:
    """Show how each version of a history came out."""
    screen = console()
    records = [
        (s["step"], s["version"][:SHORT], s["how"], s["rows"], s["taken"] or "", s["moved"] or "",
         s["by"] or "", "as stored" if s["matches"] else "PARTED")
        for s in found["steps"]
    ]  # fmt: skip
    columns = ("step", "version", "by", "rows", "taken", "scores moved", "at most", "")
    screen.print(_table(columns, records))
    for step in found["steps"]:
        for note in step["notes"]:
            screen.print(f"note: {step['step']}: {note}", markup=False)
    if found["parted"]:
        names = ("step", "row_id", "what", "stored", "now")
        apart = [[row[name] for name in names] for row in seen_values(found["parted"])]
        screen.print(_table(names, apart))


def diff(counts: Mapping[str, Mapping[str, int]], a: str, b: str) -> None:
    """Show the counts of a diff."""
    screen = console()
    records = [(op, reason, n) for op, reasons in counts.items() for reason, n in reasons.items()]
    screen.print(_table(("operation", "reason", "rows"), records))
    screen.print(f"the rows: curator rows {a}..{b}, or curator diff {a} {b} --rows FILE.parquet",
                 markup=False)  # fmt: skip


def impact(found: Mapping[str, Any]) -> None:
    """Show one measurement."""
    screen = console()
    screen.print(found["sentence"], markup=False)
    if found["what_would_decide"]:
        screen.print(found["what_would_decide"], markup=False)
    if told := found.get("scores"):
        screen.print(_scores(told))
    if found.get("touched"):
        screen.print(found["touched"]["sentence"], markup=False)
    if "sentence" in found["placebo"]:
        screen.print(found["placebo"]["sentence"], markup=False)
    for cheaper in found["screens"]:
        screen.print(f"screen ({cheaper['tier']}): {cheaper['sentence']}", markup=False)
    records = [
        (s["name"], s["rows"], _points(s["effect"]), _points(s["low"]), _points(s["high"]),
         "harmed" if s["harmed"] else "")
        for s in found["slices"][:12]
    ]  # fmt: skip
    screen.print(_table(("slice", "rows", "effect", "low", "high", ""), records))
    if used := found.get("test_uses"):
        screen.print(_uses(used), markup=False)
    elif found.get("first_used"):
        screen.print(f"these test rows were first measured on {found['first_used']}", markup=False)


def _scores(told: Mapping[str, Any]) -> Table:
    """Show each metric of both sides: mean over seeds, on new test rows and on all."""
    records = [
        (name, rows["rows"], len(told["seeds"]), *(
            f"{sum(rows[side][name]) / len(told['seeds']):.3f}" for side in ("before", "after")))
        for rows in (told, {**told["all_rows"]})
        for name in rows["before"]
    ]  # fmt: skip
    return _table(("metric", "test rows", "seeds", "before", "after"), records)


def gate(found: Mapping[str, Any]) -> None:
    """Show the answer of a gate, and each protected class."""
    screen = console()
    screen.print(found["sentence"], markup=False)
    records = [
        (c["name"], c["rows"], _points(c["effect"]), _points(c["low"]), _points(c["high"]),
         f"{c['limit'] * 100:.1f}", c["outcome"].replace("_", " "))
        for c in found["classes"]
    ]  # fmt: skip
    if records:
        columns = ("class", "rows", "effect", "at least", "at most", "may lose", "")
        screen.print(_table(columns, records))


def steps(described: Sequence[Mapping[str, Any]]) -> None:
    """Show steps and augmenters with their options."""
    screen = console()
    for step in described:
        _options(screen, step["step"], step)
        for augmenter in step.get("with", ()):
            _options(screen, f"  with {augmenter['augmenter']}", augmenter)


def _options(screen: Console, name: str, described: Mapping[str, Any]) -> None:
    screen.print(f"{name} (version {described['version']}): {described['text']}", markup=False)
    for option in described["options"]:
        default = "required" if option["required"] else f"default {option['default']}"
        line = f"    {option['name']}: {option['type']}, {default}. {option['text']}"
        screen.print(line, markup=False)


def doctor(found: Sequence[Mapping[str, Any]]) -> None:
    """Show what is there and what is missing."""
    records = [(f["name"], "found" if f["found"] else "missing", f["detail"]) for f in found]
    console().print(_table(("what", "", "detail"), records))
