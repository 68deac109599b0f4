"""Eleven versions of a million rows, against deltalake, Lance and whole files: disk, time, memory.

    python benchmarks/store_million.py [--rows 1000000] [--why 30] [--only SIDE,...]

The same corpus and the same ten steps (edit 1 %, drop 1 %, add 5 %, in turn; `store_corpus.py`) go
to every side in turn, step by step, each action in a new process, which says its wall and CPU
seconds and its peak memory; imports of libraries and reading the step's rows are not counted. Every
side takes the threads it likes: variables that limit one side's are not handed on. Peers
that are not installed are left out and named; install them where the project is not disturbed:

    python -m venv peers && peers/bin/pip install deltalake pylance obstore
    PYTHONPATH=. peers/bin/python benchmarks/store_million.py

Takes 3 minutes of two idle cores and 3 GB of disk.

- `curator` commits by `commit_changes`, as `edits apply`, `annotate pull` and a lost race do; its
  decisions say what cells read before, as theirs do, so rows are recalled and proved by their hash;
  `curator whole` hands over all rows, as `run` does after each step, on a copy of the same store.
- `deltalake` merges, deletes by merge, appends, writes zstd; its change feed is measured on a table
  of its own (`deltalake feed`), as the feed costs time and room. `lance` has stable row ids, which
  its feed needs. A feed tells every change of a row, without reasons; `compare` joins two versions
  for what differs in the end, as `diff` tells. `files` writes a zstd Parquet file a version.

Every number stands beside its bound; ratios of time are the lower of wall and CPU. Exit code 1 if a
bound is missed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from store_corpus import Change, change, corpus, kind_of, saved
from store_sides import ACTS, STEPS, Facts

SIDES = Path(__file__).with_name("store_sides.py")
LIMITS = ("OMP_NUM_THREADS", "TOKIO_WORKER_THREADS", "LANCE_CPU_THREADS", "POLARS_MAX_THREADS",
          "RAYON_NUM_THREADS")  # fmt: skip
"""Each limits the threads of one side alone, so none is handed on."""
SPAN, REPEATS, POINTS = 5, 3, 1000
PEERS = {"deltalake": "deltalake", "deltalake feed": "deltalake", "lance": "pylance"}


@dataclass(slots=True)
class Bench:
    """One run: where things lie, what was measured, whether a bound was missed."""

    top: Path
    sides: list[str]
    measured: dict[tuple[str, str], list[Facts]] = field(default_factory=dict)
    missed: bool = False

    def place(self, side: str) -> Path:
        """Give the folder of a side."""
        return self.top / side.replace(" ", "_")

    def act(
        self, side: str, act: str, *, name: str = "", at: Path | None = None, **facts: Any
    ) -> Facts:
        """Do one action in a new process and keep what it took under its name."""
        feed = {"feed": side.endswith("feed")}
        told = [side, act, str(at or self.place(side)), str(self.top / "steps"), feed | facts]
        free = {name: value for name, value in os.environ.items() if name not in LIMITS}
        done = subprocess.run(
            [sys.executable, str(SIDES), json.dumps(told)],
            check=True, stdout=subprocess.PIPE, text=True, env=free,
        )  # fmt: skip
        found: Facts = json.loads(done.stdout.splitlines()[-1])
        self.measured.setdefault((side, name or act), []).append(found)
        return found

    def median(self, side: str, name: str, what: str) -> float:
        """Give the median of what an action took; not a number where it was not done."""
        found = [facts[what] for facts in self.measured.get((side, name), [])]
        return statistics.median(found) if found else math.nan

    def faster(self, side: str, name: str, than: str, other: str) -> float:
        """Give how many times faster a side was, by wall or CPU, whichever says less."""
        ratios = [
            self.median(than, other, what) / self.median(side, name, what)
            for what in ("wall_s", "cpu_s")
        ]
        return min(ratios)

    def bound(self, what: str, found: float, bound: float, *, most: bool, unit: str = "") -> None:
        """Print a number beside its bound."""
        if math.isnan(found):
            print(f"  {what}: not measured")
            return
        met = found <= bound if most else found >= bound
        self.missed |= not met
        side, verdict = ("at most" if most else "at least"), ("met" if met else "MISSED")
        print(f"  {what}: {found:.3g}{unit} ({side} {bound:g}{unit}): {verdict}")


def on_disk(folder: Path) -> int:
    """Count the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def parquet_size(rows: pa.Table) -> int:
    """Count the bytes of a table as Parquet with zstd: pyarrow's writer, or without dictionaries.

    Of the two the smaller one, so that no bound is easy because of a default.
    """
    sizes = []
    for dictionary in (True, ["label", "split", "weight", "source", "parent", "step"]):
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd", use_dictionary=dictionary)
        sizes.append(sink.getvalue().size)
    return min(sizes)


def copied(store: Path, to: Path) -> Path:
    """Copy a store by hard links, which is safe as it writes nothing in place."""
    shutil.copytree(store, to, copy_function=os.link)
    return to


def build(bench: Bench, rows: pa.Table) -> tuple[pa.Table, Facts]:
    """Give every side the import and the steps in turn; gives the last rows and bytes on disk."""
    steps = bench.top / "steps"
    steps.mkdir()
    pq.write_table(rows, steps / "rows.parquet")
    disk: Facts = {"files": write_file(bench, rows), "once": 0, "each": 0}
    for side in bench.sides:
        bench.act(side, "import")
    for number in range(1, STEPS + 1):
        made = change(rows, number)
        made.save(steps)
        rows = made.apply(rows)
        disk["files"] += write_file(bench, rows)
        disk["once"] += parquet_size(made.before) if made.before.num_rows else 0
        disk["each"] += parquet_size(made.changed if made.changed.num_rows else made.before)
        take_step(bench, number)
    return rows, disk


def take_step(bench: Bench, number: int) -> None:
    kind = kind_of(number)
    if kind == "edit":  # all rows, as `run` does: on a copy, as the same change is the same version
        copy = copied(bench.place("curator"), bench.top / "copy")
        bench.act("curator whole", "step", name=kind, at=copy, step=number)
        shutil.rmtree(copy)
    turned = bench.sides[number % len(bench.sides) :] + bench.sides[: number % len(bench.sides)]
    for side in turned:
        bench.act(side, "step", name=kind, step=number)


def write_file(bench: Bench, rows: pa.Table) -> int:
    path = bench.top / "version.parquet"
    wall, cpu = time.perf_counter(), time.process_time()
    pq.write_table(rows, path, compression="zstd")
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    bench.measured.setdefault(("files", "write"), []).append({**spent, "peak_mb": math.nan})
    return path.stat().st_size


def ask(bench: Bench) -> None:
    """Ask every side what changed, for an old version, and for rows of it by id; in turn."""
    back = STEPS - 1  # the version after the first step
    old = pq.read_table(bench.top / "steps" / "rows.parquet", columns=["id"])["id"]
    every = old.take(pa.array(range(0, len(old), max(len(old) // POINTS, 1))))
    ids = every.to_pylist()[:POINTS]
    for _ in range(REPEATS):
        for side in bench.sides:
            for act in ("diff", "compare", "open", "points"):
                if act in ACTS[side]:
                    bench.act(side, act, span=SPAN, back=back, ids=ids)


def ask_why(bench: Bench, rows: pa.Table, versions: int) -> None:
    """Make the history longer in Curator alone, ask for rows: edited, dropped, made, untouched."""
    for number in range(STEPS + 1, versions):
        made = change(rows, number)
        made.save(bench.top / "steps")
        rows = made.apply(rows)
        bench.act("curator", "step", name=f"late {made.kind}", step=number)
    steps = [saved(bench.top / "steps", number) for number in (1, 2, 3, versions - 1)]
    asked = [row_of(made) for made in steps] + [rows["id"][0].as_py()]
    for row in asked:
        bench.act("curator", "why", row=row)


def row_of(made: Change) -> str:
    table = made.before if made.kind == "drop" else made.changed
    return str(table["id"][0].as_py())


def table(bench: Bench) -> None:
    print(f"{'side':16} {'action':10} {'wall s':>8} {'CPU s':>8} {'peak MB':>8}   each wall s")
    for (side, name), found in bench.measured.items():
        each = " ".join(f"{facts['wall_s']:.3f}" for facts in found[:11])
        told = [bench.median(side, name, what) for what in ("wall_s", "cpu_s", "peak_mb")]
        print(f"{side:16} {name:10} {told[0]:8.3f} {told[1]:8.3f} {told[2]:8.0f}   {each}")
        if name in ("diff", "compare", "points", "why"):
            print(f"{'':16} gave {', '.join(dict.fromkeys(f['result'] for f in found))}")


def judge_disk(bench: Bench, rows: pa.Table, disk: Facts, used: dict[str, int]) -> None:
    last = parquet_size(rows)
    told = {"last version as zstd Parquet": last, "rows as they were before they changed or went":
            disk["once"], "changed rows of each step": disk["each"], **used}  # fmt: skip
    for name, size in told.items():
        print(f"  {size / 1e6:8.1f} MB  {name}")
    own = used["curator"]
    strict, stated = last + disk["once"], last + disk["each"]
    bench.bound("disk / (last version + changed rows of each step)", own / stated, 1.3, most=True)
    bench.bound("disk / (last version + states it does not hold)", own / strict, 1.3, most=True)
    cached = (own + used["curator's cache"]) / stated
    print(f"  the same with the cache, which may be deleted: {cached:.3g}")
    bench.bound("deltalake / Curator", used.get("deltalake", math.nan) / own, 2.5, most=False)
    bench.bound("whole files / Curator", used["files"] / own, 4, most=False)
    print(f"  Lance / Curator: {used.get('lance', math.nan) / own:.3g} (no bound)")


def judge_time(bench: Bench) -> None:
    edit = bench.faster("curator", "edit", "deltalake", "edit")
    bench.bound("1 % edit, faster than deltalake's merge", edit, 5, most=False, unit="x")
    whole = bench.faster("curator whole", "edit", "deltalake", "edit")
    print(f"  the same when all rows are handed over, as `run` does: {whole:.3g}x")
    for side in ("deltalake feed", "lance"):
        ratio = bench.faster("curator", "diff", side, "diff")
        bench.bound(
            f"diff over {SPAN} versions, faster than {side}", ratio, 5, most=False, unit="x"
        )
    for side in ("deltalake", "lance"):
        ratio = bench.faster("curator", "diff", side, "compare")
        print(f"  diff against {side} without a feed, two versions joined: {ratio:.3g}x (no bound)")
    opened = 1000 * bench.median("curator", "open", "wall_s")
    bench.bound("open an old version", opened, 50, most=True, unit=" ms")
    points = bench.median("curator", "points", "wall_s")
    bench.bound(f"{POINTS} rows by id", points, 0.3, most=True, unit=" s")
    why = max((f["wall_s"] for f in bench.measured.get(("curator", "why"), [])), default=math.nan)
    bench.bound("why ROW, slowest of those asked", why, 1, most=True, unit=" s")


def available(only: str) -> list[str]:
    sides = [s for s in ACTS if s != "curator whole" and (not only or s in only.split(","))]
    kept = []
    for side in sides:
        try:
            version = importlib.metadata.version(PEERS[side]) if side in PEERS else "this tree"
        except importlib.metadata.PackageNotFoundError:
            print(f"{side}: {PEERS[side]} is not installed, left out")
            continue
        print(f"{side}: {version}")
        kept.append(side)
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--why", type=int, default=30, help="versions in the history of `why`")
    parser.add_argument("--only", default="", help="sides to run, with commas between")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as top:
        bench = Bench(Path(top), available(asked.only))
        rows, disk = build(bench, corpus(asked.rows, seed=1))
        ask(bench)
        used = {side: on_disk(bench.place(side)) for side in bench.sides} | {"files": disk["files"]}
        used["curator's cache"] = on_disk(bench.place("curator") / "cache")
        used["curator"] -= used["curator's cache"]
        ask_why(bench, rows, asked.why)
        table(bench)
        print(f"{STEPS + 1} versions, {asked.rows:,} rows at first, {rows.num_rows:,} at last")
        judge_disk(bench, rows, disk, used)
        judge_time(bench)
    return int(bench.missed)


if __name__ == "__main__":
    sys.exit(main())
