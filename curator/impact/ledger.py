"""How often test rows were looked at, and how much alpha that has cost.

The one idea: every look at the same frozen rows is another chance to be lucky, whoever looks and
however the version is called; so looks are written down under the test lock, before they are
taken, and never refunded. A look that was taken before is found, not taken again, and is free.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from curator import schema
from curator.versions.store import Store

KIND = "ledger"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the test rows, to judge one change.

    date: When it was begun, ISO 8601.
    lock: The test rows.
    before, after: Ids of the versions that were compared.
    seeds: Paired seeds at hand then.
    alpha: What the claim on all test rows was charged.
    alpha_touched: What the family of touched classes was charged.
    """

    date: str
    lock: str
    before: str
    after: str
    tier: str
    seeds: int
    alpha: float
    alpha_touched: float

    def key(self) -> str:
        """Name the look by everything but its date, so that it is written down once."""
        values = asdict(self)
        del values["date"]
        return schema.hash_fields(values)

    def subject(self) -> tuple[str, str, str, int]:
        """Say what was looked at; in other company the same look is charged again, or more."""
        return self.before, self.after, self.tier, self.seeds


@dataclass(frozen=True, slots=True)
class Uses:
    """All looks at one set of test rows.

    looks: Their number; a change looked at three times counts three.
    comparisons: Number of (before, after, tier) that were judged.
    alpha: Sum of what was charged, all claims and families; may well exceed 1.
    first, last: Dates, ISO 8601; None where there was no look.
    """

    looks: int
    comparisons: int
    alpha: float
    first: str | None
    last: str | None

    def as_dict(self) -> dict[str, Any]:
        """Give the uses as JSON values."""
        return asdict(self)

    def sentence(self) -> str:
        """Say the uses in one line."""
        if not self.looks:
            return "these test rows were not looked at yet"
        return (
            f"these test rows had {counted(self.looks, 'look')} for "
            f"{counted(self.comparisons, 'comparison')} since {self.first}; "
            f"alpha charged so far {percent(self.alpha)}"
        )


def now() -> str:
    """Give the time, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def charge(store: Store, look: Look) -> bool:
    """Write a look down; False where it stands already."""
    return store.record(KIND, look.key(), asdict(look))


def uses(store: Store, lock: str | None) -> Uses:
    """Say how often the test rows under a lock were looked at, and what that was charged."""
    found = [Look(**values) for values in store.records(KIND) if values["lock"] == lock]
    return _summed(found)


def _summed(looks: Iterable[Look]) -> Uses:
    charged: dict[tuple[str, str, str, int], float] = {}
    dates = []
    for look in looks:
        alpha = look.alpha + look.alpha_touched
        charged[look.subject()] = max(alpha, charged.get(look.subject(), 0.0))
        dates.append(look.date)
    return Uses(
        looks=len(charged),
        comparisons=len({subject[:3] for subject in charged}),
        alpha=sum(charged.values()),
        first=min(dates, default=None),
        last=max(dates, default=None),
    )


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: 1 look, 2 looks."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(alpha: float) -> str:
    """Write a level: 0.015 as 1.50 %."""
    return f"{100 * alpha:.2f} %"
