"""What finding wrong labels is worth to a model: measured, not by AP.

CIC: the default rule of `label_errors` through the product's own `run` and `measure`: the step
against the version before it, and against random drops of as many rows (its placebo).
banking77 with three kinds of wrong labels: the first 500 rows of each order are reviewed (they get
their true labels), and what that gains is told per 100 rows: Curator's order, cleanlab's (its
Datalab's self-confidence, on the same out-of-fold probabilities), and chance. Probe tier, MiniLM.

    python benchmarks/labels_as_change.py [--cache DIR] [--data DIR]

Three CPU minutes. Exit code 1 if the rule on CIC is not better than before and than its placebo;
the orders have no bound, and stand as they come.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from label_errors import Scene, asked, grouped
from verdict_honesty import Bench, Judged, arguments, open_bench, read_csv

from finetune.embed import embed
from finetune.tfidf import fit_tfidf

NOISE = ("sym10s0", "conf10s0", "annot10s0")
BUDGETS = (100, 500)
SEEDS = range(3)
RECIPE = """\
name: cic
language: zh
sources:
  - {{from: "file:{train}", columns: {{text: sentence, label: label}}, split: train}}
  - {{from: "file:{test}", columns: {{text: sentence, label: label}}, split: test}}
steps:
  - label_errors
measure: {{model: tfidf, tiers: [probe]}}
"""


def main() -> int:
    args = arguments(__doc__.splitlines()[0]).parse_args()
    met = chinese(args.data / "dataclue_cic")
    bench = open_bench(args.data / "banking77", args.cache)
    if bench is not None:
        for name in NOISE:
            reviewed(bench, args.data / "banking77" / "noise" / f"{name}.csv")
    print(f"\n{time.process_time():.0f} CPU s in all, beside those of the command line")
    return 0 if met else 1


def chinese(folder: Path) -> bool:
    """Run the default rule on CIC and ask what it brought."""
    if not folder.is_dir():
        print(f"{folder}: not found, CIC is left out")
        return True
    with TemporaryDirectory() as place:
        paths = {part: (folder / f"{name}.json").resolve() for part, name in
                 (("train", "train"), ("test", "test_public"))}  # fmt: skip
        Path(place, "cic.yaml").write_text(RECIPE.format(**paths), encoding="utf-8")
        print(curator(place, "run", "cic.yaml", "--no-measure")[1].strip())
        before = json.loads(curator(place, "measure", "main~1", "main", "--json")[0])
    print(f"against before: {said(before)}")
    return told(before)


def told(before: dict) -> bool:
    placebo = before.get("placebo") or {}
    print(f"against its placebo: {placebo.get('sentence', 'not measured')}")
    return before["verdict"] == "better" and placebo.get("better_than_random") == "yes"


def said(found: dict) -> str:
    effect, low, high = (100 * found[name] for name in ("effect", "low", "high"))
    return f"{found['verdict']} {effect:+.2f} [{low:+.2f}, {high:+.2f}] points"


def curator(place: str, *words: str) -> tuple[str, str]:
    command = [str(Path(sys.executable).with_name("curator")), *words]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout, done.stderr


def reviewed(bench: Bench, noise: Path) -> None:
    """Give the first rows of each order their true labels, and train on what comes of it."""
    given = bench.labels.copy()
    for record in read_csv(noise):
        given[int(record["row"])] = record["given"]
    texts, everyone = list(bench.texts), np.arange(len(given))
    wrong = given != bench.labels
    scene = Scene(noise.stem, texts, given, wrong, everyone, bench.labels, grouped(texts))
    features = embed(texts, bench.encoder, cache=bench.cache)
    terms = fit_tfidf(texts).terms_of(texts, reduced=True)
    found = asked(scene, features, terms, time.process_time())
    orders = {
        "Curator": np.argsort(-found.scores, kind="stable"),
        "cleanlab": np.argsort(-found.their_scores, kind="stable"),
        "chance": np.random.default_rng(97).permutation(everyone),
    }
    print(f"\n{noise.stem}: {wrong.sum()} of {len(given):,} labels are wrong")
    raw = bench.training(everyone, labels=given)
    for budget in BUDGETS:
        repaired = {}
        for name, order in orders.items():
            labels = given.copy()
            labels[order[:budget]] = bench.labels[order[:budget]]
            repaired[name] = bench.training(everyone, labels=labels)
            gain = bench.judge(raw, repaired[name], SEEDS)
            hits = int(wrong[order[:budget]].sum())
            print(f"  {budget} reviewed by {name:8s} {hits:4d} wrong, {per_100(gain, budget)}")
        apart = bench.judge(repaired["cleanlab"], repaired["Curator"], SEEDS)
        print(f"  {budget}: Curator over cleanlab {per_100(apart, budget)}")


def per_100(found: Judged, budget: int) -> str:
    ends = (found.estimate.effect, found.low, found.high)
    effect, low, high = (100 * 100 / budget * x for x in ends)
    return f"{effect:+.2f} [{low:+.2f}, {high:+.2f}] points per 100 rows ({found.word.strip()})"


if __name__ == "__main__":
    sys.exit(main())
