"""How often test rows were looked at, and how much alpha that has cost.

The one idea: every look at the same frozen rows is another chance to be lucky, whoever looks and
however the version is called; so looks are written down under the test lock, before they are
taken, and never refunded. A look that was taken before is found, not taken again, and is free.
They are written twice: into the store, and into a folder of the user's own, so that a store that
is deleted and made again does not bring its alpha back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curator import schema
from curator.errors import MeasureError
from curator.versions.store import Store

KIND = "ledger"
STATE = "CURATOR_STATE"
"""Environment variable that names the user's state folder."""


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


def state_folder() -> Path:
    """Give the folder that outlives every store: CURATOR_STATE, else the user's state folder."""
    if named := os.environ.get(STATE):
        return Path(named)
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "curator"


def charge(store: Store, look: Look) -> bool:
    """Write a look down, in the store and in the user's state folder.

    Returns:
        False where it stands already, in either: the same look teaches nothing new.

    Raises:
        MeasureError: The state folder cannot be written.
    """
    outside = _keep(look)
    return store.record(KIND, look.key(), asdict(look)) and outside


def uses(store: Store, lock: str | None) -> Uses:
    """Say how often the test rows under a lock were looked at, and what that was charged.

    Looks count from whichever store they were taken, also from one that is gone.
    """
    here = (Look(**values) for values in store.records(KIND) if values["lock"] == lock)
    return _summed([*here, *_kept(lock)])


def _keep(look: Look) -> bool:
    return write_once(place(KIND, look.lock) / f"{look.key()}.json", asdict(look))


def write_once(path: Path, values: Mapping[str, Any]) -> bool:
    """Write a record of the state folder; False where it stands already.

    Raises:
        MeasureError: The folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            json.dump(dict(values), file)
    except FileExistsError:
        return False
    except OSError as fault:
        raise MeasureError(
            f"{path.parent}: the look cannot be written down ({fault.strerror}), so it is not "
            f"taken; set {STATE} to a folder that can be written and is kept"
        ) from fault
    return True


def _kept(lock: str | None) -> Iterator[Look]:
    if lock is None:
        return
    for path in sorted(place(KIND, lock).glob("*.json")):
        try:
            yield Look(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as fault:
            raise MeasureError(
                f"{path}: this look cannot be read ({fault}); mend the file, or move it away and "
                "know that a look is no longer counted"
            ) from fault


def place(kind: str, lock: str) -> Path:
    """Give the folder of what is kept of a set of test rows."""
    return state_folder() / kind / lock


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
