"""What test rows were used for: every look once, by lock, never refunded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from curator.impact.ledger import Look, charge, uses
from curator.versions import open_store

LOOK = Look("2026-11-24T10:00:00+00:00", "lock1", "a" * 64, "b" * 64, "probe", 3, 0.01, 0.01)


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store", create=True)


def test_rows_that_nobody_looked_at_say_so(store):
    assert (0, 0, 0.0, None, None) == tuple(uses(store, "lock1").as_dict().values())
    assert "these test rows were not looked at yet" == uses(store, "lock1").sentence()


def test_looks_add_up_by_lock_and_the_same_look_costs_once(store):
    later = replace(LOOK, date="2026-11-25T10:00:00+00:00")

    assert charge(store, LOOK)
    assert not charge(store, later)
    assert charge(store, replace(later, seeds=5, alpha=0.015, alpha_touched=0.015))
    assert charge(store, replace(later, lock="lock2"))

    used = uses(store, "lock1")
    assert (2, 1) == (used.looks, used.comparisons)
    assert 0.05 == pytest.approx(used.alpha)
    assert ("2026-11-24T10:00:00+00:00", "2026-11-25T10:00:00+00:00") == (used.first, used.last)
    assert "had 2 looks for 1 comparison since 2026-11-24" in used.sentence()
    assert used.sentence().endswith("alpha charged so far 5.00 %")


def test_a_look_in_other_company_is_charged_what_it_costs_most(store):
    charge(store, replace(LOOK, alpha=0.002, alpha_touched=0.002))
    charge(store, LOOK)

    assert 0.02 == pytest.approx(uses(store, "lock1").alpha)
    assert 1 == uses(store, "lock1").looks
