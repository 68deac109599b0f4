"""The annotation round trip on banking77 whole: what 300 reviewed rows of 77 intents bring.

    python benchmarks/annotation_journey.py [BUDGET]

Needs the corpora beside the checkout and the server that `python tests/studio/studio_server.py
install` installs. The labels carry the conf10 noise (a tenth swapped for a label they are confused
with). Two scripted annotators answer every task through the API: one is always right, one is wrong
in one of ten. Push and pull are killed and repeated and the log is deleted twice on the way; tasks
and events must be the same each time. Prints one JSON object.
"""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from annotation_round_trip import load

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "banking77"
NOISE = "noise/conf10s0.csv"
SLIPS = 0.1
TITLE = "banking77 review"
RECIPE = """\
name: banking77
language: en
sources:
  - {from: "file:train.csv", columns: {label: category}, split: train}
  - {from: "file:test.csv", columns: {label: category}, split: test}
steps: [leaks]
examples: full
measure: {tiers: [probe]}
"""


def main() -> None:
    """Run the journey over a server of its own."""
    budget = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    studio = load("studio_server", ROOT / "tests/studio/studio_server.py")
    builders = load("builders", ROOT / "tests/conftest.py")
    with tempfile.TemporaryDirectory() as place:
        server = studio.StudioServer.fresh(Path(place) / "data")
        os.environ["LABEL_STUDIO_URL"] = server.url
        os.environ["LABEL_STUDIO_API_KEY"] = server.tokens["admin@example.test"]
        try:
            told = journey(builders, server, Path(place) / "corpus", budget)
        finally:
            server.stop()
    print(json.dumps(told, indent=1))


def corpus(builders: Any, folder: Path) -> dict[str, str]:
    """Write the corpus with its noise; gives the true label by text."""
    folder.mkdir()
    noise = {int(row["row"]): row["given"] for row in read(NOISE)}
    rows = read("train.csv")
    noisy = [{**row, "category": noise.get(n, row["category"])} for n, row in enumerate(rows)]
    builders.write_csv(folder / "train.csv", noisy)
    builders.write_csv(folder / "test.csv", read("test.csv"))
    (folder / "recipe.yaml").write_text(RECIPE, "utf-8")
    return {row["text"]: row["category"] for row in rows}


def read(name: str) -> list[dict[str, str]]:
    """Read a file of the corpus."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def journey(builders: Any, server: Any, folder: Path, budget: int) -> dict[str, Any]:
    """Run, push, answer, pull, decide, measure."""
    from curator.annotate import state_of
    from curator.versions import open_store

    truth = corpus(builders, folder)
    seconds: dict[str, float] = {}

    def call(what: str, *arguments: object) -> Any:
        start = time.monotonic()
        said = builders.call_curator(folder, "--quiet", *arguments)
        seconds[what] = round(time.monotonic() - start, 1)
        if said.code:
            raise SystemExit(said.err)
        return json.loads(said.out) if "--json" in arguments else None

    call("run", "run", "recipe.yaml", "--no-measure")
    store = open_store(folder / ".curator", create=False)
    start = store.head().id
    push = ("annotate", "push", "--budget", budget, "--overlap", 2, "--project", TITLE, "--json")
    pull = ("annotate", "pull", "--project", TITLE, "--json")
    killed(folder, 20, *push)
    pushed = call("push", *push)
    with httpx.Client(base_url=server.url, timeout=120) as http:
        project = pushed["project"]
        tasks = listed(http, server, project)
        forget(folder)
        call("push, log lost", *push)
        same(tasks, listed(http, server, project), "tasks")
        pages = [(task["id"], task["data"]) for task in tasks.values()]
        answer(http, server.tokens["alice@example.test"], pages, truth, 0.0)
        killed(folder, 3, *pull)
        call("pull", *pull)
        answer(http, server.tokens["bob@example.test"], pages, truth, SLIPS)
        killed(folder, 3, *pull)
        call("second pull", *pull)
        call("pull of nothing", *pull)
        events = {e["id"]: e for e in state_of(store, TITLE).events}
        forget(folder)
        call("pull, log lost", *pull)
        same(events, {e["id"]: e for e in state_of(store, TITLE).events}, "events")
        same(tasks, listed(http, server, project), "tasks")
    decided = call("decide", "annotate", "decide", "--project", TITLE, "--merge", "--json")
    impact = call("measure", "measure", start, "main", "--json")
    status = call("status", "annotate", "status", "--project", TITLE, "--json")
    pushed_rows = {task["meta"]["row_id"] for task in tasks.values()}
    return {
        "seconds": seconds, "tasks": len(tasks), "events": len(events), "planned":
        pushed["planned"], "verdicts": decided["verdicts"], "changes": decided["changes"],
        "conflicts": len(decided["conflicts"]),
        **wrong(store, start, truth, pushed_rows),
        "impact": {k: impact[k] for k in ("metric", "effect", "low", "high", "mde", "verdict")},
        "status": {k: status[k] for k in ("agreed", "wrong", "with_suggestion", "without", "hours",
                                          "annotators")},
    }  # fmt: skip


def wrong(store: Any, start: str, truth: dict[str, str], pushed: set[str]) -> dict[str, int]:
    """Count wrong training labels before and after, and the right ones that became wrong."""
    found = [
        {
            row["id"]
            for row in store.rows(ref).to_pylist()
            if row["split"] == "train" and truth[row["text"]] != row["label"]
        }
        for ref in (start, "main")
    ]
    return {
        "wrong before": len(found[0]), "wrong among pushed": len(found[0] & pushed),
        "wrong after": len(found[1]), "made wrong": len(found[1] - found[0]),
    }  # fmt: skip


def killed(folder: Path, seconds: float, *arguments: object) -> None:
    """Run a command and end it as a power cut would, after so long."""
    command = [Path(sys.executable).with_name("curator"), "--quiet", *map(str, arguments)]
    running = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        running.wait(seconds)
    except subprocess.TimeoutExpired:
        running.send_signal(signal.SIGKILL)
        running.wait()


def listed(http: httpx.Client, server: Any, project: int) -> dict[int, Any]:
    """List the tasks of a project as the server has them, by number."""
    found = http.get(
        "/api/tasks/",
        params={
            "project": project,
            "fields": "all",
            "page_size": 10_000,
            "include": "id,data,meta",
        },
        headers={"Authorization": f"Token {server.tokens['admin@example.test']}"},
    ).raise_for_status()
    return {
        task["id"]: {name: task[name] for name in ("id", "data", "meta")}
        for task in found.json()["tasks"]
    }


def same(one: object, other: object, what: str) -> None:
    """Stop where something is not as it was."""
    if one != other:
        raise SystemExit(f"the {what} are not the same any more")


def forget(folder: Path) -> None:
    """Delete the log of every project."""
    for path in folder.glob(".curator/records/annotation-*/*"):
        path.unlink()


def answer(
    http: httpx.Client, token: str, pages: list[Any], truth: dict[str, str], slips: float
) -> None:
    """Answer every task; wrong this often, then with any other label."""
    draw = random.Random(token)
    labels = sorted(set(truth.values()))

    def one(plan: tuple[int, dict[str, str]]) -> None:
        result = [
            {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": [key]}}
            for name, key in plan[1].items()
        ]
        http.post(
            f"/api/tasks/{plan[0]}/annotations/",
            json={"result": result, "lead_time": 9.0},
            headers={"Authorization": f"Token {token}"},
        ).raise_for_status()

    plans = []
    for number, page in pages:
        right = truth[page["text"]]
        slipped = draw.random() < slips
        said = draw.choice([x for x in labels if x != right]) if slipped else right
        by_key = {page["given"]: "keep", page["suggested"]: "suggested"}
        key = by_key.get(said)
        plans.append((number, {"decision": key} if key else {"decision": "other", "label": said}))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, plans))


if __name__ == "__main__":
    main()
