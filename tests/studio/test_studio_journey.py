"""One journey on real data: 300 doubtful rows to two annotators, their verdicts, a measurement."""

from __future__ import annotations

import csv
import importlib.util
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from curator.annotate import state_of

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "banking77"
RECIPE = """\
name: banking
language: en
sources:
  - {from: "file:train.csv", columns: {label: category}, split: train}
  - {from: "file:test.csv", columns: {label: category}, split: test}
steps: [leaks]
examples: full
measure: {model: tfidf, tiers: [probe]}
"""

pytestmark = [
    pytest.mark.studio,
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason="needs the shared corpora beside the checkout"),
]

CLASSES = 20
BUDGET = 300


def read(name):
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def banking(tmp_path_factory):
    """Twenty intents of banking77 with confused labels, run once: (folder, true label by text)."""
    builders = load("builders", Path(__file__).parents[1] / "conftest.py")
    train, test = read("train.csv"), read("test.csv")
    kept = sorted({row["category"] for row in train})[:CLASSES]
    noise = {int(r["row"]): r["given"] for r in read("noise/conf10s0.csv")}
    folder = tmp_path_factory.mktemp("banking")
    rows = [
        {"text": row["text"], "truth": row["category"],
         "category": noise[n] if noise.get(n) in kept else row["category"]}
        for n, row in enumerate(train) if row["category"] in kept
    ]  # fmt: skip
    held = [{"text": r["text"], "category": r["category"]}
            for r in test if r["category"] in kept]  # fmt: skip
    truth = {row["text"]: row.pop("truth") for row in rows}
    builders.write_csv(folder / "train.csv", rows)
    builders.write_csv(folder / "test.csv", held)
    (folder / "recipe.yaml").write_text(RECIPE, "utf-8")
    said = builders.call_curator(folder, "--quiet", "run", "recipe.yaml", "--no-measure")
    assert 0 == said.code, said.err
    return folder, truth


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def killed(desk, seconds, *arguments):
    """Run a command and end it as a power cut would, after so long."""
    curator = Path(sys.executable).with_name("curator")
    running = subprocess.Popen(
        [curator, "--quiet", "annotate", *map(str, arguments), "--project", desk.project],
        cwd=desk.folder, env=os.environ.copy(), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        running.wait(seconds)
    except subprocess.TimeoutExpired:
        running.send_signal(signal.SIGKILL)
        running.wait()


def answer_all(person, pages, truth, wrong_share):
    """Answer as an annotator who is wrong this often; four requests at a time."""
    draw = random.Random(person.token)
    labels = sorted(set(truth.values()))
    plans = []
    for number, page in pages:
        right = truth[page["text"]]
        said = draw.choice(labels) if draw.random() < wrong_share else right
        blind = page["suggested"].startswith("(none")
        if said == page["given"]:
            plans.append((number, "keep", None))
        elif said == page["suggested"] and not blind:
            plans.append((number, "suggested", None))
        else:
            plans.append((number, "other", said))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda plan: person.answer(*plan, lead_time=9.0), plans))


def test_reviews_of_three_hundred_doubtful_rows_repair_the_corpus_and_are_measured(
    banking, desk_of
):
    folder, truth = banking
    desk, people, curator = desk_of(folder, "banking review")

    killed(desk, 12, "push", "--budget", BUDGET, "--batch", "20", "--overlap", "2")
    desk.push(BUDGET, "--overlap", "2")
    first = identity(desk)
    assert BUDGET == len(first)
    desk.forget()
    desk.push(BUDGET, "--overlap", "2")
    assert first == identity(desk)

    pages = [(t["id"], t["data"]) for t in desk.tasks()]
    answer_all(people["alice"], pages, truth, 0.0)
    killed(desk, 1.5, "pull")
    desk.pull()
    answer_all(people["bob"], pages[:150], truth, 0.1)
    killed(desk, 2.5, "pull")
    desk.pull()
    desk.push(BUDGET, "--overlap", "2")
    assert {} == desk.pull()["new"]
    before = sorted(state_of(desk.store, desk.project).events, key=lambda e: e["id"])
    assert 450 == len(before)
    desk.forget()
    desk.pull()
    assert before == sorted(state_of(desk.store, desk.project).events, key=lambda e: e["id"])
    assert first == identity(desk)

    start = desk.store.head("main").id
    done = desk.decide("--merge")
    assert [] == done["conflicts"]
    rows = {ref: desk.store.rows(ref).to_pylist() for ref in (start, "main")}
    wrong = {
        ref: {r["id"] for r in held if r["split"] == "train" and truth[r["text"]] != r["label"]}
        for ref, held in rows.items()
    }
    pushed = {row for row, _ in first}
    left = wrong["main"] & pushed
    assert wrong["main"] <= wrong[start]  # nobody's slip became a label
    assert len(wrong[start] & pushed) >= 3 * len(left)
    measure = ("measure", start, "main", "--recipe", "recipe.yaml", "--json")
    found = curator(folder, "--quiet", *measure).json()
    assert "worse" != found["verdict"]
    told = curator(folder, "annotate", "status", "--json").json()
    assert 0 == told["left"]
    assert told["wrong"]["low"] > 0
    by_name = {one["name"].partition("@")[0]: one for one in told["annotators"]}
    assert 1.0 == by_name["alice"]["known_right"]["share"]
    if note := os.environ.get("STUDIO_NOTE"):
        counts = [len(wrong[start]), len(wrong[start] & pushed), len(left)]
        Path(note).write_text(repr((counts, found, told)), "utf-8")


def identity(desk):
    """Give what the server's tasks are: row and place."""
    return sorted((t["meta"]["row_id"], t["id"]) for t in desk.tasks())
