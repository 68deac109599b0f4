"""How large a test set must be, which rows it takes, and what its label is when two people differ.

The one idea: a test set is worth the smallest effect it can show. The size comes from that effect
and planned noise, the rows by lot from the corpus (no model has a say), the labels from two people
who do not see each other's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

from curator.errors import MeasureError
from curator.impact.planning import MOST_ROWS, planned_effect
from curator.schema import hash_fields

Part = Literal["explore", "confirm", "final"]
PARTS: tuple[Part, ...] = ("explore", "confirm", "final")
SHARES: Mapping[Part, float] = {"explore": 0.2, "confirm": 0.4, "final": 0.4}
"""explore may be looked at freely; confirm carries claims; final is looked at once, at the end.
Confirm and final are sized for the effect, each of them alone."""

SEEDS = 8
UNCLEAR = "unclear"
_PAIR = 2


def rows_for(tier: str, effect: float, *, seeds: int = SEEDS) -> int:
    """Give the least number of test rows that show an effect with 80 % power.

    Args:
        tier: A tier that noise is planned for.
        effect: A fraction, above 0 and below 1.
        seeds: Paired seeds of a measurement.

    Raises:
        MeasureError: The effect is no fraction, or no number of rows shows it at these seeds.
    """
    if not 0 < effect < 1:
        raise MeasureError(f"an effect of {effect:g} is no fraction; one point is 0.01")
    if _limit(tier, seeds) > effect:
        enough = next((n for n in range(seeds, 65) if _limit(tier, n) <= effect), None)
        more = f"at least {enough} seeds would" if enough else "nor would 64 seeds"
        raise MeasureError(
            f"no number of test rows shows {100 * effect:g} points at tier {tier} with {seeds} "
            f"seeds, as training itself varies more; {more}. Say --seeds, a cheaper --tier, or a "
            "larger effect"
        )
    low, high = 2, MOST_ROWS
    while low < high:
        middle = (low + high) // 2
        if planned_effect(tier, rows=middle, seeds=seeds) <= effect:
            high = middle
        else:
            low = middle + 1
    return low


def _limit(tier: str, seeds: int) -> float:
    """Give the smallest effect that any number of rows shows."""
    return planned_effect(tier, rows=MOST_ROWS, seeds=seeds)


def total_for(rows: int) -> int:
    """Give the rows of a whole set whose parts for claims have this many each."""
    return ceil(rows / SHARES["confirm"])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that may be drawn: its near-duplicate group, and its given label as a stratum."""

    row_id: str
    group: str
    label: str


def draw_rows(candidates: Sequence[Candidate], total: int, *, seed: int) -> dict[str, Part]:
    """Draw rows by lot, one per group, of each label as many as its share, and deal the parts.

    Args:
        candidates: The pool.
        total: How many.
        seed: Of the lot.

    Returns:
        Part of each drawn row. Every label has its share in each part, up to rounding.

    Raises:
        MeasureError: There are not so many groups.
    """
    firsts: dict[str, Candidate] = {}
    for one in sorted(candidates, key=lambda c: hash_fields("testset", seed, c.row_id)):
        firsts.setdefault(one.group, one)
    if len(firsts) < total:
        raise MeasureError(
            f"{total:,} rows are wanted, one per near-duplicate group, and the pool has "
            f"{len(firsts):,} groups: add rows, or ask for a larger effect"
        )
    strata: dict[str, list[str]] = {}
    for one in firsts.values():
        strata.setdefault(one.label, []).append(one.row_id)
    takes = _apportioned({label: len(rows) for label, rows in strata.items()}, total)
    drawn = [row for label in sorted(strata) for row in strata[label][: takes[label]]]
    return _dealt(drawn)


def _apportioned(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Share a total out by size: whole numbers, the largest remainders rounded up."""
    whole = sum(sizes.values())
    exact = {label: total * n / whole for label, n in sizes.items()}
    takes = {label: int(share) for label, share in exact.items()}
    rest = sorted(exact, key=lambda label: (takes[label] - exact[label], label))
    for label in rest[: total - sum(takes.values())]:
        takes[label] += 1
    return takes


def _dealt(drawn: Sequence[str]) -> dict[str, Part]:
    """Deal rows, sorted by label, to the parts in turn: each part gets its share of each run."""
    held = dict.fromkeys(PARTS, 0)
    dealt: dict[str, Part] = {}
    for number, row in enumerate(drawn, start=1):
        part = max(PARTS, key=lambda p: (SHARES[p] * number - held[p], SHARES[p]))
        held[part] += 1
        dealt[row] = part
    return dealt


@dataclass(frozen=True, slots=True)
class Settled:
    """What is known of the labels.

    labels: Label by row, where two people agree or a third decided.
    unclear: Rows that cannot be labelled; disputed: two people differ, nobody decided.
    waiting: Fewer than two people have answered.
    """

    labels: Mapping[str, str]
    unclear: frozenset[str]
    disputed: frozenset[str]
    waiting: frozenset[str]


def settle(
    rows: Sequence[str],
    answers: Mapping[str, Mapping[str, str]],
    decided: Mapping[str, str],
) -> Settled:
    """Give the label of each row.

    Args:
        rows: What was drawn.
        answers: Row id -> person -> label or `unclear`, each given without sight of the others.
        decided: What an adjudicator said of rows in dispute.

    Returns:
        A row is settled where the first two people agree, or by the adjudicator.
    """
    labels, unclear, disputed, waiting = {}, set(), set(), set()
    for row in rows:
        said = [label for _, label in sorted(answers.get(row, {}).items())]
        agreed = len(said) >= _PAIR and len(set(said)) == 1
        word = decided.get(row) or (said[0] if agreed else None)
        if word == UNCLEAR:
            unclear.add(row)
        elif word is not None:
            labels[row] = word
        elif len(said) >= _PAIR:
            disputed.add(row)
        else:
            waiting.add(row)
    return Settled(labels, frozenset(unclear), frozenset(disputed), frozenset(waiting))


def visible_effect(tier: str, rows: int, *, seeds: int = SEEDS) -> float | None:
    """Give the smallest effect that so many rows of one part show; None under two."""
    return planned_effect(tier, rows=rows, seeds=seeds) if rows >= _PAIR else None
