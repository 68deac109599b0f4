"""How many CPU seconds near-duplicate search takes, against others, alternately in one run.

    python benchmarks/near_duplicates.py

On banking77 (English) and DataCLUE CIC (Chinese), char-3, Jaccard .7, one thread:

- against plain Python, all pairs of a sample of 2,000 rows: also the share of its pairs that ours
  found, and that no pair of ours is false;
- against datasketch (126 permutations, MinHashLSH, no exact check) on all rows, where it is
  installed; it is not a dependency of this project.

Each side runs twice, in turn; the ratio is of the sums. Exit code 1 if a ratio is below its goal.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from curator.near import near_pairs, normalise

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
ROUNDS, THRESHOLD, SAMPLE = 2, 0.7, 2_000
GOALS = {"plain Python": 12.0, "datasketch": 6.0}  # well under what was measured

Found = dict[tuple[int, int], float]


def corpora() -> dict[str, list[str]]:
    with (DATA / "banking77" / "train.csv").open(encoding="utf-8") as file:
        english = [row["text"] for row in csv.DictReader(file)]
    with (DATA / "dataclue_cic" / "train.json").open(encoding="utf-8") as file:
        chinese = [json.loads(line)["sentence"] for line in file]
    return {"banking77": unique(english), "CIC": unique(chinese)}


def unique(texts: list[str]) -> list[str]:
    """Give normalised texts once each: same texts are no one's difficulty."""
    return list(dict.fromkeys(normalise(texts).to_pylist()))


def shingles(text: str) -> set[str]:
    return {text[i : i + 3] for i in range(len(text) - 2)} or {text}


def ours(texts: list[str]) -> Found:
    pairs = near_pairs(texts, threshold=THRESHOLD, shingles="char-3")
    rows = zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    return dict(zip(rows, pairs.jaccard.tolist(), strict=True))


def plain_python(texts: list[str]) -> Found:
    sets = [shingles(text) for text in texts]
    found = {}
    for j, other in enumerate(sets):
        for i, one in enumerate(sets[:j]):
            if len(one) >= THRESHOLD * len(other) and len(other) >= THRESHOLD * len(one):
                shared = len(one & other)
                jaccard = shared / (len(one) + len(other) - shared)
                if jaccard >= THRESHOLD:
                    found[i, j] = jaccard
    return found


def with_datasketch(texts: list[str]) -> Found:
    peer = importlib.import_module("datasketch")
    index = peer.MinHashLSH(num_perm=126, params=(21, 6))
    found: Found = {}
    encoded = [[shingle.encode() for shingle in shingles(text)] for text in texts]
    for j, minhash in enumerate(peer.MinHash.generator(encoded, num_perm=126)):  # its quickest way
        found.update(((i, j), THRESHOLD) for i in index.query(minhash))
        index.insert(j, minhash)
    return found


def race(name: str, texts: list[str], peer: Callable[[list[str]], Found], label: str) -> bool:
    """Run both sides in turn, print the outcome and tell whether the goal was met."""
    seconds = {"ours": 0.0, "peer": 0.0}
    found: dict[str, Found] = {}
    for _ in range(ROUNDS):
        for side, search in (("ours", ours), ("peer", peer)):
            start = time.process_time()
            found[side] = search(texts)
            seconds[side] += time.process_time() - start
    ratio = seconds["peer"] / seconds["ours"]
    print(
        f"{name}, {len(texts)} texts, against {label}: {seconds['ours'] / ROUNDS:.2f} and "
        f"{seconds['peer'] / ROUNDS:.2f} CPU s, ratio {ratio:.1f} (goal {GOALS[label]:.0f}); "
        f"pairs {len(found['ours'])} and {len(found['peer'])}"
    )
    if label == "plain Python":
        true = found["peer"]
        strong = {pair for pair, jaccard in true.items() if jaccard >= 0.8}
        false = sum(true.get(pair) != jaccard for pair, jaccard in found["ours"].items())
        print(
            f"    false pairs {false}; found {len(true.keys() & found['ours'].keys())} of "
            f"{len(true)} at .7, {len(strong & found['ours'].keys())} of {len(strong)} at .8"
        )
        return ratio >= GOALS[label] and not false
    return ratio >= GOALS[label]


def main() -> int:
    if not DATA.is_dir():
        print(f"{DATA.name}: not found beside the checkout; nothing was measured")
        return 1
    ours(["warm up", "warm up!"])
    good = True
    for name, texts in corpora().items():
        good &= race(name, texts[:SAMPLE], plain_python, "plain Python")
        if importlib.util.find_spec("datasketch"):
            good &= race(name, texts, with_datasketch, "datasketch")
        else:
            print(f"{name}, against datasketch: not installed, not measured")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
