"""Which rows are worth an annotator's minute, and which of them are controls.

The one idea: a minute gains what is likely wrong, times what the row does to the model, and gains
less where another row of the same kind is asked already. Everything is a function of row ids and
scores, so the same call chooses the same rows, on any machine, after any interruption.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from curator.schema import hash_fields

Control = Literal["open", "blind", "known", "swapped"]
"""open: all is shown; blind: no suggestion; known: the answer is known, and is the label shown as
given; swapped: likewise, but it is the label shown as suggested."""
CONTROLS: tuple[Control, ...] = ("open", "blind", "known", "swapped")

PAIR_DAMPING = 0.1
"""Each row asked of one pair (given, suggested) takes this share off the next: breadth comes first
among equals, yet ten equal confusions are still worth asking. Chosen, not fitted."""

SURE = 0.1
"""Known answers are drawn from the tenth of the rows whose label is doubted least."""

LIKELIER_WRONG = 0.5
"""P(wrong) from which a row is never taken for one whose answer is known."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is known of a row that might be asked.

    group: Its near-duplicate group: an answer to one says much about the others.
    influence: What the row does to the model, relative to an average row; 1 where not known.
    is_wanted: Whether it may be asked; a row that may not can still be a known answer.
    """

    row_id: str
    group: str
    given: str
    suggested: str | None
    p_wrong: float
    influence: float = 1.0
    is_wanted: bool = True


@dataclass(frozen=True, slots=True)
class Chosen:
    """A row to ask about: as what, and its worth (expected gain; 0 and more)."""

    doubt: Doubt
    control: Control
    worth: float


@dataclass(frozen=True, slots=True)
class Shares:
    """Which share of the tasks are blind controls and known answers, 0..1."""

    blind: float = 0.1
    known: float = 0.05


def most_worth(doubts: Iterable[Doubt], count: int) -> list[tuple[Doubt, float]]:
    """Choose rows one by one, each time the one that is worth most given those chosen.

    Args:
        doubts: Rows that may be asked.
        count: How many at most.

    Returns:
        (row, worth), worth falling; rows without any doubt are left out.
    """
    groups: Counter[str] = Counter()
    pairs: Counter[tuple[str, str | None]] = Counter()

    def worth(doubt: Doubt) -> float:
        breadth = 1 + PAIR_DAMPING * pairs[doubt.given, doubt.suggested]
        return doubt.p_wrong * doubt.influence / (1 + groups[doubt.group]) / breadth

    able = [d for d in doubts if d.is_wanted and d.p_wrong > 0 and d.influence > 0]
    queue = [(-worth(d), d.row_id, d) for d in able]
    heapq.heapify(queue)
    chosen: list[tuple[Doubt, float]] = []
    while queue and len(chosen) < count:
        _, row_id, best = heapq.heappop(queue)
        now = -worth(best)  # it can only have fallen since it was put there
        if queue and (now, row_id) > queue[0][:2]:
            heapq.heappush(queue, (now, row_id, best))
            continue
        chosen.append((best, -now))
        groups[best.group] += 1
        pairs[best.given, best.suggested] += 1
    return chosen


def choose(
    doubts: Sequence[Doubt],
    budget: int,
    *,
    shares: Shares,
    asked: Mapping[str, Control],
) -> list[Chosen]:
    """Choose the tasks that are still to be made so that a project holds `budget` of them.

    Args:
        doubts: All rows that might be asked, with P(wrong) and suggestion.
        budget: Tasks of the project altogether.
        shares: How many of them are controls.
        asked: Row ids the project holds already, and as what.

    Returns:
        New tasks, most worth first. The plan does not depend on `asked`, so a push that was cut
        short makes the rest of the same plan when it is repeated.
    """
    held, room = Counter(asked.values()), max(0, budget - len(asked))
    pool = _sure(doubts)
    known = math.ceil(shares.known * budget)
    sure = [i for i in _drawn("known", pool) if i not in asked]
    sure = sure[: max(0, min(room, known - held["known"] - held["swapped"]))]
    others = [d for d in doubts if d.row_id not in set(_drawn("known", pool)[:known])]
    plan = most_worth(others, budget - min(known, len(pool)))
    ranked = [(d, w) for d, w in plan if d.row_id not in asked][: room - len(sure)]
    want = max(0, math.ceil(shares.blind * budget) - held["blind"])
    blind = set(_drawn("blind", (d.row_id for d, _ in ranked if d.suggested is not None))[:want])
    tasks = [Chosen(d, "blind" if d.row_id in blind else "open", worth) for d, worth in ranked]
    by_id = {d.row_id: d for d in doubts}
    tasks += _among([worth for _, worth in plan], [by_id[i] for i in sure])
    return sorted(tasks, key=lambda one: (-one.worth, one.doubt.row_id))


def _sure(doubts: Sequence[Doubt]) -> list[str]:
    """Name the rows whose answer is as good as known, and that have another label to offer."""
    able = sorted(
        (d.p_wrong, d.row_id)
        for d in doubts
        if d.suggested is not None and d.p_wrong < LIKELIER_WRONG
    )
    return [row_id for _, row_id in able[: math.ceil(SURE * len(able))]]


def _among(worths: Sequence[float], sure: Sequence[Doubt]) -> list[Chosen]:
    """Spread rows with a known answer evenly, by lot, over the worth of the others."""
    made = []
    for doubt in sure:
        lot = int(hash_fields("place", doubt.row_id), 16)
        control: Control = "swapped" if lot % 2 else "known"
        worth = worths[(lot >> 8) % len(worths)] if worths else 0.0
        made.append(Chosen(doubt, control, worth))
    return made


def _drawn(what: str, row_ids: Iterable[str]) -> list[str]:
    """Put rows in the order of a hash of their id: a lot that falls alike however often drawn."""
    return sorted(row_ids, key=lambda i: hash_fields(what, i))


def mark_of(row_id: str, control: Control) -> str:
    """Give what a task carries of its control kind: nothing that a person can read off."""
    return hash_fields("control", row_id, control)[:16]


def control_of(row_id: str, mark: str) -> Control:
    """Read a mark; one that is not known is an open task."""
    return next((one for one in CONTROLS if mark_of(row_id, one) == mark), "open")


def hint_of(row_id: str, label: str | None) -> str:
    """Give what a blind task carries of the suggestion it does not show."""
    return hash_fields("hint", row_id, label)[:16]


def label_of(row_id: str, hint: str, labels: Iterable[str]) -> str | None:
    """Read a hint; None where it names no label."""
    return next((label for label in labels if hint_of(row_id, label) == hint), None)
