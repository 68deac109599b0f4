"""How much memory a small step on a large version takes, at its peak.

    python benchmarks/store_memory.py [--rows 1000000 3000000 10000000]

For each size a version is imported and then, each in a new process that reads nothing but the rows
that change: 10,000 rows are edited, once with the caches of the store at hand and once without, and
10,000 added; then one row is asked for by id. Prints the peak memory and seconds of each, the edit
of the largest version beside its bound, and how memory grows by million rows. The import holds all
rows and is shown for that. Exit code 1 if the bound is missed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from store_corpus import Change, corpus, edited
from store_sides import Facts

SIDES = Path(__file__).with_name("store_sides.py")
CHANGED, BOUND_MB = 10_000, 2_000


def prepare(steps: Path, rows: int) -> str:
    """Write the rows and an edit, an edit of others and an addition; gives the id of a row."""
    table = corpus(rows, seed=1)
    pq.write_table(table, steps / "rows.parquet")
    training = np.flatnonzero(pc.equal(table["split"], "train").to_numpy())
    draw = np.random.default_rng(5)
    picked = draw.choice(training, 2 * CHANGED, replace=False)
    no_ids = table["id"].combine_chunks()[:0]
    for number, some in ((1, picked[:CHANGED]), (4, picked[CHANGED:])):
        before = table.take(np.sort(some))
        Change(number, "edit", edited(before, number, draw), before, no_ids).save(steps)
    parents = table["id"].take(picked[:CHANGED]).combine_chunks()
    new = corpus(CHANGED, seed=3, parents=parents)
    Change(3, "add", new, table.slice(0, 0), no_ids).save(steps)
    return str(table["id"][rows // 2].as_py())


def one(*told: object) -> Facts:
    done = subprocess.run(
        [sys.executable, str(SIDES), json.dumps(["curator", *told])],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found: Facts = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(rows: int, top: Path) -> dict[str, Facts]:
    """Import so many rows and take small steps; gives what each action took."""
    steps, at = top / "steps", top / "store"
    steps.mkdir()
    # In a process of its own, as a child is counted with what its parent holds when it starts.
    told = [sys.executable, __file__, "--prepare", str(steps), "--rows", str(rows)]
    row = subprocess.run(told, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    found = {"import": one("import", str(at), str(steps), {})}
    found["edit"] = one("step", str(at), str(steps), {"step": 1})
    found["add"] = one("step", str(at), str(steps), {"step": 3})
    found["find"] = one("points", str(at), str(steps), {"back": 0, "ids": [row]})
    shutil.rmtree(at / "cache")
    found["edit, no caches"] = one("step", str(at), str(steps), {"step": 4})
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 3_000_000, 10_000_000])
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.prepare:
        print(prepare(asked.prepare, asked.rows[0]))
        return 0
    peaks = {}
    print(f"{'rows':>10} {'action':16} {'peak MB':>8} {'wall s':>8} {'CPU s':>8}")
    for rows in asked.rows:
        with tempfile.TemporaryDirectory() as top:
            for name, took in measure(rows, Path(top)).items():
                numbers = f"{took['peak_mb']:8.0f} {took['wall_s']:8.2f} {took['cpu_s']:8.2f}"
                print(f"{rows:10,} {name:16} {numbers}", flush=True)
                peaks[rows, name] = took["peak_mb"]
    small, large = min(asked.rows), max(asked.rows)
    if small < large:
        for name in ("edit", "edit, no caches"):
            growth = (peaks[large, name] - peaks[small, name]) / (large - small) * 1e6
            print(f"{name}: {growth:.0f} MB more by million rows")
    worst = max(peaks[large, name] for name in ("edit", "add", "edit, no caches"))
    met = worst <= BOUND_MB
    print(f"peak memory of a small step on {large:,} rows: {worst:.0f} MB (at most {BOUND_MB:,}): "
          f"{'met' if met else 'MISSED'}")  # fmt: skip
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
