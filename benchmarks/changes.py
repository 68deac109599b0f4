"""Forty changes as people make them, and the base sets they are made on; fixed before any was run.

A change is a function of a scene that gives the training set before and after it. Wrong labels are
known here, so "repair" and "remove" mean what a careful reviewer would do; a detector's share of
hits stands in the name where a detector is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from bank import Corpus, Rows, left_after, moved_labels

from augmenters import keyboard, label_text, synonym
from curator.schema import ROW_SCHEMA
from finetune.embed import Encoder, embed

LONG = 60  # characters
WORD = "card"


@dataclass(slots=True)
class Scene:
    """A base set with wrong labels, test rows, other rows to refer to, and clean rows to add.

    labels: Given class of every row of the pool.
    wrong: Base rows whose label is wrong, in random order.
    spare: Rows that no other part holds.
    vectors_of: Embeds new texts; None where there is no encoder.
    """

    pool: Corpus
    rng: np.random.Generator
    base: np.ndarray
    labels: np.ndarray
    wrong: np.ndarray
    test: np.ndarray
    others: np.ndarray
    spare: np.ndarray
    vectors_of: Callable[[list[str]], np.ndarray] | None = None
    made: list[tuple[str, int]] = field(default_factory=list)

    def rows(self, at: np.ndarray, labels: np.ndarray | None = None) -> Rows:
        """Give rows of weight 1 with the given labels, or with these of the whole pool."""
        return Rows(at, (self.labels if labels is None else labels)[at], np.ones(len(at)))

    def more(self, rows: Rows, texts: list[str], labels: list[int], weight: float) -> Rows:
        """Add new texts."""
        start = len(self.pool.texts) + len(self.made)
        self.made += list(zip(texts, labels, strict=True))
        at = np.concatenate([rows.at, np.arange(start, start + len(texts))])
        all_labels = np.concatenate([rows.labels, np.array(labels, dtype=np.int64)])
        return Rows(at, all_labels, np.concatenate([rows.weights, np.full(len(texts), weight)]))

    def corpus(self) -> Corpus:
        """Give the pool and the texts that were made."""
        if not self.made or self.vectors_of is None:
            return self.pool
        texts = [text for text, _ in self.made]
        return Corpus(
            np.concatenate([self.pool.texts, np.array(texts, dtype=object)]),
            np.concatenate([self.pool.truth, [label for _, label in self.made]]),
            self.pool.classes,
            np.concatenate([self.pool.vectors, self.vectors_of(texts)]),
        )

    def some(self, rows: np.ndarray, count: int) -> np.ndarray:
        """Draw rows."""
        return self.rng.permutation(rows)[:count]

    def in_base(self, classes: np.ndarray) -> np.ndarray:
        """Give the base rows labelled so."""
        return self.base[np.isin(self.labels[self.base], classes)]

    def two(self) -> np.ndarray:
        """Give a random class and the one nearest to it."""
        k = len(self.pool.classes)
        of = [self.pool.vectors[self.pool.truth == c].mean(axis=0) for c in range(k)]
        first = int(self.rng.integers(k))
        distance = np.linalg.norm(np.array(of) - of[first], axis=1)
        return np.argsort(distance, kind="stable")[:2]


Pair = tuple[Rows, Rows]


def english_scene(
    pool: Corpus,
    encoder: Encoder,
    cache: Path,
    rng: np.random.Generator,
    *,
    per_class: int,
    test_rows: int,
) -> Scene:
    order, k = rng.permutation(len(pool.texts)), len(pool.classes)
    base = np.concatenate([order[pool.truth[order] == c][:per_class] for c in range(k)])
    rest = left_after(order, base)
    wrong = rng.permutation(base)[: len(base) // 10]
    labels = moved_labels(pool.truth, wrong, k, rng)
    test, others, spare = np.split(rest, [test_rows, test_rows + 6_000])
    return Scene(pool, rng, base, labels, wrong, test, others, spare,
                 lambda texts: embed(texts, encoder, cache=cache))  # fmt: skip


def chinese_scene(pool: Corpus, starts: list[int], rng: np.random.Generator, *, rows: int) -> Scene:
    train = rng.permutation(starts[0])
    test, others = np.arange(*starts), np.arange(starts[1], len(pool.texts))
    labels = pool.truth.copy()
    base = train[:rows]
    wrong = rng.permutation(base)[: rows // 10]
    labels = moved_labels(labels, wrong, len(pool.classes), rng)
    return Scene(pool, rng, base, labels, wrong, test, others, train[rows:])


def without(scene: Scene, gone: np.ndarray) -> Pair:
    return scene.rows(scene.base), scene.rows(left_after(scene.base, gone))


def remove_wrong(share: float, scene: Scene) -> Pair:
    return without(scene, scene.wrong[: round(share * len(scene.wrong))])


def repair_wrong(share: float, scene: Scene) -> Pair:
    fixed = scene.wrong[: round(share * len(scene.wrong))]
    labels = scene.labels.copy()
    labels[fixed] = scene.pool.truth[fixed]
    return scene.rows(scene.base), scene.rows(scene.base, labels)


def drop_random(share: float, scene: Scene) -> Pair:
    return without(scene, scene.some(scene.base, round(share * len(scene.base))))


def detector(precision: float, scene: Scene) -> Pair:
    """Drop a tenth of the rows, found by a detector that is right this often."""
    n = len(scene.base) // 10
    hits = scene.wrong[: round(precision * n)]
    misses = scene.some(left_after(scene.base, scene.wrong), n - len(hits))
    return without(scene, np.concatenate([hits, misses]))


def add_clean(share: float, scene: Scene) -> Pair:
    more = scene.some(scene.spare, round(share * len(scene.base)))
    return scene.rows(scene.base), scene.rows(np.concatenate([scene.base, more]))


def more_wrong(share: float, scene: Scene) -> Pair:
    rows = scene.some(left_after(scene.base, scene.wrong), round(share * len(scene.base)))
    labels = moved_labels(scene.labels, rows, len(scene.pool.classes), scene.rng)
    return scene.rows(scene.base), scene.rows(scene.base, labels)


def starve_two(share: float, scene: Scene) -> Pair:
    rows = scene.in_base(scene.two())
    return without(scene, scene.some(rows, round(share * len(rows))))


def feed_two(count: int, scene: Scene) -> Pair:
    ours = scene.spare[np.isin(scene.pool.truth[scene.spare], scene.two())]
    more = scene.some(ours, count)
    return scene.rows(scene.base), scene.rows(np.concatenate([scene.base, more]))


def confuse_two(share: float, scene: Scene, *, back: bool = False) -> Pair:
    """Exchange two near classes on some of their rows; back repairs that."""
    first, second = scene.two()
    rows = scene.in_base(np.array([first, second]))
    rows = scene.some(rows, round(share * len(rows)))
    labels = scene.labels.copy()
    labels[rows] = np.where(labels[rows] == first, second, first)
    pair = scene.rows(scene.base), scene.rows(scene.base, labels)
    return pair[::-1] if back else pair


def merge_into_one(scene: Scene) -> Pair:
    """Relabel a whole class as the one nearest to it, as a guideline that was misread."""
    first, second = scene.two()
    labels = np.where(scene.labels == first, second, scene.labels)
    return scene.rows(scene.base), scene.rows(scene.base, labels)


def in_slice(scene: Scene, by: str) -> np.ndarray:
    """Give the base rows with long texts, or with a word that many texts share."""
    texts = scene.pool.texts[scene.base]
    inside = [len(t) > LONG if by == "long" else WORD in t.lower() for t in texts]
    return scene.base[np.array(inside)]


def slice_dropped(by: str, share: float, scene: Scene) -> Pair:
    rows = in_slice(scene, by)
    return without(scene, scene.some(rows, round(share * len(rows))))


def slice_noise(by: str, share: float, scene: Scene, *, back: bool = False) -> Pair:
    """Put wrong labels on a share of a slice, as one bad source would; back repairs them."""
    rows = in_slice(scene, by)
    rows = scene.some(rows, round(share * len(rows)))
    labels = moved_labels(scene.labels, rows, len(scene.pool.classes), scene.rng)
    pair = scene.rows(scene.base), scene.rows(scene.base, labels)
    return pair[::-1] if back else pair


def slice_added(by: str, count: int, scene: Scene) -> Pair:
    texts = scene.pool.texts[scene.spare]
    inside = np.array([len(t) > LONG if by == "long" else WORD in t.lower() for t in texts])
    more = scene.some(scene.spare[inside], count)
    return scene.rows(scene.base), scene.rows(np.concatenate([scene.base, more]))


def table_of(scene: Scene, at: np.ndarray) -> pa.Table:
    n = len(at)
    ids = [f"{i:06d}" for i in at]
    columns = {
        "id": ids, "group": ids, "text": list(scene.pool.texts[at]),
        "label": [scene.pool.classes[k] for k in scene.labels[at]], "split": ["train"] * n,
        "weight": [1.0] * n, "source": ["main"] * n, "source_row": list(range(n)),
        "parent": [None] * n, "step": ["import"] * n,
    }  # fmt: skip
    return pa.table(columns, schema=ROW_SCHEMA)


def augmented(make: Callable[[pa.Table], pa.Table], scene: Scene, *, shots: int = 15) -> Pair:
    """Add what an augmenter makes of the base set, or of the first rows of each class."""
    k = len(scene.pool.classes)
    given = scene.labels[scene.base]
    at = np.concatenate([scene.base[given == c][:shots] for c in range(k)])
    rows = make(table_of(scene, at))
    names = {name: c for c, name in enumerate(scene.pool.classes)}
    labels = [names[name] for name in rows["label"].to_pylist()]
    before = scene.rows(at)
    after = scene.more(before, rows["text"].to_pylist(), labels, 1.0)
    weights = after.weights.copy()
    weights[len(at) :] = rows["weight"].to_numpy()
    return before, Rows(after.at, after.labels, weights)


def copied(share: float, scene: Scene) -> Pair:
    more = scene.some(scene.base, round(share * len(scene.base)))
    return scene.rows(scene.base), scene.rows(np.concatenate([scene.base, more]))


def scrambled(scene: Scene) -> Pair:
    """Add texts with their words in random order, a quarter of them under a random label."""
    before, texts, labels = scene.rows(scene.base), [], []
    for i in scene.some(scene.base, len(scene.base) // 3):
        words = str(scene.pool.texts[i]).split()
        texts.append(" ".join(scene.rng.permutation(words)))
        lost = scene.rng.random() < 0.25
        labels.append(int(scene.rng.integers(len(scene.pool.classes))) if lost else
                      int(scene.labels[i]))  # fmt: skip
    return before, scene.more(before, texts, labels, 1.0)


def typed(rows: pa.Table, weight: float) -> pa.Table:
    return keyboard(rows, seed=0, share=0.2, weight=weight).rows


CHANGES: tuple[tuple[str, str, Callable[[Scene], Pair]], ...] = (
    ("diffuse", "remove a third of the wrong rows", partial(remove_wrong, 1 / 3)),
    ("diffuse", "remove all wrong rows", partial(remove_wrong, 1.0)),
    ("diffuse", "repair half of the wrong rows", partial(repair_wrong, 0.5)),
    ("diffuse", "drop a random 3 %", partial(drop_random, 0.03)),
    ("diffuse", "drop a random 30 %", partial(drop_random, 0.3)),
    ("diffuse", "drop 10 % by a detector right in .5", partial(detector, 0.5)),
    ("diffuse", "add a quarter of clean rows", partial(add_clean, 0.25)),
    ("diffuse", "5 % more wrong labels", partial(more_wrong, 0.05)),
    ("two classes", "starve two of 65 %", partial(starve_two, 0.65)),
    ("two classes", "starve two of 30 %", partial(starve_two, 0.3)),
    ("two classes", "30 more rows for two", partial(feed_two, 30)),
    ("two classes", "10 more rows for two", partial(feed_two, 10)),
    ("two classes", "confuse two on 40 %", partial(confuse_two, 0.4)),
    ("two classes", "repair two confused on 40 %", partial(confuse_two, 0.4, back=True)),
    ("two classes", "repair two confused on 20 %", partial(confuse_two, 0.2, back=True)),
    ("two classes", "melt one into its neighbour", merge_into_one),
    ("slice", "drop half of the long texts", partial(slice_dropped, "long", 0.5)),
    ("slice", "drop all texts with 'card'", partial(slice_dropped, "card", 1.0)),
    ("slice", "200 more long texts", partial(slice_added, "long", 200)),
    ("slice", "200 more texts with 'card'", partial(slice_added, "card", 200)),
    ("slice", "30 % wrong labels on 'card'", partial(slice_noise, "card", 0.3)),
    ("slice", "repair 30 % wrong on 'card'", partial(slice_noise, "card", 0.3, back=True)),
    ("slice", "repair 20 % wrong on long texts", partial(slice_noise, "long", 0.2, back=True)),
    ("slice", "repair 50 % wrong on long texts", partial(slice_noise, "long", 0.5, back=True)),
    ("augmentation", "class names, 15 shots",
     partial(augmented, lambda rows: label_text({}, rows, seed=0).rows)),
    ("augmentation", "class names, 5 shots",
     partial(augmented, lambda rows: label_text({}, rows, seed=0).rows, shots=5)),
    ("augmentation", "typos at weight .3", partial(augmented, partial(typed, weight=0.3))),
    ("augmentation", "typos at weight 1", partial(augmented, partial(typed, weight=1.0))),
    ("augmentation", "synonyms at weight .3",
     partial(augmented, lambda rows: synonym(rows, seed=0, share=0.2).rows)),
    ("augmentation", "plain copies of 10 %", partial(copied, 0.1)),
    ("augmentation", "plain copies of 50 %", partial(copied, 0.5)),
    ("augmentation", "scrambled, a quarter mislabelled", scrambled),
    ("Chinese", "remove all injected wrong rows", partial(remove_wrong, 1.0)),
    ("Chinese", "repair a third of the injected", partial(repair_wrong, 1 / 3)),
    ("Chinese", "drop a random 3 %", partial(drop_random, 0.03)),
    ("Chinese", "drop a random half", partial(drop_random, 0.5)),
    ("Chinese", "add a third of rows", partial(add_clean, 1 / 3)),
    ("Chinese", "10 % more wrong labels", partial(more_wrong, 0.1)),
    ("Chinese", "starve two of 65 %", partial(starve_two, 0.65)),
    ("Chinese", "30 more rows for two", partial(feed_two, 30)),
)  # fmt: skip
