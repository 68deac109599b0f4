"""Kill -9 at random moments of commit, retry and gc: is every version whole each time?

    python benchmarks/kill_store.py [--kills 200] [--rows 2000] [--seed 1]

A child process commits small edits, loses races and retries, and clears garbage, in turn, until it
is killed at a random moment. Then the store is verified: every version a branch names is whole, no
entry is gone, and the next child goes on from where this one was killed. At the end one gc leaves
nothing unreachable. Prints a line of counts; exit code 1 if anything was not as it should be.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.synchronize import Event

import pyarrow as pa

from curator import schema
from curator.errors import MovedError, StoreError
from curator.versions import StepRecord, Store, Version, leases, open_store
from curator.versions.gc import collect
from curator.versions.verify import verify

# A store is verified whole after each kill, so a new one is begun before it grows long.
KILLS_A_STORE = 20


def corpus(rows: int) -> pa.Table:
    made = [
        {
            "id": f"{number:08d}", "group": "g", "text": f"text {number}", "label": "a",
            "split": "test" if number % 10 == 0 else "train", "weight": 1.0, "source": "s",
            "source_row": number, "parent": None, "step": "import",
        }
        for number in range(rows)
    ]  # fmt: skip
    return pa.Table.from_pylist(made, schema=schema.ROW_SCHEMA)


def edit(store: Store, parent: Version, branch: str | None, number: int, seed: int) -> Version:
    """Commit a step that gives some training rows another text."""
    rows = store.rows(parent)
    draw = random.Random(f"{seed} {number}")
    train = [row for row in rows.to_pylist() if row["split"] == "train"]
    picked = [{**row, "text": f"edit {seed} {number}"} for row in draw.sample(train, 20)]
    decided = [
        {"row_id": row["id"], "action": "edit", "step": "edit", "reason": "r", "by": "rule"}
        for row in picked
    ]
    return store.commit_changes(
        branch,
        pa.Table.from_pylist(picked, schema=rows.schema),
        parent=parent,
        step=StepRecord("edit", {"number": number, "seed": seed}, 1),
        decisions=schema.decisions(decided),
        findings=schema.findings([]),
    )


def work(folder: str, seed: int, begun: Event) -> None:
    """Commit, lose and retry, leave garbage, clear it away; until killed."""
    begun.set()
    for number in range(10**9):
        store, other = (open_store(folder, create=False) for _ in range(2))
        head = store.head()
        edit(store, head, "main", 3 * number, seed)
        try:
            edit(other, head, "main", 3 * number + 1, seed)
        except MovedError as moved:
            with contextlib.suppress(StoreError):  # common rows: the loser gives up
                other.retry(moved)
        edit(store, head, None, 3 * number + 2, seed)
        collect(open_store(folder, create=False), grace_s=0)


def killed(folder: str, kills: int, rows: int, seed: int) -> dict[str, int]:
    """Kill children at work on one store, verify it after each; gives counts."""
    draw = random.Random(seed)
    store = open_store(folder, create=True)
    store.commit(
        "main", corpus(rows), parents=(), task="classification",
        step=StepRecord("import", {}, 1), decisions=schema.decisions([]),
        findings=schema.findings([]),
    )  # fmt: skip
    fork = multiprocessing.get_context("fork")
    faults: list[object] = []
    for kill in range(kills):
        before = {entry.number: entry.version for entry in store.entries()}
        begun = fork.Event()
        child = fork.Process(target=work, args=(folder, seed * 1000 + kill, begun))
        child.start()
        begun.wait()  # on a busy machine a process may start for longer than it would live
        time.sleep(draw.uniform(0.02, 0.6))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        if child.exitcode != -signal.SIGKILL:
            faults.append(f"kill {kill}: the child had ended by itself")
        now = {entry.number: entry.version for entry in store.entries()}
        faults += [*verify(store).faults, *(before.items() - now.items())]
    left = len(store.folder.unfinished()) + len(leases.every(store.folder))
    garbage = verify(store).unreachable
    collect(store, grace_s=0)
    after = verify(store)
    faults += after.faults
    faults += ["gc left something"] * (after.unreachable + len(store.folder.unfinished()))
    for fault in faults:
        print(fault, file=sys.stderr)
    return {"kills": kills, "versions": len(now), "faults": len(faults),
            "temporary files and leases cleared": left, "objects cleared": garbage}  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--kills", type=int, default=200)
    asked.add_argument("--rows", type=int, default=2000)
    asked.add_argument("--seed", type=int, default=1)
    options = asked.parse_args()
    start, total = time.monotonic(), Counter[str]()
    for number in range(0, options.kills, KILLS_A_STORE):
        with tempfile.TemporaryDirectory() as folder:
            kills = min(KILLS_A_STORE, options.kills - number)
            total.update(killed(folder, kills, options.rows, options.seed + number))
    print(
        json.dumps(dict(total) | {"rows": options.rows, "seconds": round(time.monotonic() - start)})
    )
    raise SystemExit(1 if total["faults"] else 0)


if __name__ == "__main__":
    main()
