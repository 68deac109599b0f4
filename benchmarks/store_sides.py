"""What each side of the store benchmarks does: import, step, diff, open, points and why.

The one idea: an action first gets ready (libraries, the step's rows) and gives back what is to be
measured, so that every side is timed over the same work. Runs as a process of its own:

    python benchmarks/store_sides.py '["curator", "step", "FOLDER", "STEPS", {"step": 1}]'
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.ma  # noqa: F401 - pyarrow imports it at its first array; imports are not measured
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from store_corpus import saved

from curator import schema
from curator.versions import StepRecord, Version, open_store

STEPS = 10
Facts = dict[str, Any]
Act = Callable[[Path, Path, Facts], Callable[[], Any]]
"""Given a side's folder, the folder of the steps and facts, gets ready; gives what is measured."""


def commit(at: Path, number: int, kind: str, parent: str | None, **parts: Any) -> Version:
    store = open_store(at, create=parent is None)
    step = StepRecord(f"{kind}_{number}" if number else "import", {}, 1)
    facts = {"step": step, "findings": schema.findings([]), **parts}
    if parent is None:
        return store.commit(
            "main", parents=(), task="classification", decisions=schema.decisions([]), **facts
        )
    if "rows" in facts:
        return store.commit("main", parents=(parent,), task="classification", **facts)
    return store.commit_changes("main", parent=parent, **facts)


def curator_import(at: Path, steps: Path, _: Facts) -> Callable[[], Any]:
    rows = pq.read_table(steps / "rows.parquet")
    return lambda: commit(at, 0, "import", None, rows=rows)


def curator_step(at: Path, steps: Path, facts: Facts) -> Callable[[], Any]:
    made = saved(steps, facts["step"])
    parts = {"changed": made.changed, "dropped": made.dropped.to_pylist()}
    decisions = made.decisions()
    return lambda: commit(at, made.number, made.kind, "main", decisions=decisions, **parts)


def curator_whole(at: Path, steps: Path, facts: Facts) -> Callable[[], Any]:
    made, decisions = saved(steps, facts["step"]), saved(steps, facts["step"]).decisions()
    rows = made.apply(open_store(at, create=False).rows("main"))
    return lambda: commit(at, made.number, made.kind, "main", decisions=decisions, rows=rows)


def curator_diff(at: Path, _: Path, facts: Facts) -> Callable[[], Any]:
    return lambda: open_store(at, create=False).diff(f"main~{facts['span']}", "main").num_rows


def curator_open(at: Path, _: Path, facts: Facts) -> Callable[[], Any]:
    def opened() -> Any:
        store = open_store(at, create=False)
        return store.layout(f"main~{facts['back']}").rows

    return opened


def curator_points(at: Path, _: Path, facts: Facts) -> Callable[[], Any]:
    return lambda: len(open_store(at, create=False).find(f"main~{facts['back']}", facts["ids"]))


def curator_why(at: Path, _: Path, facts: Facts) -> Callable[[], Any]:
    return lambda: len(open_store(at, create=False).why(facts["row"]).events)


def delta_options(*, feed: bool) -> Facts:
    from deltalake import WriterProperties

    options: Facts = {"writer_properties": WriterProperties(compression="ZSTD")}
    return options | ({"configuration": {"delta.enableChangeDataFeed": "true"}} if feed else {})


def delta_import(at: Path, steps: Path, facts: Facts) -> Callable[[], Any]:
    from deltalake import write_deltalake

    rows, options = pq.read_table(steps / "rows.parquet"), delta_options(feed=facts["feed"])
    return lambda: write_deltalake(at, rows, **options)


def delta_step(at: Path, steps: Path, facts: Facts) -> Callable[[], Any]:
    from deltalake import DeltaTable, write_deltalake

    made, options = saved(steps, facts["step"]), delta_options(feed=False)
    if made.kind == "add":
        return lambda: write_deltalake(at, made.changed, mode="append", **options)
    source = made.changed if made.kind == "edit" else pa.table({"id": made.dropped})

    def merged() -> Any:
        merge = DeltaTable(at).merge(
            source, "t.id = s.id", source_alias="s", target_alias="t", **options
        )
        if made.kind == "edit":
            return merge.when_matched_update_all().execute()
        return merge.when_matched_delete().execute()

    return merged


def delta_diff(at: Path, _: Path, facts: Facts) -> Callable[[], Any]:
    from deltalake import DeltaTable

    def feed() -> Any:
        table = DeltaTable(at)
        start = table.version() - facts["span"] + 1
        return pa.table(table.load_cdf(starting_version=start).read_all()).num_rows

    return feed


def net_changes(old: pa.Table, new: pa.Table) -> int:
    """Count the rows that differ between two whole tables: what there is to do without a feed."""
    import polars as pl

    before, after = pl.from_arrow(old), pl.from_arrow(new)
    names = [name for name in old.column_names if name != "id"]
    both = before.join(after, on="id", suffix="_after")
    differs = pl.any_horizontal(pl.col(n).ne_missing(pl.col(f"{n}_after")) for n in names)
    gone, came = before.join(after, on="id", how="anti"), after.join(before, on="id", how="anti")
    return len(gone) + len(came) + len(both.filter(differs))


def delta_compare(at: Path, _: Path, facts: Facts) -> Callable[[], Any]:
    import polars as pl  # noqa: F401 - imports are not measured
    from deltalake import DeltaTable

    numbers = STEPS - facts["span"], STEPS
    return lambda: net_changes(
        *(DeltaTable(at, version=number).to_pyarrow_table() for number in numbers)
    )


def delta_open(at: Path, _: Path, facts: Facts) -> Callable[[], Any]:
    from deltalake import DeltaTable

    return lambda: DeltaTable(at, version=STEPS - facts["back"]).version()


def delta_points(at: Path, _: Path, facts: Facts) -> Callable[[], Any]:
    from deltalake import DeltaTable

    wanted = pc.field("id").isin(facts["ids"])
    return lambda: (
        DeltaTable(at, version=STEPS - facts["back"])
        .to_pyarrow_dataset()
        .to_table(filter=wanted)
        .num_rows
    )


def lance_import(at: Path, steps: Path, _: Facts) -> Callable[[], Any]:
    import lance

    rows = pq.read_table(steps / "rows.parquet")
    return lambda: lance.write_dataset(rows, at, enable_stable_row_ids=True)


def lance_step(at: Path, steps: Path, facts: Facts) -> Callable[[], Any]:
    import lance

    made = saved(steps, facts["step"])
    if made.kind == "add":
        return lambda: lance.write_dataset(made.changed, at, mode="append")
    if made.kind == "edit":
        return lambda: (
            lance.dataset(at).merge_insert("id").when_matched_update_all().execute(made.changed)
        )
    listed = ", ".join(f"'{row}'" for row in made.dropped.to_pylist())
    return lambda: lance.dataset(at).delete(f"id IN ({listed})")


def lance_diff(at: Path, _: Path, facts: Facts) -> Callable[[], Any]:
    import lance

    def feed() -> Any:
        data = lance.dataset(at)
        delta = data.delta(compared_against=data.version - facts["span"])
        read = (delta.get_inserted_rows, delta.get_updated_rows, delta.get_deleted_row_ids)
        return [pa.table(reader().read_all()).num_rows for reader in read]

    return feed


def lance_compare(at: Path, _: Path, facts: Facts) -> Callable[[], Any]:
    import lance
    import polars as pl  # noqa: F401 - imports are not measured

    numbers = STEPS + 1 - facts["span"], STEPS + 1
    return lambda: net_changes(*(lance.dataset(at, version=n).to_table() for n in numbers))


def lance_open(at: Path, _: Path, facts: Facts) -> Callable[[], Any]:
    import lance

    return lambda: lance.dataset(at, version=STEPS + 1 - facts["back"]).version


def lance_points(at: Path, _: Path, facts: Facts) -> Callable[[], Any]:
    import lance

    listed = ", ".join(f"'{row}'" for row in facts["ids"])
    return lambda: (
        lance.dataset(at, version=STEPS + 1 - facts["back"])
        .to_table(filter=f"id IN ({listed})")
        .num_rows
    )


ACTS: dict[str, dict[str, Act]] = {
    "curator": {
        "import": curator_import, "step": curator_step, "diff": curator_diff,
        "open": curator_open, "points": curator_points, "why": curator_why,
    },
    "curator whole": {"step": curator_whole},
    "deltalake": {
        "import": delta_import, "step": delta_step, "open": delta_open, "points": delta_points,
        "compare": delta_compare,
    },
    "deltalake feed": {"import": delta_import, "step": delta_step, "diff": delta_diff},
    "lance": {
        "import": lance_import, "step": lance_step, "diff": lance_diff, "open": lance_open,
        "points": lance_points, "compare": lance_compare,
    },
}  # fmt: skip


def measure(side: str, act: str, at: Path, steps: Path, facts: Facts) -> Facts:
    """Do one action of one side in this process; gives seconds and peak memory."""
    ready = ACTS[side][act](at, steps, facts)
    wall, cpu = time.perf_counter(), time.process_time()
    result = ready()
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    return {**spent, "peak_mb": peak_mb(), "result": str(result)[:200]}


def peak_mb() -> float:
    """Give the most memory this process ever held; getrusage would count its parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    side, act, at, steps, facts = json.loads(sys.argv[1])
    print(json.dumps(measure(side, act, Path(at), Path(steps), facts)), flush=True)
    os._exit(0)  # a peer's threads now and then abort the process while it ends


if __name__ == "__main__":
    main()
