from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from finetune.inputs import PART_TOKENS, thrifty_parts

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=9)


def cost(parts):
    return sum(longest * len(rows) + PART_TOKENS for longest, rows in parts)


@given(LENGTHS)
def test_every_row_goes_through_once_and_none_is_cut(lengths):
    parts = thrifty_parts(lengths, most=100)

    assert sorted(i for _, rows in parts for i in rows) == list(range(len(lengths)))
    assert all(longest == max(lengths[i] for i in rows) for longest, rows in parts)
    assert all(longest * len(rows) <= 100 for longest, rows in parts if len(rows) > 1)


@given(LENGTHS)
def test_no_other_dealing_by_length_costs_less(lengths):
    ordered = sorted(lengths, reverse=True)
    ways = (
        [ordered[a:b] for a, b in zip((0, *cut), (*cut, len(ordered)), strict=True)]
        for count in range(len(ordered))
        for cut in combinations(range(1, len(ordered)), count)
    )
    least = min(cost([(part[0], part) for part in way]) for way in ways)

    assert cost(thrifty_parts(lengths, most=10_000)) == least
