"""Do the checks of label sets and spans find planted errors? Beside cleanlab's own scores.

Label sets: banking77 questions joined in twos and threes, so that a text has the labels of its
parts; a tenth of the rows lost a label, gained one of the labels nearest to theirs, or had one
changed. Spans: sentences from templates over made names, which share words between their kinds; a
tenth lost a span, had its label changed, or its end moved by a word. Each with fresh seeds; both
sides get the same out-of-fold probabilities. Nothing is chosen on these sets.

    python benchmarks/label_tasks.py [--cache DIR] [--data DIR] [--seeds 101 102]

Two CPU minutes. Exit code 1 if Curator's average precision is more than .01 under cleanlab's.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass

import numpy as np
from label_errors import calibration_error, flag_numbers
from verdict_honesty import arguments, average_precision, open_bench

from curator.checks.label_sets import label_sets
from curator.checks.token_labels import token_labels
from curator.confident import label_set_quality, token_quality
from curator.tasks import sorted_spans, task_named
from finetune import crossfit_sets, crossfit_tags
from finetune.embed import embed

ROWS = 4_000
SENTENCES = 3_000
SHARE = 0.1
SLACK = 0.01
SURE = 0.95


@dataclass(frozen=True, slots=True)
class Sets:
    """Joined texts; given and true labels, shape (n, k); which rows are wrong."""

    texts: list[str]
    given: np.ndarray
    truth: np.ndarray
    wrong: np.ndarray


def main() -> int:
    options = arguments(__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, nargs="+", default=[101, 102])
    args = options.parse_args()
    met = []
    bench = open_bench(args.data / "banking77", args.cache)
    for seed in args.seeds:
        if bench is not None:
            met.append(sets(bench, seed))
        met.append(spans(seed))
    print(f"\n{time.process_time():.0f} CPU s in all")
    return 0 if all(met) else 1


def sets(bench: object, seed: int) -> bool:
    made = joined(bench, seed)
    vectors = embed(made.texts, bench.encoder, cache=bench.cache)
    begun = time.process_time()
    groups = [f"{i:06d}" for i in range(ROWS)]
    probabilities = crossfit_sets(vectors, made.given, groups, seed=0)
    names = bench.classes
    found = label_sets(rows("multilabel", made.texts, labels=named(made.given, names)),
                       probabilities, names)  # fmt: skip
    spent = time.process_time() - begun
    print(f"\nlabel sets, seed {seed}: {made.wrong.sum()} of {ROWS:,} rows wrong, "
          f"{len(names)} labels, {spent / ROWS * 10_000:.0f} CPU s per 10,000 rows")  # fmt: skip
    fix = found["p_fix"].to_numpy() >= SURE
    suggested = [set(json.loads(s)) for s in found["suggestion"].to_pylist()]
    right = np.array(
        [s == set(t) for s, t in zip(suggested, named(made.truth, names), strict=True)]
    )
    share = right[fix].mean() if fix.any() else float("nan")
    print(f"  P(fix) >= {SURE}: {fix.sum()} rows, {share:.3f} right")
    return beside(found, made.wrong, 1 - label_set_quality(made.given, probabilities))


def joined(bench: object, seed: int) -> Sets:
    """Join questions, and make a tenth of the label sets wrong."""
    draw = np.random.default_rng(seed)
    number = {name: k for k, name in enumerate(bench.classes)}
    own = np.array([number[label] for label in bench.labels])
    vectors = embed(list(bench.texts), bench.encoder, cache=bench.cache)
    centres = np.stack([vectors[own == k].mean(axis=0) for k in range(len(number))])
    likeness = centres @ centres.T
    texts, truth = [], np.zeros((ROWS, len(number)), dtype=bool)
    for i in range(ROWS):
        parts = draw.choice(len(own), draw.integers(1, 4), replace=False)
        texts.append(" ".join(bench.texts[p] for p in parts))
        truth[i, own[parts]] = True
    given, wrong = truth.copy(), draw.random(ROWS) < SHARE
    for i in np.flatnonzero(wrong):
        held = draw.choice(np.flatnonzero(truth[i]))
        near = np.argsort(-likeness[held])
        near = [k for k in near.tolist() if not truth[i, k]][:5]
        kind = draw.integers(0, 3)
        if kind != 1:
            given[i, held] = False
        if kind != 0:
            given[i, draw.choice(near)] = True
    return Sets(texts, given, truth, wrong)


def named(held: np.ndarray, names: tuple[str, ...]) -> list[list[str]]:
    return [[names[k] for k in np.flatnonzero(row)] for row in held]


def spans(seed: int) -> bool:
    texts, given, wrong = sentences(seed)
    begun = time.process_time()
    tagged = crossfit_tags(texts, given, [f"{i:06d}" for i in range(len(texts))], seed=0)
    table = rows("tokens", texts, spans=[sorted_spans(s) for s in given])
    everything = token_labels(table, tagged)
    found = everything.filter(np.array(everything["issue_type"].to_pylist()) == "label")
    spent = time.process_time() - begun
    print(f"\nspans, seed {seed}: {wrong.sum()} of {len(texts):,} texts wrong, "
          f"{len(tagged.given):,} words, {spent:.0f} CPU s")  # fmt: skip
    quality = token_quality(tagged.owner, tagged.given, tagged.probabilities, len(texts))
    return beside(found, wrong, 1 - quality)


def sentences(seed: int) -> tuple[list[str], list[list[dict]], np.ndarray]:
    """Make sentences in which a word can be a person, a place or a firm."""
    draw = np.random.default_rng(seed)
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    pool = ["".join(draw.choice(syllables, 3)).capitalize() for _ in range(400)]
    kinds = {"PER": pool[:200], "LOC": pool[150:300], "ORG": pool[250:]}
    before = {"PER": ("ask", "mr", "by"), "LOC": ("in", "near", "from"), "ORG": ("at", "of", "by")}
    filler = [w.lower() for w in ("".join(draw.choice(syllables, 2)) for _ in range(300))]
    texts, given, wrong = [], [], np.zeros(SENTENCES, dtype=bool)
    for i in range(SENTENCES):
        text, spans_ = "", []
        for _ in range(draw.integers(1, 4)):
            kind = str(draw.choice(list(kinds)))
            lead = " ".join([*draw.choice(filler, 3), draw.choice(before[kind])])
            name = " ".join(draw.choice(kinds[kind], draw.integers(1, 3)))
            text += f"{lead} "
            spans_.append({"start": len(text), "end": len(text) + len(name), "label": kind})
            text += f"{name} "
        text += " ".join(draw.choice(filler, 2))
        if draw.random() < SHARE:
            wrong[i] = spoil(spans_, text, draw)
        texts.append(text)
        given.append(spans_)
    return texts, given, wrong


def spoil(spans_: list[dict], text: str, draw: np.random.Generator) -> bool:
    span = spans_[draw.integers(0, len(spans_))]
    kind = draw.integers(0, 3)
    if kind == 0:
        spans_.remove(span)
    elif kind == 1:
        span["label"] = str(draw.choice([k for k in ("PER", "LOC", "ORG") if k != span["label"]]))
    else:
        following = text.find(" ", span["end"] + 1)
        span["end"] = following if following > 0 else len(text)
    return True


def rows(task: str, texts: list[str], **own: list) -> object:
    import pyarrow as pa

    n = len(texts)
    ids = [f"{i:06d}" for i in range(n)]
    columns = {"id": ids, "group": ids, "text": texts, "split": ["train"] * n,
               "weight": [1.0] * n, "step": ["import"] * n, **own}  # fmt: skip
    kind = task_named(task).schema
    arrays = [pa.array(columns.get(f.name, [None] * n), f.type) for f in kind]
    return pa.table(arrays, schema=kind)


def beside(found: object, wrong: np.ndarray, theirs: np.ndarray) -> bool:
    """Print both sides; True where Curator's order is no worse."""
    flags = found["flagged"].to_numpy(zero_copy_only=False)
    p_wrong = found["p_wrong"].to_numpy()
    ours = average_precision(wrong, found["score"].to_numpy())
    peer = average_precision(wrong, theirs)
    precision, recall, f1 = flag_numbers(wrong, flags)
    good = ours >= peer - SLACK
    print(
        f"  AP {ours:.3f}, cleanlab {peer:.3f}, chance {wrong.mean():.3f} "
        f"{'ok' if good else 'NOT MET'}"
        f"\n  flags: precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}"
        f"\n  P(wrong): mean {p_wrong.mean():.3f}, calibration error "
        f"{calibration_error(p_wrong, wrong):.3f}"
    )
    return good


if __name__ == "__main__":
    sys.exit(main())
