"""What a push of 10,000 tasks and a pull of 5 changes take, on a real Label Studio.

    python benchmarks/annotation_round_trip.py [TASKS]

Needs the server that `python tests/studio/studio_server.py install` installs. The corpus is made
here. The server runs on this machine over SQLite, so both sides share the cores. Wall seconds, as
people wait.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
CHANGES = 5
BOUND_S = 1.0


def load(name: str, path: Path) -> Any:
    """Load a module of the suite that lies in no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    studio = load("studio_server", ROOT / "tests/studio/studio_server.py")
    builders = load("builders", ROOT / "tests/conftest.py")
    with tempfile.TemporaryDirectory() as folder:
        server = studio.StudioServer.fresh(Path(folder) / "data")
        try:
            measure(builders, server, Path(folder) / "corpus", count)
        finally:
            server.stop()


def measure(builders: Any, server: Any, folder: Path, count: int) -> None:
    os.environ["LABEL_STUDIO_URL"] = server.url
    os.environ["LABEL_STUDIO_API_KEY"] = server.tokens["admin@example.test"]
    made = builders.build_corpus(folder, classes=77, train=count // 70, test=2, plants=False)
    made.say(
        "name: big\nlanguage: en\nsources:\n"
        '  - {from: "file:train.csv", split: train}\n  - {from: "file:test.csv", split: test}\n'
        "steps: [clean]\nmeasure: {model: tfidf, tiers: [probe]}\n"
    )
    call(builders, folder, "run", "recipe.yaml", "--no-measure")
    write_doubts(folder)
    push = ("annotate", "push", "--budget", count, "--findings", "doubts.parquet", "--batch", 1000)
    print(f"push of {count:,}: {call(builders, folder, *push)[0]:.1f} s")
    print(f"the same again: {call(builders, folder, *push)[0]:.1f} s")
    print(f"first pull: {call(builders, folder, 'annotate', 'pull')[0]:.2f} s")
    answer(server, CHANGES)
    time.sleep(1)
    seconds, said = call(builders, folder, "annotate", "pull", "--json")
    assert sum(json.loads(said)["new"].values()) == CHANGES, said
    print(f"pull of {CHANGES} changes: {seconds:.2f} s (bound {BOUND_S} s)")
    print(f"pull of nothing: {call(builders, folder, 'annotate', 'pull')[0]:.2f} s")


def write_doubts(folder: Path) -> None:
    """Write a doubt about every training row, so that no model need be fitted."""
    from curator.versions import open_store

    rows = open_store(str(folder / ".curator"), create=False).rows("main").to_pylist()
    draw = random.Random(0)
    doubts = [
        {"row_id": row["id"], "issue_type": "label", "p_wrong": draw.random(),
         "suggestion": f"topic{draw.randrange(77):02}"}
        for row in rows if row["split"] == "train"
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(doubts), folder / "doubts.parquet")


def answer(server: Any, count: int) -> None:
    headers = {"Authorization": f"Token {server.tokens['alice@example.test']}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as http:
        for number in range(1, count + 1):
            result = [{"from_name": "decision", "to_name": "text", "type": "choices",
                       "value": {"choices": ["keep"]}}]  # fmt: skip
            http.post(f"/api/tasks/{number}/annotations/", json={"result": result})


def call(builders: Any, folder: Path, *arguments: str | int) -> tuple[float, str]:
    start = time.perf_counter()
    said = builders.call_curator(folder, "--quiet", *arguments)
    assert said.code == 0, said.err
    return time.perf_counter() - start, said.out


if __name__ == "__main__":
    main()
