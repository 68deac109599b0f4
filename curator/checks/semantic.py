"""Rows that say the same in other words: by the cosine of their embeddings, for people to look at.

The one idea: a row is compared with the rows that *stay*, in the order of `duplicates` (the longest
text first), so a thousand alike rows are a thousand comparisons, and every doubted row names the
one kept row that stands for its cluster. The search is exact, block against block, in bounded
memory.

Embeddings are blind to amounts and negations, so the guard of `duplicates` holds here too, and
nothing is dropped unless the recipe asks for it.

Source: Abbas et al. 2023, SemDeDup: Data-efficient learning at web-scale through semantic
deduplication. There the search is within k-means clusters; here it is among all rows of a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curator.errors import RecipeError
from curator.guard import BUT, DIFFERENT, Guard
from curator.near import Pairs, TextGraph, text_graph
from curator.schema import findings
from curator.tasks import task_of

CHECK = "semantic_duplicates"
ISSUES = ("semantic_duplicate", "semantic_leak")

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]
Parted = Callable[[int, int], bool]
Found = Iterator[tuple[int, dict[str, object]]]

LEAST_COSINE = 0.5
_BLOCK, _KEPT_BLOCK = 256, 8_192
# The guard looks at so many kept rows, the most similar ones: templates of one number stay linear.
_LOOKED_AT = 32
_ROUNDING = 1e-4  # of a product in single precision; what is near the bound is multiplied again
_JUDGES = ("test", "validation")


@dataclass(frozen=True, slots=True)
class _Unit:
    """The training rows of one text and label; `at` is the first of them by id."""

    at: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Match:
    """The kept unit a unit is like; parted where only the guard keeps the two apart."""

    unit: int
    partner: int
    cosine: float
    parted: bool


def semantic_duplicates(
    rows: pa.Table,
    pairs: Pairs,
    embeddings: FloatArray,
    *,
    min_cosine: float = 0.95,
    guard: bool = True,
) -> pa.Table:
    """Find training rows that say the same as a kept one, or as a test row, in other words.

    Rows that are near by their letters are the business of `duplicates` and `leaks`, not of this.

    Args:
        rows: Rows of any task, n of them. Where rows have labels, only those of equal labels are
            duplicates.
        pairs: Pairs over these rows, without sides.
        embeddings: Of all rows, shape (n, d), unit length.
        min_cosine: Smallest cosine of two embeddings, in 0.5..1. What it means depends on the
            model: look at the found pairs before you act.
        guard: Keep rows that differ in an amount, a dose, a date, another number or id, a negation
            or a name.

    Returns:
        Findings, training rows only: `semantic_duplicate`, partner the most similar kept row, which
        stands for the cluster; `semantic_leak`, whatever the label, partner the most similar test
        row, or validation row where no test row is near; `near_but_different`, not flagged, what
        only the guard kept. Score: the cosine.

    Raises:
        RecipeError: min_cosine is outside 0.5..1.
    """
    if not LEAST_COSINE <= min_cosine <= 1:
        raise RecipeError(f"{CHECK}: min_cosine is {min_cosine}; expected {LEAST_COSINE}..1")
    task = task_of(rows)
    texts = task.input_text(rows)
    graph = text_graph(texts, pairs, threshold=0.0)
    guarded = Guard.over(texts.to_pylist(), guard=guard)
    ids = rows["id"].to_pylist()
    found = [
        *_repeated(rows, graph, embeddings, min_cosine, guarded),
        *_leaked(rows, graph, embeddings, min_cosine),
    ]
    found.sort(key=lambda item: (item[0], str(item[1]["issue_type"])))
    return findings({"row_id": ids[at], "check": CHECK, **record} for at, record in found)


def _units(rows: pa.Table, graph: TextGraph) -> dict[str | None, list[_Unit]]:
    """Gather training rows by label and text, longest text first; one text is one unit.

    Rows without a label are told apart from those of every label.
    """
    task = task_of(rows)
    count = rows.num_rows
    targets = task.target_text(rows).to_pylist() if task.relabelled else [""] * count
    ids, splits = rows["id"].to_pylist(), rows["split"].to_pylist()
    members: dict[str | None, dict[int, list[int]]] = {}
    for at in sorted(range(count), key=ids.__getitem__):
        if splits[at] == "train":
            code = int(graph.codes[at])
            members.setdefault(targets[at], {}).setdefault(code, []).append(at)
    return {
        target: [_Unit(by_text[code][0], tuple(by_text[code])) for code in sorted(by_text)]
        for target, by_text in sorted(members.items(), key=lambda m: (m[0] is None, m[0] or ""))
    }


def _repeated(
    rows: pa.Table, graph: TextGraph, embeddings: FloatArray, least: float, guard: Guard
) -> Found:
    ids = rows["id"].to_pylist()
    for units in _units(rows, graph).values():
        places = np.array([unit.at for unit in units], np.int64)

        def parted(one: int, other: int, units: list[_Unit] = units) -> bool:
            return guard.parted(units[one].at, units[other].at)

        for match in greedy(embeddings[places], least, parted):
            unit, partner = units[match.unit], units[match.partner].at
            if int(graph.codes[partner]) in graph.near.get(int(graph.codes[unit.at]), {}):
                continue
            record = _said(match, ids[partner])
            if match.parted:
                record["evidence"] = f"{record['evidence']}{BUT}{guard.differ(unit.at, partner)}"
            yield from ((at, record) for at in unit.members[: 1 if match.parted else None])


def _said(match: _Match, partner: str) -> dict[str, object]:
    return {
        "issue_type": DIFFERENT if match.parted else "semantic_duplicate",
        "score": match.cosine,
        "partner_id": partner,
        "evidence": f"like a kept row (cosine {match.cosine:.2f})",
        "flagged": not match.parted,
    }


def greedy(vectors: FloatArray, least: float, parted: Parted) -> Iterator[_Match]:
    """Go through vectors in order, and match each with the most similar one kept before it.

    Args:
        vectors: Shape (m, d), unit length; the ones to be kept rather come first.
        least: Smallest cosine of a match.
        parted: Whether the guard keeps two of them, by place, apart; the kept one stands second.

    Yields:
        Matches in order of place. A vector without one, or with parted ones only, is kept.
    """
    kept = np.empty(len(vectors), np.int64)
    count = 0
    for start in range(0, len(vectors), _BLOCK):
        stop = min(start + _BLOCK, len(vectors))
        before = kept[:count].copy()
        near = _near(vectors, np.arange(start, stop), before, least)
        inside = _near(vectors, np.arange(start, stop), np.arange(start, stop), least)
        stays = np.zeros(stop - start, np.bool_)
        for at in range(start, stop):
            own = [(-c, k) for c, k in inside[at - start] if k < at and stays[k - start]]
            offers = sorted([*own, *((-c, k) for c, k in near[at - start])])[:_LOOKED_AT]
            match = next((o for o in offers if not parted(at, o[1])), None)
            if match is None:
                stays[at - start] = True
                kept[count] = at
                count += 1
            if offers:
                distance, partner = match or offers[0]
                yield _Match(at, partner, -distance, match is None)


def _near(
    vectors: FloatArray, rows: IntArray, others: IntArray, least: float
) -> list[list[tuple[float, int]]]:
    """Give for each row the others at this cosine or above, the most similar ones first.

    Of many, of each block of others, those that have a chance to be looked at.
    """
    found: list[list[tuple[float, int]]] = [[] for _ in rows]
    block = np.ascontiguousarray(vectors[rows], np.float32)
    for low in range(0, len(others), _KEPT_BLOCK):
        part = others[low : low + _KEPT_BLOCK]
        products = block @ np.ascontiguousarray(vectors[part], np.float32).T
        near = products >= least - _ROUNDING
        for at in np.flatnonzero(near.any(axis=1)).tolist():
            places = np.flatnonzero(near[at])
            # Of the rows of its own block a row may only meet kept ones, which is not known yet.
            if len(places) > 2 * _LOOKED_AT and rows[0] != others[0]:
                order = np.argsort(-products[at, places], kind="stable")
                places = places[order[: 2 * _LOOKED_AT]]
            exact = np.minimum(
                vectors[part[places]].astype(np.float64) @ vectors[rows[at]].astype(np.float64), 1.0
            )
            strong = exact >= least
            found[at] += zip(exact[strong].tolist(), part[places[strong]].tolist(), strict=True)
    return found


def _leaked(rows: pa.Table, graph: TextGraph, embeddings: FloatArray, least: float) -> Found:
    """Give the training rows that are like a test or validation row."""
    ids, splits = rows["id"].to_pylist(), rows["split"].to_pylist()
    left = [at for at, split in enumerate(splits) if split == "train"]
    for judge in _JUDGES:
        judges = sorted(
            (at for at, split in enumerate(splits) if split == judge), key=ids.__getitem__
        )
        open_: list[int] = []
        for start in range(0, len(left), _BLOCK):
            block = left[start : start + _BLOCK]
            near = _near(embeddings, np.array(block), np.array(judges, np.int64), least)
            for at, offers in zip(block, near, strict=True):
                if not offers:
                    open_.append(at)
                    continue
                distance, _, partner = min((-cosine, ids[k], k) for cosine, k in offers)
                code, other = int(graph.codes[at]), int(graph.codes[partner])
                if code != other and other not in graph.near.get(code, {}):
                    yield (
                        at,
                        {
                            "issue_type": "semantic_leak",
                            "score": -distance,
                            "partner_id": ids[partner],
                            "evidence": f"like a {judge} row (cosine {-distance:.2f})",
                        },
                    )
        left = open_
