"""The size of a test set, the lot that fills it, and labels that two people must agree on."""

from collections import Counter

import pytest

from curator.errors import MeasureError
from curator.impact.planning import planned_effect
from curator.testset_plan import (
    PARTS,
    UNCLEAR,
    Candidate,
    draw_rows,
    rows_for,
    settle,
    total_for,
    visible_effect,
)


def pool(n=1000, groups=None, labels=("a", "a", "a", "b")):
    return [
        Candidate(f"r{i:05}", f"g{i if groups is None else i % groups}", labels[i % len(labels)])
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("tier", "effect"), [("probe", 0.01), ("probe", 0.03), ("top-layers", 0.02)]
)
def test_the_size_is_the_least_that_shows_the_effect(tier, effect):
    rows = rows_for(tier, effect)

    assert planned_effect(tier, rows=rows, seeds=8) <= effect
    assert planned_effect(tier, rows=rows - 1, seeds=8) > effect
    assert total_for(rows) * 0.4 >= rows


def test_an_effect_no_test_set_shows_is_refused_with_the_seeds_that_would():
    with pytest.raises(MeasureError, match=r"no number of test rows .* at least \d+ seeds"):
        rows_for("top-layers", 0.01)
    with pytest.raises(MeasureError, match=r"is no fraction; one point is 0\.01"):
        rows_for("probe", 1.0)


def test_the_smallest_effect_falls_as_labels_come_in():
    seen = [visible_effect("probe", n) for n in (2, 50, 200, 800, 3200)]

    assert sorted(seen, reverse=True) == seen
    assert visible_effect("probe", 1) is None


def test_parts_and_labels_have_their_shares_and_the_lot_is_the_same_each_time():
    drawn = draw_rows(pool(), 200, seed=3)
    label = {c.row_id: c.label for c in pool()}

    assert {"explore": 40, "confirm": 80, "final": 80} == Counter(drawn.values())
    for part in PARTS:
        inside = Counter(label[row] for row, p in drawn.items() if p == part)
        assert inside["a"] / inside.total() == pytest.approx(0.75, abs=0.03)
    assert drawn == draw_rows(list(reversed(pool())), 200, seed=3)
    assert drawn.keys() != draw_rows(pool(), 200, seed=4).keys()


def test_near_duplicates_never_stand_in_one_test_set():
    drawn = draw_rows(pool(groups=250), 250, seed=0)

    assert 250 == len({int(row[1:]) % 250 for row in drawn})
    with pytest.raises(MeasureError, match=r"251 rows are wanted.*the pool has 250 groups"):
        draw_rows(pool(groups=250), 251, seed=0)


def test_every_row_of_a_pool_that_is_just_enough_is_drawn():
    assert 40 == len(draw_rows(pool(40, labels=("a", "b", "c")), 40, seed=1))


@pytest.mark.parametrize(
    ("said", "decided", "where"),
    [
        ({}, {}, "waiting"),
        ({"p": "a"}, {}, "waiting"),
        ({"p": "a", "q": "a"}, {}, "labels"),
        ({"p": "a", "q": "b"}, {}, "disputed"),
        ({"p": "a", "q": "b"}, {"r": "c"}, "labels"),
        ({"p": UNCLEAR, "q": UNCLEAR}, {}, "unclear"),
        ({"p": "a", "q": "b"}, {"r": UNCLEAR}, "unclear"),
        ({"p": "a", "q": "a", "x": "b"}, {}, "disputed"),
    ],
)
def test_a_label_is_settled_by_agreement_or_by_the_adjudicator(said, decided, where):
    found = settle(["r"], {"r": said}, decided)

    assert "r" in getattr(found, where)
    assert 1 == sum(len(getattr(found, n)) for n in ("labels", "unclear", "disputed", "waiting"))
