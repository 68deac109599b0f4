"""How CPU seconds and memory of near-duplicate search grow from 200,000 to a million short rows.

    python benchmarks/near_growth.py [ROWS ...]

Each size runs in a process of its own, one thread, on the made corpus of `near_corpus.py`, char-3,
Jaccard .7. Peak memory is of the whole process, the corpus (some 120 MB at a million rows) and
Python included. Exit code 1 if CPU grows more than 7 times or memory passes 1.2 GB.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
from near_corpus import corpus

from curator.near import near_pairs

SIZES = (200_000, 1_000_000)
GROWTH, PEAK_MB = 7.0, 1_200


def measured(rows: int) -> dict[str, float]:
    texts = pa.array(corpus(rows, seed=1).texts)
    gc.collect()
    near_pairs(["warm up", "warm up!"], threshold=0.7, shingles="char-3")
    start = time.process_time()
    pairs = near_pairs(texts, threshold=0.7, shingles="char-3")
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "pairs": len(pairs.left), "peak_mb": peak}


def main() -> int:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measured(int(sys.argv[2]))))
        return 0
    sizes = [int(size) for size in sys.argv[1:]] or list(SIZES)
    one_thread = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    found = []
    for rows in sizes:
        command = [sys.executable, str(Path(__file__)), "--one", str(rows)]
        done = subprocess.run(
            command, env={**os.environ, **one_thread}, check=True, capture_output=True, text=True
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
        told = found[-1]
        print(
            f"{rows:,} rows: {told['seconds']:.1f} CPU s, {told['pairs']:,} pairs, peak "
            f"{told['peak_mb']:,.0f} MB (bound {PEAK_MB:,})"
        )
    ratio = found[-1]["seconds"] / found[0]["seconds"]
    print(f"growth {ratio:.1f} (bound {GROWTH:g})")
    return 0 if ratio <= GROWTH and found[-1]["peak_mb"] <= PEAK_MB else 1


if __name__ == "__main__":
    sys.exit(main())
