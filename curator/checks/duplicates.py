"""Training rows that repeat another one, and same texts that carry different labels.

The one idea: a row goes only if a row that *stays* says the same. The longest text of a crowd is
kept first, then every row near a kept one of its label leaves; so no chain of small changes carries
a row away from its partner, and each dropped row names one that survives and is directly similar.

Near is not the same: two texts that differ in an amount, a date, a negation or a name are two
facts. The guard (`curator.spans`) keeps both, and says where they differ.

Rows of one normalised text have the same neighbours, so all work is done per text and label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from curator.guard import BUT, DIFFERENT, Guard
from curator.near import Pairs, TextGraph, check_near, text_graph
from curator.schema import findings
from curator.tasks import Task, task_of

Found = Iterator[tuple[int, dict[str, object]]]


@dataclass(frozen=True, slots=True)
class _Crowd:
    """The rows of a table by text and label, as positions in the order of their ids."""

    ids: Sequence[str]
    texts: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str]
    graph: TextGraph
    task: Task
    guard: Guard
    training: dict[int, dict[str, list[int]]] = field(default_factory=dict)
    first_two: dict[int, list[int]] = field(default_factory=dict)


def duplicates(rows: pa.Table, pairs: Pairs, *, near: float = 0.8, guard: bool = True) -> pa.Table:
    """Find training rows that repeat a kept training row of their label, and label conflicts.

    Rows are visited longest text first, equal lengths in alphabetical order, same texts by id; a
    row is dropped if a row kept so far has its label and a Jaccard of at least `near`.

    Args:
        rows: Rows of any task, n of them. Text is the task's input text; what a row teaches (its
            answers, its spans) takes the place of a label.
        pairs: Pairs over these rows, made at `near` or lower, without sides.
        near: Smallest Jaccard of a duplicate, in 0.7..1.
        guard: Keep near texts that differ in an amount, a dose, a date, another number or id, a
            negation or a name; they are no label conflicts either.

    Returns:
        Findings by row: `exact_duplicate` (normalised texts equal) and `near_duplicate`, training
        rows only, partner the most similar kept row, score the Jaccard; `label_conflict`, not
        flagged, rows of any split, partner the most similar row with another label;
        `near_but_different`, not flagged, training rows that only the guard kept, partner the most
        similar kept row, evidence what differs and where. Between equally similar partners the
        smallest id.

    Raises:
        RecipeError: near is outside 0.7..1.
    """
    check_near("duplicates", near)
    graph = text_graph(task_of(rows).input_text(rows), pairs, threshold=near)
    crowd = _gather(rows, graph, guard=guard)
    kept = _keep(crowd)
    found = [*_dropped(crowd, kept), *_guarded(crowd, kept), *_conflicts(crowd)]
    found.sort(key=lambda item: item[0])
    return findings(
        {"row_id": crowd.ids[at], "check": "duplicates", **record} for at, record in found
    )


def guard_notes(found: pa.Table) -> tuple[str, ...]:
    """Say how many rows only the guard kept, and in what they differ from a kept row."""
    told = [
        finding["evidence"].partition(BUT)[2].split(" ")[0]
        for finding in found.select(["issue_type", "evidence"]).to_pylist()
        if finding["issue_type"] == DIFFERENT
    ]
    if not told:
        return ()
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in sorted(Counter(told).items()))
    said = (
        f"{len(told):,} rows near to a kept row stay, because they say something else ({kinds}); "
        "guard: false drops them"
    )
    return (said,)


def _gather(rows: pa.Table, graph: TextGraph, *, guard: bool) -> _Crowd:
    task = task_of(rows)
    texts, labels = task.input_text(rows).to_pylist(), task.target_text(rows).to_pylist()
    ids, splits = rows["id"].to_pylist(), rows["split"].to_pylist()
    guarded = Guard.over(texts, guard=guard)
    crowd = _Crowd(ids, texts, labels, splits, graph, task, guarded)
    codes = graph.codes.tolist()
    for at in sorted(range(len(codes)), key=crowd.ids.__getitem__):
        code, label = codes[at], crowd.labels[at]
        if crowd.splits[at] == "train":
            crowd.training.setdefault(code, {}).setdefault(label, []).append(at)
        # Any row's nearest other label is among a text's first rows of two different labels.
        firsts = crowd.first_two.setdefault(code, [])
        if not firsts or (len(firsts) == 1 and crowd.labels[firsts[0]] != label):
            firsts.append(at)
    return crowd


def _keep(crowd: _Crowd) -> dict[tuple[int, str], int]:
    """Choose the row kept for a text and label, where one is."""
    kept: dict[tuple[int, str], int] = {}
    for code in sorted(crowd.training):  # texts come longest first
        near = crowd.graph.near.get(code, {})
        for label, members in crowd.training[code].items():
            others = (kept[other, label] for other in near if (other, label) in kept)
            if all(crowd.guard.parted(members[0], other) for other in others):
                kept[code, label] = members[0]
    return kept


def _dropped(crowd: _Crowd, kept: dict[tuple[int, str], int]) -> Found:
    for code, by_label in crowd.training.items():
        near = {code: 1.0, **crowd.graph.near.get(code, {})}
        for label, members in by_label.items():
            if (code, label) in kept:
                offers = [(1.0, kept[code, label], code)]
            else:
                every = ((j, kept[c, label], c) for c, j in near.items() if (c, label) in kept)
                offers = [offer for offer in every if not crowd.guard.parted(members[0], offer[1])]
            jaccard, partner, other = min(
                offers, key=lambda offer: (offer[2] != code, -offer[0], crowd.ids[offer[1]])
            )
            for at in members:
                if at != partner:
                    yield at, _repeats(crowd, at, partner, jaccard, same=other == code)


def _repeats(
    crowd: _Crowd, at: int, partner: int, jaccard: float, *, same: bool
) -> dict[str, object]:
    if not same:
        evidence = f"near copy of a kept row (Jaccard {jaccard:.2f})"
    elif crowd.texts[at] == crowd.texts[partner]:
        evidence = "same text as a kept row"
    else:
        evidence = "same text as a kept row but for case, spaces, width or entities"
    return {
        "issue_type": "exact_duplicate" if same else "near_duplicate",
        "score": jaccard,
        "partner_id": crowd.ids[partner],
        "evidence": evidence,
    }


def _guarded(crowd: _Crowd, kept: dict[tuple[int, str], int]) -> Found:
    """Give the kept rows that are near to an earlier kept one of their label, and say why."""
    for (code, label), at in kept.items():
        near = crowd.graph.near.get(code, {})
        offers = [
            (-jaccard, crowd.ids[kept[other, label]], kept[other, label])
            for other, jaccard in near.items()
            if other < code and (other, label) in kept  # an earlier code is a longer text
        ]
        if offers:
            distance, _, partner = min(offers)
            yield (
                at,
                {
                    "issue_type": DIFFERENT,
                    "score": -distance,
                    "partner_id": crowd.ids[partner],
                    "evidence": f"near copy of a kept row (Jaccard {-distance:.2f})"
                    f"{BUT}{crowd.guard.differ(at, partner)}",
                    "flagged": False,
                },
            )


def _conflicts(crowd: _Crowd) -> Found:
    nearest: dict[tuple[int, str], tuple[float, int] | None] = {}
    for at, code in enumerate(crowd.graph.codes.tolist()):
        label = crowd.labels[at]
        if (code, label) not in nearest:
            nearest[code, label] = _nearest_other_label(crowd, at, code, label)
        partner = nearest[code, label]
        if partner is not None:
            yield at, _contradicts(crowd, at, *partner)


def _nearest_other_label(
    crowd: _Crowd, here: int, code: int, label: str
) -> tuple[float, int] | None:
    near = {code: 1.0, **crowd.graph.near.get(code, {})}
    offers = [
        (other != code, -jaccard, crowd.ids[at], at, other)
        for other, jaccard in near.items()
        for at in crowd.first_two[other]
        if crowd.labels[at] != label
    ]
    for _, distance, _, at, other in sorted(offers):
        if other == code or not crowd.guard.parted(here, at):
            return -distance, at
    return None


def _contradicts(crowd: _Crowd, at: int, jaccard: float, partner: int) -> dict[str, object]:
    same = crowd.graph.codes[at] == crowd.graph.codes[partner]
    likeness = "same text" if same else f"near text (Jaccard {jaccard:.2f})"
    here, there = (crowd.task.shown(crowd.labels[place]) for place in (at, partner))
    return {
        "issue_type": "label_conflict",
        "score": jaccard,
        "partner_id": crowd.ids[partner],
        "evidence": f"{likeness}, {here} here, {there} in a {crowd.splits[partner]} row",
        "flagged": False,
    }
