"""An out-of-fold tagger: the tag of each word as models say that saw neither its text nor its kin.

The one idea: a word's spelling, shape and neighbours tell its tag well enough to doubt another one,
and cost seconds. The folds are those of `crossfit`: a near-duplicate group is never parted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .crossfit import FLOOR, floored, fold_of
from .errors import FitError
from .keys import FloatArray, IntArray
from .logistic import blas_threads

OUTSIDE = "O"
_UNSPACED = "一-鿿㐀-䶿぀-ヿ฀-๿຀-໿ក-៿က-႟"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+|[^\w\s]")
BUCKETS = 1 << 18
PASSES = 12
PENALTY = 1e-5


@dataclass(frozen=True, slots=True)
class Tagged:
    """The words of n texts, with the tag each was given and the probabilities of all tags.

    owner: text of each word, shape (w,). starts, ends: its place, shape (w,) each.
    given: its tag as an index into tags, shape (w,). tags: O, then B- and I- of each label, sorted.
    probabilities: out-of-fold, shape (w, k), float32, rows sum to 1.
    """

    owner: IntArray
    starts: IntArray
    ends: IntArray
    given: IntArray
    tags: tuple[str, ...]
    probabilities: FloatArray


def words_of(text: str) -> list[tuple[int, int]]:
    """Find words, marks and single characters of scripts without spaces.

    >>> words_of("Ann, 北京")
    [(0, 3), (3, 4), (5, 6), (6, 7)]
    """
    return [found.span() for found in _WORD.finditer(text)]


def crossfit_tags(
    texts: Sequence[str],
    spans: Sequence[Sequence[Mapping[str, Any]]],
    groups: Sequence[str],
    *,
    seed: int,
    folds: int = 5,
) -> Tagged:
    """Tag the words of each text by a linear model fitted on the other folds.

    Args:
        texts: n texts.
        spans: Spans of each text (start, end, label); where they nest the longest counts. A word
            belongs to the span that covers its first character.
        groups: Group per text; a group is never split between folds.
        seed: Of the folds, and of the order of the descent.
        folds: Number of folds, 2 or more.

    Raises:
        FitError: Too few groups for the folds, or no span at all.

    Source: scikit-learn's SGDClassifier (logistic loss, averaged) on hashed features.
    """
    if len(set(groups)) < folds:
        raise FitError(
            f"{len(set(groups))} groups of near-duplicates cannot fill {folds} folds; "
            "import more rows"
        )
    labels = sorted({str(span["label"]) for some in spans for span in some})
    if not labels:
        raise FitError("there is no span in these rows, so there is nothing to tag by")
    tags = (OUTSIDE, *(f"{letter}-{label}" for label in labels for letter in "BI"))
    places = [words_of(text) for text in texts]
    number = {tag: k for k, tag in enumerate(tags)}
    given = [_tags(words, some) for words, some in zip(places, spans, strict=True)]
    flat = [(at, *place) for at, words in enumerate(places) for place in words]
    owner, starts, ends = np.array(flat, dtype=np.int64).reshape(-1, 3).T
    y = np.array([number[tag] for some in given for tag in some], dtype=np.int64)
    fold = fold_of(groups, folds=folds, seed=seed)[owner]
    # In the order of their content: the order of the rows is none of the model's business.
    rank = np.empty(len(texts), dtype=np.int64)
    rank[sorted(range(len(texts)), key=lambda i: (texts[i], given[i], groups[i]))] = np.arange(
        len(texts)
    )
    order = np.lexsort((starts, rank[owner]))
    hashed = _hashed(texts, places)[order]
    found = np.empty((len(y), len(tags)), dtype=np.float32)
    with blas_threads(1):
        for held in range(folds):
            if (fold == held).any():
                inside = fold[order] == held
                found[order[inside]] = _asked(hashed, y[order], inside, len(tags), seed)
    return Tagged(owner, starts, ends, y, tags, floored(found))


def _tags(words: Sequence[tuple[int, int]], spans: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write spans as tags on words, the longest where they nest."""
    tags = [OUTSIDE] * len(words)
    for span in sorted(spans, key=lambda s: (s["end"] - s["start"], s["start"], s["label"])):
        inside = [i for i, (at, _) in enumerate(words) if span["start"] <= at < span["end"]]
        for i in inside:
            tags[i] = f"{'B' if i == inside[0] else 'I'}-{span['label']}"
    return tags


def _asked(hashed: Any, y: IntArray, held: Any, classes: int, seed: int) -> FloatArray:
    from sklearn.linear_model import SGDClassifier

    found = np.full((int(held.sum()), classes), FLOOR, dtype=np.float32)
    known = np.unique(y[~held])
    if len(known) == 1:
        found[:, known[0]] = 1
        return found
    model = SGDClassifier(
        loss="log_loss", alpha=PENALTY, max_iter=PASSES, tol=None, average=True, random_state=seed
    )
    model.fit(hashed[~held], y[~held])
    found[:, known] = model.predict_proba(hashed[held])
    return found


def _hashed(texts: Sequence[str], places: Sequence[Sequence[tuple[int, int]]]) -> Any:
    from sklearn.feature_extraction import FeatureHasher

    hasher = FeatureHasher(BUCKETS, input_type="string", dtype=np.float32, alternate_sign=False)
    return hasher.transform(
        features
        for text, words in zip(texts, places, strict=True)
        for features in _features([text[start:end] for start, end in words])
    )


def _features(words: Sequence[str]) -> Iterator[list[str]]:
    """Give what is seen of each word: itself, its shape and ends, two neighbours on each side."""
    low = ["<2", "<1", *(word.lower() for word in words), "1>", "2>"]
    shapes = ["", "", *map(_shape, words), "", ""]
    for i, word in enumerate(words, 2):
        own = low[i]
        yield [
            "bias", f"w {word}", f"l {own}", f"s {shapes[i]}",
            *(f"p {own[:n]}" for n in (1, 2, 3)), *(f"e {own[-n:]}" for n in (1, 2, 3)),
            *(f"{d} {low[i + d]}" for d in (-2, -1, 1, 2)),
            *(f"{d} s {shapes[i + d]}" for d in (-1, 1)),
            f"b {low[i - 1]} {own}", f"a {own} {low[i + 1]}",
            f"n {low[i - 1]} {shapes[i]} {low[i + 1]}",
        ]  # fmt: skip


def _shape(word: str) -> str:
    """Give a word's shape: Xx for a name, 9 for digits; runs of one kind are one sign.

    >>> _shape("McDonald's-42")
    "XxXx'x-9"
    """
    signs = [
        "X" if c.isupper() else "x" if c.isalpha() else "9" if c.isdigit() else c for c in word
    ]
    return "".join(s for s, before in zip(signs, ["", *signs], strict=False) if s != before)
