"""What test rows may be asked: shares of alpha that are declared when the benchmark is made.

The one idea: a level that is chosen after a look is no level. So what each comparison may spend is
fixed before the first one, under the test lock, and whoever measures on these rows is held to it:
the next comparison gets its level, or is refused. Declared levels take the place of Holm's.

Kept twice, as looks are: in the store, and in the user's state folder, which outlives it.

The online rules promise a false discovery rate for independent p-values; comparisons on the same
rows are not, so only the split by number has a promise that holds whatever the comparisons have to
do with each other (Bonferroni).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from curator import schema
from curator.declared import CANDIDATE, Declared, online_level
from curator.errors import AlphaSpentError, MeasureError
from curator.impact.ledger import counted, now, percent, place, uses, write_once
from curator.versions.store import Store

KIND = "alpha"


@dataclass(frozen=True, slots=True)
class Opened:
    """A comparison that was given its level.

    number: Its place among those on the same rows, from 1.
    subject: What is compared, hashed; the same comparison is opened once.
    level: Over all its looks.
    charged: Whether it spends anything; a look to explore does not.
    release: The tag it was opened for, on locked rows.
    note: What to say beside its claim.
    """

    number: int
    subject: str
    level: float
    charged: bool
    release: str | None
    note: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a comparison ended: its p-value, whether it was called, how many were open by then."""

    number: int
    p: float
    called: bool
    opened: int


def declare(store: Store, lock: str, wanted: Declared) -> bool:
    """Write down what the test rows under a lock may be asked.

    Returns:
        False where the same was declared before.

    Raises:
        MeasureError: It cannot be declared so, something else was, or the rows were looked at.
    """
    if fault := wanted.fault():
        raise MeasureError(f"the alpha of test rows {lock[:12]}: {fault}")
    known = declared(store, lock)
    if known is not None and known != wanted:
        raise MeasureError(
            f"test rows {lock[:12]} were declared {known.words()}; that cannot become "
            f"{wanted.words()}, as levels chosen after looks are none: take other test rows"
        )
    if known is None and (looked := uses(store, lock)).looks:
        raise MeasureError(
            f"{looked.sentence()} (lock {lock[:12]}); shares of alpha are declared before the "
            "first look: take other test rows, or leave `alpha:` out"
        )
    _keep(store, lock, "declared", asdict(wanted))
    return known is None


def declared(store: Store, lock: str | None) -> Declared | None:
    """Give what was declared for test rows; None where nothing was."""
    if lock is None:
        return None
    found = _kept(store, lock).get("declared")
    return None if found is None else Declared(**found)


def open_comparison(
    store: Store, lock: str, subject: Sequence[Any], *, releases: Sequence[str] = ()
) -> Opened | None:
    """Give a comparison its level, the same when asked again; None where nothing was declared.

    Args:
        store: Holds the versions.
        lock: The test rows.
        subject: What is compared, and how.
        releases: Tags of the version that wants to be released.

    Raises:
        AlphaSpentError: There is nothing left, or locked rows are asked without a new release.
    """
    key = schema.hash_fields(*(str(part) for part in subject))
    while (rule := declared(store, lock)) is not None:
        opened, ended = _comparisons(store, lock)
        for one in opened:
            if one.subject == key:
                return one
        new = _next(rule, lock, key, opened, ended, releases)
        if _keep(store, lock, f"{new.number:06d}", asdict(new)):
            return new
    return None


def end_comparison(store: Store, lock: str, opened: Opened, *, p: float, called: bool) -> None:
    """Write down how a comparison ended; later levels of the online rules depend on it."""
    so_far, _ = _comparisons(store, lock)
    ended = Ended(opened.number, p, called, len(so_far))
    _keep(store, lock, f"{opened.number:06d}-ended", asdict(ended))


def left(store: Store, lock: str | None) -> str | None:
    """Say in one line what was declared and what is left; None where nothing was declared."""
    rule = declared(store, lock)
    if rule is None or lock is None:
        return None
    opened, ended = _comparisons(store, lock)
    told = f"declared for these test rows: {rule.words()}; "
    if rule.rule == "split":
        number = rule.comparisons or 1
        return told + f"{len(opened)} of {number} used, {number - len(opened)} left"
    if rule.rule in {"explore", "final"}:
        return told + f"{counted(len(opened), 'comparison')} so far"
    following = percent(_online(rule, opened, ended))
    return told + f"{counted(len(opened), 'comparison')} so far, the next one has {following}"


def facts(store: Store, lock: str) -> dict[str, Any]:
    """Give what was declared, what each comparison got, and what is left, as JSON values."""
    rule, (opened, ended) = declared(store, lock), _comparisons(store, lock)
    return {
        "lock": lock,
        "declared": asdict(rule) if rule else None,
        "comparisons": [asdict(one) for one in opened],
        "ended": [asdict(one) for one in ended],
        "next_level": next_level(store, lock),
        "test_uses": uses(store, lock).as_dict(),
    }


def next_level(store: Store, lock: str | None) -> float | None:
    """Give the level of the next comparison; None where none was declared, 0 where none is left."""
    rule = declared(store, lock)
    if rule is None or lock is None:
        return None
    opened, ended = _comparisons(store, lock)
    if rule.rule == "split":
        number = rule.comparisons or 1
        return rule.alpha / number if len(opened) < number else 0.0
    return rule.alpha if rule.rule in {"explore", "final"} else _online(rule, opened, ended)


def refuse_locked(store: Store, lock: str | None, what: str) -> None:
    """Keep locked rows from being looked at outside a release.

    Raises:
        AlphaSpentError: The rows are declared final.
    """
    rule = declared(store, lock)
    if rule is not None and rule.rule == "final":
        raise AlphaSpentError(
            f"{what}: test rows {str(lock)[:12]} are locked (final) and open once per release, "
            "to `measure` or `gate` a tagged version; look at other test rows for this"
        )


def _next(
    rule: Declared,
    lock: str,
    subject: str,
    opened: Sequence[Opened],
    ended: Sequence[Ended],
    releases: Sequence[str],
) -> Opened:
    number = len(opened) + 1
    if rule.rule == "explore":
        note = "test rows to explore: a screen, no claim"
        return Opened(number, subject, rule.alpha, False, None, note)  # noqa: FBT003
    if rule.rule == "final":
        release = _release(lock, opened, releases)
        note = f"locked test rows, opened for release {release}"
        return Opened(number, subject, rule.alpha, True, release, note)  # noqa: FBT003
    if rule.rule == "split":
        many = rule.comparisons or 1
        if number > many:
            raise AlphaSpentError(
                f"all {counted(many, 'comparison')} declared for test rows {lock[:12]} are used, "
                f"so no alpha is left; ask `curator explore`, or bring new test rows"
            )
        level, of = rule.alpha / many, f" of {many}"
    else:
        level, of = _online(rule, opened, ended), f", {rule.rule.upper()}"
    note = f"comparison {number}{of}, at a declared level of {percent(level)}"
    return Opened(number, subject, level, True, None, note)  # noqa: FBT003


def _release(lock: str, opened: Sequence[Opened], releases: Sequence[str]) -> str:
    gone = {one.release for one in opened}
    fresh = [tag for tag in releases if tag not in gone]
    if fresh:
        return fresh[0]
    if releases:
        raise AlphaSpentError(
            f"test rows {lock[:12]} are locked and were opened for release "
            f"{', '.join(releases)} already; they open again for the next release"
        )
    raise AlphaSpentError(
        f"test rows {lock[:12]} are locked and open once per release: tag the version that is to "
        "be released first (`curator tag NAME VERSION`)"
    )


def _online(rule: Declared, opened: Sequence[Opened], ended: Sequence[Ended]) -> float:
    """Give the next level of an online rule from what has ended by now."""
    calls = [one.opened for one in ended if one.called]
    candidates = [one.opened for one in ended if one.p <= CANDIDATE]
    return online_level(rule, len(opened) + 1, calls, candidates)


def _comparisons(store: Store, lock: str) -> tuple[list[Opened], list[Ended]]:
    kept = _kept(store, lock)
    opened = [Opened(**kept[name]) for name in sorted(kept) if name.isdigit()]
    ended = [Ended(**kept[name]) for name in sorted(kept) if name.endswith("-ended")]
    return opened, ended


def _keep(store: Store, lock: str, name: str, values: Mapping[str, Any]) -> bool:
    """Keep a record under a name that is taken once; False where it was taken."""
    if not write_once(place(KIND, lock) / f"{name}.json", values):
        return False
    about = {"lock": lock, "name": name, "date": now(), "values": dict(values)}
    store.record(KIND, schema.hash_fields(lock, name), about)
    return True


def _kept(store: Store, lock: str) -> dict[str, dict[str, Any]]:
    here = {one["name"]: one["values"] for one in store.records(KIND) if one["lock"] == lock}
    for path in sorted(place(KIND, lock).glob("*.json")):
        try:
            here[path.stem] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as fault:
            raise MeasureError(
                f"{path}: what was declared of these test rows cannot be read ({fault}); mend it"
            ) from fault
    return here
