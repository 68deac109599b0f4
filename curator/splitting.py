"""A test split made where the sources bring none: stratified, by near-duplicate group, seeded.

Whole groups go to one side, so no test row has a near twin in training. Which groups go is decided
by a hash of (seed, group), so the choice does not depend on the order of the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from curator import schema
from curator.errors import RowError


def make_test_split(
    labels: Sequence[tuple[str, ...]],
    groups: Sequence[str],
    *,
    share: float,
    seed: int,
    known: Sequence[str | None],
) -> list[str]:
    """Assign train or test to each row.

    Args:
        labels: Labels per row; rows that have none are a class of their own.
        groups: Near-duplicate group per row.
        share: Share of each class that test should hold, 0..1, exclusive.
        seed: Chooses among equally good groups.
        known: Split of rows known from before, else None. Where any is known the test set is
            frozen: every new row trains.

    Returns:
        "train" or "test" per row.

    Raises:
        RowError: The share leaves training or test empty.
    """
    if any(known):
        return [split or "train" for split in known]
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    strata = [here or (None,) for here in labels]
    totals = Counter(label for here in strata for label in here)
    wanted = {label: share * count for label, count in totals.items()}
    chosen: Counter[str | None] = Counter()
    splits = ["train"] * len(labels)
    for group in sorted(members, key=lambda g: schema.hash_fields("test split", seed, g)):
        here = Counter(label for row in members[group] for label in strata[row])
        # A group goes to test when no class in it would get more than its share (half a row over),
        # and every class keeps at least one training row.
        fits = all(chosen[label] + n <= wanted[label] + 0.5 for label, n in here.items())
        leaves = all(chosen[label] + n < totals[label] for label, n in here.items())
        if fits and leaves:
            chosen.update(here)
            for row in members[group]:
                splits[row] = "test"
    if not 0 < splits.count("test") < len(labels):
        raise RowError(
            f"{len(labels)} rows in {len(members)} groups of near-duplicates cannot give a test "
            f"split of {share:.0%}; bring a test file (`split: test`), or change `split.test`"
        )
    return splits
