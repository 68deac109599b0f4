"""Does the label check keep its word? Both sides in one run: Curator, and cleanlab's own default.

CIC: 10,000 Chinese training rows, judged on 372 audited ones; features TF-IDF and SVD-256.
banking77: 10,003 training rows, three kinds of injected wrong labels; features MiniLM.
cleanlab is asked as its Datalab asks itself (find_label_issues, self-confidence), with the same
out-of-fold logistic regression that Curator uses. Each number stands beside its bound.

    python benchmarks/label_errors.py [--cache DIR] [--data DIR] [--large]

`--large` adds 100,000 made rows of 118 classes, for time and memory. Exit code 1 if a number is
outside its bound. Nothing is chosen on these sets here.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from verdict_honesty import arguments, average_precision, open_bench, read_csv, row_table

from curator.checks.label_errors import cleanlab_columns, label_errors
from curator.near import choose_shingles, near_groups, near_pairs
from finetune.crossfit import crossfit
from finetune.embed import embed
from finetune.panel import ask_panel
from finetune.tfidf import Terms, fit_tfidf

BOUNDS = {
    "CIC audit": {"AP": 0.975, "F1": 0.92, "ECE": 0.06},
    "sym10s0": {"AP": 0.985, "fixes right": 0.95},
    "conf10s0": {"AP": 0.90, "fixes right": 0.95},
    "conf10s1": {"AP": 0.90, "fixes right": 0.95},
    "annot10s0": {"AP": 0.79},
    "conf10s0, copies": {"AP": 0.82},
}
CPU_S_PER_10K = 20.0
LEAST_FIXES = 100
SURE = 0.98
COPIES = 3
LARGE = (100_000, 118)
LARGE_GB = 4.0


@dataclass(frozen=True, slots=True)
class Scene:
    """One set of rows. truth is None where only some rows were judged (judged: positions)."""

    name: str
    texts: list[str]
    labels: np.ndarray
    wrong: np.ndarray
    judged: np.ndarray
    truth: np.ndarray | None
    groups: list[str]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What both sides say of the rows, in row order; higher scores are more suspicious."""

    scores: np.ndarray
    flags: np.ndarray
    p_wrong: np.ndarray
    p_fix: np.ndarray
    suggestions: np.ndarray
    their_scores: np.ndarray
    their_flags: np.ndarray
    cpu_s: float


def main() -> int:
    options = arguments(__doc__.splitlines()[0])
    options.add_argument("--large", action="store_true")
    args = options.parse_args()
    met = [*chinese(args.data / "dataclue_cic"), *english(args.data / "banking77", args.cache)]
    if args.large:
        met.append(large())
    return 0 if all(met) else 1


def chinese(folder: Path) -> list[bool]:
    if not folder.is_dir():
        print(f"{folder}: not found, CIC is left out")
        return []
    lines = (folder / "train.json").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    audit = [json.loads(line) for line in (folder / "audit.jsonl").read_text("utf-8").splitlines()]
    place = {record["id"]: i for i, record in enumerate(records)}
    judged = [a for a in audit if a["verdict"] in ("ok", "wrong")]
    texts = [record["sentence"] for record in records]
    labels = np.array([record["label"] for record in records], dtype=object)
    wrong = np.zeros(len(records), dtype=bool)
    wrong[[place[a["id"]] for a in judged if a["verdict"] == "wrong"]] = True
    positions = np.array([place[a["id"]] for a in judged])
    scene = Scene("CIC audit", texts, labels, wrong, positions, None, grouped(texts))
    begun = time.process_time()
    model = fit_tfidf(texts)
    features, terms = model.transform(texts), model.terms_of(texts, reduced=False)
    said = asked(scene, features, terms, begun)
    return [told(scene, said)]


def english(folder: Path, cache: Path) -> list[bool]:
    bench = open_bench(folder, cache)
    if bench is None:
        return []
    texts = list(bench.texts)
    features = embed(texts, bench.encoder, cache=bench.cache)
    groups = grouped(texts)
    met = []
    for name in ("sym10s0", "conf10s0", "conf10s1", "annot10s0"):
        given = bench.labels.copy()
        for record in read_csv(folder / "noise" / f"{name}.csv"):
            given[int(record["row"])] = record["given"]
        everyone = np.arange(len(texts))
        wrong = given != bench.labels
        scene = Scene(name, texts, given, wrong, everyone, bench.labels, groups)
        begun = time.process_time()
        terms = fit_tfidf(texts).terms_of(texts, reduced=True)
        met.append(told(scene, asked(scene, features, terms, begun)))
        if name == "conf10s0":
            met.append(copied(scene, features, terms))
    return met


def copied(scene: Scene, features: np.ndarray, terms: Terms) -> bool:
    """Copy half of the wrong rows three times; with groups, and with every row its own group."""
    wrong = np.flatnonzero(scene.wrong)
    half = np.random.default_rng(0).choice(wrong, len(wrong) // 2, replace=False)
    rows = np.concatenate([np.arange(len(scene.texts)), np.repeat(np.sort(half), COPIES)])
    more = Terms(terms.weights[rows], terms.reduced[rows])
    texts = [scene.texts[i] for i in rows]
    everyone = np.arange(len(rows))
    parts = (scene.labels[rows], scene.wrong[rows], everyone, scene.truth[rows])
    begun = time.process_time()
    alone = Scene("as plain folds", texts, *parts, [f"{i:06d}" for i in everyone])
    plain = asked(alone, features[rows], more, begun)
    begun = time.process_time()
    safe = Scene("conf10s0, copies", texts, *parts, [scene.groups[i] for i in rows])
    said = asked(safe, features[rows], more, begun)
    print(
        f"\n{len(half)} wrong rows copied {COPIES} times; without groups AP "
        f"{average_precision(alone.wrong, plain.scores):.3f}"
    )
    return told(safe, said)


def asked(scene: Scene, features: np.ndarray, terms: Terms, begun: float) -> Verdicts:
    """Ask both sides; the clock began before the TF-IDF was fitted, embeddings are given."""
    classes = sorted(set(scene.labels))
    targets = np.searchsorted(np.array(classes, dtype=object), scene.labels)
    ids = [f"{i:06d}" for i in range(len(scene.texts))]
    rows = row_table(ids, scene.texts, scene.labels, scene.groups)
    fit = crossfit(features, targets, scene.groups, classes=len(classes), seed=0)
    beliefs = ask_panel(fit, features, terms, targets, scene.groups).together
    found = label_errors(rows, fit.probabilities, beliefs, classes)
    cpu_s = time.process_time() - begun
    theirs = cleanlab_columns(rows, fit.probabilities, classes)
    return Verdicts(
        found["score"].to_numpy(),
        found["flagged"].to_numpy(zero_copy_only=False),
        found["p_wrong"].to_numpy(),
        found["p_fix"].to_numpy(),
        np.array(found["suggestion"].to_pylist(), dtype=object),
        -theirs["label_score"].to_numpy(),
        theirs["is_label_issue"].to_numpy(zero_copy_only=False),
        cpu_s,
    )


def told(scene: Scene, said: Verdicts) -> bool:
    """Print both sides and the bounds; True where every bound holds."""
    at = scene.judged
    wrong = scene.wrong[at]
    print(f"\n{scene.name}: {len(at):,} rows judged, {wrong.mean():.1%} wrong")
    ours, theirs = flag_numbers(wrong, said.flags[at]), flag_numbers(wrong, said.their_flags[at])
    numbers = {
        "AP": average_precision(wrong, said.scores[at]),
        **dict(zip(("precision", "recall", "F1"), ours, strict=True)),
        "ECE": calibration_error(said.p_wrong[at], wrong),
        "rate": float(said.p_wrong.mean()),
        "CPU s per 10,000": said.cpu_s / len(scene.texts) * 10_000,
    }
    peer = {
        "AP": average_precision(wrong, said.their_scores[at]),
        **dict(zip(("precision", "recall", "F1"), theirs, strict=True)),
        "ECE": calibration_error(1 + said.their_scores[at], wrong),
    }
    fixes = 0
    if scene.truth is not None:
        sure = said.p_fix >= SURE
        fixes = int(sure.sum())
        numbers["fixes right"] = float((said.suggestions == scene.truth)[sure].mean())
        print(f"  {fixes} rows with P(fix) >= {SURE}")
    bounds = {**BOUNDS[scene.name], "CPU s per 10,000": CPU_S_PER_10K}
    met = ["fixes right" not in bounds or fixes >= LEAST_FIXES]
    for name, value in numbers.items():
        bound = bounds.get(name)
        least = name not in ("ECE", "CPU s per 10,000")
        good = bound is None or (value >= bound if least else value <= bound)
        met.append(good)
        beside = f"cleanlab {peer[name]:.3f}" if name in peer else ""
        limit = "" if bound is None else f"{'at least' if least else 'at most'} {bound:g}"
        print(f"  {name:18s} {value:7.3f}  {beside:16s} {limit} {'' if good else '<- NOT MET'}")
    return all(met)


def flag_numbers(wrong: np.ndarray, flags: np.ndarray) -> tuple[float, float, float]:
    """Give precision, recall and F1."""
    hits = float((wrong & flags).sum())
    precision, recall = hits / max(1, flags.sum()), hits / max(1, wrong.sum())
    return precision, recall, 2 * precision * recall / max(1e-12, precision + recall)


def calibration_error(probability: np.ndarray, wrong: np.ndarray, bins: int = 10) -> float:
    """Give the mean distance of stated and true share over ten bins of equal width."""
    here = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [
        abs(probability[here == b].mean() - wrong[here == b].mean()) * (here == b).mean()
        for b in range(bins)
        if (here == b).any()
    ]
    return float(sum(gaps))


def grouped(texts: Sequence[str]) -> list[str]:
    """Give near-duplicate groups, as an import makes them."""
    pairs = near_pairs(texts, threshold=0.7, shingles=choose_shingles(texts))
    return near_groups([f"{i:06d}" for i in range(len(texts))], pairs)


def large() -> bool:
    """Check made rows: time, and the most memory the process ever held."""
    n, k = LARGE
    draw = np.random.default_rng(0)
    labels = draw.integers(0, k, n)
    centres = draw.normal(size=(k, 384))
    features = (centres[labels] + 3.0 * draw.normal(size=(n, 384))).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    words = np.array([f"w{i}" for i in range(3000)], dtype=object)
    texts = [" ".join(words[(20 * y + draw.integers(0, 400, 9)) % 3000]) for y in labels.tolist()]
    given = labels.copy()
    moved = draw.random(n) < 0.1
    given[moved] = draw.integers(0, k, moved.sum())
    names = np.array([f"class{y:03d}" for y in given], dtype=object)
    groups = [f"{i:06d}" for i in range(n)]
    scene = Scene("large", texts, names, given != labels, np.arange(n), None, groups)
    begun = time.process_time()
    terms = fit_tfidf(texts).terms_of(texts, reduced=True)
    said = asked(scene, features, terms, begun)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\n{n:,} made rows, {k} classes: AP {average_precision(scene.wrong, said.scores):.3f}, "
        f"{said.cpu_s:.0f} CPU s, at most {held:.2f} GB held (at most {LARGE_GB:g})"
    )
    return held <= LARGE_GB


if __name__ == "__main__":
    sys.exit(main())
