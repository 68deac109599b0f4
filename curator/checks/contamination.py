"""Training rows in which a benchmark stands: runs of words that a named file has too.

The one idea: a run of n-grams only points to a place; what is reported is counted there, word by
word: how many words in a row both texts share. A word is as in `curator.reading`: in scripts
without spaces each character is one. Items of a benchmark too short for one n-gram are looked for
as a whole, and each item as a near copy as well.

Source: Brown et al. 2020, Language models are few-shot learners, appendix C (13-grams, 8 words at
the least); Touvron et al. 2023, Llama 2, section A.6, and Grattafiori et al. 2024, The Llama 3 herd
of models, section 5.1.4 (8-grams, and the share of an item that they cover).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curator.errors import RecipeError
from curator.near import check_near, choose_shingles, near_pairs, normalise
from curator.reading import pieces, terms_of
from curator.schema import findings
from curator.shingles import KeyArray, grams
from curator.tasks import Task, task_of

CHECK = "decontaminate"
CONTAMINATION = "contamination"
LEAST_GRAM = 3
SHORT = 8
"""An item of fewer words is never looked for as a run, only as a whole text; so did GPT-3."""

IntArray = npt.NDArray[np.int64]
Words = Sequence[str]


@dataclass(frozen=True, slots=True)
class Item:
    """One text of a benchmark: the address, the record (from 0) and the column it stands in."""

    address: str
    record: int
    column: str
    text: str


Benchmark = Callable[[Sequence[str], Sequence[str]], Sequence[Item]]
"""Addresses and columns (none: all of text) -> their texts."""


@dataclass(frozen=True, slots=True)
class _Hit:
    """What of an item stands in a row: so many words in a row, or a near copy of all of it."""

    item: int
    run: int
    share: float
    jaccard: float | None = None


def contaminated(
    rows: pa.Table,
    benchmark: Benchmark,
    *,
    against: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
    ngram: int = 13,
    min_share: float = 0.0,
    near: float = 0.8,
    content: str = "",
) -> pa.Table:
    """Find training rows in which texts of benchmarks stand, by runs of words and near copies.

    Args:
        rows: Rows of any task; of dialogues and preferences the answers are read too.
        benchmark: Reads the texts of the files.
        against: Files or package addresses of benchmarks, such as `file:mmlu.jsonl`.
        columns: Text columns of these files; by default all of text.
        ngram: So many words in a row (characters in scripts without spaces) are a contamination:
            13 as for GPT-3, 8 as for Llama 3. Items of 8 words up to so many count as a whole.
        min_share: Smallest share of an item's words that the run holds, 0..1.
        near: Smallest Jaccard of a near copy of a whole item, in 0.7..1.
        content: Hash of the files, filled in: another benchmark is another step.

    Returns:
        Findings, issue type `contamination`, training rows only, one per row: the longest run (or,
        without one, the nearest copy). Score: the share of the item that stands in the row, or the
        Jaccard; the evidence names file, record, column and the number of words. Items of one or
        two words are not looked for: "yes" contaminates nothing.

    Raises:
        RecipeError: ngram is under 3, min_share outside 0..1, or near outside 0.7..1.
    """
    del content
    check_near(CHECK, near)
    if ngram < LEAST_GRAM:
        raise RecipeError(f"{CHECK}: ngram is {ngram}; expected {LEAST_GRAM} or more words")
    if not 0 <= min_share <= 1:
        raise RecipeError(f"{CHECK}: min_share is {min_share}; expected 0..1")
    items = benchmark(against, columns) if against else ()
    owners, texts = _training_texts(rows)
    ids = rows["id"].to_pylist()
    if not items or not len(texts):
        return findings(())
    plain = pl.Series("text", normalise([item.text for item in items]), dtype=pl.String)
    words = terms_of(plain).to_list()
    best: dict[int, _Hit] = {}
    for at, hit in _run_hits(texts, words, ngram, min_share):
        best[owners[at]] = min(hit, best.get(owners[at], hit), key=_rank)
    for at, hit in _near_hits(texts, plain, words, near):
        best.setdefault(owners[at], hit)
    return findings(
        {
            "row_id": ids[at],
            "issue_type": CONTAMINATION,
            "score": hit.share if hit.jaccard is None else hit.jaccard,
            "evidence": _said(hit, items[hit.item]),
            "check": CHECK,
        }
        for at, hit in sorted(best.items())
    )


def _rank(hit: _Hit) -> tuple[int, float, int]:
    return -hit.run, -hit.share, hit.item


def _said(hit: _Hit, item: Item) -> str:
    place = f"{item.address}, record {item.record}, column {item.column!r}"
    if hit.jaccard is not None:
        return f"near copy (Jaccard {hit.jaccard:.2f}) of {place}"
    return f"{hit.run} words in a row stand in {place} ({hit.share:.0%} of it)"


def _training_texts(rows: pa.Table) -> tuple[list[int], pl.Series]:
    """Give the normalised texts of training rows, and the row of each; answers are texts too."""
    task: Task = task_of(rows)
    train = [at for at, split in enumerate(rows["split"].to_pylist()) if split == "train"]
    some = rows.take(pa.array(train, pa.int64()))
    texts = [task.input_text(some)]
    if task.inputs != ("text",) and task.targets:
        texts.append(task.target_text(some))
    elif task.inputs == ("messages",):
        texts.append(pa.array(_whole_dialogues(some), pa.string()))
    plain = [pl.Series("text", normalise(part), dtype=pl.String) for part in texts]
    return train * len(texts), pl.concat(plain)


def _whole_dialogues(rows: pa.Table) -> list[str]:
    return ["\n".join(turn["content"] for turn in told) for told in rows["messages"].to_pylist()]


def _hashed(words: pl.Series) -> tuple[KeyArray, IntArray]:
    """Give one number a word, all texts one after the other, and the words of each text."""
    lengths = words.list.len().to_numpy().astype(np.int64)
    flat = words.filter(words.list.len() > 0).explode()
    return flat.hash(0).to_numpy().astype(np.uint64), lengths


def _run_hits(
    texts: pl.Series, items: Sequence[Words], ngram: int, min_share: float
) -> Iterator[tuple[int, _Hit]]:
    """Give the longest run that each text shares with an item, text by text and size by size."""
    least = min(SHORT, ngram)
    sizes: dict[int, list[int]] = {}
    for at, words in enumerate(items):
        if len(words) >= least:
            sizes.setdefault(min(ngram, len(words)), []).append(at)
    known = {size: _known_grams(items, some, size) for size, some in sorted(sizes.items())}
    for start, piece in pieces(texts):
        read = terms_of(piece)
        tokens, lengths = _hashed(read)
        for size, (hashes, owners) in known.items():
            for at, places, some in _meeting(tokens, lengths, size, hashes, owners):
                said = read.gather([at]).to_list()[0]
                hits = [_longest(said, items[item], places, size, item) for item in some]
                good = [hit for hit in hits if hit.run >= size and hit.share >= min_share]
                if good:
                    yield start + at, min(good, key=_rank)


def _known_grams(
    items: Sequence[Words], some: Sequence[int], size: int
) -> tuple[KeyArray, IntArray]:
    """Give the n-grams of items, ascending and each once, and the first item that has each."""
    tokens, lengths = _hashed(pl.Series([items[at] for at in some], dtype=pl.List(pl.String)))
    owners = np.repeat(np.array(some, np.int64), np.maximum(lengths - size + 1, 0))
    hashes, first = np.unique(grams(tokens, lengths, size), return_index=True)
    return hashes, owners[first]


def _meeting(
    tokens: KeyArray, lengths: IntArray, size: int, hashes: KeyArray, owners: IntArray
) -> Iterator[tuple[int, list[int], list[int]]]:
    """Give the texts that share n-grams with items: the text, the places in it, the items."""
    here = grams(tokens, lengths, size)
    at = np.minimum(np.searchsorted(hashes, here), len(hashes) - 1)
    hit = np.flatnonzero(hashes[at] == here)
    counts = np.maximum(lengths - size + 1, 0)
    begins = np.cumsum(counts) - counts
    texts = np.searchsorted(np.cumsum(counts), hit, side="right")
    for text in np.unique(texts).tolist():
        low, high = np.searchsorted(texts, [text, text + 1])
        places = hit[low:high] - begins[text]
        yield text, places.tolist(), np.unique(owners[at[hit[low:high]]]).tolist()


def _longest(said: Words, item: Words, places: Sequence[int], size: int, number: int) -> _Hit:
    """Count the longest run of words from these places on that the item has too."""
    first: dict[tuple[str, ...], int] = {}
    for at in range(len(item) - size + 1):
        first.setdefault(tuple(item[at : at + size]), at)
    best, passed = 0, -1
    for place in places:
        at = first.get(tuple(said[place : place + size]), -1)
        if at < 0 or place <= passed:
            continue
        run = size
        while (
            place + run < len(said) and at + run < len(item) and said[place + run] == item[at + run]
        ):
            run += 1
        best, passed = max(best, run), place + run - size
    return _Hit(number, best, best / max(len(item), 1))


def _near_hits(
    texts: pl.Series, items: pl.Series, words: Sequence[Words], near: float
) -> Iterator[tuple[int, _Hit]]:
    """Give the texts that are the same as or near to a whole item of three words or more."""
    some = [at for at, said in enumerate(words) if len(said) >= LEAST_GRAM]
    both = [*texts.to_list(), *items.gather(some).to_list()]
    sides = np.arange(len(both)) >= len(texts)
    pairs = near_pairs(
        both, threshold=near, shingles=choose_shingles(texts.to_arrow()), sides=sides
    )
    nearest: dict[int, tuple[float, int]] = {}
    for text, item, jaccard in zip(
        pairs.left.tolist(), pairs.right.tolist(), pairs.jaccard.tolist(), strict=True
    ):
        offer = (-jaccard, some[item - len(texts)])
        nearest[text] = min(offer, nearest.get(text, offer))
    for text, (distance, item) in nearest.items():
        yield text, _Hit(item, 0, 0.0, jaccard=-distance)
